//! What realms cost by ccci-sso, beside the same requests bare, on the lab's live-warm Keycloak.
//!
//! Keycloak draws keys for each realm until it has primes, so two imports of one text differ by much more than anything
//! that a client could add. So each side talks over a wire that is watched: both must send the same number of requests on
//! connections that are kept, and what a side adds is its whole time against its waits, with Keycloak's moods in both. The
//! two sides' times are told beside each other too, with the same ratio of bare against bare: what such a comparison can
//! see at all.
//!
//! `cargo bench -p ccci-runner --bench realms` fails at its gates; `CCCI_BENCH_REALMS` says how many realms a side makes.
#![expect(clippy::disallowed_methods, reason = "a bench calls programs and writes files as a user does")]
#![expect(clippy::print_stdout, reason = "figures are printed")]
#![expect(clippy::unwrap_used, reason = "a bench that cannot go on stops here")]

#[expect(dead_code, reason = "the live tests use the rest")]
#[path = "../tests/live/flight.rs"]
mod flight;

#[expect(dead_code, reason = "the live tests use the rest")]
#[path = "../tests/live/provider.rs"]
mod provider;

#[expect(dead_code, reason = "the live tests use the rest")]
#[path = "../tests/live/support.rs"]
mod support;

#[path = "../tests/live/wire.rs"]
mod wire;

use std::collections::BTreeSet;
use std::num::NonZeroUsize;
use std::time::{Duration, Instant};

use ccci_core::names::RunId;
use ccci_core::settings::Settings;
use ccci_core::wait::CancellationToken;
use ccci_sso::reap::Survey;
use ccci_sso::{Realm, RealmName, StateId};
use serde_json::json;

use crate::provider::{Cleanup, Provider, run_id, spec};
use crate::support::{Server, server};
use crate::wire::{Seen, Wire};

/// The goal for both ratios, and twice the excess that it allows, at which this fails.
const GOAL: f64 = 1.1;
const GATE: f64 = 1.2;
/// How long Keycloak's administrator may use a token.
const TOKEN: Duration = Duration::from_secs(60);

/// In how many rounds realms are removed, the sides in turn: Keycloak takes longer for one the more there are.
fn rounds() -> usize {
    if size().is_multiple_of(5) { 5 } else { 3 }
}

/// How many realms each side makes and removes; with fewer than six four workers have not two each round to share.
fn size() -> usize {
    std::env::var("CCCI_BENCH_REALMS").ok().and_then(|n| n.parse::<usize>().ok()).unwrap_or(50).max(6)
}

fn main() {
    let server = server("");
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let (ours, bare) = runtime.block_on(async { (Side::of(&server).await, Side::of(&server).await) });
    let bench = Bench { ours, bare, state: format!("bench-{}", run_id()).parse().unwrap() };
    let names: Vec<RealmName> =
        (0..3 * size() + 2).map(|_| RealmName::new(&"bench".parse().unwrap(), &run_id())).collect();
    let _cleanup = Cleanup { provider: &bench.bare.provider, runtime: &runtime, names: names.clone() };
    let (warm, names) = names.split_at(2);

    let made = runtime.block_on(bench.make_all(warm, names));
    println!("a realm with client and user: {made}");
    let parts: Vec<&[RealmName]> = names.chunks(size() / rounds()).collect();
    let (one, four) = runtime.block_on(bench.remove_all(&parts));
    println!("{} orphans reaped by one worker: {one}", parts[0].len());
    println!("{} orphans reaped by four workers: {four}", parts[0].len());

    made.assert_adds_little();
    one.assert_adds_little();
    // Four workers wait at the same time. That they are faster by the clock shows where each has something to do.
    assert!(Figures::own(&four.ours) < 1.0, "{four}");
    assert!(parts[0].len() < 4 || four.ratio() < 1.0, "{four}");
}

/// One way to Keycloak, with its wire.
struct Side {
    provider: Provider,
    wire: Wire,
}

