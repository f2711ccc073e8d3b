//! `NTSTATUS` values: what every device operation ends with, on both platforms.

use std::fmt;

/// An `NTSTATUS`.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Status(pub i32);

/// Constants and their names, as Windows headers spell them.
macro_rules! statuses {
    ($($name:ident = $value:literal),* $(,)?) => {
        impl Status {
            $(
                #[doc = concat!("`STATUS_", stringify!($name), "`.")]
                pub const $name: Self = Self(u32::cast_signed($value));
            )*
        }
        const NAMES: &[(Status, &str)] = &[$((Status::$name, concat!("STATUS_", stringify!($name)))),*];
    };
}

statuses! {
    SUCCESS = 0,
    TIMEOUT = 0x0000_0102,
    PENDING = 0x0000_0103,
    BUFFER_OVERFLOW = 0x8000_0005,
    DEVICE_BUSY = 0x8000_0011,
    UNSUCCESSFUL = 0xC000_0001,
    NOT_IMPLEMENTED = 0xC000_0002,
    INFO_LENGTH_MISMATCH = 0xC000_0004,
    INVALID_HANDLE = 0xC000_0008,
    INVALID_PARAMETER = 0xC000_000D,
    NO_SUCH_DEVICE = 0xC000_000E,
    INVALID_DEVICE_REQUEST = 0xC000_0010,
    END_OF_FILE = 0xC000_0011,
    MORE_PROCESSING_REQUIRED = 0xC000_0016,
    ACCESS_DENIED = 0xC000_0022,
    BUFFER_TOO_SMALL = 0xC000_0023,
    OBJECT_NAME_INVALID = 0xC000_0033,
    OBJECT_NAME_NOT_FOUND = 0xC000_0034,
    OBJECT_PATH_NOT_FOUND = 0xC000_003A,
    OBJECT_PATH_SYNTAX_BAD = 0xC000_003B,
    SHARING_VIOLATION = 0xC000_0043,
    DELETE_PENDING = 0xC000_0056,
    REVISION_MISMATCH = 0xC000_0059,
    INSUFFICIENT_RESOURCES = 0xC000_009A,
    DEVICE_NOT_READY = 0xC000_00A3,
    IO_TIMEOUT = 0xC000_00B5,
    NOT_SUPPORTED = 0xC000_00BB,
    DEVICE_DOES_NOT_EXIST = 0xC000_00C0,
    CANCELLED = 0xC000_0120,
    FILE_CLOSED = 0xC000_0128,
    INVALID_DEVICE_STATE = 0xC000_0184,
    DEVICE_NOT_CONNECTED = 0xC000_009D,
    INVALID_BUFFER_SIZE = 0xC000_0206,
    NOT_FOUND = 0xC000_0225,
    DEVICE_REMOVED = 0xC000_02B6,
    INTEGER_OVERFLOW = 0xC000_0095,
    INVALID_USER_BUFFER = 0xC000_00E8,
    ACCESS_VIOLATION = 0xC000_0005,
    IO_DEVICE_ERROR = 0xC000_0185,
    DATA_ERROR = 0xC000_003E,
    CRC_ERROR = 0xC000_003F,
    DEVICE_DATA_ERROR = 0xC000_009C,
    DISK_FULL = 0xC000_007F,
    MEDIA_WRITE_PROTECTED = 0xC000_00A2,
    DEVICE_POWER_FAILURE = 0xC000_009E,
    NO_MEDIA_IN_DEVICE = 0xC000_0013,
    DEVICE_PAPER_EMPTY = 0x8000_000E,
    NO_MORE_ENTRIES = 0x8000_001A,
    REQUEST_ABORTED = 0xC000_0240,
}

impl Status {
    /// `NT_SUCCESS`: success and informational values.
    #[must_use]
    pub const fn is_success(self) -> bool {
        self.0 >= 0
    }

    /// Its name, or its number if it has none here.
    #[must_use]
    pub fn short(self) -> String {
        match NAMES.iter().find(|(status, _)| *status == self) {
            Some((_, name)) => (*name).to_owned(),
            None => format!("{:#010x}", self.0),
        }
    }

    /// What a user can do about it, where there is something.
    #[must_use]
    pub fn advice(self) -> Option<&'static str> {
        Some(match self {
            Self::OBJECT_NAME_NOT_FOUND | Self::OBJECT_PATH_NOT_FOUND | Self::NO_SUCH_DEVICE => {
                "nothing has that name: is the driver installed and started? (Windows: `sc query ferry`, `pnputil /enum-devices /deviceid ROOT\\FERRYPIER`; Linux: the images given to `drydock serve`)"
            }
            Self::ACCESS_DENIED => {
                "ferry's control device is for administrators and SYSTEM: run elevated; a device control also needs a handle opened with the access in its code"
            }
            Self::OBJECT_PATH_SYNTAX_BAD => {
                "that is no path of a device: `pier`, `pier:N`, or a path such as \\\\.\\Name"
            }
            Self::SHARING_VIOLATION => {
                "another program has the device open exclusively: close it first"
            }
            Self::REVISION_MISMATCH => {
                "the driver is of another version than this program: use both from one build"
            }
            Self::INVALID_DEVICE_REQUEST => "no driver of this device knows that control code",
            Self::CANCELLED => "it was cancelled",
            Self::DEVICE_REMOVED | Self::DEVICE_NOT_CONNECTED | Self::DELETE_PENDING => {
                "the device has been removed"
            }
            _ => return None,
        })
    }
}

impl std::str::FromStr for Status {
    type Err = String;

    /// A name as Windows headers spell it, with or without `STATUS_`, or a number.
    fn from_str(text: &str) -> Result<Self, String> {
        let named = NAMES.iter().find(|(_, name)| {
            *name == text
                || name
                    .strip_prefix("STATUS_")
                    .is_some_and(|short| short == text)
        });
        if let Some((status, _)) = named {
            return Ok(*status);
        }
        let number = match text.strip_prefix("0x") {
            Some(digits) => u32::from_str_radix(digits, 16).ok(),
            None => text.parse::<u32>().ok(),
        };
        number.map(|number| Self(number.cast_signed())).ok_or_else(|| {
            format!("{text:?} is no status this program knows: write it as a number, such as 0xC0000185")
        })
    }
}

impl serde::Serialize for Status {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.short())
    }
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match NAMES.iter().find(|(status, _)| status == self) {
            Some((_, name)) => write!(f, "{name} ({:#010x})", self.0),
            None => write!(f, "NTSTATUS {:#010x}", self.0),
        }
    }
}

impl fmt::Debug for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}
