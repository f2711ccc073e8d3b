//! DriverEntry creates the driver object: only a Driver makes one.
#![no_std]

use wdf::driver::Driver;

pub fn entry<T: Sized>() {
    let _ = wdf::driver::enter::<T>; //~ E0277
    //~^ ERROR: the trait bound `T: Driver` is not satisfied
}
