//! Requests that no program sends: without a file, with a file nobody opened, for paging, at a raised level, to a device that is not
//! started. Drivers above, file systems and the memory manager send such requests, so a driver must stand them.

use super::abi::{Address, DeviceObject, irp_flags};
use super::app::{Completion, Op};
use super::file::{self, Handle};
use super::io::{self, Manner, Operation};
use super::process::Process;
use super::status::NtStatus;
use super::thread::{self, PASSIVE_LEVEL};
use std::sync::Arc;

/// Whose file a request is about.
#[derive(Clone, Debug, Default)]
pub enum RawFile {
    /// Nobody's: the IRP's file object is null.
    #[default]
    None,
    /// A file object for which no driver of the stack has seen CREATE.
    Unopened,
    /// An open handle's.
    Of(Arc<Handle>),
}

/// A request as another driver or the kernel sends it, to a device rather than a file.
#[derive(Clone, Debug)]
pub struct RawRequest {
    /// What it asks for.
    pub op: Op,
    /// Whose file it is about.
    pub file: RawFile,
    /// The memory manager pages with it (IRP_PAGING_IO | IRP_NOCACHE).
    pub paging: bool,
    /// RequestorMode is KernelMode.
    pub kernel: bool,
    /// The level it arrives at: PASSIVE_LEVEL, APC_LEVEL or DISPATCH_LEVEL.
    pub level: u8,
}

impl RawRequest {
    /// A kernel-mode request without a file, at PASSIVE_LEVEL.
    pub fn new(op: Op) -> Self {
        Self {
            op,
            file: RawFile::None,
            paging: false,
            kernel: true,
            level: PASSIVE_LEVEL,
        }
    }
}

/// A request that was sent.
pub struct RawIo(Arc<Operation>);

impl RawIo {
    /// IoCancelIrp. False: it is gone already.
    pub fn cancel(&self) -> bool {
        self.0.cancel()
    }
}

impl Process {
    /// Sends a request to a device in this process's context; `on_done` is called once, in whatever thread and at whatever level it
    /// ends. Exit of the process neither cancels nor awaits a request whose file it has no handle of.
    ///
    /// # Errors
    /// What kept the file from being made, or STATUS_INVALID_HANDLE for a handle that is closed.
    pub fn send(
        self: &Arc<Self>,
        device: Address<DeviceObject>,
        request: RawRequest,
        on_done: impl FnOnce(Completion) + Send + 'static,
    ) -> Result<RawIo, NtStatus> {
        let file = match &request.file {
            RawFile::None => std::ptr::null_mut(),
            RawFile::Unopened => file::unopened(self, device.get())?,
            RawFile::Of(handle) => handle.reference_file().ok_or(NtStatus::INVALID_HANDLE)?,
        };
        let paging = if request.paging {
            irp_flags::PAGING_IO | irp_flags::NOCACHE
        } else {
            0
        };
        let manner = Manner {
            flags: paging,
            level: request.level,
            kernel: request.kernel,
            detached: !matches!(request.file, RawFile::Of(_)),
        };
        let operation = thread::current().in_process(self, || {
            io::issue(
                self,
                file,
                device.get(),
                request.op,
                manner,
                Box::new(on_done),
            )
        });
        Ok(RawIo(operation))
    }
}
