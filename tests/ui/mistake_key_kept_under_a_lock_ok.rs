//! A registry key is closed before a lock is taken: it is closed at PASSIVE_LEVEL.
#![no_std]

use wdf::{
    Status,
    cx::{Cx, Setup},
    lock::SpinLock,
    registry::{Access, Key},
    wide,
};

pub fn read(cx: &mut Cx<'_, Setup>, l: &SpinLock<u32>) -> Result<(), Status> {
    let key = Key::parameters(cx, Access::Read)?;
    let value = key.query_u32(wide!("Depth"))?;
    drop(key);
    l.with(cx, |depth| *depth = value);
    Ok(())
}
