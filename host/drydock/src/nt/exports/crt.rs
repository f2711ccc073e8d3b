//! The C functions the kernel exports. They are no scheduling points: compilers call them where they please.

#![expect(
    unsafe_code,
    reason = "functions of C work on memory the driver vouches for"
)]

use super::Export;
use crate::loader;
use crate::nt::abi::{read_bytes, read_in, write_bytes, write_out};
use crate::nt::status::NtStatus;
use crate::nt::{memory, process};

/// The bytes of a C string, without the terminator.
pub(super) fn bytes_of(string: *const u8) -> Vec<u8> {
    read_bytes(string, length(string))
}

/// The units of a wide C string, without the terminator.
pub(super) fn units_of(string: *const u16) -> Vec<u16> {
    (0..wide_length(string))
        .map(|index| read_in(string.wrapping_add(index)))
        .collect()
}

fn length(string: *const u8) -> usize {
    (0..)
        .find(|index| read_in(string.wrapping_add(*index)) == 0)
        .unwrap_or(0)
}

pub(super) fn wide_length(string: *const u16) -> usize {
    (0..)
        .find(|index| read_in(string.wrapping_add(*index)) == 0)
        .unwrap_or(0)
}

fn order<T: Ord>(a: &[T], b: &[T]) -> i32 {
    match a.cmp(b) {
        std::cmp::Ordering::Less => -1,
        std::cmp::Ordering::Equal => 0,
        std::cmp::Ordering::Greater => 1,
    }
}

/// True if `count` bytes at `address` can be touched. User memory that is not there raises an access violation in the driver
/// that called, if it has an `__except` around the call; otherwise the access itself faults and is reported.
fn may_touch(address: *const u8, count: usize, write: bool) -> bool {
    if count == 0 || !loader::is_user_address(address as usize) {
        return true;
    }
    let here = process::current_id();
    // Of another process: no __except hides that (R-REQ-74); the access says so.
    memory::owner(address as usize).is_some_and(|owner| owner != here)
        || memory::is_accessible(address, count, here)
        || !loader::raise_if_handled(
            NtStatus::ACCESS_VIOLATION.0 as u32,
            [u64::from(write), address as u64],
        )
}

macro_rules! plain {
    ($( fn $name:ident ( $($arg:ident : $type:ty),* ) $(-> $result:ty)? $body:block )*) => {
        $( extern "win64" fn $name($($arg: $type),*) $(-> $result)? $body )*
        pub(super) const TABLE: &[Export] = &[
            $( Export { name: stringify!($name), address: $name as *const () } ),*
        ];
    };
}

