//! What every case stands on: the device under ferry, ferry's control device, and waiting for states.

use std::time::{Duration, Instant};

use anyhow::{Context, bail, ensure};
use ferry_abi::ControlCode;
use ferry_abi::control::{self, PolicyKind, Stats};
use ferry_abi::pier::{self, Fault};

use crate::ferry::{self, Ferry, LIMIT};
use crate::platform::{Access, Completion, Device, Operation, Pending, Platform, Result};
use crate::status::Status;

/// How often a state is looked at while waiting for it: the drivers offer no event for these.
const POLL: Duration = Duration::from_millis(1);
/// How long an operation that nothing holds or delays may take.
pub const SOON: Duration = LIMIT;

/// Why a case cannot be run here; said instead of a failure.
#[derive(Debug)]
pub struct Skipped(pub &'static str);

impl std::fmt::Display for Skipped {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.0)
    }
}

impl std::error::Error for Skipped {}

/// The device under ferry, and ferry.
pub struct Bed<'a> {
    /// Where devices are.
    pub platform: &'a dyn Platform,
    /// Path of the device under ferry.
    pub path: String,
    /// Number of the filter device above it.
    pub filter: u32,
    /// Faults counted before the first case.
    faults: u32,
}

impl<'a> Bed<'a> {
    /// Finds the device and the filter device that sits above it.
    ///
    /// # Errors
    /// Either does not answer.
    pub fn new(platform: &'a dyn Platform, device: &str) -> Result<Self> {
        let path = ferry::device_path(platform, device)?;
        let ferry = Ferry::open(platform)?;
        let faults = ferry.info()?.faults;
        let mut bed = Self {
            platform,
            path,
            filter: 0,
            faults,
        };
        bed.filter = bed.filter_of(&ferry)?;
        Ok(bed)
    }

    /// The filter device whose counters move when the device gets a request.
    fn filter_of(&self, ferry: &Ferry) -> Result<u32> {
        let counts = || -> Result<Vec<(u32, u64)>> {
            let devices = ferry.devices()?;
            devices
                .iter()
                .map(|device| Ok((device.id, ferry.stats(device.id)?.controls)))
                .collect()
        };
        let before = counts()?;
        self.pier_state()?;
        let moved: Vec<_> = counts()?
            .into_iter()
            .zip(before)
            .filter(|(after, before)| after != before)
            .map(|(after, _)| after.0)
            .collect();
        match moved[..] {
            [id] => Ok(id),
            [] => bail!(
                "no filter device of ferry sits above {}: install ferry's extension INF for it",
                self.path
            ),
            _ => bail!(
                "several devices under ferry are busy: stop other programs, the cases count requests"
            ),
        }
    }

    /// A new handle to the device, for reading and writing.
    pub fn open(&self) -> Result<Box<dyn Device>> {
        ferry::open(self.platform, &self.path, Access::ReadWrite)
    }

    /// A new control handle: a rule set through it ends when it is dropped.
    pub fn ferry(&self) -> Result<Ferry> {
        Ferry::open(self.platform)
    }

    /// Sets how long pier takes, through a handle of its own.
    pub fn latency(&self, latency: Duration) -> Result<()> {
        ferry::pier::set_latency(&*self.open()?, latency)
    }

    /// Makes requests of pier fail, through a handle of its own.
    pub fn fault(&self, ops: u32, action: u32, with: impl FnOnce(&mut Fault)) -> Result<()> {
        let mut fault = Fault::new(ops, action, 0, 0, 0, 0);
        with(&mut fault);
        ferry::pier::set_fault(&*self.open()?, fault)
    }

    /// Waits until `count` requests have been faulted since there were `before`.
    pub fn until_faulted(&self, before: u64, count: u64) -> Result<()> {
        let deadline = Instant::now() + LIMIT;
        while self.pier_state()?.faulted < before + count {
            ensure!(
                Instant::now() < deadline,
                "pier's fault was not applied within {LIMIT:?}"
            );
            std::thread::sleep(POLL);
        }
        Ok(())
    }

    /// What pier says of itself.
    pub fn pier_state(&self) -> Result<pier::State> {
        ferry::pier::state(&*self.open()?)
    }

    /// Counters of the filter device.
    pub fn stats(&self) -> Result<Stats> {
        self.ferry()?.stats(self.filter)
    }

    /// The filter device's entry in ferry's list.
    pub fn entry(&self, ferry: &Ferry) -> Result<control::Device> {
        let mut devices = ferry.devices()?.into_iter();
        devices
            .find(|device| device.id == self.filter)
            .context("the filter device is gone")
    }

