//! Who has what stands in a deploy's way.

use std::collections::HashMap;
use std::fmt;

use bollard::query_parameters as query;

use super::observe::STACK_LABEL;
use super::{Swarm, SwarmError};

/// A name and the labels that it carries.
type Labelled = (Option<String>, Option<HashMap<String, String>>);

/// Something of the server that has a name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Thing {
    /// `network`, `config`, `secret` or `service`.
    pub kind: &'static str,
    /// Its full name.
    pub name: String,
}

impl fmt::Display for Thing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} `{}`", self.kind, self.name)
    }
}

impl Swarm {
    /// The stack of the network, config, secret or service of this name: `None` where there is no such thing, and nothing
    /// inside where it is of no stack.
    ///
    /// # Errors
    /// Where the engine cannot be asked or refuses.
    pub async fn stack_of(&self, thing: &Thing) -> Result<Option<Option<String>>, SwarmError> {
        let (docker, what) = (self.docker(), format!("for the {thing}"));
        let all: Vec<Labelled> = match thing.kind {
            "network" => {
                let options = query::ListNetworksOptionsBuilder::default().build();
                let all = self.ask(&what, docker.list_networks(Some(options))).await?;
                all.into_iter().map(|n| (n.name, n.labels)).collect()
            }
            "config" => {
                let options = query::ListConfigsOptionsBuilder::default().build();
                let all = self.ask(&what, docker.list_configs(Some(options))).await?;
                all.into_iter().filter_map(|c| c.spec).map(|spec| (spec.name, spec.labels)).collect()
            }
            "secret" => {
                let options = query::ListSecretsOptionsBuilder::default().build();
                let all = self.ask(&what, docker.list_secrets(Some(options))).await?;
                all.into_iter().filter_map(|s| s.spec).map(|spec| (spec.name, spec.labels)).collect()
            }
            _ => {
                let options = query::ListServicesOptionsBuilder::default().build();
                let all = self.ask(&what, docker.list_services(Some(options))).await?;
                all.into_iter().filter_map(|s| s.spec).map(|spec| (spec.name, spec.labels)).collect()
            }
        };
        let found = all.into_iter().find(|(name, _)| name.as_deref() == Some(&thing.name));
        Ok(found.map(|(_, labels)| labels.and_then(|labels| labels.get(STACK_LABEL).cloned())))
    }
}
