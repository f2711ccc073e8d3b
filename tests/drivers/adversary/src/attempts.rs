//! What is tried, by control code. The answer is a row of 32-bit numbers.

use core::sync::atomic::Ordering;

use wdf::{
    Status,
    clock::Span,
    cx::{Cx, IoPassive},
    device::Device,
    lock::{SpinLock, with2},
    request::{Control, Disposition, Ioctl, ParkError, Request},
};

use crate::{
    Adversary,
    desk::{self, Abandoned, Desk},
    filter::Filter,
};

/// A handler with a request in its hands.
type Handler<'r, 'c, 'a> = (
    &'a mut Cx<'c, IoPassive>,
    &'a Device<Desk>,
    Request<'r, Ioctl>,
);

pub(crate) fn attempt<'r>(
    cx: &mut Cx<'_, IoPassive>,
    desk: &Device<Desk>,
    request: Request<'r, Ioctl>,
) -> Disposition<'r> {
    let code = request.parameters().code;
    let here = (cx, desk, request);
    match (code >> 2) & 0x7FF {
        1 => forward_to_another_device(here),
        2 => send_to_another_stack(here),
        3 => claim_more_than_was_written(here),
        4 => park_and_forget(here),
        5 => park_and_drop(here),
        6 => park_for_another_thread(here),
        7 => wait_for_ever(here),
        8 => change_a_queue_twice(here),
        9 => use_what_is_gone(here),
        10 => drop_in_odd_places(here),
        11 => take_the_lock_that_is_taken(here),
        12 => leave(here),
        _ => here
            .2
            .complete_empty(here.0, Status::INVALID_DEVICE_REQUEST),
    }
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

fn number(status: Status) -> u32 {
    status.raw().cast_unsigned()
}

fn outcome(result: Result<(), Status>) -> u32 {
    number(result.err().unwrap_or(Status::SUCCESS))
}

/// The filter device that was kept.
fn kept(cx: &mut Cx<'_, IoPassive>) -> Option<Device<Filter>> {
    let adversary = cx.driver::<Adversary>()?;
    adversary.kept.with(cx, |kept, _| kept.filter.clone())
}

/// A request does not enter a queue of another device (R-REQ-87).
fn forward_to_another_device<'r>((cx, _, request): Handler<'r, '_, '_>) -> Disposition<'r> {
    let Some(filter) = kept(cx) else {
        return request.complete_empty(cx, Status::DEVICE_NOT_READY);
    };
    match request.forward(cx, &filter.queue) {
        Ok(gone) => gone,
        Err((request, status)) => answer(cx, request, &[number(status)]),
    }
}

/// A request does not go to the target of another stack, which may be deeper than its IRP (R-TGT-33).
fn send_to_another_stack<'r>((cx, _, request): Handler<'r, '_, '_>) -> Disposition<'r> {
    let Some(filter) = kept(cx) else {
        return request.complete_empty(cx, Status::DEVICE_NOT_READY);
    };
    let (request, formatted) = match request.format_current_type(&filter.lower) {
        Ok(formatted) => (formatted.into_request(), Status::SUCCESS),
        Err(failed) => (failed.request, failed.status),
    };
    match request.send_and_forget(cx, &filter.lower) {
        Ok(gone) => gone,
        Err(failed) => {
            let numbers = [number(formatted), number(failed.status)];
            answer(cx, failed.request, &numbers)
        }
    }
}

/// Information of `METHOD_BUFFERED` is what the system copies out: bytes nobody wrote are not among it (R-REQ-66).
fn claim_more_than_was_written<'r>((cx, _, request): Handler<'r, '_, '_>) -> Disposition<'r> {
    request.complete_counted(cx, usize::MAX)
}

fn park_and_forget<'r>((cx, _, request): Handler<'r, '_, '_>) -> Disposition<'r> {
    match request.park::<Abandoned>() {
        Ok((parked, token)) => {
            core::mem::forget(token);
            parked
        }
        Err(ParkError::Canceled(request)) => request.complete(cx, Status::CANCELLED),
        Err(ParkError::NotParkable(request, status)) => request.complete_empty(cx, status),
    }
}

fn park_and_drop<'r>((cx, _, request): Handler<'r, '_, '_>) -> Disposition<'r> {
    match request.park::<Abandoned>() {
        Ok((parked, token)) => {
            drop(token);
            parked
        }
        Err(ParkError::Canceled(request)) => request.complete(cx, Status::CANCELLED),
        Err(ParkError::NotParkable(request, status)) => request.complete_empty(cx, status),
    }
}

