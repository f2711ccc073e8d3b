//! Device stacks: forwarding, completion routines, attaching.

use super::pending::start;
use super::*;
use crate::nt::abi::{DO_BUFFERED_IO, Kevent};
use crate::nt::app::Op;
use crate::nt::{object, pool};
use rusty_fork::rusty_fork_test;

const READ: Op = Op::Read { offset: 0, len: 8 };

/// Passes a request on with a completion routine.
fn forward(
    below: Device,
    routine: crate::nt::abi::Completion,
    context: *mut u8,
) -> impl Fn(*mut DeviceObject, *mut Irp) -> NtStatus {
    let context = Address(context);
    move |_, request| {
        irp::copy_current_to_next(request);
        irp::set_completion_routine(request, routine, context.get(), true, true, true);
        irp::call_driver(below.wdm(), request)
    }
}

extern "win64" fn note(device: *mut DeviceObject, request: *mut Irp, context: *mut u8) -> NtStatus {
    let view = at(request);
    log(format!(
        "routine {} pending={} status={} device={}",
        context as usize,
        view.pending_returned.get(),
        view.io_status.status.get().is_success(),
        !device.is_null()
    ));
    if view.pending_returned.get() != 0 {
        irp::mark_pending(request);
    }
    NtStatus::SUCCESS
}

extern "win64" fn take_back(
    _device: *mut DeviceObject,
    _request: *mut Irp,
    context: *mut u8,
) -> NtStatus {
    log("taken back");
    crate::nt::wait::set_event(context.cast());
    NtStatus::MORE_PROCESSING_REQUIRED
}

