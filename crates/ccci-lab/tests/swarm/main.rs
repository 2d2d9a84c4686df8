//! The observation of stacks against a real engine: small stacks of one shell each, deployed as abra would, watched,
//! and taken away again. Every stack's name begins with `swt-`.
#![expect(
    clippy::unwrap_used,
    clippy::print_stderr,
    reason = "a panic is a failure; what took how long is printed"
)]

mod stage;

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use ccci_core::exec::{Command, Input};
use ccci_core::health::{ProbeFailure, Prober, Site};
use ccci_core::names::StackName;
use ccci_core::secret::{Redactor, Secret};
use ccci_core::swarm::{
    Certain, Converged, Expectation, Extra, Fault, Hindered, Kind, Limits, Moved, NotMoved, StackFacts,
    Swarm, SwarmError, ToRemove, Undeployed, WaitFailure, moved,
};
use ccci_core::wait::{self, CancellationToken};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::Notify;

use crate::stage::{IMAGE, SERVER, Stage, docker, limits};

const SLEEPER: &str = "while :; do sleep 0.2; done";

fn certain(result: Result<Converged, WaitFailure>) -> Certain {
    match result {
        Err(WaitFailure::Certain(certain)) => certain,
        other => panic!("not a certain failure: {other:?}"),
    }
}

fn prober(stage: &Stage) -> Prober {
    let (origin, stack) = ("https://app.example.test".to_owned(), stage.stack.clone());
    let site = Site { origin, address: None, ca_file: None, stack };
    Prober::new(site, stage.swarm.clone(), Redactor::default()).unwrap()
}

const QUICK: &str = "      restart_policy: {delay: 1s}\n";

/// Failure 10: undeployed means that no service, task, container or network of the stack is left.
#[tokio::test(flavor = "multi_thread")]
async fn failure_10_a_stack_converges_with_its_one_shot_and_is_proved_undeployed() {
    let stage = Stage::new("plain").await;
    let app = stage.service("app", "0", SERVER, "    volumes: [\"data:/data\"]\n");
    let setup =
        stage.service("setup", "0", "sleep 1; echo made", "      restart_policy: {condition: none}\n");
    let converged = stage.converge(&[app, setup]).await.unwrap();
    assert_eq!(converged.faults, []);
    assert_eq!(converged.facts.volumes, [stage.stack.scoped("data")]);
    assert_eq!(converged.facts.service("app").unwrap().volumes, [stage.stack.scoped("data")]);
    assert!(stage.swarm.stacks().await.unwrap().contains(&stage.stack.to_string()));

    // A stranger's container on the volume, never even started, keeps the stack from being undeployed.
    let volume = format!("{}:/data", stage.stack.scoped("data"));
    let made = Command::new("docker").args(["create", "-v", &volume, IMAGE, "true"]).run().await.unwrap();
    let stranger = made.stdout.trim().to_owned();
    let mut watch = stage.swarm.watch(&stage.stack).await.unwrap();
    docker(&["stack", "rm", stage.stack.as_str()]).await;
    let early = watch.until_undeployed(&[], false, &limits(15), |_| {}).await.unwrap_err();
    assert!(
        matches!(&early, WaitFailure::Deadline { on, .. } if on.iter().all(|o| o.contains("uses"))),
        "{early}"
    );
    let proof: Undeployed =
        watch.until_undeployed(std::slice::from_ref(&stranger), false, &limits(15), |_| {}).await.unwrap();
    assert_eq!(proof.stack(), &stage.stack);
    // The volume is neither forced away nor lost from the list of what is left.
    let plan = ToRemove { volumes: true, ..ToRemove::default() };
    let removal = stage.swarm.remove_stack(&stage.stack, &plan, &limits(2)).await.unwrap();
    assert!(removal.remaining.iter().any(|(item, why)| item.kind == Kind::Volume && why.contains("uses it")));
    docker(&["rm", &stranger]).await;
    let proof = watch.until_undeployed(&[], false, &limits(15), |_| {}).await.unwrap();
    assert_eq!(proof.volumes(), [stage.stack.scoped("data")]);
    stage.remove().await;
    assert!(stage.swarm.inventory(&stage.stack, &Extra::default()).await.unwrap().is_empty());
}

