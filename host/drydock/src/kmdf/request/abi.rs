//! Structures the framework hands to completion routines, in their x86_64 layout.

use super::super::guest;

/// `IO_STATUS_BLOCK`.
#[derive(Clone, Copy, Debug, Default)]
#[repr(C)]
pub struct IoStatus {
    /// Status; the upper half is padding of the union with a pointer.
    pub status: u64,
    /// Bytes moved, as a rule.
    pub information: u64,
}

/// `WDF_REQUEST_COMPLETION_PARAMS`.
#[derive(Clone, Copy, Debug, Default)]
#[repr(C)]
pub struct CompletionParams {
    /// Size of the structure.
    pub size: u32,
    /// `WDF_REQUEST_TYPE` of the last format, or NoFormat.
    pub request_type: u32,
    /// Status and information of the lower driver.
    pub io_status: IoStatus,
    /// Parameters; six words whose meaning depends on the type.
    pub parameters: [u64; 6],
}

impl CompletionParams {
    /// Size of the structure.
    pub const SIZE: u32 = size_of::<Self>() as u32;

    /// An initialised, empty structure.
    pub fn empty() -> Self {
        Self {
            size: Self::SIZE,
            request_type: TYPE_NO_FORMAT,
            ..Self::default()
        }
    }

    /// Writes it where a driver wants it.
    pub fn write(&self, out: u64) {
        guest::write(out, self.size);
        guest::write(out + 4, self.request_type);
        guest::write(out + 8, self.io_status.status);
        guest::write(out + 16, self.io_status.information);
        for (slot, &word) in self.parameters.iter().enumerate() {
            guest::write(out + 24 + 8 * slot as u64, word);
        }
    }
}

/// `WDF_REQUEST_TYPE` of a request without format.
pub const TYPE_NO_FORMAT: u32 = 0xFF;
/// `WDF_REQUEST_TYPE` of an internal control with three arguments.
pub const TYPE_OTHER: u32 = 0x1C;

#[cfg(test)]
mod tests {
    use super::*;
    use std::mem::offset_of;

    /// The tables of structure layouts in `cross/tables`.
    #[test]
    fn the_layout_is_that_of_the_published_headers() {
        assert_eq!(CompletionParams::SIZE, 72);
        assert_eq!(offset_of!(CompletionParams, io_status), 8);
        assert_eq!(offset_of!(CompletionParams, parameters), 24);
    }
}
