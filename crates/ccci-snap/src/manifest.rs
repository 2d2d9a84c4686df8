//! The manifest: every entry of one volume with all its metadata and the digest of its data, in the order of a walk.
//! It is the truth about a volume; the tar or the clone tree beside it holds the data. docs/snapshots.md has the form.
//!
//! It is written and read as a stream, so a volume may be of any size. Its own digest stands in `meta.json`; a reader
//! proves it before it believes a byte.

use std::fs::File;
use std::io::{self, BufReader, BufWriter, Read as _, Write as _};
use std::path::{Path, PathBuf};

use blake3::{Hash, Hasher};

use crate::digests;
use crate::error::SnapError;
use crate::extents::Digests;
use crate::meta::VolumeMeta;
use crate::method::{digests_path, manifest_path};
use crate::proved;
use crate::record::{Kind, Record, Shape, Time, Xattr};

const MAGIC: &[u8] = b"ccci-manifest-1\n";
/// Longer fields than any file system gives mean damage, not memory.
const FIELD_LIMIT: u64 = 64 << 20;
const LEAVE: u8 = b'u';
const END: u8 = b'.';

/// What a manifest adds up to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Sum {
    pub(crate) digest: Hash,
    /// Entries, the root included.
    pub(crate) entries: u64,
    /// Bytes of data, holes not counted.
    pub(crate) bytes: u64,
}

/// Writes a manifest.
pub(crate) struct Writer {
    out: BufWriter<File>,
    path: PathBuf,
    hasher: Hasher,
    scratch: Vec<u8>,
    entries: u64,
    bytes: u64,
}

impl Writer {
    pub(crate) fn create(path: &Path) -> Result<Self, SnapError> {
        use ccci_core::atomic::PathContext as _;
        let file = File::create_new(path).path("create", path)?;
        let out = BufWriter::with_capacity(64 << 10, file);
        let mut writer = Self {
            out,
            path: path.to_owned(),
            hasher: Hasher::new(),
            scratch: MAGIC.to_vec(),
            entries: 0,
            bytes: 0,
        };
        writer.flush_scratch()?;
        Ok(writer)
    }

    /// Writes an entry. A file's runs (when it is sparse) and its digests must follow.
    pub(crate) fn record(&mut self, record: &Record) -> Result<(), SnapError> {
        self.entries += 1;
        if let Kind::File(shape) = &record.kind {
            self.bytes += shape.data;
        }
        encode(record, &mut self.scratch);
        self.flush_scratch()
    }

    /// Writes one run of data of the sparse file just written.
    pub(crate) fn run(&mut self, offset: u64, length: u64) -> Result<(), SnapError> {
        number(&mut self.scratch, offset);
        number(&mut self.scratch, length);
        self.flush_scratch()
    }

    /// Writes the digests of the file just written; none for one that was cloned, whose data nobody has read yet.
    pub(crate) fn digests(&mut self, digests: Option<&Digests>) -> Result<(), SnapError> {
        self.scratch.push(u8::from(digests.is_some()));
        for digest in digests.iter().flat_map(|d| d.map.iter().chain([&d.data])) {
            self.scratch.extend_from_slice(digest.as_bytes());
        }
        self.flush_scratch()
    }

    /// The present directory has no more entries.
    pub(crate) fn leave(&mut self) -> Result<(), SnapError> {
        self.scratch.push(LEAVE);
        self.flush_scratch()
    }

    /// Ends the manifest and makes it durable.
    pub(crate) fn finish(mut self) -> Result<Sum, SnapError> {
        use ccci_core::atomic::PathContext as _;
        self.scratch.push(END);
        number(&mut self.scratch, self.entries);
        self.flush_scratch()?;
        let file = self.out.into_inner().map_err(io::IntoInnerError::into_error).path("write", &self.path)?;
        file.sync_all().path("sync", &self.path)?;
        Ok(Sum { digest: self.hasher.finalize(), entries: self.entries, bytes: self.bytes })
    }

