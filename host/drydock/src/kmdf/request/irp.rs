//! The IRP behind a request, seen by the framework as the driver that owns its current stack location.

use crate::nt;
use crate::nt::abi::{self, Address, Cancel, FileObject, IoStackLocation, Irp, Mdl};
use crate::nt::status::NtStatus;

/// Slot of `Tail.Overlay.DriverContext` that leads from an IRP to its request, while a cancel routine of the framework
/// is set: the owner of an IRP may use these slots, and the framework is the owner then.
const REQUEST_SLOT: usize = 3;

/// An IRP that a request stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct IrpRef(Address<Irp>);

impl IrpRef {
    /// The IRP at `raw`.
    pub fn new(raw: *mut Irp) -> Self {
        Self(Address(raw))
    }

    /// Its address.
    pub fn raw(self) -> *mut Irp {
        self.0.get()
    }

    /// Its fields.
    pub fn view(self) -> &'static Irp {
        abi::at(self.raw())
    }

    /// The current stack location: what the framework's device was asked to do.
    pub fn current(self) -> &'static IoStackLocation {
        nt::irp::current(self.raw())
    }

    /// The current stack location, if there is one: an IRP that was never sent has none.
    pub fn current_if_valid(self) -> Option<&'static IoStackLocation> {
        let irp = self.view();
        (irp.current_location.get() <= irp.stack_count.get()).then(|| self.current())
    }

    /// The next lower stack location, if one is left.
    pub fn next(self) -> Option<&'static IoStackLocation> {
        (self.view().current_location.get() > 1).then(|| nt::irp::next(self.raw()))
    }

    /// Stack locations below the current one.
    pub fn locations_left(self) -> i8 {
        self.view().current_location.get() - 1
    }

    /// Whether somebody has cancelled it.
    pub fn is_canceled(self) -> bool {
        self.view().cancel.get() != 0
    }

    /// Its status field.
    pub fn status(self) -> NtStatus {
        self.view().io_status.status.get()
    }

    /// Sets its status field.
    pub fn set_status(self, status: NtStatus) {
        self.view().io_status.status.set(status);
    }

    /// Its Information field.
    pub fn information(self) -> u64 {
        self.view().io_status.information.get()
    }

    /// Sets its Information field.
    pub fn set_information(self, information: u64) {
        self.view().io_status.information.set(information);
    }

    /// Major function of the current stack location.
    pub fn major(self) -> u8 {
        self.current().major_function.get()
    }

    /// Whether a program asked for it, rather than a driver.
    pub fn is_from_user_mode(self) -> bool {
        self.view().requestor_mode.get() == abi::USER_MODE
    }

    /// File object of the current stack location, or null.
    pub fn file_object(self) -> *mut FileObject {
        self.current().file_object.get()
    }

    /// `MdlAddress`.
    pub fn mdl(self) -> *mut Mdl {
        self.view().mdl_address.get()
    }

    /// `AssociatedIrp.SystemBuffer`.
    pub fn system_buffer(self) -> u64 {
        self.view().system_buffer.get() as u64
    }

    /// `UserBuffer`.
    pub fn user_buffer(self) -> u64 {
        self.view().user_buffer.get() as u64
    }

    /// Makes the request of `handle` cancelable through `routine`. False: the IRP was already cancelled, and no
    /// routine is set. True with a cancellation on its way is possible: then the routine is about to run.
    pub fn arm(self, handle: u64, routine: Cancel) -> bool {
        self.view().driver_context[REQUEST_SLOT].set(handle);
        nt::irp::set_cancel_routine(self.raw(), Some(routine));
        !(self.is_canceled() && self.disarm())
    }

    /// Takes the cancel routine back. False: it has run, is running, or is about to.
    pub fn disarm(self) -> bool {
        nt::irp::set_cancel_routine(self.raw(), None) != 0
    }

    /// Handle of the request that [`IrpRef::arm`] stored.
    pub fn armed_for(self) -> u64 {
        self.view().driver_context[REQUEST_SLOT].get()
    }
}
