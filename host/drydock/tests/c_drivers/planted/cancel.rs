//! Cancellation.

use super::*;
use drydock::nt::app::Op;
use drydock::nt::status::NtStatus;
use rusty_fork::rusty_fork_test;

caught! {
    completion_while_cancelable: "completion while cancelable", OFF => ["VIOLATION R-REQ-24"];
    completion_while_cancelable_breaks: "completion while cancelable", ON => ["BREAK R-REQ-23"];
    mark_twice: "mark twice", OFF => ["VIOLATION R-CAN-28"];
    mark_twice_breaks: "mark twice", ON => ["BREAK R-CAN-20"];
    unmark_of_an_unmarked_request: "unmark of an unmarked request", OFF => ["VIOLATION R-CAN-34"];
    unmark_of_an_unmarked_request_breaks: "unmark of an unmarked request", ON => ["BREAK R-CAN-33"];
    unmark_twice: "unmark twice", OFF => ["VIOLATION R-CAN-34"];
    forward_while_cancelable: "forward while cancelable", OFF => ["VIOLATION R-CAN-53"];
    forward_while_cancelable_breaks: "forward while cancelable", ON => ["BREAK"];
    requeue_while_cancelable: "requeue while cancelable", OFF => ["VIOLATION R-CAN-53"];
    requeue_while_cancelable_breaks: "requeue while cancelable", ON => ["BREAK R-CAN-53"];
    send_while_cancelable: "send while cancelable", OFF => ["VIOLATION R-CAN-54"];
    send_while_cancelable_is_not_noticed_by_the_framework_but_here: "send while cancelable", ON => ["VIOLATION R-CAN-54"];
    is_canceled_while_cancelable_breaks: "is-canceled while cancelable", ON => ["BREAK R-CAN-51"];
    mark_of_a_created_request: "mark of a created request", OFF => ["BREAK R-CAN-21"];
    /// R-CAN-22.
    mark_without_a_callback: "mark without a callback", OFF => ["BUG CHECK 0x10D", "(0x4,"];
}

rusty_fork_test! {
    #![rusty_fork(timeout_ms = 30000)]

    /// R-CAN-31: the program cancels while the handler waits, so the unmark cannot win.
    #[test]
    fn completion_after_a_lost_unmark() {
        expect_end(&["VIOLATION R-CAN-31"]);
        let (_stack, file) = planted(OFF);
        let file = std::sync::Arc::new(file);
        let other = std::sync::Arc::clone(&file);
        let handler = std::thread::spawn(move || {
            other.control(PLANT, b"completion after a lost unmark", 64)
        });
        until("the handler has marked its request", || file.numbers(WAITING) == [1]);
        assert_eq!(file.cancel_all(), 1);
        assert_eq!(file.start(Op::Flush).status(), NtStatus::SUCCESS);
        let done = handler.join().expect("the handler returns");
        panic!("the completion went through: {done:?}");
    }

    /// R-CAN-32.
    #[test]
    fn unmark_after_completion() {
        expect_end(&["R-CAN-32"]);
        let (stack, file) = planted(OFF);
        let pending = file.start_control(PLANT, b"unmark after completion", 64);
        file.cancel(&pending);
        let _ = pending.wait();
        file.close();
        stack.remove().expect("the device goes, its work item is waited for");
        panic!("the unmark went through");
    }
}
