//! Bad input at the control device: each is answered with the fitting NTSTATUS and changes nothing.

use drydock::nt::app::{Process, Token};
use drydock::nt::status::NtStatus;
use ferry_abi::control::{
    Delay, Hold, IOCTL_FERRY_DELAY, IOCTL_FERRY_HOLD, IOCTL_FERRY_INFO, IOCTL_FERRY_RELEASE,
    IOCTL_FERRY_STATS, MAX_DELAY_MS, MAX_HOLD_MS, Release, Select, WIN32_NAME, ops,
};
use ferry_abi::{ControlCode, Method};
use rusty_fork::rusty_fork_test;
use scenarios::{Bed, Program};
use zerocopy::IntoBytes;

rusty_fork_test! {
    /// Wrong sizes, versions, ranges and reserved fields.
    #[test]
    fn a_malformed_control_is_refused_and_nothing_is_held_or_delayed() {
        let bed = Bed::ferry_over_pier();
        let program = Program::new();
        let ferry = program.open_ferry();
        let id = ferry.device().id;
        let good = Hold::new(id, ops::WRITE, 0, 0);

        let refused = |code: ControlCode, input: &[u8], want: NtStatus, what: &str| {
            let done = ferry.ioctl(code, input, 0);
            assert_eq!((done.status, done.information), (want, 0), "{what}");
        };
        let bytes = good.as_bytes();
        for len in 0..bytes.len() {
            let done = ferry.ioctl(IOCTL_FERRY_HOLD, &bytes[..len], 0);
            assert!(
                [NtStatus::BUFFER_TOO_SMALL, NtStatus::INFO_LENGTH_MISMATCH].contains(&done.status),
                "{len} bytes: {}", done.status
            );
        }
        let mut other = good;
        other.header.size += 1;
        refused(IOCTL_FERRY_HOLD, other.as_bytes(), NtStatus::INFO_LENGTH_MISMATCH, "another size");
        let mut other = good;
        other.header.version += 1;
        refused(IOCTL_FERRY_HOLD, other.as_bytes(), NtStatus::REVISION_MISMATCH, "another version");
        let mut other = good;
        other.reserved = 1;
        refused(IOCTL_FERRY_HOLD, other.as_bytes(), NtStatus::INVALID_PARAMETER, "a reserved field");
        refused(IOCTL_FERRY_HOLD, Hold::new(id, 0x80, 0, 0).as_bytes(), NtStatus::INVALID_PARAMETER, "an unknown operation");
        refused(IOCTL_FERRY_HOLD, Hold::new(id, ops::WRITE, MAX_HOLD_MS + 1, 0).as_bytes(), NtStatus::INVALID_PARAMETER, "too long a hold");
        refused(IOCTL_FERRY_HOLD, Hold::new(id + 1, ops::WRITE, 0, 0).as_bytes(), NtStatus::NO_SUCH_DEVICE, "no such device");
        refused(IOCTL_FERRY_DELAY, Delay::new(id, ops::READ, MAX_DELAY_MS + 1, 0).as_bytes(), NtStatus::INVALID_PARAMETER, "too long a delay");
        refused(IOCTL_FERRY_DELAY, Delay::new(0, ops::READ, 1, 0).as_bytes(), NtStatus::NO_SUCH_DEVICE, "device 0");
        refused(IOCTL_FERRY_RELEASE, Release::new(id + 7, 0, 0, 0).as_bytes(), NtStatus::NO_SUCH_DEVICE, "no such device");
        refused(IOCTL_FERRY_STATS, Select::new(id, 0).as_bytes(), NtStatus::BUFFER_TOO_SMALL, "no room for the answer");
        refused(IOCTL_FERRY_INFO, &[], NtStatus::BUFFER_TOO_SMALL, "no room for the answer");
        let unknown = ControlCode::new(0x8F45, 0x8FF, Method::Buffered, ferry_abi::Access::Read);
        refused(unknown, &[], NtStatus::INVALID_DEVICE_REQUEST, "an unknown control");

        let device = program.open_device();
        assert_eq!(device.write(0, &[1]).status, NtStatus::SUCCESS, "nothing is held");
        assert_eq!(ferry.device().held, 0);
        device.close();
        ferry.close();
        bed.end();
    }

    /// SDDL of the control device: SYSTEM and administrators (filter-rules 14).
    #[test]
    fn an_ordinary_user_cannot_open_the_control_device_and_nobody_opens_below_it() {
        let bed = Bed::ferry_over_pier();
        let user = Process::with_token("user.exe", Token::User);
        assert_eq!(user.open(WIN32_NAME, 0xC000_0000, 3).err(), Some(NtStatus::ACCESS_DENIED));
        let admin = Program::new();
        let below = admin.process.open(r"\\.\Ferry\x", 0xC000_0000, 3);
        assert!(below.is_err(), "{:?}", below.map(|_| "opened"));
        user.kill();
        bed.end();
    }

    /// The access bits of a code are checked against the handle: FILE_WRITE_ACCESS for what changes something.
    #[test]
    fn a_handle_opened_for_reading_cannot_hold() {
        let bed = Bed::ferry_over_pier();
        let program = Program::new();
        let handle = program.process.open(WIN32_NAME, 0x8000_0000, 3).expect("opens for reading");
        let done = handle.run(drydock::nt::app::Op::Ioctl {
            code: IOCTL_FERRY_HOLD.0,
            input: Hold::new(1, ops::WRITE, 0, 0).as_bytes().to_vec(),
            output_len: 0,
        });
        assert_eq!(done.status, NtStatus::ACCESS_DENIED);
        handle.close();
        bed.end();
    }
}
