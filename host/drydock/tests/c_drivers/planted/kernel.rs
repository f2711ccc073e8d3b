//! Memory, levels, instructions.

use super::*;
use rusty_fork::rusty_fork_test;

caught! {
    pool_freed_twice: "pool freed twice", OFF => ["planted!PoolFreedTwice"];
    pool_of_another_tag: "pool of another tag", OFF => ["planted!PoolOfOtherTag"];
    /// Found when the driver is unloaded, at the latest.
    pool_after_free: "pool after free", OFF => ["NT-POOL-05", "Plnt, 100 bytes long", "byte 0 after it was freed"];
    /// Found when the block is freed.
    pool_overrun: "pool overrun", OFF => ["NT-POOL-04", "Plnt, 4096 bytes long", "planted!PoolOverrun"];
    null_pointer: "null pointer", OFF => ["FAULT", "planted!NullPointer"];
    call_of_a_null_pointer: "call of a null pointer", OFF => ["FAULT"];
    wait_at_dispatch_level: "wait at DISPATCH_LEVEL", OFF => ["KeWaitForSingleObject", "planted!WaitAtDispatch"];
    paged_pool_at_dispatch_level: "paged pool at DISPATCH_LEVEL", OFF => ["ExAllocatePoolWithTag"];
    /// R-CHK-04.
    irql_kept_raised: "IRQL kept raised", ON => ["0x10D", "(0xe,"];
    /// R-CHK-04.
    critical_region_kept: "critical region kept", ON => ["0x10D", "(0xf,"];
    stack_overflow: "stack overflow", OFF => ["stack", "planted!Deeper"];
    bug_check: "bug check", OFF => ["BUG CHECK 0xE2", "(0x1, 0x2, 0x3, 0x4)", "planted!BugCheck"];
    breakpoint: "breakpoint", OFF => ["planted!Breakpoint"];
    illegal_instruction: "illegal instruction", OFF => ["FAULT", "planted!IllegalInstruction"];
    privileged_instruction: "privileged instruction", OFF => ["FAULT", "planted!PrivilegedInstruction"];
    fast_fail: "fast fail", OFF => ["planted!FastFail"];
    /// Found when the buffer is freed.
    buffer_overrun: "buffer overrun", OFF => ["NT-POOL-04", "IoSB, 64 bytes long", "byte 64", "planted!BufferOverrun"];
}

rusty_fork_test! {
    #![rusty_fork(timeout_ms = 30000)]

    /// The buffer is the program's own memory, mapped: it has guard pages too.
    #[test]
    fn overrun_of_a_direct_user_buffer() {
        expect_end(&["FAULT", "planted!BufferOverrun"]);
        let (_stack, file) = planted(OFF);
        let done = file.control(PLANT_DIRECT, b"buffer overrun", 64);
        panic!("the overrun went through: {done:?}");
    }

    #[test]
    fn pool_nobody_frees_shows_in_the_leak_report() {
        leaks("leaked pool", &["Plnt", "100 bytes", "planted!LeakedPool"]);
    }
}
