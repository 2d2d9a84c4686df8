//! A server that keeps a known-good of one recipe, and what must be true of what is kept.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use ccci_core::lock::{Holder, Lock};
use ccci_core::secret::Redactor;
use ccci_core::settings::Settings;
use ccci_sso::Net;
use serde_json::Value;

use crate::flight::eventually;
use crate::support::{Ran, Server, assert_nothing_of, docker, lab_settings, must, server};

/// How long a test waits for others who use the same canonical: all of them together need less.
const PATIENCE: Duration = Duration::from_secs(900);

/// A server that keeps a known-good of one recipe. The engine has one canonical of a recipe, so whoever has it holds the
/// lock that the lab's own runs take for it; nothing of it is left afterwards.
pub(crate) struct Kept {
    pub(crate) server: Server,
    pub(crate) recipe: &'static str,
    /// Words of every command: a recipes folder of the test's own.
    words: Vec<String>,
    _canonical: Lock,
}

impl Kept {
    /// Of this recipe, with these settings.
    pub(crate) fn new(recipe: &'static str, extra: &str) -> Self {
        let server = server(&format!("enrolled: [{recipe}]\n{extra}"));
        let settings = Settings::load(lab_settings()).unwrap();
        let lock = settings.locks_dir().join(format!("app-warm-{recipe}.{}", settings.base_domain));
        let me = Holder {
            run: "live tests".to_owned(),
            recipe: recipe.to_owned(),
            pid: std::process::id(),
            since: ccci_core::clock::rfc3339(ccci_core::clock::now()),
        };
        let taken = || Lock::try_take(&lock, &me).unwrap();
        let canonical = eventually(&format!("the canonical of {recipe}"), PATIENCE, taken);
        let up = settings.state_dir.join(recipe).join("journal.json");
        assert!(!up.exists(), "{} is open: `ccci recover`, `ccci canonical down {recipe}`", up.display());
        Self { server, recipe, words: Vec::new(), _canonical: canonical }
    }

    /// With a recipes folder of its own.
    pub(crate) fn with_recipes(mut self, dir: &Path) -> Self {
        self.words = vec!["--recipes".to_owned(), dir.display().to_string()];
        self
    }

