//! Sending through `wdf`: the filter `sender.sys` (tests/drivers/sender) over pier.

use drydock::nt::status::NtStatus;
use rusty_fork::rusty_fork_test;
use scenarios::{Bed, Program};

/// Images from the function driver up.
const STACK: &[&str] = &["pier.sys", "rust/sender.sys"];

rusty_fork_test! {
    #[test]
    fn what_a_filter_sends_with_a_completion_routine_comes_back_as_the_lower_driver_left_it() {
        let bed = Bed::of(STACK);
        let file = Program::new().open_device();
        assert_eq!(file.write(100, b"sent").information, 4);
        assert_eq!(file.read(98, 6).data, b"\0\0sent");
        assert_eq!(file.read(i64::MAX, 1).status, NtStatus::END_OF_FILE);
        file.close();
        bed.end();
    }
}
