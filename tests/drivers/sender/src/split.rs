//! Reads and writes sent in parts (filter rules 2 and 16), the parent cancelable all the while, nothing allocated.
//!
//! Sequential: one child walks through the parent. A child that comes back inside the send that sent it only says so; the loop that sent it
//! goes on, so that the stack does not grow with the parts. One that comes back later waits for the pump, which sends at `PASSIVE_LEVEL`.
//! Parallel: as many children as there are, each with a share; the last share back completes the parent.

use core::{
    marker::PhantomData,
    sync::atomic::{AtomicBool, AtomicI32, AtomicU8, AtomicUsize, Ordering},
};

use wdf::{
    Status,
    context::{Context, TypeInfo},
    cx::{CanComplete, CanSend, Cancel, Cx, Done, IoPassive, Work},
    device::Device,
    request::{
        Disposition, OnOwnDone, OnShareCancel, OwnDone, OwnRequest, Parent, ParkError, Piece, Read,
        Request, RequestContext, Returned, SentToken, Share, Slot, Transfer, Write,
    },
    target::Completion,
};

use crate::{CHILDREN, Filter, PART};

/// The child is below, and the loop has not looked yet.
const SENDING: u8 = 1;
/// It came back; the loop has it if it had not looked yet.
const BACK: u8 = 2;
/// The loop looked and has gone; who brings the child back wakes the pump.
const AWAY: u8 = 3;

/// What sender knows of a parent.
#[derive(Default)]
pub(crate) struct Split {
    /// Bytes the finished parts moved.
    moved: AtomicUsize,
    /// The first error of a part, or 0.
    failed: AtomicI32,
    canceled: AtomicBool,
    phase: AtomicU8,
    /// The child of a sequential split, between its return and whoever goes on with it.
    back: Slot<OwnRequest<Child>>,
    /// The rights to cancel what is below.
    sent: [Slot<SentToken>; CHILDREN],
}

impl Context for Split {
    fn info() -> &'static TypeInfo<Self> {
        static INFO: TypeInfo<Split> = TypeInfo::new(c"Sender split");
        &INFO
    }
}

impl RequestContext for Split {}

/// What sender knows of a request of its own: how long its part is.
#[derive(Default)]
pub(crate) struct Child {
    length: AtomicUsize,
}

impl Context for Child {
    fn info() -> &'static TypeInfo<Self> {
        static INFO: TypeInfo<Child> = TypeInfo::new(c"Sender child");
        &INFO
    }
}

impl RequestContext for Child {}

/// A sequential split that can go on.
pub(crate) struct Ready<K: Transfer> {
    child: OwnRequest<Child>,
    share: Share<K>,
}

/// One of either kind, waiting for the pump.
pub(crate) enum Join {
    Read(Ready<Read>),
    Write(Ready<Write>),
}

impl From<Ready<Read>> for Join {
    fn from(ready: Ready<Read>) -> Self {
        Self::Read(ready)
    }
}

impl From<Ready<Write>> for Join {
    fn from(ready: Ready<Write>) -> Self {
        Self::Write(ready)
    }
}

impl Split {
    fn note(&self, piece: usize, completion: Completion) {
        self.moved
            .fetch_add(completion.information, Ordering::AcqRel);
        if let Err(status) = completion.status.ok() {
            self.fail(status);
        } else if completion.information < piece {
            // The end of the device: no part behind it is sent.
            self.fail(Status::SUCCESS);
        }
    }

    /// The first failure counts; a success that ends the transfer is one too, as -1.
    fn fail(&self, status: Status) {
        let raw = if status.is_success() {
            -1
        } else {
            status.raw()
        };
        let _ = self
            .failed
            .compare_exchange(0, raw, Ordering::AcqRel, Ordering::Acquire);
    }

    fn goes_on(&self, length: usize) -> bool {
        self.failed.load(Ordering::Acquire) == 0
            && !self.canceled.load(Ordering::Acquire)
            && self.moved.load(Ordering::Acquire) < length
    }

    fn cancel(&self, cx: &Cx<'_, impl CanComplete>) {
        for sent in &self.sent {
            if let Some(token) = sent.take() {
                token.cancel(cx);
            }
        }
    }

