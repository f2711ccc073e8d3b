//! How fast requests travel. These are measurements: run one at a time, by name, for instance
//! `cargo test --release -p drydock --test requests rate::rate_of_small_synchronous_controls -- --ignored --nocapture`.
//! They stay in the process of the test runner, so that a name selects what is run.

use crate::bench::*;
use drydock::kmdf::guest;
use drydock::nt::app::Op;
use drydock::nt::status::NtStatus;
use std::time::Instant;

#[test]
#[ignore = "a measurement, not a check"]
fn rate_of_small_synchronous_controls_through_one_driver() {
    let bench = Bench::control(|device| {
        queue(device, PARALLEL);
    });
    on("EvtIoDeviceControl", |a| {
        complete(a[1], NtStatus::SUCCESS, 4);
        0
    });
    let handle = bench.open();
    let count = 200_000;
    let begin = Instant::now();
    for _ in 0..count {
        let done = handle.run(Op::Ioctl {
            code: 0x222000,
            input: vec![0; 4],
            output_len: 4,
        });
        assert_eq!(done.status, NtStatus::SUCCESS);
    }
    let rate = f64::from(count) / begin.elapsed().as_secs_f64();
    println!("{rate:.0} controls per second");
}

/// A million requests wait in one manual queue; what one costs on its way in and on its way out, by how many wait.
#[test]
#[ignore = "a measurement, not a check"]
fn cost_of_a_request_in_a_manual_queue_by_how_many_wait() {
    let made = Cell::default();
    let manual = made.clone();
    let bench = Bench::control(move |device| {
        manual.set(queue(
            device,
            QueueSpec {
                default: true,
                ..MANUAL
            },
        ));
    });
    let handle = bench.open();
    let (step, steps) = (125_000_u32, 8_u32);
    let per_request = |begin: Instant| begin.elapsed().as_nanos() / u128::from(step);
    let mut curve = Vec::new();
    for _ in 0..steps {
        let begin = Instant::now();
        for _ in 0..step {
            let op = Op::Ioctl {
                code: 0x222000,
                input: Vec::new(),
                output_len: 0,
            };
            handle.start(op, |done| {
                assert_eq!(done.status, NtStatus::SUCCESS);
            });
        }
        curve.push((counts(made.get()).0, per_request(begin), 0));
    }
    assert_eq!(counts(made.get()), (step * steps, 0));
    let out = words([0]);
    for row in curve.iter_mut().rev() {
        let begin = Instant::now();
        for _ in 0..step {
            let retrieved = wdf_status("WdfIoQueueRetrieveNextRequest", &[made.get(), out]);
            assert_eq!(retrieved, NtStatus::SUCCESS);
            complete(guest::read(out), NtStatus::SUCCESS, 0);
        }
        row.2 = per_request(begin);
    }
    assert_eq!(counts(made.get()), (0, 0));
    println!("{:>9} {:>9} {:>9}", "waiting", "in (ns)", "out (ns)");
    for (waiting, into, out) in curve {
        println!("{waiting:>9} {into:>9} {out:>9}");
    }
}
