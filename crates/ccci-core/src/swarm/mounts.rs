//! What the tasks of a stack really mount, and what follows for what is kept of it (R18): facts in, what is kept, what holds
//! nothing that lasts, what is shared, and what cannot be kept, with the reason. Pure.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use crate::names::{StackName, VolumeName};

/// What is behind a mount.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum MountedKind {
    /// A volume, named or not.
    Volume,
    /// A path of the host.
    Bind,
    /// Memory, or what holds no data of its own: a socket, a device.
    Memory,
    /// Anything else that Docker knows: a cluster's volume, a named pipe.
    Other,
}

impl MountedKind {
    /// The kind by Docker's word for it.
    pub(crate) fn of(word: &str) -> Self {
        match word {
            "volume" | "" => Self::Volume,
            "bind" => Self::Bind,
            "tmpfs" => Self::Memory,
            _ => Self::Other,
        }
    }
}

/// One mount of a service, as its specification or a container of it has it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, serde::Serialize)]
pub struct Mounted {
    /// The service, by its name within the stack.
    pub service: String,
    /// What is behind it.
    pub kind: MountedKind,
    /// The volume's name or the host's path; empty for a volume without a name and for memory.
    pub source: String,
    /// Where the container has it.
    pub target: String,
    /// Whether it can be written to.
    pub writable: bool,
    /// The node that has it, where that is not the one we talk to.
    pub elsewhere: Option<String>,
}

/// What the engine says of a volume.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
#[non_exhaustive]
pub struct VolumeInfo {
    /// Its name.
    pub name: VolumeName,
    /// Its driver.
    pub driver: String,
    /// The driver's options.
    pub options: BTreeMap<String, String>,
    /// The stack that its label names.
    pub stack: Option<String>,
}

impl VolumeInfo {
    /// Whether it belongs to this stack: by the label, or by its name where it has no label of any stack. Swarm gives none
    /// to a volume that a compose file calls external, nor to one that was there before.
    pub fn is_of(&self, stack: &StackName) -> bool {
        match &self.stack {
            Some(label) => label == stack.as_str(),
            None => self.name.is_named_after(stack),
        }
    }
}

/// What becomes of a volume's content when its users are gone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Lasting {
    /// It stays, and goes with the volume: it can be kept and brought back.
    WithVolume,
    /// It goes with its last user: there is nothing to keep.
    WithUse,
    /// It stays when the volume is removed, so it cannot be brought back: which options say so.
    Beyond(String),
}

/// Decides that by the volume's driver and options. Of another driver nothing is known here: it is tried when it is kept.
pub fn lasting(driver: &str, options: &BTreeMap<String, String>) -> Lasting {
    let option = |key: &str| options.get(key).map(String::as_str).filter(|value| !value.is_empty());
    let mounts = option("type").is_some() || option("device").is_some();
    if driver != "local" || !mounts {
        return Lasting::WithVolume;
    }
    // A bind is a bind, whatever its type says.
    let binds = option("o").is_some_and(|o| o.split(',').any(|one| matches!(one.trim(), "bind" | "rbind")));
    if !binds && matches!(option("type"), Some("tmpfs" | "ramfs")) {
        return Lasting::WithUse;
    }
    // An option may be a password of a server.
    let said =
        ["type", "device"].into_iter().filter_map(|key| option(key).map(|value| format!("{key}={value}")));
    Lasting::Beyond(said.collect::<Vec<_>>().join(", "))
}

/// What is to be done about the volumes of a stack and what else it mounts.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Keeping {
    /// Volumes that are kept, by name.
    pub keep: Vec<VolumeName>,
    /// Volumes that hold nothing once nobody uses them.
    pub passing: Vec<VolumeName>,
    /// Volumes and paths that the recipe declares to be shared: never kept, restored or removed.
    pub shared: Vec<String>,
    /// What is written to and cannot be kept, each as a sentence.
    pub lost: Vec<String>,
}

