//! Opening and closing.

use super::pending::start;
use super::*;
use crate::nt::abi::{DO_EXCLUSIVE, text_at};
use crate::nt::app::{Op, Token};
use rusty_fork::rusty_fork_test;

const READ: Op = Op::Read { offset: 0, len: 0 };

rusty_fork_test! {
    #[test]
    fn the_exit_of_a_process_cancels_requests_whose_handle_is_closed() {
        let device = Device::named("T", 0);
        device.on(mj::READ, |_, request| {
            irp::mark_pending(request);
            irp::set_cancel_routine(request, Some(end_canceled as crate::nt::abi::Cancel));
            NtStatus::PENDING
        });
        let (process, handle) = open("T");
        let (_, end) = super::pending::start(&handle, crate::nt::app::Op::Read { offset: 0, len: 0 });
        handle.close();
        assert!(!end.is_done(), "CloseHandle cancels nothing");
        process.kill();
        assert_eq!(end.wait().status, NtStatus::CANCELLED);
    }

    #[test]
    fn a_file_is_created_cleaned_up_and_closed_once() {
        Device::named("T", 0).log_files();
        let (process, handle) = open("T");
        handle.close();
        handle.close();
        assert_eq!(taken(), ["CREATE", "CLEANUP", "CLOSE"]);
        assert_eq!(process.open_handles(), 0);
        assert_eq!(handle.run(READ).status, NtStatus::INVALID_HANDLE);
    }

    #[test]
    fn a_create_that_fails_is_followed_by_nothing() {
        let device = Device::named("T", 0).log_files();
        device.on(mj::CREATE, |_, request| complete(request, NtStatus::DEVICE_BUSY, 0));
        let process = Process::new("program");
        assert_eq!(process.open("\\\\.\\T", 0, 3).unwrap_err(), NtStatus::DEVICE_BUSY);
        assert!(taken().is_empty());
        assert_eq!(at(device.wdm()).reference_count.load(std::sync::atomic::Ordering::SeqCst), 0);
    }

    #[test]
    fn the_rest_of_the_path_reaches_the_driver() {
        let device = Device::named("T", 0);
        device.on(mj::CREATE, |_, request| {
            let file = at(irp::current(request).file_object.get());
            log(text_at(std::ptr::from_ref(&file.file_name).cast_mut()));
            complete(request, NtStatus::SUCCESS, 0)
        });
        let process = Process::new("program");
        process.open("\\\\.\\T\\Sub\\Path", 0, 3).unwrap();
        process.open("\\\\.\\t", 0, 3).unwrap();
        assert_eq!(taken(), ["\\Sub\\Path", ""]);
        assert_eq!(process.open("\\\\.\\U", 0, 3).unwrap_err(), NtStatus::OBJECT_NAME_NOT_FOUND);
    }

    #[test]
    fn an_exclusive_device_has_one_file_at_a_time() {
        Device::named("T", DO_EXCLUSIVE);
        let (process, handle) = open("T");
        assert_eq!(process.open("\\\\.\\T", 0, 3).unwrap_err(), NtStatus::ACCESS_DENIED);
        handle.close();
        assert!(process.open("\\\\.\\T", 0, 3).is_ok());
    }

    #[test]
    fn a_device_for_administrators_is_not_opened_by_a_user() {
        let device = Device::named("T", 0);
        device::set_security(device.wdm(), "D:P(A;;GA;;;SY)(A;;GA;;;BA)");
        let user = Process::with_token("user", Token::User);
        assert_eq!(user.open("\\\\.\\T", 0x8000_0000, 3).unwrap_err(), NtStatus::ACCESS_DENIED);
        assert!(Process::new("administrator").open("\\\\.\\T", 0x8000_0000, 3).is_ok());
    }

    #[test]
    fn cleanup_waits_for_the_last_handle_and_close_for_the_last_request() {
        let device = Device::named("T", 0).log_files();
        let kept = device.keep(mj::READ);
        let (process, handle) = open("T");
        let other = Process::new("other");
        let second = handle.duplicate(&other).unwrap();
        let (_, end) = start(&handle, READ);
        handle.close();
        assert_eq!(taken(), ["CREATE"]);
        second.close();
        assert_eq!(taken(), ["CLEANUP"]);
        let _ = complete(kept.take(), NtStatus::SUCCESS, 0);
        assert_eq!(end.wait().status, NtStatus::SUCCESS);
        assert_eq!(taken(), ["CLOSE"]);
        drop(process);
    }

    #[test]
    fn a_file_whose_last_request_ends_at_dispatch_level_is_closed_at_passive_level() {
        let device = Device::named("T", 0).log_files();
        device.on(mj::CLOSE, |_, request| {
            log(format!("close at {}", crate::nt::thread::irql()));
            complete(request, NtStatus::SUCCESS, 0)
        });
        let kept = device.keep(mj::READ);
        let (_process, handle) = open("T");
        let (_, end) = start(&handle, READ);
        handle.close();
        taken();
        let request = Address(kept.take());
        crate::nt::dpc::call(move || {
            let _ = complete(request.get(), NtStatus::SUCCESS, 0);
        });
        end.wait();
        crate::nt::workitem::wait_idle();
        assert_eq!(taken(), ["close at 0"]);
    }

    #[test]
    fn a_process_that_is_killed_has_its_requests_canceled_before_its_files_are_cleaned_up() {
        let device = Device::named("T", 0).log_files();
        device.on(mj::READ, super::cancel::pend_cancelable);
        let (process, handle) = open("T");
        let another = process.open("\\\\.\\T", 0xc000_0000, 3).unwrap();
        let ends = [start(&handle, READ).1, start(&another, READ).1, start(&handle, READ).1];
        taken();
        process.kill();
        assert_eq!(taken(), ["canceled", "canceled", "canceled", "CLEANUP", "CLOSE", "CLEANUP", "CLOSE"]);
        assert!(ends.iter().all(|end| end.wait().status == NtStatus::CANCELLED));
        assert_eq!((process.outstanding(), process.open_handles()), (0, 0));
        assert_eq!(process.open("\\\\.\\T", 0, 3).unwrap_err(), NtStatus::PROCESS_IS_TERMINATING);
    }
}

extern "win64" fn end_canceled(_device: *mut DeviceObject, request: *mut Irp) {
    irp::release_cancel_lock(at(request).cancel_irql.get());
    let _ = complete(request, NtStatus::CANCELLED, 0);
}
