//! wdf.
#![no_std]
