//! The drawings: a latency chart and a timeline.

use std::fmt::Write;

use ferry_abi::control::{BUCKETS, EventKind, bucket_start};

use super::timeline::{Life, Timeline};
use crate::observe::kind_name;
use crate::observe::latency::{Both, Latency};
use crate::output::time;
use crate::rules::op_names;
use crate::status::Status;

const WIDTH: f64 = 860.0;
/// Room for labels at the left.
const LEFT: f64 = 92.0;
/// Height of the bars of one measure.
const BARS: f64 = 64.0;
/// Room at the right, for half a label.
const RIGHT: f64 = 28.0;
/// Requests the timeline shows.
const ROWS: usize = 48;
/// Height of one of them.
const ROW: f64 = 12.0;

/// Text that may stand in HTML.
pub fn escape(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
        .replace('"', "&quot;")
}

/// A logarithmic axis of latencies in 100 ns.
struct Axis {
    low: f64,
    high: f64,
}

impl Axis {
    fn of(latencies: &[&Latency]) -> Self {
        let filled = |latency: &&Latency| {
            let first = latency.buckets.iter().position(|count| *count > 0)?;
            let last = latency.buckets.iter().rposition(|count| *count > 0)?;
            Some((first, last))
        };
        let ranges: Vec<_> = latencies.iter().filter_map(filled).collect();
        let first = ranges.iter().map(|(first, _)| *first).min().unwrap_or(0);
        let last = ranges
            .iter()
            .map(|(_, last)| *last)
            .max()
            .unwrap_or(BUCKETS - 1);
        let low = (bucket_start(first).max(1) as f64).log10().floor();
        let high = (bucket_start((last + 1).min(BUCKETS - 1)).max(10) as f64)
            .log10()
            .ceil();
        Self {
            low,
            high: high.max(low + 1.0),
        }
    }

    fn x(&self, units: f64) -> f64 {
        let share = (units.max(1.0).log10() - self.low) / (self.high - self.low);
        LEFT + share.clamp(0.0, 1.0) * (WIDTH - LEFT - RIGHT)
    }
}

