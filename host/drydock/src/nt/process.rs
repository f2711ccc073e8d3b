//! Processes: whose handles, whose memory, whose requests.

use super::file::Handle;
use super::io::Operation;
use super::object::{self};
use super::security::Token;
use super::{in_flight, thread};
use crate::sched::{Event, Lock, ThreadId};
use crate::verify;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicPtr, AtomicU64, Ordering};
use std::sync::{Arc, Weak};

/// A program's process.
pub struct Process {
    id: u64,
    name: String,
    token: Token,
    eprocess: super::abi::Address<u8>,
    /// The ETHREADs of the threads that have run in it.
    threads: Lock<BTreeMap<ThreadId, super::abi::Address<u8>>>,
    pub(super) handles: Lock<BTreeMap<u64, Arc<Handle>>>,
    pub(super) next_handle: AtomicU64,
    pub(super) exiting: AtomicBool,
    /// Requests issued and not back.
    pub(super) outstanding: AtomicU64,
    pub(super) idle: Event,
    /// Requests whose handle was closed before they were back.
    orphans: Lock<Vec<Arc<Operation>>>,
}

/// The id of the system process.
pub const SYSTEM_ID: u64 = 4;
static NEXT_ID: AtomicU64 = AtomicU64::new(1000);
static ALL: Lock<BTreeMap<u64, Weak<Process>>> = Lock::new(BTreeMap::new());
static SYSTEM: AtomicPtr<u8> = AtomicPtr::new(std::ptr::null_mut());

/// The system process's EPROCESS.
pub fn system() -> *mut u8 {
    let known = SYSTEM.load(Ordering::Acquire);
    if !known.is_null() {
        return known;
    }
    let made = object::create_process(SYSTEM_ID);
    match SYSTEM.compare_exchange(
        std::ptr::null_mut(),
        made,
        Ordering::AcqRel,
        Ordering::Acquire,
    ) {
        Ok(_) => made,
        Err(other) => {
            object::dereference(object::Kind::Process, made);
            other
        }
    }
}

impl Process {
    /// Starts a process of an elevated administrator.
    pub fn new(name: &str) -> Arc<Self> {
        Self::with_token(name, Token::Administrator)
    }

    /// Starts a process that runs as `token`.
    pub fn with_token(name: &str, token: Token) -> Arc<Self> {
        let id = NEXT_ID.fetch_add(4, Ordering::Relaxed);
        let eprocess = object::create_process(id);
        let process = Arc::new(Self {
            id,
            name: name.to_owned(),
            token,
            eprocess: super::abi::Address(eprocess),
            threads: Lock::new(BTreeMap::new()),
            handles: Lock::new(BTreeMap::new()),
            next_handle: AtomicU64::new(4),
            exiting: AtomicBool::new(false),
            outstanding: AtomicU64::new(0),
            idle: Event::new(true, true),
            orphans: Lock::new(Vec::new()),
        });
        ALL.lock().insert(id, Arc::downgrade(&process));
        process
    }

    /// Its id, as PsGetCurrentProcessId gives it in its context.
    pub fn id(&self) -> u64 {
        self.id
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Whom it runs as.
    pub fn token(&self) -> Token {
        self.token
    }

    /// EPROCESS.
    pub fn eprocess(&self) -> *mut u8 {
        self.eprocess.0
    }

    /// The ETHREAD of a thread while it runs in this process: one OS thread may stand for threads of several programs.
    pub(super) fn thread(&self, id: ThreadId) -> *mut u8 {
        if let Some(known) = self.threads.lock().get(&id) {
            return known.0;
        }
        let made = object::create_thread(super::thread::thread_id(id));
        object::set_thread_process(made, self.eprocess.0);
        self.threads.lock().insert(id, super::abi::Address(made));
        made
    }

    /// Requests it has issued that are not back yet.
    pub fn outstanding(&self) -> u64 {
        self.outstanding.load(Ordering::Acquire)
    }

    /// Handles it has open.
    pub fn open_handles(&self) -> usize {
        self.handles.lock().len()
    }

    pub(super) fn issued(&self) {
        if self.outstanding.fetch_add(1, Ordering::AcqRel) == 0 {
            self.idle.clear();
        }
    }

    pub(super) fn returned(&self) {
        if self.outstanding.fetch_sub(1, Ordering::AcqRel) == 1 {
            self.idle.set();
        }
    }

    /// A handle is closed while these requests of its file are not back: a thread's exit cancels all the thread has started.
    pub(super) fn keep_orphans(&self, requests: Vec<Arc<Operation>>) {
        if requests.is_empty() {
            return;
        }
        let mut orphans = self.orphans.lock();
        orphans.retain(|request| !request.is_over());
        let mine = requests.into_iter().filter(|r| r.process_id() == self.id);
        orphans.extend(mine);
    }

    /// The process exits, as when it is killed: its requests are canceled and waited for, then its handles are closed.
    pub fn kill(self: &Arc<Self>) {
        if self.exiting.swap(true, Ordering::AcqRel) {
            return;
        }
        thread::current().in_process(self, || {
            let handles: Vec<Arc<Handle>> = self.handles.lock().values().cloned().collect();
            for handle in &handles {
                handle.cancel_all();
            }
            let orphans = std::mem::take(&mut *self.orphans.lock());
            for orphan in orphans {
                orphan.cancel();
            }
            // An operation may be starting that was not there to be canceled: it finds the process exiting and
            // cancels itself.
            let patience = i64::from(verify::settings().exit_patience);
            while self.outstanding() != 0 {
                if !self.idle.wait_timeout(patience * 10_000_000) {
                    verify::violation(
                        "NT-EXIT-01",
                        format!(
                            "process {} cannot exit: {} of its requests are not completed {patience} s after they were \
                             canceled{}",
                            self.name,
                            self.outstanding(),
                            in_flight::list()
                        ),
                    );
                }
            }
            for handle in &handles {
                handle.close();
            }
        });
        object::signal_ended(self.eprocess.0);
        let threads: Vec<_> = self.threads.lock().values().copied().collect();
        for thread in threads {
            object::signal_ended(thread.get());
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        ALL.lock().remove(&self.id);
        for thread in std::mem::take(self.threads.get_mut()).into_values() {
            object::dereference(object::Kind::Thread, thread.get());
        }
        object::dereference(object::Kind::Process, self.eprocess.0);
    }
}

/// The process with this id, if it runs.
pub fn by_id(id: u64) -> Option<Arc<Process>> {
    ALL.lock().get(&id).and_then(Weak::upgrade)
}

/// The id of the process whose address space the calling thread is in.
pub fn current_id() -> u64 {
    thread::current()
        .process()
        .map_or(SYSTEM_ID, |process| process.id())
}

/// IoGetCurrentProcess.
pub fn current_eprocess() -> *mut u8 {
    thread::current()
        .process()
        .map_or_else(system, |process| process.eprocess())
}