    /// Keeps a right to cancel; uses it if the cancellation has been here already.
    fn track(&self, cx: &Cx<'_, impl CanComplete>, place: usize, token: SentToken) {
        if let Some(sent) = self.sent.get(place) {
            drop(sent.take());
            drop(sent.put(token));
        }
        if self.canceled.load(Ordering::Acquire) {
            self.cancel(cx);
        }
    }
}

/// Ends the parent with what its parts did.
fn end<'r, K: Transfer>(cx: &Cx<'_, impl CanComplete>, parent: Returned<'r, K>) -> Disposition<'r> {
    let Some(split) = parent.context::<Split>() else {
        return parent.complete(cx, Status::INTERNAL_ERROR);
    };
    let moved = split.moved.load(Ordering::Acquire);
    match split.failed.load(Ordering::Acquire) {
        _ if parent.is_canceled() => parent.complete(cx, Status::CANCELLED),
        0 | -1 => parent.complete_moved(cx, Status::SUCCESS, moved),
        failed => parent.complete_moved(cx, Status::from_raw(failed), 0),
    }
}

struct ParentCanceled;

impl<K: Transfer> OnShareCancel<K> for ParentCanceled {
    type Device = Filter;

    fn canceled(cx: &mut Cx<'_, Cancel>, _device: &Device<Filter>, parent: &Parent<'_, K>) {
        if let Some(split) = parent.context::<Split>() {
            split.canceled.store(true, Ordering::Release);
            split.cancel(cx);
        }
    }

    fn last<'r>(
        cx: &mut Cx<'_, Cancel>,
        _device: &Device<Filter>,
        request: Returned<'r, K>,
    ) -> Disposition<'r> {
        end(cx, request)
    }
}

fn not_shared<'r, K: Transfer>(
    cx: &Cx<'_, impl CanComplete>,
    error: ParkError<'r, K>,
) -> Disposition<'r> {
    match error {
        ParkError::Canceled(request) => request.complete(cx, Status::CANCELLED),
        ParkError::NotParkable(request, status) => request.complete_empty(cx, status),
    }
}

pub(crate) fn sequential<'r, K: Transfer>(
    cx: &mut Cx<'_, IoPassive>,
    device: &Device<Filter>,
    request: Request<'r, K>,
) -> Disposition<'r>
where
    Join: From<Ready<K>>,
{
    let Some(child) = device.pool.take(cx) else {
        return request.complete_empty(cx, Status::INSUFFICIENT_RESOURCES);
    };
    match request.share_cancelable::<ParentCanceled>() {
        Ok((gone, share)) => {
            go_on(cx, device, Ready { child, share });
            gone
        }
        Err(error) => {
            drop(device.pool.put(cx, child));
            not_shared(cx, error)
        }
    }
}

