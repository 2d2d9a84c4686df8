//! Whether an app serves after a deploy, by way of what that deploy made (rule R15), and whose fault it is where it does
//! not (rule R17).
//!
//! Traefik goes by what it read last, so an answer counts only from its next reading on. Then the page is compared with
//! what Traefik answers for a name that nobody has: that is never an answer of the app.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use jiff::Timestamp;

use super::again::Objection;
use super::http::{Exchange, host_of};
use super::{ProbeFailure, Prober};
use crate::blame::Blame;
use crate::deploy::{Deployed, Settled};
use crate::manifest::{Health, HttpPath, HttpProbe, Probe};
use crate::proxy::{Proxy, Routes, SharedName, shared_names};
use crate::swarm::{Limits, Neighbour, ServiceFacts, StackFacts, SwarmError, TaskState, WaitFailure};
use crate::wait::CancellationToken;

/// How many other sites are asked before Traefik is called blind.
const OTHERS_ASKED: usize = 5;
/// How long a site must have been there before it tells anything of Traefik.
const STEADY: Duration = Duration::from_secs(60);
/// How long the page of nobody must be the answer, once Traefik has read the swarm, before it is believed.
const NOBODY_FOR: Duration = Duration::from_secs(5);
/// The body of Traefik's own 404.
const TRAEFIK_404: &str = "404 page not found\n";

/// What is asked of an app before it counts as serving.
#[derive(Debug, Clone, Copy)]
pub struct Wanted<'a> {
    /// Its health page, if it has one.
    pub health: &'a Health,
    /// What else must hold: all that there is to ask of an app without a page.
    pub ready: &'a [Probe],
    /// How long it may take, from when Traefik goes by the deploy.
    pub patience: Duration,
}

/// An app that does not serve.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Unserved {
    /// A probe did not hold, or could not be asked.
    #[error("{failure}{}", .hint.as_deref().unwrap_or_default())]
    Probe {
        /// Which, and why.
        failure: ProbeFailure,
        /// What the recipe's author should look at.
        hint: Option<String>,
    },
    /// A service broke while the app was asked.
    #[error(transparent)]
    Broke(WaitFailure),
    /// Traefik routes other sites and has no router for this one.
    #[error(
        "Traefik has no router for {host}: it answers its own page for names that nobody has, and routes other sites ({others}). {why}"
    )]
    NotRouted {
        /// The app's host.
        host: String,
        /// A site that it does route.
        others: String,
        /// What the labels say.
        why: String,
    },
    /// Traefik routes nothing.
    #[error(
        "Traefik is up and routes nothing: for {host} and for {} it answers the page of names that nobody has; look at its log and at its \
         access to Docker, this is not the recipe's fault", others.join(", ")
    )]
    Blind {
        /// The app's host.
        host: String,
        /// The other sites that were asked.
        others: Vec<String>,
    },
    /// Traefik has no router for the app, and there is no other site to compare with.
    #[error(
        "Traefik has no router for {host}, and no other site runs here to tell whether it routes anything at all; the labels ask for it \
         rightly as far as ccci can read them: look at Traefik's log"
    )]
    Unknown {
        /// The app's host.
        host: String,
    },
    /// A service of the base, which the commit has no more, still has the app's host.
    #[error(
        "the service `{service}` is in no compose file of this commit any more, runs on and still has {host}: what answers may be the base. abra \
         removes no service; give the new one the old name, or remove the old one by hand where it is deployed"
    )]
    Outlived {
        /// The service's full name.
        service: String,
        /// The app's host.
        host: String,
    },
    /// Another stack asks Traefik for the same name.
    #[error(
        "two apps on this server ask Traefik for one name: {}; what answers may be the other one. Stop the other, or name it by \
         ${{STACK_NAME}} in both", .0.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")
    )]
    Shared(Vec<SharedName>),
    /// The engine did not answer.
    #[error(transparent)]
    Engine(#[from] SwarmError),
}

impl From<ProbeFailure> for Unserved {
    fn from(failure: ProbeFailure) -> Self {
        Self::Probe { failure, hint: None }
    }
}

impl Unserved {
    /// Whose fault it is.
    pub fn blame(&self) -> Blame {
        match self {
            Self::Probe { failure: ProbeFailure::Wrong { .. }, .. }
            | Self::NotRouted { .. }
            | Self::Broke(WaitFailure::Certain(_)) => Blame::Recipe,
            _ => Blame::Infrastructure,
        }
    }

    /// The last exchange over HTTP, where one explains it.
    pub fn exchange(&self) -> Option<&Exchange> {
        match self {
            Self::Probe { failure: ProbeFailure::Wrong { exchange, .. }, .. } => exchange.as_deref(),
            _ => None,
        }
    }
}