/// What a piece of work took, and what of that went over the wire.
#[derive(Clone, Copy)]
struct Took {
    whole: Duration,
    wire: Seen,
}

impl Side {
    async fn of(server: &Server) -> Self {
        let (provider, wire) = Provider::over_a_wire(&Settings::load(&server.settings).unwrap()).await;
        Self { provider, wire }
    }

    async fn timed(&self, work: impl Future<Output = ()>) -> Took {
        let (before, start) = (self.wire.seen(), Instant::now());
        work.await;
        Took { whole: start.elapsed(), wire: self.wire.seen().since(before) }
    }
}

/// Both sides, and the mark of the realms that they make.
struct Bench {
    ours: Side,
    bare: Side,
    state: StateId,
}

impl Bench {
    /// Makes a third of the realms by each side, and by the bare one again, in turn.
    async fn make_all(&self, warm: &[RealmName], names: &[RealmName]) -> Figures {
        // Connections, and what Keycloak makes once.
        self.make_ours(&warm[0]).await;
        self.make_bare(&warm[1]).await;
        let mut figures = Figures::default();
        for (round, names) in names.chunks_exact(3).enumerate() {
            // No side is always the first.
            for turn in [0, 1, 2].map(|turn| (round + turn) % 3) {
                match turn {
                    0 => figures.ours.push(self.make_ours(&names[turn]).await),
                    1 => figures.bare.push(self.make_bare(&names[turn]).await),
                    _ => figures.again.push(self.make_bare(&names[turn]).await),
                }
            }
        }
        figures
    }

    /// Removes the realms, part by part: bare, by one worker, and by four, in turn.
    async fn remove_all(&self, parts: &[&[RealmName]]) -> (Figures, Figures) {
        let (mut one, mut four) = (Figures::default(), Figures::default());
        for (round, parts) in parts.chunks_exact(3).enumerate() {
            for turn in [0, 1, 2].map(|turn| (round + turn) % 3) {
                match turn {
                    0 => one.ours.push(self.reap(parts[turn], 1).await),
                    1 => one.bare.push(self.delete_bare(parts[turn]).await),
                    _ => four.ours.push(self.reap(parts[turn], 4).await),
                }
            }
        }
        four.bare.clone_from(&one.bare);
        (one, four)
    }

    /// A token and a realm, as a run makes them.
    async fn make_ours(&self, name: &RealmName) -> Took {
        let keycloak = &self.ours.provider.keycloak;
        let spec = spec(name.recipe().as_str(), name.run(), &self.state);
        let work = async {
            keycloak.login().await.unwrap();
            Realm::create(keycloak, &spec).await.unwrap();
        };
        // On a busy machine a connection lies longer than clients keep one, so it is used just before.
        keycloak.login().await.unwrap();
        self.ours.timed(work).await
    }

    /// The same two requests.
    async fn make_bare(&self, name: &RealmName) -> Took {
        let provider = &self.bare.provider;
        let import = json!({
            "realm": name.to_string(), "enabled": true, "defaultSignatureAlgorithm": "RS256",
            "attributes": { "ccci-state": self.state.as_str(), "ccci-run": name.run().as_str() },
            "clients": [{
                "clientId": "bench", "secret": "0123456789abcdef", "redirectUris": ["https://app.example.org/*"],
                "webOrigins": ["https://app.example.org"], "protocol": "openid-connect", "enabled": true,
                "publicClient": false, "standardFlowEnabled": true, "directAccessGrantsEnabled": true,
                "attributes": { "post.logout.redirect.uris": "+" },
            }],
            "users": [{
                "username": "tester", "email": "tester@example.org", "firstName": "Test", "lastName": "User",
                "emailVerified": true, "enabled": true,
                "credentials": [{ "type": "password", "value": "0123456789abcdef", "temporary": false }],
            }],
        });
        let work = async {
            let mut token = provider.bare_token().await;
            provider.bare_until(201, ("POST", "/admin/realms"), &mut token, Some(&import)).await;
        };
        provider.bare_token().await;
        self.bare.timed(work).await
    }

