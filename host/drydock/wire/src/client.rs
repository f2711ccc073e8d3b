//! A blocking client with overlapped operations.
//!
//! [`Client::connect`] makes this program a process of the simulated machine. [`Handle`]s start [`Operation`]s, which a
//! reader thread completes in whatever order the drivers do. Ownership: the buffers of an operation are
//! copies and belong to the connection; the [`Operation`] owns the right to its one [`Completion`].
//!
//! ```no_run
//! use drydock_wire::{Client, message::ACCESS_READ};
//! # fn main() -> Result<(), drydock_wire::ClientError> {
//! let client = Client::connect("/run/drydock.sock".as_ref(), "example")?;
//! let (handle, _status) = client.open(r"\\.\Device", ACCESS_READ)?;
//! let handle = handle.expect("the open succeeded");
//! let read = handle.read(0, 512)?;
//! let completion = read.wait()?;
//! println!("{:#010x}: {} bytes", completion.status, completion.data.len());
//! # Ok(()) }
//! ```

use std::collections::HashMap;
use std::net::Shutdown;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::frame::{FrameReader, ReadError};
use crate::message::SHARE_ALL;
use crate::submission::Submission;
use crate::{ClientError, MAX_BODY, Malformed, Reply, Request};

/// How long the answer to a hello may take.
const HELLO_LIMIT: Duration = Duration::from_secs(10);

/// Outcome of one operation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Completion {
    /// `NTSTATUS`.
    pub status: i32,
    /// `IoStatus.Information`.
    pub information: u64,
    /// Data the operation yielded.
    pub data: Vec<u8>,
    handle: u32,
}

/// Where the completion of one operation arrives.
#[derive(Debug, Default)]
struct Slot {
    state: Mutex<SlotState>,
    arrived: Condvar,
}

#[derive(Debug, Default)]
struct SlotState {
    outcome: Option<Result<Completion, ClientError>>,
    // A condition variable costs a system call per notification even when nobody waits.
    waiting: bool,
}

impl Slot {
    fn arrive(&self, outcome: Result<Completion, ClientError>) {
        let mut state = lock(&self.state);
        state.outcome = Some(outcome);
        if state.waiting {
            self.arrived.notify_all();
        }
    }
}

#[derive(Debug, Default)]
struct InFlight {
    last_id: u64,
    slots: HashMap<u64, Arc<Slot>>,
    end: Option<ClientError>,
}

#[derive(Debug)]
struct Shared {
    submission: Submission,
    in_flight: Mutex<InFlight>,
}

impl Shared {
    /// Starts one request; `make` gets its id.
    fn start<'a>(
        &self,
        make: impl FnOnce(u64) -> Request<'a>,
    ) -> Result<(u64, Arc<Slot>), ClientError> {
        let slot = Arc::new(Slot::default());
        let id = {
            let mut in_flight = lock(&self.in_flight);
            if let Some(end) = &in_flight.end {
                return Err(end.clone());
            }
            in_flight.last_id += 1;
            let id = in_flight.last_id;
            in_flight.slots.insert(id, Arc::clone(&slot));
            id
        };
        let request = make(id);
        if let Err(error) = self.submission.submit(|out| request.encode(out)) {
            lock(&self.in_flight).slots.remove(&id);
            return Err(self.reason(&error));
        }
        Ok((id, slot))
    }

    /// Why the connection ended: what the other end said, if it said anything.
    fn reason(&self, error: &std::io::Error) -> ClientError {
        lock(&self.in_flight)
            .end
            .clone()
            .unwrap_or_else(|| ClientError::Gone(error.to_string()))
    }

    /// Delivers completions until the connection ends.
    fn deliver(&self, mut frames: FrameReader<UnixStream>) {
        let end = loop {
            let frame = match frames.next_frame() {
                Ok(Some(frame)) => frame,
                Ok(None) => break ClientError::Gone("the server closed it".to_owned()),
                Err(ReadError::Io(error)) => break ClientError::Gone(error.to_string()),
                Err(ReadError::Malformed(malformed)) => break malformed.into(),
            };
            match Reply::decode(&frame) {
                Ok(Reply::Done {
                    id,
                    status,
                    information,
                    handle,
                    data,
                }) => {
                    let Some(slot) = lock(&self.in_flight).slots.remove(&id) else {
                        break Malformed::OutOfTurn {
                            what: "an answer to nothing that is in flight",
                        }
                        .into();
                    };
                    slot.arrive(Ok(Completion {
                        status,
                        information,
                        data: data.to_vec(),
                        handle,
                    }));
                }
                Ok(Reply::Error { text }) => break ClientError::Refused(text.to_owned()),
                Ok(Reply::Hello { .. }) => {
                    break Malformed::OutOfTurn {
                        what: "a second hello",
                    }
                    .into();
                }
                Err(malformed) => break malformed.into(),
            }
        };
        let orphans = {
            let mut in_flight = lock(&self.in_flight);
            in_flight.end = Some(end.clone());
            std::mem::take(&mut in_flight.slots)
        };
        for slot in orphans.into_values() {
            slot.arrive(Err(end.clone()));
        }
    }
}

