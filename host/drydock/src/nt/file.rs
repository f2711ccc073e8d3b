//! File objects and handles: open, cleanup before close, and who keeps a file alive.
//!
//! A file object has a reference for each request on it and one for its handles. IRP_MJ_CLEANUP goes down when the last handle is
//! closed, IRP_MJ_CLOSE when the last reference is gone.

#![expect(
    unsafe_code,
    reason = "what the kernel keeps about a file is behind a field of the FILE_OBJECT"
)]

use super::abi::{
    Address, FO_CLEANUP_COMPLETE, FO_HANDLE_CREATED, FileObject, IO_TYPE_FILE, Irp, USER_MODE, at,
    irp_flags, mj,
};
use super::io::{self, Completion, IoId, Op};
use super::object::{self, Kind};
use super::pool::{self, Tag};
use super::process::Process;
use super::security::{FILE_READ_DATA, FILE_WRITE_DATA, map_generic};
use super::status::NtStatus;
use super::{device, irp, namespace, thread, wait, workitem};
use crate::sched::{Event, Lock};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

/// What the kernel keeps about a file beside its FILE_OBJECT.
pub(super) struct State {
    /// Handles that stand for the file, in all processes.
    handles: AtomicU32,
    process: Arc<Process>,
    pub(super) operations: Lock<BTreeMap<IoId, Arc<io::Operation>>>,
    pub(super) next_operation: AtomicU64,
    name: Address<u8>,
}

/// How a program opens a file.
#[derive(Clone, Copy, Debug)]
pub struct OpenOptions {
    /// ACCESS_MASK, generic rights included.
    pub access: u32,
    /// FILE_SHARE_* bits.
    pub share: u32,
    /// FILE_* create options (the low 24 bits).
    pub options: u32,
    /// CreateDisposition.
    pub disposition: u8,
}

impl Default for OpenOptions {
    fn default() -> Self {
        Self {
            access: 0xc000_0000,
            share: 3,
            options: 0,
            disposition: 1,
        }
    }
}

/// The id of the process that opened the file.
pub fn opener_id(file: *mut FileObject) -> u64 {
    state(file).process.id()
}

pub(super) fn state(file: *mut FileObject) -> &'static State {
    let pointer = at(file).file_object_extension.get().cast::<State>();
    // SAFETY: `create` stored a box there, which `delete` takes when the last reference is gone; callers have one.
    unsafe { &*pointer }
}

/// A program's handle of an open file.
pub struct Handle {
    value: u64,
    process: Arc<Process>,
    file: Address<FileObject>,
    granted: u32,
    /// False once closed. Guards the handle's reference on the file.
    open: Lock<bool>,
}

impl std::fmt::Debug for Handle {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Handle({} of {})", self.value, self.process.name())
    }
}

impl Process {
    /// NtCreateFile of a device: sends IRP_MJ_CREATE and gives a handle if the driver agrees.
    pub fn open(
        self: &Arc<Self>,
        path: &str,
        access: u32,
        share: u32,
    ) -> Result<Arc<Handle>, NtStatus> {
        self.open_with(
            path,
            OpenOptions {
                access,
                share,
                ..OpenOptions::default()
            },
        )
    }

    /// [`Process::open`] with all that can be said.
    pub fn open_with(
        self: &Arc<Self>,
        path: &str,
        options: OpenOptions,
    ) -> Result<Arc<Handle>, NtStatus> {
        if self.exiting.load(Ordering::Acquire) {
            return Err(NtStatus::PROCESS_IS_TERMINATING);
        }
        thread::current().in_process(self, || open(self, path, options))
    }
}

fn open(process: &Arc<Process>, path: &str, options: OpenOptions) -> Result<Arc<Handle>, NtStatus> {
    let (target, rest) = namespace::resolve(path)?;
    let target = target.0;
    let granted = match device::security(target) {
        Some(security) => security.check(process.token(), options.access)?,
        None => map_generic(options.access),
    };
    device::open(target)?;
    let file = create(process, target, &rest, &options, granted);
    let status = send_create(file, &options, granted);
    if !status.is_success() {
        // No handle was made, so neither CLEANUP nor CLOSE follows.
        object::dereference(Kind::File, file.cast());
        return Err(status);
    }
    at(file).flags.update(|flags| flags | FO_HANDLE_CREATED);
    let value = process.next_handle.fetch_add(4, Ordering::Relaxed);
    let handle = Arc::new(Handle {
        value,
        process: Arc::clone(process),
        file: Address(file),
        granted,
        open: Lock::new(true),
    });
    process.handles.lock().insert(value, Arc::clone(&handle));
    if process.exiting.load(Ordering::Acquire) {
        handle.close();
        return Err(NtStatus::PROCESS_IS_TERMINATING);
    }
    Ok(handle)
}

/// A file object on a device that no driver has seen a CREATE request of, with one reference: what a driver above could make with
/// IoCreateStreamFileObject. It has no handle, so neither CLEANUP nor CLOSE goes down for it.
pub(super) fn unopened(
    process: &Arc<Process>,
    target: *mut super::abi::DeviceObject,
) -> Result<*mut FileObject, NtStatus> {
    device::open(target)?;
    let access = FILE_READ_DATA | FILE_WRITE_DATA;
    Ok(create(process, target, "", &OpenOptions::default(), access))
}

