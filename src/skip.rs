//! What ferry must not carry: it is passed down in the caller's thread, untouched (filter rule 3).

use wdf::{
    cx::{Arrival, Cx},
    device::Device,
    preprocess::{Arriving, Verdict},
};

use crate::device::Crossing;

/// Raw user addresses mean something only in the caller's thread, and paging I/O must not depend on memory or threads of ours.
pub(crate) fn raw_addresses_and_paging(
    _cx: &mut Cx<'_, Arrival>,
    device: &Device<Crossing>,
    irp: &Arriving<'_>,
) -> Verdict {
    if irp.is_neither() || irp.is_paging_io() {
        device.counters.skipped.count();
        Verdict::Skip
    } else {
        Verdict::Framework
    }
}
