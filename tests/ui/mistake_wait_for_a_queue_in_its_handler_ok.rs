//! A handler does not wait for its own queue.
#![no_std]

use wdf::{
    Status,
    cx::{Cx, IoPassive, Pnp},
    queue::Queue,
};

pub fn stop(cx: &mut Cx<'_, Pnp>, q: &Queue) -> Result<(), Status> {
    q.stop_and_wait(cx)
}

pub type Places = (IoPassive, Pnp);
