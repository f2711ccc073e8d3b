//! Completion, ownership, buffers and parameters of requests.

use super::*;
use drydock::nt::status::NtStatus;
use rusty_fork::rusty_fork_test;

caught! {
    /// The object is gone with its first completion.
    double_completion: "double completion", OFF => ["R-OBJ-05", "WdfRequestComplete"];
    double_completion_is_named_while_a_reference_keeps_the_object:
        "double completion with a reference", OFF => ["R-REQ-26", "double completion"];
    /// R-CHK-19.
    double_completion_with_a_reference_breaks_under_the_verifier:
        "double completion with a reference", ON => ["BREAK", "R-"];
    use_after_completion: "use after completion", OFF => ["R-OBJ-05", "WdfRequestSetInformation"];
    information_beyond_the_buffer: "information beyond the buffer", OFF => ["VIOLATION R-REQ-17"];
    /// R-REQ-16.
    information_beyond_the_buffer_is_a_bug_check_under_the_verifier:
        "information beyond the buffer", ON => ["BUG CHECK 0x10D", "(0x6, 0x4,"];
    completion_with_pending: "completion with STATUS_PENDING", OFF => ["VIOLATION R-REQ-15"];
    delete_of_a_request: "delete of a request", OFF => ["VIOLATION R-OBJ-21"];
    excess_dereference: "excess dereference", OFF => ["VIOLATION R-OBJ-14"];
    forward_to_the_same_queue: "forward to the same queue", OFF => ["VIOLATION R-REQ-87"];
    forward_to_the_same_queue_breaks: "forward to the same queue", ON => ["BREAK", "R-REQ-87"];
    forward_to_another_device: "forward to another device", OFF => ["VIOLATION R-REQ-87"];
    forward_to_another_device_breaks: "forward to another device", ON => ["BREAK", "R-REQ-87"];
    requeue_to_a_parallel_queue: "requeue to a parallel queue", OFF => ["BREAK R-REQ-80"];
    use_after_forward: "use after forward", OFF => ["VIOLATION R-REQ-07"];
    use_after_forward_breaks: "use after forward", ON => ["BREAK R-REQ-06"];
    memory_referenced_at_completion: "memory referenced at completion", OFF => ["BUG CHECK 0x10D", "(0x3,"];
    parameters_of_the_wrong_size: "parameters of the wrong size", OFF => ["BREAK R-REQ-42"];
    acknowledge_outside_stop: "acknowledge outside EvtIoStop", ON => ["BREAK R-QUE-123"];
    enqueue_outside_the_callers_context: "enqueue outside the caller's context", ON => ["BREAK R-REQ-94"];
    unsafe_buffer_of_a_buffered_control: "unsafe buffer of a buffered control", ON => ["BREAK R-REQ-73"];
    /// R-REQ-76: the system buffer was written after it was freed; found when the driver is unloaded, at the latest.
    buffer_after_completion: "buffer after completion", OFF => ["NT-POOL-05", "IoSB", "byte 0 after it was freed"];
    /// R-CHK-11.
    completion_of_a_found_request: "completion of a found request", ON => ["BREAK"];
    completion_of_a_found_request_is_not_checked_by_the_framework: "completion of a found request", OFF => ["VIOLATION R-REQ-07"];
    /// R-QUE-99.
    retrieve_from_another_queue: "retrieve from another queue", ON => ["BUG CHECK 0x10D", "(0x6, 0x5,"];
    memory_dereferenced_too_often: "memory dereferenced too often", OFF => ["BREAK R-CHK-34"];
}

rusty_fork_test! {
    #![rusty_fork(timeout_ms = 30000)]

    /// R-REQ-80, R-QUE-123 and the like are calls that fail; a driver that looks at the status goes on.
    #[test]
    fn a_break_that_is_not_fatal_leaves_the_request_to_the_driver() {
        let mut settings = drydock::verify::settings().clone();
        settings.break_is_fatal = false;
        drydock::verify::configure(settings);
        let (stack, file) = planted(ON);
        for mistake in ["requeue to a parallel queue", "forward to the same queue", "forward to another device"] {
            let done = file.control(PLANT, mistake.as_bytes(), 64);
            assert_eq!(done.status, NtStatus::INVALID_DEVICE_REQUEST, "{mistake}");
        }
        assert_eq!(drydock::verify::breaks(), 3);
        file.close();
        end(stack);
    }

    /// R-REQ-19.
    #[test]
    fn information_without_a_buffer() {
        expect_end(&["BREAK R-REQ-19"]);
        let (_stack, file) = planted(OFF);
        let done = file.control(PLANT, b"information without a buffer", 0);
        panic!("not noticed: {done:?}");
    }

    #[test]
    fn a_mistake_nobody_knows_is_answered() {
        let (stack, file) = planted(ON);
        assert_eq!(file.control(PLANT, b"no such mistake", 0).status, NtStatus::NOT_FOUND);
        file.close();
        end(stack);
    }

    /// DeferredRequestCompleted. R-CHK-66: the model knows whose request it is.
    #[test]
    fn a_forgotten_request_is_reported_with_its_history() {
        let (_stack, file) = planted(OFF);
        let forgotten = file.start_control(PLANT, b"forgotten request", 64);
        assert!(forgotten.is_pending());
        let report = drydock::verify::leak_report().to_string();
        assert!(report.contains("WDFREQUEST"), "{report}");
    }
}
