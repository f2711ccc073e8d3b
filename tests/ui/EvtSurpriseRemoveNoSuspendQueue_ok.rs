//! No queue is purged from EvtDeviceSurpriseRemoval.
#![no_std]

use wdf::{
    cx::{Cx, Pnp, SurpriseRemoval},
    queue::Queue,
};

pub fn event(cx: &mut Cx<'_, Pnp>, q: &Queue) {
    q.purge(cx);
}
