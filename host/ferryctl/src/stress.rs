//! Many mixed requests, each answer checked.
//!
//! Every handle has its own thread and its own part of the device, cut into as many slots as it may have
//! requests in flight. A request takes a slot for itself, because what overlaps in flight has no order; the slots'
//! expected contents are kept here and compared with every read.

use std::hash::{BuildHasher, Hasher};
use std::ops::Range;
use std::sync::OnceLock;
use std::time::Instant;

use anyhow::{Context, bail, ensure};
use ferry_abi::control::Stats;
use ferry_abi::pier::{self, CAPACITY};
use indicatif::{ProgressBar, ProgressStyle};
use rand::rngs::SmallRng;
use rand::{Rng, RngCore, SeedableRng};

use crate::cli::Stress;
use crate::ferry::{self, Ferry, LIMIT};
use crate::platform::{Access, Completion, Device, Operation, Pending, Platform, Result};
use crate::status::Status;

/// Longest transfer. Long ones would measure memcpy.
const MAX_LENGTH: usize = 4096;

/// How many requests of each kind.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Tally {
    reads: u64,
    writes: u64,
    controls: u64,
    /// Of the controls, those ferry passes down without queuing them.
    neither: u64,
    /// Requests that came back and were checked.
    answered: u64,
    /// Writes that filled the device beforehand; not part of the mixture.
    filling: u64,
}

impl Tally {
    fn total(self) -> u64 {
        self.reads + self.writes + self.controls
    }

    fn add(&mut self, other: Self) {
        self.reads += other.reads;
        self.writes += other.writes;
        self.controls += other.controls;
        self.neither += other.neither;
        self.answered += other.answered;
        self.filling += other.filling;
    }
}

/// `ferryctl stress`. False if an answer was wrong.
///
/// # Errors
/// The device cannot be used.
pub fn run(platform: &dyn Platform, options: &Stress) -> Result<bool> {
    let seed = options.seed.unwrap_or_else(fresh_seed);
    let path = ferry::device_path(platform, &options.device)?;
    let ferry = Ferry::open(platform).ok();
    let before = ferry.as_ref().map(counters).transpose()?;
    let bar = bar(options);
    let start = Instant::now();
    let outcome = mix(platform, &path, options, seed, &bar);
    let seconds = start.elapsed().as_secs_f64();
    bar.finish_and_clear();
    let tally = match outcome {
        Ok(tally) => tally,
        Err(error) => {
            eprintln!("stress failed (repeat with --seed {seed}): {error:#}");
            return Ok(false);
        }
    };
    let rate = tally.total() as f64 / seconds;
    if options.json {
        let report = serde_json::json!({
            "seed": seed, "requests": tally.total(), "reads": tally.reads, "writes": tally.writes,
            "controls": tally.controls, "seconds": seconds, "requests_per_second": rate,
        });
        println!("{report}");
    } else {
        println!(
            "{} requests in, {} out, every answer as expected: {} reads, {} writes, {} controls (seed {seed})",
            tally.total(),
            tally.answered,
            tally.reads,
            tally.writes,
            tally.controls
        );
        println!("{seconds:.2} s, {rate:.0} requests per second");
    }
    if let (Some(ferry), Some(before)) = (&ferry, before) {
        let after = counters(ferry)?;
        if let Err(error) = agrees(&before, &after, tally) {
            eprintln!("stress failed (repeat with --seed {seed}): {error:#}");
            return Ok(false);
        }
        if !options.json {
            println!("ferry's counters agree");
        }
    }
    Ok(true)
}

fn fresh_seed() -> u64 {
    std::hash::RandomState::new().build_hasher().finish()
}

/// Counters of all filter devices together: the device may have any of them above it.
fn counters(ferry: &Ferry) -> Result<Vec<Stats>> {
    ferry
        .devices()?
        .iter()
        .map(|device| ferry.stats(device.id))
        .collect()
}

