//! What both drivers refuse: every field of every structure, wrong, one at a time.

use anyhow::ensure;
use ferry_abi::control::{self, Delay, Hold, Release, Select, ops};
use ferry_abi::pier::{self, Latency};
use ferry_abi::{ControlCode, Message, VERSION};
use zerocopy::IntoBytes;

use super::super::Case;
use super::super::bed::{self, Bed, ended};
use crate::platform::{Device, Result};
use crate::status::Status;

pub const CASES: &[Case] = &[
    Case {
        name: "refuse/wrong-length",
        shows: "a structure that is too short, or says it has another size, is refused",
        run: wrong_length,
    },
    Case {
        name: "refuse/wrong-version",
        shows: "a structure of another version is refused as such",
        run: wrong_version,
    },
    Case {
        name: "refuse/reserved",
        shows: "a reserved field that is not 0 is refused",
        run: reserved,
    },
    Case {
        name: "refuse/range",
        shows: "unknown operations, over-long ages, delays and latencies are refused",
        run: range,
    },
    Case {
        name: "refuse/no-such-device",
        shows: "controls that name a filter device that does not exist are refused",
        run: no_such_device,
    },
    Case {
        name: "refuse/short-output",
        shows: "an output buffer that is too small is refused",
        run: short_output,
    },
    Case {
        name: "refuse/unknown-control",
        shows: "ferry's control device refuses codes, reads and writes it does not know",
        run: unknown_control,
    },
];

/// One input of each control that takes one.
fn inputs(bed: &Bed<'_>) -> [(ControlCode, Vec<u8>); 5] {
    let id = bed.filter;
    [
        (
            control::IOCTL_FERRY_STATS,
            Select::new(id, 0).as_bytes().to_vec(),
        ),
        (
            control::IOCTL_FERRY_HOLD,
            Hold::new(id, ops::READ, 0, 0).as_bytes().to_vec(),
        ),
        (
            control::IOCTL_FERRY_RELEASE,
            Release::new(id, 0, 0, 0).as_bytes().to_vec(),
        ),
        (
            control::IOCTL_FERRY_DELAY,
            Delay::new(id, ops::READ, 1, 0).as_bytes().to_vec(),
        ),
        (
            pier::IOCTL_PIER_SET_LATENCY,
            Latency::new(1, 0).as_bytes().to_vec(),
        ),
    ]
}

/// Sends each control damaged by `damage` to the driver it belongs to.
fn refused(bed: &Bed<'_>, status: Status, damage: impl Fn(&mut Vec<u8>)) -> Result<()> {
    let (ferry, pier) = (bed.ferry()?, bed.open()?);
    for (code, mut input) in inputs(bed) {
        damage(&mut input);
        let device: &dyn Device = if code.0 >> 16 == u32::from(control::DEVICE_TYPE) {
            &*ferry.device
        } else {
            &*pier
        };
        let done = bed::control(device, code, &input, &[0; 128])?;
        ended(
            &done,
            status,
            &format!("control {:#010x} with a damaged input", code.0),
        )?;
    }
    changed_nothing(bed)
}

/// No rule is in force and pier is quick.
fn changed_nothing(bed: &Bed<'_>) -> Result<()> {
    ensure!(
        bed.pier_state()?.latency_ms == 0,
        "pier changed its latency all the same"
    );
    let done = bed::finish(bed::read(&*bed.open()?, 0, 16)?)?;
    bed::transferred(&done, 16, "a read afterwards")
}

fn wrong_length(bed: &Bed<'_>) -> Result<()> {
    refused(bed, Status::INFO_LENGTH_MISMATCH, |input| {
        input.pop();
    })?;
    refused(bed, Status::INFO_LENGTH_MISMATCH, Vec::clear)?;
    refused(bed, Status::INFO_LENGTH_MISMATCH, |input| input.truncate(8))?;
    refused(bed, Status::INFO_LENGTH_MISMATCH, |input| input[0] ^= 1)
}

fn wrong_version(bed: &Bed<'_>) -> Result<()> {
    for version in [0, VERSION + 1, u32::MAX] {
        refused(bed, Status::REVISION_MISMATCH, |input| {
            input[4..8].copy_from_slice(&version.to_le_bytes());
        })?;
    }
    Ok(())
}

/// Runs controls on ferry that must all be refused as invalid.
fn invalid<M: Message + zerocopy::Immutable>(
    bed: &Bed<'_>,
    code: ControlCode,
    inputs: &[M],
) -> Result<()> {
    let ferry = bed.ferry()?;
    for input in inputs {
        let done = bed::control(&*ferry.device, code, input.as_bytes(), &[0; 128])?;
        ended(
            &done,
            Status::INVALID_PARAMETER,
            &format!("control {:#010x}", code.0),
        )?;
    }
    Ok(())
}

