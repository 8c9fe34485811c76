//! Draws a state. Nothing here changes one, and nothing here asks for the time.
//!
//! ```text
//! ┌ header ─────────────────────────────────────────────┐ what, where, connection, clock
//! │                                                     │ always: lost, resyncs, blind spots
//! │ (a sentence, when something is wrong)               │
//! ├ figures ────────────────────────────────────────────┤ requests/s, effective and actual success, …
//! ├ latency ──────────────────────────┬ statuses ───────┤ charts on wide terminals, else a table
//! │                                   │                 │
//! ├ routes ───────────────────────────┴─────────────────┤ busiest first
//! ├ live ───────────────────────────────────────────────┤ newest first
//! └ footer ─────────────────────────────────────────────┘ keys
//! ```
//!
//! One region per file, all with the same arguments: frame, area, state, look.

mod agents;
mod chart;
mod figures;
mod footer;
mod format;
mod header;
mod help;
mod latency;
mod live;
mod look;
mod regions;
mod routes;
mod spark;
mod statuses;
mod text;

pub use look::{Depth, Look};

use ratatui::Frame;
use ratatui::layout::{Alignment, Rect};
use ratatui::widgets::Paragraph;

use crate::state::{Popup, Screen, State};
use regions::Regions;

/// The smallest terminal that the view fits on: columns and rows.
pub const LEAST: (u16, u16) = (60, 16);

/// Draws `state` on the whole of `frame`.
pub fn render(frame: &mut Frame<'_>, state: &State, look: &Look) {
    let area = frame.area();
    if area.width < LEAST.0 || area.height < LEAST.1 {
        return too_small(frame, area);
    }
    let regions = Regions::split(area, header::height(state, area.width), state.figures.routes.len());
    header::render(frame, regions.header, state, look);
    match state.screen {
        Screen::Overview => {
            figures::render(frame, regions.figures, state, look);
            latency::render(frame, regions.latency, state, look);
            statuses::render(frame, regions.statuses, state, look);
            routes::render(frame, regions.routes, state, look);
            live::render(frame, regions.live, state, look);
        }
        Screen::Help => help::render(frame, regions.body, state, look),
    }
    footer::render(frame, regions.footer, state, look);
    match state.popup {
        Some(Popup::Agents) => agents::render(frame, regions.body, state, look),
        None => {}
    }
}

fn too_small(frame: &mut Frame<'_>, area: Rect) {
    let text = format!("terminal too small ({}x{}), need {}x{}", area.width, area.height, LEAST.0, LEAST.1);
    let paragraph =
        Paragraph::new(text).alignment(Alignment::Left).wrap(ratatui::widgets::Wrap { trim: true });
    frame.render_widget(paragraph, area);
}

#[cfg(test)]
mod tests;
