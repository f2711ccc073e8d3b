//! Io: IRPs, devices, names, work items.

use super::exports;
use crate::nt::abi::{
    Address, DeviceObject, DriverObject, FileObject, Initialize, IoWorker, IoWorkerEx, Irp, Mdl,
    UnicodeString, at, text_at, write_out,
};
use crate::nt::object::{self, Kind};
use crate::nt::pool::{self, Tag};
use crate::nt::status::NtStatus;
use crate::nt::{callout, device, driver, irp, mdl, namespace, workitem};
use crate::sched::Lock;
use std::collections::BTreeMap;

/// IO_WORKITEM: what drivers see is opaque.
struct WorkItem {
    object: Address<u8>,
    queued: bool,
}

static WORK_ITEMS: Lock<BTreeMap<usize, WorkItem>> = Lock::new(BTreeMap::new());
const WORK_ITEM_SIZE: usize = 0x40;
const WORK_ITEM: Tag = Tag::new(b"IoWI");

fn kind_of_owner(object: *mut u8) -> Kind {
    object::kind_of(object).unwrap_or(Kind::Device)
}

/// Queues a work item; its device or driver stays until the routine has returned.
fn queue_work(
    item: *mut u8,
    kind: u32,
    run: impl FnOnce(Address<u8>, Address<u8>) + Send + 'static,
) {
    let owner = {
        let mut items = WORK_ITEMS.lock();
        match items.get_mut(&(item as usize)) {
            Some(item) if !item.queued => {
                item.queued = true;
                Some(item.object)
            }
            Some(_) => None,
            None => Some(Address(std::ptr::null_mut())),
        }
    };
    let Some(owner) = owner else {
        crate::verify::violation(
            "NT-WORK-02",
            "IoQueueWorkItem of a work item that is queued already",
        );
    };
    if owner.get().is_null() {
        crate::verify::violation(
            "NT-WORK-03",
            "IoQueueWorkItem of something that is no work item",
        );
    }
    object::reference(owner.get());
    let item = Address(item);
    let queue = if kind == 1 {
        workitem::Queue::Delayed
    } else {
        workitem::Queue::Critical
    };
    workitem::queue(queue, move || {
        if let Some(item) = WORK_ITEMS.lock().get_mut(&(item.get() as usize)) {
            item.queued = false;
        }
        run(owner, item);
        object::dereference(kind_of_owner(owner.get()), owner.get());
    });
}

#[expect(unsafe_code, reason = "a work item's routine is known by address only")]
fn call_worker(routine: usize, arguments: [*mut u8; 3]) {
    // SAFETY: the driver vouches that the address is an IO_WORKITEM_ROUTINE or IO_WORKITEM_ROUTINE_EX.
    unsafe { callout::plain("work item", routine, arguments) };
}

