//! What a controller does through a handle to `\\.\Ferry` beyond looking.

use drydock::nt::app::{Completion, Op};
use drydock::nt::status::NtStatus;
use ferry_abi::Message;
use ferry_abi::control::{
    self, Abort, Aborted, Action, Event, Events, Histogram, HistogramSelect, InFlight, Limit,
    Measure, Observe, PolicyKind, Rule, RuleAdded, RuleEntry, RuleRemove, Select, SetPolicy,
    matching,
};
use zerocopy::IntoBytes;

use crate::{Pending, Session};

impl Session {
    /// A rule of the one filter device that sees the requests of this program too.
    #[must_use]
    pub fn rule(&self, ops: u32, action: Action) -> Rule {
        Rule {
            matching: matching::OWN_PROCESS,
            ..Rule::every(self.device().id, ops, action)
        }
    }

    /// `IOCTL_FERRY_RULE_ADD`; the number of the rule.
    #[must_use]
    pub fn add(&self, rule: &Rule) -> u32 {
        self.query::<RuleAdded>(control::IOCTL_FERRY_RULE_ADD, rule.as_bytes())
            .id
    }

    /// `IOCTL_FERRY_RULE_ADD`; how it ended.
    pub fn try_add(&self, rule: &Rule) -> NtStatus {
        self.ioctl(
            control::IOCTL_FERRY_RULE_ADD,
            rule.as_bytes(),
            size_of::<RuleAdded>() as u32,
        )
        .status
    }

    /// `IOCTL_FERRY_RULE_REMOVE`; how it ended.
    pub fn remove(&self, rule: u32) -> NtStatus {
        let remove = RuleRemove::new(self.device().id, rule);
        self.ioctl(control::IOCTL_FERRY_RULE_REMOVE, remove.as_bytes(), 0)
            .status
    }

    /// `IOCTL_FERRY_RULES` of the one filter device.
    #[must_use]
    pub fn rules(&self) -> Vec<RuleEntry> {
        let select = Select::new(self.device().id, 0);
        let done = self.ioctl(control::IOCTL_FERRY_RULES, select.as_bytes(), 65_536);
        assert_eq!(done.status, NtStatus::SUCCESS);
        structures(&done.data)
    }

    /// `IOCTL_FERRY_LIMIT` on the one filter device, this program included.
    pub fn limit(&self, limit: u32) {
        let limit = Limit::new(self.device().id, limit, matching::OWN_PROCESS, 0);
        self.tell(control::IOCTL_FERRY_LIMIT, limit.as_bytes());
    }

    /// `IOCTL_FERRY_POLICY` on the one filter device.
    pub fn policy(&self, policy: PolicyKind) {
        let policy = SetPolicy::new(self.device().id, policy.code());
        self.tell(control::IOCTL_FERRY_POLICY, policy.as_bytes());
    }

    /// `IOCTL_FERRY_ABORT` of everything below; how many there were.
    #[must_use]
    pub fn abort(&self) -> u32 {
        let abort = Abort::new(self.device().id, 0, 0);
        self.query::<Aborted>(control::IOCTL_FERRY_ABORT, abort.as_bytes())
            .count
    }

    /// `IOCTL_FERRY_OBSERVE` of every device.
    pub fn observe(&self, on: bool) {
        let observe = Observe::new(0, u32::from(on), 0);
        self.tell(control::IOCTL_FERRY_OBSERVE, observe.as_bytes());
    }

    /// `IOCTL_FERRY_WAIT` for at most `events`, pended.
    #[must_use]
    pub fn wait_for_events(&self, events: usize) -> Pending {
        let room = size_of::<Events>() + events * size_of::<Event>();
        self.start(Op::Ioctl {
            code: control::IOCTL_FERRY_WAIT.0,
            input: Vec::new(),
            output_len: room as u32,
        })
    }

    /// `IOCTL_FERRY_IN_FLIGHT` of the one filter device.
    #[must_use]
    pub fn in_flight(&self) -> Vec<InFlight> {
        let select = Select::new(self.device().id, 0);
        let done = self.ioctl(control::IOCTL_FERRY_IN_FLIGHT, select.as_bytes(), 65_536);
        assert_eq!(done.status, NtStatus::SUCCESS);
        structures(&done.data)
    }

    /// `IOCTL_FERRY_HISTOGRAM` of the one filter device.
    #[must_use]
    pub fn histogram(&self, op: u32, measure: Measure) -> Histogram {
        let select = HistogramSelect::new(self.device().id, op, measure.code(), 0);
        self.query(control::IOCTL_FERRY_HISTOGRAM, select.as_bytes())
    }
}

/// The events of an answered wait, and how many were lost before them.
///
/// # Panics
/// If the answer is not one.
#[must_use]
pub fn events(done: &Completion) -> (u64, Vec<Event>) {
    assert_eq!(done.status, NtStatus::SUCCESS, "a wait is answered");
    let (header, rest) = done.data.split_at(size_of::<Events>());
    match Events::read(header) {
        Ok(header) => {
            let events: Vec<Event> = structures(rest);
            assert_eq!(events.len(), header.count as usize);
            (header.lost, events)
        }
        Err(refused) => panic!("{refused:?}"),
    }
}

/// The structures an answer is made of.
fn structures<M: Message>(bytes: &[u8]) -> Vec<M> {
    assert_eq!(bytes.len() % size_of::<M>(), 0, "whole structures");
    let read = |bytes| M::read(bytes).unwrap_or_else(|refused| panic!("{refused:?}"));
    bytes.chunks_exact(size_of::<M>()).map(read).collect()
}
