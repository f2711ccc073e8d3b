//! Only a power-managed queue has requests to resume.
#![no_std]

use wdf::{
    Status,
    device::DeviceContext,
    queue::QueueConfig,
    request::Claim,
};

pub fn configure<D: DeviceContext>() {
    let _ = QueueConfig::<D>::sequential().power_managed().stop_and_resume(
        |cx, _, request| match request.claim(cx) {
            Claim::Owned(r) => r.complete(cx, Status::CANCELLED),
            Claim::Canceled(c) => c.complete(cx, Status::CANCELLED).into(),
            Claim::Sent(r) => r.leave(),
            Claim::Elsewhere(s) => s.leave(),
        },
        |_, _, request| request.leave(),
    );
}
