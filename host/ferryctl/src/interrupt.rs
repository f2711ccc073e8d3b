//! Waiting for Ctrl-C (or SIGTERM), or for a time.

use std::sync::mpsc::{self, RecvTimeoutError};
use std::time::Duration;

use anyhow::Context;

/// Waits until the user interrupts, or until `limit`.
///
/// # Errors
/// No handler could be installed.
pub fn wait(limit: Option<Duration>) -> anyhow::Result<()> {
    let (interrupted, interrupt) = mpsc::channel();
    ctrlc::set_handler(move || {
        // After the first interrupt nobody listens any more.
        let _ = interrupted.send(());
    })
    .context("cannot listen for Ctrl-C")?;
    match limit {
        Some(limit) => match interrupt.recv_timeout(limit) {
            Ok(()) | Err(RecvTimeoutError::Timeout) => Ok(()),
            Err(RecvTimeoutError::Disconnected) => anyhow::bail!("the Ctrl-C handler is gone"),
        },
        None => interrupt.recv().context("the Ctrl-C handler is gone"),
    }
}
