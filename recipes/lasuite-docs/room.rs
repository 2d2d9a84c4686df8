//! A browser in a room of the collaboration server: a WebSocket with the session's cookie, and a Yjs document that
//! follows what the others write.

use std::time::Duration;

use futures_util::{SinkExt as _, StreamExt as _};
use reqwest::header::{CONNECTION, COOKIE, ORIGIN, SEC_WEBSOCKET_KEY, SEC_WEBSOCKET_VERSION, UPGRADE};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::handshake::client::generate_key;
use tokio_tungstenite::tungstenite::protocol::Role;
use yrs::sync::SyncMessage;
use yrs::updates::decoder::Decode as _;
use yrs::{Doc, GetString as _, ReadTxn as _, StateVector, Text as _, Transact as _, Update};

use super::api::Docs;
use super::frame::{self, Frame};
use crate::prelude::*;

/// How long the server may take for one thing: it asks the backend twice before it lets anybody in.
const PATIENCE: Duration = Duration::from_secs(20);
/// The part of a document that holds its text.
const TEXT: &str = "document-store";

/// What became of a knock.
pub(super) enum Knock {
    /// We are in.
    In(Box<Room>),
    /// We are not, for this reason.
    Refused(String),
}

/// A room that we are in.
pub(super) struct Room {
    socket: WebSocketStream<reqwest::Upgraded>,
    name: String,
    document: Doc,
}

/// Knocks at a room; without a session, as a stranger.
pub(super) async fn knock(context: &Context, docs: Option<&Docs>, room: &str) -> Result<Knock, Stop> {
    let socket = match open(context, docs, room).await? {
        Ok(socket) => socket,
        Err(refused) => return Ok(Knock::Refused(refused)),
    };
    let mut room = Room { socket, name: room.to_owned(), document: Doc::new() };
    room.send(frame::knock(&room.name)).await?;
    match room.next(|frame| matches!(frame, Frame::Denied(_) | Frame::Admitted(_) | Frame::Closed(_))).await?
    {
        Frame::Admitted(_) => {}
        Frame::Denied(reason) | Frame::Closed(reason) => return Ok(Knock::Refused(reason)),
        _ => return Err(Stop::fail("the collaboration server neither admits nor refuses")),
    }
    let state = room.document.transact().state_vector();
    room.send(frame::sync(&room.name, &SyncMessage::SyncStep1(state))).await?;
    Ok(Knock::In(Box::new(room)))
}

/// Opens the connection; a server that does not switch protocols refuses, with its status.
async fn open(
    context: &Context,
    docs: Option<&Docs>,
    room: &str,
) -> Result<Result<WebSocketStream<reqwest::Upgraded>, String>, Stop> {
    // A WebSocket begins as HTTP/1.1; the client knows certificates and addresses already.
    let client = context.http_builder()?.http1_only().build()?;
    let mut request = client
        .get(context.url(&format!("/collaboration/ws/?room={room}")))
        .header(CONNECTION, "Upgrade")
        .header(UPGRADE, "websocket")
        .header(SEC_WEBSOCKET_VERSION, "13")
        .header(SEC_WEBSOCKET_KEY, generate_key())
        .header(ORIGIN, context.facts().base_url());
    if let Some(docs) = docs {
        request = request.header(COOKIE, docs.cookies().expose());
    }
    let answer = request.send().await?;
    let status = answer.status();
    if status.is_server_error() {
        return Err(Stop::fail(format!(
            "/collaboration/ws/ gives {status}: look at `y-provider`, and at /collaboration/ws/ in the nginx of `app`"
        )));
    }
    if status != 101 {
        return Ok(Err(format!("status {status}")));
    }
    Ok(Ok(WebSocketStream::from_raw_socket(answer.upgrade().await?, Role::Client, None).await))
}

