//! WDFDPC (R-DEV-80, R-DEV-81, R-DEV-86, R-DEV-87).

use super::attributes::{Attributes, Rules};
use super::automatic::{self, Serialization};
use super::block;
use super::callback;
use super::ddi::{ANY, Call, DISPATCH, PASSIVE, export, guard};
use super::guest;
use super::handle::{self, Ref, Typed};
use super::kind::{ExecutionLevel, Kind};
use super::object::{self, Body, Disposed, ObjRef, Object};
use super::running::Runs;
use crate::nt;
use crate::nt::abi::Kdpc;
use crate::nt::status::NtStatus;

export! {
    "WdfDpcCreate" => create[config: u64, attributes: u64, out: u64] -> NtStatus, DISPATCH;
    "WdfDpcEnqueue" => enqueue[dpc: u64] -> u8, ANY;
    "WdfDpcCancel" => cancel[dpc: u64, wait: u8] -> u8, ANY;
    "WdfDpcGetParentObject" => get_parent[dpc: u64] -> u64, ANY;
    "WdfDpcWdmGetDpc" => wdm_get_dpc[dpc: u64] -> u64, ANY;
}

const CONFIG_SIZE: u32 = 24;
const KDPC_SIZE: usize = 0x40;

/// The body of a WDFDPC.
pub struct Dpc {
    callback: u64,
    serialization: Serialization,
    kdpc: u64,
    runs: Runs,
}

impl Dpc {
    fn wdm(&self) -> *mut Kdpc {
        self.kdpc as *mut Kdpc
    }

    fn cancel_and_wait(&self) -> bool {
        let removed = nt::dpc::remove(self.wdm());
        if !removed {
            nt::dpc::flush();
            self.runs.wait_idle();
        }
        removed
    }
}

impl Body for Dpc {
    fn kind(&self) -> Kind {
        Kind::Dpc
    }

    fn dispose(&self, _me: &ObjRef) -> Disposed {
        self.cancel_and_wait();
        self.runs.wait_idle();
        Disposed::CallCleanup
    }

    fn destroyed(&self, _me: &Object) {
        block::free(self.kdpc);
    }
}

impl Typed for Dpc {
    const KIND: Kind = Kind::Dpc;
}

/// `WdfDpcCreate`: R-DEV-80, R-DEV-81. IRQL <= DISPATCH_LEVEL.
fn create(call: &Call, config: u64, attributes: u64, out: u64) -> NtStatus {
    call.require(config, "Config");
    call.require(out, "Dpc");
    guest::write(out, 0_u64);
    match make(call, config, attributes) {
        Ok(dpc) => {
            guest::write(out, dpc.handle());
            NtStatus::SUCCESS
        }
        Err(status) => status,
    }
}

fn make(call: &Call, config: u64, attributes: u64) -> Result<Ref<Dpc>, NtStatus> {
    if guest::read::<u32>(config) != CONFIG_SIZE {
        return Err(NtStatus::INFO_LENGTH_MISMATCH);
    }
    let callback = guest::read::<u64>(config + 8);
    call.require(callback, "Config->EvtDpcFunc");
    let serialized = guest::read::<u8>(config + 16) != 0;
    let attributes = Attributes::read(attributes, Rules::PARENT_REQUIRED)?;
    let parent = automatic::parent_below_device(attributes.parent.as_ref())?;
    let serialization = Serialization::below(&parent, serialized, ExecutionLevel::Dispatch)?;
    let kdpc =
        block::allocate(KDPC_SIZE, call.binding.tag()).ok_or(NtStatus::INSUFFICIENT_RESOURCES)?;
    let body = Dpc {
        callback,
        serialization,
        kdpc,
        runs: Runs::default(),
    };
    let dpc = object::create(call.binding, &attributes, Some(&parent), body)
        .inspect_err(|_| block::free(kdpc))?;
    dpc.object().set_passive_dispose();
    nt::dpc::initialize(dpc.wdm(), Some(run), dpc.handle() as *mut u8);
    Ok(dpc)
}

/// The deferred routine of every WDFDPC.
extern "win64" fn run(_dpc: *mut Kdpc, context: *mut u8, _first: *mut u8, _second: *mut u8) {
    guard("the framework's DPC routine", || {
        let dpc = handle::resolve::<Dpc>(context as u64);
        dpc.runs.promise();
        dpc.runs.run(|| {
            dpc.serialization.run(|| {
                callback::call(dpc.callback, &[dpc.handle()]);
            });
        });
    });
}

/// `WdfDpcEnqueue`: R-DEV-86. Any IRQL.
fn enqueue(_call: &Call, dpc: u64) -> u8 {
    let dpc = handle::resolve::<Dpc>(dpc);
    let null = std::ptr::null_mut();
    u8::from(nt::dpc::insert(dpc.wdm(), null, null))
}

/// `WdfDpcCancel`: R-DEV-86. Any IRQL; PASSIVE_LEVEL with `wait`.
fn cancel(call: &Call, dpc: u64, wait: u8) -> u8 {
    let dpc = handle::resolve::<Dpc>(dpc);
    if wait == 0 {
        return u8::from(nt::dpc::remove(dpc.wdm()));
    }
    if call.irql_too_high(PASSIVE) {
        return 0;
    }
    u8::from(dpc.cancel_and_wait())
}

/// `WdfDpcGetParentObject`: the parent.
fn get_parent(_call: &Call, dpc: u64) -> u64 {
    automatic::parent_handle(&handle::resolve::<Dpc>(dpc))
}

/// `WdfDpcWdmGetDpc`: the KDPC.
fn wdm_get_dpc(_call: &Call, dpc: u64) -> u64 {
    handle::resolve::<Dpc>(dpc).kdpc
}
