//! Rules: conditions, actions, and whose they are.

use std::time::Duration;

use anyhow::{Context, ensure};
use ferry_abi::control::{Action, CERTAIN, MAX_RULES, Rule, ops};
use ferry_abi::pier;

use super::super::Case;
use super::super::bed::{
    self, Bed, ended, finish, finish_all, pattern, still_pending, transferred,
};
use crate::ferry::{Failed, Ferry};
use crate::platform::{Operation, Result};
use crate::status::Status;

pub const CASES: &[Case] = &[
    Case {
        name: "rules/fail",
        shows: "a rule fails matching requests with its status, and they never reach the device",
        run: fail,
    },
    Case {
        name: "rules/shorten",
        shows: "a rule asks the device for less, and the shorter answer is what the program gets",
        run: shorten,
    },
    Case {
        name: "rules/truncate",
        shows: "a rule tells the program of less than the device gave",
        run: truncate,
    },
    Case {
        name: "rules/drop",
        shows: "a dropped request waits until it is cancelled, or until its rule ends",
        run: drop_requests,
    },
    Case {
        name: "rules/split",
        shows: "a rule cuts matching transfers into chunks of its own size",
        run: split,
    },
    Case {
        name: "rules/conditions",
        shows: "length, offset, control code and process decide whether a rule matches",
        run: conditions,
    },
    Case {
        name: "rules/every-nth",
        shows: "a rule with every = 3 acts on the third, sixth and ninth request",
        run: every_nth,
    },
    Case {
        name: "rules/probability-is-repeatable",
        shows: "a rule with a probability acts on the same requests again, given the same seed",
        run: probability,
    },
    Case {
        name: "rules/first-match-decides",
        shows: "the first rule that matches decides; when it has acted its times, the next one does",
        run: first_match,
    },
    Case {
        name: "rules/die-with-their-handle",
        shows: "closing a control handle ends its rules, and nobody else can end them",
        run: die_with_handle,
    },
    Case {
        name: "rules/many",
        shows: "64 rules fit on a device, each is counted on its own, and the 65th is refused",
        run: many,
    },
];

/// No case waits for this.
const LONG: u32 = 60_000;
const DEVICE_ERROR: u32 = Status::IO_DEVICE_ERROR.0.cast_unsigned();

fn fail(bed: &Bed<'_>) -> Result<()> {
    let (ferry, device) = (bed.ferry()?, bed.open()?);
    ferry.rule(bed.filter, ops::WRITE, Action::Fail, |rule| {
        rule.status = DEVICE_ERROR
    })?;
    let before = bed.stats()?;
    let done = finish(bed::write(&*device, 0, &[1; 16])?)?;
    ended(&done, Status::IO_DEVICE_ERROR, "the write")?;
    ensure!(
        done.information == 0,
        "it claims {} bytes",
        done.information
    );
    transferred(&finish(bed::read(&*device, 0, 16)?)?, 16, "a read")?;
    let after = bed.stats()?;
    ensure!(
        (
            after.failed - before.failed,
            after.forwarded - before.forwarded
        ) == (1, 1),
        "not exactly the read reached the device"
    );
    Ok(())
}

fn shorten(bed: &Bed<'_>) -> Result<()> {
    let (ferry, device) = (bed.ferry()?, bed.open()?);
    let data = pattern(41, 256);
    transferred(
        &finish(bed::write(&*device, 0, &data)?)?,
        256,
        "the write before",
    )?;
    ferry.rule(
        bed.filter,
        ops::READ | ops::WRITE,
        Action::Shorten,
        |rule| rule.bytes = 100,
    )?;
    let done = finish(bed::read(&*device, 0, 256)?)?;
    transferred(&done, 100, "the shortened read")?;
    ensure!(
        done.data == data[..100],
        "the shortened read came back changed"
    );
    transferred(
        &finish(bed::write(&*device, 0, &[9; 256])?)?,
        100,
        "the shortened write",
    )?;
    ferry.clear_rules(bed.filter)?;
    let done = finish(bed::read(&*device, 0, 256)?)?;
    ensure!(
        done.data[..100] == [9; 100] && done.data[100..] == data[100..],
        "the shortened write wrote something else than its first 100 bytes"
    );
    Ok(())
}

fn truncate(bed: &Bed<'_>) -> Result<()> {
    let (ferry, device) = (bed.ferry()?, bed.open()?);
    let data = pattern(42, 256);
    transferred(
        &finish(bed::write(&*device, 0, &data)?)?,
        256,
        "the write before",
    )?;
    ferry.rule(bed.filter, ops::READ, Action::Truncate, |rule| {
        rule.bytes = 10
    })?;
    let done = finish(bed::read(&*device, 0, 256)?)?;
    transferred(&done, 10, "the truncated read")?;
    ensure!(
        done.data == data[..10],
        "the truncated read came back changed"
    );
    Ok(())
}

