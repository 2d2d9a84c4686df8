//! `app secret …`: which secrets a recipe wants, values made by the options behind `#`, insertion. Values go to
//! docker by standard input; they are printed by `generate` alone, as abra does.

use ccci_core::atomic::PathContext as _;
use ccci_core::secret::Secret;
use serde_json::json;

use super::cli::Call;
use super::compose::Compose;
use super::deploy;
use super::docker;
use super::fatal::Fatal;
use super::output;
use super::recipe::Recipe;
use super::switches::Behaviour;
use super::world::{App, World};

/// Words of a passphrase, and syllables of a word: 5 × 3 × 6 bits.
const WORDS: usize = 5;
const SYLLABLES: usize = 3;

/// A secret that the recipe mounts.
#[derive(Debug)]
pub(super) struct Wanted {
    /// The recipe's name for it.
    pub(super) id: String,
    /// The version of the app's file.
    pub(super) version: String,
    /// The swarm's name for it.
    pub(super) name: String,
    variable: String,
}

/// The secrets that an app's compose files mount, in the order of the files.
pub(super) fn wanted(app: &App, recipe: &Recipe) -> Result<Vec<Wanted>, Fatal> {
    let files = app.compose_files();
    let compose = Compose::read(&recipe.dir, &files, Some(&app.values()))?;
    // Which variable carries the version stands in the name as it is written.
    let written = Compose::read(&recipe.dir, &files, None)?;
    let one = |(id, name): &(String, String)| {
        let raw = written.secrets.iter().find(|(key, _)| key == id).map(|(_, raw)| raw.as_str());
        let variable = raw.and_then(last_variable).unwrap_or_default();
        let version = name.rsplit_once('_').map(|(_, v)| v).unwrap_or_default();
        if version.is_empty() {
            return Err(Fatal::NoSecretVersion { name: id.clone(), variable });
        }
        Ok(Wanted { id: id.clone(), version: version.to_owned(), name: name.clone(), variable })
    };
    compose.mounted_secrets().map(one).collect()
}

/// Ends a deploy at the first secret that the swarm does not have.
pub(super) async fn all_there(world: &World, app: &App, recipe: &Recipe) -> Result<(), Fatal> {
    if !world.on(Behaviour::MissingSecret) {
        return Ok(());
    }
    let there = docker::secrets().await?;
    let missing: Vec<Wanted> =
        wanted(app, recipe)?.into_iter().filter(|w| !there.contains(&w.name)).collect();
    let Some(first) = missing.first() else { return Ok(()) };
    let by_hand = app.env.options(&first.variable).get("generate").is_some_and(|v| v == "false");
    if by_hand && world.on(Behaviour::NotInserted) {
        return Err(Fatal::SecretNotInserted { name: first.id.clone() });
    }
    let names: Vec<&str> = missing.iter().map(|w| w.id.as_str()).collect();
    let name = if world.on(Behaviour::FirstSecretOnly) { first.id.clone() } else { names.join(", ") };
    Err(Fatal::SecretNotGenerated { name })
}

async fn opened(world: &World, call: &Call) -> Result<(App, Recipe), Fatal> {
    let app = world.app(call.subject())?;
    let recipe = Recipe::open(world, &app.recipe).await?;
    if !call.has("chaos") {
        recipe.ensure(world).await?;
    }
    deploy::refuse_broken_schema(world, &app, &recipe).await?;
    Ok((app, recipe))
}

/// `app secret generate`.
pub(super) async fn generate(world: &World, call: &Call) -> Result<(), Fatal> {
    if !world.machine {
        output::need_terminal(world)?;
    }
    let (app, recipe) = opened(world, call).await?;
    let mut list = wanted(&app, &recipe)?;
    if let Some(id) = call.arg(1) {
        list.retain(|w| w.id == id);
        let one = list.first_mut().ok_or_else(|| Fatal::NoSecret { name: id.to_owned() })?;
        if let Some(version) = call.arg(2) {
            let stem = one.name.rsplit_once('_').map_or(one.name.as_str(), |(stem, _)| stem);
            one.name = format!("{stem}_{version}");
        }
    } else if !call.has("all") {
        return Err(Fatal::NotProvided { what: "secret" });
    }
    print_made(world, &make(world, &app, list).await?)
}

