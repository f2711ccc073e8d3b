//! Looking at IRPs before the framework makes requests of them.
//!
//! A preprocess handler sees a read-only view of an arriving IRP in the caller's own thread, and says whether it goes on to the framework or is
//! passed down as it is (filter rule 3). It never owns the IRP.

use core::{marker::PhantomData, num::NonZeroUsize, ptr::NonNull};

use wdk_sys::{
    DEVICE_OBJECT, IO_STACK_LOCATION, NTSTATUS, PIRP, WDFDEVICE, call_unsafe_wdf_function_binding,
};

use crate::{
    Status,
    cx::{self, Arrival, Caller, Cx},
    device::{self, Device, DeviceContext, DeviceInit, Filter, Role},
    handler::{self, Stateless},
    request::{CallerRequest, Disposition, FileKey, Request, finish, presented},
};

unsafe extern "system" {
    // `IoCallDriver` is a macro for this export.
    fn IofCallDriver(device: *mut DEVICE_OBJECT, irp: PIRP) -> NTSTATUS;
}

/// What becomes of the IRP.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// It is passed to the next lower driver in this thread, unchanged, and the framework never sees it.
    Skip,
    /// The framework treats it as if nobody had looked.
    Framework,
}

/// A major function a handler can be registered for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Major {
    /// `IRP_MJ_READ`.
    Read = 3,
    /// `IRP_MJ_WRITE`.
    Write = 4,
    /// `IRP_MJ_DEVICE_CONTROL`.
    DeviceControl = 0x0E,
    /// `IRP_MJ_INTERNAL_DEVICE_CONTROL`.
    InternalDeviceControl = 0x0F,
    /// `IRP_MJ_CLEANUP`.
    Cleanup = 0x12,
}

/// Where an IRP keeps the pointer to its current stack location.
///
/// # Safety
/// `irp` is a valid IRP the caller's driver has: the overlay arm of the union is in use.
unsafe fn location_field(irp: PIRP) -> *mut *mut IO_STACK_LOCATION {
    // SAFETY: in bounds of a valid IRP (contract); no reference is made.
    let tail = unsafe { &raw mut (*irp).Tail };
    // SAFETY: every arm of the union is inside it.
    let overlay = unsafe { &raw mut (*tail).Overlay };
    // SAFETY: as above.
    let arm = unsafe { &raw mut (*overlay).__bindgen_anon_2.__bindgen_anon_1 };
    arm.cast()
}

/// `IoGetCurrentIrpStackLocation`.
///
/// # Safety
/// `irp` is a valid IRP the caller's driver has.
pub(crate) unsafe fn current_location(irp: PIRP) -> *mut IO_STACK_LOCATION {
    // SAFETY: contract of this function.
    let field = unsafe { location_field(irp) };
    // SAFETY: a field of a valid IRP.
    unsafe { field.read() }
}

/// A read-only view of an arriving IRP.
///
/// Invariant: `irp` belongs to the caller of the handler for `'a`, and `location` is its current stack location.
pub struct Arriving<'a> {
    irp: NonNull<wdk_sys::IRP>,
    location: NonNull<IO_STACK_LOCATION>,
    of: PhantomData<&'a ()>,
}

impl Arriving<'_> {
    /// Whether it is paging I/O: `IRP_PAGING_IO`. (`IRP_SYNCHRONOUS_PAGING_IO` says nothing alone: its bit is also `IRP_INPUT_OPERATION`.)
    #[must_use]
    pub fn is_paging_io(&self) -> bool {
        const IRP_PAGING_IO: u32 = 0x2;
        // SAFETY: valid for reads (type invariant).
        let flags = unsafe { (*self.irp.as_ptr()).Flags };
        flags & IRP_PAGING_IO != 0
    }

    /// Whether its buffers are raw addresses that mean something only in this thread's process: a `METHOD_NEITHER` control, or a read or
    /// write of a device that does neither buffered nor direct I/O.
    #[must_use]
    pub fn is_neither(&self) -> bool {
        const DO_BUFFERED_OR_DIRECT: u32 = 0x4 | 0x10;
        const READ: u8 = Major::Read as u8;
        const WRITE: u8 = Major::Write as u8;
        const CONTROL: u8 = Major::DeviceControl as u8;
        const INTERNAL: u8 = Major::InternalDeviceControl as u8;
        let location = self.location.as_ptr();
        // SAFETY: valid for reads (type invariant).
        let major = unsafe { (*location).MajorFunction };
        match major {
            READ | WRITE => {
                // SAFETY: as above: the device the IRP was sent to, which exists while it has IRPs.
                let device = unsafe { (*location).DeviceObject };
                // SAFETY: as above.
                let flags = unsafe { (*device).Flags };
                flags & DO_BUFFERED_OR_DIRECT == 0
            }
            CONTROL | INTERNAL => {
                // SAFETY: as above; any bytes are a valid value of the union.
                let parameters = unsafe { (*location).Parameters };
                // SAFETY: the arm of a control; plain integers.
                let code = unsafe { parameters.DeviceIoControl.IoControlCode };
                code & 3 == 3
            }
            _ => false,
        }
    }

    /// The open instance it came through.
    #[must_use]
    pub fn file_key(&self) -> Option<FileKey> {
        // SAFETY: valid for reads (type invariant).
        let file = unsafe { (*self.location.as_ptr()).FileObject };
        NonZeroUsize::new(file.addr()).map(FileKey)
    }
}

