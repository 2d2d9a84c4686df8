//! The stream of the engine's archive API, as far as it comes back. An engine sets no time before 1970, so what a
//! volume gives after its restore is compared without those times.
//!
//! Only lengths and pax records are read here, and they are the engine's own: no entry's content can pose as one.

use blake3::{Hash, Hasher};

const BLOCK: usize = 512;

/// The digest of a stream without the times before 1970, being taken.
#[derive(Default)]
pub(crate) struct Lasting {
    hasher: Hasher,
    /// A block that has not come to its end.
    block: Vec<u8>,
    /// Bytes of the present entry's content that are still to come, its last block filled up.
    content: u64,
    /// The pax records for the next entry, and how many bytes of their blocks they are.
    records: Option<(Vec<u8>, usize)>,
    /// The length of the next entry, where a record has it.
    length: Option<u64>,
}

impl Lasting {
    /// A part of the stream.
    pub(crate) fn update(&mut self, mut data: &[u8]) {
        while !data.is_empty() {
            let content = self.records.is_none() && self.content > 0;
            let room = if content { self.content } else { (BLOCK - self.block.len()) as u64 };
            let (part, rest) = data.split_at(data.len().min(usize::try_from(room).unwrap_or(usize::MAX)));
            data = rest;
            if content {
                self.hasher.update(part);
                self.content -= part.len() as u64;
                continue;
            }
            self.block.extend_from_slice(part);
            if self.block.len() == BLOCK {
                self.whole_block();
            }
        }
    }

    fn whole_block(&mut self) {
        if let Some((records, length)) = &mut self.records {
            records.append(&mut self.block);
            self.content = self.content.saturating_sub(BLOCK as u64);
            if self.content == 0 {
                let (records, length) = (std::mem::take(records), *length);
                self.records = None;
                self.take(&records[..length.min(records.len())]);
            }
            return;
        }
        let block = std::mem::take(&mut self.block);
        let length = number(&block[124..136]);
        if block[156] == b'x' && length > 0 {
            // The header of records says nothing but how many bytes they are.
            self.content = length.next_multiple_of(BLOCK as u64);
            self.records = Some((Vec::new(), usize::try_from(length).unwrap_or(usize::MAX)));
        } else {
            self.hasher.update(&block);
            self.content = self.length.take().unwrap_or(length).next_multiple_of(BLOCK as u64);
        }
    }

    /// Digests pax records: each is its own length in digits, a space, key and value, and a new line.
    fn take(&mut self, mut records: &[u8]) {
        while let Some(space) = records.iter().position(|b| *b == b' ') {
            let length =
                std::str::from_utf8(&records[..space]).ok().and_then(|l| l.parse().ok()).unwrap_or(0);
            let Some((record, rest)) = records.split_at_checked(length).filter(|(r, _)| r.len() > space)
            else {
                break;
            };
            let pair = &record[space + 1..];
            if let Some(length) = pair.strip_prefix(b"size=") {
                self.length = std::str::from_utf8(length).ok().and_then(|l| l.trim_end().parse().ok());
            }
            if !pair.starts_with(b"mtime=-") {
                self.hasher.update(record);
            }
            records = rest;
        }
        self.hasher.update(records);
    }

    pub(crate) fn finish(mut self) -> Hash {
        if let Some((records, _)) = &self.records {
            self.hasher.update(records);
        }
        self.hasher.update(&self.block);
        self.hasher.finalize()
    }
}

/// A number of a header, in octal digits.
fn number(field: &[u8]) -> u64 {
    field.iter().filter(|b| b.is_ascii_digit()).fold(0, |n, digit| (n << 3) + u64::from(digit - b'0'))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An entry with these records and this content.
    fn entry(name: &[u8], records: &[&str], content: &[u8]) -> Vec<u8> {
        let mut out = Vec::new();
        let mut put = |name: &[u8], kind, length: usize, content: &[u8]| {
            let mut head = [0; BLOCK];
            head[..name.len()].copy_from_slice(name);
            head[124..135].copy_from_slice(format!("{length:011o}").as_bytes());
            head[156] = kind;
            out.extend_from_slice(&head);
            out.extend_from_slice(content);
            out.resize(out.len().next_multiple_of(BLOCK), 0);
        };
        let records = records.concat();
        if !records.is_empty() {
            put(b"PaxHeaders", b'x', records.len(), records.as_bytes());
        }
        let in_records = records.contains("size=");
        put(name, b'0', if in_records { 0 } else { content.len() }, content);
        out
    }

    fn digest(stream: &[u8], part: usize) -> Hash {
        let mut lasting = Lasting::default();
        stream.chunks(part).for_each(|part| lasting.update(part));
        lasting.finish()
    }

    #[test]
    fn only_a_time_before_1970_makes_no_difference() {
        let long = [b'-'; 700];
        // Content that looks like records of a time is content.
        let posing = entry(b"f", &["12 mtime=-2\n"], b"");
        let stream = |records: &[&str], last: &[u8]| {
            [entry(b"a", &[], &posing), entry(b"b", records, &long), entry(b"c", &[], last)].concat()
        };
        let kept = stream(&["12 mtime=-2\n"], b"end");
        for part in [1, 511, 512, 513, 1 << 20] {
            assert_eq!(digest(&kept, part), digest(&stream(&[], b"end"), part), "parts of {part}");
        }
        let with_size = stream(&["12 mtime=-2\n", "12 size=700\n"], b"end");
        assert_eq!(digest(&with_size, 512), digest(&stream(&["12 size=700\n"], b"end"), 512));
        for other in [stream(&[], b"End"), stream(&["11 mtime=2\n"], b"end"), with_size] {
            assert_ne!(digest(&kept, 512), digest(&other, 512));
        }
        let other = [entry(b"a", &[], &entry(b"f", &["12 mtime=-3\n"], b"")), kept[3 * BLOCK..].to_vec()];
        assert_ne!(digest(&kept, 512), digest(&other.concat(), 512));
        assert_ne!(digest(&kept, 512), digest(&kept[..kept.len() - 1], 512), "cut off");
    }
}
