//! workshop: a function driver with a queue per kind of request, which does on demand what queues, searches, timers and DPCs are for.
//! Reads wait in a manual queue; writes are parked and kept over a sleep; controls say what to do. The scenarios are in `wdf_workshop.rs`.
#![no_std]
#![forbid(unsafe_code)]

// The panic handler: a bug check that names the place.
extern crate wdk_panic;

mod controls;
mod writes;

use core::sync::atomic::{AtomicU32, Ordering};

use wdf::{
    Status,
    collection::Collection,
    cx::{Cx, DpcCall, FileEvent, Notify, PassiveTick, Setup},
    device::{Added, Device, DeviceContext, DeviceInit, PnpCallbacks, Property, Undecided},
    dpc::Dpc,
    driver::Driver,
    file::{Files, NewFile},
    lock::SpinLock,
    memory::Memory,
    queue::{Dispatched, Queue, QueueConfig, wait_for_the_owner},
    registry::{Access, Key},
    request::{Any, Create, Disposition, Parked, Request},
    text::Text,
    timer::Timer,
    wide,
};

/// The driver has no state of its own.
struct Driven;

/// An open handle has none either.
struct Handle;

/// The device.
struct Workshop {
    /// Where reads wait.
    reads: Queue,
    /// A write that is parked.
    kept: SpinLock<Option<Parked<Any>>>,
    dpc: Dpc,
    timer: Timer,
    /// Two pieces of memory.
    shelf: SpinLock<Collection<Memory>>,
    /// What the framework says it is.
    version: Text,
    /// `Depth` in the driver's parameters, or the status of looking.
    depth: Result<u32, Status>,
    /// Bytes of the device's hardware ids.
    ids: usize,
    /// What has happened, in the order of the answer to the control that asks.
    counts: Counts,
}

#[derive(Default)]
struct Counts {
    ready: AtomicU32,
    dpcs: AtomicU32,
    ticks: AtomicU32,
    kept: AtomicU32,
    resumed: AtomicU32,
    queried: AtomicU32,
}

wdf::context!(Driven, Handle, Workshop);

impl DeviceContext for Workshop {
    type Request = ();
}

impl Driver for Driven {
    fn start(_cx: &mut Cx<'_, Setup>) -> Result<Self, Status> {
        Ok(Self)
    }

    fn device_add<'i>(
        &self,
        cx: &mut Cx<'_, Setup>,
        init: DeviceInit<'i, Undecided>,
    ) -> Result<Added<'i>, Status> {
        let mut init = init.function();
        init.files(Files::<Workshop, Handle>::new(opened));
        init.pnp(PnpCallbacks::<Workshop>::new().query_stop(|_, workshop| {
            workshop.counts.queried.fetch_add(1, Ordering::Relaxed);
            Ok(())
        }));
        let device = init.create::<Workshop>(cx)?;
        device.symbolic_link(cx, wide!(r"\DosDevices\Global\Workshop"))?;
        QueueConfig::parallel(None)
            .at_passive_level()
            .default_queue()
            .ioctl(controls::control)
            .other(controls::refuse)
            .stop(wait_for_the_owner)
            .create(cx, &device)?;
        let reads = QueueConfig::manual_notified(arrived)
            .stop(wait_for_the_owner)
            .create(cx, &device)?;
        device.dispatch(cx, Dispatched::Read, &reads)?;
        let writes = QueueConfig::sequential()
            .power_managed()
            .write(writes::park)
            .stop_and_resume(writes::stop, writes::resume)
            .create(cx, &device)?;
        device.dispatch(cx, Dispatched::Write, &writes)?;
        let mut pieces = Collection::new(cx, &device)?;
        for length in [16, 32] {
            pieces.add(&Memory::new(cx, &device, *b"Shop", length)?)?;
        }
        let mut ids = [0; 256];
        let workshop = Workshop {
            reads,
            kept: SpinLock::new(None)?,
            dpc: Dpc::new(cx, &device, called)?,
            timer: Timer::passive(cx, &device, ticked)?,
            shelf: SpinLock::new(pieces)?,
            version: Text::framework_version(cx, &device)?,
            depth: Key::parameters(cx, Access::Read)
                .and_then(|parameters| parameters.query_u32(wide!("Depth"))),
            ids: device
                .property(cx, Property::HardwareIds, &mut ids)
                .unwrap_or(0),
            counts: Counts::default(),
        };
        device.install(workshop)
    }
}

fn opened<'r>(
    cx: &mut Cx<'_, FileEvent>,
    _workshop: &Device<Workshop>,
    request: Request<'r, Create>,
    file: NewFile<'_, Handle>,
) -> Disposition<'r> {
    let installed = file.install(Handle);
    request.complete(cx, installed.err().unwrap_or(Status::SUCCESS))
}

/// The first read has come.
fn arrived(_cx: &mut Cx<'_, Notify>, workshop: &Device<Workshop>) {
    workshop.counts.ready.fetch_add(1, Ordering::Relaxed);
}

fn called(_cx: &mut Cx<'_, DpcCall>, workshop: &Device<Workshop>) {
    workshop.counts.dpcs.fetch_add(1, Ordering::Relaxed);
}

fn ticked(_cx: &mut Cx<'_, PassiveTick>, workshop: &Device<Workshop>) {
    workshop.counts.ticks.fetch_add(1, Ordering::Relaxed);
}

wdf::driver_entry!(Driven);
