//! The engine's part: where a volume's files are, making a lost volume again, and the archive API for volumes whose
//! files cannot be reached. This is the only holder of the Docker client in this crate.

use std::collections::{BTreeMap, HashMap};
use std::fmt::Display;
use std::fs::File;
use std::io::{Read as _, Write as _};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::pin::pin;
use std::time::Duration;

use blake3::{Hash, Hasher};
use bollard::Docker;
use bollard::models as api;
use bollard::query_parameters as query;
use ccci_core::atomic::PathContext as _;
use futures_util::StreamExt as _;

use crate::error::SnapError;
use crate::exchange::parent;

/// The empty image of the helper container, made here: nothing is pulled.
const IMAGE: &str = "ccci-archive";
const TAG: &str = "1";
/// The label of the helper container.
const HELPER: (&str, &str) = ("ccci.helper", "archive");
/// Where the helper sees the volume. The stream's names begin with it, so that the root directory is in the stream too.
const MOUNT: &str = "volume";
/// How long one stream may take.
const STREAM_DEADLINE: Duration = Duration::from_secs(3600);
/// How long the engine may take for the answer to a question.
const DEADLINE: Duration = Duration::from_secs(20);
/// How long it may take to remove a volume with its files.
const REMOVAL: Duration = Duration::from_secs(600);
const CHUNK: usize = 256 << 10;
/// The longest stream of an empty volume: its root with a pax header, and the end.
const EMPTY: u64 = 4 * 512 + 1024;

/// A connection to the engine that has the volumes.
#[derive(Debug, Clone)]
pub struct Engine {
    docker: Docker,
}

/// What the engine says of a volume.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct VolumeFacts {
    /// Where its files are on the engine's machine.
    pub(crate) mountpoint: PathBuf,
    pub(crate) driver: String,
    pub(crate) options: BTreeMap<String, String>,
    pub(crate) labels: BTreeMap<String, String>,
    /// What the engine's `CreatedAt` says, in seconds: of local volumes, the change time of the root directory.
    pub(crate) changed: Option<i64>,
}

/// Why a volume's files cannot be reached from here; `None` when they can. `seen` are the change times, in seconds, of
/// the directory at the mountpoint on *this* machine and of its parent.
pub(crate) fn out_of_reach(facts: &VolumeFacts, seen: Option<[i64; 2]>) -> Option<String> {
    if facts.driver != "local" {
        return Some(format!("its driver is {}", facts.driver));
    }
    if !facts.options.is_empty() {
        return Some("it is mounted with options, and only while it is used".to_owned());
    }
    match seen {
        None => Some(format!("{} is not a directory here", facts.mountpoint.display())),
        // The engine may be on another machine that has a directory of the same name.
        Some(times) if !facts.changed.is_some_and(|t| times.contains(&t)) => {
            Some(format!("the engine sees another directory at {} than we do", facts.mountpoint.display()))
        }
        Some(_) => None,
    }
}

impl Engine {
    /// How the names of our helper containers begin; the volume's follows.
    pub const HELPER: &str = "ccci-archive.";

    /// Connects to the engine behind this Unix socket.
    ///
    /// # Errors
    /// Where nobody listens there, or what does is no engine.
    pub async fn connect_to(socket: &Path) -> Result<Self, SnapError> {
        let path = socket.display().to_string();
        let docker =
            Docker::connect_with_unix(&path, STREAM_DEADLINE.as_secs(), bollard::API_DEFAULT_VERSION);
        Self::start(docker).await
    }

    /// Connects to the engine of `$DOCKER_HOST`, or to the default socket.
    ///
    /// # Errors
    /// Where the address is none, nobody listens there, or what does is no engine.
    pub async fn connect() -> Result<Self, SnapError> {
        Self::start(Docker::connect_with_defaults().map(|d| d.with_timeout(STREAM_DEADLINE))).await
    }

    async fn start(docker: Result<Docker, bollard::errors::Error>) -> Result<Self, SnapError> {
        let what = "to be connected to";
        let docker = docker.map_err(|e| failed(what, &e))?;
        let docker = asked(what, docker.negotiate_version()).await?.map_err(|e| failed(what, &e))?;
        Ok(Self { docker })
    }

