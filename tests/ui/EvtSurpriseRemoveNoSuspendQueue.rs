//! No queue is purged from EvtDeviceSurpriseRemoval.
#![no_std]

use wdf::{
    cx::{Cx, Pnp, SurpriseRemoval},
    queue::Queue,
};

pub fn event(cx: &mut Cx<'_, SurpriseRemoval>, q: &Queue) {
    q.purge(cx); //~ E0277
    //~^ ERROR: the trait bound `SurpriseRemoval: CanComplete` is not satisfied
}
