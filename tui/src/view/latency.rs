//! Latency of both legs: charts over time where there is room, else a table with sparklines.

use hosp_feed::Leg;
use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::text::{Line, Span};
use ratatui::widgets::Paragraph;

use super::look::{Look, Role};
use super::{chart, format, spark};
use crate::state::{SHARES, State};

/// Names of [`SHARES`].
pub(super) const NAMES: [&str; SHARES.len()] = ["p50", "p90", "p99", "p99.9"];

/// Width of a column of latencies.
const COLUMN: usize = 7;

pub(super) fn render(frame: &mut Frame<'_>, area: Rect, state: &State, look: &Look) {
    if area.width >= 74 && area.height >= 10 {
        charts(frame, area, state, look);
    } else {
        table(frame, area, state, look);
    }
}

/// One chart for each leg, on the same scale.
fn charts(frame: &mut Frame<'_>, area: Rect, state: &State, look: &Look) {
    let [server, _, client] =
        Layout::horizontal([Constraint::Fill(1), Constraint::Length(1), Constraint::Fill(1)]).areas(area);
    let scale = chart::Scale::of(&state.figures.trend);
    let legs = [
        (server, Leg::Server, "Latency to clients (server leg)"),
        (client, Leg::Client, "Latency of the origin (client leg)"),
    ];
    for (area, leg, title) in legs {
        let title = look.cut(title, usize::from(area.width).saturating_sub(3));
        let block = look.region(title);
        let inner = block.inner(area);
        frame.render_widget(block, area);
        let [legend, plot] = Layout::vertical([Constraint::Length(1), Constraint::Fill(1)]).areas(inner);
        frame.render_widget(Paragraph::new(values(state, look, leg)), legend);
        chart::render(frame, plot, state, look, leg, &scale);
    }
}

/// Each share with its latency over the window.
fn values(state: &State, look: &Look, leg: Leg) -> Line<'static> {
    let quantiles = state.figures.legs.get(leg).quantiles;
    let spans = NAMES.iter().enumerate().flat_map(|(i, name)| {
        let value = quantiles.map_or_else(
            || look.unknown().to_owned(),
            |micros| format::latency(micros[i].into(), look.ascii),
        );
        [Span::styled(format!(" {name} "), look.style(Role::Share(i))), Span::raw(value)]
    });
    Line::from_iter(spans)
}

fn table(frame: &mut Frame<'_>, area: Rect, state: &State, look: &Look) {
    let width = usize::from(area.width);
    let block = look.region(format!("Latency, last {}", state.window));
    let head: String = NAMES.iter().map(|name| look.fit_right(name, COLUMN)).collect();
    let mut lines = vec![Line::styled(format!("       {head}"), look.style(Role::Quiet))];
    for (leg, name, role) in LEGS {
        let values: String = match state.figures.legs.get(leg).quantiles {
            Some(quantiles) => quantiles
                .iter()
                .map(|&micros| look.fit_right(&format::latency(micros.into(), look.ascii), COLUMN))
                .collect(),
            None => NAMES.iter().map(|_| look.fit_right(look.unknown(), COLUMN)).collect(),
        };
        lines.push(Line::from(vec![
            Span::styled(format!(" {}", look.fit(name, 6)), look.style(role)),
            Span::raw(values),
        ]));
    }
    lines.push(Line::styled(over_time(state), look.style(Role::Quiet)));
    lines.extend(LEGS.map(|(leg, name, role)| sparkline(state, look, (leg, name, role), width)));
    frame.render_widget(Paragraph::new(lines).block(block), area);
}

/// Both legs with their names and roles.
pub(super) const LEGS: [(Leg, &str, Role); 2] =
    [(Leg::Server, "server", Role::Server), (Leg::Client, "client", Role::Client)];

fn over_time(state: &State) -> String {
    format!(" p99 over {}, and its highest", format::age(state.figures.trend.span().as_secs()))
}

/// The 99th percentile over time, and its highest value.
fn sparkline(
    state: &State,
    look: &Look,
    (leg, name, role): (Leg, &str, Role),
    width: usize,
) -> Line<'static> {
    let p99 = |points: &[Option<crate::state::Point>]| -> Vec<Option<u32>> {
        points.iter().map(|point| point.as_ref()?.quantiles.map(|micros| micros[2])).collect()
    };
    let trend = &state.figures.trend.points;
    let values = p99(trend.get(leg));
    // One scale for both legs, so that they can be compared.
    let both: Vec<u32> = p99(&trend.server).into_iter().chain(p99(&trend.client)).flatten().collect();
    let (lowest, highest) = (both.iter().min().copied(), both.iter().max().copied());
    let height = |micros| spark::log_scale(micros, lowest.unwrap_or(0), highest.unwrap_or(0));
    let heights: Vec<_> = values.iter().map(|value| value.map(height)).collect();
    let room = width.saturating_sub(8 + COLUMN);
    let own = values.iter().flatten().max();
    let own = own.map_or_else(|| look.unknown().to_owned(), |&m| format::latency(m.into(), look.ascii));
    Line::from(vec![
        Span::styled(format!(" {}", look.fit(name, 7)), look.style(role)),
        Span::styled(look.fit(&look.spark(&heights, room), room), look.style(role)),
        Span::raw(look.fit_right(&own, COLUMN)),
    ])
}
