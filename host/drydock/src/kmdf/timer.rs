//! WDFTIMER (R-DEV-80 to R-DEV-84, R-DEV-87).

use std::sync::atomic::{AtomicBool, Ordering};

use super::attributes::{Attributes, ParentRule, Rules};
use super::automatic::{self, Serialization};
use super::block;
use super::callback;
use super::ddi::{Call, DISPATCH, PASSIVE, export, guard};
use super::guest;
use super::handle::{self, Ref, Typed};
use super::kind::{ExecutionLevel, Kind};
use super::object::{self, Body, Disposed, ObjRef, Object};
use super::running::Runs;
use crate::nt;
use crate::nt::abi::{Kdpc, Ktimer};
use crate::nt::status::NtStatus;
use crate::sched::Lock;
use crate::verify;

export! {
    "WdfTimerCreate" => create[config: u64, attributes: u64, out: u64] -> NtStatus, DISPATCH;
    "WdfTimerStart" => start[timer: u64, due: i64] -> u8, DISPATCH;
    "WdfTimerStop" => stop[timer: u64, wait: u8] -> u8, DISPATCH;
    "WdfTimerGetParentObject" => get_parent[timer: u64] -> u64, DISPATCH;
}

/// `WDF_TIMER_CONFIG` of 1.7, of 1.11, and since 1.13.
const SIZES: [u32; 3] = [24, 32, 40];
/// Bytes of the KTIMER, which the KDPC follows.
const KTIMER_SIZE: u64 = 0x40;
const BLOCK_SIZE: usize = 0x80;

#[derive(Default)]
struct State {
    /// Threads in a waiting stop: a start is ignored meanwhile (R-DEV-83).
    stoppers: u32,
    deleted: bool,
}

/// The body of a WDFTIMER.
pub struct Timer {
    callback: u64,
    period: u32,
    passive: bool,
    serialization: Serialization,
    /// KTIMER and KDPC.
    block: u64,
    state: Lock<State>,
    runs: Runs,
    /// A passive timer's work item is queued and has not started.
    work_queued: AtomicBool,
}

impl Timer {
    fn ktimer(&self) -> *mut Ktimer {
        self.block as *mut Ktimer
    }

    fn kdpc(&self) -> *mut Kdpc {
        (self.block + KTIMER_SIZE) as *mut Kdpc
    }

    /// Takes it out of the timer queue and waits for what runs. PASSIVE_LEVEL.
    fn stop_and_wait(&self) -> bool {
        let was_set = nt::timer::cancel(self.ktimer());
        nt::dpc::flush();
        self.runs.wait_idle();
        was_set
    }
}

impl Body for Timer {
    fn kind(&self) -> Kind {
        Kind::Timer
    }

    fn dispose(&self, me: &ObjRef) -> Disposed {
        if self.runs.is_inside() {
            verify::violation(
                "R-DEV-87",
                format!(
                    "{} is deleted by its own callback at PASSIVE_LEVEL: it would wait for itself",
                    me.name()
                ),
            );
        }
        self.state.lock().deleted = true;
        // R-DEV-88: children are disposed before the parent's cleanup.
        self.stop_and_wait();
        Disposed::CallCleanup
    }

    fn destroyed(&self, _me: &Object) {
        block::free(self.block);
    }
}

impl Typed for Timer {
    const KIND: Kind = Kind::Timer;
}

/// `WdfTimerCreate`: R-DEV-80 to R-DEV-82. IRQL <= DISPATCH_LEVEL.
fn create(call: &Call, config: u64, attributes: u64, out: u64) -> NtStatus {
    call.require(config, "Config");
    call.require(out, "Timer");
    guest::write(out, 0_u64);
    match make(call, config, attributes) {
        Ok(timer) => {
            guest::write(out, timer.handle());
            NtStatus::SUCCESS
        }
        Err(status) => status,
    }
}

