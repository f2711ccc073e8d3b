//! Targets that are other devices than the one below.
//!
//! A remote target is created, then opened; only an [`OpenTarget`] can be sent to (R-TGT-03). It may be closed and reopened while requests are
//! formatted for it and sent to it: then sending fails, and what is below is canceled (R-TGT-26). Only requests of the driver's own go there: one
//! from above has stack locations for its own stack alone (R-TGT-33).
//!
//! The object belongs to the device and goes with it: what is below is canceled and waited for (R-TGT-10).

use core::{
    ptr,
    sync::atomic::{AtomicPtr, Ordering},
};

use wdk_sys::{
    _WDF_IO_TARGET_OPEN_TYPE::{
        WdfIoTargetOpenByName, WdfIoTargetOpenReopen, WdfIoTargetOpenUseExistingDevice,
    },
    FILE_OBJECT, NTSTATUS, PDEVICE_OBJECT, PFILE_OBJECT, UNICODE_STRING, WDF_IO_TARGET_OPEN_PARAMS,
    WDFIOTARGET, call_unsafe_wdf_function_binding,
    ntddk::{IoGetDeviceObjectPointer, ObDereferenceObjectDeferDelete},
};

use super::Target;
use crate::{
    Status, Wide,
    context::{self, Context, TypeInfo},
    cx::{self, CanComplete, CanWait, Cx, Passive, Query},
    device::{self, Device, DeviceContext, NewDevice},
};

/// What the driver wants of the other device. Stands for `ACCESS_MASK`; the values are those of `wdm.h`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Access(u32);

impl Access {
    /// `GENERIC_READ`.
    pub const READ: Self = Self(0x8000_0000);
    /// `GENERIC_WRITE`.
    pub const WRITE: Self = Self(0x4000_0000);
    /// Both.
    pub const READ_WRITE: Self = Self(0xC000_0000);
}

/// What the driver has to say when the device behind a target is to be removed (R-TGT-09). `PASSIVE_LEVEL`.
///
/// What the framework demands of these callbacks is done by this crate: closing for the query, reopening, closing for good.
pub trait OnTargetRemoval: 'static {
    /// The context type of the device the target belongs to.
    type Device: DeviceContext;

    /// `EvtIoTargetQueryRemove`: somebody wants to remove the device. After `Ok` the target is closed, with all that is below.
    ///
    /// # Errors
    /// The removal is refused with this status.
    fn query(cx: &mut Cx<'_, Query>, device: &Device<Self::Device>) -> Result<(), Status>;

    /// `EvtIoTargetRemoveCanceled`: the device stays, and the target has been reopened, or failed to.
    fn canceled(
        cx: &mut Cx<'_, Query>,
        device: &Device<Self::Device>,
        reopened: Result<(), Status>,
    );

    /// `EvtIoTargetRemoveComplete`: the device has gone, and the target is closed.
    fn complete(cx: &mut Cx<'_, Query>, device: &Device<Self::Device>);
}

/// What a target keeps: its file object, if the driver got it for it. Invariant: null, or one reference on it.
struct Kept {
    file: AtomicPtr<FILE_OBJECT>,
}

impl Context for Kept {
    fn info() -> &'static TypeInfo<Self> {
        static INFO: TypeInfo<Kept> = TypeInfo::new(c"wdf target");
        &INFO
    }
}

impl Kept {
    /// Gives the reference up, and keeps `file` instead.
    fn keep(&self, file: PFILE_OBJECT) {
        let old = self.file.swap(file, Ordering::AcqRel);
        if !old.is_null() {
            // SAFETY: the reference this value had (type invariant); at any IRQL <= DISPATCH_LEVEL.
            unsafe { ObDereferenceObjectDeferDelete(old.cast()) };
        }
    }
}

impl Drop for Kept {
    fn drop(&mut self) {
        self.keep(ptr::null_mut());
    }
}

/// A target that leads nowhere yet. Stands for `WdfIoTargetCreate`.
pub struct RemoteTarget {
    target: Target,
}

/// A target that was opened. Stands for the result of `WdfIoTargetOpen`.
///
/// Its state changes under whoever sends: closed by the driver, by the removal of the device behind it.
pub struct OpenTarget {
    target: Target,
}

/// An open that failed; the target leads nowhere still.
pub struct OpenFailed {
    /// The target.
    pub target: RemoteTarget,
    /// Why.
    pub status: Status,
}

impl RemoteTarget {
    /// `WdfIoTargetCreate` with the device as parent. `PASSIVE_LEVEL`.
    ///
    /// # Errors
    /// `STATUS_INSUFFICIENT_RESOURCES`.
    pub fn new<D: DeviceContext, R>(
        _cx: &Cx<'_, impl Passive>,
        device: &NewDevice<'_, D, R>,
    ) -> Result<Self, Status> {
        let mut attributes = context::attributes::<Kept>();
        attributes.ParentObject = device.handle().cast();
        let mut handle: WDFIOTARGET = ptr::null_mut();
        // SAFETY: the device exists; the rest are locals.
        let status = unsafe {
            call_unsafe_wdf_function_binding!(
                WdfIoTargetCreate,
                device.handle(),
                &raw mut attributes,
                &raw mut handle
            )
        };
        Status::from_raw(status).ok()?;
        let kept = Kept {
            file: AtomicPtr::new(ptr::null_mut()),
        };
        // SAFETY: just created with room for it, known to nobody else.
        unsafe { context::install(handle.cast(), kept) }
            .map_err(|_| Status::INVALID_DEVICE_STATE)?;
        // No device takes requests from above for it: see the module.
        // SAFETY: just created.
        let target = unsafe { Target::acquire(handle, ptr::null_mut()) };
        target
            .map(|target| Self { target })
            .ok_or(Status::INSUFFICIENT_RESOURCES)
    }

