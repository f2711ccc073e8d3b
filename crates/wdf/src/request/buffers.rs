//! The buffers of an owned request. They are borrowed from it and end with it (R-REQ-76).
//!
//! Memory user mode can still change is copied, never referenced ([`SharedIn`]); memory the requestor will see is only appended to
//! ([`Output`]), so no byte of uninitialised pool is ever claimed; the one buffer of `METHOD_BUFFERED` is lent for reading or for
//! writing, never both (R-REQ-66). A buffer of length 0 is empty, not an error (R-REQ-62).

use core::{marker::PhantomData, ptr::NonNull};

use wdk_sys::{NTSTATUS, WDFMEMORY, WDFREQUEST, call_unsafe_wdf_function_binding};

use super::{InternalIoctl, Ioctl, IoctlParameters, Kind, Read, Request, Write, cell::Cell};
use crate::{Status, cx::Brand, memory};

/// Bytes of output of request `'r` that were written: what its Information may be.
#[derive(Debug)]
#[must_use]
pub struct Written<'r>(usize, Brand<'r>);

impl Written<'_> {
    /// How many.
    #[must_use]
    pub const fn bytes(&self) -> usize {
        self.0
    }
}

/// Data of the requestor that user mode may change meanwhile (R-REQ-71): it can only be copied out.
///
/// Invariant: `at` is valid for reads of `length` bytes for `'a`, and null-free.
pub struct SharedIn<'a> {
    at: NonNull<u8>,
    length: usize,
    lent: PhantomData<&'a [u8]>,
}

impl SharedIn<'_> {
    const fn empty() -> Self {
        Self {
            at: NonNull::dangling(),
            length: 0,
            lent: PhantomData,
        }
    }

    /// How many bytes.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.length
    }

    /// Whether there are none.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.length == 0
    }

    /// Looks at no more than the first `bytes` from now on.
    pub fn limit(&mut self, bytes: usize) {
        // Lowering the length keeps the invariant.
        self.length = self.length.min(bytes);
    }

    /// Copies what lies at `offset` into `to` and says how many bytes that were.
    pub fn copy_to(&self, offset: usize, to: &mut [u8]) -> usize {
        let bytes = self.length.saturating_sub(offset).min(to.len());
        if bytes > 0 {
            // SAFETY: offset + bytes <= length (just computed), valid for reads (type invariant).
            let from = unsafe { self.at.add(offset) };
            // SAFETY: as above; `to` is a local exclusive slice of at least `bytes`.
            unsafe { memory::copy_shared(to.as_mut_ptr(), from.as_ptr(), bytes) };
        }
        bytes
    }

    pub(crate) const fn as_ptr(&self) -> *const u8 {
        self.at.as_ptr()
    }
}

/// Room for the answer to request `'r`. Append-only.
///
/// Invariant: `at` is valid for writes of `room` bytes for `'a`; the first `used` of them, `used <= room`, have been written.
pub struct Output<'a, 'r> {
    at: NonNull<u8>,
    room: usize,
    used: usize,
    lent: PhantomData<&'a mut [u8]>,
    of: Brand<'r>,
}

impl<'r> Output<'_, 'r> {
    const fn new(at: NonNull<u8>, room: usize) -> Self {
        Self {
            at,
            room,
            used: 0,
            lent: PhantomData,
            of: PhantomData,
        }
    }

    /// Bytes that still fit.
    #[must_use]
    pub const fn room(&self) -> usize {
        self.room.saturating_sub(self.used)
    }

    /// Takes no more than `bytes` from now on, even where more would fit.
    pub fn limit(&mut self, bytes: usize) {
        // Lowering the room keeps the invariant: `used` is not lowered below what was written.
        self.room = self.room.min(self.used.saturating_add(bytes));
    }

    /// Appends `bytes` if all of them fit, else nothing.
    pub fn append(&mut self, bytes: &[u8]) -> bool {
        if bytes.len() > self.room() {
            return false;
        }
        // SAFETY: a slice is valid for reads of its length; it fits (checked).
        unsafe { self.append_raw(bytes.as_ptr(), bytes.len()) };
        true
    }

    /// Appends as much of `from` as fits and says how many bytes that were.
    pub fn append_shared(&mut self, from: &SharedIn<'_>) -> usize {
        let bytes = from.length.min(self.room());
        // SAFETY: valid for reads of its length (invariant of SharedIn); it fits.
        unsafe { self.append_raw(from.as_ptr(), bytes) };
        bytes
    }

    /// # Safety
    /// `from` is valid for reads of `bytes`, and `bytes <= self.room()`.
    pub(crate) unsafe fn append_raw(&mut self, from: *const u8, bytes: usize) {
        // SAFETY: used <= room: inside the buffer (type invariant).
        let to = unsafe { self.at.add(self.used) };
        // SAFETY: `bytes` fit behind `used` (contract) and `from` is valid (contract).
        unsafe { memory::copy_shared(to.as_ptr(), from, bytes) };
        self.used = self.used.saturating_add(bytes);
    }

    /// What was written, for completing the request.
    pub const fn written(self) -> Written<'r> {
        Written(self.used, PhantomData)
    }
}

