//! The device stops, sleeps, goes and comes back while programs are at work.

use super::super::bed::Bed;
use super::{Counts, Session, stress};
use crate::nt::pnp::{State, SystemPower};
use crate::sched;
use crate::verify;
use std::sync::Arc;
use std::sync::atomic::Ordering;

/// What an event does to a device.
#[derive(Clone, Copy)]
enum Event {
    Restart,
    CancelStop,
    CancelRemove,
    Replug,
    Reload,
    FailRestart,
    Pull,
    Sleep,
    Hibernate,
    PullAsleep,
}

const PNP: &[Event] = &[
    Event::Restart,
    Event::CancelStop,
    Event::CancelRemove,
    Event::Replug,
    Event::Reload,
    Event::FailRestart,
    Event::Pull,
];
const POWER: &[Event] = &[
    Event::Sleep,
    Event::Hibernate,
    Event::Sleep,
    Event::PullAsleep,
];
const ALL: &[Event] = &[
    Event::Restart,
    Event::CancelStop,
    Event::CancelRemove,
    Event::Replug,
    Event::Reload,
    Event::FailRestart,
    Event::Pull,
    Event::Sleep,
    Event::Hibernate,
    Event::PullAsleep,
];

/// Every transition once, with nothing else going on.
///
/// # Errors
/// A sentence that names the transition that failed though nobody was in the way.
pub(super) fn once_around(bed: &mut Bed, counts: &Counts) -> Result<(), String> {
    let Some(node) = bed.node().cloned() else {
        return Ok(());
    };
    // A driver may refuse to stop or to sleep; then it is asked no further.
    if node.query_stop().is_ok() {
        node.cancel_stop()
            .map_err(|status| format!("CANCEL_STOP_DEVICE gave {status}"))?;
        counts.add("cancelled stops", 1);
    }
    if node.query_stop().is_ok() {
        node.stop()
            .map_err(|status| format!("STOP_DEVICE gave {status}"))?;
        node.start()
            .map_err(|status| format!("the device does not start again: {status}"))?;
        counts.add("restarts", 1);
    }
    for state in [SystemPower::Sleeping3, SystemPower::Hibernate] {
        if node.system_power(state).is_ok() {
            node.system_power(SystemPower::Working)
                .map_err(|status| format!("the way back to S0 gave {status}"))?;
            counts.add("sleeps", 1);
        }
    }
    bed.replug()?;
    counts.add("replugs", 1);
    if let Some(node) = bed.node() {
        let _ = node.surprise_remove();
        counts.add("surprise removals", 1);
    }
    bed.replug()
}

/// PnP events, with programs at work.
pub(super) fn pnp(session: &Arc<Session>) {
    events(session, PNP);
}

/// Power events, with programs at work.
pub(super) fn power(session: &Arc<Session>) {
    events(session, POWER);
}

/// All events, with programs at work and calls of lower drivers forced to pend.
pub(super) fn chaos(session: &Arc<Session>) {
    let mut settings = verify::settings().clone();
    settings.force_pending = true;
    verify::configure(settings);
    events(session, ALL);
}

fn events(session: &Arc<Session>, events: &[Event]) {
    let programs = stress::start(session, 3);
    let mut rng = session.rng(1000);
    while !session.is_over() {
        for _ in 0..rng.u32(1..6) {
            stress::pause();
        }
        let event = events[rng.usize(0..events.len())];
        if let Err(reason) = happen(session, event, &mut rng) {
            // Without a device there is nothing left to do.
            session.fail(reason);
            break;
        }
    }
    session.hold.store(false, Ordering::Release);
    stress::join(programs);
}

