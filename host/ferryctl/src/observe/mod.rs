//! The event stream of observed devices.
//!
//! Ownership: a [`Stream`] has a control handle of its own, through which it observes; dropping it ends the observation and cancels its waits.
//! Several waits are always pended, so that nothing is missed while a batch is looked at; ferry answers them in order.

mod event;
pub mod latency;

use std::collections::VecDeque;
use std::time::Duration;

use anyhow::ensure;
use ferry_abi::control::{Event, Events, IOCTL_FERRY_WAIT};

pub use self::event::{Line, kind_name, place_name};
use crate::ferry::{Failed, Ferry, structure};
use crate::platform::{Operation, Pending, Platform, Result};

/// Waits pended at once.
const PENDED: usize = 4;
/// Events one wait has room for.
const ROOM: usize = 256;

/// Events given out at once.
pub struct Batch {
    /// Events that were overwritten before they could be given out.
    pub lost: u64,
    /// In order.
    pub events: Vec<Event>,
}

/// Events, in order.
pub struct Stream {
    /// Waits, oldest first. Before the handle: cancelled before it is closed.
    pended: VecDeque<Box<dyn Pending>>,
    /// The handle that observes.
    pub ferry: Ferry,
}

impl Stream {
    /// Observes a device (0: all) from now on.
    ///
    /// # Errors
    /// ferry does not answer, or there is no such device.
    pub fn open(platform: &dyn Platform, device: u32) -> Result<Self> {
        let ferry = Ferry::open(platform)?;
        ferry.observe(device)?;
        let mut stream = Self {
            pended: VecDeque::new(),
            ferry,
        };
        while stream.pended.len() < PENDED {
            stream.pend()?;
        }
        Ok(stream)
    }

    fn pend(&mut self) -> Result<()> {
        let room = size_of::<Events>() + ROOM * size_of::<Event>();
        let wait = Operation::control(IOCTL_FERRY_WAIT, Vec::new(), vec![0; room]);
        self.pended.push_back(self.ferry.device.start(wait)?);
        Ok(())
    }

    /// The next events, waiting for the first at most `limit`.
    ///
    /// # Errors
    /// ferry is gone, or its last device.
    pub fn next(&mut self, limit: Duration) -> Result<Option<Batch>> {
        let ready = self
            .pended
            .front_mut()
            .is_some_and(|oldest| oldest.is_done_within(limit));
        if !ready {
            return Ok(None);
        }
        let Some(oldest) = self.pended.pop_front() else {
            return Ok(None);
        };
        let done = oldest.wait()?;
        if !done.status.is_success() {
            let what = "the event stream ended".to_owned();
            return Err(Failed {
                what,
                status: done.status,
            }
            .into());
        }
        self.pend()?;
        parse(&done.data).map(Some)
    }
}

fn parse(answer: &[u8]) -> Result<Batch> {
    let what = "read events";
    let head: Events = structure(answer, what)?;
    let entries = answer.get(size_of::<Events>()..).unwrap_or_default();
    let entries = entries.chunks_exact(size_of::<Event>());
    let events = entries
        .map(|entry| structure(entry, what))
        .collect::<Result<Vec<Event>>>()?;
    ensure!(
        events.len() == head.count as usize,
        "ferry announced {} events and gave {}",
        head.count,
        events.len()
    );
    Ok(Batch {
        lost: head.lost,
        events,
    })
}