/// The end of the last user of a connection ends the connection, and with it the reader thread.
#[derive(Debug)]
struct Connection {
    shared: Arc<Shared>,
    stream: UnixStream,
}

impl Drop for Connection {
    fn drop(&mut self) {
        // An error means that it has ended already.
        let _ = self.stream.shutdown(Shutdown::Both);
    }
}

/// A process of the simulated machine.
#[derive(Debug, Clone)]
pub struct Client {
    connection: Arc<Connection>,
}

impl Client {
    /// Connects to the socket of a `drydock serve` as a process called `name`.
    ///
    /// # Errors
    /// [`ClientError::Connect`] with advice; [`ClientError::Refused`] or [`ClientError::Malformed`] if what listens there is something else.
    pub fn connect(path: &Path, name: &str) -> Result<Self, ClientError> {
        let stream =
            UnixStream::connect(path).map_err(|error| ClientError::connect(path, &error))?;
        let gone = |error: std::io::Error| ClientError::Gone(error.to_string());
        // What listens may be no drydock at all and say nothing.
        stream.set_read_timeout(Some(HELLO_LIMIT)).map_err(gone)?;
        let submission = Submission::new(stream.try_clone().map_err(gone)?);
        submission
            .submit(|out| Request::Hello { name }.encode(out))
            .map_err(gone)?;
        let mut frames = FrameReader::new(stream.try_clone().map_err(gone)?);
        match frames.next_frame() {
            Ok(Some(frame)) => match Reply::decode(&frame)? {
                Reply::Hello { .. } => {}
                Reply::Error { text } => return Err(ClientError::Refused(text.to_owned())),
                Reply::Done { .. } => return Err(Malformed::NotAHello.into()),
            },
            Ok(None) => return Err(ClientError::Gone("the server closed it".to_owned())),
            Err(ReadError::Io(error)) if error.kind() == std::io::ErrorKind::WouldBlock => {
                return Err(ClientError::Gone(
                    "what listens on the socket does not answer".to_owned(),
                ));
            }
            Err(ReadError::Io(error)) => return Err(gone(error)),
            Err(ReadError::Malformed(malformed)) => return Err(malformed.into()),
        }
        stream.set_read_timeout(None).map_err(gone)?;
        let shared = Arc::new(Shared {
            submission,
            in_flight: Mutex::default(),
        });
        let reader = Arc::clone(&shared);
        std::thread::Builder::new()
            .name("drydock-wire reader".to_owned())
            .spawn(move || reader.deliver(frames))
            .map_err(gone)?;
        Ok(Self {
            connection: Arc::new(Connection { shared, stream }),
        })
    }

    /// Opens a device by path, shared for reading and writing. Without a handle the status says why.
    ///
    /// # Errors
    /// [`ClientError`] if the connection is gone.
    pub fn open(&self, path: &str, access: u32) -> Result<(Option<Handle>, i32), ClientError> {
        let completion = self
            .start(0, |id| Request::Open {
                id,
                access,
                share: SHARE_ALL,
                path,
            })?
            .wait()?;
        let handle = (completion.status >= 0).then(|| Handle {
            client: self.clone(),
            number: completion.handle,
            open: true,
        });
        Ok((handle, completion.status))
    }

