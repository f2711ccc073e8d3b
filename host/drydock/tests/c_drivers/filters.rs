//! Filters in C: WDM ones and `toaster.sys`, over lower drivers of every temper.

use crate::bed::*;
use drydock::nt::app::Op;
use drydock::nt::pnp::SystemPower;
use drydock::nt::status::NtStatus;
use rusty_fork::rusty_fork_test;

/// `wdm-count`: IRPs sent and returned.
const WDM_COUNTS: u32 = code(0x100, BUFFERED);
/// `toaster`.
const COUNTS: u32 = code(0x101, BUFFERED);

#[derive(Debug, PartialEq)]
struct Counts {
    sent: u32,
    returned: u32,
    forgotten: u32,
    refused: u32,
    canceled: u32,
    bytes: u32,
}

fn counts(file: &File) -> Counts {
    let [sent, returned, forgotten, refused, canceled, bytes] = file.numbers(COUNTS);
    Counts {
        sent,
        returned,
        forgotten,
        refused,
        canceled,
        bytes,
    }
}

rusty_fork_test! {
    #![rusty_fork(timeout_ms = 60000)]

    /// R-TGT-80: the completion routine is called once per send; R-REQ-89: Information passes through.
    #[test]
    fn what_a_filter_sends_comes_back_through_its_completion_routine() {
        let stack = start(&["wdm-inline", "toaster"]);
        let file = open("TestInline");
        assert_eq!(file.write(0, b"0123456789").information, 10);
        assert_eq!(file.read(0, 6).data, b"012345");
        assert_eq!(file.read(5000, 6).status, NtStatus::END_OF_FILE);
        let expected = Counts { sent: 3, returned: 3, forgotten: 0, refused: 0, canceled: 0, bytes: 16 };
        assert_eq!(counts(&file), expected);
        file.close();
        end(stack);
    }

    /// R-TGT-74, R-TGT-75: sent and forgotten, the lower driver's answer goes straight to the originator.
    #[test]
    fn a_forgotten_request_is_answered_by_the_lower_driver() {
        let stack = start(&["wdm-inline", "toaster"]);
        let file = open("TestInline");
        let internal = file.start(Op::Internal { code: code(0, BUFFERED), input: vec![1], output_len: 1 });
        assert_eq!(internal.status(), NtStatus::INVALID_DEVICE_REQUEST);
        let now = counts(&file);
        assert_eq!((now.sent, now.returned, now.forgotten), (0, 0, 1));
        file.close();
        end(stack);
    }

    /// R-TGT-66, R-CAN-55: while it is below, cancel goes there.
    #[test]
    fn cancel_passes_a_filter_and_is_seen_by_its_completion_routine() {
        let stack = start(&["wdm-until-canceled", "toaster"]);
        let file = open("TestUntilCanceled");
        let reads: Vec<_> = (0..8).map(|_| file.start_read(0, 4)).collect();
        assert_eq!(counts(&file).returned, 0);
        for read in &reads {
            file.cancel(read);
            assert_eq!(read.status(), NtStatus::CANCELLED);
        }
        let now = counts(&file);
        assert_eq!((now.sent, now.returned), (8, 8));
        file.close();
        end(stack);
    }

    /// R-QUE-128: EvtIoStop with the purge action, also for a queue that is not power-managed; R-CAN-73.
    #[test]
    fn at_surprise_removal_a_filter_cancels_what_it_sent() {
        let stack = start(&["wdm-ignores-cancel", "toaster"]);
        let file = open("TestIgnoresCancel");
        let read = file.start_read(0, 4);
        stack.node().surprise_remove().expect("is removed");
        assert!(!read.status().is_success() || read.is_pending());
        file.close();
        stack.node().wait_removed();
        stack.unload().expect("unloads");
        nothing_is_left();
    }

    /// R-DEV-66: a filter's queue that is not power-managed delivers while the device sleeps.
    #[test]
    fn a_filter_sends_while_the_device_sleeps() {
        let stack = start(&["wdm-inline", "toaster"]);
        let file = open("TestInline");
        stack.node().system_power(SystemPower::Sleeping3).expect("sleeps");
        assert_eq!(file.write(0, b"asleep").information, 6);
        stack.node().system_power(SystemPower::Working).expect("wakes");
        assert_eq!(file.read(0, 6).data, b"asleep");
        file.close();
        end(stack);
    }

    /// A completion routine that passes the pending mark on.
    #[test]
    fn a_wdm_completion_routine_counts_every_request_back() {
        let stack = start(&["wdm-ignores-cancel", "wdm-count"]);
        let file = open("TestIgnoresCancel");
        let [sent, returned] = file.numbers(WDM_COUNTS);
        let reads: Vec<_> = (0..5).map(|_| file.start_read(0, 4)).collect();
        assert_eq!(file.numbers(WDM_COUNTS), [sent + 5, returned]);
        file.tell(code(1, BUFFERED), &[]);
        for read in reads {
            assert_eq!(read.status(), NtStatus::SUCCESS);
        }
        assert_eq!(file.numbers(WDM_COUNTS), [sent + 6, returned + 6]);
        file.close();
        end(stack);
    }

    #[test]
    fn a_deep_stack_of_both_kinds_carries_many_threads() {
        let stack = start(&["wdm-inline", "wdm-pass", "toaster", "wdm-count"]);
        std::thread::scope(|scope| {
            for thread in 0..4u8 {
                scope.spawn(move || {
                    let file = open("TestInline");
                    let offset = i64::from(thread) * 64;
                    for round in 0..200u8 {
                        let data = [thread, round, 7];
                        assert_eq!(file.write(offset, &data).information, 3);
                        assert_eq!(file.read(offset, 3).data, data);
                    }
                    file.close();
                });
            }
        });
        let file = open("TestInline");
        assert_eq!(counts(&file).returned, 4 * 400);
        file.close();
        end(stack);
    }
}
