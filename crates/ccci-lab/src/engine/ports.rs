//! The ports at which the lab's Traefik answers: whether they are free, and who holds them where they are not.

use std::net::TcpListener;
use std::time::Duration;

use ccci_core::wait::{self, Bounds, Look};

use super::EngineError;
use super::services::Service;
use crate::layout::BASE_DOMAIN;
use crate::work::{DockerError, Work};

/// The ports at which the lab's Traefik answers.
const WEB_PORTS: [u16; 2] = [80, 443];

/// How long the ports of a stack of the lab that is going are waited for.
const LEAVING: Duration = Duration::from_secs(20);

/// Refuses when somebody else listens at the web ports. A Traefik of the lab that is just going is waited for.
/// `services` are those of the engine, if one can be asked.
pub(super) async fn free(work: &Work<'_>, services: Option<&[Service]>) -> Result<(), EngineError> {
    for port in WEB_PORTS {
        is_free(work, port, services).await?;
    }
    Ok(())
}

async fn is_free(work: &Work<'_>, port: u16, services: Option<&[Service]>) -> Result<(), EngineError> {
    let bounds = Bounds { deadline: LEAVING, pause: Duration::from_millis(200), cancel: work.cancel.clone() };
    let look = || async {
        let taken = TcpListener::bind(("0.0.0.0", port));
        if !taken.is_err_and(|error| error.kind() == std::io::ErrorKind::AddrInUse) {
            return Look::Ready(Ok(None));
        }
        match holder(work, port, services).await {
            Ok(holder) if holder.is_ours() => Look::NotYet(holder.to_string()),
            other => Look::Ready(other.map(Some)),
        }
    };
    let holder = match wait::until("a free port", &bounds, look).await {
        Ok(looked) => match looked? {
            None => return Ok(()),
            Some(holder) => holder.to_string(),
        },
        Err(error) => error.to_string(),
    };
    let why = format!(
        "port {port} of this machine is held by {holder}; the lab's Traefik needs it: stop that, or use another \
             machine"
    );
    Err(EngineError::Refused { why })
}

/// Who listens at a port.
#[derive(Debug, PartialEq, Eq)]
enum Holder {
    Service(String),
    Container(String),
    Process(String),
    Unknown,
}

impl Holder {
    /// True for what is left of a stack of the lab: its name begins with the stack's.
    fn is_ours(&self) -> bool {
        let ours = format!("_{}_", BASE_DOMAIN.replace('.', "_"));
        matches!(self, Self::Service(name) | Self::Container(name) if name.contains(&ours))
    }
}

impl std::fmt::Display for Holder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Service(name) => write!(f, "the swarm service {name}"),
            Self::Container(name) => write!(f, "the container {name}"),
            Self::Process(name) => write!(f, "the process {name}"),
            Self::Unknown => f.write_str("another program"),
        }
    }
}

async fn holder(work: &Work<'_>, port: u16, services: Option<&[Service]>) -> Result<Holder, DockerError> {
    if let Some(services) = services {
        if let Some(service) = services.iter().find(|s| s.ports.contains(&port)) {
            return Ok(Holder::Service(service.name.clone()));
        }
        let filter = format!("publish={port}");
        let container = work.docker(["ps", "--filter", &filter, "--format", "{{.Names}}"]).await?;
        if let Some(name) = container.lines().next() {
            return Ok(Holder::Container(name.to_owned()));
        }
    }
    Ok(listener(port).map_or(Holder::Unknown, Holder::Process))
}

/// The process that listens at a TCP port, as far as we may see it.
fn listener(port: u16) -> Option<String> {
    let tables = ["/proc/net/tcp", "/proc/net/tcp6"].map(|t| std::fs::read_to_string(t).unwrap_or_default());
    let inode = tables.iter().find_map(|table| inode(table, port))?;
    let wanted = format!("socket:[{inode}]");
    for process in std::fs::read_dir("/proc").ok()?.flatten() {
        // `self` is a process too, by a name that helps nobody.
        if !process.file_name().as_encoded_bytes().iter().all(u8::is_ascii_digit) {
            continue;
        }
        let Ok(files) = std::fs::read_dir(process.path().join("fd")) else { continue };
        let holds = |file: std::fs::DirEntry| {
            std::fs::read_link(file.path()).is_ok_and(|link| link.as_os_str() == wanted.as_str())
        };
        if files.flatten().any(holds) {
            let name = std::fs::read_to_string(process.path().join("comm")).unwrap_or_default();
            return Some(format!("{} ({})", name.trim(), process.file_name().to_string_lossy()));
        }
    }
    None
}

/// The inode of the socket that listens at a port, from a table of `/proc/net`.
fn inode(table: &str, port: u16) -> Option<&str> {
    const LISTEN: &str = "0A";
    let port = format!(":{port:04X}");
    table.lines().skip(1).find_map(|line| {
        let words: Vec<&str> = line.split_whitespace().collect();
        (words.get(1)?.ends_with(&port) && *words.get(3)? == LISTEN).then(|| words.get(9).copied())?
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::layout::LabLayout;

    #[tokio::test]
    async fn a_port_that_somebody_holds_is_refused_with_the_holder_also_without_an_engine() {
        let layout = LabLayout::new("/nowhere");
        let open = TcpListener::bind("0.0.0.0:0").unwrap();
        let port = open.local_addr().unwrap().port();
        let refused = is_free(&Work::quiet(&layout), port, None).await.unwrap_err().to_string();
        assert!(refused.contains(&format!("port {port} of this machine")), "{refused}");
        assert!(refused.contains(&format!("({})", std::process::id())), "{refused}");
    }

    #[test]
    fn only_what_is_left_of_the_lab_is_waited_for() {
        assert!(Holder::Container("traefik_lab_test_app.1.v1hd".into()).is_ours());
        for other in [
            Holder::Container("web".into()),
            Holder::Service("traefik_example_org_app".into()),
            Holder::Process("nginx (12)".into()),
            Holder::Unknown,
        ] {
            assert!(!other.is_ours(), "{other}");
        }
        assert_eq!(Holder::Process("nginx (12)".into()).to_string(), "the process nginx (12)");
    }

    #[test]
    fn the_listening_socket_of_a_port_is_found() {
        let table = "  sl  local_address rem_address   st tx rx tr tm->when retrnsmt   uid  timeout inode\n   \
                     0: 00000000:0050 00000000:0000 0A 0:0 00:0 0 0 0 4711 1\n   \
                     1: 0100007F:01BB 00000000:0000 01 0:0 00:0 0 0 0 4712 1\n";
        assert_eq!(inode(table, 80), Some("4711"));
        assert_eq!(inode(table, 443), None, "a connection is no listener");
        let open = TcpListener::bind("127.0.0.1:0").unwrap();
        let found = listener(open.local_addr().unwrap().port()).unwrap();
        assert!(found.contains(&std::process::id().to_string()), "{found}");
    }
}
