//! What `WdfDriverEntry.lib` is in the WDK: the image's true entry point, which binds to the KMDF runtime,
//! calls `DriverEntry`, and unbinds when the driver unloads. Depends on nothing, panics nowhere.
//!
//! # Invariants
//!
//! The kernel calls [`FxDriverEntry`] once, before any other function of the image, and the unload routine once,
//! after every other; both at PASSIVE_LEVEL. No two functions here ever run at the same time, so the mutable
//! statics have one user at any instant. (The framework reads [`BIND`] and [`PATH`] only within its own two
//! functions, and writes the table's address and the globals only within WdfVersionBind.)
#![no_std]

use core::{
    ffi::c_void,
    ptr::{addr_of_mut, null_mut},
};

type NtStatus = i32;
type Unload = unsafe extern "system" fn(*mut DriverObject);

const STATUS_BUFFER_TOO_SMALL: NtStatus = 0xC000_0023_u32.cast_signed();

/// UNICODE_STRING: lengths are in bytes.
#[repr(C)]
pub struct UnicodeString {
    length: u16,
    maximum: u16,
    buffer: *mut u16,
}

/// The documented prefix of DRIVER_OBJECT (x64) up to DriverUnload.
#[repr(C)]
pub struct DriverObject {
    type_: i16,
    size: i16,
    device: *mut c_void,
    flags: u32,
    start: *mut c_void,
    image_size: u32,
    section: *mut c_void,
    extension: *mut c_void,
    name: UnicodeString,
    hardware: *mut UnicodeString,
    fast_io: *mut c_void,
    init: *mut c_void,
    start_io: *mut c_void,
    unload: Option<Unload>,
}
const _: () = assert!(core::mem::offset_of!(DriverObject, unload) == 0x68);

/// WDF_DRIVER_GLOBALS.
#[repr(C)]
pub struct DriverGlobals {
    driver: *mut c_void,
    flags: u32,
    tag: u32,
    name: [u8; 32],
    displace_unload: u8,
}
const _: () = assert!(core::mem::size_of::<DriverGlobals>() == 56);

/// WDF_BIND_INFO.
#[repr(C, align(16))]
struct BindInfo {
    size: u32,
    component: *const u16,
    major: u32,
    minor: u32,
    build: u32,
    func_count: u32,
    func_table: *mut c_void,
    module: *mut c_void,
}
const _: () = assert!(core::mem::size_of::<BindInfo>() == 48);

unsafe extern "system" {
    fn DriverEntry(driver: *mut DriverObject, path: *mut UnicodeString) -> NtStatus;
    fn WdfVersionBind(
        driver: *mut DriverObject,
        path: *mut UnicodeString,
        info: *mut BindInfo,
        globals: *mut *mut DriverGlobals,
    ) -> NtStatus;
    fn WdfVersionUnbind(
        path: *mut UnicodeString,
        info: *mut BindInfo,
        globals: *mut DriverGlobals,
    ) -> NtStatus;
}

/// Which table to ask the framework for; written by the build.
mod version {
    include!(env!("KMDF_VERSION_RS"));
}

/// What every framework function takes first; set by WdfVersionBind.
#[unsafe(no_mangle)]
pub static mut WdfDriverGlobals: *mut DriverGlobals = null_mut();

static COMPONENT: [u16; 12] = {
    let (text, mut wide, mut i) = (*b"KmdfLibrary\0", [0_u16; 12], 0);
    while i < text.len() {
        wide[i] = text[i] as u16;
        i += 1;
    }
    wide
};

static mut BIND: BindInfo = BindInfo {
    size: 48,
    component: COMPONENT.as_ptr(),
    major: 1,
    minor: version::MINOR,
    build: 0,
    func_count: version::FUNCTIONS,
    func_table: version::TABLE,
    module: null_mut(),
};

const PATH_CHARS: usize = 260;
static mut PATH_BUFFER: [u16; PATH_CHARS] = [0; PATH_CHARS];
/// The service's registry path: the caller's string dies with FxDriverEntry, unbinding needs it.
static mut PATH: UnicodeString = UnicodeString {
    length: 0,
    maximum: (PATH_CHARS * 2) as u16,
    buffer: addr_of_mut!(PATH_BUFFER).cast(),
};
/// The unload routine the framework (or the driver) had put into the driver object.
static mut DISPLACED: Option<Unload> = None;

/// The image's entry point.
///
/// # Safety
///
/// Called by the kernel, once, at PASSIVE_LEVEL, with its driver object and the service's registry path.
#[unsafe(no_mangle)]
pub unsafe extern "system" fn FxDriverEntry(
    driver: *mut DriverObject,
    path: *mut UnicodeString,
) -> NtStatus {
    if driver.is_null() {
        // SAFETY: a driver object is absent only for images that are linked into others; they do not bind.
        return unsafe { DriverEntry(driver, path) };
    }
    // SAFETY: the caller's string is valid during this call.
    let kept = unsafe { keep_path(&*path) };
    if !kept {
        return STATUS_BUFFER_TOO_SMALL;
    }
    // SAFETY: all four live as long as the image; module invariant.
    let status = unsafe {
        WdfVersionBind(
            driver,
            addr_of_mut!(PATH),
            addr_of_mut!(BIND),
            addr_of_mut!(WdfDriverGlobals),
        )
    };
    if status < 0 {
        return status;
    }
    // SAFETY: bound; the arguments are the kernel's own.
    let status = unsafe { DriverEntry(driver, path) };
    if status < 0 {
        unbind();
        return status;
    }
    // SAFETY: binding has set the globals, which live until unbinding.
    let displace = unsafe { (*WdfDriverGlobals).displace_unload } != 0;
    if displace {
        // SAFETY: the kernel's driver object is valid and nobody else uses it during this call.
        let slot = unsafe { &mut (*driver).unload };
        let displaced = slot.replace(unload);
        // SAFETY: module invariant.
        unsafe { DISPLACED = displaced };
    }
    status
}

/// Copies the registry path into [`PATH`]; false if it is too long.
fn keep_path(path: &UnicodeString) -> bool {
    let chars = usize::from(path.length / 2);
    if chars >= PATH_CHARS {
        return false;
    }
    let to = addr_of_mut!(PATH_BUFFER).cast::<u16>();
    for i in 0..chars {
        // SAFETY: a counted string's buffer holds `length` bytes.
        let from = unsafe { path.buffer.add(i) };
        // SAFETY: as above.
        let char = unsafe { from.read() };
        // SAFETY: i < PATH_CHARS.
        let slot = unsafe { to.add(i) };
        // SAFETY: module invariant. Volatile, or this loop becomes an import of memcpy.
        unsafe { slot.write_volatile(char) };
    }
    // SAFETY: module invariant.
    unsafe { PATH.length = path.length };
    true
}

/// Lets the displaced routine end the driver, then leaves the framework.
unsafe extern "system" fn unload(driver: *mut DriverObject) {
    // SAFETY: module invariant.
    let displaced = unsafe { DISPLACED };
    if let Some(displaced) = displaced {
        // SAFETY: it was the driver object's own routine, called as the kernel would have.
        unsafe { displaced(driver) };
    }
    unbind();
}

fn unbind() {
    // SAFETY: module invariant.
    let globals = unsafe { WdfDriverGlobals };
    // SAFETY: the same three that were bound. There is nobody to tell a failure.
    let _status = unsafe { WdfVersionUnbind(addr_of_mut!(PATH), addr_of_mut!(BIND), globals) };
}
