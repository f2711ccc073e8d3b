//! Requests: who owns one, and how ownership leaves.
//!
//! A [`Request`] is an I/O request the driver owns: presented, not cancelable, not sent (R-REQ-01). Exactly one of
//! `Request`, [`Canceled`], [`Unparked`] exists for a presented request, and every way out consumes it. A way out that fails gives it back.
//! All ways out are legal at IRQL <= `DISPATCH_LEVEL` unless their place says otherwise.
//!
//! The states of a request as its cell (in wdf's own context on every request) tells them:
//!
//! ```text
//!            park                 mark ok                     unpark            unmark ok
//!   IDLE ----------> FILLING -----------------> PARKED --------------> CLAIMED ----------> IDLE
//!    |                  | callback came            | callback came        |  \ unmark says CANCELLED
//!    | send             v                          v                      |   `-----> LOST --callback--> TAKEN
//!    v               ARRIVED: park returns       TAKEN: the cancel        v callback came first
//!   SENT             the request as Canceled     handler runs            ARRIVED: unpark hands out Canceled
//! ```
//!
//! The cell counts parkings: a [`Parked`] of an earlier one claims nothing, even if the request is parked again.

mod buffers;
mod cell;
mod complete;
mod held;
mod kind;
mod memory;
mod origin;
mod own;
mod own_format;
mod own_pool;
mod parameters;
mod park;
mod piece;
mod sent;
mod share;
mod shares;
mod slot;
mod state;
mod stop;
mod user_buffers;

// What `state` counts on: here the machine's, under loom its own.
use core::sync::atomic;

use core::{marker::PhantomData, ptr::NonNull};

use wdk_sys::WDFREQUEST;

pub use self::{
    buffers::{Buffered, Control, Output, SharedIn, Written},
    cell::RequestContext,
    complete::{PriorityBoost, faults},
    held::{Held, HeldCanceled},
    kind::{Any, AnyOf, Create, InternalIoctl, Ioctl, Kind, Read, Transfer, Write},
    memory::{InputMemory, Mdl, OutputMemory},
    own::{FormatFailed, Lent, OnOwnDone, OwnDone, OwnFormatted, OwnRequest, OwnSendFailed},
    own_format::Part,
    own_pool::OwnPool,
    parameters::{FileKey, IoctlParameters, TransferParameters},
    park::{OnCancel, ParkError, Parked, Unparked},
    piece::Piece,
    sent::SentToken,
    share::{OnShareCancel, Parent, Returned, Share},
    slot::Slot,
    stop::{
        Claim, NoResume, ResumeContext, ResumeOwned, Resumed, Resumes, StopAction, StopContext,
        StopElsewhere, StopOwned, StopReason, StopSent,
    },
    user_buffers::CallerRequest,
};
pub(crate) use self::{
    cell::{Cell, attributes, context as request_context, presented},
    complete::finish,
    park::RawParked,
    sent::{Leaving, meets_canceller},
};
use crate::cx::Brand;

/// Proof that the request of scope `'r` has left the driver's hands, or is parked in them on purpose.
///
/// Only consuming calls on that very request make one: `'r` is minted for one presentation and is invariant.
#[must_use]
pub struct Disposition<'r>(Brand<'r>);

impl Disposition<'_> {
    /// For the consuming calls of this crate, after the request has gone.
    pub(crate) const fn gone() -> Self {
        Self(PhantomData)
    }
}

/// A request this callback owns: a `WDFREQUEST` that is driver-owned, not cancelable and not sent.
///
/// Invariant: `handle` is such a request, `cell` is its cell if it has been looked for, and this value is the only one that may end its
/// ownership. Dropping it
/// completes the request with `STATUS_UNSUCCESSFUL` and counts a fault ([`faults`]): a net, not a path; a handler that returns
/// cannot reach it, because it must return a [`Disposition`].
#[must_use]
pub struct Request<'r, K: Kind> {
    handle: WDFREQUEST,
    cell: Option<NonNull<Cell>>,
    kind: PhantomData<K>,
    brand: Brand<'r>,
    not_send: PhantomData<*mut ()>,
}

