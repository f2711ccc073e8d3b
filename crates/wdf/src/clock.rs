//! Time since boot, for due times and ages.

// Exported by every x64 kernel since Windows 7; `wdk-sys` links the import library.
unsafe extern "system" {
    fn KeQueryUnbiasedInterruptTime() -> u64;
    fn KeQueryInterruptTimePrecise(counter: *mut u64) -> u64;
}

/// A moment, in units of 100 ns since boot, time asleep not counted. Stands for `KeQueryUnbiasedInterruptTime`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Instant(u64);

impl Instant {
    /// Later than every moment.
    pub const NEVER: Self = Self(u64::MAX);

    /// This moment. Any IRQL. Advances with the system timer, about every 15.6 ms unless somebody asked for finer ticks.
    #[must_use]
    pub fn now() -> Self {
        // SAFETY: the routine has no parameters and no preconditions.
        Self(unsafe { KeQueryUnbiasedInterruptTime() })
    }

    /// A moment from its bare number of 100 ns units.
    #[must_use]
    pub const fn from_units(units: u64) -> Self {
        Self(units)
    }

    /// Its bare number of 100 ns units.
    #[must_use]
    pub const fn units(self) -> u64 {
        self.0
    }

    /// The moment `span` later.
    #[must_use]
    pub const fn after(self, span: Span) -> Self {
        Self(self.0.saturating_add(span.0))
    }

    /// How long from `earlier` to this moment; zero if it is not earlier.
    #[must_use]
    pub const fn since(self, earlier: Self) -> Span {
        Span(self.0.saturating_sub(earlier.0))
    }
}

/// A moment for measuring, in units of 100 ns since boot, time asleep counted. Stands for `KeQueryInterruptTimePrecise`.
///
/// Dearer than [`Instant`] and finer: the system timer's tick does not show.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Stamp(u64);

impl Stamp {
    /// This moment. Any IRQL.
    #[must_use]
    pub fn now() -> Self {
        let mut counter = 0;
        // SAFETY: the result is a local; no preconditions.
        Self(unsafe { KeQueryInterruptTimePrecise(&raw mut counter) })
    }

    /// Its bare number of 100 ns units.
    #[must_use]
    pub const fn units(self) -> u64 {
        self.0
    }
}

/// A length of time, in units of 100 ns.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Span(u64);

impl Span {
    /// From milliseconds.
    #[must_use]
    pub const fn from_millis(millis: u32) -> Self {
        Self((millis as u64).saturating_mul(10_000))
    }

    /// As a relative timeout of a wait: negative, 0 for no waiting at all.
    pub(crate) fn relative_or_now(self) -> i64 {
        i64::try_from(self.0).unwrap_or(i64::MAX).saturating_neg()
    }

    /// Whole milliseconds, rounded up.
    pub(crate) fn millis(self) -> u32 {
        u32::try_from(self.0.div_ceil(10_000)).unwrap_or(u32::MAX)
    }

    /// As a relative due time of a framework timer: negative, never 0 (R-DEV-83).
    pub(crate) fn relative(self) -> i64 {
        i64::try_from(self.0.max(1))
            .unwrap_or(i64::MAX)
            .saturating_neg()
    }
}