/// The one buffer of a `METHOD_BUFFERED` control: its input, then its output.
///
/// Invariant: `at` is valid for reads of `input` and writes of `output` bytes for `'a`; it is the system's private copy.
pub struct Buffered<'a, 'r> {
    at: NonNull<u8>,
    input: usize,
    output: usize,
    lent: PhantomData<&'a mut [u8]>,
    of: Brand<'r>,
}

impl<'r> Buffered<'_, 'r> {
    /// The input. Gone once [`output`](Self::output) is written.
    #[must_use]
    pub fn input(&self) -> &[u8] {
        // SAFETY: valid and initialised for `input` bytes, private (type invariant); `&self` keeps writers away.
        unsafe { core::slice::from_raw_parts(self.at.as_ptr(), self.input) }
    }

    /// Whether the requestor has room for any output.
    #[must_use]
    pub const fn has_output(&self) -> bool {
        self.output != 0
    }

    /// Whether the requestor has room for `bytes` of output.
    #[must_use]
    pub const fn has_room(&self, bytes: usize) -> bool {
        self.output >= bytes
    }

    /// The output; overwrites the input.
    pub fn output(&mut self) -> Output<'_, 'r> {
        Output::new(self.at, self.output)
    }

    /// Answers with the first bytes of the input, unchanged: as many as both sides have. They are in place already.
    pub fn echo(self) -> Written<'r> {
        Written(self.input.min(self.output), PhantomData)
    }
}

/// The buffers of a device control, by the transfer method of its code.
pub enum Control<'a, 'r> {
    /// `METHOD_BUFFERED`.
    Buffered(Buffered<'a, 'r>),
    /// `METHOD_IN_DIRECT`: private input, and user memory to read from (R-REQ-67).
    InDirect(&'a [u8], SharedIn<'a>),
    /// `METHOD_OUT_DIRECT`: private input, and user memory to write to.
    OutDirect(&'a [u8], Output<'a, 'r>),
    /// `METHOD_NEITHER`, locked by [`CallerRequest::lock_user_buffers`](super::CallerRequest::lock_user_buffers).
    Locked(SharedIn<'a>, Output<'a, 'r>),
}

/// A pointer and a length as a retrieve call gave them; a null pointer is a failure whatever the status says (R-REQ-65).
fn retrieved(
    status: NTSTATUS,
    at: *mut core::ffi::c_void,
    length: usize,
) -> Result<(NonNull<u8>, usize), Status> {
    Status::from_raw(status).ok()?;
    NonNull::new(at.cast())
        .map(|at| (at, length))
        .ok_or(Status::INVALID_USER_BUFFER)
}

fn input_of(request: WDFREQUEST) -> Result<(NonNull<u8>, usize), Status> {
    let (mut at, mut length) = (core::ptr::null_mut(), 0);
    // SAFETY: the request is owned by the caller; both results are locals.
    let status = unsafe {
        call_unsafe_wdf_function_binding!(
            WdfRequestRetrieveInputBuffer,
            request,
            0,
            &raw mut at,
            &raw mut length
        )
    };
    retrieved(status, at, length)
}

fn output_of(request: WDFREQUEST) -> Result<(NonNull<u8>, usize), Status> {
    let (mut at, mut length) = (core::ptr::null_mut(), 0);
    // SAFETY: as above.
    let status = unsafe {
        call_unsafe_wdf_function_binding!(
            WdfRequestRetrieveOutputBuffer,
            request,
            0,
            &raw mut at,
            &raw mut length
        )
    };
    retrieved(status, at, length)
}

/// The bytes of memory locked in the caller's context, or nothing.
fn locked(memory: WDFMEMORY) -> (NonNull<u8>, usize) {
    let mut length = 0;
    let at = if memory.is_null() {
        core::ptr::null_mut()
    } else {
        // SAFETY: a child of the owned request, alive until it completes (R-REQ-75).
        unsafe { call_unsafe_wdf_function_binding!(WdfMemoryGetBuffer, memory, &raw mut length) }
    };
    NonNull::new(at.cast()).map_or((NonNull::dangling(), 0), |at| (at, length))
}

impl Request<'_, Write> {
    /// The data to write. Stands for `WdfRequestRetrieveInputBuffer`. IRQL <= `DISPATCH_LEVEL`. Ownership stays.
    ///
    /// # Errors
    /// `STATUS_INSUFFICIENT_RESOURCES` if it cannot be mapped; `STATUS_INVALID_USER_BUFFER` if the device takes raw addresses (R-REQ-65).
    pub fn input(&self) -> Result<SharedIn<'_>, Status> {
        if self.parameters().length == 0 {
            return Ok(SharedIn::empty());
        }
        let (at, length) = input_of(self.handle())?;
        // INVARIANT: valid until the request is lost, which `&self` prevents (R-REQ-70).
        Ok(SharedIn {
            at,
            length,
            lent: PhantomData,
        })
    }
}

