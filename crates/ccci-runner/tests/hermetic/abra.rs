//! An abra that is none. What ccci starts is a small shell script that hands its arguments over to this process and waits
//! for the answer, so that nothing has to be installed and what a deploy does is done here, on the fake engine.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufRead as _, BufReader, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Arc, Mutex};

use ccci_core::names::{AppDomain, StackName};
use serde_json::{Value, json};

use crate::behaviour::Behaviour;
use crate::docker::{self, Named, Stack};
use crate::engine::{Deploy, Engine, Wanted};

/// A call is one line through a named pipe: where its answer is awaited, abra's directory, the arguments. The answer is
/// a piece of shell.
const SHIM: &str = r#"#!/bin/sh
case "$1" in --version) echo 'abra version 0.13.0-beta-06a57de'; exit 0 ;; esac
case " $* " in *" deploy "*) while [ -e '<dir>/hold' ]; do echo $$ > '<dir>/held'; sleep 0.02; done ;; esac
answer='<dir>'/$$
mkfifo "$answer" || exit 70
call=$answer
for word in "$ABRA_DIR" "$@"; do call="$call	$word"; done
printf '%s\n' "$call" > '<dir>/calls'
. "$answer"
"#;

const LINT: &str = "\
+------+-----------------------------+----------+-----------+---------+----------------------+
| REF  |            RULE             | SEVERITY | SATISFIED | SKIPPED |       RESOLVE        |
+------+-----------------------------+----------+-----------+---------+----------------------+
| R009 | one service named 'app'     | error    | ✅        | -       | name a service 'app' |
+------+-----------------------------+----------+-----------+---------+----------------------+
";

/// The fake abra.
#[derive(Debug)]
pub(crate) struct Abra {
    dir: PathBuf,
    calls: Arc<Mutex<Vec<String>>>,
    /// The app's env at each deploy.
    envs: Arc<Mutex<Vec<BTreeMap<String, String>>>>,
}

impl Abra {
    /// Makes the script, and answers its calls until this is dropped.
    pub(crate) fn start(dir: &Path, engine: &Engine) -> Self {
        std::fs::create_dir(dir).unwrap();
        let abra = Self { dir: dir.to_owned(), calls: Arc::default(), envs: Arc::default() };
        let pipe = dir.join("calls");
        assert!(Command::new("mkfifo").arg(&pipe).status().unwrap().success());
        std::fs::write(abra.binary(), SHIM.replace("<dir>", &dir.display().to_string())).unwrap();
        std::fs::set_permissions(abra.binary(), std::fs::Permissions::from_mode(0o755)).unwrap();
        // Open for writing too: the pipe never ends.
        let calls = File::options().read(true).write(true).open(&pipe).unwrap();
        let (noted, envs, engine) = (Arc::clone(&abra.calls), Arc::clone(&abra.envs), engine.clone());
        std::thread::spawn(move || {
            for line in BufReader::new(calls).lines() {
                let line = line.unwrap();
                let words: Vec<String> = line.split('\t').map(str::to_owned).collect();
                if words.len() < 2 {
                    return;
                }
                if let ["app", "deploy", rest @ ..] =
                    words[2..].iter().map(String::as_str).collect::<Vec<_>>().as_slice()
                {
                    let domain = rest.iter().find(|word| !word.starts_with('-')).unwrap();
                    let file = Path::new(&words[1]).join("servers/default").join(format!("{domain}.env"));
                    envs.lock().unwrap().extend(docker::env(&file));
                }
                let (noted, engine) = (Arc::clone(&noted), engine.clone());
                std::thread::spawn(move || answer(&words, &noted, &engine));
            }
        });
        abra
    }

    /// The program, for the settings.
    pub(crate) fn binary(&self) -> PathBuf {
        self.dir.join("abra")
    }

    /// Lets every deploy wait before it does anything, or go on.
    pub(crate) fn hold(&self, hold: bool) {
        let file = self.dir.join("hold");
        if hold { std::fs::write(file, "").unwrap() } else { std::fs::remove_file(file).unwrap() }
    }

    /// The process whose deploy waits, while it is there.
    pub(crate) fn held(&self) -> Option<u32> {
        let id: u32 = std::fs::read_to_string(self.dir.join("held")).ok()?.trim().parse().ok()?;
        // Of a process that has ended and that nobody has waited for, only the number is left.
        let line = std::fs::read(format!("/proc/{id}/cmdline")).unwrap_or_default();
        (!line.is_empty()).then_some(id)
    }

    /// The app's env at each deploy so far.
    pub(crate) fn deployed_with(&self) -> Vec<BTreeMap<String, String>> {
        self.envs.lock().unwrap().clone()
    }

