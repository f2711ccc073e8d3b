//! A driver does not change the execution level or the synchronisation scope of its driver object.
#![no_std]

use wdf::{
    Status,
    context::{Context, TypeInfo},
    cx::{Cx, Setup},
    driver::Driver,
};

struct Data;

impl Context for Data {
    fn info() -> &'static TypeInfo<Self> {
        static INFO: TypeInfo<Data> = TypeInfo::new(c"Data");
        &INFO
    }
}

impl Driver for Data {
    const EXECUTION_LEVEL: u32 = 2; //~ E0438
    //~^ ERROR: const `EXECUTION_LEVEL` is not a member of trait `Driver`
    fn start(_cx: &mut Cx<'_, Setup>) -> Result<Self, Status> {
        Ok(Data)
    }
}
