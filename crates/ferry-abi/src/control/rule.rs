//! Rules: what a request must look like, and what becomes of it then.

use super::{Invalid, MAX_DELAY_MS, MAX_HOLD_MS, ops, require};
use crate::{ControlCode, Method, layout, message};

super::codes! {
    /// What becomes of a request that a rule matches. The first rule that matches decides; rules are tried in the order they were added.
    Action {
        /// Nothing: later rules are not tried.
        Pass = 0,
        /// It is parked for [`Rule::milliseconds`] and then sent.
        Delay = 1,
        /// It waits in the held queue until it is released, or [`Rule::milliseconds`] old (0: 30 seconds).
        Hold = 2,
        /// It is completed with [`Rule::status`] and Information 0, and never reaches the device.
        Fail = 3,
        /// The device is asked for [`Rule::bytes`] at most. Reads and writes.
        Shorten = 4,
        /// The requestor is told of [`Rule::bytes`] at most. Reads.
        Truncate = 5,
        /// It is kept until it is canceled, its handle is closed, or the rule ends, which sends it.
        Drop = 6,
        /// It reaches the device in chunks of [`Rule::bytes`], in the device's split mode (sequential if none is set). Reads and writes.
        Split = 7,
    }
}

super::codes! {
    /// Whether a delayed request keeps its place among those of its handle.
    Order {
        /// Later requests of the handle wait behind it.
        Keep = 0,
        /// They do not.
        Free = 1,
    }
}

/// Which requests a rule, limit or split sees beyond the default: user mode, a file object, another process than the controller's.
pub mod matching {
    /// Also those of the process that opened the control handle.
    pub const OWN_PROCESS: u32 = 1;
    /// Also those of kernel-mode callers.
    pub const KERNEL: u32 = 2;
    /// Not those of user-mode callers. Only together with [`KERNEL`].
    pub const NOT_USER: u32 = 4;
    /// Also those that come without a file object. They have no order to keep.
    pub const NO_FILE: u32 = 8;
    /// Every flag there is.
    pub const ALL: u32 = OWN_PROCESS | KERNEL | NOT_USER | NO_FILE;
}

/// What [`Rule::probability`] is a fraction of.
pub const CERTAIN: u32 = 1_000_000;

layout! {
    /// One rule. Every condition must hold; a condition at its neutral value always holds.
    Rule, 120 {
        /// A [`Device::id`](super::Device::id).
        device: u32,
        /// Its number, given by the driver; 0 when it is added.
        id: u32,
        /// Mask of [`ops`], not 0.
        ops: u32,
        /// [`matching`] flags.
        matching: u32,
        /// Only controls with this code; 0: any. With it `ops` must be [`ops::CONTROL`] or [`ops::INTERNAL`].
        code: u32,
        /// Only requests of this process; 0: any that `matching` admits.
        process: u32,
        /// Shortest transfer, in bytes. For controls the longer of input and output.
        length_min: u64,
        /// Longest transfer, in bytes; neutral: `u64::MAX`.
        length_max: u64,
        /// Lowest byte offset the transfer may touch; neutral: 0. Controls have no offset: with a range set they do not match.
        offset_min: u64,
        /// Highest byte offset the transfer may begin at; neutral: `u64::MAX`.
        offset_max: u64,
        /// Only every n-th request that meets the conditions above, the n-th first; 0 and 1: every one.
        every: u32,
        /// Of these, a fraction of [`CERTAIN`]: 1,000,000 is all, 0 is none.
        probability: u32,
        /// Decides which. The same seed and sequence of requests give the same decisions.
        seed: u64,
        /// How many times the rule acts before it only passes on to the next rule; 0: without end.
        times: u64,
        /// An [`Action`].
        action: u32,
        /// An [`Order`]; of [`Action::Delay`] only.
        order: u32,
        /// Of [`Action::Delay`]: how long. Of [`Action::Hold`]: the highest age, 0 for 30 seconds.
        milliseconds: u32,
        /// Of [`Action::Fail`]: an NTSTATUS of severity error or warning.
        status: u32,
        /// Of [`Action::Shorten`], [`Action::Truncate`] and [`Action::Split`]: how many bytes.
        bytes: u32,
        /// 0.
        reserved: u32,
        /// 0.
        reserved2: u64,
    }
}

/// `STATUS_MORE_PROCESSING_REQUIRED`, which a completion must never carry.
const MORE_PROCESSING_REQUIRED: u32 = 0xC000_0016;

