//! `remote.sys`: another device opened by name, created requests, reuse, cancel of what was sent.

use crate::bed::*;
use drydock::nt::status::NtStatus;
use drydock::stack::Stack;
use rusty_fork::rusty_fork_test;

const OPEN: u32 = code(0, BUFFERED);
const CLOSE: u32 = code(1, BUFFERED);
const READ_SYNCHRONOUSLY: u32 = code(2, BUFFERED);
const STATE: u32 = code(3, BUFFERED);
const STOP: u32 = code(4, BUFFERED);
const START: u32 = code(5, BUFFERED);
const PURGE: u32 = code(6, BUFFERED);

/// How often the target is closed while it is read from: often enough to meet the few instructions of a read between the
/// look at the target and the send.
const ROUNDS: u32 = 4000;

/// WDF_IO_TARGET_STATE.
const STARTED: u32 = 1;
const STOPPED: u32 = 2;
const PURGED: u32 = 6;

/// `remote.sys` and the device it is to open, each with a handle.
struct Pair {
    remote: (Stack, File),
    other: (Stack, File),
}

impl Pair {
    fn new(image: &str, name: &str) -> Self {
        let other = (build_verified("OTHER", image), open(name));
        let remote = (build_verified("REMOTE", "remote"), open("TestRemote"));
        let done = remote
            .1
            .control(OPEN, &utf16(&format!(r"\Device\{name}")), 0);
        assert_eq!(done.status, NtStatus::SUCCESS);
        Self { remote, other }
    }

    fn file(&self) -> &File {
        &self.remote.1
    }

    /// Closes the target, then takes both devices down.
    fn end(self) {
        self.file().tell(CLOSE, &[]);
        for (stack, file) in [self.remote, self.other] {
            file.close();
            stack.remove().unwrap_or_else(|why| panic!("{why}"));
        }
        nothing_is_left();
    }
}

fn build_verified(instance: &str, image: &str) -> Stack {
    verifier(true);
    build(instance, &[image])
}

fn utf16(text: &str) -> Vec<u8> {
    text.encode_utf16().flat_map(u16::to_le_bytes).collect()
}

/// How many requests wait in `wdm-until-canceled`.
fn waiting(pair: &Pair) -> u32 {
    let [count] = pair.other.1.numbers(code(0, BUFFERED));
    count
}

