//! Figures and their tables.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use super::Options;
use super::bed::{Bed, control};
use super::processor;
use crate::nt::status::NtStatus;

/// Runs per figure; the best counts, the others shared the caches with somebody.
const RUNS: u32 = 5;

/// Measures everything that was asked for; gives the controls per second and core through one device.
pub(super) fn measure(options: &Options) -> Result<f64, String> {
    let mut bed = Bed::new(options)?;
    println!(
        "{}: control {:#x}, four bytes in and out, one thread",
        names(options),
        options.code
    );
    let alone = best(&bed, options.count)?;
    let rate = 1e6 / alone;
    println!("one device: {rate:.0} controls per second and core, {alone:.3} us each");
    if options.queued > 0 {
        with_waiting(&bed, options)?;
    }
    if options.devices > 1 {
        with_devices(&mut bed, options)?;
    }
    bed.end()?;
    Ok(rate)
}

fn names(options: &Options) -> String {
    let names: Vec<_> = options
        .image
        .iter()
        .map(|path| path.file_name().unwrap_or_default().to_string_lossy())
        .collect();
    names.join(" under ")
}

/// Microseconds of processor time per control, going round the devices.
fn best(bed: &Bed, count: u32) -> Result<f64, String> {
    let devices = bed.len();
    let mut best = f64::INFINITY;
    for _ in 0..RUNS {
        let begin = processor::time();
        for number in 0..count as usize {
            let status = bed.control(number % devices);
            if !status.is_success() {
                return Err(format!("control number {number} gave {status}"));
            }
        }
        best = best.min(per_one(processor::time() - begin, count));
    }
    Ok(best)
}

fn per_one(time: Duration, count: u32) -> f64 {
    time.as_secs_f64() * 1e6 / f64::from(count)
}

/// 1, 10, 100 and so on, ending with `last`.
fn steps(last: u32) -> impl Iterator<Item = u32> {
    let powers = std::iter::successors(Some(1u32), |step| step.checked_mul(10));
    powers.take_while(move |step| *step < last).chain([last])
}

fn with_devices(bed: &mut Bed, options: &Options) -> Result<(), String> {
    println!();
    println!(
        "{:>9}  {:>14}  {:>17}",
        "devices", "us per device", "us per control"
    );
    for count in steps(options.devices) {
        let more = count - bed.len() as u32;
        let begin = processor::time();
        bed.grow(count as usize)?;
        let made = if more == 0 {
            "-".to_owned()
        } else {
            format!("{:.1}", per_one(processor::time() - begin, more))
        };
        // Every device gets some, or the figure says nothing about all of them.
        let each = best(bed, options.count.max(count * 4))?;
        println!("{count:>9}  {made:>14}  {each:>17.3}");
    }
    Ok(())
}

/// What requests cost that wait in a queue, and what another one costs meanwhile.
fn with_waiting(bed: &Bed, options: &Options) -> Result<(), String> {
    println!();
    println!(
        "{:>9}  {:>12}  {:>26}  {:>13}",
        "waiting", "us to queue", "us per control meanwhile", "us to cancel"
    );
    for count in steps(options.queued) {
        let canceled = Arc::new(AtomicU32::new(0));
        let handle = bed.handle(0);
        let begin = processor::time();
        for _ in 0..count {
            let canceled = Arc::clone(&canceled);
            handle.start(control(options.keep_code), move |done| {
                if done.status == NtStatus::CANCELLED {
                    canceled.fetch_add(1, Ordering::Relaxed);
                }
            });
        }
        let queue = per_one(processor::time() - begin, count);
        let waiting = handle.outstanding();
        if waiting != count as usize {
            return Err(format!(
                "of {count} requests {:#x}, {waiting} wait: name a code the drivers keep with --keep-code",
                options.keep_code
            ));
        }
        let meanwhile = best(bed, options.count)?;
        let begin = processor::time();
        handle.cancel_all();
        let cancel = per_one(processor::time() - begin, count);
        let ended = canceled.load(Ordering::Relaxed);
        if ended != count {
            return Err(format!(
                "of {count} requests that were canceled, {ended} ended as canceled"
            ));
        }
        println!("{count:>9}  {queue:>12.3}  {meanwhile:>26.3}  {cancel:>13.3}");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_go_up_by_ten_and_end_where_asked() {
        assert_eq!(steps(1_000).collect::<Vec<_>>(), [1, 10, 100, 1_000]);
        assert_eq!(steps(250).collect::<Vec<_>>(), [1, 10, 100, 250]);
        assert_eq!(steps(1).collect::<Vec<_>>(), [1]);
    }
}