rusty_fork_test! {
    #[test]
    fn completion_routines_run_from_the_bottom_up_with_pending_passed_on() {
        let bottom = Device::named("T", DO_BUFFERED_IO);
        let kept = bottom.keep(mj::READ);
        let middle = Device::unnamed().over(bottom);
        middle.on(mj::READ, forward(bottom, note, 11 as *mut u8));
        let top = Device::unnamed().over(middle);
        top.on(mj::READ, forward(middle, note, 22 as *mut u8));
        assert_eq!(at(top.wdm()).stack_size.get(), 3);
        let (_process, handle) = open("T");
        let (_, end) = start(&handle, READ);
        let _ = complete(kept.take(), NtStatus::SUCCESS, 0);
        end.wait();
        assert_eq!(taken(), [
            "routine 11 pending=1 status=true device=true",
            "routine 22 pending=1 status=true device=true",
        ]);
    }

    #[test]
    fn a_skipped_location_leaves_the_request_to_the_driver_below() {
        let bottom = Device::named("T", DO_BUFFERED_IO);
        bottom.on(mj::READ, |_, request| {
            log(format!("location {}", at(request).current_location.get()));
            complete(request, NtStatus::SUCCESS, 0)
        });
        let top = Device::unnamed().over(bottom);
        top.on(mj::READ, move |_, request| {
            irp::skip_current(request);
            irp::call_driver(bottom.wdm(), request)
        });
        assert_eq!(open("T").1.run(READ).status, NtStatus::SUCCESS);
        assert_eq!(taken(), ["location 2"]);
    }

    #[test]
    fn a_routine_that_keeps_the_request_gives_it_back_by_completing_it_again() {
        let bottom = Device::named("T", DO_BUFFERED_IO);
        bottom.on(mj::READ, |_, request| complete(request, NtStatus::UNSUCCESSFUL, 0));
        let top = Device::unnamed().over(bottom);
        top.on(mj::READ, move |_, request| {
            let event: *mut Kevent = pool::allocate_internal(24, pool::Tag::new(b"Even")).cast();
            crate::nt::wait::initialize_event(event, true, false);
            irp::copy_current_to_next(request);
            irp::set_completion_routine(request, take_back, event.cast(), true, true, true);
            let _ = irp::call_driver(bottom.wdm(), request);
            assert!(crate::nt::wait::wait_for_one(event.cast(), None).is_success());
            pool::free(event.cast(), None);
            complete(request, NtStatus::SUCCESS, 0)
        });
        assert_eq!(open("T").1.run(READ).status, NtStatus::SUCCESS);
        assert_eq!(taken(), ["taken back"]);
    }

    #[test]
    fn a_routine_is_called_only_for_the_outcomes_it_asked_for() {
        let bottom = Device::named("T", DO_BUFFERED_IO);
        bottom.on(mj::READ, |_, request| complete(request, NtStatus::UNSUCCESSFUL, 0));
        let top = Device::unnamed().over(bottom);
        for (on_success, on_error, calls) in [(true, false, 0), (false, true, 1)] {
            top.on(mj::READ, move |_, request| {
                irp::copy_current_to_next(request);
                irp::set_completion_routine(request, note, std::ptr::null_mut(), on_success, on_error, false);
                irp::call_driver(bottom.wdm(), request)
            });
            let _ = open("T").1.run(READ).status;
            assert_eq!(taken().len(), calls);
        }
    }

    #[test]
    fn a_request_with_too_few_locations_is_bug_check_35() {
        let bottom = Device::unnamed();
        let request = irp::allocate(1);
        irp::set_next(request);
        expect_bug_check(0x35);
        let _ = irp::call_driver(bottom.wdm(), request);
        panic!("nobody noticed");
    }

    #[test]
    fn a_drivers_own_request_must_not_run_out_at_the_top() {
        let device = Device::unnamed();
        let request = irp::allocate(1);
        irp::next(request).major_function.set(mj::READ);
        expect_violation("NT-IRP-04");
        let _ = irp::call_driver(device.wdm(), request);
        panic!("nobody noticed");
    }

    #[test]
    fn attaching_to_any_device_of_a_stack_goes_on_top() {
        let bottom = Device::unnamed();
        let middle = Device::unnamed().over(bottom);
        let top = Device::unnamed().over(bottom);
        assert_eq!(device::attached_below(top.wdm()), middle.wdm());
        assert_eq!(device::attached_top(bottom.wdm()), top.wdm());
        assert_eq!(device::bottom(top.wdm()), bottom.wdm());
        device::detach(middle.wdm());
        assert_eq!(device::attached_top(bottom.wdm()), middle.wdm());
    }

    #[test]
    fn a_device_deleted_under_another_goes_when_that_one_has_detached() {
        let bottom = Device::unnamed();
        let top = Device::unnamed().over(bottom);
        device::delete(bottom.wdm());
        assert_eq!(device::attached_below(top.wdm()), bottom.wdm());
        assert_eq!(device::count(), 2);
        device::detach(bottom.wdm());
        assert_eq!(device::count(), 1);
        assert!(device::attached_below(top.wdm()).is_null());
    }

    #[test]
    fn a_name_is_free_again_when_the_last_handle_of_its_deleted_device_is_closed() {
        let first = Device::named("T", 0);
        let (_process, handle) = open("T");
        device::delete(first.wdm());
        let again = || device::create(test_driver(), 0, "\\Device\\T", 0x22, 0, false);
        assert_eq!(again().unwrap_err(), NtStatus::OBJECT_NAME_COLLISION);
        assert_eq!(Process::new("late").open("\\\\.\\T", 0, 3).unwrap_err(), NtStatus::NO_SUCH_DEVICE);
        handle.close();
        assert!(again().is_ok());
        assert!(object::kind_of(first.wdm().cast()).is_none());
    }

    #[test]
    fn a_driver_that_leaves_a_device_behind_cannot_unload() {
        Device::named("T", 0);
        expect_violation("NT-DRV-02");
        let _ = driver::unload(test_driver());
        panic!("nobody noticed");
    }

    #[test]
    fn a_driver_that_cleans_up_unloads_and_leaves_nothing() {
        let device = Device::named("T", 0);
        let (_process, handle) = open("T");
        handle.close();
        device::delete(device.wdm());
        driver::unload(test_driver()).unwrap();
        assert_eq!(taken(), ["unload"]);
        assert!(crate::verify::leak_report().is_empty(), "{}", crate::verify::leak_report());
        assert!(driver::by_name("Test").is_none());
    }
}
