//! Drivers, devices and file objects: R-DEV-01 to R-DEV-66.

use std::sync::Mutex;

use rusty_fork::rusty_fork_test;

use super::super::guest;
use super::bench::{
    Client, attributes, call_it, client, expect_end, memory, note, recorded, start, start_lenient,
    taken, text,
};
use crate::nt::abi::{DriverObject, FileObject, at, mj};
use crate::nt::irp;
use crate::nt::pnp::{DevNode, DevNodeConfig, SystemPower};
use crate::nt::status::NtStatus;
use crate::{nt, verify};

/// What EvtDriverDeviceAdd does with its init structure before it creates the device.
static PREPARE: Mutex<Option<Prepare>> = Mutex::new(None);

/// A change to an init structure.
pub type Prepare = fn(&Client, u64);
/// The device EvtDriverDeviceAdd made.
pub static ADDED: Mutex<u64> = Mutex::new(0);
/// EvtDriverDeviceAdd fails after creating the device.
static FAIL_ADD: Mutex<bool> = Mutex::new(false);

/// EvtDriverDeviceAdd of the driver under test.
pub extern "win64" fn evt_add(_driver: u64, init: u64) -> NtStatus {
    let t = client();
    note("add");
    if let Some(prepare) = *PREPARE.lock().unwrap() {
        prepare(&t, init);
    }
    let pointer = memory(8);
    guest::write(pointer, init);
    match t.create("WdfDeviceCreate", &[pointer, recorded(0)]) {
        Ok(device) => {
            assert_eq!(
                guest::read::<u64>(pointer),
                0,
                "R-DEV-07: the pointer is nulled"
            );
            call_it(device, "dev");
            *ADDED.lock().unwrap() = device;
            if *FAIL_ADD.lock().unwrap() {
                NtStatus::UNSUCCESSFUL
            } else {
                NtStatus::SUCCESS
            }
        }
        Err(status) => status,
    }
}

/// A finished control device.
pub fn control_device(t: &Client) -> u64 {
    let device = unfinished_control_device(t, |_, _| ());
    t.call("WdfControlFinishInitializing", &[device]);
    device
}

pub fn unfinished_control_device(t: &Client, prepare: impl FnOnce(&Client, u64)) -> u64 {
    let init = t.call(
        "WdfControlDeviceInitAllocate",
        &[t.driver, text("D:P(A;;GA;;;SY)")],
    );
    assert_ne!(init, 0);
    assert_eq!(
        t.status("WdfDeviceInitAssignName", &[init, text("\\Device\\Bench")]),
        NtStatus::SUCCESS
    );
    prepare(t, init);
    let pointer = memory(8);
    guest::write(pointer, init);
    let device = t
        .create("WdfDeviceCreate", &[pointer, recorded(0)])
        .unwrap();
    call_it(device, "control");
    device
}

extern "win64" fn preprocess(device: u64, irp: u64) -> NtStatus {
    let irp_pointer = irp as *mut nt::abi::Irp;
    note(format!(
        "preprocess {}",
        irp::current(irp_pointer).major_function.get()
    ));
    irp::skip_current(irp_pointer);
    client().status("WdfDeviceWdmDispatchPreprocessedIrp", &[device, irp])
}

extern "win64" fn d0_entry(_device: u64, from: u64) -> NtStatus {
    note(format!("d0-entry {}", from as u32));
    NtStatus::SUCCESS
}
extern "win64" fn d0_exit(_device: u64, to: u64) -> NtStatus {
    note(format!("d0-exit {}", to as u32));
    NtStatus::SUCCESS
}
extern "win64" fn prepare_hardware(_device: u64, raw: u64, translated: u64) -> NtStatus {
    let t = client();
    assert_eq!(t.call("WdfCmResourceListGetCount", &[raw]) as u32, 0);
    assert_eq!(
        t.call("WdfCmResourceListGetDescriptor", &[translated, 0]),
        0
    );
    note("prepare");
    NtStatus::SUCCESS
}
extern "win64" fn release_hardware(_device: u64, _translated: u64) -> NtStatus {
    note("release");
    NtStatus::SUCCESS
}
extern "win64" fn self_managed_init(_device: u64) -> NtStatus {
    note("io-init");
    NtStatus::SUCCESS
}
extern "win64" fn self_managed_suspend(_device: u64) -> NtStatus {
    note("io-suspend");
    NtStatus::SUCCESS
}
extern "win64" fn self_managed_restart(_device: u64) -> NtStatus {
    note("io-restart");
    NtStatus::SUCCESS
}
extern "win64" fn self_managed_flush(_device: u64) {
    note("io-flush");
}
extern "win64" fn self_managed_cleanup(_device: u64) {
    note("io-cleanup");
}
extern "win64" fn surprise(_device: u64) {
    note("surprise");
}
extern "win64" fn usage(_device: u64, file: u64, in_path: u64) -> NtStatus {
    note(format!("usage {} {}", file as u32, in_path as u8));
    NtStatus::ACCESS_DENIED
}

