//! pier.
#![no_std]