    /// Paths of the enabled interfaces of a class, given as a GUID in its memory layout.
    ///
    /// # Errors
    /// [`ClientError`] if the connection is gone.
    pub fn interfaces(&self, guid: [u8; 16]) -> Result<Vec<String>, ClientError> {
        let completion = self
            .start(0, |id| Request::Interfaces { id, guid })?
            .wait()?;
        let text = String::from_utf8_lossy(&completion.data).into_owned();
        Ok(text.split_terminator('\0').map(str::to_owned).collect())
    }

    /// Lets requests gather until the batch is dropped, so that they travel in few writes.
    /// Waiting for an operation sends what has gathered.
    #[must_use]
    pub fn batch(&self) -> Batch<'_> {
        self.connection.shared.submission.begin_batch();
        Batch { client: self }
    }

    fn start<'a>(
        &self,
        handle: u32,
        make: impl FnOnce(u64) -> Request<'a>,
    ) -> Result<Operation, ClientError> {
        let (id, slot) = self.connection.shared.start(make)?;
        Ok(Operation {
            client: self.clone(),
            handle,
            id,
            slot,
        })
    }
}

/// While it lives, requests of its client gather; see [`Client::batch`].
#[derive(Debug)]
pub struct Batch<'a> {
    client: &'a Client,
}

impl Drop for Batch<'_> {
    fn drop(&mut self) {
        // A failed write ends the connection; every operation says so.
        let _ = self.client.connection.shared.submission.end_batch();
    }
}

/// An open handle. Dropping it closes it; operations in flight go on.
#[derive(Debug)]
pub struct Handle {
    client: Client,
    number: u32,
    open: bool,
}

impl Handle {
    /// Starts a read.
    ///
    /// # Errors
    /// [`ClientError`] if it is too long or the connection is gone.
    pub fn read(&self, offset: u64, length: usize) -> Result<Operation, ClientError> {
        let (handle, length) = (self.number, limited(length)?);
        self.client.start(handle, |id| Request::Read {
            id,
            handle,
            offset,
            length,
        })
    }

    /// Starts a write of a copy of `data`.
    ///
    /// # Errors
    /// [`ClientError`] if it is too long or the connection is gone.
    pub fn write(&self, offset: u64, data: &[u8]) -> Result<Operation, ClientError> {
        let handle = self.number;
        limited(data.len())?;
        self.client.start(handle, |id| Request::Write {
            id,
            handle,
            offset,
            data,
        })
    }

    /// Starts a device control; the output buffer has `output_length` bytes and begins with `output`.
    ///
    /// # Errors
    /// [`ClientError`] if it is too long or the connection is gone.
    pub fn ioctl(
        &self,
        code: u32,
        input: &[u8],
        output_length: usize,
        output: &[u8],
    ) -> Result<Operation, ClientError> {
        let handle = self.number;
        limited(input.len().saturating_add(output_length.max(output.len())))?;
        let output_length = limited(output_length.max(output.len()))?;
        self.client.start(handle, |id| Request::Ioctl {
            id,
            handle,
            code,
            input,
            output_length,
            output,
        })
    }

    /// Starts a flush.
    ///
    /// # Errors
    /// [`ClientError`] if the connection is gone.
    pub fn flush(&self) -> Result<Operation, ClientError> {
        let handle = self.number;
        self.client
            .start(handle, |id| Request::Flush { id, handle })
    }

    /// Cancels everything in flight on this handle. False if there was nothing.
    ///
    /// # Errors
    /// [`ClientError`] if the connection is gone.
    pub fn cancel_all(&self) -> Result<bool, ClientError> {
        let handle = self.number;
        let answer = self
            .client
            .start(handle, |id| Request::CancelAll { id, handle })?;
        Ok(answer.wait()?.status >= 0)
    }

