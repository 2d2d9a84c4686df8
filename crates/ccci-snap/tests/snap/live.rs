//! Volumes of a real engine: found, kept with a real proof, made again, and kept through the archive API.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use bollard::Docker;
use ccci_core::swarm::{Limits, Swarm, Undeployed};
use ccci_lab::engine::{self, EngineOptions};
use ccci_lab::layout::LabLayout;
use ccci_lab::work::Work;
use ccci_snap::{Engine, Job, LOSSES, Method, Place, Point, SnapError, Snapshot, Store};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{UnixListener, UnixStream};
use tokio_util::sync::CancellationToken;

use crate::kinds;
use crate::lister::{diff, list, list_without};
use crate::world::{origin, sh};

/// A stack with one volume on the lab's engine, taken away when the test is over.
struct Live {
    docker: Docker,
    swarm: Swarm,
    engine: Engine,
    stack: String,
    volume: String,
    state: tempfile::TempDir,
}

impl Live {
    async fn new(name: &str, options: &[(&str, &str)]) -> Self {
        let socket = lab_engine().await;
        let docker =
            Docker::connect_with_unix(socket.to_str().unwrap(), 60, bollard::API_DEFAULT_VERSION).unwrap();
        let docker = docker.negotiate_version().await.unwrap();
        let stack = format!("snt-{name}");
        let volume = format!("{stack}_data");
        let live = Self {
            docker,
            swarm: Swarm::connect_to(&socket).await.unwrap(),
            engine: Engine::connect_to(&socket).await.unwrap(),
            stack,
            volume,
            state: tempfile::tempdir().unwrap(),
        };
        live.remove().await;
        let request = bollard::models::VolumeCreateRequest {
            name: Some(live.volume.clone()),
            labels: Some(HashMap::from([("com.docker.stack.namespace".to_owned(), live.stack.clone())])),
            driver_opts: Some(options.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect()),
            ..Default::default()
        };
        live.docker.create_volume(request).await.unwrap();
        live
    }

    async fn remove(&self) {
        self.engine.remove_helpers(&self.stack).await.unwrap();
        let gently = bollard::query_parameters::RemoveVolumeOptionsBuilder::default().force(false).build();
        drop(self.docker.remove_volume(&self.volume, Some(gently)).await);
    }

    async fn tree(&self) -> PathBuf {
        self.docker.inspect_volume(&self.volume).await.unwrap().mountpoint.into()
    }

    async fn proof(&self) -> Undeployed {
        let mut watch = self.swarm.watch(&self.stack.parse().unwrap()).await.unwrap();
        let limits = Limits::new(Duration::from_secs(20), CancellationToken::new());
        watch.until_undeployed(&[], false, &limits, |_| {}).await.unwrap()
    }

    async fn find(&self) -> Place {
        Place::find(&self.engine, &self.volume.parse().unwrap(), self.state.path()).await.unwrap()
    }

    async fn keep(&self, place: Place) -> Snapshot {
        self.try_keep(place).await.unwrap()
    }

    async fn try_keep(&self, place: Place) -> Result<Snapshot, SnapError> {
        let (proof, store) = (self.proof().await, Store::new(self.state.path().join("app")));
        blocking(move || {
            let job = Job::default();
            store.capture(&job, &proof, &[place], &origin("live"))?.publish(&job)
        })
        .await
    }

    async fn restore(&self, snapshot: &Snapshot, place: Place) -> Result<(), SnapError> {
        let (proof, snapshot) = (self.proof().await, snapshot.clone());
        blocking(move || {
            let (job, places) = (Job::default(), [place]);
            snapshot.verify(&job)?;
            snapshot.restore(&job, &proof, &places)?;
            snapshot.sweep(&job, &places)
        })
        .await
    }
}

/// The socket of the lab's engine, which is started where it is not there.
async fn lab_engine() -> PathBuf {
    let layout = LabLayout::default();
    let work = Work::quiet(&layout);
    let insist = EngineOptions { insist: true, ..EngineOptions::from_env() };
    engine::ready(&work, &insist).await.unwrap().socket
}

async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    tokio::task::spawn_blocking(work).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_volume_of_the_engine_is_found_kept_restored_and_made_again() {
    let live = Live::new("found", &[]).await;
    let tree = live.tree().await;
    kinds::make(&tree);
    let before = list(&tree);
    let place = live.find().await;
    assert_eq!(place.out_of_reach(), None);
    let snapshot = live.keep(place.clone()).await;
    sh(&tree, "rm -r kind-0*; echo new > new; chmod 777 .");
    live.restore(&snapshot, place).await.unwrap();
    assert_eq!(diff(&before, &list(&tree)), [""; 0]);
    live.remove().await;
    assert!(!tree.exists());
    let made = snapshot.make_missing(&live.engine).await.unwrap();
    assert_eq!(made, std::slice::from_ref(&live.volume));
    let labels = live.docker.inspect_volume(&live.volume).await.unwrap().labels;
    assert_eq!(labels.get("com.docker.stack.namespace"), Some(&live.stack));
    live.restore(&snapshot, live.find().await).await.unwrap();
    assert_eq!(diff(&before, &list(&tree)), [""; 0]);
    live.remove().await;
}

