//! I/O request packets, their stack locations and MDLs.

use super::{Cancel, Completion, DeviceObject, Field, FileObject, ListEntry, layout};
use crate::nt::status::NtStatus;
use std::sync::atomic::AtomicUsize;

/// `Type` of an IRP.
pub const IO_TYPE_IRP: i16 = 6;

/// IRP_MJ_* codes.
pub mod mj {
    #![expect(missing_docs, reason = "IRP_MJ_CREATE and so on")]
    pub const CREATE: u8 = 0x00;
    pub const CLOSE: u8 = 0x02;
    pub const READ: u8 = 0x03;
    pub const WRITE: u8 = 0x04;
    pub const QUERY_INFORMATION: u8 = 0x05;
    pub const SET_INFORMATION: u8 = 0x06;
    pub const QUERY_EA: u8 = 0x07;
    pub const SET_EA: u8 = 0x08;
    pub const FLUSH_BUFFERS: u8 = 0x09;
    pub const QUERY_VOLUME_INFORMATION: u8 = 0x0a;
    pub const SET_VOLUME_INFORMATION: u8 = 0x0b;
    pub const DIRECTORY_CONTROL: u8 = 0x0c;
    pub const FILE_SYSTEM_CONTROL: u8 = 0x0d;
    pub const DEVICE_CONTROL: u8 = 0x0e;
    pub const INTERNAL_DEVICE_CONTROL: u8 = 0x0f;
    pub const SHUTDOWN: u8 = 0x10;
    pub const LOCK_CONTROL: u8 = 0x11;
    pub const CLEANUP: u8 = 0x12;
    pub const QUERY_SECURITY: u8 = 0x14;
    pub const SET_SECURITY: u8 = 0x15;
    pub const POWER: u8 = 0x16;
    pub const SYSTEM_CONTROL: u8 = 0x17;
    pub const QUERY_QUOTA: u8 = 0x19;
    pub const SET_QUOTA: u8 = 0x1a;
    pub const PNP: u8 = 0x1b;
    /// IRP_MJ_MAXIMUM_FUNCTION.
    pub const MAXIMUM: u8 = 0x1b;

    /// The name without its prefix, for reports.
    pub fn name(code: u8) -> &'static str {
        match code {
            CREATE => "CREATE",
            CLOSE => "CLOSE",
            READ => "READ",
            WRITE => "WRITE",
            QUERY_INFORMATION => "QUERY_INFORMATION",
            SET_INFORMATION => "SET_INFORMATION",
            FLUSH_BUFFERS => "FLUSH_BUFFERS",
            DEVICE_CONTROL => "DEVICE_CONTROL",
            INTERNAL_DEVICE_CONTROL => "INTERNAL_DEVICE_CONTROL",
            SHUTDOWN => "SHUTDOWN",
            CLEANUP => "CLEANUP",
            POWER => "POWER",
            SYSTEM_CONTROL => "SYSTEM_CONTROL",
            PNP => "PNP",
            QUERY_EA => "QUERY_EA",
            SET_EA => "SET_EA",
            QUERY_VOLUME_INFORMATION => "QUERY_VOLUME_INFORMATION",
            SET_VOLUME_INFORMATION => "SET_VOLUME_INFORMATION",
            DIRECTORY_CONTROL => "DIRECTORY_CONTROL",
            FILE_SYSTEM_CONTROL => "FILE_SYSTEM_CONTROL",
            LOCK_CONTROL => "LOCK_CONTROL",
            QUERY_SECURITY => "QUERY_SECURITY",
            SET_SECURITY => "SET_SECURITY",
            QUERY_QUOTA => "QUERY_QUOTA",
            SET_QUOTA => "SET_QUOTA",
            _ => "(other major function)",
        }
    }
}

