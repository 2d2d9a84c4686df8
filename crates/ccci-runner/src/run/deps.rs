//! What a recipe depends on, provided before its app is deployed: a realm of the run's own on the live-warm Keycloak,
//! or, where that is not healthy, on one that is deployed with the run (S2, S4). The realm's values become lines of
//! the app's env and secrets of the app; nothing here knows what they mean to it.

use std::sync::Arc;

use ccci_core::atomic::{self, PathError};
use ccci_core::deploy::{GivenSecret, Tools};
use ccci_core::event::Event;
use ccci_core::health::Site;
use ccci_core::images::Sources;
use ccci_core::manifest::{GrantName, Manifest, PROVIDER, RealmSecret, RealmValue, Sso};
use ccci_core::names::{AppDomain, RecipeName, RunId};
use ccci_core::proxy::Proxy;
use ccci_core::record::{OwnedApp, OwnedRealm};
use ccci_core::report::{Dep, Deploys};
use ccci_core::stand_up::{self, Order, Standing};
use ccci_recipes::SsoFacts;
use ccci_recipes::protocol::{CLIENT_SECRET, OTHER_PASSWORD, USER_PASSWORD};
use ccci_sso::{Discovery, Issuer, Realm, RealmSpec, StateId};

use super::claim::{Run, own_provider};
use super::enter::check_empty;
use super::observe::{Brought, Subject, wired_version};
use super::provider::{Lookout, ProviderState, REAPERS, SignOn, Surveyed, Usable};
use crate::session::points::Point;
use crate::session::trouble::Trouble;

/// What the app is deployed with, and what its checks are told.
#[derive(Debug, Default)]
pub(crate) struct Provided {
    /// Lines of the app's env, and versions of the secrets below.
    pub(crate) brought: Brought,
    /// Secrets of the app.
    pub(crate) given: Vec<GivenSecret>,
    /// The realm, as checks are told of it.
    pub(crate) facts: Option<SsoFacts>,
    /// The realm itself.
    pub(crate) sign_on: Option<Arc<SignOn>>,
    /// The dependencies that stand.
    pub(crate) ready: Vec<RecipeName>,
}

/// Provides all that the recipe depends on. Whatever fails here is the server's fault, not the recipe's (R11).
pub(crate) async fn provide(
    run: &Run,
    subject: &Subject,
    deploys: &mut Deploys,
) -> Result<Provided, Trouble> {
    let Some(manifest) = &subject.room.provider else { return Ok(Provided::default()) };
    let provided = Box::pin(provide_realm(run, subject, manifest, deploys));
    run.world.events.phase("dependencies", provided).await
}

async fn provide_realm(
    run: &Run,
    subject: &Subject,
    manifest: &Manifest,
    deploys: &mut Deploys,
) -> Result<Provided, Trouble> {
    let (world, lookout) = (&run.world, Lookout::of(run));
    let state = StateId::of(&world.settings.state_dir)?;
    let (usable, stays) = match lookout.live_warm().await {
        Ok(usable) => (usable, true),
        Err(down @ (ProviderState::Absent { .. } | ProviderState::Unhealthy { .. })) => {
            world.say(format!("{down}: {PROVIDER} is deployed with the run"));
            (deploy_own(run, manifest, deploys).await?, false)
        }
        Err(other) => return Err(other.into()),
    };
    let origin = format!("https://{}", subject.app.domain);
    let spec = spec(run, &subject.room.manifest.sso, &state, &origin);
    if stays {
        let (provider, name) = (usable.domain.clone(), spec.name().to_string());
        run.amend(|record| record.realm = Some(OwnedRealm { provider, name, made: false }))?;
        world.points.reach(Point::RealmNoted);
        reap(&usable, &spec.state, lookout).await;
    }
    let realm = lookout.unless_cancelled(Realm::create(&usable.keycloak, &spec)).await??;
    world.points.reach(Point::RealmMade);
    run.amend(|record| record.realm.iter_mut().for_each(|realm| realm.made = true))?;
    let containers = lookout.containers(&usable.domain).await?;
    world.events.send(Event::Dependency(Dep {
        recipe: PROVIDER.to_owned(),
        kind: if stays { "live-warm" } else { "cold" }.to_owned(),
        domain: usable.domain.to_string(),
        realm: Some(realm.name.to_string()),
    }));
    let issuer = Issuer::discover(&usable.net, &realm.issuer).await?;
    let facts = facts(run, &realm, &usable.domain)?;
    let wiring = Wiring { realm: &realm, facts: &facts, discovery: issuer.discovery() };
    let (brought, given) = wiring.of(&subject.room.manifest.sso, &origin, &run.record.run);
    let ready = vec![PROVIDER.parse()?];
    let sign_on = Some(Arc::new(SignOn { realm, net: usable.net, domain: usable.domain, containers }));
    Ok(Provided { brought, given, facts: Some(facts), sign_on, ready })
}

