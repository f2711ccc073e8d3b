//! A synchronous send of a request of the driver's own has a timeout.
#![no_std]

use core::num::NonZeroU32;

use wdf::{
    cx::{Cx, Work},
    request::OwnFormatted,
    target::{Completion, Timeout},
};

pub fn ask(cx: &mut Cx<'_, Work>, f: OwnFormatted<'_, (), ()>, longest: NonZeroU32) -> Option<Completion> {
    let timeout = Timeout::seconds(longest);
    match f.send_sync(cx, timeout) {
        Ok((_, done)) => Some(done),
        Err(_) => None,
    }
}
