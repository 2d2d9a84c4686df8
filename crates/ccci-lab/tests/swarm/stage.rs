//! One small stack on the lab's engine, and how long its changes take to be seen.

use std::path::PathBuf;
use std::time::Duration;

use ccci_core::clock;
use ccci_core::exec::{Command, Input};
use ccci_core::names::StackName;
use ccci_core::secret::Secret;
use ccci_core::swarm::{Converged, Expectation, Limits, Swarm, ToRemove, WaitFailure, Watch};
use ccci_core::wait::CancellationToken;
use ccci_lab::engine::{self, EngineOptions, Scene};
use ccci_lab::layout::LabLayout;
use ccci_lab::work::Work;
use ccci_lab::{certificates, images};
use jiff::Timestamp;

pub(crate) const IMAGE: &str = "ccci-lab/busybox:1";
/// A server that stops when it is told to.
pub(crate) const SERVER: &str = "trap 'exit 0' TERM; while :; do sleep 0.2; done";

/// A manager, and one stack that is taken away before the test and after it.
pub(crate) struct Stage {
    pub(crate) swarm: Swarm,
    pub(crate) socket: PathBuf,
    pub(crate) stack: StackName,
    /// The labels of each of its services.
    scene: String,
    _scene: Scene,
}

impl Stage {
    pub(crate) async fn new(name: &str) -> Self {
        let layout = LabLayout::default();
        let work = Work::quiet(&layout);
        let options = EngineOptions { insist: true, ..EngineOptions::from_env() };
        let socket = engine::ready(&work, &options).await.unwrap().socket;
        certificates::ensure(&layout, clock::now()).unwrap();
        images::ensure(&work, &[IMAGE]).await.unwrap();
        let swarm = Swarm::connect_to(&socket).await.unwrap();
        let (held, scene) = (Scene::begin(&layout).await.unwrap(), Scene::label(&layout));
        let stage =
            Self { swarm, socket, stack: format!("swt-{name}").parse().unwrap(), scene, _scene: held };
        stage.remove().await;
        stage
    }

    /// Deploys services, each given as its part of a compose file.
    pub(crate) async fn deploy(&self, services: &[String]) {
        let text = format!("version: \"3.8\"\nservices:\n{}\nvolumes:\n  data: {{}}\n", services.join("\n"));
        let command = Command::new("docker")
            .args(["stack", "deploy", "--resolve-image", "never", "-c", "-", self.stack.as_str()])
            .env("DOCKER_HOST", format!("unix://{}", self.socket.display()))
            .input(Input::Text(Secret::new(text)));
        let output = command.run().await.unwrap();
        assert!(output.ok(), "{}", output.tail(10));
    }

    /// One service: its name, what its shell does, and further keys of its `deploy`.
    pub(crate) fn service(&self, name: &str, commit: &str, script: &str, deploy: &str) -> String {
        let script = serde_json::json!(["sh", "-c", script.replace('$', "$$")]);
        let label = format!("coop-cloud.{}.chaos-version={commit}", self.stack);
        let head =
            format!("  {name}:\n    image: {IMAGE}\n    command: {script}\n    stop_grace_period: 3s\n");
        format!(
            "{head}    deploy:\n      endpoint_mode: dnsrr\n      labels: [\"{label}\", \"{}\"]\n{deploy}",
            self.scene
        )
    }

    pub(crate) async fn converge(&self, services: &[String]) -> Result<Converged, WaitFailure> {
        let mut watch = self.swarm.watch(&self.stack).await.unwrap();
        self.deploy(services).await;
        watch
            .until_converged(&Expectation::default(), &limits(90), |on| eprintln!("  {}", on.join("; ")))
            .await
    }

    /// Makes a container of the stack and removes it; from the engine's stamp of the first event to the new facts.
    pub(crate) async fn react(&self, watch: &mut Watch) -> Duration {
        let label = format!("com.docker.stack.namespace={}", self.stack);
        let create = ["create", "--label", &label, IMAGE, "true"];
        let (made, took) = tokio::join!(docker(&create), async {
            let at = heard(watch).await;
            clock::now().duration_since(at).unsigned_abs()
        });
        docker(&["rm", &made]).await;
        // The removal's own event is heard before the next one is made.
        heard(watch).await;
        took
    }

    pub(crate) async fn remove(&self) {
        let plan = ToRemove { secrets: true, volumes: true, hurry: true, ..ToRemove::default() };
        let removal = self.swarm.remove_stack(&self.stack, &plan, &limits(60)).await.unwrap();
        assert!(removal.is_clean(), "{:?}", removal.remaining);
    }
}

pub(crate) fn limits(seconds: u64) -> Limits {
    Limits::new(Duration::from_secs(seconds), CancellationToken::new())
}

/// The stamp of the next event that is heard.
async fn heard(watch: &mut Watch) -> Timestamp {
    loop {
        if let Some(at) = watch.next(&limits(10)).await.unwrap().event {
            return at;
        }
    }
}

/// What `docker` says to these words.
pub(crate) async fn docker(args: &[&str]) -> String {
    let output = Command::new("docker").args(args).run().await.unwrap();
    assert!(output.ok(), "{}: {}", output.command, output.tail(5));
    output.stdout.trim().to_owned()
}
