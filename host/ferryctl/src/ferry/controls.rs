//! The controls of ferry.

use std::time::Duration;

use ferry_abi::ControlCode;
use ferry_abi::control::{
    self, Abort, Aborted, Action, Delay, Device as Entry, Histogram, HistogramSelect, Hold,
    InFlight, Info, Limit, Measure, Observe, PolicyKind, Probe, Probed, Release, Released, Rule,
    RuleAdded, RuleEntry, RuleRemove, RulesClear, Select, SetPolicy, Settings, Split, Stats,
    Timeout,
};
use zerocopy::IntoBytes;

use super::{Unreachable, ask, control, list, milliseconds};
use crate::platform::{Access, Device, Platform, Result};

/// Filter devices, and requests in flight, asked for at once.
const MOST: usize = 256;

/// A handle to ferry's control device. What is set through it ends when it is closed, the policy excepted.
pub struct Ferry {
    /// The handle.
    pub device: Box<dyn Device>,
}

impl Ferry {
    /// Opens `\\.\Ferry`.
    ///
    /// # Errors
    /// [`Unreachable`]: ferry does not run, or the caller is no administrator.
    pub fn open(platform: &dyn Platform) -> Result<Self> {
        match platform.open(control::WIN32_NAME, Access::ReadWrite)? {
            Ok(device) => Ok(Self { device }),
            Err(status) => {
                let advice = status.advice().unwrap_or_default();
                Err(Unreachable(format!(
                    "ferry does not answer at its control device {}: {status}\n  {advice}",
                    control::WIN32_NAME
                ))
                .into())
            }
        }
    }

    fn tell(&self, code: ControlCode, input: &[u8], what: &str) -> Result<()> {
        control(&*self.device, code, input, 0, what).map(drop)
    }

    /// What runs there.
    ///
    /// # Errors
    /// The control failed.
    pub fn info(&self) -> Result<Info> {
        ask(
            &*self.device,
            control::IOCTL_FERRY_INFO,
            &[],
            "ask ferry about itself",
        )
    }

    /// The filter devices.
    ///
    /// # Errors
    /// The control failed.
    pub fn devices(&self) -> Result<Vec<Entry>> {
        let code = control::IOCTL_FERRY_DEVICES;
        list(&*self.device, code, &[], MOST, "list ferry's devices")
    }

    /// Counters of a filter device.
    ///
    /// # Errors
    /// The control failed.
    pub fn stats(&self, device: u32) -> Result<Stats> {
        let what = format!("read the counters of filter device {device}");
        let select = Select::new(device, 0);
        ask(
            &*self.device,
            control::IOCTL_FERRY_STATS,
            select.as_bytes(),
            &what,
        )
    }

    /// What is set on a filter device.
    ///
    /// # Errors
    /// The control failed.
    pub fn settings(&self, device: u32) -> Result<Settings> {
        let what = format!("read the settings of filter device {device}");
        let select = Select::new(device, 0);
        ask(
            &*self.device,
            control::IOCTL_FERRY_SETTINGS,
            select.as_bytes(),
            &what,
        )
    }

    /// Latencies of one operation, counted while the device was observed.
    ///
    /// # Errors
    /// The control failed.
    pub fn histogram(&self, device: u32, op: u32, measure: Measure) -> Result<Histogram> {
        let select = HistogramSelect::new(device, op, measure.code(), 0);
        let code = control::IOCTL_FERRY_HISTOGRAM;
        ask(&*self.device, code, select.as_bytes(), "read latencies")
    }

    /// Requests ferry knows of at this moment, of an observed device.
    ///
    /// # Errors
    /// The control failed.
    pub fn in_flight(&self, device: u32) -> Result<Vec<InFlight>> {
        let select = Select::new(device, 0);
        let code = control::IOCTL_FERRY_IN_FLIGHT;
        list(
            &*self.device,
            code,
            select.as_bytes(),
            MOST,
            "list requests in flight",
        )
    }

    /// Records latencies and events of a device (0: of all) from now on.
    ///
    /// # Errors
    /// The control failed.
    pub fn observe(&self, device: u32) -> Result<()> {
        let observe = Observe::new(device, 1, 0);
        self.tell(control::IOCTL_FERRY_OBSERVE, observe.as_bytes(), "observe")
    }

    /// Holds what matches from now on.
    ///
    /// # Errors
    /// The control failed.
    pub fn hold(&self, device: u32, ops: u32, max_age: Duration) -> Result<()> {
        let hold = Hold::new(device, ops, milliseconds(max_age, "the age of a hold")?, 0);
        self.tell(control::IOCTL_FERRY_HOLD, hold.as_bytes(), "hold requests")
    }

    /// Releases held requests, oldest first; 0 means all. Gives how many.
    ///
    /// # Errors
    /// The control failed.
    pub fn release(&self, device: u32, count: u32) -> Result<u32> {
        let release = Release::new(device, count, 0, 0);
        let code = control::IOCTL_FERRY_RELEASE;
        let released: Released = ask(&*self.device, code, release.as_bytes(), "release requests")?;
        Ok(released.count)
    }