    /// The calls so far, as they were typed.
    pub(crate) fn calls(&self) -> Vec<String> {
        self.calls.lock().unwrap().clone()
    }
}

impl Drop for Abra {
    fn drop(&mut self) {
        let pipe = File::options().write(true).open(self.dir.join("calls"));
        pipe.and_then(|mut pipe| pipe.write_all(b"end\n")).unwrap();
    }
}

fn answer(call: &[String], noted: &Mutex<Vec<String>>, engine: &Engine) {
    let args: Vec<&str> = call[2..].iter().map(String::as_str).collect();
    noted.lock().unwrap().push(args.join(" "));
    let (text, to, code) = match run(&args, Path::new(&call[1]), engine) {
        Ok(text) => (text, "", 0),
        Err(fatal) => (format!("FATA {fatal}\n"), " >&2", 1),
    };
    let quoted = text.replace('\'', r"'\''");
    // A script that was killed meanwhile waits no more; this thread then waits for ever, which hurts nobody.
    let mut waiting = File::options().write(true).open(&call[0]).unwrap();
    std::fs::remove_file(&call[0]).unwrap();
    write!(waiting, "printf '%s' '{quoted}'{to}\nexit {code}\n").unwrap();
}

fn run(args: &[&str], home: &Path, engine: &Engine) -> Result<String, String> {
    let words: Vec<&str> =
        args.iter().copied().filter(|arg| !arg.starts_with('-') || *arg == "--version").collect();
    let chaos = args.contains(&"-C");
    match words.as_slice() {
        ["--version"] => Ok("abra version 0.13.0-beta-0000000\n".to_owned()),
        ["recipe", "lint", recipe] => {
            let clean = Behaviour::of(&home.join("recipes").join(recipe)).is_clean();
            Ok(if clean { LINT.to_owned() } else { LINT.replace("✅", "❌") })
        }
        ["app", "secret", "ls", domain] => {
            let app = App::read(home, domain)?;
            let row = |(name, version, full): (String, String, String)| {
                let there = engine.has_secret(&full).to_string();
                json!({"name": name, "version": version, "generated-name": full, "created-on-server": there})
            };
            Ok(Value::from(app.secrets().into_iter().map(row).collect::<Vec<_>>()).to_string())
        }
        ["app", "secret", "generate", domain] => {
            let app = App::read(home, domain)?;
            let made = app.secrets().into_iter().filter(|(name, ..)| !app.is_by_hand(name));
            let valued = made.map(|(name, _, full)| (name, format!("value-of-{full}"), full));
            let made = valued.filter(|(_, value, full)| engine.make_secret(full, value));
            let rows: Vec<Value> =
                made.map(|(name, value, _)| json!({"name": name, "value": value})).collect();
            Ok(Value::from(rows).to_string())
        }
        ["app", "secret", "insert", domain, name, version, file] => {
            let full = App::read(home, domain)?.stack.secret(name, version).unwrap();
            let new = engine.put_in(&full, std::fs::read_to_string(file).unwrap());
            if new { Ok(String::new()) } else { Err(format!("secret already exists: {full}")) }
        }
        ["app", "deploy", domain, version @ ..] => {
            App::read(home, domain)?.deploy(engine, chaos, version.first())
        }
        ["app", "undeploy", domain] => {
            let app = App::read(home, domain)?;
            let there = engine.remove_stack(app.stack.as_str());
            if there { Ok(String::new()) } else { Err(format!("{domain} is not deployed?")) }
        }
        _ => Err(format!("the fake abra does not know `{}`", args.join(" "))),
    }
}

/// An app as abra sees it: its env and its recipe's checkout.
struct App {
    stack: StackName,
    recipe: Stack,
    /// The text of its env.
    env: String,
}

impl App {
    fn read(home: &Path, domain: &str) -> Result<Self, String> {
        let file = home.join("servers/default").join(format!("{domain}.env"));
        let text = std::fs::read(&file).unwrap_or_default();
        let env = docker::env(&file).ok_or_else(|| format!("cannot find app with name '{domain}'"))?;
        let stack = domain.parse::<AppDomain>().unwrap().stack();
        let checkout = home.join("recipes").join(env["TYPE"].split(':').next().unwrap_or_default());
        let recipe = Stack::read(&checkout, &env, stack.as_str());
        let recipe = recipe.map_err(|error| format!("unable to validate recipe: {error}"))?;
        Ok(Self { stack, recipe, env: String::from_utf8_lossy(&text).into_owned() })
    }

