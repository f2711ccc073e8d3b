//! What ferry does not carry: it is passed down in the caller's thread, untouched (filter rule 3).

use wdf::{
    cx::{Arrival, Cx},
    device::Device,
    preprocess::{Arriving, Verdict},
};

use crate::{attention, device::Crossing};

/// Raw user addresses mean something only in the caller's thread, and paging I/O must not depend on memory or threads of ours. Under the
/// policy bypass nothing is carried, except behind what waits of the same handle since before.
pub(crate) fn decide(
    cx: &mut Cx<'_, Arrival>,
    device: &Device<Crossing>,
    irp: &Arriving<'_>,
) -> Verdict {
    if irp.is_neither() || irp.is_paging_io() || passes_by(cx, device, irp) {
        device.counters.skipped.count();
        Verdict::Skip
    } else {
        Verdict::Framework
    }
}

fn passes_by(cx: &mut Cx<'_, Arrival>, device: &Crossing, irp: &Arriving<'_>) -> bool {
    device.attention.has(attention::BYPASS)
        && !(device.attention.has(attention::WAITING)
            && irp
                .file_key()
                .is_some_and(|handle| device.has_waiting(cx.anywhere(), handle)))
}
