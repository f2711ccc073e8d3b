//! Tests by small drivers written in Rust, which bind like an image and call through the function table.

mod bench;
mod bind;
mod contexts;
mod device;
mod driver;
mod init;
mod lifetime;
mod object;
mod serialization;
mod sync;
