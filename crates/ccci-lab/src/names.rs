//! The lab's names. `*.lab.test` must lead every container to this machine's Traefik: a small name server answers at
//! the address that all swarm tasks have as their gateway. The host's own files are not touched; its client is told
//! the address by the settings.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;

use ccci_core::wait::{self, Bounds, Look, WaitError};
use tokio::net::UdpSocket;

use crate::images::{self, ImageError};
use crate::layout::BASE_DOMAIN;
use crate::work::{DockerError, Work};

/// The name server's container.
pub(crate) const CONTAINER: &str = "ccci-lab-dns";
/// The label that says what the container was made from.
const MADE_FROM: &str = "ccci.lab.names";
/// Its image.
pub(crate) const IMAGE: &str = "dns:1";
const PORT: u16 = 53;

/// Names that do not answer.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum NamesError {
    /// Docker refused.
    #[error(transparent)]
    Docker(#[from] DockerError),
    /// The image could not be had.
    #[error(transparent)]
    Image(#[from] ImageError),
    /// The swarm's gateway network has no address.
    #[error("the network docker_gwbridge has no gateway address: {source}")]
    NoGateway {
        /// What was waited for.
        source: WaitError,
    },
    /// A container of that name is not the lab's.
    #[error(
        "the container {CONTAINER} was not made by this lab; remove or rename it (`docker rename {CONTAINER} …`)"
    )]
    NotOurs,
    /// The name server does not answer.
    #[error("the lab's name server at {address} does not answer: {source}; it says:\n{log}")]
    Silent {
        /// Where it should answer.
        address: Ipv4Addr,
        /// What was waited for.
        source: WaitError,
        /// The last lines of its log.
        log: String,
    },
}

/// Makes sure that the name server answers, and gives its address, which is also that of every lab name.
pub async fn ensure(work: &Work<'_>) -> Result<Ipv4Addr, NamesError> {
    let gateway = gateway(work).await?;
    let image = images::ensure(work, &[IMAGE]).await?.remove(0);
    let made_from = format!("{} {gateway}", image.id);
    let there = inspect(work).await?;
    if let Some(there) = &there {
        if there.lab != work.layout.label_value() {
            return Err(NamesError::NotOurs);
        }
        if there.made_from == made_from && there.running && answers(gateway).await.is_ok() {
            return Ok(gateway);
        }
        work.docker(["rm", "--force", CONTAINER]).await?;
    }
    work.step("names under lab.test", start(work, gateway, &image.reference, &made_from)).await?;
    Ok(gateway)
}

/// Removes the name server, if it is ours; gives whether it was there.
pub(crate) async fn remove(work: &Work<'_>) -> Result<bool, NamesError> {
    match inspect(work).await? {
        Some(there) if there.lab == work.layout.label_value() => {
            work.docker(["rm", "--force", CONTAINER]).await?;
            Ok(true)
        }
        _ => Ok(false),
    }
}

/// True when the name server's name is taken by somebody else.
pub(crate) async fn is_foreign(work: &Work<'_>) -> Result<bool, DockerError> {
    Ok(inspect(work).await?.is_some_and(|there| there.lab != work.layout.label_value()))
}

/// True when the lab's name server runs.
pub(crate) async fn is_up(work: &Work<'_>) -> Result<bool, DockerError> {
    Ok(inspect(work).await?.is_some_and(|there| there.running && there.lab == work.layout.label_value()))
}

struct There {
    running: bool,
    lab: String,
    made_from: String,
}

async fn inspect(work: &Work<'_>) -> Result<Option<There>, DockerError> {
    let format = format!(
        "{{{{.State.Running}}}}\t{{{{index .Config.Labels \"{}\"}}}}\t{{{{index .Config.Labels \"{MADE_FROM}\"}}}}",
        crate::layout::LABEL
    );
    let output = work.docker_output(["container", "inspect", "--format", &format, CONTAINER]).await?;
    if !output.ok() && output.stderr.contains("No such container") {
        return Ok(None);
    }
    let text = crate::work::accepted(output)?;
    let mut parts = text.split('\t').map(str::to_owned);
    let mut part = || parts.next().unwrap_or_default();
    Ok(Some(There { running: part() == "true", lab: part(), made_from: part() }))
}

