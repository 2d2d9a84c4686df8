//! `down` and `reset`: only what the lab's records and labels name is stopped or removed, and nothing while a run is
//! under way. An engine or swarm that the lab made stays as long as anybody else uses it.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::time::Duration;

use ccci_core::atomic::{self, PathContext as _, PathError};
use ccci_core::canonical::Canonical;
use ccci_core::lock::{self, Lock, LockError};
use ccci_core::names::StackName;
use ccci_core::record::{self, RecordState, RunRecord};
use ccci_core::swarm::{Extra, Limits, Swarm, ToRemove};
use ccci_core::wait::CancellationToken;
use serde::Serialize;

use super::{LabError, USE};
use crate::engine::neighbours::{self, Proxy};
use crate::engine::{self, EngineOptions, Owned};
use crate::holders::{sharers, someone};
use crate::keycloak;
use crate::layout::{BASE_DOMAIN, LabLayout, PROXY_NETWORK};
use crate::names;
use crate::standing::StandingError;
use crate::traefik;
use crate::work::{Sink, Work, accepted};

/// How long somebody who uses the lab without a run is waited for.
const PATIENCE: Duration = Duration::from_secs(5);
/// How long the removal of one stack may take.
const REMOVAL: Duration = Duration::from_secs(120);

/// What `down` or `reset` did, in words for its caller.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Left {
    /// What was stopped or removed.
    pub removed: Vec<String>,
    /// What stays although the lab made it, and why.
    pub kept: Vec<String>,
}

/// Stops the lab: its stacks, its name server, and the engine if the lab started it and nobody else uses it. Data,
/// images and run records stay.
pub async fn down(
    layout: &LabLayout,
    options: &EngineOptions,
    progress: Sink<'_>,
    cancel: CancellationToken,
) -> Result<Left, LabError> {
    leave(&Work { layout, progress, cancel }, options, None).await
}

/// Stops the lab and removes what it made: also volumes, secrets, catalogue, settings and run records. Built images
/// and the authority stay unless `images` is set.
pub async fn reset(
    layout: &LabLayout,
    options: &EngineOptions,
    images: bool,
    progress: Sink<'_>,
    cancel: CancellationToken,
) -> Result<Left, LabError> {
    leave(&Work { layout, progress, cancel }, options, Some(Reset { images })).await
}

#[derive(Clone, Copy)]
struct Reset {
    images: bool,
}

async fn leave(work: &Work<'_>, options: &EngineOptions, reset: Option<Reset>) -> Result<Left, LabError> {
    let layout = work.layout;
    if !layout.root().is_dir() {
        return Err(LabError::Absent { root: layout.root().to_owned() });
    }
    super::admit_user(layout.root())?;
    let _lock = work.lock("lab").await?;
    // Runs that have a name are told by it, at once.
    refuse_in_use(layout)?;
    let command = if reset.is_some() { "lab reset" } else { "lab down" };
    let _alone = alone(work, "the lab", layout.lock(USE), command).await?;
    // A run may have begun meanwhile by settings of its own.
    refuse_in_use(layout)?;
    let keycloak = keycloak::RECIPE;
    let _provider = alone(work, "the lab's Keycloak", layout.provider_lock(keycloak), command).await?;
    let socket = engine::decide::socket_path(options.docker_host.as_deref());
    let mut left = Left::default();
    if reset.is_some() && engine::record::read(layout)?.made_the_engine() {
        // What the lab left in its own engine can only be removed while that runs.
        engine::ready(work, &EngineOptions { insist: true, ..options.clone() }).await?;
    }
    if engine::decide::ping(&socket).await == engine::Socket::Answers {
        clear(work, reset, &mut left).await?;
        shut(work, &socket, reset.is_some(), &mut left).await?;
    } else if reset.is_some() {
        left.kept.push("what the lab left in the engine, which does not run".to_owned());
    }
    if let Some(reset) = reset {
        files(layout, reset, &mut left).await?;
    }
    Ok(left)
}