/// Sends part after part, for as long as each is back when its send returns.
fn go_on<P: CanSend, K: Transfer>(cx: &mut Cx<'_, P>, device: &Device<Filter>, ready: Ready<K>)
where
    Join: From<Ready<K>>,
{
    let Ready { mut child, share } = ready;
    while let Some(split) = share.context::<Split>() {
        let whole = share.parameters().length;
        let Some(travels) = share.another().filter(|_| split.goes_on(whole)) else {
            break;
        };
        let offset = split.moved.load(Ordering::Acquire);
        let piece = Piece {
            offset,
            length: whole.saturating_sub(offset).min(PART),
        };
        split.phase.store(SENDING, Ordering::Release);
        match send::<SequentialBack<K>, P, K>(cx, device, child, travels, piece) {
            Ok(token) => {
                split.track(cx, 0, token);
                if split.phase.swap(AWAY, Ordering::AcqRel) == SENDING {
                    // Whoever brings the child back wakes the pump. This share may be the last all the same.
                    share.finish(cx, |cx, parent| end(cx, parent));
                    return;
                }
                let Some(back) = split.back.take() else {
                    share.finish(cx, |cx, parent| end(cx, parent));
                    return;
                };
                child = back;
            }
            Err((back, status)) => {
                split.fail(status);
                child = back;
            }
        }
    }
    drop(device.pool.put(cx, child));
    share.finish(cx, |cx, parent| end(cx, parent));
}

/// Sends one part; gives the child back if that fails.
fn send<C, P: CanSend, K: Transfer>(
    cx: &mut Cx<'_, P>,
    device: &Device<Filter>,
    child: OwnRequest<Child>,
    share: Share<K>,
    piece: Piece,
) -> Result<SentToken, (OwnRequest<Child>, Status)>
where
    C: OnOwnDone<Request = Child, Lent = Share<K>>,
{
    if let Some(child) = child.context() {
        child.length.store(piece.length, Ordering::Relaxed);
    }
    let ((child, share), status) = match child.format_piece(&device.lower, share, piece) {
        Ok(formatted) => match formatted.send_tracked::<C>(cx) {
            Ok(token) => return Ok(token),
            Err(failed) => (failed.done.split(), failed.status),
        },
        Err(failed) => ((failed.request, failed.lent), failed.status),
    };
    share.finish(cx, |cx, parent| end(cx, parent));
    Err((child, status))
}

struct SequentialBack<K>(PhantomData<K>);

impl<K: Transfer> OnOwnDone for SequentialBack<K>
where
    Join: From<Ready<K>>,
{
    type Device = Filter;
    type Request = Child;
    type Lent = Share<K>;

    fn done(
        cx: &mut Cx<'_, Done>,
        device: &Device<Filter>,
        done: OwnDone<Child, Share<K>>,
        completion: Completion,
    ) {
        let piece = done
            .context()
            .map_or(0, |child| child.length.load(Ordering::Relaxed));
        let (child, share) = done.split();
        let Some(split) = share.context::<Split>() else {
            return;
        };
        split.note(piece, completion);
        if let Err(child) = split.back.put(child) {
            drop(device.pool.put(cx, child));
        }
        if split.phase.swap(BACK, Ordering::AcqRel) == SENDING {
            // Inside the send, or beside it: its loop goes on with the child and a share of its own.
            share.finish(cx, |cx, parent| end(cx, parent));
            return;
        }
        let Some(child) = split.back.take() else {
            return;
        };
        let mut join = Join::from(Ready { child, share });
        for slot in &device.waiting {
            match slot.put(join) {
                Ok(()) => {
                    device.pump.enqueue();
                    return;
                }
                Err(back) => join = back,
            }
        }
    }
}

/// `EvtWorkItem`: goes on with what has come back.
pub(crate) fn pump(cx: &mut Cx<'_, Work>, device: &Device<Filter>) {
    for slot in &device.waiting {
        match slot.take() {
            Some(Join::Read(ready)) => go_on(cx, device, ready),
            Some(Join::Write(ready)) => go_on(cx, device, ready),
            None => {}
        }
    }
}

pub(crate) fn parallel<'r, K: Transfer>(
    cx: &mut Cx<'_, IoPassive>,
    device: &Device<Filter>,
    request: Request<'r, K>,
) -> Disposition<'r> {
    let (gone, share) = match request.share_cancelable::<ParentCanceled>() {
        Ok(shared) => shared,
        Err(error) => return not_shared(cx, error),
    };
    let whole = share.parameters().length;
    if let Some(split) = share.context::<Split>() {
        for place in 0..CHILDREN {
            let offset = place.saturating_mul(PART);
            let piece = Piece {
                offset,
                length: whole.saturating_sub(offset).min(PART),
            };
            if piece.length == 0 {
                break;
            }
            let (Some(child), Some(travels)) = (device.pool.take(cx), share.another()) else {
                split.fail(Status::INSUFFICIENT_RESOURCES);
                break;
            };
            match send::<ParallelBack<K>, _, K>(cx, device, child, travels, piece) {
                Ok(token) => split.track(cx, place, token),
                Err((child, status)) => {
                    drop(device.pool.put(cx, child));
                    split.fail(status);
                    break;
                }
            }
        }
    }
    share.finish(cx, |cx, parent| end(cx, parent));
    gone
}

struct ParallelBack<K>(PhantomData<K>);

impl<K: Transfer> OnOwnDone for ParallelBack<K> {
    type Device = Filter;
    type Request = Child;
    type Lent = Share<K>;

    fn done(
        cx: &mut Cx<'_, Done>,
        device: &Device<Filter>,
        done: OwnDone<Child, Share<K>>,
        completion: Completion,
    ) {
        let piece = done
            .context()
            .map_or(0, |child| child.length.load(Ordering::Relaxed));
        let (child, share) = done.split();
        drop(device.pool.put(cx, child));
        if let Some(split) = share.context::<Split>() {
            split.note(piece, completion);
        }
        share.finish(cx, |cx, parent| end(cx, parent));
    }
}