impl<'r, K: Kind> Request<'r, K> {
    /// Presents a request.
    ///
    /// # Safety
    /// The driver has just been given ownership of `handle` (R-REQ-02), of kind `K`; its cell is initialised; the caller
    /// makes this the only value for it and mints `'r` for it by a `for<'r>` call.
    pub(crate) unsafe fn present(handle: WDFREQUEST) -> Self {
        // INVARIANT: the contract of this function.
        Self {
            handle,
            cell: None,
            kind: PhantomData,
            brand: PhantomData,
            not_send: PhantomData,
        }
    }

    /// Presents a request whose cell is at hand.
    ///
    /// # Safety
    /// As [`present`](Self::present), and `cell` is the cell of `handle`.
    pub(crate) unsafe fn present_with(handle: WDFREQUEST, cell: &Cell) -> Self {
        // INVARIANT: the contract of this function.
        Self {
            handle,
            cell: Some(NonNull::from(cell)),
            kind: PhantomData,
            brand: PhantomData,
            not_send: PhantomData,
        }
    }

    /// Ends this value without ending the ownership.
    pub(crate) fn into_raw(self) -> WDFREQUEST {
        core::mem::ManuallyDrop::new(self).handle
    }

    pub(crate) const fn handle(&self) -> WDFREQUEST {
        self.handle
    }

    /// Its cell, if its device was created by this crate.
    pub(crate) fn cell(&self) -> Option<&Cell> {
        match self.cell {
            // SAFETY: the cell of an owned request (type invariant): it is there while the request is owned.
            Some(cell) => Some(unsafe { cell.as_ref() }),
            // SAFETY: owned.
            None => unsafe { Cell::of(self.handle) },
        }
    }

    /// Forgets the kind. The request stays owned by the same callback.
    pub fn any(self) -> Request<'r, Any> {
        let cell = self.cell;
        // SAFETY: the same presented request; `self` ends here without completing it. Every kind is an `Any`.
        let mut any = unsafe { Request::present(self.into_raw()) };
        // INVARIANT: the same request's cell.
        any.cell = cell;
        any
    }

    /// The driver's context on this request, if the device was created with request contexts of type `T`.
    ///
    /// It is built by `T::default()` when the request is first presented (R-OBJ-68) and dropped with the request.
    #[must_use]
    pub fn context<T: RequestContext>(&self) -> Option<&T> {
        // SAFETY: owned, so the object exists for as long as `self` is borrowed.
        unsafe { cell::context::<T>(self.handle) }
    }
}

/// A request the driver owns after its cancellation: it may only be completed (R-CAN-46).
///
/// Given to a cancel handler, to `EvtIoCanceledOnQueue`, and to whoever meets the cancellation while parking or unparking.
/// Invariant as [`Request`]; dropping it completes with `STATUS_CANCELLED` and counts a fault.
#[must_use]
pub struct Canceled<'r, K: Kind> {
    handle: WDFREQUEST,
    kind: PhantomData<K>,
    brand: Brand<'r>,
    not_send: PhantomData<*mut ()>,
}

impl<K: Kind> Canceled<'_, K> {
    /// # Safety
    /// As [`Request::present`], and the request is canceled and no longer cancelable.
    pub(crate) unsafe fn present(handle: WDFREQUEST) -> Self {
        Self {
            handle,
            kind: PhantomData,
            brand: PhantomData,
            not_send: PhantomData,
        }
    }

    /// Ends this value without ending the ownership.
    pub(crate) fn into_raw(self) -> WDFREQUEST {
        core::mem::ManuallyDrop::new(self).handle
    }

    pub(crate) const fn handle(&self) -> WDFREQUEST {
        self.handle
    }

    /// The driver's context on this request; see [`Request::context`].
    #[must_use]
    pub fn context<T: RequestContext>(&self) -> Option<&T> {
        // SAFETY: owned, so the object exists for as long as `self` is borrowed.
        unsafe { cell::context::<T>(self.handle) }
    }
}

mod sealed {
    pub trait Sealed {}
}

/// A value that stands for one request the driver owns now. Sealed.
pub trait Owned: sealed::Sealed {
    #[doc(hidden)]
    fn raw(&self) -> WDFREQUEST;
}

macro_rules! owned {
    ($($type:ident)*) => { $(
        impl<K: Kind> sealed::Sealed for $type<'_, K> {}
        impl<K: Kind> Owned for $type<'_, K> {
            fn raw(&self) -> WDFREQUEST {
                self.handle
            }
        }
    )* };
}
owned!(Request Canceled);
