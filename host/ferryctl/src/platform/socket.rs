//! Linux: devices of a driver stack that drydock runs, over its socket.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, bail};
use drydock_wire::message::{ACCESS_READ, ACCESS_WRITE};
use drydock_wire::{Client, Handle};
use ferry_abi::guid::Guid;
use zerocopy::IntoBytes;

use super::{Access, Completion, Device, Operation, Pending, Platform, Result};
use crate::status::Status;

/// Connects to a `drydock serve`.
///
/// # Errors
/// No socket is named, or none answers there.
pub fn connect(socket: Option<PathBuf>) -> Result<Box<dyn Platform>> {
    let Some(path) = socket else {
        bail!(
            "no socket named: start `drydock serve --socket PATH --image target/images/pier.sys --upper target/images/ferry.sys` \
             and give its PATH with --socket or in FERRY_SOCKET (`cargo xtask demo` does all of that)"
        );
    };
    let client = Client::connect(&path, "ferryctl").context("cannot speak to the drivers")?;
    Ok(Box::new(Socket { client, path }))
}

struct Socket {
    client: Client,
    path: PathBuf,
}

impl Platform for Socket {
    fn open(
        &self,
        path: &str,
        access: Access,
    ) -> Result<std::result::Result<Box<dyn Device>, Status>> {
        let access = match access {
            Access::Read => ACCESS_READ,
            Access::Write => ACCESS_WRITE,
            Access::ReadWrite => ACCESS_READ | ACCESS_WRITE,
        };
        let (handle, status) = self.client.open(path, access)?;
        Ok(match handle {
            Some(handle) => Ok(Box::new(Opened {
                handle,
                client: self.client.clone(),
            })),
            None => Err(Status(status)),
        })
    }

    fn interfaces(&self, class: &Guid) -> Result<Vec<String>> {
        let mut guid = [0; 16];
        guid.copy_from_slice(class.as_bytes());
        Ok(self.client.interfaces(guid)?)
    }

    fn arguments(&self) -> Vec<String> {
        vec!["--socket".to_owned(), self.path.display().to_string()]
    }
}

struct Opened {
    handle: Handle,
    client: Client,
}

impl Device for Opened {
    fn start(&self, operation: Operation) -> Result<Box<dyn Pending>> {
        let started = match operation {
            Operation::Read { offset, length } => self.handle.read(offset, length),
            Operation::Write { offset, data } => self.handle.write(offset, &data),
            Operation::Control {
                code,
                input,
                output,
            } => self.handle.ioctl(code, &input, output.len(), &output),
        };
        Ok(Box::new(Started(Some(started?))))
    }

    fn start_all(&self, operations: Vec<Operation>) -> Result<Vec<Box<dyn Pending>>> {
        let _batch = self.client.batch();
        operations
            .into_iter()
            .map(|operation| self.start(operation))
            .collect()
    }

    fn cancel_all(&self) -> Result<bool> {
        Ok(self.handle.cancel_all()?)
    }

    fn close(self: Box<Self>) -> Result<()> {
        Ok(self.handle.close()?)
    }
}

/// `None` once waited for.
struct Started(Option<drydock_wire::Operation>);

impl Pending for Started {
    fn is_done_within(&mut self, limit: Duration) -> bool {
        self.0
            .as_ref()
            .is_none_or(|operation| operation.is_done_within(limit))
    }

    fn cancel(&self) -> Result<bool> {
        self.0
            .as_ref()
            .map_or(Ok(false), |operation| Ok(operation.cancel()?))
    }

    fn wait(mut self: Box<Self>) -> Result<Completion> {
        let operation = self.0.take().context("the operation has been waited for")?;
        let done = operation.wait()?;
        Ok(Completion {
            status: Status(done.status),
            information: usize::try_from(done.information).unwrap_or(usize::MAX),
            data: done.data,
        })
    }
}

impl Drop for Started {
    fn drop(&mut self) {
        if let Some(operation) = &self.0
            && !operation.is_done_within(Duration::ZERO)
        {
            // When the connection is gone, so is the operation.
            let _ = operation.cancel();
        }
    }
}