/// Decides it. `mounts` are those that tasks really had, `volumes` what the engine says of every volume of the stack or of
/// a mount, `shares` the names that recipe.yaml declares.
pub fn keeping(stack: &StackName, mounts: &[Mounted], volumes: &[VolumeInfo], shares: &[String]) -> Keeping {
    let mut keep = BTreeSet::new();
    let (mut passing, mut shared, mut lost) = (BTreeSet::new(), BTreeSet::new(), BTreeSet::new());
    for mount in mounts {
        let name = || VolumeName::of_engine(mount.source.clone());
        match fate(stack, mount, volumes, shares) {
            Fate::Kept => drop(keep.insert(name())),
            Fate::Passing if mount.source.is_empty() => {}
            Fate::Passing => drop(passing.insert(name())),
            Fate::Shared => drop(shared.insert(mount.source.clone())),
            Fate::Given => {}
            Fate::Lost(why) => drop(lost.insert(why)),
        }
    }
    // What nobody mounts any more is of an earlier release: kept as it is, where it can be.
    let idle = volumes.iter().filter(|volume| {
        let mounted =
            mounts.iter().any(|mount| mount.kind == MountedKind::Volume && mount.source == volume.name);
        !mounted && volume.is_of(stack) && volume.name.is_named_after(stack)
    });
    for volume in idle {
        match lasting(&volume.driver, &volume.options) {
            Lasting::WithVolume => drop(keep.insert(volume.name.clone())),
            Lasting::WithUse | Lasting::Beyond(_) => drop(passing.insert(volume.name.clone())),
        }
    }
    let listed = |set: BTreeSet<VolumeName>| set.into_iter().collect();
    let (shared, lost) = (shared.into_iter().collect(), lost.into_iter().collect());
    Keeping { keep: listed(keep), passing: listed(passing), shared, lost }
}

/// What becomes of what is behind one mount.
enum Fate {
    Kept,
    Passing,
    Shared,
    /// It is only read, so nothing of the app's is in it.
    Given,
    Lost(String),
}

fn fate(stack: &StackName, mount: &Mounted, volumes: &[VolumeInfo], shares: &[String]) -> Fate {
    let Mounted { service, source, target, .. } = mount;
    match mount.kind {
        MountedKind::Memory => Fate::Passing,
        MountedKind::Volume if is_nameless(source) => Fate::Passing,
        MountedKind::Volume | MountedKind::Bind if is_shared(source, shares) => Fate::Shared,
        MountedKind::Volume if VolumeName::of_engine(source.clone()).is_named_after(stack) => {
            own(stack, mount, volumes, shares)
        }
        _ if !mount.writable => Fate::Given,
        MountedKind::Volume => Fate::Lost(format!(
            "the volume {source}, which `{service}` writes to, is not named after the app: whoever mounts it has the same data"
        )),
        MountedKind::Bind => Fate::Lost(format!(
            "{source} of the host, which `{service}` writes to at {target}, is outside of the app's volumes"
        )),
        MountedKind::Other => Fate::Lost(format!(
            "what `{service}` mounts at {target} is neither a volume of this engine nor a folder of the host"
        )),
    }
}

/// Whether recipe.yaml declares this to be shared: a volume by its name, or a path of the host with all below it.
fn is_shared(source: &str, shares: &[String]) -> bool {
    let holds =
        |share: &String| source == share || (share.starts_with('/') && Path::new(source).starts_with(share));
    shares.iter().any(holds)
}

/// A volume of the app's own name.
fn own(stack: &StackName, mount: &Mounted, volumes: &[VolumeInfo], shares: &[String]) -> Fate {
    let Mounted { service, source, .. } = mount;
    if let Some(node) = &mount.elsewhere {
        return Fate::Lost(format!("the volume {source} of `{service}` is on another node ({node})"));
    }
    let Some(volume) = volumes.iter().find(|volume| *source == volume.name) else {
        return Fate::Lost(format!("the volume {source}, which `{service}` mounts, is not on this engine"));
    };
    if let Some(other) = volume.stack.as_ref().filter(|_| !volume.is_of(stack)) {
        return Fate::Lost(format!(
            "the volume {source}, which `{service}` mounts, belongs to the stack {other}"
        ));
    }
    match lasting(&volume.driver, &volume.options) {
        Lasting::WithVolume => Fate::Kept,
        Lasting::WithUse => Fate::Passing,
        Lasting::Beyond(_)
            if volume.options.get("device").is_some_and(|device| is_shared(device, shares)) =>
        {
            Fate::Shared
        }
        Lasting::Beyond(options) => Fate::Lost(format!(
            "the volume {source} of `{service}` has driver options ({options}): its content outlives it, so it cannot be restored"
        )),
    }
}

