//! Declared probes: one question with one answer, asked over HTTP, over TCP or inside a service.
//!
//! What needs two steps is a check in Rust or a script, never a richer probe.

use std::fmt;

use serde::de::value::MapAccessDeserializer;
use serde::de::{Error as _, MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};

use super::field::{HttpPath, Statuses};

/// One question to the app.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(into = "Spec")]
pub enum Probe {
    /// A request over HTTPS to the app's own domain.
    Http(HttpProbe),
    /// A connection to a port.
    Tcp(TcpProbe),
    /// A command inside a service's container.
    Command(CommandProbe),
}

/// A request over HTTPS to the app's own domain. Redirects are not followed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HttpProbe {
    /// The path that is asked.
    #[serde(default)]
    pub path: HttpPath,
    /// The statuses that are right.
    #[serde(default = "Statuses::ok")]
    pub status: Statuses,
    /// What the body must contain.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
}

/// A connection to a port, opened and closed again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TcpProbe {
    /// The host; the app's own domain where none is named.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub host: Option<String>,
    /// The port.
    pub port: u16,
    /// How many connections in a row must succeed.
    #[serde(default = "one")]
    pub stable: u16,
}

fn one() -> u16 {
    1
}

/// A command inside a service's container; right when it ends with 0.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CommandProbe {
    /// The service, as the compose file names it.
    pub service: String,
    /// The program and its arguments; no shell.
    pub argv: Vec<String>,
    /// What its standard output must contain.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
}

/// A probe as it is written: a mapping with exactly one of these keys.
#[derive(Clone, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Spec {
    #[serde(skip_serializing_if = "Option::is_none")]
    http: Option<HttpProbe>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tcp: Option<TcpProbe>,
    #[serde(skip_serializing_if = "Option::is_none")]
    command: Option<CommandProbe>,
}

impl<'de> Deserialize<'de> for Probe {
    fn deserialize<D: Deserializer<'de>>(source: D) -> Result<Self, D::Error> {
        /// Checks within the visit, so that an error has the probe's own place.
        struct One;

        impl<'de> Visitor<'de> for One {
            type Value = Probe;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a probe")
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Probe, A::Error> {
                let spec = Spec::deserialize(MapAccessDeserializer::new(map))?;
                Probe::try_from(spec).map_err(A::Error::custom)
            }
        }

        source.deserialize_map(One)
    }
}

impl From<Probe> for Spec {
    fn from(probe: Probe) -> Self {
        match probe {
            Probe::Http(http) => Self { http: Some(http), ..Self::default() },
            Probe::Tcp(tcp) => Self { tcp: Some(tcp), ..Self::default() },
            Probe::Command(command) => Self { command: Some(command), ..Self::default() },
        }
    }
}

impl TryFrom<Spec> for Probe {
    type Error = String;

    fn try_from(spec: Spec) -> Result<Self, String> {
        match (spec.http, spec.tcp, spec.command) {
            (Some(http), None, None) => Ok(Self::Http(http)),
            (None, Some(tcp), None) => checked_tcp(tcp).map(Self::Tcp),
            (None, None, Some(command)) => checked_command(command).map(Self::Command),
            _ => Err("a probe has exactly one of `http`, `tcp` and `command`".to_owned()),
        }
    }
}

fn checked_tcp(tcp: TcpProbe) -> Result<TcpProbe, String> {
    if tcp.port == 0 {
        return Err("0 is not a port".to_owned());
    }
    if !(1..=100).contains(&tcp.stable) {
        return Err(format!("`stable` is from 1 to 100 connections, not {}", tcp.stable));
    }
    Ok(tcp)
}

fn checked_command(command: CommandProbe) -> Result<CommandProbe, String> {
    if command.service.trim().is_empty() {
        return Err("`service` is empty: name one as the compose file does".to_owned());
    }
    if command.argv.first().is_none_or(|program| program.trim().is_empty()) {
        return Err("`argv` is empty: it is the program and its arguments".to_owned());
    }
    Ok(command)
}

impl fmt::Display for Probe {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Http(http) => {
                write!(f, "GET {} gives {}", http.path.as_str(), http.status)?;
                http.text.as_ref().map_or(Ok(()), |text| write!(f, " with `{text}`"))
            }
            Self::Tcp(tcp) => {
                write!(f, "{}:{} accepts", tcp.host.as_deref().unwrap_or("the app's domain"), tcp.port)
            }
            Self::Command(command) => write!(f, "`{}` in {}", command.argv.join(" "), command.service),
        }
    }
}
