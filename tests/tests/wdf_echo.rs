//! The driver of the author's guide, `echo.sys` (tests/drivers/echo).

use std::{fs, path::Path};

use drydock::nt::app::Op;
use drydock::nt::pnp::Guid;
use drydock::nt::status::NtStatus;
use rusty_fork::rusty_fork_test;
use scenarios::{Bed, Program, Session};

fn open() -> Session {
    let interface = *b"\xc0\x0e\xc7\xe5\x5a\x3b\x7e\x4f\x9d\x1eEchoes";
    let paths = drydock::nt::pnp::interfaces(Guid(interface));
    let [path] = paths.as_slice() else {
        panic!("one interface of echo expected, found {paths:?}");
    };
    Program::new().open(path)
}

rusty_fork_test! {
    #[test]
    fn what_is_written_comes_back_and_what_waits_can_be_canceled() {
        let bed = Bed::of(&["rust/echo.sys"]);
        let file = open();
        assert_eq!(file.write(0, b"who is there").information, 12);
        assert_eq!(file.read(0, 64).data, b"who is there");
        assert_eq!(file.read(0, 3).data, b"who");
        let waiting: Vec<_> = (0..3).map(|_| file.start(Op::Read { offset: 0, len: 5 })).collect();
        assert!(file.cancel(&waiting[1]));
        let ends = waiting.iter().map(|read| read.wait().status);
        let ends: Vec<NtStatus> = ends.collect();
        assert_eq!(ends, [NtStatus::SUCCESS, NtStatus::CANCELLED, NtStatus::SUCCESS]);
        file.close();
        bed.end();
    }

    /// R-QUE-55: nothing is retrieved while power is held.
    #[test]
    fn requests_that_wait_survive_a_restart_of_the_device() {
        let bed = Bed::of(&["rust/echo.sys"]);
        let file = open();
        let waiting = file.start(Op::Write { offset: 0, data: b"later".to_vec() });
        bed.stack.node().restart().expect("restarts");
        assert_eq!(waiting.wait().information, 5);
        file.close();
        bed.end();
    }
}

/// The guide prints the driver that is built and run here.
#[test]
fn the_guide_prints_this_driver() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let read = |path: &str| fs::read_to_string(root.join(path)).expect(path);
    let driver = read("tests/drivers/echo/src/lib.rs");
    assert!(read("crates/wdf/README.md").contains(&driver));
    assert!(driver.lines().count() < 120);
    assert!(driver.contains("#![forbid(unsafe_code)]"));
}
