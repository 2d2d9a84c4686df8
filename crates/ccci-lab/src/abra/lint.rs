//! The lint rules. Error rules that are not satisfied stop a pinned deploy and are WARN lines under chaos;
//! `recipe lint` prints them all and ends with 0.

use std::collections::BTreeMap;

use ccci_core::atomic;

use super::cli::Call;
use super::compose::{self, Compose};
use super::envfile::EnvFile;
use super::fatal::Fatal;
use super::output;
use super::recipe::{Recipe, Tag};
use super::switches::Behaviour;
use super::world::World;

/// A secret's name over this length makes stack names overflow.
const LONG_SECRET: usize = 12;

/// What the rules look at.
struct Facts {
    compose: Compose,
    sample: Option<EnvFile>,
    exports: BTreeMap<String, String>,
    readme: String,
    tags: Vec<Tag>,
    origin: bool,
    catalogued: bool,
    lightweight_is_fine: bool,
}

struct Rule {
    id: &'static str,
    text: &'static str,
    error: bool,
    satisfied: fn(&Facts) -> bool,
    cure: &'static str,
}

const fn warning(
    id: &'static str,
    text: &'static str,
    satisfied: fn(&Facts) -> bool,
    cure: &'static str,
) -> Rule {
    Rule { id, text, error: false, satisfied, cure }
}

const fn error(
    id: &'static str,
    text: &'static str,
    satisfied: fn(&Facts) -> bool,
    cure: &'static str,
) -> Rule {
    Rule { id, text, error: true, satisfied, cure }
}

#[rustfmt::skip]
const RULES: &[Rule] = &[
    warning("R001", "compose config has expected version", |f| f.compose.version.as_deref() == Some("3.8"), "write version: \"3.8\""),
    warning("R002", "healthcheck enabled for all services", |f| all(f, |s| s.healthcheck), "add health checks"),
    warning("R003", "all images use a tag", |f| all(f, |s| tag_of(s).is_some()), "give each image a tag"),
    warning("R004", "no unstable tags", |f| all(f, |s| !matches!(tag_of(s), Some("latest" | "main" | "master"))), "tag a release"),
    warning("R005", "tags use semver-like format", |f| all(f, |s| tag_of(s).is_some_and(|t| t.contains(|c: char| c.is_ascii_digit()))), "use a version as tag"),
    warning("R006", "has published catalogue version", |f| f.catalogued, "publish the recipe"),
    warning("R007", "README.md metadata filled in", |f| f.readme.contains("metadata"), "fill in the metadata block"),
    error("R008", ".env.sample provided", |f| f.sample.is_some(), "create an .env.sample"),
    error("R009", "one service named 'app'", |f| f.compose.service("app").is_some(), "name a service app"),
    error("R010", "traefik routing enabled", traefik, "label the service with traefik.enable=true"),
    error("R011", "all services have images", |f| all(f, |s| s.image.is_some()), "give each service an image"),
    error("R012", "config version are vendored", configs_vendored, "export the versions in abra.sh"),
    warning("R013", "git.coopcloud.tech repo exists", |f| f.origin, "give the clone an origin"),
    error("R014", "only annotated tags used for recipe version", |f| f.lightweight_is_fine || f.tags.iter().all(|t| t.annotated), "replace lightweight tags by annotated ones (git tag -a)"),
    error("R015", "deploy labels present", version_label, "label app with coop-cloud.${STACK_NAME}.version"),
    warning("R016", "has no long secret names", |f| f.compose.secrets.iter().all(|(id, _)| id.len() <= LONG_SECRET), "shorten the names of secrets"),
];

fn all(facts: &Facts, holds: impl Fn(&compose::Service) -> bool) -> bool {
    facts.compose.services.iter().all(|(_, s)| holds(s))
}

fn tag_of(service: &compose::Service) -> Option<&str> {
    let image = service.image.as_deref()?;
    let last = image.rsplit('/').next()?;
    last.split_once(':').map(|(_, tag)| tag).filter(|t| !t.is_empty())
}

