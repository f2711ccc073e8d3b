//! What is sent and forgotten is not formatted.
#![no_std]

use wdf::{
    cx::{Cx, Io},
    request::{Disposition, Request, Write},
    target::{Formatted, Target},
};

pub fn handler<'r>(cx: &mut Cx<'_, Io>, f: Request<'r, Write>, t: &Target) -> Disposition<'r> {
    match f.send_and_forget(cx, t) {
        Ok(d) => d,
        Err(e) => e.request.complete(cx, e.status),
    }
}
