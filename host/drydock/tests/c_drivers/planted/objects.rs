//! Handles, objects, locks, queues, work items.

use super::*;
use rusty_fork::rusty_fork_test;

caught! {
    /// R-OBJ-03.
    null_handle: "null handle", OFF => ["BUG CHECK 0x10D", "(0x5, 0x0,"];
    /// R-OBJ-04.
    handle_of_another_type: "handle of another type", OFF => ["BUG CHECK 0x10D", "(0x5,"];
    /// R-OBJ-06.
    null_parameter: "null parameter", OFF => ["BUG CHECK 0x10D", "(0x4, 0x0,"];
    handle_after_delete: "handle after delete", OFF => ["VIOLATION R-OBJ-05", "WdfMemoryGetBuffer"];
    /// R-OBJ-13.
    dereference_instead_of_delete: "dereference instead of delete", OFF => ["BUG CHECK 0x10D", "(0x7,"];
    delete_of_the_default_queue: "delete of the default queue", OFF => ["BREAK R-OBJ-20"];
    /// ChangeQueueState. R-QUE-80.
    two_purges_at_once: "two purges at once", OFF => ["BUG CHECK 0x10D", "(0xa,"];
    ready_notify_of_a_parallel_queue: "ready notify of a parallel queue", OFF => ["BREAK R-QUE-110"];
    ready_notify_twice: "ready notify twice", OFF => ["BREAK R-QUE-111"];
    find_in_a_parallel_queue: "find in a parallel queue", OFF => ["BREAK R-QUE-96"];
    /// R-QUE-68: a break first, then the bug check.
    lock_of_an_object_without_lock: "lock of an object without lock", OFF => ["R-QUE-68"];
    /// R-QUE-67.
    callback_lock_twice: "callback lock twice", OFF => ["BUG CHECK 0x10D", "(0x2,"];
    /// R-DEV-70: a hang, on a real machine.
    spin_lock_twice: "spin lock twice", OFF => ["NT-LOCK-03", "spin for ever"];
    /// R-DEV-71.
    release_of_a_spin_lock_not_held: "release of a spin lock not held", ON => ["BUG CHECK 0x10D", "(0xb,"];
    spin_locks_in_two_orders: "spin locks in two orders", ON => ["NT-LOCK-08", "planted!LockOrder"];
    /// KmdfIrql. R-DEV-74.
    wait_lock_at_dispatch_level: "wait lock at DISPATCH_LEVEL", ON => ["BREAK", "WdfWaitLockAcquire"];
    remove_of_an_absent_item: "remove of an absent item", OFF => ["BREAK R-CHK-38"];
    work_item_flushes_itself: "work item flushes itself", OFF => ["BREAK R-CHK-36"];
    timer_stops_itself: "timer stops itself", OFF => ["BREAK R-CHK-36", "WdfTimerStop"];
    /// KmdfIrql2. R-QUE-82.
    wait_for_a_queue_at_dispatch_level: "wait for a queue at DISPATCH_LEVEL", ON => ["BREAK R-CHK-41", "WdfIoQueueStopSynchronously"];
    /// R-CHK-04: the level a callback returns at is checked.
    spin_lock_kept: "spin lock kept", ON => ["0x10D", "(0xe,"];
}

rusty_fork_test! {
    #![rusty_fork(timeout_ms = 30000)]

    #[test]
    fn an_object_kept_by_a_reference_shows_in_the_leak_report() {
        leaks("leaked object", &["WDFMEMORY"]);
    }
    /// ControlDeviceDeleted, Cleanup4CtlDeviceRegistered. R-DEV-34.
    #[test]
    fn a_driver_whose_clean_up_forgets_its_control_device_stays_loaded() {
        let (stack, file) = planted(OFF);
        let done = file.control(PLANT, b"control device kept", 64);
        assert!(done.status.is_success(), "{done:?}");
        file.close();
        let refused = stack.remove().expect_err("the driver cannot be unloaded").to_string();
        assert!(refused.contains("planted"), "{refused}");
    }

    /// EvtSurpriseRemoveNoRequestComplete. R-CAN-82.
    #[test]
    fn a_request_completed_by_the_surprise_removal_callback_is_reported() {
        expect_end(&["VIOLATION R-CAN-82", "WdfRequestComplete"]);
        let (stack, file) = planted(ON);
        let _pending = file.start_control(PLANT, b"completion at surprise removal", 64);
        let gone = stack.node().surprise_remove();
        panic!("not noticed: {gone:?}");
    }
}
