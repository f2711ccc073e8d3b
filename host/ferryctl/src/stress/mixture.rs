//! Which request comes next, and what its answer must be.

use std::ops::Range;

use ferry_abi::pier::{self, Stamp};
use rand::rngs::SmallRng;
use rand::{Rng, RngCore};
use zerocopy::IntoBytes;

use super::tally::Tally;
use crate::platform::Operation;

/// Longest transfer. Long ones would measure memcpy.
const MAX_LENGTH: usize = 4096;

/// What the answer to a request must be.
pub enum Expected {
    /// Read: what the lane knows of this place.
    Known(Range<usize>),
    /// Write: these bytes at this place, as many as the answer says.
    Written(usize, Vec<u8>),
    /// Echo: these bytes.
    Bytes(Vec<u8>),
    /// Sum: this Information.
    Sum(usize),
    /// Stamp: the one before was less than this.
    Stamp(u64),
}

/// A random request inside `slot`, a part of the lane's share, which begins at `base` on the device.
pub fn request(
    rng: &mut SmallRng,
    slot: Range<usize>,
    base: u64,
    tally: &mut Tally,
) -> (Operation, Expected) {
    let from = rng.random_range(slot.clone());
    let length = rng.random_range(0..=(slot.end - from).min(MAX_LENGTH));
    match rng.random_range(0..10) {
        0..4 => {
            tally.reads += 1;
            let offset = base + from as u64;
            (
                Operation::Read { offset, length },
                Expected::Known(from..from + length),
            )
        }
        4..8 => write(rng, from, length, base, tally),
        _ => control(rng, length.min(512), tally),
    }
}

/// A write of random bytes.
pub fn write(
    rng: &mut SmallRng,
    from: usize,
    length: usize,
    base: u64,
    tally: &mut Tally,
) -> (Operation, Expected) {
    tally.writes += 1;
    let mut data = vec![0; length];
    rng.fill_bytes(&mut data);
    let offset = base + from as u64;
    let operation = Operation::Write {
        offset,
        data: data.clone(),
    };
    (operation, Expected::Written(from, data))
}

/// A stamp: the device says which one of this handle it saw last.
pub fn stamp(number: u64, tally: &mut Tally) -> (Operation, Expected) {
    tally.controls += 1;
    let input = Stamp::new(number).as_bytes().to_vec();
    let output = vec![0; size_of::<Stamp>()];
    (
        Operation::control(pier::IOCTL_PIER_STAMP, input, output),
        Expected::Stamp(number),
    )
}

fn control(rng: &mut SmallRng, length: usize, tally: &mut Tally) -> (Operation, Expected) {
    tally.controls += 1;
    let mut input = vec![0; length];
    rng.fill_bytes(&mut input);
    let code = match rng.random_range(0..4) {
        0 => pier::IOCTL_PIER_ECHO,
        1 => pier::IOCTL_PIER_ECHO_DIRECT,
        2 => {
            tally.neither += 1;
            pier::IOCTL_PIER_ECHO_NEITHER
        }
        _ => {
            let mut output = vec![0; length];
            rng.fill_bytes(&mut output);
            let bytes = input.iter().chain(&output);
            let sum: usize = bytes.map(|byte| usize::from(*byte)).sum();
            // Information may not exceed the length of the output buffer.
            let told = Expected::Sum(sum % (length + 1));
            return (
                Operation::control(pier::IOCTL_PIER_SUM, input, output),
                told,
            );
        }
    };
    let operation = Operation::control(code, input.clone(), vec![0; length]);
    (operation, Expected::Bytes(input))
}
