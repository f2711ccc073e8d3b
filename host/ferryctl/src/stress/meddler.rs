//! Somebody who sets rules, limits and splits at random while requests are under way, and takes them back.

use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::Duration;

use ferry_abi::control::{Action, CERTAIN, MAX_DEPTH, Split, SplitMode, matching, ops};
use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};

use crate::ferry::{self, Ferry};
use crate::platform::{Device, Result};
use crate::status::Status;

/// What a rule makes requests fail with.
pub const FAILURES: [Status; 2] = [Status::IO_DEVICE_ERROR, Status::DEVICE_BUSY];
/// How long one set of rules stands at most.
const STANDS_MS: u64 = 20;

/// How much was set.
#[derive(Debug, Clone, Copy, Default)]
pub struct Meddled {
    /// Rules added.
    pub rules: u64,
    /// Limits and splits set.
    pub settings: u64,
    /// Controls sent to the device itself.
    pub controls: u64,
}

/// When to begin and when to stop.
#[derive(Default)]
pub struct Course {
    /// Lanes that have filled their part of the device: before, nothing may be disturbed.
    pub filled: AtomicU32,
    /// The lanes are done.
    pub over: AtomicBool,
}

/// Waits until `lanes` have begun, meddles until told to stop; then takes everything back.
///
/// # Errors
/// ferry refuses something it should not.
pub fn meddle(
    ferry: &Ferry,
    lower: &dyn Device,
    device: u32,
    seed: u64,
    (course, lanes): (&Course, u32),
) -> Result<Meddled> {
    while course.filled.load(Ordering::Acquire) < lanes && !course.over.load(Ordering::Acquire) {
        std::thread::sleep(Duration::from_millis(1));
    }
    let mut rng = SmallRng::seed_from_u64(seed);
    let mut meddled = Meddled::default();
    // A device that answers at once gives cancellations little to meet.
    let slow = |slow: bool| ferry::pier::set_latency(lower, Duration::from_millis(slow.into()));
    while !course.over.load(Ordering::Acquire) {
        for _ in 0..rng.random_range(1..4) {
            add(ferry, device, &mut rng)?;
            meddled.rules += 1;
        }
        if rng.random_ratio(1, 2) {
            set(ferry, device, &mut rng)?;
            meddled.settings += 1;
        }
        std::thread::sleep(Duration::from_millis(rng.random_range(1..=STANDS_MS)));
        if rng.random_ratio(1, 3) {
            ferry.release(device, rng.random_range(0..8))?;
        }
        ferry.clear_rules(device)?;
        // No rule stands now that could keep or fail this control.
        slow(rng.random_ratio(1, 3))?;
        meddled.controls += 1;
    }
    slow(false)?;
    meddled.controls += 1;
    ferry.set_limit(device, 0)?;
    ferry.set_split(&Split::new(device, 0, 0, 0, 0, 0, 0))?;
    Ok(meddled)
}

fn add(ferry: &Ferry, device: u32, rng: &mut SmallRng) -> Result<()> {
    let transfers = [ops::READ, ops::WRITE, ops::READ | ops::WRITE];
    let transfers = transfers[rng.random_range(0..3)];
    let (mask, action) = match rng.random_range(0..8) {
        0 => (ops::ALL, Action::Delay),
        1 => (ops::ALL, Action::Hold),
        2 => (ops::ALL, Action::Fail),
        // Later requests pass a dropped one: with stamps among them, their order would say nothing.
        3 => (transfers, Action::Drop),
        4 => (transfers, Action::Shorten),
        5 => (ops::READ, Action::Truncate),
        6 => (transfers, Action::Split),
        _ => (ops::ALL, Action::Pass),
    };
    let probability = rng.random_range(0..CERTAIN / 4);
    let (seed, every) = (rng.random(), rng.random_range(0..5));
    let status = FAILURES[rng.random_range(0..FAILURES.len())];
    let milliseconds = rng.random_range(1..8);
    let bytes = 1 << rng.random_range(6..12);
    ferry.rule(device, mask, action, |rule| {
        (rule.probability, rule.seed, rule.every) = (probability, seed, every);
        match action {
            Action::Delay | Action::Hold => rule.milliseconds = milliseconds,
            Action::Fail => rule.status = status.0.cast_unsigned(),
            Action::Shorten | Action::Truncate | Action::Split => rule.bytes = bytes,
            Action::Pass | Action::Drop => {}
        }
    })?;
    Ok(())
}

fn set(ferry: &Ferry, device: u32, rng: &mut SmallRng) -> Result<()> {
    if rng.random_ratio(1, 2) {
        return ferry.set_limit(device, rng.random_range(0..16));
    }
    let parallel = rng.random_ratio(1, 2);
    let (mode, depth) = if parallel {
        (SplitMode::Parallel, rng.random_range(1..=MAX_DEPTH))
    } else {
        (SplitMode::Sequential, 1)
    };
    let longest = if rng.random_ratio(1, 4) {
        0
    } else {
        1 << rng.random_range(8..12)
    };
    let own = matching::OWN_PROCESS;
    ferry.set_split(&Split::new(device, longest, mode.code(), depth, 0, own, 0))
}