rusty_fork_test! {
    #![rusty_fork(timeout_ms = 60000)]

    /// R-TGT-82, R-TGT-83: one created request, reused and resent in its completion routine; R-TGT-36: parts of a buffer.
    #[test]
    fn a_read_is_collected_in_chunks_by_one_reused_request() {
        let pair = Pair::new("wdm-inline", "TestInline");
        let data: Vec<u8> = (0..100).collect();
        assert_eq!(pair.other.1.write(1000, &data).information, 100);
        let done = pair.file().read(1000, 100);
        assert_eq!((done.status, done.information), (NtStatus::SUCCESS, 100));
        assert_eq!(done.data, data);
        // The other device ends at 4096: what came before counts.
        assert_eq!(pair.file().read(4096 - 20, 100).information, 20);
        assert_eq!(pair.file().read(4096, 16).status, NtStatus::END_OF_FILE);
        pair.end();
    }

    /// R-CAN-56, R-CAN-70, P-05: the parent's cancel routine cancels the sub-request; the last of the two completes.
    #[test]
    fn cancel_of_a_read_cancels_the_chunk_it_waits_for() {
        let pair = Pair::new("wdm-until-canceled", "TestUntilCanceled");
        let reads: Vec<_> = (0..4).map(|_| pair.file().start_read(0, 64)).collect();
        assert_eq!(waiting(&pair), 4);
        pair.file().cancel(&reads[2]);
        assert_eq!(reads[2].status(), NtStatus::CANCELLED);
        assert_eq!(waiting(&pair), 3);
        for read in [&reads[0], &reads[1], &reads[3]] {
            pair.file().cancel(read);
            assert_eq!(read.status(), NtStatus::CANCELLED);
        }
        pair.end();
    }

    /// R-TGT-55: a stopped target holds what is sent, a started one sends it.
    #[test]
    fn a_stopped_target_holds_requests_until_it_is_started() {
        let pair = Pair::new("wdm-inline", "TestInline");
        assert_eq!(pair.file().numbers(STATE), [STARTED]);
        pair.file().tell(STOP, &[]);
        assert_eq!(pair.file().numbers(STATE), [STOPPED]);
        let read = pair.file().start_read(0, 40);
        assert!(read.is_pending());
        pair.file().tell(START, &[]);
        assert_eq!(read.wait().information, 40);
        pair.end();
    }

    /// R-CAN-78: held by a stopped target, it is canceled there.
    #[test]
    fn cancel_reaches_a_request_held_by_a_stopped_target() {
        let pair = Pair::new("wdm-inline", "TestInline");
        pair.file().tell(STOP, &[]);
        let read = pair.file().start_read(0, 40);
        pair.file().cancel(&read);
        assert_eq!(read.status(), NtStatus::CANCELLED);
        pair.file().tell(START, &[]);
        pair.end();
    }

    /// R-TGT-25.
    #[test]
    fn a_purge_cancels_what_is_sent_and_refuses_what_comes() {
        let pair = Pair::new("wdm-until-canceled", "TestUntilCanceled");
        let reads: Vec<_> = (0..3).map(|_| pair.file().start_read(0, 16)).collect();
        pair.file().tell(PURGE, &[]);
        for read in reads {
            assert_eq!(read.status(), NtStatus::CANCELLED);
        }
        assert_eq!(waiting(&pair), 0);
        assert_eq!(pair.file().numbers(STATE), [PURGED]);
        assert_eq!(pair.file().read(0, 16).status, NtStatus::INVALID_DEVICE_STATE);
        pair.file().tell(START, &[]);
        pair.end();
    }

    /// R-TGT-26: close cancels and waits.
    #[test]
    fn closing_the_target_ends_what_is_sent() {
        let pair = Pair::new("wdm-until-canceled", "TestUntilCanceled");
        let read = pair.file().start_read(0, 16);
        pair.file().tell(CLOSE, &[]);
        assert_eq!(read.status(), NtStatus::CANCELLED);
        let name = utf16(r"\Device\TestUntilCanceled");
        assert_eq!(pair.file().control(OPEN, &name, 0).status, NtStatus::SUCCESS);
        pair.end();
    }

    /// R-TGT-60: the timeout starts a cancellation, and its status is STATUS_IO_TIMEOUT.
    #[test]
    fn a_synchronous_read_gives_up_after_its_timeout() {
        let pair = Pair::new("wdm-until-canceled", "TestUntilCanceled");
        let done = pair.file().control(READ_SYNCHRONOUSLY, &5u32.to_le_bytes(), 16);
        assert_eq!(done.status, NtStatus::IO_TIMEOUT);
        pair.end();
    }

    /// R-TGT-101.
    #[test]
    fn a_synchronous_read_gives_the_bytes_and_their_number() {
        let pair = Pair::new("wdm-inline", "TestInline");
        assert_eq!(pair.other.1.write(0, b"synchronous").information, 11);
        let done = pair.file().control(READ_SYNCHRONOUSLY, &10_000u32.to_le_bytes(), 11);
        assert_eq!((done.status, done.data.as_slice()), (NtStatus::SUCCESS, &b"synchronous"[..]));
        pair.end();
    }

    #[test]
    fn a_name_nobody_has_is_not_opened() {
        verifier(true);
        let stack = build("REMOTE", &["remote"]);
        let file = open("TestRemote");
        let done = file.control(OPEN, &utf16(r"\Device\Nobody"), 0);
        assert_eq!(done.status, NtStatus::OBJECT_NAME_NOT_FOUND);
        assert_eq!(file.read(0, 1).status, NtStatus::INVALID_DEVICE_STATE);
        file.close();
        end(stack);
    }

    /// R-CAN-81: cancel against a chain of completions: the read ends once, and no handle is used after its death.
    #[test]
    fn cancel_and_chunks_race_and_each_read_ends_once() {
        let pair = Pair::new("wdm-early", "TestEarly");
        std::thread::scope(|scope| {
            for _ in 0..3 {
                scope.spawn(|| {
                    for _ in 0..100 {
                        let read = pair.file().start_read(0, 400);
                        pair.file().cancel(&read);
                        let status = read.status();
                        assert!(matches!(status, NtStatus::SUCCESS | NtStatus::CANCELLED), "{status}");
                    }
                });
            }
        });
        pair.end();
    }

    /// R-TGT-26, R-TGT-33: a read may be using the target while another thread closes it. What is sent comes back canceled,
    /// what is not sent yet is refused, and the target object is there for both.
    #[test]
    fn reads_that_meet_a_close_are_ended_or_refused() {
        let pair = Pair::new("wdm-early", "TestEarly");
        let closing = std::sync::atomic::AtomicBool::new(true);
        std::thread::scope(|scope| {
            for _ in 0..3 {
                scope.spawn(|| {
                    while closing.load(std::sync::atomic::Ordering::Relaxed) {
                        let status = pair.file().read(0, 400).status;
                        let expected = [NtStatus::SUCCESS, NtStatus::CANCELLED, NtStatus::INVALID_DEVICE_STATE];
                        assert!(expected.contains(&status), "{status}");
                    }
                });
            }
            for _ in 0..ROUNDS {
                pair.file().tell(CLOSE, &[]);
                let name = utf16(r"\Device\TestEarly");
                assert_eq!(pair.file().control(OPEN, &name, 0).status, NtStatus::SUCCESS);
            }
            closing.store(false, std::sync::atomic::Ordering::Relaxed);
        });
        pair.end();
    }
}
