//! Only a request that was found is taken.
#![no_std]

use wdf::{
    Status,
    cx::{Cx, Work},
    queue::Queue,
};

pub fn search(cx: &mut Cx<'_, Work>, q: &Queue) -> Result<bool, Status> {
    q.search(cx, |s| {
        let found = s.next()?;
        found.map_or(Ok(false), |found| {
            found.take(|cx, r| r.complete_empty(cx, Status::SUCCESS))
        })
    })
}
