//! PE images: mapping, binding, calls into an image and back, backtraces.
//!
//! An image runs with the calling convention, the GS register and the stack size it expects. It is entered only through
//! [`call`], and comes back to the model only through the functions it imported.

pub mod call;
