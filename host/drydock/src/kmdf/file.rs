//! File objects: create, cleanup, close (R-DEV-40 to R-DEV-48, R-CAN-60 to R-CAN-62).

use std::collections::BTreeMap;

use super::callback;
use super::ddi::{Call, DISPATCH, PASSIVE, export};
use super::device::Device;
use super::device_init::{FileClass, FileConfig};
use super::dispatch;
use super::forward;
use super::handle::{self, Ref, Typed};
use super::kind::Kind;
use super::lifetime;
use super::object::{self, Body};
use super::queue::package;
use super::request::{IrpRef, Request};
use crate::nt;
use crate::nt::abi::{self, Address, FileObject as WdmFile, Irp, mj};
use crate::nt::status::NtStatus;
use crate::sched::Lock;

export! {
    "WdfDeviceGetFileObject" => of_device[device: u64, file: u64] -> u64, DISPATCH;
    "WdfFileObjectGetFileName" => get_file_name[file: u64] -> u64, PASSIVE;
    "WdfFileObjectGetFlags" => get_flags[file: u64] -> u32, PASSIVE;
    "WdfFileObjectGetDevice" => get_device[file: u64] -> u64, DISPATCH;
    "WdfFileObjectGetInitiatorProcessId" => get_initiator_process_id[file: u64] -> u32, DISPATCH;
    "WdfFileObjectWdmGetFileObject" => wdm_get_file_object[file: u64] -> u64, DISPATCH;
}

/// The body of a WDFFILEOBJECT.
pub struct FileObject {
    device: Ref<Device>,
    wdm: Option<Address<WdmFile>>,
}

impl FileObject {
    /// The FILE_OBJECT it stands for; none where the create request came without one (R-DEV-42).
    pub fn wdm(&self) -> Option<*mut WdmFile> {
        self.wdm.map(|wdm| wdm.0)
    }

    /// The device that was opened.
    pub fn device(&self) -> &Ref<Device> {
        &self.device
    }
}

impl Body for FileObject {
    fn kind(&self) -> Kind {
        Kind::FileObject
    }
}

impl Typed for FileObject {
    const KIND: Kind = Kind::FileObject;
}

/// The file objects of a device, by the address of their FILE_OBJECT, and the number of open handles.
#[derive(Default)]
pub struct Files {
    open: Lock<Open>,
}

#[derive(Default)]
struct Open {
    by_wdm: BTreeMap<u64, Ref<FileObject>>,
    handles: u64,
    /// The driver has deleted the control device (R-DEV-33).
    deleted: bool,
}

impl Files {
    /// The framework file object of a FILE_OBJECT.
    pub fn find(&self, wdm: *mut WdmFile) -> Option<Ref<FileObject>> {
        if wdm.is_null() {
            return None;
        }
        self.open.lock().by_wdm.get(&(wdm as u64)).cloned()
    }

    /// Refuses further opens; true if none are open now.
    pub(super) fn close_door(&self) -> bool {
        let mut open = self.open.lock();
        open.deleted = true;
        open.handles == 0
    }

    /// Number of open handles.
    pub fn handles(&self) -> u64 {
        self.open.lock().handles
    }
}

fn config_of(device: &Device) -> Option<&FileConfig> {
    device.config().files.as_ref()
}

/// R-DEV-41.
fn auto_forwards(device: &Device) -> bool {
    if device.is_control() {
        return false;
    }
    config_of(device)
        .and_then(|files| files.auto_forward)
        .unwrap_or(device.is_filter())
}

