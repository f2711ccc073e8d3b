//! Only a manual queue tells when a request has come.
#![no_std]

use wdf::{device::DeviceContext, queue::QueueConfig};

pub fn configure<D: DeviceContext>() {
    let _ = QueueConfig::<D>::parallel(None).manual_notified(|_, _| {}); //~ E0599
    //~^ ERROR: no method named `manual_notified` found for struct
}
