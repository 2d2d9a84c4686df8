//! The one table of refusals: their words, and who is to blame (R17). The recipe's is what every sound server
//! would refuse; what stands in the way on this one is the server's, and the holder is named.

use std::fmt;

use crate::blame::Blame;
use crate::docker_says::speaks_of_an_image;
use crate::routes::{PROXY_NETWORK, PROXY_PORTS};

pub use crate::swarm::Thing;

/// A kind of words in a refusal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sign {
    /// The engine does not answer, is no manager, or has no room left.
    Engine,
    /// Swarm is there and could not do it now.
    Swarm,
    /// A git origin cannot be read.
    Origin,
    /// An image cannot be had.
    Image,
    /// The compose reader, swarm's check of a specification and abra's recipe reader do not take it.
    Compose,
}

impl Sign {
    /// Whose a refusal with this sign is.
    pub fn whose(self) -> Blame {
        match self {
            Self::Engine | Self::Swarm | Self::Origin => Blame::Infrastructure,
            Self::Image | Self::Compose => Blame::Recipe,
        }
    }

    /// Whether the words, in lower case, have this sign.
    pub(super) fn is_in(self, low: &str) -> bool {
        let any = |signs: &[&str]| signs.iter().any(|words| low.contains(words));
        match self {
            Self::Engine => any(ENGINE),
            Self::Swarm => any(SWARM),
            Self::Origin => any(ORIGIN),
            Self::Image => speaks_of_an_image(low),
            Self::Compose => any(COMPOSE),
        }
    }
}

const ENGINE: &[&str] = &[
    "cannot connect to the docker daemon",
    "error during connect",
    "is the docker daemon running",
    "dial unix",
    "trying to connect to the docker",
    "not a swarm manager",
    "the swarm does not have a leader",
    "no space left on device",
    "context deadline exceeded",
    "code = unavailable",
    "code = deadlineexceeded",
    "connection reset by peer",
    "unexpected eof",
    "i/o timeout",
];

const SWARM: &[&str] = &[
    "code = internal",
    "code = unknown",
    "code = failedprecondition",
    "code = permissiondenied",
    "code = unauthenticated",
    "code = aborted",
    "code = canceled",
    "code = resourceexhausted",
    "update out of sequence",
    "deadline exceeded",
    "pool overlaps with other one",
    "could not find an available, non-overlapping",
    "all predefined address pools have been fully subnetted",
    "tls handshake timeout",
    "toomanyrequests",
];

const ORIGIN: &[&str] =
    &["authentication required", "repository not found", "unable to fetch", "could not resolve host"];

const COMPOSE: &[&str] = &[
    "does not match format",
    "additional property",
    "must be a string",
    "must be a mapping",
    "must be a list",
    "must be a number",
    "must be a integer",
    "must be an integer",
    "must be a boolean",
    "must be one of the following",
    "decoding failed due to",
    "invalid interpolation format",
    "required variable",
    "refers to undefined",
    "undefined volume",
    "undefined network",
    "undefined secret",
    "undefined config",
    "undefined service",
    "unsupported compose file version",
    "yaml:",
    "unable to validate recipe",
    "only updates to labels are allowed",
    "invalid mount config",
    "invalid reference format",
    "invalid volume specification",
    "invalid service name",
    "code = invalidargument",
    "secret not found",
    "config not found",
];

/// A published port, and who has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Port {
    /// The port on the server.
    pub number: u16,
    /// The full name of the service that has it.
    pub service: String,
    /// Whether that is of the stack that was to be deployed.
    pub own: bool,
}

impl Port {
    /// Whose it is that the port is taken.
    pub fn whose(&self) -> Blame {
        let recipes = self.own || PROXY_PORTS.contains(&self.number);
        if recipes { Blame::Recipe } else { Blame::Infrastructure }
    }
}

impl fmt::Display for Port {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { number, service, own } = self;
        if *own {
            return write!(
                f,
                "the recipe publishes port {number} twice: its service `{service}` has it already"
            );
        }
        write!(f, "port {number} of this server is held by the service `{service}` ({})", holder(service))?;
        if PROXY_PORTS.contains(number) {
            let way = "route the service by its labels instead of publishing the port";
            write!(f, "; on every server it belongs to the proxy, so the recipe is to blame: {way}")?;
        }
        Ok(())
    }
}

