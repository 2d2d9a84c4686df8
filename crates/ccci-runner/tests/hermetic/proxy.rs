//! A proxy that has not noticed yet (rule R15): for a while after a deploy it goes on answering as before.

use std::time::Duration;

use crate::world::{Ran, World};

/// The change's app answers 500. The proxy looks every two seconds; ccci is told that it looks this often.
fn tested(branch: &str, refresh: &str) -> Ran {
    let world = World::new(&["content"]);
    world.manifest("soak: 0\ntimeouts: {deploy: 20, http: 5}\n");
    let settings = world.path("ccci.yaml");
    let text = std::fs::read_to_string(&settings).unwrap();
    std::fs::write(&settings, text.replace("proxy: {refresh: 0}", &format!("proxy: {{refresh: {refresh}}}")))
        .unwrap();
    world.web.proxy.looks_every(Duration::from_secs(2));
    let ran = world.ccci(&["--recipe", "blog", "--ref", branch]);
    world.assert_nothing_left();
    ran
}

#[test]
fn r15_what_a_proxy_answers_that_has_not_noticed_yet_is_no_answer_of_the_change() {
    let ran = tested("answers-500", "1");
    ran.assert(1, "fail");
    let (status, reason) = ran.check("upgrade::serving");
    assert_eq!((status.as_str(), reason.contains("500")), ("fail", true), "{ran:#?}");
}

/// What the rule is for: a server whose settings say that its proxy notices at once, and which does not, is believed.
#[test]
fn r15_without_the_wait_the_same_change_would_be_green() {
    let ran = tested("answers-500", "0");
    let (status, _) = ran.check("upgrade::serving");
    assert_eq!(
        status, "pass",
        "the fake proxy is not slow enough for the other test to prove anything: {ran:#?}"
    );
}

/// Near misses: sound changes behind the same proxy. One of the README alone is waited for too, since abra's mark in the env of
/// `app` has replaced its task, and the one before it may still answer.
#[test]
fn r15_a_sound_change_passes_behind_a_slow_proxy_and_is_waited_for() {
    tested("good", "1").assert(0, "pass");
    let ran = tested("readme", "1");
    ran.assert(0, "pass");
    assert_eq!(ran.check("upgrade::moved").1, "labels only", "{ran:#?}");
    let phases = ran.record["phases"].as_array().unwrap();
    let seconds =
        |name: &str| phases.iter().find(|p| p["name"] == name).unwrap()["seconds"].as_f64().unwrap();
    for phase in ["install checks", "upgrade checks"] {
        assert!(seconds(phase) >= 2.5, "{phase}: the proxy's next reading was not waited for: {phases:?}");
    }
}

/// An app without a web page serves when its `ready` probes hold; its page is nobody's question, and what it serves instead is
/// asked again at the end.
#[test]
fn an_app_without_a_page_serves_what_its_ready_probes_ask() {
    let world = World::new(&["content"]);
    let without = |port: u16| {
        world.manifest(&format!(
            "timeouts: {{deploy: 20, http: 1}}\nhealth: {{page: false}}\nready: [{{tcp: {{port: {port}}}}}]\n"
        ));
    };
    let listen = || std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let (open, closed) = (listen(), listen().local_addr().unwrap().port());
    without(open.local_addr().unwrap().port());
    std::thread::spawn(move || open.incoming().filter_map(Result::ok).for_each(held));
    let fresh = ["--recipe", "blog", "--ref", "answers-500"];
    world.ccci(&fresh).assert(0, "pass");
    world.manifest("timeouts: {deploy: 20, http: 1}\n");
    world.ccci(&fresh).assert(1, "fail");
    without(closed);
    let ran = world.ccci(&["--recipe", "blog"]);
    assert!(
        ran.said().contains(&format!("the app's domain:{closed} accepts did not hold within 1 s")),
        "{ran:#?}"
    );
    assert_ne!(ran.code, Some(0), "{ran:#?}");
    // Taken once, and gone after that.
    let once = listen();
    without(once.local_addr().unwrap().port());
    std::thread::spawn(move || {
        let taken = once.accept().map(|(stream, _)| stream);
        drop(once);
        taken.map(held)
    });
    let ran = world.ccci(&["--recipe", "blog"]);
    assert!(ran.check("install::serving").0 == "pass", "{ran:#?}");
    assert!(ran.check("install::stands").1.contains("it served earlier and no longer does"), "{ran:#?}");
    // A proxy with nobody behind it takes each connection and closes it.
    let proxy = listen();
    without(proxy.local_addr().unwrap().port());
    std::thread::spawn(move || proxy.incoming().filter_map(Result::ok).for_each(drop));
    let ran = world.ccci(&["--recipe", "blog"]);
    assert_ne!(ran.code, Some(0), "{ran:#?}");
    assert!(ran.said().contains("it was accepted and closed at once"), "{ran:#?}");
}

/// Keeps a connection until the other side ends it.
fn held(mut stream: std::net::TcpStream) {
    use std::io::Read as _;
    drop(stream.read(&mut [0]));
}