/// A recipe without a domain has nothing to route, so it is not asked for routing.
fn traefik(facts: &Facts) -> bool {
    let routed = |s: &compose::Service| s.labels.get("traefik.enable").is_some_and(|v| v == "true");
    let no_domain = facts.sample.as_ref().is_some_and(|s| s.get("DOMAIN").is_none());
    no_domain || facts.compose.services.iter().any(|(_, s)| routed(s))
}

fn configs_vendored(facts: &Facts) -> bool {
    facts.compose.configs.iter().all(|name| {
        let variables = name.split("${").skip(1).filter_map(|rest| rest.split(['}', ':', '-']).next());
        variables.filter(|v| v.ends_with("_VERSION")).all(|v| facts.exports.contains_key(v))
    })
}

fn version_label(facts: &Facts) -> bool {
    let is_version = |key: &String| key.starts_with("coop-cloud.") && key.ends_with(".version");
    facts.compose.service("app").is_some_and(|s| s.labels.keys().any(is_version))
}

async fn gather(world: &World, recipe: &Recipe) -> Result<Facts, Fatal> {
    let files = recipe.all_compose_files()?;
    let catalogue = atomic::read_optional(&world.catalogue())?.unwrap_or_default();
    Ok(Facts {
        // Every compose file of the tree, also those no app uses: a fault in any of them is found.
        compose: Compose::read(&recipe.dir, &files, None)?,
        sample: recipe.read(".env.sample")?.map(|text| EnvFile::parse(&text, &world.switches)),
        exports: compose::exports(&recipe.read("abra.sh")?.unwrap_or_default()),
        readme: recipe.read("README.md")?.unwrap_or_default(),
        tags: recipe.tags().await?,
        origin: recipe.has_origin().await?,
        catalogued: catalogue.contains(&format!("\"{}\"", recipe.name)),
        lightweight_is_fine: !world.on(Behaviour::AnnotatedTags),
    })
}

/// The error rules that the checkout does not satisfy, as `R008 .env.sample provided`.
async fn errors(world: &World, recipe: &Recipe) -> Result<Vec<String>, Fatal> {
    let facts = gather(world, recipe).await?;
    let broken = RULES.iter().filter(|r| r.error && !(r.satisfied)(&facts));
    Ok(broken.map(|r| format!("{} {}", r.id, r.text)).collect())
}

/// The lint of a deploy: FATA when pinned, WARN under chaos.
pub(super) async fn before_deploy(world: &World, recipe: &Recipe, chaos: bool) -> Result<(), Fatal> {
    let findings = errors(world, recipe).await?;
    if findings.is_empty() {
        return Ok(());
    }
    if chaos || !world.on(Behaviour::LintBlocks) {
        for finding in findings {
            output::warn(&format!("{} failed lint check: {finding}", recipe.name));
        }
        return Ok(());
    }
    Err(Fatal::Lint { recipe: recipe.name.clone(), findings: findings.join(", ") })
}

/// `recipe lint`: a table of all rules; 0 also when some are not satisfied.
pub(super) async fn run(world: &World, call: &Call) -> Result<(), Fatal> {
    let recipe = Recipe::open(world, call.subject()).await?;
    if recipe.read(".env.sample")?.is_none() {
        return Err(Fatal::Invalid { why: format!("{} has no .env.sample", recipe.name) });
    }
    // Private or dead origins end the lint here, as they do abra's.
    if !world.offline {
        recipe.fetch().await?;
    }
    let facts = gather(world, &recipe).await?;
    let row = |rule: &Rule| {
        let mark = if (rule.satisfied)(&facts) { "✅" } else { "❌" };
        let severity = if rule.error { "error" } else { "warn" };
        [rule.id, rule.text, severity, mark, "-", rule.cure].map(str::to_owned).to_vec()
    };
    let rows: Vec<Vec<String>> = RULES.iter().map(row).collect();
    output::table(world, &["REF", "RULE", "SEVERITY", "SATISFIED", "SKIPPED", "RESOLVE"], &rows)?;
    if RULES.iter().any(|r| r.error && !(r.satisfied)(&facts)) {
        output::warn("critical errors present in your recipe config");
    }
    Ok(())
}
