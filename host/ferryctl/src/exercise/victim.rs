//! A program that is killed with requests in flight.

use std::io::{Read, Write};

use ferry_abi::pier;

use crate::cli::Victim;
use crate::ferry;
use crate::platform::{Access, Operation, Platform, Result};

/// What the victim prints when everything is started.
pub const READY: &str = "ready";

/// Starts the requests, says [`READY`] and waits to be killed, or for the end of its input.
///
/// # Errors
/// The device cannot be used.
pub fn run(platform: &dyn Platform, options: &Victim) -> Result<()> {
    let path = ferry::device_path(platform, &options.device)?;
    let one = ferry::open(platform, &path, Access::ReadWrite)?;
    let two = ferry::open(platform, &path, Access::ReadWrite)?;
    let three = ferry::open(platform, &path, Access::ReadWrite)?;
    let reads = (0..options.reads).map(|_| Operation::Read {
        offset: 0,
        length: 512,
    });
    let writes = (0..options.writes).map(|_| Operation::Write {
        offset: 0,
        data: vec![0xEE; 512],
    });
    let controls = (0..options.controls)
        .map(|_| Operation::control(pier::IOCTL_PIER_ECHO, vec![0xEE; 64], vec![0; 64]));
    let mut in_flight = Vec::new();
    // A handle for each: what comes later on a handle waits behind what ferry keeps of it.
    for operation in reads {
        in_flight.push(one.start(operation)?);
    }
    for operation in writes {
        in_flight.push(two.start(operation)?);
    }
    for operation in controls {
        in_flight.push(three.start(operation)?);
    }
    let mut out = std::io::stdout();
    writeln!(out, "{READY}")?;
    out.flush()?;
    // Whoever started this program kills it, or ends itself, which ends our input.
    std::io::stdin().read_to_end(&mut Vec::new())?;
    Ok(())
}