/// Which page Traefik gives for a name that nobody has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Nobody {
    status: Option<u16>,
    body: String,
    location: Option<String>,
}

impl Nobody {
    fn of(exchange: &Exchange, host: &str) -> Self {
        let same = |text: &str| text.replace(host, "HOST");
        let location = exchange.headers.iter().find(|(name, _)| name == "location");
        Self {
            status: exchange.status,
            body: same(&exchange.body),
            location: location.map(|(_, value)| same(value)),
        }
    }

    /// Traefik's own 404, where nobody's page cannot be had: a certificate of its own for each name refuses others.
    fn usual() -> Self {
        Self { status: Some(404), body: TRAEFIK_404.to_owned(), location: None }
    }
}

/// The state of one wait for the page.
struct Page<'a> {
    nobody: &'a Nobody,
    host: &'a str,
    /// How long nobody's page must be the answer before it is believed.
    believed: Duration,
    since: Option<Instant>,
}

impl Page<'_> {
    /// What speaks against this exchange as an answer of the app, and whether that is final.
    fn objection(&mut self, exchange: &Exchange) -> Option<Objection> {
        if exchange.status.is_none() || Nobody::of(exchange, self.host) != *self.nobody {
            self.since = None;
            return None;
        }
        let since = *self.since.get_or_insert_with(Instant::now);
        Some(Objection {
            why: "it is what Traefik answers for names that nobody has".to_owned(),
            is_final: since.elapsed() >= self.believed,
        })
    }
}

impl Prober {
    /// Waits until the app serves by way of what this deploy made: Traefik goes by it, the health page answers, and all
    /// `ready` probes hold. A service that breaks meanwhile ends it.
    ///
    /// # Errors
    /// [`Unserved::blame`] says whose it is.
    pub async fn serves_after(
        &self,
        settled: &mut Settled,
        proxy: &Proxy,
        wanted: &Wanted<'_>,
        cancel: &CancellationToken,
    ) -> Result<(), Unserved> {
        // What is asked has bounds of its own.
        let limits = Limits::new(wanted.patience, cancel.clone());
        let deployed = settled.deployed.clone();
        if let Some(old) = self.outlived(settled) {
            return Err(old);
        }
        let asked = self.asked(&deployed, proxy, wanted, cancel);
        match settled.guard(&limits, asked).await {
            Ok(served) => served,
            Err(failure) => Err(Unserved::Broke(failure)),
        }
    }

    /// A service of the base that may answer in the place of the deployed commit's.
    fn outlived(&self, settled: &Settled) -> Option<Unserved> {
        let host = host_of(&self.site.origin).to_owned();
        let facts = &settled.deployed.after.facts;
        let answers = |service: &ServiceFacts| {
            let routes = Routes::of(&service.labels);
            let runs = facts.tasks_of(service).any(|task| task.state == TaskState::Running);
            routes.is_routed() && routes.hosts.contains(&host) && runs
        };
        let old = settled.dropped().into_iter().find(answers)?;
        Some(Unserved::Outlived { service: old.name, host })
    }

    /// Whether an app that has served still does: its health page answers, as its own. One that has no page is asked all that
    /// it was asked before.
    ///
    /// # Errors
    /// [`Unserved::blame`] says whose it is.
    pub async fn still_serves(
        &self,
        wanted: &Wanted<'_>,
        cancel: &CancellationToken,
    ) -> Result<(), Unserved> {
        if !wanted.health.page {
            return self.ready(wanted, cancel).await;
        }
        let facts = self.swarm.observe(&self.site.stack).await?;
        let neighbours = self.swarm.neighbours().await?;
        self.page(&facts, &neighbours, NOBODY_FOR, wanted, cancel).await
    }

    /// Waits until all `ready` probes hold, in one patience for all of them.
    async fn ready(&self, wanted: &Wanted<'_>, cancel: &CancellationToken) -> Result<(), Unserved> {
        let start = Instant::now();
        for probe in wanted.ready {
            // Never less than one honest try.
            let left = wanted.patience.saturating_sub(start.elapsed()).max(Duration::from_secs(1));
            self.wait(probe, left, cancel).await?;
        }
        Ok(())
    }

