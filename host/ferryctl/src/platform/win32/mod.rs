//! Windows: overlapped device I/O.
//!
//! # Invariants of [`Flight`]
//!
//! From the call that starts an operation until the system has signalled its event, the system owns the
//! `OVERLAPPED` and both buffers: they stay at their address on the heap and nobody here touches them. A
//! `Flight` is freed only after the event; an operation nobody can end is leaked instead.
#![expect(unsafe_code, reason = "device I/O by the Win32 functions")]

pub mod machine;
pub mod setup;

use std::ffi::c_void;
use std::os::windows::fs::OpenOptionsExt;
use std::os::windows::io::{AsRawHandle, FromRawHandle, OwnedHandle};
use std::path::PathBuf;
use std::ptr::{null, null_mut};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use anyhow::{Context, bail};
use ferry_abi::guid::Guid;
use windows_sys::Win32::Devices::DeviceAndDriverInstallation::{
    CM_GET_DEVICE_INTERFACE_LIST_PRESENT, CM_Get_Device_Interface_List_SizeW,
    CM_Get_Device_Interface_ListW, CR_BUFFER_SMALL, CR_SUCCESS,
};
use windows_sys::Win32::Foundation::{
    ERROR_IO_PENDING, ERROR_NOT_FOUND, GENERIC_READ, GENERIC_WRITE, GetLastError, HANDLE,
    WAIT_OBJECT_0,
};
use windows_sys::Win32::Storage::FileSystem::{
    FILE_FLAG_OVERLAPPED, FILE_SHARE_READ, FILE_SHARE_WRITE, ReadFile, WriteFile,
};
use windows_sys::Win32::System::IO::{CancelIoEx, DeviceIoControl, OVERLAPPED};
use windows_sys::Win32::System::Threading::{CreateEventW, INFINITE, WaitForSingleObject};
use windows_sys::core::GUID;

use super::{Access, Completion, Device, Operation, Pending, Platform, Result};
use crate::status::Status;

windows_link::link!("ntdll.dll" "system" fn RtlGetLastNtStatus() -> i32);

/// How long dropping an operation waits for the device to give it back.
const ABANDON_LIMIT: u32 = 5_000;

/// Uses the devices of this machine.
///
/// # Errors
/// A socket is named: only drydock, on Linux, has one.
pub fn connect(socket: Option<PathBuf>) -> Result<Box<dyn Platform>> {
    if socket.is_some() {
        bail!(
            "--socket and FERRY_SOCKET are for Linux; on Windows ferryctl opens the devices themselves"
        );
    }
    Ok(Box::new(Win32))
}

struct Win32;

/// Status of the call that just failed on this thread.
fn last_status() -> Status {
    // SAFETY: reads a field of the thread's own environment block.
    Status(unsafe { RtlGetLastNtStatus() })
}

impl Platform for Win32 {
    fn open(
        &self,
        path: &str,
        access: Access,
    ) -> Result<std::result::Result<Box<dyn Device>, Status>> {
        let access = match access {
            Access::Read => GENERIC_READ,
            Access::Write => GENERIC_WRITE,
            Access::ReadWrite => GENERIC_READ | GENERIC_WRITE,
        };
        let opened = std::fs::OpenOptions::new()
            .access_mode(access)
            .share_mode(FILE_SHARE_READ | FILE_SHARE_WRITE)
            .custom_flags(FILE_FLAG_OVERLAPPED)
            .open(path);
        Ok(match opened {
            Ok(file) => Ok(Box::new(Opened {
                handle: Arc::new(RwLock::new(Some(file.into()))),
            })),
            Err(error) => Err(match last_status() {
                // The path never reached the system.
                status if status.is_success() => bail!("cannot open {path}: {error}"),
                status => status,
            }),
        })
    }

