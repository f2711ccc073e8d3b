//! The methods that fill a `WDFDEVICE_INIT` (R-DEV-10 to R-DEV-15, R-DEV-30, R-DEV-40).

use super::attributes::{Attributes, Rules};
use super::ddi::{Call, DISPATCH, PASSIVE, export};
use super::device_init::{
    self, DeviceInit, FileClass, FileConfig, InitKind, IoType, PNP_EVENTS, Preprocess,
};
use super::driver::Driver;
use super::guest;
use super::handle;
use crate::nt::abi::{DO_POWER_INRUSH, DO_POWER_PAGABLE};
use crate::nt::status::NtStatus;

export! {
    "WdfControlDeviceInitAllocate" => control_allocate[driver: u64, sddl: u64] -> u64, PASSIVE;
    "WdfControlDeviceInitSetShutdownNotification" => set_shutdown_notification[init: u64, callback: u64, flags: u8], PASSIVE;
    "WdfDeviceInitFree" => free[init: u64], PASSIVE;
    "WdfDeviceInitSetPnpPowerEventCallbacks" => set_pnp_power_callbacks[init: u64, callbacks: u64], PASSIVE;
    "WdfDeviceInitSetPowerPolicyEventCallbacks" => set_power_policy_callbacks[init: u64, callbacks: u64], PASSIVE;
    "WdfDeviceInitSetPowerPolicyOwnership" => set_power_policy_ownership[init: u64, owner: u8], PASSIVE;
    "WdfDeviceInitSetIoType" => set_io_type[init: u64, io_type: u32], PASSIVE;
    "WdfDeviceInitSetIoTypeEx" => set_io_type_ex[init: u64, config: u64], PASSIVE;
    "WdfDeviceInitSetExclusive" => set_exclusive[init: u64, exclusive: u8], PASSIVE;
    "WdfDeviceInitSetPowerNotPageable" => set_power_not_pageable[init: u64], PASSIVE;
    "WdfDeviceInitSetPowerPageable" => set_power_pageable[init: u64], PASSIVE;
    "WdfDeviceInitSetPowerInrush" => set_power_inrush[init: u64], PASSIVE;
    "WdfDeviceInitSetDeviceType" => set_device_type[init: u64, device_type: u32], PASSIVE;
    "WdfDeviceInitAssignName" => assign_name[init: u64, name: u64] -> NtStatus, PASSIVE;
    "WdfDeviceInitAssignSDDLString" => assign_sddl[init: u64, sddl: u64] -> NtStatus, PASSIVE;
    "WdfDeviceInitSetDeviceClass" => set_device_class[init: u64, class: u64], PASSIVE;
    "WdfDeviceInitSetCharacteristics" => set_characteristics[init: u64, characteristics: u32, or_in: u8], PASSIVE;
    "WdfDeviceInitSetFileObjectConfig" => set_file_object_config[init: u64, config: u64, attributes: u64], PASSIVE;
    "WdfDeviceInitSetRequestAttributes" => set_request_attributes[init: u64, attributes: u64], PASSIVE;
    "WdfDeviceInitAssignWdmIrpPreprocessCallback" => assign_preprocess[init: u64, callback: u64, major: u8, minors: u64, count: u32] -> NtStatus, PASSIVE;
    "WdfDeviceInitSetIoInCallerContextCallback" => set_in_caller_context[init: u64, callback: u64], PASSIVE;
    "WdfDeviceInitSetRemoveLockOptions" => set_remove_lock_options[init: u64, options: u64], PASSIVE;
    "WdfDeviceInitSetReleaseHardwareOrderOnFailure" => set_release_order[init: u64, order: u32], PASSIVE;
    "WdfDeviceInitAllowSelfIoTarget" => allow_self_target[init: u64], PASSIVE;
    "WdfFdoInitSetFilter" => fdo_set_filter[init: u64], PASSIVE;
    "WdfFdoInitWdmGetPhysicalDevice" => fdo_get_physical_device[init: u64] -> u64, DISPATCH;
    "WdfFdoInitSetEventCallbacks" => fdo_set_event_callbacks[init: u64, callbacks: u64], PASSIVE;
}

fn with<R>(call: &Call, init: u64, f: impl FnOnce(&mut DeviceInit) -> R) -> R {
    call.require(init, "DeviceInit");
    device_init::with(call.name, init, f)
}