/// Takes what others share alone. A process that has just brought the lab up shares it before it has a run.
async fn alone(work: &Work<'_>, what: &str, path: PathBuf, command: &str) -> Result<Lock, LabError> {
    let me = someone(command);
    let users = || sharers(&path).unwrap_or_else(|| "another process".to_owned());
    let mut tell = |_: &str| work.note(format!("waiting for {what}: in use by {}", users()));
    let paths = [path.clone()];
    let wanted = lock::Wanted { what, paths: &paths, patience: PATIENCE, cancel: &work.cancel };
    let taken = lock::take_any(&wanted, &me, &mut tell).await;
    taken.map_err(|error| match error {
        LockError::Busy { .. } => LabError::InUse { what: what.to_owned(), holder: users() },
        other => other.into(),
    })
}

/// Runs hold kernel locks in the state directory.
fn refuse_in_use(layout: &LabLayout) -> Result<(), LabError> {
    let mut locks: Vec<PathBuf> =
        record::run_dirs(&layout.state().join("runs"))?.iter().map(|dir| record::lock_path(dir)).collect();
    locks.extend(entries(&layout.state().join("locks"))?);
    for path in locks {
        if lock::is_held(&path)? {
            return Err(LabError::InUse { what: "the lab".to_owned(), holder: lock::holder(&path) });
        }
    }
    Ok(())
}

fn entries(dir: &std::path::Path) -> Result<Vec<PathBuf>, PathError> {
    match std::fs::read_dir(dir) {
        Ok(entries) => Ok(entries.flatten().map(|entry| entry.path()).collect()),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(Vec::new()),
        Err(error) => Err(error).path("read", dir),
    }
}

/// Removes the lab's stacks and its name server; on a reset also their data, the network and the images.
async fn clear(work: &Work<'_>, reset: Option<Reset>, left: &mut Left) -> Result<(), LabError> {
    let proxy = neighbours::proxy(work).await?;
    let services = engine::services::services(work).await?;
    let running = neighbours::removable(&services, proxy.our_id());
    let owned = engine::record::read(work.layout)?;
    let stacks =
        if reset.is_some() { recorded(work.layout, running, kept_is_ours(&owned, &proxy))? } else { running };
    if !stacks.is_empty() {
        let swarm = Swarm::connect().await?;
        for name in &stacks {
            let Ok(stack) = name.parse::<StackName>() else { continue };
            let what = format!("stack {stack}");
            work.step(what, remove(work, &swarm, &stack, reset.is_some(), left)).await?;
        }
    }
    if reset.is_some() && owned.apps && left.kept.is_empty() {
        engine::record::update(work.layout, |owned| owned.apps = false)?;
    }
    if names::remove(work).await? {
        left.removed.push("the name server".to_owned());
    }
    if reset.is_some() && proxy.our_id().is_some() {
        let output = work.docker_output(["network", "rm", PROXY_NETWORK]).await?;
        let (list, text) = if output.ok() {
            (&mut left.removed, format!("the network {PROXY_NETWORK}"))
        } else {
            (&mut left.kept, format!("the network {PROXY_NETWORK}: {}", output.tail(1)))
        };
        list.push(text);
    }
    if reset.is_some_and(|reset| reset.images) {
        remove_images(work, left).await?;
    }
    Ok(())
}

/// Whether the stacks of Traefik and Keycloak, or what they left, are this lab's. All labs call them the same, so the
/// network decides; where there is none, the record of having brought them up.
fn kept_is_ours(owned: &Owned, proxy: &Proxy) -> bool {
    match proxy {
        Proxy::Ours(_) => true,
        Proxy::Absent => owned.apps,
        Proxy::Foreign(_) => false,
    }
}