/// Makes what is missing and can be made; gives name and value of each.
pub(super) async fn make(
    world: &World,
    app: &App,
    list: Vec<Wanted>,
) -> Result<Vec<(String, Secret)>, Fatal> {
    let there = docker::secrets().await?;
    let mut made = Vec::new();
    for secret in list {
        let options = app.env.options(&secret.variable);
        if options.get("generate").is_some_and(|v| v == "false") {
            output::info(world, &format!("{} has to be inserted (#generate=false), passed over", secret.id));
        } else if there.contains(&secret.name) {
            output::warn(&format!("{} already exists, moving on...", secret.name));
        } else {
            let length = options.get("length").filter(|_| world.on(Behaviour::LengthOption));
            let length =
                length.map(|text| text.parse().map_err(|_| option(&secret.variable, "length", text)));
            let charset = options.get("charset").map_or("default", String::as_str);
            let letters = letters(charset).ok_or_else(|| option(&secret.variable, "charset", charset))?;
            let value = match length.transpose()? {
                Some(length) => random_text(length, &letters)?,
                None => passphrase()?,
            };
            docker::create_secret(&secret.name, value.clone()).await?;
            made.push((secret.id, value));
        }
    }
    Ok(made)
}

/// Shows what was made, the one time it can be seen.
pub(super) fn print_made(world: &World, made: &[(String, Secret)]) -> Result<(), Fatal> {
    if made.is_empty() {
        output::warn("no secrets generated");
        return if world.on(Behaviour::NothingGenerated) { Err(Fatal::Quiet) } else { Ok(()) };
    }
    output::info(world, "generated secrets are shown again *only* this time");
    if world.machine {
        let list = made.iter().map(|(name, value)| json!({"name": name, "value": value.expose()}));
        output::json(&list.collect());
        return Ok(());
    }
    let row = |(name, value): &(String, Secret)| vec![name.clone(), value.expose().to_owned()];
    output::table(world, &["NAME", "VALUE"], &made.iter().map(row).collect::<Vec<_>>())
}

/// `app secret insert`: the value from a file, or, less well, from the command line.
pub(super) async fn insert(world: &World, call: &Call) -> Result<(), Fatal> {
    let (app, recipe) = opened(world, call).await?;
    let (id, version) = (call.arg(1).unwrap_or_default(), call.arg(2).unwrap_or_default());
    if !wanted(&app, &recipe)?.iter().any(|w| w.id == id) {
        return Err(Fatal::NoSecret { name: id.to_owned() });
    }
    let data = call.arg(3).ok_or(Fatal::NotProvided { what: "data" })?;
    // With `--file` the last word is a path: a value in an argument list is public.
    let value =
        if call.has("file") { std::fs::read_to_string(data).path("read", data)? } else { data.to_owned() };
    let value = if call.has("trim") { value.trim().to_owned() } else { value };
    let name = format!("{}_{id}_{version}", app.stack);
    docker::create_secret(&name, Secret::new(value)).await?;
    output::info(world, &format!("{name} successfully stored on server"));
    Ok(())
}

/// `app secret list`.
pub(super) async fn list(world: &World, call: &Call) -> Result<(), Fatal> {
    let (app, recipe) = opened(world, call).await?;
    let there = docker::secrets().await?;
    let list = wanted(&app, &recipe)?;
    let created = |w: &Wanted| there.contains(&w.name).to_string();
    if list.is_empty() {
        output::warn(&format!("no secrets stored for {}", app.domain));
    }
    if world.machine {
        let object = |w: &Wanted| json!({"name": w.id, "version": w.version, "generated-name": w.name, "created-on-server": created(w)});
        output::json(&list.iter().map(object).collect());
        return Ok(());
    }
    let row = |w: &Wanted| vec![w.id.clone(), w.version.clone(), w.name.clone(), created(w)];
    let header = ["NAME", "VERSION", "GENERATED NAME", "CREATED ON SERVER"];
    output::table(world, &header, &list.iter().map(row).collect::<Vec<_>>())
}

/// `app secret remove`.
pub(super) async fn remove(world: &World, call: &Call) -> Result<(), Fatal> {
    let (app, recipe) = opened(world, call).await?;
    let there = docker::secrets().await?;
    let mut list = wanted(&app, &recipe)?;
    match call.arg(1) {
        Some(id) => list.retain(|w| w.id == id),
        None if call.has("all") => {}
        None => return Err(Fatal::NotProvided { what: "secret" }),
    }
    list.retain(|w| there.contains(&w.name));
    if list.is_empty() {
        return Err(Fatal::NoSecret { name: call.arg(1).unwrap_or("any secret").to_owned() });
    }
    for secret in list {
        docker::checked(docker::command(["secret", "rm", &secret.name])).await?;
        output::info(world, &format!("deleted {} successfully from server", secret.name));
    }
    Ok(())
}

