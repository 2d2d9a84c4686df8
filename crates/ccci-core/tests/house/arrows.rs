//! Arrows between the modules of a crate, and the circles that they make. An arrow between a module and one inside of it is the way a folder works
//! and counts nowhere; every other is told as one between two modules of one folder, the two in which the both ends lie.

use std::collections::{BTreeMap, BTreeSet};

use super::source::{Crate, Name};

/// The arrows within one folder: from, to, and the lines that make it.
pub(crate) type Arrows = BTreeMap<(String, String), BTreeSet<String>>;

/// Where a path leads.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Goal {
    /// A module of this crate.
    Here(Name),
    /// Another crate of the workspace.
    Crate(String),
    /// Anything else.
    Elsewhere,
}

impl Crate {
    /// Where a path that stands in `from` leads: the module in which its last name is. What an enclosing module only passes on is followed to its
    /// place, or two modules could take things from each other by way of their parent.
    pub(crate) fn goal(&self, from: &Name, path: &[String]) -> Goal {
        self.follow(from, path, 0)
    }

    fn follow(&self, from: &Name, path: &[String], depth: u8) -> Goal {
        let (mut at, mut rest) = match path.split_first() {
            None => return Goal::Here(from.clone()),
            Some((first, rest)) => match first.as_str() {
                // The root of a program beside a library is `main`, not the library's.
                "crate"
                    if from.first().is_some_and(|top| top == "main")
                        && self.modules.contains_key(&Vec::new()) =>
                {
                    (vec!["main".to_owned()], rest)
                }
                "crate" => (Vec::new(), rest),
                "self" => (from.clone(), rest),
                "super" => (from[..from.len().saturating_sub(1)].to_vec(), rest),
                name if self.is_module(from, name) => (from.clone(), path),
                name if *name == self.name => (Vec::new(), rest),
                name if name.starts_with("ccci_") => return Goal::Crate(name.to_owned()),
                _ => return Goal::Elsewhere,
            },
        };
        while let Some((name, after)) = rest.split_first() {
            if name == "super" {
                at.pop();
            } else if self.is_module(&at, name) {
                at.push(name.clone());
            } else {
                break;
            }
            rest = after;
        }
        let passed_on = rest.first().and_then(|name| self.modules.get(&at)?.imports.get(name));
        match passed_on {
            Some(import) if encloses(&at, from) && depth < 8 => {
                let path = [import.as_slice(), &rest[1..]].concat();
                match self.follow(&at, &path, depth + 1) {
                    Goal::Here(goal) => Goal::Here(goal),
                    // The parent's own `use` of another crate.
                    _ => Goal::Here(at),
                }
            }
            _ => Goal::Here(at),
        }
    }

    fn is_module(&self, at: &Name, name: &str) -> bool {
        self.modules.contains_key([at.as_slice(), &[name.to_owned()]].concat().as_slice())
    }

    /// The arrows of each folder, by the module whose folder it is.
    pub(crate) fn arrows(&self) -> BTreeMap<Name, Arrows> {
        let mut all: BTreeMap<Name, Arrows> = BTreeMap::new();
        for (from, module) in &self.modules {
            for named in &module.paths {
                let Goal::Here(to) = self.goal(from, &named.path) else { continue };
                if encloses(&to, from) || encloses(from, &to) || to == *from {
                    continue;
                }
                let common = from.iter().zip(&to).take_while(|(a, b)| a == b).count();
                let arrow = (from[common].clone(), to[common].clone());
                let line = format!("{}:{}: {}", named.file.display(), named.line, named.path.join("::"));
                all.entry(from[..common].to_vec()).or_default().entry(arrow).or_default().insert(line);
            }
        }
        all
    }

    /// Arrows from what the root itself has, and to it, as those of a module `lib` or `main`.
    pub(crate) fn arrows_of_the_root(&self) -> Arrows {
        let mut all = Arrows::new();
        for (from, module) in &self.modules {
            for named in &module.paths {
                let Goal::Here(to) = self.goal(from, &named.path) else { continue };
                let name = |module: &Name| module.first().map_or_else(|| self.root.to_owned(), Clone::clone);
                if from.is_empty() != to.is_empty() {
                    let line = format!("{}:{}: {}", named.file.display(), named.line, named.path.join("::"));
                    all.entry((name(from), name(&to))).or_default().insert(line);
                }
            }
        }
        all
    }

    /// The other crates of the workspace that it names, with a line for each.
    pub(crate) fn others(&self) -> BTreeMap<String, String> {
        let mut all = BTreeMap::new();
        for (from, module) in &self.modules {
            for named in &module.paths {
                if let Goal::Crate(other) = self.goal(from, &named.path) {
                    all.entry(other).or_insert_with(|| format!("{}:{}", named.file.display(), named.line));
                }
            }
        }
        all
    }
}

fn encloses(outer: &Name, inner: &Name) -> bool {
    outer.len() < inner.len() && inner.starts_with(outer)
}

/// The circles of one folder: each is the set of modules that lead to each other.
pub(crate) fn circles(arrows: &Arrows) -> Vec<BTreeSet<String>> {
    let nodes: BTreeSet<&String> = arrows.keys().flat_map(|(from, to)| [from, to]).collect();
    let reached = |start: &String| {
        let (mut seen, mut left) = (BTreeSet::new(), vec![start.clone()]);
        while let Some(at) = left.pop() {
            for (_, to) in arrows.keys().filter(|(from, _)| *from == at) {
                if seen.insert(to.clone()) {
                    left.push(to.clone());
                }
            }
        }
        seen
    };
    let reach: BTreeMap<&String, BTreeSet<String>> =
        nodes.iter().map(|node| (*node, reached(node))).collect();
    let both = |a: &String, b: &String| reach[a].contains(b) && reach[b].contains(a);
    let mut found: Vec<BTreeSet<String>> = Vec::new();
    for node in nodes {
        if both(node, node) && !found.iter().any(|circle| circle.contains(node)) {
            found.push(reach[node].iter().filter(|other| both(node, other)).cloned().collect());
        }
    }
    found
}