    /// Opens the device of that name, as a program would. Stands for `WdfIoTargetOpen` with `WdfIoTargetOpenByName`. `PASSIVE_LEVEL`.
    /// If that device is removed, the framework closes the target.
    ///
    /// # Errors
    /// What opening fails with: `STATUS_OBJECT_NAME_NOT_FOUND`, `STATUS_ACCESS_DENIED`, and so on.
    pub fn open_by_name(
        self,
        _cx: &mut Cx<'_, impl CanWait>,
        name: Wide,
        access: Access,
    ) -> Result<OpenTarget, OpenFailed> {
        let parameters = by_name(name, access);
        self.open(parameters)
    }

    /// As [`open_by_name`](Self::open_by_name); `W` has a say when that device is to be removed.
    ///
    /// # Errors
    /// As there.
    pub fn open_by_name_watched<W: OnTargetRemoval>(
        self,
        _cx: &mut Cx<'_, impl CanWait>,
        name: Wide,
        access: Access,
    ) -> Result<OpenTarget, OpenFailed> {
        let mut parameters = by_name(name, access);
        parameters.EvtIoTargetQueryRemove = Some(evt_query_remove::<W>);
        parameters.EvtIoTargetRemoveCanceled = Some(evt_remove_canceled::<W>);
        parameters.EvtIoTargetRemoveComplete = Some(evt_remove_complete::<W>);
        self.open(parameters)
    }

    /// Opens the top device of the stack of that name through a file object of its own. Stands for `IoGetDeviceObjectPointer` and
    /// `WdfIoTargetOpen` with `WdfIoTargetOpenUseExistingDevice`. `PASSIVE_LEVEL`. It cannot be reopened (R-TGT-07).
    ///
    /// # Errors
    /// As [`open_by_name`](Self::open_by_name).
    pub fn open_by_file(
        self,
        _cx: &mut Cx<'_, impl CanWait>,
        name: Wide,
        access: Access,
    ) -> Result<OpenTarget, OpenFailed> {
        let mut name = name.unicode();
        let mut file: PFILE_OBJECT = ptr::null_mut();
        let mut device: PDEVICE_OBJECT = ptr::null_mut();
        // SAFETY: PASSIVE_LEVEL by the token; the string is read during the call, the results are locals.
        let status = unsafe {
            IoGetDeviceObjectPointer(&raw mut name, access.0, &raw mut file, &raw mut device)
        };
        if let Err(status) = Status::from_raw(status).ok() {
            return Err(OpenFailed {
                target: self,
                status,
            });
        }
        // Whatever becomes of the target, the reference goes when it is closed or destroyed.
        self.target.keep(file);
        self.open(WDF_IO_TARGET_OPEN_PARAMS {
            Type: WdfIoTargetOpenUseExistingDevice,
            TargetDeviceObject: device,
            TargetFileObject: file,
            ..parameters()
        })
    }

    fn open(self, parameters: WDF_IO_TARGET_OPEN_PARAMS) -> Result<OpenTarget, OpenFailed> {
        match self.target.open(parameters) {
            Ok(()) => Ok(OpenTarget {
                target: self.target,
            }),
            Err(status) => {
                self.target.keep(ptr::null_mut());
                Err(OpenFailed {
                    target: self,
                    status,
                })
            }
        }
    }
}

fn parameters() -> WDF_IO_TARGET_OPEN_PARAMS {
    WDF_IO_TARGET_OPEN_PARAMS {
        Size: context::size_u32::<WDF_IO_TARGET_OPEN_PARAMS>(),
        ..WDF_IO_TARGET_OPEN_PARAMS::default()
    }
}

fn by_name(name: Wide, access: Access) -> WDF_IO_TARGET_OPEN_PARAMS {
    /// `FILE_SHARE_READ | FILE_SHARE_WRITE`.
    const SHARE: u32 = 3;
    /// `FILE_OPEN`.
    const OPEN: u32 = 1;
    /// `FILE_NON_DIRECTORY_FILE`.
    const NO_DIRECTORY: u32 = 0x40;
    let name: UNICODE_STRING = name.unicode();
    WDF_IO_TARGET_OPEN_PARAMS {
        Type: WdfIoTargetOpenByName,
        TargetDeviceName: name,
        DesiredAccess: access.0,
        ShareAccess: SHARE,
        CreateDisposition: OPEN,
        CreateOptions: NO_DIRECTORY,
        ..parameters()
    }
}

