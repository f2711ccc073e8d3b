//! The DDIs of I/O targets, but for the synchronous sends.

use super::super::ddi::{Call, DISPATCH, PASSIVE, export};
use super::super::device::Device;
use super::super::guest;
use super::super::handle::{self, Ref};
use super::super::request::Request;
use super::format::{self, Kind};
use super::memory::Buffer;
use super::{Target, TargetState, open, state};
use crate::nt;
use crate::nt::abi::{at, mj, mn};
use crate::nt::status::NtStatus;

export! {
    "WdfIoTargetCreate" => create[device: u64, attributes: u64, out: u64] -> NtStatus, PASSIVE;
    "WdfIoTargetOpen" => open_ddi[target: u64, params: u64] -> NtStatus, PASSIVE;
    "WdfIoTargetCloseForQueryRemove" => close_for_query_remove[target: u64], PASSIVE;
    "WdfIoTargetClose" => close[target: u64], PASSIVE;
    "WdfIoTargetStart" => start[target: u64] -> NtStatus, DISPATCH;
    "WdfIoTargetStop" => stop[target: u64, action: u32], DISPATCH;
    "WdfIoTargetPurge" => purge[target: u64, action: u32], DISPATCH;
    "WdfIoTargetGetState" => get_state[target: u64] -> u32, DISPATCH;
    "WdfIoTargetGetDevice" => get_device[target: u64] -> u64, DISPATCH;
    "WdfIoTargetWdmGetTargetDeviceObject" => wdm_get_device[target: u64] -> u64, DISPATCH;
    "WdfIoTargetWdmGetTargetPhysicalDevice" => wdm_get_physical[target: u64] -> u64, DISPATCH;
    "WdfIoTargetWdmGetTargetFileObject" => wdm_get_file[target: u64] -> u64, DISPATCH;
    "WdfIoTargetWdmGetTargetFileHandle" => wdm_get_file_handle[target: u64] -> u64, DISPATCH;
    "WdfIoTargetFormatRequestForRead" => format_read[target: u64, request: u64, memory: u64, offsets: u64, offset: u64] -> NtStatus, DISPATCH;
    "WdfIoTargetFormatRequestForWrite" => format_write[target: u64, request: u64, memory: u64, offsets: u64, offset: u64] -> NtStatus, DISPATCH;
    "WdfIoTargetFormatRequestForIoctl" => format_ioctl[target: u64, request: u64, code: u32, input: u64, input_offsets: u64, output: u64, output_offsets: u64] -> NtStatus, DISPATCH;
    "WdfIoTargetFormatRequestForInternalIoctl" => format_internal[target: u64, request: u64, code: u32, input: u64, input_offsets: u64, output: u64, output_offsets: u64] -> NtStatus, DISPATCH;
    "WdfIoTargetFormatRequestForInternalIoctlOthers" => format_others[target: u64, request: u64, code: u32, first: u64, first_offsets: u64, second: u64, second_offsets: u64, fourth: u64, fourth_offsets: u64] -> NtStatus, DISPATCH;
    "WdfIoTargetQueryForInterface" => query_for_interface[target: u64, interface_type: u64, interface: u64, size: u16, version: u16, specific: u64] -> NtStatus, PASSIVE;
    "WdfIoTargetQueryTargetProperty" => query_property[target: u64, property: u32, length: u32, buffer: u64, result_length: u64] -> NtStatus, PASSIVE;
    "WdfIoTargetAllocAndQueryTargetProperty" => alloc_and_query_property[target: u64, property: u32, pool: u32, attributes: u64, out: u64] -> NtStatus, PASSIVE;
}

fn resolve(target: u64) -> Ref<Target> {
    handle::resolve(target)
}

/// `WdfIoTargetCreate`: R-TGT-02, R-TGT-03. PASSIVE_LEVEL.
fn create(call: &Call, device: u64, attributes: u64, out: u64) -> NtStatus {
    call.require(out, "IoTarget");
    guest::write(out, 0_u64);
    let device = handle::resolve::<Device>(device);
    match open::create(&device, attributes) {
        Ok(target) => {
            guest::write(out, target.handle());
            NtStatus::SUCCESS
        }
        Err(status) => status,
    }
}

