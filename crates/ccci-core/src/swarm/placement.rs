//! Where swarm lets a task run: the nodes, and the constraints of a service's placement, read as swarm reads them.
//!
//! Swarm decides with these rules which tasks a new spec replaces, too: one whose placement alone differs is kept where its
//! node meets the new constraints (R6).

use std::collections::BTreeMap;

use serde_json::Value;

/// One node of the swarm, as the scheduler sees it.
#[derive(Debug, Clone, Default, PartialEq, Eq, serde::Serialize)]
pub(super) struct SwarmNode {
    /// The node's id.
    pub(super) id: String,
    /// Its host name.
    pub(super) name: String,
    /// `manager` or `worker`.
    pub(super) role: String,
    /// Its address.
    pub(super) address: String,
    /// `linux`.
    pub(super) os: String,
    /// `x86_64`.
    pub(super) arch: String,
    /// Whether it takes new tasks: neither drained, paused nor down.
    pub(super) available: bool,
    /// The labels that the swarm gave it.
    pub(super) labels: BTreeMap<String, String>,
    /// The labels that its engine was started with.
    pub(super) engine_labels: BTreeMap<String, String>,
    /// Its processors, in billionths.
    pub(super) nano_cpus: u64,
    /// Its memory, in bytes.
    pub(super) memory: u64,
}

/// One constraint: `node.labels.disk == ssd`.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Constraint {
    key: String,
    equal: bool,
    value: String,
}

impl Constraint {
    /// None for a text that is no constraint. Swarm refuses such a service.
    fn parse(text: &str) -> Option<Self> {
        ["==", "!="].iter().find_map(|operator| {
            let (key, value) = text.split_once(operator)?;
            let (key, value) = (key.trim().to_owned(), value.trim().to_owned());
            Some(Self { key, equal: *operator == "==", value })
        })
    }

    /// Words are compared without regard to case, keys of labels with it.
    fn met_by(&self, node: &SwarmNode) -> bool {
        let Some(found) = self.found(node) else { return false };
        found.eq_ignore_ascii_case(&self.value) == self.equal
    }

    /// What the node has under the key; none for a key that no node has, whatever is asked of it.
    fn found<'a>(&self, node: &'a SwarmNode) -> Option<&'a str> {
        let key = self.key.to_ascii_lowercase();
        let label = |prefix: &str, labels: &'a BTreeMap<String, String>| {
            key.starts_with(prefix).then(|| labels.get(&self.key[prefix.len()..]).map_or("", String::as_str))
        };
        match key.as_str() {
            "node.id" => Some(&node.id),
            "node.hostname" => Some(&node.name),
            "node.ip" => Some(&node.address),
            "node.role" => Some(&node.role),
            "node.platform.os" => Some(&node.os),
            "node.platform.arch" => Some(&node.arch),
            _ => label("node.labels.", &node.labels).or_else(|| label("engine.labels.", &node.engine_labels)),
        }
    }

    /// Whether no node can meet both.
    fn excludes(&self, other: &Self) -> bool {
        let same = self.value.eq_ignore_ascii_case(&other.value);
        let contrary = match (self.equal, other.equal) {
            (true, true) => !same,
            (false, false) => false,
            _ => same,
        };
        self.key == other.key && contrary
    }
}

/// The constraints of a task template.
pub(super) fn constraints(template: &Value) -> Vec<&str> {
    let all = template.pointer("/Placement/Constraints").and_then(Value::as_array);
    all.into_iter().flatten().filter_map(Value::as_str).collect()
}

/// The constraints of a task template that this node does not meet, as they are written.
pub(super) fn unmet<'a>(template: &'a Value, node: &SwarmNode) -> Vec<&'a str> {
    let met = |text: &&str| Constraint::parse(text).is_some_and(|c| c.met_by(node));
    constraints(template).into_iter().filter(|text| !met(text)).collect()
}

/// What a node has instead of what a constraint asks for, in words.
pub(super) fn instead(constraint: &str, node: &SwarmNode) -> String {
    let Some(parsed) = Constraint::parse(constraint) else { return "it is no constraint".to_owned() };
    match parsed.found(node) {
        None => format!("no node has `{}`", parsed.key),
        Some("") => format!("the node {} has none", node.name),
        Some(found) => format!("the node {} has `{found}`", node.name),
    }
}

/// Two constraints that no node can meet together, whatever the server.
pub(super) fn contradiction(template: &Value) -> Option<(String, String)> {
    let all: Vec<(&str, Constraint)> =
        constraints(template).into_iter().filter_map(|text| Some((text, Constraint::parse(text)?))).collect();
    all.iter().enumerate().find_map(|(at, (text, one))| {
        let (other, _) = all[at + 1..].iter().find(|(_, other)| one.excludes(other))?;
        Some(((*text).to_owned(), (*other).to_owned()))
    })
}

