//! Rules, and the two that can be set in one word; letting go.

use core::sync::atomic::{AtomicU32, Ordering};

use ferry_abi::{
    Message,
    control::{
        Action, DEFAULT_HOLD_MS, Delay, Hold, Release, Released, Rule, RuleAdded, RuleEntry,
        RuleRemove, RulesClear, Select, matching, ops,
    },
};
use wdf::{
    Status,
    cx::{Cx, Locked},
    device::Device,
    request::{Buffered, Written},
};

use super::answer::{find, input, invalid, nothing, optional, output, several};
use crate::{attention, device::Crossing, registry::Registry, rules::Owner, telemetry};

pub(super) fn add<'r>(
    registry: &Registry,
    cx: &mut Cx<'_, Locked>,
    owner: Owner,
    buffer: Buffered<'_, 'r>,
) -> Result<Written<'r>, Status> {
    let rule: Rule = input(&buffer)?;
    rule.check().map_err(invalid)?;
    let device = find(registry, rule.device)?;
    if rule.ops & ops::CONTROL == 0 && is_neither(device) {
        // Reads and writes of this device are never carried (filter rule 3).
        return Err(Status::NOT_SUPPORTED);
    }
    if rule.action == Action::Split.code() {
        super::settings::can_split(device, rule.bytes, false)?;
    }
    if !buffer.has_room(size_of::<RuleAdded>()) {
        return Err(Status::BUFFER_TOO_SMALL);
    }
    let id = device.shelf.rules.add(cx, &rule, owner)?;
    telemetry::rule_added(&rule, id);
    device.attention.set(attention::RULES, true);
    output(buffer, &RuleAdded::new(id, 0))
}

/// Whether its reads and writes carry raw user addresses.
fn is_neither(device: &Device<Crossing>) -> bool {
    device.io_flags() == 0
}

pub(super) fn remove<'r>(
    registry: &Registry,
    cx: &mut Cx<'_, Locked>,
    owner: Owner,
    buffer: Buffered<'_, 'r>,
) -> Result<Written<'r>, Status> {
    let remove: RuleRemove = input(&buffer)?;
    let device = find(registry, remove.device)?;
    let rule = device
        .shelf
        .rules
        .list(cx)
        .find(|rule| rule.id == remove.id)
        .ok_or(Status::NOT_FOUND)?;
    if rule.owner != owner.handle {
        return Err(Status::ACCESS_DENIED);
    }
    device.end_rules(cx, |rule| rule.id == remove.id);
    Ok(nothing(buffer))
}

pub(super) fn clear<'r>(
    registry: &Registry,
    cx: &mut Cx<'_, Locked>,
    owner: Owner,
    buffer: Buffered<'_, 'r>,
) -> Result<Written<'r>, Status> {
    let clear: RulesClear = input(&buffer)?;
    clear.check().map_err(invalid)?;
    let device = find(registry, clear.device)?;
    if buffer.has_output() && !buffer.has_room(size_of::<Released>()) {
        return Err(Status::BUFFER_TOO_SMALL);
    }
    let ended = device.end_rules(cx, |rule| rule.owner == owner.handle);
    optional(buffer, &Released::new(ended, 0))
}

pub(super) fn list<'r>(
    registry: &Registry,
    cx: &mut Cx<'_, Locked>,
    owner: Owner,
    buffer: Buffered<'_, 'r>,
) -> Result<Written<'r>, Status> {
    let select: Select = input(&buffer)?;
    select.check().map_err(invalid)?;
    let device = find(registry, select.device)?;
    let rules = &device.shelf.rules;
    let entries = rules.list(cx).map(|rule| {
        let (matched, hits) = rules.counts(&rule);
        RuleEntry {
            header: RuleEntry::expected(),
            rule: rule.rule(select.device),
            matched,
            hits,
            mine: u32::from(rule.owner == owner.handle),
            owner: rule.owner_process,
            reserved: 0,
        }
    });
    several(buffer, entries)
}

/// The rule a word stands for: in the place of the one it stood for before, which keeps its number, or behind the others.
fn instead(
    cx: &mut Cx<'_, Locked>,
    device: &Crossing,
    of: &AtomicU32,
    rule: Option<&Rule>,
    owner: Owner,
) -> Result<(), Status> {
    let rules = &device.shelf.rules;
    let old = of.load(Ordering::Relaxed);
    match rule {
        Some(rule) if old != 0 && rules.change(cx, old, rule, owner) => {}
        Some(rule) => of.store(rules.add(cx, rule, owner)?, Ordering::Relaxed),
        None => {
            device.end_rules(cx, |rule| old != 0 && rule.id == old);
            of.store(0, Ordering::Relaxed);
        }
    }
    device.attention.set(attention::RULES, rules.count() != 0);
    device.pump.wake();
    Ok(())
}

pub(super) fn hold<'r>(
    registry: &Registry,
    cx: &mut Cx<'_, Locked>,
    owner: Owner,
    buffer: Buffered<'_, 'r>,
) -> Result<Written<'r>, Status> {
    let hold: Hold = input(&buffer)?;
    hold.check().map_err(invalid)?;
    let device = find(registry, hold.device)?;
    let rule = Rule {
        matching: matching::OWN_PROCESS,
        milliseconds: if hold.max_age_ms == 0 {
            DEFAULT_HOLD_MS
        } else {
            hold.max_age_ms
        },
        ..Rule::every(hold.device, hold.ops, Action::Hold)
    };
    let rule = (hold.ops != 0).then_some(&rule);
    instead(cx, device, &device.hold_rule, rule, owner)?;
    Ok(nothing(buffer))
}

pub(super) fn delay<'r>(
    registry: &Registry,
    cx: &mut Cx<'_, Locked>,
    owner: Owner,
    buffer: Buffered<'_, 'r>,
) -> Result<Written<'r>, Status> {
    let delay: Delay = input(&buffer)?;
    delay.check().map_err(invalid)?;
    let device = find(registry, delay.device)?;
    let rule = Rule {
        matching: matching::OWN_PROCESS,
        milliseconds: delay.delay_ms,
        ..Rule::every(delay.device, delay.ops, Action::Delay)
    };
    let rule = (delay.ops != 0).then_some(&rule);
    instead(cx, device, &device.delay_rule, rule, owner)?;
    Ok(nothing(buffer))
}

pub(super) fn release<'r>(
    registry: &Registry,
    cx: &mut Cx<'_, Locked>,
    buffer: Buffered<'_, 'r>,
) -> Result<Written<'r>, Status> {
    let release: Release = input(&buffer)?;
    release.check().map_err(invalid)?;
    let device = find(registry, release.device)?;
    let (waiting, _) = device.held.counts();
    let count = if release.count == 0 {
        waiting
    } else {
        release.count.min(waiting)
    };
    if buffer.has_output() && !buffer.has_room(size_of::<Released>()) {
        return Err(Status::BUFFER_TOO_SMALL);
    }
    // Those that have their ticket by now.
    let ticket = device.tickets.load(Ordering::Acquire);
    if release.rule == 0 {
        device.released.give(count, ticket);
    } else if !device.shelf.rules.grant(cx, release.rule, count, ticket) {
        return Err(Status::NOT_FOUND);
    }
    device.pump.wake();
    optional(buffer, &Released::new(count, 0))
}