impl Rule {
    /// A rule without conditions beyond the operations.
    #[must_use]
    pub fn every(device: u32, ops: u32, action: Action) -> Self {
        Self {
            header: <Self as crate::Message>::expected(),
            device,
            id: 0,
            ops,
            matching: 0,
            code: 0,
            process: 0,
            length_min: 0,
            length_max: u64::MAX,
            offset_min: 0,
            offset_max: u64::MAX,
            every: 0,
            probability: CERTAIN,
            seed: 0,
            times: 0,
            action: action.code(),
            order: 0,
            milliseconds: 0,
            status: 0,
            bytes: 0,
            reserved: 0,
            reserved2: 0,
        }
    }

    /// Checks the fields of a rule to be added.
    ///
    /// # Errors
    /// The field that cannot be accepted.
    pub fn check(&self) -> Result<(), Invalid> {
        require(self.id == 0, "id")?;
        require(self.reserved == 0 && self.reserved2 == 0, "reserved")?;
        require(self.ops != 0 && self.ops & !ops::EVERY == 0, "ops")?;
        require(self.matching & !matching::ALL == 0, "matching")?;
        require(
            self.matching & matching::NOT_USER == 0 || self.matching & matching::KERNEL != 0,
            "matching",
        )?;
        require(
            self.code == 0 || self.ops & !(ops::CONTROL | ops::INTERNAL) == 0,
            "code",
        )?;
        if self.code != 0 && ControlCode(self.code).method() == Method::Neither {
            // Never carried: passed down in the caller's thread before any rule is asked (filter-rules 3).
            return Err(Invalid::unsupported("code"));
        }
        require(self.length_min <= self.length_max, "length_max")?;
        require(self.offset_min <= self.offset_max, "offset_max")?;
        require(self.probability <= CERTAIN, "probability")?;
        let order = Order::from_code(self.order).ok_or(Invalid::field("order"))?;
        let action = Action::from_code(self.action).ok_or(Invalid::field("action"))?;
        if self.ops & ops::INTERNAL != 0 && !matches!(action, Action::Pass | Action::Fail) {
            return Err(Invalid::unsupported("ops"));
        }
        require(order == Order::Keep || action == Action::Delay, "order")?;
        let longest = match action {
            Action::Delay => MAX_DELAY_MS,
            Action::Hold => MAX_HOLD_MS,
            _ => 0,
        };
        require(self.milliseconds <= longest, "milliseconds")?;
        let fails = self.status >> 30 >= 2 && self.status != MORE_PROCESSING_REQUIRED;
        require(
            if action == Action::Fail {
                fails
            } else {
                self.status == 0
            },
            "status",
        )?;
        let (may, zero) = match action {
            Action::Shorten => (ops::READ | ops::WRITE, true),
            Action::Split => (ops::READ | ops::WRITE, false),
            Action::Truncate => (ops::READ, true),
            _ => {
                require(self.bytes == 0, "bytes")?;
                (ops::EVERY, true)
            }
        };
        require(self.ops & !may == 0, "ops")?;
        require(zero || self.bytes != 0, "bytes")
    }
}

message! {
    /// Answer to a rule that was added.
    RuleAdded, 16 {
        /// Its number on the device: never 0, never used again while the device is there.
        id: u32,
        /// 0.
        reserved: u32,
    }
}

message! {
    /// Ends one rule.
    RuleRemove, 16 {
        /// A [`Device::id`](super::Device::id).
        device: u32,
        /// Number of the rule.
        id: u32,
    }
}

message! {
    /// Ends all rules of this handle on a device.
    RulesClear, 16 {
        /// A [`Device::id`](super::Device::id).
        device: u32,
        /// 0.
        reserved: u32,
    }
}

impl RulesClear {
    /// Checks the fields.
    ///
    /// # Errors
    /// The field that cannot be accepted.
    pub fn check(&self) -> Result<(), Invalid> {
        require(self.reserved == 0, "reserved")
    }
}

message! {
    /// A rule in force and how often it was used.
    RuleEntry, 160 {
        /// The rule, its `id` set.
        rule: Rule,
        /// Requests that met its conditions, those apart that `every`, `probability` and `times` speak of.
        matched: u64,
        /// Requests it decided over.
        hits: u64,
        /// 1 if it belongs to the handle that asks.
        mine: u32,
        /// Process that set it.
        owner: u32,
        /// 0.
        reserved: u64,
    }
}
