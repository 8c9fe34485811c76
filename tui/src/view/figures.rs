//! The key figures: how much, how well, and what the proxy makes of the origin.

use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::text::Line;
use ratatui::widgets::Paragraph;

use super::format;
use super::look::{Look, Role};
use crate::state::{Attempts, LegFigures, State, Unreached};

/// Success below this share is marked: users are hurt.
const TARGET: f64 = 0.99;

/// One figure: its name (long, short), its value, where that comes from.
struct Figure {
    name: (&'static str, &'static str),
    value: String,
    role: Role,
    detail: String,
}

pub(super) fn render(frame: &mut Frame<'_>, area: Rect, state: &State, look: &Look) {
    let block = look.region(format!("Key figures, last {}", state.window));
    let inner = block.inner(area);
    frame.render_widget(block, area);
    let figures = figures(state, look);
    let columns = Layout::horizontal([Constraint::Fill(1); 5]).areas::<5>(inner);
    for (figure, column) in figures.into_iter().zip(columns) {
        let width = usize::from(column.width);
        let name = if width >= figure.name.0.len() + 2 { figure.name.0 } else { figure.name.1 };
        let lines = vec![
            Line::styled(look.fit(&format!(" {name}"), width), look.style(Role::Quiet)),
            Line::styled(look.fit(&format!(" {}", figure.value), width), look.style(figure.role)),
            Line::styled(look.fit(&format!(" {}", figure.detail), width), look.style(Role::Quiet)),
        ];
        frame.render_widget(Paragraph::new(lines), column);
    }
}

fn figures(state: &State, look: &Look) -> [Figure; 5] {
    let figures = &state.figures;
    let (server, client) = (&figures.legs.server, &figures.legs.client);
    let unknown = || look.unknown().to_owned();
    // Where nothing has been heard, there is not even a 0.
    let heard = server.rate.is_some();
    let detail = |n: u64, of| if heard { format!("{} {of}", format::count(n)) } else { String::new() };
    let success = |name, leg: &LegFigures| {
        let tally = leg.sum.tally;
        let (value, role) = match tally.success() {
            Some(ratio) if ratio < TARGET => (format!("{} !", format::share(ratio)), Role::Bad),
            Some(ratio) => (format::share(ratio), Role::Strong),
            None => (unknown(), Role::Strong),
        };
        let failed = tally.counted.saturating_sub(tally.succeeded);
        Figure { name, value, role, detail: detail(failed, "failed") }
    };
    let plain = |name, value: String, detail| Figure { name, value, role: Role::Strong, detail };
    let ratio = |ratio| format!("{ratio:.3}");
    let (attempts, tried) = match figures.attempts_per_request() {
        Some(Attempts::Linked(exact)) => (ratio(exact), detail(figures.linked.attempts, "linked by id")),
        Some(Attempts::Average(average)) => (ratio(average), detail(client.sum.tally.ended, "attempts")),
        None => (unknown(), detail(client.sum.tally.ended, "attempts")),
    };
    let unreached = match figures.unreached {
        Some(Unreached::Exactly(ratio)) => format::share(ratio),
        Some(Unreached::AtLeast(ratio)) => {
            format!("{}{}", if look.ascii { ">=" } else { "≥" }, format::share(ratio))
        }
        None => unknown(),
    };
    [
        plain(
            ("requests/s", "requests/s"),
            server.rate.map_or_else(unknown, format::rate),
            detail(server.sum.tally.ended, "in all"),
        ),
        success(("effective success", "effective"), server),
        success(("actual success", "actual"), client),
        plain(("attempts/request", "att./req."), attempts, tried),
        plain(
            ("without origin", "w/o origin"),
            unreached,
            figures.retries.map_or_else(String::new, |n| format!("{} retries", format::count(n))),
        ),
    ]
}
