//! Device nodes: the order of calls, removal and open handles, power.

use super::*;
use crate::nt::abi::mn;
use crate::nt::pnp::{self, DevNode, DevNodeConfig, Guid, State, SystemPower};
use crate::nt::registry::{self, ServiceKey, Value};
use crate::nt::workitem;
use rusty_fork::rusty_fork_test;

const CLASS: Guid = Guid([7; 16]);
static REFUSED: Lock<Vec<u8>> = Lock::new(Vec::new());

fn minor_name(minor: u8) -> &'static str {
    match minor {
        mn::START_DEVICE => "start",
        mn::QUERY_STOP_DEVICE => "query-stop",
        mn::CANCEL_STOP_DEVICE => "cancel-stop",
        mn::STOP_DEVICE => "stop",
        mn::QUERY_REMOVE_DEVICE => "query-remove",
        mn::CANCEL_REMOVE_DEVICE => "cancel-remove",
        mn::SURPRISE_REMOVAL => "surprise-removal",
        mn::REMOVE_DEVICE => "remove",
        mn::DEVICE_USAGE_NOTIFICATION => "usage",
        _ => "",
    }
}

fn driver_name(device: *mut DeviceObject) -> String {
    at(at(device).driver_object.get())
        .driver_name
        .text()
        .replace("\\Driver\\", "")
}

/// A WDM driver that passes everything down and notes what it sees.
extern "win64" fn pnp_dispatch(device: *mut DeviceObject, request: *mut Irp) -> NtStatus {
    let location = irp::current(request);
    let below = device::attached_below(device);
    let minor = location.minor_function.get();
    match location.major_function.get() {
        mj::PNP => {
            let name = minor_name(minor);
            if !name.is_empty() {
                log(format!("{} {name}", driver_name(device)));
            }
            if REFUSED.lock().contains(&minor) {
                return complete(request, NtStatus::UNSUCCESSFUL, 0);
            }
            at(request).io_status.status.set(NtStatus::SUCCESS);
            irp::skip_current(request);
            let status = irp::call_driver(below, request);
            if minor == mn::REMOVE_DEVICE {
                device::detach(below);
                device::delete(device);
            }
            status
        }
        mj::POWER => {
            let what = if location.power_type() == 0 { "S" } else { "D" };
            let state = location.power_state();
            let verb = if minor == mn::SET_POWER {
                "set"
            } else {
                "query"
            };
            log(format!(
                "{} {verb} {what}{}",
                driver_name(device),
                state - 1
            ));
            if what == "S" && minor == mn::SET_POWER && driver_name(device) == "Function" {
                let device_state = if state == 1 { 1 } else { 4 };
                assert!(crate::nt::power::request_and_wait(device, device_state));
            }
            irp::skip_current(request);
            irp::call_driver(below, request)
        }
        _ => dispatch(device, request),
    }
}

extern "win64" fn add_device(driver: *mut DriverObject, physical: *mut DeviceObject) -> NtStatus {
    let device = device::create(driver, 0, "", FILE_DEVICE_UNKNOWN, 0, false).unwrap();
    log(format!("{} add", driver_name(device)));
    assert!(device::attach(device, physical).is_some());
    at(device)
        .flags
        .update(|flags| flags & !DO_DEVICE_INITIALIZING);
    if driver_name(device) == "Function" {
        let link = pnp::register_interface(physical, CLASS, "").unwrap();
        pnp::set_interface_state(&link, true).unwrap();
    }
    NtStatus::SUCCESS
}

extern "win64" fn refuse_device(
    _driver: *mut DriverObject,
    _physical: *mut DeviceObject,
) -> NtStatus {
    NtStatus::INSUFFICIENT_RESOURCES
}

extern "win64" fn pnp_entry(driver: *mut DriverObject, _path: *mut UnicodeString) -> NtStatus {
    for routine in &at(driver).major_function {
        routine.set(Some(pnp_dispatch));
    }
    at(at(driver).driver_extension.get())
        .add_device
        .set(Some(add_device));
    at(driver).driver_unload.set(Some(unload));
    NtStatus::SUCCESS
}

pub(super) fn pnp_driver(name: &str) -> *mut DriverObject {
    driver::create(&format!("\\Driver\\{name}"), pnp_entry).unwrap()
}

/// A started device with a function driver and one filter above it.
fn started() -> Arc<DevNode> {
    let function = pnp_driver("Function");
    let filter = pnp_driver("Filter");
    let node =
        DevNode::create(DevNodeConfig::new("ROOT\\TEST\\0000", function, &[filter])).unwrap();
    node.start().unwrap();
    assert_eq!(
        taken(),
        [
            "Function add",
            "Filter add",
            "Filter start",
            "Function start"
        ]
    );
    node
}

fn path() -> String {
    pnp::interfaces(CLASS).remove(0)
}

