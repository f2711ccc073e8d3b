//! One connection: a process of the machine.
//!
//! Its thread is the program's one thread: it starts operations in the order of the frames, in the address
//! space of the process. Opens and closes run in threads of their own, as a program would do that goes on meanwhile.
//!
//! Ownership of an operation: from `start` on the drivers have it; what this file keeps is only how to name it for
//! a cancel. The completion ends that, then goes to the [`Outbox`].

use std::collections::BTreeMap;
use std::net::Shutdown;
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::time::Duration;

use drydock_wire::frame::{Frame, FrameReader, ReadError};
use drydock_wire::message::is_hello;
use drydock_wire::{MAX_IN_FLIGHT, Malformed, Reply, Request, status};

use super::outbox::Outbox;
use crate::nt::app::{Completion, Handle, IoId, Op, Process};
use crate::nt::pnp::{Guid, interfaces};
use crate::nt::status::NtStatus;
use crate::sched::{self, Event, JoinHandle, Lock};

/// How long a process may take to end, in 100 ns units, before that is reported.
const END_LIMIT: sched::Time100ns = 30 * 10_000_000;

/// How long a program may take to say hello.
const HELLO_LIMIT: Duration = Duration::from_secs(10);

/// All connections.
#[derive(Default)]
pub(super) struct Clients {
    state: Lock<AllClients>,
}

#[derive(Default)]
struct AllClients {
    last: u32,
    ending: bool,
    present: BTreeMap<u32, Arc<Client>>,
}

/// What others need to know of a connection.
struct Client {
    stream: UnixStream,
    process: Lock<Option<Arc<Process>>>,
    ended: Event,
}

impl Clients {
    /// Serves a connection, in a thread of its own.
    pub(super) fn begin(self: &Arc<Self>, stream: UnixStream) {
        let shared = match stream.try_clone() {
            Ok(stream) => stream,
            Err(error) => return eprintln!("drydock serve: cannot serve a program: {error}"),
        };
        let client = Arc::new(Client {
            stream: shared,
            process: Lock::new(None),
            ended: Event::new(true, false),
        });
        let number = {
            let mut all = self.state.lock();
            if all.ending {
                return;
            }
            all.last += 1;
            let number = all.last;
            all.present.insert(number, Arc::clone(&client));
            number
        };
        let clients = Arc::clone(self);
        sched::spawn(&format!("program {number}"), move || {
            serve(stream, &client, number);
            clients.state.lock().present.remove(&number);
            client.ended.set();
        });
    }

    /// Ends every process; gives a sentence for each that does not end.
    pub(super) fn end_all(&self) -> Vec<String> {
        let present: Vec<_> = {
            let mut all = self.state.lock();
            all.ending = true;
            all.present.values().cloned().collect()
        };
        for client in &present {
            // It may have ended by itself.
            let _ = client.stream.shutdown(Shutdown::Both);
        }
        present
            .iter()
            .filter(|client| !client.ended.wait_timeout(END_LIMIT))
            .map(|client| match &*client.process.lock() {
                Some(process) => format!(
                    "{} does not end: {} requests are outstanding that no driver gives back",
                    process.name(),
                    process.outstanding()
                ),
                None => "a connection does not end".to_owned(),
            })
            .collect()
    }
}

/// Serves one connection to its end.
fn serve(stream: UnixStream, client: &Client, number: u32) {
    let reading = match stream.try_clone() {
        Ok(stream) => stream,
        Err(error) => return eprintln!("drydock serve: cannot serve a program: {error}"),
    };
    let (outbox, writer) = Outbox::start(&format!("program {number}"), stream);
    // A stranger may say nothing at all.
    let _ = client.stream.set_read_timeout(Some(HELLO_LIMIT));
    let mut frames = FrameReader::new(reading);
    match greet(&mut frames, &outbox) {
        Ok(Some(name)) => {
            let _ = client.stream.set_read_timeout(None);
            let process = Process::new(&name);
            *client.process.lock() = Some(Arc::clone(&process));
            let mut session = Session {
                process,
                outbox: Arc::clone(&outbox),
                handles: Arc::default(),
                in_flight: Arc::default(),
                slow: Vec::new(),
            };
            if let Err(malformed) = session.serve(&mut frames) {
                refuse(&outbox, number, &malformed);
            }
            session.end();
        }
        Ok(None) => {}
        Err(malformed) => refuse(&outbox, number, &malformed),
    }
    outbox.close();
    writer.join();
}