fn park_for_another_thread<'r>((cx, desk, request): Handler<'r, '_, '_>) -> Disposition<'r> {
    match request.park::<Abandoned>() {
        Ok((parked, token)) => {
            let earlier = desk.token.with(cx, |place| place.replace(token));
            drop(earlier);
            desk.item.enqueue();
            parked
        }
        Err(ParkError::Canceled(request)) => request.complete(cx, Status::CANCELLED),
        Err(ParkError::NotParkable(request, status)) => request.complete_empty(cx, status),
    }
}

fn wait_for_ever<'r>((cx, desk, request): Handler<'r, '_, '_>) -> Disposition<'r> {
    match request.forward(cx, &desk.waiting) {
        Ok(gone) => gone,
        Err((request, status)) => request.complete_empty(cx, status),
    }
}

/// Two changes that report their end at once are a bug check of the framework (R-QUE-80).
fn change_a_queue_twice<'r>((cx, desk, request): Handler<'r, '_, '_>) -> Disposition<'r> {
    let first = outcome(desk.waiting.drain_then::<Desk, _>(cx, desk::changed));
    let second = outcome(desk.waiting.purge_then::<Desk, _>(cx, desk::changed));
    let before = desk.changes.with(cx, |changes| *changes);
    // What the drain waits for.
    let waited = desk.waiting.retrieve_next(cx, |cx, waiting| {
        waiting.complete_empty(cx, Status::SUCCESS)
    });
    let after = desk.changes.with(cx, |changes| *changes);
    desk.waiting.start(cx);
    let numbers = [first, second, before, u32::from(waited == Ok(true)), after];
    answer(cx, request, &numbers)
}

/// Everything a device had, used when it is gone.
fn use_what_is_gone<'r>((cx, _, request): Handler<'r, '_, '_>) -> Disposition<'r> {
    let Some(filter) = kept(cx) else {
        return request.complete_empty(cx, Status::DEVICE_NOT_READY);
    };
    filter.timer.start(Span::from_millis(0));
    filter.timer.stop();
    filter.timer.start(Span::from_millis(0));
    filter.dpc.enqueue();
    filter.item.enqueue();
    filter.queue.start(cx);
    filter.queue.stop(cx);
    filter.queue.purge(cx);
    let drained = outcome(filter.queue.drain_then::<Filter, _>(cx, |_, _| {}));
    let retrieved = filter.queue.retrieve_next(cx, |cx, request| {
        request.complete_empty(cx, Status::SUCCESS)
    });
    let retrieved = outcome(retrieved.map(|_| ()));
    let found = filter
        .queue
        .search(cx, |walk| walk.next().map(|hit| hit.is_some()));
    let found = outcome(found.map(|_| ()));
    let (waiting, owned) = filter.queue.counts();
    let ran = cx
        .driver::<Adversary>()
        .map_or(u32::MAX, |adversary| adversary.ran.load(Ordering::Relaxed));
    answer(
        cx,
        request,
        &[drained, retrieved, found, waiting, owned, ran],
    )
}

/// Values that own framework objects end where nobody would expect it.
fn drop_in_odd_places<'r>((cx, desk, request): Handler<'r, '_, '_>) -> Disposition<'r> {
    let outer = SpinLock::<u32>::new(1);
    let inner = SpinLock::<u32>::new(2);
    let (Ok(outer), Ok(inner)) = (outer, inner) else {
        return request.complete_empty(cx, Status::INSUFFICIENT_RESOURCES);
    };
    let myself = desk.clone();
    let sum = outer.with(cx, |value| {
        // At DISPATCH_LEVEL, another lock held: a lock, and a reference on the device whose handler this is.
        drop(inner);
        drop(myself);
        value.saturating_add(1)
    });
    let both = with2(cx, &desk.token, &desk.changes, |token, changes| {
        u32::from(token.is_none()).saturating_add(changes.saturating_mul(0))
    });
    drop(outer);
    answer(cx, request, &[sum, both])
}

/// A wait lock that is taken is not waited for longer than was asked (R-DEV-74), and not taken twice.
fn take_the_lock_that_is_taken<'r>((cx, _, request): Handler<'r, '_, '_>) -> Disposition<'r> {
    let Some(adversary) = cx.driver::<Adversary>() else {
        return request.complete_empty(cx, Status::DEVICE_NOT_READY);
    };
    let free = adversary
        .kept
        .try_with(cx, Span::from_millis(0), |kept, _| kept.desk.is_some());
    answer(cx, request, &[u32::from(free == Some(true))])
}

/// Lets go of everything, so that the driver can be unloaded.
fn leave<'r>((cx, _, request): Handler<'r, '_, '_>) -> Disposition<'r> {
    let Some(adversary) = cx.driver::<Adversary>() else {
        return request.complete_empty(cx, Status::DEVICE_NOT_READY);
    };
    adversary.kept.with(cx, |kept, cx| {
        kept.filter = None;
        if let Some(desk) = kept.desk.take() {
            desk.delete(cx);
        }
    });
    request.complete_empty(cx, Status::SUCCESS)
}
