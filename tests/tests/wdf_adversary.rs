//! What safe code can try against `wdf`, tried: `adversary.sys` (tests/drivers/adversary) over pier. `docs/soundness.md` says why each fails.

use drydock::nt::app::Op;
use drydock::nt::status::NtStatus;
use drydock::verify;
use ferry_abi::ControlCode;
use rusty_fork::rusty_fork_test;
use scenarios::{Bed, Pending, Program, Session};

/// Images from the function driver up.
const STACK: &[&str] = &["pier.sys", "rust/adversary.sys"];

const FORWARD_TO_ANOTHER_DEVICE: u32 = 1;
const SEND_TO_ANOTHER_STACK: u32 = 2;
const CLAIM_MORE_THAN_WAS_WRITTEN: u32 = 3;
const PARK_AND_FORGET: u32 = 4;
const PARK_AND_DROP: u32 = 5;
const PARK_FOR_ANOTHER_THREAD: u32 = 6;
const WAIT_FOR_EVER: u32 = 7;
const CHANGE_A_QUEUE_TWICE: u32 = 8;
const USE_WHAT_IS_GONE: u32 = 9;
const DROP_IN_ODD_PLACES: u32 = 10;
const TAKE_THE_LOCK: u32 = 11;
const LEAVE: u32 = 12;

const fn code(attempt: u32) -> u32 {
    0x22 << 16 | (0x800 + attempt) << 2
}

fn open() -> Session {
    Program::new().open(r"\\.\Adversary")
}

/// The numbers an attempt answers with.
fn attempt(desk: &Session, which: u32) -> Vec<u32> {
    let done = desk.ioctl(ControlCode(code(which)), &[], 64);
    assert_eq!(done.status, NtStatus::SUCCESS, "attempt {which}");
    let word = |bytes: &[u8]| u32::from_le_bytes(bytes.try_into().expect("four bytes"));
    done.data.chunks(4).map(word).collect()
}

fn start(desk: &Session, which: u32) -> Pending {
    desk.start(Op::Ioctl {
        code: code(which),
        input: Vec::new(),
        output_len: 64,
    })
}

/// Removes the device while the control device is open, then lets that go, too.
fn end(bed: Bed, desk: Session) {
    bed.stack.node().remove().expect("the device goes");
    let left = desk.ioctl(ControlCode(code(LEAVE)), &[], 0);
    assert_eq!(left.status, NtStatus::SUCCESS);
    desk.close();
    bed.end_after_removal();
}

/// Two requests nobody will take back: one is canceled, the other's program dies.
fn abandon(desk: &Session, which: u32) {
    let canceled = start(desk, which);
    assert!(canceled.is_pending());
    assert!(desk.cancel(&canceled));
    assert_eq!(canceled.wait().status, NtStatus::CANCELLED);
    let program = Program::new();
    let other = program.open(r"\\.\Adversary");
    let orphaned = start(&other, which);
    assert!(orphaned.is_pending());
    program.process.kill();
    assert_eq!(orphaned.wait().status, NtStatus::CANCELLED);
}