    /// A list, and a DELETE for each, one after the other. Their token is made before.
    async fn delete_bare(&self, names: &[RealmName]) -> Took {
        let provider = &self.bare.provider;
        let mut token = provider.bare_token().await;
        let work = async {
            assert_eq!(provider.bare("GET", "/admin/realms", &token, None).await, 200);
            for name in names {
                let path = format!("/admin/realms/{name}");
                provider.bare_until(204, ("DELETE", &path), &mut token, None).await;
            }
        };
        self.bare.timed(work).await
    }

    /// A whole reaping, the list with it, in which exactly these are orphans.
    async fn reap(&self, names: &[RealmName], workers: usize) -> Took {
        let keycloak = &self.ours.provider.keycloak;
        let dead: BTreeSet<&RunId> = names.iter().map(RealmName::run).collect();
        keycloak.login().await.unwrap();
        let work = async {
            let survey = Survey::take(keycloak, &self.state, |run| !dead.contains(run)).await.unwrap();
            let workers = NonZeroUsize::new(workers).unwrap();
            let done = survey.reap(keycloak, workers, &CancellationToken::new()).await;
            assert!(done.failed.is_empty(), "{:?}", done.failed);
            assert_eq!(done.gone.len(), names.len());
        };
        self.ours.timed(work).await
    }
}

/// The pieces of work of both sides, and those of the bare side again where it was tried twice.
#[derive(Default)]
struct Figures {
    ours: Vec<Took>,
    bare: Vec<Took>,
    again: Vec<Took>,
}

fn median(all: &[Took]) -> f64 {
    let mut times: Vec<f64> = all.iter().map(|took| took.whole.as_secs_f64()).collect();
    times.sort_by(f64::total_cmp);
    times[times.len() / 2]
}

impl Figures {
    /// Ours against bare, each by its median.
    fn ratio(&self) -> f64 {
        median(&self.ours) / median(&self.bare)
    }

    /// All the time of a side against what it waited for Keycloak: what is over 1 is its own.
    fn own(side: &[Took]) -> f64 {
        let sum = |part: fn(&Took) -> Duration| side.iter().map(part).sum::<Duration>().as_secs_f64();
        sum(|took| took.whole) / sum(|took| took.wire.waited)
    }

    /// The same requests, on connections that are kept, and next to no time of its own.
    fn assert_adds_little(&self) {
        // The fewest of each side: what loses a race to another test's realm is sent again.
        let least = |side: &[Took]| side.iter().map(|took| (took.wire.exchanges, took.whole)).min().unwrap();
        let ((ours, our_time), (bare, bare_time)) = (least(&self.ours), least(&self.bare));
        // A token lasts a minute, and costs two requests more when it has run out.
        let renewals = 2 * (our_time.max(bare_time).as_secs() / TOKEN.as_secs());
        assert!(ours.abs_diff(bare) as u64 <= renewals, "{ours} requests, bare {bare}: {self}");
        // A client may open one too many where it does not know yet that the last one is free again.
        let opened: usize = self.ours.iter().map(|took| took.wire.connections).sum();
        assert!(
            opened < self.ours.len().max(2),
            "{opened} connections were opened, where one was there; {self}"
        );
        assert!(Self::own(&self.ours) <= GATE, "{self}");
    }
}

impl std::fmt::Display for Figures {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (ours, bare) = (median(&self.ours), median(&self.bare));
        let ms = |seconds: f64| seconds * 1000.0;
        write!(
            f,
            "{:.0} ms, bare {:.0} ms, {:.3}x (medians of {})",
            ms(ours),
            ms(bare),
            self.ratio(),
            self.ours.len()
        )?;
        if !self.again.is_empty() {
            write!(f, "; bare against bare {:.3}x", median(&self.again) / bare)?;
        }
        write!(
            f,
            "; all its time against its waits {:.4}x, bare {:.4}x (goal {GOAL})",
            Self::own(&self.ours),
            Self::own(&self.bare)
        )
    }
}