pub fn with_callbacks(t: &Client, init: u64) {
    let at = memory(144);
    guest::write(at, 144_u32);
    let callbacks: [(u64, u64); 11] = [
        (8, d0_entry as *const () as u64),
        (24, d0_exit as *const () as u64),
        (40, prepare_hardware as *const () as u64),
        (48, release_hardware as *const () as u64),
        (56, self_managed_cleanup as *const () as u64),
        (64, self_managed_flush as *const () as u64),
        (72, self_managed_init as *const () as u64),
        (80, self_managed_suspend as *const () as u64),
        (88, self_managed_restart as *const () as u64),
        (96, surprise as *const () as u64),
        (136, usage as *const () as u64),
    ];
    for (offset, callback) in callbacks {
        guest::write(at + offset, callback);
    }
    t.call("WdfDeviceInitSetPnpPowerEventCallbacks", &[init, at]);
}

pub fn node(t: &Client, prepare: Prepare) -> std::sync::Arc<DevNode> {
    *PREPARE.lock().unwrap() = Some(prepare);
    let function = t.driver_object as *mut DriverObject;
    DevNode::create(DevNodeConfig::new("ROOT\\BENCH\\0000", function, &[])).unwrap()
}

/// Sends an IRP of this major function for `file` to the device and gives its status.
pub fn send(device: u64, major: u8, file: *mut FileObject) -> NtStatus {
    let wdm = client().call("WdfDeviceWdmGetDeviceObject", &[device]) as *mut nt::abi::DeviceObject;
    let irp = irp::allocate(at(wdm).stack_size.get());
    let next = irp::next(irp);
    next.major_function.set(major);
    next.file_object.set(file);
    let status = irp::send_and_wait(wdm, irp);
    irp::free(irp);
    status
}

pub fn file_object() -> *mut FileObject {
    memory(size_of::<FileObject>()) as *mut FileObject
}

extern "win64" fn file_cleanup(file: u64) {
    call_it(file, "file");
    note("file-cleanup");
}
extern "win64" fn file_close(_file: u64) {
    note("file-close");
}

fn with_files(t: &Client, init: u64) {
    let config = memory(40);
    guest::write(config, 40_u32);
    guest::write(config + 16, file_close as *const () as u64);
    guest::write(config + 24, file_cleanup as *const () as u64);
    guest::write(config + 32, 2_u32);
    guest::write(config + 36, 4_u32);
    t.call(
        "WdfDeviceInitSetFileObjectConfig",
        &[init, config, recorded(0)],
    );
}

