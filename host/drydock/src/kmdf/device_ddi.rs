//! The methods of a device that ask or tell (those that create, power or name it are elsewhere).

use super::ddi::{ANY, Call, DISPATCH, PASSIVE, export};
use super::device::{self, Device};
use super::device_create;
use super::dispatch;
use super::guest;
use super::handle;
use super::interface;
use super::string;
use crate::nt;
use crate::nt::abi::{self, DeviceObject, Irp, mj};
use crate::nt::status::NtStatus;
use crate::verify;

export! {
    "WdfDeviceCreate" => device_create::create[init: u64, attributes: u64, out: u64] -> NtStatus, PASSIVE;
    "WdfWdmDeviceGetWdfDeviceHandle" => from_wdm[wdm: u64] -> u64, DISPATCH;
    "WdfDeviceWdmGetDeviceObject" => wdm_get_device_object[device: u64] -> u64, DISPATCH;
    "WdfDeviceWdmGetAttachedDevice" => wdm_get_attached_device[device: u64] -> u64, DISPATCH;
    "WdfDeviceWdmGetPhysicalDevice" => wdm_get_physical_device[device: u64] -> u64, DISPATCH;
    "WdfDeviceWdmDispatchPreprocessedIrp" => dispatch_preprocessed[device: u64, irp: u64] -> NtStatus, DISPATCH;
    "WdfDeviceWdmDispatchIrp" => dispatch_irp[device: u64, irp: u64, context: u64] -> NtStatus, DISPATCH;
    "WdfDeviceConfigureWdmIrpDispatchCallback" => configure_irp_dispatch[device: u64, driver: u64, major: u8, callback: u64, context: u64] -> NtStatus, PASSIVE;
    "WdfDeviceGetDevicePowerState" => get_power_state[device: u64] -> u32, DISPATCH;
    "WdfVerifierDbgBreakPoint" => verifier_break[], ANY;
    "WdfVerifierKeBugCheck" => verifier_bug_check[code: u32, a: u64, b: u64, c: u64, d: u64], ANY;
    "WdfDeviceGetDriver" => get_driver[device: u64] -> u64, DISPATCH;
    "WdfDeviceRetrieveDeviceName" => retrieve_device_name[device: u64, string: u64] -> NtStatus, PASSIVE;
    "WdfDeviceGetIoTarget" => get_io_target[device: u64] -> u64, DISPATCH;
    "WdfDeviceSetSpecialFileSupport" => set_special_file_support[device: u64, file: u32, supported: u8], PASSIVE;
    "WdfDeviceSetCharacteristics" => set_characteristics[device: u64, characteristics: u32], DISPATCH;
    "WdfDeviceGetCharacteristics" => get_characteristics[device: u64] -> u32, DISPATCH;
    "WdfDeviceGetAlignmentRequirement" => get_alignment[device: u64] -> u32, DISPATCH;
    "WdfDeviceSetAlignmentRequirement" => set_alignment[device: u64, alignment: u32], DISPATCH;
    "WdfDeviceSetStaticStopRemove" => set_static_stop_remove[device: u64, stoppable: u8], DISPATCH;
    "WdfDeviceSetPnpCapabilities" => set_pnp_capabilities[device: u64, capabilities: u64], DISPATCH;
    "WdfDeviceSetPowerCapabilities" => set_power_capabilities[device: u64, capabilities: u64], DISPATCH;
    "WdfDeviceGetDeviceState" => get_device_state[device: u64, state: u64], DISPATCH;
    "WdfDeviceSetDeviceState" => set_device_state[device: u64, state: u64], DISPATCH;
    "WdfDeviceGetDevicePnpState" => get_pnp_state[device: u64] -> u32, DISPATCH;
    "WdfDeviceGetSystemPowerAction" => get_system_power_action[device: u64] -> u32, DISPATCH;
    "WdfDeviceAssignS0IdleSettings" => assign_s0_idle_settings[device: u64, settings: u64] -> NtStatus, DISPATCH;
    "WdfDeviceAssignSxWakeSettings" => assign_sx_wake_settings[device: u64, settings: u64] -> NtStatus, PASSIVE;
    "WdfDeviceStopIdleNoTrack" => stop_idle[device: u64, wait: u8] -> NtStatus, DISPATCH;
    "WdfDeviceResumeIdleNoTrack" => resume_idle[device: u64], DISPATCH;
    "WdfDeviceStopIdleActual" => stop_idle_actual[device: u64, wait: u8, tag: u64, line: u32, file: u64] -> NtStatus, DISPATCH;
    "WdfDeviceResumeIdleActual" => resume_idle_actual[device: u64, tag: u64, line: u32, file: u64], DISPATCH;
}

/// `WdfWdmDeviceGetWdfDeviceHandle`: the framework device of a DEVICE_OBJECT of this driver.
fn from_wdm(call: &Call, wdm: u64) -> u64 {
    call.require(wdm, "DeviceObject");
    device::of_wdm(wdm as *mut DeviceObject).map_or(0, |device| device.handle())
}