    /// What the engine says of a volume; `None` when it does not exist.
    pub(crate) async fn volume(&self, name: &str) -> Result<Option<VolumeFacts>, SnapError> {
        let what = format!("to describe the volume {name}");
        match asked(&what, self.docker.inspect_volume(name)).await? {
            Ok(volume) => Ok(Some(facts(volume))),
            Err(bollard::errors::Error::DockerResponseServerError { status_code: 404, .. }) => Ok(None),
            Err(error) => Err(failed(&what, &error)),
        }
    }

    /// Makes a volume of this name, driver, options and labels. One that exists stays as it is.
    pub(crate) async fn make(&self, name: &str, like: &VolumeFacts) -> Result<(), SnapError> {
        let owned = |map: &BTreeMap<String, String>| map.clone().into_iter().collect::<HashMap<_, _>>();
        let request = api::VolumeCreateRequest {
            name: Some(name.to_owned()),
            driver: Some(like.driver.clone()),
            driver_opts: Some(owned(&like.options)),
            labels: Some(owned(&like.labels)),
            ..Default::default()
        };
        let what = format!("to make the volume {name}");
        let made = asked(&what, self.docker.create_volume(request)).await?;
        made.map(drop).map_err(|e| failed(&what, &e))
    }

    /// Writes the stream of a volume to a new file, durably. Gives its digest and length.
    pub(crate) async fn download(&self, name: &str, into: &Path) -> Result<(Hash, u64), SnapError> {
        let mut file = File::create_new(into).path("create", into)?;
        let sum = self.stream(name, |data| Ok(file.write_all(data).path("write", into)?)).await?;
        file.sync_all().path("sync", into)?;
        Ok(sum)
    }

    /// Gives the stream of a volume as it is now to `each`. Gives its digest and length.
    pub(crate) async fn stream(
        &self,
        name: &str,
        mut each: impl FnMut(&[u8]) -> Result<(), SnapError>,
    ) -> Result<(Hash, u64), SnapError> {
        let helper = self.helper(name, of_volume(name)).await?;
        let options =
            query::DownloadFromContainerOptionsBuilder::default().path(&format!("/{MOUNT}")).build();
        let mut stream = Box::pin(self.docker.download_from_container(&helper, Some(options)));
        let (mut hasher, mut length) = (Hasher::new(), 0);
        let mut result = Ok(());
        while let Some(data) = stream.next().await {
            let data = match data {
                Ok(data) => data,
                Err(error) => {
                    result = Err(failed(&format!("to send the volume {name}"), &error));
                    break;
                }
            };
            hasher.update(&data);
            length += data.len() as u64;
            result = each(&data);
            if result.is_err() {
                break;
            }
        }
        drop(stream);
        let removed = self.remove_helper(name).await;
        result?;
        removed.map(|()| (hasher.finalize(), length))
    }

    /// Removes a volume that nobody uses; one that is not there is fine.
    pub(crate) async fn remove(&self, name: &str) -> Result<(), SnapError> {
        let gently = query::RemoveVolumeOptionsBuilder::default().force(false).build();
        let what = format!("to remove the volume {name}");
        // It removes all files of the volume before it answers.
        match answered(&what, REMOVAL, self.docker.remove_volume(name, Some(gently))).await? {
            Ok(()) | Err(bollard::errors::Error::DockerResponseServerError { status_code: 404, .. }) => {
                Ok(())
            }
            Err(error) => Err(failed(&what, &error)),
        }
    }

    /// Makes the volume anew, empty.
    pub(crate) async fn renew(&self, name: &str, like: &VolumeFacts) -> Result<(), SnapError> {
        match self.remove(name).await {
            // Files with the flags of immutable ones: nobody can remove those before they are taken off.
            Err(SnapError::Engine { message, .. }) if message.contains("operation not permitted") => {
                self.unlock(name).await?;
                self.remove(name).await?;
            }
            other => other?,
        }
        self.make(name, like).await?;
        // The content of some volumes outlives them. It is all still there, and so is what was added to it.
        if self.stream(name, |_| Ok(())).await?.1 > EMPTY {
            return Err(SnapError::Unreachable {
                volume: name.to_owned(),
                why: "its content outlives it, so what was added cannot be removed; nothing was changed"
                    .to_owned(),
            });
        }
        Ok(())
    }

