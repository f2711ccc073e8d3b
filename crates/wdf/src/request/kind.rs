//! What a request asks for, as a type.

use core::marker::PhantomData;

use super::{Request, parameters};

mod sealed {
    pub trait Sealed {}
}

/// A kind of request. Sealed.
pub trait Kind: sealed::Sealed + 'static {}

/// A kind that moves data at an offset of the device: reads and writes. Sealed.
pub trait Transfer: Kind {
    #[doc(hidden)]
    const MAJOR: u8;
    #[doc(hidden)]
    const FROM_DEVICE: bool;
}

impl Transfer for Read {
    const MAJOR: u8 = 3;
    const FROM_DEVICE: bool = true;
}

impl Transfer for Write {
    const MAJOR: u8 = 4;
    const FROM_DEVICE: bool = false;
}

macro_rules! kinds {
    ($($(#[$doc:meta])* $name:ident)*) => { $(
        $(#[$doc])*
        pub struct $name(PhantomData<()>);
        impl sealed::Sealed for $name {}
        impl Kind for $name {}
    )* };
}

kinds! {
    /// `IRP_MJ_READ`.
    Read
    /// `IRP_MJ_WRITE`.
    Write
    /// `IRP_MJ_DEVICE_CONTROL`.
    Ioctl
    /// `IRP_MJ_INTERNAL_DEVICE_CONTROL`.
    InternalIoctl
    /// `IRP_MJ_CREATE`, presented through `EvtDeviceFileCreate`.
    Create
    /// Any of them: what a filter carries without looking inside.
    Any
}

/// A request with its kind found out.
pub enum AnyOf<'r> {
    /// A read.
    Read(Request<'r, Read>),
    /// A write.
    Write(Request<'r, Write>),
    /// A device control.
    Ioctl(Request<'r, Ioctl>),
    /// An internal device control.
    InternalIoctl(Request<'r, InternalIoctl>),
    /// Anything else.
    Other(Request<'r, Any>),
}

impl<'r> AnyOf<'r> {
    /// Forgets the kind again. The request stays owned by the same callback.
    pub fn any(self) -> Request<'r, Any> {
        match self {
            Self::Read(request) => request.any(),
            Self::Write(request) => request.any(),
            Self::Ioctl(request) => request.any(),
            Self::InternalIoctl(request) => request.any(),
            Self::Other(request) => request,
        }
    }
}

impl<'r> Request<'r, Any> {
    /// Finds out what this request is. Stands for `WdfRequestGetParameters`. Ownership stays with the caller.
    #[must_use]
    pub fn classify(self) -> AnyOf<'r> {
        const READ: i32 = wdk_sys::_WDF_REQUEST_TYPE::WdfRequestTypeRead;
        const WRITE: i32 = wdk_sys::_WDF_REQUEST_TYPE::WdfRequestTypeWrite;
        const IOCTL: i32 = wdk_sys::_WDF_REQUEST_TYPE::WdfRequestTypeDeviceControl;
        const INTERNAL: i32 = wdk_sys::_WDF_REQUEST_TYPE::WdfRequestTypeDeviceControlInternal;
        let request_type = parameters::get(self.handle()).Type;
        let handle = self.into_raw();
        match request_type {
            // SAFETY: the same presented request under the same brand; its type is the one named (R-REQ-43).
            READ => AnyOf::Read(unsafe { Request::present(handle) }),
            // SAFETY: as above.
            WRITE => AnyOf::Write(unsafe { Request::present(handle) }),
            // SAFETY: as above.
            IOCTL => AnyOf::Ioctl(unsafe { Request::present(handle) }),
            // SAFETY: as above.
            INTERNAL => AnyOf::InternalIoctl(unsafe { Request::present(handle) }),
            // SAFETY: as above, with the kind it had.
            _ => AnyOf::Other(unsafe { Request::present(handle) }),
        }
    }
}