    fn interfaces(&self, class: &Guid) -> Result<Vec<String>> {
        let class = GUID {
            data1: class.data1,
            data2: class.data2,
            data3: class.data3,
            data4: class.data4,
        };
        loop {
            let mut length = 0;
            // SAFETY: both pointers are to locals that outlive the call.
            let code = unsafe {
                CM_Get_Device_Interface_List_SizeW(
                    &raw mut length,
                    &raw const class,
                    null(),
                    CM_GET_DEVICE_INTERFACE_LIST_PRESENT,
                )
            };
            if code != CR_SUCCESS {
                bail!(
                    "the configuration manager gives no list of device interfaces (CONFIGRET {code:#x})"
                );
            }
            let mut list = vec![0_u16; length as usize];
            // SAFETY: `list` has `length` elements.
            let code = unsafe {
                CM_Get_Device_Interface_ListW(
                    &raw const class,
                    null(),
                    list.as_mut_ptr(),
                    length,
                    CM_GET_DEVICE_INTERFACE_LIST_PRESENT,
                )
            };
            match code {
                CR_SUCCESS => {
                    let names = list
                        .split(|unit| *unit == 0)
                        .filter(|name| !name.is_empty());
                    return Ok(names.map(String::from_utf16_lossy).collect());
                }
                // A device came between the two calls.
                CR_BUFFER_SMALL => {}
                code => bail!(
                    "the configuration manager lists no device interfaces (CONFIGRET {code:#x})"
                ),
            }
        }
    }

    fn arguments(&self) -> Vec<String> {
        Vec::new()
    }
}

/// `None` once closed, while operations may still be in flight.
type SharedHandle = Arc<RwLock<Option<OwnedHandle>>>;

struct Opened {
    handle: SharedHandle,
}

impl Device for Opened {
    fn start(&self, operation: Operation) -> Result<Box<dyn Pending>> {
        Ok(Box::new(Started::new(&self.handle, operation)?))
    }

    fn cancel_all(&self) -> Result<bool> {
        cancel(&self.handle, null())
    }

    fn close(self: Box<Self>) -> Result<()> {
        drop(self);
        Ok(())
    }
}

impl Drop for Opened {
    fn drop(&mut self) {
        self.handle
            .write()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
    }
}

/// `CancelIoEx` of one operation, or of all with null. A closed handle has nothing to cancel by.
fn cancel(handle: &SharedHandle, overlapped: *const OVERLAPPED) -> Result<bool> {
    let handle = handle.read().unwrap_or_else(PoisonError::into_inner);
    let Some(handle) = handle.as_ref() else {
        return Ok(false);
    };
    // SAFETY: the handle is open while the lock is held; the OVERLAPPED is of a living `Flight`, or null.
    let found = unsafe { CancelIoEx(handle.as_raw_handle(), overlapped) };
    if found != 0 {
        return Ok(true);
    }
    // SAFETY: reads a field of the thread's own environment block.
    match unsafe { GetLastError() } {
        ERROR_NOT_FOUND => Ok(false),
        error => {
            Err(std::io::Error::from_raw_os_error(error.cast_signed())).context("cannot cancel")
        }
    }
}

/// What the system uses while an operation is in flight. The `OVERLAPPED` is first: its address names the operation.
#[repr(C)]
struct Flight {
    overlapped: OVERLAPPED,
    input: Vec<u8>,
    output: Vec<u8>,
}

struct Started {
    handle: SharedHandle,
    event: OwnedHandle,
    /// From `Box::into_raw`; null once the completion was taken.
    flight: *mut Flight,
    /// How the call itself failed, if it did: then the system never owned the flight.
    refused: Option<Status>,
}

// SAFETY: a `Flight` belongs to the system or to its one `Started`, whichever thread that is on.
unsafe impl Send for Started {}

impl Started {
    fn new(shared: &SharedHandle, operation: Operation) -> Result<Self> {
        // SAFETY: no security attributes, no name.
        let event = unsafe { CreateEventW(null(), 1, 0, null()) };
        if event.is_null() {
            return Err(std::io::Error::last_os_error()).context("cannot create an event");
        }
        // SAFETY: the event was just created and belongs to nobody else.
        let event = unsafe { OwnedHandle::from_raw_handle(event) };
        let (offset, code, input, output) = match operation {
            Operation::Read { offset, length } => (offset, Call::Read, Vec::new(), vec![0; length]),
            Operation::Write { offset, data } => (offset, Call::Write, data, Vec::new()),
            Operation::Control {
                code,
                input,
                output,
            } => (0, Call::Control(code), input, output),
        };
        if u32::try_from(input.len().max(output.len())).is_err() {
            bail!("one operation carries less than 4 GiB");
        }
        let mut overlapped = OVERLAPPED {
            hEvent: event.as_raw_handle(),
            ..OVERLAPPED::default()
        };
        overlapped.Anonymous.Anonymous.Offset = (offset & 0xFFFF_FFFF) as u32;
        overlapped.Anonymous.Anonymous.OffsetHigh = (offset >> 32) as u32;
        let flight = Box::into_raw(Box::new(Flight {
            overlapped,
            input,
            output,
        }));
        let mut started = Self {
            handle: Arc::clone(shared),
            event,
            flight,
            refused: None,
        };
        let handle = shared.read().unwrap_or_else(PoisonError::into_inner);
        let Some(handle) = handle.as_ref() else {
            bail!("the handle is closed")
        };
        // SAFETY: INVARIANT of `Flight`: fresh from the heap, and from here on the system's until the event.
        let accepted = unsafe { code.issue(handle.as_raw_handle(), flight) };
        // SAFETY: reads a field of the thread's own environment block.
        if !accepted && unsafe { GetLastError() } != ERROR_IO_PENDING {
            started.refused = Some(last_status());
        }
        Ok(started)
    }