/// The process of files opened by drivers.
fn system_process() -> Arc<Process> {
    static SYSTEM: std::sync::OnceLock<Arc<Process>> = std::sync::OnceLock::new();
    Arc::clone(SYSTEM.get_or_init(|| Process::with_token("System", super::security::Token::System)))
}

/// Opens a device for a driver (IoGetDeviceObjectPointer): gives a file object with one reference, whose handle is closed
/// already, so CLEANUP has gone down.
pub fn open_kernel(path: &str, access: u32) -> Result<*mut FileObject, NtStatus> {
    let process = system_process();
    let handle = process.open(path, access, 3)?;
    let file = handle.reference_file().ok_or(NtStatus::INVALID_HANDLE)?;
    handle.close();
    Ok(file)
}

fn create(
    process: &Arc<Process>,
    target: *mut super::abi::DeviceObject,
    name: &str,
    options: &OpenOptions,
    granted: u32,
) -> *mut FileObject {
    let file = object::create(Kind::File, size_of::<FileObject>()).cast::<FileObject>();
    let view = at(file);
    view.kind.set(IO_TYPE_FILE);
    view.size.set(size_of::<FileObject>() as i16);
    view.device_object.set(target);
    view.read_access
        .set(u8::from(granted & FILE_READ_DATA != 0));
    view.write_access
        .set(u8::from(granted & FILE_WRITE_DATA != 0));
    view.shared_read.set(u8::from(options.share & 1 != 0));
    view.shared_write.set(u8::from(options.share & 2 != 0));
    view.shared_delete.set(u8::from(options.share & 4 != 0));
    wait::initialize_event(std::ptr::from_ref(&view.lock).cast_mut(), false, false);
    wait::initialize_event(std::ptr::from_ref(&view.event).cast_mut(), true, false);
    view.irp_list.make_empty();
    let units: Vec<u8> = name.encode_utf16().flat_map(u16::to_le_bytes).collect();
    let buffer = if units.is_empty() {
        std::ptr::null_mut()
    } else {
        let buffer = pool::allocate_internal(units.len(), Tag::new(b"Name"));
        super::abi::write_bytes(buffer, &units);
        buffer
    };
    view.file_name
        .point_at(buffer.cast(), units.len() as u16, units.len() as u16);
    let state = Box::new(State {
        handles: AtomicU32::new(1),
        process: Arc::clone(process),
        operations: Lock::new(BTreeMap::new()),
        next_operation: AtomicU64::new(1),
        name: Address(buffer),
    });
    view.file_object_extension.set(Box::into_raw(state).cast());
    file
}

/// An IRP of the I/O manager's own about a file, its next stack location begun.
fn file_irp(file: *mut FileObject, major: u8, flags: u32) -> *mut Irp {
    let top = device::related(file);
    let irp = irp::allocate(at(top).stack_size.get());
    let view = at(irp);
    view.flags.set(flags);
    view.requestor_mode.set(USER_MODE);
    view.thread.set(thread::current().ethread());
    view.original_file_object.set(file);
    let next = irp::next(irp);
    next.major_function.set(major);
    next.file_object.set(file);
    irp
}

fn send(file: *mut FileObject, irp: *mut Irp) -> NtStatus {
    let status = irp::send_and_wait(device::related(file), irp);
    irp::free(irp);
    status
}

/// IO_SECURITY_CONTEXT, ACCESS_STATE left out: drivers look at DesiredAccess.
#[repr(C)]
struct SecurityContext {
    quality_of_service: u64,
    access_state: u64,
    desired_access: u32,
    full_create_options: u32,
}

fn send_create(file: *mut FileObject, options: &OpenOptions, granted: u32) -> NtStatus {
    let flags =
        irp_flags::CREATE_OPERATION | irp_flags::SYNCHRONOUS_API | irp_flags::DEFER_IO_COMPLETION;
    let irp = file_irp(file, mj::CREATE, flags);
    let mut context = SecurityContext {
        quality_of_service: 0,
        access_state: 0,
        desired_access: granted,
        full_create_options: options.options,
    };
    let next = irp::next(irp);
    next.parameters[0].set(std::ptr::from_mut(&mut context) as u64);
    next.parameters[1]
        .set(u64::from(options.disposition) << 24 | u64::from(options.options & 0xff_ffff));
    next.parameters[2].set(u64::from(options.share as u16) << 16);
    send(file, irp)
}

/// The last reference of a file is gone: every request has one, so CLOSE follows the last of them (R-CAN-62). Called by the
/// object manager.
pub(super) fn delete(file: *mut FileObject) {
    let view = at(file);
    let pointer = view.file_object_extension.get().cast::<State>();
    // SAFETY: `create` stored the box; this is the one place that takes it, at the end of the file's life.
    let state = unsafe { Box::from_raw(pointer) };
    if view.flags.get() & FO_HANDLE_CREATED != 0 {
        let flags = irp_flags::CLOSE_OPERATION | irp_flags::SYNCHRONOUS_API;
        thread::current().in_process(&state.process, || {
            let irp = file_irp(file, mj::CLOSE, flags);
            // The kernel, not the program, closes.
            at(irp).requestor_mode.set(super::abi::KERNEL_MODE);
            let _ = send(file, irp);
        });
    }
    if !state.name.0.is_null() {
        pool::free(state.name.0, None);
    }
    device::close(view.device_object.get());
}

