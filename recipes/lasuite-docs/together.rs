//! What several parts do together: browsers in one room through the collaboration server, which asks the backend who
//! may enter; and the worker that follows what the backend tells it.

use std::time::Duration;

use ccci_core::wait::{self, Bounds, CancellationToken, Look};

use reqwest::Method;
use serde_json::json;

use super::api::{self, Docs};
use super::room::{self, Knock, Room};
use crate::prelude::*;

/// How long the worker may take for a title: it has nothing else to do.
const WORKER: Duration = Duration::from_secs(30);

/// Two browsers in the room of one document see each other's edits.
pub(super) async fn edits_are_shared(context: Context) -> Checked {
    let docs = Docs::open(&context).await?;
    let made = docs.create("Written together").await?;
    let id = api::id(&made);
    let mut one = enter(&context, &docs, id).await?;
    let mut two = enter(&context, &docs, id).await?;
    one.write("from one, ").await?;
    two.reads("from one, ").await?;
    two.write("from two").await?;
    one.reads("from one, from two").await
}

async fn enter(context: &Context, docs: &Docs, id: &str) -> Result<Box<Room>, Stop> {
    match room::knock(context, Some(docs), id).await? {
        Knock::In(room) => Ok(room),
        Knock::Refused(why) => Err(Stop::fail(format!(
            "the owner of document {id} is not let into its room ({why}): look at `y-provider` and its \
             COLLABORATION_BACKEND_BASE_URL"
        ))),
    }
}

/// What belongs to another user is closed: to read, to change, and its room; and is nothing of the reader's own list.
pub(super) async fn foreign_documents_are_closed(context: Context) -> Checked {
    let (docs, other) = (Docs::open(&context).await?, Docs::login_other(&context).await?);
    let made = other.create("Somebody else's").await?;
    let (id, path) = (api::id(&made), api::document(api::id(&made)));
    // That the way is open to its owner: else every refusal below would prove nothing.
    other.get(&path).await?.expect(200, "its owner cannot read a document; look at the service `backend`")?;
    enter(&context, &other, id).await?;
    let hint = "a document of another user must be closed; look at the service `backend`";
    for answer in
        [docs.get(&path).await?, docs.send(Method::PATCH, &path, &json!({"title": "Mine now"})).await?]
    {
        let (asked, seen) = (&answer.asked, answer.status);
        ensure!(matches!(seen, 403 | 404), "{asked} gives {seen} to somebody else, not 403 or 404; {hint}");
    }
    if let Knock::In(_) = room::knock(&context, Some(&docs), id).await? {
        return Err(Stop::fail(format!(
            "somebody else is let into the room of document {id}: look at `y-provider`"
        )));
    }
    let still = other.get(&path).await?.json(200, hint)?;
    ensure!(still["title"] == "Somebody else's", "the title was changed by another user: {}", still["title"]);
    Ok(())
}

/// A room opens for those who may see its document, and for nobody else.
pub(super) async fn foreign_rooms_are_closed(context: Context) -> Checked {
    let docs = Docs::open(&context).await?;
    let made = docs.create("Mine alone").await?;
    let id = api::id(&made);
    // That the way is open to its owner: else every refusal below would prove nothing.
    enter(&context, &docs, id).await?;
    // The last digit is another one, so that it is still an id of version 4.
    let (rest, last) = id.split_at(id.len() - 1);
    let foreign = format!("{rest}{}", if last == "0" { "1" } else { "0" });
    for (who, docs, room) in [
        ("somebody without a session", None, id),
        ("the user, in the room of a document that is not theirs,", Some(&docs), foreign.as_str()),
        ("the user, in a room whose name is no document's id,", Some(&docs), "lobby"),
    ] {
        if let Knock::In(_) = room::knock(&context, docs, room).await? {
            return Err(Stop::fail(format!(
                "{who} is let into room {room}: edits are open to the world; look at `y-provider`"
            )));
        }
    }
    Ok(())
}

/// The worker has seen a new document: the words of its title are there.
pub(super) async fn titles_are_indexed(context: Context) -> Checked {
    let docs = Docs::open(&context).await?;
    let word = format!("whale{}", context.facts().run);
    let made = docs.create(&format!("A {word} surfaces")).await?;
    let path = api::document(api::id(&made));
    let bounds =
        Bounds { deadline: WORKER, pause: Duration::from_millis(200), cancel: CancellationToken::new() };
    let looked = wait::until("the words of a new title", &bounds, || async {
        let found = match docs.get(&path).await.and_then(|answer| answer.json(200, "")) {
            Ok(found) => found,
            Err(Stop::Fail(why) | Stop::Skip(why)) => return Look::NotYet(why),
        };
        let words = &found["title_index"];
        let there = words.as_array().is_some_and(|words| words.iter().any(|w| w == word.as_str()));
        if there { Look::Ready(()) } else { Look::NotYet(format!("title_index = {words}")) }
    });
    looked.await.map_err(|why| {
        Stop::fail(format!(
            "{why}; nothing has followed a new document: look at the services `celery` and `redis`"
        ))
    })
}
