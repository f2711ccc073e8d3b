//! How requests travel.

use core::sync::atomic::Ordering;

use ferry_abi::{
    Message,
    control::{
        Limit, MAX_CHUNK, MAX_DEPTH, PolicyKind, Select, SetPolicy, Settings, Split, SplitMode,
        Timeout, split_flags,
    },
};
use wdf::{
    Status,
    device::Device,
    request::{Buffered, Written},
};

use super::answer::{find, input, invalid, nothing, output};
use crate::{device::Crossing, registry::Registry, rules::Owner};

pub(super) fn policy<'r>(
    registry: &Registry,
    buffer: Buffered<'_, 'r>,
) -> Result<Written<'r>, Status> {
    let set: SetPolicy = input(&buffer)?;
    set.check().map_err(invalid)?;
    let policy = PolicyKind::from_code(set.policy).ok_or(Status::INVALID_PARAMETER)?;
    find(registry, set.device)?.set_policy(policy);
    Ok(nothing(buffer))
}

pub(super) fn limit<'r>(
    registry: &Registry,
    owner: Owner,
    buffer: Buffered<'_, 'r>,
) -> Result<Written<'r>, Status> {
    let limit: Limit = input(&buffer)?;
    limit.check().map_err(invalid)?;
    find(registry, limit.device)?.set_limit(&limit, owner);
    Ok(nothing(buffer))
}

/// Whether transfers of the device may be cut into chunks of that size (filter rule 16).
pub(super) fn can_split(device: &Device<Crossing>, chunk: u32, stream: bool) -> Result<(), Status> {
    const FILE_DEVICE_CD_ROM: u32 = 0x02;
    const FILE_DEVICE_DISK: u32 = 0x07;
    const FILE_DEVICE_UNKNOWN: u32 = 0x22;
    const FILE_DEVICE_VIRTUAL_DISK: u32 = 0x24;
    let addressed = matches!(
        device.device_type(),
        FILE_DEVICE_CD_ROM | FILE_DEVICE_DISK | FILE_DEVICE_UNKNOWN | FILE_DEVICE_VIRTUAL_DISK
    );
    if device.io_flags() == 0 || !(addressed || stream) {
        return Err(Status::NOT_SUPPORTED);
    }
    if chunk > MAX_CHUNK {
        return Err(Status::INVALID_PARAMETER);
    }
    // AlignmentRequirement is a power of two, less one.
    if chunk & device.alignment() != 0 {
        return Err(Status::INVALID_PARAMETER);
    }
    Ok(())
}

pub(super) fn split<'r>(
    registry: &Registry,
    owner: Owner,
    buffer: Buffered<'_, 'r>,
) -> Result<Written<'r>, Status> {
    let split: Split = input(&buffer)?;
    split.check().map_err(invalid)?;
    let device = find(registry, split.device)?;
    if split.max_transfer != 0 {
        can_split(
            device,
            split.max_transfer,
            split.flags & split_flags::STREAM != 0,
        )?;
    }
    let depth = match (split.depth, SplitMode::from_code(split.mode)) {
        (0, Some(SplitMode::Parallel)) => MAX_DEPTH,
        (depth, _) => depth.max(1),
    };
    device.set_split(&split, depth, owner);
    Ok(nothing(buffer))
}

pub(super) fn timeout<'r>(
    registry: &Registry,
    owner: Owner,
    buffer: Buffered<'_, 'r>,
) -> Result<Written<'r>, Status> {
    let timeout: Timeout = input(&buffer)?;
    timeout.check().map_err(invalid)?;
    find(registry, timeout.device)?.set_timeout(&timeout, owner);
    Ok(nothing(buffer))
}

pub(super) fn settings<'r>(
    registry: &Registry,
    buffer: Buffered<'_, 'r>,
) -> Result<Written<'r>, Status> {
    let select: Select = input(&buffer)?;
    select.check().map_err(invalid)?;
    let device = find(registry, select.device)?;
    let set = &device.settings;
    let get = |field: &core::sync::atomic::AtomicU32| field.load(Ordering::Relaxed);
    output(
        buffer,
        &Settings {
            header: Settings::expected(),
            policy: get(&set.policy),
            limit: get(&set.limit),
            limit_matching: get(&set.limit_matching),
            max_transfer: get(&set.max_transfer),
            split_mode: get(&set.split_mode),
            split_depth: get(&set.split_depth),
            split_flags: get(&set.split_flags),
            split_matching: get(&set.split_matching),
            timeout_ms: get(&set.timeout_ms),
            timeout_matching: get(&set.timeout_matching),
            alignment: device.alignment(),
            observers: get(&device.observers).count_ones(),
            rules: device.shelf.rules.count(),
            io_type: device.io_flags(),
        },
    )
}