    /// Whether abra leaves a secret to a person: so says the line of its version.
    fn is_by_hand(&self, secret: &str) -> bool {
        let line = format!("{}=", self.recipe.variable(secret).unwrap_or_default());
        self.env.lines().any(|l| l.starts_with(&line) && l.contains("generate=false"))
    }

    /// Name, version and full name of each secret that abra makes.
    fn secrets(&self) -> Vec<(String, String, String)> {
        let one = |Named { key, full, .. }: Named| {
            let (_, version) = full.rsplit_once('_').filter(|_| self.recipe.has_version(&key))?;
            (!version.is_empty()).then(|| (key, version.to_owned(), full.clone()))
        };
        self.recipe.all("secrets").into_iter().filter_map(one).collect()
    }

    fn deploy(&self, engine: &Engine, chaos: bool, version: Option<&&str>) -> Result<String, String> {
        let behaviour = Behaviour::of(self.recipe.checkout());
        if let Some(text) = behaviour.refusal(chaos) {
            return Err(text.to_owned());
        }
        if let Some((name, ..)) = self.secrets().iter().find(|(.., full)| !engine.has_secret(full)) {
            return Err(format!("secret not generated: {name}"));
        }
        let label = |key: &str| format!("coop-cloud.{}.{key}", self.stack);
        let label = match version.filter(|_| !chaos) {
            Some(version) => (label("version"), (*version).to_owned()),
            None => (label("chaos-version"), self.commit()),
        };
        engine.deploy(&self.order(&behaviour, &label), &behaviour);
        Ok(String::new())
    }

    fn order(&self, behaviour: &Behaviour, label: &(String, String)) -> Deploy {
        let recipe = &self.recipe;
        let mounts_of = |name: &str, service: &Value| {
            let more = behaviour.mounts().filter(|_| name == "app").map(|path| {
                let target = format!("/{}", path.rsplit('/').next().unwrap());
                json!({"Type": "bind", "Source": path, "Target": target})
            });
            recipe.mounts(service).into_iter().chain(more).collect::<Vec<Value>>()
        };
        let full = |all: Vec<Named>| all.into_iter().map(|named| named.full).collect::<Vec<_>>();
        let own =
            |section: &str| full(recipe.all(section).into_iter().filter(|named| !named.external).collect());
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let wanted = recipe.services().map(|(name, service)| {
            let labels = service["deploy"]["labels"].as_object().into_iter().flatten();
            let labels = labels.map(|(key, value)| (recipe.own(key), recipe.own(&text(value))));
            let mounts = mounts_of(name, service);
            let of_volumes = mounts.iter().filter(|mount| mount["Type"] == "volume");
            Wanted {
                name: name.clone(),
                image: recipe.own(&text(&service["image"])),
                replicas: service["deploy"]["replicas"].as_u64().unwrap_or(1),
                labels: labels.chain([label.clone()]).collect(),
                volumes: of_volumes.map(|mount| text(&mount["Source"])).collect(),
                mounts,
                binds: behaviour.binds(),
                health: service["healthcheck"].clone(),
                marks: service["labels"].clone(),
                env: [format!("FAKE={}", behaviour.mark())]
                    .into_iter()
                    .chain(self.mark(name, service, &label.1))
                    .collect(),
            }
        });
        Deploy {
            stack: self.stack.to_string(),
            services: wanted.collect(),
            networks: own("networks").into_iter().chain([self.stack.scoped("default")]).collect(),
            configs: own("configs"),
            secrets: full(recipe.all("secrets")),
            volumes: recipe.all("volumes").into_iter().map(|v| (v.key, v.full, !v.external)).collect(),
        }
    }

    /// abra's own mark, which makes every deploy of another commit start service `app` anew; a value of the recipe's own stays.
    fn mark(&self, name: &str, service: &Value, version: &str) -> Option<String> {
        let recipe = self.recipe.checkout().file_name()?.to_string_lossy();
        let own = service["environment"].get("TYPE").is_some();
        (name == "app" && !own).then(|| format!("TYPE={recipe}:{version}"))
    }

    /// The short commit of the checkout, with abra's mark where it holds files that git does not know.
    fn commit(&self) -> String {
        let git = |words: &[&str]| {
            let output =
                Command::new("git").arg("-C").arg(self.recipe.checkout()).args(words).output().unwrap();
            assert!(output.status.success(), "git {words:?}: {output:?}");
            String::from_utf8(output.stdout).unwrap()
        };
        let short = git(&["rev-parse", "--short=8", "HEAD"]);
        let clean = git(&["status", "--porcelain"]).is_empty();
        format!("{}{}", short.trim_end(), if clean { "" } else { "+U" })
    }
}
