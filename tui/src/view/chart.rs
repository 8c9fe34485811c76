//! One chart: latencies of one leg over time, on a logarithmic scale.

use hosp_feed::Leg;
use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::symbols::Marker;
use ratatui::text::Line;
use ratatui::widgets::Paragraph;
use ratatui::widgets::canvas::{Canvas, Line as Stroke};

use super::format;
use super::latency::NAMES;
use super::look::{Look, Role};
use crate::state::{SHARES, State, Trend};

/// Width of the labels at the left and at the right of the plot.
const LEFT: u16 = 7;
const RIGHT: u16 = 6;
/// What marks each of [`SHARES`] where there is no braille.
const GLYPHS: [&str; SHARES.len()] = [".", "o", "*", "#"];

/// From which to which power of ten (of microseconds) a chart reaches.
pub(super) struct Scale {
    lowest: f64,
    highest: f64,
}

impl Scale {
    /// The half decades that hold every latency of both legs; where there is none, 1 ms to 1 s.
    pub(super) fn of(trend: &Trend) -> Self {
        let points = trend.points.server.iter().chain(&trend.points.client).flatten();
        let (mut least, mut most) = (u32::MAX, 0);
        for quantiles in points.filter_map(|point| point.quantiles) {
            least = least.min(quantiles[0]);
            most = most.max(quantiles[SHARES.len() - 1]);
        }
        if most == 0 {
            return Self { lowest: 3.0, highest: 6.0 };
        }
        let lowest = (log(least) * 2.0).floor() / 2.0;
        Self { lowest, highest: ((log(most) * 2.0).ceil() / 2.0).max(lowest + 1.0) }
    }

    /// Where a latency lies, from 0 at the bottom to 1 at the top.
    fn height(&self, micros: u32) -> f64 {
        (log(micros) - self.lowest) / (self.highest - self.lowest)
    }
}

fn log(micros: u32) -> f64 {
    f64::from(micros.max(1)).log10()
}

pub(super) fn render(frame: &mut Frame<'_>, area: Rect, state: &State, look: &Look, leg: Leg, scale: &Scale) {
    let [upper, axis] = Layout::vertical([Constraint::Fill(1), Constraint::Length(1)]).areas(area);
    let [left, plot, right] =
        Layout::horizontal([Constraint::Length(LEFT), Constraint::Fill(1), Constraint::Length(RIGHT)])
            .areas(upper);
    if plot.width < 2 || plot.height < 2 {
        return;
    }
    decades(frame, left, look, scale);
    let points: Vec<Option<[u32; SHARES.len()]>> =
        state.figures.trend.points.get(leg).iter().map(|point| point.as_ref()?.quantiles).collect();
    if look.ascii {
        glyphs(frame, plot, look, scale, &points);
    } else {
        strokes(frame, plot, look, scale, &points);
    }
    if let Some(last) = points.iter().rev().flatten().next() {
        names(frame, right, look, scale, last);
    }
    time_axis(frame, axis, plot, state, look);
}

/// The row of `area` in which a height of 0 to 1 lies.
fn row(area: Rect, height: f64) -> u16 {
    let rows = f64::from(area.height - 1);
    area.y + (rows - (height.clamp(0.0, 1.0) * rows)).round() as u16
}

/// The powers of ten at their heights.
fn decades(frame: &mut Frame<'_>, area: Rect, look: &Look, scale: &Scale) {
    for decade in scale.lowest.ceil() as u32..=scale.highest.floor() as u32 {
        let micros = 10_u32.pow(decade.min(9));
        let (value, unit) = match micros {
            0..1_000 => (micros, if look.ascii { "us" } else { "µs" }),
            1_000..1_000_000 => (micros / 1_000, "ms"),
            _ => (micros / 1_000_000, "s"),
        };
        let label = look.fit_right(&format!("{value}{unit} "), area.width.into());
        let at = Rect { y: row(area, scale.height(micros)), height: 1, ..area };
        frame.render_widget(Paragraph::new(label).style(look.style(Role::Quiet)), at);
    }
}

/// Lines of braille dots from point to point; where a point is missing, a gap.
fn strokes(
    frame: &mut Frame<'_>,
    area: Rect,
    look: &Look,
    scale: &Scale,
    points: &[Option<[u32; SHARES.len()]>],
) {
    let last = points.len().saturating_sub(1).max(1) as f64;
    let canvas = Canvas::default().marker(Marker::Braille).x_bounds([0.0, last]).y_bounds([0.0, 1.0]);
    let canvas = canvas.paint(|context| {
        for share in 0..SHARES.len() {
            let color = look.style(Role::Share(share)).fg.unwrap_or_default();
            let place = |at: usize, micros: [u32; SHARES.len()]| (at as f64, scale.height(micros[share]));
            for (at, pair) in points.windows(2).enumerate() {
                // A point without neighbours is a line of no length: a dot.
                let (from, to) = match (pair[0], pair[1]) {
                    (Some(from), Some(to)) => (place(at, from), place(at + 1, to)),
                    (Some(one), None) => (place(at, one), place(at, one)),
                    (None, Some(one)) => (place(at + 1, one), place(at + 1, one)),
                    (None, None) => continue,
                };
                context.draw(&Stroke::new(from.0, from.1, to.0, to.1, color));
            }
        }
    });
    frame.render_widget(canvas, area);
}

/// One character for each share and column; where two meet, the higher share is shown.
fn glyphs(
    frame: &mut Frame<'_>,
    area: Rect,
    look: &Look,
    scale: &Scale,
    points: &[Option<[u32; SHARES.len()]>],
) {
    for column in 0..area.width {
        let at = usize::from(column) * points.len() / usize::from(area.width);
        let Some(quantiles) = points.get(at).copied().flatten() else { continue };
        for (share, &micros) in quantiles.iter().enumerate() {
            let cell = (area.x + column, row(area, scale.height(micros)));
            frame.buffer_mut()[cell].set_symbol(GLYPHS[share]).set_style(look.style(Role::Share(share)));
        }
    }
}

/// The name of each line at its end, none on top of another.
fn names(frame: &mut Frame<'_>, area: Rect, look: &Look, scale: &Scale, last: &[u32; SHARES.len()]) {
    let mut above = area.bottom();
    for (share, name) in NAMES.iter().enumerate() {
        let y = row(area, scale.height(last[share])).min(above.saturating_sub(1)).max(area.y);
        if y == above {
            break;
        }
        above = y;
        let text = if look.ascii { format!("{}{name}", GLYPHS[share]) } else { (*name).to_owned() };
        let at = Rect { y, height: 1, ..area };
        frame.render_widget(
            Paragraph::new(look.fit(&text, area.width.into())).style(look.style(Role::Share(share))),
            at,
        );
    }
}

/// How far back the plot reaches.
fn time_axis(frame: &mut Frame<'_>, area: Rect, plot: Rect, state: &State, look: &Look) {
    let width = usize::from(plot.width);
    let (from, to) = (format!("-{}", format::age(state.figures.trend.span().as_secs())), "now");
    let line = Line::from(format!("{from}{}", look.fit_right(to, width.saturating_sub(from.len()))));
    let at = Rect { x: plot.x, width: plot.width, ..area };
    frame.render_widget(Paragraph::new(line).style(look.style(Role::Quiet)), at);
}
