//! What is done on demand. The answer is a row of 32-bit numbers.

use core::sync::atomic::Ordering;

use wdf::{
    Status,
    clock::Span,
    cx::{Cx, IoPassive},
    device::Device,
    memory::Memory,
    queue::FoundKind,
    request::{Any, Control, Disposition, Ioctl, Request},
};

use crate::{Workshop, writes};

pub(crate) fn refuse<'r>(
    cx: &mut Cx<'_, IoPassive>,
    _workshop: &Device<Workshop>,
    request: Request<'r, Any>,
) -> Disposition<'r> {
    request.complete_empty(cx, Status::INVALID_DEVICE_REQUEST)
}

pub(crate) fn control<'r>(
    cx: &mut Cx<'_, IoPassive>,
    workshop: &Device<Workshop>,
    request: Request<'r, Ioctl>,
) -> Disposition<'r> {
    match (request.parameters().code >> 2) & 0x7FF {
        1 => take_the_read_at(cx, workshop, request),
        2 => take_a_read_of_this_handle(cx, workshop, request),
        3 => answer(cx, request, &counts(workshop)),
        4 => {
            workshop.dpc.enqueue();
            workshop.timer.start(Span::from_millis(0));
            request.complete_empty(cx, Status::SUCCESS)
        }
        5 => {
            let finished = writes::finish(cx, workshop);
            answer(cx, request, &[u32::from(finished)])
        }
        6 => stop_and_look(cx, workshop, request),
        7 => take_from_the_shelf(cx, workshop, request),
        _ => request.complete_empty(cx, Status::INVALID_DEVICE_REQUEST),
    }
}

fn counts(workshop: &Workshop) -> [u32; 8] {
    let of = |count: &core::sync::atomic::AtomicU32| count.load(Ordering::Relaxed);
    let depth = workshop
        .depth
        .unwrap_or_else(|status| status.raw().cast_unsigned());
    [
        of(&workshop.counts.ready),
        of(&workshop.counts.dpcs),
        of(&workshop.counts.ticks),
        of(&workshop.counts.kept),
        of(&workshop.counts.resumed),
        of(&workshop.counts.queried),
        depth,
        u32::try_from(workshop.ids).unwrap_or(u32::MAX),
    ]
}

/// Walks the waiting reads to the one at the offset the input names, and ends it; how many it looked at, and whether it was there.
fn take_the_read_at<'r>(
    cx: &mut Cx<'_, IoPassive>,
    workshop: &Workshop,
    mut request: Request<'r, Ioctl>,
) -> Disposition<'r> {
    let offset = match request.buffers() {
        Ok(Control::Buffered(buffer)) => buffer.input().first().copied().map_or(0, i64::from),
        _ => 0,
    };
    let walked = workshop.reads.search(cx, |walk| {
        let mut looked_at = 0_u32;
        while let Some(hit) = walk.next()? {
            looked_at = looked_at.saturating_add(1);
            if matches!(hit.kind(), FoundKind::Read(read) if read.offset == offset) {
                let taken = hit.take(|cx, read| read.complete_empty(cx, Status::SUCCESS))?;
                return Ok((looked_at, taken));
            }
        }
        Ok::<_, Status>((looked_at, false))
    });
    match walked {
        Ok((looked_at, taken)) => answer(cx, request, &[looked_at, u32::from(taken)]),
        Err(status) => request.complete_empty(cx, status),
    }
}

/// Ends the first read that waits on behalf of the handle this control came through; how many more of its own it finds then.
fn take_a_read_of_this_handle<'r>(
    cx: &mut Cx<'_, IoPassive>,
    workshop: &Workshop,
    request: Request<'r, Ioctl>,
) -> Disposition<'r> {
    let taken = workshop.reads.retrieve_next_of(cx, &request, |cx, read| {
        read.complete_empty(cx, Status::SUCCESS)
    });
    let left = workshop.reads.search_of(cx, &request, |walk| {
        let mut left = 0_u32;
        while matches!(walk.next(), Ok(Some(_))) {
            left = left.saturating_add(1);
        }
        left
    });
    match (taken, left) {
        (Ok(taken), Ok(left)) => answer(cx, request, &[u32::from(taken), left]),
        (Err(status), _) | (_, Err(status)) => request.complete_empty(cx, status),
    }
}

/// A stopped queue delivers nothing and says so (R-QUE-92).
fn stop_and_look<'r>(
    cx: &mut Cx<'_, IoPassive>,
    workshop: &Workshop,
    request: Request<'r, Ioctl>,
) -> Disposition<'r> {
    workshop.reads.stop(cx);
    let refused = workshop
        .reads
        .retrieve_next(cx, |cx, read| read.complete_empty(cx, Status::SUCCESS));
    let refused = refused.err().unwrap_or(Status::SUCCESS);
    let (waiting, owned) = workshop.reads.counts();
    workshop.reads.start(cx);
    answer(
        cx,
        request,
        &[refused.raw().cast_unsigned(), waiting, owned],
    )
}

/// How many pieces lie there, the length of the first, whether it could be taken, the length of the one that is first now; how long the version is.
fn take_from_the_shelf<'r>(
    cx: &mut Cx<'_, IoPassive>,
    workshop: &Workshop,
    request: Request<'r, Ioctl>,
) -> Disposition<'r> {
    let length = |memory: Option<Memory>| {
        memory.map_or(0, |memory| u32::try_from(memory.len()).unwrap_or(u32::MAX))
    };
    let [count, first, taken, next] = workshop.shelf.with(cx, |shelf| {
        let (count, first) = (shelf.len(), length(shelf.get(0)));
        let taken = u32::from(shelf.remove(0)).saturating_add(u32::from(shelf.remove(9)));
        [count, first, taken, length(shelf.get(0))]
    });
    let version = u32::try_from(workshop.version.units().len()).unwrap_or(u32::MAX);
    answer(cx, request, &[count, first, taken, next, version])
}

/// Completes with `numbers` as output.
fn answer<'r>(
    cx: &Cx<'_, IoPassive>,
    mut request: Request<'r, Ioctl>,
    numbers: &[u32],
) -> Disposition<'r> {
    let written = request.buffers().and_then(|buffers| {
        let Control::Buffered(mut buffer) = buffers else {
            return Err(Status::INVALID_DEVICE_REQUEST);
        };
        let mut output = buffer.output();
        for number in numbers {
            output.append(&number.to_le_bytes());
        }
        Ok(output.written())
    });
    match written {
        Ok(written) => request.complete_written(cx, written),
        Err(status) => request.complete_empty(cx, status),
    }
}