/// What came into ferry is what was sent, and all of it went out again.
fn agrees(before: &[Stats], after: &[Stats], sent: Tally) -> Result<()> {
    let sum = |stats: &[Stats], of: fn(&Stats) -> u64| stats.iter().map(of).sum::<u64>();
    let moved = |of| sum(after, of) - sum(before, of);
    let came = (
        moved(|s| s.reads),
        moved(|s| s.writes),
        moved(|s| s.controls),
        moved(|s| s.skipped),
    );
    let want = (
        sent.reads,
        sent.writes + sent.filling,
        sent.controls - sent.neither,
        sent.neither,
    );
    if came == (0, 0, 0, 0) {
        bail!("no filter device of ferry sits above this device: ferry carried nothing");
    }
    ensure!(
        came == want,
        "ferry counted {came:?} reads, writes, controls, skipped of {want:?}"
    );
    let ended = moved(|s| s.completed + s.canceled + s.failed);
    let presented = sent.total() + sent.filling - sent.neither;
    ensure!(ended == presented, "ferry completed {ended} of {presented}");
    let in_flight = sum(after, |s| s.in_flight);
    ensure!(in_flight == 0, "ferry still has {in_flight} in flight");
    Ok(())
}

fn bar(options: &Stress) -> ProgressBar {
    if options.json {
        return ProgressBar::hidden();
    }
    let style = ProgressStyle::with_template("{bar:30} {human_pos}/{human_len}  {per_sec}  {eta}")
        .unwrap_or_else(|_| ProgressStyle::default_bar());
    ProgressBar::new(options.count).with_style(style)
}

/// Runs all handles; the first wrong answer stops all.
fn mix(
    platform: &dyn Platform,
    path: &str,
    options: &Stress,
    seed: u64,
    bar: &ProgressBar,
) -> Result<Tally> {
    let handles = u64::from(options.handles);
    let share = CAPACITY / handles;
    let devices: Vec<_> = (0..handles)
        .map(|_| ferry::open(platform, path, Access::ReadWrite))
        .collect::<Result<_>>()?;
    let first_failure = OnceLock::new();
    let mut total = Tally::default();
    std::thread::scope(|scope| {
        let running: Vec<_> = devices
            .iter()
            .enumerate()
            .map(|(number, device)| {
                let number = number as u64;
                let count = options.count / handles + u64::from(number < options.count % handles);
                let first_failure = &first_failure;
                scope.spawn(move || {
                    let part = number * share..(number + 1) * share;
                    let depth = options.depth as usize;
                    let seed = seed.wrapping_add(number);
                    let result = Lane::new(&**device, part, depth, seed)
                        .and_then(|mut lane| lane.run(count, first_failure, bar));
                    result.unwrap_or_else(|error| {
                        // The others' failures, if any, came later.
                        let _ = first_failure.set(error.context(format!("handle {number}")));
                        Tally::default()
                    })
                })
            })
            .collect();
        for lane in running {
            match lane.join() {
                Ok(tally) => total.add(tally),
                Err(panic) => std::panic::resume_unwind(panic),
            }
        }
    });
    if let Some(error) = first_failure.into_inner() {
        return Err(error);
    }
    Ok(total)
}

/// A request in flight, and what its answer must be.
struct InFlight {
    pending: Box<dyn Pending>,
    slot: usize,
    expected: Expected,
}

enum Expected {
    /// Read: the shadow at this place.
    Shadow(Range<usize>),
    /// Write: this many bytes.
    Count(usize),
    /// Echo: these bytes.
    Bytes(Vec<u8>),
    /// Sum: this Information.
    Sum(usize),
}

/// One handle.
struct Lane<'a> {
    device: &'a dyn Device,
    base: u64,
    slot_length: usize,
    shadow: Vec<u8>,
    free: Vec<usize>,
    in_flight: Vec<InFlight>,
    rng: SmallRng,
    tally: Tally,
}