impl DeviceInit<'_, Filter> {
    /// Shows `handler` every IRP of one major function. Stands for `WdfDeviceInitAssignWdmIrpPreprocessCallback`, all minor functions.
    /// The device must be created with context `D`.
    ///
    /// # Errors
    /// `STATUS_INSUFFICIENT_RESOURCES`.
    pub fn preprocess<D: DeviceContext, F>(
        &mut self,
        major: Major,
        handler: F,
    ) -> Result<(), Status>
    where
        F: Fn(&mut Cx<'_, Arrival>, &Device<D>, &Arriving<'_>) -> Verdict + Stateless,
    {
        handler::hand_in(handler);
        // SAFETY: valid and not consumed (invariant of DeviceInit).
        let status = unsafe {
            call_unsafe_wdf_function_binding!(
                WdfDeviceInitAssignWdmIrpPreprocessCallback,
                self.raw(),
                Some(evt_preprocess::<D, F>),
                major as u8,
                core::ptr::null_mut(),
                0
            )
        };
        Status::from_raw(status).ok()
    }
}

impl<R: Role> DeviceInit<'_, R> {
    /// Gives `handler` every read, write and control in the caller's context, before it is queued. Stands for
    /// `WdfDeviceInitSetIoInCallerContextCallback` (R-DEV-14). The device must be created with context `D`.
    pub fn in_caller_context<D: DeviceContext, F>(&mut self, handler: F)
    where
        F: for<'r> Fn(&mut Cx<'_, Caller>, &Device<D>, CallerRequest<'r>) -> Disposition<'r>
            + Stateless,
    {
        handler::hand_in(handler);
        // SAFETY: valid and not consumed (invariant of DeviceInit).
        unsafe {
            call_unsafe_wdf_function_binding!(
                WdfDeviceInitSetIoInCallerContextCallback,
                self.raw(),
                Some(evt_in_caller_context::<D, F>)
            );
        }
    }
}

unsafe extern "C" fn evt_preprocess<D: DeviceContext, F>(handle: WDFDEVICE, irp: PIRP) -> NTSTATUS
where
    F: Fn(&mut Cx<'_, Arrival>, &Device<D>, &Arriving<'_>) -> Verdict + Stateless,
{
    // SAFETY: the framework gives this callback a valid IRP.
    let location = unsafe { current_location(irp) };
    // SAFETY: the device exists during its callbacks.
    let device = unsafe { device::borrow::<D>(handle) };
    let mut verdict = Verdict::Framework;
    if let (Some(device), Some(irp), Some(location)) =
        (device, NonNull::new(irp), NonNull::new(location))
    {
        // INVARIANT: ours for this call, with its current location.
        let arriving = Arriving {
            irp,
            location,
            of: PhantomData,
        };
        // SAFETY: handed in by `preprocess`.
        let handler: F = unsafe { handler::recall() };
        verdict = cx::enter::<Arrival, _>(|cx| handler(cx, &device, &arriving));
    }
    // Either way the next holder of the IRP finds the stack location this driver was given.
    // SAFETY: valid, and this callback has it: it is neither sent nor completed yet.
    unsafe { skip_location(irp) };
    if verdict == Verdict::Framework {
        // SAFETY: the IRP this callback was given, its location skipped.
        return unsafe {
            call_unsafe_wdf_function_binding!(WdfDeviceWdmDispatchPreprocessedIrp, handle, irp)
        };
    }
    // SAFETY: live; a filter has a device below it.
    let lower = unsafe { call_unsafe_wdf_function_binding!(WdfDeviceWdmGetAttachedDevice, handle) };
    // SAFETY: the next lower device of this stack, attached for as long as this one exists.
    unsafe { IofCallDriver(lower, irp) }
}

/// `IoSkipCurrentIrpStackLocation`.
///
/// # Safety
/// `irp` is a valid IRP the caller's driver has and is about to pass on.
unsafe fn skip_location(irp: PIRP) {
    // SAFETY: valid (contract).
    let count = unsafe { &raw mut (*irp).CurrentLocation };
    // SAFETY: a field of a valid IRP.
    let old = unsafe { count.read() };
    // SAFETY: as above. One up: at most the value the IRP had above this driver.
    unsafe { count.write(old.wrapping_add(1)) };
    // SAFETY: valid (contract).
    let location = unsafe { location_field(irp) };
    // SAFETY: a field of a valid IRP.
    let old = unsafe { location.read() };
    // SAFETY: the array of locations goes one further: the caller's own, or the end of the array.
    let above = unsafe { old.add(1) };
    // SAFETY: a field of a valid IRP.
    unsafe { location.write(above) };
}

unsafe extern "C" fn evt_in_caller_context<D: DeviceContext, F>(
    handle: WDFDEVICE,
    request: wdk_sys::WDFREQUEST,
) where
    F: for<'r> Fn(&mut Cx<'_, Caller>, &Device<D>, CallerRequest<'r>) -> Disposition<'r>
        + Stateless,
{
    // SAFETY: the device exists during its callbacks.
    let device = unsafe { device::borrow::<D>(handle) };
    let Some(device) = device else {
        // SAFETY: owned.
        unsafe { finish(request, Status::DEVICE_NOT_READY) };
        return;
    };
    // SAFETY: owned since this callback (R-REQ-02), on a device that carries a D.
    let cell = unsafe { presented(request, &device) };
    // SAFETY: handed in by `in_caller_context`.
    let handler: F = unsafe { handler::recall() };
    cx::enter::<Caller, _>(|cx| {
        // SAFETY: owned, presented once; 'r is minted by `handler`.
        let request = unsafe { Request::present_with(request, cell) };
        // SAFETY: within EvtIoInCallerContext of this device.
        let request = unsafe { CallerRequest::present(request, handle) };
        let _gone = handler(cx, &device, request);
    });
}
