//! Cancel-safe IRP queues: the driver keeps the queue, the kernel the order of the cancel protocol.

use super::exports;
use crate::loader::call;
use crate::nt::abi::{DeviceObject, Field, Irp, at, layout};
use crate::nt::irp;
use crate::nt::status::NtStatus;

/// IO_CSQ.
#[repr(C)]
struct Csq {
    kind: Field<u32>,
    insert: Field<usize>,
    remove: Field<usize>,
    peek_next: Field<usize>,
    acquire: Field<usize>,
    release: Field<usize>,
    complete_canceled: Field<usize>,
    reserved: Field<*mut u8>,
}
layout!(Csq, "IO_CSQ", 0x40, { kind: 0, insert: 8, remove: 0x10, peek_next: 0x18, acquire: 0x20, release: 0x28, complete_canceled: 0x30 });

/// IO_CSQ_IRP_CONTEXT.
#[repr(C)]
struct IrpContext {
    kind: Field<u32>,
    irp: Field<*mut Irp>,
    csq: Field<*mut Csq>,
}
layout!(IrpContext, "IO_CSQ_IRP_CONTEXT", 0x18, { kind: 0, irp: 8, csq: 0x10 });

/// IO_TYPE_CSQ_IRP_CONTEXT, IO_TYPE_CSQ, IO_TYPE_CSQ_EX.
const CONTEXT: u32 = 1;
const PLAIN: u32 = 2;
const EXTENDED: u32 = 3;

/// Calls a callback of the queue.
#[expect(
    unsafe_code,
    reason = "the callbacks of a queue are known by address only"
)]
fn callback(routine: usize, arguments: [u64; 3]) -> u64 {
    let [a, b, c] = arguments;
    // SAFETY: the driver gave the address as the callback for this purpose; none takes more than three arguments.
    unsafe { call::call3(routine, a, b, c) }
}

/// Runs `f` under the queue's lock, which the driver has.
fn locked<R>(csq: *mut Csq, f: impl FnOnce() -> R) -> R {
    let view = at(csq);
    let mut level: u8 = 0;
    callback(
        view.acquire.get(),
        [csq as u64, std::ptr::from_mut(&mut level) as u64, 0],
    );
    let result = f();
    callback(view.release.get(), [csq as u64, level.into(), 0]);
    result
}

/// Where an IRP says which queue it is in: `DriverContext[3]`, the queue itself or a context that names it.
fn owner(request: *mut Irp) -> (*mut Csq, Option<*mut IrpContext>) {
    let owner = at(request).driver_context[3].get();
    if at(owner as *mut IrpContext).kind.get() == CONTEXT {
        let context = owner as *mut IrpContext;
        (at(context).csq.get(), Some(context))
    } else {
        (owner as *mut Csq, None)
    }
}

fn unlink(csq: *mut Csq, request: *mut Irp, context: Option<*mut IrpContext>) {
    if let Some(context) = context {
        at(context).irp.set(std::ptr::null_mut());
    }
    at(request).driver_context[3].set(0);
    callback(at(csq).remove.get(), [csq as u64, request as u64, 0]);
}

extern "win64" fn cancel(_device: *mut DeviceObject, request: *mut Irp) {
    irp::release_cancel_lock(at(request).cancel_irql.get());
    let (csq, context) = owner(request);
    locked(csq, || unlink(csq, request, context));
    callback(
        at(csq).complete_canceled.get(),
        [csq as u64, request as u64, 0],
    );
}

fn insert(csq: *mut Csq, request: *mut Irp, context: *mut IrpContext, extra: *mut u8) -> NtStatus {
    let view = at(csq);
    let linked = (!context.is_null()).then_some(context);
    let (status, canceled) = locked(csq, || {
        if let Some(context) = linked {
            let context_view = at(context);
            context_view.kind.set(CONTEXT);
            context_view.irp.set(request);
            context_view.csq.set(csq);
            at(request).driver_context[3].set(context as u64);
        } else {
            at(request).driver_context[3].set(csq as u64);
        }
        let status = callback(
            view.insert.get(),
            [csq as u64, request as u64, extra as u64],
        );
        let status = NtStatus(status as u32 as i32);
        if view.kind.get() == EXTENDED && !status.is_success() {
            if let Some(context) = linked {
                at(context).irp.set(std::ptr::null_mut());
            }
            at(request).driver_context[3].set(0);
            return (status, false);
        }
        irp::mark_pending(request);
        irp::set_cancel_routine(request, Some(cancel));
        // Canceled before the routine was there: whoever takes the routine back ends the request.
        let canceled = at(request).cancel.get() != 0 && irp::set_cancel_routine(request, None) != 0;
        if canceled {
            unlink(csq, request, linked);
        }
        (NtStatus::SUCCESS, canceled)
    });
    if canceled {
        callback(
            view.complete_canceled.get(),
            [csq as u64, request as u64, 0],
        );
    }
    status
}

fn initialize(csq: *mut Csq, kind: u32, callbacks: [usize; 6]) -> NtStatus {
    let view = at(csq);
    let [
        insert,
        remove,
        peek_next,
        acquire,
        release,
        complete_canceled,
    ] = callbacks;
    view.kind.set(kind);
    view.insert.set(insert);
    view.remove.set(remove);
    view.peek_next.set(peek_next);
    view.acquire.set(acquire);
    view.release.set(release);
    view.complete_canceled.set(complete_canceled);
    view.reserved.set(std::ptr::null_mut());
    NtStatus::SUCCESS
}

exports! {
    DISPATCH fn IoCsqInitialize(csq: *mut Csq, insert: usize, remove: usize, peek: usize, acquire: usize, release: usize, complete: usize) -> NtStatus {
        initialize(csq, PLAIN, [insert, remove, peek, acquire, release, complete])
    }
    DISPATCH fn IoCsqInitializeEx(csq: *mut Csq, insert: usize, remove: usize, peek: usize, acquire: usize, release: usize, complete: usize) -> NtStatus {
        initialize(csq, EXTENDED, [insert, remove, peek, acquire, release, complete])
    }
    DISPATCH fn IoCsqInsertIrp(csq: *mut Csq, request: *mut Irp, context: *mut IrpContext) {
        let _ = insert(csq, request, context, std::ptr::null_mut());
    }
    DISPATCH fn IoCsqInsertIrpEx(csq: *mut Csq, request: *mut Irp, context: *mut IrpContext, extra: *mut u8) -> NtStatus {
        insert(csq, request, context, extra)
    }
    DISPATCH fn IoCsqRemoveNextIrp(csq: *mut Csq, peek: *mut u8) -> *mut Irp {
        locked(csq, || {
            let mut request: *mut Irp = std::ptr::null_mut();
            loop {
                request = callback(at(csq).peek_next.get(), [csq as u64, request as u64, peek as u64]) as *mut Irp;
                // One whose cancel routine is gone is being canceled: its cancel routine takes it off.
                if request.is_null() || irp::set_cancel_routine(request, None) != 0 {
                    break;
                }
            }
            if !request.is_null() {
                let (_, context) = owner(request);
                unlink(csq, request, context);
            }
            request
        })
    }
    DISPATCH fn IoCsqRemoveIrp(csq: *mut Csq, context: *mut IrpContext) -> *mut Irp {
        locked(csq, || {
            let request = at(context).irp.get();
            if request.is_null() || irp::set_cancel_routine(request, None) == 0 {
                return std::ptr::null_mut();
            }
            unlink(csq, request, Some(context));
            request
        })
    }
}
