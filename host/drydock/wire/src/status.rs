//! The `NTSTATUS` values the protocol itself produces. All others come from drivers and pass through.

/// The operation was done.
pub const SUCCESS: i32 = 0;
/// Too many operations in flight on one connection.
pub const INSUFFICIENT_RESOURCES: i32 = 0xC000_009A_u32.cast_signed();
/// No open handle of that number.
pub const INVALID_HANDLE: i32 = 0xC000_0008_u32.cast_signed();
/// No such operation in flight: nothing to cancel.
pub const NOT_FOUND: i32 = 0xC000_0225_u32.cast_signed();
