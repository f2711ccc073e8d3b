//! Transfers in chunks (filter-rules 2, 15 and 16, design section 6), sequential and parallel.

use drydock::nt::app::Op;
use drydock::nt::status::NtStatus;
use ferry_abi::control::{
    Action, IOCTL_FERRY_PROBE, IOCTL_FERRY_SPLIT, Probe, Probed, Rule, Split, SplitMode, matching,
    ops,
};
use ferry_abi::pier::{
    Fault, IOCTL_PIER_SET_FAULT, IOCTL_PIER_SET_MAX_TRANSFER, MaxTransfer, action,
};
use rusty_fork::rusty_fork_test;
use scenarios::{Bed, Program, Session};
use zerocopy::IntoBytes;

const MODES: [(SplitMode, u32); 2] = [(SplitMode::Sequential, 1), (SplitMode::Parallel, 4)];

fn split(ferry: &Session, max: u32, (mode, depth): (SplitMode, u32)) {
    let split = Split::new(
        ferry.device().id,
        max,
        mode.code(),
        depth,
        0,
        matching::OWN_PROCESS,
        0,
    );
    ferry.tell(IOCTL_FERRY_SPLIT, split.as_bytes());
}

fn pattern(len: usize) -> Vec<u8> {
    (0..len).map(|at| (at * 7 + at / 251) as u8).collect()
}

