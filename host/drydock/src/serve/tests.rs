//! Connections against a small WDM driver of the model's own: writes complete at once, controls echo, reads wait
//! until they are cancelled.

use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use drydock_wire::message::ACCESS_READ;
use drydock_wire::{Client, ClientError, Handle, MAX_BODY, Reply, Request, frame, status};
use rusty_fork::rusty_fork_test;

use super::client::Clients;
use super::listener::{Accepting, Listener};
use crate::nt::abi::{
    Address, DO_BUFFERED_IO, DO_DEVICE_INITIALIZING, DeviceObject, DriverObject, Irp,
    UnicodeString, at, mj,
};
use crate::nt::status::NtStatus;
use crate::nt::{device, driver, irp, namespace};
use crate::sched::Lock;

const PATH: &str = r"\\.\Echo";
/// CTL_CODE(0x22, 0x800, METHOD_BUFFERED, FILE_ANY_ACCESS): input and output share a buffer, the echo needs no copy.
const ECHO: u32 = 0x0022_2000;
const CANCELLED: i32 = NtStatus::CANCELLED.0;

static WAITING: Lock<Vec<Address<Irp>>> = Lock::new(Vec::new());
static CLEANUPS: AtomicU32 = AtomicU32::new(0);
static CLOSES: AtomicU32 = AtomicU32::new(0);

fn end(request: *mut Irp, status: NtStatus, information: u64) -> NtStatus {
    at(request).io_status.status.set(status);
    at(request).io_status.information.set(information);
    irp::complete(request, 0);
    status
}

extern "win64" fn create(_: *mut DeviceObject, request: *mut Irp) -> NtStatus {
    end(request, NtStatus::SUCCESS, 0)
}

extern "win64" fn cleanup(_: *mut DeviceObject, request: *mut Irp) -> NtStatus {
    CLEANUPS.fetch_add(1, Ordering::SeqCst);
    end(request, NtStatus::SUCCESS, 0)
}

extern "win64" fn close(_: *mut DeviceObject, request: *mut Irp) -> NtStatus {
    CLOSES.fetch_add(1, Ordering::SeqCst);
    end(request, NtStatus::SUCCESS, 0)
}

extern "win64" fn write(_: *mut DeviceObject, request: *mut Irp) -> NtStatus {
    let length = irp::current(request).parameters[0].get();
    end(request, NtStatus::SUCCESS, length)
}

extern "win64" fn control(_: *mut DeviceObject, request: *mut Irp) -> NtStatus {
    let parameters = &irp::current(request).parameters;
    end(
        request,
        NtStatus::SUCCESS,
        parameters[0].get().min(parameters[1].get()),
    )
}

extern "win64" fn read(_: *mut DeviceObject, request: *mut Irp) -> NtStatus {
    irp::mark_pending(request);
    WAITING.lock().push(Address(request));
    irp::set_cancel_routine(request, Some(canceled));
    NtStatus::PENDING
}

extern "win64" fn canceled(_: *mut DeviceObject, request: *mut Irp) {
    irp::release_cancel_lock(at(request).cancel_irql.get());
    WAITING.lock().retain(|waiting| waiting.0 != request);
    let _ = end(request, NtStatus::CANCELLED, 0);
}

extern "win64" fn entry(driver: *mut DriverObject, _: *mut UnicodeString) -> NtStatus {
    let routines = &at(driver).major_function;
    for (major, routine) in [
        (mj::CREATE, create as _),
        (mj::CLEANUP, cleanup as _),
        (mj::CLOSE, close as _),
        (mj::READ, read as _),
        (mj::WRITE, write as _),
        (mj::DEVICE_CONTROL, control as _),
    ] {
        routines[usize::from(major)].set(Some(routine));
    }
    match device::create(driver, 0, r"\Device\Echo", 0x22, 0, false) {
        Ok(device) => {
            at(device)
                .flags
                .update(|flags| (flags | DO_BUFFERED_IO) & !DO_DEVICE_INITIALIZING);
            NtStatus::SUCCESS
        }
        Err(status) => status,
    }
}

