//! What `WdfDriverEntry.lib` gives a C driver: the image's true entry point,
//! which binds to the KMDF runtime, calls `DriverEntry`, and unbinds when the
//! driver unloads. Depends on nothing, panics nowhere.
#![no_std]
#![allow(non_snake_case, non_upper_case_globals, static_mut_refs)]

use core::{
    ffi::c_void,
    ptr::{addr_of_mut, null_mut},
};

type NtStatus = i32;
type Unload = unsafe extern "system" fn(*mut DriverObject);

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

#[repr(C)]
pub struct DriverGlobals {
    driver: *mut c_void,
    flags: u32,
    tag: u32,
    name: [u8; 32],
    displace_unload: u8,
}

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
unsafe impl Sync for BindInfo {}

unsafe extern "system" {
    fn DriverEntry(driver: *mut DriverObject, path: *mut UnicodeString) -> NtStatus;
    fn WdfVersionBind(
        d: *mut DriverObject,
        p: *mut UnicodeString,
        i: *mut BindInfo,
        g: *mut *mut DriverGlobals,
    ) -> NtStatus;
    fn WdfVersionUnbind(p: *mut UnicodeString, i: *mut BindInfo, g: *mut DriverGlobals)
    -> NtStatus;
}

/// Which table to ask the framework for; written by the build.
mod version {
    include!(env!("KMDF_VERSION_RS"));
}

#[unsafe(no_mangle)]
pub static mut WdfDriverGlobals: *mut DriverGlobals = null_mut();

static COMPONENT: [u16; 12] = {
    let (s, mut w, mut i) = (*b"KmdfLibrary\0", [0u16; 12], 0);
    while i < 12 {
        w[i] = s[i] as u16;
        i += 1;
    }
    w
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
static mut PATH: UnicodeString = UnicodeString {
    length: 0,
    maximum: (PATH_CHARS * 2) as u16,
    buffer: addr_of_mut!(PATH_BUFFER).cast(),
};
static mut DISPLACED: Option<Unload> = None;

#[unsafe(no_mangle)]
pub unsafe extern "system" fn FxDriverEntry(
    driver: *mut DriverObject,
    path: *mut UnicodeString,
) -> NtStatus {
    unsafe {
        if driver.is_null() {
            return DriverEntry(driver, path);
        }
        // The caller's string dies with this call; unload needs it.
        let chars = ((*path).length / 2) as usize;
        if chars >= PATH_CHARS {
            return 0xC000_0023_u32 as i32;
        } // STATUS_BUFFER_TOO_SMALL
        let (mut i, to) = (0, addr_of_mut!(PATH_BUFFER).cast::<u16>());
        while i < chars {
            to.add(i).write_volatile((*path).buffer.add(i).read());
            i += 1;
        }
        PATH.length = (*path).length;

        let status = WdfVersionBind(
            driver,
            addr_of_mut!(PATH),
            addr_of_mut!(BIND),
            addr_of_mut!(WdfDriverGlobals),
        );
        if status < 0 {
            return status;
        }
        let status = DriverEntry(driver, path);
        if status < 0 {
            unbind();
        } else if (*WdfDriverGlobals).displace_unload != 0 {
            DISPLACED = (*driver).unload;
            (*driver).unload = Some(unload);
        }
        status
    }
}

unsafe extern "system" fn unload(driver: *mut DriverObject) {
    unsafe {
        if let Some(next) = DISPLACED {
            next(driver);
        }
        unbind();
    }
}

unsafe fn unbind() {
    unsafe {
        let _ = WdfVersionUnbind(addr_of_mut!(PATH), addr_of_mut!(BIND), WdfDriverGlobals);
    }
}
