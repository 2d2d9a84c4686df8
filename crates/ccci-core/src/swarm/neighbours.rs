//! What stands on the swarm beside one stack.

use std::collections::{BTreeMap, HashMap};

use bollard::query_parameters as query;
use jiff::Timestamp;

use super::observe::STACK_LABEL;
use super::{Swarm, SwarmError};

/// A service of any stack, as far as others may meet it.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Neighbour {
    /// Its stack, where it belongs to one.
    pub stack: Option<String>,
    /// Its full name.
    pub service: String,
    /// The labels of the service.
    pub labels: BTreeMap<String, String>,
    /// Its image, as the spec names it.
    pub image: String,
    /// Whether it wants any task.
    pub wants_tasks: bool,
    /// When it was made, by the engine's clock.
    pub created: Timestamp,
}

impl Swarm {
    /// All services of the swarm.
    ///
    /// # Errors
    /// Where the engine cannot be asked or refuses.
    pub async fn neighbours(&self) -> Result<Vec<Neighbour>, SwarmError> {
        let options = query::ListServicesOptionsBuilder::default().build();
        let services =
            self.ask("the services of the swarm", self.docker().list_services(Some(options))).await?;
        let neighbour = |service: bollard::models::Service| {
            let spec = service.spec.unwrap_or_default();
            let labels: HashMap<String, String> = spec.labels.unwrap_or_default();
            let replicas = spec.mode.and_then(|mode| mode.replicated).and_then(|mode| mode.replicas);
            Neighbour {
                stack: labels.get(STACK_LABEL).cloned(),
                service: spec.name.unwrap_or_default(),
                labels: labels.into_iter().collect(),
                image: spec
                    .task_template
                    .and_then(|template| template.container_spec?.image)
                    .unwrap_or_default(),
                wants_tasks: replicas != Some(0),
                created: service.created_at.and_then(|at| at.parse().ok()).unwrap_or_default(),
            }
        };
        Ok(services.into_iter().map(neighbour).collect())
    }
}