rusty_fork_test! {
    #[test]
    fn devices_are_added_from_the_bottom_up_and_requests_come_from_the_top() {
        let node = started();
        node.restart().unwrap();
        assert_eq!(taken(), [
            "Filter query-stop", "Function query-stop", "Filter stop", "Function stop", "Filter start", "Function start",
        ]);
        node.remove().unwrap();
        assert_eq!(taken(), ["Filter query-remove", "Function query-remove", "Filter remove", "Function remove"]);
        assert_eq!(node.state(), State::Removed);
        for name in ["Filter", "Function"] {
            driver::unload(driver::by_name(name).unwrap()).unwrap();
        }
        assert!(crate::verify::leak_report().is_empty(), "{}", crate::verify::leak_report());
    }

    #[test]
    fn a_stop_or_removal_that_is_refused_is_withdrawn() {
        let node = started();
        REFUSED.lock().extend([mn::QUERY_STOP_DEVICE, mn::QUERY_REMOVE_DEVICE]);
        assert_eq!(node.stop(), Err(NtStatus::UNSUCCESSFUL));
        assert_eq!(node.remove(), Err(NtStatus::UNSUCCESSFUL));
        assert_eq!(node.state(), State::Started);
        assert_eq!(taken(), [
            "Filter query-stop", "Filter cancel-stop", "Function cancel-stop",
            "Filter query-remove", "Filter cancel-remove", "Function cancel-remove",
        ]);
    }

    #[test]
    fn a_device_in_use_is_not_removed_in_order() {
        let node = started();
        let process = Process::new("program");
        let handle = process.open(&path(), 0, 3).unwrap();
        assert_eq!(node.remove(), Err(NtStatus::DEVICE_BUSY));
        assert_eq!(taken().last().unwrap(), "Function cancel-remove");
        handle.close();
        node.remove().unwrap();
    }

    #[test]
    fn after_surprise_removal_the_remove_request_waits_for_open_handles() {
        let node = started();
        let process = Process::new("program");
        let handle = process.open(&path(), 0, 3).unwrap();
        node.surprise_remove().unwrap();
        assert_eq!(taken(), ["Filter surprise-removal", "Function surprise-removal"]);
        assert_eq!(node.state(), State::SurpriseRemoved);
        handle.close();
        node.wait_removed();
        workitem::wait_idle();
        assert_eq!(taken(), ["Filter remove", "Function remove"]);
        assert!(pnp::interfaces(CLASS).is_empty());
    }

    #[test]
    fn a_device_that_fails_to_start_is_removed() {
        let node = DevNode::create(DevNodeConfig::new("ROOT\\TEST\\0000", pnp_driver("Function"), &[])).unwrap();
        REFUSED.lock().push(mn::START_DEVICE);
        assert_eq!(node.start(), Err(NtStatus::UNSUCCESSFUL));
        assert_eq!(taken(), ["Function add", "Function start", "Function remove"]);
        assert_eq!(node.state(), State::Removed);
    }

    #[test]
    fn a_driver_that_refuses_the_device_undoes_the_stack_below_it() {
        let filter = pnp_driver("Filter");
        at(at(filter).driver_extension.get()).add_device.set(Some(refuse_device));
        let config = DevNodeConfig::new("ROOT\\TEST\\0000", pnp_driver("Function"), &[filter]);
        assert_eq!(DevNode::create(config).unwrap_err(), NtStatus::INSUFFICIENT_RESOURCES);
        assert_eq!(taken(), ["Function add", "Function remove"]);
    }

    #[test]
    fn a_driver_in_use_is_not_unloaded() {
        let node = started();
        let function = driver::by_name("Function").unwrap();
        assert_eq!(driver::unload(function), Err(NtStatus::DEVICE_BUSY));
        node.remove().unwrap();
        assert_eq!(driver::unload(function), Ok(()));
    }

    #[test]
    fn a_system_sleep_takes_the_device_down_and_waking_brings_it_up() {
        let node = started();
        node.system_power(SystemPower::Sleeping3).unwrap();
        assert_eq!(taken(), [
            "Filter query S3", "Function query S3",
            "Filter set S3", "Function set S3", "Filter set D3", "Function set D3",
        ]);
        node.system_power(SystemPower::Working).unwrap();
        assert_eq!(taken(), ["Filter set S0", "Function set S0", "Filter set D0", "Function set D0"]);
    }

    #[test]
    fn a_usage_notification_reaches_every_driver() {
        let node = started();
        assert_eq!(node.usage_notification(1, true), NtStatus::SUCCESS);
        assert_eq!(taken(), ["Filter usage", "Function usage"]);
    }

    #[test]
    fn a_service_finds_its_parameters_in_the_registry() {
        let mut service = ServiceKey::new("Function");
        service.parameters.push(Value::dword("Depth", 3));
        service.framework.push(Value::dword("VerifierOn", 1));
        service.write().unwrap();
        let base = service.path();
        assert_eq!(registry::query(&format!("{base}\\Parameters"), "depth").unwrap().data, [3, 0, 0, 0]);
        assert!(registry::query(&format!("{base}\\Parameters\\Wdf"), "VerifierOn").is_ok());
    }
}
