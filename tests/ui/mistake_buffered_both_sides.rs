//! METHOD_BUFFERED has one buffer: input is not borrowed while output is written.
#![no_std]

use wdf::request::Buffered;

pub fn copy(b: &mut Buffered<'_, '_>) -> bool {
    let i = b.input();
    b.output().append(i) //~ E0502
    //~^ ERROR: cannot borrow `*b` as mutable because it is also borrowed as immutable
}