/// R17: no registry can be asked here, so nobody has said that the image does not exist.
#[tokio::test(flavor = "multi_thread")]
async fn an_image_that_is_not_there_fails_at_once() {
    let stage = Stage::new("absent").await;
    let start = Instant::now();
    let app = stage.service("app", "0", SERVER, "").replace(IMAGE, "ccci-lab/never-built:1");
    let failure = stage.converge(&[app]).await.unwrap_err();
    assert!(matches!(failure, WaitFailure::Server(Hindered::NoImage { .. })), "{failure}");
    assert!(failure.to_string().contains("No such image"), "{failure}");
    assert!(start.elapsed() < Duration::from_secs(20), "{:?}", start.elapsed());
    stage.remove().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn failure_51_a_crash_loop_is_certain_within_60_s_and_diagnosed() {
    let stage = Stage::new("loop").await;
    let app = stage.service("app", "0", "echo canary-4711 no database >&2; exit 3", QUICK);
    let db = stage.service("db", "0", SERVER, "");
    let start = Instant::now();
    let failure = certain(stage.converge(&[app, db]).await);
    let Certain::CrashLoop { service, log, last, times } = &failure else { panic!("{failure}") };
    assert_eq!((service.as_str(), last.as_str()), ("app", "non-zero exit (3)"));
    assert!(*times >= 3 && start.elapsed() < Duration::from_secs(75), "{times} in {:?}", start.elapsed());
    assert!(log.iter().any(|line| line.contains("no database")), "{log:?}");

    let redactor = Redactor::default();
    redactor.learn(&Secret::new("canary-4711".into()));
    let diagnosis = stage.swarm.diagnose(&stage.stack, &redactor).await.unwrap();
    let text = diagnosis.to_string();
    assert!(text.contains("app.1 Failed") && text.contains("[redacted] no database"), "{text}");
    assert!(!text.contains("canary-4711"), "{text}");
    stage.remove().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_that_dies_until_its_database_is_up_is_a_fault_and_no_failure() {
    let stage = Stage::new("twice").await;
    let app = stage.service(
        "app",
        "0",
        &format!("[ -e /data/up ] || {{ echo no database yet; exit 1; }}; {SERVER}"),
        QUICK,
    );
    let db = stage.service("db", "0", &format!("sleep 4; touch /data/up; {SERVER}"), "");
    let data = "    volumes: [\"data:/data\"]\n";
    let converged = stage.converge(&[format!("{app}{data}"), format!("{db}{data}")]).await.unwrap();
    let [fault @ Fault::Restarts { service, times, .. }] = converged.faults.as_slice() else {
        panic!("{:?}", converged.faults)
    };
    assert!(service == "app" && *times >= 2, "{service} {times}");
    assert!(fault.to_string().ends_with("; its last log line: no database yet"), "{fault}");
    stage.remove().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn failure_18_a_rollback_that_reverts_the_label_is_a_failed_update() {
    let stage = Stage::new("roll").await;
    let update = "      update_config: {order: start-first, failure_action: rollback, monitor: 2s}\n";
    let (old, new) = ("1111111111", "2222222222");
    let before = stage.converge(&[stage.service("app", old, SERVER, update)]).await.unwrap().facts;
    let failure = certain(stage.converge(&[stage.service("app", new, "exit 7", update)]).await);
    assert!(matches!(&failure, Certain::RolledBack { last, .. } if last == "non-zero exit (7)"), "{failure}");
    // The old task is up all the while, under the old label.
    let after = stage.swarm.observe(&stage.stack).await.unwrap();
    let key = format!("coop-cloud.{}.chaos-version", stage.stack);
    assert_eq!(after.label(&key), Some(old));
    assert!(matches!(moved(&before, &after, new), Err(NotMoved::RolledBack { .. })));
    stage.remove().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn failure_20_a_paused_update_that_heals_is_converged_and_moved() {
    let stage = Stage::new("pause").await;
    let data = "    volumes: [\"data:/data\"]\n";
    let service =
        |commit: &str, script: &str| format!("{}{data}", stage.service("app", commit, script, QUICK));
    let before = stage.converge(&[service("1111111111", SERVER)]).await.unwrap().facts;
    let dies_twice = format!("echo x >>/data/n; [ $(wc -l </data/n) -gt 2 ] || exit 9; {SERVER}");
    let second = stage.converge(&[service("2222222222", &dies_twice)]).await.unwrap();
    let paused = second.faults.iter().any(|f| matches!(f, Fault::PausedUpdate { .. }));
    assert!(paused, "{:?}", second.faults);
    assert_eq!(moved(&before, &second.facts, "2222222222"), Ok(Moved::Services(vec!["app".into()])));
    // A change of labels alone restarts nothing.
    let third = stage.converge(&[service("3333333333", &dies_twice)]).await.unwrap();
    assert_eq!(moved(&second.facts, &third.facts, "3333333333"), Ok(Moved::LabelsOnly));
    assert_eq!(third.faults, []);
    stage.remove().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn r6_a_change_of_placement_alone_keeps_the_task_and_has_moved() {
    let stage = Stage::new("place").await;
    let placed = |commit: &str, constraint: &str| {
        let placement = format!("      placement: {{constraints: [\"{constraint}\"]}}\n");
        stage.service("app", commit, SERVER, &placement)
    };
    let before = stage.converge(&[stage.service("app", "1111111111", SERVER, "")]).await.unwrap().facts;
    let after = stage.converge(&[placed("2222222222", "node.role == manager")]).await.unwrap();
    assert_eq!(after.facts.tasks.len(), 1, "swarm has kept the task: {:?}", after.facts.tasks);
    assert_eq!(moved(&before, &after.facts, "2222222222"), Ok(Moved::Services(vec!["app".into()])));
    // One that its node does not meet is no kept one: swarm stops it and finds no other place.
    let failure = stage.converge(&[placed("3333333333", "node.labels.none == such")]).await.unwrap_err();
    assert!(matches!(&failure, WaitFailure::Server(Hindered::NoLabel { .. })), "{failure}");
    stage.remove().await;
}

/// What a job did for the deploy before is not what this deploy has started.
#[tokio::test(flavor = "multi_thread")]
async fn a_job_is_done_when_its_present_iteration_is() {
    let stage = Stage::new("job").await;
    let job = |commit: &str| {
        let mode = "      mode: replicated-job\n      restart_policy: {condition: none}\n";
        stage.service("app", commit, "sleep 3; echo done", mode).replace("      endpoint_mode: dnsrr\n", "")
    };
    let first = stage.converge(&[job("1111111111")]).await.unwrap();
    let again = stage.converge(&[job("2222222222")]).await.unwrap();
    // Swarm keeps the tasks of jobs that are long gone.
    let ended = |facts: &StackFacts| {
        facts.tasks_of(facts.service("app").unwrap()).filter(|t| t.exit_code == Some(0)).count()
    };
    assert_eq!((ended(&first.facts), ended(&again.facts)), (1, 2));
    stage.remove().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn failure_34_a_command_in_a_service_gives_its_exit_code() {
    let stage = Stage::new("exec").await;
    stage.converge(&[stage.service("app", "0", SERVER, "")]).await.unwrap();
    let run = |script: &str| {
        let argv = ["sh", "-c", script].map(str::to_owned);
        let (swarm, stack) = (stage.swarm.clone(), stage.stack.clone());
        async move { swarm.exec(&stack, "app", &argv, Duration::from_secs(5)).await }
    };
    let done = run("echo out; echo err >&2; exit 5").await.unwrap();
    assert_eq!((done.code, done.stdout.as_str(), done.stderr.as_str()), (5, "out\n", "err\n"));
    assert!(matches!(run("sleep 60").await, Err(SwarmError::Timeout { .. })));
    assert_eq!(run("yes | head -c 1000000").await.unwrap().stdout.len(), 64 << 10);
    let prober = prober(&stage);
    let ask = |yaml: &str| ccci_core::yaml::parse(Path::new("probe"), yaml).unwrap();
    let good = ask("command: {service: app, argv: [sh, -c, echo hello], text: hello}");
    prober.once(&good).await.unwrap();
    for (yaml, why) in [
        ("command: {service: app, argv: [sh, -c, echo sorry >&2; exit 3]}", "exit code 3: sorry"),
        ("command: {service: app, argv: [echo, hello], text: bye}", "its output has no `bye`: hello"),
        ("command: {service: db, argv: [true]}", "the recipe has no service `db`; it has app"),
    ] {
        let error = prober.once(&ask(yaml)).await.unwrap_err();
        assert!(matches!(&error, ProbeFailure::Wrong { why: w, .. } if w.contains(why)), "{error}");
    }
    let absent = stage.swarm.exec(&stage.stack, "db", &["true".to_owned()], Duration::from_secs(5)).await;
    assert!(matches!(absent, Err(SwarmError::NoService { .. })));
    stage.remove().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_crash_loop_that_begins_after_convergence_ends_what_is_guarded() {
    let stage = Stage::new("guard").await;
    let app = stage.service("app", "0", "sleep 4; exit 3", QUICK);
    let mut watch = stage.swarm.watch(&stage.stack).await.unwrap();
    stage.deploy(&[app]).await;
    let expect = Expectation::default();
    watch.until_converged(&expect, &limits(30), |_| {}).await.unwrap();
    // Stands for a probe that will never hold.
    let probe = std::future::pending::<()>();
    let failure = watch.guard(&expect, &limits(120), probe).await.unwrap_err();
    assert!(matches!(&failure, WaitFailure::Certain(Certain::CrashLoop { .. })), "{failure}");
    stage.remove().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn direct_stopping_spares_swarms_own_pauses_and_keeps_the_services_grace() {
    let stage = Stage::new("hurry").await;
    let undeploy = async |seconds: u32| {
        // The engine's own patience is ten seconds; the service asks for more. Swarm's signal follows ours.
        let script = format!(
            "trap 'trap : TERM; sleep {seconds}; echo saved {seconds} >/data/saved; exit 0' TERM; {SLEEPER}"
        );
        let app = stage.service("app", "0", &script, "").replace("period: 3s", "period: 30s");
        stage.converge(&[format!("{app}    volumes: [\"data:/data\"]\n")]).await.unwrap();
        let mut watch = stage.swarm.watch(&stage.stack).await.unwrap();
        let start = Instant::now();
        docker(&["stack", "rm", stage.stack.as_str()]).await;
        watch.until_undeployed(&[], true, &limits(45), |_| {}).await.unwrap();
        let took = start.elapsed();
        let volume = format!("{}:/data", stage.stack.scoped("data"));
        let kept = docker(&["run", "--rm", "-v", &volume, IMAGE, "cat", "/data/saved"]).await;
        assert_eq!(kept, format!("saved {seconds}"));
        took
    };
    eprintln!("undeployed after {:?}", undeploy(0).await);
    eprintln!("undeployed after {:?}, with an app that needs at least 11 s to stop", undeploy(11).await);
    stage.remove().await;
}

/// Failure 14: a volume that no container uses is not free to be taken.
#[tokio::test(flavor = "multi_thread")]
async fn failure_14_removal_takes_labels_and_exact_names_and_nothing_else() {
    let stage = Stage::new("own").await;
    let neighbour: StackName = "swt-own2".parse().unwrap();
    let secret = |name: &str| {
        let command = Command::new("docker").args(["secret", "create", name, "-"]);
        let command = command.input(Input::Text(Secret::new("value".into())));
        async move { command.run().await.unwrap() }
    };
    let (ours, theirs) = (stage.stack.scoped("db_v1"), neighbour.scoped("db_v1"));
    for name in [&ours, &theirs] {
        secret(name).await;
    }
    docker(&["volume", "create", "--label", "com.docker.stack.namespace=swt-own2", "swt-own2_data"]).await;
    stage
        .converge(&[format!("{}    volumes: [\"data:/data\"]\n", stage.service("app", "0", SERVER, ""))])
        .await
        .unwrap();
    let found = stage.swarm.secrets_by_name(&stage.stack).await.unwrap();
    assert_eq!(found.secrets, [ours]);
    let left = stage.swarm.inventory(&stage.stack, &found).await.unwrap();
    let count = |kind| left.items.iter().filter(|i| i.kind == kind).count();
    let kinds = [Kind::Service, Kind::Container, Kind::Network, Kind::Secret, Kind::Volume];
    assert_eq!(kinds.map(count), [1, 1, 1, 1, 1], "{left:?}");
    let plan =
        ToRemove { extra: found.clone(), secrets: true, volumes: true, hurry: true, ..ToRemove::default() };
    let removal = stage.swarm.remove_stack(&stage.stack, &plan, &limits(60)).await.unwrap();
    assert!(removal.is_clean(), "{removal:?}");
    assert!(stage.swarm.inventory(&stage.stack, &found).await.unwrap().is_empty());
    // The neighbour's name begins like ours; its things are still there.
    let others = Extra { secrets: vec![theirs], ..Extra::default() };
    let left = stage.swarm.inventory(&neighbour, &others).await.unwrap();
    assert_eq!(left.items.len(), 2, "{left:?}");
    let plan = ToRemove { extra: others, secrets: true, volumes: true, ..ToRemove::default() };
    assert!(stage.swarm.remove_stack(&neighbour, &plan, &limits(30)).await.unwrap().is_clean());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_engine_that_is_lost_in_the_middle_is_told_as_such_and_soon() {
    let stage = Stage::new("lost").await;
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("docker.sock");
    let cut = CancellationToken::new();
    proxy(&path, &stage.socket, &Fate { cut: cut.clone(), ..Fate::default() });
    let swarm = Swarm::connect_to(&path).await.unwrap();
    let slow = stage.service("app", "0", "exit 1", "      restart_policy: {delay: 20s}\n");
    let mut watch = swarm.watch(&stage.stack).await.unwrap();
    stage.deploy(&[slow]).await;
    let bounds = Limits { engine_grace: Duration::from_secs(3), ..limits(120) };
    let expect = Expectation::default();
    let start = Instant::now();
    let (waited, ()) = tokio::join!(watch.until_converged(&expect, &bounds, |_| {}), async {
        wait::pause(Duration::from_secs(2)).await;
        cut.cancel();
    });
    let error = waited.unwrap_err();
    assert!(matches!(&error, WaitFailure::Engine(SwarmError::EngineLost { .. })), "{error}");
    assert!(start.elapsed() < Duration::from_secs(15), "{:?}", start.elapsed());
    assert!(matches!(Swarm::connect_to(&path).await, Err(SwarmError::EngineLost { .. })));

    // An engine that is there but says nothing: the questions' own deadline ends it.
    let path = dir.path().join("silent.sock");
    let silent = CancellationToken::new();
    proxy(&path, &stage.socket, &Fate { silent: silent.clone(), ..Fate::default() });
    let swarm = Swarm::connect_to(&path).await.unwrap();
    silent.cancel();
    let start = Instant::now();
    let error = swarm.observe(&stage.stack).await.unwrap_err();
    assert!(matches!(error, SwarmError::Timeout { .. }), "{error}");
    assert!(start.elapsed() < Duration::from_secs(30), "{:?}", start.elapsed());
    stage.remove().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_that_breaks_once_is_taken_up_again() {
    let stage = Stage::new("broken").await;
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("docker.sock");
    let fate = Fate::default();
    proxy(&path, &stage.socket, &fate);
    let swarm = Swarm::connect_to(&path).await.unwrap();
    let mut watch = swarm.watch(&stage.stack).await.unwrap();
    stage.deploy(&[stage.service("app", "0", &format!("sleep 1; {SERVER}"), "")]).await;
    let expect = Expectation::default();
    let bounds = limits(60);
    let (waited, ()) = tokio::join!(watch.until_converged(&expect, &bounds, |_| {}), async {
        for _ in 0..5 {
            wait::pause(Duration::from_millis(400)).await;
            fate.breaks.notify_waiters();
        }
    });
    waited.unwrap();
    // The event stream was cut each time as well, and is back: this comes by an event, not by the safety net.
    wait::pause(Duration::from_secs(1)).await;
    let label = format!("com.docker.stack.namespace={}", stage.stack);
    let made = docker(&["create", "--label", &label, IMAGE, "true"]).await;
    let mut heard = false;
    for _ in 0..20 {
        heard |= watch.next(&limits(5)).await.unwrap().event.is_some();
    }
    assert!(heard, "no event came after the connection broke");
    docker(&["rm", &made]).await;
    stage.remove().await;
}

/// What becomes of the connections through a proxy.
#[derive(Default, Clone)]
struct Fate {
    /// Every connection is closed and no new one is taken.
    cut: CancellationToken,
    /// New connections are taken, and nothing is passed on.
    silent: CancellationToken,
    /// The connections of the moment are closed.
    breaks: Arc<Notify>,
}

/// A socket before the engine's.
fn proxy(path: &Path, engine: &Path, fate: &Fate) {
    let listener = UnixListener::bind(path).unwrap();
    let (engine, fate) = (engine.to_owned(), fate.clone());
    tokio::spawn(async move {
        loop {
            let accepted = tokio::select! {
                () = fate.cut.cancelled() => return,
                accepted = listener.accept() => accepted,
            };
            let (mut client, _) = accepted.unwrap();
            let (fate, engine) = (fate.clone(), engine.clone());
            tokio::spawn(async move {
                let mut server = UnixStream::connect(&engine).await.unwrap();
                if fate.silent.is_cancelled() {
                    fate.cut.cancelled().await;
                    return;
                }
                tokio::select! {
                    () = fate.cut.cancelled() => {}
                    () = fate.breaks.notified() => {}
                    copied = tokio::io::copy_bidirectional(&mut client, &mut server) => drop(copied),
                }
            });
        }
    });
}

/// How quick that is, is measured by `cargo bench -p ccci-lab --bench reaction`.
#[tokio::test(flavor = "multi_thread")]
async fn a_change_is_seen_by_its_event_and_not_by_the_next_look() {
    let stage = Stage::new("react").await;
    stage.converge(&[stage.service("app", "0", SERVER, "")]).await.unwrap();
    let mut watch = stage.swarm.watch(&stage.stack).await.unwrap();
    stage.react(&mut watch).await;
    stage.remove().await;
}
