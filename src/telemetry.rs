//! What ferry tells trace sessions, through `TraceLogging`. Nothing is built of an event unless a session listens.
//!
//! Devices that come and go, rules that begin and end, a control device that cannot be had; and, of devices somebody observes, every event
//! an observer is given.

use ferry_abi::control::{Event, Rule};
use wdf::{Status, trace::Provider};

tracelogging::define_provider!(PROVIDER, "Ferry.Filter");

/// The provider, for whoever registers it.
pub(crate) fn provider() -> &'static Provider {
    &PROVIDER
}

/// A filter device has started; `controlled`: a controller can name it.
pub(crate) fn device_started(id: u32, controlled: bool) {
    let controlled = u32::from(controlled);
    tracelogging::write_event!(
        PROVIDER,
        "DeviceStarted",
        level(Informational),
        u32("device", &id),
        u32("controlled", &controlled),
    );
}

/// A filter device is gone.
pub(crate) fn device_gone(id: u32) {
    tracelogging::write_event!(
        PROVIDER,
        "DeviceGone",
        level(Informational),
        u32("device", &id),
    );
}

/// There is no control device, for now.
pub(crate) fn no_control(status: Status) {
    let status = status.raw().cast_unsigned();
    tracelogging::write_event!(
        PROVIDER,
        "NoControlDevice",
        level(Error),
        u32("status", &status),
    );
}

/// A rule is in force.
pub(crate) fn rule_added(rule: &Rule, id: u32) {
    tracelogging::write_event!(
        PROVIDER,
        "RuleAdded",
        level(Informational),
        u32("device", &rule.device),
        u32("rule", &id),
        u32("action", &rule.action),
    );
}

/// Rules have ended.
pub(crate) fn rules_ended(device: u32, count: u32) {
    tracelogging::write_event!(
        PROVIDER,
        "RulesEnded",
        level(Informational),
        u32("device", &device),
        u32("count", &count),
    );
}

/// Something has happened to an observed request.
pub(crate) fn request(event: &Event) {
    tracelogging::write_event!(
        PROVIDER,
        "Request",
        level(Verbose),
        u32("device", &event.device),
        u32("kind", &event.kind),
        u64("request", &event.request),
        u32("op", &event.op),
        u32("status", &event.status),
    );
}
