//! A request whose send failed is completed.
#![no_std]

use wdf::{
    cx::{Cx, Io},
    request::{Disposition, Write},
    target::{Formatted, OnDone},
};

pub fn handler<'r, C: OnDone<Write>>(
    cx: &mut Cx<'_, Io>,
    f: Formatted<'r, '_, Write>,
) -> Disposition<'r> {
    match f.send::<C>(cx) {
        Ok(d) => d,
        Err(e) => e.request.complete(cx, e.status),
    }
}