fn refuse(outbox: &Outbox, number: u32, malformed: &Malformed) {
    eprintln!("drydock serve: program {number} is disconnected: {malformed}");
    outbox.push(&Reply::Error {
        text: &malformed.to_string(),
    });
}

/// The next frame; `None` at the end of the connection, orderly or not.
fn next<'a>(frames: &'a mut FrameReader<UnixStream>) -> Result<Option<Frame<'a>>, Malformed> {
    match sched::blocking(|| frames.next_frame()) {
        Ok(frame) => Ok(frame),
        // A program that dies while it sends is a program that dies.
        Err(ReadError::Io(_) | ReadError::Malformed(Malformed::Truncated)) => Ok(None),
        Err(ReadError::Malformed(malformed)) => Err(malformed),
    }
}

/// The name of the program; `None` if it went without a word.
fn greet(
    frames: &mut FrameReader<UnixStream>,
    outbox: &Outbox,
) -> Result<Option<String>, Malformed> {
    // A stranger's bytes need not add up to a frame that ever ends.
    match sched::blocking(|| frames.peek_head()) {
        Ok(None) => return Ok(None),
        Ok(Some(head)) if is_hello(&head) => {}
        Ok(Some(_)) | Err(_) => return Err(Malformed::NotAHello),
    }
    let Some(frame) = next(frames)? else {
        return Ok(None);
    };
    let Request::Hello { name } = Request::decode(&frame)? else {
        return Err(Malformed::NotAHello);
    };
    let name = name.to_owned();
    outbox.push(&Reply::Hello {
        name: concat!("drydock ", env!("CARGO_PKG_VERSION")),
    });
    Ok(Some(name))
}

/// Operations in flight by the program's ids; the name that the machine gives them is there once they are started.
type InFlight = Lock<BTreeMap<u64, Option<IoId>>>;

/// A process being served.
struct Session {
    process: Arc<Process>,
    outbox: Arc<Outbox>,
    handles: Arc<Lock<BTreeMap<u32, Arc<Handle>>>>,
    in_flight: Arc<InFlight>,
    /// Threads that open and close.
    slow: Vec<JoinHandle>,
}

impl Session {
    fn serve(&mut self, frames: &mut FrameReader<UnixStream>) -> Result<(), Malformed> {
        while let Some(frame) = next(frames)? {
            let request = Request::decode(&frame)?;
            self.outbox.wait_for_room();
            self.request(request)?;
        }
        Ok(())
    }

    /// The program is gone.
    fn end(&mut self) {
        self.process.kill();
        for thread in self.slow.drain(..) {
            thread.join();
        }
    }

    fn request(&mut self, request: Request<'_>) -> Result<(), Malformed> {
        match request {
            Request::Hello { .. } => {
                return Err(Malformed::OutOfTurn {
                    what: "a second hello",
                });
            }
            Request::Open {
                id,
                access,
                share,
                path,
            } => self.open(id, access, share, path.to_owned()),
            Request::Close { id, handle } => self.close(id, handle),
            Request::Read {
                id,
                handle,
                offset,
                length,
            } => {
                return self.start(
                    id,
                    handle,
                    Op::Read {
                        offset: offset.cast_signed(),
                        len: length,
                    },
                );
            }
            Request::Write {
                id,
                handle,
                offset,
                data,
            } => {
                let op = Op::Write {
                    offset: offset.cast_signed(),
                    data: data.to_vec(),
                };
                return self.start(id, handle, op);
            }
            Request::Ioctl {
                id,
                handle,
                code,
                input,
                output_length,
                output,
            } => {
                let input = input.to_vec();
                let op = if output.is_empty() {
                    Op::Ioctl {
                        code,
                        input,
                        output_len: output_length,
                    }
                } else {
                    let mut output = output.to_vec();
                    output.resize(output_length as usize, 0);
                    Op::IoctlWith {
                        code,
                        input,
                        output,
                    }
                };
                return self.start(id, handle, op);
            }
            Request::Flush { id, handle } => return self.start(id, handle, Op::Flush),
            Request::Cancel { id, handle, target } => {
                let found = self.with_handle(handle, |handle| {
                    let target = self.in_flight.lock().get(&target).copied().flatten();
                    found(target.is_some_and(|target| handle.cancel(target)))
                });
                self.answer(id, found);
            }
            Request::CancelAll { id, handle } => {
                let found = self.with_handle(handle, |handle| found(handle.cancel_all() != 0));
                self.answer(id, found);
            }
            Request::Interfaces { id, guid } => {
                let mut data = Vec::new();
                for path in interfaces(Guid(guid)) {
                    data.extend_from_slice(path.as_bytes());
                    data.push(0);
                }
                self.outbox.push(&Reply::Done {
                    id,
                    status: 0,
                    information: 0,
                    handle: 0,
                    data: &data,
                });
            }
        }
        Ok(())
    }

