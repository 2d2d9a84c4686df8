//! The rule: within a folder no circle, and no arrow from a lower floor to a higher one. What offends today is written down by name, and a name that
//! offends no more must go from the list.

use std::collections::{BTreeMap, BTreeSet};

use super::arrows::{Arrows, circles};
use super::source::{Crate, Name};

/// How one crate is to stand.
#[derive(Debug, Clone, Copy)]
pub(crate) struct House {
    /// The crate, by its folder's name.
    pub(crate) name: &'static str,
    /// Its topmost modules, floor by floor, from top to bottom. Whoever is on one floor may use each other, but not in a circle. `lib` stands for
    /// what the crate's root itself has.
    pub(crate) floors: &'static [&'static [&'static str]],
    /// The other crates of the workspace that it may name.
    pub(crate) uses: &'static [&'static str],
    /// What offends today.
    pub(crate) known: Known,
}

/// Today's offenders, by name.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Known {
    /// Modules in a circle: the folder, and which of those in it.
    pub(crate) in_circles: &'static [(&'static str, &'static [&'static str])],
    /// Arrows up: from, to.
    pub(crate) upward: &'static [(&'static str, &'static str)],
    /// Modules that have a floor already and are not there yet.
    pub(crate) to_come: &'static [&'static str],
    /// Modules that are on no floor yet. Their arrows are looked at for circles alone.
    pub(crate) without_floor: &'static [&'static str],
}

/// What is wrong with a crate, one text each.
pub(crate) fn complaints(source: &Crate, house: &House) -> Vec<String> {
    let arrows = source.arrows();
    let mut all = in_circles(house, &arrows);
    all.extend(upward(source, house, &arrows));
    for (other, line) in source.others() {
        if !house.uses.contains(&other.as_str()) {
            all.push(format!("{} may not know {other}, and names it in {line}", house.name));
        }
    }
    all
}

fn in_circles(house: &House, arrows: &BTreeMap<Name, Arrows>) -> Vec<String> {
    let mut all = Vec::new();
    let mut found: BTreeSet<(String, String)> = BTreeSet::new();
    for (folder, arrows) in arrows {
        let folder = folder.join("::");
        let known = house
            .known
            .in_circles
            .iter()
            .filter(|(name, _)| *name == folder)
            .flat_map(|(_, modules)| *modules);
        let known: BTreeSet<&str> = known.copied().collect();
        for circle in circles(arrows) {
            found.extend(circle.iter().map(|module| (folder.clone(), module.clone())));
            let new: Vec<&str> =
                circle.iter().map(String::as_str).filter(|module| !known.contains(module)).collect();
            if new.is_empty() {
                continue;
            }
            let mut text = format!(
                "{}::{folder}: a circle: {}; new in it: {}",
                house.name,
                circle.iter().cloned().collect::<Vec<_>>().join(", "),
                new.join(", ")
            );
            let within = arrows.iter().filter(|((from, to), _)| circle.contains(from) && circle.contains(to));
            for ((from, to), lines) in
                within.filter(|((from, to), _)| new.contains(&from.as_str()) || new.contains(&to.as_str()))
            {
                let first = lines.first().map_or("", String::as_str);
                text = format!("{text}\n    {from} → {to}: {first}");
            }
            all.push(text);
        }
    }
    for (folder, modules) in house.known.in_circles {
        for module in
            modules.iter().filter(|module| !found.contains(&((*folder).to_owned(), (**module).to_owned())))
        {
            all.push(format!(
                "{}: `{module}` of the folder `{folder}` is in no circle any more: take it from the list",
                house.name
            ));
        }
    }
    all
}

fn upward(source: &Crate, house: &House, arrows: &BTreeMap<Name, Arrows>) -> Vec<String> {
    let floor = |module: &str| house.floors.iter().position(|floor| floor.contains(&module));
    let mut all = Vec::new();
    let mut top = arrows.get(&Vec::new()).cloned().unwrap_or_default();
    if floor(source.root).is_some() {
        top.extend(source.arrows_of_the_root());
    }
    let mut modules: BTreeSet<&str> =
        source.modules.keys().filter_map(|name| name.first()).map(String::as_str).collect();
    if floor(source.root).is_some() {
        modules.insert(source.root);
    }
    for module in &modules {
        match (floor(module).is_some(), house.known.without_floor.contains(module)) {
            (false, false) => all.push(format!(
                "{}: the module `{module}` is on no floor: write it into the table",
                house.name
            )),
            (true, true) => {
                all.push(format!("{}: `{module}` has a floor: take it from the list", house.name));
            }
            _ => {}
        }
    }
    let to_come = house.known.to_come;
    let listed = house
        .floors
        .iter()
        .copied()
        .flatten()
        .filter(|module| !to_come.contains(module))
        .chain(house.known.without_floor);
    for module in listed.filter(|module| !modules.contains(**module)) {
        all.push(format!("{}: there is no module `{module}`: take it from the table", house.name));
    }
    for module in to_come.iter().filter(|module| modules.contains(**module)) {
        all.push(format!("{}: `{module}` is there: take it from the list", house.name));
    }
    let mut found: BTreeSet<(&str, &str)> = BTreeSet::new();
    for ((from, to), lines) in &top {
        let (Some(lower), Some(higher)) = (floor(from), floor(to)) else { continue };
        if higher < lower {
            found.insert((from, to));
            if !house.known.upward.contains(&(from, to)) {
                let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
                all.push(format!(
                    "{}: an arrow up, {from} → {to}:\n    {}",
                    house.name,
                    lines.join("\n    ")
                ));
            }
        }
    }
    for (from, to) in house.known.upward.iter().filter(|arrow| !found.contains(*arrow)) {
        all.push(format!("{}: there is no arrow {from} → {to} any more: take it from the list", house.name));
    }
    all
}
