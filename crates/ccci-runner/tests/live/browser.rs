//! A person looks at an app: the run stays up for them, and a real browser logs in.

use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::flight::{Flight, eventually, processes_of};
use crate::support::{Server, assert_nothing_of, ccci, own_recipes, server};

/// What a PNG begins with.
pub(crate) const PNG: &[u8] = b"\x89PNG\r\n\x1a\n";

/// A run that stays, with what its invitation says.
pub(crate) struct Stay {
    pub(crate) run: Flight,
    origin: String,
    user: String,
    pub(crate) password: PathBuf,
}

pub(crate) fn stay(server: &Server, words: &[&str]) -> Stay {
    let run = server.fly(&[&["--stay", "--recipe"], words].concat());
    let line = invitation(&run);
    let after = |mark: &str| {
        let rest = line.split(mark).nth(1).unwrap_or_else(|| panic!("no `{mark}` in: {line}"));
        rest.split([',', ' ']).next().unwrap().to_owned()
    };
    let origin = line.trim().split(' ').next().unwrap().to_owned();
    Stay { origin, user: after("log in as "), password: after("the password is in ").into(), run }
}

/// The line that says where the app is.
pub(crate) fn invitation(run: &Flight) -> String {
    let line = || run.lines().into_iter().find(|line| line.contains(" stays up until Ctrl-C or SIGTERM"));
    eventually("the app stays", Duration::from_secs(300), line)
}

impl Stay {
    /// `ccci lab screenshot` of the login at this path: exit code, what it said, and the picture.
    pub(crate) fn screenshot(
        &self,
        path: &str,
        password: &Path,
        expect: &str,
    ) -> (Option<i32>, String, Option<Vec<u8>>) {
        let dir = tempfile::tempdir().unwrap();
        let out = dir.path().join("page.png");
        let mut command = ccci(["lab", "screenshot", "--expect", expect, "--user", &self.user, "--url"]);
        command.arg(format!("{}{path}", self.origin)).arg("--password-file").arg(password);
        let output = command.arg("--out").arg(&out).env("TMPDIR", dir.path()).output().unwrap();
        let said = String::from_utf8([output.stdout, output.stderr].concat()).unwrap();
        println!("{said}");
        let left: Vec<_> = std::fs::read_dir(dir.path()).unwrap().map(|e| e.unwrap().file_name()).collect();
        assert!(left.iter().all(|name| name == "page.png"), "the browser left {left:?}");
        assert_eq!(browsers_of(dir.path()), Vec::<String>::new());
        (output.status.code(), said, std::fs::read(&out).ok())
    }
}

/// The command lines of a browser and its driver whose home was in this directory. What has ended and was not asked
/// for its end by its parent has none.
fn browsers_of(dir: &Path) -> Vec<String> {
    let mark = format!("HOME={}/ccci-browser-", dir.display());
    let mut found = Vec::new();
    for entry in std::fs::read_dir("/proc").unwrap().map_while(Result::ok) {
        let read = |file: &str| std::fs::read(entry.path().join(file)).unwrap_or_default();
        if read("environ").split(|b| *b == 0).any(|v| v.starts_with(mark.as_bytes())) {
            found.push(String::from_utf8_lossy(&read("cmdline")).replace('\0', " "));
        }
    }
    found
}

#[test]
fn a_person_opens_an_app_that_stays_and_logs_in() {
    let server = server("");
    let stay = stay(&server, &["specimen-sso"]);
    let password = std::fs::read_to_string(&stay.password).unwrap();
    let email = format!("{}-{}@", stay.user, stay.run.id());

    let (code, said, picture) = stay.screenshot("/login", &stay.password, &email);
    assert_eq!(code, Some(0), "{said}");
    assert!(said.contains(&format!("{}/ is in ", stay.origin)), "the browser is back at the app: {said}");
    let picture = picture.unwrap();
    assert!(picture.starts_with(PNG) && picture.len() > 5_000, "{} bytes", picture.len());

    // What cannot be is told, and no picture pretends that it was.
    let wrong = server.dir.path().join("wrong");
    std::fs::write(&wrong, "not-the-password").unwrap();
    let (code, said, picture) = stay.screenshot("/login", &wrong, &email);
    assert_eq!((code, picture), (Some(3), None), "{said}");
    assert!(said.contains(&format!("the login of {} at https://", stay.user)), "{said}");

    let (dir, stack) = (stay.run.dir(), stay.run.stack());
    stay.run.signal("TERM");
    let landed = stay.run.land();
    assert_eq!(
        (landed.code, &landed.report["verdict"]),
        (Some(0), &"pass".into()),
        "the verdict is the checks'"
    );
    assert!(!landed.said(&password) && !landed.report.to_string().contains(&password));
    assert_eq!(processes_of(&dir), Vec::<String>::new());
    assert_nothing_of(&stack);
}

#[test]
fn a_stay_ends_by_its_first_signal_and_is_red_where_a_check_was() {
    let server = server("");
    let recipes = own_recipes(server.dir.path());
    let check = recipes.join("custom-html/install/zz-fails");
    std::fs::write(&check, "#!/bin/sh\nexit 1\n").unwrap();
    std::fs::set_permissions(&check, std::fs::Permissions::from_mode(0o755)).unwrap();
    let recipes = recipes.display().to_string();
    let run = server.fly(&["--recipes", &recipes, "--recipe", "custom-html", "--stay"]);
    let line = invitation(&run);
    assert!(!line.contains("log in"), "there is nothing to log in with: {line}");
    let stack = run.stack();
    run.signal("INT");
    let landed = run.land();
    assert_eq!((landed.code, &landed.report["verdict"]), (Some(1), &"fail".into()));
    assert_eq!(landed.report["teardown"]["clean"], true);
    assert_nothing_of(&stack);
}
