//! Compares the tables of `cross/tables` with the headers this is compiled against.
//!
//! drydock's function table, the cross kit's `wdf.h` and so every test on Linux rest on those tables. Here each row is a
//! constant that does not compile if the headers say otherwise: on Windows that is a comparison with the WDK's own
//! headers, on Linux it shows that the comparison works. `cargo check --package genuine-headers` is the whole test.
#![no_std]

use core::mem::offset_of;

use ferry_abi::{Access, ControlCode, Method, control, pier};

include!(concat!(env!("OUT_DIR"), "/comparison.rs"));

const _: () = assert!(pier::DEVICE_TYPE as u32 == wdk_sys::FILE_DEVICE_UNKNOWN);
const _: () = assert!(Method::Buffered as u32 == wdk_sys::METHOD_BUFFERED);
const _: () = assert!(Method::InDirect as u32 == wdk_sys::METHOD_IN_DIRECT);
const _: () = assert!(Method::OutDirect as u32 == wdk_sys::METHOD_OUT_DIRECT);
const _: () = assert!(Method::Neither as u32 == wdk_sys::METHOD_NEITHER);
const _: () = assert!(Access::Read as u32 == wdk_sys::FILE_READ_ACCESS);
const _: () = assert!(Access::Write as u32 == wdk_sys::FILE_WRITE_ACCESS);

/// Whether `code` is what devioctl.h's `CTL_CODE` makes of these; a macro with arguments is in no binding.
const fn is(code: ControlCode, device: u32, function: u32, method: u32, access: u32) -> bool {
    code.0 == (device << 16) | (access << 14) | (function << 2) | method
}

const READ_WRITE: u32 = wdk_sys::FILE_READ_ACCESS | wdk_sys::FILE_WRITE_ACCESS;
const _: () = assert!(is(
    pier::IOCTL_PIER_SUM,
    wdk_sys::FILE_DEVICE_UNKNOWN,
    0x901,
    wdk_sys::METHOD_IN_DIRECT,
    READ_WRITE
));
const _: () = assert!(is(
    pier::IOCTL_PIER_ECHO_NEITHER,
    wdk_sys::FILE_DEVICE_UNKNOWN,
    0x903,
    wdk_sys::METHOD_NEITHER,
    READ_WRITE
));
const _: () = assert!(is(
    control::IOCTL_FERRY_HOLD,
    control::DEVICE_TYPE as u32,
    0x803,
    wdk_sys::METHOD_BUFFERED,
    wdk_sys::FILE_WRITE_ACCESS
));
