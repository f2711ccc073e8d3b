//! Plain WDM drivers, alone and below filters: what a program sees must not depend on who is in between.

use crate::bed::*;
use drydock::nt::app::Op;
use drydock::nt::status::NtStatus;
use rusty_fork::rusty_fork_test;

/// What stands above the lower driver, from the lowest up.
const ABOVE: &[&[&str]] = &[
    &[],
    &["wdm-pass"],
    &["wdm-count"],
    &["toaster"],
    &["wdm-count", "toaster", "wdm-pass"],
];

/// Runs `test` with an open handle of the lower driver's device, once for each set of filters.
fn in_every_stack(lower: &str, name: &str, test: impl Fn(&File)) {
    for above in ABOVE {
        let images: Vec<&str> = std::iter::once(lower)
            .chain(above.iter().copied())
            .collect();
        println!("{images:?}");
        let stack = start(&images);
        let file = open(name);
        test(&file);
        file.close();
        end(stack);
    }
}

rusty_fork_test! {
    #![rusty_fork(timeout_ms = 120000)]

    #[test]
    fn memory_that_completes_inline_moves_data_by_every_method() {
        const REVERSE: u32 = code(0, BUFFERED);
        const STORE: u32 = code(1, IN_DIRECT);
        const FETCH: u32 = code(2, OUT_DIRECT);
        in_every_stack("wdm-inline", "TestInline", |file| {
            assert_eq!(file.write(100, b"hundred").information, 7);
            assert_eq!(file.read(98, 11).data, b"\0\0hundred\0\0");
            assert_eq!(file.read(4096, 1).status, NtStatus::END_OF_FILE);
            let clipped = file.read(4090, 100);
            assert_eq!((clipped.status, clipped.information), (NtStatus::SUCCESS, 6));
            assert_eq!(file.read(0, 0).status, NtStatus::SUCCESS);
            assert_eq!(file.control(REVERSE, b"abc", 3).data, b"cba");
            assert_eq!(file.control(REVERSE, b"abc", 2).status, NtStatus::BUFFER_TOO_SMALL);
            let stored = file.start(Op::IoctlWith {
                code: STORE,
                input: 200u32.to_le_bytes().to_vec(),
                output: b"direct".to_vec(),
            });
            assert_eq!(stored.wait().information, 6);
            assert_eq!(file.control(FETCH, &200u32.to_le_bytes(), 6).data, b"direct");
            assert_eq!(file.start(Op::Flush).status(), NtStatus::SUCCESS);
            assert_eq!(file.control(code(99, BUFFERED), &[], 0).status, NtStatus::INVALID_DEVICE_REQUEST);
        });
    }

    /// Requestor, process, file object and level arrive below as the program sent them.
    #[test]
    fn a_control_arrives_in_the_callers_process_at_passive_level() {
        const ARRIVAL: u32 = code(3, BUFFERED);
        for above in ABOVE {
            let images: Vec<&str> = std::iter::once("wdm-inline").chain(above.iter().copied()).collect();
            let stack = start(&images);
            let program = Program::new();
            let file = program.open("TestInline");
            let [irql, mode, has_file, _apcs_disabled, current, requestor] = file.numbers(ARRIVAL);
            let id = u32::try_from(program.id()).expect("process ids are small");
            assert_eq!([irql, mode, has_file, current, requestor], [0, 1, 1, id, id], "{images:?}");
            file.close();
            end(stack);
        }
    }

    #[test]
    fn a_driver_that_must_be_at_passive_level_is_called_there() {
        in_every_stack("wdm-passive", "TestPassive", |file| {
            assert_eq!(file.write(0, b"paged").information, 5);
            assert_eq!(file.read(0, 5).data, b"paged");
        });
    }

    /// The file object of the handle reaches the lower driver.
    #[test]
    fn state_that_belongs_to_a_handle_is_found_by_its_requests() {
        const NAME: u32 = code(0, BUFFERED);
        in_every_stack("wdm-handle", "TestHandle", |file| {
            let other = open(r"TestHandle\below");
            assert_eq!(other.write(0, &40u32.to_le_bytes()).status, NtStatus::SUCCESS);
            let numbers = |data: &[u8]| -> Vec<u32> {
                let words = data.chunks_exact(4);
                words.map(|w| u32::from_le_bytes(w.try_into().expect("four bytes"))).collect()
            };
            assert_eq!(numbers(&file.read(0, 12).data), [0, 1, 2]);
            assert_eq!(numbers(&other.read(0, 8).data), [40, 41]);
            assert_eq!(numbers(&file.read(0, 4).data), [3]);
            let name: Vec<u8> = r"\below".encode_utf16().flat_map(u16::to_le_bytes).collect();
            assert_eq!(other.control(NAME, &[], 64).data, name);
            other.close();
        });
    }

    /// Raw user addresses are good in the caller's thread, which nobody in between may change.
    #[test]
    fn raw_user_addresses_reach_the_lower_driver_in_the_callers_thread() {
        const FLIP: u32 = code(0, NEITHER);
        in_every_stack("wdm-neither", "TestNeither", |file| {
            assert_eq!(file.write(5, b"neither").information, 7);
            assert_eq!(file.read(5, 7).data, b"neither");
            assert_eq!(file.control(FLIP, b"\x0f\xf0", 2).data, b"\xf0\x0f");
        });
    }

    /// R-CAN-55: a forwarded request is canceled by whoever holds it.
    #[test]
    fn what_ends_only_by_cancel_ends_by_cancel() {
        const COUNT: u32 = code(0, BUFFERED);
        in_every_stack("wdm-until-canceled", "TestUntilCanceled", |file| {
            let all: Vec<_> = (0..10).map(|i| file.start_read(i, 8)).collect();
            assert_eq!(file.numbers(COUNT), [10]);
            file.cancel(&all[4]);
            assert_eq!(all[4].status(), NtStatus::CANCELLED);
            assert_eq!(file.numbers(COUNT), [9]);
            for (i, read) in all.iter().enumerate() {
                if i != 4 {
                    file.cancel(read);
                    assert_eq!(read.status(), NtStatus::CANCELLED);
                }
            }
        });
    }

    /// R-CAN-71: a cancel says nothing about when the request ends.
    #[test]
    fn a_canceled_request_waits_for_the_device_that_ignores_cancel() {
        const FINISH: u32 = code(1, BUFFERED);
        const COUNT: u32 = code(2, BUFFERED);
        in_every_stack("wdm-ignores-cancel", "TestIgnoresCancel", |file| {
            let (canceled, kept) = (file.start_read(0, 8), file.start_write(0, b"x"));
            file.cancel(&canceled);
            assert!(canceled.is_pending());
            assert_eq!(file.numbers(COUNT), [2]);
            file.tell(FINISH, &[]);
            assert_eq!(canceled.status(), NtStatus::CANCELLED);
            assert_eq!(kept.status(), NtStatus::SUCCESS);
        });
    }

    #[test]
    fn a_device_that_takes_its_time_ends_requests_from_a_timer() {
        const TIME: u32 = code(0, BUFFERED);
        in_every_stack("wdm-ignores-cancel", "TestIgnoresCancel", |file| {
            file.tell(TIME, &2u32.to_le_bytes());
            let all: Vec<_> = (0..5).map(|_| file.start_read(0, 8)).collect();
            file.cancel(&all[0]);
            let ends: Vec<_> = all.iter().map(Pending::status).collect();
            assert_eq!(ends[1..], [NtStatus::SUCCESS; 4]);
        });
    }

    /// The IRP is complete before its dispatch routine returns STATUS_PENDING.
    #[test]
    fn a_request_completed_before_pending_is_returned_ends_once() {
        in_every_stack("wdm-early", "TestEarly", |file| {
            for len in 1..50 {
                let done = file.read(0, len);
                assert_eq!((done.status, done.information), (NtStatus::SUCCESS, u64::from(len)));
                assert!(done.data.iter().all(|byte| *byte == 0xea));
                assert_eq!(file.write(0, &[0; 3]).information, 3);
            }
        });
    }

    /// R-REQ-18: a warning carries data.
    #[test]
    fn a_warning_status_keeps_its_information_and_data() {
        const QUERY: u32 = code(0, BUFFERED);
        in_every_stack("wdm-warning", "TestWarning", |file| {
            for done in [file.read(0, 10), file.control(QUERY, &[], 10)] {
                assert_eq!((done.status, done.information), (NtStatus::BUFFER_OVERFLOW, 5));
                assert_eq!(done.data, [0x57; 5]);
            }
        });
    }

    #[test]
    fn message_boundaries_are_kept() {
        in_every_stack("wdm-message", "TestMessage", |file| {
            let waiting = file.start_read(0, 16);
            assert_eq!(file.write(0, b"first").information, 5);
            assert_eq!(waiting.wait().data, b"first");
            assert_eq!(file.write(0, b"a longer message").status, NtStatus::SUCCESS);
            assert_eq!(file.write(0, b"").status, NtStatus::SUCCESS);
            assert_eq!(file.write(0, b"third").status, NtStatus::SUCCESS);
            let cut = file.read(0, 4);
            assert_eq!((cut.status, cut.data.as_slice()), (NtStatus::BUFFER_OVERFLOW, &b"a lo"[..]));
            let empty = file.read(0, 4);
            assert_eq!((empty.status, empty.information), (NtStatus::SUCCESS, 0));
            assert_eq!(file.read(0, 16).data, b"third");
            let canceled = file.start_read(0, 1);
            file.cancel(&canceled);
            assert_eq!(canceled.status(), NtStatus::CANCELLED);
        });
    }

    /// CLEANUP reaches the lower driver before CLOSE, and it ends the handle's requests.
    #[test]
    fn closing_a_handle_ends_its_requests_below() {
        in_every_stack("wdm-message", "TestMessage", |file| {
            let other = open("TestMessage");
            let read = other.start_read(0, 1);
            other.close();
            assert_eq!(read.status(), NtStatus::CANCELLED);
            let still = file.start_read(0, 1);
            assert_eq!(file.write(0, b"x").status, NtStatus::SUCCESS);
            assert_eq!(still.wait().data, b"x");
        });
    }

    #[test]
    fn surprise_removal_ends_what_waits_below() {
        for above in ABOVE {
            let images: Vec<&str> =
                std::iter::once("wdm-until-canceled").chain(above.iter().copied()).collect();
            println!("{images:?}");
            let stack = start(&images);
            let file = open("TestUntilCanceled");
            let reads: Vec<_> = (0..5).map(|i| file.start_read(i, 8)).collect();
            stack.node().surprise_remove().expect("is removed");
            for read in reads {
                let status = read.status();
                assert!(!status.is_success(), "{status}");
            }
            assert!(!file.read(0, 1).status.is_success());
            file.close();
            stack.node().wait_removed();
            stack.unload().expect("unloads");
            nothing_is_left();
        }
    }
}
