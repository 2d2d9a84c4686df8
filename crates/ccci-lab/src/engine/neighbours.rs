//! Who else uses the engine: a swarm of others, their stacks, a network `proxy` that is not ours. Looks are effects,
//! judgements are pure; nothing is changed here.

use std::collections::BTreeSet;

use serde_json::Value;

use super::services::Service;
use super::{EngineError, ports, scenes};
use crate::layout::{BASE_DOMAIN, LABEL, PROXY_NETWORK};
use crate::names::{self, NamesError};
use crate::work::{DockerError, Work};

/// The stack of the lab's Traefik.
const TRAEFIK_STACK: &str = "traefik_lab_test";

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

/// What the lab has still to make on an engine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Lacks {
    /// A swarm.
    pub(super) swarm: bool,
    /// The network `proxy`.
    pub(super) proxy: bool,
}

/// Refuses an engine on which the lab cannot be, or other people's stacks run unless the caller insists; changes
/// nothing but what suites that were cut off left behind.
pub(super) async fn admit(work: &Work<'_>, insist: bool, whole_lab: bool) -> Result<Lacks, EngineError> {
    let state = "{{.Swarm.LocalNodeState}} {{.Swarm.ControlAvailable}} {{.Swarm.Nodes}}";
    let state = work.docker(["info", "--format", state]).await?;
    let swarm = has_swarm(&state).map_err(|why| EngineError::Refused { why: why.to_owned() })?;
    let (services, proxy) = (scenes::sweep(work).await?, proxy(work).await?);
    let foreign = foreign(&services, proxy.our_id());
    if !insist && !foreign.is_empty() {
        return Err(EngineError::Refused { why: foreign_stacks(&foreign) });
    }
    if let Proxy::Foreign(network) = &proxy {
        return Err(EngineError::Refused { why: foreign_proxy(network) });
    }
    if whole_lab {
        if names::is_foreign(work).await? {
            return Err(EngineError::Refused { why: NamesError::NotOurs.to_string() });
        }
        if !services.iter().any(|service| service.stack.as_deref() == Some(TRAEFIK_STACK)) {
            ports::free(work, Some(&services)).await?;
        }
    }
    Ok(Lacks { swarm: !swarm, proxy: proxy == Proxy::Absent })
}

/// Whether the engine, by its own words, is the one node of a swarm; or why the lab can neither use its swarm nor
/// make one.
fn has_swarm(state: &str) -> Result<bool, &'static str> {
    match state.split_whitespace().collect::<Vec<_>>()[..] {
        ["active", "true", "1"] => Ok(true),
        ["active", "true", _] => Err(
            "this machine belongs to a swarm of several nodes, and the lab's images would be on this one only: \
             use a machine of its own, or point ccci at this server with --config",
        ),
        ["inactive", ..] => Ok(false),
        _ => Err(
            "this machine is a worker, or a locked or broken member, of a swarm: the lab needs a swarm of its own; \
             leave that one (`docker swarm leave`) or use another machine",
        ),
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    fn service(name: &str, stack: Option<&str>, networks: &[&str]) -> Service {
        Service {
            id: name.to_owned(),
            name: name.to_owned(),
            stack: stack.map(str::to_owned),
            networks: networks.iter().map(|n| (*n).to_owned()).collect(),
            ..Service::default()
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
    fn a_swarm_is_used_when_it_is_of_this_machine_alone() {
        for (state, expected) in
            [("active true 1", Ok(true)), ("inactive false 0", Ok(false)), ("inactive", Ok(false))]
        {
            assert_eq!(has_swarm(state), expected, "{state}");
        }
        for (state, part) in [
            ("active true 3", "several nodes"),
            ("active false 0", "a worker"),
            ("locked false 0", "locked"),
            ("pending false 0", "broken"),
            ("error", "broken"),
            ("", "broken"),
        ] {
            assert!(has_swarm(state).is_err_and(|why| why.contains(part)), "{state}");
        }
    }

    #[test]
    fn the_stack_of_traefik_is_named_after_its_domain() {
        assert_eq!(crate::traefik::domain().unwrap().stack().as_str(), TRAEFIK_STACK);
    }
}
