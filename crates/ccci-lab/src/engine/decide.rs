//! What to do about the engine: the facts of this machine, and the pure decision over them.

use std::path::{Path, PathBuf};
use std::time::Duration;

use ccci_core::swarm::DEFAULT_SOCKET;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use super::EngineOptions;
use super::record::Started;
use crate::system::{System, system};
use crate::tools;

/// What came of a question to the engine's socket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Socket {
    /// An engine answers.
    Answers,
    /// Somebody listens, but not to us.
    Forbidden,
    /// Nobody answers.
    Silent,
}

/// What was found on this machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Machine {
    /// The value of `DOCKER_HOST`.
    pub docker_host: Option<String>,
    /// The socket asked.
    pub socket_path: PathBuf,
    /// What it answered.
    pub socket: Socket,
    /// Whether the client `docker` is installed.
    pub client: bool,
    /// Whether the engine `dockerd` is installed.
    pub engine: bool,
    /// The system.
    pub system: System,
}

/// How an engine is started.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Start {
    /// By systemd.
    Systemd,
    /// As a process of its own.
    Detached,
}

impl Start {
    pub(super) fn as_started(self, pid: Option<u32>) -> Started {
        match self {
            Self::Systemd => Started::Systemd,
            Self::Detached => Started::Process { pid },
        }
    }
}

/// What to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Decision {
    /// Use what answers.
    Use,
    /// Start what is installed.
    Start(Start),
    /// Install engine and client, then start the engine where it does not answer yet.
    Install(Start),
    /// Do nothing and say what to do.
    Refuse(String),
}

/// Decides what to do about the engine.
pub fn decide(facts: &Machine) -> Decision {
    let refuse = |why: String| Decision::Refuse(why);
    let socket = facts.socket_path.display();
    let (system, may_install) = (&facts.system, facts.system.root && facts.system.debian);
    let start = if system.systemd { Start::Systemd } else { Start::Detached };
    if let Some(host) = facts.docker_host.as_deref().filter(|host| !host.starts_with("unix://")) {
        return refuse(format!(
            "DOCKER_HOST is {host}, but the lab needs an engine on this machine: unset DOCKER_HOST, or give ccci the \
             settings of that server with --config"
        ));
    }
    match (facts.socket, facts.client, facts.engine) {
        (Socket::Answers, true, _) => Decision::Use,
        (Socket::Answers, false, _) if may_install => Decision::Install(start),
        (Socket::Answers, false, _) => refuse(format!(
            "the engine at {socket} answers, but its command-line client is missing: install `docker`{}",
            packages(system, "docker.io")
        )),
        (Socket::Forbidden, ..) => refuse(format!(
            "the engine at {socket} does not answer this user: run ccci as root, or add the user to the group `docker` \
             and log in again"
        )),
        (Socket::Silent, ..) if facts.docker_host.is_some() => refuse(format!(
            "DOCKER_HOST names {socket}, where no engine answers: start that engine, or unset DOCKER_HOST"
        )),
        (Socket::Silent, true, true) if system.root => Decision::Start(start),
        (Socket::Silent, _, true) if !system.root => {
            refuse(format!("no engine answers at {socket}: start it as root (`systemctl start docker`)"))
        }
        (Socket::Silent, ..) if may_install => Decision::Install(start),
        (Socket::Silent, ..) => {
            let whom = if system.root { "" } else { " as root" };
            refuse(format!(
                "there is no Docker engine on this machine ({}). Install Docker Engine 20.10 or newer with its client \
                 and iptables{whom}{}, start it, and run this again",
                system.name,
                packages(system, "docker.io iptables")
            ))
        }
    }
}

fn packages(system: &System, packages: &str) -> String {
    if system.debian { format!(" (`apt-get install {packages}`)") } else { String::new() }
}

/// Collects the facts.
pub(super) async fn look(options: &EngineOptions) -> Machine {
    let socket_path = socket_path(options.docker_host.as_deref());
    Machine {
        docker_host: options.docker_host.clone(),
        socket: ping(&socket_path).await,
        client: tools::CLIENT.is_there(),
        engine: tools::ENGINE.is_there(),
        system: system(),
        socket_path,
    }
}

