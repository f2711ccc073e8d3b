//! Requests through `ferry.sys` to `pier.sys` and back.

use drydock::nt::app::Op;
use drydock::nt::status::NtStatus;
use ferry_abi::pier::{
    CAPACITY, IOCTL_PIER_ECHO, IOCTL_PIER_ECHO_DIRECT, IOCTL_PIER_ECHO_NEITHER, IOCTL_PIER_SUM,
};
use rusty_fork::rusty_fork_test;
use scenarios::{Bed, Program};

rusty_fork_test! {
    /// The lower driver's status and Information go up unchanged (R-TGT-89).
    #[test]
    fn what_is_written_through_ferry_is_read_back_through_ferry() {
        let bed = Bed::ferry_over_pier();
        let program = Program::new();
        let device = program.open_device();
        let text = b"who owns this request now?";
        let wrote = device.write(4096, text);
        assert_eq!((wrote.status, wrote.information), (NtStatus::SUCCESS, text.len() as u64));
        let read = device.read(4096, 64);
        assert_eq!(read.status, NtStatus::SUCCESS);
        assert_eq!(read.information, 64);
        assert_eq!(&read.data[..text.len()], text);
        assert!(read.data[text.len()..].iter().all(|byte| *byte == 0));
        device.close();
        bed.end();
    }

    /// A short transfer stays short: ferry adds nothing to Information.
    #[test]
    fn a_read_across_the_end_is_short_and_one_behind_it_is_refused_by_pier() {
        let bed = Bed::ferry_over_pier();
        let program = Program::new();
        let device = program.open_device();
        let end = i64::try_from(CAPACITY).unwrap_or(i64::MAX);
        let across = device.read(end - 10, 100);
        assert_eq!((across.status, across.information), (NtStatus::SUCCESS, 10));
        let behind = device.read(end, 1);
        assert_eq!((behind.status, behind.information), (NtStatus::END_OF_FILE, 0));
        device.close();
        bed.end();
    }

    /// Zero-length transfers reach the device (filter-rules 4, R-QUE-56).
    #[test]
    fn a_zero_length_write_is_presented_to_ferry_and_succeeds() {
        let bed = Bed::ferry_over_pier();
        let program = Program::new();
        let (device, ferry) = (program.open_device(), program.open_ferry());
        let wrote = device.write(0, &[]);
        assert_eq!((wrote.status, wrote.information), (NtStatus::SUCCESS, 0));
        assert_eq!(ferry.stats().writes, 1);
        device.close();
        ferry.close();
        bed.end();
    }

    /// All four transfer methods (R-REQ-66, R-REQ-67); METHOD_NEITHER is skipped down in the caller's thread (filter-rules 3).
    #[test]
    fn controls_of_all_four_methods_come_back_with_piers_answer() {
        let bed = Bed::ferry_over_pier();
        let program = Program::new();
        let (device, ferry) = (program.open_device(), program.open_ferry());
        let input: Vec<u8> = (0..100).collect();
        for code in [IOCTL_PIER_ECHO, IOCTL_PIER_ECHO_DIRECT, IOCTL_PIER_ECHO_NEITHER] {
            let done = device.ioctl(code, &input, 100);
            assert_eq!(done.status, NtStatus::SUCCESS, "{code:?}");
            assert_eq!(done.data, input, "{code:?}");
            let short = device.ioctl(code, &input, 7);
            assert_eq!((short.status, short.information), (NtStatus::SUCCESS, 7), "{code:?}");
        }
        let sum = device.start(Op::IoctlWith {
            code: IOCTL_PIER_SUM.0,
            input: vec![1; 10],
            output: vec![2; 10],
        }).wait();
        // 30 modulo (output length + 1): Information may not exceed the output buffer (R-REQ-16).
        assert_eq!((sum.status, sum.information), (NtStatus::SUCCESS, 30 % 11));
        let stats = ferry.stats();
        assert_eq!((stats.controls, stats.skipped), (5, 2));
        device.close();
        ferry.close();
        bed.end();
    }

    /// A control nobody knows is refused by the device, not by the filter (filter-rules 5).
    #[test]
    fn an_unknown_control_is_refused_with_the_same_status_with_and_without_ferry() {
        let bed = Bed::ferry_over_pier();
        let program = Program::new();
        let device = program.open_device();
        let unknown = ferry_abi::ControlCode::new(
            0x22, 0xF00, ferry_abi::Method::Buffered, ferry_abi::Access::ReadWrite);
        let over_ferry = device.ioctl(unknown, &[1, 2, 3], 3);
        device.close();
        bed.end();
        let bed = Bed::of(&["pier.sys"]);
        let program = Program::new();
        let device = program.open_device();
        let alone = device.ioctl(unknown, &[1, 2, 3], 3);
        assert_eq!(alone.status, NtStatus::INVALID_DEVICE_REQUEST);
        assert_eq!(over_ferry, alone);
        device.close();
        bed.end();
    }

    /// The images bind to the table of the version they were built for and to a later, longer one.
    #[test]
    fn both_images_bind_run_and_unload_on_kmdf_1_15() {
        on_version(15);
    }

    /// As above.
    #[test]
    fn both_images_bind_run_and_unload_on_kmdf_1_31() {
        on_version(31);
    }
}

fn on_version(minor: u32) {
    let bed = Bed::on_kmdf(minor);
    let program = Program::new();
    let device = program.open_device();
    let done = device.ioctl(IOCTL_PIER_ECHO, b"ahoy", 4);
    assert_eq!(
        (done.status, done.data.as_slice()),
        (NtStatus::SUCCESS, b"ahoy".as_slice())
    );
    device.close();
    bed.end();
}
