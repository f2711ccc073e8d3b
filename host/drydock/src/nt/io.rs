//! A program's requests: from the system call to the IRP and back, as the I/O manager does it.

use super::abi::{Address, DeviceObject, FileObject, Irp, KERNEL_MODE, USER_MODE, at};
use super::file::{self, Handle};
use super::irp::{self, Originator};
use super::process::Process;
use super::security::{FILE_READ_DATA, FILE_WRITE_DATA};
use super::status::NtStatus;
use super::transfer::{Transfer, prepare};
use super::{device, thread};
use crate::sched::Lock;
use crate::verify;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

/// Names one operation of a file, until it is done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct IoId(pub u64);

/// What a program asks a driver to do.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(
    missing_docs,
    reason = "the fields are the arguments of the Windows functions of the same name"
)]
pub enum Op {
    /// NtReadFile.
    Read { offset: i64, len: u32 },
    /// NtWriteFile.
    Write { offset: i64, data: Vec<u8> },
    /// NtDeviceIoControlFile; the transfer method is in the low two bits of the code.
    Ioctl {
        code: u32,
        input: Vec<u8>,
        output_len: u32,
    },
    /// NtDeviceIoControlFile with an output buffer that holds something beforehand, which METHOD_IN_DIRECT drivers read.
    IoctlWith {
        code: u32,
        input: Vec<u8>,
        output: Vec<u8>,
    },
    /// IRP_MJ_INTERNAL_DEVICE_CONTROL, as another driver would send it: kernel mode, the method as for [`Op::Ioctl`].
    Internal {
        code: u32,
        input: Vec<u8>,
        output_len: u32,
    },
    /// NtDeviceIoControlFile of a METHOD_NEITHER code with addresses as a hostile program gives them: nobody has probed them, and nothing
    /// need be there.
    Neither {
        code: u32,
        input: (u64, u32),
        output: (u64, u32),
    },
    /// NtFlushBuffersFile.
    Flush,
    /// NtFsControlFile; the transfer method is in the low two bits of the code.
    FsControl {
        code: u32,
        input: Vec<u8>,
        output_len: u32,
    },
    /// A request that file systems serve: information, extended attributes, security, directories, locks, quota. `length` bytes
    /// of system buffer that begin with `data`; `class` is what is asked about.
    OfFileSystems {
        major: u8,
        minor: u8,
        class: u32,
        length: u32,
        data: Vec<u8>,
    },
}

/// How an operation ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Completion {
    /// IoStatus.Status.
    pub status: NtStatus,
    /// IoStatus.Information.
    pub information: u64,
    /// PriorityBoost of the completion: what the thread that waits gets.
    pub boost: i8,
    /// What the program finds in its output buffer: as many bytes as were reported, never more than it asked for.
    pub data: Vec<u8>,
}

impl Completion {
    fn failed(status: NtStatus) -> Self {
        Self {
            status,
            information: 0,
            boost: 0,
            data: Vec::new(),
        }
    }
}

/// What is called when an operation is done.
pub type OnDone = Box<dyn FnOnce(Completion) + Send>;

/// The dispatch routine has returned.
const RETURNED: u32 = 1;
/// The IRP is back.
const DONE: u32 = 2;
/// It is back, and some driver had marked it pending.
const PENDING: u32 = 4;

/// An operation between its start and its end.
pub(super) struct Operation {
    id: IoId,
    process: Arc<Process>,
    /// Null for a request without a file.
    file: Address<FileObject>,
    /// The exit of the process neither cancels nor awaits it.
    detached: bool,
    irp: Address<Irp>,
    /// Who needs the IRP's memory: the operation itself, and whoever is canceling it.
    irp_users: AtomicU32,
    progress: AtomicU32,
    ending: Lock<Option<Ending>>,
}

/// What the end of the operation needs.
struct Ending {
    on_done: OnDone,
    transfer: Transfer,
}

/// FSCTL and IOCTL access bits to file access.
fn required_access(op: &Op) -> u32 {
    match op {
        Op::Read { .. } => FILE_READ_DATA,
        Op::Write { .. } => FILE_WRITE_DATA,
        Op::Ioctl { code, .. }
        | Op::IoctlWith { code, .. }
        | Op::Neither { code, .. }
        | Op::FsControl { code, .. } => {
            let bits = code >> 14 & 3;
            (if bits & 1 != 0 { FILE_READ_DATA } else { 0 })
                | (if bits & 2 != 0 { FILE_WRITE_DATA } else { 0 })
        }
        Op::Internal { .. } | Op::Flush | Op::OfFileSystems { .. } => 0,
    }
}

pub(super) fn start(handle: &Handle, op: Op, on_done: OnDone) -> IoId {
    let process = handle.process();
    let Some(file) = handle.reference_file() else {
        on_done(Completion::failed(NtStatus::INVALID_HANDLE));
        return IoId(0);
    };
    let refused = if process.exiting.load(Ordering::Acquire) {
        Some(NtStatus::PROCESS_IS_TERMINATING)
    } else if required_access(&op) & !handle.granted() != 0 {
        Some(NtStatus::ACCESS_DENIED)
    } else {
        None
    };
    if let Some(status) = refused {
        file::release(file);
        on_done(Completion::failed(status));
        return IoId(0);
    }
    let top = device::related(file);
    thread::current().in_process(process, || {
        issue(process, file, top, op, Manner::default(), on_done).id
    })
}

/// How a request is sent, beside what it asks for.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Manner {
    /// IRP_* flags in addition to those the operation has.
    pub(super) flags: u32,
    /// The level the IRP arrives at, at least.
    pub(super) level: u8,
    /// RequestorMode is KernelMode.
    pub(super) kernel: bool,
    /// The exit of the process neither cancels nor awaits it.
    pub(super) detached: bool,
}