    /// Waits until ferry's entry of the device satisfies `reached`.
    pub fn until(
        &self,
        ferry: &Ferry,
        what: &str,
        reached: impl Fn(&control::Device) -> bool,
    ) -> Result<()> {
        let deadline = Instant::now() + LIMIT;
        loop {
            let entry = self.entry(ferry)?;
            if reached(&entry) {
                return Ok(());
            }
            if Instant::now() > deadline {
                bail!(
                    "waited {LIMIT:?} for {what}: in flight {}, held {}, delayed {}",
                    entry.in_flight,
                    entry.held,
                    entry.delayed
                );
            }
            std::thread::sleep(POLL);
        }
    }

    /// Waits until so many requests are held.
    pub fn until_held(&self, ferry: &Ferry, count: u32) -> Result<()> {
        self.until(ferry, &format!("{count} held requests"), |entry| {
            entry.held == count
        })
    }

    /// Waits until so many requests are delayed.
    pub fn until_delayed(&self, ferry: &Ferry, count: u32) -> Result<()> {
        self.until(ferry, &format!("{count} delayed requests"), |entry| {
            entry.delayed == count
        })
    }

    /// Waits until so many requests are in ferry's hands or below, wherever.
    pub fn until_in_flight(&self, ferry: &Ferry, count: u32) -> Result<()> {
        self.until(ferry, &format!("{count} requests in flight"), |entry| {
            entry.in_flight == count
        })
    }

    /// Undoes what a case may have set, and checks that it left nothing behind.
    ///
    /// # Errors
    /// Something is outstanding, or the safety net had to complete a request.
    pub fn settle(&self) -> Result<()> {
        let ferry = self.ferry()?;
        self.until_in_flight(&ferry, 0)?;
        // The handles of the case are closed, and their rules end with them.
        self.until(&ferry, "the end of the case's rules", |entry| {
            entry.rules == 0
        })?;
        let device = self.open()?;
        ferry::pier::set_latency(&*device, Duration::ZERO)?;
        ferry::pier::set_max_transfer(&*device, 0)?;
        ferry::pier::clear_fault(&*device)?;
        ferry::pier::set_boost(&*device, pier::DEFAULT_BOOST)?;
        ferry.set_policy(self.filter, PolicyKind::Carried)?;
        let outstanding = self.pier_state()?.outstanding;
        // The request that asks may count itself.
        ensure!(outstanding <= 1, "pier still has {outstanding} requests");
        let faults = ferry.info()?.faults;
        ensure!(
            faults == self.faults,
            "{} requests reached ferry's safety net",
            faults - self.faults
        );
        Ok(())
    }
}

/// Runs an operation that nothing keeps.
pub fn run(device: &dyn Device, operation: Operation) -> Result<Completion> {
    ferry::run(device, operation, SOON, "an operation that nothing keeps")
}

/// Starts a read.
pub fn read(device: &dyn Device, offset: u64, length: usize) -> Result<Box<dyn Pending>> {
    device.start(Operation::Read { offset, length })
}

/// Starts a write.
pub fn write(device: &dyn Device, offset: u64, data: &[u8]) -> Result<Box<dyn Pending>> {
    device.start(Operation::Write {
        offset,
        data: data.to_vec(),
    })
}

/// Runs a control with an input and an output buffer.
pub fn control(
    device: &dyn Device,
    code: ControlCode,
    input: &[u8],
    output: &[u8],
) -> Result<Completion> {
    run(
        device,
        Operation::control(code, input.to_vec(), output.to_vec()),
    )
}

/// Waits for an operation that must come back soon.
pub fn finish(pending: Box<dyn Pending>) -> Result<Completion> {
    ferry::finish(pending, SOON, "an operation")
}

/// Waits for operations that must all end with `status`.
pub fn finish_all(
    pending: impl IntoIterator<Item = Box<dyn Pending>>,
    status: Status,
) -> Result<Vec<Completion>> {
    pending
        .into_iter()
        .enumerate()
        .map(|(number, pending)| {
            let done = finish(pending)?;
            ended(&done, status, &format!("operation {number}"))?;
            Ok(done)
        })
        .collect()
}

/// Checks how an operation ended.
pub fn ended(done: &Completion, status: Status, what: &str) -> Result<()> {
    ensure!(
        done.status == status,
        "{what} ended with {}, not {status}",
        done.status
    );
    Ok(())
}

/// Checks that an operation transferred so many bytes with success.
pub fn transferred(done: &Completion, count: usize, what: &str) -> Result<()> {
    ended(done, Status::SUCCESS, what)?;
    ensure!(
        done.information == count,
        "{what} transferred {} bytes, not {count}",
        done.information
    );
    Ok(())
}

/// Checks that an operation is still with the drivers.
pub fn still_pending(pending: &mut dyn Pending, what: &str) -> Result<()> {
    ensure!(
        !pending.is_done_within(Duration::ZERO),
        "{what} came back although it must wait"
    );
    Ok(())
}

/// Bytes that tell where they belong.
pub fn pattern(seed: u8, length: usize) -> Vec<u8> {
    (0..length)
        .map(|index| (index as u8).wrapping_mul(31).wrapping_add(seed))
        .collect()
}