/// The socket that `DOCKER_HOST` names, or the default one.
pub(crate) fn socket_path(docker_host: Option<&str>) -> PathBuf {
    docker_host.and_then(|host| host.strip_prefix("unix://")).unwrap_or(DEFAULT_SOCKET).into()
}

/// Asks the engine at a socket for a sign of life.
pub(crate) async fn ping(socket: &Path) -> Socket {
    let ask = async {
        let mut stream = tokio::net::UnixStream::connect(socket).await?;
        stream.write_all(b"GET /_ping HTTP/1.1\r\nHost: docker\r\nConnection: close\r\n\r\n").await?;
        let mut answer = [0_u8; 64];
        let read = stream.read(&mut answer).await?;
        Ok::<_, std::io::Error>(answer[..read].starts_with(b"HTTP/1.1 200"))
    };
    match tokio::time::timeout(Duration::from_secs(5), ask).await {
        Ok(Ok(true)) => Socket::Answers,
        Ok(Err(error)) if error.kind() == std::io::ErrorKind::PermissionDenied => Socket::Forbidden,
        _ => Socket::Silent,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn facts(socket: Socket, [client, engine, root, debian]: [bool; 4]) -> Machine {
        let system = System { name: "Some System".into(), debian, systemd: false, root };
        Machine { docker_host: None, socket_path: DEFAULT_SOCKET.into(), socket, client, engine, system }
    }

    #[test]
    fn each_machine_gets_what_it_needs_and_no_more() {
        use Socket::{Answers, Forbidden, Silent};
        let detached = Start::Detached;
        for (facts, expected) in [
            (facts(Answers, [true, true, true, true]), Decision::Use),
            (facts(Answers, [true, false, false, false]), Decision::Use),
            (facts(Answers, [false, true, true, true]), Decision::Install(detached)),
            (facts(Silent, [true, true, true, true]), Decision::Start(detached)),
            (facts(Silent, [true, true, true, false]), Decision::Start(detached)),
            (facts(Silent, [false, true, true, true]), Decision::Install(detached)),
            (facts(Silent, [false, false, true, true]), Decision::Install(detached)),
            (facts(Silent, [true, false, true, true]), Decision::Install(detached)),
        ] {
            assert_eq!(decide(&facts), expected, "{facts:?}");
        }
        for (facts, part) in [
            (facts(Answers, [false, false, false, true]), "apt-get install docker.io"),
            (facts(Forbidden, [true, true, false, true]), "group `docker`"),
            (facts(Silent, [true, true, false, true]), "systemctl start docker"),
            (facts(Silent, [false, false, false, true]), "as root (`apt-get install docker.io iptables`)"),
            (facts(Silent, [false, false, true, false]), "on this machine (Some System)"),
        ] {
            let Decision::Refuse(why) = decide(&facts) else { panic!("{facts:?} is not refused") };
            assert!(why.contains(part), "{why}");
        }
    }

    #[test]
    fn docker_host_is_obeyed_and_nothing_is_installed_beside_it() {
        let mut facts = facts(Socket::Silent, [true, true, true, true]);
        facts.docker_host = Some("unix:///run/other.sock".into());
        assert!(matches!(decide(&facts), Decision::Refuse(why) if why.contains("DOCKER_HOST names")));
        facts.socket = Socket::Answers;
        assert_eq!(decide(&facts), Decision::Use);
        facts.docker_host = Some("tcp://10.0.0.1:2375".into());
        assert!(matches!(decide(&facts), Decision::Refuse(why) if why.contains("--config")));
    }

    #[test]
    fn systemd_starts_it_where_systemd_runs() {
        let mut facts = facts(Socket::Silent, [true, true, true, true]);
        facts.system.systemd = true;
        assert_eq!(decide(&facts), Decision::Start(Start::Systemd));
    }

    #[test]
    fn the_socket_is_that_of_docker_host() {
        assert_eq!(socket_path(Some("unix:///x")), Path::new("/x"));
        assert_eq!(socket_path(None), Path::new(DEFAULT_SOCKET));
    }
}
