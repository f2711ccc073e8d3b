//! Parameters are not read in EvtIoStop.
#![no_std]

use wdf::request::StopOwned;

pub fn stop(r: &StopOwned<'_>) {
    let _ = r.file_key();
}
