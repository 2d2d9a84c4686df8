//! The data of regular files: where it is between the holes, how it is copied, and its digest.
//!
//! The digest of a file (BLAKE3) is taken over its data; of a file with holes, over each run of data with offset and
//! length before it. The hole map has a digest of its own. It is the text that GNU tar's sparse format 1.0 puts before
//! the data: the number of entries, then offset and length of each, one number a line, the last one empty at the end.

use std::os::fd::OwnedFd;

use blake3::{Hash, Hasher};
use rustix::fs::{Advice, SeekFrom};
use rustix::io::Errno;

use crate::error::{At, Here as _, SnapError};
use crate::job::Job;
use crate::record::Shape;

/// How much is read at a time.
pub(crate) const CHUNK: usize = 256 << 10;

/// Calls `each` with offset and length of every run of data of an open file of this size.
pub(crate) fn each_run(
    file: &OwnedFd,
    size: u64,
    at: At<'_>,
    mut each: impl FnMut(u64, u64) -> Result<(), SnapError>,
) -> Result<(), SnapError> {
    let mut position = 0;
    while position < size {
        let start = match rustix::fs::seek(file, SeekFrom::Data(position)) {
            Ok(start) => start,
            // Nothing but a hole up to the end.
            Err(Errno::NXIO) => return Ok(()),
            // A file system that knows no holes.
            Err(Errno::INVAL) => position,
            Err(error) => return Err(at.failed("find the data of", error)),
        };
        if start >= size {
            return Ok(());
        }
        let end = match rustix::fs::seek(file, SeekFrom::Hole(start)) {
            Ok(end) => end.min(size),
            Err(Errno::INVAL) => size,
            Err(error) => return Err(at.failed("find the holes of", error)),
        };
        each(start, end - start)?;
        position = end;
    }
    Ok(())
}

/// The layout of an open file.
pub(crate) fn shape_of(file: &OwnedFd, size: u64, at: At<'_>) -> Result<Shape, SnapError> {
    let shape = scan(file, size, at)?;
    if !shape.sparse() {
        return Ok(shape);
    }
    // Room that was only reserved is shown as data as soon as it was read. What is forgotten is shown as it is, and
    // what is read without reading ahead stays so.
    rustix::fs::fadvise(file, 0, None, Advice::DontNeed).here(at, "read")?;
    rustix::fs::fadvise(file, 0, None, Advice::Random).here(at, "read")?;
    scan(file, size, at)
}

fn scan(file: &OwnedFd, size: u64, at: At<'_>) -> Result<Shape, SnapError> {
    let (mut data, mut extents, mut map) = (0, 0, 0);
    each_run(file, size, at, |offset, length| {
        data += length;
        extents += 1;
        map += digits(offset) + digits(length) + 2;
        Ok(())
    })?;
    if data == size {
        return Ok(Shape { size, data, extents: 0, map: 0 });
    }
    let ends = digits(extents + 1) + 1 + digits(size) + 3;
    Ok(Shape { size, data, extents, map: map + ends })
}

fn digits(number: u64) -> u64 {
    u64::from(number.checked_ilog10().unwrap_or(0)) + 1
}

/// The hole map's first line.
pub(crate) fn map_head(shape: &Shape) -> String {
    format!("{}\n", shape.extents + 1)
}

/// The hole map's lines for one run.
pub(crate) fn map_run(offset: u64, length: u64) -> String {
    format!("{offset}\n{length}\n")
}

/// The hole map's last lines.
pub(crate) fn map_end(shape: &Shape) -> String {
    map_run(shape.size, 0)
}

/// What proves a file's data.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Digests {
    /// Of the data and where it is.
    pub(crate) data: Hash,
    /// Of the hole map; only where there are holes.
    pub(crate) map: Option<Hash>,
}

/// Takes both digests of one file.
pub(crate) struct Digester {
    sparse: bool,
    data: Hasher,
    map: Hasher,
}

impl Digester {
    pub(crate) fn new(shape: &Shape) -> Self {
        Self { sparse: shape.sparse(), data: Hasher::new(), map: Hasher::new() }
    }

    /// A part of the hole map.
    pub(crate) fn map(&mut self, text: &[u8]) {
        self.map.update(text);
    }

    /// The data of this run follows.
    pub(crate) fn run(&mut self, offset: u64, length: u64) {
        if self.sparse {
            self.data.update(map_run(offset, length).as_bytes());
        }
    }

    /// A part of the data.
    pub(crate) fn data(&mut self, data: &[u8]) {
        self.data.update(data);
    }

    pub(crate) fn finish(&self) -> Digests {
        Digests { data: self.data.finalize(), map: self.sparse.then(|| self.map.finalize()) }
    }
}

/// A run of data in a file.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Run {
    pub(crate) offset: u64,
    pub(crate) length: u64,
}

/// An open file that is read, and what it is called where that fails.
#[derive(Clone, Copy)]
pub(crate) struct Readable<'a> {
    pub(crate) file: &'a OwnedFd,
    pub(crate) at: At<'a>,
}

/// Reads exactly this run in parts and gives them to `each`.
pub(crate) fn read_run(
    job: &Job<'_>,
    Readable { file, at }: Readable<'_>,
    Run { offset, length }: Run,
    buffer: &mut Vec<u8>,
    mut each: impl FnMut(u64, &[u8]) -> Result<(), SnapError>,
) -> Result<(), SnapError> {
    buffer.resize(CHUNK, 0);
    let mut done = 0;
    while done < length {
        job.check()?;
        let want = usize::try_from(length - done).unwrap_or(CHUNK).min(CHUNK);
        let read = match rustix::io::pread(file, &mut buffer[..want], offset + done) {
            Err(Errno::INTR) => continue,
            other => other.here(at, "read")?,
        };
        if read == 0 {
            return Err(at.changed());
        }
        each(offset + done, &buffer[..read])?;
        done += read as u64;
    }
    Ok(())
}

/// Writes all of `data` at `offset`.
pub(crate) fn write_at(
    file: &OwnedFd,
    mut offset: u64,
    mut data: &[u8],
    at: At<'_>,
) -> Result<(), SnapError> {
    while !data.is_empty() {
        let written = match rustix::io::pwrite(file, data, offset) {
            Err(Errno::INTR) => continue,
            other => other.here(at, "write")?,
        };
        data = &data[written..];
        offset += written as u64;
    }
    Ok(())
}
