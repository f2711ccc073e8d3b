//! echo: what is written comes back from the next read. Requests take a tenth of a second each and can be canceled meanwhile.
#![no_std]
#![forbid(unsafe_code)]

extern crate wdk_panic;

use core::sync::atomic::{AtomicUsize, Ordering};

use wdf::{
    Status,
    clock::Span,
    cx::{CanComplete, Cx, Setup, TimerTick},
    device::{Added, Device, DeviceContext, DeviceInit, PnpCallbacks, Undecided},
    driver::Driver,
    memory::Memory,
    queue::{Queue, QueueConfig, wait_for_the_owner},
    request::{Any, AnyOf, Disposition, Read, Request, Write},
    timer::Timer,
};

const DELAY: Span = Span::from_millis(100);

struct EchoDriver;

/// The device: what was written last, and who waits for an answer.
struct Echo {
    memory: Memory,
    length: AtomicUsize,
    waiting: Queue,
    timer: Timer,
}

wdf::context!(EchoDriver, Echo);

impl DeviceContext for Echo {
    type Request = ();
}

impl Driver for EchoDriver {
    fn start(_cx: &mut Cx<'_, Setup>) -> Result<Self, Status> {
        Ok(Self)
    }

    fn device_add<'i>(
        &self,
        cx: &mut Cx<'_, Setup>,
        init: DeviceInit<'i, Undecided>,
    ) -> Result<Added<'i>, Status> {
        let mut init = init.function();
        let pnp = PnpCallbacks::<Echo>::new().d0_entry(|_, echo| {
            echo.timer.start(DELAY);
            Ok(())
        });
        init.pnp(pnp.d0_exit(|cx, echo| {
            echo.timer.stop_and_wait(cx);
            Ok(())
        }));
        let device = init.create::<Echo>(cx)?;
        device.interface(cx, (0xe5c7_0ec0, 0x3b5a, 0x4f7e, *b"\x9d\x1eEchoes"))?;
        let waiting = QueueConfig::manual()
            .default_queue()
            .power_managed()
            .stop(wait_for_the_owner)
            .create(cx, &device)?;
        let echo = Echo {
            memory: Memory::new(cx, &device, *b"Echo", 4096)?,
            length: AtomicUsize::new(0),
            waiting,
            timer: Timer::periodic(cx, &device, DELAY, due)?,
        };
        device.install(echo)
    }
}

/// Requests wait in the queue, where the framework cancels them if need be. Every tenth of a second one is due.
fn due(cx: &mut Cx<'_, TimerTick>, echo: &Device<Echo>) {
    // Nothing waits, or nothing is delivered now: later, then.
    let _ = (echo.waiting).retrieve_next(cx, |cx, request| answer(cx, echo, request));
}

fn answer<'r>(cx: &Cx<'_, impl CanComplete>, echo: &Echo, r: Request<'r, Any>) -> Disposition<'r> {
    match r.classify() {
        AnyOf::Read(request) => read(cx, echo, request),
        AnyOf::Write(request) => write(cx, echo, request),
        AnyOf::Ioctl(request) => request.complete_empty(cx, Status::NOT_SUPPORTED),
        AnyOf::InternalIoctl(request) => request.complete_empty(cx, Status::NOT_SUPPORTED),
        AnyOf::Other(request) => request.complete_empty(cx, Status::NOT_SUPPORTED),
    }
}

fn write<'r>(cx: &Cx<'_, impl CanComplete>, e: &Echo, r: Request<'r, Write>) -> Disposition<'r> {
    match r.input().map(|input| e.memory.write(0, &input)) {
        Ok(bytes) => {
            e.length.store(bytes, Ordering::Relaxed);
            r.complete_taken(cx, bytes)
        }
        Err(status) => r.complete_empty(cx, status),
    }
}

fn read<'r>(cx: &Cx<'_, impl CanComplete>, e: &Echo, mut r: Request<'r, Read>) -> Disposition<'r> {
    let written = r.output().map(|mut output| {
        e.memory
            .read_up_to(e.length.load(Ordering::Relaxed), 0, &mut output);
        output.written()
    });
    match written {
        Ok(written) => r.complete_written(cx, written),
        Err(status) => r.complete_empty(cx, status),
    }
}

wdf::driver_entry!(EchoDriver);
