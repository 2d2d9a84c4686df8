//! A Keycloak that cannot be used: stopped, it is deployed with the run; up and letting nobody in, nothing is judged.
//!
//! The name comes late: beside these tests only such run as need no Keycloak, and those are the last.

use std::time::Duration;

use serde_json::{Value, json};

use crate::flight::eventually;
use crate::provider::Provider;
use crate::support::{Ran, Server, assert_nothing_of, docker, server_with_keycloak_alone};

const APP: &str = "warm-keycloak_lab_test_app";

fn tested(server: &Server) -> Ran {
    server.run(&["--recipe", "specimen-sso"])
}

/// Brings the lab's Keycloak back, whatever became of the test.
struct Stopped;

impl Stopped {
    fn now() -> Self {
        docker(&["service", "scale", "--detach=false", &format!("{APP}=0")]);
        Self
    }
}

impl Drop for Stopped {
    fn drop(&mut self) {
        docker(&["service", "scale", "--detach=false", &format!("{APP}=1")]);
    }
}

/// Failure 52: that the dependency is gone afterwards is looked at like everything else.
#[test]
fn failure_52_a_stopped_keycloak_is_deployed_with_the_run_counted_and_gone_afterwards() {
    let server = server_with_keycloak_alone("");
    let ran = {
        let _stopped = Stopped::now();
        tested(&server)
    };
    assert_eq!((ran.code, ran.report["verdict"].as_str()), (0, Some("pass")), "{}", ran.report["error"]);
    assert_eq!(ran.report["deploys"], json!({"expected": 2, "counted": 2}));
    let run = ran.report["run"].as_str().unwrap();
    let dep = &ran.report["deps"][0];
    assert_eq!((dep["recipe"].as_str(), dep["kind"].as_str()), (Some("keycloak"), Some("cold")));
    assert_eq!(dep["domain"], format!("keyc-{run}.lab.test"));
    assert_eq!(dep["realm"], format!("specimen-sso-{run}"));
    assert_eq!(ran.check("generic::custom::sso-token")["status"], "pass");
    ran.assert_clean();
    assert_nothing_of(&format!("keyc-{run}_lab_test"));
    let provider = Provider::of(&server);
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let healthy = || runtime.block_on(provider.is_healthy()).then_some(());
    eventually("the lab's Keycloak is up again", Duration::from_secs(240), healthy);
}

/// What a wrong password is to the administrator, a changed one is to us.
#[test]
fn a_keycloak_that_refuses_its_administrator_is_inconclusive_with_a_hint() {
    let server = server_with_keycloak_alone("");
    let provider = Provider::of(&server);
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let changed = runtime.block_on(provider.another_password());
    let ran = tested(&server);
    drop(changed);
    assert_eq!(ran.code, 3, "{}", ran.stdout);
    assert_eq!(ran.report["verdict"], "inconclusive");
    let error = ran.report["error"].as_str().unwrap();
    assert!(
        error.contains("the Keycloak at warm-keycloak.lab.test is healthy, but cannot be used")
            && error.contains("set it in Keycloak, or put the old one into the secret"),
        "{error}"
    );
    assert!(ran.report["stages"].as_array().unwrap().is_empty(), "nothing was told as the recipe's fault");
    assert_eq!(ran.report["deploys"], json!({"expected": 1, "counted": 0}));
    assert_eq!(ran.report["deps"], Value::Array(Vec::new()));
    ran.assert_clean();
}
