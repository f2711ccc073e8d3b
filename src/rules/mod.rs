//! Rules: which requests they are about ([`table`]), and how often each has acted ([`tally`]).
//!
//! A request asks [`Rules::decide`], which takes no lock: it reads a table nobody writes, and looks afterwards whether it was still the table.
//! Whoever changes rules holds the registry's lock, writes the other table, and then says that it is the one.

mod table;
mod tally;

use core::sync::atomic::{AtomicU32, Ordering, fence};

use ferry_abi::control::{Action, MAX_RULES, Rule, ops};
use wdf::{
    Status,
    cx::{Cx, Locked},
};
use zerocopy::{FromBytes, FromZeros, Immutable, IntoBytes, KnownLayout};

use self::{table::Table, tally::Tally};
use crate::scope::{self, Origin};

/// Rules of a device.
const ROOM: usize = MAX_RULES as usize;

/// A rule as it is stored, and what a matching request is given: plain numbers, as in [`Rule`].
#[derive(Clone, Copy, IntoBytes, FromBytes, Immutable, KnownLayout)]
#[repr(C)]
pub(crate) struct Verdict {
    pub(crate) id: u32,
    /// Looked at before the rest is read.
    pub(crate) ops: u32,
    /// Where it is counted.
    pub(crate) tally: u32,
    pub(crate) matching: u32,
    pub(crate) code: u32,
    pub(crate) process: u32,
    /// Process of the control handle that set it.
    pub(crate) owner_process: u32,
    pub(crate) every: u32,
    pub(crate) probability: u32,
    pub(crate) action: u32,
    pub(crate) order: u32,
    pub(crate) milliseconds: u32,
    pub(crate) status: u32,
    pub(crate) bytes: u32,
    pub(crate) length_min: u64,
    pub(crate) length_max: u64,
    pub(crate) offset_min: u64,
    pub(crate) offset_max: u64,
    pub(crate) seed: u64,
    pub(crate) times: u64,
    /// The control handle that set it.
    pub(crate) owner: u64,
}

/// What a request looks like to a rule.
pub(crate) struct Question<'o> {
    /// One operation of [`ops`].
    pub(crate) op: u32,
    /// Control code, or 0.
    pub(crate) code: u32,
    /// Bytes of the transfer; the longer of input and output for a control.
    pub(crate) length: u64,
    /// Byte offset of the transfer.
    pub(crate) offset: u64,
    pub(crate) origin: &'o Origin,
}

impl Verdict {
    fn new(rule: &Rule, tally: u32, id: u32, owner: Owner) -> Self {
        Self {
            id,
            ops: rule.ops,
            tally,
            matching: rule.matching,
            code: rule.code,
            process: rule.process,
            owner_process: owner.process,
            every: rule.every,
            probability: rule.probability,
            action: rule.action,
            order: rule.order,
            milliseconds: rule.milliseconds,
            status: rule.status,
            bytes: rule.bytes,
            length_min: rule.length_min,
            length_max: rule.length_max,
            offset_min: rule.offset_min,
            offset_max: rule.offset_max,
            seed: rule.seed,
            times: rule.times,
            owner: owner.handle,
        }
    }

    /// The rule again, for whoever lists it.
    pub(crate) fn rule(&self, device: u32) -> Rule {
        Rule {
            id: self.id,
            matching: self.matching,
            code: self.code,
            process: self.process,
            length_min: self.length_min,
            length_max: self.length_max,
            offset_min: self.offset_min,
            offset_max: self.offset_max,
            every: self.every,
            probability: self.probability,
            seed: self.seed,
            times: self.times,
            action: self.action,
            order: self.order,
            milliseconds: self.milliseconds,
            status: self.status,
            bytes: self.bytes,
            ..Rule::every(device, self.ops, Action::Pass)
        }
    }

    /// Whether its fixed conditions hold.
    fn meets(&self, question: &Question<'_>) -> bool {
        let transfer = question.op & (ops::READ | ops::WRITE) != 0;
        let ranged = self.offset_min != 0 || self.offset_max != u64::MAX;
        // The last byte it touches, for a range's lower end.
        let last = question
            .offset
            .saturating_add(question.length.saturating_sub(1));
        self.ops & question.op != 0
            && (self.code == 0 || self.code == question.code)
            && (self.process == 0 || self.process == question.origin.caller.process)
            && (self.length_min..=self.length_max).contains(&question.length)
            && (!ranged
                || transfer && question.offset <= self.offset_max && last >= self.offset_min)
            && scope::sees(self.matching, self.owner_process, question.origin.caller)
    }
}

/// Who sets a rule.
#[derive(Clone, Copy)]
pub(crate) struct Owner {
    /// The control handle.
    pub(crate) handle: u64,
    /// Its process.
    pub(crate) process: u32,
}

/// The rules of a device. All zero: none.
#[derive(FromZeros)]
pub(crate) struct Rules {
    /// Which table is the one: its lowest bit. The other one is nobody's but a writer's.
    version: AtomicU32,
    /// Number of the last rule.
    last: AtomicU32,
    even: Table,
    odd: Table,
    tallies: [Tally; ROOM],
}

impl Rules {
    const fn table(&self, version: u32) -> &Table {
        if version & 1 == 0 {
            &self.even
        } else {
            &self.odd
        }
    }

    fn current(&self) -> &Table {
        self.table(self.version.load(Ordering::Acquire))
    }

