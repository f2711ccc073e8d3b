//! How ferry sends: with a completion routine, and forgets; past itself; a request of its own; and takes back what it sent.

use std::time::Duration;

use anyhow::ensure;
use ferry_abi::control::{PolicyKind, Probe, ops};
use ferry_abi::pier::action;

use super::super::Case;
use super::super::bed::{self, Bed, ended, finish, finish_all, pattern, transferred};
use crate::platform::Result;
use crate::status::Status;

pub const CASES: &[Case] = &[
    Case {
        name: "send/completion-routine",
        shows: "a carried request is sent with a completion routine, which completes it with what came back",
        run: completion_routine,
    },
    Case {
        name: "send/and-forget",
        shows: "under the policy send-and-forget a request is sent and never seen again, and its data arrives",
        run: |bed| travels(bed, PolicyKind::SendAndForget),
    },
    Case {
        name: "send/bypass",
        shows: "under the policy bypass a request passes ferry in its caller's thread, and its data arrives",
        run: |bed| travels(bed, PolicyKind::Bypass),
    },
    Case {
        name: "send/probe",
        shows: "ferry reads from the device by a request of its own, synchronously",
        run: probe,
    },
    Case {
        name: "send/probe-timeout",
        shows: "a probe of a device that does not answer ends at its timeout",
        run: probe_timeout,
    },
    Case {
        name: "send/abort",
        shows: "an abort cancels everything that is below, and nothing else",
        run: abort,
    },
    Case {
        name: "send/timeout",
        shows: "a request that stays below for longer than the send timeout is cancelled there",
        run: timeout,
    },
];

/// No case waits for this.
const LONG: Duration = Duration::from_secs(60);

fn completion_routine(bed: &Bed<'_>) -> Result<()> {
    let device = bed.open()?;
    let before = bed.stats()?;
    let data = pattern(20, 128);
    transferred(&finish(bed::write(&*device, 0, &data)?)?, 128, "the write")?;
    let after = bed.stats()?;
    ensure!(
        (
            after.forwarded - before.forwarded,
            after.completed - before.completed
        ) == (1, 1),
        "ferry did not send one request and complete one"
    );
    Ok(())
}

fn travels(bed: &Bed<'_>, policy: PolicyKind) -> Result<()> {
    let (ferry, device) = (bed.ferry()?, bed.open()?);
    ferry.set_policy(bed.filter, policy)?;
    let before = bed.stats()?;
    let data = pattern(21, 300);
    transferred(&finish(bed::write(&*device, 64, &data)?)?, 300, "the write")?;
    let done = finish(bed::read(&*device, 64, 300)?)?;
    transferred(&done, 300, "the read")?;
    ensure!(done.data == data, "the data came back changed");
    let after = bed.stats()?;
    let moved = match policy {
        PolicyKind::SendAndForget => after.forgotten - before.forgotten,
        _ => after.skipped - before.skipped,
    };
    ensure!(moved == 2, "{moved} of 2 requests travelled that way");
    ferry.set_policy(bed.filter, PolicyKind::Carried)
}

fn probe(bed: &Bed<'_>) -> Result<()> {
    let probe = Probe::new(bed.filter, ops::READ, 0, 512, 0, 5000, 0);
    let probed = bed.ferry()?.probe(&probe)?;
    ensure!(
        (probed.status, probed.information) == (0, 512),
        "the probe ended with {} and {} bytes",
        Status(probed.status.cast_signed()),
        probed.information
    );
    Ok(())
}

fn probe_timeout(bed: &Bed<'_>) -> Result<()> {
    bed.fault(ops::READ, action::STUCK, |fault| fault.count = 1)?;
    let probe = Probe::new(bed.filter, ops::READ, 0, 512, 0, 50, 0);
    let probed = bed.ferry()?.probe(&probe)?;
    let status = Status(probed.status.cast_signed());
    ensure!(
        status == Status::IO_TIMEOUT,
        "the probe ended with {status}"
    );
    // It gave up only after the device had let go.
    transferred(
        &finish(bed::read(&*bed.open()?, 0, 16)?)?,
        16,
        "a read afterwards",
    )
}

fn abort(bed: &Bed<'_>) -> Result<()> {
    let (ferry, device, other) = (bed.ferry()?, bed.open()?, bed.open()?);
    bed.latency(LONG)?;
    let below: Vec<_> = (0..5)
        .map(|_| bed::read(&*device, 0, 8))
        .collect::<Result<_>>()?;
    bed.until(&ferry, "5 requests below", |entry| entry.below == 5)?;
    ferry.hold(bed.filter, ops::WRITE, LONG)?;
    let held = bed::write(&*other, 0, &[1; 8])?;
    bed.until_held(&ferry, 1)?;
    let before = bed.stats()?;
    let count = ferry.abort(bed.filter, 0)?;
    ensure!(count == 5, "{count} requests were below, not 5");
    finish_all(below, Status::CANCELLED)?;
    let aborted = bed.stats()?.aborted - before.aborted;
    ensure!(
        aborted == 5,
        "ferry counted {aborted} aborted requests of 5"
    );
    bed.until_held(&ferry, 1)?;
    bed.latency(Duration::ZERO)?;
    ferry.release(bed.filter, 0)?;
    transferred(&finish(held)?, 8, "the write that was held meanwhile")
}

fn timeout(bed: &Bed<'_>) -> Result<()> {
    let (ferry, device) = (bed.ferry()?, bed.open()?);
    bed.latency(LONG)?;
    ferry.set_timeout(bed.filter, Duration::from_millis(50))?;
    let before = bed.stats()?;
    let done = finish(bed::read(&*device, 0, 8)?)?;
    ensure!(
        matches!(done.status, Status::CANCELLED | Status::IO_TIMEOUT),
        "the read ended with {}",
        done.status
    );
    let timed_out = bed.stats()?.timed_out - before.timed_out;
    ensure!(timed_out == 1, "ferry counted {timed_out} timeouts");
    bed.latency(Duration::ZERO)?;
    transferred(&finish(bed::read(&*device, 0, 8)?)?, 8, "a quick read")?;
    ended(
        &finish(bed::read(&*device, 1 << 40, 8)?)?,
        Status::END_OF_FILE,
        "a read behind the end",
    )
}
