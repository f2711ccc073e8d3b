//! `ferryctl bench`: rates and latencies of a device, as a program sees them.

use std::fmt;
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use ferry_abi::pier;
use hdrhistogram::Histogram;
use serde::Serialize;

use crate::cli::{self, BenchOp};
use crate::ferry::{self, LIMIT};
use crate::output::{self, Output, grouped};
use crate::platform::{Access, Device, Operation, Platform, Result};

/// Latencies are kept to three digits.
const DIGITS: u8 = 3;
/// Percentiles shown.
const PERCENTILES: [f64; 6] = [50.0, 90.0, 99.0, 99.9, 99.99, 100.0];

/// What was measured. Times in microseconds.
#[derive(Serialize)]
struct Measured {
    op: &'static str,
    length: u32,
    depth: u32,
    requests: u64,
    seconds: f64,
    requests_per_second: f64,
    bytes_per_second: f64,
    mean: f64,
    least: f64,
    percentiles: Vec<(f64, f64)>,
}

impl fmt::Display for Measured {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "{} of {} bytes, {} at once: {} requests in {:.2} s",
            self.op,
            self.length,
            self.depth,
            grouped(self.requests),
            self.seconds
        )?;
        writeln!(
            f,
            "  rate     {} requests/s, {}/s",
            grouped(self.requests_per_second as u64),
            output::bytes(self.bytes_per_second)
        )?;
        let time = |micros: f64| output::time((micros * 10.0) as u64);
        write!(
            f,
            "  latency  least {}, mean {}",
            time(self.least),
            time(self.mean)
        )?;
        for (percent, micros) in &self.percentiles {
            write!(
                f,
                "\n  {:>7}  {:>8}  {}",
                format!("{percent}%"),
                time(*micros),
                self.bar(*micros)
            )?;
        }
        Ok(())
    }
}

impl Measured {
    /// A bar as long as the latency is, on a logarithmic scale from the shortest to the longest.
    fn bar(&self, micros: f64) -> String {
        let longest = self
            .percentiles
            .last()
            .map_or(micros, |(_, longest)| *longest);
        let (low, high) = (self.least.max(0.1).ln(), longest.max(0.2).ln());
        let share = if high > low {
            (micros.max(0.1).ln() - low) / (high - low)
        } else {
            1.0
        };
        "▇".repeat(1 + (share.clamp(0.0, 1.0) * 39.0) as usize)
    }
}

/// Measures.
///
/// # Errors
/// The device cannot be used, or a request failed.
pub fn run(platform: &dyn Platform, out: Output, options: &cli::Bench) -> Result<()> {
    let path = ferry::device_path(platform, &options.device)?;
    let device = ferry::open(platform, &path, Access::ReadWrite)?;
    let bar = out.bar(
        options.duration.as_millis() as u64,
        "{bar:30} {elapsed}  {msg}",
    );
    let start = Instant::now();
    let mut total = Histogram::<u64>::new(DIGITS).context("cannot make a histogram")?;
    std::thread::scope(|scope| {
        let lanes: Vec<_> = (0..options.depth)
            .map(|lane| {
                let device = &*device;
                scope.spawn(move || one_at_a_time(device, options, lane, start))
            })
            .collect();
        while start.elapsed() < options.duration && lanes.iter().any(|lane| !lane.is_finished()) {
            bar.set_position(start.elapsed().as_millis() as u64);
            std::thread::sleep(Duration::from_millis(50).min(options.duration));
        }
        for lane in lanes {
            let measured = lane
                .join()
                .unwrap_or_else(|panic| std::panic::resume_unwind(panic))?;
            total.add(measured).context("cannot add up the latencies")?;
        }
        Ok::<_, anyhow::Error>(())
    })?;
    bar.finish_and_clear();
    out.say(&measured(options, &total, start.elapsed()))
}

