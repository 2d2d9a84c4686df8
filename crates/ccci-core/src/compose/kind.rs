//! The kinds of what an app reaches outside of itself (R19).

use serde::{Deserialize, Serialize};

/// What kind of thing is reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ReachKind {
    /// The Docker socket, or a folder with it: whoever has it may do anything on the machine.
    DockerSocket,
    /// `privileged`.
    Privileged,
    /// A namespace of the machine: its network, processes or memory.
    Namespace,
    /// A capability that containers do not have by themselves.
    Capability,
    /// A device.
    Device,
    /// A protection that is switched off.
    Security,
    /// A path of the machine.
    Bind,
    /// A volume that is not the stack's own.
    Volume,
    /// A file that does not come from the recipe's repository.
    File,
    /// A secret whose name is not the stack's.
    Secret,
    /// A config whose name is not the stack's.
    Config,
    /// A network that others are on.
    Network,
    /// A port of the machine.
    Port,
    /// Files that ccci could not read: nobody knows what they reach.
    Unread,
}

impl ReachKind {
    /// The kind as it stands in records and lines.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::DockerSocket => "docker-socket",
            Self::Privileged => "privileged",
            Self::Namespace => "namespace",
            Self::Capability => "capability",
            Self::Device => "device",
            Self::Security => "security",
            Self::Bind => "bind",
            Self::Volume => "volume",
            Self::File => "file",
            Self::Secret => "secret",
            Self::Config => "config",
            Self::Network => "network",
            Self::Port => "port",
            Self::Unread => "unread",
        }
    }
}