/// All stacks that may have left something: those that run, Traefik's and Keycloak's if they are ours, and those of runs
/// that died.
fn recorded(layout: &LabLayout, running: BTreeSet<String>, kept: bool) -> Result<BTreeSet<String>, LabError> {
    let mut stacks = running;
    if kept {
        for domain in [traefik::domain(), keycloak::domain()] {
            stacks.insert(domain.map_err(StandingError::from)?.stack().to_string());
        }
    }
    for dir in record::run_dirs(&layout.state().join("runs"))? {
        // A record that cannot be read names nothing, and what a clean one named was looked for already.
        if let Ok(Some(record)) = RunRecord::load(&dir)
            && record.state == RecordState::Open
        {
            stacks.extend(record.apps().map(|app| app.stack.to_string()));
        }
    }
    // Kept apps are undeployed most of the time, and what is left of them then has no service.
    let base = BASE_DOMAIN.parse().map_err(StandingError::from)?;
    let canonicals = if kept { Canonical::all(&base, &layout.state())? } else { Vec::new() };
    stacks.extend(canonicals.iter().map(|canonical| canonical.domain.stack().to_string()));
    Ok(stacks)
}

async fn remove(
    work: &Work<'_>,
    swarm: &Swarm,
    stack: &StackName,
    data: bool,
    left: &mut Left,
) -> Result<(), LabError> {
    let extra = if data { swarm.secrets_by_name(stack).await? } else { Extra::default() };
    let plan = ToRemove { extra, secrets: data, volumes: data, hurry: true, ..ToRemove::default() };
    let removal = swarm.remove_stack(stack, &plan, &Limits::new(REMOVAL, work.cancel.clone())).await?;
    left.removed.extend(removal.removed.iter().map(ToString::to_string));
    left.kept.extend(removal.left());
    Ok(())
}

async fn remove_images(work: &Work<'_>, left: &mut Left) -> Result<(), LabError> {
    let filter = format!("label={}", work.layout.label());
    let format = "{{.Repository}}:{{.Tag}}";
    let listed = work.docker(["image", "ls", "--filter", &filter, "--format", format]).await?;
    // By name, not by id: an image that others tagged too keeps their names.
    let ours: Vec<&str> = listed.lines().filter(|name| name.starts_with(crate::images::PREFIX)).collect();
    if ours.is_empty() {
        return Ok(());
    }
    let output = work.docker_output(["image", "rm"].into_iter().chain(ours.iter().copied())).await?;
    left.removed.push(format!("{} image tags", ours.len()));
    if !output.ok() {
        left.kept.push(format!("some images: {}", output.tail(3)));
    }
    Ok(())
}

/// Leaves the swarm and stops the engine, where they are the lab's and nobody else uses them.
async fn shut(
    work: &Work<'_>,
    socket: &std::path::Path,
    reset: bool,
    left: &mut Left,
) -> Result<(), LabError> {
    let owned = engine::record::read(work.layout)?;
    if owned.started.is_none() && !owned.swarm {
        return Ok(());
    }
    let mut others: Vec<String> =
        engine::services::services(work).await?.into_iter().map(|s| s.name).collect();
    others.extend(work.docker(["ps", "--format", "{{.Names}}"]).await?.lines().map(str::to_owned));
    if !others.is_empty() {
        others.truncate(3);
        left.kept.push(format!("the engine and its swarm, which others use ({}, …)", others.join(", ")));
        return Ok(());
    }
    if reset && owned.swarm {
        leave_swarm(work, left).await?;
    }
    if engine::stop(work, socket).await? {
        left.removed.push("the engine's process".to_owned());
    }
    Ok(())
}

