//! What drydock forces on drivers: completions that come later, removals that find requests, calls that fail.

use super::pending::start;
use super::*;
use crate::nt::abi::DO_BUFFERED_IO;
use crate::nt::app::Op;
use crate::nt::pnp::{DevNode, DevNodeConfig};
use crate::nt::pool;
use crate::verify::LowResources;
use rusty_fork::rusty_fork_test;

const READ: Op = Op::Read { offset: 0, len: 8 };

fn set(change: impl FnOnce(&mut verify::Settings)) {
    let mut settings = verify::settings().clone();
    change(&mut settings);
    verify::configure(settings);
}

extern "win64" fn note(
    _device: *mut DeviceObject,
    request: *mut Irp,
    _context: *mut u8,
) -> NtStatus {
    let pending = at(request).pending_returned.get();
    log(format!(
        "routine pending={pending} irql={}",
        crate::nt::thread::irql()
    ));
    if pending != 0 {
        irp::mark_pending(request);
    }
    NtStatus::SUCCESS
}

extern "win64" fn forget_pending(
    _device: *mut DeviceObject,
    _request: *mut Irp,
    _context: *mut u8,
) -> NtStatus {
    NtStatus::SUCCESS
}

/// A device that completes reads at once, and one above that forwards them with `routine`.
fn two(routine: crate::nt::abi::Completion) -> Device {
    let bottom = Device::named("T", DO_BUFFERED_IO);
    bottom.on(mj::READ, |_, request| {
        complete(request, NtStatus::SUCCESS, 8)
    });
    let top = Device::unnamed().over(bottom);
    top.on(mj::READ, move |_, request| {
        irp::copy_current_to_next(request);
        irp::set_completion_routine(request, routine, std::ptr::null_mut(), true, true, true);
        let status = irp::call_driver(bottom.wdm(), request);
        log(format!("returned {status}"));
        status
    });
    top
}

rusty_fork_test! {
    #[test]
    fn a_forced_completion_comes_from_elsewhere_and_the_call_gives_pending() {
        set(|settings| settings.force_pending = true);
        two(note);
        let (_process, handle) = open("T");
        let (_, end) = start(&handle, READ);
        assert_eq!(end.wait().status, NtStatus::SUCCESS);
        let mut log = taken();
        log.sort();
        assert_eq!(log, ["returned STATUS_PENDING (0x00000103)", "routine pending=1 irql=2"]);
    }

    #[test]
    fn without_force_the_completion_comes_within_the_call() {
        two(note);
        let (_process, handle) = open("T");
        start(&handle, READ).1.wait();
        assert_eq!(taken(), ["routine pending=0 irql=0", "returned STATUS_SUCCESS (0x00000000)"]);
    }

    /// NT-IRP-10: what a lower driver that completes at once hides.
    #[test]
    fn a_completion_routine_that_does_not_pass_pending_on_is_found_by_force() {
        set(|settings| settings.force_pending = true);
        two(forget_pending);
        let (_process, handle) = open("T");
        expect_violation("NT-IRP-10");
        start(&handle, READ).1.wait();
    }

    #[test]
    fn force_reaches_through_skipped_locations() {
        set(|settings| settings.force_pending = true);
        let bottom = Device::named("T", DO_BUFFERED_IO);
        bottom.on(mj::READ, |_, request| complete(request, NtStatus::SUCCESS, 8));
        let mut below = bottom;
        for _ in 0..3 {
            let lower = below;
            below = Device::unnamed().over(bottom);
            below.on(mj::READ, move |_, request| {
                irp::skip_current(request);
                irp::call_driver(lower.wdm(), request)
            });
        }
        let (_process, handle) = open("T");
        for _ in 0..100 {
            assert_eq!(start(&handle, READ).1.wait().information, 8);
        }
    }

    /// NT-PNP-03.
    #[test]
    fn a_request_left_with_a_driver_of_a_removed_stack_is_a_violation() {
        set(|settings| settings.track_requests = true);
        let driver = super::plug_and_play::pnp_driver("Function");
        let node = DevNode::create(DevNodeConfig::new("ROOT\\T\\0000", driver, &[])).unwrap();
        node.start().unwrap();
        // The driver keeps what it has no handler for: a request without a file.
        let top = node.top();
        Device(Address(top)).keep(mj::READ);
        let request = irp::allocate(at(top).stack_size.get());
        irp::next(request).major_function.set(mj::READ);
        assert_eq!(irp::call_driver(top, request), NtStatus::PENDING);
        expect_violation("NT-PNP-03");
        let _ = node.remove();
    }

    #[test]
    fn a_random_allocation_fails_and_its_caller_sees_null() {
        set(|settings| settings.low_resources = LowResources::Nth(2));
        let tag = pool::Tag::new(b"Test");
        let allocate = || pool::allocate(pool::PoolKind::NonPaged, 16, tag, false);
        assert!(!allocate().is_null());
        assert!(allocate().is_null());
        assert!(!allocate().is_null());
    }

    /// NT-LOCK-08.
    #[test]
    fn locks_one_waits_for_in_both_orders_are_a_violation() {
        set(|settings| settings.verifier_on = true);
        use crate::nt::lock_order::{acquire_waitable, release_waitable};
        for (first, second) in [(0x1000, 0x2000), (0x2000, 0x3000)] {
            acquire_waitable(first, true);
            acquire_waitable(second, true);
            release_waitable(second);
            release_waitable(first);
        }
        acquire_waitable(0x3000, true);
        // Only tried: it would not wait.
        acquire_waitable(0x1000, false);
        release_waitable(0x1000);
        expect_violation("NT-LOCK-08");
        acquire_waitable(0x1000, true);
    }
}
