//! What a rule says, whichever way it was written.

use std::time::Duration;

use ferry_abi::control::{Action, CERTAIN, Order, Rule, matching, ops};

use super::range;
use crate::output;
use crate::status::Status;

/// One rule, for whatever device.
#[derive(Debug, Clone, PartialEq)]
pub struct Spec {
    /// Mask of [`ops`].
    pub ops: u32,
    /// What becomes of a request.
    pub action: Action,
    /// Of a delay: how long. Of a hold: the highest age.
    pub time: Duration,
    /// Of a failure.
    pub status: Option<Status>,
    /// Of shorten, truncate and split.
    pub bytes: u32,
    /// Whether a delayed request keeps its place among those of its handle.
    pub order: Order,
    /// Only this control code; 0: any.
    pub code: u32,
    /// Only this process; 0: any.
    pub process: u32,
    /// Bytes of the transfer.
    pub length: (u64, u64),
    /// Where the transfer is.
    pub offset: (u64, u64),
    /// Only every n-th.
    pub every: u32,
    /// Of these, so many of a million.
    pub probability: u32,
    /// Decides which.
    pub seed: u64,
    /// How often it acts; 0: without end.
    pub times: u64,
    /// [`matching`] flags.
    pub matching: u32,
}

impl Spec {
    /// A rule without conditions beyond the operations.
    #[must_use]
    pub const fn new(ops: u32, action: Action) -> Self {
        Self {
            ops,
            action,
            time: Duration::ZERO,
            status: None,
            bytes: 0,
            order: Order::Keep,
            code: 0,
            process: 0,
            length: (0, u64::MAX),
            offset: (0, u64::MAX),
            every: 0,
            probability: CERTAIN,
            seed: 0,
            times: 0,
            matching: 0,
        }
    }

    /// The driver's rule, checked as the driver checks it.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn rule(&self, device: u32) -> Result<Rule, String> {
        let milliseconds = u32::try_from(self.time.as_millis())
            .map_err(|_| format!("{:?} is too long", self.time))?;
        let rule = Rule {
            matching: self.matching,
            code: self.code,
            process: self.process,
            length_min: self.length.0,
            length_max: self.length.1,
            offset_min: self.offset.0,
            offset_max: self.offset.1,
            every: self.every,
            probability: self.probability,
            seed: self.seed,
            times: self.times,
            order: self.order.code(),
            milliseconds,
            status: self.status.map_or(0, |status| status.0.cast_unsigned()),
            bytes: self.bytes,
            ..Rule::every(device, self.ops, self.action)
        };
        rule.check().map_err(|invalid| explain(invalid.field))?;
        Ok(rule)
    }
}

/// Why the driver would refuse a field.
fn explain(field: &str) -> String {
    match field {
        "ops" => "the operations do not fit the action: shorten and split are for reads and writes, truncate for reads",
        "code" => "a control code belongs to a rule for controls only, and METHOD_NEITHER controls are passed down before any rule is asked",
        "status" => "a failure needs a status of error or warning severity, such as STATUS_DEVICE_BUSY or 0xC0000185",
        "milliseconds" => "a delay lasts a minute at most, a hold ten minutes",
        "bytes" => "say how many bytes, for shorten, truncate and split only",
        "order" => "`free` is for delays",
        "matching" => "no-user goes with kernel only",
        "probability" => "a probability is at most 1",
        other => return format!("{other} cannot be accepted"),
    }
    .to_owned()
}

/// Operations by name.
const OPS: [(&str, u32); 4] = [
    ("read", ops::READ),
    ("write", ops::WRITE),
    ("control", ops::CONTROL),
    ("internal", ops::INTERNAL),
];
/// Actions by name.
pub const ACTIONS: [(&str, Action); 8] = [
    ("pass", Action::Pass),
    ("delay", Action::Delay),
    ("hold", Action::Hold),
    ("fail", Action::Fail),
    ("shorten", Action::Shorten),
    ("truncate", Action::Truncate),
    ("drop", Action::Drop),
    ("split", Action::Split),
];
/// Flags by name.
pub const FLAGS: [(&str, u32); 4] = [
    ("own-process", matching::OWN_PROCESS),
    ("kernel", matching::KERNEL),
    ("no-user", matching::NOT_USER),
    ("no-file", matching::NO_FILE),
];

