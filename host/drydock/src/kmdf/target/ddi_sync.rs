//! The synchronous sends: format, send and wait in one call (E.7 of the specification).

use super::super::ddi::{Call, PASSIVE, export};
use super::super::guest;
use super::super::handle::{self, Ref};
use super::super::lifetime;
use super::super::request::{Request, private, release_format};
use super::format::{self, Kind};
use super::memory::Buffer;
use super::send::{self, Options};
use super::{Target, ddi};
use crate::nt::status::NtStatus;

export! {
    "WdfIoTargetSendReadSynchronously" => read[target: u64, request: u64, output: u64, offset: u64, options: u64, bytes: u64] -> NtStatus, PASSIVE;
    "WdfIoTargetSendWriteSynchronously" => write[target: u64, request: u64, input: u64, offset: u64, options: u64, bytes: u64] -> NtStatus, PASSIVE;
    "WdfIoTargetSendIoctlSynchronously" => ioctl[target: u64, request: u64, code: u32, input: u64, output: u64, options: u64, bytes: u64] -> NtStatus, PASSIVE;
    "WdfIoTargetSendInternalIoctlSynchronously" => internal[target: u64, request: u64, code: u32, input: u64, output: u64, options: u64, bytes: u64] -> NtStatus, PASSIVE;
    "WdfIoTargetSendInternalIoctlOthersSynchronously" => others[target: u64, request: u64, code: u32, first: u64, second: u64, fourth: u64, options: u64, bytes: u64] -> NtStatus, PASSIVE;
}

/// One synchronous operation.
struct Operation {
    target: u64,
    /// The driver's request, by which others can cancel it (R-TGT-104), or null.
    request: u64,
    options: u64,
    /// Where the number of bytes goes, or null.
    bytes: u64,
}

impl Operation {
    /// Formats, sends, waits; gives the final status, or why it was not sent (R-TGT-101).
    fn run(&self, call: &Call, kind: Kind, descriptors: &[u64]) -> NtStatus {
        match self.try_run(call, kind, descriptors) {
            Ok(status) | Err(status) => status,
        }
    }

    fn try_run(&self, call: &Call, kind: Kind, descriptors: &[u64]) -> Result<NtStatus, NtStatus> {
        let target = handle::resolve::<Target>(self.target);
        let options = Options::read(self.options)?;
        let mut buffers = Vec::with_capacity(descriptors.len());
        for &descriptor in descriptors {
            match Buffer::of_descriptor(descriptor) {
                Ok(buffer) => buffers.push(buffer),
                Err(status) => {
                    buffers.into_iter().for_each(Buffer::release);
                    return Err(status);
                }
            }
        }
        let given = handle::resolve_optional::<Request>(self.request);
        let request = match &given {
            Some(request) => request.clone(),
            None => private(call, target.object())?,
        };
        let result = self.send(call, &request, &target, options, kind, buffers);
        release_format(&request); // R-TGT-104
        if given.is_none() {
            lifetime::discard(request.object());
        }
        result
    }

    fn send(
        &self,
        call: &Call,
        request: &Ref<Request>,
        target: &Ref<Target>,
        options: Options,
        kind: Kind,
        buffers: Vec<Buffer>,
    ) -> Result<NtStatus, NtStatus> {
        format::format(request, target, kind, buffers)?;
        let sent = send::submit_and_wait(call, request, target, options);
        let irp = request.irp();
        let information = irp.map_or(0, |irp| irp.information());
        if let Err(status) = sent {
            guest::write_optional(self.bytes, 0_u64);
            return Err(status);
        }
        guest::write_optional(self.bytes, information);
        Ok(irp.map_or(NtStatus::SUCCESS, |irp| irp.status()))
    }
}

/// `WdfIoTargetSendReadSynchronously`: R-TGT-100 to R-TGT-105. PASSIVE_LEVEL.
fn read(
    call: &Call,
    target: u64,
    request: u64,
    output: u64,
    offset: u64,
    options: u64,
    bytes: u64,
) -> NtStatus {
    let operation = Operation {
        target,
        request,
        options,
        bytes,
    };
    operation.run(call, Kind::Read(ddi::device_offset(offset)), &[output])
}

/// `WdfIoTargetSendWriteSynchronously`: R-TGT-100 to R-TGT-105. PASSIVE_LEVEL.
fn write(
    call: &Call,
    target: u64,
    request: u64,
    input: u64,
    offset: u64,
    options: u64,
    bytes: u64,
) -> NtStatus {
    let operation = Operation {
        target,
        request,
        options,
        bytes,
    };
    operation.run(call, Kind::Write(ddi::device_offset(offset)), &[input])
}

/// `WdfIoTargetSendIoctlSynchronously`: R-TGT-100 to R-TGT-105. PASSIVE_LEVEL.
#[expect(clippy::too_many_arguments, reason = "as many as the DDI has")]
fn ioctl(
    call: &Call,
    target: u64,
    request: u64,
    code: u32,
    input: u64,
    output: u64,
    options: u64,
    bytes: u64,
) -> NtStatus {
    let operation = Operation {
        target,
        request,
        options,
        bytes,
    };
    let kind = Kind::Ioctl {
        code,
        internal: false,
    };
    operation.run(call, kind, &[input, output])
}

/// `WdfIoTargetSendInternalIoctlSynchronously`: R-TGT-100 to R-TGT-105. PASSIVE_LEVEL.
#[expect(clippy::too_many_arguments, reason = "as many as the DDI has")]
fn internal(
    call: &Call,
    target: u64,
    request: u64,
    code: u32,
    input: u64,
    output: u64,
    options: u64,
    bytes: u64,
) -> NtStatus {
    let operation = Operation {
        target,
        request,
        options,
        bytes,
    };
    let kind = Kind::Ioctl {
        code,
        internal: true,
    };
    operation.run(call, kind, &[input, output])
}

/// `WdfIoTargetSendInternalIoctlOthersSynchronously`: internal control with three arguments. PASSIVE_LEVEL.
#[expect(clippy::too_many_arguments, reason = "as many as the DDI has")]
fn others(
    call: &Call,
    target: u64,
    request: u64,
    code: u32,
    first: u64,
    second: u64,
    fourth: u64,
    options: u64,
    bytes: u64,
) -> NtStatus {
    let operation = Operation {
        target,
        request,
        options,
        bytes,
    };
    operation.run(call, Kind::Others { code }, &[first, second, fourth])
}
