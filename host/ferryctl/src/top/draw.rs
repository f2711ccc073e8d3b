//! The picture.

use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::style::{Color, Modifier, Style, Stylize};
use ratatui::text::{Line, Span};
use ratatui::widgets::{Block, Borders, Cell, Paragraph, Row, Sparkline, Table};

use super::model::{Model, Watched};
use crate::command::{device_type, policy_name};
use crate::observe::latency::{Latency, OPS};
use crate::observe::place_name;
use crate::output::{grouped, time};
use crate::rules::{describe, op_names};

const COLORS: [Color; 3] = [Color::Cyan, Color::Magenta, Color::Yellow];
const QUIET: Style = Style::new().fg(Color::DarkGray);
const KEYS: &str = "q quit   \u{2191}\u{2193} device   r release held   a abort below   p pause";

/// Columns from which on there is room for two panels side by side.
const WIDE: u16 = 110;

/// Draws everything.
pub fn draw(frame: &mut Frame<'_>, model: &Model) {
    let area = frame.area();
    let devices = u16::try_from(model.devices.len().max(1))
        .unwrap_or(u16::MAX)
        .min(8);
    let rows = Layout::vertical([
        Constraint::Length(1),
        Constraint::Length(devices + 2),
        Constraint::Length(8),
        Constraint::Min(4),
        Constraint::Length(1),
    ])
    .split(area);
    head(frame, rows[0], model);
    table(frame, rows[1], model, area.width >= WIDE);
    match model.shown() {
        Some(shown) if area.width >= WIDE => {
            let halves =
                Layout::horizontal([Constraint::Percentage(62), Constraint::Percentage(38)])
                    .spacing(2);
            let upper = halves.split(rows[2]);
            latencies(frame, upper[0], shown);
            rates(frame, upper[1], shown);
            let halves =
                Layout::horizontal([Constraint::Percentage(55), Constraint::Percentage(45)])
                    .spacing(2);
            let lower = halves.split(rows[3]);
            in_flight(frame, lower[0], shown);
            rules(frame, lower[1], shown);
        }
        Some(shown) => {
            latencies(frame, rows[2], shown);
            let below = u16::try_from(shown.rules.len())
                .unwrap_or(u16::MAX)
                .saturating_add(2)
                .min(rows[3].height / 2);
            let lower =
                Layout::vertical([Constraint::Min(2), Constraint::Length(below)]).split(rows[3]);
            in_flight(frame, lower[0], shown);
            rules(frame, lower[1], shown);
        }
        None => {
            let text = "ferry is loaded and sits on no device: install its extension INF for one, or `ferryctl attach`";
            frame.render_widget(Paragraph::new(text).centered().style(QUIET), rows[2]);
        }
    }
    let foot = if model.remark.is_empty() {
        KEYS
    } else {
        &model.remark
    };
    frame.render_widget(Paragraph::new(foot).style(QUIET), rows[4]);
}

fn head(frame: &mut Frame<'_>, area: Rect, model: &Model) {
    let faults = model.head.faults;
    let style = if faults == 0 {
        Style::new()
    } else {
        Style::new().fg(Color::White).bg(Color::Red)
    };
    let line = Line::from(vec![
        Span::styled(
            format!(" ferry {} ", model.head.version),
            Style::new().add_modifier(Modifier::REVERSED),
        ),
        Span::raw(format!(
            "  KMDF {}   {} device(s)   ",
            model.head.kmdf,
            model.devices.len()
        )),
        Span::styled(format!("faults {faults}"), style),
    ]);
    frame.render_widget(Paragraph::new(line), area);
}

fn panel(title: &str) -> Block<'_> {
    Block::new()
        .borders(Borders::TOP)
        .border_style(QUIET)
        .title(Line::from(title).bold())
}

/// Zeros are drawn faintly: what is there stands out.
fn number(value: u64, style: Style) -> Cell<'static> {
    let style = if value == 0 { QUIET } else { style };
    Cell::from(Line::from(grouped(value)).right_aligned()).style(style)
}

