//! `ferryctl top`: everything at a glance, live.

mod draw;
mod model;

use std::time::{Duration, Instant};

use anyhow::Context;
use ratatui::Terminal;
use ratatui::backend::TestBackend;
use ratatui::crossterm::event::{self, Event, KeyCode, KeyEventKind, KeyModifiers};
use ratatui::crossterm::terminal;

use self::draw::draw;
use self::model::Model;
use crate::cli;
use crate::command::filter;
use crate::ferry::Ferry;
use crate::output::Output;
use crate::platform::{Platform, Result};

/// Columns and lines of a picture for no terminal.
const SIZE: (u16, u16) = (120, 30);

/// Shows everything until the user has seen enough, or once.
///
/// # Errors
/// ferry is gone, or there is no terminal.
pub fn run(platform: &dyn Platform, out: Output, options: &cli::Top) -> Result<()> {
    // Observes, through a handle of its own: latencies and what is in flight are recorded from now on.
    let ferry = Ferry::open(platform)?;
    ferry.observe(0)?;
    let only = match options.filter.id {
        Some(_) => Some(filter(&ferry, &options.filter)?),
        None => None,
    };
    let mut model = Model::new(&ferry)?;
    model.look(&ferry, only)?;
    if let Some(wait) = options.once {
        std::thread::sleep(wait);
        model.look(&ferry, only)?;
        let (columns, lines) = terminal::size().unwrap_or(SIZE);
        return out.say(&Picture {
            text: print(&model, columns, lines)?,
            model,
        });
    }
    if out.json {
        loop {
            std::thread::sleep(options.every);
            model.look(&ferry, only)?;
            out.say(&Picture {
                text: String::new(),
                model: &model,
            })?;
        }
    }
    let mut screen =
        ratatui::try_init().context("top needs a terminal; `top --once 1s` needs none")?;
    let shown = live(&mut screen, &ferry, &mut model, only, options.every);
    ratatui::restore();
    shown
}

/// Draws and hears keys until `q`.
fn live<B: ratatui::backend::Backend<Error: Send + Sync + 'static>>(
    screen: &mut Terminal<B>,
    ferry: &Ferry,
    model: &mut Model,
    only: Option<u32>,
    every: Duration,
) -> Result<()> {
    let mut paused = false;
    let mut next = Instant::now();
    loop {
        if Instant::now() >= next {
            if !paused {
                model.look(ferry, only)?;
            }
            next = Instant::now() + every;
        }
        screen
            .draw(|frame| draw(frame, model))
            .context("cannot draw")?;
        if !event::poll(next.saturating_duration_since(Instant::now()))
            .context("cannot hear keys")?
        {
            continue;
        }
        let Event::Key(key) = event::read().context("cannot hear keys")? else {
            continue;
        };
        if key.kind != KeyEventKind::Press {
            continue;
        }
        let shown = model.shown().map(|watched| watched.device.id);
        model.remark.clear();
        match (key.code, shown) {
            (KeyCode::Char('q') | KeyCode::Esc, _) => return Ok(()),
            (KeyCode::Char('c'), _) if key.modifiers.contains(KeyModifiers::CONTROL) => {
                return Ok(());
            }
            (KeyCode::Up, _) => model.selected = model.selected.saturating_sub(1),
            (KeyCode::Down, _) => {
                model.selected = (model.selected + 1).min(model.devices.len().saturating_sub(1))
            }
            (KeyCode::Char('p'), _) => {
                paused = !paused;
                model.remark = if paused {
                    "paused; p goes on".to_owned()
                } else {
                    String::new()
                };
            }
            (KeyCode::Char('r'), Some(id)) => {
                model.remark = format!(
                    "released {} request(s) of device {id}",
                    ferry.release(id, 0)?
                );
            }
            (KeyCode::Char('a'), Some(id)) => {
                model.remark = format!(
                    "asked the lower driver to let go of {} request(s) of device {id}",
                    ferry.abort(id, 0)?
                );
            }
            _ => {}
        }
    }
}

/// One look, as text or as JSON.
struct Picture<M> {
    text: String,
    model: M,
}

impl<M> std::fmt::Display for Picture<M> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.text)
    }
}

impl<M: serde::Serialize> serde::Serialize for Picture<M> {
    fn serialize<S: serde::Serializer>(
        &self,
        serializer: S,
    ) -> std::result::Result<S::Ok, S::Error> {
        self.model.serialize(serializer)
    }
}

/// The picture as lines of text.
fn print(model: &Model, columns: u16, lines: u16) -> Result<String> {
    let mut screen = Terminal::new(TestBackend::new(columns, lines)).context("cannot draw")?;
    screen
        .draw(|frame| draw(frame, model))
        .context("cannot draw")?;
    let buffer = screen.backend().buffer();
    let line = |row: u16| {
        let text: String = (0..columns)
            .map(|column| buffer[(column, row)].symbol())
            .collect();
        text.trim_end().to_owned()
    };
    Ok((0..lines).map(line).collect::<Vec<_>>().join("\n"))
}
