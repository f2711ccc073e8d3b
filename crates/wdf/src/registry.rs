//! Registry keys: a driver's parameters and a device's settings.
//!
//! A key is open within the callback that opened it: it borrows the callback's token, so that it is closed at `PASSIVE_LEVEL` and no lock is taken
//! meanwhile.

use core::{marker::PhantomData, ptr::NonNull};

use wdk_sys::{
    PLUGPLAY_REGKEY_DEVICE, ULONG, UNICODE_STRING, WDFKEY, WDFKEY__,
    call_unsafe_wdf_function_binding,
};

use crate::{
    Status, Wide, context,
    cx::{Cx, Passive},
    device::{DeviceContext, InStack, NewDevice},
    driver,
};

/// `KEY_READ`.
const KEY_READ: u32 = 0x0002_0019;
/// `KEY_READ | KEY_WRITE`.
const KEY_READ_WRITE: u32 = 0x0002_001F;

/// What a key is opened for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// `KEY_READ`.
    Read,
    /// `KEY_READ | KEY_WRITE`.
    ReadWrite,
}

impl Access {
    const fn mask(self) -> u32 {
        match self {
            Self::Read => KEY_READ,
            Self::ReadWrite => KEY_READ_WRITE,
        }
    }
}

/// An open key. Stands for `WDFKEY`. Closed when it is dropped.
///
/// Invariant: `key` is open, and this value alone closes it, at `PASSIVE_LEVEL`: it does not leave the callback whose token it borrows.
pub struct Key<'c> {
    key: NonNull<WDFKEY__>,
    /// Neither `Send` nor longer than the callback.
    scope: PhantomData<(&'c (), *mut ())>,
}

impl<'c> Key<'c> {
    /// The driver's `Parameters` key. Stands for `WdfDriverOpenParametersRegistryKey`. `PASSIVE_LEVEL`.
    ///
    /// # Errors
    /// What the framework returns, for instance `STATUS_OBJECT_NAME_NOT_FOUND`.
    pub fn parameters(cx: &'c Cx<'_, impl Passive>, access: Access) -> Result<Self, Status> {
        _ = cx;
        let mut key: WDFKEY = core::ptr::null_mut();
        let mut attributes = context::plain_attributes();
        // SAFETY: the driver object exists; the rest are locals.
        let status = unsafe {
            call_unsafe_wdf_function_binding!(
                WdfDriverOpenParametersRegistryKey,
                driver::handle(),
                access.mask(),
                &raw mut attributes,
                &raw mut key
            )
        };
        Self::opened(status, key)
    }

    /// Where the driver keeps state over restarts. Stands for `WdfDriverOpenPersistentStateRegistryKey` (KMDF 1.25). `PASSIVE_LEVEL`.
    ///
    /// # Errors
    /// What the framework returns.
    #[cfg(kmdf_at_least = "1.25")]
    pub fn persistent_state(cx: &'c Cx<'_, impl Passive>, access: Access) -> Result<Self, Status> {
        _ = cx;
        let mut key: WDFKEY = core::ptr::null_mut();
        let mut attributes = context::plain_attributes();
        // SAFETY: the driver object exists; the rest are locals.
        let status = unsafe {
            call_unsafe_wdf_function_binding!(
                WdfDriverOpenPersistentStateRegistryKey,
                driver::handle(),
                access.mask(),
                &raw mut attributes,
                &raw mut key
            )
        };
        Self::opened(status, key)
    }

    fn opened(status: i32, key: WDFKEY) -> Result<Self, Status> {
        Status::from_raw(status).ok()?;
        // INVARIANT: just opened, for us.
        let key = NonNull::new(key).ok_or(Status::INSUFFICIENT_RESOURCES)?;
        Ok(Self {
            key,
            scope: PhantomData,
        })
    }

    /// A `REG_DWORD`. Stands for `WdfRegistryQueryULong`.
    ///
    /// # Errors
    /// `STATUS_OBJECT_NAME_NOT_FOUND`; `STATUS_OBJECT_TYPE_MISMATCH`.
    pub fn query_u32(&self, name: Wide) -> Result<u32, Status> {
        let name = name.unicode();
        let mut value: ULONG = 0;
        // SAFETY: open (type invariant); the rest are locals, the string read during the call.
        let status = unsafe {
            call_unsafe_wdf_function_binding!(
                WdfRegistryQueryULong,
                self.key.as_ptr(),
                &raw const name,
                &raw mut value
            )
        };
        Status::from_raw(status).ok().map(|()| value)
    }

