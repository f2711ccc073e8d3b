//! Nothing is asked of a request that has been completed.
#![no_std]

use wdf::{
    Status,
    cx::{Cx, Io},
    request::{Disposition, Request, Write},
};

pub fn handler<'r>(cx: &mut Cx<'_, Io>, r: Request<'r, Write>) -> Disposition<'r> {
    let d = r.complete(cx, Status::SUCCESS);
    let _ = r.is_canceled(); //~ E0382
    //~^ ERROR: borrow of moved value: `r`
    d
}