/// The gateway of all swarm tasks. The network comes a moment after the swarm.
async fn gateway(work: &Work<'_>) -> Result<Ipv4Addr, NamesError> {
    let bounds = Bounds {
        deadline: Duration::from_secs(30),
        pause: Duration::from_millis(200),
        cancel: work.cancel.clone(),
    };
    let look = || async {
        let format = "{{range .IPAM.Config}}{{.Gateway}} {{end}}";
        match work.docker(["network", "inspect", "--format", format, "docker_gwbridge"]).await {
            Ok(text) => match text.split_whitespace().find_map(|word| word.parse::<Ipv4Addr>().ok()) {
                Some(address) => Look::Ready(address),
                None => Look::NotYet(format!("`{text}`")),
            },
            Err(error) => Look::NotYet(error.to_string()),
        }
    };
    wait::until("the swarm's gateway", &bounds, look).await.map_err(|source| NamesError::NoGateway { source })
}

async fn start(work: &Work<'_>, gateway: Ipv4Addr, image: &str, made_from: &str) -> Result<(), NamesError> {
    let (label, made_from) = (work.layout.label(), format!("{MADE_FROM}={made_from}"));
    // `--local`: a question for another kind of address is answered with "none" instead of being passed on.
    let names = [format!("--address=/{BASE_DOMAIN}/{gateway}"), format!("--local=/{BASE_DOMAIN}/")];
    let listen = [format!("--listen-address={gateway}"), "--bind-interfaces".to_owned()];
    let run = ["run", "--detach", "--name", CONTAINER, "--label", &label, "--label", &made_from];
    let how = ["--network", "host", "--restart", "unless-stopped", image];
    let args = run.into_iter().chain(how).map(str::to_owned).chain(listen).chain(names);
    work.docker(args).await?;
    let bounds = Bounds {
        deadline: Duration::from_secs(20),
        pause: Duration::from_millis(100),
        cancel: work.cancel.clone(),
    };
    let look = || async {
        match answers(gateway).await {
            Ok(()) => Look::Ready(()),
            Err(why) => Look::NotYet(why),
        }
    };
    let waited = wait::until("an answer for a lab name", &bounds, look).await;
    if let Err(source) = waited {
        let output = work.docker_output(["logs", "--tail", "10", CONTAINER]).await?;
        return Err(NamesError::Silent { address: gateway, source, log: output.tail(10) });
    }
    Ok(())
}

/// Asks the name server for a name of the lab and compares the answer.
async fn answers(gateway: Ipv4Addr) -> Result<(), String> {
    let asked = lookup(&format!("any-name.{BASE_DOMAIN}"), SocketAddr::new(IpAddr::V4(gateway), PORT)).await;
    match asked {
        Ok(Some(address)) if address == gateway => Ok(()),
        Ok(other) => Err(format!("it answers {other:?}")),
        Err(error) => Err(error.to_string()),
    }
}

async fn lookup(name: &str, server: SocketAddr) -> std::io::Result<Option<Ipv4Addr>> {
    let socket = UdpSocket::bind(("0.0.0.0", 0)).await?;
    socket.connect(server).await?;
    socket.send(&question(name)).await?;
    let mut answer = [0_u8; 512];
    let read = tokio::time::timeout(Duration::from_secs(1), socket.recv(&mut answer)).await;
    let length = read.map_err(|_| std::io::Error::from(std::io::ErrorKind::TimedOut))??;
    Ok(address(&answer[..length]))
}

/// A DNS question for the IPv4 address of a name.
fn question(name: &str) -> Vec<u8> {
    let mut packet = vec![0x0c, 0xc1, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0];
    for label in name.split('.') {
        packet.push(u8::try_from(label.len()).unwrap_or(63));
        packet.extend_from_slice(label.as_bytes());
    }
    packet.extend_from_slice(&[0, 0, 1, 0, 1]);
    packet
}

/// The address in the one answer of a DNS packet: its last four bytes, as nothing else is in it.
fn address(packet: &[u8]) -> Option<Ipv4Addr> {
    let answers = packet.get(6..8)?;
    if answers != [0, 1] || packet.get(3)? & 0x0f != 0 {
        return None;
    }
    let tail: [u8; 4] = packet.get(packet.len().checked_sub(4)?..)?.try_into().ok()?;
    Some(Ipv4Addr::from(tail))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_question_is_asked_and_its_answer_read() {
        let asked = question("a.lab.test");
        assert_eq!(&asked[12..], b"\x01a\x03lab\x04test\x00\x00\x01\x00\x01");
        let mut answer = asked.clone();
        answer[7] = 1;
        answer.extend_from_slice(&[0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 0, 0, 4, 172, 18, 0, 1]);
        assert_eq!(address(&answer), Some(Ipv4Addr::new(172, 18, 0, 1)));
        assert_eq!(address(&asked), None, "no answer in it");
        answer[3] |= 3;
        assert_eq!(address(&answer), None, "no such name");
        assert_eq!(address(&[]), None);
    }
}
