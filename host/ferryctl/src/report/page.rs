//! The page.

use std::fmt::Write;

use super::svg::{self, escape};
use super::timeline::Timeline;
use crate::observe::latency::{Both, OPS};
use crate::output::{grouped, time};

/// Everything on the page.
pub struct Page {
    /// What was observed.
    pub title: String,
    /// Which driver, above what.
    pub subtitle: String,
    /// For how long.
    pub seconds: f64,
    /// What was counted.
    pub stats: Vec<(&'static str, u64)>,
    /// Latencies of reads, writes and controls.
    pub latencies: [Both; 3],
    /// Rules at the end, and how often each acted.
    pub rules: Vec<(String, u64)>,
    /// Requests over time.
    pub timeline: Timeline,
}

const STYLE: &str = r"
:root { --ink:#1b2733; --faint:#7b8794; --line:#e2e7ec; --paper:#fff; --card:#f6f8fa; --inside:#e08a1e; --below:#2f7fb8;
  --arrived:#b8c2cc; --held:#8e5bd0; --delayed:#e08a1e; --backlog:#c9b21b; --dropped:#c0392b; --sent:#2f7fb8; --split:#1d9a8a; --bad:#c0392b; }
@media (prefers-color-scheme: dark) { :root { --ink:#dde5ec; --faint:#8a97a3; --line:#2c3640; --paper:#14191e; --card:#1c2329; --arrived:#55616d; } }
body { font: 15px/1.45 system-ui, sans-serif; color: var(--ink); background: var(--paper); max-width: 900px; margin: 2rem auto; padding: 0 1rem; }
h1 { font-size: 1.5rem; margin: 0; } h2 { font-size: 1.05rem; margin: 2rem 0 .4rem; } p.sub { color: var(--faint); margin: .2rem 0 1.2rem; }
.cards { display: flex; flex-wrap: wrap; gap: .5rem; } .card { background: var(--card); border-radius: 6px; padding: .45rem .8rem; min-width: 6.5rem; }
.card b { display: block; font-size: 1.15rem; font-variant-numeric: tabular-nums; } .card span { color: var(--faint); font-size: .8rem; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; font-size: .88rem; } td, th { padding: .15rem .8rem .15rem 0; text-align: right; }
th { color: var(--faint); font-weight: 500; } td:first-child, th:first-child { text-align: left; } td.rule { font-family: ui-monospace, monospace; text-align: left; }
svg { width: 100%; height: auto; font: 10px system-ui, sans-serif; } svg text { fill: var(--ink); } svg .tick { fill: var(--faint); text-anchor: middle; }
svg .side { fill: var(--faint); text-anchor: end; } svg .grid { stroke: var(--line); } svg .base { stroke: var(--faint); stroke-width: .6; }
svg line.mark { stroke: var(--ink); stroke-dasharray: 2 2; stroke-width: .7; } svg .end { fill: var(--bad); }
.inside { fill: var(--inside); } .below { fill: var(--below); }
.k-arrived { fill: var(--arrived); } .k-held { fill: var(--held); } .k-delayed { fill: var(--delayed); } .k-backlog { fill: var(--backlog); }
.k-dropped { fill: var(--dropped); } .k-sent { fill: var(--sent); } .k-split { fill: var(--split); }
.legend { color: var(--faint); font-size: .8rem; } .legend i { display: inline-block; width: .8em; height: .8em; border-radius: 2px; margin: 0 .35em 0 1em; }
";

impl Page {
    /// The page as HTML, everything in it.
    #[must_use]
    pub fn html(&self) -> String {
        let mut out = String::new();
        let title = escape(&self.title);
        // Writing to a String cannot fail.
        let _ = write!(
            out,
            "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><title>ferry: {title}</title><style>{STYLE}</style></head><body>\n\
             <h1>{title}</h1>\n<p class=\"sub\">{}; observed for {:.1} s</p>\n",
            escape(&self.subtitle),
            self.seconds
        );
        self.cards(&mut out);
        self.latency(&mut out);
        self.lives(&mut out);
        self.rules(&mut out);
        out.push_str("</body></html>\n");
        out
    }

    fn cards(&self, out: &mut String) {
        let requests: u64 = self.stats.iter().take(4).map(|(_, count)| count).sum();
        let rate = requests as f64 / self.seconds.max(0.001);
        out.push_str("<div class=\"cards\">");
        let _ = write!(
            out,
            "<div class=\"card\"><b>{}</b><span>requests/s</span></div>",
            grouped(rate as u64)
        );
        for (name, count) in self.stats.iter().filter(|(_, count)| *count > 0) {
            let _ = write!(
                out,
                "<div class=\"card\"><b>{}</b><span>{name}</span></div>",
                grouped(*count)
            );
        }
        out.push_str("</div>\n");
    }

    fn latency(&self, out: &mut String) {
        for ((name, _), both) in OPS.iter().zip(&self.latencies) {
            if both.inside.count + both.below.count == 0 {
                continue;
            }
            let _ = write!(
                out,
                "<h2>{name} latency</h2>\n{}\n<table><tr><th></th><th>requests</th><th>mean</th>",
                svg::latencies(both)
            );
            let percents = [50.0, 90.0, 99.0, 99.9];
            for percent in percents {
                let _ = write!(out, "<th>p{percent}</th>");
            }
            out.push_str("<th>longest</th></tr>");
            for (measure, latency) in [("in ferry", &both.inside), ("below", &both.below)] {
                let told = |units: Option<u64>| units.map_or_else(|| "-".to_owned(), time);
                let _ = write!(
                    out,
                    "<tr><td>{measure}</td><td>{}</td><td>{}</td>",
                    grouped(latency.count),
                    told(latency.mean())
                );
                for percent in percents {
                    let _ = write!(out, "<td>{}</td>", told(latency.percentile(percent)));
                }
                let _ = write!(out, "<td>{}</td></tr>", time(latency.longest));
            }
            out.push_str("</table>\n");
        }
        out.push_str("<p class=\"legend\">Heights go by the square root, so that one slow request shows beside a million quick ones.</p>\n");
    }

    fn lives(&self, out: &mut String) {
        out.push_str("<h2>requests over time</h2>\n<p class=\"legend\">");
        for (kind, name) in [
            ("arrived", "in a handler"),
            ("held", "held"),
            ("delayed", "delayed"),
            ("backlog", "in the backlog"),
            ("dropped", "dropped"),
            ("sent", "below"),
            ("split", "below, in chunks"),
        ] {
            let _ = write!(out, "<i style=\"background:var(--{kind})\"></i>{name}");
        }
        out.push_str("</p>\n");
        if self.timeline.lives.is_empty() {
            out.push_str("<p class=\"sub\">No request ended while the device was observed.</p>\n");
            return;
        }
        out.push_str(&svg::timeline(&self.timeline));
        let _ = write!(
            out,
            "\n<p class=\"legend\">The newest requests, those that waited or failed first; {} events, {} lost.</p>\n",
            grouped(self.timeline.events),
            grouped(self.timeline.lost)
        );
    }

    fn rules(&self, out: &mut String) {
        if self.rules.is_empty() {
            return;
        }
        out.push_str(
            "<h2>rules in force at the end</h2>\n<table><tr><th>rule</th><th>hits</th></tr>",
        );
        for (rule, hits) in &self.rules {
            let _ = write!(
                out,
                "<tr><td class=\"rule\">{}</td><td>{}</td></tr>",
                escape(rule),
                grouped(*hits)
            );
        }
        out.push_str("</table>\n");
    }
}

#[cfg(test)]
mod tests {
    use super::super::timeline::tests::event;
    use super::*;
    use crate::observe::Batch;
    use crate::observe::latency::Latency;
    use ferry_abi::control::{EventKind, bucket_of};

    /// A page with everything on it.
    pub fn page() -> Page {
        let mut latencies: [Both; 3] = Default::default();
        for n in 1..=5_000_u64 {
            let below = 300 + n * n % 7_000;
            for (latency, units) in [
                (&mut latencies[0].below, below),
                (&mut latencies[0].inside, 20 + below / 50),
            ] {
                add(latency, units);
            }
        }
        for _ in 0..5 {
            add(&mut latencies[0].inside, 800_000);
        }
        let mut timeline = Timeline::default();
        let mut events = Vec::new();
        for request in 1..=30_u64 {
            let at = request * 1_000;
            events.push(event(request, at, EventKind::Arrived));
            if request % 5 == 0 {
                events.push(event(request, at + 50, EventKind::Delayed));
            }
            let sent = at + if request % 5 == 0 { 8_000 } else { 100 };
            events.push(event(request, sent, EventKind::Sent));
            let mut end = event(request, sent + 2_000, EventKind::Completed);
            end.status = if request % 7 == 0 { 0xC000_0185 } else { 0 };
            events.push(end);
        }
        timeline.add(&Batch { lost: 0, events });
        Page {
            title: "filter device 1".to_owned(),
            subtitle: "ferry 0.1, KMDF 1.15, above UNKNOWN (0x22)".to_owned(),
            seconds: 2.0,
            stats: vec![
                ("reads", 5_005),
                ("writes", 0),
                ("controls", 0),
                ("skipped", 0),
                ("delayed", 1_001),
            ],
            latencies,
            rules: vec![("read delay 80ms every=5 & <more>".to_owned(), 1_001)],
            timeline,
        }
    }

    fn add(latency: &mut Latency, units: u64) {
        latency.count += 1;
        latency.total += units;
        latency.longest = latency.longest.max(units);
        latency.buckets[bucket_of(units)] += 1;
    }

    #[test]
    fn the_page_needs_nothing_from_elsewhere_and_escapes_what_it_is_told() {
        let html = page().html();
        for elsewhere in ["http://", "https://", "<script", "@import", "url("] {
            assert!(!html.contains(elsewhere), "{elsewhere}");
        }
        assert!(html.contains("every=5 &amp; &lt;more&gt;"));
        assert_eq!(html.matches("<svg").count(), html.matches("</svg>").count());
        assert!(html.contains("read latency") && !html.contains("write latency"));
        assert!(html.contains("IO_DEVICE_ERROR"));
        if let Some(path) = std::env::var_os("FERRY_REPORT_SAMPLE") {
            std::fs::write(path, html).unwrap();
        }
    }
}
