//! Many mixed requests, each answer checked: its status, its length, its bytes, and for stamps its place among those of the handle.

mod lane;
mod meddler;
mod mixture;
mod tally;

use std::fmt;
use std::hash::{BuildHasher, Hasher};
use std::sync::OnceLock;
use std::sync::atomic::Ordering;
use std::time::Instant;

use ferry_abi::control::Stats;
use ferry_abi::pier::CAPACITY;
use indicatif::ProgressBar;
use serde::Serialize;

use self::lane::{Disturbance, Lane};
use self::meddler::{Course, Meddled, meddle};
use self::tally::{Tally, agrees};
use crate::cli::Stress;
use crate::exercise::bed::Bed;
use crate::ferry::{self, Ferry};
use crate::output::{Output, grouped};
use crate::platform::{Access, Device, Platform, Result};

/// What came of it.
#[derive(Serialize)]
struct Outcome {
    seed: u64,
    requests: u64,
    #[serde(flatten)]
    tally: Tally,
    rules: u64,
    seconds: f64,
    requests_per_second: f64,
    counters_agree: bool,
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let tally = &self.tally;
        writeln!(
            f,
            "{} requests in, {} out, every answer as expected (seed {})",
            grouped(self.requests),
            grouped(tally.answered),
            self.seed
        )?;
        writeln!(
            f,
            "  {} reads, {} writes, {} controls; {} stamps, all in their handle's order",
            grouped(tally.reads),
            grouped(tally.writes),
            grouped(tally.controls),
            grouped(tally.stamps)
        )?;
        if self.rules > 0 || tally.cancels > 0 {
            writeln!(
                f,
                "  {} rules; {} failed as a rule said, {} shortened; {} cancels asked for, {} canceled",
                grouped(self.rules),
                grouped(tally.failed),
                grouped(tally.short),
                grouped(tally.cancels),
                grouped(tally.canceled)
            )?;
        }
        write!(
            f,
            "  {:.2} s, {} requests per second",
            self.seconds,
            grouped(self.requests_per_second as u64)
        )?;
        if self.counters_agree {
            write!(f, "; ferry's counters agree")?;
        }
        Ok(())
    }
}

/// `ferryctl stress`. False if an answer was wrong.
///
/// # Errors
/// The device cannot be used.
pub fn run(platform: &dyn Platform, out: Output, options: &Stress) -> Result<bool> {
    let seed = options.seed.unwrap_or_else(fresh_seed);
    let path = ferry::device_path(platform, &options.device)?;
    let ferry = Ferry::open(platform).ok();
    let meddled = if options.rules {
        let bed = Bed::new(platform, &options.device)?;
        Some((bed.ferry()?, bed.open()?, bed.filter))
    } else {
        None
    };
    let before = ferry.as_ref().map(counters).transpose()?;
    let bar = out.bar(
        options.count,
        "{bar:30} {human_pos}/{human_len}  {per_sec}  {eta}",
    );
    let start = Instant::now();
    let course = Course::default();
    let result = beside(meddled, (&course, options.handles), seed, || {
        mix(platform, &path, options, seed, (&course, &bar))
    });
    let seconds = start.elapsed().as_secs_f64();
    bar.finish_and_clear();
    let checked = result.and_then(|(mut tally, meddled)| {
        tally.aside = meddled.controls;
        if let (Some(ferry), Some(before)) = (&ferry, &before) {
            agrees(before, &counters(ferry)?, &tally)?;
        }
        Ok((tally, meddled))
    });
    let (tally, meddled) = match checked {
        Ok(both) => both,
        Err(error) => {
            eprintln!("stress failed (repeat with --seed {seed}): {error:#}");
            return Ok(false);
        }
    };
    out.say(&Outcome {
        seed,
        requests: tally.total(),
        tally,
        rules: meddled.rules,
        seconds,
        requests_per_second: tally.total() as f64 / seconds,
        counters_agree: before.is_some(),
    })?;
    Ok(true)
}

fn fresh_seed() -> u64 {
    std::hash::RandomState::new().build_hasher().finish()
}

