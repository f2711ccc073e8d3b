//! Structures in and out of a control's buffer.

use ferry_abi::{Message, Refused, control::Invalid};
use wdf::{
    Status,
    device::Device,
    request::{Buffered, Written},
};

use crate::{device::Crossing, registry::Registry};

/// Copies a structure out of the input.
pub(super) fn input<M: Message>(buffer: &Buffered<'_, '_>) -> Result<M, Status> {
    read(buffer.input())
}

/// Copies a structure out of bytes.
pub(super) fn read<M: Message>(bytes: &[u8]) -> Result<M, Status> {
    M::read(bytes).map_err(|why| match why {
        Refused::Length => Status::INFO_LENGTH_MISMATCH,
        Refused::Version => Status::REVISION_MISMATCH,
    })
}

/// What a field that cannot be accepted is answered with.
pub(super) const fn invalid(invalid: Invalid) -> Status {
    if invalid.unsupported {
        Status::NOT_SUPPORTED
    } else {
        Status::INVALID_PARAMETER
    }
}

/// Answers with one structure.
pub(super) fn output<'r, M: Message>(
    mut buffer: Buffered<'_, 'r>,
    message: &M,
) -> Result<Written<'r>, Status> {
    let mut output = buffer.output();
    if output.append(message.as_bytes()) {
        Ok(output.written())
    } else {
        Err(Status::BUFFER_TOO_SMALL)
    }
}

/// Answers with one structure if there is a buffer for it: the answer is optional, but a buffer that is there must hold it.
pub(super) fn optional<'r, M: Message>(
    buffer: Buffered<'_, 'r>,
    message: &M,
) -> Result<Written<'r>, Status> {
    if buffer.has_output() {
        output(buffer, message)
    } else {
        Ok(nothing(buffer))
    }
}

/// Answers with nothing.
pub(super) fn nothing<'r>(mut buffer: Buffered<'_, 'r>) -> Written<'r> {
    buffer.output().written()
}

/// Answers with as many structures as fit. One must, if there is one.
pub(super) fn several<'r, M: Message>(
    mut buffer: Buffered<'_, 'r>,
    messages: impl Iterator<Item = M>,
) -> Result<Written<'r>, Status> {
    let mut output = buffer.output();
    for (number, message) in messages.enumerate() {
        if !output.append(message.as_bytes()) {
            if number == 0 {
                return Err(Status::BUFFER_TOO_SMALL);
            }
            break;
        }
    }
    Ok(output.written())
}

pub(super) fn find(registry: &Registry, id: u32) -> Result<&Device<Crossing>, Status> {
    registry.find(id).ok_or(Status::NO_SUCH_DEVICE)
}
