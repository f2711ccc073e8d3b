//! Etw: event tracing.

use super::exports;
use crate::nt::abi::{read_bytes, read_in, write_out};
use crate::nt::pnp::Guid;
use crate::nt::status::NtStatus;
use crate::nt::tracing::{self, Descriptor, Part};
use crate::sched::Lock;

/// EVENT_DATA_DESCRIPTOR.
#[derive(Clone, Copy)]
#[repr(C)]
struct Data {
    address: u64,
    size: u32,
    kind: u8,
    reserved: [u8; 3],
}

/// Most pieces of data an event may have (MAX_EVENT_DATA_DESCRIPTORS), and most bytes.
const MAXIMUM_PIECES: u32 = 128;
const MAXIMUM_BYTES: u64 = 0x1_0000;
/// EVENT_INFO_CLASS has four values.
const CLASSES: u32 = 4;

fn descriptor_at(event: *const u8) -> Descriptor {
    let bytes: [u8; 16] = read_in(event.cast());
    let [a, b, version, channel, level, opcode, c, d, keyword @ ..] = bytes;
    Descriptor {
        id: u16::from_le_bytes([a, b]),
        version,
        channel,
        level,
        opcode,
        task: u16::from_le_bytes([c, d]),
        keyword: u64::from_le_bytes(keyword),
    }
}

fn guid_at(guid: *const u8) -> Option<Guid> {
    (!guid.is_null()).then(|| Guid(read_in(guid.cast())))
}

fn data_at(count: u32, data: *const Data) -> Result<Vec<(Part, Vec<u8>)>, NtStatus> {
    if count > MAXIMUM_PIECES {
        return Err(NtStatus::INVALID_PARAMETER);
    }
    let pieces: Vec<Data> = (0..count as usize)
        .map(|index| read_in(data.wrapping_add(index)))
        .collect();
    if pieces
        .iter()
        .map(|piece| u64::from(piece.size))
        .sum::<u64>()
        > MAXIMUM_BYTES
    {
        return Err(NtStatus::INTEGER_OVERFLOW);
    }
    let take = |piece: Data| {
        let part = match piece.kind {
            1 => Part::EventMetadata,
            2 => Part::ProviderMetadata,
            _ => Part::Field,
        };
        let bytes = if piece.size == 0 {
            Vec::new()
        } else {
            read_bytes(piece.address as *const u8, piece.size as usize)
        };
        (part, bytes)
    };
    Ok(pieces.into_iter().map(take).collect())
}

fn write(
    handle: u64,
    event: *const u8,
    activities: [*const u8; 2],
    count: u32,
    data: *const Data,
) -> NtStatus {
    match data_at(count, data) {
        Ok(data) => tracing::write(handle, descriptor_at(event), activities.map(guid_at), data),
        Err(status) => status,
    }
}

/// Activity ids made so far: they need only be distinct.
static ACTIVITIES: Lock<u64> = Lock::new(0);

exports! {
    PASSIVE fn EtwRegister(provider: *const [u8; 16], callback: usize, context: *mut u8, out: *mut u64) -> NtStatus {
        if crate::verify::failable("EtwRegister") {
            return NtStatus::INSUFFICIENT_RESOURCES;
        }
        write_out(out, tracing::register(Guid(read_in(provider)), callback, context as u64));
        NtStatus::SUCCESS
    }
    PASSIVE fn EtwUnregister(handle: u64) -> NtStatus {
        tracing::unregister(handle)
    }
    PASSIVE fn EtwSetInformation(handle: u64, class: u32, _information: *mut u8, _length: u32) -> NtStatus {
        if !tracing::is_registered(handle) {
            NtStatus::INVALID_HANDLE
        } else if class >= CLASSES {
            NtStatus::INVALID_PARAMETER
        } else {
            NtStatus::SUCCESS
        }
    }
    ANY fn EtwWrite(handle: u64, event: *const u8, activity: *const u8, count: u32, data: *const Data) -> NtStatus {
        write(handle, event, [activity, std::ptr::null()], count, data)
    }
    ANY fn EtwWriteTransfer(handle: u64, event: *const u8, activity: *const u8, related: *const u8, count: u32, data: *const Data) -> NtStatus {
        write(handle, event, [activity, related], count, data)
    }
    ANY fn EtwWriteEx(handle: u64, event: *const u8, _filter: u64, _flags: u32, activity: *const u8, related: *const u8, count: u32, data: *const Data) -> NtStatus {
        write(handle, event, [activity, related], count, data)
    }
    ANY fn EtwWriteString(handle: u64, level: u8, keyword: u64, activity: *const u8, text: *const u16) -> NtStatus {
        let mut bytes = Vec::new();
        let units = (0..MAXIMUM_BYTES as usize / 2).map(|index| read_in(text.wrapping_add(index)));
        bytes.extend(units.take_while(|unit| *unit != 0).flat_map(u16::to_le_bytes));
        let descriptor = Descriptor { level, keyword, ..Descriptor::default() };
        tracing::write(handle, descriptor, [guid_at(activity), None], vec![(Part::Field, bytes)])
    }
    ANY fn EtwEventEnabled(handle: u64, event: *const u8) -> u8 {
        let descriptor = descriptor_at(event);
        tracing::is_heard(handle, descriptor.level, descriptor.keyword).into()
    }
    ANY fn EtwProviderEnabled(handle: u64, level: u8, keyword: u64) -> u8 {
        tracing::is_heard(handle, level, keyword).into()
    }
    ANY fn EtwActivityIdControl(code: u32, activity: *mut [u8; 16]) -> NtStatus {
        // EVENT_ACTIVITY_CTRL_CREATE_ID: threads have no activity of their own here.
        if code != 3 {
            return NtStatus::NOT_SUPPORTED;
        }
        let number = {
            let mut last = ACTIVITIES.lock();
            *last += 1;
            *last
        };
        let mut bytes = [0; 16];
        bytes[..8].copy_from_slice(&number.to_le_bytes());
        write_out(activity, bytes);
        NtStatus::SUCCESS
    }
}
