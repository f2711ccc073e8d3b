//! Nothing is sent while a spin lock is held.
#![no_std]

use wdf::{
    cx::{Cx, Io},
    lock::SpinLock,
    request::{Disposition, Request, Write},
    target::Target,
};

pub fn handler<'r>(
    cx: &mut Cx<'_, Io>,
    r: Request<'r, Write>,
    l: &SpinLock<u32>,
    t: &Target,
) -> Disposition<'r> {
    l.with(cx, |_| ());
    let sent = r.send_and_forget(cx, t);
    match sent {
        Ok(d) => d,
        Err(e) => e.request.complete(cx, e.status),
    }
}
