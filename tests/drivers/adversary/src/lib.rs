//! adversary
#![no_std]
#![forbid(unsafe_code)]

extern crate wdk_panic;

use wdf::{
    Status,
    context::{Context, TypeInfo},
    cx::{Cx, Setup},
    driver::Driver,
    trace::Provider,
};

tracelogging::define_provider!(EVENTS, "Ferry.Adversary");

struct Adversary;

impl Context for Adversary {
    fn info() -> &'static TypeInfo<Self> {
        static INFO: TypeInfo<Adversary> = TypeInfo::new(c"Adversary");
        &INFO
    }
}

impl Driver for Adversary {
    fn provider() -> Option<&'static Provider> {
        Some(&EVENTS)
    }

    fn start(_cx: &mut Cx<'_, Setup>) -> Result<Self, Status> {
        let answer = 42;
        tracelogging::write_event!(
            EVENTS,
            "Started",
            level(Informational),
            u32("answer", &answer)
        );
        Ok(Self)
    }
}

wdf::driver_entry!(Adversary);
