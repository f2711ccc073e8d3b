//! A lock is made by its constructor, which gives it its parent.
#![no_std]

use wdf::{Status, lock::SpinLock};

pub fn make() -> Result<SpinLock<u32>, Status> {
    Ok(SpinLock {}) //~ ERROR: cannot construct `SpinLock
}
