//! What a search found is not kept beyond it.
#![no_std]

use core::cell::Cell;
use wdf::{
    Status,
    cx::{Cx, Work},
    queue::Queue,
};

pub fn search(cx: &mut Cx<'_, Work>, q: &Queue) {
    let kept = Cell::new(None);
    let _ = q.retrieve_next_if(
        cx,
        |found| {
            kept.set(Some(found)); //~ E0521
            //~^ ERROR: borrowed data escapes outside of closure
            false
        },
        |cx, r| r.complete_empty(cx, Status::SUCCESS),
    );
}
