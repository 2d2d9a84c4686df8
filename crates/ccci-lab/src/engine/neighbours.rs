//! Who else uses the engine: other people's stacks, a network `proxy` that is not ours, holders of the web ports.
//! Looks are effects, judgements are pure.

use std::collections::BTreeSet;
use std::net::TcpListener;
use std::time::Duration;

use ccci_core::wait::{self, Bounds, Look};
use serde_json::Value;

use super::EngineError;
use crate::layout::{BASE_DOMAIN, LABEL, PROXY_NETWORK};
use crate::work::{DockerError, Work};

/// The ports at which the lab's Traefik answers.
pub(crate) const WEB_PORTS: [u16; 2] = [80, 443];

/// How long the ports of a stack of the lab that is going are waited for.
const LEAVING: Duration = Duration::from_secs(20);

/// A service as far as it matters here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Service {
    /// Its id.
    pub(crate) id: String,
    /// Its name.
    pub(crate) name: String,
    /// The stack it belongs to.
    pub(crate) stack: Option<String>,
    /// The ids of its networks.
    pub(crate) networks: BTreeSet<String>,
    /// The ports it publishes on the host.
    pub(crate) ports: BTreeSet<u16>,
}

/// The services of the swarm; none where there is no swarm.
pub(crate) async fn services(work: &Work<'_>) -> Result<Vec<Service>, DockerError> {
    let output = work.docker_output(["service", "ls", "--quiet"]).await?;
    if !output.ok() && output.stderr.contains("not a swarm manager") {
        return Ok(Vec::new());
    }
    let ids = crate::work::accepted(output)?;
    if ids.is_empty() {
        return Ok(Vec::new());
    }
    let args = ["service", "inspect", "--format", "{{json .}}"];
    let output = work.docker_output(args.into_iter().chain(ids.split_whitespace())).await?;
    // One that went away meanwhile is no reason to fail: the others are still printed.
    let values = output.stdout.lines().filter_map(|line| serde_json::from_str(line).ok());
    Ok(values.map(|value: Value| service(&value)).collect())
}

fn service(value: &Value) -> Service {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let spec = &value["Spec"];
    let stack = spec["Labels"]["com.docker.stack.namespace"].as_str().map(str::to_owned);
    let networks = spec["TaskTemplate"]["Networks"].as_array().into_iter().flatten();
    let ports = spec["EndpointSpec"]["Ports"].as_array().into_iter().flatten();
    let ports = ports.filter_map(|port| port["PublishedPort"].as_u64());
    Service {
        id: text(&value["ID"]),
        name: text(&spec["Name"]),
        stack,
        networks: networks.map(|network| text(&network["Target"])).collect(),
        ports: ports.filter_map(|port| u16::try_from(port).ok()).collect(),
    }
}

/// The network `proxy`, ours by its label.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Proxy {
    /// There is none.
    Absent,
    /// This lab made it; its id.
    Ours(String),
    /// Somebody else's, as the engine lists it.
    Foreign(Value),
}

impl Proxy {
    /// Its id, if it is ours.
    pub(crate) fn our_id(&self) -> Option<&str> {
        if let Self::Ours(id) = self { Some(id) } else { None }
    }

    fn of(networks: Vec<Value>, our_label: &str) -> Self {
        let Some(network) = networks.into_iter().find(|n| n["Name"] == PROXY_NETWORK) else {
            return Self::Absent;
        };
        let labels = network["Labels"].as_str().unwrap_or_default();
        if labels.split(',').any(|label| label == our_label) {
            return Self::Ours(network["ID"].as_str().unwrap_or_default().to_owned());
        }
        Self::Foreign(network)
    }
}

/// Looks at the network `proxy`.
pub(crate) async fn proxy(work: &Work<'_>) -> Result<Proxy, DockerError> {
    // The filter is a part of the name, and for networks of the swarm no pattern: engine 20.10 finds nothing by
    // an anchored one.
    let list = ["network", "ls", "--no-trunc", "--filter", "name=proxy", "--format", "{{json .}}"];
    Ok(Proxy::of(work.docker_json(list).await?, &work.layout.label()))
}

