//! `ferryctl report`: observes a device and writes one self-contained page.
//!
//! The page needs no script, no font and no network: it is HTML with SVG inside, and can be mailed. The drawing is ours because it
//! is a handful of rectangles; a plotting library would bring a look and a size of its own.

mod page;
mod svg;
mod timeline;

use std::time::{Duration, Instant};

use anyhow::Context;
use ferry_abi::control::Stats;

use self::page::Page;
use self::timeline::Timeline;
use crate::cli;
use crate::command::{device_type, filter, while_it_stands};
use crate::ferry::Ferry;
use crate::observe::{Stream, latency};
use crate::output::Output;
use crate::platform::{Platform, Result};
use crate::rules::describe;

/// How long the collector waits for events before it looks whether it is over.
const LOOK: Duration = Duration::from_millis(20);

/// Observes until Ctrl-C, for a time, or while a command runs; then writes the page. False if the command failed.
///
/// # Errors
/// ferry is gone, or the page cannot be written.
pub fn run(platform: &dyn Platform, out: Output, options: &cli::Report) -> Result<bool> {
    let ferry = Ferry::open(platform)?;
    let device = filter(&ferry, &options.stands.filter)?;
    let mut stream = Stream::open(platform, device)?;
    let before = ferry.stats(device)?;
    let early = latency::look(&ferry, device)?;
    let start = Instant::now();
    let over = std::sync::atomic::AtomicBool::new(false);
    let (well, timeline) = std::thread::scope(|scope| {
        let collector = scope.spawn(|| {
            let mut timeline = Timeline::default();
            loop {
                match stream.next(LOOK)? {
                    Some(batch) => timeline.add(&batch),
                    None if over.load(std::sync::atomic::Ordering::Acquire) => {
                        return Ok::<_, anyhow::Error>(timeline);
                    }
                    None => {}
                }
            }
        });
        let what = format!("observing filter device {device}");
        let well = while_it_stands(&ferry, out, &options.stands, &what);
        over.store(true, std::sync::atomic::Ordering::Release);
        let timeline = collector
            .join()
            .unwrap_or_else(|panic| std::panic::resume_unwind(panic));
        Ok::<_, anyhow::Error>((well?, timeline?))
    })?;
    let info = ferry.info()?;
    let entry = ferry
        .devices()?
        .into_iter()
        .find(|entry| entry.id == device);
    let late = latency::look(&ferry, device)?;
    let page = Page {
        title: format!("filter device {device}"),
        subtitle: format!(
            "ferry {}.{}, KMDF 1.{}, above {}",
            info.driver_version >> 16,
            info.driver_version & 0xFFFF,
            info.kmdf_minor,
            entry.map_or_else(
                || "a device that is gone".to_owned(),
                |entry| device_type(entry.device_type)
            )
        ),
        seconds: start.elapsed().as_secs_f64(),
        stats: moved(&before, &ferry.stats(device)?),
        latencies: std::array::from_fn(|op| late[op].since(&early[op])),
        rules: ferry
            .rules(device)?
            .iter()
            .map(|entry| (describe(&entry.rule), entry.hits))
            .collect(),
        timeline,
    };
    let path = &options.output;
    std::fs::write(path, page.html())
        .with_context(|| format!("cannot write {}", path.display()))?;
    out.say(&Written {
        page: path.display().to_string(),
        events: page.timeline.events,
        lost: page.timeline.lost,
    })?;
    Ok(well)
}

/// What happened between two looks.
fn moved(before: &Stats, after: &Stats) -> Vec<(&'static str, u64)> {
    /// A counter's name, and how to read it.
    type Row = (&'static str, fn(&Stats) -> u64);
    let rows: [Row; 13] = [
        ("reads", |s| s.reads),
        ("writes", |s| s.writes),
        ("controls", |s| s.controls),
        ("skipped", |s| s.skipped),
        ("completed by the lower driver", |s| s.completed),
        ("canceled in ferry", |s| s.canceled),
        ("failed by ferry", |s| s.failed),
        ("held", |s| s.held),
        ("delayed", |s| s.delayed),
        ("in the backlog", |s| s.backlogged),
        ("dropped", |s| s.dropped),
        ("split", |s| s.split),
        ("aborted or timed out", |s| s.aborted + s.timed_out),
    ];
    rows.iter()
        .map(|(name, of)| (*name, of(after).saturating_sub(of(before))))
        .collect()
}

#[derive(serde::Serialize)]
struct Written {
    page: String,
    events: u64,
    lost: u64,
}

impl std::fmt::Display for Written {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}: {} events", self.page, self.events)?;
        if self.lost > 0 {
            write!(
                f,
                ", {} lost: the timeline has gaps, counters and latencies have none",
                self.lost
            )?;
        }
        Ok(())
    }
}
