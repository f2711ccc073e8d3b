//! A request is acknowledged inside EvtIoStop only.
#![no_std]

use wdf::{
    cx::{Cx, Io, Stop},
    request::{StopAction, StopOwned},
};

pub fn later<'s>(cx: &Cx<'_, Io>, r: StopOwned<'s>) -> Result<StopAction<'s>, StopOwned<'s>> {
    r.requeue(cx) //~ E0308
    //~^ ERROR: mismatched types
}