/// A served machine.
struct Bed {
    path: PathBuf,
    clients: Arc<Clients>,
    accepting: Accepting,
}

impl Bed {
    fn start() -> Self {
        driver::create(r"\Driver\Echo", entry).unwrap();
        namespace::create_link(r"\DosDevices\Echo", r"\Device\Echo").unwrap();
        let path = std::env::temp_dir().join(format!("drydock-serve-{}", std::process::id()));
        let clients = Arc::new(Clients::default());
        let accepting = Listener::bind(&path).unwrap().accept(Arc::clone(&clients));
        Self {
            path,
            clients,
            accepting,
        }
    }

    fn client(&self) -> Client {
        Client::connect(&self.path, "test").unwrap()
    }

    fn stranger(&self) -> UnixStream {
        let stream = UnixStream::connect(&self.path).unwrap();
        stream
            .set_read_timeout(Some(Duration::from_secs(20)))
            .unwrap();
        stream
    }

    /// Stops the service; every process has ended when it returns.
    fn stop(self) {
        self.accepting.stop();
        assert_eq!(self.clients.end_all(), Vec::<String>::new());
    }
}

fn open(client: &Client) -> Handle {
    let (handle, status) = client.open(PATH, ACCESS_READ | 2).unwrap();
    handle.unwrap_or_else(|| panic!("the open gave {status:#x}"))
}

/// Everything the server says until it closes.
fn last_words(mut stream: UnixStream) -> String {
    let mut bytes = Vec::new();
    stream
        .read_to_end(&mut bytes)
        .expect("the server closes the connection");
    let mut rest = &bytes[..];
    while let Some((frame, used)) = frame::split(rest).unwrap() {
        if let Reply::Error { text } = Reply::decode(&frame).unwrap() {
            return text.to_owned();
        }
        rest = &rest[used..];
    }
    String::new()
}

