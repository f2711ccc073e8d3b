//! Another device than the one below: opened, closed, stopped and read from.

use core::num::NonZeroU32;

use wdf::{
    Status,
    cx::{Cx, IoPassive},
    device::Device,
    request::{OwnRequest, Part},
    target::{Access, OpenTarget, RemoteTarget, Timeout},
    wide,
};

use crate::{Filter, split::Child};

/// The device of the test: one of the drivers in C.
const NAME: &str = r"\DosDevices\TestInline";
/// Nobody's.
const NOBODY: &str = r"\DosDevices\NobodyHere";

/// What a control asks of the target.
#[derive(Clone, Copy)]
pub(crate) enum Ask {
    OpenByName,
    OpenByFile,
    OpenNobody,
    Close,
    Reopen,
    Stop,
    Purge,
    Start,
    Read,
}

/// Where the target is.
pub(crate) enum Remote {
    Created(RemoteTarget),
    Open(OpenTarget),
}

pub(crate) fn ask(
    cx: &mut Cx<'_, IoPassive>,
    device: &Device<Filter>,
    what: Ask,
) -> Result<usize, Status> {
    // One control at a time has it.
    let remote = device.remote.take().ok_or(Status::INVALID_DEVICE_STATE)?;
    let (remote, result) = match remote {
        Remote::Created(target) => open(cx, target, what),
        Remote::Open(target) => {
            let result = use_it(cx, device, &target, what);
            (Remote::Open(target), result)
        }
    };
    drop(device.remote.put(remote));
    result
}

fn open(
    cx: &mut Cx<'_, IoPassive>,
    target: RemoteTarget,
    what: Ask,
) -> (Remote, Result<usize, Status>) {
    let opened = match what {
        Ask::OpenByName => target.open_by_name(cx, wide!(NAME), Access::READ_WRITE),
        Ask::OpenByFile => target.open_by_file(cx, wide!(NAME), Access::READ_WRITE),
        Ask::OpenNobody => target.open_by_name(cx, wide!(NOBODY), Access::READ),
        _ => return (Remote::Created(target), Err(Status::INVALID_DEVICE_STATE)),
    };
    match opened {
        Ok(target) => (Remote::Open(target), Ok(0)),
        Err(failed) => (Remote::Created(failed.target), Err(failed.status)),
    }
}

fn use_it(
    cx: &mut Cx<'_, IoPassive>,
    device: &Device<Filter>,
    target: &OpenTarget,
    what: Ask,
) -> Result<usize, Status> {
    match what {
        Ask::Close => target.close(cx),
        Ask::Reopen => target.reopen(cx)?,
        Ask::Stop => target.stop(cx),
        Ask::Purge => target.purge_and_wait(cx),
        Ask::Start => target.start(cx)?,
        Ask::Read => return read(cx, device, target),
        _ => return Err(Status::INVALID_DEVICE_STATE),
    }
    Ok(0)
}

/// Reads its first bytes into the device's memory by a request made for it.
fn read(
    cx: &mut Cx<'_, IoPassive>,
    device: &Device<Filter>,
    target: &OpenTarget,
) -> Result<usize, Status> {
    let patience = Timeout::milliseconds(NonZeroU32::MIN.saturating_add(19));
    let request: OwnRequest<Child> = OwnRequest::new(target)?;
    let part = Part {
        offset: 0,
        length: 16,
    };
    let formatted = request
        .format_read(target, &device.memory, part, 0)
        .map_err(|failed| failed.status)?;
    let (_, completion) = formatted
        .send_sync(cx, patience)
        .map_err(|failed| failed.status)?;
    completion.status.ok().map(|()| completion.information)
}
