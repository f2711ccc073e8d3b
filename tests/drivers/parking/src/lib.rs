//! parking: reads wait, parked, until a control finishes them or their originator cancels them. What `naive` does wrong, on `wdf`.
#![no_std]
#![forbid(unsafe_code)]

// The panic handler: a bug check that names the place.
extern crate wdk_panic;

use wdf::{
    Status,
    clock::Instant,
    context::{Context, TypeInfo},
    cx::{Cancel, Cx, Io, Setup},
    device::{Added, Device, DeviceContext, DeviceInit, Undecided},
    driver::Driver,
    parked_list::ParkedList,
    queue::{QueueConfig, wait_for_the_owner},
    request::{Canceled, Disposition, Ioctl, OnCancel, ParkError, Read, Request, Unparked},
};

/// The driver has no state of its own.
struct Parking;

impl Context for Parking {
    fn info() -> &'static TypeInfo<Self> {
        static INFO: TypeInfo<Parking> = TypeInfo::new(c"Parking");
        &INFO
    }
}

/// A device.
struct Lot {
    waiting: ParkedList<Read>,
}

impl Context for Lot {
    fn info() -> &'static TypeInfo<Self> {
        static INFO: TypeInfo<Lot> = TypeInfo::new(c"Parking lot");
        &INFO
    }
}

impl DeviceContext for Lot {
    type Request = ();
}

impl Driver for Parking {
    fn start(_cx: &mut Cx<'_, Setup>) -> Result<Self, Status> {
        Ok(Self)
    }

    fn device_add<'i>(
        &self,
        cx: &mut Cx<'_, Setup>,
        init: DeviceInit<'i, Undecided>,
    ) -> Result<Added<'i>, Status> {
        let device = init.function().create::<Lot>(cx)?;
        QueueConfig::parallel(None)
            .read(park)
            .ioctl(finish)
            .stop(wait_for_the_owner)
            .default_queue()
            .create(cx, &device)?;
        device.install(Lot {
            waiting: ParkedList::new()?,
        })
    }
}

/// A read waits.
fn park<'r>(
    cx: &mut Cx<'_, Io>,
    device: &Device<Lot>,
    request: Request<'r, Read>,
) -> Disposition<'r> {
    match request.park::<Tow>() {
        Ok((gone, parked)) => {
            // Not added: its cancel handler has it.
            let _ = device.waiting.insert(cx, parked, Instant::now(), None);
            gone
        }
        Err(ParkError::Canceled(request)) => request.complete(cx, Status::CANCELLED),
        Err(ParkError::NotParkable(request, status)) => request.complete_empty(cx, status),
    }
}

/// A control ends whatever waits.
fn finish<'r>(
    cx: &mut Cx<'_, Io>,
    device: &Device<Lot>,
    request: Request<'r, Ioctl>,
) -> Disposition<'r> {
    while let Some(parked) = device.waiting.take_any(cx) {
        parked.unpark(cx, |cx, request| match request {
            Unparked::Owned(request) => request.complete_empty(cx, Status::SUCCESS),
            Unparked::Canceled(request) => request.complete(cx, Status::CANCELLED),
        });
    }
    request.complete_empty(cx, Status::SUCCESS)
}

/// A read is canceled.
struct Tow;

impl OnCancel<Read> for Tow {
    type Device = Lot;

    fn canceled<'r>(
        cx: &mut Cx<'_, Cancel>,
        device: &Device<Lot>,
        request: Canceled<'r, Read>,
    ) -> Disposition<'r> {
        device.waiting.remove(cx, &request);
        request.complete(cx, Status::CANCELLED)
    }
}

wdf::driver_entry!(Parking);
