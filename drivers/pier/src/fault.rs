//! Faults a controller asks for: which requests fail, and how.

use ferry_abi::pier::{Fault, action, ops};
use wdf::{
    Status,
    cx::{Cx, Place},
    lock::SpinLock,
};

/// What becomes of a request.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// It is answered as it should be.
    Sound,
    /// It fails with this status.
    Fail(Status),
    /// It transfers so much at most.
    Short(usize),
    /// It is not answered.
    Stuck,
}

/// A fault in force. The default matches nothing.
#[derive(Default)]
struct Rule {
    ops: u32,
    verdict: Option<Verdict>,
    /// Matching requests that pass first.
    skip: u32,
    /// Matching requests it is applied to after those; `None`: all.
    left: Option<u32>,
}

/// The fault of a device.
pub(crate) struct Faults(SpinLock<Rule>);

impl Faults {
    /// No fault.
    ///
    /// # Errors
    /// `STATUS_INSUFFICIENT_RESOURCES`.
    pub(crate) fn none() -> Result<Self, Status> {
        SpinLock::new(Rule::default()).map(Self)
    }

    /// A new fault instead of the old one.
    ///
    /// # Errors
    /// `STATUS_INVALID_PARAMETER` for one that means nothing; the old one stays.
    pub(crate) fn set(&self, cx: &mut Cx<'_, impl Place>, fault: &Fault) -> Result<(), Status> {
        let rule = parse(fault)?;
        self.0.with(cx, |old| *old = rule);
        Ok(())
    }

    /// What becomes of the next request of that operation; counts it.
    pub(crate) fn judge(&self, cx: &mut Cx<'_, impl Place>, op: u32) -> Verdict {
        self.0.with(cx, |rule| {
            let Some(verdict) = rule.verdict.filter(|_| rule.ops & op != 0) else {
                return Verdict::Sound;
            };
            if let Some(skip) = rule.skip.checked_sub(1) {
                rule.skip = skip;
                return Verdict::Sound;
            }
            match rule.left {
                None => verdict,
                Some(left) => {
                    let left = left.saturating_sub(1);
                    rule.left = Some(left);
                    if left == 0 {
                        rule.verdict = None;
                    }
                    verdict
                }
            }
        })
    }
}

/// Warnings and errors; neither success nor `STATUS_MORE_PROCESSING_REQUIRED`, which no request ends with.
fn is_failure(status: u32) -> bool {
    const MORE_PROCESSING_REQUIRED: u32 = 0xC000_0016;
    status >= 0x8000_0000 && status != MORE_PROCESSING_REQUIRED
}

fn parse(fault: &Fault) -> Result<Rule, Status> {
    if fault.ops == 0 {
        let rest = fault.action | fault.status | fault.bytes | fault.skip | fault.count;
        return if rest == 0 {
            Ok(Rule::default())
        } else {
            Err(Status::INVALID_PARAMETER)
        };
    }
    if fault.ops & !ops::ALL != 0 {
        return Err(Status::INVALID_PARAMETER);
    }
    let verdict = match (fault.action, fault.status, fault.bytes) {
        (action::FAIL, status, 0) if is_failure(status) => {
            Verdict::Fail(Status::from_raw(status.cast_signed()))
        }
        (action::SHORT, 0, bytes) if fault.ops & ops::CONTROL == 0 => {
            Verdict::Short(usize::try_from(bytes).unwrap_or(usize::MAX))
        }
        (action::STUCK, 0, 0) => Verdict::Stuck,
        _ => return Err(Status::INVALID_PARAMETER),
    };
    Ok(Rule {
        ops: fault.ops,
        verdict: Some(verdict),
        skip: fault.skip,
        left: Some(fault.count).filter(|count| *count != 0),
    })
}
