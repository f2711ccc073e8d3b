//! Which devices there are, and what has passed them.

use core::sync::atomic::Ordering;

use ferry_abi::{
    Message,
    control::{Device as Entry, HistogramSelect, Info, Measure, Select},
};
use wdf::{
    Status,
    cx::{Cx, Locked},
    request::{Buffered, Written, faults},
};

use super::answer::{find, input, invalid, output, several};
use crate::registry::Registry;

/// `major << 16 | minor`.
const DRIVER_VERSION: u32 = 1;

pub(super) fn info<'r>(
    registry: &Registry,
    buffer: Buffered<'_, 'r>,
) -> Result<Written<'r>, Status> {
    let devices = u32::try_from(registry.devices().count()).unwrap_or(u32::MAX);
    output(
        buffer,
        &Info::new(DRIVER_VERSION, KMDF_MINOR, devices, faults()),
    )
}

pub(super) fn devices<'r>(
    registry: &Registry,
    cx: &mut Cx<'_, Locked>,
    buffer: Buffered<'_, 'r>,
) -> Result<Written<'r>, Status> {
    let narrow = |count: u64| u32::try_from(count).unwrap_or(u32::MAX);
    let entries = registry.devices().map(|device| {
        let (held, _) = device.held.counts();
        let parked = &device.parked;
        let delayed = parked.kept.len(cx).saturating_add(parked.free.len(cx));
        Entry {
            header: Entry::expected(),
            id: device.id.get(),
            device_type: device.device_type(),
            in_flight: narrow(device.counters.stats().in_flight),
            held,
            delayed,
            backlog: device.backlog.counts().0,
            dropped: parked.dropped.len(cx),
            below: narrow(device.counters.below()),
            rules: device.shelf.rules.count(),
            policy: device.settings.policy.load(Ordering::Relaxed),
        }
    });
    several(buffer, entries)
}

pub(super) fn stats<'r>(
    registry: &Registry,
    buffer: Buffered<'_, 'r>,
) -> Result<Written<'r>, Status> {
    let select: Select = input(&buffer)?;
    select.check().map_err(invalid)?;
    output(buffer, &find(registry, select.device)?.counters.stats())
}

pub(super) fn histogram<'r>(
    registry: &Registry,
    buffer: Buffered<'_, 'r>,
) -> Result<Written<'r>, Status> {
    let select: HistogramSelect = input(&buffer)?;
    select.check().map_err(invalid)?;
    let device = find(registry, select.device)?;
    let latency = Measure::from_code(select.measure)
        .and_then(|measure| device.shelf.latencies.of(select.op, measure))
        .ok_or(Status::INVALID_PARAMETER)?;
    output(buffer, &latency.read(select.reset != 0))
}

/// KMDF minor version this image was built for, as the build script found it.
const KMDF_MINOR: u32 = decimal(env!("FERRY_KMDF_MINOR"));

const fn decimal(text: &str) -> u32 {
    match u32::from_str_radix(text, 10) {
        Ok(number) => number,
        Err(_) => 0,
    }
}
