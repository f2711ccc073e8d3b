//@error-in-other-file: a handler is a fn item or a closure that captures nothing
//! The framework keeps no closure state: a handler captures nothing.
#![no_std]

use wdf::{
    Status,
    context::{Context, TypeInfo},
    device::DeviceContext,
    queue::QueueConfig,
};

struct Data;

impl Context for Data {
    fn info() -> &'static TypeInfo<Self> {
        static INFO: TypeInfo<Data> = TypeInfo::new(c"Data");
        &INFO
    }
}

impl DeviceContext for Data {
    type Request = ();
}

pub fn configure(status: Status) {
    let _ = QueueConfig::<Data>::sequential().write(move |cx, _, r| r.complete(cx, status));
}
