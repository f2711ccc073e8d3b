//! Orders of threads through `wdf`: what `sender.sys` has sent below, in whole or in parts, against whoever wants it back.
//!
//! Every choice of who runs is made by the explorer. The atomics inside the image are explored elsewhere (`host/races`).

use std::sync::Arc;

use drydock::explore::strategy::{DepthFirst, Pct, Strategy};
use drydock::explore::{self, Explored, Limits, Summary};
use drydock::nt::app::Op;
use drydock::nt::status::NtStatus;
use drydock::sched::{self, Event, Lock, world};
use rusty_fork::rusty_fork_test;
use scenarios::{Bed, Program, Session};

/// As in the driver's `control.rs`.
mod mode {
    pub const TRACKED: u32 = 1;
    pub const SEQUENTIAL: u32 = 5;
    pub const PARALLEL: u32 = 6;
}

const SET_MODE: u32 = 0x22 << 16 | 0xA00 << 2;
const CANCEL: u32 = 0x22 << 16 | 0xA01 << 2;
const LIMITS: Limits = Limits {
    schedules: 3_000,
    keep_going: false,
    check: false,
};
/// Timers due within a second can go off at any time.
const SLACK: i64 = 10_000_000;
/// Two parts and a bit.
const LENGTH: u32 = 2 * 4096 + 8;

fn tell(file: &Session, code: u32, input: &[u8]) -> NtStatus {
    let input = input.to_vec();
    let op = Op::Ioctl {
        code,
        input,
        output_len: 0,
    };
    file.start(op).wait().status
}

/// A read that pier answers after a millisecond; a thread does `against` to it meanwhile. Then it is over, once, and nothing is left.
fn a_read_against(mode: u32, against: fn(&Program, &Session)) {
    let bed = Bed::of(&["pier.sys", "rust/sender.sys"]);
    let program = Arc::new(Program::new());
    let device = Arc::new(program.open_device());
    assert_eq!(
        tell(&device, SET_MODE, &mode.to_le_bytes()),
        NtStatus::SUCCESS
    );
    device.set_latency(1);
    let ended = Arc::new((Lock::new(None), Event::new(true, false)));
    let there = Arc::clone(&ended);
    let read = Op::Read {
        offset: 0,
        len: LENGTH,
    };
    device.handle.start(read, move |completion| {
        let before = there.0.lock().replace(completion.status);
        assert_eq!(before, None, "the read has ended twice");
        there.1.set();
    });

    explore::begin(SLACK);
    let (other_program, other_device) = (Arc::clone(&program), Arc::clone(&device));
    let other = sched::spawn("other", move || against(&other_program, &other_device));
    ended.1.wait();
    other.join();
    explore::end();

    let status = *ended.0.lock();
    if let Some(status) = status {
        assert!(
            status == NtStatus::SUCCESS || status == NtStatus::CANCELLED,
            "{status}"
        );
        world::outcome(&status.to_string());
    }
    program.process.kill();
    drop((device, program));
    if mode == mode::PARALLEL {
        // The device stays: with several requests waiting, pier's timer may start itself anew at the moment its device goes (R-CHK-36).
        std::mem::forget(bed);
        return;
    }
    bed.end();
}

fn explored(
    scenario: impl FnOnce() + Send + 'static,
    strategy: impl Strategy + 'static,
    limits: Limits,
) -> Summary {
    let scenario = Box::new(move || {
        scenario();
        Ok(())
    });
    let prepared = Explored::prepare(scenario);
    let result = prepared
        .and_then(|mut machine| machine.explore(Box::new(strategy), limits, &mut |_, _| {}));
    match result {
        Ok(summary) => {
            if let Some((finding, _)) = summary.findings.first() {
                panic!("schedule {}: {}", finding.schedule, finding.report);
            }
            summary
        }
        Err(reason) => panic!("{reason}"),
    }
}

fn canceled_while_split(mode: u32, strategy: impl Strategy + 'static) {
    let summary = explored(
        move || a_read_against(mode, |_, device| _ = device.handle.cancel_all()),
        strategy,
        LIMITS,
    );
    let outcomes = &summary.outcomes;
    assert_eq!(outcomes.len(), 2, "both must win: {outcomes:?}");
}

rusty_fork_test! {
    /// P-03, R-CAN-81: the token against the completion routine.
    #[test]
    fn a_token_and_the_answer_from_below_end_a_read_exactly_once() {
        let summary = explored(
            || a_read_against(mode::TRACKED, |_, device| {
                let op = Op::Ioctl { code: CANCEL, input: Vec::new(), output_len: 0 };
                let _ = device.handle.start(op, |_| {});
            }),
            DepthFirst::new(Some(1)),
            LIMITS,
        );
        assert_eq!(summary.outcomes.len(), 2, "both must win: {:?}", summary.outcomes);
    }

    /// P-05: the originator's cancellation against parts that come back at any time, one after the other.
    #[test]
    fn a_cancel_and_the_successive_parts_of_a_read_end_it_exactly_once() {
        canceled_while_split(mode::SEQUENTIAL, Pct::new(3, 1));
    }

    /// And all at once.
    #[test]
    fn a_cancel_and_the_parallel_parts_of_a_read_end_it_exactly_once() {
        canceled_while_split(mode::PARALLEL, DepthFirst::new(Some(1)));
    }

    /// The same when its program dies.
    #[test]
    fn an_exit_and_the_successive_parts_of_a_read_end_it_exactly_once() {
        explored(
            || a_read_against(mode::SEQUENTIAL, |program, _| program.process.kill()),
            Pct::new(3, 2),
            LIMITS,
        );
    }
}
