//! Frames on their way to a program.
//!
//! Completions come from any thread and at any IRQL, so adding one never waits for the socket: a thread of the
//! connection writes. When a program does not read its answers, the connection stops reading its requests instead.

use std::io::Write;
use std::net::Shutdown;
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::time::Duration;

use drydock_wire::Reply;

use crate::sched::{self, Event, JoinHandle, Lock};

/// Answers waiting at which no further requests are taken, in bytes.
const FULL: usize = 8 << 20;
/// How long the last frames of a connection may take to be read.
const LAST_WRITE: Duration = Duration::from_secs(5);

/// The sending side of one connection.
pub(super) struct Outbox {
    stream: UnixStream,
    state: Lock<State>,
    ready: Event,
    room: Event,
}

#[derive(Default)]
struct State {
    bytes: Vec<u8>,
    /// Nothing more is added; the writer ends when it has written what there is.
    closing: bool,
    /// The program does not take any more.
    gone: bool,
}

impl Outbox {
    /// Makes the outbox of a connection and starts its writer.
    pub(super) fn start(name: &str, stream: UnixStream) -> (Arc<Self>, JoinHandle) {
        let outbox = Arc::new(Self {
            stream,
            state: Lock::new(State::default()),
            ready: Event::new(false, false),
            room: Event::new(true, true),
        });
        let writer = Arc::clone(&outbox);
        let thread = sched::spawn(&format!("{name}, answers"), move || writer.write_all());
        (outbox, thread)
    }

    /// Adds an answer. Never waits.
    pub(super) fn push(&self, reply: &Reply<'_>) {
        {
            let mut state = self.state.lock();
            if state.gone || state.closing {
                return;
            }
            reply.encode(&mut state.bytes);
            if state.bytes.len() >= FULL {
                self.room.clear();
            }
        }
        self.ready.set();
    }

    /// Waits while more answers are waiting than a program that reads would let wait.
    pub(super) fn wait_for_room(&self) {
        self.room.wait();
    }

    /// Lets the writer end once it has written what there is.
    pub(super) fn close(&self) {
        // What cannot be set can only mean that the socket is gone.
        let _ = self.stream.set_write_timeout(Some(LAST_WRITE));
        self.state.lock().closing = true;
        self.ready.set();
    }

    fn write_all(&self) {
        let mut spare = Vec::new();
        loop {
            let closing = {
                let mut state = self.state.lock();
                std::mem::swap(&mut state.bytes, &mut spare);
                state.closing
            };
            self.room.set();
            if spare.is_empty() {
                if closing {
                    break;
                }
                self.ready.wait();
                continue;
            }
            let written = sched::blocking(|| (&self.stream).write_all(&spare));
            spare.clear();
            if written.is_err() {
                let mut state = self.state.lock();
                state.gone = true;
                state.bytes = Vec::new();
                break;
            }
        }
        self.room.set();
        // The reading side ends with it.
        let _ = self.stream.shutdown(Shutdown::Both);
    }
}
