//! Splitting: a read or write longer than the device is to be given goes down in chunks, the parent cancelable all the while (filter rules 2
//! and 16). Nothing is allocated: children and journeys were made with the device.
//!
//! Who owns what: the parent is lent to its children by shares ([`wdf::request::Share`]); the last share back owns it again and completes
//! it ([`end`]). Each child is a request of ferry's own that walks through the transfer: it takes the next chunk when it is back from the
//! last one. Sequential is one walker, parallel several. A child that comes back inside the send that sent it only says so; the loop that
//! sent it goes on ([`walk`]), so the stack does not grow with the chunks. One that comes back later waits for the pump, which sends at
//! `PASSIVE_LEVEL`.

mod journey;

use core::{
    marker::PhantomData,
    sync::atomic::{AtomicU32, AtomicU64, Ordering},
};

use ferry_abi::control::{EventKind, MAX_CHUNK, MAX_DEPTH, Place};
use wdf::{
    Status,
    clock::Stamp,
    context::{Context, TypeInfo},
    cx::{Anywhere, CanComplete, Cancel, Completing, Cx, Done, Passive, Sending, Work},
    device::Device,
    lock::SpinLock,
    request::{
        Any, AnyOf, Disposition, FileKey, OnOwnDone, OnShareCancel, OwnDone, OwnPool, OwnRequest,
        Parent, ParkError, Piece, Read, Request, RequestContext, Returned, SentToken, Share, Slot,
        Transfer, Write,
    },
    target::{Completion, Target},
};

use self::journey::{Journey, cancel};
use crate::{device::Crossing, end as ends, forward, limit::Admitted, observe, passage::Passage};

/// Children of one transfer.
pub(crate) const DEPTH: usize = MAX_DEPTH as usize;
/// Transfers of a device that can be on their way in chunks at once. Further ones wait.
const JOURNEYS: usize = 8;
/// Children beside the one each journey has: for parallel ones.
const SPARE: usize = 8;
/// Children of a device.
const CHILDREN: usize = JOURNEYS + SPARE;

/// The child is below, and the loop that sent it has not looked yet.
const SENDING: u8 = 1;
/// It came back; the loop has it if it had not looked yet.
const BACK: u8 = 2;
/// The loop looked and has gone; who brings the child back wakes the pump.
const AWAY: u8 = 3;

/// What ferry notes on a request of its own: which chunk it carries.
#[derive(Default)]
pub(crate) struct Child {
    walker: AtomicU32,
    number: AtomicU64,
    length: AtomicU64,
}

impl Context for Child {
    fn info() -> &'static TypeInfo<Self> {
        static INFO: TypeInfo<Child> = TypeInfo::new(c"Chunk");
        &INFO
    }
}

impl RequestContext for Child {}

/// A walker that can go on.
pub(crate) struct Ready<K: Transfer> {
    walker: usize,
    child: OwnRequest<Child>,
    share: Share<K>,
}

/// One of either kind, waiting for the pump.
pub(crate) enum Join {
    /// Of a read.
    Read(Ready<Read>),
    /// Of a write.
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

/// What a device needs to split transfers.
pub(crate) struct Journeys {
    lock: SpinLock<()>,
    all: [Journey; JOURNEYS],
    spare: OwnPool<SPARE, Child>,
    /// Walkers that wait for the pump.
    ready: [Slot<Join>; CHILDREN],
}

impl Journeys {
    pub(crate) fn new(cx: &Cx<'_, impl Passive>, lower: &Target) -> Result<Self, Status> {
        let all = [(); JOURNEYS].map(|()| Journey::new());
        for journey in &all {
            drop(
                journey
                    .first
                    .put(OwnRequest::with_room(lower, MAX_CHUNK as usize)?),
            );
        }
        Ok(Self {
            lock: SpinLock::new(())?,
            all,
            spare: OwnPool::new(cx, lower, MAX_CHUNK as usize)?,
            ready: [(); CHILDREN].map(|()| Slot::new()),
        })
    }

    /// Reserves a journey; its number plus one. Given back with [`unclaim`](Self::unclaim), or with [`free`](Self::free) once a transfer has
    /// set out.
    pub(crate) fn claim(&self) -> Option<u32> {
        let taken = |journey: &Journey| {
            journey
                .busy
                .compare_exchange(false, true, Ordering::AcqRel, Ordering::Relaxed)
                .is_ok()
        };
        let at = self.all.iter().position(taken)?;
        u32::try_from(at).ok()?.checked_add(1)
    }