    /// Closes the handle and waits until it is closed.
    ///
    /// # Errors
    /// [`ClientError`] if the connection is gone.
    pub fn close(mut self) -> Result<(), ClientError> {
        let handle = self.number;
        self.open = false;
        self.client
            .start(handle, |id| Request::Close { id, handle })?
            .wait()
            .map(drop)
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        let handle = self.number;
        if self.open {
            // When the connection is gone, the handle is closed already.
            let _ = self
                .client
                .start(handle, |id| Request::Close { id, handle });
        }
    }
}

/// An operation in flight. Dropping it gives up its completion; the operation goes on.
#[derive(Debug)]
pub struct Operation {
    client: Client,
    handle: u32,
    id: u64,
    slot: Arc<Slot>,
}

impl Operation {
    /// Waits for the completion.
    ///
    /// # Errors
    /// [`ClientError`] if the connection ended before it came.
    pub fn wait(self) -> Result<Completion, ClientError> {
        self.wait_until(None);
        let outcome = lock(&self.slot.state).outcome.take();
        outcome.expect("waiting without a limit ends when the outcome is there")
    }

    /// Whether the operation is over, waiting for that at most as long as given.
    #[must_use]
    pub fn is_done_within(&self, limit: Duration) -> bool {
        self.wait_until(Some(limit))
    }

    /// Asks for cancellation. False if the operation was over or nobody could cancel it any more.
    /// The operation still completes, in its own time.
    ///
    /// # Errors
    /// [`ClientError`] if the connection is gone.
    pub fn cancel(&self) -> Result<bool, ClientError> {
        let (handle, target) = (self.handle, self.id);
        let answer = self
            .client
            .start(handle, |id| Request::Cancel { id, handle, target })?;
        Ok(answer.wait()?.status >= 0)
    }

    fn wait_until(&self, limit: Option<Duration>) -> bool {
        let mut state = lock(&self.slot.state);
        if state.outcome.is_some() {
            return true;
        }
        drop(state);
        // A failed write ends the connection, which ends this operation.
        let _ = self.client.connection.shared.submission.flush();
        let deadline = limit.and_then(|limit| Instant::now().checked_add(limit));
        state = lock(&self.slot.state);
        while state.outcome.is_none() {
            state.waiting = true;
            match deadline {
                None => {
                    state = self
                        .slot
                        .arrived
                        .wait(state)
                        .unwrap_or_else(PoisonError::into_inner);
                }
                Some(deadline) => {
                    let Some(left) = deadline.checked_duration_since(Instant::now()) else {
                        return false;
                    };
                    let waited = self.slot.arrived.wait_timeout(state, left);
                    state = waited.unwrap_or_else(PoisonError::into_inner).0;
                }
            }
        }
        true
    }
}

