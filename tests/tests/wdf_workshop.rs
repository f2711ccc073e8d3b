//! Queues, power, timers and the registry through `wdf`: `workshop.sys` (tests/drivers/workshop).

use drydock::nt::app::Op;
use drydock::nt::pnp::SystemPower;
use drydock::nt::registry;
use drydock::nt::status::NtStatus;
use ferry_abi::ControlCode;
use rusty_fork::rusty_fork_test;
use scenarios::{Bed, Pending, Program, Session};

const STACK: &[&str] = &["rust/workshop.sys"];

const TAKE_THE_READ_AT: u32 = 1;
const TAKE_A_READ_OF_THIS_HANDLE: u32 = 2;
const COUNTS: u32 = 3;
const CALL_AND_TICK: u32 = 4;
const FINISH_THE_WRITE: u32 = 5;
const STOP_AND_LOOK: u32 = 6;
const TAKE_FROM_THE_SHELF: u32 = 7;

fn open() -> Session {
    Program::new().open(r"\\.\Workshop")
}

/// The numbers a control answers with.
fn ask(file: &Session, which: u32, input: &[u8]) -> Vec<u32> {
    let code = 0x22 << 16 | (0x800 + which) << 2;
    let done = file.ioctl(ControlCode(code), input, 64);
    assert_eq!(done.status, NtStatus::SUCCESS, "control {which}");
    let word = |bytes: &[u8]| u32::from_le_bytes(bytes.try_into().expect("four bytes"));
    done.data.chunks(4).map(word).collect()
}

fn start_read(file: &Session, offset: i64) -> Pending {
    let read = file.start(Op::Read { offset, len: 16 });
    assert!(read.is_pending());
    read
}

