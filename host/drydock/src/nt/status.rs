//! NTSTATUS and its named values.

use std::fmt;

/// NTSTATUS: the result of a kernel operation.
#[repr(transparent)]
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
#[must_use]
pub struct NtStatus(pub i32);

macro_rules! statuses {
    ($($name:ident = $value:literal),* $(,)?) => {
        impl NtStatus {
            $(
                #[doc = concat!("STATUS_", stringify!($name), " (", stringify!($value), ").")]
                pub const $name: Self = Self($value as u32 as i32);
            )*

            /// The name without its prefix, if it has one here.
            pub fn name(self) -> Option<&'static str> {
                match self.0 as u32 {
                    $( $value => Some(stringify!($name)), )*
                    _ => None,
                }
            }
        }
    };
}

statuses! {
    SUCCESS = 0x0000_0000,
    WAIT_1 = 0x0000_0001,
    ABANDONED_WAIT_0 = 0x0000_0080,
    USER_APC = 0x0000_00c0,
    ALERTED = 0x0000_0101,
    OBJECT_NAME_EXISTS = 0x4000_0000,
    OBJECT_PATH_INVALID = 0xc000_0039,
    TIMEOUT = 0x0000_0102,
    PENDING = 0x0000_0103,
    REPARSE = 0x0000_0104,
    BUFFER_OVERFLOW = 0x8000_0005,
    DATATYPE_MISALIGNMENT = 0x8000_0002,
    NO_MORE_ENTRIES = 0x8000_001a,
    DEVICE_BUSY = 0x8000_0011,
    UNSUCCESSFUL = 0xc000_0001,
    NOT_IMPLEMENTED = 0xc000_0002,
    INFO_LENGTH_MISMATCH = 0xc000_0004,
    ACCESS_VIOLATION = 0xc000_0005,
    INVALID_HANDLE = 0xc000_0008,
    INVALID_PARAMETER = 0xc000_000d,
    NO_SUCH_DEVICE = 0xc000_000e,
    NO_SUCH_FILE = 0xc000_000f,
    INVALID_DEVICE_REQUEST = 0xc000_0010,
    END_OF_FILE = 0xc000_0011,
    MORE_PROCESSING_REQUIRED = 0xc000_0016,
    NO_MEMORY = 0xc000_0017,
    ACCESS_DENIED = 0xc000_0022,
    BUFFER_TOO_SMALL = 0xc000_0023,
    OBJECT_TYPE_MISMATCH = 0xc000_0024,
    OBJECT_NAME_INVALID = 0xc000_0033,
    OBJECT_NAME_NOT_FOUND = 0xc000_0034,
    OBJECT_NAME_COLLISION = 0xc000_0035,
    OBJECT_PATH_NOT_FOUND = 0xc000_003a,
    OBJECT_PATH_SYNTAX_BAD = 0xc000_003b,
    DATA_ERROR = 0xc000_003e,
    SHARING_VIOLATION = 0xc000_0043,
    MUTANT_NOT_OWNED = 0xc000_0046,
    SEMAPHORE_LIMIT_EXCEEDED = 0xc000_0047,
    DELETE_PENDING = 0xc000_0056,
    UNKNOWN_REVISION = 0xc000_0058,
    REVISION_MISMATCH = 0xc000_0059,
    INVALID_SECURITY_DESCR = 0xc000_0079,
    PRIVILEGE_NOT_HELD = 0xc000_0061,
    INTEGER_OVERFLOW = 0xc000_0095,
    DEVICE_NOT_READY = 0xc000_00a3,
    INSUFFICIENT_RESOURCES = 0xc000_009a,
    DEVICE_DATA_ERROR = 0xc000_009c,
    DEVICE_NOT_CONNECTED = 0xc000_009d,
    DEVICE_POWER_FAILURE = 0xc000_009e,
    MEDIA_WRITE_PROTECTED = 0xc000_00a2,
    IO_TIMEOUT = 0xc000_00b5,
    NOT_SUPPORTED = 0xc000_00bb,
    DEVICE_DOES_NOT_EXIST = 0xc000_00c0,
    ADAPTER_HARDWARE_ERROR = 0xc000_00c2,
    INVALID_PARAMETER_1 = 0xc000_00ef,
    INVALID_PARAMETER_2 = 0xc000_00f0,
    INVALID_PARAMETER_4 = 0xc000_00f2,
    INVALID_USER_BUFFER = 0xc000_00e8,
    REQUEST_NOT_ACCEPTED = 0xc000_00d0,
    INVALID_PARAMETER_3 = 0xc000_00f1,
    NOT_A_DIRECTORY = 0xc000_0103,
    CANCELLED = 0xc000_0120,
    FILE_CLOSED = 0xc000_0128,
    THREAD_IS_TERMINATING = 0xc000_004b,
    PROCESS_IS_TERMINATING = 0xc000_010a,
    INVALID_DEVICE_STATE = 0xc000_0184,
    IO_DEVICE_ERROR = 0xc000_0185,
    DEVICE_REMOVED = 0xc000_02b6,
    NOT_FOUND = 0xc000_0225,
    INTERNAL_ERROR = 0xc000_00e5,
    DRIVER_INTERNAL_ERROR = 0xc000_0183,
    INVALID_BUFFER_SIZE = 0xc000_0206,
    DELETE_ON_CLOSE_PENDING = 0xc000_0121,
    IO_OPERATION_TIMEOUT = 0xc000_017d,
    OBJECT_NO_LONGER_EXISTS = 0xc000_0021,
    POWER_STATE_INVALID = 0xc000_02d3,
    PNP_REBOOT_REQUIRED = 0xc000_02d2,
    DEVICE_REQUIRES_CLEANING = 0xc000_0288,
    REQUEST_ABORTED = 0xc000_0240,
    WDF_QUEUED = 0x4020_0000,
    WDF_POSTED = 0x4020_0002,
    WDF_NO_PACKAGE = 0xc020_0200,
    WDF_INTERNAL_ERROR = 0xc020_0201,
    WDF_PAUSED = 0xc020_0203,
    WDF_BUSY = 0xc020_0204,
    WDF_IO_TIMEOUT_NOT_SENT = 0xc020_0205,
    WDF_DEVICE_REMOVED_NOT_SENT = 0xc020_0206,
    WDF_REQUEST_ALREADY_PENDING = 0xc020_0207,
    WDF_REQUEST_INVALID_STATE = 0xc020_0208,
    WDF_OBJECT_ATTRIBUTES_INVALID = 0xc020_0209,
    WDF_TOO_FRAGMENTED = 0xc020_020a,
    WDF_NO_CALLBACK = 0xc020_020b,
    WDF_INCOMPATIBLE_EXECUTION_LEVEL = 0xc020_020c,
    WDF_PARENT_ALREADY_ASSIGNED = 0xc020_020d,
    WDF_PARENT_IS_SELF = 0xc020_020e,
    WDF_PARENT_ASSIGNMENT_NOT_ALLOWED = 0xc020_020f,
    WDF_SYNCHRONIZATION_SCOPE_INVALID = 0xc020_0210,
    WDF_EXECUTION_LEVEL_INVALID = 0xc020_0211,
    WDF_PARENT_NOT_SPECIFIED = 0xc020_0212,
    WDF_TOO_MANY_TRANSFERS = 0xc020_0213,
    WDF_NOT_ENOUGH_MAP_REGISTERS = 0xc020_0214,
}

