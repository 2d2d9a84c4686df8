//! Messages of a collaboration server in hocuspocus' framing: the document's name, a number for the kind, and what
//! the kind has. Synchronisation itself is Yjs' own protocol.

use yrs::encoding::read::{Cursor, Error, Read as _};
use yrs::encoding::write::Write as _;
use yrs::sync::SyncMessage;
use yrs::updates::decoder::{Decode as _, DecoderV1};
use yrs::updates::encoder::{Encode as _, Encoder as _, EncoderV1};

const SYNC: u32 = 0;
const AUTH: u32 = 2;
/// Synchronisation that wants no answer of its kind.
const SYNC_REPLY: u32 = 4;
const CLOSE: u32 = 7;

const TOKEN: u32 = 0;
const DENIED: u32 = 1;
const ADMITTED: u32 = 2;

/// What a server says.
#[derive(Debug, PartialEq)]
pub(super) enum Frame {
    /// The room is closed to us.
    Denied(String),
    /// We are in, to read or to write.
    Admitted(String),
    /// About the document.
    Sync(SyncMessage),
    /// We are put out.
    Closed(String),
    /// What we need not know: who else is there, that something was stored.
    Other(u32),
}

/// The first message: whoever knocks sends a token, which this server does not look at.
pub(super) fn knock(room: &str) -> Vec<u8> {
    let mut to = begun(room, AUTH);
    to.write_var(TOKEN);
    to.write_string("");
    to.to_vec()
}

/// A message about the document.
pub(super) fn sync(room: &str, message: &SyncMessage) -> Vec<u8> {
    let mut to = begun(room, SYNC);
    message.encode(&mut to);
    to.to_vec()
}

fn begun(room: &str, kind: u32) -> EncoderV1 {
    let mut to = EncoderV1::new();
    to.write_string(room);
    to.write_var(kind);
    to
}

/// Reads a message: the room it is about, and what it says.
pub(super) fn read(bytes: &[u8]) -> Result<(String, Frame), Error> {
    let mut from = DecoderV1::new(Cursor::new(bytes));
    let room = from.read_string()?.to_owned();
    let frame = match from.read_var::<u32>()? {
        SYNC | SYNC_REPLY => Frame::Sync(SyncMessage::decode(&mut from)?),
        AUTH => match from.read_var::<u32>()? {
            DENIED => Frame::Denied(from.read_string()?.to_owned()),
            ADMITTED => Frame::Admitted(from.read_string()?.to_owned()),
            _ => Frame::Other(AUTH),
        },
        CLOSE => Frame::Closed(from.read_string()?.to_owned()),
        other => Frame::Other(other),
    };
    Ok((room, frame))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Bytes as a hocuspocus 3.4.4 sends and takes them.
    const ROOM: &str = "ab";

    #[test]
    fn what_is_sent_has_the_servers_form() {
        assert_eq!(knock(ROOM), [2, b'a', b'b', 2, 0, 0]);
        let update = SyncMessage::Update(vec![9, 8]);
        assert_eq!(sync(ROOM, &update), [2, b'a', b'b', 0, 2, 2, 9, 8]);
        let first = SyncMessage::SyncStep1(yrs::StateVector::default());
        assert_eq!(sync(ROOM, &first), [2, b'a', b'b', 0, 0, 1, 0]);
    }

    #[test]
    fn what_comes_is_read_and_what_is_cut_off_is_an_error() {
        let said = |tail: &[u8]| read(&[&[2, b'a', b'b'], tail].concat());
        for (tail, expected) in [
            (&[2, 1, 2, b'n', b'o'][..], Frame::Denied("no".into())),
            (&[2, 2, 2, b'r', b'w'], Frame::Admitted("rw".into())),
            (&[0, 2, 1, 7], Frame::Sync(SyncMessage::Update(vec![7]))),
            (&[4, 1, 1, 7], Frame::Sync(SyncMessage::SyncStep2(vec![7]))),
            (&[7, 1, b'x'], Frame::Closed("x".into())),
            (&[8, 1], Frame::Other(8)),
        ] {
            assert_eq!(said(tail).unwrap(), (ROOM.to_owned(), expected));
        }
        for cut in [&[][..], &[2], &[2, 1, 9, b'n'], &[0, 2, 5, 1]] {
            assert!(said(cut).is_err(), "{cut:?}");
        }
    }
}
