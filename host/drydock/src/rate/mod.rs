//! What a request costs: `drydock rate`.
//!
//! One thread sends small buffered device controls through real images and waits for each. It measures processor time.
//!
//! | file | what it is |
//! |---|---|
//! | `bed` | devices of the same drivers, each with an open handle |
//! | `processor` | the clock: processor time, so that a figure is one per core on a busy machine too |
//! | `curve` | the rate through one device; the cost of a control with more and more devices, and with more and more requests waiting in one queue |
//!
//! The cost per control must not grow with what else exists: a curve that bends is a fault of the model. (The memory the
//! requests of 10,000 devices touch is larger than a processor's cache; that much it does grow.)

mod bed;
mod curve;
mod processor;

use std::path::PathBuf;

use crate::verify::{self, Exit};

/// What to measure, through which drivers.
#[derive(Debug, clap::Args)]
pub struct Options {
    /// Images, the function driver first, then filters from the lowest up.
    #[arg(long, required = true, value_name = "X.sys")]
    image: Vec<PathBuf>,
    /// Control code the drivers answer at once, with four bytes in and four bytes out.
    #[arg(long, value_name = "CODE", default_value = "0x222000", value_parser = code)]
    code: u32,
    /// Control code of a request the drivers keep in a queue until it is canceled.
    #[arg(long, value_name = "CODE", default_value = "0x222004", value_parser = code)]
    keep_code: u32,
    /// How many controls a figure is taken from; the best of five such runs counts.
    #[arg(long, value_name = "NUMBER", default_value_t = 100_000)]
    count: u32,
    /// Go up to so many devices, in steps of ten.
    #[arg(long, value_name = "NUMBER", default_value_t = 1)]
    devices: u32,
    /// Go up to so many waiting requests, in steps of ten.
    #[arg(long, value_name = "NUMBER", default_value_t = 0)]
    queued: u32,
    /// Run with the framework verifier on (VerifierOn = 1).
    #[arg(long)]
    verifier: bool,
    /// Exit with 3 if the rate through one device is below so many controls per second and core.
    #[arg(long, value_name = "RATE")]
    floor: Option<f64>,
}

/// A control code, in hexadecimal as headers show it or in decimal.
fn code(text: &str) -> Result<u32, String> {
    let parsed = match text.strip_prefix("0x") {
        Some(digits) => u32::from_str_radix(digits, 16),
        None => text.parse(),
    };
    let code = parsed.map_err(|_| "a control code is a number such as 0x222000".to_owned())?;
    match code & 3 {
        0 => Ok(code),
        _ => Err(
            "the rate is measured with METHOD_BUFFERED: the two low bits of the code are 0"
                .to_owned(),
        ),
    }
}

/// Measures, and prints the tables.
pub fn run(options: &Options) -> Exit {
    let mut settings = verify::settings().clone();
    settings.verifier_on = options.verifier;
    verify::configure(settings);
    match curve::measure(options) {
        Ok(rate) => conclude(options, rate),
        Err(reason) => {
            eprintln!("drydock rate: {reason}");
            Exit::Usage
        }
    }
}

fn conclude(options: &Options, rate: f64) -> Exit {
    let leaks = verify::leak_report();
    if !leaks.is_empty() {
        eprint!("drydock: {leaks}");
        return Exit::Leaks;
    }
    match options.floor {
        Some(floor) if rate < floor => {
            eprintln!(
                "drydock rate: {rate:.0} controls per second and core are fewer than {floor:.0}"
            );
            Exit::Violation
        }
        _ => Exit::Clean,
    }
}

#[cfg(test)]
mod tests {
    use super::code;

    #[test]
    fn a_control_code_is_buffered_and_a_number() {
        assert_eq!(code("0x222004"), Ok(0x22_2004));
        assert_eq!(code("2236416"), Ok(0x22_2000));
        assert!(code("0x222003").is_err_and(|why| why.contains("METHOD_BUFFERED")));
        assert!(code("echo").is_err_and(|why| why.contains("0x222000")));
    }
}
