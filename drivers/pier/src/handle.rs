//! Open handles: closing one ends the requests that wait in pier on its behalf.

use wdf::{
    Status,
    context::{Context, TypeInfo},
    cx::{Cx, FileEvent},
    device::Device,
    file::NewFile,
    request::{Create, Disposition, FileKey, Request, Unparked},
};

use crate::device::Port;

/// An open handle.
pub(crate) struct Handle {
    /// How its requests name it.
    key: Option<FileKey>,
}

impl Context for Handle {
    fn info() -> &'static TypeInfo<Self> {
        static INFO: TypeInfo<Handle> = TypeInfo::new(c"Handle");
        &INFO
    }
}

/// `EvtDeviceFileCreate`: everybody the interface's security lets in may open the device.
pub(crate) fn opened<'r>(
    cx: &mut Cx<'_, FileEvent>,
    _port: &Device<Port>,
    request: Request<'r, Create>,
    file: NewFile<'_, Handle>,
) -> Disposition<'r> {
    let key = file.key();
    let status = file
        .install(Handle { key })
        .err()
        .unwrap_or(Status::SUCCESS);
    request.complete(cx, status)
}

/// `EvtFileCleanup`: the framework ends what waits in queues; what is parked is pier's to end (R-CAN-60).
pub(crate) fn closing(cx: &mut Cx<'_, FileEvent>, port: &Device<Port>, handle: &Handle) {
    let Some(key) = handle.key else { return };
    while let Some(token) = port.waiting.take_of(cx, key) {
        token.unpark(cx, |cx, request| {
            port.count_completed();
            match request {
                Unparked::Owned(request) => request.complete_empty(cx, Status::CANCELLED),
                Unparked::Canceled(request) => request.complete(cx, Status::CANCELLED),
            }
        });
    }
}