/// `WdfDeviceWdmGetDeviceObject`: the DEVICE_OBJECT.
fn wdm_get_device_object(_call: &Call, device: u64) -> u64 {
    handle::resolve::<Device>(device).wdm() as u64
}

/// `WdfDeviceWdmGetAttachedDevice`: the next lower DEVICE_OBJECT; null for a control device.
fn wdm_get_attached_device(_call: &Call, device: u64) -> u64 {
    handle::resolve::<Device>(device)
        .lower()
        .map_or(0, |lower| lower as u64)
}

/// `WdfDeviceWdmGetPhysicalDevice`: the physical DEVICE_OBJECT of the stack; null for a control device.
fn wdm_get_physical_device(_call: &Call, device: u64) -> u64 {
    handle::resolve::<Device>(device)
        .physical()
        .map_or(0, |physical| physical as u64)
}

/// `WdfDeviceWdmDispatchPreprocessedIrp`: the framework goes on with an IRP a preprocess callback has looked at. The
/// callback has skipped or copied its stack location; the framework takes the next one.
fn dispatch_preprocessed(call: &Call, device: u64, irp: u64) -> NtStatus {
    let device = handle::resolve::<Device>(device);
    call.require(irp, "Irp");
    let irp = irp as *mut Irp;
    if device.config().preprocess.is_empty() {
        call.framework_break("R-QUE-20", "the device has no preprocess callback");
        return NtStatus::INVALID_DEVICE_REQUEST;
    }
    nt::irp::set_next(irp);
    nt::irp::current(irp).device_object.set(device.wdm());
    dispatch::dispatch(&device, irp)
}

/// `WdfDeviceWdmDispatchIrp`: the framework goes on with an IRP of a dispatch callback.
fn dispatch_irp(call: &Call, device: u64, irp: u64, _context: u64) -> NtStatus {
    let device = handle::resolve::<Device>(device);
    call.require(irp, "Irp");
    dispatch::dispatch(&device, irp as *mut Irp)
}

/// `WdfDeviceConfigureWdmIrpDispatchCallback`: a callback that chooses the queue of each IRP of a major function
/// (`WdfDeviceWdmDispatchIrpToIoQueue`), or lets the framework go on (`WdfDeviceWdmDispatchIrp`).
fn configure_irp_dispatch(
    call: &Call,
    device: u64,
    _driver: u64,
    major: u8,
    callback: u64,
    context: u64,
) -> NtStatus {
    let device = handle::resolve::<Device>(device);
    call.require(callback, "EvtDeviceWdmIrpDispatch");
    match major {
        mj::READ | mj::WRITE | mj::DEVICE_CONTROL | mj::INTERNAL_DEVICE_CONTROL => {
            device.irp_dispatch().set(major, callback, context);
            NtStatus::SUCCESS
        }
        _ => NtStatus::INVALID_PARAMETER,
    }
}

/// `WdfDeviceGetDevicePowerState`: the `WDF_DEVICE_POWER_STATE` nearest to where the device is.
fn get_power_state(_call: &Call, device: u64) -> u32 {
    handle::resolve::<Device>(device).pnp().power_state()
}

/// `WdfVerifierDbgBreakPoint`: the driver reports misuse itself.
fn verifier_break(call: &Call) {
    call.framework_break("R-CHK-01", "the driver asks for a break");
}

/// `WdfVerifierKeBugCheck`: the driver ends the system.
fn verifier_bug_check(call: &Call, code: u32, a: u64, b: u64, c: u64, d: u64) {
    let text = format!("{} called {}", call.binding.name(), call.name);
    verify::bug_check(code, [a, b, c, d], text);
}

/// `WdfDeviceGetDriver`: the driver.
fn get_driver(_call: &Call, device: u64) -> u64 {
    handle::resolve::<Device>(device).driver().handle()
}

/// `WdfDeviceRetrieveDeviceName`: the device's name into a string object.
fn retrieve_device_name(call: &Call, device: u64, string: u64) -> NtStatus {
    let device = handle::resolve::<Device>(device);
    let string = handle::resolve(string);
    match interface::device_name(&device) {
        Some(name) => string::assign(&string, call.binding, &name),
        None => NtStatus::INVALID_DEVICE_REQUEST,
    }
}

/// `WdfDeviceGetIoTarget`: the default I/O target; null for a control device (R-TGT-01).
fn get_io_target(_call: &Call, device: u64) -> u64 {
    handle::resolve::<Device>(device)
        .default_target()
        .map_or(0, |target| target.handle().0)
}

/// `WdfDeviceSetSpecialFileSupport`: whether paging, hibernation, dump or boot files may be on the device.
fn set_special_file_support(call: &Call, device: u64, file: u32, supported: u8) {
    let device = handle::resolve::<Device>(device);
    if !device.pnp().usage().support(file, supported != 0) {
        call.framework_break("R-DEV-65", &format!("special file type {file} is unknown"));
    }
}

/// `WdfDeviceSetCharacteristics`: characteristics of the DEVICE_OBJECT.
fn set_characteristics(_call: &Call, device: u64, characteristics: u32) {
    let device = handle::resolve::<Device>(device);
    abi::at(device.wdm()).characteristics.set(characteristics);
}