/// `WdfIoTargetOpen`: R-TGT-04 to R-TGT-08. PASSIVE_LEVEL.
fn open_ddi(call: &Call, target: u64, params: u64) -> NtStatus {
    NtStatus::of(open::open(call, &resolve(target), params))
}

/// `WdfIoTargetCloseForQueryRemove`: R-TGT-26, R-TGT-27. PASSIVE_LEVEL.
fn close_for_query_remove(_call: &Call, target: u64) {
    open::close(&resolve(target), TargetState::ClosedForQueryRemove);
}

/// `WdfIoTargetClose`: R-TGT-26. PASSIVE_LEVEL.
fn close(_call: &Call, target: u64) {
    open::close(&resolve(target), TargetState::Closed);
}

/// `WdfIoTargetStart`: R-TGT-20; held requests are sent inside.
fn start(call: &Call, target: u64) -> NtStatus {
    NtStatus::of(state::start(call, &resolve(target)))
}

/// `WdfIoTargetStop`: R-TGT-21 to R-TGT-24.
fn stop(call: &Call, target: u64, action: u32) {
    state::stop(call, &resolve(target), action);
}

/// `WdfIoTargetPurge`: R-TGT-25.
fn purge(call: &Call, target: u64, action: u32) {
    state::purge(call, &resolve(target), action);
}

/// `WdfIoTargetGetState`.
fn get_state(_call: &Call, target: u64) -> u32 {
    resolve(target).state.lock().state as u32
}

/// `WdfIoTargetGetDevice`: the device the target belongs to.
fn get_device(_call: &Call, target: u64) -> u64 {
    resolve(target).device().handle()
}

/// `WdfIoTargetWdmGetTargetDeviceObject`: null while the target is not open.
fn wdm_get_device(_call: &Call, target: u64) -> u64 {
    resolve(target)
        .opened()
        .map_or(0, |opened| opened.device.get() as u64)
}

/// `WdfIoTargetWdmGetTargetPhysicalDevice`: the bottom of the target's stack.
fn wdm_get_physical(_call: &Call, target: u64) -> u64 {
    resolve(target)
        .opened()
        .map_or(0, |opened| nt::device::bottom(opened.device.get()) as u64)
}

/// `WdfIoTargetWdmGetTargetFileObject`: null if there is none.
fn wdm_get_file(_call: &Call, target: u64) -> u64 {
    resolve(target).opened().map_or(0, |opened| opened.file)
}

/// `WdfIoTargetWdmGetTargetFileHandle`: null unless the target was opened by name.
fn wdm_get_file_handle(_call: &Call, target: u64) -> u64 {
    resolve(target)
        .opened()
        .and_then(|opened| opened.handle)
        .map_or(0, |handle| handle.value())
}

/// Device offset of a transfer; null means 0 (R-TGT-38).
pub(super) fn device_offset(address: u64) -> i64 {
    if address == 0 {
        0
    } else {
        guest::read(address)
    }
}

fn format_with(target: u64, request: u64, kind: Kind, memories: &[(u64, u64)]) -> NtStatus {
    let target = resolve(target);
    let request = handle::resolve::<Request>(request);
    let mut buffers = Vec::with_capacity(memories.len());
    for &(memory, offsets) in memories {
        match Buffer::of_memory(memory, offsets) {
            Ok(buffer) => buffers.push(buffer),
            Err(status) => {
                buffers.into_iter().for_each(Buffer::release);
                return status;
            }
        }
    }
    NtStatus::of(format::format(&request, &target, kind, buffers))
}

/// `WdfIoTargetFormatRequestForRead`: R-TGT-33 to R-TGT-38.
fn format_read(
    _call: &Call,
    target: u64,
    request: u64,
    memory: u64,
    offsets: u64,
    offset: u64,
) -> NtStatus {
    let kind = Kind::Read(device_offset(offset));
    format_with(target, request, kind, &[(memory, offsets)])
}

/// `WdfIoTargetFormatRequestForWrite`: R-TGT-33 to R-TGT-38.
fn format_write(
    _call: &Call,
    target: u64,
    request: u64,
    memory: u64,
    offsets: u64,
    offset: u64,
) -> NtStatus {
    let kind = Kind::Write(device_offset(offset));
    format_with(target, request, kind, &[(memory, offsets)])
}

