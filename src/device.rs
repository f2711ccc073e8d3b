//! The filter device: what it is made of.

use core::{
    num::NonZeroU32,
    sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering},
};

use wdf::{
    Status,
    context::{Context, TypeInfo},
    cx::{Cx, Pnp, Setup},
    device::{Added, Device, DeviceContext, DeviceInit, PnpCallbacks, Undecided},
    parked_list::ParkedList,
    preprocess::Major,
    queue::{Queue, QueueConfig},
    request::{Any, RequestContext},
    target::Target,
    timer::Alarm,
};

use crate::{
    Ferry, delay::DelayRule, dispatch, hold, hold::HoldRule, order::Order, pump, pump::Pump,
    removal, skip, stats::Counters,
};

/// Number of the next device. Never 0.
static NEXT: AtomicU32 = AtomicU32::new(1);

/// The context of a filter device.
pub(crate) struct Crossing {
    /// Never reused while the driver is loaded, unless 2^32 devices came and went.
    pub(crate) id: NonZeroU32,
    /// The next device of the stack.
    pub(crate) lower: Target,
    /// Requests that wait to be released.
    pub(crate) held: Queue,
    /// Requests that wait for their time.
    pub(crate) delayed: ParkedList<Any>,
    /// Wakes the pump when the first of either is due.
    pub(crate) alarm: Alarm,
    /// Sends what has waited.
    pub(crate) pump: Pump,
    /// What is held from now on.
    pub(crate) hold: HoldRule,
    /// What is delayed from now on.
    pub(crate) delay: DelayRule,
    /// Which handles have something waiting.
    pub(crate) order: Order,
    /// What has passed.
    pub(crate) counters: Counters,
    /// The device is going: nothing waits any more.
    pub(crate) leaving: AtomicBool,
}

impl Crossing {
    /// Whether the device is going.
    pub(crate) fn is_leaving(&self) -> bool {
        self.leaving.load(Ordering::Acquire)
    }
}

impl Context for Crossing {
    fn info() -> &'static TypeInfo<Self> {
        static INFO: TypeInfo<Crossing> = TypeInfo::new(c"Crossing");
        &INFO
    }
}

/// What ferry notes on a request.
#[derive(Default)]
pub(crate) struct Passage {
    /// When a held request is released by itself, in units of the clock.
    pub(crate) release_at: AtomicU64,
    /// Which hold keeps it: how many had ended before.
    pub(crate) hold: AtomicU32,
}

impl Context for Passage {
    fn info() -> &'static TypeInfo<Self> {
        static INFO: TypeInfo<Passage> = TypeInfo::new(c"Passage");
        &INFO
    }
}

impl RequestContext for Passage {}

impl DeviceContext for Crossing {
    type Request = Passage;
}

/// `EvtDriverDeviceAdd`: one filter device, its queues never power-managed.
pub(crate) fn add<'i>(
    cx: &Cx<'_, Setup>,
    init: DeviceInit<'i, Undecided>,
) -> Result<Added<'i>, Status> {
    let mut init = init.filter(cx);
    for major in [
        Major::Read,
        Major::Write,
        Major::DeviceControl,
        Major::InternalDeviceControl,
    ] {
        init.preprocess(major, skip::raw_addresses_and_paging)?;
    }
    init.preprocess(Major::Cleanup, removal::handle_closed)?;
    init.pnp(
        PnpCallbacks::new()
            .self_managed_io_init(started)
            .self_managed_io_flush(removal::flush)
            .self_managed_io_cleanup(removal::gone),
    );
    let device = init.create::<Crossing>(cx)?;
    let held = QueueConfig::manual()
        .canceled_on_queue(hold::canceled)
        .stop(removal::stop)
        .create(cx, &device)?;
    let crossing = Crossing {
        id: NonZeroU32::new(NEXT.fetch_add(1, Ordering::Relaxed))
            .ok_or(Status::INSUFFICIENT_RESOURCES)?,
        lower: device.target()?,
        held,
        delayed: ParkedList::new()?,
        alarm: Alarm::new(cx, &device, pump::alarm)?,
        pump: Pump::new(cx, &device)?,
        hold: HoldRule::default(),
        delay: DelayRule::default(),
        order: Order::new()?,
        counters: Counters::default(),
        leaving: AtomicBool::new(false),
    };
    QueueConfig::parallel(None)
        .default_queue()
        .read(dispatch::read)
        .write(dispatch::write)
        .ioctl(dispatch::ioctl)
        .internal_ioctl(dispatch::internal_ioctl)
        .stop(removal::stop)
        .create(cx, &device)?;
    device.install(crossing)
}

/// `EvtDeviceSelfManagedIoInit`: the device has started; from here on controllers find it.
fn started(cx: &mut Cx<'_, Pnp>, device: &Device<Crossing>) -> Result<(), Status> {
    let ferry = cx.driver::<Ferry>().ok_or(Status::DEVICE_NOT_READY)?;
    ferry
        .registry
        .with(cx, |registry, cx| registry.add(cx, device.clone()));
    Ok(())
}
