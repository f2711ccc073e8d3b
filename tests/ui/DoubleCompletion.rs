//! A request is completed at most once.
#![no_std]

use wdf::{
    Status,
    cx::{Cx, Io},
    request::{Disposition, Request, Write},
};

pub fn handler<'r>(cx: &mut Cx<'_, Io>, r: Request<'r, Write>) -> Disposition<'r> {
    let _ = r.complete(cx, Status::SUCCESS);
    r.complete(cx, Status::SUCCESS) //~ E0382
    //~^ ERROR: use of moved value: `r`
}