/// Who has a service or a stack of this name, as far as the name tells (N1).
pub fn holder(name: &str) -> &'static str {
    let stack = name.split('_').next().unwrap_or_default();
    let run =
        |id: &str| id.len() == 6 && id.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b));
    if stack.starts_with("warm-") {
        "an app that ccci keeps: a canonical or a provider"
    } else if name.contains('_')
        && stack.rsplit_once('-').is_some_and(|(head, id)| head.len() <= 4 && run(id))
    {
        "another run of ccci"
    } else {
        "another stack"
    }
}

/// Swarm's words of a port that is taken: `port '8080' is already in use by service 'x_web' (id) as an ingress port`.
pub(super) fn port(said: &str) -> Option<Port> {
    let (before, after) = said.split_once("is already in use by service")?;
    let number = before.trim_end().rsplit(|c: char| !c.is_ascii_digit()).find(|digits| !digits.is_empty())?;
    let service = after.trim_start().trim_start_matches(['\'', '"', '`']);
    let service = service.split(|c: char| c.is_whitespace() || "'\"`(".contains(c)).next()?;
    Some(Port { number: number.parse().ok()?, service: service.to_owned(), own: false })
}

/// The network that is not there.
pub(super) fn missing_network(said: &str) -> Option<String> {
    said.lines().find_map(|line| {
        let absent = ["could not be found", "not found", "not in the right scope"];
        let (_, after) = line.split_once("network ")?;
        let name = after.trim_start_matches(['"', '\'', '`']);
        let end = name.find(|c: char| c.is_whitespace() || "\"'`:,".contains(c)).unwrap_or(name.len());
        let (name, rest) = name.split_at(end);
        let of_it = rest.trim_start_matches(['"', '\'', '`', ':']).trim_start();
        let told = of_it.starts_with("not found") || of_it.starts_with("is declared as external");
        let absent = absent.iter().any(|words| of_it.contains(words));
        (told && absent && !name.is_empty()).then(|| name.to_owned())
    })
}

/// Whose it is that a network of the server's is not there: every server has the proxy's, and no other by itself.
pub(super) fn network_missing(name: &str) -> Blame {
    if name == PROXY_NETWORK { Blame::Infrastructure } else { Blame::Recipe }
}

pub(super) fn told_missing(name: &str) -> String {
    if name == PROXY_NETWORK {
        return format!(
            "this server has no network `{name}` in its swarm, by which the proxy reaches every app: deploy the proxy, or \
             `docker network create --driver overlay --attachable {name}`"
        );
    }
    format!(
        "the recipe takes the network `{name}` from the server, and neither the recipe nor the proxy makes one"
    )
}

/// What exists already under a name that the deploy would give.
pub(super) fn taken(said: &str) -> Option<Thing> {
    said.lines().find_map(|line| {
        let (before, _) = line.split_once(" already exists")?;
        let name = before.rsplit(' ').next()?.trim_matches(['"', '\'', '`']);
        let kind = ["network with name ", "config ", "service "];
        let kind = kind.iter().find(|kind| {
            before
                .strip_suffix(name)
                .is_some_and(|rest| rest.trim_end_matches(['"', '\'', '`']).ends_with(*kind))
        })?;
        let kind = kind.split(' ').next()?;
        Some(Thing { kind: KINDS.iter().copied().find(|known| *known == kind)?, name: name.to_owned() })
    })
}

/// What would have been changed and cannot be: `failed to update config x: … only updates to Labels are allowed`. It is the
/// recipe's where it is its own, and its holder's where it is not.
pub(super) fn changed(said: &str) -> Option<Thing> {
    said.lines().find_map(|line| {
        let (before, after) = line.split_once("failed to update ")?;
        let fixed = after.to_lowercase().contains("only updates to labels are allowed");
        let mut words = after.split([' ', ':']);
        let kind = words.next()?;
        let kind = KINDS.iter().copied().find(|known| *known == kind)?;
        let name = words.next()?.trim_matches(['"', '\'', '`']).to_owned();
        (fixed && !before.contains("failed")).then_some(Thing { kind, name })
    })
}

