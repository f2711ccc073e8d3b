//! One handle, driven by one thread.
//!
//! It has its own part of the device, cut into as many slots as it may have requests in flight. A request takes a slot for itself, because
//! what overlaps in flight has no order; what each slot holds is known here and compared with every read. What does have an order is which
//! request of a handle reaches the device first: stamps show that.

use std::ops::Range;
use std::sync::OnceLock;
use std::time::Duration;

use anyhow::{Context, ensure};
use ferry_abi::pier::Stamp;
use indicatif::ProgressBar;
use rand::rngs::SmallRng;
use rand::{Rng, RngCore, SeedableRng};

use super::meddler::FAILURES;
use super::mixture::{self, Expected};
use super::tally::Tally;
use crate::ferry::{self, LIMIT};
use crate::platform::{Completion, Device, Operation, Pending, Result};
use crate::status::Status;

/// A request in flight, and what its answer must be.
struct InFlight {
    pending: Box<dyn Pending>,
    slot: usize,
    expected: Expected,
    /// Whether its cancellation was asked for.
    canceled: bool,
}

/// What may happen to a request besides its answer.
#[derive(Debug, Clone, Copy)]
pub struct Disturbance {
    /// So many of a thousand are canceled.
    pub cancel: u32,
    /// Rules may fail, shorten or truncate.
    pub rules: bool,
}

/// One handle.
pub struct Lane<'a> {
    device: &'a dyn Device,
    base: u64,
    slot_length: usize,
    /// What the lane's part of the device holds.
    known: Vec<u8>,
    /// Slots a write was canceled in: nobody knows how far it came.
    unsure: Vec<bool>,
    free: Vec<usize>,
    in_flight: Vec<InFlight>,
    rng: SmallRng,
    stamp: u64,
    disturbance: Disturbance,
    tally: Tally,
}

impl<'a> Lane<'a> {
    /// Fills the part of the device with random bytes.
    ///
    /// # Errors
    /// The device is too small, or refuses.
    pub fn new(
        device: &'a dyn Device,
        part: Range<u64>,
        depth: usize,
        seed: u64,
        disturbance: Disturbance,
    ) -> Result<Self> {
        let length = usize::try_from(part.end - part.start).context("the device is too large")?;
        let slot_length = length / depth;
        ensure!(
            slot_length > 0,
            "the device is too small for so many handles and so much depth"
        );
        let mut rng = SmallRng::seed_from_u64(seed);
        let mut known = vec![0; slot_length * depth];
        rng.fill_bytes(&mut known);
        let mut lane = Self {
            device,
            base: part.start,
            slot_length,
            known,
            unsure: vec![false; depth],
            free: (0..depth).collect(),
            in_flight: Vec::with_capacity(depth),
            rng,
            stamp: 0,
            disturbance,
            tally: Tally::default(),
        };
        lane.fill()?;
        Ok(lane)
    }

