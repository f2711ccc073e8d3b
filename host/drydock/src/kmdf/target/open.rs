//! Opening and closing remote targets (R-TGT-02 to R-TGT-09, R-TGT-26).

use std::sync::{Arc, OnceLock};

use super::super::attributes::{Attributes, Rules};
use super::super::ddi::Call;
use super::super::device::Device;
use super::super::guest;
use super::super::handle::Ref;
use super::super::object;
use super::removal::{self, RemoveCallbacks};
use super::{Opened, Target, TargetState, send, state};
use crate::nt;
use crate::nt::abi::{DeviceObject, FileObject};
use crate::nt::process::Process;
use crate::nt::security::Token;
use crate::nt::status::NtStatus;

/// Sizes of `WDF_IO_TARGET_OPEN_PARAMS`: of 1.11, and the current one.
const SIZES: [u32; 2] = [120, 136];
/// `WDF_IO_TARGET_OPEN_TYPE`.
const EXISTING_DEVICE: u32 = 1;
const BY_NAME: u32 = 2;
const REOPEN: u32 = 3;

/// What an open by name asks for.
#[derive(Clone, Debug)]
pub(super) struct ByName {
    name: String,
    access: u32,
    share: u32,
}

/// `WdfIoTargetCreate` (R-TGT-02).
pub(super) fn create(device: &Ref<Device>, attributes: u64) -> Result<Ref<Target>, NtStatus> {
    let attributes = Attributes::read(attributes, Rules::PLAIN)?;
    let parent = match &attributes.parent {
        None => device.object().clone(),
        Some(parent) => {
            let below = parent
                .nearest::<Device>()
                .is_some_and(|found| found.handle() == device.handle());
            if !below {
                return Err(NtStatus::INVALID_DEVICE_REQUEST);
            }
            parent.clone()
        }
    };
    let target = object::create(
        device.object().binding(),
        &attributes,
        Some(&parent),
        Target::new(device, None),
    )?;
    target.object().set_passive_dispose();
    Ok(target)
}

/// `WdfIoTargetOpen` (R-TGT-04 to R-TGT-08).
pub(super) fn open(call: &Call, target: &Ref<Target>, params: u64) -> Result<(), NtStatus> {
    call.require(params, "OpenParams");
    if !SIZES.contains(&guest::read::<u32>(params)) {
        return Err(NtStatus::INFO_LENGTH_MISMATCH);
    }
    let kind = guest::read::<u32>(params + 4);
    let callbacks = RemoveCallbacks {
        query_remove: guest::read(params + 8),
        remove_canceled: guest::read(params + 16),
        remove_complete: guest::read(params + 24),
    };
    let device = guest::read::<u64>(params + 32);
    let file = guest::read::<u64>(params + 40);
    let name = guest::unicode_string(params + 48);
    match kind {
        EXISTING_DEVICE => {
            // R-TGT-05
            if device == 0 || (callbacks.any() && file == 0) {
                return Err(NtStatus::INVALID_PARAMETER);
            }
            begin_open(target)?;
            let opened = Opened::on(device as *mut DeviceObject, file, None);
            target.state.lock().by_name = None;
            finish_open(target, Ok(opened), callbacks)
        }
        BY_NAME => {
            if name.is_empty() {
                return Err(NtStatus::INVALID_PARAMETER);
            }
            let wanted = ByName {
                name,
                access: guest::read(params + 64),
                share: guest::read(params + 68),
            };
            begin_open(target)?;
            open_by_name(target, wanted, callbacks)
        }
        REOPEN => reopen(target),
        _ => Err(NtStatus::INVALID_PARAMETER),
    }
}

/// Opens a target again by the name it was opened by before (R-TGT-07).
pub(super) fn reopen(target: &Ref<Target>) -> Result<(), NtStatus> {
    let (wanted, callbacks) = {
        let state = target.state.lock();
        (state.by_name.clone(), state.callbacks)
    };
    let wanted = wanted.ok_or(NtStatus::INVALID_DEVICE_REQUEST)?;
    begin_open(target)?;
    open_by_name(target, wanted, callbacks)
}

fn open_by_name(
    target: &Ref<Target>,
    wanted: ByName,
    callbacks: RemoveCallbacks,
) -> Result<(), NtStatus> {
    let result = framework_process().open(&wanted.name, wanted.access, wanted.share);
    target.state.lock().by_name = Some(wanted);
    let opened = result.map(|handle| {
        let file = handle.file();
        Opened::on(nt::device::related(file), file as u64, Some(handle))
    });
    finish_open(target, opened, callbacks)
}

/// Handles the framework opens belong to the system process.
fn framework_process() -> &'static Arc<Process> {
    static PROCESS: OnceLock<Arc<Process>> = OnceLock::new();
    PROCESS.get_or_init(|| Process::with_token("System", Token::System))
}

/// R-TGT-06
fn begin_open(target: &Ref<Target>) -> Result<(), NtStatus> {
    let mut state = target.state.lock();
    if state.opening
        || state.state == TargetState::Deleted
        || (state.opened.is_some() && !state.state.is_closed())
        || target.local
    {
        return Err(NtStatus::INVALID_DEVICE_STATE);
    }
    state.opening = true;
    Ok(())
}

fn finish_open(
    target: &Ref<Target>,
    opened: Result<Opened, NtStatus>,
    callbacks: RemoveCallbacks,
) -> Result<(), NtStatus> {
    let file = opened.as_ref().map_or(0, |opened| opened.file) as *mut FileObject;
    let registration = (!file.is_null()).then(|| removal::watch(target, file));
    let before = {
        let mut state = target.state.lock();
        state.opening = false;
        match opened {
            Ok(opened) => {
                state.opened = Some(opened);
                state.callbacks = callbacks;
                state.state = TargetState::Started;
                std::mem::replace(&mut state.registration, registration)
            }
            Err(status) => {
                // R-TGT-03
                state.opened = None;
                state.state = TargetState::Closed;
                return Err(status);
            }
        }
    };
    drop(before);
    send::resend_held(target); // R-TGT-08
    Ok(())
}

/// `WdfIoTargetClose` and `WdfIoTargetCloseForQueryRemove` (R-TGT-26).
pub(super) fn close(target: &Ref<Target>, into: TargetState) {
    state::remove(target, into);
    close_handles(target);
    if into != TargetState::ClosedForQueryRemove {
        forget_device(target);
    }
}

/// The target hears no more of the removal of the device it was open on.
pub(super) fn forget_device(target: &Ref<Target>) {
    let registration = target.state.lock().registration.take();
    drop(registration);
}

/// Gives back the file of an open by name.
pub(super) fn close_handles(target: &Ref<Target>) {
    let opened = target.state.lock().opened.take();
    if let Some(handle) = opened.and_then(|opened| opened.handle) {
        handle.close();
    }
}