fn measured(options: &cli::Bench, total: &Histogram<u64>, took: Duration) -> Measured {
    let seconds = took.as_secs_f64();
    let rate = total.len() as f64 / seconds;
    let micros = |nanos: u64| nanos as f64 / 1000.0;
    Measured {
        op: match options.op {
            BenchOp::Read => "reads",
            BenchOp::Write => "writes",
            BenchOp::Echo => "echo controls",
        },
        length: options.length,
        depth: options.depth,
        requests: total.len(),
        seconds,
        requests_per_second: rate,
        bytes_per_second: rate * f64::from(options.length),
        mean: total.mean() / 1000.0,
        least: micros(total.min()),
        percentiles: PERCENTILES
            .map(|percent| (percent, micros(total.value_at_percentile(percent))))
            .to_vec(),
    }
}

/// One request after the other until the time is over; gives their latencies in nanoseconds.
fn one_at_a_time(
    device: &dyn Device,
    options: &cli::Bench,
    lane: u32,
    start: Instant,
) -> Result<Histogram<u64>> {
    let mut latencies = Histogram::new(DIGITS).context("cannot make a histogram")?;
    let length = options.length as usize;
    let offset = u64::from(lane) * u64::from(options.length) % (pier::CAPACITY / 2);
    while start.elapsed() < options.duration {
        let operation = match options.op {
            BenchOp::Read => Operation::Read { offset, length },
            BenchOp::Write => Operation::Write {
                offset,
                data: vec![0xA5; length],
            },
            BenchOp::Echo => {
                Operation::control(pier::IOCTL_PIER_ECHO, vec![0xA5; length], vec![0; length])
            }
        };
        let sent = Instant::now();
        let done = ferry::run(device, operation, LIMIT, "a request")?;
        let took = u64::try_from(sent.elapsed().as_nanos()).unwrap_or(u64::MAX);
        ensure!(
            done.status.is_success(),
            "a request ended with {}",
            done.status
        );
        latencies
            .record(took)
            .context("a latency is out of range")?;
    }
    Ok(latencies)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::platform::fake::Fake;

    #[test]
    fn what_was_measured_is_a_table_with_bars() {
        let options = cli::Bench {
            op: BenchOp::Read,
            length: 4096,
            depth: 2,
            duration: Duration::from_secs(1),
            device: "pier".to_owned(),
        };
        let mut total = Histogram::new(DIGITS).unwrap();
        for nanos in (1..=1000).map(|micros| micros * 1000) {
            total.record(nanos).unwrap();
        }
        let told = measured(&options, &total, Duration::from_secs(2)).to_string();
        insta::assert_snapshot!(told, @r"
        reads of 4096 bytes, 2 at once: 1 000 requests in 2.00 s
          rate     500 requests/s, 2.0 MiB/s
          latency  least 1.00 us, mean 500 us
              50%    500 us  ▇▇▇▇▇▇▇▇▇▇▇▇▇▇▇▇▇▇▇▇▇▇▇▇▇▇▇▇▇▇▇▇▇▇▇▇
              90%    900 us  ▇▇▇▇▇▇▇▇▇▇▇▇▇▇▇▇▇▇▇▇▇▇▇▇▇▇▇▇▇▇▇▇▇▇▇▇▇▇▇
              99%    990 us  ▇▇▇▇▇▇▇▇▇▇▇▇▇▇▇▇▇▇▇▇▇▇▇▇▇▇▇▇▇▇▇▇▇▇▇▇▇▇▇
            99.9%   1.00 ms  ▇▇▇▇▇▇▇▇▇▇▇▇▇▇▇▇▇▇▇▇▇▇▇▇▇▇▇▇▇▇▇▇▇▇▇▇▇▇▇▇
           99.99%   1.00 ms  ▇▇▇▇▇▇▇▇▇▇▇▇▇▇▇▇▇▇▇▇▇▇▇▇▇▇▇▇▇▇▇▇▇▇▇▇▇▇▇▇
             100%   1.00 ms  ▇▇▇▇▇▇▇▇▇▇▇▇▇▇▇▇▇▇▇▇▇▇▇▇▇▇▇▇▇▇▇▇▇▇▇▇▇▇▇▇
        ");
    }

    #[test]
    fn a_device_in_memory_is_measured() {
        let options = cli::Bench {
            op: BenchOp::Write,
            length: 512,
            depth: 3,
            duration: Duration::from_millis(20),
            device: "pier".to_owned(),
        };
        run(&Fake::new(None), Output { json: true }, &options).unwrap();
    }
}