impl Target {
    /// Keeps a file object for as long as it is open.
    fn keep(&self, file: PFILE_OBJECT) {
        // SAFETY: referenced.
        if let Some(kept) = unsafe { context::get::<Kept>(self.handle().cast()) } {
            // SAFETY: installed at creation, dropped with the object.
            unsafe { kept.as_ref() }.keep(file);
        }
    }

    fn open(&self, mut parameters: WDF_IO_TARGET_OPEN_PARAMS) -> Result<(), Status> {
        // SAFETY: referenced; the callers are at PASSIVE_LEVEL; what the structure names is alive during the call.
        let status = unsafe {
            call_unsafe_wdf_function_binding!(WdfIoTargetOpen, self.handle(), &raw mut parameters)
        };
        Status::from_raw(status).ok()
    }
}

impl core::ops::Deref for OpenTarget {
    type Target = Target;

    fn deref(&self) -> &Target {
        &self.target
    }
}

impl OpenTarget {
    /// Cancels what is below, waits for it, and closes. Stands for `WdfIoTargetClose` (R-TGT-26). `PASSIVE_LEVEL`; completion handlers run
    /// inside. A closed target stays closed when closed again.
    pub fn close(&self, _cx: &mut Cx<'_, impl CanWait + CanComplete>) {
        // SAFETY: referenced; PASSIVE_LEVEL and no lock by the token.
        unsafe { call_unsafe_wdf_function_binding!(WdfIoTargetClose, self.target.handle()) };
        self.target.keep(ptr::null_mut());
    }

    /// As [`close`](Self::close), and stays to be told what becomes of the removal. Stands for `WdfIoTargetCloseForQueryRemove`.
    pub fn close_for_query_remove(&self, _cx: &mut Cx<'_, impl CanWait + CanComplete>) {
        // SAFETY: referenced; PASSIVE_LEVEL and no lock by the token.
        unsafe {
            call_unsafe_wdf_function_binding!(WdfIoTargetCloseForQueryRemove, self.target.handle());
        };
    }

    /// Opens a closed target again as it had been opened. Stands for `WdfIoTargetOpen` with `WdfIoTargetOpenReopen`. `PASSIVE_LEVEL`.
    ///
    /// # Errors
    /// `STATUS_INVALID_DEVICE_REQUEST` if it had not been opened by name (R-TGT-07); `STATUS_INVALID_DEVICE_STATE` if it is open (R-TGT-06); and
    /// as [`RemoteTarget::open_by_name`].
    pub fn reopen(&self, _cx: &mut Cx<'_, impl CanWait>) -> Result<(), Status> {
        self.target.open(reopening())
    }
}

fn reopening() -> WDF_IO_TARGET_OPEN_PARAMS {
    WDF_IO_TARGET_OPEN_PARAMS {
        Type: WdfIoTargetOpenReopen,
        ..parameters()
    }
}

/// The device of a target, lent to one of its callbacks.
///
/// # Safety
/// Within a callback of the target.
unsafe fn with_device<W: OnTargetRemoval, R>(
    target: WDFIOTARGET,
    f: impl FnOnce(&mut Cx<'_, Query>, &Device<W::Device>) -> R,
) -> Option<R> {
    // SAFETY: live during its callbacks.
    let device = unsafe { call_unsafe_wdf_function_binding!(WdfIoTargetGetDevice, target) };
    // SAFETY: the device outlives its targets.
    let device = unsafe { device::borrow::<W::Device>(device) }?;
    Some(cx::enter::<Query, _>(|cx| f(cx, &device)))
}

unsafe extern "C" fn evt_query_remove<W: OnTargetRemoval>(target: WDFIOTARGET) -> NTSTATUS {
    // SAFETY: within the callback.
    let answer = unsafe { with_device::<W, _>(target, W::query) };
    if let Some(Err(status)) = answer {
        return status.raw();
    }
    // SAFETY: live, at PASSIVE_LEVEL; the callback must do it (R-TGT-09).
    unsafe { call_unsafe_wdf_function_binding!(WdfIoTargetCloseForQueryRemove, target) };
    Status::SUCCESS.raw()
}

unsafe extern "C" fn evt_remove_canceled<W: OnTargetRemoval>(target: WDFIOTARGET) {
    let mut parameters = reopening();
    // SAFETY: live, at PASSIVE_LEVEL; the callback must do it (R-TGT-09).
    let status =
        unsafe { call_unsafe_wdf_function_binding!(WdfIoTargetOpen, target, &raw mut parameters) };
    let reopened = Status::from_raw(status).ok();
    // SAFETY: within the callback.
    let _ = unsafe { with_device::<W, _>(target, |cx, device| W::canceled(cx, device, reopened)) };
}

unsafe extern "C" fn evt_remove_complete<W: OnTargetRemoval>(target: WDFIOTARGET) {
    // SAFETY: live, at PASSIVE_LEVEL; the callback must do it (R-TGT-09).
    unsafe { call_unsafe_wdf_function_binding!(WdfIoTargetClose, target) };
    // SAFETY: within the callback.
    let _ = unsafe { with_device::<W, _>(target, W::complete) };
}