/// Gives up a reference of a file, from any level: the close request is sent at PASSIVE_LEVEL.
pub(super) fn release(file: *mut FileObject) {
    if thread::irql() == thread::PASSIVE_LEVEL || object::references(file.cast()) > 1 {
        object::dereference(Kind::File, file.cast());
        return;
    }
    let file = Address(file);
    workitem::queue(workitem::Queue::Critical, move || {
        object::dereference(Kind::File, file.get().cast());
    });
}

impl Handle {
    /// Its number in its process.
    pub fn value(&self) -> u64 {
        self.value
    }

    /// The process that has it.
    pub fn process(&self) -> &Arc<Process> {
        &self.process
    }

    /// The file it stands for.
    pub fn file(&self) -> *mut FileObject {
        self.file.0
    }

    /// What was granted at the open.
    pub fn granted(&self) -> u32 {
        self.granted
    }

    /// Starts an operation; `on_done` is called once, in whatever thread and at whatever level it ends.
    pub fn start(&self, op: Op, on_done: impl FnOnce(Completion) + Send + 'static) -> IoId {
        io::start(self, op, Box::new(on_done))
    }

    /// Runs an operation and waits for it.
    pub fn run(&self, op: Op) -> Completion {
        let slot = Arc::new((Lock::new(None), Event::new(true, false)));
        let there = Arc::clone(&slot);
        self.start(op, move |completion| {
            *there.0.lock() = Some(completion);
            there.1.set();
        });
        loop {
            if let Some(completion) = slot.0.lock().take() {
                return completion;
            }
            slot.1.wait();
        }
    }

    /// CancelIoEx for one operation. False: it is not there any more.
    pub fn cancel(&self, id: IoId) -> bool {
        self.with_file(|state| {
            let operation = state.operations.lock().get(&id).cloned();
            operation.is_some_and(|operation| operation.cancel())
        })
        .unwrap_or(false)
    }

    /// CancelIoEx for all operations started through the file. Gives how many there were.
    pub fn cancel_all(&self) -> usize {
        self.with_file(|state| {
            let operations: Vec<_> = state.operations.lock().values().cloned().collect();
            operations
                .iter()
                .filter(|operation| operation.cancel())
                .count()
        })
        .unwrap_or(0)
    }

    /// Operations started through the file that are not back.
    pub fn outstanding(&self) -> usize {
        self.with_file(|state| state.operations.lock().len())
            .unwrap_or(0)
    }

    /// Takes a reference of the file, which the caller releases. None: the handle is closed.
    pub(super) fn reference_file(&self) -> Option<*mut FileObject> {
        let open = self.open.lock();
        open.then(|| {
            object::reference(self.file.0.cast());
            self.file.0
        })
    }

    fn with_file<R>(&self, f: impl FnOnce(&State) -> R) -> Option<R> {
        let file = self.reference_file()?;
        let result = f(state(file));
        release(file);
        Some(result)
    }

    /// DuplicateHandle: another handle of the same file, in `process`.
    pub fn duplicate(&self, process: &Arc<Process>) -> Result<Arc<Self>, NtStatus> {
        let file = self.reference_file().ok_or(NtStatus::INVALID_HANDLE)?;
        state(file).handles.fetch_add(1, Ordering::AcqRel);
        let value = process.next_handle.fetch_add(4, Ordering::Relaxed);
        let handle = Arc::new(Self {
            value,
            process: Arc::clone(process),
            file: self.file,
            granted: self.granted,
            open: Lock::new(true),
        });
        process.handles.lock().insert(value, Arc::clone(&handle));
        Ok(handle)
    }

    /// CloseHandle: IRP_MJ_CLEANUP if this was the file's last handle, IRP_MJ_CLOSE if nothing else keeps the file. Closing again
    /// does nothing.
    pub fn close(&self) {
        if !std::mem::replace(&mut *self.open.lock(), false) {
            return;
        }
        let file = self.file.0;
        // Nobody can cancel them by this handle any more; the exit of the process still does.
        let left: Vec<_> = state(file).operations.lock().values().cloned().collect();
        self.process.keep_orphans(left);
        thread::current().in_process(&self.process, || {
            if state(file).handles.fetch_sub(1, Ordering::AcqRel) == 1 {
                at(file).flags.update(|flags| flags | FO_CLEANUP_COMPLETE);
                let flags = irp_flags::CLOSE_OPERATION | irp_flags::SYNCHRONOUS_API;
                let irp = file_irp(file, mj::CLEANUP, flags);
                at(irp).requestor_mode.set(super::abi::KERNEL_MODE);
                let _ = send(file, irp);
            }
            release(file);
        });
        self.process.handles.lock().remove(&self.value);
    }
}