    fn with_handle(&self, number: u32, f: impl FnOnce(&Handle) -> i32) -> i32 {
        let handle = self.handles.lock().get(&number).cloned();
        handle.map_or(status::INVALID_HANDLE, |handle| f(&handle))
    }

    fn answer(&self, id: u64, status: i32) {
        self.outbox.push(&Reply::Done {
            id,
            status,
            information: 0,
            handle: 0,
            data: &[],
        });
    }

    /// Starts an operation; the drivers have it from here on.
    fn start(&self, id: u64, number: u32, op: Op) -> Result<(), Malformed> {
        let Some(handle) = self.handles.lock().get(&number).cloned() else {
            self.answer(id, status::INVALID_HANDLE);
            return Ok(());
        };
        {
            let mut in_flight = self.in_flight.lock();
            if in_flight.len() >= MAX_IN_FLIGHT {
                drop(in_flight);
                self.answer(id, status::INSUFFICIENT_RESOURCES);
                return Ok(());
            }
            if in_flight.insert(id, None).is_some() {
                return Err(Malformed::OutOfTurn {
                    what: "the id of an operation that is in flight",
                });
            }
        }
        let (in_flight, outbox) = (Arc::clone(&self.in_flight), Arc::clone(&self.outbox));
        let started = handle.start(
            op,
            move |Completion {
                      status,
                      information,
                      data,
                      ..
                  }| {
                in_flight.lock().remove(&id);
                outbox.push(&Reply::Done {
                    id,
                    status: status.0,
                    information,
                    handle: 0,
                    data: &data,
                });
            },
        );
        // Unless it is over already.
        if let Some(name) = self.in_flight.lock().get_mut(&id) {
            *name = Some(started);
        }
        Ok(())
    }

    fn open(&mut self, id: u64, access: u32, share: u32, path: String) {
        let (process, handles, outbox) = (
            Arc::clone(&self.process),
            Arc::clone(&self.handles),
            Arc::clone(&self.outbox),
        );
        self.spawn("opens", move || {
            let (status, number) = match process.open(&path, access, share) {
                Ok(handle) => {
                    // Handles count up from 4 in steps of 4, per process.
                    let number = handle.value() as u32;
                    handles.lock().insert(number, handle);
                    (NtStatus::SUCCESS, number)
                }
                Err(status) => (status, 0),
            };
            outbox.push(&Reply::Done {
                id,
                status: status.0,
                information: 0,
                handle: number,
                data: &[],
            });
        });
    }

    fn close(&mut self, id: u64, number: u32) {
        let Some(handle) = self.handles.lock().remove(&number) else {
            return self.answer(id, status::INVALID_HANDLE);
        };
        let outbox = Arc::clone(&self.outbox);
        self.spawn("closes", move || {
            handle.close();
            outbox.push(&Reply::Done {
                id,
                status: 0,
                information: 0,
                handle: 0,
                data: &[],
            });
        });
    }

    fn spawn(&mut self, what: &str, f: impl FnOnce() + Send + 'static) {
        self.slow.retain(|thread| !thread.is_finished());
        self.slow
            .push(sched::spawn(&format!("{} {what}", self.process.name()), f));
    }
}

fn found(found: bool) -> i32 {
    if found {
        status::SUCCESS
    } else {
        status::NOT_FOUND
    }
}