/// IRP_MN_* codes of IRP_MJ_PNP and IRP_MJ_POWER.
pub mod mn {
    #![expect(missing_docs, reason = "IRP_MN_START_DEVICE and so on")]
    pub const START_DEVICE: u8 = 0x00;
    pub const QUERY_REMOVE_DEVICE: u8 = 0x01;
    pub const REMOVE_DEVICE: u8 = 0x02;
    pub const CANCEL_REMOVE_DEVICE: u8 = 0x03;
    pub const STOP_DEVICE: u8 = 0x04;
    pub const QUERY_STOP_DEVICE: u8 = 0x05;
    pub const CANCEL_STOP_DEVICE: u8 = 0x06;
    pub const QUERY_DEVICE_RELATIONS: u8 = 0x07;
    pub const QUERY_INTERFACE: u8 = 0x08;
    pub const QUERY_CAPABILITIES: u8 = 0x09;
    pub const QUERY_RESOURCES: u8 = 0x0a;
    pub const QUERY_RESOURCE_REQUIREMENTS: u8 = 0x0b;
    pub const QUERY_DEVICE_TEXT: u8 = 0x0c;
    pub const FILTER_RESOURCE_REQUIREMENTS: u8 = 0x0d;
    pub const QUERY_ID: u8 = 0x13;
    pub const QUERY_PNP_DEVICE_STATE: u8 = 0x14;
    pub const QUERY_BUS_INFORMATION: u8 = 0x15;
    pub const DEVICE_USAGE_NOTIFICATION: u8 = 0x16;
    pub const SURPRISE_REMOVAL: u8 = 0x17;

    pub const WAIT_WAKE: u8 = 0x00;
    pub const POWER_SEQUENCE: u8 = 0x01;
    pub const SET_POWER: u8 = 0x02;
    pub const QUERY_POWER: u8 = 0x03;
}

/// Bits of `IO_STACK_LOCATION.Control`.
pub mod sl {
    #![expect(missing_docs, reason = "SL_PENDING_RETURNED and so on")]
    pub const PENDING_RETURNED: u8 = 0x01;
    pub const ERROR_RETURNED: u8 = 0x02;
    pub const INVOKE_ON_CANCEL: u8 = 0x20;
    pub const INVOKE_ON_SUCCESS: u8 = 0x40;
    pub const INVOKE_ON_ERROR: u8 = 0x80;
}

/// Bits of `IRP.Flags`.
pub mod irp_flags {
    #![expect(missing_docs, reason = "IRP_NOCACHE and so on")]
    pub const NOCACHE: u32 = 0x1;
    pub const PAGING_IO: u32 = 0x2;
    pub const SYNCHRONOUS_API: u32 = 0x4;
    pub const BUFFERED_IO: u32 = 0x10;
    pub const DEALLOCATE_BUFFER: u32 = 0x20;
    pub const INPUT_OPERATION: u32 = 0x40;
    pub const SYNCHRONOUS_PAGING_IO: u32 = 0x40;
    pub const CREATE_OPERATION: u32 = 0x80;
    pub const READ_OPERATION: u32 = 0x100;
    pub const WRITE_OPERATION: u32 = 0x200;
    pub const CLOSE_OPERATION: u32 = 0x400;
    pub const DEFER_IO_COMPLETION: u32 = 0x800;
    /// One more than the IO_PRIORITY_HINT, 0 where nobody has set one. Drivers do not look here: they ask by function.
    pub const PRIORITY_HINT: u32 = 0xe_0000;
}

/// KernelMode.
pub const KERNEL_MODE: i8 = 0;
/// UserMode.
pub const USER_MODE: i8 = 1;

/// IO_STATUS_BLOCK.
#[repr(C)]
#[derive(Debug)]
pub struct IoStatusBlock {
    /// The result (its union partner is a pointer, hence the gap).
    pub status: Field<NtStatus>,
    /// Usually bytes transferred.
    pub information: Field<u64>,
}
layout!(IoStatusBlock, "IO_STATUS_BLOCK", 16, { status: 0, information: 8 });

