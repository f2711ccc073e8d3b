//! A request of the driver's own is formatted before it is sent, and never sent and forgotten.
#![no_std]

use wdf::{
    cx::{Cx, Work},
    request::{FormatFailed, OnOwnDone, OwnRequest, Part},
    memory::Memory,
    target::Target,
};

pub fn ask<C: OnOwnDone<Request = (), Lent = ()>>(
    cx: &mut Cx<'_, Work>,
    r: OwnRequest,
    t: &Target,
    m: &Memory,
) -> Result<(), FormatFailed<(), ()>> {
    let f = r.format_read(t, m, Part::ALL, 0)?;
    let _ = f.send::<C>(cx);
    Ok(())
}