rusty_fork_test! {
    /// Lengths around the chunk, unaligned ones included; the device takes no more than a chunk at once.
    #[test]
    fn data_of_every_length_is_the_same_in_chunks() {
        for mode in MODES {
            let bed = Bed::ferry_over_pier();
            let program = Program::new();
            let (device, ferry) = (program.open_device(), program.open_ferry());
            split(&ferry, 4096, mode);
            device.tell(IOCTL_PIER_SET_MAX_TRANSFER, MaxTransfer::new(4096, 0).as_bytes());
            for len in [0, 1, 4095, 4096, 4097, 8192, 10_000, 65_536, 300_001] {
                let data = pattern(len);
                let wrote = device.write(3, &data);
                assert_eq!((wrote.status, wrote.information), (NtStatus::SUCCESS, len as u64), "{mode:?} {len}");
                let read = device.read(3, len as u32);
                assert_eq!((read.status, read.information), (NtStatus::SUCCESS, len as u64), "{mode:?} {len}");
                assert!(read.data == data, "{mode:?} {len}");
            }
            let stats = ferry.stats();
            assert_eq!(stats.split, 10, "five lengths are longer than a chunk");
            assert_eq!(stats.chunks, 2 * (2 + 2 + 3 + 16 + 74));
            assert_eq!((stats.forwarded, stats.in_flight), (stats.completed, 0));
            device.close();
            ferry.close();
            bed.end();
        }
    }

    /// A chunk that succeeds short ends the transfer with success: end of data.
    #[test]
    fn a_transfer_across_the_end_is_short_in_chunks_too() {
        for mode in MODES {
            let bed = Bed::ferry_over_pier();
            let program = Program::new();
            let (device, ferry) = (program.open_device(), program.open_ferry());
            split(&ferry, 4096, mode);
            let end = ferry_abi::pier::CAPACITY as i64;
            let read = device.read(end - 10_000, 65_536);
            assert_eq!((read.status, read.information), (NtStatus::SUCCESS, 10_000), "{mode:?}");
            let behind = device.read(end, 65_536);
            assert_eq!((behind.status, behind.information), (NtStatus::END_OF_FILE, 0), "{mode:?}");
            device.close();
            ferry.close();
            bed.end();
        }
    }

    /// A chunk that fails ends it with that chunk's status; Information 0 for an error, the contiguous bytes for a warning.
    #[test]
    fn a_chunk_that_fails_decides_over_the_transfer() {
        for mode in MODES {
            for (status, information) in [(0xC000_003F_u32, 0), (0x8000_0005, 2 * 4096)] {
                let bed = Bed::ferry_over_pier();
                let program = Program::new();
                let (device, ferry) = (program.open_device(), program.open_ferry());
                split(&ferry, 4096, mode);
                // The third chunk.
                let fault = Fault::new(ops::READ, action::FAIL, status, 0, 2, 1);
                device.tell(IOCTL_PIER_SET_FAULT, fault.as_bytes());
                let read = device.read(0, 40_960);
                assert_eq!((read.status.0 as u32, read.information), (status, information), "{mode:?}");
                assert_eq!(device.read(0, 40_960).information, 40_960, "the next one is whole");
                device.close();
                ferry.close();
                bed.end();
            }
        }
    }

    /// EvtRequestCancel cancels the sent children; the last of them completes the parent.
    #[test]
    fn a_cancel_ends_a_transfer_whose_chunks_are_below() {
        for mode in MODES {
            let bed = Bed::of(&["c/wdm-until-canceled.sys", "ferry.sys"]);
            let program = Program::new();
            let (device, ferry) = (program.open(r"\\.\TestUntilCanceled"), program.open_ferry());
            split(&ferry, 4096, mode);
            let read = device.start(Op::Read { offset: 0, len: 65_536 });
            assert!(read.is_pending());
            assert_eq!(ferry.stats().chunks, u64::from(mode.1));
            assert!(device.cancel(&read));
            let done = read.wait();
            assert_eq!((done.status, done.information), (NtStatus::CANCELLED, 0), "{mode:?}");
            assert_eq!(ferry.stats().in_flight, 0);
            // filter-rules 10: and the closing of the handle.
            let read = device.start(Op::Read { offset: 0, len: 65_536 });
            device.close();
            assert_eq!(read.wait().status, NtStatus::CANCELLED, "{mode:?}");
            ferry.close();
            bed.end();
        }
    }

    /// filter-rules 9.
    #[test]
    fn surprise_removal_ends_a_transfer_whose_chunks_are_below() {
        for mode in MODES {
            let bed = Bed::of(&["c/wdm-until-canceled.sys", "ferry.sys"]);
            let program = Program::new();
            let (device, ferry) = (program.open(r"\\.\TestUntilCanceled"), program.open_ferry());
            split(&ferry, 4096, mode);
            let read = device.start(Op::Read { offset: 0, len: 65_536 });
            bed.stack.node().surprise_remove().expect("is removed");
            assert!(!read.wait().status.is_success(), "{mode:?}");
            device.close();
            ferry.close();
            bed.stack.node().wait_removed();
            bed.end_after_removal();
        }
    }

    /// More transfers than journeys: the further ones wait in the backlog, in their order.
    #[test]
    fn thirty_transfers_at_once_are_all_split_and_come_back() {
        for mode in MODES {
            let bed = Bed::ferry_over_pier();
            let program = Program::new();
            let ferry = program.open_ferry();
            split(&ferry, 512, mode);
            let handles: Vec<_> = (0..30).map(|_| program.open_device()).collect();
            handles[0].set_latency(1);
            let data = pattern(2048);
            let writes: Vec<_> = handles
                .iter()
                .zip(0i64..)
                .map(|(handle, at)| handle.start(Op::Write { offset: at * 2048, data: data.clone() }))
                .collect();
            for write in writes {
                let done = write.wait();
                assert_eq!((done.status, done.information), (NtStatus::SUCCESS, 2048), "{mode:?}");
            }
            handles[0].set_latency(0);
            for at in 0..30 {
                assert!(handles[0].read(at * 2048, 2048).data == data, "{mode:?} {at}");
            }
            assert_eq!(ferry.stats().in_flight, 0);
            for handle in handles {
                handle.close();
            }
            ferry.close();
            bed.end();
        }
    }

    /// A rule splits too; filter-rules 16: not where reads and writes carry raw addresses, nor beyond the longest chunk.
    #[test]
    fn a_rule_splits_what_it_matches_and_a_split_that_cannot_be_is_refused() {
        let bed = Bed::ferry_over_pier();
        let program = Program::new();
        let (device, ferry) = (program.open_device(), program.open_ferry());
        let _ = ferry.add(&Rule { bytes: 1000, ..ferry.rule(ops::WRITE, Action::Split) });
        let data = pattern(2500);
        assert_eq!(device.write(0, &data).information, 2500);
        assert_eq!((ferry.stats().split, ferry.stats().chunks), (1, 3));
        assert_eq!(device.read(0, 2500).data, data);
        assert_eq!(ferry.stats().split, 1, "reads go down whole");
        let long = Split::new(ferry.device().id, (1 << 20) + 1, 0, 0, 0, 0, 0);
        assert_eq!(ferry.ioctl(IOCTL_FERRY_SPLIT, long.as_bytes(), 0).status, NtStatus::INVALID_PARAMETER);
        device.close();
        ferry.close();
        bed.end();
        let bed = Bed::of(&["c/wdm-neither.sys", "ferry.sys"]);
        let ferry = Program::new().open_ferry();
        let any = Split::new(ferry.device().id, 4096, 0, 0, 0, 0, 0);
        assert_eq!(ferry.ioctl(IOCTL_FERRY_SPLIT, any.as_bytes(), 0).status, NtStatus::NOT_SUPPORTED);
        ferry.close();
        bed.end();
    }

    /// Filter-rules 2: the stack does not grow with the chunks of a driver that completes inline, nor does memory.
    #[test]
    fn a_transfer_in_thousands_of_inline_chunks_needs_no_stack_and_no_memory_for_them() {
        for mode in MODES {
            let bed = Bed::of(&["c/wdm-early.sys", "ferry.sys"]);
            let program = Program::new();
            let (device, ferry) = (program.open(r"\\.\TestEarly"), program.open_ferry());
            split(&ferry, 4096, mode);
            let read = device.read(0, 64 << 20);
            assert_eq!((read.status, read.information), (NtStatus::SUCCESS, 64 << 20), "{mode:?}");
            assert!(read.data.iter().all(|byte| *byte == 0xea));
            assert_eq!(ferry.stats().chunks, 16_384);
            device.close();
            ferry.close();
            bed.end();
        }
    }

    /// Design 6: a synchronous probe of the lower device, with a timeout.
    #[test]
    fn a_probe_tells_whether_the_lower_device_answers() {
        let probe = |ferry: &Session, length, timeout| -> Probed {
            let probe = Probe::new(ferry.device().id, ops::READ, 0, length, 0, timeout, 0);
            ferry.query(IOCTL_FERRY_PROBE, probe.as_bytes())
        };
        let bed = Bed::ferry_over_pier();
        let ferry = Program::new().open_ferry();
        let answer = probe(&ferry, 16, 10_000);
        assert_eq!((answer.status, answer.information), (0, 16));
        ferry.close();
        bed.end();
        let bed = Bed::of(&["c/wdm-until-canceled.sys", "ferry.sys"]);
        let ferry = Program::new().open_ferry();
        let answer = probe(&ferry, 16, 20);
        assert_eq!(answer.status, 0xC000_00B5, "STATUS_IO_TIMEOUT");
        assert!(answer.elapsed >= 190_000, "{} units", answer.elapsed);
        ferry.close();
        bed.end();
    }
}
