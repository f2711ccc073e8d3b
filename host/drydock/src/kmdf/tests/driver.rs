//! The driver object: R-DEV-02 to R-DEV-08, R-DEV-34, R-CHK-01 to R-CHK-03.

use rusty_fork::rusty_fork_test;

use super::super::guest;
use super::bench::{
    Client, attributes, expect_end, load_with, memory, recorded, start, start_lenient,
    start_verified, taken, text,
};
use super::device::{control_device, node};
use crate::nt::abi::DriverObject;
use crate::nt::registry::{self, Value};
use crate::nt::status::NtStatus;
use crate::{nt, verify};

fn unload(t: &Client) {
    nt::driver::unload(t.driver_object as *mut DriverObject).unwrap();
}

rusty_fork_test! {
    /// R-DEV-02, R-DEV-01: decided before anything is created.
    #[test]
    fn a_driver_without_pnp_has_no_device_add_and_flags_must_be_known() {
        let t = start();
        let created = |add: u64, flags: u32| {
            let config = memory(32);
            guest::write(config, 32_u32);
            guest::write(config + 8, add);
            guest::write(config + 24, flags);
            t.status("WdfDriverCreate", &[t.driver_object, text("path"), 0, config, 0])
        };
        assert_eq!(created(1, 1), NtStatus::INVALID_PARAMETER);
        assert_eq!(created(0, 4), NtStatus::INVALID_PARAMETER);
        assert_eq!(created(0, 1), NtStatus::DRIVER_INTERNAL_ERROR);
    }

    /// R-DEV-03, R-DEV-04: the driver object has no parent; nothing of the driver is called when it was not created.
    #[test]
    fn a_driver_that_is_not_created_is_not_called_back() {
        let other = memory(8);
        assert_eq!(load_with(recorded(other)).err(), Some(NtStatus::WDF_PARENT_ASSIGNMENT_NOT_ALLOWED));
        assert!(taken().is_empty());
    }

    /// R-DEV-03: level and scope of the driver object are those of its devices.
    #[test]
    fn devices_inherit_level_and_scope_of_the_driver() {
        let at = attributes();
        guest::write(at + 24, 2_u32);
        guest::write(at + 28, 2_u32);
        let t = load_with(at).unwrap();
        let device = control_device(&t);
        let below = attributes();
        guest::write(below + 32, device);
        let dpc = memory(24);
        guest::write(dpc, 24_u32);
        guest::write(dpc + 8, 1_u64);
        guest::write(dpc + 16, 1_u8);
        assert_eq!(t.create("WdfDpcCreate", &[dpc, below]), Err(NtStatus::WDF_INCOMPATIBLE_EXECUTION_LEVEL));
    }

    /// R-DEV-08: the devices are gone before EvtDriverUnload, the driver object ends behind it.
    #[test]
    fn unload_comes_after_the_last_device_and_before_the_end_of_the_driver() {
        let t = load_with(recorded(0)).unwrap();
        super::bench::call_it(t.driver, "driver");
        let node = node(&t, |_, _| ());
        node.start().unwrap();
        assert_eq!(nt::driver::unload(t.driver_object as *mut DriverObject), Err(NtStatus::DEVICE_BUSY));
        node.remove().unwrap();
        unload(&t);
        assert_eq!(taken(), [
            "add", "cleanup dev irql=0", "destroy dev", "unload", "cleanup driver irql=0", "destroy driver",
        ]);
    }

    /// R-DEV-34, R-DEV-08: a PnP driver stays loaded while its control device is there.
    #[test]
    fn a_control_device_keeps_a_pnp_driver_loaded() {
        let t = start();
        let device = control_device(&t);
        let driver = t.driver_object as *mut DriverObject;
        assert_eq!(nt::driver::unload(driver), Err(NtStatus::DEVICE_BUSY));
        t.call("WdfObjectDelete", &[device]);
        taken();
        unload(&t);
        assert_eq!(taken(), ["unload"]);
    }

    /// R-CHK-01: `VerifierOn` in the registry turns the checks on for this driver.
    #[test]
    fn the_registry_turns_the_verifier_on() {
        let key = format!("{}\\Bench\\Parameters\\Wdf", registry::SERVICES);
        registry::create(&key);
        registry::set(&key, Value::dword("VerifierOn", 1)).unwrap();
        let t = start();
        let lock = t.create("WdfSpinLockCreate", &[0]).unwrap();
        expect_end("R-DEV-71", || { t.call("WdfSpinLockRelease", &[lock]); });
    }

    /// R-CHK-02: with the verifier off nobody looks.
    #[test]
    fn without_the_verifier_a_level_too_high_is_not_looked_at() {
        let t = start_lenient();
        let version = memory(12);
        guest::write(version, 12_u32);
        guest::write(version + 4, 1_u32);
        let asked = nt::thread::current().at_least(3, || t.boolean("WdfDriverIsVersionAvailable", &[t.driver, version]));
        assert!(asked);
        assert_eq!(verify::breaks(), 0);
    }

    /// R-CHK-03, R-CHK-41: with the verifier on the method breaks and has no effect.
    #[test]
    fn with_the_verifier_a_level_too_high_is_a_break_without_effect() {
        let t = start_verified();
        let version = memory(12);
        guest::write(version, 12_u32);
        guest::write(version + 4, 1_u32);
        let asked = nt::thread::current().at_least(3, || t.boolean("WdfDriverIsVersionAvailable", &[t.driver, version]));
        assert!(!asked);
        assert_eq!(verify::breaks(), 1);
        let status = nt::thread::current().at_least(3, || t.create("WdfObjectCreate", &[attributes()]));
        assert_eq!(status, Err(NtStatus::INVALID_DEVICE_REQUEST));
    }
}
