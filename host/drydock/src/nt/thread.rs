//! What the kernel knows of each thread: its interrupt level, process, critical regions, held locks, calls in progress.

use super::abi::{Address, Field};
use super::object::{self, Kind};
use super::process::Process;
use super::{dpc, memory, spinlock};
use crate::sched::{self, Event, Lock, ThreadId, Time100ns};
use crate::{loader, verify};
use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicI32, AtomicPtr, AtomicU8, AtomicU32, Ordering};

/// PASSIVE_LEVEL.
pub const PASSIVE_LEVEL: u8 = 0;
/// APC_LEVEL.
pub const APC_LEVEL: u8 = 1;
/// DISPATCH_LEVEL.
pub const DISPATCH_LEVEL: u8 = 2;
/// HIGH_LEVEL.
pub const HIGH_LEVEL: u8 = 15;

const FRAMES: usize = 48;

/// The kernel's side of one thread.
pub struct Thread {
    id: ThreadId,
    name: String,
    irql: AtomicU8,
    /// How deep this thread is in critical regions (KeEnterCriticalRegion).
    critical: AtomicI32,
    /// How deep this thread is in guarded regions (KeEnterGuardedRegion).
    guarded: AtomicI32,
    /// The process whose address space this thread is in.
    process: Lock<Option<Arc<Process>>>,
    /// ETHREAD, made when somebody first asks.
    ethread: AtomicPtr<u8>,
    /// DPCs queued to the processor this thread occupies, run when its level drops below DISPATCH_LEVEL.
    pub(super) dpcs: Lock<VecDeque<dpc::Queued>>,
    pub(super) dpcs_waiting: AtomicU32,
    pub(super) held: Lock<Vec<spinlock::Held>>,
    /// Wait locks and fast mutexes it holds, by address.
    pub(super) waitable: Lock<Vec<usize>>,
    /// The calls in progress on this thread; written by the thread itself only.
    frames: [Field<&'static str>; FRAMES],
    depth: AtomicU32,
}

const CHUNK: usize = 1024;
type Chunk = [AtomicPtr<Thread>; CHUNK];
static TABLE: [AtomicPtr<Chunk>; CHUNK] = [const { AtomicPtr::new(std::ptr::null_mut()) }; CHUNK];
static GROW: Lock<()> = Lock::new(());

/// The calling thread.
#[inline]
pub fn current() -> &'static Thread {
    let id = sched::current();
    lookup(id).unwrap_or_else(|| enlist(id))
}

#[expect(
    unsafe_code,
    reason = "a lock-free lookup on the path of every call of an image"
)]
fn lookup(id: ThreadId) -> Option<&'static Thread> {
    let index = id.0 as usize;
    let chunk = TABLE.get(index / CHUNK)?.load(Ordering::Acquire);
    // SAFETY: `enlist` stores only pointers to leaked chunks.
    let chunk = unsafe { chunk.as_ref() }?;
    let thread = chunk[index % CHUNK].load(Ordering::Acquire);
    // SAFETY: `enlist` stores only pointers to leaked threads.
    unsafe { thread.as_ref() }
}

#[cold]
#[expect(unsafe_code, reason = "the table that `lookup` reads without a lock")]
fn enlist(id: ThreadId) -> &'static Thread {
    let _guard = GROW.lock();
    let index = id.0 as usize;
    let Some(slot) = TABLE.get(index / CHUNK) else {
        verify::model_error("more than a million threads in one run");
    };
    if slot.load(Ordering::Acquire).is_null() {
        let chunk: Box<Chunk> = Box::new([const { AtomicPtr::new(std::ptr::null_mut()) }; CHUNK]);
        slot.store(Box::into_raw(chunk), Ordering::Release);
    }
    let thread = Box::leak(Box::new(Thread {
        id,
        name: sched::current_name(),
        irql: AtomicU8::new(PASSIVE_LEVEL),
        critical: AtomicI32::new(0),
        guarded: AtomicI32::new(0),
        process: Lock::new(None),
        ethread: AtomicPtr::new(std::ptr::null_mut()),
        dpcs: Lock::new(VecDeque::new()),
        dpcs_waiting: AtomicU32::new(0),
        held: Lock::new(Vec::new()),
        waitable: Lock::new(Vec::new()),
        frames: [const { Field::new("") }; FRAMES],
        depth: AtomicU32::new(0),
    }));
    let chunk = slot.load(Ordering::Acquire);
    // SAFETY: the chunk was leaked above or by an earlier call.
    let chunk = unsafe { &*chunk };
    chunk[index % CHUNK].store(thread, Ordering::Release);
    thread
}

/// What every thread that is inside a call is doing, innermost first: for the report of a run that stands still.
pub(super) fn overview() -> Vec<String> {
    all()
        .filter_map(|thread| {
            let calls = thread.calls();
            (!calls.is_empty()).then(|| format!("{}: {}", thread.name, calls.join(" < ")))
        })
        .collect()
}