impl<'a> Lane<'a> {
    /// Fills the part of the device with random bytes.
    fn new(device: &'a dyn Device, part: Range<u64>, depth: usize, seed: u64) -> Result<Self> {
        let length = usize::try_from(part.end - part.start).context("the device is too large")?;
        let slot_length = length / depth;
        ensure!(
            slot_length > 0,
            "the device is too small for so many handles and so much depth"
        );
        let mut rng = SmallRng::seed_from_u64(seed);
        let mut shadow = vec![0; slot_length * depth];
        rng.fill_bytes(&mut shadow);
        let mut lane = Self {
            device,
            base: part.start,
            slot_length,
            shadow,
            free: (0..depth).collect(),
            in_flight: Vec::with_capacity(depth),
            rng,
            tally: Tally::default(),
        };
        lane.prefill()?;
        Ok(lane)
    }

    fn prefill(&mut self) -> Result<()> {
        for (number, bytes) in self.shadow.chunks(64 << 10).enumerate() {
            let offset = self.base + (number * (64 << 10)) as u64;
            let write = Operation::Write {
                offset,
                data: bytes.to_vec(),
            };
            let done = ferry::run(self.device, write, LIMIT, "filling the device")?;
            ensure!(
                done.status.is_success(),
                "filling the device failed: {}",
                done.status
            );
            self.tally.filling += 1;
        }
        Ok(())
    }

    fn run(
        &mut self,
        count: u64,
        first_failure: &OnceLock<anyhow::Error>,
        bar: &ProgressBar,
    ) -> Result<Tally> {
        let mut left = count;
        while left > 0 || !self.in_flight.is_empty() {
            if first_failure.get().is_some() {
                break;
            }
            let fresh = self
                .free
                .len()
                .min(usize::try_from(left).unwrap_or(usize::MAX));
            self.start(fresh)?;
            left -= fresh as u64;
            let finished = self.collect()?;
            bar.inc(finished);
        }
        Ok(self.tally)
    }

    fn start(&mut self, count: usize) -> Result<()> {
        let mut operations = Vec::with_capacity(count);
        let mut expectations = Vec::with_capacity(count);
        for slot in self.free.split_off(self.free.len() - count) {
            let (operation, expected) = self.make(slot);
            operations.push(operation);
            expectations.push((slot, expected));
        }
        let started = self.device.start_all(operations)?;
        for (pending, (slot, expected)) in started.into_iter().zip(expectations) {
            self.in_flight.push(InFlight {
                pending,
                slot,
                expected,
            });
        }
        Ok(())
    }

    /// A random request of a slot.
    fn make(&mut self, slot: usize) -> (Operation, Expected) {
        let start = slot * self.slot_length;
        let from = start + self.rng.random_range(0..self.slot_length);
        let longest = (start + self.slot_length - from).min(MAX_LENGTH);
        let length = self.rng.random_range(0..=longest);
        let (range, offset) = (from..from + length, self.base + from as u64);
        match self.rng.random_range(0..10) {
            0..4 => {
                self.tally.reads += 1;
                (Operation::Read { offset, length }, Expected::Shadow(range))
            }
            4..8 => {
                self.tally.writes += 1;
                self.rng.fill_bytes(&mut self.shadow[range.clone()]);
                let data = self.shadow[range].to_vec();
                (Operation::Write { offset, data }, Expected::Count(length))
            }
            _ => self.make_control(length.min(512)),
        }
    }

    fn make_control(&mut self, length: usize) -> (Operation, Expected) {
        self.tally.controls += 1;
        let mut input = vec![0; length];
        self.rng.fill_bytes(&mut input);
        let code = match self.rng.random_range(0..4) {
            0 => pier::IOCTL_PIER_ECHO,
            1 => pier::IOCTL_PIER_ECHO_DIRECT,
            2 => {
                self.tally.neither += 1;
                pier::IOCTL_PIER_ECHO_NEITHER
            }
            _ => {
                let mut output = vec![0; length];
                self.rng.fill_bytes(&mut output);
                let sum: usize = input
                    .iter()
                    .chain(&output)
                    .map(|byte| usize::from(*byte))
                    .sum();
                // Information may not exceed the length of the output buffer.
                let told = Expected::Sum(sum % (length + 1));
                return (
                    Operation::control(pier::IOCTL_PIER_SUM, input, output),
                    told,
                );
            }
        };
        (
            Operation::control(code, input.clone(), vec![0; length]),
            Expected::Bytes(input),
        )
    }