    fn fill(&mut self) -> Result<()> {
        const PIECE: usize = 64 << 10;
        for (number, bytes) in self.known.chunks(PIECE).enumerate() {
            let offset = self.base + (number * PIECE) as u64;
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

    /// Sends `count` requests, each checked when it is back, and stops at anybody's failure.
    ///
    /// # Errors
    /// An answer is wrong.
    pub fn run(
        &mut self,
        count: u64,
        first_failure: &OnceLock<anyhow::Error>,
        bar: &ProgressBar,
    ) -> Result<Tally> {
        let mut left = count;
        while (left > 0 || !self.in_flight.is_empty()) && first_failure.get().is_none() {
            let fresh = self
                .free
                .len()
                .min(usize::try_from(left).unwrap_or(usize::MAX));
            self.start(fresh)?;
            left -= fresh as u64;
            self.cancel_some()?;
            bar.inc(self.collect()?);
        }
        Ok(self.tally)
    }

    fn start(&mut self, count: usize) -> Result<()> {
        let mut operations = Vec::with_capacity(count);
        let mut expectations = Vec::with_capacity(count);
        for slot in self.free.split_off(self.free.len() - count) {
            let (operation, expected) = self.next_of(slot);
            operations.push(operation);
            expectations.push((slot, expected));
        }
        let started = self.device.start_all(operations)?;
        for (pending, (slot, expected)) in started.into_iter().zip(expectations) {
            self.in_flight.push(InFlight {
                pending,
                slot,
                expected,
                canceled: false,
            });
        }
        Ok(())
    }

    fn next_of(&mut self, slot: usize) -> (Operation, Expected) {
        let start = slot * self.slot_length;
        if self.unsure[slot] {
            return mixture::write(
                &mut self.rng,
                start,
                self.slot_length,
                self.base,
                &mut self.tally,
            );
        }
        if self.rng.random_ratio(1, 16) {
            self.stamp += 1;
            return mixture::stamp(self.stamp, &mut self.tally);
        }
        let part = start..start + self.slot_length;
        mixture::request(&mut self.rng, part, self.base, &mut self.tally)
    }

    fn cancel_some(&mut self) -> Result<()> {
        if self.disturbance.cancel == 0 {
            return Ok(());
        }
        for one in self.in_flight.iter_mut().filter(|one| !one.canceled) {
            if self.rng.random_ratio(self.disturbance.cancel, 1000) {
                one.canceled = true;
                self.tally.cancels += 1;
                one.pending.cancel()?;
            }
        }
        Ok(())
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
            if !self.in_flight[index].pending.is_done_within(Duration::ZERO) {
                index += 1;
                continue;
            }
            // Keeps the order: the oldest stays first.
            let back = self.in_flight.remove(index);
            let done = back.pending.wait()?;
            self.check(back.slot, &back.expected, back.canceled, &done)?;
            self.tally.answered += 1;
            self.free.push(back.slot);
            finished += 1;
        }
        Ok(finished)
    }

    fn check(
        &mut self,
        slot: usize,
        expected: &Expected,
        canceled: bool,
        done: &Completion,
    ) -> Result<()> {
        let is_write = matches!(expected, Expected::Written(..));
        match done.status {
            Status::SUCCESS => {}
            Status::CANCELLED if canceled => {
                self.tally.canceled += 1;
                ensure!(
                    done.information == 0,
                    "a canceled request claims {} bytes",
                    done.information
                );
                self.unsure[slot] |= is_write;
                return Ok(());
            }
            status if self.disturbance.rules && FAILURES.contains(&status) => {
                self.tally.failed += 1;
                ensure!(
                    done.information == 0,
                    "a failed request claims {} bytes",
                    done.information
                );
                // It never reached the device: what is known stays true.
                return Ok(());
            }
            other => anyhow::bail!("a request ended with {other}"),
        }
        match expected {
            Expected::Known(range) => {
                let count = self.transferred(range.len(), done)?;
                let known = &self.known[range.start..range.start + count];
                ensure!(done.data == known, "{count} bytes came back changed");
            }
            Expected::Written(from, data) => {
                let count = self.transferred(data.len(), done)?;
                self.known[*from..*from + count].copy_from_slice(&data[..count]);
                self.unsure[slot] &= count < self.slot_length;
            }
            Expected::Bytes(bytes) => {
                ensure!(
                    done.information == bytes.len(),
                    "Information is {}, not {}",
                    done.information,
                    bytes.len()
                );
                ensure!(
                    done.data == *bytes,
                    "{} bytes came back changed",
                    bytes.len()
                );
            }
            Expected::Sum(sum) => {
                ensure!(
                    done.information == *sum,
                    "Information is {}, not {sum}",
                    done.information
                );
            }
            Expected::Stamp(number) => {
                let before: Stamp = ferry::structure(&done.data, "read a stamp")?;
                ensure!(
                    before.number < *number,
                    "stamp {} reached the device before stamp {number}, which was sent first",
                    before.number
                );
                self.tally.stamps += 1;
            }
        }
        Ok(())
    }

    /// How much of a transfer of `length` the device took.
    fn transferred(&mut self, length: usize, done: &Completion) -> Result<usize> {
        if self.disturbance.rules && done.information < length {
            self.tally.short += 1;
        } else {
            ensure!(
                done.information == length,
                "Information is {}, not {length}",
                done.information
            );
        }
        Ok(done.information)
    }
}
