//! A device in memory, sound or with one chosen flaw, for tests of this program's own logic.

use std::sync::Arc;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use ferry_abi::Message;
use ferry_abi::guid::Guid;
use ferry_abi::pier::{self, Stamp};
use zerocopy::IntoBytes;

use super::{Access, Completion, Device, Operation, Pending, Platform, Result};
use crate::status::Status;

/// What a fake device does wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Flaw {
    /// One bit of each read is wrong.
    FlipBit,
    /// Writes are answered and forgotten.
    LoseWrite,
    /// The length of each answer is one short.
    Short,
    /// Nothing completes before it is cancelled.
    Stuck,
    /// Every other stamp overtakes the one before it.
    Swap,
}

/// A machine with one device.
pub struct Fake(Memory);

#[derive(Clone)]
struct Memory {
    bytes: Arc<Mutex<Vec<u8>>>,
    flaw: Option<Flaw>,
}

impl Fake {
    /// A machine whose device has that flaw.
    pub fn new(flaw: Option<Flaw>) -> Self {
        let bytes = vec![0; usize::try_from(pier::CAPACITY).unwrap()];
        Self(Memory {
            bytes: Arc::new(Mutex::new(bytes)),
            flaw,
        })
    }
}

impl Platform for Fake {
    fn open(&self, path: &str, _: Access) -> Result<std::result::Result<Box<dyn Device>, Status>> {
        Ok(match path {
            "fake" => Ok(Box::new(self.0.clone())),
            _ => Err(Status::OBJECT_NAME_NOT_FOUND),
        })
    }

    fn interfaces(&self, class: &Guid) -> Result<Vec<String>> {
        assert_eq!(*class, ferry_abi::guid::PIER_INTERFACE);
        Ok(vec!["fake".to_owned()])
    }

    fn arguments(&self) -> Vec<String> {
        Vec::new()
    }
}

impl Memory {
    fn answer(&self, operation: Operation) -> Completion {
        let mut bytes = self.bytes.lock().unwrap();
        let at = |offset: u64, length: usize| {
            let offset = usize::try_from(offset).unwrap();
            offset..offset + length
        };
        let (mut information, mut data) = match operation {
            Operation::Read { offset, length } => (length, bytes[at(offset, length)].to_vec()),
            Operation::Write { offset, data } => {
                if self.flaw != Some(Flaw::LoseWrite) {
                    bytes[at(offset, data.len())].copy_from_slice(&data);
                }
                (data.len(), Vec::new())
            }
            Operation::Control {
                code,
                input,
                output,
            } if code == pier::IOCTL_PIER_SUM.0 => {
                let sum: usize = input
                    .iter()
                    .chain(&output)
                    .map(|byte| usize::from(*byte))
                    .sum();
                (sum % (output.len() + 1), output)
            }
            Operation::Control { code, input, .. } if code == pier::IOCTL_PIER_STAMP.0 => {
                let number = Stamp::read(&input).unwrap().number;
                let odd = self.flaw == Some(Flaw::Swap) && number % 2 == 1;
                let last = if odd { number + 1 } else { number - 1 };
                (size_of::<Stamp>(), Stamp::new(last).as_bytes().to_vec())
            }
            Operation::Control { input, .. } => (input.len(), input),
        };
        if let (Some(Flaw::FlipBit), Some(byte)) = (self.flaw, data.last_mut()) {
            *byte ^= 0x10;
        }
        if self.flaw == Some(Flaw::Short) {
            information = information.saturating_sub(1);
        }
        Completion {
            status: Status::SUCCESS,
            information,
            data,
        }
    }
}

impl Device for Memory {
    fn start(&self, operation: Operation) -> Result<Box<dyn Pending>> {
        Ok(Box::new(Answered {
            answer: self.answer(operation),
            stuck: AtomicBool::new(self.flaw == Some(Flaw::Stuck)),
        }))
    }

    fn cancel_all(&self) -> Result<bool> {
        Ok(false)
    }

    fn close(self: Box<Self>) -> Result<()> {
        Ok(())
    }
}

struct Answered {
    answer: Completion,
    stuck: AtomicBool,
}

impl Pending for Answered {
    fn is_done_within(&mut self, _: Duration) -> bool {
        !self.stuck.load(Ordering::Relaxed)
    }

    fn cancel(&self) -> Result<bool> {
        Ok(self.stuck.swap(false, Ordering::Relaxed))
    }

    fn wait(self: Box<Self>) -> Result<Completion> {
        Ok(self.answer)
    }
}
