//! Only a manual queue tells when a request has come.
#![no_std]

use wdf::{device::DeviceContext, queue::QueueConfig};

pub fn configure<D: DeviceContext>() {
    let _ = QueueConfig::<D>::manual_notified(|_, _| {});
}