exports! {
    DISPATCH fn IoAllocateIrp(stack_size: i8, _charge: u8) -> *mut Irp {
        if crate::verify::failable("IoAllocateIrp") { std::ptr::null_mut() } else { irp::allocate(stack_size) }
    }
    DISPATCH fn IoAllocateIrpEx(_device: *mut DeviceObject, stack_size: i8, _charge: u8) -> *mut Irp {
        if crate::verify::failable("IoAllocateIrp") { std::ptr::null_mut() } else { irp::allocate(stack_size) }
    }
    DISPATCH fn IoFreeIrp(request: *mut Irp) {
        irp::free(request);
    }
    DISPATCH fn IoInitializeIrp(request: *mut Irp, _size: u16, stack_size: i8) {
        irp::initialize(request, stack_size);
    }
    DISPATCH fn IoReuseIrp(request: *mut Irp, status: NtStatus) {
        irp::reuse(request, status);
    }
    DISPATCH fn IofCallDriver(device: *mut DeviceObject, request: *mut Irp) -> NtStatus {
        irp::call_driver(device, request)
    }
    DISPATCH fn IofCompleteRequest(request: *mut Irp, boost: i8) {
        irp::complete(request, boost);
    }
    DISPATCH fn IoCancelIrp(request: *mut Irp) -> u8 {
        irp::cancel(request).into()
    }
    DISPATCH fn IoAcquireCancelSpinLock(old: *mut u8) {
        write_out(old, irp::acquire_cancel_lock());
    }
    DISPATCH fn IoReleaseCancelSpinLock(old: u8) {
        irp::release_cancel_lock(old);
    }
    ANY fn IoSizeOfIrpEx(_device: *mut DeviceObject, stack_size: i8) -> u16 {
        irp::size_of_irp(stack_size) as u16
    }
    APC fn IoCreateDevice(driver: *mut DriverObject, extension: u32, name: *mut UnicodeString, device_type: u32, characteristics: u32, exclusive: u8, out: *mut *mut DeviceObject) -> NtStatus {
        if crate::verify::failable("IoCreateDevice") {
            return NtStatus::INSUFFICIENT_RESOURCES;
        }
        match device::create(driver, extension as usize, &text_at(name), device_type, characteristics, exclusive != 0) {
            Ok(device) => {
                write_out(out, device);
                NtStatus::SUCCESS
            }
            Err(status) => status,
        }
    }
    APC fn IoDeleteDevice(device: *mut DeviceObject) {
        device::delete(device);
    }
    DISPATCH fn IoAttachDeviceToDeviceStack(source: *mut DeviceObject, target: *mut DeviceObject) -> *mut DeviceObject {
        device::attach(source, target).unwrap_or(std::ptr::null_mut())
    }
    DISPATCH fn IoAttachDeviceToDeviceStackSafe(source: *mut DeviceObject, target: *mut DeviceObject, out: *mut *mut DeviceObject) -> NtStatus {
        match device::attach(source, target) {
            Some(below) => {
                write_out(out, below);
                NtStatus::SUCCESS
            }
            None => NtStatus::NO_SUCH_DEVICE,
        }
    }
    DISPATCH fn IoDetachDevice(target: *mut DeviceObject) {
        device::detach(target);
    }
    DISPATCH fn IoGetAttachedDevice(device: *mut DeviceObject) -> *mut DeviceObject {
        device::attached_top(device)
    }
    DISPATCH fn IoGetAttachedDeviceReference(device: *mut DeviceObject) -> *mut DeviceObject {
        let top = device::attached_top(device);
        object::reference(top.cast());
        top
    }
    DISPATCH fn IoGetLowerDeviceObject(device: *mut DeviceObject) -> *mut DeviceObject {
        let below = device::attached_below(device);
        if !below.is_null() {
            object::reference(below.cast());
        }
        below
    }
    DISPATCH fn IoGetRelatedDeviceObject(file: *mut FileObject) -> *mut DeviceObject {
        device::related(file)
    }
    PASSIVE fn IoCreateSymbolicLink(link: *mut UnicodeString, target: *mut UnicodeString) -> NtStatus {
        if crate::verify::failable("IoCreateSymbolicLink") {
            return NtStatus::INSUFFICIENT_RESOURCES;
        }
        NtStatus::of(namespace::create_link(&text_at(link), &text_at(target)))
    }
    PASSIVE fn IoDeleteSymbolicLink(link: *mut UnicodeString) -> NtStatus {
        NtStatus::of(namespace::delete_link(&text_at(link)))
    }
    PASSIVE fn IoCreateDriver(name: *mut UnicodeString, entry: Initialize) -> NtStatus {
        let name = text_at(name);
        let name = if name.is_empty() { "\\Driver\\Unnamed".to_owned() } else { name };
        driver::create(&name, entry).map_or_else(|status| status, |_| NtStatus::SUCCESS)
    }
    PASSIVE fn IoDeleteDriver(driver: *mut DriverObject) {
        driver::delete(driver);
    }
    PASSIVE fn IoAllocateDriverObjectExtension(driver: *mut DriverObject, id: *mut u8, size: u32, out: *mut *mut u8) -> NtStatus {
        if crate::verify::failable("IoAllocateDriverObjectExtension") {
            return NtStatus::INSUFFICIENT_RESOURCES;
        }
        match driver::allocate_extension(driver, id, size as usize) {
            Ok(extension) => {
                write_out(out, extension);
                NtStatus::SUCCESS
            }
            Err(status) => status,
        }
    }
    DISPATCH fn IoGetDriverObjectExtension(driver: *mut DriverObject, id: *mut u8) -> *mut u8 {
        driver::extension(driver, id)
    }
    DISPATCH fn IoAllocateMdl(address: *mut u8, length: u32, secondary: u8, _charge: u8, request: *mut Irp) -> *mut Mdl {
        if crate::verify::failable("IoAllocateMdl") {
            return std::ptr::null_mut();
        }
        mdl::allocate(address, length, secondary != 0, (!request.is_null()).then_some(request))
    }
    DISPATCH fn IoFreeMdl(mdl: *mut Mdl) {
        mdl::free(mdl);
    }
    DISPATCH fn IoBuildPartialMdl(source: *mut Mdl, target: *mut Mdl, address: *mut u8, length: u32) {
        mdl::build_partial(source, target, address, length);
    }
    DISPATCH fn IoAllocateWorkItem(owner: *mut DeviceObject) -> *mut u8 {
        if crate::verify::failable("IoAllocateWorkItem") {
            return std::ptr::null_mut();
        }
        let item = pool::allocate_internal(WORK_ITEM_SIZE, WORK_ITEM);
        WORK_ITEMS.lock().insert(item as usize, WorkItem { object: Address(owner.cast()), queued: false });
        item
    }
    DISPATCH fn IoFreeWorkItem(item: *mut u8) {
        match WORK_ITEMS.lock().remove(&(item as usize)) {
            Some(WorkItem { queued: false, .. }) => pool::free(item, Some(WORK_ITEM)),
            Some(_) => crate::verify::violation("NT-WORK-04", "IoFreeWorkItem of a work item that is queued"),
            None => crate::verify::violation("NT-WORK-03", "IoFreeWorkItem of something that is no work item"),
        }
    }
    ANY fn IoSizeofWorkItem() -> u32 {
        WORK_ITEM_SIZE as u32
    }
    DISPATCH fn IoInitializeWorkItem(owner: *mut u8, item: *mut u8) {
        WORK_ITEMS.lock().insert(item as usize, WorkItem { object: Address(owner), queued: false });
    }
    DISPATCH fn IoUninitializeWorkItem(item: *mut u8) {
        WORK_ITEMS.lock().remove(&(item as usize));
    }
    DISPATCH fn IoQueueWorkItem(item: *mut u8, routine: IoWorker, kind: u32, context: *mut u8) {
        let context = Address(context);
        queue_work(item, kind, move |owner, _| {
            call_worker(routine as usize, [owner.get(), context.get(), std::ptr::null_mut()]);
        });
    }
    DISPATCH fn IoQueueWorkItemEx(item: *mut u8, routine: IoWorkerEx, kind: u32, context: *mut u8) {
        let context = Address(context);
        queue_work(item, kind, move |owner, item| {
            call_worker(routine as usize, [owner.get(), context.get(), item.get()]);
        });
    }
    DISPATCH fn IoGetRequestorProcess(request: *mut Irp) -> *mut u8 {
        let thread = at(request).thread.get();
        if thread.is_null() { std::ptr::null_mut() } else { object::thread_process(thread) }
    }
    DISPATCH fn IoGetRequestorProcessId(request: *mut Irp) -> u32 {
        let thread = at(request).thread.get();
        if thread.is_null() { 0 } else { object::id_of(object::thread_process(thread)) as u32 }
    }
    DISPATCH fn IoThreadToProcess(thread: *mut u8) -> *mut u8 {
        object::thread_process(thread)
    }
    ANY fn IoIs32bitProcess(_request: *mut Irp) -> u8 {
        0
    }
    DISPATCH fn IoIsOperationSynchronous(request: *mut Irp) -> u8 {
        use crate::nt::abi::irp_flags;
        u8::from(at(request).flags.get() & irp_flags::SYNCHRONOUS_API != 0)
    }
    ANY fn IoGetInitialStack() -> *mut u8 {
        std::ptr::null_mut()
    }
    ANY fn IoGetTopLevelIrp() -> *mut Irp {
        std::ptr::null_mut()
    }
    ANY fn IoIsWdmVersionAvailable(major: u8, minor: u8) -> u8 {
        u8::from((major, minor) <= (6, 0x33))
    }
    ANY fn IoGetIoPriorityHint(request: *mut Irp) -> u32 {
        irp::priority_hint(request)
    }
    ANY fn IoSetIoPriorityHint(request: *mut Irp, hint: u32) -> NtStatus {
        irp::set_priority_hint(request, hint)
    }
    DISPATCH fn IoSetCompletionRoutineEx(_device: *mut DeviceObject, request: *mut Irp, routine: crate::nt::abi::Completion, context: *mut u8, success: u8, error: u8, cancel: u8) -> NtStatus {
        irp::set_completion_routine(request, routine, context, success != 0, error != 0, cancel != 0);
        NtStatus::SUCCESS
    }
    APC fn IoValidateDeviceIoControlAccess(_request: *mut Irp, _required: u32) -> NtStatus {
        // The I/O manager has checked the bits of the control code; stricter codes are the driver's own.
        NtStatus::SUCCESS
    }
    APC fn IoCheckShareAccess(_desired: u32, _share: u32, _file: *mut FileObject, _access: *mut u8, _update: u8) -> NtStatus {
        NtStatus::SUCCESS
    }
    PASSIVE fn IoRegisterShutdownNotification(_device: *mut DeviceObject) -> NtStatus {
        NtStatus::SUCCESS
    }
    PASSIVE fn IoUnregisterShutdownNotification(_device: *mut DeviceObject) {}
    PASSIVE fn IoWMIRegistrationControl(_device: *mut DeviceObject, _action: u32) -> NtStatus {
        NtStatus::SUCCESS
    }
    PASSIVE fn IoGetDeviceObjectPointer(name: *mut UnicodeString, access: u32, file: *mut *mut FileObject, device: *mut *mut DeviceObject) -> NtStatus {
        if crate::verify::failable("IoGetDeviceObjectPointer") {
            return NtStatus::INSUFFICIENT_RESOURCES;
        }
        match crate::nt::file::open_kernel(&text_at(name), access) {
            Ok(opened) => {
                write_out(file, opened);
                write_out(device, device::related(opened));
                NtStatus::SUCCESS
            }
            Err(status) => status,
        }
    }
    ANY fn IoGetStackLimits(low: *mut u64, high: *mut u64) {
        let here = std::ptr::from_ref(&low) as u64;
        write_out(low, here & !0xfff);
        write_out(high, (here | 0xfff) + 1);
    }
    ANY fn IoGetRemainingStackSize() -> u64 {
        0x3000
    }
}
