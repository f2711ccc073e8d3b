//! Threads and their names, ids and priorities.

use super::{Event, Mode, baton, mode, world};
use std::cell::OnceCell;
use std::sync::atomic::{AtomicBool, AtomicI32, AtomicU32, Ordering};
use std::sync::{Arc, OnceLock};

/// The priority of a thread that nobody gave another.
pub const NORMAL_PRIORITY: i32 = 8;

/// A thread's number: small, dense, in the order of creation, never used twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ThreadId(pub u32);

/// What the scheduler keeps of a thread.
#[derive(Debug)]
pub(super) struct Record {
    pub(super) id: ThreadId,
    pub(super) name: String,
    /// Set by the thread itself when it comes up; it can be chosen to run before that.
    pub(super) os: OnceLock<std::thread::Thread>,
    pub(super) priority: AtomicI32,
    /// [`Mode::OneProcessor`]: this thread holds the baton.
    pub(super) runs: AtomicBool,
    /// [`Mode::OneProcessor`]: this thread does not give the baton up at a point.
    pub(super) keeps: AtomicBool,
}

static NEXT_ID: AtomicU32 = AtomicU32::new(0);

thread_local! {
    static RECORD: OnceCell<Arc<Record>> = const { OnceCell::new() };
}

pub(super) fn new_record(name: &str) -> Arc<Record> {
    Arc::new(Record {
        id: ThreadId(NEXT_ID.fetch_add(1, Ordering::Relaxed)),
        name: name.to_owned(),
        os: OnceLock::new(),
        priority: AtomicI32::new(NORMAL_PRIORITY),
        runs: AtomicBool::new(false),
        keeps: AtomicBool::new(false),
    })
}

/// The calling thread's record. A thread that [`spawn`] did not make joins the machine at its first call.
pub(super) fn record() -> Arc<Record> {
    if mode() == Mode::Explore {
        return world::current_record();
    }
    RECORD.with(|cell| cell.get_or_init(enlist).clone())
}

fn enlist() -> Arc<Record> {
    let record = new_record(std::thread::current().name().unwrap_or("outside"));
    let _ = record.os.set(std::thread::current());
    if mode() == Mode::OneProcessor {
        baton::make_ready(&record);
        baton::wait_for_turn(&record);
    }
    record
}

/// The calling thread.
#[inline]
pub fn current() -> ThreadId {
    if mode() == Mode::Explore {
        return world::current_id();
    }
    RECORD.with(|cell| cell.get_or_init(enlist).id)
}

/// The calling thread's name, as given to [`spawn`].
pub fn current_name() -> String {
    record().name.clone()
}

/// Sets the calling thread's priority: a higher number runs first. It counts in [`Mode::OneProcessor`] only.
pub fn set_priority(priority: i32) {
    record().priority.store(priority, Ordering::Relaxed);
}

/// In [`Mode::OneProcessor`], says whether the calling thread keeps the processor at scheduling points: it does at
/// DISPATCH_LEVEL and above, where no thread switch takes place.
pub fn keep_processor(keep: bool) {
    if mode() == Mode::OneProcessor {
        record().keeps.store(keep, Ordering::Relaxed);
    }
}

/// Runs `f`, which blocks outside the model (a socket, a pipe), without keeping other threads from running meanwhile.
pub fn blocking<R>(f: impl FnOnce() -> R) -> R {
    super::assert_no_lock_held("sched::blocking()");
    if mode() != Mode::OneProcessor {
        return f();
    }
    let record = record();
    baton::release(&record);
    let result = f();
    baton::make_ready(&record);
    baton::wait_for_turn(&record);
    result
}

/// A thread made by [`spawn`].
#[derive(Debug)]
pub struct JoinHandle {
    id: ThreadId,
    ended: Arc<Event>,
}

impl JoinHandle {
    /// The thread's number.
    pub fn id(&self) -> ThreadId {
        self.id
    }

    /// Waits until the thread has ended.
    pub fn join(self) {
        self.ended.wait();
    }

    /// True once the thread has ended.
    pub fn is_finished(&self) -> bool {
        self.ended.is_set()
    }
}

/// Starts a thread. In [`Mode::OneProcessor`] it is ready from this call on, behind the threads that are so already.
///
/// # Panics
/// If the operating system has no thread to give.
pub fn spawn(name: &str, f: impl FnOnce() + Send + 'static) -> JoinHandle {
    let ended = Arc::new(Event::new(true, false));
    let record = new_record(name);
    let id = record.id;
    let end = End {
        record: Arc::clone(&record),
        ended: Arc::clone(&ended),
    };
    if mode() == Mode::Explore {
        let body = Box::new(move || {
            let _end = end;
            f();
        });
        world::spawn(record, body);
        return JoinHandle { id, ended };
    }
    if mode() == Mode::OneProcessor {
        current(); // the caller takes part before its children do
        baton::make_ready(&record);
    }
    let started = std::thread::Builder::new()
        .name(name.to_owned())
        .spawn(move || {
            let _end = end;
            RECORD.with(|cell| {
                let _ = cell.set(Arc::clone(&record));
            });
            if mode() == Mode::OneProcessor {
                baton::come_up(&record);
            } else {
                let _ = record.os.set(std::thread::current());
            }
            f();
        });
    if let Err(error) = started {
        panic!("the system gave no thread for {name}: {error}");
    }
    JoinHandle { id, ended }
}

/// Announces the end of a thread, also of one that panics.
struct End {
    record: Arc<Record>,
    ended: Arc<Event>,
}

impl Drop for End {
    fn drop(&mut self) {
        self.ended.set();
        if mode() == Mode::OneProcessor {
            baton::release(&self.record);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::AtomicU32;

    #[test]
    fn joining_waits_for_the_end_of_the_thread() {
        let count = Arc::new(AtomicU32::new(0));
        let seen = Arc::clone(&count);
        let thread = spawn("counter", move || {
            seen.fetch_add(1, Ordering::SeqCst);
        });
        assert_ne!(thread.id(), current());
        thread.join();
        assert_eq!(count.load(Ordering::SeqCst), 1);
    }
}
