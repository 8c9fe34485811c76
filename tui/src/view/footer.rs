//! The last line: the keys that matter most.

use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::text::{Line, Span};
use ratatui::widgets::Paragraph;

use super::look::{Look, Role};
use crate::state::State;
use crate::update::keys::BINDINGS;

pub(super) fn render(frame: &mut Frame<'_>, area: Rect, state: &State, look: &Look) {
    let mut spans = Vec::new();
    let mut room = usize::from(area.width);
    for (key, word) in BINDINGS.iter().filter_map(|binding| binding.footer) {
        let word = if word == "pause" && state.frozen.is_some() { "go on" } else { word };
        let length = key.len() + word.len() + 4;
        if length > room {
            break;
        }
        room -= length;
        spans.push(Span::styled(format!(" {key}"), look.style(Role::Strong)));
        spans.push(Span::styled(format!(" {word}  "), look.style(Role::Quiet)));
    }
    frame.render_widget(Paragraph::new(Line::from(spans)), area);
}