/// Whether a task with this spec counts as one of the service's present template (swarm's own rule): it equals it, or
/// differs in its placement alone while the node it is on meets the new constraints. A task without a node is replaced.
pub(super) fn is_of(template: &Value, spec: &Value, node: Option<&SwarmNode>, assigned: bool) -> bool {
    if template == spec {
        return true;
    }
    assigned
        && without_placement(template) == without_placement(spec)
        && (constraints(template).is_empty() || node.is_some_and(|node| unmet(template, node).is_empty()))
}

fn without_placement(template: &Value) -> Value {
    let mut rest = template.clone();
    if let Some(fields) = rest.as_object_mut() {
        fields.remove("Placement");
    }
    rest
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn node() -> SwarmNode {
        SwarmNode {
            id: "n5kc4".into(),
            name: "alpha".into(),
            role: "manager".into(),
            address: "10.0.0.1".into(),
            os: "linux".into(),
            arch: "x86_64".into(),
            available: true,
            labels: BTreeMap::from([("disk".into(), "ssd".into())]),
            engine_labels: BTreeMap::from([("rack".into(), "7".into())]),
            ..SwarmNode::default()
        }
    }

    fn with(constraints: &[&str]) -> Value {
        json!({"ContainerSpec": {"Image": "x"}, "Placement": {"Constraints": constraints}})
    }

    #[test]
    fn constraints_are_met_as_swarm_meets_them() {
        for (text, met) in [
            ("node.role==manager", true),
            ("node.role == MANAGER", true),
            ("node.role!=worker", true),
            ("node.role==worker", false),
            ("node.hostname==alpha", true),
            ("node.hostname!=alpha", false),
            ("node.labels.disk==ssd", true),
            ("node.labels.disk==SSD", true),
            ("node.labels.Disk==ssd", false),
            ("node.labels.gpu==true", false),
            ("node.labels.gpu!=true", true),
            ("engine.labels.rack==7", true),
            ("node.platform.os==linux", true),
            ("node.platform.arch==aarch64", false),
            ("node.id==n5kc4", true),
            ("node.ip==10.0.0.1", true),
            ("nodes.role==manager", false),
            ("nodes.role!=manager", false),
            ("nonsense", false),
        ] {
            assert_eq!(unmet(&with(&[text]), &node()).is_empty(), met, "{text}");
        }
        assert_eq!(unmet(&json!({}), &node()), Vec::<&str>::new());
        assert_eq!(instead("node.labels.gpu==true", &node()), "the node alpha has none");
        assert_eq!(instead("node.role==worker", &node()), "the node alpha has `manager`");
        assert_eq!(instead("nodes.role==x", &node()), "no node has `nodes.role`");
    }

    #[test]
    fn r6_a_task_is_kept_when_its_placement_alone_differs_and_its_node_fits() {
        let (old, node) = (with(&[]), node());
        let kept = |template: &Value| is_of(template, &old, Some(&node), true);
        assert!(kept(&old));
        assert!(kept(&with(&["node.role==manager"])));
        assert!(!kept(&with(&["node.role==worker"])));
        // Preferences and the like are placement too.
        let mut spread = old.clone();
        spread["Placement"] = json!({"Preferences": [{"Spread": {"SpreadDescriptor": "node.id"}}]});
        assert!(kept(&spread));
        // Something else changed as well.
        let mut more = with(&["node.role==manager"]);
        more["ForceUpdate"] = json!(1);
        assert!(!kept(&more));
        // Not yet on a node, or on one that nobody could look at.
        let template = with(&["node.role==manager"]);
        assert!(!is_of(&template, &old, None, false));
        assert!(!is_of(&template, &old, None, true));
        // Constraints that go are met by any node.
        assert!(is_of(&old, &template, None, true));
    }

    #[test]
    fn r17_constraints_that_exclude_each_other_are_nobodys_but_the_recipes() {
        let both = |one: &str, other: &str| contradiction(&with(&["node.platform.os==linux", one, other]));
        assert!(both("node.role==manager", "node.role==worker").is_some());
        assert!(both("node.role==manager", "node.role!=manager").is_some());
        assert!(both("node.role==manager", "node.role!=worker").is_none());
        assert!(both("node.labels.a==x", "node.labels.b==y").is_none());
        assert!(both("node.labels.a!=x", "node.labels.a!=y").is_none());
    }
}
