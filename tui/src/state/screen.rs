//! What is on the screen: which view, which popup, which panel has the arrow keys.

/// What fills the terminal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Screen {
    /// All figures at a glance.
    Overview,
    /// Keys, and what the figures mean.
    Help,
}

/// What lies on top of the screen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Popup {
    /// Every agent with the state of its connection.
    Agents,
}

/// A panel that scrolls.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Panel {
    /// Top routes.
    Routes,
    /// Live requests.
    Live,
}

impl Panel {
    /// The panel after this one; there are two.
    pub const fn next(self) -> Self {
        match self {
            Self::Routes => Self::Live,
            Self::Live => Self::Routes,
        }
    }
}

/// First row shown of each panel, and of the help.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Scroll {
    /// Of the top routes.
    pub routes: usize,
    /// Of the live requests.
    pub live: usize,
    /// Of the help.
    pub help: usize,
}
