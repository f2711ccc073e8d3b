//! A handler does not wait for its own queue.
#![no_std]

use wdf::{
    Status,
    cx::{Cx, IoPassive, Pnp},
    queue::Queue,
};

pub fn stop(cx: &mut Cx<'_, IoPassive>, q: &Queue) -> Result<(), Status> {
    q.stop_and_wait(cx) //~ E0277
    //~^ ERROR: the trait bound `IoPassive: CanDrain` is not satisfied
}

pub type Places = (IoPassive, Pnp);
