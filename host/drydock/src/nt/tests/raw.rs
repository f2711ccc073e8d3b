//! Requests that no program sends.

use super::*;
use crate::nt::abi::{DO_BUFFERED_IO, irp_flags};
use crate::nt::app::{Op, RawFile, RawRequest};
use crate::nt::thread::{APC_LEVEL, DISPATCH_LEVEL, PASSIVE_LEVEL};
use crate::sched::Event;
use rusty_fork::rusty_fork_test;

const READ: Op = Op::Read { offset: 0, len: 8 };

/// A device that notes what it sees of each read.
fn noting() -> Device {
    let device = Device::named("T", DO_BUFFERED_IO).log_files();
    device.on(mj::READ, |_, request| {
        let paging = at(request).flags.get() & irp_flags::PAGING_IO != 0;
        let file = irp::current(request).file_object.get();
        log(format!(
            "file={} paging={paging} kernel={} irql={}",
            !file.is_null(),
            at(request).requestor_mode.get() == 0,
            crate::nt::thread::irql()
        ));
        complete(request, NtStatus::SUCCESS, 8)
    });
    device
}

fn send(device: Device, request: RawRequest) -> NtStatus {
    let process = Process::new("raw");
    let done = Arc::new((Lock::new(None), Event::new(true, false)));
    let there = Arc::clone(&done);
    process
        .send(device.0, request, move |completion| {
            *there.0.lock() = Some(completion.status);
            there.1.set();
        })
        .unwrap();
    done.1.wait();
    let status = done.0.lock().take();
    status.unwrap()
}

rusty_fork_test! {
    #[test]
    fn a_request_may_have_no_file_or_one_that_nobody_opened() {
        let device = noting();
        let mut request = RawRequest::new(READ);
        assert_eq!(send(device, request.clone()), NtStatus::SUCCESS);
        request.file = RawFile::Unopened;
        request.kernel = false;
        assert_eq!(send(device, request), NtStatus::SUCCESS);
        assert_eq!(taken(), [
            "file=false paging=false kernel=true irql=0",
            "file=true paging=false kernel=false irql=0",
        ], "no CREATE, CLEANUP or CLOSE");
    }

    #[test]
    fn a_request_arrives_at_the_level_it_is_sent_at() {
        let device = noting();
        for level in [PASSIVE_LEVEL, APC_LEVEL, DISPATCH_LEVEL] {
            let request = RawRequest { level, paging: true, ..RawRequest::new(READ) };
            assert_eq!(send(device, request), NtStatus::SUCCESS);
            assert_eq!(taken(), [format!("file=false paging=true kernel=true irql={level}")]);
            assert_eq!(crate::nt::thread::irql(), PASSIVE_LEVEL);
        }
    }

    #[test]
    fn the_exit_of_a_process_does_not_wait_for_a_request_without_a_file() {
        let device = Device::named("T", DO_BUFFERED_IO);
        let kept = device.keep(mj::READ);
        let process = Process::new("raw");
        let io = process.send(device.0, RawRequest::new(READ), |_| log("done")).unwrap();
        process.kill();
        assert!(io.cancel());
        let _ = complete(kept.take(), NtStatus::CANCELLED, 0);
        assert_eq!(taken(), ["done"]);
        assert!(!io.cancel());
    }
}