/// Columns of the table of devices: heading, width, and whether a narrow terminal has them too.
const COLUMNS: [(&str, u16, bool); 13] = [
    ("id", 3, true),
    ("lower device", 18, false),
    ("policy", 15, true),
    ("read/s", 8, true),
    ("write/s", 8, true),
    ("ctl/s", 7, true),
    ("in flight", 9, false),
    ("held", 5, true),
    ("delayed", 7, true),
    ("backlog", 7, true),
    ("dropped", 7, false),
    ("below", 5, true),
    ("rules", 5, false),
];

fn table(frame: &mut Frame<'_>, area: Rect, model: &Model, wide: bool) {
    fn shown<T>(all: Vec<T>, wide: bool) -> Vec<T> {
        all.into_iter()
            .zip(COLUMNS)
            .filter(|(_, (.., narrow))| wide || *narrow)
            .map(|(one, _)| one)
            .collect()
    }
    let rows = model.devices.iter().enumerate().map(|(index, watched)| {
        let device = &watched.device;
        let [read, write, control] = watched.now.rates;
        let waiting = Style::new().fg(Color::Yellow);
        let cells = vec![
            Cell::from(device.id.to_string()),
            Cell::from(device_type(device.device_type)),
            Cell::from(policy_name(device.policy)),
            number(read as u64, COLORS[0].into()),
            number(write as u64, COLORS[1].into()),
            number(control as u64, COLORS[2].into()),
            number(device.in_flight.into(), Style::new()),
            number(device.held.into(), waiting),
            number(device.delayed.into(), waiting),
            number(device.backlog.into(), waiting),
            number(device.dropped.into(), waiting),
            number(device.below.into(), Style::new()),
            number(device.rules.into(), Style::new()),
        ];
        let row = Row::new(shown(cells, wide));
        if index == model.selected && model.devices.len() > 1 {
            row.style(Style::new().add_modifier(Modifier::BOLD))
        } else {
            row
        }
    });
    let heads = COLUMNS.iter().enumerate().map(|(index, (name, ..))| {
        let line = Line::from(*name);
        Cell::from(if index < 3 {
            line
        } else {
            line.right_aligned()
        })
    });
    let header = Row::new(shown(heads.collect(), wide)).style(QUIET);
    let widths = shown(
        COLUMNS
            .iter()
            .map(|(_, width, _)| Constraint::Length(*width))
            .collect(),
        wide,
    );
    let table = Table::new(rows, widths)
        .column_spacing(1)
        .header(header)
        .block(panel("devices"));
    frame.render_widget(table, area);
}

/// Per operation: percentiles in ferry and below, and the 99th percentile below over time.
fn latencies(frame: &mut Frame<'_>, area: Rect, shown: &Watched) {
    let block = panel("latency");
    let inner = block.inner(area);
    frame.render_widget(block, area);
    let lines = Layout::vertical([
        Constraint::Length(1),
        Constraint::Length(2),
        Constraint::Length(2),
        Constraint::Length(2),
    ])
    .split(inner);
    let titles = format!(
        "{:8}{:>9}{:>9}   {:>10}{:>9}{:>8}   p99 below, over time",
        "", "ferry p50", "p99", "below p50", "p99", "max"
    );
    frame.render_widget(Paragraph::new(titles).style(QUIET), lines[0]);
    for (op, (name, _)) in OPS.iter().enumerate() {
        let parts =
            Layout::horizontal([Constraint::Length(56), Constraint::Min(4)]).split(lines[op + 1]);
        let both = &shown.now.latencies[op];
        let told = |latency: &Latency, percent: f64| {
            latency.percentile(percent).map_or("-".to_owned(), time)
        };
        let longest = if both.below.longest == 0 {
            "-".to_owned()
        } else {
            time(both.below.longest)
        };
        let text = format!(
            "{name:8}{:>9}{:>9}   {:>9}{:>9}{longest:>9}",
            told(&both.inside, 50.0),
            told(&both.inside, 99.0),
            told(&both.below, 50.0),
            told(&both.below, 99.0),
        );
        frame.render_widget(Paragraph::new(text).style(COLORS[op]), parts[0]);
        spark(frame, parts[1], &shown.below[op], COLORS[op]);
    }
}

/// The newest values that fit, the newest at the right edge.
fn spark(
    frame: &mut Frame<'_>,
    area: Rect,
    values: &std::collections::VecDeque<u64>,
    color: Color,
) {
    let width = usize::from(area.width);
    let skip = values.len().saturating_sub(width);
    let mut shown: Vec<u64> = vec![0; width.saturating_sub(values.len())];
    shown.extend(values.iter().skip(skip));
    frame.render_widget(Sparkline::default().data(shown).style(color), area);
}

