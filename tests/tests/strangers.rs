//! `ferry.sys` over devices of other people, and between filters of other people (filter-rules, "Lower drivers to test
//! over"): what a program sees must not depend on ferry being there.
//!
//! The drivers are those of drydock's own tests (`host/drydock/tests/drivers`, in C).

use drydock::nt::app::Op;
use drydock::nt::pnp::SystemPower;
use drydock::nt::status::NtStatus;
use ferry_abi::control::ops;
use rusty_fork::rusty_fork_test;
use scenarios::{Bed, Program, Session};

/// What stands above the lower driver, from the lowest up: ferry with and without a KMDF and WDM filters of others.
const ABOVE: &[&[&str]] = &[
    &["ferry.sys"],
    &["c/toaster.sys", "ferry.sys"],
    &["ferry.sys", "c/toaster.sys"],
    &["c/wdm-count.sys", "ferry.sys", "c/wdm-pass.sys"],
];

/// A control code of the drivers in C.
const fn code(number: u32, method: u32) -> u32 {
    0x22 << 16 | (0x800 + number) << 2 | method
}

const BUFFERED: u32 = 0;
const NEITHER: u32 = 3;

fn control(
    session: &Session,
    code: u32,
    input: &[u8],
    output_len: u32,
) -> drydock::nt::app::Completion {
    let input = input.to_vec();
    session
        .start(Op::Ioctl {
            code,
            input,
            output_len,
        })
        .wait()
}

/// Runs `test` on the lower driver's device, once for each set of filters.
fn in_every_stack(lower: &str, name: &str, test: impl Fn(&Session)) {
    for above in ABOVE {
        let lower = format!("c/{lower}.sys");
        let images: Vec<&str> = std::iter::once(lower.as_str())
            .chain(above.iter().copied())
            .collect();
        println!("{images:?}");
        let bed = Bed::of(&images);
        let session = Program::new().open(&format!(r"\\.\{name}"));
        test(&session);
        session.close();
        bed.end();
    }
}

