//! The busiest routes: rate, success on both legs, latency, side by side.

use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::text::Line;
use ratatui::widgets::Paragraph;

use super::format;
use super::look::{Look, Role};
use crate::state::{LegFigures, Panel, RouteFigures, State};

/// Width of everything but the route's name.
const NARROW: usize = 7 + 9 + 9 + 8 + 8;
const WIDE: usize = NARROW + 10 + 12 + 12;

pub(super) fn render(frame: &mut Frame<'_>, area: Rect, state: &State, look: &Look) {
    let routes = &state.figures.routes;
    let rows = usize::from(area.height.saturating_sub(2));
    let first = state.scroll.routes.min(routes.len().saturating_sub(rows));
    let title = if routes.len() > rows {
        format!("Top routes, {} to {} of {}", first + 1, (first + rows).min(routes.len()), routes.len())
    } else {
        "Top routes".to_owned()
    };
    let block = look.panel(&title, state.panel == Panel::Routes);
    let width = usize::from(area.width);
    let wide = width >= 110;
    let name = width.saturating_sub(if wide { WIDE } else { NARROW });
    let mut lines = vec![Line::styled(head(look, name, wide), look.style(Role::Quiet))];
    if routes.is_empty() {
        lines.push(Line::styled(look.fit(&format!(" {}", nothing(state)), width), look.style(Role::Quiet)));
    }
    for route in routes.iter().skip(first).take(rows) {
        let hurt = route.legs.server.sum.tally.success().is_some_and(|share| share < 0.99);
        let style = look.style(if hurt { Role::Bad } else { Role::Plain });
        lines.push(Line::styled(row(look, route, name, wide, hurt), style));
    }
    frame.render_widget(Paragraph::new(lines).block(block), area);
}

/// Why there is no route to show.
fn nothing(state: &State) -> String {
    match &state.figures.service {
        _ if state.shown().known().next().is_none() => "waiting for the first reading of an agent".to_owned(),
        Some(service) if !state.shown().services().contains(service) => {
            format!("no service named {service} has been seen; s shows those that have")
        }
        _ => format!("no request has ended in the last {}", state.window),
    }
}

fn head(look: &Look, name: usize, wide: bool) -> String {
    let right = |text: &str, width| look.fit_right(text, width);
    let mut head = look.fit(" route", name);
    head += &right("req/s", 7);
    head += &right("effect.", 9);
    head += &right("actual", 9);
    head += &right("p50", 8);
    head += &right("p99", 8);
    if wide {
        head += &right("att./req.", 10);
        head += &right("origin p50", 12);
        head += &right("origin p99", 12);
    }
    head
}

fn row(look: &Look, route: &RouteFigures, name: usize, wide: bool, hurt: bool) -> String {
    let (server, client) = (&route.legs.server, &route.legs.client);
    // A route that only the client leg sees is shown with that leg's rate and latency.
    let main = if server.sum.tally.ended > 0 { server } else { client };
    let (method, path) = &route.key;
    let right = |text: &str, width| look.fit_right(text, width);
    let success =
        |leg: &LegFigures| leg.sum.tally.success().map_or_else(|| look.unknown().into(), format::share);
    let latency = |leg: &LegFigures, share: usize| {
        leg.quantiles
            .map_or_else(|| look.unknown().into(), |micros| format::latency(micros[share].into(), look.ascii))
    };
    let mut row = look.fit(&format!("{}{method} {path}", if hurt { "!" } else { " " }), name);
    row += &right(&main.rate.map_or_else(|| look.unknown().into(), format::rate), 7);
    row += &right(&success(server), 9);
    row += &right(&success(client), 9);
    row += &right(&latency(main, 0), 8);
    row += &right(&latency(main, 2), 8);
    if wide {
        let (asked, tried) = (server.sum.tally.ended, client.sum.tally.ended);
        let attempts = if asked > 0 && tried > 0 {
            format!("{:.2}", tried as f64 / asked as f64)
        } else {
            look.unknown().to_owned()
        };
        row += &right(&attempts, 10);
        row += &right(&latency(client, 0), 12);
        row += &right(&latency(client, 2), 12);
    }
    row
}
