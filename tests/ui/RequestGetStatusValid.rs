//! Only a failed send has a status to ask for.
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
        Ok(d) => {
            let _ = d.status; //~ E0609
            //~^ ERROR: no field `status` on type `Disposition
            d
        }
        Err(e) => e.request.complete(cx, e.status),
    }
}
