//! The live tail: single requests, newest first.

use hosp_feed::{Leg, Outcome};
use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::text::{Line, Span};
use ratatui::widgets::Paragraph;

use super::format;
use super::look::{Look, Role};
use crate::reading::Request;
use crate::state::{Panel, State};

pub(super) fn render(frame: &mut Frame<'_>, area: Rect, state: &State, look: &Look) {
    let live = &state.figures.live;
    let rows = usize::from(area.height.saturating_sub(1));
    let first = state.scroll.live.min(live.len().saturating_sub(rows));
    let block = look.panel(&title(state, first), state.panel == Panel::Live);
    let mut lines: Vec<Line<'_>> =
        live.iter().skip(first).take(rows).map(|request| row(look, request, area.width.into())).collect();
    if lines.is_empty() {
        lines.push(Line::styled(" no request yet", look.style(Role::Quiet)));
    }
    frame.render_widget(Paragraph::new(lines).block(block), area);
}

/// The sampling is part of the title: a tail that leaves something out says so.
fn title(state: &State, first: usize) -> String {
    let (shown, of) = state.shown().known().fold((0_u64, 0_u64), |(shown, of), host| {
        (shown.saturating_add(host.sample.0), of.saturating_add(host.sample.1))
    });
    let sample = if shown < of {
        format!(", a sample of {} in {} per interval", format::count(shown), format::count(of))
    } else {
        String::new()
    };
    let above = if first > 0 { format!(", {first} newer above") } else { String::new() };
    format!("Live requests{sample}{above}")
}

fn row(look: &Look, request: &Request, width: usize) -> Line<'static> {
    let (leg, role) = match request.leg {
        Leg::Server => ("server", Role::Server),
        Leg::Client => ("client", Role::Client),
    };
    let failure = request.status >= 500 || !matches!(request.outcome, Outcome::Answered);
    let mut text = look.fit(&result(request), 7);
    text += &look.fit(request.method.as_str(), 8);
    text += &look.fit_right(&format::latency(request.duration_us, look.ascii), 7);
    let clock = if width >= 110 { format::clock_ms } else { format::clock };
    // When it ended, as in a log: in the order in which requests are listed, and with no gap behind a slow one.
    let ended_unix_ms = request.start_unix_ms.saturating_add(request.duration_us / 1000);
    let time = format!(" {} ", clock(ended_unix_ms));
    let mut used = time.len() + 7 + 1 + 7 + 8 + 7;
    if width >= 110 {
        let more = format!(
            "{}  {}",
            look.fit_right(&format::bytes(request.response_bytes), 7),
            look.fit(request.peer.as_str(), 22),
        );
        text += &more;
        used += 7 + 2 + 22;
        if width >= 150 {
            text += &format!(
                " {} {}",
                look.fit(request.service.as_str(), 14),
                look.fit(request.outcome.error_type(), 13)
            );
            used += 1 + 14 + 1 + 13;
        }
    }
    text += "  ";
    text += &look.fit(request.route.as_str(), width.saturating_sub(used + 2));
    Line::from(vec![
        Span::styled(time, look.style(Role::Quiet)),
        Span::styled(look.fit(leg, 7), look.style(role)),
        Span::styled(
            format!("{}{text}", if failure { "!" } else { " " }),
            look.style(if failure { Role::Bad } else { Role::Plain }),
        ),
    ])
}

/// The status, or in a word why there is none or no whole answer.
fn result(request: &Request) -> String {
    match request.outcome {
        Outcome::Answered => request.status.to_string(),
        Outcome::CutBody => format!("{}cut", request.status),
        Outcome::ClientReset | Outcome::ClientClosed => "gone".to_owned(),
        Outcome::ServerReset => "reset".to_owned(),
        Outcome::ServerClosed => "closed".to_owned(),
        Outcome::Aborted => "abort".to_owned(),
    }
}