    /// Proves that the engine takes a volume's kept content and has room for it, before anything is removed: puts it into a
    /// volume without a name, which goes with its helper. The volume itself is not touched.
    pub(crate) async fn rehearse(&self, name: &str, from: &Path) -> Result<(), SnapError> {
        let what = format!(
            "to copy the volume {name}, for which it needs room for all of its data; the volume was not changed"
        );
        self.send(name, api::Mount::default(), from, &what).await
    }

    /// Fills an empty volume from a file.
    pub(crate) async fn upload(&self, name: &str, from: &Path) -> Result<(), SnapError> {
        self.send(name, of_volume(name), from, &format!("to take the volume {name}")).await
    }

    /// Sends a file to the volume of this mount.
    async fn send(&self, name: &str, mount: api::Mount, from: &Path, what: &str) -> Result<(), SnapError> {
        let helper = self.helper(name, mount).await?;
        let file = File::open(from).path("open", from)?;
        let parts = futures_util::stream::unfold(file, |mut file| async move {
            let mut part = vec![0; CHUNK];
            match file.read(&mut part) {
                Ok(0) => None,
                Ok(length) => {
                    part.truncate(length);
                    Some((Ok(part.into()), file))
                }
                Err(error) => Some((Err(error), file)),
            }
        });
        let options = query::UploadToContainerOptionsBuilder::default().path("/").build();
        let sent =
            self.docker.upload_to_container(&helper, Some(options), bollard::body_try_stream(parts)).await;
        let removed = self.remove_helper(name).await;
        sent.map_err(|e| failed(what, &e))?;
        removed
    }

    /// The id of a container for this volume that is never started and has what is mounted.
    async fn helper(&self, volume: &str, mount: api::Mount) -> Result<String, SnapError> {
        self.image().await?;
        self.remove_helper(volume).await?;
        let (typ, target) = (Some(api::MountType::VOLUME), Some(format!("/{MOUNT}")));
        let mount = api::Mount { typ, target, ..mount };
        let body = api::ContainerCreateBody {
            image: Some(format!("{IMAGE}:{TAG}")),
            cmd: Some(vec!["never-started".to_owned()]),
            labels: Some(HashMap::from([(HELPER.0.to_owned(), HELPER.1.to_owned())])),
            host_config: Some(api::HostConfig { mounts: Some(vec![mount]), ..Default::default() }),
            ..Default::default()
        };
        let options = query::CreateContainerOptionsBuilder::default().name(&helper_name(volume)).build();
        let what = format!("to make a helper for the volume {volume}");
        let made = asked(&what, self.docker.create_container(Some(options), body)).await?;
        made.map(|c| c.id).map_err(|e| failed(&what, &e))
    }

    /// Removes the helpers of a stack's volumes, which an interrupted capture or restore may have left, and what is with
    /// them. Call it before the stack is proved to be undeployed: a helper counts as a user of its volume.
    ///
    /// # Errors
    /// Where the engine cannot be asked or refuses.
    pub async fn remove_helpers(&self, stack: &str) -> Result<(), SnapError> {
        let prefix = helper_name(&format!("{stack}_"));
        let filters = HashMap::from([("label", vec![format!("{}={}", HELPER.0, HELPER.1)])]);
        let options = query::ListContainersOptionsBuilder::default().all(true).filters(&filters).build();
        let listed = asked("to list helpers", self.docker.list_containers(Some(options))).await?;
        for container in listed.map_err(|e| failed("to list helpers", &e))? {
            let mut names = container.names.iter().flatten().filter_map(|name| name.strip_prefix('/'));
            if let Some(name) = names.find(|name| name.starts_with(&prefix)) {
                self.remove_container(name).await?;
            }
        }
        Ok(())
    }

    /// Removes the helper of a volume, and a volume without a name that is with it.
    async fn remove_helper(&self, volume: &str) -> Result<(), SnapError> {
        self.remove_container(&helper_name(volume)).await
    }

