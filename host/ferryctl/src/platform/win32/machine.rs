//! What `doctor` asks a Windows machine: registry values, and who runs the program.
#![expect(unsafe_code, reason = "the registry by the Win32 functions")]

use std::ptr::null_mut;

use windows_sys::Win32::Foundation::{CloseHandle, ERROR_FILE_NOT_FOUND, ERROR_SUCCESS, HANDLE};
use windows_sys::Win32::Security::{
    GetTokenInformation, TOKEN_ELEVATION, TOKEN_QUERY, TokenElevation,
};
use windows_sys::Win32::System::Registry::{
    HKEY_LOCAL_MACHINE, RRF_RT_REG_DWORD, RRF_RT_REG_MULTI_SZ, RRF_RT_REG_SZ, RegGetValueW,
};
use windows_sys::Win32::System::Threading::{GetCurrentProcess, OpenProcessToken};

use crate::doctor::check::Facts;

/// A string of UTF-16 units that ends with a zero.
pub fn wide(text: &str) -> Vec<u16> {
    text.encode_utf16().chain([0]).collect()
}

/// Outcome of a look at the registry: not there is an answer, not readable is none.
enum Value<T> {
    Is(T),
    Absent,
    Unknown,
}

fn read(key: &str, name: &str, kind: u32, into: &mut [u8]) -> Value<usize> {
    let (key, name) = (wide(key), wide(name));
    let mut size = u32::try_from(into.len()).unwrap_or(0);
    // SAFETY: both names end with a zero; `into` has room for `size` bytes; no type is asked back.
    let code = unsafe {
        RegGetValueW(
            HKEY_LOCAL_MACHINE,
            key.as_ptr(),
            name.as_ptr(),
            kind,
            null_mut(),
            into.as_mut_ptr().cast(),
            &raw mut size,
        )
    };
    match code {
        ERROR_SUCCESS => Value::Is(size as usize),
        ERROR_FILE_NOT_FOUND => Value::Absent,
        _ => Value::Unknown,
    }
}

fn number(key: &str, name: &str) -> Value<u32> {
    let mut bytes = [0; 4];
    match read(key, name, RRF_RT_REG_DWORD, &mut bytes) {
        Value::Is(_) => Value::Is(u32::from_le_bytes(bytes)),
        Value::Absent => Value::Absent,
        Value::Unknown => Value::Unknown,
    }
}

/// A string value of `HKEY_LOCAL_MACHINE`, several separated by zeros; `None`: absent or unreadable.
pub fn text(key: &str, name: &str) -> Option<String> {
    let mut bytes = vec![0; 16 << 10];
    let Value::Is(size) = read(key, name, RRF_RT_REG_SZ | RRF_RT_REG_MULTI_SZ, &mut bytes) else {
        return None;
    };
    let (pairs, _) = bytes[..size].as_chunks::<2>();
    let units: Vec<u16> = pairs.iter().map(|pair| u16::from_le_bytes(*pair)).collect();
    Some(
        String::from_utf16_lossy(&units)
            .trim_end_matches('\0')
            .to_owned(),
    )
}

/// `Start` of a service; outer `None`: unreadable, inner `None`: no such service.
pub fn service_start(service: &str) -> Option<Option<u32>> {
    match number(
        &format!(r"SYSTEM\CurrentControlSet\Services\{service}"),
        "Start",
    ) {
        Value::Is(start) => Some(Some(start)),
        Value::Absent => Some(None),
        Value::Unknown => None,
    }
}

fn flag(key: &str, name: &str) -> Option<bool> {
    match number(key, name) {
        Value::Is(value) => Some(value != 0),
        Value::Absent => Some(false),
        Value::Unknown => None,
    }
}

fn elevated() -> Option<bool> {
    let mut token: HANDLE = null_mut();
    // SAFETY: the pseudo-handle of this process needs no closing; `token` is a local.
    if unsafe { OpenProcessToken(GetCurrentProcess(), TOKEN_QUERY, &raw mut token) } == 0 {
        return None;
    }
    let mut elevation = TOKEN_ELEVATION::default();
    let size = size_of::<TOKEN_ELEVATION>() as u32;
    let mut got = 0;
    // SAFETY: `elevation` has the size that is told.
    let read = unsafe {
        GetTokenInformation(
            token,
            TokenElevation,
            (&raw mut elevation).cast(),
            size,
            &raw mut got,
        )
    };
    // SAFETY: opened above and used no more.
    unsafe { CloseHandle(token) };
    (read != 0).then_some(elevation.TokenIsElevated != 0)
}

/// Everything but ferry's own answer.
pub fn machine_facts() -> Facts {
    const CONTROL: &str = r"SYSTEM\CurrentControlSet\Control";
    const MEMORY: &str = r"SYSTEM\CurrentControlSet\Control\Session Manager\Memory Management";
    const HVCI: &str =
        r"SYSTEM\CurrentControlSet\Control\DeviceGuard\Scenarios\HypervisorEnforcedCodeIntegrity";
    let bits = match number(MEMORY, "VerifyDriverLevel") {
        Value::Is(bits) => Some(bits),
        Value::Absent | Value::Unknown => None,
    };
    Facts {
        build: text(
            r"SOFTWARE\Microsoft\Windows NT\CurrentVersion",
            "CurrentBuildNumber",
        )
        .and_then(|build| build.parse().ok()),
        elevated: elevated(),
        start_options: text(CONTROL, "SystemStartOptions"),
        hvci: flag(HVCI, "Enabled"),
        ferry: service_start("ferry"),
        pier: service_start("pier"),
        // Absent means that nothing is verified.
        verified: Some(text(MEMORY, "VerifyDrivers").unwrap_or_default()),
        verifier_bits: bits,
        verifier_on: flag(
            r"SYSTEM\CurrentControlSet\Services\ferry\Parameters\Wdf",
            "VerifierOn",
        ),
        ..Facts::default()
    }
}
