//! The kernel, tested with plain WDM drivers made of closures. Each test is a machine of its own, in a process of its own.

mod cancel;
mod cancel_safe_queue;
mod dispatcher;
mod files;
mod forced;
mod levels;
mod memory;
mod pending;
mod plug_and_play;
mod raw;
mod stacks;
mod throughput;
mod tracing;
mod transfer;

use super::abi::{
    Address, DO_DEVICE_INITIALIZING, DeviceObject, DriverObject, FILE_DEVICE_UNKNOWN, Irp,
    UnicodeString, at, mj,
};
use super::app::{Handle, Process};
use super::status::NtStatus;
use super::{device, driver, irp};
use crate::sched::Lock;
use crate::verify::{self, Severity};
use std::collections::BTreeMap;
use std::sync::Arc;

type Handler = Arc<dyn Fn(*mut DeviceObject, *mut Irp) -> NtStatus + Send + Sync>;

static HANDLERS: Lock<BTreeMap<(usize, u8), Handler>> = Lock::new(BTreeMap::new());
/// What happened, in order.
static LOG: Lock<Vec<String>> = Lock::new(Vec::new());

fn log(line: impl Into<String>) {
    LOG.lock().push(line.into());
}

/// What happened since the last call.
fn taken() -> Vec<String> {
    std::mem::take(&mut *LOG.lock())
}

/// A device of the test driver; what it does with a request is set per major function.
#[derive(Clone, Copy)]
struct Device(Address<DeviceObject>);

impl Device {
    /// A device with a name and a link `\\.\Test...`.
    fn named(name: &str, flags: u32) -> Self {
        let device = Self::make(&format!("\\Device\\{name}"), flags);
        device::create_link(&format!("\\??\\{name}"), &format!("\\Device\\{name}")).unwrap();
        device
    }

    fn unnamed() -> Self {
        Self::make("", 0)
    }

    fn make(name: &str, flags: u32) -> Self {
        let made = device::create(test_driver(), 16, name, FILE_DEVICE_UNKNOWN, 0, false).unwrap();
        at(made)
            .flags
            .update(|old| (old | flags) & !DO_DEVICE_INITIALIZING);
        Self(Address(made))
    }

    /// Puts this device on top of the stack of `other`.
    fn over(self, other: Self) -> Self {
        at(self.wdm())
            .flags
            .update(|flags| flags | at(other.wdm()).flags.get());
        assert!(device::attach(self.wdm(), other.wdm()).is_some());
        self
    }

    fn wdm(self) -> *mut DeviceObject {
        self.0.get()
    }

    /// From now on requests of this kind go to `handler`.
    fn on(
        self,
        major: u8,
        handler: impl Fn(*mut DeviceObject, *mut Irp) -> NtStatus + Send + Sync + 'static,
    ) -> Self {
        HANDLERS
            .lock()
            .insert((self.wdm() as usize, major), Arc::new(handler));
        self
    }

    /// Notes every create, cleanup and close.
    fn log_files(self) -> Self {
        for major in [mj::CREATE, mj::CLEANUP, mj::CLOSE] {
            self.on(major, move |_, request| {
                log(mj::name(major));
                complete(request, NtStatus::SUCCESS, 0)
            });
        }
        self
    }

    /// Keeps every request of this kind, marked pending; gives where they are kept.
    fn keep(self, major: u8) -> Kept {
        let kept = Kept::default();
        let there = kept.clone();
        self.on(major, move |_, request| {
            irp::mark_pending(request);
            there.0.lock().push(Address(request));
            NtStatus::PENDING
        });
        kept
    }
}

/// Requests a driver keeps.
#[derive(Clone, Default)]
struct Kept(Arc<Lock<Vec<Address<Irp>>>>);

impl Kept {
    fn take(&self) -> *mut Irp {
        self.0.lock().remove(0).get()
    }
}

fn complete(request: *mut Irp, status: NtStatus, information: u64) -> NtStatus {
    let block = &at(request).io_status;
    block.status.set(status);
    block.information.set(information);
    irp::complete(request, 0);
    status
}

extern "win64" fn dispatch(device: *mut DeviceObject, request: *mut Irp) -> NtStatus {
    let major = irp::current(request).major_function.get();
    let handler = HANDLERS.lock().get(&(device as usize, major)).cloned();
    match handler {
        Some(handler) => handler(device, request),
        None => complete(request, NtStatus::SUCCESS, 0),
    }
}

extern "win64" fn entry(driver: *mut DriverObject, _path: *mut UnicodeString) -> NtStatus {
    for routine in &at(driver).major_function {
        routine.set(Some(dispatch));
    }
    at(driver).driver_unload.set(Some(unload));
    NtStatus::SUCCESS
}

extern "win64" fn unload(_driver: *mut DriverObject) {
    log("unload");
}

fn test_driver() -> *mut DriverObject {
    driver::by_name("Test").unwrap_or_else(|| driver::create("\\Driver\\Test", entry).unwrap())
}

/// A program and its handle of `\\.\name`.
fn open(name: &str) -> (Arc<Process>, Arc<Handle>) {
    let process = Process::new("program");
    let handle = process
        .open(&format!("\\\\.\\{name}"), 0xc000_0000, 3)
        .unwrap();
    (process, handle)
}

/// Expects the run to end with a violation of this statement.
fn expect_violation(statement: &'static str) {
    verify::on_end(move |report| {
        if report.statement == Some(statement) {
            return 0;
        }
        eprintln!("{report}");
        1
    });
}

/// Expects the run to end with this bug check.
fn expect_bug_check(code: u32) {
    verify::on_end(move |report| {
        let found = report.bug_check.map(|(code, _)| code);
        i32::from(report.severity != Severity::BugCheck || found != Some(code))
    });
}