    /// Waits for at least one request and checks all that are back.
    fn collect(&mut self) -> Result<u64> {
        let Some(oldest) = self.in_flight.first_mut() else {
            return Ok(0);
        };
        ensure!(
            oldest.pending.is_done_within(LIMIT),
            "a request did not come back within {LIMIT:?}"
        );
        let mut finished = 0;
        let mut index = 0;
        while index < self.in_flight.len() {
            if !self.in_flight[index]
                .pending
                .is_done_within(std::time::Duration::ZERO)
            {
                index += 1;
                continue;
            }
            // Keeps the order: the oldest stays first.
            let back = self.in_flight.remove(index);
            let done = back.pending.wait()?;
            self.check(&back.expected, &done)?;
            self.tally.answered += 1;
            self.free.push(back.slot);
            finished += 1;
        }
        Ok(finished)
    }

    fn check(&self, expected: &Expected, done: &Completion) -> Result<()> {
        ensure!(
            done.status == Status::SUCCESS,
            "a request ended with {}",
            done.status
        );
        let (count, bytes) = match expected {
            Expected::Shadow(range) => (range.len(), Some(&self.shadow[range.clone()])),
            Expected::Bytes(bytes) => (bytes.len(), Some(&bytes[..])),
            Expected::Count(count) | Expected::Sum(count) => (*count, None),
        };
        ensure!(
            done.information == count,
            "Information is {}, not {count}",
            done.information
        );
        if let Some(bytes) = bytes {
            ensure!(done.data == bytes, "{count} bytes came back changed");
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::platform::fake::{Fake, Flaw};
    use zerocopy::FromZeros;

    fn options(handles: u32) -> Stress {
        Stress {
            count: 2000,
            depth: 8,
            handles,
            seed: Some(1),
            device: "pier".to_owned(),
            json: true,
        }
    }

    fn mixed(flaw: Option<Flaw>) -> Result<Tally> {
        let fake = Fake::new(flaw);
        mix(&fake, "fake", &options(3), 1, &ProgressBar::hidden())
    }

    #[test]
    fn every_request_is_counted_once_and_a_sound_device_passes() {
        let tally = mixed(None).unwrap();
        assert_eq!((tally.total(), tally.answered), (2000, 2000));
    }

    #[test]
    fn the_same_seed_gives_the_same_mixture() {
        assert_eq!(mixed(None).unwrap(), mixed(None).unwrap());
    }

    #[test]
    fn a_flipped_bit_in_a_read_is_found() {
        let error = mixed(Some(Flaw::FlipBit)).unwrap_err();
        assert!(
            format!("{error:#}").contains("came back changed"),
            "{error:#}"
        );
    }

    #[test]
    fn a_lost_write_is_found() {
        let error = mixed(Some(Flaw::LoseWrite)).unwrap_err();
        assert!(
            format!("{error:#}").contains("came back changed"),
            "{error:#}"
        );
    }

    #[test]
    fn a_wrong_information_is_found() {
        let error = mixed(Some(Flaw::Short)).unwrap_err();
        assert!(format!("{error:#}").contains("Information is"), "{error:#}");
    }

    #[test]
    fn counters_that_miss_a_request_are_found() {
        let mut stats = Stats::new_zeroed();
        let before = stats;
        (stats.reads, stats.completed) = (9, 9);
        let sent = |reads| Tally {
            reads,
            ..Tally::default()
        };
        assert!(agrees(&[before], &[stats], sent(9)).is_ok());
        assert!(agrees(&[before], &[stats], sent(10)).is_err());
        stats.completed = 8;
        assert!(agrees(&[before], &[stats], sent(9)).is_err());
        // What filled the device beforehand went through ferry too.
        (stats.reads, stats.writes, stats.completed) = (0, 3, 3);
        let filled = Tally {
            writes: 1,
            filling: 2,
            ..Tally::default()
        };
        assert!(agrees(&[before], &[stats], filled).is_ok());
    }
}