fn drop_requests(bed: &Bed<'_>) -> Result<()> {
    let (ferry, device) = (bed.ferry()?, bed.open()?);
    let id = ferry.rule(bed.filter, ops::READ, Action::Drop, |_| ())?;
    let mut dropped = vec![bed::read(&*device, 0, 8)?, bed::read(&*device, 0, 8)?];
    bed.until(&ferry, "2 dropped requests", |entry| entry.dropped == 2)?;
    for read in &mut dropped {
        still_pending(&mut **read, "a dropped read")?;
    }
    let canceled = dropped.remove(0);
    ensure!(canceled.cancel()?, "there was nothing to cancel");
    ended(&finish(canceled)?, Status::CANCELLED, "the cancelled read")?;
    ferry.remove_rule(bed.filter, id)?;
    finish_all(dropped, Status::SUCCESS).map(drop)
}

fn split(bed: &Bed<'_>) -> Result<()> {
    let (ferry, device) = (bed.ferry()?, bed.open()?);
    crate::ferry::pier::set_max_transfer(&*device, 256)?;
    ferry.rule(bed.filter, ops::READ | ops::WRITE, Action::Split, |rule| {
        (rule.bytes, rule.length_min) = (256, 257);
    })?;
    let before = bed.stats()?;
    let data = pattern(43, 1000);
    transferred(&finish(bed::write(&*device, 0, &data)?)?, 1000, "the write")?;
    let done = finish(bed::read(&*device, 0, 1000)?)?;
    transferred(&done, 1000, "the read")?;
    ensure!(done.data == data, "the data came back changed");
    let chunks = bed.stats()?.chunks - before.chunks;
    ensure!(chunks == 8, "ferry sent {chunks} chunks of 8");
    Ok(())
}

/// Whether a request is failed by the one rule `with` describes.
fn hits(
    bed: &Bed<'_>,
    mask: u32,
    operation: Operation,
    with: impl FnOnce(&mut Rule),
) -> Result<bool> {
    let ferry = bed.ferry()?;
    ferry.rule(bed.filter, mask, Action::Fail, |rule| {
        rule.status = DEVICE_ERROR;
        with(rule);
    })?;
    let failed = bed::run(&*bed.open()?, operation)?.status == Status::IO_DEVICE_ERROR;
    // Not dropped: the rule must have ended before the next one is set.
    ferry.device.close()?;
    Ok(failed)
}

fn conditions(bed: &Bed<'_>) -> Result<()> {
    let read = |offset, length| Operation::Read { offset, length };
    let echo = || Operation::control(pier::IOCTL_PIER_ECHO, vec![1; 8], vec![0; 8]);
    let expect = |hit: bool, wanted: bool, what: &str| {
        let but = if wanted { "did not match" } else { "matched" };
        ensure!(hit == wanted, "a rule {but}: {what}");
        Ok(())
    };
    let long = |rule: &mut Rule| rule.length_min = 100;
    expect(
        hits(bed, ops::READ, read(0, 100), long)?,
        true,
        "100 bytes of 100 and more",
    )?;
    expect(
        hits(bed, ops::READ, read(0, 99), long)?,
        false,
        "99 bytes of 100 and more",
    )?;
    let early = |rule: &mut Rule| (rule.offset_min, rule.offset_max) = (1000, 1999);
    expect(
        hits(bed, ops::READ, read(1999, 8), early)?,
        true,
        "offset 1999 of 1000 to 1999",
    )?;
    expect(
        hits(bed, ops::READ, read(2000, 8), early)?,
        false,
        "offset 2000 of 1000 to 1999",
    )?;
    expect(
        hits(bed, ops::WRITE, read(0, 8), |_| ())?,
        false,
        "a read for a rule on writes",
    )?;
    let code = |code: u32| move |rule: &mut Rule| rule.code = code;
    expect(
        hits(bed, ops::CONTROL, echo(), code(pier::IOCTL_PIER_ECHO.0))?,
        true,
        "its control code",
    )?;
    expect(
        hits(bed, ops::CONTROL, echo(), code(pier::IOCTL_PIER_STATE.0))?,
        false,
        "another control code",
    )?;
    let elsewhere = |rule: &mut Rule| rule.process = u32::MAX - 3;
    expect(
        hits(bed, ops::READ, read(0, 8), elsewhere)?,
        false,
        "another process",
    )?;
    let others = |rule: &mut Rule| rule.matching = 0;
    expect(
        hits(bed, ops::READ, read(0, 8), others)?,
        false,
        "the controller's own process, not asked for",
    )
}

