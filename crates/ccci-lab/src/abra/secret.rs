//! `app secret …`: which secrets a recipe wants, values made by the options behind `#`, insertion. Values go to
//! docker by standard input; they are printed by `generate` alone, as abra does.

use std::collections::BTreeMap;

use ccci_core::atomic::PathContext as _;
use ccci_core::secret::Secret;
use serde_json::json;

use super::cli::Call;
use super::compose::{self, Compose};
use super::docker;
use super::fatal::Fatal;
use super::output;
use super::recipe::Recipe;
use super::schema;
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
pub(super) fn wanted(world: &World, app: &App, recipe: &Recipe) -> Result<Vec<Wanted>, Fatal> {
    let files = app.compose_files();
    let compose = Compose::read(&recipe.dir, &files, Some(&app.values()))?;
    // Which variable carries the version stands in the name as it is written.
    let written = Compose::read(&recipe.dir, &files, None)?;
    let values = app.values();
    let one = |(id, name): &(String, String)| {
        let raw = written.secrets.iter().find(|(key, _)| key == id).map(|(_, raw)| raw.as_str());
        let (variable, version) = version(world, id, name, raw.unwrap_or_default(), &values);
        if version.is_empty() {
            return Err(Fatal::NoSecretVersion { name: id.clone(), variable });
        }
        Ok(Wanted { id: id.clone(), version, name: name.clone(), variable })
    };
    compose.mounted_secrets().map(one).collect()
}

/// The variable that carries a secret's version, and that version: the last variable of the name as it is written, whatever it
/// is called, with its default where it is not set. A name without one has its version behind the last `_`.
fn version(
    world: &World,
    id: &str,
    name: &str,
    raw: &str,
    values: &BTreeMap<String, String>,
) -> (String, String) {
    if !world.on(Behaviour::SecretVariable) {
        let variable = format!("SECRET_{}_VERSION", id.to_uppercase());
        let version = values.get(&variable).cloned().unwrap_or_default();
        return (variable, version);
    }
    match last_reference(raw) {
        Some((variable, reference)) => (variable.to_owned(), compose::replaced(reference, values)),
        None => (String::new(), name.rsplit_once('_').map_or(String::new(), |(_, v)| v.to_owned())),
    }
}

/// Ends a deploy at the first secret that the swarm does not have.
pub(super) async fn all_there(world: &World, app: &App, recipe: &Recipe) -> Result<(), Fatal> {
    if !world.on(Behaviour::MissingSecret) {
        return Ok(());
    }
    let there = docker::secrets().await?;
    let missing: Vec<Wanted> =
        wanted(world, app, recipe)?.into_iter().filter(|w| !there.contains(&w.name)).collect();
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
    schema::refuse_broken(world, &app, &recipe).await?;
    Ok((app, recipe))
}

/// `app secret generate`.
pub(super) async fn generate(world: &World, call: &Call) -> Result<(), Fatal> {
    if !world.machine {
        output::need_terminal(world)?;
    }
    let (app, recipe) = opened(world, call).await?;
    let mut list = wanted(world, &app, &recipe)?;
    if let Some(id) = call.arg(1) {
        list.retain(|w| w.id == id);
        let one = list.first_mut().ok_or_else(|| Fatal::NoSecret { name: id.to_owned() })?;
        if let Some(version) = call.arg(2) {
            let stem = one.name.strip_suffix(&one.version).unwrap_or(&one.name);
            one.name = format!("{stem}{version}");
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
            let letters = letters(charset);
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
    if !wanted(world, &app, &recipe)?.iter().any(|w| w.id == id) {
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
    let list = wanted(world, &app, &recipe)?;
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
    let mut list = wanted(world, &app, &recipe)?;
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

/// The last `$X` or `${X…}` of a text: its variable, and all of it as it is written. As for docker, a default ends at the first
/// `}`.
fn last_reference(raw: &str) -> Option<(&str, &str)> {
    let is_name = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let (mut rest, mut last) = (raw, None);
    while let Some(at) = rest.find('$') {
        let (whole, after) = (&rest[at..], &rest[at + 1..]);
        let inner = after.strip_prefix('{').unwrap_or(after);
        let name = &inner[..inner.find(|c| !is_name(c)).unwrap_or(inner.len())];
        let braced = inner.len() < after.len();
        let end = if braced { whole.find('}').map_or(whole.len(), |end| end + 1) } else { 1 + name.len() };
        if !name.is_empty() {
            last = Some((name, &whole[..end]));
        }
        // Two of them stand for the letter.
        let escaped = usize::from(after.starts_with('$')) * 2;
        rest = &whole[end.max(escaped)..];
    }
    last
}

fn option(variable: &str, name: &str, value: &str) -> Fatal {
    Fatal::SecretOption { variable: variable.to_owned(), option: format!("{name}={value}") }
}

/// The letters of a `charset=`; sets are joined with a comma. Where there is no such set, the usual letters.
fn letters(charset: &str) -> Vec<u8> {
    let usual = b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789";
    let mut letters = Vec::new();
    for name in charset.split(',') {
        letters.extend_from_slice(match name {
            "default" => usual,
            "hex" => b"0123456789abcdef",
            "special" => b"!@#$%^&*_-+=",
            "safespecial" => b"!@#%^&*_-+=",
            _ => return usual.to_vec(),
        });
    }
    letters
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
        let values = [("STACK_NAME", "s"), ("V", "v2"), ("RPC_SECRET_VERSION", ""), ("ORCID_V", "v_3")];
        let values: BTreeMap<_, _> = values.into_iter().map(|(k, v)| (k.to_owned(), v.to_owned())).collect();
        for (raw, variable, version) in [
            ("${STACK_NAME}_orcid_${ORCID_V}", "ORCID_V", "v_3"),
            ("${STACK_NAME}_rpc_${RPC_SECRET_VERSION:-v4}", "RPC_SECRET_VERSION", "v4"),
            ("${STACK_NAME}_rpc_${RPC_SECRET_VERSION-v4}", "RPC_SECRET_VERSION", ""),
            ("$STACK_NAME-x-$V", "V", "v2"),
            ("${STACK_NAME}_$${NO}_${V}", "V", "v2"),
        ] {
            let (found, reference) = last_reference(raw).unwrap();
            let filled = compose::replaced(reference, &values);
            assert_eq!((found, filled.as_str()), (variable, version), "{raw}");
        }
        assert_eq!(last_reference("fixed_$${NO}_v1"), None);
        assert_eq!(last_reference("fixed_v1$"), None);
    }

    #[test]
    fn a_value_has_the_length_and_letters_that_were_asked_for() {
        let hex = letters("hex");
        let value = random_text(200, &hex).unwrap();
        assert_eq!(value.expose().len(), 200);
        assert!(value.expose().bytes().all(|b| hex.contains(&b)));
        assert_eq!(letters("klingon"), letters("default"));
        assert_eq!(passphrase().unwrap().expose().split('-').count(), WORDS);
    }
}