/// `WdfDeviceGetCharacteristics`: characteristics of the DEVICE_OBJECT.
fn get_characteristics(_call: &Call, device: u64) -> u32 {
    let device = handle::resolve::<Device>(device);
    abi::at(device.wdm()).characteristics.get()
}

/// `WdfDeviceGetAlignmentRequirement`: alignment mask of transfer buffers.
fn get_alignment(_call: &Call, device: u64) -> u32 {
    let device = handle::resolve::<Device>(device);
    abi::at(device.wdm()).alignment_requirement.get()
}

/// `WdfDeviceSetAlignmentRequirement`: alignment mask of transfer buffers.
fn set_alignment(_call: &Call, device: u64, alignment: u32) {
    let device = handle::resolve::<Device>(device);
    abi::at(device.wdm()).alignment_requirement.set(alignment);
}

/// `WdfDeviceSetStaticStopRemove`: whether the device can be stopped and removed at all.
fn set_static_stop_remove(_call: &Call, device: u64, stoppable: u8) {
    let device = handle::resolve::<Device>(device);
    device.pnp().set_stoppable(stoppable != 0);
}

/// `WdfDeviceSetPnpCapabilities`: accepted; the system of this machine asks no device for its capabilities.
fn set_pnp_capabilities(call: &Call, device: u64, capabilities: u64) {
    handle::resolve::<Device>(device);
    call.require(capabilities, "PnpCapabilities");
}

/// `WdfDeviceSetPowerCapabilities`: accepted; the system of this machine asks no device for its capabilities.
fn set_power_capabilities(call: &Call, device: u64, capabilities: u64) {
    handle::resolve::<Device>(device);
    call.require(capabilities, "PowerCapabilities");
}

/// `WdfDeviceGetDeviceState`: every flag "default", as nothing else was set.
fn get_device_state(call: &Call, device: u64, state: u64) {
    let device = handle::resolve::<Device>(device);
    call.require(state, "DeviceState");
    let words = device.pnp().reported_state();
    for (i, word) in words.iter().enumerate() {
        guest::write(state + 4 + 4 * i as u64, *word);
    }
}

/// `WdfDeviceSetDeviceState`: what the device reports of itself to the system.
fn set_device_state(call: &Call, device: u64, state: u64) {
    let device = handle::resolve::<Device>(device);
    call.require(state, "DeviceState");
    let mut words = [0_u32; 6];
    for (i, word) in words.iter_mut().enumerate() {
        *word = guest::read(state + 4 + 4 * i as u64);
    }
    device.pnp().set_reported_state(words);
}

/// `WdfDeviceGetDevicePnpState`: the `WDF_DEVICE_PNP_STATE` that fits the device's stage.
fn get_pnp_state(_call: &Call, device: u64) -> u32 {
    handle::resolve::<Device>(device).pnp().stage() as u32
}

/// `WdfDeviceGetSystemPowerAction`: PowerActionNone; the model keeps no record of why the system changes its state.
fn get_system_power_action(_call: &Call, device: u64) -> u32 {
    handle::resolve::<Device>(device);
    0
}

/// `WdfDeviceAssignS0IdleSettings`: accepted; this machine never powers an idle device down.
fn assign_s0_idle_settings(call: &Call, device: u64, settings: u64) -> NtStatus {
    let device = handle::resolve::<Device>(device);
    call.require(settings, "Settings");
    if device.is_control() {
        return NtStatus::INVALID_DEVICE_REQUEST;
    }
    NtStatus::SUCCESS
}

/// `WdfDeviceAssignSxWakeSettings`: accepted; nothing wakes this machine but its tests.
fn assign_sx_wake_settings(call: &Call, device: u64, settings: u64) -> NtStatus {
    assign_s0_idle_settings(call, device, settings)
}

/// `WdfDeviceStopIdle`: success if the device is in D0, as it never idles; else it is on its way there.
fn stop_idle(_call: &Call, device: u64, _wait: u8) -> NtStatus {
    let device = handle::resolve::<Device>(device);
    if device.is_control() {
        return NtStatus::INVALID_DEVICE_REQUEST;
    }
    if device.pnp().in_d0() {
        NtStatus::SUCCESS
    } else {
        NtStatus::POWER_STATE_INVALID
    }
}

/// `WdfDeviceResumeIdle`: the other half of `WdfDeviceStopIdle`.
fn resume_idle(_call: &Call, device: u64) {
    handle::resolve::<Device>(device);
}

/// `WdfDeviceStopIdle` of newer headers.
fn stop_idle_actual(
    call: &Call,
    device: u64,
    wait: u8,
    _tag: u64,
    _line: u32,
    _file: u64,
) -> NtStatus {
    stop_idle(call, device, wait)
}

/// `WdfDeviceResumeIdle` of newer headers.
fn resume_idle_actual(call: &Call, device: u64, _tag: u64, _line: u32, _file: u64) {
    resume_idle(call, device);
}
