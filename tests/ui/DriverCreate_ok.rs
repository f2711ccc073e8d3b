//! DriverEntry creates the driver object: only a Driver makes one.
#![no_std]

use wdf::driver::Driver;

pub fn entry<T: Driver>() {
    let _ = wdf::driver::enter::<T>;
}
