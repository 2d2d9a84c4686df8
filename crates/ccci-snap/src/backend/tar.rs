//! A volume as a pax archive.

use std::fs::File;
use std::io::{self, BufReader, BufWriter, Read as _, Write as _};
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

use ccci_core::atomic::PathContext as _;

use super::{Give, Keep, Source};
use crate::error::{At, SnapError};
use crate::extents::{
    CHUNK, Digester, Digests, Run, each_run, map_end, map_head, map_run, read_run, write_at,
};
use crate::job::Job;
use crate::manifest;
use crate::record::{Kind, Record, Shape};
use crate::tar::{BLOCK, TRAILER, header, padding};

/// The shape of a record that is a file.
pub(super) fn shape(record: &Record) -> Shape {
    match &record.kind {
        Kind::File(shape) => *shape,
        _ => Shape::default(),
    }
}

/// Writes an archive.
pub(super) struct TarWriter {
    out: BufWriter<File>,
    path: PathBuf,
    buffer: Vec<u8>,
}

impl TarWriter {
    pub(super) fn create(path: &Path) -> Result<Self, SnapError> {
        let file = File::create_new(path).path("create", path)?;
        Ok(Self { out: BufWriter::with_capacity(CHUNK, file), path: path.to_owned(), buffer: Vec::new() })
    }

    fn write(&mut self, bytes: &[u8]) -> Result<(), SnapError> {
        Ok(self.out.write_all(bytes).path("write", &self.path)?)
    }

    fn pad(&mut self, length: u64) -> Result<(), SnapError> {
        self.write(&[0; BLOCK][..padding(length)])
    }

    /// Writes the hole map and notes the runs in the manifest.
    fn map(
        &mut self,
        source: &Source<'_>,
        shape: &Shape,
        digester: &mut Digester,
        manifest: &mut manifest::Writer,
    ) -> Result<(), SnapError> {
        let mut written = 0;
        let mut put = |this: &mut Self, text: String| {
            digester.map(text.as_bytes());
            written += text.len() as u64;
            this.write(text.as_bytes())
        };
        put(self, map_head(shape))?;
        each_run(source.file, shape.size, source.at, |offset, length| {
            put(self, map_run(offset, length))?;
            manifest.run(offset, length)
        })?;
        put(self, map_end(shape))?;
        if written != shape.map {
            return Err(source.at.changed());
        }
        self.pad(shape.map)
    }
}

impl Keep for TarWriter {
    fn entry(&mut self, record: &Record, path: &[u8]) -> Result<(), SnapError> {
        self.write(&header(record, path))
    }

    fn file(
        &mut self,
        job: &Job<'_>,
        source: &Source<'_>,
        manifest: &mut manifest::Writer,
    ) -> Result<Option<Digests>, SnapError> {
        let shape = shape(source.record);
        self.write(&header(source.record, source.at.entry))?;
        let mut digester = Digester::new(&shape);
        if shape.sparse() {
            self.map(source, &shape, &mut digester, manifest)?;
        }
        let mut buffer = std::mem::take(&mut self.buffer);
        let mut copied = 0;
        let mut copy = |offset, length| {
            copied += length;
            digester.run(offset, length);
            read_run(job, source.readable(), Run { offset, length }, &mut buffer, |_, data| {
                digester.data(data);
                self.write(data)
            })
        };
        if shape.sparse() {
            each_run(source.file, shape.size, source.at, copy)?;
        } else {
            copy(0, shape.size)?;
        }
        if copied != shape.data {
            return Err(source.at.changed());
        }
        self.buffer = buffer;
        self.pad(shape.data)?;
        Ok(Some(digester.finish()))
    }

    fn leave(&mut self) -> Result<(), SnapError> {
        Ok(())
    }

    fn finish(mut self: Box<Self>) -> Result<(), SnapError> {
        self.write(&TRAILER)?;
        let file = self.out.into_inner().map_err(io::IntoInnerError::into_error).path("write", &self.path)?;
        Ok(file.sync_all().path("sync", &self.path)?)
    }
}

