//! The controls of pier.

use std::time::Duration;

use ferry_abi::pier::{self, Boost, Fault, Latency, MaxTransfer, State};
use zerocopy::IntoBytes;

use super::{ask, control, milliseconds};
use crate::platform::{Device, Result};

/// Sets how long pier takes for each request.
///
/// # Errors
/// The control failed.
pub fn set_latency(device: &dyn Device, latency: Duration) -> Result<()> {
    let latency = Latency::new(milliseconds(latency, "a latency")?, 0);
    let code = pier::IOCTL_PIER_SET_LATENCY;
    control(device, code, latency.as_bytes(), 0, "set pier's latency").map(drop)
}

/// Sets how long a read or write of pier may be; 0: as long as anybody likes.
///
/// # Errors
/// The control failed.
pub fn set_max_transfer(device: &dyn Device, bytes: u32) -> Result<()> {
    let longest = MaxTransfer::new(bytes, 0);
    let code = pier::IOCTL_PIER_SET_MAX_TRANSFER;
    control(
        device,
        code,
        longest.as_bytes(),
        0,
        "set pier's maximum transfer",
    )
    .map(drop)
}

/// Sets which requests of pier fail, and how.
///
/// # Errors
/// The control failed.
pub fn set_fault(device: &dyn Device, fault: Fault) -> Result<()> {
    let code = pier::IOCTL_PIER_SET_FAULT;
    control(device, code, fault.as_bytes(), 0, "set pier's fault").map(drop)
}

/// No request of pier fails from now on.
///
/// # Errors
/// The control failed.
pub fn clear_fault(device: &dyn Device) -> Result<()> {
    set_fault(device, Fault::new(0, 0, 0, 0, 0, 0))
}

/// Sets the priority boost of pier's completions from its DPC.
///
/// # Errors
/// The control failed.
pub fn set_boost(device: &dyn Device, increment: u32) -> Result<()> {
    let boost = Boost::new(increment, 0);
    let code = pier::IOCTL_PIER_SET_BOOST;
    control(
        device,
        code,
        boost.as_bytes(),
        0,
        "set pier's priority boost",
    )
    .map(drop)
}

/// What pier says of itself.
///
/// # Errors
/// The control failed.
pub fn state(device: &dyn Device) -> Result<State> {
    ask(
        device,
        pier::IOCTL_PIER_STATE,
        &[],
        "ask pier for its state",
    )
}