impl NtStatus {
    /// NT_SUCCESS: success or information.
    pub const fn is_success(self) -> bool {
        self.0 >= 0
    }

    /// NT_ERROR: severity "error".
    pub const fn is_error(self) -> bool {
        self.0 as u32 >> 30 == 3
    }

    /// NT_WARNING: severity "warning".
    pub const fn is_warning(self) -> bool {
        self.0 as u32 >> 30 == 2
    }

    /// `Ok` for a success or information status, for `?`.
    pub const fn ok(self) -> Result<(), Self> {
        if self.is_success() { Ok(()) } else { Err(self) }
    }

    /// The status of a result.
    pub fn of(result: Result<(), Self>) -> Self {
        result.err().unwrap_or(Self::SUCCESS)
    }
}

impl fmt::Display for NtStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.name() {
            Some(name) => write!(f, "STATUS_{name} ({:#010x})", self.0 as u32),
            None => write!(f, "{:#010x}", self.0 as u32),
        }
    }
}

impl fmt::Debug for NtStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl std::error::Error for NtStatus {}

#[cfg(test)]
mod tests {
    use super::NtStatus;

    #[test]
    fn a_warning_is_neither_success_nor_error() {
        let status = NtStatus::BUFFER_OVERFLOW;
        assert!(status.is_warning() && !status.is_success() && !status.is_error());
        assert_eq!(status.to_string(), "STATUS_BUFFER_OVERFLOW (0x80000005)");
    }
}
