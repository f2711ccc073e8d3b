//! Buffers drivers get wrong: of no length, of odd lengths, and addresses nobody has probed.

use super::super::traffic::{self, End, Program};
use super::{Session, stress};
use crate::nt::app::Op;
use crate::nt::memory::{USER_BASE, USER_END};
use std::sync::Arc;

/// Addresses a hostile program gives with a METHOD_NEITHER code.
fn address(rng: &mut fastrand::Rng) -> u64 {
    match rng.u32(0..7) {
        0 => 0,
        1 => 1,
        2 => USER_END as u64 - 1,
        3 => USER_BASE as u64,
        4 => 0xffff_8000_0000_0000,
        5 => u64::MAX,
        _ => USER_BASE as u64 + u64::from(rng.u32(..)),
    }
}

/// A control with unprobed addresses, or any request without a byte.
fn request(rng: &mut fastrand::Rng, known: &[u32]) -> Op {
    let code = traffic::code(rng, known);
    match rng.u32(0..8) {
        0 => Op::Read {
            offset: traffic::offset(rng),
            len: 0,
        },
        1 => Op::Write {
            offset: traffic::offset(rng),
            data: Vec::new(),
        },
        2 | 3 => Op::Ioctl {
            code,
            input: Vec::new(),
            output_len: 0,
        },
        4 => {
            // One byte less or more than a structure of pointers.
            let length = rng.u32(0..9) * 8 + rng.u32(0..3);
            Op::Ioctl {
                code,
                input: traffic::bytes(rng, length.saturating_sub(1)),
                output_len: length,
            }
        }
        _ => Op::Neither {
            code: code | 3,
            input: (address(rng), traffic::length(rng)),
            output: (address(rng), traffic::length(rng)),
        },
    }
}

/// First the codes are found, then they get buffers they do not expect.
pub(super) fn run(session: &Arc<Session>) {
    let mut rng = session.rng(1);
    while !session.is_over() {
        let Some(mut program) = Program::open(session, &mut rng) else {
            session.counts.add("rounds without an open", 1);
            stress::pause();
            continue;
        };
        for _ in 0..300 {
            if session.is_over() {
                break;
            }
            if session.is_half_over() || rng.u32(0..4) == 0 {
                let known = session.codes.known();
                let handle = program.first();
                program.start(session, &handle, request(&mut rng, &known));
                session.counts.add("odd buffers", 1);
                program.drain(session);
            } else {
                program.step(session, &mut rng);
            }
        }
        let how = if rng.bool() {
            End::Orderly
        } else {
            End::Killed
        };
        program.end(session, how);
    }
}