    async fn asked(
        &self,
        deployed: &Deployed,
        proxy: &Proxy,
        wanted: &Wanted<'_>,
        cancel: &CancellationToken,
    ) -> Result<(), Unserved> {
        let now = &deployed.after.facts;
        tokio::select! {
            noticed = proxy.noticed(&deployed.before, now, self.swarm.now()) => {
                tracing::debug!(?noticed, stack = %now.stack, "answers count from now on");
            }
            () = cancel.cancelled() => {
                return Err(ProbeFailure::Cancelled { probe: "Traefik's next look at the swarm".to_owned() }.into());
            }
        }
        let neighbours = self.swarm.neighbours().await?;
        let shared = shared_names(now, &neighbours);
        if !shared.is_empty() {
            return Err(Unserved::Shared(shared));
        }
        // One patience for all of it, as recipe.yaml says.
        let start = Instant::now();
        if wanted.health.page {
            let believed = NOBODY_FOR.max(proxy.lag());
            self.page(now, &neighbours, believed, wanted, cancel).await?;
        }
        let left = Wanted { patience: wanted.patience.saturating_sub(start.elapsed()), ..*wanted };
        self.ready(&left, cancel).await
    }

    /// Waits for the health page, as the app's own answer.
    async fn page(
        &self,
        facts: &StackFacts,
        neighbours: &[Neighbour],
        believed: Duration,
        wanted: &Wanted<'_>,
        cancel: &CancellationToken,
    ) -> Result<(), Unserved> {
        let host = host_of(&self.site.origin).to_owned();
        let nobody = self.nobody(&wanted.health.path).await;
        let mut page = Page { nobody: &nobody, host: &host, believed, since: None };
        let Health { path, status, .. } = wanted.health.clone();
        let probe = Probe::Http(HttpProbe { path, status, text: None });
        let asked = self.wait_judged(&probe, wanted.patience, cancel, |e| page.objection(e)).await;
        let Err(failure) = asked else { return Ok(()) };
        let is_nobodys = page.since.is_some();
        if !is_nobodys {
            let hint = unreached(&failure, facts);
            return Err(Unserved::Probe { failure, hint });
        }
        Err(self.blamed(host, facts, neighbours, &nobody).await)
    }

    /// The page of a name that nobody has.
    async fn nobody(&self, path: &HttpPath) -> Nobody {
        let host = host_of(&self.site.origin);
        let name = format!("nobody-{host}");
        let (exchange, _) = self.http.get_at(&name, &self.site, path.as_str(), &self.redactor).await;
        if exchange.status.is_some() { Nobody::of(&exchange, &name) } else { Nobody::usual() }
    }

    /// Whose fault it is that Traefik has no router for the app.
    async fn blamed(
        &self,
        host: String,
        facts: &StackFacts,
        neighbours: &[Neighbour],
        nobody: &Nobody,
    ) -> Unserved {
        let mut blind = Vec::new();
        for (other, path) in other_sites(facts, neighbours, self.swarm.now()) {
            let (exchange, _) = self.http.get_at(&other, &self.site, path, &self.redactor).await;
            let is_nobodys = exchange.status == Some(404)
                && (exchange.body == TRAEFIK_404 || Nobody::of(&exchange, &other) == *nobody);
            if exchange.status.is_some() && !is_nobodys {
                return Unserved::NotRouted { why: asked_for(facts, &host), others: other, host };
            }
            blind.push(other);
        }
        let routes = facts.services.iter().map(|s| Routes::of(&s.labels));
        let asks = routes.filter(Routes::is_routed).any(|routes| routes.hosts.contains(&host));
        match (blind.is_empty(), asks) {
            (false, _) => Unserved::Blind { host, others: blind },
            (true, true) => Unserved::Unknown { host },
            (true, false) => {
                let others = "none runs here".to_owned();
                Unserved::NotRouted { why: asked_for(facts, &host), others, host }
            }
        }
    }
}

/// The sites of other stacks that have been there for a while, the oldest first, each with a path that is there.
fn other_sites(ours: &StackFacts, neighbours: &[Neighbour], now: Timestamp) -> Vec<(String, &'static str)> {
    let steady = |n: &&Neighbour| {
        let age = Duration::try_from(now.duration_since(n.created)).unwrap_or_default();
        n.wants_tasks && n.stack.as_deref() != Some(ours.stack.as_str()) && age >= STEADY
    };
    let mut others: Vec<&Neighbour> = neighbours.iter().filter(steady).collect();
    others.sort_by_key(|n| n.created);
    let routed = others.iter().map(|n| Routes::of(&n.labels)).filter(Routes::is_routed);
    // Traefik itself has no page at its root where its dashboard is off.
    let path = |routes: &Routes| if routes.is_traefik { "/api/version" } else { "/" };
    let sites = routed.flat_map(|routes| {
        let path = path(&routes);
        routes.hosts.into_iter().map(move |host| (host, path))
    });
    sites.take(OTHERS_ASKED).collect()
}