/// `WdfControlDeviceInitAllocate`: R-DEV-30. PASSIVE_LEVEL.
fn control_allocate(call: &Call, driver: u64, sddl: u64) -> u64 {
    let driver = handle::resolve::<Driver>(driver);
    call.require(sddl, "SDDLString");
    let text = guest::unicode_string(sddl);
    if !looks_like_sddl(&text) {
        return 0;
    }
    let mut init = DeviceInit::control(driver);
    init.sddl = Some(text);
    device_init::allocate(init)
}

/// A security descriptor string has an owner, group, DACL or SACL part.
fn looks_like_sddl(text: &str) -> bool {
    ["D:", "O:", "G:", "S:"]
        .iter()
        .any(|part| text.starts_with(part))
}

/// `WdfControlDeviceInitSetShutdownNotification`: EvtDeviceShutdownNotification of a control device.
fn set_shutdown_notification(call: &Call, init: u64, callback: u64, _flags: u8) {
    with(call, init, |init| init.shutdown = callback);
}

/// `WdfDeviceInitFree`: gives back a structure that no device was made from (R-DEV-07).
fn free(call: &Call, init: u64) {
    let control = with(call, init, |init| init.kind == InitKind::Control);
    if control {
        device_init::release(init);
    } else {
        call.framework_break(
            "R-DEV-07",
            "only a WDFDEVICE_INIT the driver allocated can be freed by it",
        );
    }
}

/// `WdfDeviceInitSetPnpPowerEventCallbacks`: the PnP and power callbacks.
fn set_pnp_power_callbacks(call: &Call, init: u64, callbacks: u64) {
    call.require(callbacks, "PnpPowerEventCallbacks");
    let size = guest::read::<u32>(callbacks) as usize;
    // The 1.9 layout ends before EvtDeviceUsageNotificationEx.
    if size != 8 + 8 * PNP_EVENTS && size != 8 * PNP_EVENTS {
        call.framework_break(
            "R-DEV-60",
            &format!("a WDF_PNPPOWER_EVENT_CALLBACKS of {size} bytes is ignored"),
        );
        return;
    }
    let mut table = [0_u64; PNP_EVENTS];
    for (i, callback) in table.iter_mut().enumerate().take(size / 8 - 1) {
        *callback = guest::read(callbacks + 8 + 8 * i as u64);
    }
    with(call, init, |init| init.pnp = table);
}

/// `WdfDeviceInitSetPowerPolicyEventCallbacks`: accepted; arming for wake is not modelled.
fn set_power_policy_callbacks(call: &Call, init: u64, callbacks: u64) {
    call.require(callbacks, "PowerPolicyEventCallbacks");
    with(call, init, |_| ());
}

/// `WdfDeviceInitSetPowerPolicyOwnership`: whether this driver decides the device's power state.
fn set_power_policy_ownership(call: &Call, init: u64, owner: u8) {
    with(call, init, |init| {
        init.power_policy_owner = Some(owner != 0)
    });
}

fn io_type_of(raw: u32) -> Option<IoType> {
    match raw {
        1 => Some(IoType::Neither),
        2 => Some(IoType::Buffered),
        3 => Some(IoType::Direct),
        _ => None,
    }
}

/// `WdfDeviceInitSetIoType`: R-DEV-10.
fn set_io_type(call: &Call, init: u64, io_type: u32) {
    match io_type_of(io_type) {
        Some(io_type) => with(call, init, |init| init.io_type = io_type),
        None => call.framework_break("R-DEV-10", &format!("I/O type {io_type} is ignored")),
    }
}

/// `WdfDeviceInitSetIoTypeEx`: R-DEV-10. "Buffered or direct" is served as direct, as the framework does when no
/// threshold keeps a transfer buffered.
fn set_io_type_ex(call: &Call, init: u64, config: u64) {
    call.require(config, "IoTypeConfig");
    let raw = guest::read::<u32>(config + 4);
    let wanted = if raw == 4 {
        Some(IoType::Direct)
    } else {
        io_type_of(raw)
    };
    match wanted {
        Some(io_type) => with(call, init, |init| init.io_type = io_type),
        None => call.framework_break("R-DEV-10", &format!("I/O type {raw} is ignored")),
    }
}