rusty_fork_test! {
    #[test]
    fn memory_that_completes_inline_is_the_same_through_ferry() {
        in_every_stack("wdm-inline", "TestInline", |file| {
            assert_eq!(file.write(100, b"stranger").information, 8);
            assert_eq!(file.read(98, 10).data, b"\0\0stranger");
            assert_eq!(file.read(4096, 1).status, NtStatus::END_OF_FILE);
            assert_eq!(control(file, code(0, BUFFERED), b"abc", 3).data, b"cba");
            assert_eq!(file.start(Op::Flush).wait().status, NtStatus::SUCCESS);
        });
    }

    #[test]
    fn a_driver_that_must_be_at_passive_level_is_called_there_through_ferry() {
        in_every_stack("wdm-passive", "TestPassive", |file| {
            assert_eq!(file.write(0, b"paged").information, 5);
            assert_eq!(file.read(0, 5).data, b"paged");
        });
    }

    /// filter-rules 1: a delayed request is sent again from PASSIVE_LEVEL, never from the timer.
    #[test]
    fn a_delayed_request_reaches_a_driver_that_must_be_at_passive_level() {
        let bed = Bed::of(&["c/wdm-passive.sys", "ferry.sys"]);
        let program = Program::new();
        let (file, ferry) = (program.open(r"\\.\TestPassive"), program.open_ferry());
        ferry.delay(ops::READ | ops::WRITE, 5);
        assert_eq!(file.write(0, b"later").information, 5);
        assert_eq!(file.read(0, 5).data, b"later");
        file.close();
        ferry.close();
        bed.end();
    }

    /// filter-rules 11: the file object reaches the lower driver.
    #[test]
    fn state_that_belongs_to_a_handle_is_found_through_ferry() {
        in_every_stack("wdm-handle", "TestHandle", |file| {
            let other = Program::new().open(r"\\.\TestHandle");
            assert_eq!(other.write(0, &40u32.to_le_bytes()).status, NtStatus::SUCCESS);
            assert_eq!(file.read(0, 4).data, 0u32.to_le_bytes());
            assert_eq!(other.read(0, 4).data, 40u32.to_le_bytes());
            assert_eq!(file.read(0, 4).data, 1u32.to_le_bytes());
            other.close();
        });
    }

    /// filter-rules 3: NEITHER is skipped down in the caller's thread.
    #[test]
    fn raw_user_addresses_pass_ferry_in_the_callers_thread() {
        in_every_stack("wdm-neither", "TestNeither", |file| {
            assert_eq!(file.write(5, b"neither").information, 7);
            assert_eq!(file.read(5, 7).data, b"neither");
            assert_eq!(control(file, code(0, NEITHER), b"\x0f\xf0", 2).data, b"\xf0\x0f");
        });
    }

    #[test]
    fn what_ends_only_by_cancel_ends_by_cancel_through_ferry() {
        in_every_stack("wdm-until-canceled", "TestUntilCanceled", |file| {
            let reads: Vec<_> = (0..10).map(|offset| file.start(Op::Read { offset, len: 8 })).collect();
            for read in &reads {
                assert!(file.cancel(read));
                assert_eq!(read.wait().status, NtStatus::CANCELLED);
            }
        });
    }

    #[test]
    fn a_canceled_request_waits_for_the_device_that_ignores_cancel_through_ferry() {
        in_every_stack("wdm-ignores-cancel", "TestIgnoresCancel", |file| {
            let read = file.start(Op::Read { offset: 0, len: 8 });
            let _ = file.cancel(&read);
            assert!(read.is_pending());
            assert_eq!(control(file, code(1, BUFFERED), &[], 0).status, NtStatus::SUCCESS);
            assert_eq!(read.wait().status, NtStatus::CANCELLED);
        });
    }

    #[test]
    fn a_request_completed_before_pending_is_returned_passes_ferry_once() {
        in_every_stack("wdm-early", "TestEarly", |file| {
            for len in 1..50 {
                assert_eq!(file.read(0, len).data, vec![0xea; len as usize]);
            }
        });
    }

    /// filter-rules 5: status, Information and data stay equal, also for a warning.
    #[test]
    fn a_warning_keeps_its_information_and_data_through_ferry() {
        in_every_stack("wdm-warning", "TestWarning", |file| {
            for done in [file.read(0, 10), control(file, code(0, BUFFERED), &[], 10)] {
                assert_eq!((done.status, done.information), (NtStatus::BUFFER_OVERFLOW, 5));
                assert_eq!(done.data, [0x57; 5]);
            }
        });
    }

    #[test]
    fn message_boundaries_survive_ferry() {
        in_every_stack("wdm-message", "TestMessage", |file| {
            let waiting = file.start(Op::Read { offset: 0, len: 16 });
            assert_eq!(file.write(0, b"first").information, 5);
            assert_eq!(waiting.wait().data, b"first");
            assert_eq!(file.write(0, b"").status, NtStatus::SUCCESS);
            assert_eq!(file.write(0, b"a longer message").status, NtStatus::SUCCESS);
            let empty = file.read(0, 16);
            assert_eq!((empty.status, empty.information), (NtStatus::SUCCESS, 0));
            let cut = file.read(0, 4);
            assert_eq!((cut.status, cut.data.as_slice()), (NtStatus::BUFFER_OVERFLOW, &b"a lo"[..]));
        });
    }

    /// filter-rules 10: CLEANUP ends a handle's requests wherever they wait.
    #[test]
    fn closing_a_handle_ends_its_requests_below_ferry() {
        in_every_stack("wdm-message", "TestMessage", |_| {
            let other = Program::new().open(r"\\.\TestMessage");
            let read = other.start(Op::Read { offset: 0, len: 1 });
            other.close();
            assert_eq!(read.wait().status, NtStatus::CANCELLED);
        });
    }

    /// filter-rules 8 and 9.
    #[test]
    fn surprise_removal_ends_what_waits_below_and_above() {
        for lower in ["wdm-until-canceled", "sequential", "power"] {
            let bed = Bed::of(&[&format!("c/{lower}.sys"), "ferry.sys"]);
            let name = match lower {
                "sequential" => "TestSequential",
                "power" => "TestPower",
                _ => "TestUntilCanceled",
            };
            let file = Program::new().open(&format!(r"\\.\{name}"));
            if lower == "sequential" {
                // It works on a request until it is told to stop.
                let forever = control(&file, code(0, BUFFERED), &u32::MAX.to_le_bytes(), 0);
                assert_eq!(forever.status, NtStatus::SUCCESS);
            }
            let reads: Vec<_> = (0..5).map(|offset| file.start(Op::Read { offset, len: 8 })).collect();
            bed.stack.node().surprise_remove().expect("is removed");
            for read in reads {
                let status = read.wait().status;
                assert!(!status.is_success(), "{lower}: {status}");
            }
            file.close();
            bed.stack.node().wait_removed();
            bed.end_after_removal();
        }
    }

    /// R-QUE-125: a foreign function driver keeps its requests over a sleep, those that ferry has forwarded.
    #[test]
    fn a_sleeping_foreign_device_keeps_what_ferry_sent() {
        let bed = Bed::of(&["c/power.sys", "ferry.sys"]);
        let file = Program::new().open(r"\\.\TestPower");
        let (read, write) = (
            file.start(Op::Read { offset: 0, len: 4 }),
            file.start(Op::Write { offset: 0, data: vec![1] }),
        );
        bed.stack.node().system_power(SystemPower::Sleeping3).expect("sleeps");
        assert!(read.is_pending() && write.is_pending());
        bed.stack.node().system_power(SystemPower::Working).expect("wakes");
        assert_eq!(control(&file, code(1, BUFFERED), &[], 0).status, NtStatus::SUCCESS);
        assert_eq!(read.wait().status, NtStatus::SUCCESS);
        assert_eq!(write.wait().status, NtStatus::SUCCESS);
        file.close();
        bed.end();
    }
}