/// Which of `count` reads fail.
fn failing(bed: &Bed<'_>, count: usize) -> Result<Vec<usize>> {
    let device = bed.open()?;
    let mut failed = Vec::new();
    for number in 1..=count {
        if finish(bed::read(&*device, 0, 8)?)?.status != Status::SUCCESS {
            failed.push(number);
        }
    }
    Ok(failed)
}

fn every_nth(bed: &Bed<'_>) -> Result<()> {
    let ferry = bed.ferry()?;
    ferry.rule(bed.filter, ops::READ, Action::Fail, |rule| {
        (rule.status, rule.every) = (DEVICE_ERROR, 3);
    })?;
    let failed = failing(bed, 10)?;
    ensure!(
        failed == [3, 6, 9],
        "reads {failed:?} failed, not the third, sixth and ninth"
    );
    Ok(())
}

fn probability(bed: &Bed<'_>) -> Result<()> {
    let once = |seed: u64| -> Result<Vec<usize>> {
        let ferry = bed.ferry()?;
        ferry.rule(bed.filter, ops::READ, Action::Fail, |rule| {
            (rule.status, rule.probability, rule.seed) = (DEVICE_ERROR, CERTAIN / 2, seed);
        })?;
        let failed = failing(bed, 64)?;
        // Not dropped: the rule must have ended before the next one is set.
        ferry.device.close()?;
        Ok(failed)
    };
    let (one, again, other) = (once(7)?, once(7)?, once(8)?);
    ensure!(one == again, "the same seed made other reads fail");
    ensure!(one != other, "another seed made the same reads fail");
    ensure!(
        (8..=56).contains(&one.len()),
        "{} of 64 reads failed, at one half",
        one.len()
    );
    Ok(())
}

fn first_match(bed: &Bed<'_>) -> Result<()> {
    let ferry = bed.ferry()?;
    ferry.rule(bed.filter, ops::READ, Action::Pass, |rule| rule.times = 2)?;
    ferry.rule(bed.filter, ops::READ, Action::Fail, |rule| {
        rule.status = DEVICE_ERROR
    })?;
    let failed = failing(bed, 4)?;
    ensure!(
        failed == [3, 4],
        "reads {failed:?} failed, not those after the first rule had passed two"
    );
    Ok(())
}

fn die_with_handle(bed: &Bed<'_>) -> Result<()> {
    let (owner, other, device) = (bed.ferry()?, bed.ferry()?, bed.open()?);
    let id = owner.rule(bed.filter, ops::READ, Action::Hold, |rule| {
        rule.milliseconds = LONG
    })?;
    let held = bed::read(&*device, 0, 8)?;
    bed.until_held(&other, 1)?;
    let refused = other
        .remove_rule(bed.filter, id)
        .err()
        .context("another handle could remove the rule")?;
    let status = refused.downcast_ref::<Failed>().map(|failed| failed.status);
    ensure!(
        status == Some(Status::ACCESS_DENIED),
        "removing another's rule failed otherwise: {refused:#}"
    );
    owner.device.close()?;
    transferred(&finish(held)?, 8, "what the rule had held")?;
    ensure!(
        other.rules(bed.filter)?.is_empty(),
        "the rule outlived its handle"
    );
    Ok(())
}

fn many(bed: &Bed<'_>) -> Result<()> {
    let (ferry, device) = (bed.ferry()?, bed.open()?);
    let add = |ferry: &Ferry, length: u64| {
        ferry.rule(bed.filter, ops::READ, Action::Pass, |rule| {
            (rule.length_min, rule.length_max) = (length, length);
        })
    };
    for length in 1..=u64::from(MAX_RULES) {
        add(&ferry, length)?;
    }
    let refused = add(&ferry, 1000)
        .err()
        .context("one rule more than fits was accepted")?;
    let status = refused.downcast_ref::<Failed>().map(|failed| failed.status);
    ensure!(
        status == Some(Status::INSUFFICIENT_RESOURCES),
        "it was refused otherwise: {refused:#}"
    );
    for length in [1, 64, 64, 33] {
        transferred(&finish(bed::read(&*device, 0, length)?)?, length, "a read")?;
    }
    let hits: Vec<_> = ferry
        .rules(bed.filter)?
        .iter()
        .map(|entry| entry.hits)
        .collect();
    ensure!(
        hits.len() == MAX_RULES as usize,
        "{} rules are listed",
        hits.len()
    );
    ensure!(
        (hits[0], hits[32], hits[63]) == (1, 1, 2) && hits.iter().sum::<u64>() == 4,
        "the hits were counted as {hits:?}"
    );
    ensure!(
        ferry.clear_rules(bed.filter)? == MAX_RULES,
        "not all rules were cleared"
    );
    // Nothing waits: a delay would show.
    bed.until_in_flight(&ferry, 0)?;
    ensure!(
        Duration::from_millis(u64::from(LONG)) > bed::SOON,
        "the case waits for nothing"
    );
    Ok(())
}