/// Everything but the losses that are declared.
fn kept(tree: &Path) -> Vec<String> {
    list_without(tree, &LOSSES)
}

#[tokio::test(flavor = "multi_thread")]
async fn every_kind_goes_through_the_archive_api_with_its_declared_losses() {
    let live = Live::new("kinds", &[]).await;
    let tree = live.tree().await;
    kinds::make(&tree);
    let place = live.find().await.through(&live.engine, "as if it were elsewhere".to_owned());
    let snapshot = live.keep(place.clone()).await;
    let losses: Vec<&str> = snapshot.meta().volumes[0].losses.iter().map(String::as_str).collect();
    // Access times are not listed: looking moves them.
    let listed: Vec<&str> = losses.iter().copied().filter(|loss| *loss != "access times").collect();
    let but = |one: &str| listed.iter().copied().filter(|loss| *loss != one).collect::<Vec<_>>();
    let before = list_without(&tree, &losses);
    let each: Vec<_> = listed.iter().map(|loss| list_without(&tree, &but(loss))).collect();
    sh(&tree, "rm -r kind-0* kind-1*; echo new > new; chmod 777 .");
    live.restore(&snapshot, place).await.unwrap();
    assert_eq!(diff(&before, &list_without(&tree, &losses)), [""; 0]);
    for (loss, before) in listed.iter().zip(each) {
        assert_ne!(diff(&before, &list_without(&tree, &but(loss))), [""; 0], "{loss} are not lost");
    }
    live.remove().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_volume_out_of_reach_is_kept_by_the_archive_api_with_its_declared_losses() {
    let live = Live::new("stream", &[]).await;
    let tree = live.tree().await;
    sh(
        &tree,
        "mkdir d; echo x > d/f; ln d/f g; ln -s /etc l; mkfifo p; mknod c c 1 3; cp /bin/true su; chown 7:8 su; \
        chmod 4755 su; chown 5:6 . d; touch -d 2020-01-01 d/f; chmod 2710 .; touch -d 2021-01-01 .",
    );
    let before = kept(&tree);
    let place = live.find().await.through(&live.engine, "as if it were elsewhere".to_owned());
    let snapshot = live.keep(place.clone()).await;
    let volume = &snapshot.meta().volumes[0];
    assert_eq!((volume.method, &*volume.losses), (Method::Archive, &LOSSES.map(str::to_owned)[..]));
    sh(&tree, "rm -r d; echo new > new; chmod 777 .");
    live.restore(&snapshot, place.clone()).await.unwrap();
    assert_eq!(diff(&before, &kept(&tree)), [""; 0]);
    // Ended between its steps, a restore is done again.
    for point in [Point::StreamBegun, Point::StreamEmptied] {
        sh(&tree, "rm -rf d; echo new > new");
        let (proof, of, at) = (live.proof().await, snapshot.clone(), place.clone());
        let ended = tokio::task::spawn_blocking(move || {
            let reach = move |passed| assert_ne!(passed, point, "it ends here");
            of.restore(&Job::new(CancellationToken::new(), &reach), &proof, &[at])
        });
        assert!(ended.await.is_err(), "{point:?}");
        live.restore(&snapshot, place.clone()).await.unwrap();
        assert_eq!(diff(&before, &kept(&tree)), [""; 0], "{point:?}");
    }
    // An engine that does not take the stream, or loses it on the way, has not lost the volume: it is tried beside it first.
    sh(&tree, "echo dirty > dirty");
    let torn = Engine::connect_to(&torn_uploads(live.state.path()).await).await.unwrap();
    let error = live
        .restore(&snapshot, live.find().await.through(&torn, String::new()))
        .await
        .unwrap_err()
        .to_string();
    assert!(error.contains("the volume was not changed"), "{error}");
    // As after a kill, the helper is still there, and a volume without a name with it. They go by the stack's name.
    let helper = format!("ccci-archive.{}", live.volume);
    let left = live.docker.inspect_container(&helper, None).await.unwrap();
    let beside = left.mounts.unwrap()[0].name.clone().unwrap();
    assert_ne!(beside, live.volume);
    live.engine.remove_helpers(&live.stack).await.unwrap();
    assert!(live.docker.inspect_container(&helper, None).await.is_err());
    assert!(live.docker.inspect_volume(&beside).await.is_err());
    assert!(tree.join("dirty").exists());
    live.restore(&snapshot, place.clone()).await.unwrap();
    assert_eq!(diff(&before, &kept(&tree)), [""; 0]);
    // A damaged stream is found before the volume is removed.
    sh(
        snapshot.dir(),
        "printf z | dd of=volumes/snt-stream_data.engine.tar bs=1 seek=600 conv=notrunc status=none",
    );
    sh(&tree, "echo dirty > dirty");
    assert!(live.restore(&snapshot, place).await.unwrap_err().is_damage());
    assert!(tree.join("dirty").exists());
    live.remove().await;
}

/// A way to the lab's engine that is gone for good once an upload has begun.
async fn torn_uploads(dir: &Path) -> PathBuf {
    let engine = lab_engine().await;
    let socket = dir.join("torn.sock");
    let listener = UnixListener::bind(&socket).unwrap();
    let gone = CancellationToken::new();
    tokio::spawn(async move {
        while let Ok((client, _)) = listener.accept().await {
            let server = UnixStream::connect(&engine).await.unwrap();
            tokio::spawn(pass(client, server, gone.clone()));
        }
    });
    socket
}

/// Passes everything on in both directions, until an upload begins.
async fn pass(client: UnixStream, server: UnixStream, gone: CancellationToken) {
    let (mut from_client, mut to_client) = client.into_split();
    let (mut from_server, mut to_server) = server.into_split();
    let back = tokio::spawn(async move { tokio::io::copy(&mut from_server, &mut to_client).await });
    let mut part = vec![0; 64 << 10];
    loop {
        let length = from_client.read(&mut part).await.unwrap_or(0);
        let said = &part[..length];
        if said.starts_with(b"PUT ") {
            gone.cancel();
        }
        if length == 0 || gone.is_cancelled() || to_server.write_all(said).await.is_err() {
            back.abort();
            return;
        }
    }
}

/// The options of a volume's driver.
type Options<'a> = &'a [(&'a str, &'a str)];

/// R18: of a volume whose content outlives it, nothing could be brought back, and one of memory has nothing to keep: both are
/// told when they would be kept, and left as they are.
#[tokio::test(flavor = "multi_thread")]
async fn r18_a_volume_that_could_not_be_brought_back_is_not_kept() {
    let outside = tempfile::tempdir().unwrap();
    let device = outside.path().to_str().unwrap();
    sh(outside.path(), "echo theirs > file");
    let table: [(&str, Options<'_>, &str); 2] = [
        ("bind", &[("type", "none"), ("o", "bind"), ("device", device)], "its content outlives it"),
        ("tmpfs", &[("type", "tmpfs"), ("device", "tmpfs")], "it is memory"),
    ];
    for (name, options, expected) in table {
        let live = Live::new(name, options).await;
        let place = live.find().await;
        assert!(place.out_of_reach().unwrap().contains("options"));
        let error = live.try_keep(place).await.unwrap_err();
        assert!(matches!(error, SnapError::Unreachable { .. }), "{error}");
        assert!(error.to_string().contains(expected), "{error}");
        live.remove().await;
    }
    assert_eq!(sh(outside.path(), "cat file"), "theirs\n");
}

/// Something else has the name of a kept volume: it holds nothing that was kept, and the known-good comes back all the same.
#[tokio::test(flavor = "multi_thread")]
async fn r18_a_volume_that_was_made_anew_with_options_is_made_as_it_was() {
    let outside = tempfile::tempdir().unwrap();
    sh(outside.path(), "echo theirs > file");
    let live = Live::new("anew", &[]).await;
    sh(&live.tree().await, "echo good > file");
    let snapshot = live.keep(live.find().await).await;
    live.remove().await;
    let bound =
        Live::new("anew", &[("type", "none"), ("o", "bind"), ("device", outside.path().to_str().unwrap())])
            .await;
    let made = snapshot.make_missing(&bound.engine).await.unwrap();
    assert_eq!(made, std::slice::from_ref(&live.volume));
    live.restore(&snapshot, live.find().await).await.unwrap();
    assert_eq!(sh(&live.tree().await, "cat file"), "good\n");
    assert_eq!(sh(outside.path(), "cat file"), "theirs\n");
    live.remove().await;
}

/// The engine itself may not remove such a file; with its flag taken off it may.
#[tokio::test(flavor = "multi_thread")]
async fn r18_a_volume_with_files_that_nobody_may_remove_goes_once_their_flags_are_taken_off() {
    let live = Live::new("locked", &[]).await;
    let tree = live.tree().await;
    sh(&tree, "mkdir d; echo x > d/f; echo y > log; chattr +i d/f; chattr +a log; chattr +i d");
    let gently = || bollard::query_parameters::RemoveVolumeOptionsBuilder::default().force(false).build();
    let refused = live.docker.remove_volume(&live.volume, Some(gently())).await.unwrap_err().to_string();
    assert!(refused.contains("operation not permitted"), "{refused}");
    assert_eq!(live.engine.unlock(&live.volume).await.unwrap(), 3);
    live.docker.remove_volume(&live.volume, Some(gently())).await.unwrap();
    assert!(!tree.exists());
    assert_eq!(live.engine.unlock(&live.volume).await.unwrap(), 0, "what is gone has none");
}
