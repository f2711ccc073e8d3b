//! Threads, short locks, events and time.
//!
//! The only layer that knows how threads take turns. The rest of drydock never touches `std::thread`, a condition
//! variable or a clock: it spawns with [`spawn`], waits on an [`Event`], takes a [`Lock`], asks [`now`] and passes a
//! [`point`] on entry to every call an image makes. That makes the mode of a machine a matter of this layer alone:
//!
//! - [`Mode::Live`]: OS threads and the monotonic clock; everything runs in parallel.
//! - [`Mode::OneProcessor`]: OS threads, but only the one that holds the baton runs. It passes on when its holder
//!   blocks or ends, or at a [`point`] where a thread of higher priority is ready.
//! - [`Mode::Explore`]: one OS thread, virtual time, and every choice of who runs next made from outside ([`world`]).
//!
//! What every mode relies on: a [`Lock`] is never held across a [`point`], a wait, or a call into an image
//! (checked in debug builds).

mod baton;
mod clock;
mod event;
mod lock;
mod thread;
pub mod world;

pub use clock::{Time100ns, TimerToken, at, cancel, now};
pub use event::Event;
pub use lock::{Lock, LockGuard};
pub use thread::{
    JoinHandle, NORMAL_PRIORITY, ThreadId, blocking, current, current_name, keep_processor,
    set_priority, spawn,
};

use std::sync::atomic::{AtomicU8, Ordering};

/// How threads take turns.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// All threads run in parallel, on the monotonic clock.
    Live,
    /// One thread runs at a time, chosen by priority and then by the order of becoming ready.
    OneProcessor,
    /// All threads share one OS thread; who runs is chosen at every [`point`], and time is virtual: see [`world`].
    Explore,
}

static MODE: AtomicU8 = AtomicU8::new(0);

/// Chooses the mode of this process's machine; call it before the first thread is spawned or event waited for.
/// [`Mode::Explore`] needs an [`world::Explorer`] besides.
///
/// Entering [`Mode::OneProcessor`] makes the calling thread the one that runs.
pub fn set_mode(mode: Mode) {
    match mode {
        Mode::Live => MODE.store(0, Ordering::SeqCst),
        Mode::OneProcessor => {
            MODE.store(1, Ordering::SeqCst);
            baton::take_first(&thread::record());
        }
        Mode::Explore => MODE.store(2, Ordering::SeqCst),
    }
}

/// The mode of this process's machine.
pub fn mode() -> Mode {
    match MODE.load(Ordering::Relaxed) {
        0 => Mode::Live,
        1 => Mode::OneProcessor,
        _ => Mode::Explore,
    }
}

/// A place where another thread may run: passed once on entry to every call an image makes.
pub fn point() {
    lock::assert_none_held("sched::point()");
    match mode() {
        Mode::Live => {}
        Mode::OneProcessor => baton::yield_to_higher(&thread::record()),
        Mode::Explore => world::point(),
    }
}

/// Stops the program with a clear message, in debug builds, if the calling thread holds a [`Lock`]: for places that may
/// run other code for an unbounded time, such as a call into an image.
pub fn assert_no_lock_held(place: &str) {
    lock::assert_none_held(place);
}