/// Builds and sends the IRP; the operation takes over the caller's reference of the file.
pub(super) fn issue(
    process: &Arc<Process>,
    file: *mut FileObject,
    top: *mut DeviceObject,
    op: Op,
    manner: Manner,
    on_done: OnDone,
) -> Arc<Operation> {
    let state = (!file.is_null()).then(|| file::state(file));
    let id = IoId(state.map_or(0, |state| {
        state.next_operation.fetch_add(1, Ordering::Relaxed)
    }));
    let irp = irp::allocate(at(top).stack_size.get());
    let view = at(irp);
    view.requestor_mode
        .set(if manner.kernel || matches!(op, Op::Internal { .. }) {
            KERNEL_MODE
        } else {
            USER_MODE
        });
    view.thread.set(thread::current().ethread());
    view.original_file_object.set(file);
    irp::next(irp).file_object.set(file);
    let transfer = prepare(irp, top, process, op);
    view.flags.update(|flags| flags | manner.flags);
    let operation = Arc::new(Operation {
        id,
        process: Arc::clone(process),
        file: Address(file),
        detached: manner.detached,
        irp: Address(irp),
        irp_users: AtomicU32::new(1),
        progress: AtomicU32::new(0),
        ending: Lock::new(Some(Ending { on_done, transfer })),
    });
    if !manner.detached {
        process.issued();
    }
    if let Some(state) = state {
        state.operations.lock().insert(id, Arc::clone(&operation));
    }
    irp::set_originator(irp, Arc::<Operation>::clone(&operation));
    if !manner.detached && process.exiting.load(Ordering::Acquire) {
        // The exit may have looked for requests before this one was there.
        operation.cancel();
    }
    let status = thread::current().at_least(manner.level, || irp::send(top, irp));
    operation.returned(status);
    operation
}

impl Operation {
    /// Cancels the IRP. False: it is gone already.
    pub(super) fn cancel(&self) -> bool {
        let mut users = self.irp_users.load(Ordering::Acquire);
        loop {
            if users == 0 {
                return false;
            }
            match self.irp_users.compare_exchange_weak(
                users,
                users + 1,
                Ordering::AcqRel,
                Ordering::Acquire,
            ) {
                Ok(_) => break,
                Err(now) => users = now,
            }
        }
        irp::cancel(self.irp.0);
        self.release_irp();
        true
    }

    /// Whose request it is.
    pub(super) fn process_id(&self) -> u64 {
        self.process.id()
    }

    /// The IRP is gone.
    pub(super) fn is_over(&self) -> bool {
        self.irp_users.load(Ordering::Acquire) == 0
    }

    fn release_irp(&self) {
        if self.irp_users.fetch_sub(1, Ordering::AcqRel) == 1 {
            irp::free(self.irp.0);
        }
    }

    /// The dispatch routine returned `status`. An IRP nobody marked pending ends here, in the caller's thread.
    fn returned(&self, status: NtStatus) {
        let before = self.progress.fetch_or(RETURNED, Ordering::AcqRel);
        let pending = status == NtStatus::PENDING;
        if before & DONE == 0 {
            if !pending {
                verify::violation(
                    "NT-IRP-09",
                    format!(
                        "a dispatch routine returned {status} for an IRP that is not completed"
                    ),
                );
            }
            return;
        }
        match (pending, before & PENDING != 0) {
            (true, false) => verify::violation(
                "NT-IRP-10",
                "a dispatch routine returned STATUS_PENDING for an IRP that was completed without IoMarkIrpPending: \
                 on Windows the program would wait for ever",
            ),
            (false, true) => verify::violation(
                "NT-IRP-11",
                format!(
                    "a dispatch routine returned {status} for an IRP that was marked pending: on Windows it would be completed twice"
                ),
            ),
            (true, true) => {}
            (false, false) => {
                let reported = at(self.irp.0).io_status.status.get();
                if reported != status {
                    verify::violation(
                        "NT-IRP-12",
                        format!(
                            "a dispatch routine returned {status} for an IRP it completed with {reported}"
                        ),
                    );
                }
                self.finish();
            }
        }
    }

    /// Brings the result to the program and lets go of everything the operation held.
    fn finish(&self) {
        let Some(Ending { on_done, transfer }) = self.ending.lock().take() else {
            verify::model_error("an operation ended twice");
        };
        let irp = at(self.irp.0);
        let status = irp.io_status.status.get();
        let information = irp.io_status.information.get();
        let boost = irp.apc_environment.get();
        let data = transfer.end(irp, status, information);
        let file = self.file.0;
        if !file.is_null() {
            file::state(file).operations.lock().remove(&self.id);
        }
        self.release_irp();
        if !file.is_null() {
            file::release(file);
        }
        if !self.detached {
            self.process.returned();
        }
        on_done(Completion {
            status,
            information,
            boost,
            data,
        });
    }
}

impl Originator for Operation {
    fn done(&self, irp: *mut Irp) {
        let pending = at(irp).pending_returned.get() != 0;
        let bits = if pending { DONE | PENDING } else { DONE };
        let before = self.progress.fetch_or(bits, Ordering::AcqRel);
        if pending {
            self.finish();
        } else if before & RETURNED != 0 {
            verify::violation(
                "NT-IRP-10",
                "a dispatch routine returned STATUS_PENDING for an IRP that was completed without IoMarkIrpPending: \
                 on Windows the program would wait for ever",
            );
        }
    }
}
