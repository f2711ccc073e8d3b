//! What a walk came to is not looked at once it has gone on.
#![no_std]

use wdf::{
    Status,
    cx::{Cx, Work},
    queue::Queue,
};

pub fn search(cx: &mut Cx<'_, Work>, q: &Queue) -> Result<bool, Status> {
    q.search(cx, |s| {
        let first = s.next()?.is_some_and(|hit| hit.context::<()>().is_some());
        let second = s.next()?;
        let third = s.next()?; //~ E0499
        //~^ ERROR: cannot borrow `*s` as mutable more than once at a time
        let _ = third.is_some();
        Ok(first && second.is_some())
    })
}
