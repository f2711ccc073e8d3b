//! Controls of pier, the memory-backed lower device. Opened through [`crate::guid::PIER_INTERFACE`].

use crate::{Access, ControlCode, Method, layout, message};

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
/// Input: [`MaxTransfer`]. Longer reads and writes are refused with `STATUS_INVALID_BUFFER_SIZE`.
pub const IOCTL_PIER_SET_MAX_TRANSFER: ControlCode =
    ControlCode::new(DEVICE_TYPE, 0x912, Method::Buffered, Access::Write);
/// Input: [`Fault`]. Replaces the earlier fault.
pub const IOCTL_PIER_SET_FAULT: ControlCode =
    ControlCode::new(DEVICE_TYPE, 0x913, Method::Buffered, Access::Write);
/// Input: [`Boost`]. What a completion from the timer's DPC adds to the priority of the thread that waits.
pub const IOCTL_PIER_SET_BOOST: ControlCode =
    ControlCode::new(DEVICE_TYPE, 0x914, Method::Buffered, Access::Write);
/// Input: [`Stamp`]. Output: [`Stamp`], the last one pier saw on this handle before, or 0. Shows in which order requests of a handle arrive.
pub const IOCTL_PIER_STAMP: ControlCode = echo(0x915, Method::Buffered);

/// Operations, as a mask; the same bits as [`crate::control::ops`].
pub mod ops {
    /// `IRP_MJ_READ`.
    pub const READ: u32 = 1;
    /// `IRP_MJ_WRITE`.
    pub const WRITE: u32 = 2;
    /// `IRP_MJ_DEVICE_CONTROL`, those that stand for work: the echoes and the sum.
    pub const CONTROL: u32 = 4;
    /// Everything that can be made to fail.
    pub const ALL: u32 = READ | WRITE | CONTROL;
}

/// How a request fails: [`Fault::action`].
pub mod action {
    /// With [`super::Fault::status`], nothing transferred.
    pub const FAIL: u32 = 1;
    /// With success, at most [`super::Fault::bytes`] transferred. Reads and writes.
    pub const SHORT: u32 = 2;
    /// Not at all: it waits until it is cancelled, its handle is closed, or the device goes.
    pub const STUCK: u32 = 3;
}

/// Highest priority boost a driver may ask for (`EVENT_INCREMENT` to `IO_SOUND_INCREMENT`).
pub const MAX_BOOST: u32 = 8;
/// Boost of completions from the DPC until another is set: `IO_DISK_INCREMENT`.
pub const DEFAULT_BOOST: u32 = 1;

message! {
    /// How long pier takes. Slow requests are answered in the order they came.
    Latency, 16 {
        /// Milliseconds, at most [`MAX_LATENCY_MS`]; 0 answers inside the handler.
        milliseconds: u32,
        /// 0.
        reserved: u32,
    }
}

message! {
    /// How much pier takes at once.
    MaxTransfer, 16 {
        /// Bytes; 0: no limit.
        bytes: u32,
        /// 0.
        reserved: u32,
    }
}

message! {
    /// Which requests fail, and how.
    Fault, 32 {
        /// Mask of [`ops`]; 0: none from now on.
        ops: u32,
        /// One of [`action`]; 0 if `ops` is 0.
        action: u32,
        /// An `NTSTATUS` of error or warning severity for [`action::FAIL`], else 0.
        status: u32,
        /// For [`action::SHORT`], else 0.
        bytes: u32,
        /// How many matching requests pass first.
        skip: u32,
        /// How many fail after those; 0: all, until the fault is replaced.
        count: u32,
    }
}

message! {
    /// Priority boost.
    Boost, 16 {
        /// At most [`MAX_BOOST`].
        increment: u32,
        /// 0.
        reserved: u32,
    }
}

message! {
    /// A number a program counts up on a handle.
    Stamp, 16 {
        /// The number.
        number: u64,
    }
}

layout! {
    /// What pier says of itself.
    State, 72 {
        /// [`CAPACITY`].
        capacity: u64,
        /// Requests presented since start.
        received: u64,
        /// Requests completed since start.
        completed: u64,
        /// Requests a [`Fault`] was applied to since start.
        faulted: u64,
        /// Latency in force, milliseconds.
        latency_ms: u32,
        /// Requests pier owns or keeps in its queue at this moment.
        outstanding: u32,
        /// Longest transfer in force, bytes; 0: no limit.
        max_transfer: u32,
        /// Priority boost in force.
        boost: u32,
        /// Requests kept across a power-down since start (`EvtIoStop`).
        kept: u32,
        /// Of these, seen again at power-up (`EvtIoResume`).
        resumed: u32,
        /// Requests answered by the timer's DPC since start.
        from_dpc: u32,
        /// 0.
        reserved: u32,
    }
}
