//! A document with its content and an attachment, written before the upgrade and looked for after it.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use super::api::{self, Answer, Docs};
use super::room;
use crate::prelude::*;

/// What is left in the scratch directory for the checks after the upgrade.
const NOTE: &str = "document.json";
/// What may be wrong when something is missing after the upgrade.
const LOST: &str = "it was there before the upgrade: look at the migrations in the log of `backend`";

/// Makes what must outlive the upgrade, and proves that it is there before it.
pub(super) async fn write(context: Context) -> Checked {
    let docs = Docs::open(&context).await?;
    let run = context.facts().run.as_str();
    let title = format!("Kept by {run}, ümlaut and all");
    let made = docs.create(&title).await?;
    let id = api::id(&made);
    let content = STANDARD.encode(room::written(&text(run)));
    docs.write(&made, &content).await?;
    let seen = docs.read(id, "it was written a moment ago; look at the service `backend`").await?;
    ensure!(seen == content, "document {id} was written as {content:?} and is read at once as {seen:?}");
    let file = docs.attach(id, "kept.png", &picture(run)).await?;
    let note = json!({"id": id, "title": title, "content": content, "file": file});
    context.save(NOTE, &note.to_string())?;
    let fresh = docs.get(&file).await?;
    fresh.expect(200, "it was attached a moment ago; look at the services `app`, `backend` and `minio`")?;
    ensure!(fresh.body == picture(run), "{} was attached a moment ago and differs already", fresh.asked);
    Ok(())
}

/// The document's text.
fn text(run: &str) -> String {
    format!("Written before the upgrade by {run}.\nÜmlauts, 漢字 and 🐋 stay as they are.")
}

/// Bytes of every kind, so that nothing on the way can take them for text.
fn picture(run: &str) -> Vec<u8> {
    b"\x89PNG\r\n\x1a\n".iter().copied().chain(0..=255).chain(run.bytes()).collect()
}

fn note(context: &Context) -> Result<Value, Stop> {
    Ok(serde_json::from_str(&context.load(NOTE)?)?)
}

fn field<'a>(note: &'a Value, name: &str) -> &'a str {
    note[name].as_str().unwrap_or_default()
}

/// The document is there, with its title and its content to the letter.
pub(super) async fn the_document(context: Context) -> Checked {
    let docs = Docs::open(&context).await?;
    let note = note(&context)?;
    let (id, content) = (field(&note, "id"), field(&note, "content"));
    let found = docs.get(&api::document(id)).await?.json(200, LOST)?;
    let (title, seen) = (field(&note, "title"), field(&found, "title"));
    ensure!(seen == title, "the title of document {id} was {title:?} before the upgrade and is {seen:?}");
    let kept = docs.read(id, LOST).await?;
    ensure!(kept == content, "the content of document {id} was {content:?} and is {kept:?}: {LOST}");
    let (kept, expected) = (room::read(&STANDARD.decode(&kept)?)?, text(context.facts().run.as_str()));
    ensure!(kept == expected, "document {id} reads {kept:?}, not {expected:?}: {LOST}");
    Ok(())
}

/// The attachment is there, byte by byte.
pub(super) async fn the_attachment(context: Context) -> Checked {
    let docs = Docs::open(&context).await?;
    let note = note(&context)?;
    let answer = docs.get(field(&note, "file")).await?;
    answer.expect(
        200,
        "it was there before the upgrade: look at the volume of `minio` and at /media/ in `app`",
    )?;
    ensure!(
        answer.body == picture(context.facts().run.as_str()),
        "{} has other bytes than before the upgrade ({} of them)",
        answer.asked,
        answer.body.len()
    );
    Ok(())
}

/// An attachment opens for its owner and for nobody else.
pub(super) async fn an_attachment_needs_a_login(context: Context) -> Checked {
    let docs = Docs::open(&context).await?;
    let made = docs.create("With an attachment").await?;
    let bytes = picture("custom");
    let file = docs.attach(api::id(&made), "mine.png", &bytes).await?;
    let mine = docs.get(&file).await?;
    mine.expect(200, "its owner cannot open it; look at /media/ in `app` and at media-auth in `backend`")?;
    ensure!(mine.body == bytes, "{} has {} bytes, not the {} sent", mine.asked, mine.body.len(), bytes.len());
    let strange = Answer::of(context.http().get(context.url(&file))).await?;
    strange.expect(403, "attachments must be closed to the world; look at auth_request in the nginx of `app`")
}