/// IRP. Its owner at any instant is whoever is processing it: the driver whose stack location is current.
#[repr(C)]
#[derive(Debug)]
#[expect(
    missing_docs,
    reason = "the fields carry the names every driver engineer knows them by"
)]
pub struct Irp {
    pub kind: Field<i16>,
    pub size: Field<u16>,
    pub allocation_processor: Field<u16>,
    pub reserved: Field<u16>,
    pub mdl_address: Field<*mut Mdl>,
    pub flags: Field<u32>,
    /// `AssociatedIrp.SystemBuffer`.
    pub system_buffer: Field<*mut u8>,
    pub thread_list_entry: ListEntry,
    pub io_status: IoStatusBlock,
    pub requestor_mode: Field<i8>,
    pub pending_returned: Field<u8>,
    pub stack_count: Field<i8>,
    pub current_location: Field<i8>,
    pub cancel: Field<u8>,
    pub cancel_irql: Field<u8>,
    pub apc_environment: Field<i8>,
    pub allocation_flags: Field<u8>,
    pub user_iosb: Field<*mut IoStatusBlock>,
    pub user_event: Field<*mut u8>,
    /// `Overlay.AsynchronousParameters` or `Overlay.AllocationSize`.
    pub overlay: [Field<u64>; 2],
    /// Exchanged atomically by everybody, so an atomic; null is "none".
    pub cancel_routine: AtomicUsize,
    pub user_buffer: Field<*mut u8>,
    /// `Tail.Overlay.DriverContext`: the driver that owns the IRP may use it.
    pub driver_context: [Field<u64>; 4],
    pub thread: Field<*mut u8>,
    pub auxiliary_buffer: Field<*mut u8>,
    pub list_entry: ListEntry,
    pub current_stack_location: Field<*mut IoStackLocation>,
    pub original_file_object: Field<*mut FileObject>,
    pub irp_extension: Field<*mut u8>,
}
layout!(Irp, "IRP", 0xd0, {
    kind: 0, size: 2, mdl_address: 8, flags: 0x10, system_buffer: 0x18, thread_list_entry: 0x20, io_status: 0x30,
    requestor_mode: 0x40, pending_returned: 0x41, stack_count: 0x42, current_location: 0x43, cancel: 0x44,
    cancel_irql: 0x45, apc_environment: 0x46, allocation_flags: 0x47, user_iosb: 0x48, user_event: 0x50, overlay: 0x58,
    cancel_routine: 0x68, user_buffer: 0x70, driver_context: 0x78, thread: 0x98, auxiliary_buffer: 0xa0,
    list_entry: 0xa8, current_stack_location: 0xb8, original_file_object: 0xc0, irp_extension: 0xc8,
});

/// IO_STACK_LOCATION: what one driver of the stack is asked to do.
#[repr(C)]
#[derive(Debug)]
#[expect(
    missing_docs,
    reason = "the fields carry the names every driver engineer knows them by"
)]
pub struct IoStackLocation {
    pub major_function: Field<u8>,
    pub minor_function: Field<u8>,
    pub flags: Field<u8>,
    pub control: Field<u8>,
    /// `Parameters`, as its four pointer-sized slots; see the accessors below.
    pub parameters: [Field<u64>; 4],
    pub device_object: Field<*mut DeviceObject>,
    pub file_object: Field<*mut FileObject>,
    pub completion_routine: Field<Option<Completion>>,
    pub context: Field<*mut u8>,
}
layout!(IoStackLocation, "IO_STACK_LOCATION", 0x48, {
    major_function: 0, minor_function: 1, flags: 2, control: 3, parameters: 8, device_object: 0x28, file_object: 0x30,
    completion_routine: 0x38, context: 0x40,
});

impl IoStackLocation {
    /// A slot of `Parameters` as the 32-bit field that begins there (what lies above it may be anything).
    pub fn parameter32(&self, slot: usize) -> u32 {
        self.parameters[slot].get() as u32
    }

    /// `Read.Length` or `Write.Length`.
    pub fn length(&self) -> u32 {
        self.parameter32(0)
    }