    fn is_over_within(&self, milliseconds: u32) -> bool {
        if self.refused.is_some() {
            return true;
        }
        // SAFETY: the event is owned by `self`.
        unsafe { WaitForSingleObject(self.event.as_raw_handle(), milliseconds) == WAIT_OBJECT_0 }
    }
}

/// Which function starts the operation.
enum Call {
    Read,
    Write,
    Control(u32),
}

impl Call {
    /// # Safety
    /// `handle` is open; `flight` keeps the invariants of [`Flight`].
    unsafe fn issue(&self, handle: HANDLE, flight: *mut Flight) -> bool {
        // SAFETY: the system does not own the flight yet.
        let flight = unsafe { &mut *flight };
        let (input, output) = (&mut flight.input, &mut flight.output);
        // INVARIANT: `Started::new` refuses what does not fit 32 bits.
        let (input_length, output_length) = (input.len() as u32, output.len() as u32);
        let overlapped = &raw mut flight.overlapped;
        let taken = match *self {
            // SAFETY: by the function's safety requirements.
            Self::Read => unsafe {
                ReadFile(
                    handle,
                    output.as_mut_ptr(),
                    output_length,
                    null_mut(),
                    overlapped,
                )
            },
            // SAFETY: by the function's safety requirements.
            Self::Write => unsafe {
                WriteFile(handle, input.as_ptr(), input_length, null_mut(), overlapped)
            },
            // SAFETY: by the function's safety requirements.
            Self::Control(code) => unsafe {
                DeviceIoControl(
                    handle,
                    code,
                    input.as_ptr().cast::<c_void>(),
                    input_length,
                    output.as_mut_ptr().cast::<c_void>(),
                    output_length,
                    null_mut(),
                    overlapped,
                )
            },
        };
        taken != 0
    }
}

impl Pending for Started {
    fn is_done_within(&mut self, limit: Duration) -> bool {
        // INFINITE is the largest value.
        let milliseconds = u32::try_from(limit.as_millis())
            .unwrap_or(INFINITE - 1)
            .min(INFINITE - 1);
        self.is_over_within(milliseconds)
    }

    fn cancel(&self) -> Result<bool> {
        if self.refused.is_some() {
            return Ok(false);
        }
        cancel(&self.handle, self.flight.cast_const().cast::<OVERLAPPED>())
    }

    fn wait(mut self: Box<Self>) -> Result<Completion> {
        if !self.is_over_within(INFINITE) {
            return Err(std::io::Error::last_os_error()).context("cannot wait for an operation");
        }
        let flight = std::mem::replace(&mut self.flight, null_mut());
        // SAFETY: INVARIANT of `Flight`: the event is signalled, or the system never owned it.
        let mut flight = unsafe { Box::from_raw(flight) };
        // `Internal` is an NTSTATUS; a call that was refused with an error did not write it.
        let internal = Status((flight.overlapped.Internal as u32).cast_signed());
        let status = self.refused.unwrap_or(internal);
        let is_error = (status.0.cast_unsigned() >> 30) == 3;
        let information = if is_error && self.refused.is_some() {
            0
        } else {
            flight.overlapped.InternalHigh
        };
        let mut data = std::mem::take(&mut flight.output);
        data.truncate(if is_error { 0 } else { information });
        Ok(Completion {
            status,
            information,
            data,
        })
    }
}

impl Drop for Started {
    fn drop(&mut self) {
        if self.flight.is_null() {
            return;
        }
        if !self.is_over_within(0) {
            // When it cannot be cancelled it may still end by itself.
            let _ = Pending::cancel(self);
            if !self.is_over_within(ABANDON_LIMIT) {
                return;
            }
        }
        // SAFETY: INVARIANT of `Flight`: the event is signalled, or the system never owned it.
        drop(unsafe { Box::from_raw(self.flight) });
    }
}
