//! Device controls of all four methods.

use anyhow::ensure;
use ferry_abi::{ControlCode, pier};

use super::super::Case;
use super::super::bed::{self, Bed, ended, pattern, transferred};
use crate::platform::Result;
use crate::status::Status;

pub const CASES: &[Case] = &[
    Case {
        name: "control/buffered",
        shows: "a METHOD_BUFFERED echo comes back unchanged",
        run: |bed| echo(bed, pier::IOCTL_PIER_ECHO),
    },
    Case {
        name: "control/in-direct",
        shows: "a METHOD_IN_DIRECT control reads both of the caller's buffers and writes neither",
        run: in_direct,
    },
    Case {
        name: "control/out-direct",
        shows: "a METHOD_OUT_DIRECT echo lands in the caller's locked buffer",
        run: |bed| echo(bed, pier::IOCTL_PIER_ECHO_DIRECT),
    },
    Case {
        name: "control/neither",
        shows: "a METHOD_NEITHER echo works, and ferry passed it down in the caller's thread",
        run: neither,
    },
    Case {
        name: "control/short-output",
        shows: "an output buffer shorter than the input gets what fits, and the length says so",
        run: short_output,
    },
    Case {
        name: "control/no-buffers",
        shows: "a control with neither input nor output succeeds with length 0",
        run: no_buffers,
    },
    Case {
        name: "control/unknown",
        shows: "a code nobody knows comes back from the lowest driver as STATUS_INVALID_DEVICE_REQUEST",
        run: unknown,
    },
];

fn echo(bed: &Bed<'_>, code: ControlCode) -> Result<()> {
    let device = bed.open()?;
    for length in [1, 7, 4096, 20_000] {
        let data = pattern(7, length);
        let done = bed::control(&*device, code, &data, &vec![0; length])?;
        transferred(&done, length, &format!("an echo of {length} bytes"))?;
        ensure!(
            done.data == data,
            "an echo of {length} bytes came back changed"
        );
    }
    Ok(())
}

fn in_direct(bed: &Bed<'_>) -> Result<()> {
    let device = bed.open()?;
    let (input, output) = (pattern(8, 100), pattern(9, 3000));
    let sum: usize = input
        .iter()
        .chain(&output)
        .map(|byte| usize::from(*byte))
        .sum();
    let done = bed::control(&*device, pier::IOCTL_PIER_SUM, &input, &output)?;
    ended(&done, Status::SUCCESS, "the sum")?;
    // Information may not exceed the length of the output buffer.
    let expected = sum % (output.len() + 1);
    ensure!(
        done.information == expected,
        "pier says {}, the buffers hold {sum}, which it tells as {expected}",
        done.information
    );
    Ok(())
}

fn neither(bed: &Bed<'_>) -> Result<()> {
    let before = bed.stats()?;
    echo(bed, pier::IOCTL_PIER_ECHO_NEITHER)?;
    let after = bed.stats()?;
    let skipped = after.skipped - before.skipped;
    ensure!(
        skipped == 4,
        "ferry passed down {skipped} of 4 without queuing them"
    );
    Ok(())
}

fn short_output(bed: &Bed<'_>) -> Result<()> {
    let device = bed.open()?;
    let data = pattern(10, 64);
    for code in [pier::IOCTL_PIER_ECHO, pier::IOCTL_PIER_ECHO_DIRECT] {
        let done = bed::control(&*device, code, &data, &[0; 16])?;
        transferred(&done, 16, "the echo into a short buffer")?;
        ensure!(
            done.data == data[..16],
            "the part that fits came back changed"
        );
    }
    Ok(())
}

fn no_buffers(bed: &Bed<'_>) -> Result<()> {
    let device = bed.open()?;
    let done = bed::control(&*device, pier::IOCTL_PIER_ECHO, &[], &[])?;
    transferred(&done, 0, "an echo of nothing")
}

fn unknown(bed: &Bed<'_>) -> Result<()> {
    use ferry_abi::{Access, Method};
    let device = bed.open()?;
    for method in [
        Method::Buffered,
        Method::InDirect,
        Method::OutDirect,
        Method::Neither,
    ] {
        let code = ControlCode::new(pier::DEVICE_TYPE, 0xABC, method, Access::ReadWrite);
        let done = bed::control(&*device, code, &[1, 2, 3], &[0; 8])?;
        ended(
            &done,
            Status::INVALID_DEVICE_REQUEST,
            &format!("an unknown {method:?} control"),
        )?;
        ensure!(
            done.information == 0,
            "it claims {} bytes",
            done.information
        );
    }
    Ok(())
}
