//! sender: a filter that sends what it is given in every way `wdf` has. How, its controls say; it starts as a plain pass-through.
#![no_std]
#![forbid(unsafe_code)]

// The panic handler: a bug check that names the place.
extern crate wdk_panic;

mod control;
mod held;
mod one;
mod remote;
mod split;

use core::sync::atomic::{AtomicU32, Ordering};

use wdf::{
    Status,
    context::{Context, TypeInfo},
    cx::{Cx, IoPassive, Setup},
    device::{Added, Device, DeviceContext, DeviceInit, Undecided},
    driver::Driver,
    memory::Memory,
    queue::{QueueConfig, wait_for_the_owner},
    request::{Any, Disposition, Held, OwnPool, Read, Request, SentToken, Slot, Transfer, Write},
    target::{RemoteTarget, Target},
    work_item::WorkItem,
};

use crate::{
    remote::Remote,
    split::{Child, Join, Split},
};

/// Parts in flight at once.
const CHILDREN: usize = 4;
/// Longest part, in bytes.
const PART: usize = 4096;
const TAG: [u8; 4] = *b"sndr";

/// The driver has no state of its own.
struct Sender;

impl Context for Sender {
    fn info() -> &'static TypeInfo<Self> {
        static INFO: TypeInfo<Sender> = TypeInfo::new(c"Sender");
        &INFO
    }
}

/// A filter device.
struct Filter {
    lower: Target,
    /// One of [`control::mode`].
    mode: AtomicU32,
    /// The last request sent tracked.
    tracked: Slot<SentToken>,
    /// All there are of the driver's own requests.
    pool: OwnPool<CHILDREN, Child>,
    /// What waits for `pump` to go on at `PASSIVE_LEVEL`.
    waiting: [Slot<Join>; CHILDREN],
    pump: WorkItem,
    memory: Memory,
    /// Another device; out of the slot while a control is at it.
    remote: Slot<Remote>,
    /// A request kept until a control lets it go.
    held: Slot<Held<Any>>,
}

impl Context for Filter {
    fn info() -> &'static TypeInfo<Self> {
        static INFO: TypeInfo<Filter> = TypeInfo::new(c"Sender filter");
        &INFO
    }
}

impl DeviceContext for Filter {
    type Request = Split;
}

impl Driver for Sender {
    fn start(_cx: &mut Cx<'_, Setup>) -> Result<Self, Status> {
        Ok(Self)
    }

    fn device_add<'i>(
        &self,
        cx: &mut Cx<'_, Setup>,
        init: DeviceInit<'i, Undecided>,
    ) -> Result<Added<'i>, Status> {
        let device = init.filter(cx).create::<Filter>(cx)?;
        QueueConfig::parallel(None)
            .at_passive_level()
            .read(transfer::<Read>)
            .write(transfer::<Write>)
            .ioctl(control::ioctl)
            .stop(wait_for_the_owner)
            .default_queue()
            .create(cx, &device)?;
        let lower = device.target()?;
        let filter = Filter {
            mode: AtomicU32::new(control::mode::CARRY),
            tracked: Slot::new(),
            pool: OwnPool::new(cx, &lower, PART)?,
            waiting: [(); CHILDREN].map(|()| Slot::new()),
            pump: WorkItem::new(cx, &device, split::pump)?,
            memory: Memory::new(cx, &device, TAG, PART)?,
            remote: Slot::new(),
            held: Slot::new(),
            lower,
        };
        let remote = RemoteTarget::new(cx, &device)?;
        drop(filter.remote.put(Remote::Created(remote)));
        device.install(filter)
    }
}

/// A read or write, sent as the mode says.
fn transfer<'r, K: Transfer>(
    cx: &mut Cx<'_, IoPassive>,
    device: &Device<Filter>,
    request: Request<'r, K>,
) -> Disposition<'r>
where
    Join: From<split::Ready<K>>,
{
    match device.mode.load(Ordering::Relaxed) {
        control::mode::TRACKED => one::tracked(cx, device, request),
        control::mode::TIMED => one::timed(cx, device, request),
        control::mode::WAITING => one::waiting(cx, device, request),
        control::mode::FORGOTTEN => one::forgotten(cx, device, request),
        control::mode::HELD => held::keep(cx, device, request),
        control::mode::SEQUENTIAL => split::sequential(cx, device, request),
        control::mode::PARALLEL => split::parallel(cx, device, request),
        _ => one::carried(cx, device, request),
    }
}

wdf::driver_entry!(Sender);