/// IRP_MJ_CREATE: R-DEV-20, R-DEV-43, R-DEV-48.
pub(super) fn create(device: &Ref<Device>, irp: *mut Irp) -> NtStatus {
    if device.file_level_passive() && nt::thread::current().irql() > 0 {
        return dispatch::complete(irp, NtStatus::INVALID_DEVICE_REQUEST);
    }
    {
        let mut open = device.files().open.lock();
        let refused = if open.deleted {
            Some(NtStatus::INVALID_DEVICE_STATE)
        } else if device.config().exclusive && open.handles > 0 {
            Some(NtStatus::ACCESS_DENIED)
        } else {
            open.handles += 1;
            None
        };
        drop(open);
        if let Some(status) = refused {
            return dispatch::complete(irp, status);
        }
    }
    let file = match make(device, irp) {
        Ok(file) => file,
        Err(status) => {
            return_handle(device);
            return dispatch::complete(irp, status);
        }
    };
    let callback = config_of(device).map_or(0, |files| files.create);
    if callback != 0 || device.io().queue_for(mj::CREATE).is_some() {
        return give_to_driver(device, irp, file.as_ref(), callback);
    }
    if auto_forwards(device) {
        return forward_create(device, irp);
    }
    dispatch::complete(irp, NtStatus::SUCCESS)
}

/// The create becomes a request: for the queue configured for creates, or for EvtDeviceFileCreate (R-DEV-44).
fn give_to_driver(
    device: &Ref<Device>,
    irp: *mut Irp,
    file: Option<&Ref<FileObject>>,
    callback: u64,
) -> NtStatus {
    let wdm = Address(nt::irp::current(irp).file_object.get());
    let request = match Request::for_irp(device, IrpRef::new(irp)) {
        Ok(request) => request,
        Err(status) => {
            created(device, wdm.get(), status);
            return dispatch::complete(irp, status);
        }
    };
    let opened = device.clone();
    request.on_create_completed(move |status| {
        created(&opened, wdm.get(), status);
    });
    let request = match package::admit_create(device, request) {
        Ok(request) => request.handle(),
        Err(status) => return status,
    };
    synchronized(device, || {
        let file = file.map_or(0, Ref::handle);
        callback::call(callback, &[device.handle(), request, file]);
    });
    NtStatus::PENDING
}

/// Passes a create down and keeps the file object only if it succeeds there (R-DEV-45).
fn forward_create(device: &Ref<Device>, irp: *mut Irp) -> NtStatus {
    let device = device.clone();
    forward::with_completion(&device.clone(), irp, move |irp| {
        let status = abi::at(irp).io_status.status.get();
        created(&device, nt::irp::current(irp).file_object.get(), status);
    })
}

fn make(device: &Ref<Device>, irp: *mut Irp) -> Result<Option<Ref<FileObject>>, NtStatus> {
    let Some(files) = config_of(device).filter(|files| files.class != FileClass::NotRequired)
    else {
        return Ok(None);
    };
    let wdm = nt::irp::current(irp).file_object.get();
    if wdm.is_null() && !files.optional {
        return Err(NtStatus::INVALID_DEVICE_REQUEST);
    }
    let body = FileObject {
        device: device.clone(),
        wdm: (!wdm.is_null()).then_some(Address(wdm)),
    };
    let binding = device.object().binding();
    let file = object::create(binding, &files.attributes, Some(device.object()), body)?;
    file.object().set_undeletable(true);
    if device.file_level_passive() {
        file.object().set_passive_dispose();
    }
    if !wdm.is_null() {
        let view = abi::at(wdm);
        match files.class {
            FileClass::FsContext => view.fs_context.set(file.handle() as *mut u8),
            FileClass::FsContext2 => view.fs_context2.set(file.handle() as *mut u8),
            FileClass::NotRequired | FileClass::NoFsContexts => {}
        }
        let key = wdm as u64;
        device.files().open.lock().by_wdm.insert(key, file.clone());
    }
    Ok(Some(file))
}

/// What follows the end of a create request, before the I/O manager learns of it (R-REQ-20 step 6): after a failure the
/// file object is destroyed without cleanup and close callbacks (R-DEV-45).
fn created(device: &Ref<Device>, wdm: *mut WdmFile, status: NtStatus) {
    if status.is_success() {
        return;
    }
    destroy(device, wdm);
    return_handle(device);
}

fn destroy(device: &Ref<Device>, wdm: *mut WdmFile) {
    let file = device.files().open.lock().by_wdm.remove(&(wdm as u64));
    if let Some(file) = file {
        lifetime::delete(file.object());
    }
}

