//! Remote targets through `wdf`: `sender.sys` (tests/drivers/sender) sends requests of its own to another device, a driver in C's.

use std::path::PathBuf;

use drydock::nt::app::{Completion, Op};
use drydock::nt::status::NtStatus;
use drydock::stack::Stack;
use rusty_fork::rusty_fork_test;
use scenarios::{Bed, Program, Session, image};

/// As in the driver's `control.rs`.
const OPEN_BY_NAME: u32 = 16;
const OPEN_BY_FILE: u32 = 17;
const OPEN_NOBODY: u32 = 18;
const CLOSE: u32 = 19;
const REOPEN: u32 = 20;
const STOP: u32 = 21;
const PURGE: u32 = 22;
const START: u32 = 23;
const READ: u32 = 24;

fn ask(file: &Session, number: u32) -> Completion {
    let op = Op::Ioctl {
        code: 0x22 << 16 | (0xA00 + number) << 2,
        input: Vec::new(),
        output_len: if number == READ { 6 } else { 0 },
    };
    file.start(op).wait()
}

/// sender over pier, and beside it the other device, with something written to it.
struct Beds {
    bed: Bed,
    other: Stack,
    file: Session,
}

impl Beds {
    fn new() -> Self {
        let bed = Bed::of(&["pier.sys", "rust/sender.sys"]);
        let path: PathBuf = image("c/wdm-inline.sys");
        let other = match Stack::build(r"ROOT\OTHER\0000", &[&path]) {
            Ok(other) => other,
            Err(reason) => panic!("{reason}"),
        };
        let writer = Program::new().open(r"\\.\TestInline");
        assert_eq!(
            writer.write(0, b"remote0123456789").status,
            NtStatus::SUCCESS
        );
        writer.close();
        let file = Program::new().open_device();
        Self { bed, other, file }
    }

    fn end(self) {
        self.file.close();
        if let Err(reason) = self.other.remove() {
            panic!("{reason}");
        }
        self.bed.end();
    }
}

rusty_fork_test! {
    /// R-TGT-04, R-TGT-08.
    #[test]
    fn a_device_opened_by_name_is_read_from() {
        let beds = Beds::new();
        assert_eq!(ask(&beds.file, OPEN_BY_NAME).status, NtStatus::SUCCESS);
        assert_eq!(ask(&beds.file, READ).data, b"remote");
        assert_eq!(ask(&beds.file, CLOSE).status, NtStatus::SUCCESS);
        beds.end();
    }

    /// R-TGT-05: through a file object of its own, which goes with the close.
    #[test]
    fn a_device_opened_by_file_object_is_read_from() {
        let beds = Beds::new();
        assert_eq!(ask(&beds.file, OPEN_BY_FILE).status, NtStatus::SUCCESS);
        assert_eq!(ask(&beds.file, READ).data, b"remote");
        assert_eq!(ask(&beds.file, CLOSE).status, NtStatus::SUCCESS);
        // R-TGT-07
        assert_eq!(ask(&beds.file, REOPEN).status, NtStatus::INVALID_DEVICE_REQUEST);
        beds.end();
    }

    #[test]
    fn a_target_that_could_not_be_opened_can_be_opened_again() {
        let beds = Beds::new();
        let failed = ask(&beds.file, OPEN_NOBODY).status;
        assert_eq!(failed, NtStatus::OBJECT_NAME_NOT_FOUND);
        assert_eq!(ask(&beds.file, OPEN_BY_NAME).status, NtStatus::SUCCESS);
        assert_eq!(ask(&beds.file, READ).data, b"remote");
        assert_eq!(ask(&beds.file, CLOSE).status, NtStatus::SUCCESS);
        beds.end();
    }

    /// R-TGT-26, R-TGT-55.
    #[test]
    fn a_closed_target_refuses_and_a_reopened_one_does_not() {
        let beds = Beds::new();
        assert_eq!(ask(&beds.file, OPEN_BY_NAME).status, NtStatus::SUCCESS);
        assert_eq!(ask(&beds.file, CLOSE).status, NtStatus::SUCCESS);
        assert_eq!(ask(&beds.file, READ).status, NtStatus::INVALID_DEVICE_STATE);
        assert_eq!(ask(&beds.file, REOPEN).status, NtStatus::SUCCESS);
        assert_eq!(ask(&beds.file, READ).data, b"remote");
        assert_eq!(ask(&beds.file, CLOSE).status, NtStatus::SUCCESS);
        beds.end();
    }

    /// R-TGT-20, R-TGT-25, R-TGT-55, R-TGT-63.
    #[test]
    fn a_purged_target_refuses_a_stopped_one_holds_and_a_started_one_sends() {
        let beds = Beds::new();
        assert_eq!(ask(&beds.file, OPEN_BY_NAME).status, NtStatus::SUCCESS);
        assert_eq!(ask(&beds.file, PURGE).status, NtStatus::SUCCESS);
        assert_eq!(ask(&beds.file, READ).status, NtStatus::INVALID_DEVICE_STATE);
        assert_eq!(ask(&beds.file, STOP).status, NtStatus::SUCCESS);
        assert_eq!(ask(&beds.file, READ).status, NtStatus::IO_TIMEOUT);
        assert_eq!(ask(&beds.file, START).status, NtStatus::SUCCESS);
        assert_eq!(ask(&beds.file, READ).data, b"remote");
        assert_eq!(ask(&beds.file, CLOSE).status, NtStatus::SUCCESS);
        beds.end();
    }

    /// R-TGT-10: an open target goes with its device, and so does its file object.
    #[test]
    fn a_target_left_open_is_closed_with_its_device() {
        for open in [OPEN_BY_NAME, OPEN_BY_FILE] {
            let beds = Beds::new();
            assert_eq!(ask(&beds.file, open).status, NtStatus::SUCCESS);
            assert_eq!(ask(&beds.file, READ).data, b"remote");
            beds.file.close();
            if let Err(reason) = beds.bed.stack.remove() {
                panic!("{reason}");
            }
            if let Err(reason) = beds.other.remove() {
                panic!("{reason}");
            }
            let leaks = drydock::verify::leak_report();
            assert!(leaks.is_empty(), "{leaks}");
        }
    }
}