/// `WdfDeviceInitSetExclusive`: R-DEV-20.
fn set_exclusive(call: &Call, init: u64, exclusive: u8) {
    with(call, init, |init| init.exclusive = exclusive != 0);
}

/// `WdfDeviceInitSetPowerNotPageable`: power requests may come at DISPATCH_LEVEL.
fn set_power_not_pageable(call: &Call, init: u64) {
    with(call, init, |init| init.power_flags &= !DO_POWER_PAGABLE);
}

/// `WdfDeviceInitSetPowerPageable`: power requests come at PASSIVE_LEVEL.
fn set_power_pageable(call: &Call, init: u64) {
    with(call, init, |init| init.power_flags |= DO_POWER_PAGABLE);
}

/// `WdfDeviceInitSetPowerInrush`: the device draws much current when it starts.
fn set_power_inrush(call: &Call, init: u64) {
    with(call, init, |init| {
        init.power_flags = init.power_flags & !DO_POWER_PAGABLE | DO_POWER_INRUSH;
    });
}

/// `WdfDeviceInitSetDeviceType`: the FILE_DEVICE_ value of the device object.
fn set_device_type(call: &Call, init: u64, device_type: u32) {
    with(call, init, |init| init.device_type = device_type);
}

/// `WdfDeviceInitAssignName`: names the device object; a null name takes the name away.
fn assign_name(call: &Call, init: u64, name: u64) -> NtStatus {
    let name = (name != 0).then(|| guest::unicode_string(name));
    with(call, init, |init| init.name = name);
    NtStatus::SUCCESS
}

/// `WdfDeviceInitAssignSDDLString`: the device's security; null takes it away.
fn assign_sddl(call: &Call, init: u64, sddl: u64) -> NtStatus {
    let text = (sddl != 0).then(|| guest::unicode_string(sddl));
    if text.as_deref().is_some_and(|text| !looks_like_sddl(text)) {
        return NtStatus::INVALID_PARAMETER;
    }
    with(call, init, |init| init.sddl = text);
    NtStatus::SUCCESS
}

/// `WdfDeviceInitSetDeviceClass`: class of the device for its security settings; the model keeps no such settings.
fn set_device_class(call: &Call, init: u64, class: u64) {
    call.require(class, "DeviceClassGuid");
    with(call, init, |_| ());
}

/// `WdfDeviceInitSetCharacteristics`: characteristics of the device object.
fn set_characteristics(call: &Call, init: u64, characteristics: u32, or_in: u8) {
    with(call, init, |init| {
        if or_in != 0 {
            init.characteristics |= characteristics;
        } else {
            init.characteristics = characteristics;
        }
    });
}

/// `WdfDeviceInitSetFileObjectConfig`: R-DEV-40 to R-DEV-42.
fn set_file_object_config(call: &Call, init: u64, config: u64, attributes: u64) {
    call.require(config, "FileObjectConfig");
    if guest::read::<u32>(config) != 40 {
        call.framework_break(
            "R-DEV-40",
            "a WDF_FILEOBJECT_CONFIG of another size is ignored",
        );
        return;
    }
    let raw = guest::read::<u32>(config + 36);
    let optional = raw & 0x8000_0000 != 0;
    let class = match raw & 0x7FFF_FFFF {
        1 => FileClass::NotRequired,
        2 => FileClass::FsContext,
        3 => FileClass::FsContext2,
        4 => FileClass::NoFsContexts,
        _ => {
            call.framework_break(
                "R-DEV-42",
                &format!("file object class {raw:#x} is ignored"),
            );
            return;
        }
    };
    if optional && class == FileClass::NotRequired {
        call.framework_break("R-DEV-42", "an optional file object needs a class");
        return;
    }
    let rules = Rules::NO_PARENT.with_level_and_scope();
    let attributes_given = attributes != 0;
    let attributes = match Attributes::read(attributes, rules) {
        Ok(attributes) => attributes,
        Err(status) => {
            call.framework_break(
                "R-DEV-40",
                &format!("attributes of file objects ignored: {status:?}"),
            );
            return;
        }
    };
    let files = FileConfig {
        create: guest::read(config + 8),
        close: guest::read(config + 16),
        cleanup: guest::read(config + 24),
        auto_forward: match guest::read::<u32>(config + 32) {
            0 => Some(false),
            1 => Some(true),
            _ => None,
        },
        class,
        optional,
        attributes,
        attributes_given,
    };
    with(call, init, |init| init.files = Some(files));
}