fn happen(session: &Session, event: Event, rng: &mut fastrand::Rng) -> Result<(), String> {
    let node = session
        .bed
        .lock()
        .as_ref()
        .and_then(|bed| bed.node().cloned());
    let Some(node) = node else {
        session.note("the driver has no PnP device: nothing happens to it".to_owned());
        return Ok(());
    };
    let count = |what| session.counts.add(what, 1);
    match event {
        Event::Restart => {
            if node.query_stop().is_ok() {
                stress::pause();
                node.stop()
                    .map_err(|status| format!("STOP_DEVICE gave {status}"))?;
                for _ in 0..rng.u32(0..3) {
                    stress::pause();
                }
                node.start()
                    .map_err(|status| format!("the device does not start again: {status}"))?;
                count("restarts");
            }
        }
        Event::CancelStop => {
            if node.query_stop().is_ok() {
                stress::pause();
                node.cancel_stop()
                    .map_err(|status| format!("CANCEL_STOP_DEVICE gave {status}"))?;
                count("cancelled stops");
            }
        }
        Event::CancelRemove => {
            // With a handle open the I/O manager refuses and withdraws the query.
            if node.query_remove().is_ok() {
                session.with_bed(Bed::replug).unwrap_or(Ok(()))?;
                count("replugs");
            } else {
                count("cancelled removals");
            }
        }
        Event::Replug => {
            session.hold.store(true, Ordering::Release);
            wait_for_close(&node);
            session.with_bed(Bed::replug).unwrap_or(Ok(()))?;
            session.hold.store(false, Ordering::Release);
            count("replugs");
        }
        Event::Reload => {
            let stays = session.bed.lock().as_ref().and_then(Bed::cannot_unload);
            if let Some(reason) = stays {
                session.note(reason);
                return Ok(());
            }
            session.hold.store(true, Ordering::Release);
            wait_for_close(&node);
            session.with_bed(Bed::reload).unwrap_or(Ok(()))?;
            session.hold.store(false, Ordering::Release);
            count("reloads");
        }
        Event::FailRestart => {
            if node.query_stop().is_ok() {
                node.stop()
                    .map_err(|status| format!("STOP_DEVICE gave {status}"))?;
                stress::pause();
                node.fail_next_start();
                let _ = node.start();
                if !session.bed.lock().as_ref().is_some_and(Bed::is_gone) {
                    return Err(
                        "the bus failed IRP_MN_START_DEVICE, and the driver says it has started"
                            .to_owned(),
                    );
                }
                count("failed restarts");
                back(session)?;
            }
        }
        Event::Pull => pull(session, &node)?,
        Event::Sleep | Event::Hibernate | Event::PullAsleep => {
            let state = match event {
                Event::Hibernate => SystemPower::Hibernate,
                _ => [SystemPower::Sleeping1, SystemPower::Sleeping3][rng.usize(0..2)],
            };
            // Frozen programs cancel nothing: what the driver keeps through a power-down keeps the system awake. Other drivers are
            // not frozen: every other time the requests go on.
            session.freeze(rng.bool());
            if let Err(status) = node.system_power(state) {
                session.freeze(false);
                session.note_status("a query for sleep", status);
                return Ok(());
            }
            count("sleeps");
            for _ in 0..rng.u32(0..4) {
                stress::pause();
            }
            let awake = if matches!(event, Event::PullAsleep) {
                session.freeze(false);
                pull(session, &node)
            } else {
                node.system_power(SystemPower::Working)
                    .map_err(|status| format!("the way back to S0 gave {status}"))
            };
            session.freeze(false);
            return awake;
        }
    }
    Ok(())
}

fn pull(session: &Session, node: &Arc<crate::nt::pnp::DevNode>) -> Result<(), String> {
    let _ = node.surprise_remove();
    session.counts.add("surprise removals", 1);
    stress::pause();
    back(session)
}

/// Brings back a device that is gone, when the programs have closed their handles.
fn back(session: &Session) -> Result<(), String> {
    session.hold.store(true, Ordering::Release);
    session.with_bed(Bed::replug).unwrap_or(Ok(()))?;
    session.hold.store(false, Ordering::Release);
    Ok(())
}

/// Waits until the programs have closed their handles, as they do while the device is held.
fn wait_for_close(node: &Arc<crate::nt::pnp::DevNode>) {
    let there = Arc::clone(node);
    let _waiting =
        verify::waiting(move || format!("programs to close {} file(s)", there.open_files()));
    while node.open_files() > 0 && node.state() == State::Started {
        sched::Event::new(true, false).wait_timeout(10_000);
    }
}
