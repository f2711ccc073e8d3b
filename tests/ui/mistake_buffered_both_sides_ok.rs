//! METHOD_BUFFERED has one buffer: input is not borrowed while output is written.
#![no_std]

use wdf::request::Buffered;

pub fn copy(b: &mut Buffered<'_, '_>) -> bool {
    let i = b.input().first().map_or(&[][..], |_| &[1]);
    b.output().append(i)
}
