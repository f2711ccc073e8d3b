//! Nothing is retrieved between finding a request and retrieving it.
#![no_std]

use wdf::{
    Status,
    cx::{Cx, Work},
    queue::Queue,
};

pub fn search(cx: &mut Cx<'_, Work>, q: &Queue) {
    let _ = q.retrieve_next_if(
        cx,
        |_| {
            let _ = q.counts();
            false
        },
        |cx, r| r.complete_empty(cx, Status::SUCCESS),
    );
}
