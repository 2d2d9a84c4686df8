//! The sizes of each crate, printed as one table, so that before and after can be told; and the bounds that hold for all of them.

use super::source::{Crate, Function};
use super::{read, rooms};

/// The most lines of a file.
const FILE: usize = 600;
/// The most lines of a function.
const LINES: usize = 80;
/// The most parameters of a function, `self` not counted.
const PARAMETERS: usize = 5;

/// What each crate has of functions with more parameters than that, and of tuples that stand in for parameters. The numbers only fall.
const TODAY: [(&str, usize, usize); 6] = [
    ("ccci-core", 0, 0),
    ("ccci-snap", 0, 0),
    ("ccci-sso", 0, 0),
    ("ccci-lab", 0, 0),
    ("recipes", 0, 0),
    ("ccci-runner", 0, 0),
];

/// What is beyond a bound, one line each.
struct Beyond {
    files: Vec<String>,
    functions: Vec<String>,
    parameters: Vec<String>,
    tuples: Vec<String>,
    worlds: usize,
}

impl Beyond {
    fn of(source: &Crate) -> Self {
        let functions = || source.modules.values().flat_map(|module| &module.functions);
        let told = |figure: fn(&Function) -> usize, bound: usize| -> Vec<String> {
            let beyond = functions().filter(|function| figure(function) > bound);
            beyond.map(|f| format!("  {} of {}: {}", figure(f), f.name, f.file.display())).collect()
        };
        let files = source.files.iter().filter(|(_, lines)| **lines > FILE);
        Self {
            files: files.map(|(file, lines)| format!("  {lines}: {}", file.display())).collect(),
            functions: told(|f| f.lines, LINES),
            parameters: told(|f| f.parameters, PARAMETERS),
            tuples: told(|f| f.tuples, 0),
            worlds: functions().filter(|f| f.takes_world).count(),
        }
    }
}

#[test]
fn figures() {
    println!(
        "crate        files  lines functions | files > {FILE}, functions > {LINES}, parameters > {PARAMETERS}, tuples for some, &World"
    );
    let mut wrong = Vec::new();
    for house in rooms::HOUSES {
        let source = read(&house);
        let Beyond { files, functions, parameters, tuples, worlds } = Beyond::of(&source);
        let (all, lines): (usize, usize) = (source.files.len(), source.files.values().sum());
        let count: usize = source.modules.values().map(|module| module.functions.len()).sum();
        let sizes = [files.len(), functions.len(), parameters.len(), tuples.len(), worlds];
        let sizes: Vec<String> = sizes.iter().map(|size| format!("{size:>4}")).collect();
        println!("{:12} {all:>5} {lines:>6} {count:>9} | {}", house.name, sizes.join(" "));
        assert!(count > 0, "{} has no functions", house.name);
        let today = TODAY.iter().find(|(name, ..)| *name == house.name);
        let (_, many, in_tuples) = today.unwrap_or_else(|| panic!("no row for {}", house.name));
        for (what, found, expected) in [
            ("files that are too long", files, 0),
            ("functions that are too long", functions, 0),
            ("functions with too many parameters", parameters, *many),
            ("functions with tuples for parameters", tuples, *in_tuples),
        ] {
            if found.len() != expected {
                let (name, count) = (house.name, found.len());
                wrong.push(format!("{name}: {count} {what}, expected {expected}:\n{}", found.join("\n")));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