/// The last variable of a text, the default of another not counted.
fn last_variable(raw: &str) -> Option<String> {
    let name = |text: &str| -> String {
        text.chars().take_while(|c| c.is_ascii_alphanumeric() || *c == '_').collect()
    };
    let (mut rest, mut last) = (raw, None);
    while let Some((_, after)) = rest.split_once('$') {
        rest = after.strip_prefix('$').unwrap_or(after);
        if rest.len() < after.len() {
            continue;
        }
        let inner = after.strip_prefix('{');
        last = Some(name(inner.unwrap_or(after))).filter(|name| !name.is_empty()).or(last);
        if let Some(inner) = inner {
            let mut depth = 0_usize;
            let end = inner.char_indices().find(|(_, c)| {
                match c {
                    '{' => depth += 1,
                    '}' if depth == 0 => return true,
                    '}' => depth -= 1,
                    _ => {}
                }
                false
            });
            rest = end.map_or("", |(at, _)| &inner[at + 1..]);
        }
    }
    last
}

fn option(variable: &str, name: &str, value: &str) -> Fatal {
    Fatal::SecretOption { variable: variable.to_owned(), option: format!("{name}={value}") }
}

/// The letters of a `charset=`, or `None` when there is no such set; sets are joined with a comma.
fn letters(charset: &str) -> Option<Vec<u8>> {
    let mut letters = Vec::new();
    for name in charset.split(',') {
        letters.extend_from_slice(match name {
            "default" => b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789",
            "hex" => b"0123456789abcdef",
            "special" => b"!@#$%^&*_-+=",
            "safespecial" => b"!@#%^&*_-+=",
            _ => return None,
        });
    }
    Some(letters)
}

fn random_text(length: usize, letters: &[u8]) -> Result<Secret, Fatal> {
    let mut text = String::with_capacity(length);
    // Bytes past the last full round of letters are thrown away: each letter stays equally likely.
    let limit = 256 - 256 % letters.len();
    while text.len() < length {
        let round = random_bytes::<64>()?;
        let usable = round.iter().map(|b| usize::from(*b)).filter(|b| *b < limit);
        text.extend(usable.take(length - text.len()).map(|b| char::from(letters[b % letters.len()])));
    }
    Ok(Secret::new(text))
}

fn passphrase() -> Result<Secret, Fatal> {
    let bytes = random_bytes::<{ WORDS * SYLLABLES }>()?;
    let syllable = |b: &u8| {
        let consonant = b"bdfghjklmnprstvz"[usize::from(b & 15)];
        let vowel = b"aeio"[usize::from(b >> 4 & 3)];
        [char::from(consonant), char::from(vowel)]
    };
    let words: Vec<String> = bytes.chunks(SYLLABLES).map(|c| c.iter().flat_map(syllable).collect()).collect();
    Ok(Secret::new(words.join("-")))
}

fn random_bytes<const N: usize>() -> Result<[u8; N], Fatal> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).map_err(|e| Fatal::System { why: e.to_string() })?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_variable_of_a_name_carries_its_version() {
        for (raw, wanted) in [
            (
                "${STACK_NAME}_orcid_${SECRET_ORCID_CLIENT_SECRET_VERSION}",
                Some("SECRET_ORCID_CLIENT_SECRET_VERSION"),
            ),
            ("${STACK_NAME}_rpc_${RPC_SECRET_VERSION:-${OTHER:-v1}}", Some("RPC_SECRET_VERSION")),
            ("$STACK_NAME-x-$V", Some("V")),
            ("fixed_$${NO}_v1", None),
        ] {
            assert_eq!(last_variable(raw).as_deref(), wanted, "{raw}");
        }
    }

    #[test]
    fn a_value_has_the_length_and_letters_that_were_asked_for() {
        let hex = letters("hex").unwrap();
        let value = random_text(200, &hex).unwrap();
        assert_eq!(value.expose().len(), 200);
        assert!(value.expose().bytes().all(|b| hex.contains(&b)));
        assert!(letters("klingon").is_none());
        assert_eq!(passphrase().unwrap().expose().split('-').count(), WORDS);
    }
}