    fn flush_scratch(&mut self) -> Result<(), SnapError> {
        use ccci_core::atomic::PathContext as _;
        self.hasher.update(&self.scratch);
        self.out.write_all(&self.scratch).path("write", &self.path)?;
        self.scratch.clear();
        Ok(())
    }
}

/// What a manifest says next.
#[derive(Debug)]
pub(crate) enum Item {
    /// An entry. Its runs and digest are read by [`Reader::run`] and [`Reader::digests`].
    Record(Box<Record>),
    /// The present directory has no more.
    Leave,
    /// All was read.
    End,
}

/// Reads a manifest whose digest was proved.
pub(crate) struct Reader {
    input: BufReader<File>,
    path: PathBuf,
    entries: u64,
    /// Where the digests are that it does not have itself.
    taken: Option<digests::Reader>,
}

impl Reader {
    /// Opens a manifest after proving that it is the one with this digest.
    pub(crate) fn open(path: &Path, digest: &str) -> Result<Self, SnapError> {
        let input = proved::open(path, digest)?;
        let mut reader = Self { input, path: path.to_owned(), entries: 0, taken: None };
        let mut magic = [0; MAGIC.len()];
        reader.exactly(&mut magic)?;
        if magic != *MAGIC {
            return Err(SnapError::damaged(path, "it is no manifest that this ccci knows"));
        }
        Ok(reader)
    }

    /// The manifest of a kept volume, with the digests that were taken in the sealing.
    pub(crate) fn of(volume: &VolumeMeta, volumes: &Path) -> Result<Self, SnapError> {
        let mut reader = Self::open(&manifest_path(volumes, volume.name.as_str()), &volume.digest)?;
        if let Some(digest) = &volume.digests {
            reader.taken = Some(digests::Reader::open(&digests_path(volumes, volume.name.as_str()), digest)?);
        }
        Ok(reader)
    }

    /// The next item.
    pub(crate) fn next(&mut self) -> Result<Item, SnapError> {
        match self.byte()? {
            LEAVE => Ok(Item::Leave),
            END => {
                let entries = self.number()?;
                if entries != self.entries {
                    return Err(self.broken());
                }
                Ok(Item::End)
            }
            tag => {
                self.entries += 1;
                self.record(tag).map(|r| Item::Record(Box::new(r)))
            }
        }
    }

    /// The next run of the sparse file just read.
    pub(crate) fn run(&mut self) -> Result<(u64, u64), SnapError> {
        Ok((self.number()?, self.number()?))
    }

    /// The digests of the file just read, after its runs; none when they were not taken yet.
    pub(crate) fn digests(&mut self, shape: &Shape) -> Result<Option<Digests>, SnapError> {
        match (self.byte()?, &mut self.taken) {
            (0, None) => Ok(None),
            (0, Some(taken)) => taken.next(shape.sparse()).map(Some),
            (1, _) => {
                let map = if shape.sparse() { Some(self.digest()?) } else { None };
                Ok(Some(Digests { data: self.digest()?, map }))
            }
            _ => Err(self.broken()),
        }
    }

    fn digest(&mut self) -> Result<Hash, SnapError> {
        let mut bytes = [0; 32];
        self.exactly(&mut bytes)?;
        Ok(Hash::from_bytes(bytes))
    }

    fn record(&mut self, tag: u8) -> Result<Record, SnapError> {
        let name = self.bytes()?;
        // A name leads nowhere but into its own directory.
        if name.contains(&b'/') || name.contains(&0) || name == b"." || name == b".." {
            return Err(self.broken());
        }
        let mode = self.small()?;
        let (uid, gid) = (self.small()?, self.small()?);
        let (mtime, atime) = (self.time()?, self.time()?);
        let count = self.number()?;
        let mut xattrs: Vec<Xattr> = Vec::new();
        for _ in 0..count {
            xattrs.push((self.bytes()?, self.bytes()?));
        }
        let kind = match tag {
            b'd' => Kind::Dir,
            b'f' => Kind::File(Shape {
                size: self.number()?,
                data: self.number()?,
                extents: self.number()?,
                map: self.number()?,
            }),
            b'h' => Kind::HardLink(self.bytes()?),
            b'l' => Kind::Symlink(self.bytes()?),
            b'p' => Kind::Fifo,
            b's' => Kind::Socket,
            b'b' => Kind::Block(self.small()?, self.small()?),
            b'c' => Kind::Char(self.small()?, self.small()?),
            _ => return Err(self.broken()),
        };
        Ok(Record { name, kind, mode, uid, gid, mtime, atime, xattrs })
    }

