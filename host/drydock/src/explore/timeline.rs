//! A schedule as a picture: a lane per thread, and a bar per request, coloured by its owner.

use super::observer::{Event, EventKind};
use crate::sched::ThreadId;
use std::collections::BTreeMap;
use std::fmt::Write;

const STEP: usize = 22;
const LANE: usize = 34;
const BAR: usize = 30;
const LEFT: usize = 170;
const TOP: usize = 56;

/// What an owner looks like. The words are those of reports.
const OWNERS: [(&str, &str, &str); 7] = [
    ("the framework owns it", "#9aa5b1", "framework"),
    ("it waits in a queue", "#f0b429", "queue"),
    ("the driver owns it", "#3ebd93", "driver"),
    ("it was created by the driver", "#62b0e8", "its creator"),
    (
        "it was cancelled on its queue; EvtIoCanceledOnQueue is due",
        "#e668a7",
        "canceled on its queue",
    ),
    ("it is completed", "#d9e2ec", "nobody: completed"),
    ("", "#bcccdc", "unknown"),
];

fn color_of(owner: &str) -> &'static str {
    OWNERS
        .iter()
        .find(|(words, ..)| *words == owner)
        .map_or("#bcccdc", |(_, color, _)| color)
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
        .replace('"', "&quot;")
}

struct Span {
    from: usize,
    owner: String,
    title: String,
}

/// Draws events as SVG, from left to right in the order in which they happened. `title` stands above, `end` is how the
/// schedule ended.
pub fn draw(events: &[Event], title: &str, end: Option<&str>) -> String {
    let mut names: BTreeMap<ThreadId, String> = BTreeMap::new();
    let mut lanes: Vec<ThreadId> = Vec::new();
    let mut requests: BTreeMap<u64, Vec<Span>> = BTreeMap::new();
    // A column per event; the beginning of a thread has none.
    let mut columns: Vec<&Event> = Vec::new();
    for event in events {
        if let EventKind::Begin(name) = &event.kind {
            names.insert(event.thread, name.clone());
            continue;
        }
        if !lanes.contains(&event.thread) {
            lanes.push(event.thread);
        }
        if let EventKind::Hands(number, owner, what) = &event.kind {
            requests.entry(*number).or_default().push(Span {
                from: columns.len(),
                owner: owner.clone(),
                title: format!("{what} ({owner})"),
            });
        }
        columns.push(event);
    }
    lanes.sort();
    let bottom = TOP + lanes.len() * LANE;
    let width = LEFT + columns.len() * STEP + 40;
    let height = bottom + 30 + requests.len() * BAR + 70;
    let x = |column: usize| LEFT + column * STEP;
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{width}\" height=\"{height}\" \
         font-family=\"sans-serif\" font-size=\"11\">\n\
         <rect width=\"100%\" height=\"100%\" fill=\"white\"/>\n\
         <text x=\"12\" y=\"20\" font-size=\"14\">{}</text>\n",
        escape(title)
    );
    if let Some(end) = end {
        let line = end.lines().next().unwrap_or("");
        let _ = writeln!(
            svg,
            "<text x=\"12\" y=\"38\" fill=\"#cf1124\">{}</text>",
            escape(line)
        );
    }
    for (index, thread) in lanes.iter().enumerate() {
        let y = TOP + index * LANE;
        let name = names.get(thread).map_or("main", String::as_str);
        let _ = writeln!(
            svg,
            "<text x=\"12\" y=\"{}\">{} {}</text>\n<line x1=\"{LEFT}\" y1=\"{}\" x2=\"{width}\" y2=\"{}\" stroke=\"#e4e7eb\"/>",
            y + 20,
            thread.0,
            escape(name),
            y + 16,
            y + 16
        );
    }
    for (column, event) in columns.iter().enumerate() {
        let lane = lanes.iter().position(|thread| *thread == event.thread);
        let y = TOP + lane.unwrap_or(0) * LANE;
        let (text, color) = match &event.kind {
            EventKind::Call(name) => (name.clone(), "#486581"),
            EventKind::Hands(number, owner, what) => {
                (format!("request {number}: {what}"), color_of(owner))
            }
            EventKind::Access(text) => (text.clone(), "#bcccdc"),
            EventKind::Begin(_) => continue,
        };
        let _ = writeln!(
            svg,
            "<g><title>{}: {} ({:.1} us)</title><rect x=\"{}\" y=\"{}\" width=\"{}\" height=\"20\" rx=\"3\" fill=\"{color}\"/></g>",
            column,
            escape(&text),
            event.at as f64 / 10.0,
            x(column),
            y + 6,
            STEP - 3
        );
    }
    for (index, (number, spans)) in requests.iter().enumerate() {
        let y = bottom + 20 + index * BAR;
        let _ = writeln!(
            svg,
            "<text x=\"12\" y=\"{}\">request {number}</text>",
            y + 15
        );
        for (place, span) in spans.iter().enumerate() {
            let until = spans.get(place + 1).map_or(columns.len(), |next| next.from);
            let _ = writeln!(
                svg,
                "<g><title>{}</title><rect x=\"{}\" y=\"{y}\" width=\"{}\" height=\"20\" fill=\"{}\" stroke=\"white\"/></g>",
                escape(&span.title),
                x(span.from),
                (until - span.from) * STEP,
                color_of(&span.owner)
            );
        }
    }
    let y = height - 30;
    for (index, (_, color, name)) in OWNERS.iter().take(6).enumerate() {
        let left = 12 + index * 150;
        let _ = writeln!(
            svg,
            "<rect x=\"{left}\" y=\"{y}\" width=\"14\" height=\"14\" fill=\"{color}\"/><text x=\"{}\" y=\"{}\">{name}</text>",
            left + 20,
            y + 11
        );
    }
    svg.push_str("</svg>\n");
    svg
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_thread_has_a_lane_and_every_request_a_bar_in_its_owners_color() {
        let event = |thread, kind| Event {
            thread: ThreadId(thread),
            at: 10,
            kind,
        };
        let hands =
            |owner: &str, what: &str| EventKind::Hands(1, owner.to_owned(), what.to_owned());
        let svg = draw(
            &[
                event(2, EventKind::Begin("canceler".to_owned())),
                event(0, EventKind::Call("WdfRequestComplete".to_owned())),
                event(0, hands("the driver owns it", "delivered")),
                event(2, hands("it is completed", "completed <twice>")),
            ],
            "a & b",
            Some("VIOLATION R-REQ-01\nmore"),
        );
        assert!(
            svg.contains(">2 canceler<") && svg.contains(">0 main<"),
            "{svg}"
        );
        assert!(svg.contains("fill=\"#3ebd93\" stroke") && svg.contains("fill=\"#d9e2ec\" stroke"));
        assert!(svg.contains("completed &lt;twice&gt;") && svg.contains("a &amp; b"));
        assert!(svg.contains(">VIOLATION R-REQ-01<"));
    }
}
