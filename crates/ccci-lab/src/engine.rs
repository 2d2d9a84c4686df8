//! The Docker engine the lab runs on: found, or where that is allowed installed and started; then a swarm of one
//! node and the network `proxy`. What the lab did itself is recorded, so that only that is ever undone.

use std::path::{Path, PathBuf};
use std::time::Duration;

use ccci_core::atomic::{self, PathError};
use ccci_core::exec::ExecError;
use ccci_core::lock::LockError;
use ccci_core::wait::{self, Bounds, Look, WaitError};
use serde::Serialize;

use crate::layout::{LABEL, PROXY_NETWORK};
use crate::tools;
use crate::work::{DockerError, Work};

pub use crate::system::System;
pub use decide::{Decision, Machine, Socket, Start, decide};
pub use record::{Owned, Started};
pub use scenes::Scene;

use neighbours::Lacks;

pub(crate) mod decide;
pub(crate) mod neighbours;
mod ports;
pub(crate) mod record;
mod scenes;
pub(crate) mod services;

/// How long an engine may take from its start to its first answer.
const START_DEADLINE: Duration = Duration::from_secs(90);

/// An engine that cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum EngineError {
    /// The lab may not do what would be needed here; the text says what to do instead.
    #[error("{why}")]
    Refused {
        /// What is in the way and what to do.
        why: String,
    },
    /// Something could not be installed.
    #[error(transparent)]
    Tools(#[from] tools::ToolError),
    /// Docker refused.
    #[error(transparent)]
    Docker(#[from] DockerError),
    /// A process could not be run.
    #[error(transparent)]
    Exec(#[from] ExecError),
    /// The engine was started and does not answer.
    #[error("the Docker engine was started but does not answer ({why}); its log is {}\n{tail}", log.display())]
    Silent {
        /// Its log.
        log: PathBuf,
        /// The log's last lines.
        tail: String,
        /// How it looks.
        why: String,
    },
    /// The engine was told to stop and goes on.
    #[error("the Docker engine was told to stop: {source}; its log is {}", log.display())]
    Lasting {
        /// Its log.
        log: PathBuf,
        /// What was waited for.
        source: WaitError,
    },
    /// Another process prepares the engine for too long.
    #[error(transparent)]
    Lock(#[from] LockError),
    /// A file or directory could not be used.
    #[error(transparent)]
    Path(#[from] PathError),
}

/// What the caller knows and wants of the engine.
#[derive(Debug, Clone, Default)]
pub struct EngineOptions {
    /// The value of `DOCKER_HOST`.
    pub docker_host: Option<String>,
    /// Use the engine although other people's stacks run on it.
    pub insist: bool,
}

impl EngineOptions {
    /// What the environment says.
    #[expect(
        clippy::disallowed_methods,
        reason = "the edge, for programs that use the lab without a command line"
    )]
    pub fn from_env() -> Self {
        let docker_host = std::env::var("DOCKER_HOST").ok().filter(|host| !host.is_empty());
        Self { docker_host, insist: false }
    }
}

/// An engine that answers, with a swarm of one node and the network `proxy`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Engine {
    /// Its version.
    pub version: String,
    /// Its socket.
    pub socket: PathBuf,
    /// What the lab did to have it.
    pub owned: Owned,
}

/// Makes the engine ready. Quick when it is; safe when several processes ask at once.
pub async fn ready(work: &Work<'_>, options: &EngineOptions) -> Result<Engine, EngineError> {
    prepare(work, options, &Need::default()).await
}

/// What a caller needs of the engine beside its readiness.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Need<'a> {
    /// Programs to be installed in the same go where the engine must be installed.
    pub(crate) tools: &'a [tools::Tool],
    /// Whether all of the lab is to come up here: then its web ports and its name server's name must be free too.
    pub(crate) whole_lab: bool,
}

/// What was found of the engine: no reason to refuse.
#[derive(Debug)]
pub(crate) struct Examined {
    facts: Machine,
    decision: Decision,
    /// What it lacks, if it could be asked.
    lacks: Option<Lacks>,
}

