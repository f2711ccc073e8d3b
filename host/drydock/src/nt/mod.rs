//! The I/O manager and the kernel around a driver.

pub mod abi;
pub mod status;