/// A volume that the engine made for one container, which it goes with: its name is its id.
fn is_nameless(name: &str) -> bool {
    name.is_empty() || (name.len() == 64 && name.bytes().all(|byte| byte.is_ascii_hexdigit()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const STACK: &str = "warm-blog_lab_test";

    fn stack() -> StackName {
        STACK.parse().unwrap()
    }

    fn mount(kind: MountedKind, source: &str) -> Mounted {
        Mounted {
            service: "app".to_owned(),
            kind,
            source: source.to_owned(),
            target: "/data".to_owned(),
            writable: true,
            elsewhere: None,
        }
    }

    fn volume(name: &str, label: Option<&str>, options: &[(&str, &str)]) -> VolumeInfo {
        VolumeInfo {
            name: name.parse().unwrap(),
            driver: "local".to_owned(),
            options: options.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect(),
            stack: label.map(str::to_owned),
        }
    }

    /// R18: each way in which a task can mount something, and what is said of what cannot be kept.
    #[test]
    fn r18_what_is_mounted_is_kept_or_the_reason_is_told() {
        let own = format!("{STACK}_data");
        let read_only = |mount: Mounted| Mounted { writable: false, ..mount };
        let of = |label| vec![volume(&own, label, &[])];
        let with = |options: &[(&str, &str)]| vec![volume(&own, Some(STACK), options)];
        let data = || mount(MountedKind::Volume, &own);
        let elsewhere = Mounted { elsewhere: Some("node2".to_owned()), ..data() };
        let nameless = "0123456789abcdef".repeat(4);
        let fixed = || mount(MountedKind::Volume, "media");
        let table: Vec<(&str, Mounted, Vec<VolumeInfo>, &str)> = vec![
            ("an ordinary one", data(), of(Some(STACK)), "keep"),
            ("external, or there before: no label", data(), of(None), "keep"),
            ("of another stack", data(), of(Some("else")), "belongs to the stack else"),
            ("not there", data(), vec![], "is not on this engine"),
            ("on another node", elsewhere, of(Some(STACK)), "on another node (node2)"),
            ("a fixed name", fixed(), vec![volume("media", None, &[])], "not named after the app"),
            (
                "a fixed name with our label",
                fixed(),
                vec![volume("media", Some(STACK), &[])],
                "not named after the app",
            ),
            ("a fixed name, only read", read_only(fixed()), vec![], "nothing"),
            ("without a name", mount(MountedKind::Volume, ""), vec![], "nothing"),
            (
                "without a name, as a container has it",
                mount(MountedKind::Volume, &nameless),
                vec![],
                "passing",
            ),
            ("memory", mount(MountedKind::Memory, ""), vec![], "nothing"),
            ("a quota is no other place", data(), with(&[("size", "1G")]), "keep"),
            ("memory by options", data(), with(&[("type", "tmpfs"), ("device", "tmpfs")]), "passing"),
            (
                "a folder by options",
                data(),
                with(&[("type", "none"), ("o", "bind"), ("device", "/srv/x")]),
                "(type=none, device=/srv/x)",
            ),
            (
                "a server by options",
                data(),
                with(&[("type", "cifs"), ("o", "password=x"), ("device", "//s/x")]),
                "(type=cifs, device=//s/x): its content outlives it",
            ),
            (
                "a folder",
                mount(MountedKind::Bind, "/srv/x"),
                vec![],
                "/srv/x of the host, which `app` writes to at /data",
            ),
            ("a folder, only read", read_only(mount(MountedKind::Bind, "/srv/x")), vec![], "nothing"),
            ("a cluster's", mount(MountedKind::Other, "csi"), vec![], "neither a volume of this engine"),
        ];
        for (what, mount, volumes, expected) in table {
            let Keeping { keep, passing, shared, lost } = keeping(&stack(), &[mount], &volumes, &[]);
            assert_eq!(shared, [""; 0], "{what}");
            let got = match (&keep[..], &passing[..], &lost[..]) {
                ([_], [], []) => "keep",
                ([], [_], []) => "passing",
                ([], [], []) => "nothing",
                ([], [], [why]) => why,
                other => panic!("{what}: {other:?}"),
            };
            assert!(got.contains(expected), "{what}: {got}");
            assert!(!got.contains("password"), "{what}: {got}");
        }
    }

    /// A declared share is nobody's business here, and does not keep the rest from being kept.
    #[test]
    fn r18_a_declared_share_is_left_alone() {
        let mounts =
            [mount(MountedKind::Volume, "media"), mount(MountedKind::Volume, &format!("{STACK}_data"))];
        let volumes = [volume("media", Some(STACK), &[]), volume(&format!("{STACK}_data"), Some(STACK), &[])];
        let found = keeping(&stack(), &mounts, &volumes, &["media".to_owned()]);
        assert_eq!((found.shared, found.lost), (vec!["media".to_owned()], vec![]));
        assert_eq!(found.keep, [format!("{STACK}_data")]);
        // A path stands for all below it, also where a driver's options name it.
        let own = format!("{STACK}_data");
        let folder = [volume(&own, Some(STACK), &[("type", "none"), ("device", "/srv/media/films")])];
        let mounts = [mount(MountedKind::Bind, "/srv/media/x"), mount(MountedKind::Volume, &own)];
        let found = keeping(&stack(), &mounts, &folder, &["/srv/media".to_owned()]);
        assert_eq!((found.keep, found.lost), (vec![], vec![]));
        assert_eq!(found.shared, ["/srv/media/x".to_owned(), own.clone()]);
        let near =
            keeping(&stack(), &[mount(MountedKind::Bind, "/srv/media2")], &[], &["/srv/media".to_owned()]);
        assert_eq!((near.shared.len(), near.lost.len()), (0, 1));
    }

    #[test]
    fn what_nobody_mounts_any_more_is_kept_where_it_can_be() {
        let name = |short: &str| format!("{STACK}_{short}");
        let folder = [("type", "none"), ("device", "/srv/x")];
        let volumes = [
            volume(&name("old"), Some(STACK), &[]),
            volume(&name("bound"), Some(STACK), &folder),
            volume("media", Some(STACK), &[]),
            volume("warm-blog_lab_testing_x", None, &[]),
        ];
        let found = keeping(&stack(), &[], &volumes, &[]);
        let named = |short: &str| vec![name(short).parse().unwrap()];
        assert_eq!((found.keep, found.passing), (named("old"), named("bound")));
        assert_eq!((found.lost, found.shared), (vec![], vec![]));
    }

    fn any_mount() -> impl Strategy<Value = Mounted> {
        let kinds = [MountedKind::Volume, MountedKind::Bind, MountedKind::Memory, MountedKind::Other];
        let source = prop_oneof![
            Just(String::new()),
            Just(format!("{STACK}_a")),
            Just(format!("{STACK}_b")),
            Just("media".to_owned()),
        ];
        (0..4_usize, source, any::<bool>(), any::<bool>()).prop_map(move |(kind, source, writable, away)| {
            Mounted { writable, elsewhere: away.then(|| "n".to_owned()), ..mount(kinds[kind], &source) }
        })
    }

    fn any_volume(name: String) -> impl Strategy<Value = VolumeInfo> {
        let label = prop_oneof![Just(None), Just(Some(STACK)), Just(Some("else"))];
        let options = prop_oneof![
            Just(vec![]),
            Just(vec![("type", "tmpfs"), ("device", "tmpfs")]),
            Just(vec![("type", "none"), ("device", "/x")]),
        ];
        (label, options).prop_map(move |(label, options)| volume(&name, label, &options))
    }

    proptest! {
        /// Nothing that is written to goes unmentioned: it is kept, holds nothing, is declared, or is told.
        #[test]
        fn r18_whatever_is_written_to_is_accounted_for(
            mounts in proptest::collection::vec(any_mount(), 0..6),
            a in any_volume(format!("{STACK}_a")),
            b in any_volume(format!("{STACK}_b")),
            share in any::<bool>(),
        ) {
            let shares: Vec<String> = share.then(|| "media".to_owned()).into_iter().collect();
            let volumes = [a, b];
            let found = keeping(&stack(), &mounts, &volumes, &shares);
            // What is kept is ours by name and by label, on this node, and can be brought back.
            for name in &found.keep {
                let volume = volumes.iter().find(|volume| volume.name == *name).unwrap();
                prop_assert!(name.is_named_after(&stack()) && volume.is_of(&stack()));
                prop_assert_eq!(lasting(&volume.driver, &volume.options), Lasting::WithVolume);
            }
            for mount in mounts.iter().filter(|mount| mount.writable && mount.kind != MountedKind::Memory) {
                let named = [&found.keep, &found.passing].into_iter().flatten().any(|name| mount.source == *name);
                let listed = named || found.shared.contains(&mount.source);
                let told = !found.lost.is_empty();
                let nameless = mount.kind == MountedKind::Volume && mount.source.is_empty();
                prop_assert!(listed || told || nameless, "{:?} in {:?}", mount, found);
            }
            // What is shared is nothing else.
            prop_assert!(found.shared.iter().all(|name| !found.keep.iter().any(|kept| *name == *kept) && shares.contains(name)));
        }
    }
}
