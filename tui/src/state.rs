//! Everything that the program knows: plain data, changed by [`crate::update`] only, drawn by [`crate::view`].

mod agent;
mod data;
mod figures;
mod screen;
mod trend;
mod window;

pub use agent::{Agent, Link};
pub use data::{Data, Host};
pub use figures::{Attempts, Figures, LegFigures, RouteFigures, SHARES, Unreached};
pub use screen::{Panel, Popup, Screen, Scroll};
pub use trend::{Point, Trend};
pub use window::{Window, WindowError};

use std::time::Duration;

use crate::clean::Label;
use crate::event::Now;

/// Size of the terminal, in cells.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Size {
    /// Columns.
    pub width: u16,
    /// Rows.
    pub height: u16,
}

/// Everything that the program knows.
#[derive(Clone, Debug)]
pub struct State {
    /// The time of the last event.
    pub now: Now,
    /// Size of the terminal.
    pub size: Size,
    /// The connections, in the order of the command line.
    pub agents: Vec<Agent>,
    /// What the agents have told, always up to date.
    pub data: Data,
    /// While paused: what was known when the view was frozen.
    pub frozen: Option<Frozen>,
    /// What the panels show: computed from `frozen` or `data`.
    pub figures: Figures,
    /// When they were last computed because of a reading, since the start of the program.
    pub computed: Duration,
    /// Whether readings have come that they do not hold.
    pub behind: bool,
    /// The time that the figures cover.
    pub window: Window,
    /// The service that the user asked for; by itself the view is about the busiest one seen on both legs.
    pub wanted: Option<Label>,
    /// What fills the terminal.
    pub screen: Screen,
    /// What lies on top of it.
    pub popup: Option<Popup>,
    /// The panel that the arrow keys scroll.
    pub panel: Panel,
    /// How far each panel is scrolled.
    pub scroll: Scroll,
}

/// What was known when the view was frozen.
#[derive(Clone, Debug)]
pub struct Frozen {
    /// When that was.
    pub at: Now,
    /// What was known.
    pub data: Data,
}

impl State {
    /// The state before anything has happened.
    pub fn new(agents: Vec<Agent>, window: Window, wanted: Option<Label>, size: Size) -> Self {
        let data = Data::new(agents.len());
        let mut state = Self {
            now: Now::default(),
            size,
            agents,
            figures: Figures::compute(&data, Now::default().up, window, wanted.as_ref()),
            computed: Duration::ZERO,
            behind: false,
            data,
            frozen: None,
            window,
            wanted,
            screen: Screen::Overview,
            popup: None,
            panel: Panel::Routes,
            scroll: Scroll::default(),
        };
        state.refresh();
        state
    }

    /// What the view shows: the frozen data while paused, else the newest.
    pub fn shown(&self) -> &Data {
        self.frozen.as_ref().map_or(&self.data, |frozen| &frozen.data)
    }

    /// The moment that the view shows.
    pub fn shown_at(&self) -> Now {
        self.frozen.as_ref().map_or(self.now, |frozen| frozen.at)
    }

    /// A reading has come: computes the figures anew, but at most four times a second. The windows of many agents
    /// with many routes are costly to add up, and nobody reads faster.
    pub fn refresh_soon(&mut self) {
        let since = self.now.up.saturating_sub(self.computed);
        if self.frozen.is_some() || since < Duration::from_millis(250) {
            self.behind = true;
        } else {
            self.computed = self.now.up;
            self.refresh();
        }
    }

    /// A second has passed: computes the figures anew if readings wait for it, or if none has come for a second,
    /// since the windows move on without them.
    pub fn refresh_late(&mut self) {
        let since = self.now.up.saturating_sub(self.computed);
        if self.frozen.is_none() && (self.behind || since >= Duration::from_secs(1)) {
            self.refresh();
        }
    }

    /// Computes the figures anew, and keeps the scroll positions within them.
    pub fn refresh(&mut self) {
        self.behind = false;
        self.figures = Figures::compute(self.shown(), self.shown_at().up, self.window, self.wanted.as_ref());
        self.scroll.routes = self.scroll.routes.min(self.figures.routes.len().saturating_sub(1));
        self.scroll.live = self.scroll.live.min(self.figures.live.len().saturating_sub(1));
    }
}