fn make(call: &Call, config: u64, attributes: u64) -> Result<Ref<Timer>, NtStatus> {
    let size = guest::read::<u32>(config);
    if !SIZES.contains(&size) {
        return Err(NtStatus::INFO_LENGTH_MISMATCH);
    }
    let callback = guest::read::<u64>(config + 8);
    call.require(callback, "Config->EvtTimerFunc");
    let period = guest::read::<u32>(config + 16);
    let serialized = guest::read::<u8>(config + 20) != 0;
    let tolerable = if size > 24 {
        guest::read::<u32>(config + 24)
    } else {
        0
    };
    let high_resolution = size > 32 && guest::read::<u8>(config + 32) != 0;
    let rules = Rules {
        parent: ParentRule::Required,
        level: true,
        scope: false,
    };
    let attributes = Attributes::read(attributes, rules)?;
    if period > 0x7FFF_FFFF || (tolerable > 0 && high_resolution) {
        return Err(NtStatus::INVALID_PARAMETER);
    }
    let passive = attributes.level == ExecutionLevel::Passive;
    if passive && period > 0 {
        return Err(NtStatus::NOT_SUPPORTED);
    }
    let parent = automatic::parent_below_device(attributes.parent.as_ref())?;
    let level = if passive {
        ExecutionLevel::Passive
    } else {
        ExecutionLevel::Dispatch
    };
    let serialization = Serialization::below(&parent, serialized, level)?;
    let block =
        block::allocate(BLOCK_SIZE, call.binding.tag()).ok_or(NtStatus::INSUFFICIENT_RESOURCES)?;
    let body = Timer {
        callback,
        period,
        passive,
        serialization,
        block,
        state: Lock::new(State::default()),
        runs: Runs::default(),
        work_queued: AtomicBool::new(false),
    };
    let timer = object::create(call.binding, &attributes, Some(&parent), body)
        .inspect_err(|_| block::free(block))?;
    timer.object().set_passive_dispose();
    nt::timer::initialize(timer.ktimer(), true);
    nt::dpc::initialize(timer.kdpc(), Some(expired), timer.handle() as *mut u8);
    Ok(timer)
}

/// The DPC of every timer.
extern "win64" fn expired(_dpc: *mut Kdpc, context: *mut u8, _first: *mut u8, _second: *mut u8) {
    guard("the framework's timer DPC", || {
        let timer = handle::resolve::<Timer>(context as u64);
        timer.runs.promise();
        if !timer.passive {
            timer.runs.run(|| fire(&timer));
            return;
        }
        if timer.work_queued.swap(true, Ordering::AcqRel) {
            timer.runs.end();
            return;
        }
        let later = timer.clone();
        nt::workitem::queue(nt::workitem::Queue::Delayed, move || {
            guard("a passive timer", || {
                later.work_queued.store(false, Ordering::Release);
                later.runs.run(|| fire(&later));
            });
        });
    });
}

fn fire(timer: &Ref<Timer>) {
    timer.serialization.run(|| {
        callback::call(timer.callback, &[timer.handle()]);
    });
}

/// `WdfTimerStart`: R-DEV-83. `due` in 100 ns units, negative relative.
fn start(call: &Call, timer: u64, due: i64) -> u8 {
    let timer = handle::resolve::<Timer>(timer);
    {
        let state = timer.state.lock();
        if state.deleted {
            drop(state);
            call.framework_break("R-CHK-36", "the timer is being deleted");
            return 0;
        }
        if state.stoppers > 0 {
            return 0;
        }
    }
    u8::from(nt::timer::set(
        timer.ktimer(),
        due,
        timer.period,
        timer.kdpc(),
    ))
}

/// `WdfTimerStop`: R-DEV-84. PASSIVE_LEVEL with `wait`.
fn stop(call: &Call, timer: u64, wait: u8) -> u8 {
    let timer = handle::resolve::<Timer>(timer);
    if wait == 0 {
        return u8::from(nt::timer::cancel(timer.ktimer()));
    }
    if timer.runs.is_inside() {
        call.framework_break("R-CHK-36", "a waiting stop inside the timer's own callback");
        return 0;
    }
    if call.irql_too_high(PASSIVE) {
        return 0;
    }
    nt::thread::require_at_most(nt::thread::APC_LEVEL, "a waiting WdfTimerStop");
    let others = {
        let mut state = timer.state.lock();
        state.stoppers += 1;
        state.stoppers > 1
    };
    if others && call.verifier() {
        call.framework_break("R-CHK-37", "two threads wait in a stop of the timer");
    }
    let was_set = timer.stop_and_wait();
    timer.state.lock().stoppers -= 1;
    u8::from(was_set)
}

/// `WdfTimerGetParentObject`: the parent.
fn get_parent(_call: &Call, timer: u64) -> u64 {
    automatic::parent_handle(&handle::resolve::<Timer>(timer))
}