rusty_fork_test! {
    #![rusty_fork(timeout_ms = 60000)]

    /// R-QUE-96, R-QUE-99.
    #[test]
    fn a_search_takes_out_of_the_middle_and_leaves_the_rest_in_order() {
        let bed = Bed::of(STACK);
        let file = open();
        let reads: Vec<Pending> = (0..5).map(|offset| start_read(&file, offset)).collect();
        assert_eq!(ask(&file, TAKE_THE_READ_AT, &[3]), [4, 1]);
        assert_eq!(reads[3].wait().status, NtStatus::SUCCESS);
        assert_eq!(ask(&file, TAKE_THE_READ_AT, &[3]), [4, 0]);
        assert!(file.cancel(&reads[0]));
        assert_eq!(reads[0].wait().status, NtStatus::CANCELLED);
        assert_eq!(ask(&file, TAKE_THE_READ_AT, &[4]), [3, 1]);
        file.close();
        bed.end();
    }

    /// R-QUE-90, R-QUE-93.
    #[test]
    fn only_requests_of_the_same_handle_are_retrieved_by_it() {
        let bed = Bed::of(STACK);
        let (one, other) = (open(), open());
        let _theirs = start_read(&other, 0);
        let mine = start_read(&one, 1);
        let _more = start_read(&one, 2);
        assert_eq!(ask(&one, TAKE_A_READ_OF_THIS_HANDLE, &[]), [1, 1]);
        assert_eq!(mine.wait().status, NtStatus::SUCCESS);
        assert_eq!(ask(&one, TAKE_A_READ_OF_THIS_HANDLE, &[]), [1, 0]);
        assert_eq!(ask(&one, TAKE_A_READ_OF_THIS_HANDLE, &[]), [0, 0]);
        one.close();
        other.close();
        bed.end();
    }

    /// R-QUE-112: from empty to not empty, not per request. R-QUE-92: a stopped queue. R-QUE-72: started, it tells again.
    #[test]
    fn a_manual_queue_tells_of_the_first_request_only_and_delivers_nothing_while_it_is_stopped() {
        let bed = Bed::of(STACK);
        let file = open();
        assert_eq!(ask(&file, COUNTS, &[])[0], 0);
        let _first = start_read(&file, 0);
        let _second = start_read(&file, 1);
        assert_eq!(ask(&file, COUNTS, &[])[0], 1);
        let paused = 0xC020_0203;
        assert_eq!(ask(&file, STOP_AND_LOOK, &[]), [paused, 2, 0]);
        assert_eq!(ask(&file, COUNTS, &[])[0], 2);
        file.close();
        bed.end();
    }

    /// R-QUE-125, R-QUE-129: kept with its stop handler's acknowledgement, resumed with power.
    #[test]
    fn a_parked_write_is_kept_over_a_sleep_and_resumed() {
        let bed = Bed::of(STACK);
        let file = open();
        let write = file.start(Op::Write { offset: 0, data: b"slow".to_vec() });
        bed.stack.node().system_power(SystemPower::Sleeping3).expect("sleeps");
        assert!(write.is_pending());
        bed.stack.node().system_power(SystemPower::Working).expect("wakes");
        assert_eq!(ask(&file, COUNTS, &[])[3..5], [1, 1]);
        assert!(write.is_pending());
        assert_eq!(ask(&file, FINISH_THE_WRITE, &[]), [1]);
        assert_eq!(write.wait().status, NtStatus::SUCCESS);
        file.close();
        bed.end();
    }

    /// R-QUE-132: it stays cancelable. R-QUE-128: and ends with the device.
    #[test]
    fn a_write_that_is_kept_can_be_canceled_and_goes_with_the_device() {
        let bed = Bed::of(STACK);
        let file = open();
        let write = file.start(Op::Write { offset: 0, data: b"slow".to_vec() });
        bed.stack.node().system_power(SystemPower::Sleeping3).expect("sleeps");
        assert!(file.cancel(&write));
        assert_eq!(write.wait().status, NtStatus::CANCELLED);
        bed.stack.node().system_power(SystemPower::Working).expect("wakes");
        let write = file.start(Op::Write { offset: 0, data: b"slow".to_vec() });
        bed.stack.node().surprise_remove().expect("surprise removal is accepted");
        assert!(!write.wait().status.is_success());
        file.close();
        bed.stack.node().wait_removed();
        bed.end_after_removal();
    }

    /// R-DEV-82, R-DEV-86; a query stop is told of; a kind without handler gets the default one.
    #[test]
    fn dpcs_passive_timers_and_queries_call_back() {
        let bed = Bed::of(STACK);
        let file = open();
        let code = 0x22 << 16 | (0x800 + CALL_AND_TICK) << 2;
        assert_eq!(file.ioctl(ControlCode(code), &[], 0).status, NtStatus::SUCCESS);
        // Both come soon, on another thread.
        while ask(&file, COUNTS, &[])[1..3] != [1, 1] {
            std::thread::yield_now();
        }
        bed.stack.node().restart().expect("restarts");
        assert_eq!(ask(&file, COUNTS, &[])[5], 1);
        file.close();
        bed.end();
    }

    #[test]
    fn parameters_and_properties_are_read_while_the_device_is_set_up() {
        let parameters = registry::ServiceKey::new("workshop").path() + r"\Parameters";
        registry::create(&parameters);
        registry::set(&parameters, registry::Value::dword("Depth", 7)).expect("is set");
        let bed = Bed::of(STACK);
        let file = open();
        let counts = ask(&file, COUNTS, &[]);
        assert_eq!(counts[6], 7);
        file.close();
        bed.end();
    }

    /// R-DEV-90: an index that is not there is asked for, and is no breakpoint.
    #[test]
    fn a_collection_keeps_its_members_and_a_string_what_the_framework_said() {
        let bed = Bed::of(STACK);
        let file = open();
        let first = ask(&file, TAKE_FROM_THE_SHELF, &[]);
        assert_eq!(first[..4], [2, 16, 1, 32]);
        assert!(first[4] > 0, "the version is empty");
        assert_eq!(ask(&file, TAKE_FROM_THE_SHELF, &[])[..4], [1, 32, 1, 0]);
        assert_eq!(ask(&file, TAKE_FROM_THE_SHELF, &[])[..4], [0, 0, 0, 0]);
        file.close();
        bed.end();
    }
}
