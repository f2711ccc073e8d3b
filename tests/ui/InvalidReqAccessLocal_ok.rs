//! Nothing is asked of a request that is marked cancelable.
#![no_std]

use wdf::{
    Status,
    cx::{Cx, Io},
    request::{Disposition, OnCancel, ParkError, Request, Write},
};

pub fn handler<'r, C: OnCancel<Write>>(
    cx: &mut Cx<'_, Io>,
    r: Request<'r, Write>,
) -> Disposition<'r> {
    let _ = r.parameters();
    match r.park::<C>() {
        Ok((d, _p)) => d,
        Err(ParkError::Canceled(c)) => c.complete(cx, Status::CANCELLED),
        Err(ParkError::NotParkable(r, status)) => r.complete(cx, status),
    }
}
