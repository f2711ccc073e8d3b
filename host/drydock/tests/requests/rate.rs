//! How fast a request travels: run by hand, `cargo test --release --test requests rate -- --ignored --nocapture`.

use crate::bench::*;
use drydock::nt::app::Op;
use drydock::nt::status::NtStatus;
use rusty_fork::rusty_fork_test;
use std::time::Instant;

rusty_fork_test! {
    #[test]
    #[ignore = "a measurement, not a check"]
    fn rate_of_small_synchronous_controls_through_one_driver() {
        let bench = Bench::control(|device| { queue(device, PARALLEL); });
        on("EvtIoDeviceControl", |a| { complete(a[1], NtStatus::SUCCESS, 4); 0 });
        let handle = bench.open();
        let count = 200_000;
        let begin = Instant::now();
        for _ in 0..count {
            let done = handle.run(Op::Ioctl { code: 0x222000, input: vec![0; 4], output_len: 4 });
            assert_eq!(done.status, NtStatus::SUCCESS);
        }
        let rate = f64::from(count) / begin.elapsed().as_secs_f64();
        println!("{rate:.0} controls per second");
    }
}
