//! Lines for the kernel debugger, through `DbgPrint`.

use core::fmt::{self, Write};

use wdk_sys::ntddk::DbgPrint;

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