/// True when a stack's name is that of a domain under the lab's.
pub(crate) fn named_like_ours(stack: &str) -> bool {
    stack.ends_with(&format!("_{}", BASE_DOMAIN.replace('.', "_")))
}

/// The stacks (or lone services) that are not of this lab, sorted. `.test` names are nobody's, so a stack that is
/// named after a domain under the lab's is a leftover of a lab.
pub(crate) fn foreign(services: &[Service], proxy: Option<&str>) -> BTreeSet<String> {
    let ours = |service: &Service| {
        service.stack.as_deref().is_some_and(named_like_ours)
            || proxy.is_some_and(|proxy| service.networks.contains(proxy))
    };
    let name = |service: &Service| service.stack.clone().unwrap_or_else(|| service.name.clone());
    services.iter().filter(|service| !ours(service)).map(name).collect()
}

/// The stacks that the lab may remove: named after a domain under the lab's *and* joined to our own network. Without
/// that network nothing running is known to be ours.
pub(crate) fn removable(services: &[Service], proxy: Option<&str>) -> BTreeSet<String> {
    let Some(proxy) = proxy else { return BTreeSet::new() };
    let joined = |service: &&Service| service.networks.contains(proxy);
    let stacks = services.iter().filter(joined).filter_map(|service| service.stack.clone());
    stacks.filter(|stack| named_like_ours(stack)).collect()
}

/// Refuses an engine on which other people's stacks run, unless the caller insists.
pub(super) async fn admit(work: &Work<'_>, insist: bool) -> Result<(), EngineError> {
    if insist {
        return Ok(());
    }
    let services = services(work).await?;
    let proxy = if services.is_empty() { Proxy::Absent } else { proxy(work).await? };
    let foreign = foreign(&services, proxy.our_id());
    if foreign.is_empty() {
        return Ok(());
    }
    Err(EngineError::Refused { why: foreign_stacks(&foreign) })
}

fn foreign_stacks(stacks: &BTreeSet<String>) -> String {
    let names = stacks.iter().take(5).map(String::as_str).collect::<Vec<_>>().join(", ");
    let more = if stacks.len() > 5 { format!(" and {} more", stacks.len() - 5) } else { String::new() };
    format!(
        "other stacks run on this engine ({names}{more}), so the lab does not come up beside them by itself: name this \
         server's settings with --config, or use --lab to have the lab here all the same; it will not touch them"
    )
}

/// Who holds the network `proxy`, in words.
pub(super) fn foreign_proxy(network: &Value) -> String {
    let text = |key: &str| network[key].as_str().unwrap_or("?").to_owned();
    let labels = text("Labels");
    let label = |key: &str| labels.split(',').find_map(|l| l.strip_prefix(key)?.strip_prefix('='));
    let holder = match (label(LABEL), label("com.docker.stack.namespace")) {
        (Some(lab), _) => format!("the lab in {lab}"),
        (None, Some(stack)) => format!("the stack {stack}"),
        (None, None) => "somebody who put no label of the lab on it".to_owned(),
    };
    format!(
        "the network `{PROXY_NETWORK}` ({}, {}, made {}) belongs to {holder}; the lab needs that name: use another \
         machine, or ccci with that server's settings (--config)",
        text("ID"),
        text("Driver"),
        text("CreatedAt")
    )
}