/// All threads the kernel has met.
fn all() -> impl Iterator<Item = &'static Thread> {
    (0..)
        .map_while(|number| {
            let chunk = TABLE.get(number / CHUNK)?;
            (!chunk.load(Ordering::Acquire).is_null()).then(|| lookup(ThreadId(number as u32)))
        })
        .flatten()
}

/// The name of the thread with this ETHREAD, if it is one that has run outside a program.
pub(super) fn by_ethread(ethread: *mut u8) -> Option<String> {
    all()
        .find(|thread| thread.ethread.load(Ordering::Acquire) == ethread)
        .map(|thread| thread.name.clone())
}

/// The name of a thread.
pub fn name_of(id: ThreadId) -> String {
    lookup(id).map_or_else(|| format!("thread {}", id.0), |thread| thread.name.clone())
}

/// The thread with this number, if the kernel has met it.
pub fn by_id(id: ThreadId) -> Option<&'static Thread> {
    lookup(id)
}

impl Thread {
    /// The scheduler's number for it.
    pub fn id(&self) -> ThreadId {
        self.id
    }

    /// KeGetCurrentIrql.
    #[inline]
    pub fn irql(&self) -> u8 {
        self.irql.load(Ordering::Relaxed)
    }

    /// KeRaiseIrql: gives the level before.
    pub fn raise(&self, level: u8) -> u8 {
        let old = self.irql();
        if level < old {
            verify::violation(
                "NT-IRQL-01",
                format!("KeRaiseIrql to {level} while at {old}: this would lower the level"),
            );
        }
        self.irql.store(level, Ordering::Relaxed);
        if level >= DISPATCH_LEVEL {
            sched::keep_processor(true);
        }
        old
    }

    /// KeLowerIrql; runs the DPCs that waited for it.
    pub fn lower(&self, level: u8) {
        let old = self.irql();
        if level > old {
            verify::violation(
                "NT-IRQL-02",
                format!("KeLowerIrql to {level} while at {old}: this would raise the level"),
            );
        }
        if level < DISPATCH_LEVEL && old >= DISPATCH_LEVEL {
            if let Some(lock) = spinlock::innermost(self) {
                verify::violation(
                    "NT-LOCK-01",
                    format!("the level is lowered to {level} while {lock} is still held"),
                );
            }
            self.irql.store(DISPATCH_LEVEL, Ordering::Relaxed);
            dpc::drain(self);
        }
        self.irql.store(level, Ordering::Relaxed);
        if level < DISPATCH_LEVEL {
            sched::keep_processor(false);
        }
    }

    /// Runs `f` at `level` or above, and comes back to the level before.
    pub fn at_least<R>(&self, level: u8, f: impl FnOnce() -> R) -> R {
        let old = self.irql();
        if old >= level {
            return f();
        }
        self.raise(level);
        let result = f();
        self.lower(old);
        result
    }

    /// The process whose address space the thread is in; none is the system process.
    pub fn process(&self) -> Option<Arc<Process>> {
        self.process.lock().clone()
    }

    /// Runs `f` in the address space of `process`.
    pub fn in_process<R>(&self, process: &Arc<Process>, f: impl FnOnce() -> R) -> R {
        let before = self.process.lock().replace(Arc::clone(process));
        loader::set_kernel_thread(self.ethread() as usize);
        let result = f();
        memory::leave_process();
        let left = std::mem::replace(&mut *self.process.lock(), before);
        loader::set_kernel_thread(self.ethread() as usize);
        drop(left);
        result
    }

    /// KeEnterCriticalRegion.
    pub fn enter_critical_region(&self) {
        self.critical.fetch_add(1, Ordering::Relaxed);
    }

    /// KeLeaveCriticalRegion.
    pub fn leave_critical_region(&self) {
        if self.critical.fetch_sub(1, Ordering::Relaxed) <= 0 {
            verify::violation(
                "NT-REGION-01",
                "KeLeaveCriticalRegion without a KeEnterCriticalRegion before",
            );
        }
    }

    /// KeEnterGuardedRegion.
    pub fn enter_guarded_region(&self) {
        self.guarded.fetch_add(1, Ordering::Relaxed);
    }

    /// KeLeaveGuardedRegion.
    pub fn leave_guarded_region(&self) {
        if self.guarded.fetch_sub(1, Ordering::Relaxed) <= 0 {
            verify::violation(
                "NT-REGION-02",
                "KeLeaveGuardedRegion without a KeEnterGuardedRegion before",
            );
        }
    }

    /// How deep the thread is in critical regions.
    pub fn critical_depth(&self) -> i32 {
        self.critical.load(Ordering::Relaxed)
    }

    /// KeAreApcsDisabled: in a critical or guarded region, or at APC_LEVEL and above.
    pub fn apcs_disabled(&self) -> bool {
        self.critical_depth() > 0 || self.all_apcs_disabled()
    }

    /// KeAreAllApcsDisabled: in a guarded region, or at APC_LEVEL and above.
    pub fn all_apcs_disabled(&self) -> bool {
        self.guarded.load(Ordering::Relaxed) > 0 || self.irql() >= APC_LEVEL
    }