impl Room {
    /// Writes a text, as a person at the keyboard does.
    pub(super) async fn write(&mut self, text: &str) -> Checked {
        let update = {
            let shared = self.document.get_or_insert_text(TEXT);
            let mut change = self.document.transact_mut();
            shared.push(&mut change, text);
            change.encode_update_v1()
        };
        self.send(frame::sync(&self.name, &SyncMessage::Update(update))).await
    }

    /// Waits until the document reads like this.
    pub(super) async fn reads(&mut self, expected: &str) -> Checked {
        loop {
            if self.text() == expected {
                return Ok(());
            }
            let seen = self.text();
            self.next(|frame| matches!(frame, Frame::Sync(_))).await.map_err(|why| match why {
                Stop::Fail(why) => Stop::fail(format!(
                    "the other browser's edit did not come: expected {expected:?}, seen {seen:?}: {why}"
                )),
                skip @ Stop::Skip(_) => skip,
            })?;
        }
    }

    fn text(&self) -> String {
        let shared = self.document.get_or_insert_text(TEXT);
        shared.get_string(&self.document.transact())
    }

    async fn send(&mut self, bytes: Vec<u8>) -> Checked {
        Ok(self.socket.send(Message::binary(bytes)).await?)
    }

    /// Takes messages, each with its due, until one of this kind has come.
    async fn next(&mut self, wanted: impl Fn(&Frame) -> bool) -> Result<Frame, Stop> {
        let hear = async {
            loop {
                let frame = self.hear().await?;
                let is_it = wanted(&frame);
                let answered = self.follow(frame).await?;
                if is_it {
                    return Ok(answered);
                }
            }
        };
        let heard = tokio::time::timeout(PATIENCE, hear).await;
        heard.unwrap_or_else(|_| {
            let seconds = PATIENCE.as_secs();
            Err(Stop::fail(format!("nothing came in {seconds} s: look at `y-provider`")))
        })
    }

    /// The next message about our room.
    async fn hear(&mut self) -> Result<Frame, Stop> {
        loop {
            let message = self.socket.next().await.ok_or_else(|| Stop::fail("the connection ended"))??;
            match message {
                Message::Binary(bytes) => {
                    let (room, frame) = frame::read(&bytes)?;
                    if room == self.name {
                        return Ok(frame);
                    }
                }
                Message::Close(why) => {
                    let why = why.map_or("no reason".to_owned(), |c| format!("{} {}", c.code, c.reason));
                    return Ok(Frame::Closed(why));
                }
                _ => {}
            }
        }
    }

    /// Does what a message about the document asks for.
    async fn follow(&mut self, frame: Frame) -> Result<Frame, Stop> {
        match &frame {
            Frame::Sync(SyncMessage::SyncStep1(theirs)) => {
                let missing = self.document.transact().encode_state_as_update_v1(theirs);
                self.send(frame::sync(&self.name, &SyncMessage::SyncStep2(missing))).await?;
            }
            Frame::Sync(SyncMessage::SyncStep2(update) | SyncMessage::Update(update)) => {
                self.document.transact_mut().apply_update(Update::decode_v1(update)?)?;
            }
            _ => {}
        }
        Ok(frame)
    }
}

/// A document with this text, as browsers store it.
pub(super) fn written(text: &str) -> Vec<u8> {
    let document = Doc::new();
    let shared = document.get_or_insert_text(TEXT);
    shared.push(&mut document.transact_mut(), text);
    document.transact().encode_state_as_update_v1(&StateVector::default())
}

/// The text of a stored document.
pub(super) fn read(stored: &[u8]) -> Result<String, Stop> {
    let document = Doc::new();
    let shared = document.get_or_insert_text(TEXT);
    document.transact_mut().apply_update(Update::decode_v1(stored)?)?;
    Ok(shared.get_string(&document.transact()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stored_document_reads_as_it_was_written() {
        let text = "Ümlauts, 漢字 and 🐋\n";
        assert_eq!(read(&written(text)).unwrap(), text);
        assert!(read(b"not a document").is_err());
    }
}
