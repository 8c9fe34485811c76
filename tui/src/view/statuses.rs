//! Status classes of both legs: counts and shares, and over time where there is room.

use hosp_feed::Leg;
use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::text::{Line, Span};
use ratatui::widgets::Paragraph;

use super::format;
use super::latency::LEGS;
use super::look::{Look, Role};
use crate::history::LegCell;
use crate::state::State;

/// One class as it is shown: its name, and the places of [`LegCell::classes`] that it adds up.
struct Class {
    name: &'static str,
    places: &'static [usize],
    /// Whether one request of it is a failure.
    failure: bool,
}

const CLASSES: [Class; 6] = [
    Class { name: "2xx", places: &[2], failure: false },
    Class { name: "3xx", places: &[3], failure: false },
    Class { name: "4xx", places: &[4], failure: false },
    Class { name: "5xx", places: &[5], failure: true },
    Class { name: "none", places: &[0], failure: true },
    Class { name: "else", places: &[1, 6], failure: false },
];

/// The same in three rows, for terminals that have no more.
const FEW: [Class; 3] = [
    Class { name: "2-3xx", places: &[2, 3], failure: false },
    Class { name: "4xx", places: &[4], failure: false },
    Class { name: "fail", places: &[0, 5], failure: true },
];

impl Class {
    fn of(&self, classes: &[u64; LegCell::CLASSES]) -> u64 {
        self.places.iter().map(|&place| classes[place]).fold(0, u64::saturating_add)
    }

    fn label(&self, count: u64) -> String {
        format!("{}{}", self.name, if self.failure && count > 0 { "!" } else { "" })
    }

    const fn role(&self, count: u64) -> Role {
        if self.failure && count > 0 { Role::Bad } else { Role::Plain }
    }
}

pub(super) fn render(frame: &mut Frame<'_>, area: Rect, state: &State, look: &Look) {
    let title = match area.height {
        // Too low for a line of its own that names the columns.
        0..7 => "Status server/client".to_owned(),
        _ => format!("Status, last {}", state.window),
    };
    let block = look.region(title);
    let inner = block.inner(area);
    let width = usize::from(inner.width);
    let lines = match inner.height {
        12.. => over_time(state, look, width),
        6.. => table(state, look, width, shown(state)),
        _ => table(state, look, width, FEW.iter()).split_off(1),
    };
    frame.render_widget(block, area);
    frame.render_widget(Paragraph::new(lines), inner);
}

/// Both legs side by side, below a line with their names.
fn table(
    state: &State,
    look: &Look,
    width: usize,
    classes: impl Iterator<Item = &'static Class>,
) -> Vec<Line<'static>> {
    let share = width >= 33;
    let column = |text: &str| look.fit_right(text, if share { 8 } else { 7 });
    let mut head = vec![Span::raw(look.fit("", 6))];
    for (_, name, role) in LEGS {
        head.push(Span::styled(column(name), look.style(role)));
        head.push(Span::raw(if share { " ".repeat(6) } else { String::new() }));
    }
    let mut lines = vec![Line::from(head)];
    for class in classes {
        let counts = LEGS.map(|(leg, ..)| count(state, leg, class));
        let mut text = look.fit(&format!(" {}", class.label(counts[0].max(counts[1]))), 6);
        for ((leg, ..), n) in LEGS.into_iter().zip(counts) {
            text += &column(&format::count(n));
            if share {
                text += &look.fit_right(&format::part(n, ended(state, leg)), 6);
            }
        }
        lines.push(Line::styled(text, look.style(class.role(counts[0].max(counts[1])))));
    }
    lines
}

/// One leg below the other, each class with its course.
fn over_time(state: &State, look: &Look, width: usize) -> Vec<Line<'static>> {
    let mut lines = Vec::new();
    for (leg, name, role) in LEGS {
        lines.push(Line::styled(format!(" {name} leg"), look.style(role)));
        for class in shown(state) {
            let n = count(state, leg, class);
            let points = state.figures.trend.points.get(leg);
            let course: Vec<Option<u64>> =
                points.iter().map(|point| point.as_ref().map(|p| class.of(&p.classes))).collect();
            let highest = course.iter().flatten().copied().max().unwrap_or(0).max(1) as f64;
            let heights: Vec<_> = course.iter().map(|n| n.map(|n| n as f64 / highest)).collect();
            let room = width.saturating_sub(6 + 7 + 7 + 1);
            lines.push(Line::styled(
                format!(
                    "{} {}{}{}",
                    look.fit(&format!(" {}", class.label(n)), 6),
                    look.fit(&look.spark(&heights, room), room),
                    look.fit_right(&format::count(n), 7),
                    look.fit_right(&format::part(n, ended(state, leg)), 7),
                ),
                look.style(class.role(n)),
            ));
        }
    }
    lines
}

/// All classes but the last, which is shown only where it occurs.
fn shown(state: &State) -> impl Iterator<Item = &'static Class> {
    let occurs = |class: &Class| LEGS.iter().any(|(leg, ..)| count(state, *leg, class) > 0);
    CLASSES
        .iter()
        .enumerate()
        .filter(move |(i, class)| *i + 1 < CLASSES.len() || occurs(class))
        .map(|(_, class)| class)
}

fn count(state: &State, leg: Leg, class: &Class) -> u64 {
    class.of(&state.figures.legs.get(leg).sum.classes)
}

fn ended(state: &State, leg: Leg) -> u64 {
    state.figures.legs.get(leg).sum.tally.ended
}
