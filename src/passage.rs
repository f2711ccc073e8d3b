//! What ferry notes on each request: why it waits and what is to be done to it. The notes lie in the request's own context, so nothing is
//! allocated per request; whoever owns the request writes them.

use core::sync::atomic::{AtomicU32, AtomicU64, Ordering};

use wdf::{
    clock::Instant,
    context::{Context, TypeInfo},
    request::RequestContext,
};

use crate::{rules::Verdict, scope::Caller};

/// User-mode code asked.
const USER: u32 = 1;
/// Through a file object.
const FILE: u32 = 2;
/// It may be kept.
const KEPT: u32 = 4;

/// The notes. All zero: an unobserved request on which no rule has acted.
#[derive(Default)]
pub(crate) struct Passage {
    /// When it goes by itself, in units of the clock.
    due: AtomicU64,
    /// Its number among the held ones of its device: an operator's release means those that waited then.
    pub(crate) ticket: AtomicU64,
    /// When it arrived, in units of the precise clock; 0: it is not observed.
    pub(crate) arrived: AtomicU64,
    /// When it was sent, likewise.
    pub(crate) sent: AtomicU64,
    /// The rule that keeps it; 0: none.
    rule: AtomicU32,
    /// Where that rule is counted.
    tally: AtomicU32,
    /// Its entry in the order of handles, plus one; 0: none.
    pub(crate) order: AtomicU32,
    /// Its entry in the table of what is in flight, plus one; 0: none.
    pub(crate) slot: AtomicU32,
    /// Ask for this many bytes, plus one; 0: for all.
    shorten: AtomicU32,
    /// Report this many bytes, plus one; 0: all.
    truncate: AtomicU32,
    /// Longest chunk; 0: whole.
    pub(crate) chunk: AtomicU32,
    /// Children at once.
    pub(crate) depth: AtomicU32,
    /// Its journey while it is below in chunks, plus one; 0: none.
    pub(crate) journey: AtomicU32,
    /// Who asked: bits of [`USER`], [`FILE`] and [`KEPT`].
    caller: AtomicU32,
    /// The process that asked.
    process: AtomicU32,
    /// Milliseconds until it is canceled below; 0: never.
    pub(crate) timeout_ms: AtomicU32,
}

impl Context for Passage {
    fn info() -> &'static TypeInfo<Self> {
        static INFO: TypeInfo<Passage> = TypeInfo::new(c"Passage");
        &INFO
    }
}

impl RequestContext for Passage {}

/// A count with "none" besides 0.
fn set(field: &AtomicU32, count: u32) {
    field.store(count.saturating_add(1), Ordering::Relaxed);
}

fn get(field: &AtomicU32) -> Option<u32> {
    field.load(Ordering::Relaxed).checked_sub(1)
}

impl Passage {
    /// It waits until `due`, or for as long as `rule` lives.
    pub(crate) fn keep(&self, due: Instant, rule: Option<&Verdict>) {
        self.tally
            .store(rule.map_or(0, |rule| rule.tally), Ordering::Relaxed);
        self.rule
            .store(rule.map_or(0, |rule| rule.id), Ordering::Relaxed);
        self.due.store(due.units(), Ordering::Release);
    }

    /// When it goes by itself.
    pub(crate) fn due(&self) -> Instant {
        Instant::from_units(self.due.load(Ordering::Acquire))
    }

    /// The rule that keeps it, and where it is counted; `None`: no rule does.
    pub(crate) fn rule(&self) -> Option<(u32, u32)> {
        match self.rule.load(Ordering::Relaxed) {
            0 => None,
            rule => Some((rule, self.tally.load(Ordering::Relaxed))),
        }
    }

    /// The device is asked for `bytes` at most.
    pub(crate) fn shorten(&self, bytes: u32) {
        set(&self.shorten, bytes);
    }

    /// How many bytes the device is asked for at most.
    pub(crate) fn shortened(&self) -> Option<u32> {
        get(&self.shorten)
    }

    /// The requestor is told of `bytes` at most.
    pub(crate) fn truncate(&self, bytes: u32) {
        set(&self.truncate, bytes);
    }

    /// How many bytes the requestor is told of at most.
    pub(crate) fn truncated(&self) -> Option<u32> {
        get(&self.truncate)
    }

    /// Who asked, and whether it is of those that anything may keep: a limit that is set while it waits asks for that.
    pub(crate) fn ask(&self, caller: Caller, kept: bool) {
        let bit = |holds: bool, bit: u32| if holds { bit } else { 0 };
        let bits = bit(caller.user, USER) | bit(caller.file, FILE) | bit(kept, KEPT);
        self.caller.store(bits, Ordering::Relaxed);
        self.process.store(caller.process, Ordering::Relaxed);
    }

    /// Who asked; `None`: nothing may keep it.
    pub(crate) fn caller(&self) -> Option<Caller> {
        let bits = self.caller.load(Ordering::Relaxed);
        (bits & KEPT != 0).then(|| Caller {
            user: bits & USER != 0,
            file: bits & FILE != 0,
            process: self.process.load(Ordering::Relaxed),
        })
    }
}
