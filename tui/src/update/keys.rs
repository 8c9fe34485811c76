//! Which key does what: one table, from which the dispatch, the footer and the help are made.

use crate::event::Key;

/// Something that a key does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the table says what each does")]
pub enum Action {
    Quit,
    Help,
    Close,
    Pause,
    Window,
    Service,
    Agents,
    Panel,
    Scroll(By),
    Reconnect,
    Repaint,
    Suspend,
}

/// How far to scroll.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum By {
    /// So many lines, down when positive.
    Line(isize),
    /// To the first line.
    First,
    /// To the last line.
    Last,
}

/// One row of the table: keys, what they do, and how the help calls that.
#[derive(Clone, Copy, Debug)]
pub struct Binding {
    /// The keys.
    pub keys: &'static [Key],
    /// What they do.
    pub action: Action,
    /// The keys' names in the help.
    pub names: &'static str,
    /// What they do, in words.
    pub help: &'static str,
    /// Key and word in the footer; the footer shows as many as fit, in this order.
    pub footer: Option<(&'static str, &'static str)>,
}

/// Lines of a page.
const PAGE: isize = 10;

const fn bind(
    keys: &'static [Key],
    action: Action,
    names: &'static str,
    help: &'static str,
    footer: Option<(&'static str, &'static str)>,
) -> Binding {
    Binding { keys, action, names, help, footer }
}

/// The table. No key stands in it twice.
pub const BINDINGS: &[Binding] = &[
    bind(&[Key::Char('q'), Key::Ctrl('c')], Action::Quit, "q, Ctrl-C", "quit", Some(("q", "quit"))),
    bind(
        &[Key::Char('?'), Key::Char('h'), Key::Function(1)],
        Action::Help,
        "?, h, F1",
        "this help, and back",
        Some(("?", "help")),
    ),
    bind(
        &[Key::Char('p'), Key::Char(' ')],
        Action::Pause,
        "p, space",
        "freeze the view; collecting goes on underneath",
        Some(("p", "pause")),
    ),
    bind(
        &[Key::Char('w')],
        Action::Window,
        "w",
        "time that the figures cover: 10 s, 60 s, 5 min, 15 min",
        Some(("w", "window")),
    ),
    bind(
        &[Key::Char('s')],
        Action::Service,
        "s",
        "next service; after the last one, the automatic choice",
        Some(("s", "service")),
    ),
    bind(&[Key::Char('a')], Action::Agents, "a", "agents and their connections", Some(("a", "agents"))),
    bind(
        &[Key::Tab, Key::BackTab],
        Action::Panel,
        "Tab",
        "other panel for the arrow keys",
        Some(("Tab", "panel")),
    ),
    bind(&[Key::Down, Key::Char('j')], Action::Scroll(By::Line(1)), "Down, j", "scroll down", None),
    bind(&[Key::Up, Key::Char('k')], Action::Scroll(By::Line(-1)), "Up, k", "scroll up", None),
    bind(
        &[Key::PageDown, Key::Ctrl('f')],
        Action::Scroll(By::Line(PAGE)),
        "PgDn, Ctrl-F",
        "ten lines down",
        None,
    ),
    bind(
        &[Key::PageUp, Key::Ctrl('b')],
        Action::Scroll(By::Line(-PAGE)),
        "PgUp, Ctrl-B",
        "ten lines up",
        None,
    ),
    bind(&[Key::Home, Key::Char('g')], Action::Scroll(By::First), "Home, g", "to the top", None),
    bind(&[Key::End, Key::Char('G')], Action::Scroll(By::Last), "End, G", "to the bottom", None),
    bind(&[Key::Char('r')], Action::Reconnect, "r", "try broken connections now", None),
    bind(&[Key::Esc], Action::Close, "Esc", "close what is open", None),
    bind(&[Key::Ctrl('l')], Action::Repaint, "Ctrl-L", "draw everything again", None),
    bind(&[Key::Ctrl('z')], Action::Suspend, "Ctrl-Z", "suspend; fg brings it back", None),
];

/// What the figures mean: the second half of the help.
pub const MEANINGS: &[(&str, &str)] = &[
    ("server leg", "requests that the service answered: what clients got"),
    ("client leg", "requests that it made itself: what the origin did"),
    ("effective", "share of successes on the server leg"),
    ("actual", "share of successes on the client leg"),
    ("success", "a whole answer with a status below 500; clients that went away do not count"),
    ("attempts/request", "by request where an id links the legs, else the ratio of the legs"),
    ("without origin", "answered from the cache; with >= the least that the two legs prove"),
    ("lost", "requests that the observer saw and could not record"),
    ("resyncs", "times that it had to find a connection's thread again"),
    ("blind", "connections that it cannot read: TLS, HTTP/2, anything that is not HTTP/1"),
];

/// Lines of the help: both tables, and a title and a blank line for the second.
pub const HELP_LINES: usize = BINDINGS.len() + MEANINGS.len() + 2;

/// What a key does.
pub fn action(key: Key) -> Option<Action> {
    BINDINGS.iter().find(|binding| binding.keys.contains(&key)).map(|binding| binding.action)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_key_does_two_things() {
        let keys: Vec<Key> = BINDINGS.iter().flat_map(|binding| binding.keys).copied().collect();
        for (i, key) in keys.iter().enumerate() {
            assert!(!keys[..i].contains(key), "{key:?}");
        }
    }
}