    /// Delays what matches from now on.
    ///
    /// # Errors
    /// The control failed.
    pub fn delay(&self, device: u32, ops: u32, delay: Duration) -> Result<()> {
        let delay = Delay::new(device, ops, milliseconds(delay, "a delay")?, 0);
        self.tell(
            control::IOCTL_FERRY_DELAY,
            delay.as_bytes(),
            "delay requests",
        )
    }

    /// Adds a rule behind those there are. Gives its number.
    ///
    /// # Errors
    /// The control failed.
    pub fn add_rule(&self, rule: &Rule) -> Result<u32> {
        let code = control::IOCTL_FERRY_RULE_ADD;
        let added: RuleAdded = ask(&*self.device, code, rule.as_bytes(), "add a rule")?;
        Ok(added.id)
    }

    /// Adds the rule `ops -> action`, which sees this process's requests too, changed by `with`. Gives its number.
    ///
    /// # Errors
    /// The control failed.
    pub fn rule(
        &self,
        device: u32,
        ops: u32,
        action: Action,
        with: impl FnOnce(&mut Rule),
    ) -> Result<u32> {
        let mut rule = Rule::every(device, ops, action);
        rule.matching = control::matching::OWN_PROCESS;
        with(&mut rule);
        self.add_rule(&rule)
    }

    /// Ends one rule of this handle.
    ///
    /// # Errors
    /// The control failed.
    pub fn remove_rule(&self, device: u32, id: u32) -> Result<()> {
        let remove = RuleRemove::new(device, id);
        let code = control::IOCTL_FERRY_RULE_REMOVE;
        self.tell(code, remove.as_bytes(), "remove a rule")
    }

    /// The rules in force, in the order they are tried.
    ///
    /// # Errors
    /// The control failed.
    pub fn rules(&self, device: u32) -> Result<Vec<RuleEntry>> {
        let select = Select::new(device, 0);
        let code = control::IOCTL_FERRY_RULES;
        list(
            &*self.device,
            code,
            select.as_bytes(),
            control::MAX_RULES as usize,
            "list rules",
        )
    }

    /// Ends all rules of this handle on a device. Gives how many.
    ///
    /// # Errors
    /// The control failed.
    pub fn clear_rules(&self, device: u32) -> Result<u32> {
        let clear = RulesClear::new(device, 0);
        let code = control::IOCTL_FERRY_RULES_CLEAR;
        let ended: Released = ask(&*self.device, code, clear.as_bytes(), "clear the rules")?;
        Ok(ended.count)
    }

    /// Sets how a device's requests travel. Stays when the handle is closed.
    ///
    /// # Errors
    /// The control failed.
    pub fn set_policy(&self, device: u32, policy: PolicyKind) -> Result<()> {
        let policy = SetPolicy::new(device, policy.code());
        self.tell(
            control::IOCTL_FERRY_POLICY,
            policy.as_bytes(),
            "set the policy",
        )
    }

    /// Sets how many requests may be below at once; 0: any number.
    ///
    /// # Errors
    /// The control failed.
    pub fn set_limit(&self, device: u32, limit: u32) -> Result<()> {
        let limit = Limit::new(device, limit, control::matching::OWN_PROCESS, 0);
        self.tell(
            control::IOCTL_FERRY_LIMIT,
            limit.as_bytes(),
            "set the in-flight limit",
        )
    }

    /// Sets how long transfers are cut; `max_transfer` 0: not at all.
    ///
    /// # Errors
    /// The control failed.
    pub fn set_split(&self, split: &Split) -> Result<()> {
        self.tell(
            control::IOCTL_FERRY_SPLIT,
            split.as_bytes(),
            "set the split",
        )
    }

    /// Sets after how long a request below is cancelled; zero: never.
    ///
    /// # Errors
    /// The control failed.
    pub fn set_timeout(&self, device: u32, timeout: Duration) -> Result<()> {
        let timeout = milliseconds(timeout, "a timeout")?;
        let timeout = Timeout::new(device, timeout, control::matching::OWN_PROCESS, 0);
        self.tell(
            control::IOCTL_FERRY_TIMEOUT,
            timeout.as_bytes(),
            "set the send timeout",
        )
    }

    /// Cancels what is below: one request, or all with 0. Gives how many were below.
    ///
    /// # Errors
    /// The control failed.
    pub fn abort(&self, device: u32, request: u64) -> Result<u32> {
        let abort = Abort::new(device, 0, request);
        let code = control::IOCTL_FERRY_ABORT;
        let aborted: Aborted = ask(&*self.device, code, abort.as_bytes(), "abort requests")?;
        Ok(aborted.count)
    }

    /// Sends a request of ferry's own to the lower device and waits for it.
    ///
    /// # Errors
    /// The control failed; what the lower device said is in the answer.
    pub fn probe(&self, probe: &Probe) -> Result<Probed> {
        let code = control::IOCTL_FERRY_PROBE;
        ask(
            &*self.device,
            code,
            probe.as_bytes(),
            "probe the lower device",
        )
    }
}
