//! Nothing that was sent is canceled from EvtDeviceSurpriseRemoval.
#![no_std]

use wdf::{
    cx::{Cx, Pnp, SurpriseRemoval},
    target::Target,
};

pub fn event(cx: &mut Cx<'_, Pnp>, t: &Target) {
    t.purge(cx);
}
