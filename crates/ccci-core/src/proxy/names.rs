//! Names in Traefik that two stacks ask for. It knows one router of a name: where two services define it otherwise, it
//! drops both; a service's servers it puts together, so that one app answers for the other. Pure.

use std::collections::BTreeMap;
use std::fmt;

use crate::routes::Routes;
use crate::swarm::{Neighbour, StackFacts};

/// A name in Traefik that another stack's service asks for too.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct SharedName {
    /// The name, with protocol and kind: `http.routers.web`.
    pub name: String,
    /// The full name of the other service.
    pub holder: String,
}

impl fmt::Display for SharedName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`traefik.{}` is also a label of the service `{}`", self.name, self.holder)
    }
}

/// The names that the stack shares with services of other stacks, sorted.
pub fn shared_names(ours: &StackFacts, others: &[Neighbour]) -> Vec<SharedName> {
    let own: Vec<Routes> = ours.services.iter().map(|s| Routes::of(&s.labels)).collect();
    let mut shared = Vec::new();
    for other in others.iter().filter(|other| other.stack.as_deref() != Some(ours.stack.as_str())) {
        let theirs = Routes::of(&other.labels);
        // What Traefik does not route it does not read either, nor what has no task.
        if !theirs.is_routed() || !other.wants_tasks {
            continue;
        }
        for (service, routes) in ours.services.iter().zip(&own).filter(|(_, routes)| routes.is_routed()) {
            let both = routes.names().filter(|&name| theirs.names().any(|their| their == name));
            // One middleware that both define alike is one middleware.
            let alike = |name: &&String| {
                name.contains(".middlewares.")
                    && defined(&service.labels, name) == defined(&other.labels, name)
            };
            let both = both.filter(|name| !alike(name));
            shared.extend(both.map(|name| SharedName { name: name.clone(), holder: other.service.clone() }));
        }
    }
    shared.sort_by(|a, b| (&a.name, &a.holder).cmp(&(&b.name, &b.holder)));
    shared.dedup();
    shared
}

/// What the labels say of this name.
fn defined<'a>(labels: &'a BTreeMap<String, String>, name: &str) -> BTreeMap<String, &'a str> {
    let below = format!("traefik.{name}.");
    let all = labels.iter().map(|(key, value)| (key.to_ascii_lowercase(), value.as_str()));
    all.filter(|(key, _)| key.starts_with(&below)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::swarm::recorded;

    fn neighbour(stack: &str, labels: &[(&str, &str)]) -> Neighbour {
        Neighbour {
            stack: Some(stack.to_owned()),
            service: format!("{stack}_app"),
            labels: labels.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect(),
            image: String::new(),
            wants_tasks: true,
            created: jiff::Timestamp::UNIX_EPOCH,
        }
    }

    #[test]
    fn r17_a_router_of_a_fixed_name_is_found_at_its_other_holder() {
        let mut ours = recorded("healthy");
        ours.services[0].labels =
            [("traefik.enable", "true"), ("traefik.http.routers.web.rule", "Host(`a.b`)")]
                .map(|(k, v)| (k.to_owned(), v.to_owned()))
                .into();
        let same = ("traefik.http.routers.web.rule", "Host(`c.d`)");
        let shared = shared_names(&ours, &[neighbour("wiki", &[same])]);
        assert_eq!(shared.len(), 1);
        assert_eq!(
            shared[0].to_string(),
            "`traefik.http.routers.web` is also a label of the service `wiki_app`"
        );
        // Its own services, those that Traefik does not route, and other names are no sharers.
        let stack = ours.stack.to_string();
        for near in [
            neighbour(&stack, &[same]),
            neighbour("wiki", &[same, ("traefik.enable", "false")]),
            neighbour("wiki", &[("traefik.http.routers.web2.rule", "Host(`c.d`)")]),
            neighbour("wiki", &[("traefik.tcp.routers.web.rule", "HostSNI(`*`)")]),
            Neighbour { wants_tasks: false, ..neighbour("wiki", &[same]) },
        ] {
            assert_eq!(shared_names(&ours, std::slice::from_ref(&near)), vec![], "{near:?}");
        }
    }
}
