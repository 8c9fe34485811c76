//! Colours and glyphs: what the terminal can show, and what the user wants.
//!
//! The colours are those of Okabe and Ito, told apart by people of all kinds of colour vision, in shades that
//! read on light and dark backgrounds. Whatever a colour says, a word or a mark says as well.

use std::env;

use ratatui::style::{Color, Modifier, Style};
use ratatui::symbols::border;
use ratatui::widgets::{Block, Borders};

/// How many colours there are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Depth {
    /// None: bold, dim and reverse only.
    None,
    /// The 16 that the terminal's own theme defines.
    Sixteen,
    /// The fixed 256.
    Full,
}

/// What the terminal can show, and what the user wants.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Look {
    /// ASCII characters only.
    pub ascii: bool,
    /// Colours.
    pub depth: Depth,
}

/// What a piece of text is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Role {
    /// Nothing special.
    Plain,
    /// Labels and units.
    Quiet,
    /// Titles and figures.
    Strong,
    /// Something to worry about.
    Bad,
    /// A state that must not be overlooked.
    Alarm,
    /// The server leg.
    Server,
    /// The client leg.
    Client,
    /// A line of a chart, by its place in [`crate::state::SHARES`].
    Share(usize),
}

impl Look {
    /// The look that the options and the environment ask for.
    pub fn detect(ascii: bool, no_color: bool) -> Self {
        Self::choose(ascii, no_color, |name| env::var(name).ok())
    }

    /// `NO_COLOR` counts when it is not empty (no-color.org). The Linux console's font has no braille.
    fn choose(ascii: bool, no_color: bool, var: impl Fn(&str) -> Option<String>) -> Self {
        let term = var("TERM").unwrap_or_default();
        let depth = if no_color || var("NO_COLOR").is_some_and(|v| !v.is_empty()) || term == "dumb" {
            Depth::None
        } else if term.contains("256color") || var("COLORTERM").is_some_and(|v| !v.is_empty()) {
            Depth::Full
        } else {
            Depth::Sixteen
        };
        Self { ascii: ascii || term == "linux" || term == "dumb", depth }
    }

    pub(super) fn style(self, role: Role) -> Style {
        let style = Style::new();
        // (256 colours, 16 colours, attributes)
        let (full, sixteen, modifier) = match role {
            Role::Plain => return style,
            Role::Quiet => return style.add_modifier(Modifier::DIM),
            Role::Strong => return style.add_modifier(Modifier::BOLD),
            Role::Alarm => return style.add_modifier(Modifier::BOLD | Modifier::REVERSED),
            Role::Bad => (Color::Indexed(166), Color::Red, Modifier::BOLD),
            Role::Server => (Color::Indexed(32), Color::Blue, Modifier::empty()),
            Role::Client => (Color::Indexed(172), Color::Yellow, Modifier::empty()),
            Role::Share(0) => (Color::Indexed(36), Color::Green, Modifier::empty()),
            Role::Share(1) => (Color::Indexed(32), Color::Blue, Modifier::empty()),
            Role::Share(2) => (Color::Indexed(172), Color::Yellow, Modifier::empty()),
            Role::Share(_) => (Color::Indexed(169), Color::Magenta, Modifier::empty()),
        };
        let style = style.add_modifier(modifier);
        match self.depth {
            Depth::None => style,
            Depth::Sixteen => style.fg(sixteen),
            Depth::Full => style.fg(full),
        }
    }

    /// A region with a rule and a title above it.
    pub(super) fn region(self, title: String) -> Block<'static> {
        Block::new()
            .borders(Borders::TOP)
            .border_set(self.border())
            .border_style(self.style(Role::Quiet))
            .title_style(self.style(Role::Strong))
            .title(format!(" {title} "))
    }

    /// A scrolling region; the one that has the arrow keys is marked.
    pub(super) fn panel(self, title: &str, active: bool) -> Block<'static> {
        let mark = match (active, self.ascii) {
            (false, _) => "",
            (true, false) => "▸ ",
            (true, true) => "> ",
        };
        self.region(format!("{mark}{title}"))
    }

    /// A box on top of other regions.
    pub(super) fn popup(self, title: &str) -> Block<'static> {
        self.region(title.to_owned()).borders(Borders::ALL)
    }

    fn border(self) -> border::Set<'static> {
        if !self.ascii {
            return border::PLAIN;
        }
        border::Set {
            top_left: "+",
            top_right: "+",
            bottom_left: "+",
            bottom_right: "+",
            vertical_left: "|",
            vertical_right: "|",
            horizontal_top: "-",
            horizontal_bottom: "-",
        }
    }

    /// Stands for a figure that is not known.
    pub(super) const fn unknown(self) -> &'static str {
        if self.ascii { "-" } else { "–" }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_environment_decides_where_the_options_do_not() {
        let look = |ascii, depth| Look { ascii, depth };
        let cases: [(&[(&str, &str)], Look); 7] = [
            (&[("TERM", "xterm-256color")], look(false, Depth::Full)),
            (&[("TERM", "xterm"), ("COLORTERM", "truecolor")], look(false, Depth::Full)),
            (&[("TERM", "xterm")], look(false, Depth::Sixteen)),
            (&[("TERM", "xterm-256color"), ("NO_COLOR", "1")], look(false, Depth::None)),
            (&[("TERM", "xterm-256color"), ("NO_COLOR", "")], look(false, Depth::Full)),
            (&[("TERM", "linux")], look(true, Depth::Sixteen)),
            (&[("TERM", "dumb")], look(true, Depth::None)),
        ];
        for (vars, expect) in cases {
            let var = |name: &str| vars.iter().find(|(n, _)| *n == name).map(|(_, v)| (*v).to_owned());
            assert_eq!(Look::choose(false, false, var), expect, "{vars:?}");
        }
    }

    #[test]
    fn without_colours_no_style_has_one() {
        let look = Look { ascii: true, depth: Depth::None };
        for role in [Role::Bad, Role::Alarm, Role::Server, Role::Client, Role::Share(0), Role::Share(3)] {
            let style = look.style(role);
            assert_eq!((style.fg, style.bg), (None, None), "{role:?}");
        }
    }
}