/// Looks for everything that is a reason to refuse, and changes nothing but what [`scenes::sweep`] does. An engine that has to be started first can
/// be looked at only then.
pub(crate) async fn examine(
    work: &Work<'_>,
    options: &EngineOptions,
    whole_lab: bool,
) -> Result<Examined, EngineError> {
    let facts = decide::look(options).await;
    let decision = decide(&facts);
    let lacks = match &decision {
        Decision::Refuse(why) => return Err(EngineError::Refused { why: why.clone() }),
        Decision::Use => Some(neighbours::admit(work, options.insist, whole_lab).await?),
        Decision::Start(_) | Decision::Install(_) => None,
    };
    if lacks.is_none() && whole_lab && facts.socket != Socket::Answers {
        ports::free(work, None).await?;
    }
    Ok(Examined { facts, decision, lacks })
}

/// Makes the engine ready. All looks come before the first deed.
pub(crate) async fn prepare(
    work: &Work<'_>,
    options: &EngineOptions,
    need: &Need<'_>,
) -> Result<Engine, EngineError> {
    atomic::create_dir(&work.layout.engine())?;
    let _lock = work.lock("engine").await?;
    let Examined { facts, decision, lacks } = examine(work, options, need.whole_lab).await?;
    match decision {
        Decision::Refuse(why) => return Err(EngineError::Refused { why }),
        Decision::Use => {}
        Decision::Start(start) => self::start(work, &facts.socket_path, start).await?,
        Decision::Install(start) => {
            let mut wanted = vec![tools::ENGINE, tools::CLIENT];
            wanted.extend(need.tools);
            install(work, &wanted).await?;
            // A package may start its service by itself.
            if decide::ping(&facts.socket_path).await != Socket::Answers {
                self::start(work, &facts.socket_path, start).await?;
            } else if facts.socket != Socket::Answers {
                record::update(work.layout, |owned| owned.started = Some(start.as_started(None)))?;
            }
        }
    }
    let lacks = match lacks {
        Some(lacks) => lacks,
        None => neighbours::admit(work, options.insist, need.whole_lab).await?,
    };
    complete(work, lacks).await?;
    let version = work.docker(["version", "--format", "{{.Server.Version}}"]).await?;
    Ok(Engine { version, socket: facts.socket_path, owned: record::read(work.layout)? })
}

async fn install(work: &Work<'_>, wanted: &[tools::Tool]) -> Result<(), EngineError> {
    let names = tools::install(work, wanted).await?;
    record::update(work.layout, |owned| owned.installed.extend(names))?;
    Ok(())
}

/// Where the engine and its containerd write their process numbers.
const PID_FILES: [(&str, &str); 2] =
    [("/var/run/docker.pid", "dockerd"), ("/var/run/docker/containerd/containerd.pid", "containerd")];

/// Removes the file of an engine that was killed: a new one refuses to start while any process has that number, be it a
/// stranger's by now or the dead engine's own remains.
fn remove_stale_pid(file: &Path, name: &str) -> Result<(), EngineError> {
    let Some(text) = atomic::read_optional(file)? else { return Ok(()) };
    let status = atomic::read_optional(Path::new(&format!("/proc/{}/status", text.trim()))).ok().flatten();
    if !is_running(name, status.as_deref().unwrap_or_default()) {
        atomic::remove_file(file)?;
    }
    Ok(())
}

/// Whether `/proc/<pid>/status` is that of a program of this name that runs.
fn is_running(name: &str, status: &str) -> bool {
    let field =
        |key: &str| status.lines().find_map(|l| l.strip_prefix(key)).map(str::trim).unwrap_or_default();
    field("Name:") == name && !field("State:").starts_with('Z')
}

async fn start(work: &Work<'_>, socket: &Path, start: Start) -> Result<(), EngineError> {
    let log = work.layout.engine().join("dockerd.log");
    record::update(work.layout, |owned| owned.started = Some(start.as_started(None)))?;
    let pid = match start {
        Start::Systemd => {
            let output = work.command("systemctl").args(["start", "docker"]).run().await?;
            if !output.ok() {
                let (ending, said) = (output.ending(), output.tail(10));
                return Err(DockerError::Refused { command: output.command, ending, said }.into());
            }
            None
        }
        Start::Detached => {
            for (file, name) in PID_FILES {
                remove_stale_pid(Path::new(file), name)?;
            }
            let pid = work.command("dockerd").start_detached(&log)?;
            record::update(work.layout, |owned| owned.started = Some(start.as_started(Some(pid))))?;
            Some(pid)
        }
    };
    work.step("the Docker engine starts", answers(work, socket, &log, pid)).await
}