    fn tally(&self, at: u32) -> Option<&Tally> {
        self.tallies.get(usize::try_from(at).ok()?)
    }

    /// The first rule that matches and acts. Any IRQL the places allow; waits for nobody.
    ///
    /// A rule that is looked at while rules change may count a request twice: the search begins anew.
    pub(crate) fn decide(&self, question: &Question<'_>) -> Option<Verdict> {
        'anew: loop {
            let version = self.version.load(Ordering::Acquire);
            for slot in self.table(version).slots() {
                if slot.ops() & question.op == 0 {
                    continue;
                }
                let rule = slot.read();
                // What was read is a rule if the table was the one all along: then no writer has begun to write it.
                fence(Ordering::Acquire);
                if self.version.load(Ordering::Relaxed) != version {
                    continue 'anew;
                }
                if rule.meets(question)
                    && self
                        .tally(rule.tally)
                        .is_some_and(|tally| tally.acts(&rule))
                {
                    return Some(rule);
                }
            }
            fence(Ordering::Acquire);
            if self.version.load(Ordering::Relaxed) == version {
                return None;
            }
        }
    }

    /// Whether that rule is in force. Any IRQL.
    pub(crate) fn lives(&self, (id, tally): (u32, u32)) -> bool {
        self.tally(tally).is_some_and(|tally| tally.is_of(id))
    }

    /// How many are in force.
    pub(crate) fn count(&self) -> u32 {
        self.current().count()
    }

    /// Those in force, in the order they are tried. The lock keeps them as they are.
    pub(crate) fn list(&self, _cx: &Cx<'_, Locked>) -> impl Iterator<Item = Verdict> {
        self.current().slots().map(table::Slot::read)
    }

    /// How often a rule's conditions were met, and how often it acted.
    pub(crate) fn counts(&self, rule: &Verdict) -> (u64, u64) {
        self.tally(rule.tally).map_or((0, 0), Tally::counts)
    }

    /// Lets `count` of what rule `id` holds go, of those held up to `ticket`. False: there is no such rule.
    pub(crate) fn grant(&self, cx: &Cx<'_, Locked>, id: u32, count: u32, ticket: u64) -> bool {
        let rule = self.list(cx).find(|rule| rule.id == id);
        let tally = rule.and_then(|rule| self.tally(rule.tally));
        if let Some(tally) = tally {
            tally.released.give(count, ticket);
        }
        tally.is_some()
    }

    /// What of a rule's held requests may go.
    pub(crate) fn released(&self, tally: u32) -> Option<&crate::hold::Grant> {
        self.tally(tally).map(|tally| &tally.released)
    }

    /// Adds a rule behind the others; its number.
    pub(crate) fn add(
        &self,
        cx: &Cx<'_, Locked>,
        rule: &Rule,
        owner: Owner,
    ) -> Result<u32, Status> {
        let (at, tally) = self
            .tallies
            .iter()
            .enumerate()
            .find(|(_, tally)| tally.is_of(0))
            .ok_or(Status::INSUFFICIENT_RESOURCES)?;
        let at = u32::try_from(at).map_err(|_| Status::INSUFFICIENT_RESOURCES)?;
        // 0 stands for none. After 2^32 rules a number comes back.
        let id = self.last.load(Ordering::Relaxed).wrapping_add(1).max(1);
        self.last.store(id, Ordering::Relaxed);
        tally.begin(id);
        self.rewrite(cx, Some, Some(Verdict::new(rule, at, id, owner)));
        Ok(id)
    }

    /// Changes a rule in place: it keeps its number, its place and its counts. False: there is no such rule.
    pub(crate) fn change(&self, cx: &Cx<'_, Locked>, id: u32, rule: &Rule, owner: Owner) -> bool {
        let mut found = false;
        self.rewrite(
            cx,
            |old| {
                if old.id == id {
                    found = true;
                    Some(Verdict::new(rule, old.tally, id, owner))
                } else {
                    Some(old)
                }
            },
            None,
        );
        found
    }

    /// Ends the rules `ends` names; how many.
    pub(crate) fn end(&self, cx: &Cx<'_, Locked>, ends: impl Fn(&Verdict) -> bool) -> u32 {
        let mut ended = 0u32;
        self.rewrite(
            cx,
            |rule| {
                if ends(&rule) {
                    ended = ended.saturating_add(1);
                    None
                } else {
                    Some(rule)
                }
            },
            None,
        );
        if ended != 0 {
            // Not before: who still reads the old table must find them counted somewhere.
            for tally in &self.tallies {
                if !self.list(cx).any(|rule| tally.is_of(rule.id)) {
                    tally.end();
                }
            }
        }
        ended
    }

    /// Writes the other table, `change` applied to each rule and `more` behind them, and makes it the one.
    fn rewrite(
        &self,
        cx: &Cx<'_, Locked>,
        mut change: impl FnMut(Verdict) -> Option<Verdict>,
        more: Option<Verdict>,
    ) {
        let version = self.version.load(Ordering::Relaxed);
        let next = version.wrapping_add(1);
        // Readers of this table, which was the one before the last change, find that it no longer is. The lock keeps other writers away.
        fence(Ordering::SeqCst);
        self.table(next)
            .fill(self.list(cx).filter_map(&mut change).chain(more));
        self.version.store(next, Ordering::Release);
    }
}
