//! The control device `\\.\Adversary`.

use wdf::{
    Status,
    context::{Context, TypeInfo},
    cx::{Cancel, Cx, Locked, Notify, Work},
    device::{ControlDevice, Device, DeviceContext},
    lock::SpinLock,
    queue::{Queue, QueueConfig, wait_for_the_owner},
    request::{Canceled, Disposition, Ioctl, OnCancel, Parked, Unparked},
    wide,
    work_item::WorkItem,
};

use crate::attempts;

/// The context of the control device.
pub(crate) struct Desk {
    /// Where a request waits for nothing.
    pub(crate) waiting: Queue,
    /// The token of a parked request, for another thread.
    pub(crate) token: SpinLock<Option<Parked<Ioctl>>, 1>,
    /// That other thread.
    pub(crate) item: WorkItem,
    /// How many state changes of `waiting` have reported their end.
    pub(crate) changes: SpinLock<u32, 2>,
}

impl Context for Desk {
    fn info() -> &'static TypeInfo<Self> {
        static INFO: TypeInfo<Desk> = TypeInfo::new(c"Desk");
        &INFO
    }
}

impl DeviceContext for Desk {
    type Request = ();
}

pub(crate) fn create(cx: &mut Cx<'_, Locked>) -> Result<ControlDevice<Desk>, Status> {
    ControlDevice::create(
        cx,
        wide!("D:P(A;;GA;;;SY)(A;;GA;;;BA)"),
        wide!(r"\Device\Adversary"),
        |_| Ok(()),
        |cx, desk| {
            desk.symbolic_link(cx, wide!(r"\DosDevices\Global\Adversary"))?;
            QueueConfig::parallel(None)
                .at_passive_level()
                .default_queue()
                .ioctl(attempts::attempt)
                .stop(wait_for_the_owner)
                .create(cx, desk)?;
            Ok(Desk {
                waiting: QueueConfig::manual()
                    .stop(wait_for_the_owner)
                    .create(cx, desk)?,
                token: SpinLock::new(None)?,
                item: WorkItem::new(cx, desk, elsewhere)?,
                changes: SpinLock::new(0)?,
            })
        },
    )
}

/// Gets what was parked and canceled.
pub(crate) struct Abandoned;

impl OnCancel<Ioctl> for Abandoned {
    type Device = Desk;

    fn canceled<'r>(
        cx: &mut Cx<'_, Cancel>,
        desk: &Device<Desk>,
        request: Canceled<'r, Ioctl>,
    ) -> Disposition<'r> {
        // The token of this very request, if it is there: dropped inside its own cancel handler.
        let token = desk.token.with(cx, Option::take);
        drop(token);
        request.complete(cx, Status::CANCELLED)
    }
}

/// Another thread than the one that parked the request.
fn elsewhere(cx: &mut Cx<'_, Work>, desk: &Device<Desk>) {
    let token = desk.token.with(cx, Option::take);
    if let Some(token) = token {
        token.unpark(cx, |cx, request| match request {
            Unparked::Owned(request) => request.complete_empty(cx, Status::SUCCESS),
            Unparked::Canceled(request) => request.complete(cx, Status::CANCELLED),
        });
    }
}

/// A state change of `waiting` is over.
pub(crate) fn changed(cx: &mut Cx<'_, Notify>, desk: &Device<Desk>) {
    desk.changes
        .with(cx, |changes| *changes = changes.saturating_add(1));
}
