//! An abra that is none. What ccci starts is a small shell script that hands its arguments over to this process and waits
//! for the answer, so that nothing has to be installed and what a deploy does is done here, on the fake engine.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufRead as _, BufReader, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Arc, Mutex};

use ccci_core::compose::{Compose, Ground, Mode, MountKind, Named, Real, Shares};
use ccci_core::envfile::{EnvFile, compose_files};
use ccci_core::names::{AppDomain, StackName};
use serde_json::{Value, json};

use crate::behaviour::Behaviour;
use crate::engine::{Deploy, Engine, Wanted};

/// A call is one line through a named pipe: where its answer is awaited, abra's directory, the arguments. The answer is
/// a piece of shell.
const SHIM: &str = r#"#!/bin/sh
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
}

impl Abra {
    /// Makes the script, and answers its calls until this is dropped.
    pub(crate) fn start(dir: &Path, engine: &Engine) -> Self {
        std::fs::create_dir(dir).unwrap();
        let abra = Self { dir: dir.to_owned(), calls: Arc::default() };
        let pipe = dir.join("calls");
        assert!(Command::new("mkfifo").arg(&pipe).status().unwrap().success());
        std::fs::write(abra.binary(), SHIM.replace("<dir>", &dir.display().to_string())).unwrap();
        std::fs::set_permissions(abra.binary(), std::fs::Permissions::from_mode(0o755)).unwrap();
        // Open for writing too: the pipe never ends.
        let calls = File::options().read(true).write(true).open(&pipe).unwrap();
        let (noted, engine) = (Arc::clone(&abra.calls), engine.clone());
        std::thread::spawn(move || {
            for line in BufReader::new(calls).lines() {
                let line = line.unwrap();
                let words: Vec<String> = line.split('\t').map(str::to_owned).collect();
                if words.len() < 2 {
                    return;
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
            let made = app.secrets().into_iter().filter(|(_, _, full)| engine.make_secret(full));
            let rows: Vec<Value> = made
                .map(|(name, _, full)| json!({"name": name, "value": format!("value-of-{full}")}))
                .collect();
            Ok(Value::from(rows).to_string())
        }
        ["app", "secret", "insert", domain, name, version, _file] => {
            let full = App::read(home, domain)?.stack.secret(name, version).unwrap();
            let new = engine.make_secret(&full);
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

/// A mount in the engine's words.
fn mount(real: &Real) -> Value {
    let kind = match &real.kind {
        MountKind::Bind => "bind",
        MountKind::Volume => "volume",
        MountKind::Tmpfs => "tmpfs",
        MountKind::Other(other) => other.as_str(),
    };
    let mut mount = json!({"Type": kind, "Source": real.source, "Target": real.target});
    if real.read_only {
        mount["ReadOnly"] = true.into();
    }
    if !real.storage.options.is_empty() {
        let driver = json!({"Name": real.storage.driver, "Options": real.storage.options});
        mount["VolumeOptions"] = json!({"DriverConfig": driver});
    }
    mount
}

/// An app as abra sees it: its env and its recipe's checkout.
struct App {
    stack: StackName,
    checkout: PathBuf,
    compose: Compose,
}

impl App {
    fn read(home: &Path, domain: &str) -> Result<Self, String> {
        let env = EnvFile::read(&home.join("servers/default").join(format!("{domain}.env")));
        let values = env.map_err(|_| format!("cannot find app with name '{domain}'"))?.expanded();
        let stack = domain.parse::<AppDomain>().unwrap().stack();
        let recipe = values["TYPE"].split(':').next().unwrap_or_default();
        let checkout = home.join("recipes").join(recipe);
        let compose = Compose::load(&checkout, &compose_files(&values), &values, &stack);
        let compose = compose.map_err(|error| format!("unable to validate recipe: {error}"))?;
        Ok(Self { stack, checkout, compose })
    }

    /// Name, version and full name of each secret that abra makes.
    fn secrets(&self) -> Vec<(String, String, String)> {
        let one = |(name, secret): (&String, &Named)| {
            self.compose.version_variable(name)?;
            let (_, version) = secret.swarm_name.rsplit_once('_')?;
            (!version.is_empty()).then(|| (name.clone(), version.to_owned(), secret.swarm_name.clone()))
        };
        self.compose.secrets.iter().filter_map(one).collect()
    }

    fn deploy(&self, engine: &Engine, chaos: bool, version: Option<&&str>) -> Result<String, String> {
        let behaviour = Behaviour::of(&self.checkout);
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
        let Compose { services, secrets, configs, volumes, networks, .. } = &self.compose;
        let (checkout, stack, shares) = (self.checkout.as_path(), &self.stack, &Shares::Any);
        let mounts = self.compose.mounts(&Ground { checkout, stack, shares });
        let mounts_of = |name: &String| {
            let own = mounts.iter().filter(|(service, _)| service == name);
            let more = behaviour.mounts().filter(|_| name == "app").map(|path| {
                let target = format!("/{}", path.rsplit('/').next().unwrap());
                json!({"Type": "bind", "Source": path, "Target": target})
            });
            own.map(|(_, real)| mount(real)).chain(more).collect::<Vec<Value>>()
        };
        let own = |all: &BTreeMap<String, Named>| -> Vec<String> {
            all.values().filter(|named| !named.external).map(|named| named.swarm_name.clone()).collect()
        };
        let wanted = services.iter().map(|(name, service)| Wanted {
            name: name.clone(),
            image: service.image.clone().unwrap_or_default(),
            replicas: if let Mode::Replicated(replicas) = service.mode { replicas } else { 1 },
            labels: service.labels.clone().into_iter().chain([label.clone()]).collect(),
            mounts: mounts_of(name),
            volumes: service.volumes.iter().map(|volume| volumes[volume].swarm_name.clone()).collect(),
            binds: behaviour.binds(),
            env: vec![format!("FAKE={}", behaviour.mark())],
        });
        Deploy {
            stack: self.stack.to_string(),
            services: wanted.collect(),
            networks: own(networks).into_iter().chain([self.stack.scoped("default")]).collect(),
            configs: own(configs),
            secrets: secrets.values().map(|secret| secret.swarm_name.clone()).collect(),
            volumes: volumes
                .iter()
                .map(|(name, v)| (name.clone(), v.swarm_name.clone(), !v.external))
                .collect(),
        }
    }

    /// The short commit of the checkout, with abra's mark where it holds files that git does not know.
    fn commit(&self) -> String {
        let git = |words: &[&str]| {
            let output = Command::new("git").arg("-C").arg(&self.checkout).args(words).output().unwrap();
            assert!(output.status.success(), "git {words:?}: {output:?}");
            String::from_utf8(output.stdout).unwrap()
        };
        let short = git(&["rev-parse", "--short=8", "HEAD"]);
        let clean = git(&["status", "--porcelain"]).is_empty();
        format!("{}{}", short.trim_end(), if clean { "" } else { "+U" })
    }
}
