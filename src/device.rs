//! The filter device.

use wdf::{
    Status,
    context::{Context, TypeInfo},
    cx::{Cx, Setup},
    device::{DeviceContext, DeviceInit, Undecided},
    queue::QueueConfig,
    target::Target,
};

use crate::dispatch;

/// The context of a filter device.
pub(crate) struct Crossing {
    /// The next device of the stack.
    pub(crate) lower: Target,
}

impl Context for Crossing {
    fn info() -> &'static TypeInfo<Self> {
        static INFO: TypeInfo<Crossing> = TypeInfo::new(c"Crossing");
        &INFO
    }
}

impl DeviceContext for Crossing {
    type Request = ();
}

/// `EvtDriverDeviceAdd`.
pub(crate) fn add(cx: &Cx<'_, Setup>, init: DeviceInit<'_, Undecided>) -> Result<(), Status> {
    let device = init.filter(cx).create::<Crossing>(cx)?;
    let crossing = Crossing {
        lower: device.target()?,
    };
    QueueConfig::parallel(None)
        .default_queue()
        .read(dispatch::read)
        .write(dispatch::write)
        .ioctl(dispatch::ioctl)
        .internal_ioctl(dispatch::internal_ioctl)
        .stop(dispatch::stop)
        .create(cx, &device)?;
    device.install(crossing)?;
    Ok(())
}