/// An operation by name; `all` is read, write and control.
///
/// # Errors
/// There is no such operation.
pub fn op(name: &str) -> Result<u32, String> {
    if name == "all" {
        return Ok(ops::ALL);
    }
    let found = OPS.iter().find(|(known, _)| *known == name);
    found
        .map(|(_, op)| *op)
        .ok_or_else(|| format!("{name:?} is none of read, write, control, internal, all"))
}

/// An action by name.
///
/// # Errors
/// There is no such action.
pub fn action(name: &str) -> Result<Action, String> {
    let found = ACTIONS.iter().find(|(known, _)| *known == name);
    found.map(|(_, action)| *action).ok_or_else(|| {
        let names: Vec<_> = ACTIONS.iter().map(|(name, _)| *name).collect();
        format!("{name:?} is none of {}", names.join(", "))
    })
}

/// A mask of operations in words.
#[must_use]
pub fn op_names(mask: u32) -> String {
    if mask == ops::ALL {
        return "all".to_owned();
    }
    let names: Vec<_> = OPS
        .iter()
        .filter(|(_, op)| mask & op != 0)
        .map(|(name, _)| *name)
        .collect();
    names.join(",")
}

/// A fraction: `0.25`, `25%`.
///
/// # Errors
/// It is none.
pub fn fraction(text: &str) -> Result<u32, String> {
    let wrong = || format!("{text:?} is no probability: write 0.25 or 25%");
    let number: f64 = match text.strip_suffix('%') {
        Some(percent) => percent.trim().parse::<f64>().map_err(|_| wrong())? / 100.0,
        None => text.parse().map_err(|_| wrong())?,
    };
    if (0.0..=1.0).contains(&number) {
        Ok((number * f64::from(CERTAIN)).round() as u32)
    } else {
        Err(format!("a probability is between 0 and 1, {text} is not"))
    }
}

/// A rule of the driver as it would be written on the command line.
#[must_use]
pub fn describe(rule: &Rule) -> String {
    let mut text = op_names(rule.ops);
    let action = Action::from_code(rule.action);
    let name = ACTIONS.iter().find(|(_, known)| Some(*known) == action);
    text.push(' ');
    text.push_str(name.map_or("?", |(name, _)| name));
    match action {
        Some(Action::Delay) => text.push_str(&format!(" {}ms", rule.milliseconds)),
        Some(Action::Fail) => {
            text.push_str(&format!(" {}", Status(rule.status.cast_signed()).short()))
        }
        Some(Action::Hold) if rule.milliseconds != 0 => {
            text.push_str(&format!(
                " {}",
                output::time(u64::from(rule.milliseconds) * 10_000)
            ));
        }
        Some(Action::Shorten | Action::Truncate | Action::Split) => {
            text.push_str(&format!(" {}", rule.bytes))
        }
        _ => {}
    }
    let mut say = |key: &str, value: String| text.push_str(&format!(" {key}={value}"));
    if rule.order == Order::Free.code() {
        say("order", "free".to_owned());
    }
    if rule.code != 0 {
        say("code", format!("{:#010x}", rule.code));
    }
    if rule.process != 0 {
        say("process", rule.process.to_string());
    }
    if (rule.length_min, rule.length_max) != (0, u64::MAX) {
        say("length", range::show(rule.length_min, rule.length_max));
    }
    if (rule.offset_min, rule.offset_max) != (0, u64::MAX) {
        say("offset", range::show(rule.offset_min, rule.offset_max));
    }
    if rule.every > 1 {
        say("every", rule.every.to_string());
    }
    if rule.probability != CERTAIN {
        say(
            "probability",
            format!("{}", f64::from(rule.probability) / f64::from(CERTAIN)),
        );
        say("seed", rule.seed.to_string());
    }
    if rule.times != 0 {
        say("times", rule.times.to_string());
    }
    for (name, flag) in FLAGS {
        if rule.matching & flag != 0 {
            text.push(' ');
            text.push_str(name);
        }
    }
    text
}