    /// A `REG_SZ`, without its terminator. Stands for `WdfRegistryQueryUnicodeString`.
    ///
    /// # Errors
    /// `STATUS_BUFFER_OVERFLOW` if `buffer` has no room for it and a terminator; `STATUS_OBJECT_NAME_NOT_FOUND`; `STATUS_OBJECT_TYPE_MISMATCH`.
    pub fn query_string<'b>(&self, name: Wide, buffer: &'b mut [u16]) -> Result<&'b [u16], Status> {
        let name = name.unicode();
        let room = u16::try_from(buffer.len().saturating_mul(2)).unwrap_or(0xFFFE);
        let mut value = UNICODE_STRING {
            Length: 0,
            MaximumLength: room,
            Buffer: buffer.as_mut_ptr(),
        };
        // SAFETY: open (type invariant); the name is read and the value written during the call, within the buffer.
        let status = unsafe {
            call_unsafe_wdf_function_binding!(
                WdfRegistryQueryUnicodeString,
                self.key.as_ptr(),
                &raw const name,
                core::ptr::null_mut(),
                &raw mut value
            )
        };
        Status::from_raw(status).ok()?;
        let units = usize::from(value.Length.wrapping_div(2));
        buffer.get(..units).ok_or(Status::BUFFER_TOO_SMALL)
    }

    /// A value of any type, and its type and length. Stands for `WdfRegistryQueryValue`.
    ///
    /// # Errors
    /// `STATUS_BUFFER_OVERFLOW` if `buffer` is too small; `STATUS_OBJECT_NAME_NOT_FOUND`.
    pub fn query_value<'b>(
        &self,
        name: Wide,
        buffer: &'b mut [u8],
    ) -> Result<(u32, &'b [u8]), Status> {
        let name = name.unicode();
        let room = u32::try_from(buffer.len()).unwrap_or(u32::MAX);
        let (mut length, mut kind): (ULONG, ULONG) = (0, 0);
        // SAFETY: open (type invariant); at most `room` bytes of the buffer are written; the rest are locals.
        let status = unsafe {
            call_unsafe_wdf_function_binding!(
                WdfRegistryQueryValue,
                self.key.as_ptr(),
                &raw const name,
                room,
                buffer.as_mut_ptr().cast(),
                &raw mut length,
                &raw mut kind
            )
        };
        Status::from_raw(status).ok()?;
        let length = usize::try_from(length).unwrap_or(usize::MAX);
        let value = buffer.get(..length).ok_or(Status::BUFFER_TOO_SMALL)?;
        Ok((kind, value))
    }

    /// Writes a `REG_DWORD`. Stands for `WdfRegistryAssignULong`.
    ///
    /// # Errors
    /// `STATUS_ACCESS_DENIED` if the key was opened for reading.
    pub fn assign_u32(&self, name: Wide, value: u32) -> Result<(), Status> {
        let name = name.unicode();
        // SAFETY: open (type invariant); the string is read during the call.
        let status = unsafe {
            call_unsafe_wdf_function_binding!(
                WdfRegistryAssignULong,
                self.key.as_ptr(),
                &raw const name,
                value
            )
        };
        Status::from_raw(status).ok()
    }
}

impl Drop for Key<'_> {
    fn drop(&mut self) {
        // SAFETY: open and ours to close, at PASSIVE_LEVEL (type invariant).
        unsafe { call_unsafe_wdf_function_binding!(WdfRegistryClose, self.key.as_ptr()) };
    }
}

impl<D: DeviceContext, R: InStack> NewDevice<'_, D, R> {
    /// The device's hardware key. Stands for `WdfDeviceOpenRegistryKey(PLUGPLAY_REGKEY_DEVICE)`. `PASSIVE_LEVEL`.
    ///
    /// # Errors
    /// What the framework returns, for instance `STATUS_OBJECT_NAME_NOT_FOUND`.
    pub fn registry_key<'c>(
        &self,
        cx: &'c Cx<'_, impl Passive>,
        access: Access,
    ) -> Result<Key<'c>, Status> {
        _ = cx;
        let mut key: WDFKEY = core::ptr::null_mut();
        let mut attributes = context::plain_attributes();
        // SAFETY: the device exists and is being set up; the rest are locals.
        let status = unsafe {
            call_unsafe_wdf_function_binding!(
                WdfDeviceOpenRegistryKey,
                self.handle(),
                PLUGPLAY_REGKEY_DEVICE,
                access.mask(),
                &raw mut attributes,
                &raw mut key
            )
        };
        Key::opened(status, key)
    }
}
