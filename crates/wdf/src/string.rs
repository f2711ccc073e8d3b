//! UTF-16 strings known at compile time.

use wdk_sys::UNICODE_STRING;

/// A `'static` UTF-16 string without terminator, made by [`wide!`](crate::wide).
#[derive(Clone, Copy)]
pub struct Wide(&'static [u16]);

impl Wide {
    /// Wraps code units.
    #[must_use]
    pub const fn new(units: &'static [u16]) -> Self {
        Self(units)
    }

    /// The `UNICODE_STRING` that names these units. The framework only reads it.
    pub(crate) fn unicode(self) -> UNICODE_STRING {
        // A longer string than a UNICODE_STRING can hold is cut, not wrapped.
        let bytes = u16::try_from(self.0.len().saturating_mul(2)).unwrap_or(0xFFFE);
        UNICODE_STRING {
            Length: bytes,
            MaximumLength: bytes,
            Buffer: self.0.as_ptr().cast_mut(),
        }
    }
}

/// Widens ASCII to UTF-16 at compile time.
#[doc(hidden)]
#[must_use]
#[expect(
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    reason = "evaluated at compile time only"
)]
pub const fn widen<const N: usize>(ascii: &str) -> [u16; N] {
    let bytes = ascii.as_bytes();
    let (mut wide, mut at) = ([0; N], 0);
    while at < N {
        assert!(bytes[at].is_ascii(), "wide! takes ASCII");
        wide[at] = bytes[at] as u16;
        at += 1;
    }
    wide
}

/// A [`Wide`] from a constant ASCII `&str`.
#[macro_export]
macro_rules! wide {
    ($text:expr) => {{
        const TEXT: &str = $text;
        static UNITS: [u16; TEXT.len()] = $crate::__widen::<{ TEXT.len() }>(TEXT);
        $crate::Wide::new(&UNITS)
    }};
}