/// Bars for the time in ferry above, for the time below it below, on one axis.
pub fn latencies(both: &Both) -> String {
    let axis = Axis::of(&[&both.inside, &both.below]);
    let height = 2.0 * (BARS + 14.0) + 24.0;
    let mut out = format!(r#"<svg viewBox="0 0 {WIDTH} {height}" role="img">"#);
    let bottom = 2.0 * (BARS + 14.0);
    for decade in axis.low as i32..=axis.high as i32 {
        let x = axis.x(10_f64.powi(decade));
        let label = time(10_u64.pow(decade.unsigned_abs()));
        let label = label.replace(".00", "").replace(".0", "");
        // Writing to a String cannot fail.
        let _ = write!(
            out,
            r#"<line class="grid" x1="{x:.1}" y1="4" x2="{x:.1}" y2="{bottom}"/><text class="tick" x="{x:.1}" y="{:.0}">{label}</text>"#,
            bottom + 16.0
        );
    }
    for (row, (name, class, latency)) in [
        ("in ferry", "inside", &both.inside),
        ("below", "below", &both.below),
    ]
    .iter()
    .enumerate()
    {
        let base = (row as f64 + 1.0) * (BARS + 14.0) - 4.0;
        bars(&mut out, &axis, latency, base, class);
        let _ = write!(
            out,
            r#"<text class="side" x="{:.0}" y="{:.1}">{name}</text>"#,
            LEFT - 10.0,
            base - BARS / 2.0
        );
    }
    out.push_str("</svg>");
    out
}

fn bars(out: &mut String, axis: &Axis, latency: &Latency, base: f64, class: &str) {
    let most = latency.buckets.iter().max().copied().unwrap_or(0).max(1) as f64;
    for (bucket, count) in latency
        .buckets
        .iter()
        .enumerate()
        .filter(|(_, count)| **count > 0)
    {
        let (from, to) = (
            bucket_start(bucket),
            bucket_start((bucket + 1).min(BUCKETS - 1)),
        );
        let (x, end) = (axis.x(from as f64), axis.x(to as f64));
        // The root keeps a single slow request visible beside a million quick ones.
        let height = (*count as f64 / most).sqrt() * (BARS - 8.0);
        let _ = write!(
            out,
            r#"<rect class="{class}" x="{x:.1}" y="{:.1}" width="{:.1}" height="{height:.1}"><title>{} to {}: {count}</title></rect>"#,
            base - height,
            (end - x - 0.6).max(0.8),
            time(from),
            time(to)
        );
    }
    let _ = write!(
        out,
        r#"<line class="base" x1="{LEFT}" y1="{base}" x2="{:.0}" y2="{base}"/>"#,
        WIDTH - RIGHT
    );
    // The median's label is left of its line and the other's right of it, so that they do not meet.
    for (percent, name, is_left) in [(50.0, "p50", true), (99.0, "p99", false)] {
        if let Some(units) = latency.percentile(percent) {
            let x = axis.x(units as f64);
            let is_left = (is_left && x > LEFT + 60.0) || x > WIDTH - 90.0;
            let (anchor, at) = if is_left {
                ("end", x - 3.0)
            } else {
                ("start", x + 3.0)
            };
            let (top, label) = (base - BARS - 8.0, base - BARS);
            let _ = write!(
                out,
                r#"<line class="mark" x1="{x:.1}" y1="{top:.1}" x2="{x:.1}" y2="{base}"/><text class="mark" text-anchor="{anchor}" x="{at:.1}" y="{label:.1}">{name} {}</text>"#,
                time(units)
            );
        }
    }
}

/// The lives worth showing: the newest, but those that waited or ended badly rather than those that just passed.
fn chosen(timeline: &Timeline) -> Vec<&Life> {
    let dull = |life: &&Life| {
        life.stays.len() <= 2
            && life
                .end
                .is_some_and(|(kind, status)| kind == EventKind::Completed.code() && status == 0)
    };
    let mut shown: Vec<&Life> = timeline
        .lives
        .iter()
        .filter(|life| !dull(life))
        .rev()
        .take(ROWS * 3 / 4)
        .collect();
    let rest = ROWS - shown.len();
    shown.extend(timeline.lives.iter().filter(dull).rev().take(rest));
    shown.sort_by_key(|life| life.stays.first().map_or(0, |stay| stay.from));
    shown
}

/// A bar per request, in the colours of the places it was in.
pub fn timeline(timeline: &Timeline) -> String {
    let lives = chosen(timeline);
    let start = lives
        .iter()
        .filter_map(|life| life.stays.first())
        .map(|stay| stay.from)
        .min()
        .unwrap_or(0);
    let end = lives
        .iter()
        .filter_map(|life| life.stays.last())
        .map(|stay| stay.to)
        .max()
        .unwrap_or(start + 1);
    let span = (end - start).max(1) as f64;
    let height = lives.len() as f64 * ROW + 30.0;
    let x =
        |at: u64| LEFT + 70.0 + (at.saturating_sub(start)) as f64 / span * (WIDTH - LEFT - 200.0);
    let mut out = format!(r#"<svg viewBox="0 0 {WIDTH} {height}" role="img">"#);
    for tick in 0..=5_u64 {
        let at = start + (end - start) * tick / 5;
        let _ = write!(
            out,
            r#"<line class="grid" x1="{0:.1}" y1="4" x2="{0:.1}" y2="{1:.0}"/><text class="tick" x="{0:.1}" y="{2:.0}">{3}</text>"#,
            x(at),
            height - 22.0,
            height - 8.0,
            time(at - start)
        );
    }
    for (row, life) in lives.iter().enumerate() {
        let y = 4.0 + row as f64 * ROW;
        let _ = write!(
            out,
            r#"<text class="side" x="{:.0}" y="{:.1}">{} #{}, {}</text>"#,
            LEFT + 62.0,
            y + 8.5,
            op_names(life.op),
            life.request,
            life.length
        );
        for stay in &life.stays {
            let (from, to) = (x(stay.from), x(stay.to));
            let name = kind_name(stay.kind);
            let _ = write!(
                out,
                r#"<rect class="k-{name}" x="{from:.1}" y="{y:.1}" width="{:.1}" height="{:.1}"><title>{name} for {}</title></rect>"#,
                (to - from).max(1.2),
                ROW - 3.0,
                time(stay.to - stay.from)
            );
        }
        if let (Some((kind, status)), Some(last)) = (life.end, life.stays.last()) {
            let status = Status(status.cast_signed());
            if kind != EventKind::Completed.code() || status != Status::SUCCESS {
                let told = status.short();
                let told = told.strip_prefix("STATUS_").unwrap_or(&told);
                let _ = write!(
                    out,
                    r#"<text class="end" x="{:.1}" y="{:.1}">{}</text>"#,
                    x(last.to) + 5.0,
                    y + 8.5,
                    escape(told)
                );
            }
        }
    }
    out.push_str("</svg>");
    out
}