fn reserved(bed: &Bed<'_>) -> Result<()> {
    let id = bed.filter;
    invalid(bed, control::IOCTL_FERRY_STATS, &[Select::new(id, 1)])?;
    invalid(
        bed,
        control::IOCTL_FERRY_HOLD,
        &[Hold::new(id, ops::READ, 0, 1)],
    )?;
    invalid(
        bed,
        control::IOCTL_FERRY_DELAY,
        &[Delay::new(id, ops::READ, 1, u32::MAX)],
    )?;
    let device = bed.open()?;
    let done = bed::control(
        &*device,
        pier::IOCTL_PIER_SET_LATENCY,
        Latency::new(1, 1).as_bytes(),
        &[],
    )?;
    ended(
        &done,
        Status::INVALID_PARAMETER,
        "a latency with a reserved field set",
    )?;
    changed_nothing(bed)
}

fn range(bed: &Bed<'_>) -> Result<()> {
    let id = bed.filter;
    let unknown = [ops::ALL + 1, 1 << 31, u32::MAX];
    invalid(
        bed,
        control::IOCTL_FERRY_HOLD,
        &unknown.map(|ops| Hold::new(id, ops, 0, 0)),
    )?;
    invalid(
        bed,
        control::IOCTL_FERRY_DELAY,
        &unknown.map(|ops| Delay::new(id, ops, 1, 0)),
    )?;
    let age = control::MAX_HOLD_MS + 1;
    invalid(
        bed,
        control::IOCTL_FERRY_HOLD,
        &[Hold::new(id, ops::READ, age, 0)],
    )?;
    let delay = control::MAX_DELAY_MS + 1;
    invalid(
        bed,
        control::IOCTL_FERRY_DELAY,
        &[Delay::new(id, ops::READ, delay, 0)],
    )?;
    let device = bed.open()?;
    for latency in [pier::MAX_LATENCY_MS + 1, u32::MAX] {
        let input = Latency::new(latency, 0);
        let done = bed::control(
            &*device,
            pier::IOCTL_PIER_SET_LATENCY,
            input.as_bytes(),
            &[],
        )?;
        ended(
            &done,
            Status::INVALID_PARAMETER,
            &format!("a latency of {latency} ms"),
        )?;
    }
    changed_nothing(bed)
}

fn no_such_device(bed: &Bed<'_>) -> Result<()> {
    let ferry = bed.ferry()?;
    for id in [0, u32::MAX] {
        let inputs = [
            (
                control::IOCTL_FERRY_STATS,
                Select::new(id, 0).as_bytes().to_vec(),
            ),
            (
                control::IOCTL_FERRY_HOLD,
                Hold::new(id, ops::READ, 0, 0).as_bytes().to_vec(),
            ),
            (
                control::IOCTL_FERRY_RELEASE,
                Release::new(id, 0, 0, 0).as_bytes().to_vec(),
            ),
            (
                control::IOCTL_FERRY_DELAY,
                Delay::new(id, ops::READ, 1, 0).as_bytes().to_vec(),
            ),
        ];
        for (code, input) in inputs {
            let done = bed::control(&*ferry.device, code, &input, &[0; 128])?;
            ended(
                &done,
                Status::NO_SUCH_DEVICE,
                &format!("control {:#010x} for device {id}", code.0),
            )?;
        }
    }
    Ok(())
}

fn short_output(bed: &Bed<'_>) -> Result<()> {
    let ferry = bed.ferry()?;
    let select = Select::new(bed.filter, 0);
    for (code, input, room) in [
        (
            control::IOCTL_FERRY_INFO,
            &[][..],
            size_of::<control::Info>() - 1,
        ),
        (
            control::IOCTL_FERRY_STATS,
            select.as_bytes(),
            size_of::<control::Stats>() - 1,
        ),
        (control::IOCTL_FERRY_STATS, select.as_bytes(), 0),
    ] {
        let done = bed::control(&*ferry.device, code, input, &vec![0; room])?;
        ended(
            &done,
            Status::BUFFER_TOO_SMALL,
            &format!("control {:#010x} with room for {room}", code.0),
        )?;
    }
    let device = bed.open()?;
    let room = [0; size_of::<pier::State>() - 1];
    let done = bed::control(&*device, pier::IOCTL_PIER_STATE, &[], &room)?;
    ended(
        &done,
        Status::BUFFER_TOO_SMALL,
        "pier's state into a short buffer",
    )
}

fn unknown_control(bed: &Bed<'_>) -> Result<()> {
    let ferry = bed.ferry()?;
    for code in [
        ControlCode(control::IOCTL_FERRY_INFO.0 + 0x1000),
        pier::IOCTL_PIER_ECHO,
    ] {
        let done = bed::control(&*ferry.device, code, &[1, 2, 3, 4], &[0; 8])?;
        ended(
            &done,
            Status::INVALID_DEVICE_REQUEST,
            &format!("control {:#010x}", code.0),
        )?;
    }
    let done = bed::finish(bed::read(&*ferry.device, 0, 16)?)?;
    ended(
        &done,
        Status::INVALID_DEVICE_REQUEST,
        "a read of the control device",
    )?;
    let done = bed::finish(bed::write(&*ferry.device, 0, &[1])?)?;
    ended(
        &done,
        Status::INVALID_DEVICE_REQUEST,
        "a write to the control device",
    )
}
