//! A synchronous send has a timeout, and not one of nothing.
#![no_std]

use core::num::NonZeroU32;

use wdf::{
    cx::{Cx, IoPassive},
    request::{Disposition, Write},
    target::{Formatted, Timeout},
};

pub fn handler<'r>(
    cx: &mut Cx<'_, IoPassive>,
    f: Formatted<'r, '_, Write>,
    _: NonZeroU32,
) -> Disposition<'r> {
    match f.send_sync(cx, Timeout::milliseconds(0)) {
        //~^ E0308
        //~^^ ERROR: mismatched types
        Ok((r, done)) => r.complete(cx, done.status),
        Err(e) => e.request.complete(cx, e.status),
    }
}