/// Leaves the swarm, which takes all that it holds with it: only when that is nothing.
async fn leave_swarm(work: &Work<'_>, left: &mut Left) -> Result<(), LabError> {
    let lists: [(&str, &[&str]); 3] = [
        ("network", &["network", "ls", "--filter", "scope=swarm", "--filter", "type=custom"]),
        ("secret", &["secret", "ls"]),
        ("config", &["config", "ls"]),
    ];
    let ours = neighbours::proxy(work).await?.our_id().is_some();
    let mut held = Vec::new();
    for (kind, list) in lists {
        let output = work.docker_output(list.iter().chain(&["--format", "{{.Name}}"])).await?;
        if !output.ok() && output.stderr.contains("not a swarm manager") {
            // Somebody has left it already.
            return Ok(engine::record::update(work.layout, |owned| owned.swarm = false)?);
        }
        held.extend(held_by_swarm(kind, &accepted(output)?, ours));
    }
    if !held.is_empty() {
        held.truncate(3);
        left.kept.push(format!("the swarm, which holds what is not the lab's ({}, …)", held.join(", ")));
        return Ok(());
    }
    work.docker(["swarm", "leave", "--force"]).await?;
    engine::record::update(work.layout, |owned| owned.swarm = false)?;
    left.removed.push("the swarm".to_owned());
    Ok(())
}

/// What of a list of the swarm's things keeps the lab from leaving it. All that is the lab's has been removed before,
/// except perhaps its network.
fn held_by_swarm(kind: &str, names: &str, our_proxy: bool) -> Vec<String> {
    let own = |name: &&str| kind == "network" && (*name == "ingress" || our_proxy && *name == PROXY_NETWORK);
    names.lines().filter(|name| !own(name)).map(|name| format!("{kind} {name}")).collect()
}

/// The directories that a reset removes.
pub(super) fn dirs(layout: &LabLayout, images: bool) -> Vec<PathBuf> {
    let mut dirs = vec![layout.state(), layout.catalogue(), layout.abra(), layout.bin()];
    if images {
        dirs.extend([layout.build(), layout.ca()]);
    }
    dirs
}

