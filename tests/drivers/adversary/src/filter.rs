//! The filter device, and what of it is kept when it is gone.

use core::sync::atomic::Ordering;

use wdf::{
    Status,
    context::{Context, TypeInfo},
    cx::{Arrival, Cx, Place, Pnp, Setup},
    device::{Added, Device, DeviceContext, DeviceInit, PnpCallbacks, Undecided},
    dpc::Dpc,
    preprocess::{Arriving, Major, Verdict},
    queue::{Queue, QueueConfig, wait_for_the_owner},
    target::Target,
    timer::Timer,
    work_item::WorkItem,
};

use crate::{Adversary, desk, desk::Desk};

/// The context of a filter device.
pub(crate) struct Filter {
    pub(crate) lower: Target,
    pub(crate) queue: Queue,
    pub(crate) timer: Timer,
    pub(crate) dpc: Dpc,
    pub(crate) item: WorkItem,
}

impl Context for Filter {
    fn info() -> &'static TypeInfo<Self> {
        static INFO: TypeInfo<Filter> = TypeInfo::new(c"Filter");
        &INFO
    }
}

impl DeviceContext for Filter {
    type Request = ();
}

pub(crate) fn add<'i>(
    cx: &mut Cx<'_, Setup>,
    init: DeviceInit<'i, Undecided>,
) -> Result<Added<'i>, Status> {
    let mut init = init.filter(cx);
    init.pnp(PnpCallbacks::new().self_managed_io_init(started));
    // The device will not be a Desk: nobody is called.
    init.preprocess(Major::Cleanup, of_another_device)?;
    let device = init.create::<Filter>(cx)?;
    let queue = QueueConfig::manual()
        .stop(wait_for_the_owner)
        .create(cx, &device)?;
    let filter = Filter {
        lower: device.target()?,
        queue,
        timer: Timer::new(cx, &device, note)?,
        dpc: Dpc::new(cx, &device, note)?,
        item: WorkItem::new(cx, &device, note)?,
    };
    device.install(filter)
}

/// Keeps the device for later, and opens the control device.
fn started(cx: &mut Cx<'_, Pnp>, device: &Device<Filter>) -> Result<(), Status> {
    let adversary = cx.driver::<Adversary>().ok_or(Status::DEVICE_NOT_READY)?;
    adversary.kept.with(cx, |kept, cx| {
        kept.filter = Some(device.clone());
        kept.desk = Some(desk::create(cx)?);
        Ok(())
    })
}

fn note<P: Place>(cx: &mut Cx<'_, P>, _device: &Device<Filter>) {
    if let Some(adversary) = cx.driver::<Adversary>() {
        adversary.ran.fetch_add(1, Ordering::Relaxed);
    }
}

fn of_another_device(
    cx: &mut Cx<'_, Arrival>,
    _device: &Device<Desk>,
    _irp: &Arriving<'_>,
) -> Verdict {
    if let Some(adversary) = cx.driver::<Adversary>() {
        adversary.ran.fetch_add(1000, Ordering::Relaxed);
    }
    Verdict::Skip
}