/// Reads an archive that a manifest describes.
pub(super) struct TarReader {
    input: BufReader<File>,
    path: PathBuf,
    buffer: Vec<u8>,
}

impl TarReader {
    pub(super) fn open(path: &Path) -> Result<Self, SnapError> {
        let file = match File::open(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return Err(SnapError::damaged(path, "it is missing"));
            }
            other => other.path("open", path)?,
        };
        Ok(Self { input: BufReader::with_capacity(CHUNK, file), path: path.to_owned(), buffer: Vec::new() })
    }

    fn exactly(&mut self, length: usize, entry: &[u8]) -> Result<(), SnapError> {
        self.buffer.resize(length, 0);
        match self.input.read_exact(&mut self.buffer) {
            Ok(()) => Ok(()),
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
                Err(self.damaged(entry, "the archive ends within it"))
            }
            Err(error) => Ok(Err(error).path("read", &self.path)?),
        }
    }

    /// The next bytes must be these.
    fn expect(&mut self, bytes: &[u8], entry: &[u8], what: &str) -> Result<(), SnapError> {
        self.exactly(bytes.len(), entry)?;
        if self.buffer == bytes { Ok(()) } else { Err(self.damaged(entry, what)) }
    }

    fn damaged(&self, entry: &[u8], why: &str) -> SnapError {
        At { tree: &self.path, entry }.damaged(why)
    }

    /// Reads a run of data, hashes it and writes it where it belongs.
    fn copy_run(
        &mut self,
        job: &Job<'_>,
        run: Run,
        entry: &[u8],
        digester: &mut Digester,
        into: Option<(&OwnedFd, At<'_>)>,
    ) -> Result<(), SnapError> {
        digester.run(run.offset, run.length);
        let mut done = 0;
        while done < run.length {
            job.check()?;
            let want = usize::try_from(run.length - done).unwrap_or(CHUNK).min(CHUNK);
            self.exactly(want, entry)?;
            digester.data(&self.buffer);
            if let Some((file, at)) = into {
                write_at(file, run.offset + done, &self.buffer, at)?;
            }
            done += want as u64;
        }
        Ok(())
    }
}

impl Give for TarReader {
    fn entry(&mut self, record: &Record, path: &[u8]) -> Result<(), SnapError> {
        self.expect(&header(record, path), path, "its header is not what was written")
    }

    fn file(
        &mut self,
        job: &Job<'_>,
        record: &Record,
        path: &[u8],
        manifest: &mut manifest::Reader,
        into: Option<(&OwnedFd, At<'_>)>,
    ) -> Result<bool, SnapError> {
        let shape = shape(record);
        self.entry(record, path)?;
        let mut digester = Digester::new(&shape);
        if shape.sparse() {
            let map =
                usize::try_from(shape.map).map_err(|_| self.damaged(path, "its hole map is too long"))?;
            let mut left = map;
            while left > 0 {
                let part = left.min(CHUNK);
                self.exactly(part, path)?;
                digester.map(&self.buffer);
                left -= part;
            }
            self.expect(&[0; BLOCK][..padding(shape.map)], path, "its hole map is not what was written")?;
            let mut runs = 0;
            for _ in 0..shape.extents {
                let (offset, length) = manifest.run()?;
                runs += length;
                self.copy_run(job, Run { offset, length }, path, &mut digester, into)?;
            }
            if runs != shape.data {
                return Err(self.damaged(path, "its hole map does not add up"));
            }
        } else {
            self.copy_run(job, Run { offset: 0, length: shape.size }, path, &mut digester, into)?;
        }
        self.expect(&[0; BLOCK][..padding(shape.data)], path, "what follows it is not what was written")?;
        Ok(manifest.digests(&shape)? == Some(digester.finish()))
    }

    fn leave(&mut self) -> Result<(), SnapError> {
        Ok(())
    }

    fn finish(mut self: Box<Self>) -> Result<(), SnapError> {
        self.expect(&TRAILER, b"", "its end is not what was written")?;
        let mut more = [0];
        match self.input.read(&mut more).path("read", &self.path)? {
            0 => Ok(()),
            _ => Err(self.damaged(b"", "it goes on behind its end")),
        }
    }
}
