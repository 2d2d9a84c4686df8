//! Whose lines a diagnosis has, and in which order.

use super::*;
use crate::swarm::tests;

#[tokio::test]
async fn lines_of_all_tasks_stand_in_the_order_of_time_each_behind_its_own() {
    let part = |text: &'static str| Ok(LogOutput::StdOut { message: text.into() });
    let parts = [
        part("2026-11-21T09:30:02.100000000Z second task\n2026-11-21T09:30:03.5Z   indented\n"),
        part("2026-11-21T09:30:01.900000000Z first task\n2026-11-21T09:30:00Z too old\n"),
    ];
    let (lines, note) = read(futures_util::stream::iter(parts), 3).await;
    let timed: Vec<String> = lines.iter().map(Line::timed).collect();
    let wanted = [
        "2026-11-21T09:30:01Z first task",
        "2026-11-21T09:30:02Z second task",
        "2026-11-21T09:30:03Z   indented",
    ];
    assert_eq!((timed, note), (wanted.map(str::to_owned).to_vec(), None));
    // What has no stamp is told as it is.
    let bare = Line { stamp: "oops".to_owned(), text: "x".to_owned() };
    assert_eq!(bare.timed(), "x");
}

/// An engine that has the logs of two tasks and of a Traefik.
fn engine(socket: &std::path::Path) {
    let log = |text: &str| {
        let length = u32::try_from(text.len()).unwrap().to_be_bytes();
        [&[1, 0, 0, 0], length.as_slice(), text.as_bytes()].concat()
    };
    tests::engine_of(socket, move |path| {
        let body = match path.trim_start_matches('/') {
            "version" => tests::VERSION.into(),
            "info" => tests::MANAGER.into(),
            "tasks/old/logs" => log("2026-11-21T09:30:01Z goodbye\n"),
            "tasks/new/logs" => log("2026-11-21T09:30:00Z early\n2026-11-21T09:30:02Z hello\n"),
            "services" => br#"[{"Spec":{"Name":"traefik_app","TaskTemplate":{"ContainerSpec":{"Image":"traefik:v3"}}}},{"Spec":{"Name":"x_app"}}]"#.to_vec(),
            "services/traefik_app/logs" => log("2026-11-21T09:30:03Z no server for x_app@swarm\n2026-11-21T09:30:04Z of others\n"),
            other => panic!("{other}"),
        };
        tests::answer("200 OK", &body)
    });
}

#[tokio::test]
async fn each_line_says_of_which_version_it_is_and_traefiks_own_are_there() {
    let dir = tempfile::tempdir().unwrap();
    let socket = dir.path().join("docker.sock");
    engine(&socket);
    let swarm = Swarm::connect_to(&socket).await.unwrap();
    let service = ServiceFacts { image: "blog:2".into(), ..tests::service("x_app") };
    let mut facts = tests::stack(vec![service.clone()]);
    let like = crate::swarm::recorded("healthy").tasks[0].clone();
    let task = |id: &str, image: &str, current, container: Option<&str>| TaskFacts {
        id: id.into(),
        service: service.id.clone(),
        image: image.into(),
        container: container.map(str::to_owned),
        current,
        ..like.clone()
    };
    facts.tasks = vec![
        task("old", "blog:1", false, Some("c1")),
        task("new", "blog:2", true, Some("c2")),
        // It was never given a container: its log would never end.
        task("none", "blog:2", true, None),
    ];
    let (lines, note) = swarm.log_by_tasks(&service, &facts).await;
    let timed: Vec<String> = lines.iter().map(Line::timed).collect();
    let wanted = [
        "2026-11-21T09:30:00Z early",
        "2026-11-21T09:30:01Z (of blog:1) goodbye",
        "2026-11-21T09:30:02Z hello",
    ];
    assert_eq!((timed, note), (wanted.map(str::to_owned).to_vec(), None));
    // The same image in another spec is told as that.
    assert_eq!(mark(&task("old", "blog:2", false, None), &service), "(of an older spec) ");
    let logs = swarm.traefik_of(&facts.stack, &Redactor::default()).await;
    let lines = vec!["2026-11-21T09:30:03Z no server for x_app@swarm".to_owned()];
    assert_eq!(logs, [ServiceLog { service: "traefik_app".into(), lines, note: None }]);
}
