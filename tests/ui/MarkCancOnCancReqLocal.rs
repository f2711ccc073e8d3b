//! A request that is marked cancelable is not marked again.
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
    match r.park::<C>() {
        Ok((d, _p)) => {
            let _ = _p.park::<C>(); //~ E0599
            //~^ ERROR: no method named `park` found for struct `Parked
            d
        }
        Err(ParkError::Canceled(c)) => c.complete(cx, Status::CANCELLED),
        Err(ParkError::NotParkable(r, status)) => r.complete(cx, status),
    }
}
