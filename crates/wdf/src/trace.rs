//! Events for whoever traces, through `TraceLogging`, and lines for the kernel debugger, through `DbgPrint`.
//!
//! `TraceLogging` needs no manifest: an event carries its own description, and nothing is built of it unless a session listens. Microsoft's
//! [`tracelogging`] crate does it; this crate registers the driver's provider before anything else of the driver runs and unregisters it after
//! everything else, so that a driver needs no `unsafe`:
//!
//! ```rust,ignore
//! tracelogging::define_provider!(EVENTS, "Vendor.Driver");
//!
//! impl Driver for Mine {
//!     fn provider() -> Option<&'static wdf::trace::Provider> {
//!         Some(&EVENTS)
//!     }
//!     // ...
//! }
//!
//! tracelogging::write_event!(EVENTS, "Held", level(Informational), u32("code", &code));
//! ```
//!
//! The macros name the crate `tracelogging`, which the driver therefore lists among its dependencies. Writing is legal at any IRQL. `DbgPrint`,
//! by [`trace!`](crate::trace!), is for what must be seen where nobody listens: a driver that cannot start.

use core::{
    fmt::{self, Write},
    ptr,
    sync::atomic::{AtomicPtr, Ordering},
};

pub use tracelogging::Provider;
use wdk_sys::ntddk::DbgPrint;

/// The provider that is registered.
///
/// Invariant: null, or a `'static` provider that was registered by [`register`] and not unregistered since.
static REGISTERED: AtomicPtr<Provider> = AtomicPtr::new(ptr::null_mut());

/// Registers the driver's provider. Stands for `EtwRegister`. `PASSIVE_LEVEL`. A provider that cannot be registered stays silent.
///
/// # Safety
/// Called once, first of all, by `DriverEntry`; [`unregister`] follows before the image goes.
pub(crate) unsafe fn register(provider: &'static Provider) {
    // SAFETY: `unregister` comes before the image is unloaded (contract).
    if unsafe { provider.register() } == 0 {
        // INVARIANT: just registered.
        REGISTERED.store(ptr::from_ref(provider).cast_mut(), Ordering::Release);
    }
}

/// Unregisters it. Stands for `EtwUnregister`. `PASSIVE_LEVEL`.
pub(crate) fn unregister() {
    let provider = REGISTERED.swap(ptr::null_mut(), Ordering::AcqRel);
    // SAFETY: null or 'static (invariant of `REGISTERED`).
    if let Some(provider) = unsafe { provider.as_ref() } {
        // Whatever it says, there is nothing left to do about it.
        let _ = provider.unregister();
    }
}

/// A line is cut at this many bytes; `DbgPrint` itself takes up to 512.
const LINE: usize = 256;

/// A line under construction. Invariant: `used < LINE`, so a zero always follows the text.
struct Line {
    bytes: [u8; LINE],
    used: usize,
}

impl Write for Line {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let end = LINE.saturating_sub(1);
        let Some(room) = self.bytes.get_mut(self.used..end) else {
            return Ok(());
        };
        for (to, from) in room.iter_mut().zip(text.bytes()) {
            *to = from;
            self.used = self.used.saturating_add(1);
        }
        Ok(())
    }
}

#[doc(hidden)]
pub fn print(arguments: fmt::Arguments<'_>) {
    let mut line = Line {
        bytes: [0; LINE],
        used: 0,
    };
    // `write_str` above cannot fail; a Display that does leaves a shorter line.
    _ = line.write_fmt(arguments);
    // SAFETY: both are zero-terminated (invariant of `Line`), and the format consumes exactly one string.
    _ = unsafe {
        DbgPrint(
            c"%s\n".as_ptr(),
            line.bytes.as_ptr().cast::<core::ffi::c_char>(),
        )
    };
}

/// Prints one line to the debugger. Stands for `DbgPrint`. IRQL <= `DISPATCH_LEVEL`. Longer than 255 bytes is cut.
#[macro_export]
macro_rules! trace {
    ($($argument:tt)*) => { $crate::trace::print(::core::format_args!($($argument)*)) };
}
