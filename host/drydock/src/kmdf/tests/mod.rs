//! Tests by small drivers written in Rust, which bind like an image and call through the function table.

mod bench;
mod bind;
mod device;
mod object;
mod sync;
