//! Information is counted in the buffer of the request it completes.
#![no_std]

use wdf::{
    cx::{Cx, Io},
    request::{Disposition, Read, Request, Written},
};

pub fn handler<'r, 'x>(
    cx: &mut Cx<'_, Io>,
    r: Request<'r, Read>,
    w: Written<'r>,
    _x: Request<'x, Read>,
) -> Disposition<'r> {
    r.complete_written(cx, w)
}