impl Provided {
    /// Asked when a check has failed: whether the provider did its part all the time. Where it did not, nobody knows
    /// whose fault the failure is (R11).
    pub(crate) async fn still_stands(&self, run: &Run) -> Result<(), Trouble> {
        let Some(sign_on) = &self.sign_on else { return Ok(()) };
        let (domain, lookout) = (&sign_on.domain, Lookout::of(run));
        let lost = |why: String| {
            Trouble::infrastructure(format!(
                "checks failed, and {PROVIDER} at {domain} was not working: {why}"
            ))
        };
        lookout.at(domain.clone()).await.map_err(|state| lost(state.to_string()))?;
        if lookout.containers(domain).await? == sign_on.containers {
            return Ok(());
        }
        Err(lost(
            "it was started anew meanwhile; run ccci again, and look at its log if that goes on".to_owned(),
        ))
    }
}

/// Deploys a provider at a domain of the run's own: the newest release, by the same path as every app.
async fn deploy_own(run: &Run, manifest: &Manifest, deploys: &mut Deploys) -> Result<Usable, Trouble> {
    let events = &run.world.events;
    let domain = own_provider(&run.record, &run.world)?;
    let owned = OwnedApp::new(domain.clone());
    check_empty(&run.swarm, &owned).await?;
    run.amend(|record| record.provider = Some(owned))?;
    deploys.expected += 1;
    events.send(Event::Deploys(deploys.clone()));
    let first = stand_up(run, manifest, &domain).await?;
    deploys.counted += u32::from(first);
    events.send(Event::Deploys(deploys.clone()));
    Ok(Lookout::of(run).at(domain).await?)
}

/// Brings it up; true when nothing of it was deployed before.
async fn stand_up(run: &Run, manifest: &Manifest, domain: &AppDomain) -> Result<bool, Trouble> {
    let (world, recipe) = (&run.world, PROVIDER.parse::<RecipeName>()?);
    let settings = &world.settings;
    let own = manifest.env.iter().map(|(key, value)| (key.as_str().to_owned(), value.clone()));
    let order = Order {
        recipe: &recipe,
        domain,
        source: &settings.catalogue.of(&recipe),
        commit: None,
        values: &settings.env.clone().into_iter().chain(own).collect(),
        compose_files: &settings.compose_files,
    };
    let failed = |error: stand_up::StandUpError| {
        Trouble::infrastructure(format!("{PROVIDER} could not be deployed with the run: {error}"))
    };
    let mut prepared =
        stand_up::prepare(&order, &world.git(Some(&run.dir)), &run.abra).await.map_err(failed)?;
    // It is deployed for the run, and writes where a run may.
    prepared.app.shares = manifest.shares();
    let tools = Tools {
        abra: &run.abra,
        swarm: &run.swarm,
        images: Sources::from_settings(settings),
        cancel: &world.stop.run,
        progress: &|text| world.events.progress(text),
        secrets_dir: None,
        given: &[],
        reaches: &|_| {},
        hastened: None,
        record: &|names| {
            run.amend(|record| record.provider.iter_mut().for_each(|app| app.add_secrets(names)))
        },
    };
    let standing = Standing {
        site: Site::from_settings(settings, domain),
        health: manifest.health.clone(),
        proxy: Proxy::from_settings(settings)?,
        deploy: manifest.timeouts.deploy.duration(),
        http: manifest.timeouts.http.duration(),
    };
    let deployed = prepared.stand_up(&tools, &standing).await.map_err(failed)?;
    Ok(deployed.before.services.is_empty())
}

/// The realm that the app's author asks for.
fn spec(run: &Run, sso: &Sso, state: &StateId, origin: &str) -> RealmSpec {
    let record = &run.record;
    let usual = RealmSpec::for_app(&record.recipe, &record.run, state, origin);
    // Known before there is a realm.
    let early = |value: RealmValue| match value {
        RealmValue::ClientId => record.recipe.to_string(),
        RealmValue::Domain => domain_of(origin).to_owned(),
        _ => origin.to_owned(),
    };
    let others = sso.origins.iter().map(|other| other.fill(early));
    let origins: Vec<String> = std::iter::once(origin.to_owned()).chain(others).collect();
    let paths = |origin: &String| {
        let all = sso.redirect.iter().map(|path| format!("{origin}{}", path.as_str()));
        all.collect::<Vec<_>>()
    };
    let names = |all: &[GrantName]| all.iter().map(ToString::to_string).collect();
    RealmSpec {
        redirect_uris: origins.iter().flat_map(paths).collect(),
        web_origins: origins,
        audience: sso.audience.iter().map(|audience| audience.fill(early)).collect(),
        groups: names(&sso.groups),
        roles: names(&sso.roles),
        pkce: sso.pkce,
        ..usual
    }
}

