//! `ferryctl watch`: the event stream, one line each.

use std::time::{Duration, Instant};

use crate::cli;
use crate::command::filter;
use crate::interrupt::Interrupt;
use crate::observe::{Line, Stream};
use crate::output::{Output, grouped};
use crate::platform::{Platform, Result};

/// How long at most until an interrupt is noticed.
const LOOK: Duration = Duration::from_millis(100);

/// Prints events until Ctrl-C, a time, or a count.
///
/// # Errors
/// ferry is gone.
pub fn run(platform: &dyn Platform, out: Output, options: &cli::Watch) -> Result<()> {
    let interrupt = Interrupt::listen()?;
    let mut stream = Stream::open(platform, 0)?;
    let device = match options.filter.id {
        Some(_) => Some(filter(&stream.ferry, &options.filter)?),
        None => None,
    };
    let (begin, mut start, mut told) = (Instant::now(), None, 0_u64);
    let is_enough = |told: u64| {
        options.count.is_some_and(|count| told >= count)
            || options
                .duration
                .is_some_and(|limit| begin.elapsed() >= limit)
    };
    while !is_enough(told) && !interrupt.within(Duration::ZERO) {
        let Some(batch) = stream.next(LOOK)? else {
            continue;
        };
        if batch.lost > 0 {
            out.remark(&format!(
                "{} events were lost: more happened than was asked for",
                grouped(batch.lost)
            ));
        }
        for event in &batch.events {
            if device.is_none_or(|device| device == event.device) && !is_enough(told) {
                out.say(&Line::of(event, *start.get_or_insert(event.time)))?;
                told += 1;
            }
        }
    }
    Ok(())
}
