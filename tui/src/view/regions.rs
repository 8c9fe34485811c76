//! Where each region of the screen lies.

use ratatui::layout::{Constraint, Layout, Rect};

/// Where each region of the screen lies.
pub(super) struct Regions {
    pub(super) header: Rect,
    /// Everything between header and footer.
    pub(super) body: Rect,
    pub(super) figures: Rect,
    pub(super) latency: Rect,
    pub(super) statuses: Rect,
    pub(super) routes: Rect,
    pub(super) live: Rect,
    pub(super) footer: Rect,
}

impl Regions {
    /// Splits an area that is at least [`super::LEAST`].
    /// `rows` is how many rows the routes could fill.
    pub(super) fn split(area: Rect, header: u16, rows: usize) -> Self {
        let [header, body, footer] =
            Layout::vertical([Constraint::Length(header), Constraint::Fill(1), Constraint::Length(1)])
                .areas(area);
        let figures = if body.height >= 18 { 4 } else { 3 };
        let middle = match body.height {
            34.. => body.height * 2 / 5,
            18.. => 7,
            _ => 4,
        };
        // Routes take half of what is left, but no more than they fill, and always a title, a head and a row.
        let half = (body.height - figures - middle).div_ceil(2).max(3);
        let routes = u16::try_from(rows).unwrap_or(u16::MAX).saturating_add(2).clamp(3, half);
        let [figures, middle, routes, live] = Layout::vertical([
            Constraint::Length(figures),
            Constraint::Length(middle),
            Constraint::Length(routes),
            Constraint::Fill(1),
        ])
        .areas(body);
        let statuses = match area.width {
            150.. => area.width / 4,
            110.. => 33,
            70.. => 37,
            _ => 23,
        };
        let [latency, _, statuses] =
            Layout::horizontal([Constraint::Fill(1), Constraint::Length(1), Constraint::Length(statuses)])
                .areas(middle);
        Self { header, body, figures, latency, statuses, routes, live, footer }
    }
}