/// `WdfIoTargetFormatRequestForIoctl`: R-TGT-33 to R-TGT-39.
#[expect(clippy::too_many_arguments, reason = "as many as the DDI has")]
fn format_ioctl(
    _call: &Call,
    target: u64,
    request: u64,
    code: u32,
    input: u64,
    input_offsets: u64,
    output: u64,
    output_offsets: u64,
) -> NtStatus {
    let kind = Kind::Ioctl {
        code,
        internal: false,
    };
    let memories = [(input, input_offsets), (output, output_offsets)];
    format_with(target, request, kind, &memories)
}

/// `WdfIoTargetFormatRequestForInternalIoctl`: R-TGT-33 to R-TGT-39.
#[expect(clippy::too_many_arguments, reason = "as many as the DDI has")]
fn format_internal(
    _call: &Call,
    target: u64,
    request: u64,
    code: u32,
    input: u64,
    input_offsets: u64,
    output: u64,
    output_offsets: u64,
) -> NtStatus {
    let kind = Kind::Ioctl {
        code,
        internal: true,
    };
    let memories = [(input, input_offsets), (output, output_offsets)];
    format_with(target, request, kind, &memories)
}

/// `WdfIoTargetFormatRequestForInternalIoctlOthers`: internal control with three arguments (R-TGT-86).
#[expect(clippy::too_many_arguments, reason = "as many as the DDI has")]
fn format_others(
    _call: &Call,
    target: u64,
    request: u64,
    code: u32,
    first: u64,
    first_offsets: u64,
    second: u64,
    second_offsets: u64,
    fourth: u64,
    fourth_offsets: u64,
) -> NtStatus {
    let memories = [
        (first, first_offsets),
        (second, second_offsets),
        (fourth, fourth_offsets),
    ];
    format_with(target, request, Kind::Others { code }, &memories)
}

/// `WdfIoTargetQueryForInterface`: asks the target's stack for a function interface. PASSIVE_LEVEL.
fn query_for_interface(
    call: &Call,
    target: u64,
    interface_type: u64,
    interface: u64,
    size: u16,
    version: u16,
    specific: u64,
) -> NtStatus {
    call.require(interface_type, "InterfaceType");
    call.require(interface, "Interface");
    let Some(opened) = resolve(target).opened() else {
        return NtStatus::INVALID_DEVICE_STATE;
    };
    let irp = nt::irp::allocate(opened.stack_size);
    at(irp).io_status.status.set(NtStatus::NOT_SUPPORTED);
    let next = nt::irp::next(irp);
    next.major_function.set(mj::PNP);
    next.minor_function.set(mn::QUERY_INTERFACE);
    let arguments = [
        interface_type,
        u64::from(size) | u64::from(version) << 16,
        interface,
        specific,
    ];
    for (slot, argument) in next.parameters.iter().zip(arguments) {
        slot.set(argument);
    }
    let status = nt::irp::send_and_wait(opened.device.get(), irp);
    nt::irp::free(irp);
    status
}

/// The bytes of a property of the device behind a target.
fn property(target: u64, property: u32) -> Result<Vec<u8>, NtStatus> {
    let opened = resolve(target)
        .opened()
        .ok_or(NtStatus::INVALID_DEVICE_STATE)?;
    nt::pnp::property(nt::device::bottom(opened.device.get()), property)
}

/// `WdfIoTargetQueryTargetProperty`: what the system knows of the physical device behind the target. PASSIVE_LEVEL.
fn query_property(
    call: &Call,
    target: u64,
    number: u32,
    length: u32,
    buffer: u64,
    result_length: u64,
) -> NtStatus {
    super::super::property::copy_out(
        call,
        property(target, number),
        length,
        buffer,
        result_length,
    )
}

/// `WdfIoTargetAllocAndQueryTargetProperty`: the same, in a new memory object. PASSIVE_LEVEL.
fn alloc_and_query_property(
    call: &Call,
    target: u64,
    number: u32,
    pool: u32,
    attributes: u64,
    out: u64,
) -> NtStatus {
    super::super::property::give_memory(call, || property(target, number), pool, attributes, out)
}