/// Waits for the engine's first answer; an engine of ours that has ended is not waited for.
async fn answers(work: &Work<'_>, socket: &Path, log: &Path, pid: Option<u32>) -> Result<(), EngineError> {
    let bounds =
        Bounds { deadline: START_DEADLINE, pause: Duration::from_millis(200), cancel: work.cancel.clone() };
    let look = || async {
        match decide::ping(socket).await {
            Socket::Answers => Look::Ready(true),
            _ if pid.is_some_and(|pid| !record::is_dockerd(pid)) => Look::Ready(false),
            other => Look::NotYet(format!("{other:?}")),
        }
    };
    let why = match wait::until("an answer of the engine", &bounds, look).await {
        Ok(true) => return Ok(()),
        Ok(false) => "it has ended".to_owned(),
        Err(error) => error.to_string(),
    };
    let text = std::fs::read_to_string(log).unwrap_or_default();
    let lines: Vec<&str> = text.lines().collect();
    let tail = lines[lines.len().saturating_sub(10)..].join("\n");
    Err(EngineError::Silent { log: log.to_owned(), tail, why })
}

/// Makes what the engine lacks: a swarm of one node, the network `proxy`.
async fn complete(work: &Work<'_>, lacks: Lacks) -> Result<(), EngineError> {
    if lacks.swarm {
        // Before the deed: a swarm that is there after a crash in between was made by us.
        record::update(work.layout, |owned| owned.swarm = true)?;
        work.docker(["swarm", "init", "--advertise-addr", "127.0.0.1"]).await?;
    }
    if lacks.proxy {
        let label = format!("{LABEL}={}", work.layout.label_value());
        let create =
            ["network", "create", "--driver", "overlay", "--attachable", "--label", &label, PROXY_NETWORK];
        work.docker(create).await?;
    }
    Ok(())
}

/// Stops the engine if the lab started it. The caller has made sure that nobody else uses it.
pub(crate) async fn stop(work: &Work<'_>, socket: &Path) -> Result<bool, EngineError> {
    let owned = record::read(work.layout)?;
    let mut ours = None;
    match owned.started {
        None => return Ok(false),
        Some(Started::Systemd) => {
            work.command("systemctl").args(["stop", "docker.socket", "docker"]).run().await?;
        }
        Some(Started::Process { pid }) => {
            ours = pid.filter(|pid| record::is_dockerd(*pid));
            let Some(process) = ours.and_then(record::pid) else { return Ok(false) };
            // Gone in the meantime is as good.
            rustix::process::kill_process(process, rustix::process::Signal::TERM).ok();
        }
    }
    let bounds = Bounds {
        deadline: Duration::from_secs(60),
        pause: Duration::from_millis(100),
        cancel: work.cancel.clone(),
    };
    // Its socket goes before it does, and its successor would not start beside it.
    let look = || async {
        if decide::ping(socket).await == Socket::Answers {
            Look::NotYet("it still answers")
        } else if ours.is_some_and(record::is_dockerd) {
            Look::NotYet("it does not answer, and has not ended")
        } else {
            Look::Ready(())
        }
    };
    let log = work.layout.engine().join("dockerd.log");
    let ended = wait::until("the end of the engine", &bounds, look).await;
    ended.map_err(|source| EngineError::Lasting { log, source })?;
    record::update(work.layout, |owned| owned.started = None)?;
    Ok(true)
}

#[cfg(test)]
mod stale {
    use super::*;

    #[test]
    fn only_a_running_engine_keeps_its_pid_file() {
        assert!(is_running("dockerd", "Name:\tdockerd\nState:\tS (sleeping)\n"));
        assert!(!is_running("dockerd", "Name:\tdockerd\nState:\tZ (zombie)\n"));
        assert!(!is_running("dockerd", "Name:\tbash\nState:\tS (sleeping)\n"));
        assert!(!is_running("dockerd", ""), "there is no such process");
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("docker.pid");
        atomic::write(&file, std::process::id().to_string().as_bytes()).unwrap();
        remove_stale_pid(&file, "dockerd").unwrap();
        assert!(!file.exists(), "this process is no engine");
    }
}