rusty_fork_test! {
    #![rusty_fork(timeout_ms = 60000)]

    /// R-REQ-87, R-TGT-33: unchecked by the framework without its verifier.
    #[test]
    fn a_queue_or_a_target_of_another_device_is_refused_and_the_request_kept() {
        let bed = Bed::of(STACK);
        let desk = open();
        let invalid = NtStatus::INVALID_DEVICE_REQUEST.0.cast_unsigned();
        assert_eq!(attempt(&desk, FORWARD_TO_ANOTHER_DEVICE), [invalid]);
        let not_accepted = 0xC000_00D0;
        assert_eq!(attempt(&desk, SEND_TO_ANOTHER_STACK), [not_accepted, not_accepted]);
        end(bed, desk);
    }

    /// R-REQ-66: the system copies as many bytes as Information says out of a buffer nobody has written.
    #[test]
    fn a_buffered_control_returns_no_byte_nobody_wrote() {
        let bed = Bed::of(STACK);
        let desk = open();
        let done = desk.ioctl(ControlCode(code(CLAIM_MORE_THAN_WAS_WRITTEN)), &[7; 64], 64);
        assert_eq!((done.status, done.information, done.data.len()), (NtStatus::SUCCESS, 0, 0));
        end(bed, desk);
    }

    /// A token is a reference, not the request.
    #[test]
    fn a_request_whose_token_was_dropped_ends_with_its_cancellation_or_its_program() {
        let bed = Bed::of(STACK);
        let desk = open();
        abandon(&desk, PARK_AND_DROP);
        end(bed, desk);
    }

    /// And a forgotten token is a forgotten reference: memory, and nothing else, until the driver is unloaded (R-OBJ-12).
    #[test]
    fn a_forgotten_token_leaks_the_memory_of_its_request_and_nothing_else() {
        let bed = Bed::of(STACK);
        let desk = open();
        abandon(&desk, PARK_AND_FORGET);
        bed.stack.node().remove().expect("the device goes");
        let left = desk.ioctl(ControlCode(code(LEAVE)), &[], 0);
        assert_eq!(left.status, NtStatus::SUCCESS);
        desk.close();
        bed.stack.unload().expect("the driver is unloaded");
        let leaks = verify::leak_report().to_string();
        assert!(leaks.starts_with("LEAKS 2 left, 0 bytes"), "{leaks}");
        assert!(leaks.contains("WDFREQUEST: 2 left"), "{leaks}");
    }

    #[test]
    fn a_token_is_used_by_another_thread_than_the_one_that_parked() {
        let bed = Bed::of(STACK);
        let desk = open();
        for _ in 0..100 {
            assert_eq!(start(&desk, PARK_FOR_ANOTHER_THREAD).wait().status, NtStatus::SUCCESS);
        }
        end(bed, desk);
    }

    /// ChangeQueueState. R-QUE-80: the framework ends the machine over a second change.
    #[test]
    fn a_second_state_change_is_refused_while_the_first_is_under_way() {
        let bed = Bed::of(STACK);
        let desk = open();
        let waiting = start(&desk, WAIT_FOR_EVER);
        assert!(waiting.is_pending());
        let busy = 0x8000_0011;
        assert_eq!(attempt(&desk, CHANGE_A_QUEUE_TWICE), [0, busy, 0, 1, 1]);
        assert_eq!(waiting.wait().status, NtStatus::SUCCESS);
        // Nothing waits this time: the change ends inside the call that begins it.
        assert_eq!(attempt(&desk, CHANGE_A_QUEUE_TWICE), [0, 0, 3, 0, 3]);
        end(bed, desk);
    }

    /// R-QUE-81, R-DEV-83, R-DEV-88: references keep memory, not business.
    #[test]
    fn what_is_kept_of_a_device_that_is_gone_does_nothing() {
        let bed = Bed::of(STACK);
        let desk = open();
        bed.stack.node().remove().expect("the device goes");
        let pending = 0xC000_0056;
        assert_eq!(attempt(&desk, USE_WHAT_IS_GONE), [pending, pending, pending, 0, 0, 0]);
        assert_eq!(attempt(&desk, FORWARD_TO_ANOTHER_DEVICE).len(), 1);
        assert_eq!(attempt(&desk, SEND_TO_ANOTHER_STACK).len(), 2);
        let left = desk.ioctl(ControlCode(code(LEAVE)), &[], 0);
        assert_eq!(left.status, NtStatus::SUCCESS);
        desk.close();
        bed.end_after_removal();
    }

    #[test]
    fn objects_are_dropped_under_a_lock_and_two_locks_are_held_in_their_order() {
        let bed = Bed::of(STACK);
        let desk = open();
        assert_eq!(attempt(&desk, DROP_IN_ODD_PLACES), [2, 1]);
        assert_eq!(attempt(&desk, TAKE_THE_LOCK), [1]);
        end(bed, desk);
    }

    /// ControlDeviceDeleted, Cleanup4CtlDeviceRegistered. R-DEV-34: forgetting is what types cannot stop.
    #[test]
    fn a_control_device_that_is_never_deleted_keeps_its_driver_loaded() {
        let bed = Bed::of(STACK);
        open().close();
        let refused = bed.stack.remove().expect_err("the driver stays");
        assert!(refused.contains("adversary"), "{refused}");
    }

    /// An exit with everything under way.
    #[test]
    fn a_program_that_dies_leaves_nothing_of_its_attempts() {
        let bed = Bed::of(STACK);
        let desk = open();
        let program = Program::new();
        let other = program.open(r"\\.\Adversary");
        let pending: Vec<Pending> = [PARK_AND_DROP, PARK_AND_DROP, WAIT_FOR_EVER]
            .into_iter()
            .map(|which| start(&other, which))
            .collect();
        program.process.kill();
        for one in pending {
            assert_eq!(one.wait().status, NtStatus::CANCELLED);
        }
        end(bed, desk);
    }
}
