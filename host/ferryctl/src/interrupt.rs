//! Waiting for Ctrl-C (or SIGTERM), or for a time.

use std::sync::mpsc::{self, RecvTimeoutError};
use std::time::{Duration, Instant};

use anyhow::Context;

/// How often what is being kept up is looked at.
const LOOK: Duration = Duration::from_secs(1);

/// Waits until the user interrupts, or until `limit`, or until `look` fails, which it is asked to now and then.
///
/// # Errors
/// That of `look`, or no handler could be installed.
pub fn wait(
    limit: Option<Duration>,
    mut look: impl FnMut() -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    let (interrupted, interrupt) = mpsc::channel();
    ctrlc::set_handler(move || {
        // After the first interrupt nobody listens any more.
        let _ = interrupted.send(());
    })
    .context("cannot listen for Ctrl-C")?;
    let start = Instant::now();
    loop {
        let left = limit.map_or(LOOK, |limit| {
            limit.saturating_sub(start.elapsed()).min(LOOK)
        });
        match interrupt.recv_timeout(left) {
            Ok(()) => return Ok(()),
            Err(RecvTimeoutError::Disconnected) => anyhow::bail!("the Ctrl-C handler is gone"),
            Err(RecvTimeoutError::Timeout) => {}
        }
        if limit.is_some_and(|limit| start.elapsed() >= limit) {
            return Ok(());
        }
        look()?;
    }
}