const KINDS: [&str; 4] = ["network", "config", "secret", "service"];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_port_has_its_holder_and_whose_it_is() {
        let said = |port: &str, service: &str, how: &str| {
            format!(
                "failed to create service a_web: Error response from daemon: rpc error: code = InvalidArgument desc = port '{port}' is already in use by service '{service}' (r2zc) as {how}"
            )
        };
        for (number, service, how, who, whose) in [
            ("8080", "shop_web", "an ingress port", "another stack", Blame::Infrastructure),
            (
                "8080",
                "warm-blog_example_org_app",
                "an ingress port",
                "that ccci keeps",
                Blame::Infrastructure,
            ),
            (
                "8080",
                "blog-0a1b2c_example_org_app",
                "a host-published port",
                "another run",
                Blame::Infrastructure,
            ),
            (
                "443",
                "traefik_example_org_app",
                "a host-published port",
                "belongs to the proxy",
                Blame::Recipe,
            ),
        ] {
            let port = port(&said(number, service, how)).unwrap();
            assert_eq!((port.number.to_string().as_str(), port.service.as_str()), (number, service));
            assert_eq!(port.whose(), whose);
            assert!(port.to_string().contains(who), "{port}");
        }
        let own = Port { own: true, ..port(&said("8080", "a_web", "an ingress port")).unwrap() };
        assert_eq!(own.whose(), Blame::Recipe);
        assert!(port("the volume is already in use").is_none());
    }

    /// The table: sign, whose.
    #[test]
    fn each_sign_says_whose_a_refusal_is() {
        for (said, whose) in [
            ("Cannot connect to the Docker daemon at unix:///var/run/docker.sock", Blame::Infrastructure),
            ("rpc error: code = DeadlineExceeded desc = context deadline exceeded", Blame::Infrastructure),
            ("rpc error: code = Unknown desc = update out of sequence", Blame::Infrastructure),
            ("rpc error: code = Unavailable desc = connection error", Blame::Infrastructure),
            ("rpc error: code = Internal desc = raft", Blame::Infrastructure),
            (
                "invalid pool request: Pool overlaps with other one on this address space",
                Blame::Infrastructure,
            ),
            ("no space left on device", Blame::Infrastructure),
            ("rpc error: code = InvalidArgument desc = name must be 63 characters or fewer", Blame::Recipe),
            ("services.app Additional property imgae is not allowed", Blame::Recipe),
            ("service app: secret not found: x", Blame::Recipe),
            ("manifest for nginx:9 not found: manifest unknown", Blame::Recipe),
        ] {
            let low = said.to_lowercase();
            let signs = [Sign::Engine, Sign::Origin, Sign::Image, Sign::Swarm, Sign::Compose];
            let sign = signs.into_iter().find(|sign| sign.is_in(&low));
            assert_eq!(sign.map(Sign::whose), Some(whose), "{said}: {sign:?}");
        }
    }

    #[test]
    fn what_is_missing_or_taken_is_named() {
        for (said, name) in [
            (
                r#"network "proxy" is declared as external, but could not be found. You need to create a swarm-scoped network before the stack is deployed"#,
                Some("proxy"),
            ),
            (
                r#"network "db" is declared as external, but it is not in the right scope: "local" instead of "swarm""#,
                Some("db"),
            ),
            ("Error response from daemon: network proxy not found", Some("proxy")),
            ("rpc error: code = NotFound desc = network 4fj2 not found", Some("4fj2")),
            (r#"service "app" refers to undefined network db: undefined network"#, None),
            ("Creating network a_default", None),
        ] {
            assert_eq!(missing_network(said).as_deref(), name, "{said}");
        }
        assert_eq!(network_missing("proxy"), Blame::Infrastructure);
        assert_eq!(network_missing("proxxy"), Blame::Recipe);
        for (said, thing) in [
            (
                "failed to create network shared: Error response from daemon: network with name shared already exists",
                Some(("network", "shared")),
            ),
            (
                "failed to create config c: Error response from daemon: rpc error: code = AlreadyExists desc = config c already exists",
                Some(("config", "c")),
            ),
            (
                "rpc error: code = AlreadyExists desc = name conflicts with an existing object: service a_web already exists",
                Some(("service", "a_web")),
            ),
            ("rpc error: code = AlreadyExists desc = secret wiki_pw_v1 already exists", None),
        ] {
            let found = taken(said);
            assert_eq!(found.as_ref().map(|t| (t.kind, t.name.as_str())), thing, "{said}");
        }
        let said = "failed to update config shared_v1: Error response from daemon: rpc error: code = InvalidArgument desc = only updates to Labels are allowed";
        assert_eq!(changed(said), Some(Thing { kind: "config", name: "shared_v1".to_owned() }));
        assert_eq!(changed("failed to update service a_web: Error response from daemon: rpc error: x"), None);
    }
}