    /// No transfer set out.
    pub(crate) fn unclaim(&self, number: u32) {
        if let Some(journey) = self.of(number) {
            journey.busy.store(false, Ordering::Release);
        }
    }

    /// Gives a journey back.
    pub(crate) fn free(&self, cx: &mut Cx<'_, Anywhere>, number: u32) {
        let Some(journey) = self.of(number) else {
            return;
        };
        // References are given back outside the lock.
        let rights = self.lock.with(cx, |()| {
            journey.handle.store(0, Ordering::Relaxed);
            let rights = journey.rights();
            journey.busy.store(false, Ordering::Release);
            rights
        });
        drop(rights);
    }

    fn of(&self, number: u32) -> Option<&Journey> {
        self.all.get(usize::try_from(number.checked_sub(1)?).ok()?)
    }
}

/// The journey of a transfer.
fn journey<'d>(device: &'d Crossing, passage: Option<&Passage>) -> Option<&'d Journey> {
    device.journeys.of(passage?.journey.load(Ordering::Acquire))
}

/// Sends a transfer in chunks if its notes and its length say so; else gives it back.
pub(crate) fn begin<'r>(
    cx: &mut Cx<'_, Sending>,
    device: &Crossing,
    request: Request<'r, Any>,
    admitted: Admitted,
) -> Result<Disposition<'r>, (Request<'r, Any>, Admitted)> {
    let chunk = request
        .context::<Passage>()
        .map_or(0, |passage| passage.chunk.load(Ordering::Relaxed));
    let (Some(number), true) = (admitted.journey(), chunk != 0) else {
        return Err((request, admitted));
    };
    match request.classify() {
        AnyOf::Read(request) if is_longer(request.parameters(), chunk) => {
            Ok(start(cx, device, request, number))
        }
        AnyOf::Write(request) if is_longer(request.parameters(), chunk) => {
            Ok(start(cx, device, request, number))
        }
        other => Err((other.any(), admitted)),
    }
}

/// Whether a transfer is longer than a chunk, and at an offset that is one: -1 and -2 mean something else.
pub(crate) fn is_longer(transfer: wdf::request::TransferParameters, chunk: u32) -> bool {
    transfer.offset >= 0 && transfer.length as u64 > u64::from(chunk)
}

fn start<'r, K: Transfer>(
    cx: &mut Cx<'_, Sending>,
    device: &Crossing,
    request: Request<'r, K>,
    number: u32,
) -> Disposition<'r>
where
    Join: From<Ready<K>>,
{
    let handle = request.file_key().map_or(0, |key| key.scrambled(0));
    let depth = request.context::<Passage>().map_or(1, |passage| {
        passage.journey.store(number, Ordering::Release);
        passage.depth.load(Ordering::Relaxed)
    });
    if let Some(passage) = request
        .context::<Passage>()
        .filter(|passage| passage.arrived.load(Ordering::Relaxed) != 0)
    {
        passage.sent.store(Stamp::now().units(), Ordering::Relaxed);
        observe::note(cx, device, Some(passage), Place::Split, EventKind::Split);
    }
    device.counters.split.count();
    match request.share_cancelable::<ParentCanceled>() {
        Ok((gone, share)) => {
            let passage = share.context::<Passage>();
            let chunk = passage.map_or(0, |passage| passage.chunk.load(Ordering::Relaxed));
            if let Some(journey) = journey(device, passage) {
                journey.begin(handle, share.parameters().length as u64, u64::from(chunk));
            }
            for walker in 0..usize::try_from(depth).unwrap_or(1).clamp(1, DEPTH) {
                // The first one every journey has; the others as many as there are.
                let first =
                    journey(device, share.context::<Passage>()).map(|journey| &journey.first);
                let child = match (walker, first) {
                    (0, Some(first)) => first.take(),
                    _ => device.journeys.spare.take(cx),
                };
                let Some(child) = child else { break };
                match share.another() {
                    Some(share) => walk(
                        cx,
                        device,
                        Ready {
                            walker,
                            child,
                            share,
                        },
                    ),
                    None => rest(cx.anywhere(), device, &share, walker, child),
                }
            }
            finish(cx, device, share);
            gone
        }
        Err(error) => {
            device.journeys.free(cx.anywhere(), number);
            forward::returned(device);
            match error {
                ParkError::Canceled(request) => {
                    ends::returned(
                        cx.completing(),
                        device,
                        request.context::<Passage>(),
                        Status::CANCELLED,
                        0,
                    );
                    request.complete(cx, Status::CANCELLED)
                }
                ParkError::NotParkable(request, status) => {
                    ends::returned(
                        cx.completing(),
                        device,
                        request.context::<Passage>(),
                        status,
                        0,
                    );
                    request.complete_empty(cx, status)
                }
            }
        }
    }
}

