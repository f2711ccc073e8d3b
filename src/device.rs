//! The filter device: what it is made of.

use core::{
    num::NonZeroU32,
    sync::atomic::{AtomicU32, AtomicU64, Ordering},
};

use ferry_abi::control::MAX_PROBE;
use wdf::{
    Status,
    context::{Context, TypeInfo},
    cx::{Cx, Pnp, Setup},
    device::{Added, Device, DeviceContext, DeviceInit, PnpCallbacks, Undecided},
    memory::Memory,
    preprocess::Major,
    queue::{Queue, QueueConfig},
    request::{OwnRequest, Slot},
    target::Target,
    timer::Alarm,
    zeroed::Zeroed,
};
use zerocopy::FromZeros;

use crate::{
    Ferry,
    attention::{self, Attention},
    delay::ParkedLists,
    dispatch, hold,
    hold::Grant,
    latency::Latencies,
    limit, observe,
    order::{ENTRIES, Entry, Order},
    passage::Passage,
    pump,
    pump::Pump,
    removal,
    rules::Rules,
    settings::Settings,
    skip,
    split::Journeys,
    stats::Counters,
};

/// Number of the next device. Never 0.
static NEXT: AtomicU32 = AtomicU32::new(1);

/// What of a device is too large for a kernel stack.
#[derive(FromZeros)]
pub(crate) struct Shelf {
    /// What controllers want done to which requests.
    pub(crate) rules: Rules,
    /// How much waits of which handle.
    pub(crate) order: [Entry; ENTRIES],
    /// How long observed requests took.
    pub(crate) latencies: Latencies,
    /// Observed requests in flight.
    pub(crate) table: observe::Table,
}

/// The context of a filter device.
pub(crate) struct Crossing {
    /// Never reused while the driver is loaded, unless 2^32 devices came and went.
    pub(crate) id: NonZeroU32,
    /// Whether anything at all is to be done about a request.
    pub(crate) attention: Attention,
    /// The next device of the stack.
    pub(crate) lower: Target,
    /// What has passed.
    pub(crate) counters: Counters,
    /// Requests that wait to be released.
    pub(crate) held: Queue,
    /// Requests that wait for the limit.
    pub(crate) backlog: Queue,
    /// How many those are, and are about to be.
    pub(crate) backlogged: AtomicU32,
    /// Requests that wait for their time, or for their cancellation.
    pub(crate) parked: ParkedLists,
    /// Transfers that are below in chunks.
    pub(crate) journeys: Journeys,
    /// Wakes the pump when the first of them is due.
    pub(crate) alarm: Alarm,
    /// Sends what has waited.
    pub(crate) pump: Pump,
    /// Which handles have something waiting.
    pub(crate) order: Order,
    /// What is set beside the rules.
    pub(crate) settings: Settings,
    /// Number of the next request that is held.
    pub(crate) tickets: AtomicU64,
    /// What an operator lets go of what is held, whichever rule holds it.
    pub(crate) released: Grant,
    /// Number of the last look through the held queue.
    pub(crate) scans: AtomicU32,
    /// The rule of the last hold and of the last delay that were set without saying which.
    pub(crate) hold_rule: AtomicU32,
    pub(crate) delay_rule: AtomicU32,
    /// Observers, one bit each.
    pub(crate) observers: AtomicU32,
    /// The request a probe sends, unless one is under way.
    pub(crate) prober: Slot<OwnRequest>,
    /// Where what it reads goes, to be thrown away.
    pub(crate) probed: Memory,
    /// Aborts at work.
    pub(crate) aborting: AtomicU32,
    /// Everything large.
    pub(crate) shelf: Zeroed<Shelf>,
}

impl Crossing {
    /// Whether the device is going.
    pub(crate) fn is_leaving(&self) -> bool {
        self.attention.has(attention::LEAVING)
    }
}

impl Context for Crossing {
    fn info() -> &'static TypeInfo<Self> {
        static INFO: TypeInfo<Crossing> = TypeInfo::new(c"Crossing");
        &INFO
    }
}

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
        init.preprocess(major, skip::decide)?;
    }
    init.preprocess(Major::Cleanup, removal::handle_closed)?;
    init.pnp(
        PnpCallbacks::new()
            .self_managed_io_init(started)
            .self_managed_io_flush(removal::flush)
            .self_managed_io_cleanup(removal::gone)
            .refuse_special_files(),
    );
    let device = init.create::<Crossing>(cx)?;
    let held = QueueConfig::manual()
        .canceled_on_queue(hold::canceled)
        .stop(removal::stop)
        .create(cx, &device)?;
    let backlog = QueueConfig::manual()
        .canceled_on_queue(limit::canceled)
        .stop(removal::stop)
        .create(cx, &device)?;
    let lower = device.target()?;
    let own = OwnRequest::new(&lower)?;
    own.allocate_timer()?;
    let prober = Slot::new();
    drop(prober.put(own));
    let crossing = Crossing {
        id: NonZeroU32::new(NEXT.fetch_add(1, Ordering::Relaxed))
            .ok_or(Status::INSUFFICIENT_RESOURCES)?,
        attention: Attention::default(),
        journeys: Journeys::new(cx, &lower)?,
        lower,
        counters: Counters::default(),
        held,
        backlog,
        backlogged: AtomicU32::new(0),
        parked: ParkedLists::new()?,
        alarm: Alarm::new(cx, &device, pump::alarm)?,
        pump: Pump::new(cx, &device)?,
        order: Order::new()?,
        settings: Settings::default(),
        tickets: AtomicU64::new(1),
        released: Grant::new_zeroed(),
        scans: AtomicU32::new(0),
        hold_rule: AtomicU32::new(0),
        delay_rule: AtomicU32::new(0),
        observers: AtomicU32::new(0),
        prober,
        probed: Memory::new(cx, &device, *b"Fprb", MAX_PROBE as usize)?,
        aborting: AtomicU32::new(0),
        shelf: Zeroed::new(cx, &device, *b"Fshe")?,
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
        .with(cx, |registry, cx| registry.add(cx, ferry, device.clone()));
    if ferry.lacks_control() {
        device.pump.wake();
    }
    Ok(())
}
