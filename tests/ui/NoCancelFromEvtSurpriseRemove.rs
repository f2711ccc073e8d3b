//! Nothing that was sent is canceled from EvtDeviceSurpriseRemoval.
#![no_std]

use wdf::{
    cx::{Cx, Pnp, SurpriseRemoval},
    target::Target,
};

pub fn event(cx: &mut Cx<'_, SurpriseRemoval>, t: &Target) {
    t.purge(cx); //~ E0277
    //~^ ERROR: the trait bound `SurpriseRemoval: CanComplete` is not satisfied
}
