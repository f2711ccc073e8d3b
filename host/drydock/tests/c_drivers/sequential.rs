//! `sequential.sys`: one request at a time, cancelable, ended by a timer.

use crate::bed::*;
use drydock::nt::pnp::SystemPower;
use drydock::nt::status::NtStatus;
use rusty_fork::rusty_fork_test;

const LATENCY: u32 = code(0, BUFFERED);
const FINISH: u32 = code(1, BUFFERED);
const STATISTICS: u32 = code(2, BUFFERED);

const FOREVER: u32 = u32::MAX;

#[derive(Debug)]
struct Statistics {
    started: u32,
    finished: u32,
    canceled: u32,
    canceled_before: u32,
    most_at_once: u32,
    finished_at_dispatch: u32,
    working: bool,
}

fn statistics(file: &File) -> Statistics {
    let [
        started,
        finished,
        canceled,
        canceled_before,
        most_at_once,
        finished_at_dispatch,
        working,
    ] = file.numbers(STATISTICS);
    Statistics {
        started,
        finished,
        canceled,
        canceled_before,
        most_at_once,
        finished_at_dispatch,
        working: working != 0,
    }
}

fn set_latency(file: &File, milliseconds: u32) {
    file.tell(LATENCY, &milliseconds.to_le_bytes());
}

/// The device has the `n`th request and can be told to finish it.
fn until_working_on(file: &File, n: u32) {
    until("the device works on the next request", || {
        let now = statistics(file);
        now.started == n && now.working
    });
}

rusty_fork_test! {
    #![rusty_fork(timeout_ms = 60000)]

    #[test]
    fn what_is_written_is_read_back() {
        let stack = start(&["sequential"]);
        let file = open("TestSequential");
        assert_eq!(file.write(10, b"sequential").information, 10);
        let done = file.read(8, 14);
        assert_eq!(done.status, NtStatus::SUCCESS);
        assert_eq!(done.data, b"\0\0sequential\0\0");
        assert_eq!(file.read(256, 1).status, NtStatus::INVALID_PARAMETER);
        file.close();
        end(stack);
    }

    /// R-DEV-82: a timer's callback runs at DISPATCH_LEVEL; R-CAN-30: unmarked, the request is the timer's.
    #[test]
    fn the_timers_dpc_ends_a_request_at_dispatch_level() {
        let stack = start(&["sequential"]);
        let file = open("TestSequential");
        set_latency(&file, 1);
        assert_eq!(file.read(0, 16).information, 16);
        let now = statistics(&file);
        assert_eq!((now.finished, now.finished_at_dispatch, now.canceled), (1, 1, 0));
        file.close();
        end(stack);
    }

    /// R-QUE-41, R-QUE-46: N counts owned requests, and the completing thread delivers the next.
    #[test]
    fn the_next_request_waits_until_the_device_is_done_with_the_first() {
        let stack = start(&["sequential"]);
        let file = open("TestSequential");
        set_latency(&file, FOREVER);
        let all: Vec<_> = (0..3).map(|_| file.start_read(0, 1)).collect();
        for (n, read) in (1..).zip(&all) {
            until_working_on(&file, n);
            assert_eq!(statistics(&file).finished, n - 1);
            file.tell(FINISH, &[]);
            assert_eq!(read.status(), NtStatus::SUCCESS);
        }
        assert_eq!(statistics(&file).most_at_once, 1);
        file.close();
        end(stack);
    }

    /// R-CAN-42, R-CAN-44: the cancel routine runs in the canceling thread and completes the request.
    #[test]
    fn cancel_of_the_request_in_work_completes_it_before_the_cancel_returns() {
        let stack = start(&["sequential"]);
        let file = open("TestSequential");
        set_latency(&file, FOREVER);
        let read = file.start_read(0, 1);
        file.cancel(&read);
        let now = statistics(&file);
        assert_eq!((now.canceled, now.finished, now.working), (1, 0, false));
        assert_eq!(read.status(), NtStatus::CANCELLED);
        file.close();
        end(stack);
    }

    /// R-CAN-10.
    #[test]
    fn cancel_of_a_waiting_request_is_not_seen_by_the_driver() {
        let stack = start(&["sequential"]);
        let file = open("TestSequential");
        set_latency(&file, FOREVER);
        let first = file.start_read(0, 1);
        let second = file.start_read(0, 1);
        file.cancel(&second);
        assert_eq!(second.status(), NtStatus::CANCELLED);
        let now = statistics(&file);
        assert_eq!((now.started, now.canceled, now.canceled_before), (1, 0, 0));
        file.tell(FINISH, &[]);
        assert_eq!(first.status(), NtStatus::SUCCESS);
        file.close();
        end(stack);
    }

    /// R-CAN-80: one cancel, one timer, one of them completes the request.
    #[test]
    fn cancel_and_timer_race_and_each_request_ends_once() {
        let stack = start(&["sequential"]);
        let file = open("TestSequential");
        set_latency(&file, FOREVER);
        let mut canceled = 0;
        for _ in 0..300 {
            let read = file.start_read(0, 1);
            file.tell(FINISH, &[]);
            file.cancel(&read);
            match read.status() {
                NtStatus::SUCCESS => {}
                NtStatus::CANCELLED => canceled += 1,
                other => panic!("{other}"),
            }
        }
        until("nothing is in work", || !statistics(&file).working);
        let now = statistics(&file);
        assert_eq!(now.canceled, canceled);
        assert_eq!(now.finished + now.canceled + now.canceled_before, now.started);
        file.close();
        end(stack);
    }

    /// R-QUE-121, R-QUE-124: acknowledged with requeue, the request is delivered anew after power-up.
    #[test]
    fn a_request_in_work_over_a_sleep_is_started_again() {
        let stack = start(&["sequential"]);
        let file = open("TestSequential");
        set_latency(&file, FOREVER);
        let read = file.start_read(0, 1);
        stack.node().system_power(SystemPower::Sleeping3).expect("sleeps");
        assert!(read.is_pending());
        assert!(!statistics(&file).working);
        stack.node().system_power(SystemPower::Working).expect("wakes");
        until_working_on(&file, 2);
        file.tell(FINISH, &[]);
        assert_eq!(read.status(), NtStatus::SUCCESS);
        file.close();
        end(stack);
    }

    /// R-QUE-128, R-DEV-63.
    #[test]
    fn surprise_removal_ends_the_request_in_work_and_those_that_wait() {
        let stack = start(&["sequential"]);
        let file = open("TestSequential");
        set_latency(&file, FOREVER);
        let in_work = file.start_read(0, 1);
        let waiting = file.start_read(0, 1);
        stack.node().surprise_remove().expect("is removed");
        for read in [in_work, waiting] {
            let status = read.status();
            assert!(!status.is_success(), "{status}");
        }
        file.close();
        stack.node().wait_removed();
        stack.unload().expect("unloads");
        nothing_is_left();
    }

    /// The I/O manager cancels what a dying process has in flight, whoever has it.
    #[test]
    fn a_process_that_dies_leaves_no_request_behind() {
        let stack = start(&["sequential"]);
        let program = Program::new();
        let file = program.open("TestSequential");
        set_latency(&file, FOREVER);
        let reads: Vec<_> = (0..20).map(|_| file.start_read(0, 1)).collect();
        program.kill();
        for read in reads {
            assert_eq!(read.status(), NtStatus::CANCELLED);
        }
        end(stack);
    }
}