/// One handle less; the last one ends a deleted control device (R-DEV-33).
fn return_handle(device: &Ref<Device>) {
    let last = {
        let mut open = device.files().open.lock();
        open.handles = open.handles.saturating_sub(1);
        open.handles == 0 && open.deleted
    };
    if last {
        super::control::last_handle_closed(device);
    }
}

/// IRP_MJ_CLEANUP: R-DEV-46, R-CAN-60.
pub(super) fn cleanup(device: &Ref<Device>, irp: *mut Irp) -> NtStatus {
    let wdm = nt::irp::current(irp).file_object.get();
    let callback = config_of(device).map_or(0, |files| files.cleanup);
    if callback != 0
        && let Some(file) = device.files().find(wdm)
    {
        synchronized(device, || {
            callback::call(callback, &[file.handle()]);
        });
    }
    // The queues go on taking requests of this file (R-CAN-61).
    package::flush_by_file_object(device, wdm);
    finish(device, irp)
}

/// IRP_MJ_CLOSE: R-DEV-46.
pub(super) fn close(device: &Ref<Device>, irp: *mut Irp) -> NtStatus {
    let wdm = nt::irp::current(irp).file_object.get();
    let callback = config_of(device).map_or(0, |files| files.close);
    if callback != 0
        && let Some(file) = device.files().find(wdm)
    {
        synchronized(device, || {
            callback::call(callback, &[file.handle()]);
        });
    }
    destroy(device, wdm);
    let held = device.clone();
    let status = finish(device, irp);
    return_handle(&held);
    status
}

fn finish(device: &Ref<Device>, irp: *mut Irp) -> NtStatus {
    if auto_forwards(device) {
        forward::skip(device, irp)
    } else {
        dispatch::complete(irp, NtStatus::SUCCESS)
    }
}

/// R-DEV-47.
fn synchronized(device: &Ref<Device>, f: impl FnOnce()) {
    if device.files_synchronized() {
        device.callback_lock().acquire(device.handle());
        f();
        device.callback_lock().release();
    } else {
        f();
    }
}

/// `WdfDeviceGetFileObject`: the framework's file object of a FILE_OBJECT; null if it has none.
fn of_device(_call: &Call, device: u64, file: u64) -> u64 {
    handle::resolve::<Device>(device)
        .files()
        .find(file as *mut WdmFile)
        .map_or(0, |file| file.handle())
}

/// `WdfFileObjectGetFileName`: address of the FILE_OBJECT's name; null without a FILE_OBJECT.
fn get_file_name(_call: &Call, file: u64) -> u64 {
    match handle::resolve::<FileObject>(file).wdm() {
        Some(wdm) => std::ptr::from_ref(&abi::at(wdm).file_name) as u64,
        None => 0,
    }
}

/// `WdfFileObjectGetFlags`: the FILE_OBJECT's flags; 0 without a FILE_OBJECT.
fn get_flags(_call: &Call, file: u64) -> u32 {
    handle::resolve::<FileObject>(file)
        .wdm()
        .map_or(0, |wdm| abi::at(wdm).flags.get())
}

/// `WdfFileObjectGetDevice`: the device that was opened.
fn get_device(_call: &Call, file: u64) -> u64 {
    handle::resolve::<FileObject>(file).device.handle()
}

/// `WdfFileObjectGetInitiatorProcessId`: the id of the process that opened the file; 0 without a FILE_OBJECT.
fn get_initiator_process_id(_call: &Call, file: u64) -> u32 {
    handle::resolve::<FileObject>(file)
        .wdm()
        .map_or(0, |wdm| nt::file::opener_id(wdm) as u32)
}

/// `WdfFileObjectWdmGetFileObject`: the FILE_OBJECT; null if the create request came without one.
fn wdm_get_file_object(_call: &Call, file: u64) -> u64 {
    handle::resolve::<FileObject>(file)
        .wdm()
        .map_or(0, |wdm| wdm as u64)
}

#[cfg(test)]
mod tests {
    #[test]
    fn a_null_file_object_is_never_found() {
        assert!(super::Files::default().find(std::ptr::null_mut()).is_none());
    }
}
