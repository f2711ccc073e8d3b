//! Open handles: closing one ends the requests that are stuck in pier on its behalf.

use core::sync::atomic::AtomicU64;

use wdf::{
    Status,
    context::{Context, TypeInfo},
    cx::{Cx, FileEvent},
    device::Device,
    file::NewFile,
    request::{Create, Disposition, FileKey, Request},
};

use crate::{device::Port, stuck};

/// An open handle.
pub(crate) struct Handle {
    /// How its requests name it.
    key: Option<FileKey>,
    /// The last stamp that came through it.
    pub(crate) stamp: AtomicU64,
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
        .install(Handle {
            key,
            stamp: AtomicU64::new(0),
        })
        .err()
        .unwrap_or(Status::SUCCESS);
    request.complete(cx, status)
}

/// `EvtFileCleanup`: the framework ends what waits in queues; what is stuck is pier's to end (R-CAN-60).
pub(crate) fn closing(cx: &mut Cx<'_, FileEvent>, port: &Device<Port>, handle: &Handle) {
    if let Some(key) = handle.key {
        stuck::end_of(cx, port, key);
    }
}
