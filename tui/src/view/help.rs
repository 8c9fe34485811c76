//! The help: keys, and what the figures mean. Made from the same table as the keys themselves.

use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::text::{Line, Span};
use ratatui::widgets::Paragraph;

use super::look::{Look, Role};
use crate::state::State;
use crate::update::keys::{BINDINGS, HELP_LINES, MEANINGS};

pub(super) fn render(frame: &mut Frame<'_>, area: Rect, state: &State, look: &Look) {
    let row = |name: &'static str, text: &'static str| {
        Line::from(vec![
            Span::styled(look.fit(&format!("  {name}"), 20), look.style(Role::Strong)),
            Span::raw(text),
        ])
    };
    let mut lines: Vec<Line<'_>> = BINDINGS.iter().map(|binding| row(binding.names, binding.help)).collect();
    lines.push(Line::raw(""));
    lines.push(Line::styled(" What the figures mean", look.style(Role::Strong)));
    lines.extend(MEANINGS.iter().map(|(name, meaning)| row(name, meaning)));
    let rows = usize::from(area.height.saturating_sub(1));
    let first = state.scroll.help.min(HELP_LINES.saturating_sub(rows));
    let title = if HELP_LINES > rows { "Keys (arrows scroll, Esc closes)" } else { "Keys (Esc closes)" };
    let lines: Vec<Line<'_>> = lines.into_iter().skip(first).collect();
    frame.render_widget(Paragraph::new(lines).block(look.region(title.to_owned())), area);
}
