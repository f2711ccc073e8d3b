//! `guarded.sys` touches the memory of programs inside `__try`, as C drivers do.

use crate::bed::*;
use drydock::nt::app::{Completion, Op};
use drydock::nt::status::NtStatus;
use rusty_fork::rusty_fork_test;

const READ: u32 = code(0, NEITHER);
const COPY: u32 = code(1, NEITHER);
const NESTED: u32 = code(2, NEITHER);
const DIVIDE: u32 = code(3, NEITHER);
const MEND: u32 = code(4, NEITHER);
const LOCK: u32 = code(5, NEITHER);
const UNHANDLED: u32 = code(6, NEITHER);
const AT_DISPATCH: u32 = code(7, NEITHER);

/// A user address where no program has memory.
const NOWHERE: u64 = 0x1abc_0000_0000;
/// An address of the kernel.
const KERNEL: u64 = 0xffff_8000_0000_1000;
const INTEGER_DIVIDE_BY_ZERO: NtStatus = NtStatus(0xC000_0094_u32 as i32);

const FINALLY_ABNORMAL: u64 = 1;
const FINALLY_NORMAL: u64 = 2;
const FILTER_PASSED: u64 = 4;
const HANDLER: u64 = 16;

fn at(file: &File, code: u32, input: u64, len: u32) -> Completion {
    file.start(Op::Neither {
        code,
        input: (input, len),
        output: (0, 4096),
    })
    .wait()
}

rusty_fork_test! {
    #![rusty_fork(timeout_ms = 30000)]

    #[test]
    fn a_fault_at_a_user_address_ends_in_the_except_block() {
        let stack = start(&["guarded"]);
        let file = open("TestGuarded");
        let read = file.control(READ, &7_u32.to_le_bytes(), 4096);
        assert_eq!((read.status, read.information), (NtStatus::SUCCESS, 7));
        for address in [NOWHERE, 0, 8] {
            let read = at(&file, READ, address, 4);
            assert_eq!((read.status, read.information), (NtStatus::ACCESS_VIOLATION, 0), "{address:#x}");
        }
        file.close();
        end(stack);
    }

    #[test]
    fn a_copy_from_user_memory_that_is_not_there_raises() {
        let stack = start(&["guarded"]);
        let file = open("TestGuarded");
        let copied = file.control(COPY, &[1, 2, 3], 4096);
        assert_eq!((copied.status, copied.information), (NtStatus::SUCCESS, 6));
        for address in [NOWHERE, KERNEL] {
            let copied = at(&file, COPY, address, 8);
            assert_eq!((copied.status, copied.information), (NtStatus::ACCESS_VIOLATION, 0), "{address:#x}");
        }
        // Nothing to probe, nothing to copy.
        assert_eq!(at(&file, COPY, NOWHERE, 0).status, NtStatus::SUCCESS);
        file.close();
        end(stack);
    }

    #[test]
    fn an_exception_passes_filters_runs_finally_blocks_and_keeps_the_registers_of_its_handler() {
        let stack = start(&["guarded"]);
        let file = open("TestGuarded");
        let nested = file.control(NESTED, &[0; 16], 4096);
        assert_eq!(nested.status, NtStatus::DATATYPE_MISALIGNMENT);
        let trace = FINALLY_NORMAL | FINALLY_ABNORMAL | FILTER_PASSED | HANDLER;
        assert_eq!(nested.information, (16 + 48 + 80) << 8 | trace);
        file.close();
        end(stack);
    }

    #[test]
    fn a_division_by_zero_ends_in_the_except_block() {
        let stack = start(&["guarded"]);
        let file = open("TestGuarded");
        assert_eq!(file.control(DIVIDE, &[], 4096).status, INTEGER_DIVIDE_BY_ZERO);
        file.close();
        end(stack);
    }

    #[test]
    fn a_filter_can_mend_what_was_wrong_and_go_on() {
        let stack = start(&["guarded"]);
        let file = open("TestGuarded");
        let mended = at(&file, MEND, NOWHERE, 4);
        assert_eq!((mended.status, mended.information), (NtStatus::SUCCESS, 9));
        file.close();
        end(stack);
    }

    #[test]
    fn locking_pages_that_are_not_there_raises() {
        let stack = start(&["guarded"]);
        let file = open("TestGuarded");
        assert_eq!(file.control(LOCK, &[1; 64], 4096).status, NtStatus::SUCCESS);
        assert_eq!(at(&file, LOCK, NOWHERE, 64).status, NtStatus::ACCESS_VIOLATION);
        file.close();
        end(stack);
    }

    #[test]
    fn a_status_nobody_handles_stops_the_system() {
        expect_end(&["BUG CHECK 0x1E KMODE_EXCEPTION_NOT_HANDLED (0x80000002", "no __except", "guarded!InCallerContext"]);
        let _stack = start(&["guarded"]);
        let done = open("TestGuarded").control(UNHANDLED, &[0; 16], 4096);
        panic!("it went through: {done:?}");
    }

    /// Windows stops with PAGE_FAULT_IN_NONPAGED_AREA: an __except does not hide a driver's own mistakes.
    #[test]
    fn memory_of_the_kernel_is_no_matter_for_an_except_block() {
        expect_end(&["FAULT", "reading 0xffff800000001000", "guarded!InCallerContext"]);
        let _stack = start(&["guarded"]);
        let done = at(&open("TestGuarded"), READ, KERNEL, 4);
        panic!("it went through: {done:?}");
    }

    /// Windows stops with IRQL_NOT_LESS_OR_EQUAL.
    #[test]
    fn user_memory_at_dispatch_level_is_no_matter_for_an_except_block() {
        expect_end(&["FAULT", "guarded!InCallerContext"]);
        let _stack = start(&["guarded"]);
        let done = at(&open("TestGuarded"), AT_DISPATCH, NOWHERE, 4);
        panic!("it went through: {done:?}");
    }
}