/// The app's domain, of its origin.
fn domain_of(origin: &str) -> &str {
    origin.trim_start_matches("https://")
}

/// Removes realms that dead runs of this server left and that no record names any more, and tells of doubtful ones. A
/// run does not depend on it.
async fn reap(usable: &Usable, state: &StateId, lookout: Lookout<'_>) {
    let world = lookout.world;
    match lookout.survey(usable, state).await {
        Ok(Surveyed { survey, unknown }) => {
            for line in unknown {
                world.say(line);
            }
            for (name, doubt) in survey.reported() {
                // Anybody may have named a realm: no name may steer the terminal.
                let name = name.escape_debug();
                world.say(format!("the realm {name} on {} is left alone: {doubt}", usable.domain));
            }
            let reaped = survey.reap(&usable.keycloak, REAPERS, lookout.cancel).await;
            for (name, error) in &reaped.failed {
                world.say(format!("the realm {name} of a run that died is still there: {error}"));
            }
            for name in &reaped.gone {
                world.say(format!("the realm {name} of a run that died is removed"));
            }
        }
        Err(error) => world.say(format!("the realms of dead runs could not be listed: {error}")),
    }
}

/// Leaves the realm's values for the run's checks.
fn facts(run: &Run, realm: &Realm, provider: &AppDomain) -> Result<SsoFacts, PathError> {
    let dir = run.sso();
    atomic::create_dir(&dir)?;
    let secrets = [
        (CLIENT_SECRET, &realm.client.secret),
        (USER_PASSWORD, &realm.user.password),
        (OTHER_PASSWORD, &realm.other.password),
    ];
    for (name, secret) in secrets {
        atomic::write_private(&dir.join(name), secret.expose().as_bytes())?;
    }
    Ok(SsoFacts {
        issuer: realm.issuer.clone(),
        realm: realm.name.to_string(),
        provider: format!("https://{provider}"),
        client_id: realm.client.id.clone(),
        user: realm.user.name.clone(),
        email: realm.user.email.clone(),
        other_user: realm.other.name.clone(),
        other_email: realm.other.email.clone(),
        dir,
    })
}

/// What a realm has that an app may want to know.
struct Wiring<'a> {
    realm: &'a Realm,
    facts: &'a SsoFacts,
    discovery: &'a Discovery,
}

impl Wiring<'_> {
    /// The lines and secrets that the app is deployed with. Each secret gets a version of the run's own, so that none
    /// that is there is overwritten.
    fn of(&self, sso: &Sso, origin: &str, run: &RunId) -> (Brought, Vec<GivenSecret>) {
        let lines = sso.env.iter().map(|(key, template)| {
            (key.as_str().to_owned(), template.fill(|value| self.value(value, origin).to_owned()))
        });
        let version = wired_version(run);
        let versions = sso.secrets.keys().map(|name| (name.clone(), version.clone()));
        let given = sso.secrets.iter().map(|(name, secret)| GivenSecret {
            name: name.as_str().to_owned(),
            version: Some(version.clone()),
            value: match secret {
                RealmSecret::ClientSecret => self.realm.client.secret.clone(),
                RealmSecret::UserPassword => self.realm.user.password.clone(),
            },
            // Whether it must is known when a commit is deployed.
            required: false,
        });
        (Brought { env: lines.collect(), versions: versions.collect() }, given.collect())
    }

    fn value<'v>(&'v self, value: RealmValue, origin: &'v str) -> &'v str {
        let Self { facts, discovery, .. } = self;
        match value {
            RealmValue::Issuer => &facts.issuer,
            RealmValue::Realm => &facts.realm,
            RealmValue::Provider => &facts.provider,
            RealmValue::AuthorizationEndpoint => &discovery.authorization_endpoint,
            RealmValue::TokenEndpoint => &discovery.token_endpoint,
            RealmValue::UserinfoEndpoint => &discovery.userinfo_endpoint,
            RealmValue::JwksUri => &discovery.jwks_uri,
            RealmValue::EndSessionEndpoint => &discovery.end_session_endpoint,
            RealmValue::ClientId => &facts.client_id,
            RealmValue::User => &facts.user,
            RealmValue::Email => &facts.email,
            RealmValue::Origin => origin,
            RealmValue::Domain => domain_of(origin),
        }
    }
}
