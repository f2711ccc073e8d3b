//! `control.sys`: a control device, raw user buffers, file object contexts.

use crate::bed::*;
use drydock::nt::status::NtStatus;
use drydock::stack;
use rusty_fork::rusty_fork_test;

const FLIP: u32 = code(0, NEITHER);
const ACCOUNT: u32 = code(1, BUFFERED);

#[derive(Debug)]
struct Account {
    controls: u32,
    in_callers_process: u32,
    handles_open: u32,
    handles_closed: u32,
}

fn account(file: &File) -> Account {
    let [controls, in_callers_process, handles_open, handles_closed] = file.numbers(ACCOUNT);
    Account {
        controls,
        in_callers_process,
        handles_open,
        handles_closed,
    }
}

fn end(driver: stack::Loaded) {
    stack::unload(vec![driver]).expect("unloads");
    nothing_is_left();
}

rusty_fork_test! {
    #![rusty_fork(timeout_ms = 60000)]

    /// R-REQ-73, R-REQ-75: retrieved and locked in the caller's context, used in a system thread.
    #[test]
    fn raw_user_buffers_locked_in_the_callers_thread_are_reached_from_a_system_thread() {
        let driver = load("control");
        let file = open("TestControl");
        let done = file.control(FLIP, b"\x00\x0f\xf0\xff", 4);
        assert_eq!(done.status, NtStatus::SUCCESS);
        assert_eq!(done.data, b"\xff\xf0\x0f\x00");
        let short = file.control(FLIP, b"four", 3);
        assert_eq!(short.status, NtStatus::BUFFER_TOO_SMALL);
        file.close();
        end(driver);
    }

    /// R-DEV-14: the callback runs in the thread of whoever sent the request.
    #[test]
    fn the_in_caller_context_callback_runs_in_the_callers_process() {
        let driver = load("control");
        let (first, second) = (open("TestControl"), open("TestControl"));
        for _ in 0..3 {
            assert_eq!(first.control(FLIP, b"x", 1).status, NtStatus::SUCCESS);
        }
        let now = account(&first);
        assert_eq!((now.controls, now.in_callers_process), (4, 4));
        let now = account(&second);
        assert_eq!((now.controls, now.in_callers_process), (1, 1));
        first.close();
        second.close();
        end(driver);
    }

    /// R-DEV-46: cleanup before close, and the context is the handle's own.
    #[test]
    fn every_handle_is_cleaned_up_and_closed_once() {
        let driver = load("control");
        let watcher = open("TestControl");
        for _ in 0..5 {
            open("TestControl").close();
        }
        let now = account(&watcher);
        assert_eq!((now.handles_open, now.handles_closed), (1, 5));
        watcher.close();
        end(driver);
    }

    /// R-DEV-45.
    #[test]
    fn a_refused_open_is_followed_by_neither_cleanup_nor_close() {
        let driver = load("control");
        let program = Program::new();
        let watcher = program.open("TestControl");
        let refused = program.try_open(r"TestControl\forbidden");
        assert_eq!(refused.err(), Some(NtStatus::OBJECT_NAME_NOT_FOUND));
        let below = program.open(r"TestControl\allowed");
        let now = account(&watcher);
        assert_eq!((now.handles_open, now.handles_closed), (2, 0));
        below.close();
        watcher.close();
        end(driver);
    }

    #[test]
    fn controls_of_many_threads_each_get_their_own_answer() {
        let driver = load("control");
        std::thread::scope(|scope| {
            for thread in 0..4u8 {
                scope.spawn(move || {
                    let file = open("TestControl");
                    for round in 0..100u8 {
                        let done = file.control(FLIP, &[thread, round], 2);
                        assert_eq!(done.data, [!thread, !round]);
                    }
                    file.close();
                });
            }
        });
        end(driver);
    }
}
