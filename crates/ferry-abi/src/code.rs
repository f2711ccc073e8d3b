//! Device control codes, as `CTL_CODE` of `devioctl.h` builds them.

/// How a control's buffers travel: the low two bits of its code.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u32)]
pub enum Method {
    /// `METHOD_BUFFERED`: one system buffer, input and output share it.
    Buffered = 0,
    /// `METHOD_IN_DIRECT`: input buffered, the "output" buffer is locked for reading.
    InDirect = 1,
    /// `METHOD_OUT_DIRECT`: input buffered, output locked for writing.
    OutDirect = 2,
    /// `METHOD_NEITHER`: raw user addresses.
    Neither = 3,
}

/// Which access a handle must have been opened with: bits 14 and 15 of a code.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u32)]
pub enum Access {
    /// `FILE_READ_ACCESS`.
    Read = 1,
    /// `FILE_WRITE_ACCESS`.
    Write = 2,
    /// `FILE_READ_ACCESS | FILE_WRITE_ACCESS`.
    ReadWrite = 3,
}

/// An I/O control code.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(transparent)]
pub struct ControlCode(pub u32);

impl ControlCode {
    /// `CTL_CODE(device, function, method, access)`.
    #[must_use]
    pub const fn new(device: u16, function: u16, method: Method, access: Access) -> Self {
        Self(
            ((device as u32) << 16)
                | ((access as u32) << 14)
                | (((function as u32) & 0xFFF) << 2)
                | method as u32,
        )
    }

    /// The transfer method of this code.
    #[must_use]
    pub const fn method(self) -> Method {
        match self.0 & 3 {
            0 => Method::Buffered,
            1 => Method::InDirect,
            2 => Method::OutDirect,
            _ => Method::Neither,
        }
    }
}

// The values a Windows header computes: CTL_CODE(0x22, 0x800, METHOD_BUFFERED, FILE_READ_ACCESS).
const _: () =
    assert!(ControlCode::new(0x22, 0x800, Method::Buffered, Access::Read).0 == 0x0022_6000);
const _: () =
    assert!(ControlCode::new(0x22, 0x801, Method::Neither, Access::ReadWrite).0 == 0x0022_E007);