/// `WdfDeviceInitSetRequestAttributes`: R-DEV-13.
fn set_request_attributes(call: &Call, init: u64, attributes: u64) {
    call.require(attributes, "RequestAttributes");
    match Attributes::read(attributes, Rules::NO_PARENT) {
        Ok(attributes) => with(call, init, |init| init.request_attributes = attributes),
        Err(status) => call.framework_break(
            "R-DEV-13",
            &format!("attributes of requests ignored: {status:?}"),
        ),
    }
}

/// `WdfDeviceInitAssignWdmIrpPreprocessCallback`: a callback that sees the IRPs of a major function first.
fn assign_preprocess(
    call: &Call,
    init: u64,
    callback: u64,
    major: u8,
    minors: u64,
    count: u32,
) -> NtStatus {
    call.require(callback, "EvtDeviceWdmIrpPreprocess");
    if major > crate::nt::abi::mj::MAXIMUM {
        return NtStatus::INVALID_PARAMETER;
    }
    if count > 0 {
        call.require(minors, "MinorFunctions");
    }
    let minors = if count == 0 {
        Vec::new()
    } else {
        guest::bytes(minors, count as usize)
    };
    with(call, init, |init| {
        if count > 0
            && init
                .preprocess
                .get(&major)
                .is_some_and(|known| !known.minors.is_empty())
        {
            return NtStatus::INVALID_DEVICE_REQUEST;
        }
        init.preprocess
            .insert(major, Preprocess { callback, minors });
        NtStatus::SUCCESS
    })
}

/// `WdfDeviceInitSetIoInCallerContextCallback`: R-DEV-14.
fn set_in_caller_context(call: &Call, init: u64, callback: u64) {
    call.require(callback, "EvtIoInCallerContext");
    with(call, init, |init| init.in_caller_context = callback);
}

/// `WdfDeviceInitSetRemoveLockOptions`: accepted; removal waits for what is in the queues either way.
fn set_remove_lock_options(call: &Call, init: u64, options: u64) {
    call.require(options, "Options");
    with(call, init, |_| ());
}

/// `WdfDeviceInitSetReleaseHardwareOrderOnFailure`: accepted; child devices, which it is about, are not modelled.
fn set_release_order(call: &Call, init: u64, _order: u32) {
    with(call, init, |_| ());
}

/// `WdfDeviceInitAllowSelfIoTarget`: the driver will ask for its own I/O target.
fn allow_self_target(call: &Call, init: u64) {
    with(call, init, |init| init.self_target = true);
}

/// Stops an FDO method on the init structure of another kind of device: BREAK, no effect.
fn fdo_only<R>(call: &Call, init: u64, f: impl FnOnce(&mut DeviceInit, u64) -> R) -> Option<R> {
    let result = with(call, init, |init| match init.kind {
        InitKind::Function { physical } => Some(f(init, physical)),
        InitKind::Control => None,
    });
    if result.is_none() {
        call.framework_break("R-DEV-12", "the WDFDEVICE_INIT is not one of AddDevice");
    }
    result
}

/// `WdfFdoInitSetFilter`: R-DEV-12.
fn fdo_set_filter(call: &Call, init: u64) {
    fdo_only(call, init, |init, _| init.filter = true);
}

/// `WdfFdoInitWdmGetPhysicalDevice`: the physical device object of the stack.
fn fdo_get_physical_device(call: &Call, init: u64) -> u64 {
    physical(call, init).unwrap_or(0)
}

/// The physical device object of the stack an init structure is for; none for a control device.
pub(super) fn physical(call: &Call, init: u64) -> Option<u64> {
    fdo_only(call, init, |_, physical| physical)
}

/// `WdfFdoInitSetEventCallbacks`: accepted; the callbacks are about hardware resources, of which the model assigns none.
fn fdo_set_event_callbacks(call: &Call, init: u64, callbacks: u64) {
    call.require(callbacks, "FdoEventCallbacks");
    fdo_only(call, init, |_, _| ());
}
