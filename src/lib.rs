//! ferry.
#![no_std]
