//! Atomics as somebody writes them who has never met another processor.

pub(crate) use core::sync::atomic::Ordering;

/// An atomic whose exchange is a look and a store.
#[derive(Default)]
#[repr(transparent)]
pub(crate) struct AtomicU64(core::sync::atomic::AtomicU64);

impl AtomicU64 {
    pub(crate) fn load(&self, order: Ordering) -> u64 {
        self.0.load(order)
    }

    pub(crate) fn store(&self, value: u64, order: Ordering) {
        self.0.store(value, order);
    }

    pub(crate) fn fetch_add(&self, value: u64, order: Ordering) -> u64 {
        self.0.fetch_add(value, order)
    }

    /// The mistake: whoever comes between the two lines is not seen.
    pub(crate) fn compare_exchange(
        &self,
        expected: u64,
        new: u64,
        _success: Ordering,
        failure: Ordering,
    ) -> Result<u64, u64> {
        let found = self.0.load(failure);
        if found != expected {
            return Err(found);
        }
        self.0.store(new, Ordering::Release);
        Ok(found)
    }
}