rusty_fork_test! {
    /// R-DEV-01.
    #[test]
    fn a_driver_is_created_once() {
        let t = start();
        let config = memory(32);
        guest::write(config, 32_u32);
        let arguments = [t.driver_object, text("path"), 0, config, 0];
        assert_eq!(t.status("WdfDriverCreate", &arguments), NtStatus::DRIVER_INTERNAL_ERROR);
        guest::write(config, 8_u32);
        assert_eq!(t.status("WdfDriverCreate", &arguments), NtStatus::INFO_LENGTH_MISMATCH);
    }

    /// R-DEV-60, R-DEV-61, R-DEV-62: the whole life of a device, in order.
    #[test]
    fn start_sleep_wake_and_removal_call_back_in_order() {
        let t = start();
        let node = node(&t, with_callbacks);
        assert_eq!(taken(), ["add"]);
        node.start().unwrap();
        assert_eq!(taken(), ["prepare", "d0-entry 5", "io-init"]);
        node.system_power(SystemPower::Sleeping3).unwrap();
        assert_eq!(taken(), ["io-suspend", "d0-exit 4"]);
        node.system_power(SystemPower::Working).unwrap();
        assert_eq!(taken(), ["d0-entry 4", "io-restart"]);
        node.query_stop().unwrap();
        node.stop().unwrap();
        assert_eq!(taken(), ["io-suspend", "d0-exit 5", "release"]);
        node.start().unwrap();
        assert_eq!(taken(), ["prepare", "d0-entry 5", "io-restart"]);
        node.query_remove().unwrap();
        node.remove().unwrap();
        assert_eq!(taken(), [
            "io-suspend", "d0-exit 5", "release", "io-flush", "io-cleanup", "cleanup dev irql=0", "destroy dev",
        ]);
    }

    /// R-DEV-63.
    #[test]
    fn surprise_removal_tells_the_driver_first() {
        let t = start();
        let node = node(&t, with_callbacks);
        node.start().unwrap();
        taken();
        node.surprise_remove().unwrap();
        node.wait_removed();
        assert_eq!(taken(), [
            "surprise", "io-suspend", "d0-exit 5", "release", "io-flush", "io-cleanup", "cleanup dev irql=0",
            "destroy dev",
        ]);
    }

    /// R-DEV-62: a device that was never started has nothing to undo.
    #[test]
    fn removal_before_start_only_disposes_the_device() {
        let t = start();
        let node = node(&t, with_callbacks);
        taken();
        node.remove().unwrap();
        assert_eq!(taken(), ["cleanup dev irql=0", "destroy dev"]);
    }

    /// A function device refuses special files it was not said to support; EvtDeviceUsageNotificationEx may refuse others.
    #[test]
    fn special_files_are_refused_by_the_device_or_the_driver() {
        let t = start();
        let node = node(&t, with_callbacks);
        node.start().unwrap();
        taken();
        assert_eq!(node.usage_notification(1, true), NtStatus::NOT_IMPLEMENTED);
        assert!(taken().is_empty());
        let device = *ADDED.lock().unwrap();
        t.call("WdfDeviceSetSpecialFileSupport", &[device, 1, 1]);
        assert_eq!(node.usage_notification(1, true), NtStatus::ACCESS_DENIED);
        assert_eq!(taken(), ["usage 1 1"]);
    }

    /// R-DEV-40, R-DEV-43, R-DEV-46.
    #[test]
    fn a_file_object_lives_from_create_to_close() {
        let t = start();
        let device = unfinished_control_device(&t, with_files);
        t.call("WdfControlFinishInitializing", &[device]);
        let file = file_object();
        assert_eq!(send(device, mj::CREATE, file), NtStatus::SUCCESS);
        let handle = t.call("WdfDeviceGetFileObject", &[device, file as u64]);
        assert_eq!(t.call("WdfFileObjectWdmGetFileObject", &[handle]), file as u64);
        assert_eq!(t.call("WdfFileObjectGetDevice", &[handle]), device);
        assert_eq!(send(device, mj::CLEANUP, file), NtStatus::SUCCESS);
        assert_eq!(taken(), ["file-cleanup"]);
        assert_eq!(send(device, mj::CLOSE, file), NtStatus::SUCCESS);
        assert_eq!(taken(), ["file-close", "cleanup file irql=0", "destroy file"]);
        assert_eq!(t.call("WdfDeviceGetFileObject", &[device, file as u64]), 0);
    }

    /// R-DEV-20.
    #[test]
    fn an_exclusive_device_opens_once() {
        let t = start();
        let device = unfinished_control_device(&t, |t, init| { t.call("WdfDeviceInitSetExclusive", &[init, 1]); });
        t.call("WdfControlFinishInitializing", &[device]);
        let (first, second) = (file_object(), file_object());
        assert_eq!(send(device, mj::CREATE, first), NtStatus::SUCCESS);
        assert_eq!(send(device, mj::CREATE, second), NtStatus::ACCESS_DENIED);
        let _ = send(device, mj::CLEANUP, first);
        let _ = send(device, mj::CLOSE, first);
        assert_eq!(send(device, mj::CREATE, second), NtStatus::SUCCESS);
    }

    /// R-DEV-33.
    #[test]
    fn a_deleted_control_device_ends_with_its_last_handle() {
        let t = start();
        let device = control_device(&t);
        let file = file_object();
        assert_eq!(send(device, mj::CREATE, file), NtStatus::SUCCESS);
        t.call("WdfObjectDelete", &[device]);
        assert!(taken().is_empty());
        assert_eq!(send(device, mj::CREATE, file_object()), NtStatus::INVALID_DEVICE_STATE);
        let _ = send(device, mj::CLEANUP, file);
        let _ = send(device, mj::CLOSE, file);
        assert_eq!(taken(), ["cleanup control irql=0", "destroy control"]);
    }

    /// R-DEV-07.
    #[test]
    fn a_consumed_init_structure_cannot_be_used() {
        let t = start();
        let mut token = 0;
        unfinished_control_device(&t, |_, init| token = init);
        expect_end("R-DEV-07", || { t.call("WdfDeviceInitSetExclusive", &[token, 1]); });
    }

    /// R-DEV-16.
    #[test]
    fn a_security_descriptor_needs_a_name() {
        let t = start();
        let init = t.call("WdfControlDeviceInitAllocate", &[t.driver, text("D:P(A;;GA;;;SY)")]);
        let pointer = memory(8);
        guest::write(pointer, init);
        assert_eq!(t.create("WdfDeviceCreate", &[pointer, 0]), Err(NtStatus::INVALID_SECURITY_DESCR));
        assert_eq!(guest::read::<u64>(pointer), init);
        t.call("WdfDeviceInitFree", &[init]);
    }

    /// R-DEV-19.
    #[test]
    fn a_device_has_one_symbolic_link_and_it_goes_with_the_device() {
        let t = start();
        let device = control_device(&t);
        let link = |name: &str| t.status("WdfDeviceCreateSymbolicLink", &[device, text(name)]);
        assert_eq!(link(""), NtStatus::INVALID_DEVICE_REQUEST);
        assert_eq!(link("\\DosDevices\\Bench"), NtStatus::SUCCESS);
        assert_eq!(link("\\DosDevices\\Other"), NtStatus::INVALID_DEVICE_REQUEST);
        assert_eq!(nt::namespace::links().len(), 1);
        t.call("WdfObjectDelete", &[device]);
        assert!(nt::namespace::links().is_empty());
    }

    /// R-DEV-32.
    #[test]
    fn finishing_a_device_that_is_no_control_device_is_a_break() {
        let t = start_lenient();
        let _node = node(&t, |_, _| ());
        let device = *ADDED.lock().unwrap();
        t.call("WdfControlFinishInitializing", &[device]);
        assert_eq!(verify::breaks(), 1);
    }

    /// R-DEV-47.
    #[test]
    fn file_objects_cannot_have_scope_queue() {
        let t = start();
        let init = t.call("WdfControlDeviceInitAllocate", &[t.driver, text("D:P(A;;GA;;;SY)")]);
        t.call("WdfDeviceInitAssignName", &[init, text("\\Device\\Bench")]);
        let config = memory(40);
        guest::write(config, 40_u32);
        guest::write(config + 32, 2_u32);
        guest::write(config + 36, 4_u32);
        let scoped = attributes();
        guest::write(scoped + 28, 3_u32);
        t.call("WdfDeviceInitSetFileObjectConfig", &[init, config, scoped]);
        let pointer = memory(8);
        guest::write(pointer, init);
        assert_eq!(t.create("WdfDeviceCreate", &[pointer, 0]), Err(NtStatus::INVALID_DEVICE_REQUEST));
    }

    /// Registry values below the service's Parameters key.
    #[test]
    fn the_parameters_key_keeps_values() {
        let t = start();
        let key = t.create("WdfDriverOpenParametersRegistryKey", &[t.driver, 0, 0]).unwrap();
        let out = memory(8);
        assert_eq!(t.status("WdfRegistryQueryULong", &[key, text("Depth"), out]), NtStatus::OBJECT_NAME_NOT_FOUND);
        assert_eq!(t.status("WdfRegistryAssignULong", &[key, text("Depth"), 7]), NtStatus::SUCCESS);
        assert_eq!(t.status("WdfRegistryQueryULong", &[key, text("depth"), out]), NtStatus::SUCCESS);
        assert_eq!(guest::read::<u32>(out), 7);
        let string = t.create("WdfStringCreate", &[text("hello"), 0]).unwrap();
        assert_eq!(t.status("WdfRegistryAssignString", &[key, text("Name"), string]), NtStatus::SUCCESS);
        assert_eq!(t.status("WdfRegistryQueryULong", &[key, text("Name"), out]), NtStatus::OBJECT_TYPE_MISMATCH);
        let read = t.create("WdfStringCreate", &[0, 0]).unwrap();
        assert_eq!(t.status("WdfRegistryQueryString", &[key, text("Name"), read]), NtStatus::SUCCESS);
        let view = memory(16);
        t.call("WdfStringGetUnicodeString", &[read, view]);
        assert_eq!(guest::unicode_string(view), "hello");
        t.call("WdfRegistryClose", &[key]);
    }

    /// A preprocess callback sees the IRP first, and may let the framework go on or pass the IRP down.
    #[test]
    fn a_preprocess_callback_decides_who_handles_an_irp() {
        let t = start();
        let device = unfinished_control_device(&t, |t, init| {
            let callback = preprocess as *const () as u64;
            let status = t.status(
                "WdfDeviceInitAssignWdmIrpPreprocessCallback",
                &[init, callback, mj::CREATE.into(), 0, 0],
            );
            assert_eq!(status, NtStatus::SUCCESS);
        });
        t.call("WdfControlFinishInitializing", &[device]);
        let file = file_object();
        assert_eq!(send(device, mj::CREATE, file), NtStatus::SUCCESS);
        assert_eq!(taken(), ["preprocess 0"]);
        assert_eq!(send(device, mj::CLOSE, file), NtStatus::SUCCESS);
        assert!(taken().is_empty());
    }

    /// R-QUE-20: what no part of the framework handles is refused by a device that is no filter.
    #[test]
    fn an_unhandled_major_function_is_refused_with_information_zero() {
        let t = start();
        let device = control_device(&t);
        assert_eq!(send(device, mj::FLUSH_BUFFERS, file_object()), NtStatus::INVALID_DEVICE_REQUEST);
    }

    /// R-DEV-11: a filter has the I/O type of the device below; its stack is one higher, two with a preprocess callback.
    #[test]
    fn a_filter_takes_its_shape_from_the_device_below() {
        let t = start();
        let _node = node(&t, |t, init| {
            t.call("WdfFdoInitSetFilter", &[init]);
            t.call("WdfDeviceInitSetIoType", &[init, 3]);
            let callback = preprocess as *const () as u64;
            t.call("WdfDeviceInitAssignWdmIrpPreprocessCallback", &[init, callback, mj::READ.into(), 0, 0]);
        });
        let device = *ADDED.lock().unwrap();
        let wdm = at(t.call("WdfDeviceWdmGetDeviceObject", &[device]) as *mut nt::abi::DeviceObject);
        let below = at(t.call("WdfDeviceWdmGetAttachedDevice", &[device]) as *mut nt::abi::DeviceObject);
        let transfer = nt::abi::DO_BUFFERED_IO | nt::abi::DO_DIRECT_IO;
        assert_eq!(wdm.flags.get() & transfer, below.flags.get() & transfer);
        assert_eq!(wdm.stack_size.get(), below.stack_size.get() + 2);
        assert_eq!(wdm.flags.get() & nt::abi::DO_DEVICE_INITIALIZING, 0);
    }

    /// R-DEV-06: a failed EvtDriverDeviceAdd leaves no device behind.
    #[test]
    fn failing_device_add_after_creation_deletes_the_device() {
        let t = start();
        *FAIL_ADD.lock().unwrap() = true;
        let function = t.driver_object as *mut DriverObject;
        assert!(DevNode::create(DevNodeConfig::new("ROOT\\BENCH\\0000", function, &[])).is_err());
        assert_eq!(taken(), ["add", "cleanup dev irql=0", "destroy dev"]);
    }
}