    /// The words of a run, with these after them.
    pub(crate) fn words<'a>(&'a self, more: &[&'a str]) -> Vec<&'a str> {
        let own = self.words.iter().map(String::as_str);
        own.chain(["--recipe", self.recipe]).chain(more.iter().copied()).collect()
    }

    /// A run.
    pub(crate) fn run(&self, more: &[&str]) -> Ran {
        self.server.run(&self.words(more))
    }

    /// A quick run of this reference, or of the default branch's head; it must be quick.
    pub(crate) fn quick(&self, reference: Option<&str>) -> Ran {
        self.quick_with(&[], reference)
    }

    /// The same with these words too.
    pub(crate) fn quick_with(&self, more: &[&str], reference: Option<&str>) -> Ran {
        let reference: Vec<&str> = reference.iter().flat_map(|r| ["--ref", *r]).collect();
        let ran = self.run(&[more, &["--quick"], &reference].concat());
        assert_eq!(
            (ran.report["mode"].as_str(), &ran.report["fallback"], ran.report["domain"].as_str()),
            (Some("quick"), &Value::Null, Some(self.domain().as_str())),
            "{}",
            ran.report
        );
        assert_eq!(ran.report["canonical"]["promoted"], false);
        assert_eq!(self.mark(), if ran.code == 0 { "dirty" } else { "idle" });
        assert_eq!(ran.report["teardown"]["clean"], true, "{}", ran.report["teardown"]);
        ran
    }

    /// A quick run that passes.
    pub(crate) fn passes(&self, reference: Option<&str>) -> Ran {
        let ran = self.quick(reference);
        assert_eq!((ran.code, ran.report["verdict"].as_str()), (0, Some("pass")), "{}", ran.report);
        assert!(ran.stdout.contains("lower confidence"), "{}", ran.stdout);
        ran
    }

    /// Makes the canonical by a cold run.
    pub(crate) fn seed(&self) -> Ran {
        let ran = self.run(&[]);
        self.promoted(&ran);
        ran
    }

    /// This run was cold and has moved the known-good, as the disk says too.
    pub(crate) fn promoted(&self, ran: &Ran) {
        assert_eq!((ran.code, ran.report["verdict"].as_str()), (0, Some("pass")), "{}", ran.report);
        assert_eq!(ran.report["mode"], "cold");
        assert_eq!(ran.report["canonical"]["promoted"], true, "{}", ran.report["canonical"]);
        assert_eq!(ran.report["canonical"]["after"], self.record()["commit"]);
        assert_eq!(self.record()["commit"], ran.report["commit"]);
        assert_eq!(self.mark(), "idle");
        assert!(!self.dir().join("journal.json").exists());
    }

    /// A command about the canonical, such as `canonical up`; what it says. It must end well.
    pub(crate) fn told(&self, command: [&str; 2]) -> String {
        let words: Vec<&str> =
            self.words.iter().map(String::as_str).chain(command).chain([self.recipe]).collect();
        let text = must(&mut self.server.command(&words));
        println!("{words:?}: {text}");
        text
    }

    /// Its directory below the state directory.
    pub(crate) fn dir(&self) -> PathBuf {
        self.server.runs().parent().unwrap().join(self.recipe)
    }

    pub(crate) fn domain(&self) -> String {
        format!("warm-{}.lab.test", self.recipe)
    }

    pub(crate) fn stack(&self) -> String {
        self.domain().replace('.', "_")
    }

    fn json(&self, file: &str) -> Value {
        let text = std::fs::read_to_string(self.dir().join(file)).unwrap();
        serde_json::from_str(&text).unwrap()
    }

    /// `canonical.json`.
    pub(crate) fn record(&self) -> Value {
        self.json("canonical.json")
    }

    /// What `volume.json` says.
    pub(crate) fn mark(&self) -> String {
        self.json("volume.json")["status"].as_str().unwrap().to_owned()
    }

    /// The known-good on disk: record and snapshot, to the byte, the inode and the time.
    pub(crate) fn known_good(&self) -> String {
        listing(&[self.dir().join("canonical.json"), self.dir().join("snapshot")], " %i")
    }

    /// What is in its volumes, their root directories too.
    pub(crate) fn data(&self) -> String {
        listing(&self.mounted(), "")
    }

    /// Whether a file in its volumes has this in its name or in its content.
    pub(crate) fn holds(&self, text: &str) -> bool {
        self.mounted().iter().any(|volume| {
            let named = must(Command::new("find").arg(volume).args(["-name", &format!("*{text}*")]));
            let grep = Command::new("grep").args(["-rqaF", "--", text]).arg(volume).status().unwrap();
            !named.is_empty() || grep.success()
        })
    }

    /// Where its volumes are.
    fn mounted(&self) -> Vec<PathBuf> {
        let mounted = |name: &str| docker(&["volume", "inspect", "--format", "{{.Mountpoint}}", name]).into();
        let volumes: Vec<PathBuf> = self.volumes().lines().map(mounted).collect();
        assert!(!volumes.is_empty());
        volumes
    }

    /// The names of its volumes, a line each: those of its stack's label, and those of its name, to which swarm gives none.
    pub(crate) fn volumes(&self) -> String {
        let of = |filter: String| docker(&["volume", "ls", "--quiet", "--filter", &filter]);
        let labelled = of(format!("label=com.docker.stack.namespace={}", self.stack()));
        let named = of(format!("name={}_", self.stack()));
        let all: std::collections::BTreeSet<&str> = labelled.lines().chain(named.lines()).collect();
        all.into_iter().collect::<Vec<_>>().join("\n")
    }

    /// The status and the text of a page of the app.
    pub(crate) fn page(&self, path: &str) -> (u16, String) {
        let settings = Settings::load(&self.server.settings).unwrap();
        let net = Net::from_settings(&settings, &Redactor::default());
        let asked = async {
            let client = net.reach.builder().unwrap().timeout(Duration::from_secs(10)).build().unwrap();
            let answer = client.get(format!("https://{}{path}", self.domain())).send().await.unwrap();
            (answer.status().as_u16(), answer.text().await.unwrap())
        };
        tokio::runtime::Runtime::new().unwrap().block_on(asked)
    }

    /// A shell line in the container of the service `app`.
    pub(crate) fn in_app(&self, line: &str) -> String {
        let filter = format!("label=com.docker.swarm.service.name={}_app", self.stack());
        let container = docker(&["ps", "--quiet", "--filter", &filter]);
        docker(&["exec", &container, "sh", "-c", line])
    }

    /// Keycloak has no realm of this server any more: runs and promotions have taken theirs along.
    pub(crate) fn assert_no_realm(&self) {
        let listed = must(&mut self.server.command(&["realms", "ls", "--json"]));
        let listed: Value = serde_json::from_str(&listed).unwrap();
        let ours = listed["realms"].as_array().unwrap().iter().filter(|row| row["state"] == listed["state"]);
        assert_eq!(ours.count(), 0, "{listed}");
    }

    /// Nothing runs of it, and what is kept is what the known-good lists.
    pub(crate) fn assert_at_rest(&self) {
        let meta = self.json("snapshot/meta.json");
        let listed = |key: &str, of: &str| -> Vec<String> {
            let all = meta[key].as_array().unwrap().iter();
            let mut all: Vec<String> = all.map(|it| it[of].as_str().unwrap().to_owned()).collect();
            all.sort();
            all
        };
        let name = format!("name={}", self.stack());
        let there = |kind: &str, form: &str| -> Vec<String> {
            let all = docker(&[kind, "ls", "--filter", &name, "--format", form]);
            let mut all: Vec<String> = all.lines().map(str::to_owned).collect();
            all.sort();
            all
        };
        let volumes = self.volumes();
        assert_eq!(volumes.lines().collect::<Vec<_>>(), listed("volumes", "name"));
        // By their ids: what a secret is called in the swarm is the recipe's affair.
        assert_eq!(there("secret", "{{.ID}}"), listed("secrets", "id"));
        for kind in ["service", "network", "config"] {
            assert_eq!(there(kind, "{{.Name}}"), Vec::<String>::new(), "{kind}");
        }
        assert_eq!(docker(&["ps", "--all", "--quiet", "--filter", &name]), "");
        assert!(!self.dir().join("journal.json").exists(), "a transaction is open");
        let proved = self.told(["snapshot", "verify"]);
        assert!(proved.contains(self.recipe), "{proved}");
    }
}

/// Nothing of it stays on the engine, whatever became of the test.
impl Drop for Kept {
    fn drop(&mut self) {
        let output = self.server.command(&["canonical", "drop", self.recipe]).output().unwrap();
        let said =
            format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        println!("canonical drop {}: {:?} {said}", self.recipe, output.status.code());
        if !std::thread::panicking() {
            assert!(matches!(output.status.code(), Some(0 | 5)), "{said}");
            assert_nothing_of(&self.stack());
        }
    }
}

/// Every entry below these with all that `find` tells of it, and every file's content; in an order of its own.
fn listing(places: &[PathBuf], more: &str) -> String {
    let form = format!("%p %y %m %U %G %s %T@ %n %l{more}\\n");
    let mut all = String::new();
    for place in places {
        all += &sorted(Command::new("find").arg(place).args(["-not", "-type", "d", "-printf", &form]));
        // A directory's size says how many entries it once had.
        let dirs = form.replace("%s ", "");
        all += &sorted(Command::new("find").arg(place).args(["-type", "d", "-printf", &dirs]));
        let files = ["-type", "f", "-exec", "sha256sum", "{}", "+"];
        all += &sorted(Command::new("find").arg(place).args(files));
    }
    all
}

fn sorted(command: &mut Command) -> String {
    let text = must(command);
    let mut lines: Vec<&str> = text.lines().collect();
    lines.sort_unstable();
    lines.push("");
    lines.join("\n")
}