/// A child has no more to do: it goes back where it was taken from, before the share that keeps its journey.
fn rest<K: Transfer>(
    cx: &mut Cx<'_, Anywhere>,
    device: &Crossing,
    share: &Share<K>,
    walker: usize,
    child: OwnRequest<Child>,
) {
    match journey(device, share.context::<Passage>()) {
        Some(journey) if walker == 0 => drop(journey.first.put(child)),
        _ => drop(device.journeys.spare.put(cx, child)),
    }
}

/// Gives a share back; the last one ends the transfer.
fn finish<K: Transfer>(cx: &mut Cx<'_, impl CanComplete>, device: &Crossing, share: Share<K>) {
    share.finish(cx.completing(), |cx, parent| end(cx, device, parent));
}

/// Ends the parent with what its chunks did: the last share has come back with it.
fn end<'r, K: Transfer>(
    cx: &mut Cx<'_, Completing>,
    device: &Crossing,
    parent: Returned<'r, K>,
) -> Disposition<'r> {
    let passage = parent.context::<Passage>();
    let number = passage.map_or(0, |passage| passage.journey.load(Ordering::Acquire));
    let (status, moved) = device
        .journeys
        .of(number)
        .map_or((Status::INTERNAL_ERROR, 0), Journey::result);
    let moved = usize::try_from(moved).unwrap_or(usize::MAX);
    let told = passage
        .and_then(Passage::truncated)
        .and_then(|bytes| usize::try_from(bytes).ok())
        .map_or(moved, |most| moved.min(most));
    device.journeys.free(cx.anywhere(), number);
    forward::returned(device);
    ends::returned(cx.completing(), device, passage, status, told);
    parent.complete_moved(cx, status, told)
}

