//! The I/O manager and the kernel around a driver.
