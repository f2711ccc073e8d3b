//! Context space is aligned to pointers: a type that needs more is refused.
#![no_std]

use wdf::context::{Context, TypeInfo};

pub struct Data(u8);

impl Context for Data {
    fn info() -> &'static TypeInfo<Self> {
        static INFO: TypeInfo<Data> = TypeInfo::new(c"Data");
        &INFO
    }
}

#[repr(align(16))]
pub struct Wide(u8);
