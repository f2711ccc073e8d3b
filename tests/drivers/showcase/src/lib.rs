//! showcase: a filter that shows, one control each, what a driver may do that neither ferry nor pier needs to.
//!
//! | control | what it shows |
//! |---|---|
//! | [`HELLO`] | that this driver is in the stack |
//! | [`FORMAT`] | a request of the driver's own: made, formatted in one of six ways, sent, waited for, deleted |
//! | [`POLL`] | sub-requests one after the other, and a look between them whether the request they serve was canceled |
//! | [`WAIT`] | waiting in a queue that tells of cancellations, in one that does not, or put back into the first |
//! | [`COUNTS`] | what happened so far |
//!
//! Everything else is passed down and forgotten.
#![no_std]
#![forbid(unsafe_code)]

// The panic handler: a bug check that names the place.
extern crate wdk_panic;

mod format;
mod wait;

use core::sync::atomic::{AtomicU32, Ordering};

use wdf::{
    Status,
    context::{Context, TypeInfo},
    cx::{Cx, IoPassive, Setup},
    device::{Added, Device, DeviceContext, DeviceInit, Undecided},
    driver::Driver,
    memory::Memory,
    queue::{Queue, QueueConfig, wait_for_the_owner},
    request::{Control, Disposition, Held, Ioctl, Kind, Read, Request, Slot, Write, Written},
    target::Target,
    work_item::WorkItem,
};

const fn code(number: u32) -> u32 {
    0x22 << 16 | (0xB00 | number) << 2
}

/// Answers `show`.
const HELLO: u32 = code(0);
/// Input: a `u32`, one of [`format::Way`].
const FORMAT: u32 = code(1);
/// Input: a `u32`, how many sub-requests.
const POLL: u32 = code(2);
/// Input: a `u32`, one of [`wait::Place`].
const WAIT: u32 = code(3);
/// Answers with four `u32`: sub-requests of polls, cancellations told of, requests put back, requests that wait.
const COUNTS: u32 = code(4);

/// Bytes of the driver's own memory.
const ROOM: usize = 64;

/// The driver has no state of its own.
struct Showcase;

impl Context for Showcase {
    fn info() -> &'static TypeInfo<Self> {
        static INFO: TypeInfo<Showcase> = TypeInfo::new(c"Showcase");
        &INFO
    }
}

/// A filter device.
struct Case {
    lower: Target,
    memory: Memory,
    /// Tells of cancellations (`EvtIoCanceledOnQueue`).
    telling: Queue,
    /// Does not: the framework ends what is canceled there.
    silent: Queue,
    /// A request whose sub-requests are being sent.
    polling: Slot<Held<Ioctl>>,
    poll: WorkItem,
    polled: AtomicU32,
    told: AtomicU32,
    put_back: AtomicU32,
}

impl Context for Case {
    fn info() -> &'static TypeInfo<Self> {
        static INFO: TypeInfo<Case> = TypeInfo::new(c"Showcase device");
        &INFO
    }
}

impl DeviceContext for Case {
    type Request = ();
}

impl Driver for Showcase {
    fn start(_cx: &mut Cx<'_, Setup>) -> Result<Self, Status> {
        Ok(Self)
    }

    fn device_add<'i>(
        &self,
        cx: &mut Cx<'_, Setup>,
        init: DeviceInit<'i, Undecided>,
    ) -> Result<Added<'i>, Status> {
        let device = init.filter(cx).create::<Case>(cx)?;
        let telling = QueueConfig::manual()
            .canceled_on_queue(wait::canceled)
            .stop(wait_for_the_owner)
            .create(cx, &device)?;
        let silent = QueueConfig::manual()
            .stop(wait_for_the_owner)
            .create(cx, &device)?;
        QueueConfig::parallel(None)
            .at_passive_level()
            .read(pass::<Read>)
            .write(pass::<Write>)
            .ioctl(ioctl)
            .stop(wait_for_the_owner)
            .default_queue()
            .create(cx, &device)?;
        let case = Case {
            lower: device.target()?,
            memory: Memory::new(cx, &device, *b"show", ROOM)?,
            telling,
            silent,
            polling: Slot::new(),
            poll: WorkItem::new(cx, &device, format::poll_now)?,
            polled: AtomicU32::new(0),
            told: AtomicU32::new(0),
            put_back: AtomicU32::new(0),
        };
        device.install(case)
    }
}

/// Down, and no longer this driver's business.
fn pass<'r, K: Kind>(
    cx: &mut Cx<'_, IoPassive>,
    device: &Device<Case>,
    request: Request<'r, K>,
) -> Disposition<'r> {
    match request.send_and_forget(cx, &device.lower) {
        Ok(gone) => gone,
        Err(failed) => failed.request.complete_empty(cx, failed.status),
    }
}

/// The one number a control brings.
fn number(request: &mut Request<'_, Ioctl>) -> Result<u32, Status> {
    let Control::Buffered(buffer) = request.buffers()? else {
        return Err(Status::INVALID_DEVICE_REQUEST);
    };
    let number = buffer.input().first_chunk();
    number
        .map(|bytes| u32::from_le_bytes(*bytes))
        .ok_or(Status::INFO_LENGTH_MISMATCH)
}

fn ioctl<'r>(
    cx: &mut Cx<'_, IoPassive>,
    device: &Device<Case>,
    request: Request<'r, Ioctl>,
) -> Disposition<'r> {
    match request.parameters().code {
        HELLO => answer(cx, request, b"show"),
        COUNTS => {
            let (waiting, _) = device.telling.counts();
            let (silent, _) = device.silent.counts();
            let [polled, told, put_back] = [&device.polled, &device.told, &device.put_back]
                .map(|count| count.load(Ordering::Relaxed).to_le_bytes());
            let waiting = waiting.saturating_add(silent).to_le_bytes();
            let mut counts = [0; 16];
            for (to, from) in counts
                .iter_mut()
                .zip([polled, told, put_back, waiting].iter().flatten())
            {
                *to = *from;
            }
            answer(cx, request, &counts)
        }
        FORMAT => format::one(cx, device, request),
        POLL => format::poll_later(cx, device, request),
        WAIT => wait::somewhere(cx, device, request),
        _ => pass(cx, device, request),
    }
}

fn answer<'r>(
    cx: &mut Cx<'_, IoPassive>,
    mut request: Request<'r, Ioctl>,
    bytes: &[u8],
) -> Disposition<'r> {
    match write(&mut request, bytes) {
        Ok(written) => request.complete_written(cx, written),
        Err(status) => request.complete_empty(cx, status),
    }
}

fn write<'r>(request: &mut Request<'r, Ioctl>, bytes: &[u8]) -> Result<Written<'r>, Status> {
    let Control::Buffered(mut buffer) = request.buffers()? else {
        return Err(Status::INVALID_DEVICE_REQUEST);
    };
    let mut output = buffer.output();
    if output.append(bytes) {
        Ok(output.written())
    } else {
        Err(Status::BUFFER_TOO_SMALL)
    }
}

wdf::driver_entry!(Showcase);
