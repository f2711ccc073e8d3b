//! The token of a callback does not outlive it.
#![no_std]

use wdf::cx::{Cx, Io};

pub fn keep<'c, 's>(cx: &'s mut Cx<'c, Io>) -> &'s mut Cx<'c, Io> {
    cx
}
