//! Sending through `wdf`: the filter `sender.sys` (tests/drivers/sender) over pier, which waits as long as it is told.

use drydock::nt::app::{Completion, Op};
use drydock::nt::status::NtStatus;
use rusty_fork::rusty_fork_test;
use scenarios::{Bed, Program, Session};

/// Images from the function driver up.
const STACK: &[&str] = &["pier.sys", "rust/sender.sys"];

/// As in the driver's `control.rs`.
mod mode {
    pub const CARRY: u32 = 0;
    pub const TRACKED: u32 = 1;
    pub const TIMED: u32 = 2;
    pub const WAITING: u32 = 3;
    pub const FORGOTTEN: u32 = 4;
    pub const SEQUENTIAL: u32 = 5;
    pub const PARALLEL: u32 = 6;
    pub const HELD: u32 = 7;
}

const SET_MODE: u32 = 0;
const CANCEL: u32 = 1;
const READ_BY_ITSELF: u32 = 2;
const RELEASE: u32 = 3;
const ANSWER: u32 = 4;
const TURN_ROUND: u32 = 5;
const READ_BY_IRP: u32 = 6;

/// Longer than any test lasts.
const FOR_EVER: u32 = 60_000;

fn control(file: &Session, number: u32, input: &[u8], output_len: u32) -> Completion {
    let op = Op::Ioctl {
        code: 0x22 << 16 | (0xA00 + number) << 2,
        input: input.to_vec(),
        output_len,
    };
    file.start(op).wait()
}

fn set_mode(file: &Session, mode: u32) {
    let done = control(file, SET_MODE, &mode.to_le_bytes(), 0);
    assert_eq!(done.status, NtStatus::SUCCESS);
}

/// Bytes no two of which are alike in a row.
fn pattern(length: usize) -> Vec<u8> {
    (0..length).map(|n| (n % 251) as u8).collect()
}

fn read(offset: i64, len: u32) -> Op {
    Op::Read { offset, len }
}