impl<'r> Request<'r, Read> {
    /// Where the data read goes. Stands for `WdfRequestRetrieveOutputBuffer`. IRQL <= `DISPATCH_LEVEL`. Ownership stays.
    ///
    /// # Errors
    /// As [`Request::<Write>::input`](Request::input).
    pub fn output(&mut self) -> Result<Output<'_, 'r>, Status> {
        if self.parameters().length == 0 {
            return Ok(Output::new(NonNull::dangling(), 0));
        }
        let (at, length) = output_of(self.handle())?;
        Ok(Output::new(at, length))
    }
}

impl<'r> Request<'r, Ioctl> {
    /// The buffers, as the transfer method of the code has them. IRQL <= `DISPATCH_LEVEL`. Ownership stays.
    ///
    /// # Errors
    /// `STATUS_INVALID_DEVICE_REQUEST` for a `METHOD_NEITHER` control whose buffers were not locked in the caller's context (R-REQ-68);
    /// otherwise as [`Request::<Write>::input`](Request::input).
    pub fn buffers(&mut self) -> Result<Control<'_, 'r>, Status> {
        self.control(self.parameters())
    }
}

impl<'r> Request<'r, InternalIoctl> {
    /// The buffers, as the transfer method of the code has them. IRQL <= `DISPATCH_LEVEL`. Ownership stays.
    ///
    /// # Errors
    /// `STATUS_INVALID_DEVICE_REQUEST` for `METHOD_NEITHER`, which is a private matter of the two drivers; otherwise as
    /// [`Request::<Write>::input`](Request::input).
    pub fn buffers(&mut self) -> Result<Control<'_, 'r>, Status> {
        self.control(self.parameters())
    }
}

impl<'r, K: Kind> Request<'r, K> {
    /// The buffers of a control with these parameters.
    fn control(&mut self, parameters: IoctlParameters) -> Result<Control<'_, 'r>, Status> {
        const BUFFERED: u32 = 0;
        const IN_DIRECT: u32 = 1;
        const OUT_DIRECT: u32 = 2;
        let empty = (NonNull::dangling(), 0);
        let input = || {
            if parameters.input == 0 {
                Ok(empty)
            } else {
                input_of(self.handle())
            }
        };
        let output = || {
            if parameters.output == 0 {
                Ok(empty)
            } else {
                output_of(self.handle())
            }
        };
        Ok(match parameters.code & 3 {
            BUFFERED => {
                // One buffer; ask for whichever side exists.
                let (at, _) = if parameters.input == 0 {
                    output()?
                } else {
                    input()?
                };
                Control::Buffered(Buffered {
                    at,
                    input: parameters.input,
                    output: parameters.output,
                    lent: PhantomData,
                    of: PhantomData,
                })
            }
            IN_DIRECT => {
                let (at, length) = output()?;
                Control::InDirect(
                    private(input()?),
                    SharedIn {
                        at,
                        length,
                        lent: PhantomData,
                    },
                )
            }
            OUT_DIRECT => {
                let (at, length) = output()?;
                Control::OutDirect(private(input()?), Output::new(at, length))
            }
            _ => {
                // SAFETY: owned.
                let cell =
                    unsafe { Cell::of(self.handle()) }.ok_or(Status::INVALID_DEVICE_REQUEST)?;
                let (from, to) = (cell.locked_in(), cell.locked_out());
                if (from.is_null() && parameters.input != 0)
                    || (to.is_null() && parameters.output != 0)
                {
                    return Err(Status::INVALID_DEVICE_REQUEST);
                }
                let ((from, read), (to, room)) = (locked(from), locked(to));
                Control::Locked(
                    SharedIn {
                        at: from,
                        length: read,
                        lent: PhantomData,
                    },
                    Output::new(to, room),
                )
            }
        })
    }
}

/// The system buffer of a direct control: a private copy, initialised by the I/O manager.
fn private<'a>((at, length): (NonNull<u8>, usize)) -> &'a [u8] {
    // SAFETY: the system buffer of an owned request, `length` bytes of input that nothing writes until it is lost (R-REQ-67, R-REQ-70);
    // the caller's borrow of the request bounds 'a.
    unsafe { core::slice::from_raw_parts(at.as_ptr(), length) }
}