    fn time(&mut self) -> Result<Time, SnapError> {
        let raw = self.number()?;
        // Zigzag: small numbers of either sign are short.
        let seconds = (raw >> 1).cast_signed() ^ -((raw & 1).cast_signed());
        Ok(Time { seconds, nanos: self.small()? })
    }

    fn small(&mut self) -> Result<u32, SnapError> {
        let number = self.number()?;
        u32::try_from(number).map_err(|_| self.broken())
    }

    fn bytes(&mut self) -> Result<Vec<u8>, SnapError> {
        let length = self.number()?;
        if length > FIELD_LIMIT {
            return Err(self.broken());
        }
        let mut bytes = vec![0; usize::try_from(length).map_err(|_| self.broken())?];
        self.exactly(&mut bytes)?;
        Ok(bytes)
    }

    fn number(&mut self) -> Result<u64, SnapError> {
        let (mut value, mut shift) = (0u64, 0);
        loop {
            let byte = self.byte()?;
            if shift > 63 {
                return Err(self.broken());
            }
            value |= u64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return Ok(value);
            }
            shift += 7;
        }
    }

    fn byte(&mut self) -> Result<u8, SnapError> {
        let mut byte = [0];
        self.exactly(&mut byte)?;
        Ok(byte[0])
    }

    fn exactly(&mut self, bytes: &mut [u8]) -> Result<(), SnapError> {
        match self.input.read_exact(bytes) {
            Ok(()) => Ok(()),
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Err(self.broken()),
            Err(source) => {
                Err(ccci_core::atomic::PathError { action: "read", path: self.path.clone(), source }.into())
            }
        }
    }

    fn broken(&self) -> SnapError {
        SnapError::damaged(&self.path, "it does not read as a manifest")
    }
}

fn encode(record: &Record, out: &mut Vec<u8>) {
    out.push(match &record.kind {
        Kind::Dir => b'd',
        Kind::File(_) => b'f',
        Kind::HardLink(_) => b'h',
        Kind::Symlink(_) => b'l',
        Kind::Fifo => b'p',
        Kind::Socket => b's',
        Kind::Block(..) => b'b',
        Kind::Char(..) => b'c',
    });
    bytes(out, &record.name);
    number(out, record.mode.into());
    number(out, record.uid.into());
    number(out, record.gid.into());
    for time in [record.mtime, record.atime] {
        number(out, ((time.seconds << 1) ^ (time.seconds >> 63)).cast_unsigned());
        number(out, time.nanos.into());
    }
    number(out, record.xattrs.len() as u64);
    for (name, value) in &record.xattrs {
        bytes(out, name);
        bytes(out, value);
    }
    match &record.kind {
        Kind::File(shape) => {
            for value in [shape.size, shape.data, shape.extents, shape.map] {
                number(out, value);
            }
        }
        Kind::HardLink(path) | Kind::Symlink(path) => bytes(out, path),
        Kind::Block(major, minor) | Kind::Char(major, minor) => {
            number(out, (*major).into());
            number(out, (*minor).into());
        }
        Kind::Dir | Kind::Fifo | Kind::Socket => {}
    }
}

fn bytes(out: &mut Vec<u8>, bytes: &[u8]) {
    number(out, bytes.len() as u64);
    out.extend_from_slice(bytes);
}

fn number(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push((value & 0x7f) as u8 | 0x80);
        value >>= 7;
    }
    out.push((value & 0x7f) as u8);
}
