//! Parameters are not read in EvtIoResume.
#![no_std]

use wdf::request::ResumeOwned;

pub fn resume(r: &ResumeOwned<'_>) {
    let _ = r.parameters(); //~ E0599
    //~^ ERROR: no method named `parameters` found for reference `&ResumeOwned
}
