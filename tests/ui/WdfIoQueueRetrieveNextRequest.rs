//! Nothing is retrieved between finding a request and retrieving it.
#![no_std]

use wdf::{
    Status,
    cx::{Cx, Work},
    queue::Queue,
};

pub fn search(cx: &mut Cx<'_, Work>, q: &Queue) {
    let _ = q.retrieve_next_if(
        //~^ ERROR: cannot borrow `*cx` as mutable because previous closure requires unique access
        cx,
        |_| {
            //~^ E0500
            //~^^ ERROR: closure requires unique access to `*cx` but it is already borrowed
            let _ = q.retrieve_next(cx, |cx, r| r.complete_empty(cx, Status::SUCCESS)); //~ ERROR: cannot borrow `*cx` as mutable, as it is a captured variable in a `Fn` closure
            false
        },
        |cx, r| r.complete_empty(cx, Status::SUCCESS),
    );
}