/// Counters of all filter devices together: the device may have any of them above it.
fn counters(ferry: &Ferry) -> Result<Vec<Stats>> {
    let devices = ferry.devices()?;
    devices
        .iter()
        .map(|device| ferry.stats(device.id))
        .collect()
}

/// Runs `work`, and somebody who meddles beside it.
fn beside(
    meddled: Option<(Ferry, Box<dyn Device>, u32)>,
    (course, lanes): (&Course, u32),
    seed: u64,
    work: impl FnOnce() -> Result<Tally>,
) -> Result<(Tally, Meddled)> {
    let Some((ferry, lower, device)) = meddled else {
        return Ok((work()?, Meddled::default()));
    };
    std::thread::scope(|scope| {
        let meddler = scope.spawn(|| meddle(&ferry, &*lower, device, seed, (course, lanes)));
        let worked = work();
        course.over.store(true, Ordering::Release);
        let meddled = meddler
            .join()
            .unwrap_or_else(|panic| std::panic::resume_unwind(panic));
        Ok((worked?, meddled?))
    })
}

/// Runs all handles; the first wrong answer stops all.
fn mix(
    platform: &dyn Platform,
    path: &str,
    options: &Stress,
    seed: u64,
    (course, bar): (&Course, &ProgressBar),
) -> Result<Tally> {
    let handles = u64::from(options.handles);
    let share = CAPACITY / handles;
    let disturbance = Disturbance {
        cancel: options.cancel,
        rules: options.rules,
    };
    let devices: Vec<_> = (0..handles)
        .map(|_| ferry::open(platform, path, Access::ReadWrite))
        .collect::<Result<_>>()?;
    let first_failure = OnceLock::new();
    let lane = |number: u64, device: &dyn Device| {
        let count = options.count / handles + u64::from(number < options.count % handles);
        let part = number * share..(number + 1) * share;
        let (depth, seed) = (options.depth as usize, seed.wrapping_add(number));
        let result = Lane::new(device, part, depth, seed, disturbance).and_then(|mut lane| {
            course.filled.fetch_add(1, Ordering::AcqRel);
            lane.run(count, &first_failure, bar)
        });
        result.unwrap_or_else(|error| {
            // The others' failures, if any, came later.
            let _ = first_failure.set(error.context(format!("handle {number}")));
            Tally::default()
        })
    };
    let mut total = Tally::default();
    std::thread::scope(|scope| {
        let lane = &lane;
        let numbered = devices.iter().zip(0_u64..);
        let running: Vec<_> = numbered
            .map(|(device, number)| scope.spawn(move || lane(number, &**device)))
            .collect();
        for lane in running {
            total.add(
                &lane
                    .join()
                    .unwrap_or_else(|panic| std::panic::resume_unwind(panic)),
            );
        }
    });
    match first_failure.into_inner() {
        Some(error) => Err(error),
        None => Ok(total),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::platform::fake::{Fake, Flaw};

    fn options(handles: u32) -> Stress {
        Stress {
            count: 2000,
            depth: 8,
            handles,
            seed: Some(1),
            cancel: 0,
            rules: false,
            device: "pier".to_owned(),
        }
    }

    fn mixed(flaw: Option<Flaw>) -> Result<Tally> {
        let fake = Fake::new(flaw);
        mix(
            &fake,
            "fake",
            &options(3),
            1,
            (&Course::default(), &ProgressBar::hidden()),
        )
    }

    #[test]
    fn every_request_is_counted_once_and_a_sound_device_passes() {
        let tally = mixed(None).unwrap();
        assert_eq!((tally.total(), tally.answered), (2000, 2000));
        assert!(tally.stamps > 50, "{tally:?}");
    }

    #[test]
    fn the_same_seed_gives_the_same_mixture() {
        assert_eq!(mixed(None).unwrap(), mixed(None).unwrap());
    }

    #[test]
    fn what_is_wrong_with_a_device_is_found() {
        for (flaw, word) in [
            (Flaw::FlipBit, "came back changed"),
            (Flaw::LoseWrite, "came back changed"),
            (Flaw::Short, "Information is"),
            (Flaw::Swap, "which was sent first"),
        ] {
            let error = mixed(Some(flaw)).unwrap_err();
            assert!(format!("{error:#}").contains(word), "{flaw:?}: {error:#}");
        }
    }
}