rusty_fork_test! {
    #[test]
    fn operations_travel_to_the_driver_and_their_answers_back() {
        let bed = Bed::start();
        let client = bed.client();
        let handle = open(&client);
        let done = handle.write(0, b"12345").unwrap().wait().unwrap();
        assert_eq!((done.status, done.information), (0, 5));
        let done = handle.ioctl(ECHO, b"hello, driver", 5, &[]).unwrap().wait().unwrap();
        assert_eq!((done.status, &done.data[..]), (0, &b"hello"[..]));
        let (none, status) = client.open(r"\\.\Nothing", ACCESS_READ).unwrap();
        assert!(none.is_none());
        assert_eq!(status, NtStatus::OBJECT_NAME_NOT_FOUND.0);
        handle.close().unwrap();
        bed.stop();
        assert_eq!((CLEANUPS.load(Ordering::SeqCst), CLOSES.load(Ordering::SeqCst)), (1, 1));
    }

    #[test]
    fn one_operation_or_all_of_a_handle_can_be_cancelled() {
        let bed = Bed::start();
        let client = bed.client();
        let (one, two) = (open(&client), open(&client));
        let reads: Vec<_> = (0..3).map(|_| one.read(0, 8).unwrap()).collect();
        let other = two.read(0, 8).unwrap();
        assert!(reads[1].cancel().unwrap());
        let mut reads = reads.into_iter();
        let (first, second) = (reads.next().unwrap(), reads.next().unwrap());
        assert_eq!(second.wait().unwrap().status, CANCELLED);
        assert!(!first.is_done_within(Duration::ZERO));
        assert!(one.cancel_all().unwrap());
        assert_eq!(first.wait().unwrap().status, CANCELLED);
        assert_eq!(reads.next().unwrap().wait().unwrap().status, CANCELLED);
        assert!(!one.cancel_all().unwrap(), "nothing is left to cancel");
        assert!(!other.is_done_within(Duration::ZERO));
        bed.stop();
    }

    #[test]
    fn a_program_that_goes_away_is_a_process_that_exits() {
        let bed = Bed::start();
        let staying = bed.client();
        let handle = open(&staying);
        let waiting = handle.read(0, 8).unwrap();
        // A raw connection, so that nothing is closed in an orderly way.
        let mut stream = bed.stranger();
        let mut bytes = Vec::new();
        Request::Hello { name: "victim" }.encode(&mut bytes);
        Request::Open { id: 1, access: 3, share: 3, path: PATH }.encode(&mut bytes);
        stream.write_all(&bytes).unwrap();
        let mut frames = frame::FrameReader::new(stream.try_clone().unwrap());
        frames.next_frame().unwrap().unwrap();
        let Ok(Reply::Done { handle: number, .. }) = Reply::decode(&frames.next_frame().unwrap().unwrap())
        else {
            panic!("the open is answered");
        };
        bytes.clear();
        for id in 2..102 {
            Request::Read { id, handle: number, offset: 0, length: 64 }.encode(&mut bytes);
        }
        Request::Write { id: 102, handle: number, offset: 0, data: b"last" }.encode(&mut bytes);
        stream.write_all(&bytes).unwrap();
        // The write is answered at once, after the reads were started.
        frames.next_frame().unwrap().unwrap();
        assert_eq!(WAITING.lock().len(), 101);
        drop((stream, frames));
        while CLOSES.load(Ordering::SeqCst) == 0 {
            std::thread::yield_now();
        }
        assert_eq!(WAITING.lock().len(), 1, "only the other program's read waits");
        assert_eq!(CLEANUPS.load(Ordering::SeqCst), 1);
        assert!(waiting.cancel().unwrap());
        assert_eq!(waiting.wait().unwrap().status, CANCELLED);
        bed.stop();
        assert_eq!(irp::live(), 0);
    }

    #[test]
    fn stopping_the_service_ends_every_program() {
        let bed = Bed::start();
        let client = bed.client();
        let handle = open(&client);
        let read = handle.read(0, 8).unwrap();
        // The read is with the driver when a later request is answered.
        handle.write(0, b"x").unwrap().wait().unwrap();
        let path = bed.path.clone();
        bed.stop();
        match read.wait() {
            Ok(done) => assert_eq!(done.status, CANCELLED),
            Err(error) => assert!(matches!(error, ClientError::Gone(_)), "{error}"),
        }
        assert!(!path.exists());
        assert_eq!((WAITING.lock().len(), irp::live()), (0, 0));
    }

    #[test]
    fn garbage_gets_a_clear_error_and_others_go_on() {
        let bed = Bed::start();
        let client = bed.client();
        let handle = open(&client);
        for garbage in [&b"GET / HTTP/1.1\r\nHost: drydock, of all places\r\n\r\n"[..], &[0; 40], &[0xFF; 64]] {
            let mut stream = bed.stranger();
            stream.write_all(garbage).unwrap();
            let words = last_words(stream);
            assert!(words.contains("not the drydock protocol"), "{words:?}");
        }
        // Too short for a header, and then nothing more.
        let mut stream = bed.stranger();
        stream.write_all(b"hi").unwrap();
        stream.shutdown(std::net::Shutdown::Write).unwrap();
        assert!(last_words(stream).contains("not the drydock protocol"));
        assert_eq!(handle.write(0, b"ok").unwrap().wait().unwrap().information, 2);
        bed.stop();
    }

    #[test]
    fn a_program_that_breaks_the_protocol_later_is_disconnected_with_the_reason() {
        let bed = Bed::start();
        let mut malformed = Vec::new();
        frame::append(
            &mut malformed,
            frame::Head { kind: 0x77.into(), ..frame::Head::default() },
            &[],
        );
        // The length is the first field of a header.
        let mut too_long = (MAX_BODY as u32 + 1).to_le_bytes().to_vec();
        too_long.resize(frame::HEAD, 0);
        let mut twice = Vec::new();
        Request::Hello { name: "again" }.encode(&mut twice);
        for (bytes, reason) in [
            (malformed, "unknown kind of frame: 0x0077"),
            (too_long, "the limit is 16777216"),
            (twice, "a second hello"),
        ] {
            let mut stream = bed.stranger();
            let mut hello = Vec::new();
            Request::Hello { name: "breaker" }.encode(&mut hello);
            stream.write_all(&hello).unwrap();
            stream.write_all(&bytes).unwrap();
            let words = last_words(stream);
            assert!(words.contains(reason), "{words:?}");
        }
        bed.stop();
    }

    #[test]
    fn a_handle_that_is_not_open_and_an_id_in_use_are_refused() {
        let bed = Bed::start();
        let mut stream = bed.stranger();
        let mut bytes = Vec::new();
        Request::Hello { name: "test" }.encode(&mut bytes);
        Request::Read { id: 5, handle: 999, offset: 0, length: 1 }.encode(&mut bytes);
        Request::Open { id: 6, access: 3, share: 3, path: PATH }.encode(&mut bytes);
        stream.write_all(&bytes).unwrap();
        let mut frames = frame::FrameReader::new(stream.try_clone().unwrap());
        frames.next_frame().unwrap().unwrap();
        let answer = frames.next_frame().unwrap().unwrap();
        let Ok(Reply::Done { id: 5, status: status::INVALID_HANDLE, .. }) = Reply::decode(&answer) else {
            panic!("{answer:?}");
        };
        let answer = frames.next_frame().unwrap().unwrap();
        let Ok(Reply::Done { id: 6, status: 0, handle, .. }) = Reply::decode(&answer) else {
            panic!("{answer:?}");
        };
        bytes.clear();
        Request::Read { id: 7, handle, offset: 0, length: 1 }.encode(&mut bytes);
        Request::Read { id: 7, handle, offset: 0, length: 1 }.encode(&mut bytes);
        stream.write_all(&bytes).unwrap();
        let words = last_words(stream);
        assert!(words.contains("the id of an operation that is in flight"), "{words:?}");
        bed.stop();
        assert_eq!(irp::live(), 0);
    }

    #[test]
    fn a_program_that_does_not_read_its_answers_holds_up_nobody_else() {
        let bed = Bed::start();
        let mut stream = bed.stranger();
        let mut bytes = Vec::new();
        Request::Hello { name: "mute" }.encode(&mut bytes);
        Request::Open { id: 1, access: 3, share: 3, path: PATH }.encode(&mut bytes);
        stream.write_all(&bytes).unwrap();
        let mut frames = frame::FrameReader::new(stream.try_clone().unwrap());
        frames.next_frame().unwrap().unwrap();
        let answer = frames.next_frame().unwrap().unwrap();
        let Ok(Reply::Done { handle, .. }) = Reply::decode(&answer) else { panic!("{answer:?}") };
        let input = vec![7; 1 << 20];
        stream.set_write_timeout(Some(Duration::from_millis(500))).unwrap();
        for id in 2.. {
            bytes.clear();
            let request = Request::Ioctl {
                id, handle, code: ECHO, input: &input, output_length: 1 << 20, output: &[],
            };
            request.encode(&mut bytes);
            // The server stops taking requests well before the answers fill the machine.
            if stream.write_all(&bytes).is_err() {
                break;
            }
            assert!(id < 100, "the server takes requests without end");
        }
        let client = bed.client();
        let other = open(&client);
        assert_eq!(other.write(0, b"ok").unwrap().wait().unwrap().information, 2);
        drop((stream, frames));
        bed.stop();
        assert_eq!(irp::live(), 0);
    }
}
