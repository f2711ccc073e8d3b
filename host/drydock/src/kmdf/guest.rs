//! Access to memory an image names: the structures it passes to a DDI and the places it wants results in.
//!
//! An address from an image is not checked, as the framework does not check it either: a bad one faults, and the fault
//! handler reports a fault inside the called DDI. Everything else in the framework layer is safe code on top of this.

use crate::nt::abi;

/// A type that may be copied from and to image memory: any bit pattern is a value of it.
pub trait Plain: Copy + 'static {}

impl Plain for u8 {}
impl Plain for u16 {}
impl Plain for u32 {}
impl Plain for u64 {}
impl Plain for i32 {}
impl Plain for i64 {}

/// Reads a value at `address`, which need not be aligned.
pub fn read<T: Plain>(address: u64) -> T {
    abi::read_in(address as *const T)
}

/// Writes a value at `address`, which need not be aligned; nothing where it is null (optional out-parameters).
pub fn write<T: Plain>(address: u64, value: T) {
    abi::write_out(address as *mut T, value);
}

/// Writes `value` at `address` unless the address is null, as optional out-parameters ask.
pub fn write_optional<T: Plain>(address: u64, value: T) {
    if address != 0 {
        write(address, value);
    }
}

/// Copies `length` bytes starting at `address`.
pub fn bytes(address: u64, length: usize) -> Vec<u8> {
    abi::read_bytes(address as *const u8, length)
}

/// Copies `data` to `address`.
pub fn put_bytes(address: u64, data: &[u8]) {
    abi::write_bytes(address as *mut u8, data);
}

/// Copies `length` bytes from one image address to another; the ranges may overlap.
pub fn copy(from: u64, to: u64, length: usize) {
    put_bytes(to, &bytes(from, length));
}

/// Fills `length` bytes at `address` with `byte`.
pub fn fill(address: u64, byte: u8, length: usize) {
    abi::fill_bytes(address as *mut u8, byte, length);
}

/// The text of a counted UTF-16 string (`UNICODE_STRING`) at `address`; empty for a null address.
pub fn unicode_string(address: u64) -> String {
    abi::text_at(address as *mut abi::UnicodeString)
}

/// The text of `units` UTF-16 units at `address`.
pub fn utf16(address: u64, units: usize) -> String {
    String::from_utf16_lossy(&utf16_units(address, units))
}

/// `units` UTF-16 units at `address`.
pub fn utf16_units(address: u64, units: usize) -> Vec<u16> {
    (0..units)
        .map(|i| read::<u16>(address + 2 * i as u64))
        .collect()
}

/// The text of a zero-terminated byte string at `address`; empty for a null address.
pub fn c_string(address: u64) -> String {
    let mut out = Vec::new();
    if address != 0 {
        let mut at = address;
        loop {
            let byte = read::<u8>(at);
            if byte == 0 {
                break;
            }
            out.push(byte);
            at += 1;
        }
    }
    String::from_utf8_lossy(&out).into_owned()
}

/// The text of a zero-terminated UTF-16 string at `address`; empty for a null address.
pub fn wide_c_string(address: u64) -> String {
    let mut out = Vec::new();
    if address != 0 {
        let mut at = address;
        loop {
            let unit = read::<u16>(at);
            if unit == 0 {
                break;
            }
            out.push(unit);
            at += 2;
        }
    }
    String::from_utf16_lossy(&out)
}
