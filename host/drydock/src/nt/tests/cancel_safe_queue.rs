//! The kernel's cancel-safe queues, called as a driver calls them.

#![expect(unsafe_code, reason = "calls exports by address, as an image does")]

use super::pending::start;
use super::*;
use crate::loader::call;
use crate::nt::app::Op;
use crate::nt::exports::lookup;
use crate::nt::pool::{self, Tag};
use crate::nt::spinlock::{self, KspinLock};
use rusty_fork::rusty_fork_test;

static LOCK: KspinLock = KspinLock::new();
static QUEUE: Lock<Vec<Address<Irp>>> = Lock::new(Vec::new());

extern "win64" fn insert(_csq: *mut u8, request: *mut Irp) {
    QUEUE.lock().push(Address(request));
}

extern "win64" fn remove(_csq: *mut u8, request: *mut Irp) {
    QUEUE.lock().retain(|queued| queued.get() != request);
}

extern "win64" fn peek_next(_csq: *mut u8, after: *mut Irp, _context: *mut u8) -> *mut Irp {
    let queue = QUEUE.lock();
    let next = queue
        .iter()
        .position(|queued| queued.get() == after)
        .map_or(0, |index| index + 1);
    queue
        .get(next)
        .map_or(std::ptr::null_mut(), |queued| queued.get())
}

extern "win64" fn acquire(_csq: *mut u8, level: *mut u8) {
    crate::nt::abi::write_out(level, spinlock::raise_and_acquire(&LOCK));
}

extern "win64" fn release(_csq: *mut u8, level: u8) {
    spinlock::release_and_lower(&LOCK, level);
}

extern "win64" fn complete_canceled(_csq: *mut u8, request: *mut Irp) {
    log("canceled");
    let _ = complete(request, NtStatus::CANCELLED, 0);
}

fn export(name: &str, arguments: [u64; 7]) -> u64 {
    let [a, b, c, d, e, f, g] = arguments;
    let address = lookup("ntoskrnl.exe", name).unwrap();
    // SAFETY: the export takes no more than seven register-sized arguments.
    unsafe { call::call7(address, a, b, c, d, e, f, g) }
}

/// A device that queues its reads in a cancel-safe queue.
fn queueing() -> u64 {
    let csq = pool::allocate_internal(0x40, Tag::new(b"Test")) as u64;
    let callbacks = [
        insert as *const (),
        remove as *const (),
        peek_next as *const (),
        acquire as *const (),
        release as *const (),
        complete_canceled as *const (),
    ];
    let [a, b, c, d, e, f] = callbacks.map(|callback| callback as u64);
    export("IoCsqInitialize", [csq, a, b, c, d, e, f]);
    Device::named("T", 0).on(mj::READ, move |_, request| {
        export("IoCsqInsertIrp", [csq, request as u64, 0, 0, 0, 0, 0]);
        NtStatus::PENDING
    });
    csq
}

rusty_fork_test! {
    #[test]
    fn a_canceled_request_leaves_the_queue_and_the_next_one_stays() {
        let csq = queueing();
        let (_process, handle) = open("T");
        let read = Op::Read { offset: 0, len: 0 };
        let (first, first_end) = start(&handle, read.clone());
        let (_, second_end) = start(&handle, read);
        assert!(handle.cancel(first));
        assert_eq!(first_end.wait().status, NtStatus::CANCELLED);
        assert_eq!(taken(), ["canceled"]);
        let request = export("IoCsqRemoveNextIrp", [csq, 0, 0, 0, 0, 0, 0]) as *mut Irp;
        assert_eq!(at(request).cancel_routine.load(std::sync::atomic::Ordering::SeqCst), 0);
        let _ = complete(request, NtStatus::SUCCESS, 0);
        assert_eq!(second_end.wait().status, NtStatus::SUCCESS);
        assert_eq!(export("IoCsqRemoveNextIrp", [csq, 0, 0, 0, 0, 0, 0]), 0);
    }
}
