//! What the init structure says about a device: R-DEV-10 to R-DEV-18, R-DEV-30, R-DEV-42, R-DEV-48.

use rusty_fork::rusty_fork_test;

use super::super::guest;
use super::bench::{attributes, memory, note, start, start_lenient, taken, text};
use super::device::{ADDED, control_device, file_object, node, send, unfinished_control_device};
use crate::nt::abi::{DO_BUFFERED_IO, DO_DEVICE_INITIALIZING, DO_DIRECT_IO, DeviceObject, at, mj};
use crate::nt::pnp::{self, Guid};
use crate::nt::status::NtStatus;
use crate::{nt, verify};

extern "win64" fn on_create(_device: u64, request: u64, _file: u64) {
    note("create");
    super::bench::client().call("WdfRequestComplete", &[request, 0]);
}

/// A file object configuration with EvtDeviceFileCreate.
fn file_config(class: u32) -> u64 {
    let config = memory(40);
    guest::write(config, 40_u32);
    guest::write(config + 8, on_create as *const () as u64);
    guest::write(config + 32, 2_u32);
    guest::write(config + 36, class);
    config
}

const CLASS: Guid = Guid([7; 16]);

rusty_fork_test! {
    /// R-DEV-10.
    #[test]
    fn reads_and_writes_are_buffered_unless_the_driver_says_otherwise() {
        let t = start();
        let transfer = |io_type: Option<u64>| {
            let device = unfinished_control_device(&t, |t, init| {
                if let Some(io_type) = io_type {
                    t.call("WdfDeviceInitSetIoType", &[init, io_type]);
                }
            });
            let wdm = at(t.call("WdfDeviceWdmGetDeviceObject", &[device]) as *mut DeviceObject);
            let flags = wdm.flags.get() & (DO_BUFFERED_IO | DO_DIRECT_IO);
            t.call("WdfObjectDelete", &[device]);
            flags
        };
        assert_eq!(transfer(None), DO_BUFFERED_IO);
        assert_eq!(transfer(Some(1)), 0);
        assert_eq!(transfer(Some(2)), DO_BUFFERED_IO);
        assert_eq!(transfer(Some(3)), DO_DIRECT_IO);
    }

    /// R-DEV-12: the methods of function devices do not touch the init structure of a control device.
    #[test]
    fn a_control_device_cannot_be_declared_a_filter() {
        let t = start_lenient();
        unfinished_control_device(&t, |t, init| { t.call("WdfFdoInitSetFilter", &[init]); });
        assert_eq!(verify::breaks(), 1);
    }

    /// R-DEV-13.
    #[test]
    fn attributes_of_requests_with_parent_level_or_scope_are_ignored() {
        let t = start_lenient();
        let parent = t.object(0, "parent");
        unfinished_control_device(&t, |t, init| {
            for (offset, value) in [(24, 2_u64), (28, 2), (32, parent)] {
                let wrong = attributes();
                if offset == 32 { guest::write(wrong + offset, value) } else { guest::write(wrong + offset, value as u32) }
                t.call("WdfDeviceInitSetRequestAttributes", &[init, wrong]);
            }
            assert_eq!(verify::breaks(), 3);
            t.call("WdfDeviceInitSetRequestAttributes", &[init, attributes()]);
        });
        assert_eq!(verify::breaks(), 3);
    }

    /// R-DEV-17, R-DEV-32: nobody opens a control device before it is finished.
    #[test]
    fn a_control_device_cannot_be_opened_before_it_is_finished() {
        let t = start();
        let device = unfinished_control_device(&t, |_, _| ());
        let process = nt::app::Process::new("program");
        let wdm = at(t.call("WdfDeviceWdmGetDeviceObject", &[device]) as *mut DeviceObject);
        assert_ne!(wdm.flags.get() & DO_DEVICE_INITIALIZING, 0);
        assert!(process.open("\\Device\\Bench", 0, 7).is_err());
        t.call("WdfControlFinishInitializing", &[device]);
        assert_eq!(wdm.flags.get() & DO_DEVICE_INITIALIZING, 0);
        assert_eq!(send(device, mj::CREATE, file_object()), NtStatus::SUCCESS);
    }

    /// R-DEV-18.
    #[test]
    fn interfaces_are_enabled_by_start_and_disabled_by_removal() {
        let t = start();
        let node = node(&t, |_, _| ());
        let device = *ADDED.lock().unwrap();
        let class = memory(16);
        guest::put_bytes(class, &CLASS.0);
        for reference in [0, text("second")] {
            assert_eq!(t.status("WdfDeviceCreateDeviceInterface", &[device, class, reference]), NtStatus::SUCCESS);
        }
        assert!(pnp::interfaces(CLASS).is_empty());
        node.start().unwrap();
        let paths = pnp::interfaces(CLASS);
        assert_eq!(paths.len(), 2);
        assert!(paths.iter().any(|path| path.ends_with("\\second")));
        node.remove().unwrap();
        assert!(pnp::interfaces(CLASS).is_empty());
        let control = control_device(&t);
        assert!(!t.status("WdfDeviceCreateDeviceInterface", &[control, class, 0]).is_success());
    }

    /// R-DEV-30.
    #[test]
    fn a_bad_security_string_gives_no_init_structure() {
        let t = start();
        assert_eq!(t.call("WdfControlDeviceInitAllocate", &[t.driver, text("everybody")]), 0);
        let init = t.call("WdfControlDeviceInitAllocate", &[t.driver, text("D:P(A;;GA;;;SY)")]);
        assert_ne!(init, 0);
        t.call("WdfDeviceInitFree", &[init]);
    }

    /// R-DEV-31: it has no I/O target of its own.
    #[test]
    fn a_control_device_has_no_local_target() {
        let t = start();
        let device = control_device(&t);
        assert_eq!(t.call("WdfDeviceGetIoTarget", &[device]), 0);
    }

    /// R-DEV-42, R-DEV-40.
    #[test]
    fn optional_file_objects_need_a_class() {
        let t = start_lenient();
        unfinished_control_device(&t, |t, init| {
            for class in [0x8000_0001, 0x8000_0000, 5, 0] {
                let before = verify::breaks();
                t.call("WdfDeviceInitSetFileObjectConfig", &[init, file_config(class), 0]);
                assert_eq!(verify::breaks(), before + 1, "{class:#x}");
            }
            let before = verify::breaks();
            for class in [0x8000_0002, 0x8000_0003, 0x8000_0004] {
                t.call("WdfDeviceInitSetFileObjectConfig", &[init, file_config(class), 0]);
            }
            assert_eq!(verify::breaks(), before);
        });
    }

    /// R-DEV-48.
    #[test]
    fn a_create_at_dispatch_level_is_refused_for_file_objects_of_level_passive() {
        let t = start();
        let device = unfinished_control_device(&t, |t, init| {
            let passive = attributes();
            guest::write(passive + 24, 2_u32);
            guest::write(passive + 28, 4_u32);
            t.call("WdfDeviceInitSetFileObjectConfig", &[init, file_config(4), passive]);
        });
        t.call("WdfControlFinishInitializing", &[device]);
        let status = nt::thread::current().at_least(2, || send(device, mj::CREATE, file_object()));
        assert_eq!(status, NtStatus::INVALID_DEVICE_REQUEST);
        assert!(taken().is_empty());
        assert_eq!(send(device, mj::CREATE, file_object()), NtStatus::SUCCESS);
        assert_eq!(taken(), ["create"]);
    }
}