/// Removes the lab's files; the record of what was installed stays for whoever wants to undo that too.
async fn files(layout: &LabLayout, reset: Reset, left: &mut Left) -> Result<(), PathError> {
    atomic::remove_file(&layout.settings())?;
    for dir in dirs(layout, reset.images) {
        atomic::remove_tree(&dir).await?;
        left.removed.push(dir.display().to_string());
    }
    let installed = engine::record::read(layout)?.installed;
    if !installed.is_empty() {
        let names = installed.into_iter().collect::<Vec<_>>().join(" ");
        left.kept.push(format!("the packages that the lab installed: {names}"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::work::Progress;
    use ccci_core::lock::Holder;

    #[tokio::test]
    async fn nothing_is_taken_down_under_a_run() {
        let dir = tempfile::tempdir().unwrap();
        let layout = LabLayout::new(dir.path());
        let me = Holder { run: "a1b2c3".into(), recipe: "custom-html".into(), pid: 1, since: "now".into() };
        let slot = Lock::try_take(&layout.state().join("locks/slot-0"), &me).unwrap();
        let options = EngineOptions { docker_host: Some("unix:///nowhere".into()), insist: false };
        let error = down(&layout, &options, &|_| {}, CancellationToken::new()).await.unwrap_err();
        assert!(error.is_busy() && error.to_string().contains("run a1b2c3 of custom-html"), "{error}");
        drop(slot);
        // Not under whoever only uses its Keycloak (S6).
        let provider = Lock::try_share(&layout.provider_lock(keycloak::RECIPE)).unwrap();
        let end = CancellationToken::new();
        let waiting = |progress: Progress| {
            if matches!(progress, Progress::Note(text) if text.contains("waiting for the lab's Keycloak")) {
                end.cancel();
            }
        };
        let error = down(&layout, &options, &waiting, end.clone()).await.unwrap_err();
        assert!(end.is_cancelled(), "it did not wait: {error}");
        drop(provider);
        assert_eq!(
            down(&layout, &options, &|_| {}, CancellationToken::new()).await.unwrap(),
            Left::default()
        );
    }

    /// Between bringing the lab up and its first lock, a run has no name yet.
    #[tokio::test]
    async fn nothing_is_taken_down_under_a_process_that_is_about_to_run() {
        let dir = tempfile::tempdir().unwrap();
        let layout = LabLayout::new(dir.path());
        let held = [super::super::hold(&layout).unwrap(), super::super::hold(&layout).unwrap()];
        let options = EngineOptions { docker_host: Some("unix:///nowhere".into()), insist: false };
        let ends = reset(&layout, &options, false, &|_| {}, CancellationToken::new());
        let error = ends.await.unwrap_err();
        let me = format!("the lab is in use by process {0}, {0}", std::process::id());
        assert!(error.is_busy() && error.to_string().contains(&me), "{error}");
        drop(held);
        let work = Work::quiet(&layout);
        let alone = alone(&work, "the lab", layout.lock(USE), "lab down").await.unwrap();
        let error = super::super::hold(&layout).unwrap_err();
        assert!(error.is_busy() && error.to_string().contains("lab down (process"), "{error}");
        drop(alone);
    }

    #[tokio::test]
    async fn a_reset_removes_the_labs_files_and_keeps_what_is_dear() {
        let dir = tempfile::tempdir().unwrap();
        let layout = LabLayout::new(dir.path());
        for name in ["state/runs/a1b2c3", "catalogue", "abra", "bin", "build", "ca", "engine", "not-ours"] {
            atomic::create_dir(&layout.root().join(name)).unwrap();
        }
        let options = EngineOptions { docker_host: Some("unix:///nowhere".into()), insist: false };
        let stay = |names: &[&str]| names.iter().all(|name| layout.root().join(name).exists());
        reset(&layout, &options, false, &|_| {}, CancellationToken::new()).await.unwrap();
        assert!(
            stay(&["build", "ca", "not-ours"]) && !layout.state().exists() && !layout.catalogue().exists()
        );
        reset(&layout, &options, true, &|_| {}, CancellationToken::new()).await.unwrap();
        assert!(stay(&["not-ours"]) && !layout.build().exists() && !layout.ca().exists());
    }

    #[test]
    fn the_traefik_and_the_keycloak_of_another_lab_are_not_ours() {
        let (ours, foreign) = (Proxy::Ours("x".into()), Proxy::Foreign(serde_json::Value::Null));
        for (recorded, proxy, expected) in [
            (false, &ours, true),
            (true, &ours, true),
            (true, &Proxy::Absent, true),
            (false, &Proxy::Absent, false),
            (true, &foreign, false),
            (false, &foreign, false),
        ] {
            let owned = Owned { apps: recorded, ..Owned::default() };
            assert_eq!(kept_is_ours(&owned, proxy), expected, "{recorded} {proxy:?}");
        }
        let dir = tempfile::tempdir().unwrap();
        let layout = LabLayout::new(dir.path());
        let stacks = |kept| recorded(&layout, BTreeSet::from(["a_lab_test".to_owned()]), kept).unwrap();
        assert_eq!(stacks(false).len(), 1);
        assert!(stacks(true).iter().eq(["a_lab_test", "traefik_lab_test", "warm-keycloak_lab_test"]));
    }

    #[test]
    fn a_swarm_with_anything_of_others_is_not_left() {
        for (kind, names, our_proxy, held) in [
            ("network", "ingress\nproxy\n", true, ""),
            ("network", "ingress\nproxy\n", false, "network proxy"),
            ("network", "ingress\nshop_default\n", true, "network shop_default"),
            ("secret", "shop_password\nproxy\n", true, "secret shop_password, secret proxy"),
            ("config", "shop_conf\n", true, "config shop_conf"),
            ("config", "", true, ""),
        ] {
            assert_eq!(held_by_swarm(kind, names, our_proxy).join(", "), held, "{kind}");
        }
    }

    #[tokio::test]
    async fn without_a_lab_there_is_nothing_to_leave() {
        let layout = LabLayout::new("/nowhere/at/all");
        let error =
            down(&layout, &EngineOptions::default(), &|_| {}, CancellationToken::new()).await.unwrap_err();
        assert!(error.is_refusal() && error.to_string().contains("ccci lab up"), "{error}");
    }
}
