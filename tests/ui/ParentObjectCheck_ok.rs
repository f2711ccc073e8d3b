//! Memory is created with a parent.
#![no_std]

use wdf::{
    Status,
    cx::{Cx, Setup},
    device::{DeviceContext, Function, NewDevice},
    memory::Memory,
};

pub fn add<D: DeviceContext>(
    cx: &Cx<'_, Setup>,
    device: &NewDevice<'_, D, Function>,
) -> Result<Memory, Status> {
    let _ = device;
    Memory::new::<D, Function>(cx, device, *b"Test", 16)
}