    /// ETHREAD: an object threads can wait for, signaled when the thread has ended.
    pub fn ethread(&self) -> *mut u8 {
        let process = self.process();
        if let Some(process) = process {
            return process.thread(self.id);
        }
        let known = self.ethread.load(Ordering::Acquire);
        if !known.is_null() {
            return known;
        }
        let made = object::create_thread(thread_id(self.id));
        match self.ethread.compare_exchange(
            std::ptr::null_mut(),
            made,
            Ordering::AcqRel,
            Ordering::Acquire,
        ) {
            Ok(_) => made,
            Err(other) => {
                object::dereference(Kind::Thread, made);
                other
            }
        }
    }

    /// Gives this thread an ETHREAD that was made before it started.
    fn adopt_ethread(&self, ethread: *mut u8) {
        super::abi::write_out(
            ethread.wrapping_add(0x100).cast::<u64>(),
            thread_id(self.id),
        );
        self.ethread.store(ethread, Ordering::Release);
        loader::set_kernel_thread(ethread as usize);
    }

    /// The names of the calls in progress on this thread, innermost first.
    pub fn calls(&self) -> Vec<&'static str> {
        let depth = (self.depth.load(Ordering::Relaxed) as usize).min(FRAMES);
        self.frames[..depth].iter().rev().map(Field::get).collect()
    }

    #[inline]
    pub(super) fn push_call(&self, name: &'static str) {
        let depth = self.depth.fetch_add(1, Ordering::Relaxed) as usize;
        if let Some(frame) = self.frames.get(depth) {
            frame.set(name);
        }
    }

    pub(super) fn truncate_calls(&self, depth: u32) {
        self.depth.store(depth, Ordering::Relaxed);
    }

    #[inline]
    pub(super) fn pop_call(&self) {
        self.depth.fetch_sub(1, Ordering::Relaxed);
    }
}

/// The number drivers see (PsGetCurrentThreadId).
pub(super) fn thread_id(id: ThreadId) -> u64 {
    u64::from(id.0) * 4 + 8
}

/// PsCreateSystemThread: runs a driver's routine in a thread of the system process. Gives its ETHREAD with one reference,
/// which the caller releases.
pub fn create_system(start: usize, context: *mut u8) -> *mut u8 {
    let ethread = object::create_thread(0);
    object::reference(ethread);
    let (object, context) = (Address(ethread), Address(context));
    *SYSTEM_THREADS.lock() += 1;
    sched::spawn("system thread", move || {
        current().adopt_ethread(object.get());
        run_system(start, context.get());
        object::signal_ended(object.get());
        object::dereference(Kind::Thread, object.get());
        *SYSTEM_THREADS.lock() -= 1;
        SYSTEM_THREAD_ENDED.set();
    });
    ethread
}

/// How many threads of [`create_system`] have not ended.
static SYSTEM_THREADS: Lock<usize> = Lock::new(0);
static SYSTEM_THREAD_ENDED: Event = Event::new(false, false);

/// Waits until all threads drivers made have ended, but no longer than `timeout`; says whether they have.
pub fn wait_for_system_threads(timeout: Time100ns) -> bool {
    let deadline = sched::now().saturating_add(timeout);
    loop {
        if *SYSTEM_THREADS.lock() == 0 {
            return true;
        }
        if !SYSTEM_THREAD_ENDED.wait_timeout(deadline - sched::now()) && deadline <= sched::now() {
            return *SYSTEM_THREADS.lock() == 0;
        }
    }
}

#[expect(unsafe_code, reason = "a thread's routine is known by address only")]
fn run_system(start: usize, context: *mut u8) {
    let null = std::ptr::null_mut();
    // SAFETY: the driver vouches that the address is a KSTART_ROUTINE, which takes one argument.
    unsafe { super::callout::plain("system thread", start, [context, null, null]) };
}

/// The calling thread's level.
#[inline]
pub fn irql() -> u8 {
    current().irql()
}

/// Ends the run if the calling thread's level is above `maximum`.
#[inline]
pub fn require_at_most(maximum: u8, what: &str) {
    let level = irql();
    if level > maximum {
        too_high(level, maximum, what);
    }
}

#[cold]
fn too_high(level: u8, maximum: u8, what: &str) -> ! {
    verify::violation(
        "NT-IRQL-03",
        format!("{what} was called at IRQL {level}; the highest level it allows is {maximum}"),
    )
}
/// `mov cr8` in an image: what the inline forms of KeRaiseIrql and KeLowerIrql come down to.
pub(super) extern "win64" fn write_cr8(level: u64) {
    super::ddi::shim("mov cr8", HIGH_LEVEL, || {
        let thread = current();
        let level = u8::try_from(level).unwrap_or(u8::MAX);
        if level > HIGH_LEVEL {
            verify::violation(
                "NT-IRQL-05",
                format!("{level} was written to CR8; there is no such interrupt level"),
            );
        }
        if level >= thread.irql() {
            thread.raise(level);
        } else {
            thread.lower(level);
        }
    });
}
