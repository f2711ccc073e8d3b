//! `power.sys`: what a device with requests in its hands sees when the system sleeps, stops or removes it.

use crate::bed::*;
use drydock::nt::pnp::SystemPower;
use drydock::nt::status::NtStatus;
use drydock::stack::Stack;
use drydock::verify;
use rusty_fork::rusty_fork_test;

const JOURNAL: u32 = code(0, BUFFERED);
const FINISH: u32 = code(1, BUFFERED);
const COUNT: u32 = code(2, BUFFERED);
const FORGET: u32 = code(3, BUFFERED);

/// The letters written since the last look; their meaning is in `power.c`.
fn journal(file: &File) -> String {
    let done = file.control(JOURNAL, &[], 128);
    assert_eq!(done.status, NtStatus::SUCCESS);
    String::from_utf8(done.data).expect("letters")
}

fn sleep(stack: &Stack) {
    let slept = stack.node().system_power(SystemPower::Sleeping3);
    slept.expect("the system sleeps");
}

fn wake(stack: &Stack) {
    let woken = stack.node().system_power(SystemPower::Working);
    woken.expect("the system wakes");
}

rusty_fork_test! {
    #![rusty_fork(timeout_ms = 60000)]

    /// R-DEV-60, R-DEV-61.
    #[test]
    fn starting_sleeping_and_waking_call_back_in_order() {
        let stack = start(&["power"]);
        let file = open("TestPower");
        assert_eq!(journal(&file), "PEI");
        sleep(&stack);
        assert_eq!(journal(&file), "SX");
        wake(&stack);
        assert_eq!(journal(&file), "ER");
        file.close();
        end(stack);
    }

    /// R-QUE-121, R-QUE-125, R-QUE-129: kept with acknowledgement, resumed after power-up.
    #[test]
    fn a_request_kept_over_a_sleep_is_resumed() {
        let stack = start(&["power"]);
        let file = open("TestPower");
        let read = file.start_read(0, 4);
        assert_eq!(journal(&file), "PEIr");
        sleep(&stack);
        assert_eq!(journal(&file), "SkX");
        assert!(read.is_pending());
        wake(&stack);
        assert_eq!(journal(&file), "EuR");
        file.tell(FINISH, &[]);
        assert_eq!(read.status(), NtStatus::SUCCESS);
        file.close();
        end(stack);
    }

    /// R-QUE-124: requeued, it arrives anew.
    #[test]
    fn a_request_requeued_at_a_sleep_arrives_again() {
        let stack = start(&["power"]);
        let file = open("TestPower");
        let write = file.start_write(0, b"data");
        sleep(&stack);
        assert_eq!(journal(&file), "PEIrSqX");
        assert_eq!(file.numbers(COUNT), [0]);
        wake(&stack);
        assert_eq!(file.numbers(COUNT), [1]);
        let letters = journal(&file);
        assert!(letters == "ErR" || letters == "ERr", "{letters}");
        file.tell(FINISH, &[]);
        assert_eq!(write.status(), NtStatus::SUCCESS);
        file.close();
        end(stack);
    }

    /// DrvAckIoStop. R-QUE-122: the system waits for whoever has the request, and says so.
    #[test]
    fn a_request_forgotten_at_a_sleep_is_reported() {
        expect_end(&["BREAK R-QUE-84", "not completed"]);
        let stack = start(&["power"]);
        let mut settings = verify::settings().clone();
        settings.long_wait = 10_000;
        verify::configure(settings);
        let file = open("TestPower");
        file.tell(FORGET, &[]);
        let _read = file.start_read(0, 4);
        sleep(&stack);
        panic!("the system sleeps, and the request is nobody's");
    }

    /// R-QUE-55: nothing is delivered while power is held.
    #[test]
    fn a_request_that_comes_during_a_sleep_waits_for_power() {
        let stack = start(&["power"]);
        let file = open("TestPower");
        sleep(&stack);
        let read = file.start_read(0, 4);
        assert_eq!(file.numbers(COUNT), [0]);
        wake(&stack);
        assert_eq!(file.numbers(COUNT), [1]);
        file.cancel(&read);
        assert_eq!(read.status(), NtStatus::CANCELLED);
        file.close();
        end(stack);
    }

    /// R-QUE-132: acknowledged without requeue, it stays cancelable in low power.
    #[test]
    fn a_kept_request_can_be_canceled_while_the_device_sleeps() {
        let stack = start(&["power"]);
        let file = open("TestPower");
        let read = file.start_read(0, 4);
        sleep(&stack);
        file.cancel(&read);
        assert_eq!(read.status(), NtStatus::CANCELLED);
        assert_eq!(journal(&file), "PEIrSkXc");
        wake(&stack);
        assert_eq!(journal(&file), "ER");
        file.close();
        end(stack);
    }

    /// R-DEV-63, R-QUE-128; R-QUE-124: several at once.
    #[test]
    fn surprise_removal_ends_every_request_and_calls_back_in_order() {
        let lines = capture();
        let stack = start(&["power"]);
        let file = open("TestPower");
        let read = file.start_read(0, 4);
        let write = file.start_write(0, b"data");
        stack.node().surprise_remove().expect("is removed");
        for pending in [read, write] {
            let status = pending.status();
            assert!(!status.is_success(), "{status}");
        }
        file.close();
        stack.node().wait_removed();
        stack.unload().expect("unloads");
        nothing_is_left();
        let lines = lines.lock();
        let journal = lines.iter().find_map(|line| line.strip_prefix("power: "));
        let journal = journal.expect("the journal is printed");
        assert!(journal.starts_with("PEIrrGS"), "{journal}");
        assert!(journal.ends_with("FC"), "{journal}");
    }

    /// R-DEV-61, R-DEV-62.
    #[test]
    fn removal_calls_back_in_order() {
        let lines = capture();
        let stack = start(&["power"]);
        end(stack);
        assert_eq!(*lines.lock(), ["power: PEISXHFC"]);
    }

    /// R-DEV-60: a restart is not a first start.
    #[test]
    fn a_stop_and_a_start_keep_requests() {
        let stack = start(&["power"]);
        let file = open("TestPower");
        let read = file.start_read(0, 4);
        stack.node().restart().expect("restarts");
        assert_eq!(journal(&file), "PEIrSkXHPEuR");
        file.tell(FINISH, &[]);
        assert_eq!(read.status(), NtStatus::SUCCESS);
        file.close();
        end(stack);
    }

    #[test]
    fn many_sleeps_with_requests_of_both_kinds_lose_nothing() {
        let stack = start(&["power"]);
        let file = open("TestPower");
        let all: Vec<_> = (0..6)
            .map(|i| if i % 2 == 0 { file.start_read(i, 4) } else { file.start_write(i, b"data") })
            .collect();
        for _ in 0..10 {
            sleep(&stack);
            wake(&stack);
            let _ = journal(&file);
        }
        assert_eq!(file.numbers(COUNT), [6]);
        file.cancel(&all[0]);
        file.cancel(&all[1]);
        file.tell(FINISH, &[]);
        let ends: Vec<_> = all.iter().map(Pending::status).collect();
        assert_eq!(ends[..2], [NtStatus::CANCELLED; 2]);
        assert_eq!(ends[2..], [NtStatus::SUCCESS; 4]);
        file.close();
        end(stack);
    }
}