plain! {
    fn memcpy(to: *mut u8, from: *const u8, count: usize) -> *mut u8 {
        if !may_touch(from, count, false) || !may_touch(to, count, true) {
            return to;
        }
        // SAFETY: the caller vouches for both ranges; overlap, which C leaves undefined, is harmless here.
        unsafe { to.copy_from(from, count) };
        to
    }
    fn memmove(to: *mut u8, from: *const u8, count: usize) -> *mut u8 {
        if !may_touch(from, count, false) || !may_touch(to, count, true) {
            return to;
        }
        // SAFETY: the caller vouches for both ranges.
        unsafe { to.copy_from(from, count) };
        to
    }
    fn memset(to: *mut u8, value: i32, count: usize) -> *mut u8 {
        if !may_touch(to, count, true) {
            return to;
        }
        // SAFETY: the caller vouches for the range.
        unsafe { to.write_bytes(value as u8, count) };
        to
    }
    fn memcmp(a: *const u8, b: *const u8, count: usize) -> i32 {
        order(&read_bytes(a, count), &read_bytes(b, count))
    }
    fn memchr(from: *const u8, value: i32, count: usize) -> *const u8 {
        let found = read_bytes(from, count).iter().position(|byte| *byte == value as u8);
        found.map_or(std::ptr::null(), |index| from.wrapping_add(index))
    }
    fn RtlFillMemory(to: *mut u8, count: usize, value: u8) {
        if !may_touch(to, count, true) {
            return;
        }
        // SAFETY: the caller vouches for the range.
        unsafe { to.write_bytes(value, count) };
    }
    fn RtlZeroMemory(to: *mut u8, count: usize) {
        if !may_touch(to, count, true) {
            return;
        }
        // SAFETY: the caller vouches for the range.
        unsafe { to.write_bytes(0, count) };
    }
    fn RtlSecureZeroMemory(to: *mut u8, count: usize) -> *mut u8 {
        // SAFETY: the caller vouches for the range.
        unsafe { to.write_bytes(0, count) };
        to
    }
    fn RtlCompareMemory(a: *const u8, b: *const u8, count: usize) -> usize {
        let (a, b) = (read_bytes(a, count), read_bytes(b, count));
        a.iter().zip(&b).take_while(|(a, b)| a == b).count()
    }
    fn strlen(string: *const u8) -> usize {
        length(string)
    }
    fn strnlen(string: *const u8, limit: usize) -> usize {
        (0..limit).find(|index| read_in(string.wrapping_add(*index)) == 0).unwrap_or(limit)
    }
    fn strcmp(a: *const u8, b: *const u8) -> i32 {
        order(&bytes_of(a), &bytes_of(b))
    }
    fn strncmp(a: *const u8, b: *const u8, limit: usize) -> i32 {
        let cut = |string| {
            let mut bytes = bytes_of(string);
            bytes.truncate(limit);
            bytes
        };
        order(&cut(a), &cut(b))
    }
    fn _stricmp(a: *const u8, b: *const u8) -> i32 {
        order(&bytes_of(a).to_ascii_lowercase(), &bytes_of(b).to_ascii_lowercase())
    }
    fn strcpy(to: *mut u8, from: *const u8) -> *mut u8 {
        write_bytes(to, &read_bytes(from, length(from) + 1));
        to
    }
    fn strncpy(to: *mut u8, from: *const u8, count: usize) -> *mut u8 {
        let mut bytes = bytes_of(from);
        bytes.resize(count, 0);
        write_bytes(to, &bytes);
        to
    }
    fn strcat(to: *mut u8, from: *const u8) -> *mut u8 {
        write_bytes(to.wrapping_add(length(to)), &read_bytes(from, length(from) + 1));
        to
    }
    fn strchr(string: *const u8, value: i32) -> *const u8 {
        let found = read_bytes(string, length(string) + 1).iter().position(|byte| *byte == value as u8);
        found.map_or(std::ptr::null(), |index| string.wrapping_add(index))
    }
    fn strstr(string: *const u8, part: *const u8) -> *const u8 {
        let (whole, part) = (bytes_of(string), bytes_of(part));
        if part.is_empty() {
            return string;
        }
        let found = whole.windows(part.len()).position(|window| window == part);
        found.map_or(std::ptr::null(), |index| string.wrapping_add(index))
    }
    fn wcslen(string: *const u16) -> usize {
        wide_length(string)
    }
    fn wcsnlen(string: *const u16, limit: usize) -> usize {
        (0..limit).find(|index| read_in(string.wrapping_add(*index)) == 0).unwrap_or(limit)
    }
    fn wcscmp(a: *const u16, b: *const u16) -> i32 {
        order(&units_of(a), &units_of(b))
    }
    fn wcsncmp(a: *const u16, b: *const u16, limit: usize) -> i32 {
        let cut = |string| {
            let mut units = units_of(string);
            units.truncate(limit);
            units
        };
        order(&cut(a), &cut(b))
    }
    fn _wcsicmp(a: *const u16, b: *const u16) -> i32 {
        let fold = |string| String::from_utf16_lossy(&units_of(string)).to_lowercase();
        order(fold(a).as_bytes(), fold(b).as_bytes())
    }
    fn _wcsnicmp(a: *const u16, b: *const u16, limit: usize) -> i32 {
        let fold = |string| {
            let mut units = units_of(string);
            units.truncate(limit);
            String::from_utf16_lossy(&units).to_lowercase()
        };
        order(fold(a).as_bytes(), fold(b).as_bytes())
    }
    fn wcscpy(to: *mut u16, from: *const u16) -> *mut u16 {
        write_bytes(to.cast(), &read_bytes(from.cast(), (wide_length(from) + 1) * 2));
        to
    }
    fn wcsncpy(to: *mut u16, from: *const u16, count: usize) -> *mut u16 {
        let mut units = units_of(from);
        units.resize(count, 0);
        for (index, unit) in units.into_iter().enumerate() {
            write_out(to.wrapping_add(index), unit);
        }
        to
    }
    fn wcscat(to: *mut u16, from: *const u16) -> *mut u16 {
        write_bytes(to.wrapping_add(wide_length(to)).cast(), &read_bytes(from.cast(), (wide_length(from) + 1) * 2));
        to
    }
    fn wcschr(string: *const u16, value: u16) -> *const u16 {
        let found = (0..=wide_length(string)).find(|index| read_in(string.wrapping_add(*index)) == value);
        found.map_or(std::ptr::null(), |index| string.wrapping_add(index))
    }
    fn wcsrchr(string: *const u16, value: u16) -> *const u16 {
        let found = (0..=wide_length(string)).rev().find(|index| read_in(string.wrapping_add(*index)) == value);
        found.map_or(std::ptr::null(), |index| string.wrapping_add(index))
    }
    fn wcsstr(string: *const u16, part: *const u16) -> *const u16 {
        let (whole, part) = (units_of(string), units_of(part));
        if part.is_empty() {
            return string;
        }
        let found = whole.windows(part.len()).position(|window| window == part);
        found.map_or(std::ptr::null(), |index| string.wrapping_add(index))
    }
    fn toupper(value: i32) -> i32 {
        if (0x61..=0x7a).contains(&value) { value - 0x20 } else { value }
    }
    fn tolower(value: i32) -> i32 {
        if (0x41..=0x5a).contains(&value) { value + 0x20 } else { value }
    }
}
