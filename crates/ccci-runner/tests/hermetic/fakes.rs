//! The fakes by themselves: what the tests of warm data lean on.

use std::io::{Read as _, Write as _};
use std::os::unix::fs::MetadataExt as _;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::{Command, Output};

use serde_json::Value;

use crate::world::World;

const DOMAIN: &str = "warm-blog.ci.test";
const VOLUME: &str = "warm-blog_ci_test_content";

/// Brings the recipe's checkout below `home` to a commit and calls abra there.
struct Hand<'a> {
    world: &'a World,
}

impl Hand<'_> {
    fn new(world: &World) -> Hand<'_> {
        let servers = world.path("hand/servers/default");
        std::fs::create_dir_all(&servers).unwrap();
        let env = format!("TYPE=blog\nDOMAIN={DOMAIN}\nSECRET_ADMIN_PASSWORD_VERSION=v1\n");
        std::fs::write(servers.join(format!("{DOMAIN}.env")), env).unwrap();
        let (from, to) = (world.path("git/blog.git"), world.path("hand/recipes/blog"));
        let cloned = Command::new("git").args(["clone", "--quiet"]).args([from, to]).status();
        assert!(cloned.unwrap().success());
        Hand { world }
    }

    fn abra(&self, words: &[&str]) -> Output {
        let mut abra = Command::new(self.world.abra.binary());
        abra.args(words).env("ABRA_DIR", self.world.path("hand")).output().unwrap()
    }

    /// Deploys this commit by chaos; abra's words where it refuses.
    fn deploy(&self, commit: &str) -> Result<(), String> {
        let dir = self.world.path("hand/recipes/blog");
        let moved =
            Command::new("git").args(["checkout", "--quiet", "--detach", commit]).current_dir(dir).status();
        assert!(moved.unwrap().success());
        let output = self.abra(&["app", "deploy", "-n", "-C", DOMAIN]);
        if output.status.success() { Ok(()) } else { Err(String::from_utf8(output.stderr).unwrap()) }
    }

    fn status(&self) -> u16 {
        self.world.engine.answers("warm-blog_ci_test")
    }
}

/// One request to the engine: the status, and the body as JSON.
fn ask(world: &World, request: &str, body: &str) -> (u16, Value) {
    let mut stream = UnixStream::connect(world.path("docker.sock")).unwrap();
    let head = format!("{request} HTTP/1.1\r\nHost: docker\r\nContent-Length: {}\r\n\r\n{body}", body.len());
    stream.write_all(head.as_bytes()).unwrap();
    stream.shutdown(std::net::Shutdown::Write).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    let status = head.split_whitespace().nth(1).unwrap().parse().unwrap();
    (status, serde_json::from_str(body).unwrap_or_default())
}

#[test]
fn data_outlives_an_undeploy_and_what_starts_works_on_it() {
    let world = World::new(&["content"]);
    let hand = Hand::new(&world);
    assert!(hand.deploy("1.0.0+1").unwrap_err().contains("secret not generated: admin_password"));
    assert!(hand.abra(&["app", "secret", "generate", "-n", "-m", "-a", DOMAIN]).status.success());
    hand.deploy("1.0.0+1").unwrap();
    assert_eq!((world.read(VOLUME, "post").as_deref(), hand.status()), (Some("first\n"), 200));
    world.write(VOLUME, "post", "mine");
    hand.deploy("1.1.0+2").unwrap();
    assert_eq!(world.read(VOLUME, "format").as_deref(), Some("2\n"), "the new release has started");
    assert!(hand.abra(&["app", "undeploy", "-n", DOMAIN]).status.success());
    assert!(!hand.abra(&["app", "undeploy", "-n", DOMAIN]).status.success());
    assert_eq!(
        world.engine.has(),
        ["secret warm-blog_ci_test_admin_password_v1", &format!("volume {VOLUME}")]
    );
    assert_eq!(hand.status(), 404);
    // Software that wants another format does not start on it, until somebody brings the format back.
    hand.deploy("origin/needs-another-format").unwrap();
    assert_eq!(hand.status(), 503);
    world.write(VOLUME, "format", "1");
    hand.abra(&["app", "undeploy", "-n", DOMAIN]);
    hand.deploy("origin/needs-another-format").unwrap();
    assert_eq!((hand.status(), world.read(VOLUME, "post").as_deref()), (200, Some("mine")));
    hand.deploy("origin/destroys").unwrap();
    assert_eq!((hand.status(), world.read(VOLUME, "post")), (500, None));
}

/// A deploy that changes nothing of a task starts none; another commit is a change of the app's own (A1), and of no other service.
#[test]
fn a_task_stays_while_its_software_does() {
    let world = World::new(&["content", "db"]);
    let hand = Hand::new(&world);
    hand.abra(&["app", "secret", "generate", "-n", "-m", "-a", DOMAIN]);
    let tasks = || {
        let all = world.engine.has().into_iter().filter(|thing| thing.starts_with("task"));
        all.partition::<Vec<_>, _>(|task| task.contains("_app."))
    };
    hand.deploy("1.1.0+2").unwrap();
    let (app, db) = tasks();
    hand.deploy("1.1.0+2").unwrap();
    assert_eq!(tasks(), (app.clone(), db.clone()));
    hand.deploy("origin/readme").unwrap();
    let (after, others) = tasks();
    assert_eq!(after.len(), 2, "the old one is still known, as swarm knows it for a while");
    assert!(after.contains(&app[0]) && others == db, "{after:?} {others:?}");
}

/// What a snapshot asks for: the directory that we see is the one that the engine means, and a lost volume is made anew.
#[test]
fn volumes_are_where_the_engine_says() {
    let world = World::new(&[]);
    let made =
        ask(&world, "POST /v1.41/volumes/create", r#"{"Name":"a_b","Driver":"local","Labels":{"x":"y"}}"#);
    assert_eq!((made.0, &made.1["Labels"]["x"]), (201, &Value::from("y")));
    world.write("a_b", "file", "text");
    let (status, seen) = ask(&world, "GET /v1.41/volumes/a_b", "");
    let created: jiff::Timestamp = seen["CreatedAt"].as_str().unwrap().parse().unwrap();
    let changed = std::fs::metadata(Path::new(seen["Mountpoint"].as_str().unwrap())).unwrap().ctime();
    assert_eq!((status, created.as_second()), (200, changed));
    assert_eq!(ask(&world, "DELETE /v1.41/containers/ccci-archive.a_b", "").0, 404);
    assert_eq!(ask(&world, "DELETE /v1.41/volumes/a_b", "").0, 204);
    assert_eq!((ask(&world, "GET /v1.41/volumes/a_b", "").0, world.read("a_b", "file")), (404, None));
    assert_eq!(world.engine.unknown(), Vec::<String>::new());
}

/// What ccci asks and the fake engine does not know ends the test in `World::ccci`.
#[test]
fn an_unknown_request_is_refused_and_noted() {
    let world = World::new(&[]);
    assert_eq!(ask(&world, "POST /v1.41/swarm/leave", "").0, 501);
    assert_eq!(world.engine.unknown(), ["POST /swarm/leave"]);
}
