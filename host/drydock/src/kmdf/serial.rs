//! A lock a thread may hold while it calls the driver and waits: one PnP or power request of a device at a time.

use crate::sched::{Event, Lock};

/// The lock.
pub(super) struct Serial {
    taken: Lock<bool>,
    free: Event,
}

impl Default for Serial {
    fn default() -> Self {
        Self {
            taken: Lock::new(false),
            free: Event::new(false, false),
        }
    }
}

/// A turn; ends when dropped.
pub(super) struct Turn<'a>(&'a Serial);

impl Serial {
    /// Waits for a turn. PASSIVE_LEVEL.
    pub(super) fn enter(&self) -> Turn<'_> {
        loop {
            {
                let mut taken = self.taken.lock();
                if !*taken {
                    *taken = true;
                    return Turn(self);
                }
            }
            self.free.wait();
        }
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        *self.0.taken.lock() = false;
        self.0.free.set();
    }
}