/// Refuses when somebody else listens at the web ports. A Traefik of the lab that is just going is waited for.
pub(crate) async fn free_ports(work: &Work<'_>) -> Result<(), EngineError> {
    for port in WEB_PORTS {
        let bounds =
            Bounds { deadline: LEAVING, pause: Duration::from_millis(200), cancel: work.cancel.clone() };
        let look = || async {
            let taken = TcpListener::bind(("0.0.0.0", port));
            if !taken.is_err_and(|error| error.kind() == std::io::ErrorKind::AddrInUse) {
                return Look::Ready(Ok(None));
            }
            match holder(work, port).await {
                Ok(holder) if holder.is_ours() => Look::NotYet(holder.to_string()),
                other => Look::Ready(other.map(Some)),
            }
        };
        let holder = match wait::until("a free port", &bounds, look).await {
            Ok(looked) => match looked? {
                None => continue,
                Some(holder) => holder.to_string(),
            },
            Err(error) => error.to_string(),
        };
        let why = format!(
            "port {port} of this machine is held by {holder}; the lab's Traefik needs it: stop that, or use another \
             machine"
        );
        return Err(EngineError::Refused { why });
    }
    Ok(())
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

async fn holder(work: &Work<'_>, port: u16) -> Result<Holder, DockerError> {
    if let Some(service) = services(work).await?.into_iter().find(|s| s.ports.contains(&port)) {
        return Ok(Holder::Service(service.name));
    }
    let filter = format!("publish={port}");
    let container = work.docker(["ps", "--filter", &filter, "--format", "{{.Names}}"]).await?;
    if let Some(name) = container.lines().next() {
        return Ok(Holder::Container(name.to_owned()));
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

    fn service(name: &str, stack: Option<&str>, networks: &[&str]) -> Service {
        Service {
            id: name.to_owned(),
            name: name.to_owned(),
            stack: stack.map(str::to_owned),
            networks: networks.iter().map(|n| (*n).to_owned()).collect(),
            ports: BTreeSet::new(),
        }
    }

    #[test]
    fn a_stack_is_foreign_unless_it_joined_our_network_or_bears_a_lab_domain() {
        let services = [
            service("a", Some("traefik_lab_test"), &["proxy-id"]),
            service("b", Some("cust-abcdef_lab_test"), &["other"]),
            service("c", Some("shop"), &["other"]),
            service("d", None, &[]),
            service("e", Some("mine"), &["proxy-id"]),
        ];
        let names = |set: BTreeSet<String>| set.into_iter().collect::<Vec<_>>().join(" ");
        assert_eq!(names(foreign(&services, Some("proxy-id"))), "d shop");
        assert_eq!(names(foreign(&services, None)), "d mine shop");
        // What is removed must both be named like ours and be in our network.
        assert_eq!(names(removable(&services, Some("proxy-id"))), "traefik_lab_test");
        assert_eq!(names(removable(&services, None)), "");
    }

    #[test]
    fn a_refusal_names_the_stacks_and_both_ways_out() {
        let text = foreign_stacks(&(0..7).map(|n| format!("s{n}")).collect());
        for part in ["s0, s1, s2, s3, s4 and 2 more", "--config", "--lab"] {
            assert!(text.contains(part), "{text}");
        }
    }

    #[test]
    fn the_holder_of_the_network_is_named() {
        let network = |labels: &str| {
            let json =
                serde_json::json!({"ID": "abc", "Driver": "overlay", "CreatedAt": "now", "Labels": labels});
            foreign_proxy(&json)
        };
        assert!(network("a=b,com.docker.stack.namespace=shop").contains("the stack shop"));
        assert!(network("ccci.lab=/other").contains("the lab in /other"));
        assert!(network("").contains("(abc, overlay, made now)"));
    }

    #[test]
    fn the_network_is_ours_by_its_name_and_its_whole_label() {
        let network =
            |name: &str, labels: &str| serde_json::json!({"ID": "x", "Name": name, "Labels": labels});
        let of = |networks: &[Value]| Proxy::of(networks.to_vec(), "ccci.lab=/lab");
        assert_eq!(of(&[network("proxy", "a=b,ccci.lab=/lab")]), Proxy::Ours("x".into()));
        assert_eq!(of(&[network("proxy-2", "ccci.lab=/lab")]), Proxy::Absent);
        for labels in ["", "ccci.lab=/lab2", "ccci.lab=/other"] {
            let found = of(&[network("proxy-2", "ccci.lab=/lab"), network("proxy", labels)]);
            assert!(matches!(&found, Proxy::Foreign(n) if n["Name"] == "proxy"), "{found:?}");
            assert_eq!(found.our_id(), None);
        }
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
