//! Ctrl-C (or SIGTERM).

use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::time::{Duration, Instant};

use anyhow::Context;

/// How often what is being kept up is looked at.
const LOOK: Duration = Duration::from_secs(1);

/// Hears of interrupts. One per program.
pub struct Interrupt(Receiver<()>);

impl Interrupt {
    /// Listens from now on: an interrupt no longer ends the program by itself.
    ///
    /// # Errors
    /// No handler can be installed.
    pub fn listen() -> anyhow::Result<Self> {
        let (interrupted, interrupt) = mpsc::channel();
        ctrlc::set_handler(move || {
            // When nobody listens any more, the program is ending.
            let _ = interrupted.send(());
        })
        .context("cannot listen for Ctrl-C")?;
        Ok(Self(interrupt))
    }

    /// Whether the user interrupted, waiting for that at most `limit`.
    #[must_use]
    pub fn within(&self, limit: Duration) -> bool {
        // A handler that is gone cannot tell: better to end.
        !matches!(self.0.recv_timeout(limit), Err(RecvTimeoutError::Timeout))
    }
}

/// Waits until the user interrupts, or until `limit`, or until `look` fails, which it is asked to now and then.
///
/// # Errors
/// That of `look`, or no handler could be installed.
pub fn wait(
    limit: Option<Duration>,
    mut look: impl FnMut() -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    let interrupt = Interrupt::listen()?;
    let start = Instant::now();
    loop {
        let left = limit.map_or(LOOK, |limit| {
            limit.saturating_sub(start.elapsed()).min(LOOK)
        });
        if interrupt.within(left) || limit.is_some_and(|limit| start.elapsed() >= limit) {
            return Ok(());
        }
        look()?;
    }
}
