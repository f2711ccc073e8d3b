//! The sending side of a connection: many threads submit, one at a time writes for all.
//!
//! A thread that submits while another writes leaves its frames to that writer: under load frames gather
//! and go out in large writes; without load the submitting thread writes at once, with no hand-over.

use std::io::{self, Write};
use std::os::unix::net::UnixStream;
use std::sync::{Mutex, PoisonError};

/// Bytes at which a batch is written although it is not finished.
const BATCH_LIMIT: usize = 128 << 10;

#[derive(Debug, Default)]
struct Outgoing {
    waiting: Vec<u8>,
    spare: Vec<u8>,
    writing: bool,
    batches: u32,
    failed: Option<io::ErrorKind>,
}

/// Frames on their way out.
#[derive(Debug)]
pub(crate) struct Submission {
    stream: UnixStream,
    outgoing: Mutex<Outgoing>,
}

impl Submission {
    pub(crate) fn new(stream: UnixStream) -> Self {
        Self {
            stream,
            outgoing: Mutex::default(),
        }
    }

    /// Adds what `encode` appends, and writes it unless a batch is open or another thread is writing.
    pub(crate) fn submit(&self, encode: impl FnOnce(&mut Vec<u8>)) -> io::Result<()> {
        let mut outgoing = self.lock();
        if let Some(kind) = outgoing.failed {
            return Err(kind.into());
        }
        encode(&mut outgoing.waiting);
        if outgoing.batches > 0 && outgoing.waiting.len() < BATCH_LIMIT {
            return Ok(());
        }
        self.write(outgoing)
    }

    /// Writes what waits, batch or not.
    pub(crate) fn flush(&self) -> io::Result<()> {
        self.write(self.lock())
    }

    pub(crate) fn begin_batch(&self) {
        self.lock().batches += 1;
    }

    pub(crate) fn end_batch(&self) -> io::Result<()> {
        let mut outgoing = self.lock();
        outgoing.batches -= 1;
        self.write(outgoing)
    }

    fn write<'a>(&'a self, mut outgoing: std::sync::MutexGuard<'a, Outgoing>) -> io::Result<()> {
        if outgoing.writing {
            return Ok(());
        }
        outgoing.writing = true;
        while !outgoing.waiting.is_empty() {
            let spare = std::mem::take(&mut outgoing.spare);
            let mut bytes = std::mem::replace(&mut outgoing.waiting, spare);
            drop(outgoing);
            let written = (&self.stream).write_all(&bytes);
            bytes.clear();
            outgoing = self.lock();
            outgoing.spare = bytes;
            if let Err(error) = written {
                // The reader of the connection sees the end too, and ends what is in flight.
                outgoing.failed = Some(error.kind());
                outgoing.waiting.clear();
                outgoing.writing = false;
                return Err(error);
            }
        }
        outgoing.writing = false;
        Ok(())
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Outgoing> {
        self.outgoing.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