fn limited(length: usize) -> Result<u32, ClientError> {
    match u32::try_from(length) {
        Ok(fits) if length <= MAX_BODY => Ok(fits),
        _ => Err(ClientError::TooLong { length }),
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::frame::{FrameReader, Head};
    use std::io::Write;
    use std::os::unix::net::UnixListener;

    /// Serves one connection with `serve` and gives a client of it.
    fn against(
        name: &str,
        serve: impl FnOnce(UnixStream) + Send + 'static,
    ) -> Result<Client, ClientError> {
        let folder = std::env::temp_dir().join(format!("wire-{name}-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let path = folder.join("socket");
        let listener = UnixListener::bind(&path).unwrap();
        std::thread::spawn(move || serve(listener.accept().unwrap().0));
        let client = Client::connect(&path, "test");
        std::fs::remove_dir_all(&folder).unwrap();
        client
    }

    fn welcome(stream: &mut UnixStream) -> FrameReader<UnixStream> {
        let mut frames = FrameReader::new(stream.try_clone().unwrap());
        let frame = frames.next_frame().unwrap().unwrap();
        assert_eq!(Request::decode(&frame), Ok(Request::Hello { name: "test" }));
        reply(stream, Reply::Hello { name: "fake" });
        frames
    }

    fn reply(stream: &mut UnixStream, reply: Reply<'_>) {
        let mut bytes = Vec::new();
        reply.encode(&mut bytes);
        stream.write_all(&bytes).unwrap();
    }

    fn done(id: u64) -> Reply<'static> {
        Reply::Done {
            id,
            status: 0,
            information: id,
            handle: 7,
            data: b"data",
        }
    }

    fn id_of(request: Request<'_>) -> u64 {
        match request {
            Request::Open { id, .. } | Request::Read { id, .. } | Request::Cancel { id, .. } => id,
            other => panic!("unexpected {other:?}"),
        }
    }

    #[test]
    fn completions_reach_their_operations_in_any_order() {
        let client = against("order", |mut stream| {
            let mut frames = welcome(&mut stream);
            let mut ids = Vec::new();
            for _ in 0..4 {
                let frame = frames.next_frame().unwrap().unwrap();
                ids.push(id_of(Request::decode(&frame).unwrap()));
                if ids.len() == 1 {
                    reply(&mut stream, done(ids[0]));
                }
            }
            for id in ids.into_iter().skip(1).rev() {
                reply(&mut stream, done(id));
            }
            while let Ok(Some(_)) = frames.next_frame() {}
        })
        .unwrap();
        let (handle, _) = client.open("x", 3).unwrap();
        let handle = handle.unwrap();
        let batch = client.batch();
        let reads: Vec<_> = (0..3).map(|_| handle.read(0, 4).unwrap()).collect();
        drop(batch);
        for read in reads {
            let id = read.id;
            assert_eq!(read.wait().unwrap().information, id);
        }
    }

    #[test]
    fn waiting_inside_a_batch_sends_it() {
        let client = against("batch", |mut stream| {
            let mut frames = welcome(&mut stream);
            while let Ok(Some(frame)) = frames.next_frame() {
                if let Ok(Request::Open { id, .. }) = Request::decode(&frame) {
                    reply(&mut stream, done(id));
                }
            }
        })
        .unwrap();
        let _batch = client.batch();
        assert!(client.open("x", 3).unwrap().0.is_some());
    }

    #[test]
    fn an_operation_that_never_completes_is_not_done_within_a_limit_and_ends_with_the_connection() {
        let client = against("gone", |mut stream| {
            let mut frames = welcome(&mut stream);
            let open = id_of(Request::decode(&frames.next_frame().unwrap().unwrap()).unwrap());
            reply(&mut stream, done(open));
            frames.next_frame().unwrap().unwrap();
            // The cancel asks for the end.
            frames.next_frame().unwrap().unwrap();
            reply(&mut stream, Reply::Error { text: "enough" });
        })
        .unwrap();
        let handle = client.open("x", 3).unwrap().0.unwrap();
        let read = handle.read(0, 4).unwrap();
        assert!(!read.is_done_within(Duration::ZERO));
        let error = read.cancel().unwrap_err();
        assert_eq!(error.to_string(), "drydock closed the connection: enough");
        assert!(matches!(read.wait(), Err(ClientError::Refused(_))));
        assert!(matches!(handle.read(0, 4), Err(ClientError::Refused(_))));
    }

    #[test]
    fn a_stranger_on_the_socket_is_recognised() {
        let error = against("stranger", |mut stream| {
            stream
                .write_all(b"SSH-2.0-OpenSSH_9.2 and a good deal more text\r\n")
                .unwrap();
        })
        .unwrap_err();
        assert!(
            error
                .to_string()
                .contains("does not speak the drydock protocol"),
            "{error}"
        );
    }

    #[test]
    fn an_answer_to_nothing_ends_the_connection() {
        let client = against("nothing", |mut stream| {
            let mut frames = welcome(&mut stream);
            frames.next_frame().unwrap().unwrap();
            reply(&mut stream, done(999));
            while let Ok(Some(_)) = frames.next_frame() {}
        })
        .unwrap();
        assert!(
            client
                .open("x", 3)
                .unwrap_err()
                .to_string()
                .contains("nothing that is in flight")
        );
    }

    #[test]
    fn a_missing_socket_says_what_to_do() {
        let error = Client::connect("/nonexistent/socket".as_ref(), "test").unwrap_err();
        assert!(
            error.to_string().contains("start `drydock serve"),
            "{error}"
        );
    }

    #[test]
    fn a_header_is_forty_bytes() {
        assert_eq!(size_of::<Head>(), 40);
    }
}