rusty_fork_test! {
    #[test]
    fn however_a_filter_sends_the_program_sees_the_lower_driver() {
        let bed = Bed::of(STACK);
        let file = Program::new().open_device();
        let data = pattern(3 * 4096 + 77);
        for mode in mode::CARRY..=mode::PARALLEL {
            set_mode(&file, mode);
            let at = 100 + i64::from(mode);
            assert_eq!(file.write(at, &data).information, data.len() as u64, "mode {mode}");
            assert_eq!(file.read(at, u32::try_from(data.len()).unwrap()).data, data, "mode {mode}");
            assert_eq!(file.read(1 << 20, 1).status, NtStatus::END_OF_FILE, "mode {mode}");
        }
        file.close();
        bed.end();
    }

    /// R-CAN-70, R-CAN-71; R-CAN-74: the request after the canceled one is not touched by it.
    #[test]
    fn a_token_cancels_the_request_that_was_sent_with_it() {
        let bed = Bed::of(STACK);
        let file = Program::new().open_device();
        file.set_latency(FOR_EVER);
        set_mode(&file, mode::TRACKED);
        let pending = file.start(read(0, 4));
        assert_eq!(control(&file, CANCEL, &[], 0).status, NtStatus::SUCCESS);
        assert_eq!(pending.wait().status, NtStatus::CANCELLED);
        file.set_latency(0);
        assert_eq!(file.read(0, 4).status, NtStatus::SUCCESS);
        // The token is that of a request that has come back.
        assert_eq!(control(&file, CANCEL, &[], 0).status, NtStatus::SUCCESS);
        assert_eq!(file.read(0, 4).status, NtStatus::SUCCESS);
        file.close();
        bed.end();
    }

    /// R-TGT-59, R-TGT-60.
    #[test]
    fn a_send_with_a_timeout_is_canceled_when_it_has_elapsed() {
        let bed = Bed::of(STACK);
        let file = Program::new().open_device();
        file.set_latency(FOR_EVER);
        set_mode(&file, mode::TIMED);
        assert_eq!(file.read(0, 4).status, NtStatus::IO_TIMEOUT);
        file.set_latency(0);
        assert_eq!(file.read(0, 4).status, NtStatus::SUCCESS);
        file.close();
        bed.end();
    }

    /// R-TGT-62, R-TGT-64; SyncReqSend.
    #[test]
    fn a_synchronous_send_returns_with_the_request_or_with_its_timeout() {
        let bed = Bed::of(STACK);
        let file = Program::new().open_device();
        set_mode(&file, mode::WAITING);
        assert_eq!(file.write(0, b"waited").information, 6);
        assert_eq!(file.read(0, 6).data, b"waited");
        file.set_latency(FOR_EVER);
        assert_eq!(file.read(0, 4).status, NtStatus::IO_TIMEOUT);
        file.close();
        bed.end();
    }

    /// R-TGT-38, R-TGT-83; SyncReqSend2.
    #[test]
    fn a_request_of_the_drivers_own_is_used_again_and_again() {
        let bed = Bed::of(STACK);
        let file = Program::new().open_device();
        assert_eq!(file.write(0, b"by itself").information, 9);
        for _ in 0..20 {
            assert_eq!(control(&file, READ_BY_ITSELF, &[], 9).data, b"by itself");
        }
        file.set_latency(FOR_EVER);
        for _ in 0..3 {
            let done = control(&file, READ_BY_ITSELF, &[], 9);
            assert_eq!(done.status, NtStatus::IO_TIMEOUT);
        }
        file.set_latency(0);
        assert_eq!(control(&file, READ_BY_ITSELF, &[], 9).data, b"by itself");
        file.close();
        bed.end();
    }

    /// P-05, R-CAN-56, R-REQ-22: one share per part, and the mark's.
    #[test]
    fn the_cancellation_of_a_split_read_cancels_its_parts() {
        for mode in [mode::SEQUENTIAL, mode::PARALLEL] {
            let bed = Bed::of(STACK);
            let file = Program::new().open_device();
            let data = pattern(4 * 4096);
            set_mode(&file, mode);
            assert_eq!(file.write(0, &data).information, data.len() as u64);
            file.set_latency(FOR_EVER);
            let pending = file.start(read(0, 4 * 4096));
            assert!(pending.is_pending());
            assert!(file.cancel(&pending));
            assert_eq!(pending.wait().status, NtStatus::CANCELLED, "mode {mode}");
            file.set_latency(0);
            assert_eq!(file.read(0, 4 * 4096).data, data, "mode {mode}");
            file.close();
            bed.end();
        }
    }

    /// Filter rules 1 and 2: parts that come back from a DPC are followed by the next at `PASSIVE_LEVEL`.
    #[test]
    fn parts_that_come_back_later_are_followed_by_the_next() {
        for mode in [mode::SEQUENTIAL, mode::PARALLEL] {
            let bed = Bed::of(STACK);
            let file = Program::new().open_device();
            let data = pattern(3 * 4096 + 5);
            set_mode(&file, mode);
            file.set_latency(1);
            assert_eq!(file.write(7, &data).information, data.len() as u64, "mode {mode}");
            assert_eq!(file.read(7, u32::try_from(data.len()).unwrap()).data, data, "mode {mode}");
            file.close();
            bed.end();
        }
    }

    /// Filter rule 16: the parts carry the file object of the whole.
    #[test]
    fn the_parts_of_a_read_come_through_the_handle_it_came_through() {
        let bed = Bed::of(&["c/wdm-handle.sys", "rust/sender.sys"]);
        let file = Program::new().open(r"\\.\TestHandle");
        let other = Program::new().open(r"\\.\TestHandle");
        set_mode(&file, mode::SEQUENTIAL);
        assert_eq!(other.write(0, &40u32.to_le_bytes()).status, NtStatus::SUCCESS);
        assert_eq!(file.read(0, 4).data, 0u32.to_le_bytes());
        assert_eq!(other.read(0, 4).data, 40u32.to_le_bytes());
        other.close();
        file.close();
        bed.end();
    }

    /// R-CAN-40, R-REQ-04: nothing of a program that was killed is left, in whatever way it is below.
    #[test]
    fn a_program_that_dies_leaves_nothing_below() {
        for mode in [mode::CARRY, mode::TRACKED, mode::FORGOTTEN, mode::SEQUENTIAL, mode::PARALLEL] {
            let bed = Bed::of(STACK);
            let keeper = Program::new();
            let other = keeper.open_device();
            let program = Program::new();
            let file = program.open_device();
            file.set_latency(FOR_EVER);
            set_mode(&file, mode);
            let pending = file.start(read(0, 2 * 4096));
            program.process.kill();
            assert_eq!(pending.wait().status, NtStatus::CANCELLED, "mode {mode}");
            other.close();
            bed.end();
        }
    }

    /// DeferredRequestCompleted. R-REQ-04: what is held is completed later, or sent; its originator's cancellation is seen by asking
    /// (R-CAN-52).
    #[test]
    fn a_held_request_is_answered_or_sent_later() {
        let bed = Bed::of(STACK);
        let file = Program::new().open_device();
        assert_eq!(file.write(0, b"held").information, 4);
        set_mode(&file, mode::HELD);
        let held = file.start(read(0, 4));
        // The slot has one place, and gives the second back.
        assert_eq!(file.read(0, 4).status, NtStatus::DEVICE_NOT_READY);
        assert!(held.is_pending());
        assert_eq!(control(&file, RELEASE, &[], 0).status, NtStatus::SUCCESS);
        assert_eq!(held.wait().data, b"held");
        assert_eq!(control(&file, RELEASE, &[], 0).status, NtStatus::NOT_FOUND);

        let held = file.start(read(0, 4));
        assert_eq!(control(&file, ANSWER, &[], 0).status, NtStatus::SUCCESS);
        let done = held.wait();
        assert_eq!((done.status, done.information), (NtStatus::SUCCESS, 0));

        let held = file.start(read(0, 4));
        file.cancel(&held);
        assert!(held.is_pending());
        assert_eq!(control(&file, RELEASE, &[], 0).status, NtStatus::CANCELLED);
        let _ = held.wait();
        file.close();
        bed.end();
    }

    /// R-REQ-69, R-REQ-72: one buffer, by memory object, by MDL, by address.
    #[test]
    fn the_memory_object_of_a_control_is_its_buffer() {
        let bed = Bed::of(STACK);
        let file = Program::new().open_device();
        assert_eq!(control(&file, TURN_ROUND, b"12345678", 8).data, b"87654321");
        assert_eq!(control(&file, TURN_ROUND, b"1234", 8).status, NtStatus::INFO_LENGTH_MISMATCH);
        file.close();
        bed.end();
    }

    /// R-TGT-111: an IRP of the driver's own, which goes with the request; reused, the request keeps it.
    #[test]
    fn a_request_is_made_around_an_irp_of_the_drivers_own() {
        let bed = Bed::of(STACK);
        let file = Program::new().open_device();
        assert_eq!(file.write(0, b"by irp").information, 6);
        assert_eq!(control(&file, READ_BY_IRP, &[], 6).data, b"by irp");
        file.set_latency(FOR_EVER);
        assert_eq!(control(&file, READ_BY_IRP, &[], 6).status, NtStatus::IO_TIMEOUT);
        file.close();
        bed.end();
    }

    /// Filter rules 9 and R-QUE-128: the parts are purged below, and the last one ends the whole.
    #[test]
    fn a_surprise_removal_ends_what_is_split() {
        for mode in [mode::TRACKED, mode::SEQUENTIAL, mode::PARALLEL] {
            let bed = Bed::of(STACK);
            let file = Program::new().open_device();
            file.set_latency(FOR_EVER);
            set_mode(&file, mode);
            let pending = file.start(read(0, 3 * 4096));
            assert!(pending.is_pending());
            bed.stack.node().surprise_remove().expect("is removed");
            let done = pending.wait();
            assert_ne!(done.status, NtStatus::SUCCESS, "mode {mode}");
            file.close();
            bed.stack.node().wait_removed();
            bed.end_after_removal();
        }
    }
}
