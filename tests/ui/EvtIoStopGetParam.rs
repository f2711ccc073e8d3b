//! Parameters are not read in EvtIoStop.
#![no_std]

use wdf::request::StopOwned;

pub fn stop(r: &StopOwned<'_>) {
    let _ = r.parameters(); //~ E0599
    //~^ ERROR: no method named `parameters` found for reference `&StopOwned
}
