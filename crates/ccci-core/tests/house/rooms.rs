//! The tables: what stands on which floor of each crate, and what offends today. Whoever moves a module moves its name here.

use super::judge::{House, Known};

/// Nothing offends.
const NONE: Known = Known { in_circles: &[], upward: &[], to_come: &[], without_floor: &[] };

/// The crates of the workspace.
pub(crate) const HOUSES: [House; 6] = [CORE, SNAP, SSO, LAB, RECIPES, RUNNER];

const CORE: House = House {
    name: "ccci-core",
    floors: &[
        // A whole app, brought up and asked.
        &["stand_up"],
        &["health", "deploy"],
        // What is told of a run.
        &["report", "event"],
        // What is decided, from facts alone.
        &["plan", "promote", "reconcile", "soak", "verdict", "gate", "fast_health"],
        // What stays on the disk.
        &["canonical", "txn", "record", "alert"],
        // The words of the record.
        &["words"],
        // Doors: abra, registries, Traefik.
        &["abra", "images", "proxy"],
        // What recipes and servers say, and HTTP.
        &["manifest", "compose", "git", "http", "settings", "envfile"],
        // The engine.
        &["swarm"],
        // Names and stages, processes, locks, files of others.
        &["stage", "names", "address", "exec", "orphans", "lock", "statefile", "foreign", "visible", "disk"],
        // The ground.
        &["atomic", "blame", "clock", "docker_says", "rhythm", "routes", "secret", "version", "wait", "yaml"],
    ],
    uses: &[],
    known: NONE,
};

const SNAP: House = House {
    name: "ccci-snap",
    floors: &[
        &["restore", "seal", "stage", "verify", "unlock"],
        &["store"],
        &["capture", "check", "fill", "archive"],
        // The ways to keep a volume.
        &["backend", "place"],
        // What says what was kept.
        &["manifest", "digests", "space", "meta"],
        // One entry, one file, one volume.
        &["plant", "links", "remove", "extents", "tar", "record", "flags", "engine"],
        &["walk", "exchange", "proved", "job", "stream"],
        &["error", "method"],
    ],
    uses: &["ccci_core"],
    known: NONE,
};

const SSO: House = House {
    name: "ccci-sso",
    floors: &[&["browser"], &["oidc"], &["realm", "reap"], &["admin", "token", "state"], &["http", "name"]],
    uses: &["ccci_core"],
    known: NONE,
};

const LAB: House = House {
    name: "ccci-lab",
    floors: &[
        &["lab"],
        &["engine"],
        &["names", "standing", "browser"],
        &["images", "catalogue", "traefik", "keycloak", "certificates", "tools"],
        &["work"],
        &["layout", "kept", "holders", "embedded", "system"],
        // The stand-in shares nothing with the lab: it is what the lab puts in abra's place.
        &["abra"],
    ],
    uses: &["ccci_core"],
    known: NONE,
};

const RECIPES: House = House {
    name: "recipes",
    floors: &[
        &["child"],
        &["checks", "prelude"],
        // What a check knows of its run.
        &["context", "sso"],
        &["protocol", "source_hash"],
    ],
    uses: &["ccci_core", "ccci_sso"],
    known: NONE,
};

/// The rooms of the runner, by the way of the data. `session` is the floor of all of them.
const RUNNER: House = House {
    name: "ccci-runner",
    floors: &[&["main"], &["cli"], &["lib"], &["care"], &["run"], &["kept"], &["report"], &["session"]],
    uses: &["ccci_core", "ccci_lab", "ccci_recipes", "ccci_snap", "ccci_sso"],
    known: NONE,
};