/// What the labels of the stack ask Traefik for, where that is not the host.
fn asked_for(facts: &StackFacts, host: &str) -> String {
    let routes: Vec<Routes> = facts.services.iter().map(|s| Routes::of(&s.labels)).collect();
    let routed: Vec<&Routes> = routes.iter().filter(|routes| routes.is_routed()).collect();
    if routed.is_empty() {
        return "No service has `traefik.enable=true`: look at `deploy.labels` in compose.yml".to_owned();
    }
    let hosts: BTreeSet<&str> = routed.iter().flat_map(|routes| &routes.hosts).map(String::as_str).collect();
    if hosts.contains(host) {
        "Its labels name this host, so Traefik refuses the router: look at its entry points, middlewares and network".to_owned()
    } else if hosts.is_empty() {
        "Its routers have no `rule=Host(…)`: look at the labels in compose.yml".to_owned()
    } else {
        let hosts: Vec<&str> = hosts.into_iter().collect();
        format!(
            "Its routers are for {}: `rule=Host(`${{DOMAIN}}`)` is what abra's apps have",
            hosts.join(", ")
        )
    }
}

/// Where Traefik has a router and cannot reach the app: which port it tries.
fn unreached(failure: &ProbeFailure, facts: &StackFacts) -> Option<String> {
    let ProbeFailure::Wrong { exchange: Some(exchange), .. } = failure else { return None };
    let gateways = [Some(502), Some(503), Some(504)];
    if !gateways.contains(&exchange.status) {
        return None;
    }
    let routes = facts.services.iter().map(|s| Routes::of(&s.labels)).filter(Routes::is_routed);
    let ports: BTreeSet<String> = routes.flat_map(|routes| routes.ports.into_values()).collect();
    if ports.is_empty() {
        return None;
    }
    let ports: Vec<String> = ports.into_iter().collect();
    Some(format!(
        "; Traefik has a router for it and cannot reach it at port {} (label `loadbalancer.server.port`): does the app listen there?",
        ports.join(", ")
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn exchange(status: u16, body: &str, location: Option<&str>) -> Exchange {
        Exchange {
            method: "GET".into(),
            url: String::new(),
            status: Some(status),
            headers: location.map(|l| ("location".to_owned(), l.to_owned())).into_iter().collect(),
            body: body.to_owned(),
            error: None,
            took: Duration::ZERO,
        }
    }

    #[test]
    fn r15_a_page_for_everybody_is_recognised_whatever_host_it_names() {
        let nobody = Nobody::of(&exchange(302, "see", Some("https://login.b/?rd=nobody-a.b")), "nobody-a.b");
        let mut page = Page { nobody: &nobody, host: "a.b", believed: Duration::ZERO, since: None };
        assert_eq!(
            page.objection(&exchange(302, "see", Some("https://login.b/?rd=a.b")))
                .map(|objection| objection.is_final),
            Some(true)
        );
        for own in [
            exchange(302, "see", Some("https://a.b/login")),
            exchange(302, "hello", Some("https://login.b/?rd=a.b")),
            exchange(200, "see", Some("https://login.b/?rd=a.b")),
        ] {
            assert_eq!(page.objection(&own), None);
            assert_eq!(page.since, None, "an answer of the app begins the count anew");
        }
    }

    #[test]
    fn r17_old_sites_tell_whether_traefik_routes_and_new_ones_nothing() {
        let neighbour = |stack: &str, created: i64, service: &str| Neighbour {
            stack: Some(stack.to_owned()),
            service: format!("{stack}_app"),
            labels: [
                ("traefik.enable".to_owned(), "true".to_owned()),
                (format!("traefik.http.routers.{stack}.rule"), format!("Host(`{stack}.b`)")),
                (format!("traefik.http.routers.{stack}.service"), service.to_owned()),
            ]
            .into(),
            image: String::new(),
            wants_tasks: true,
            created: Timestamp::from_second(created).unwrap(),
        };
        let ours = crate::swarm::recorded("healthy");
        let own = neighbour(ours.stack.as_str(), 1, "x");
        let all = [
            neighbour("young", 990, "x"),
            neighbour("traefik", 200, "api@internal"),
            neighbour("keycloak", 100, "x"),
            Neighbour { wants_tasks: false, ..neighbour("off", 50, "x") },
            own,
        ];
        let sites = other_sites(&ours, &all, Timestamp::from_second(1000).unwrap());
        assert_eq!(sites, [("keycloak.b".to_owned(), "/"), ("traefik.b".to_owned(), "/api/version")]);
    }

    #[test]
    fn r15_nobodys_page_must_stay_before_it_is_believed() {
        let nobody = Nobody::usual();
        let mut page = Page { nobody: &nobody, host: "a.b", believed: Duration::from_secs(60), since: None };
        let seen = exchange(404, TRAEFIK_404, None);
        assert_eq!(page.objection(&seen).map(|objection| objection.is_final), Some(false));
        assert_eq!(page.objection(&exchange(404, "no such page", None)), None, "a 404 of the app's own");
    }
}