    /// `Read.Key` or `Write.Key`.
    pub fn key(&self) -> u32 {
        self.parameter32(1)
    }

    /// `Read.ByteOffset` or `Write.ByteOffset`.
    pub fn byte_offset(&self) -> i64 {
        self.parameters[2].get() as i64
    }

    /// `DeviceIoControl.OutputBufferLength`.
    pub fn output_length(&self) -> u32 {
        self.parameter32(0)
    }

    /// `DeviceIoControl.InputBufferLength`.
    pub fn input_length(&self) -> u32 {
        self.parameter32(1)
    }

    /// `DeviceIoControl.IoControlCode`.
    pub fn io_control_code(&self) -> u32 {
        self.parameter32(2)
    }

    /// `DeviceIoControl.Type3InputBuffer`.
    pub fn type3_input_buffer(&self) -> *mut u8 {
        self.parameters[3].get() as *mut u8
    }

    /// Writes the parameters of a read or write.
    pub fn set_transfer(&self, length: u32, key: u32, offset: i64) {
        self.parameters[0].set(length.into());
        self.parameters[1].set(key.into());
        self.parameters[2].set(offset as u64);
    }

    /// Writes the parameters of a device control.
    pub fn set_control(
        &self,
        code: u32,
        input_length: u32,
        output_length: u32,
        type3_input: *mut u8,
    ) {
        self.parameters[0].set(output_length.into());
        self.parameters[1].set(input_length.into());
        self.parameters[2].set(code.into());
        self.parameters[3].set(type3_input as u64);
    }

    /// `Power.Type`: 0 system, 1 device.
    pub fn power_type(&self) -> u32 {
        self.parameter32(1)
    }

    /// `Power.State`: a SYSTEM_POWER_STATE or DEVICE_POWER_STATE.
    pub fn power_state(&self) -> u32 {
        self.parameter32(2)
    }

    /// `UsageNotification.InPath`.
    pub fn usage_in_path(&self) -> bool {
        self.parameters[0].get() as u8 != 0
    }

    /// `UsageNotification.Type`.
    pub fn usage_type(&self) -> u32 {
        self.parameter32(1)
    }
}

/// A cancel routine's address, as `IRP.CancelRoutine` holds it.
pub fn cancel_routine_address(routine: Option<Cancel>) -> usize {
    routine.map_or(0, |routine| routine as usize)
}

/// Bits of `MDL.MdlFlags`.
pub mod mdl_flags {
    #![expect(missing_docs, reason = "MDL_PAGES_LOCKED and so on")]
    pub const MAPPED_TO_SYSTEM_VA: i16 = 0x1;
    pub const PAGES_LOCKED: i16 = 0x2;
    pub const SOURCE_IS_NONPAGED_POOL: i16 = 0x4;
    pub const ALLOCATED_FIXED_SIZE: i16 = 0x8;
    pub const PARTIAL: i16 = 0x10;
    pub const PARTIAL_HAS_BEEN_MAPPED: i16 = 0x20;
    pub const IO_PAGE_READ: i16 = 0x40;
    pub const WRITE_OPERATION: i16 = 0x80;
}

/// MDL: the header; page frame numbers follow it.
#[repr(C)]
#[derive(Debug)]
#[expect(
    missing_docs,
    reason = "the fields carry the names every driver engineer knows them by"
)]
pub struct Mdl {
    pub next: Field<*mut Mdl>,
    pub size: Field<i16>,
    pub mdl_flags: Field<i16>,
    pub allocation_processor: Field<u16>,
    pub reserved: Field<u16>,
    pub process: Field<*mut u8>,
    pub mapped_system_va: Field<*mut u8>,
    pub start_va: Field<*mut u8>,
    pub byte_count: Field<u32>,
    pub byte_offset: Field<u32>,
}
layout!(Mdl, "MDL", 0x30, {
    next: 0, size: 8, mdl_flags: 0xa, process: 0x10, mapped_system_va: 0x18, start_va: 0x20, byte_count: 0x28,
    byte_offset: 0x2c,
});
