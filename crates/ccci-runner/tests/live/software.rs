//! Software that people run, each in a recipe of the lab: from nothing to a known-good, a change that breaks it in one
//! real way, and the way back.

use serde_json::Value;

use crate::kept::Kept;
use crate::support::Ran;

/// One recipe, and the change that breaks it.
struct Software {
    recipe: &'static str,
    branch: &'static str,
    /// The checks that fail then.
    failed: &'static [&'static str],
    /// What the first of them says.
    words: &'static [&'static str],
}

impl Software {
    fn proved(&self) {
        // Theirs look twice a minute: the waiting for a first look is not what is tested here.
        let kept = Kept::new(self.recipe, "fast_health: always");
        let cold = kept.seed();
        every_check_passed(&cold);
        assert_ne!(image(&cold, "install"), image(&cold, "upgrade"), "the releases differ in software");
        kept.assert_at_rest();
        let before = (kept.known_good(), kept.data());

        let ran = kept.quick(Some(self.branch));
        assert_eq!((ran.code, ran.report["verdict"].as_str()), (1, Some("fail")), "{}", ran.report["error"]);
        assert_eq!(ran.failed(), self.failed);
        let reason = ran.reason(self.failed[0]);
        for word in self.words {
            assert!(reason.contains(word), "`{word}` in: {reason}");
        }
        assert_eq!((kept.known_good(), kept.data()), before, "what the change did is undone");
        kept.assert_at_rest();

        every_check_passed(&kept.passes(None));
        assert_eq!(kept.known_good(), before.0);
    }
}

/// Every check of every stage was tried and holds, the recipe's own among them.
fn every_check_passed(ran: &Ran) {
    let stages = ran.report["stages"].as_array().unwrap();
    let checks: Vec<&Value> = stages.iter().flat_map(|s| s["checks"].as_array().unwrap()).collect();
    assert!(checks.iter().any(|check| check["kind"] == "overlay"), "{checks:?}");
    for check in checks {
        assert_eq!(check["status"], "pass", "{check}");
    }
}

/// The image of the service `app` in a stage.
fn image<'a>(ran: &'a Ran, stage: &str) -> &'a str {
    let mut images = ran.report["images"].as_array().unwrap().iter();
    let of_app = |image: &&Value| image["stage"] == stage && image["service"] == "app";
    images.find(of_app).unwrap_or_else(|| panic!("{stage}: {}", ran.report["images"]))["digest"]
        .as_str()
        .unwrap()
}

#[test]
fn calendars_and_contacts_survive_an_upgrade_and_a_change_that_forgets_their_volume() {
    Software {
        recipe: "radicale",
        branch: "forgets-the-volume",
        failed: &["radicale::upgrade::keeps-the-card", "radicale::upgrade::keeps-the-event"],
        words: &["the card from before the upgrade is gone", "404"],
    }
    .proved();
}

#[test]
fn rooms_to_talk_in_survive_an_upgrade_and_a_change_of_the_port_at_which_clients_look() {
    Software {
        recipe: "mumble",
        branch: "another-port",
        failed: &["generic::upgrade::serving"],
        words: &["64738 accepts", "did not hold"],
    }
    .proved();
}

#[test]
fn a_site_survives_an_upgrade_and_a_change_that_calls_a_variable_by_another_name() {
    Software {
        recipe: "wordpress",
        branch: "renamed-password",
        failed: &["generic::upgrade::reconverged"],
        words: &["service `app` crash-loops", "WORDPRESS_DB_PASSWORD_FILE names no password"],
    }
    .proved();
}

#[test]
fn rooms_survive_an_upgrade_and_a_change_that_calls_the_server_by_another_name() {
    Software {
        recipe: "matrix-synapse",
        branch: "renames-the-server",
        failed: &["generic::upgrade::reconverged"],
        words: &["service `app` crash-loops", "not native to"],
    }
    .proved();
}
