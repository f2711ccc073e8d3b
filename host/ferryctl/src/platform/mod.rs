//! Devices as both platforms offer them: open by path, overlapped operations, cancel, wait.
//!
//! Ownership: an [`Operation`] owns its buffers and gives them to the device when it is started; the [`Pending`]
//! stands for the operation while the device has it, and yields the one [`Completion`] when the device
//! gave it back. Dropping a `Pending` asks for cancellation and gives up the completion.

use std::time::Duration;

use ferry_abi::ControlCode;
use ferry_abi::guid::Guid;

use crate::status::Status;

#[cfg(test)]
pub mod fake;
#[cfg(unix)]
mod socket;
#[cfg(windows)]
mod win32;

/// Where device I/O goes.
#[cfg(unix)]
pub use socket::connect;
#[cfg(windows)]
pub use win32::{connect, machine::machine_facts, setup};

/// Result of talking to the platform itself; outcomes of operations are in [`Completion::status`].
pub type Result<T> = anyhow::Result<T>;

/// Access asked for when opening.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// Reading.
    Read,
    /// Writing.
    Write,
    /// Both.
    ReadWrite,
}

/// One overlapped operation, with its buffers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Operation {
    /// `ReadFile`.
    Read {
        /// Byte offset.
        offset: u64,
        /// Bytes wanted.
        length: usize,
    },
    /// `WriteFile`.
    Write {
        /// Byte offset.
        offset: u64,
        /// What to write.
        data: Vec<u8>,
    },
    /// `DeviceIoControl`.
    Control {
        /// Control code.
        code: u32,
        /// Input buffer.
        input: Vec<u8>,
        /// Output buffer, with what it holds beforehand.
        output: Vec<u8>,
    },
}

impl Operation {
    /// A device control by its code.
    #[must_use]
    pub fn control(code: ControlCode, input: Vec<u8>, output: Vec<u8>) -> Self {
        Self::Control {
            code: code.0,
            input,
            output,
        }
    }
}

/// Outcome of an operation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Completion {
    /// How it ended.
    pub status: Status,
    /// `Information`: bytes transferred, for most operations.
    pub information: usize,
    /// What was read, or what the output buffer got.
    pub data: Vec<u8>,
}

/// Opens devices.
pub trait Platform: Send + Sync {
    /// Opens a device by path. A refusal by the system or the driver is the inner error.
    ///
    /// # Errors
    /// The way to the system is gone.
    fn open(
        &self,
        path: &str,
        access: Access,
    ) -> Result<std::result::Result<Box<dyn Device>, Status>>;

    /// Paths of the enabled interfaces of a class.
    ///
    /// # Errors
    /// The way to the system is gone.
    fn interfaces(&self, class: &Guid) -> Result<Vec<String>>;

    /// Arguments that make another run of this program speak to the same devices.
    fn arguments(&self) -> Vec<String>;
}

/// An open handle. Dropping it closes it.
pub trait Device: Send + Sync {
    /// Starts an operation; the device owns its buffers from here on.
    ///
    /// # Errors
    /// The way to the system is gone. A refusal by the driver is a completion.
    fn start(&self, operation: Operation) -> Result<Box<dyn Pending>>;

    /// Starts operations in order, in one go where the platform can.
    ///
    /// # Errors
    /// As [`Device::start`]; those started before are given up.
    fn start_all(&self, operations: Vec<Operation>) -> Result<Vec<Box<dyn Pending>>> {
        operations
            .into_iter()
            .map(|operation| self.start(operation))
            .collect()
    }

    /// Cancels everything in flight on this handle. False if there was nothing.
    ///
    /// # Errors
    /// The way to the system is gone.
    fn cancel_all(&self) -> Result<bool>;

    /// Closes the handle and returns when it is closed.
    ///
    /// # Errors
    /// The way to the system is gone.
    fn close(self: Box<Self>) -> Result<()>;
}

/// An operation the device owns.
pub trait Pending: Send {
    /// Whether the device gave it back, waiting for that at most `limit`.
    fn is_done_within(&mut self, limit: Duration) -> bool;

    /// Asks for cancellation. False if there was nothing left to cancel. It still completes in its own time.
    ///
    /// # Errors
    /// The way to the system is gone.
    fn cancel(&self) -> Result<bool>;

    /// Waits until the device gives it back, without a limit.
    ///
    /// # Errors
    /// The way to the system is gone.
    fn wait(self: Box<Self>) -> Result<Completion>;
}