/// Sends chunk after chunk, for as long as each is back when its send returns.
fn walk<K: Transfer>(cx: &mut Cx<'_, Sending>, device: &Crossing, ready: Ready<K>)
where
    Join: From<Ready<K>>,
{
    let Ready {
        walker: at,
        mut child,
        share,
    } = ready;
    if let Some(journey) = journey(device, share.context::<Passage>())
        && let Some(walker) = journey.walkers.get(at)
    {
        while let Some((number, offset, length)) = journey.next() {
            let Some(travels) = share.another() else {
                journey.spoil(at, number, Status::INSUFFICIENT_RESOURCES, 0);
                break;
            };
            if let Some(notes) = child.context() {
                notes
                    .walker
                    .store(u32::try_from(at).unwrap_or(0), Ordering::Relaxed);
                notes.number.store(number, Ordering::Relaxed);
                notes.length.store(length, Ordering::Relaxed);
            }
            let piece = Piece {
                offset: usize::try_from(offset).unwrap_or(usize::MAX),
                length: usize::try_from(length).unwrap_or(0),
            };
            walker.phase.store(SENDING, Ordering::Release);
            device.counters.chunks.count();
            match send(cx, device, child, travels, piece) {
                Ok(token) => {
                    journey.track(cx, at, token);
                    if walker.phase.swap(AWAY, Ordering::AcqRel) == SENDING {
                        // Whoever brings the child back wakes the pump. This share may be the last all the same.
                        finish(cx, device, share);
                        return;
                    }
                    let Some(back) = walker.back.take() else {
                        finish(cx, device, share);
                        return;
                    };
                    child = back;
                }
                Err((back, status)) => {
                    let status = forward::unsent_status(device, status);
                    journey.spoil(at, number, status, 0);
                    child = back;
                }
            }
        }
    }
    rest(cx.anywhere(), device, &share, at, child);
    finish(cx, device, share);
}

/// Sends one chunk. A failure gives the child back, and the share to its parent.
fn send<K: Transfer>(
    cx: &mut Cx<'_, Sending>,
    device: &Crossing,
    child: OwnRequest<Child>,
    share: Share<K>,
    piece: Piece,
) -> Result<SentToken, (OwnRequest<Child>, Status)>
where
    Join: From<Ready<K>>,
{
    let ((child, share), status) = match child.format_piece(&device.lower, share, piece) {
        Ok(formatted) => match formatted.send_tracked::<Back<K>>(cx) {
            Ok(token) => return Ok(token),
            Err(failed) => (failed.done.split(), failed.status),
        },
        Err(failed) => ((failed.request, failed.lent), failed.status),
    };
    finish(cx, device, share);
    Err((child, status))
}

/// Gets a child back from below, with its share.
struct Back<K>(PhantomData<K>);

impl<K: Transfer> OnOwnDone for Back<K>
where
    Join: From<Ready<K>>,
{
    type Device = Crossing;
    type Request = Child;
    type Lent = Share<K>;

    fn done(
        cx: &mut Cx<'_, Done>,
        device: &Device<Crossing>,
        done: OwnDone<Child, Share<K>>,
        completion: Completion,
    ) {
        let (at, number, length) = done.context().map_or((0, 0, 0), |child| {
            (
                usize::try_from(child.walker.load(Ordering::Relaxed)).unwrap_or(0),
                child.number.load(Ordering::Relaxed),
                child.length.load(Ordering::Relaxed),
            )
        });
        let (child, share) = done.split();
        let Some(journey) = journey(device, share.context::<Passage>()) else {
            return;
        };
        journey.note(at, number, length, completion);
        let Some(walker) = journey.walkers.get(at) else {
            return;
        };
        if let Err(child) = walker.back.put(child) {
            rest(cx.anywhere(), device, &share, at, child);
        }
        if walker.phase.swap(BACK, Ordering::AcqRel) == SENDING {
            // Inside the send, or beside it: its loop goes on with the child and a share of its own.
            finish(cx, device, share);
            return;
        }
        let Some(child) = walker.back.take() else {
            finish(cx, device, share);
            return;
        };
        // As many places as children: one is free.
        let mut join = Join::from(Ready {
            walker: at,
            child,
            share,
        });
        for slot in &device.journeys.ready {
            match slot.put(join) {
                Ok(()) => {
                    device.pump.wake();
                    return;
                }
                Err(back) => join = back,
            }
        }
    }
}

/// Goes on with the walkers that have come back. Only the pump calls it.
pub(crate) fn drain(cx: &mut Cx<'_, Work>, device: &Crossing) {
    for slot in &device.journeys.ready {
        match slot.take() {
            Some(Join::Read(ready)) => walk(cx.sending(), device, ready),
            Some(Join::Write(ready)) => walk(cx.sending(), device, ready),
            None => {}
        }
    }
}

/// The parent is canceled while its chunks are below: they are canceled, and the last of them to come back completes it.
struct ParentCanceled;

impl<K: Transfer> OnShareCancel<K> for ParentCanceled {
    type Device = Crossing;

    fn canceled(cx: &mut Cx<'_, Cancel>, device: &Device<Crossing>, parent: &Parent<'_, K>) {
        if let Some(journey) = journey(device, parent.context::<Passage>()) {
            journey.stop();
            cancel(cx, journey.rights());
        }
    }

    fn last<'r>(
        cx: &mut Cx<'_, Cancel>,
        device: &Device<Crossing>,
        parent: Returned<'r, K>,
    ) -> Disposition<'r> {
        end(cx.completing(), device, parent)
    }
}

/// A handle was closed: its transfers send no more chunks, and what is below is canceled (filter rule 10).
pub(crate) fn close(cx: &mut Cx<'_, impl CanComplete>, device: &Crossing, handle: FileKey) {
    let handle = handle.scrambled(0);
    for journey in &device.journeys.all {
        // Under the lock it is still that handle's; what is taken there is too.
        let rights = device.journeys.lock.with(cx, |()| {
            let theirs = journey.busy.load(Ordering::Relaxed)
                && journey.handle.load(Ordering::Acquire) == handle;
            theirs.then(|| {
                journey.stop();
                journey.rights()
            })
        });
        if let Some(rights) = rights {
            cancel(cx, rights);
        }
    }
}
