//! What the kernel's own part of a request costs.

use super::*;
use crate::nt::app::Op;
use rusty_fork::rusty_fork_test;
use std::time::Instant;

rusty_fork_test! {
    #[test]
    #[ignore = "a measurement: cargo test --release -- --ignored --nocapture small_controls"]
    fn small_controls_per_second() {
        Device::named("T", 0);
        let (_process, handle) = open("T");
        const COUNT: u32 = 1_000_000;
        let begin = Instant::now();
        for _ in 0..COUNT {
            let op = Op::Ioctl { code: 0x22_0000, input: vec![1, 2, 3, 4], output_len: 4 };
            assert!(handle.run(op).status.is_success());
        }
        eprintln!("{:.0} controls/s", f64::from(COUNT) / begin.elapsed().as_secs_f64());
    }
}