    async fn remove_container(&self, name: &str) -> Result<(), SnapError> {
        let options = query::RemoveContainerOptionsBuilder::default().force(true).v(true).build();
        let what = format!("to remove the container {name}");
        // It removes all files of a volume without a name before it answers.
        match answered(&what, REMOVAL, self.docker.remove_container(name, Some(options))).await? {
            Ok(()) | Err(bollard::errors::Error::DockerResponseServerError { status_code: 404, .. }) => {
                Ok(())
            }
            Err(error) => Err(failed(&what, &error)),
        }
    }

    /// An image of nothing.
    async fn image(&self) -> Result<(), SnapError> {
        let image = format!("{IMAGE}:{TAG}");
        let there = self.docker.inspect_image(&image);
        if asked("to look for the helper's image", there).await?.is_ok() {
            return Ok(());
        }
        let options = query::CreateImageOptionsBuilder::default().from_src("-").repo(IMAGE).tag(TAG).build();
        let empty = bollard::body_full(vec![0; 1024].into());
        let mut progress = pin!(self.docker.create_image(Some(options), Some(empty), None));
        let what = "to make the helper's image";
        while let Some(step) = asked(what, progress.next()).await? {
            step.map_err(|e| failed(what, &e))?;
        }
        Ok(())
    }
}

/// The volume of this name, as a helper sees it.
fn of_volume(name: &str) -> api::Mount {
    let options = api::MountVolumeOptions { no_copy: Some(true), ..Default::default() };
    api::Mount { source: Some(name.to_owned()), volume_options: Some(options), ..Default::default() }
}

fn helper_name(volume: &str) -> String {
    format!("{}{volume}", Engine::HELPER)
}

/// One question with an end of its own: an engine may take it and never answer.
async fn asked<T>(what: &str, question: impl Future<Output = T>) -> Result<T, SnapError> {
    answered(what, DEADLINE, question).await
}

async fn answered<T>(
    what: &str,
    within: Duration,
    question: impl Future<Output = T>,
) -> Result<T, SnapError> {
    let silent = |_| failed(what, &format!("no answer within {} s", within.as_secs()));
    tokio::time::timeout(within, question).await.map_err(silent)
}

fn failed(what: &str, error: &dyn Display) -> SnapError {
    SnapError::Engine { what: what.to_owned(), message: error.to_string() }
}

fn facts(volume: api::Volume) -> VolumeFacts {
    VolumeFacts {
        mountpoint: volume.mountpoint.into(),
        driver: volume.driver,
        options: volume.options.into_iter().collect(),
        labels: volume.labels.into_iter().collect(),
        changed: volume
            .created_at
            .and_then(|t| t.parse::<jiff::Timestamp>().ok())
            .map(jiff::Timestamp::as_second),
    }
}

/// The change times of a directory here and of its parent.
pub(crate) fn change_times(path: &Path) -> Option<[i64; 2]> {
    let time = |path: &Path| {
        std::fs::symlink_metadata(path).ok().filter(std::fs::Metadata::is_dir).map(|m| m.ctime())
    };
    Some([time(path)?, time(parent(path))?])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_volume_is_reached_only_where_the_engine_sees_the_same_directory() {
        let local = VolumeFacts { driver: "local".to_owned(), changed: Some(100), ..VolumeFacts::default() };
        let nfs = VolumeFacts { driver: "nfs".to_owned(), ..local.clone() };
        let options = BTreeMap::from([("type".to_owned(), "tmpfs".to_owned())]);
        let mounted = VolumeFacts { options, ..local.clone() };
        let silent = VolumeFacts { changed: None, ..local.clone() };
        let table = [
            (&local, Some([100, 90]), true),
            (&local, Some([101, 100]), true),
            (&local, Some([101, 99]), false),
            (&local, None, false),
            (&nfs, Some([100, 90]), false),
            (&mounted, Some([100, 90]), false),
            (&silent, Some([100, 90]), false),
        ];
        for (number, (facts, seen, reached)) in table.into_iter().enumerate() {
            assert_eq!(out_of_reach(facts, seen).is_none(), reached, "row {number}");
        }
    }
}