fn rates(frame: &mut Frame<'_>, area: Rect, shown: &Watched) {
    let now = shown.rates.back().copied().unwrap_or(0);
    let most = shown.rates.iter().max().copied().unwrap_or(0);
    let title = format!(
        "requests/s: {} now, {} at most",
        grouped(now),
        grouped(most)
    );
    let block = panel(&title);
    let inner = block.inner(area);
    frame.render_widget(block, area);
    let lines = Layout::vertical([Constraint::Min(1), Constraint::Length(1)]).split(inner);
    spark(frame, lines[0], &shown.rates, Color::Green);
    let [canceled, failed] = shown.now.disturbed;
    let text = format!(
        "skipped {:.0}/s   canceled {canceled:.0}/s   failed by ferry {failed:.0}/s",
        shown.now.skipped
    );
    frame.render_widget(Paragraph::new(text).style(QUIET), lines[1]);
}

fn in_flight(frame: &mut Frame<'_>, area: Rect, shown: &Watched) {
    let room = usize::from(area.height.saturating_sub(2));
    let title = match shown.in_flight.len() {
        all if all > room => format!("in flight, oldest {room} of {all}"),
        all => format!("in flight: {all}"),
    };
    let rows = shown.in_flight.iter().take(room).map(|(entry, age)| {
        let place = place_name(entry.place);
        let waits = !matches!(place, "below" | "handler" | "split");
        let what = if entry.code == 0 {
            format!("@{}", entry.offset)
        } else {
            format!("{:#010x}", entry.code)
        };
        Row::new(vec![
            Cell::from(format!("#{}", entry.request)),
            Cell::from(op_names(entry.op)),
            Cell::from(place).style(if waits {
                Style::new().fg(Color::Yellow)
            } else {
                Style::new()
            }),
            Cell::from(Line::from(time(*age)).right_aligned()),
            Cell::from(Line::from(grouped(entry.length.into())).right_aligned()),
            Cell::from(what),
            Cell::from(entry.process.to_string()),
        ])
    });
    let widths = [
        Constraint::Length(9),
        Constraint::Length(8),
        Constraint::Length(8),
        Constraint::Length(8),
        Constraint::Length(8),
        Constraint::Min(11),
        Constraint::Length(7),
    ];
    let cells = ["request", "op", "place"].map(Cell::from);
    let right = ["age", "bytes"].map(|name| Cell::from(Line::from(name).right_aligned()));
    let rest = ["where", "process"].map(Cell::from);
    let header = Row::new(
        cells
            .into_iter()
            .chain(right)
            .chain(rest)
            .collect::<Vec<_>>(),
    )
    .style(QUIET);
    frame.render_widget(
        Table::new(rows, widths).header(header).block(panel(&title)),
        area,
    );
}

fn rules(frame: &mut Frame<'_>, area: Rect, shown: &Watched) {
    let rows = shown.rules.iter().map(|(entry, fresh)| {
        let style = if *fresh > 0 {
            Style::new().fg(Color::Yellow)
        } else {
            Style::new()
        };
        Row::new(vec![
            Cell::from(entry.rule.id.to_string()),
            number(entry.hits, style),
            Cell::from(describe(&entry.rule)),
        ])
        .style(style)
    });
    let widths = [
        Constraint::Length(4),
        Constraint::Length(10),
        Constraint::Min(10),
    ];
    let header = Row::new(vec![
        Cell::from("rule"),
        Cell::from(Line::from("hits").right_aligned()),
        Cell::from("what"),
    ])
    .style(QUIET);
    let title = format!("rules: {}", shown.rules.len());
    frame.render_widget(
        Table::new(rows, widths).header(header).block(panel(&title)),
        area,
    );
}

#[cfg(test)]
mod tests {
    use super::super::{model::sample, print};

    #[test]
    fn a_busy_device_is_seen_at_a_glance() {
        insta::assert_snapshot!(print(&sample::model(), 120, 26).unwrap());
    }

    #[test]
    fn a_small_terminal_is_enough() {
        let picture = print(&sample::model(), 80, 24).unwrap();
        insta::assert_snapshot!(picture);
    }
}
