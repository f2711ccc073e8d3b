//! `compiler.sys` has what Microsoft's compiler and linker put into drivers.

use crate::bed::*;
use drydock::nt::status::NtStatus;
use rusty_fork::rusty_fork_test;

const FACTS: u32 = code(0, BUFFERED);
const FILL: u32 = code(1, BUFFERED);
const INIT: u32 = code(2, BUFFERED);
const LOCK_PAGED: u32 = code(3, BUFFERED);
const CALL_PAGED: u32 = code(4, BUFFERED);
const PAGED_TIMER: u32 = code(5, BUFFERED);

/// Sends a control that must end the run, with all of `parts` in the report.
fn ends(code: u32, input: &[u8], parts: &'static [&'static str]) {
    expect_end(parts);
    let stack = start(&["compiler"]);
    let file = open("TestCompiler");
    let done = file.control(code, input, 64);
    file.close();
    stack
        .remove()
        .expect("the device goes, its timer is waited for");
    panic!("not noticed; the request ended with {done:?}");
}

rusty_fork_test! {
    #![rusty_fork(timeout_ms = 30000)]

    /// The security cookie has a value of its own; GS leads to the thread and to the control region; CR8 is the level; an
    /// indirect call passes control flow guard; a frame of three pages is probed.
    #[test]
    fn what_the_compiler_relies_on_is_there() {
        let stack = start(&["compiler"]);
        let file = open("TestCompiler");
        let facts: [u32; 9] = file.numbers(FACTS);
        assert_eq!(facts, [1, 1, 1, 0, 0, 2, 0, 42, 42]);
        file.tell(FILL, &16_u32.to_le_bytes());
        assert_eq!(file.control(code(60, BUFFERED), &[], 0).status, NtStatus::INVALID_DEVICE_REQUEST);
        file.close();
        end(stack);
    }

    #[test]
    fn an_array_that_is_overrun_is_found_by_the_stack_cookie() {
        ends(FILL, &40_u32.to_le_bytes(), &["BUG CHECK 0x139 KERNEL_SECURITY_CHECK_FAILURE (0x2,"]);
    }

    #[test]
    fn code_of_the_init_section_is_gone_after_driver_entry() {
        ends(INIT, &[], &["FAULT", "executing", "in section INIT, which is discarded"]);
    }

    #[test]
    fn pageable_code_that_acquires_a_spin_lock_is_named() {
        ends(LOCK_PAGED, &[], &["VIOLATION NT-IRQL-06", "section PAGE", "IRQL 2", "WdfSpinLockAcquire"]);
    }

    #[test]
    fn pageable_code_called_at_dispatch_level_is_named() {
        ends(CALL_PAGED, &[], &["VIOLATION NT-IRQL-06", "section PAGE", "KeQueryPerformanceCounter"]);
    }

    #[test]
    fn a_pageable_timer_routine_is_named() {
        expect_end(&["VIOLATION NT-IRQL-06", "PagedTimer"]);
        let _stack = start(&["compiler"]);
        open("TestCompiler").tell(PAGED_TIMER, &[]);
        until("the timer has expired and ended the run", || false);
    }
}
