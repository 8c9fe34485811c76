//! The first lines: what is shown, whether it is live, and what the observer could not see.

use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::style::Style;
use ratatui::text::{Line, Span};
use ratatui::widgets::{Paragraph, Wrap};
use unicode_width::UnicodeWidthStr;

use super::format;
use super::look::{Look, Role};
use crate::reading::Books;
use crate::state::{Link, State};

/// Lines that the header takes on a terminal of this width.
pub(super) fn height(state: &State, width: u16) -> u16 {
    2 + trouble(state).map_or(0, |sentence| if sentence.width() <= width.into() { 1 } else { 2 })
}

pub(super) fn render(frame: &mut Frame<'_>, area: Rect, state: &State, look: &Look) {
    let width = usize::from(area.width);
    let mut lines = vec![title(state, look, width), books(state, look, width)];
    if let Some(sentence) = trouble(state) {
        lines.push(Line::styled(look.cut(&sentence, 2 * width), look.style(Role::Bad)));
    }
    frame.render_widget(Paragraph::new(lines).wrap(Wrap { trim: false }), area);
}

/// One line of a left and a right part; where both do not fit, the left one is cut.
fn sides(look: &Look, width: usize, left: &str, style: Style, right: Vec<Span<'static>>) -> Line<'static> {
    let taken: usize = right.iter().map(Span::width).sum();
    let mut spans = vec![Span::styled(look.fit(left, width.saturating_sub(taken)), style)];
    spans.extend(right);
    Line::from(spans)
}

fn title(state: &State, look: &Look, width: usize) -> Line<'static> {
    let service = state.figures.service.as_ref().map_or("all services", |name| name.as_str());
    let left = format!("hosp-tui  {service} on {}", hosts(state));
    let mut right = vec![Span::raw(" ")];
    for (word, role) in words(state) {
        right.push(Span::styled(format!(" {word} "), look.style(role)));
    }
    right.push(Span::raw(format!("  {} UTC", format::clock(state.shown_at().unix_ms))));
    sides(look, width, &left, look.style(Role::Strong), right)
}

/// The host's name, or the first one and how many more.
fn hosts(state: &State) -> String {
    let mut names = state.shown().known().map(|host| &host.agent.host);
    match (names.next(), names.count()) {
        (None, _) => state.agents.first().map_or_else(String::new, |agent| agent.address.to_string()),
        (Some(name), 0) => name.to_string(),
        (Some(name), more) => format!("{name} and {more} more"),
    }
}

/// The state in words; several can be true at once.
fn words(state: &State) -> Vec<(String, Role)> {
    let mut words = Vec::new();
    if state.frozen.is_some() {
        words.push(("PAUSED".to_owned(), Role::Alarm));
    }
    let count = |is: fn(&Link) -> bool| state.agents.iter().filter(|agent| is(&agent.link)).count();
    let kinds = [
        (
            count(|link| matches!(link, Link::Down { .. } | Link::Connecting { after: Some(_) })),
            "DISCONNECTED",
        ),
        (count(|link| matches!(link, Link::Stale { .. })), "STALE"),
        (count(|link| matches!(link, Link::Connecting { after: None })), "CONNECTING"),
    ];
    for (number, word) in kinds.into_iter().filter(|(number, _)| *number > 0) {
        let of = match state.agents.len() {
            1 => String::new(),
            all => format!("{number}/{all} "),
        };
        words.push((format!("{of}{word}"), Role::Alarm));
    }
    if words.is_empty() {
        words.push(("LIVE".to_owned(), Role::Strong));
    }
    words
}

/// What the observer could not see: always shown, so that nobody takes a blind agent for a calm one.
fn books(state: &State, look: &Look, width: usize) -> Line<'static> {
    let books = state.shown().books();
    let blind: u64 = books.blind.values().sum();
    let mark = |n: u64| if n > 0 { "!" } else { "" };
    let mut left = format!(
        "records lost {}{}  resyncs {}{}  blind spots {}{}{}",
        format::count(books.lost),
        mark(books.lost),
        format::count(books.resyncs),
        mark(books.resyncs),
        format::count(blind),
        mark(blind),
        kinds(&books),
    );
    let missed: u64 = state.agents.iter().map(|agent| agent.missed).fold(0, u64::saturating_add);
    if missed > 0 {
        left += &format!("  readings missed {}!", format::count(missed));
    }
    let bad = books.lost + books.resyncs + blind + missed.min(1) > 0;
    let style = look.style(if bad { Role::Bad } else { Role::Plain });
    sides(look, width, &left, style, vec![Span::styled(agent(state), look.style(Role::Quiet))])
}

fn kinds(books: &Books) -> String {
    let kinds: Vec<String> =
        books.blind.iter().map(|(kind, n)| format!("{kind} {}", format::count(*n))).collect();
    if kinds.is_empty() { String::new() } else { format!(" ({})", kinds.join(", ")) }
}

/// How long the agent has observed; of several agents, the shortest time. While none can be heard, how old the
/// figures are.
fn agent(state: &State) -> String {
    let live = state.agents.iter().any(|agent| matches!(agent.link, Link::Live { .. }));
    if let (false, Some(heard)) = (live, state.shown().known().map(|host| host.heard).max()) {
        let silent = state.now.up.saturating_sub(heard).as_secs();
        return format!(" last heard {} ago", format::age(silent));
    }
    let up = |host: &crate::state::Host| host.unix_ms.saturating_sub(host.agent.started_unix_ms) / 1000;
    match state.shown().known().map(up).min() {
        Some(seconds) if state.agents.len() == 1 => format!(" agent up {}", format::age(seconds)),
        Some(seconds) => format!(" {} agents, up {}", state.agents.len(), format::age(seconds)),
        None => String::new(),
    }
}

/// What is wrong with the first connection that has something wrong, in one sentence.
fn trouble(state: &State) -> Option<String> {
    state.agents.iter().find_map(|agent| match &agent.link {
        Link::Down { reason, retry_at } => {
            let left = retry_at.saturating_sub(state.now.up).as_secs_f64().ceil();
            Some(format!("{reason} (next try in {left} s)"))
        }
        Link::Connecting { after: Some(reason) } => Some(format!("{reason} (trying again)")),
        Link::Stale { since } => {
            let silent = state.now.up.saturating_sub(*since).as_secs();
            Some(format!("{} has told nothing for {silent} s", agent.address))
        }
        Link::Connecting { after: None } | Link::Live { .. } => None,
    })
}
