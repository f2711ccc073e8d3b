//! Controls of pier, the memory-backed lower device. Opened through [`crate::guid::PIER_INTERFACE`].

use crate::{Access, ControlCode, Method, message};

/// `FILE_DEVICE_UNKNOWN`.
pub const DEVICE_TYPE: u16 = 0x22;
/// Bytes of storage: reads and writes at offsets below this succeed, short at the end.
pub const CAPACITY: u64 = 1 << 20;
/// Longest latency, in milliseconds.
pub const MAX_LATENCY_MS: u32 = 60_000;

const fn echo(function: u16, method: Method) -> ControlCode {
    ControlCode::new(DEVICE_TYPE, function, method, Access::ReadWrite)
}

/// Copies input to output, at most the shorter of both; Information is the count.
pub const IOCTL_PIER_ECHO: ControlCode = echo(0x900, Method::Buffered);
/// Adds up the bytes of both buffers; output is not written, Information is the sum modulo (output length + 1), because Information
/// may never exceed the length of the output buffer.
pub const IOCTL_PIER_SUM: ControlCode = echo(0x901, Method::InDirect);
/// Copies input to output, output being a locked user buffer.
pub const IOCTL_PIER_ECHO_DIRECT: ControlCode = echo(0x902, Method::OutDirect);
/// Copies input to output by raw user addresses, probed and locked in the caller's context.
pub const IOCTL_PIER_ECHO_NEITHER: ControlCode = echo(0x903, Method::Neither);
/// Input: [`Latency`]. Reads, writes and echo controls that arrive from now on take that long.
pub const IOCTL_PIER_SET_LATENCY: ControlCode =
    ControlCode::new(DEVICE_TYPE, 0x910, Method::Buffered, Access::Write);
/// Output: [`State`].
pub const IOCTL_PIER_STATE: ControlCode =
    ControlCode::new(DEVICE_TYPE, 0x911, Method::Buffered, Access::Read);

message! {
    /// How long pier takes.
    Latency, 16 {
        /// Milliseconds, at most [`MAX_LATENCY_MS`]; 0 answers inside the handler.
        milliseconds: u32,
        /// 0.
        reserved: u32,
    }
}

message! {
    /// What pier says of itself.
    State, 40 {
        /// [`CAPACITY`].
        capacity: u64,
        /// Requests presented since start.
        received: u64,
        /// Requests completed since start.
        completed: u64,
        /// Latency in force, milliseconds.
        latency_ms: u32,
        /// Requests pier owns or keeps in its queue at this moment.
        outstanding: u32,
    }
}
