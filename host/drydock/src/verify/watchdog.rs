//! The watchdog: a run in which nothing happens any more says who waits for what.
//!
//! Whoever waits without a limit, and for something that has a name, says so for the time of the wait ([`waiting`]).
//! Calls of images are progress ([`tick`]). If there is none for a while, the run ends with a report of all threads
//! that wait, and of what the layers add to it ([`register_overview`]).

use super::report::{self, Severity};
use crate::sched::{self, Event, ThreadId};
use parking_lot::Mutex;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

type Source = fn() -> Vec<String>;
type What = Box<dyn Fn() -> String + Send>;

static ON: AtomicBool = AtomicBool::new(false);
static TICKS: AtomicU64 = AtomicU64::new(0);
static NEXT: AtomicU64 = AtomicU64::new(0);
static OVERVIEWS: Mutex<BTreeMap<&'static str, Source>> = Mutex::new(BTreeMap::new());
/// Waits in progress: of which thread, and for what.
static WAITS: Mutex<BTreeMap<(ThreadId, u64), (String, What)>> = Mutex::new(BTreeMap::new());

/// Notes progress: an image made a call, or was called.
#[inline]
pub fn tick() {
    if ON.load(Ordering::Relaxed) {
        TICKS.fetch_add(1, Ordering::Relaxed);
    }
}

/// A wait in progress; it ends when this is dropped.
#[must_use]
pub struct Waiting((ThreadId, u64));

impl Drop for Waiting {
    fn drop(&mut self) {
        WAITS.lock().remove(&self.0);
    }
}

/// Says that the calling thread waits, from now until the result is dropped. `what` is asked when the run stands still, by
/// another thread, and says what is waited for and who has it. It must not take a lock that is held across a wait.
pub fn waiting(what: impl Fn() -> String + Send + 'static) -> Waiting {
    let key = (sched::current(), NEXT.fetch_add(1, Ordering::Relaxed));
    WAITS
        .lock()
        .insert(key, (sched::current_name(), Box::new(what)));
    Waiting(key)
}

/// Adds a section to the report of a run that stands still: all threads, all requests. A second registration of a title
/// replaces the first.
pub fn register_overview(title: &'static str, source: fn() -> Vec<String>) {
    OVERVIEWS.lock().insert(title, source);
}

/// Who waits for what, one line for each wait.
fn waits() -> Vec<String> {
    WAITS
        .lock()
        .values()
        .map(|(thread, what)| format!("{thread} waits for {}", what()))
        .collect()
}

pub(super) fn overviews() -> Vec<(&'static str, Source)> {
    let mut all: Vec<(&'static str, Source)> = vec![("who waits for what", waits)];
    all.extend(OVERVIEWS.lock().iter().map(|(t, s)| (*t, *s)));
    all
}

/// The run cannot go on: ends it with a report of who waits for what.
pub fn no_progress(why: impl Into<String>) -> ! {
    report::end(Severity::NoProgress, None, None, why.into())
}

/// Ends the run when no image has made a call for `limit` (100 ns units) although some thread waits. Again only
/// replaces nothing: the first limit stays.
pub fn start_watchdog(limit: sched::Time100ns) {
    if ON.swap(true, Ordering::SeqCst) {
        return;
    }
    sched::spawn("watchdog", move || {
        let never = Event::new(true, false);
        let mut seen = TICKS.load(Ordering::Relaxed);
        let mut since = sched::now();
        loop {
            never.wait_timeout((limit / 8).max(10_000));
            let ticks = TICKS.load(Ordering::Relaxed);
            if ticks != seen || WAITS.lock().is_empty() {
                seen = ticks;
                since = sched::now();
            } else if sched::now() - since >= limit {
                no_progress(format!(
                    "nothing has happened for {} s, and somebody waits",
                    limit / 10_000_000
                ));
            }
        }
    });
}

#[cfg(test)]
mod tests {
    use super::*;
    use rusty_fork::rusty_fork_test;

    rusty_fork_test! {
        #[test]
        fn a_run_that_stands_still_says_who_waits_for_what() {
            register_overview("requests", || vec!["IRP_MJ_READ with pier".to_owned()]);
            super::super::on_end(|report| {
                let text = report.to_string();
                let whole = report.severity == Severity::NoProgress
                    && text.contains("waits for the moon")
                    && text.contains("requests:\n    IRP_MJ_READ with pier");
                i32::from(!whole)
            });
            start_watchdog(1_000_000);
            let _waiting = waiting(|| "the moon".to_owned());
            Event::new(true, false).wait();
        }

        #[test]
        fn a_wait_that_has_ended_is_not_listed() {
            drop(waiting(|| "the moon".to_owned()));
            assert!(waits().is_empty());
        }
    }
}
