//! The services of the swarm, as far as they matter to who else uses the engine.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::layout::SCENE_LABEL;
use crate::work::{DockerError, Work};

/// A service as far as it matters here.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Service {
    /// Its id.
    pub(crate) id: String,
    /// Its name.
    pub(crate) name: String,
    /// The stack it belongs to.
    pub(crate) stack: Option<String>,
    /// The ids of its networks.
    pub(crate) networks: BTreeSet<String>,
    /// The ports it publishes on the host.
    pub(crate) ports: BTreeSet<u16>,
    /// The lab whose test made it.
    pub(crate) scene: Option<String>,
}

/// The services of the swarm; none where there is no swarm.
pub(crate) async fn services(work: &Work<'_>) -> Result<Vec<Service>, DockerError> {
    let output = work.docker_output(["service", "ls", "--quiet"]).await?;
    if !output.ok() && output.stderr.contains("not a swarm manager") {
        return Ok(Vec::new());
    }
    let ids = crate::work::accepted(output)?;
    if ids.is_empty() {
        return Ok(Vec::new());
    }
    let args = ["service", "inspect", "--format", "{{json .}}"];
    let output = work.docker_output(args.into_iter().chain(ids.split_whitespace())).await?;
    // One that went away meanwhile is no reason to fail: the others are still printed.
    let values = output.stdout.lines().filter_map(|line| serde_json::from_str(line).ok());
    Ok(values.map(|value: Value| service(&value)).collect())
}

fn service(value: &Value) -> Service {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let spec = &value["Spec"];
    let label = |key: &str| spec["Labels"][key].as_str().map(str::to_owned);
    let networks = spec["TaskTemplate"]["Networks"].as_array().into_iter().flatten();
    let ports = spec["EndpointSpec"]["Ports"].as_array().into_iter().flatten();
    let ports = ports.filter_map(|port| port["PublishedPort"].as_u64());
    Service {
        id: text(&value["ID"]),
        name: text(&spec["Name"]),
        stack: label("com.docker.stack.namespace"),
        networks: networks.map(|network| text(&network["Target"])).collect(),
        ports: ports.filter_map(|port| u16::try_from(port).ok()).collect(),
        scene: label(SCENE_LABEL),
    }
}
