//! `NTSTATUS`, and the part of it a request may be completed with.

use core::fmt;

use wdk_sys::NTSTATUS;

/// An `NTSTATUS`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(transparent)]
pub struct Status(NTSTATUS);

macro_rules! statuses {
    ($($(#[$doc:meta])* $name:ident = $value:literal;)*) => {
        impl Status {
            $($(#[$doc])* pub const $name: Self = Self(u32::cast_signed($value));)*
        }
    };
}

statuses! {
    /// `STATUS_SUCCESS`.
    SUCCESS = 0;
    /// `STATUS_NO_MORE_ENTRIES`.
    NO_MORE_ENTRIES = 0x8000_001A;
    /// `STATUS_DEVICE_BUSY`: something of the kind is under way already.
    DEVICE_BUSY = 0x8000_0011;
    /// `STATUS_UNSUCCESSFUL`.
    UNSUCCESSFUL = 0xC000_0001;
    /// `STATUS_IO_TIMEOUT`.
    IO_TIMEOUT = 0xC000_00B5;
    /// `STATUS_NOT_IMPLEMENTED`.
    NOT_IMPLEMENTED = 0xC000_0002;
    /// `STATUS_INFO_LENGTH_MISMATCH`: a structure's stated size is not its size.
    INFO_LENGTH_MISMATCH = 0xC000_0004;
    /// `STATUS_INVALID_PARAMETER`.
    INVALID_PARAMETER = 0xC000_000D;
    /// `STATUS_NO_SUCH_DEVICE`.
    NO_SUCH_DEVICE = 0xC000_000E;
    /// `STATUS_INVALID_DEVICE_REQUEST`.
    INVALID_DEVICE_REQUEST = 0xC000_0010;
    /// `STATUS_END_OF_FILE`.
    END_OF_FILE = 0xC000_0011;
    /// `STATUS_ACCESS_DENIED`.
    ACCESS_DENIED = 0xC000_0022;
    /// `STATUS_BUFFER_TOO_SMALL`.
    BUFFER_TOO_SMALL = 0xC000_0023;
    /// `STATUS_OBJECT_NAME_INVALID`.
    OBJECT_NAME_INVALID = 0xC000_0033;
    /// `STATUS_REVISION_MISMATCH`: a structure follows another version of the contract.
    REVISION_MISMATCH = 0xC000_0059;
    /// `STATUS_INSUFFICIENT_RESOURCES`.
    INSUFFICIENT_RESOURCES = 0xC000_009A;
    /// `STATUS_DEVICE_NOT_CONNECTED`.
    DEVICE_NOT_CONNECTED = 0xC000_009D;
    /// `STATUS_DELETE_PENDING`: the object has gone with its device.
    DELETE_PENDING = 0xC000_0056;
    /// `STATUS_OBJECT_TYPE_MISMATCH`: a registry value is of another type.
    OBJECT_TYPE_MISMATCH = 0xC000_0024;
    /// `STATUS_OBJECT_NAME_NOT_FOUND`.
    OBJECT_NAME_NOT_FOUND = 0xC000_0034;
    /// `STATUS_DEVICE_NOT_READY`.
    DEVICE_NOT_READY = 0xC000_00A3;
    /// `STATUS_NOT_SUPPORTED`.
    NOT_SUPPORTED = 0xC000_00BB;
    /// `STATUS_INTERNAL_ERROR`.
    INTERNAL_ERROR = 0xC000_00E5;
    /// `STATUS_INVALID_USER_BUFFER`.
    INVALID_USER_BUFFER = 0xC000_00E8;
    /// `STATUS_CANCELLED`.
    CANCELLED = 0xC000_0120;
    /// `STATUS_INVALID_DEVICE_STATE`.
    INVALID_DEVICE_STATE = 0xC000_0184;
    /// `STATUS_REQUEST_NOT_ACCEPTED`: not enough stack locations, or another stack's target.
    REQUEST_NOT_ACCEPTED = 0xC000_00D0;
    /// `STATUS_OBJECT_NAME_COLLISION`.
    OBJECT_NAME_COLLISION = 0xC000_0035;
    /// `STATUS_INVALID_BUFFER_SIZE`.
    INVALID_BUFFER_SIZE = 0xC000_0206;
    /// `STATUS_NOT_FOUND`.
    NOT_FOUND = 0xC000_0225;
    /// `STATUS_WDF_PAUSED`: the queue does not deliver now (R-QUE-92).
    WDF_PAUSED = 0xC020_0203;
}

/// `STATUS_PENDING`: not an outcome.
const PENDING: NTSTATUS = 0x0000_0103;

impl Status {
    /// A status as the framework returned it.
    #[must_use]
    pub const fn from_raw(raw: NTSTATUS) -> Self {
        Self(raw)
    }

    /// The bare number.
    #[must_use]
    pub const fn raw(self) -> NTSTATUS {
        self.0
    }

    /// `NT_SUCCESS`: true for success and informational codes.
    ///
    /// `STATUS_TIMEOUT` and `STATUS_OBJECT_NAME_EXISTS` pass too (R-DEV-74, R-OBJ-65): calls of this crate that can
    /// return them map them to something else first.
    #[must_use]
    pub const fn is_success(self) -> bool {
        self.0 >= 0
    }

    /// `Ok` for [`is_success`](Self::is_success).
    ///
    /// # Errors
    /// The status itself when it is a warning or an error.
    pub const fn ok(self) -> Result<(), Self> {
        if self.is_success() { Ok(()) } else { Err(self) }
    }
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:#010x}", self.0)
    }
}

/// A status a request may be completed with: anything but `STATUS_PENDING` (R-REQ-15).
///
/// A `STATUS_PENDING` that reaches a completing call by mistake becomes `STATUS_INTERNAL_ERROR`: the
/// requestor learns of the bug instead of waiting for ever.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(transparent)]
pub struct FinalStatus(Status);

impl FinalStatus {
    /// The status.
    #[must_use]
    pub const fn status(self) -> Status {
        self.0
    }
}

impl From<Status> for FinalStatus {
    fn from(status: Status) -> Self {
        if status.0 == PENDING {
            Self(Status::INTERNAL_ERROR)
        } else {
            Self(status)
        }
    }
}
