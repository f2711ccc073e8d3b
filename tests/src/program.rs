//! Programs: what a test app does through `CreateFile`, `ReadFile`, `DeviceIoControl`, `CancelIoEx`.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use drydock::nt::app::{Completion, Handle, IoId, Op, Process};
use drydock::nt::status::NtStatus;
use ferry_abi::control::{
    self, Delay, Device, Hold, IOCTL_FERRY_DELAY, IOCTL_FERRY_DEVICES, IOCTL_FERRY_HOLD,
    IOCTL_FERRY_INFO, IOCTL_FERRY_RELEASE, IOCTL_FERRY_STATS, Info, Release, Released, Select,
    Stats,
};
use ferry_abi::pier::{IOCTL_PIER_SET_LATENCY, IOCTL_PIER_STATE, Latency, State};
use ferry_abi::{ControlCode, Message};
use zerocopy::IntoBytes;

use crate::Bed;

/// GENERIC_READ | GENERIC_WRITE.
const READ_WRITE: u32 = 0xC000_0000;
/// FILE_SHARE_READ | FILE_SHARE_WRITE.
const SHARE: u32 = 3;
/// No request of a scenario takes longer unless something is lost.
const PATIENCE: Duration = Duration::from_secs(20);

/// A process.
pub struct Program {
    /// As the machine knows it.
    pub process: Arc<Process>,
}

impl Default for Program {
    fn default() -> Self {
        Self::new()
    }
}

impl Program {
    /// Starts a program of an elevated administrator.
    #[must_use]
    pub fn new() -> Self {
        Self {
            process: Process::new("scenario.exe"),
        }
    }

    /// Opens the device.
    ///
    /// # Panics
    /// If that fails.
    #[must_use]
    pub fn open_device(&self) -> Session {
        self.open(&Bed::device_path())
    }

    /// Opens ferry's control device.
    ///
    /// # Panics
    /// If that fails.
    #[must_use]
    pub fn open_ferry(&self) -> Session {
        self.open(control::WIN32_NAME)
    }

    /// Opens a device by path, such as `\\\\.\\Ferry`.
    ///
    /// # Panics
    /// If that fails.
    #[must_use]
    pub fn open(&self, path: &str) -> Session {
        match self.process.open(path, READ_WRITE, SHARE) {
            Ok(handle) => Session { handle },
            Err(status) => panic!("open {path}: {status}"),
        }
    }
}

/// An open handle.
pub struct Session {
    /// As the machine knows it.
    pub handle: Arc<Handle>,
}

/// An operation under way.
pub struct Pending {
    id: IoId,
    done: Receiver<Completion>,
}

impl Pending {
    /// Waits for its end.
    ///
    /// # Panics
    /// If it does not end: a lost request.
    #[must_use]
    pub fn wait(&self) -> Completion {
        match self.done.recv_timeout(PATIENCE) {
            Ok(completion) => completion,
            Err(_) => panic!("the request is lost: nobody completed it within {PATIENCE:?}"),
        }
    }

    /// Whether it is still under way.
    #[must_use]
    pub fn is_pending(&self) -> bool {
        self.done.try_recv().is_err()
    }
}

impl Session {
    /// Starts an operation.
    #[must_use]
    pub fn start(&self, op: Op) -> Pending {
        let (send, done) = channel();
        let id = self.handle.start(op, move |completion| {
            // The scenario may have given the operation up.
            let _ = send.send(completion);
        });
        Pending { id, done }
    }

    /// `CancelIoEx` for one operation.
    pub fn cancel(&self, pending: &Pending) -> bool {
        self.handle.cancel(pending.id)
    }

    /// Reads.
    #[must_use]
    pub fn read(&self, offset: i64, len: u32) -> Completion {
        self.start(Op::Read { offset, len }).wait()
    }

    /// Writes.
    #[must_use]
    pub fn write(&self, offset: i64, data: &[u8]) -> Completion {
        self.start(Op::Write {
            offset,
            data: data.to_vec(),
        })
        .wait()
    }

    /// Device control.
    #[must_use]
    pub fn ioctl(&self, code: ControlCode, input: &[u8], output_len: u32) -> Completion {
        self.start(Op::Ioctl {
            code: code.0,
            input: input.to_vec(),
            output_len,
        })
        .wait()
    }

    /// A control that answers with a structure.
    ///
    /// # Panics
    /// If it fails or answers with something else.
    #[must_use]
    pub fn query<T: Message>(&self, code: ControlCode, input: &[u8]) -> T {
        let size = u32::try_from(size_of::<T>()).unwrap_or(u32::MAX);
        let done = self.ioctl(code, input, size);
        assert_eq!(done.status, NtStatus::SUCCESS, "{code:?}");
        match T::read(&done.data) {
            Ok(answer) => answer,
            Err(refused) => panic!("{code:?} answered with {refused:?}: {:?}", done.data),
        }
    }

    /// A control that only says yes or no.
    ///
    /// # Panics
    /// If it says no.
    pub fn tell(&self, code: ControlCode, input: &[u8]) {
        let done = self.ioctl(code, input, 0);
        assert_eq!(done.status, NtStatus::SUCCESS, "{code:?}");
    }

    /// `IOCTL_FERRY_INFO`.
    #[must_use]
    pub fn info(&self) -> Info {
        self.query(IOCTL_FERRY_INFO, &[])
    }

    /// The one filter device.
    ///
    /// # Panics
    /// If there is not exactly one.
    #[must_use]
    pub fn device(&self) -> Device {
        let done = self.ioctl(IOCTL_FERRY_DEVICES, &[], 256);
        assert_eq!(done.status, NtStatus::SUCCESS);
        assert_eq!(done.data.len(), size_of::<Device>(), "one filter device");
        match Device::read(&done.data) {
            Ok(device) => device,
            Err(refused) => panic!("{refused:?}"),
        }
    }

    /// `IOCTL_FERRY_STATS` of the one filter device.
    #[must_use]
    pub fn stats(&self) -> Stats {
        self.query(
            IOCTL_FERRY_STATS,
            Select::new(self.device().id, 0).as_bytes(),
        )
    }

    /// `IOCTL_FERRY_HOLD` on the one filter device.
    pub fn hold(&self, ops: u32, max_age_ms: u32) {
        let hold = Hold::new(self.device().id, ops, max_age_ms, 0);
        self.tell(IOCTL_FERRY_HOLD, hold.as_bytes());
    }

    /// `IOCTL_FERRY_RELEASE` on the one filter device; says how many were released.
    #[must_use]
    pub fn release(&self, count: u32) -> u32 {
        let release = Release::new(self.device().id, count, 0, 0);
        self.query::<Released>(IOCTL_FERRY_RELEASE, release.as_bytes())
            .count
    }

    /// `IOCTL_FERRY_DELAY` on the one filter device.
    pub fn delay(&self, ops: u32, milliseconds: u32) {
        let delay = Delay::new(self.device().id, ops, milliseconds, 0);
        self.tell(IOCTL_FERRY_DELAY, delay.as_bytes());
    }

    /// `IOCTL_PIER_SET_LATENCY`.
    pub fn set_latency(&self, milliseconds: u32) {
        self.tell(
            IOCTL_PIER_SET_LATENCY,
            Latency::new(milliseconds, 0).as_bytes(),
        );
    }

    /// `IOCTL_PIER_STATE`.
    #[must_use]
    pub fn pier_state(&self) -> State {
        self.query(IOCTL_PIER_STATE, &[])
    }

    /// `CloseHandle`.
    pub fn close(self) {
        self.handle.close();
    }
}
