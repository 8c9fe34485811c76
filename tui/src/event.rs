//! What can happen to the program, and what it can do about it: both lists are closed.

use std::time::Duration;

use crate::clean::Label;
use crate::exit::Exit;
use crate::reading::Reading;
use crate::state::Size;

/// The time at which an event happened.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Now {
    /// Since the start of the program, by a clock that never goes back.
    pub up: Duration,
    /// By the wall clock, in milliseconds since 1970-01-01T00:00:00Z.
    pub unix_ms: u64,
}

/// Something that happened.
#[derive(Clone, Debug)]
pub enum Event {
    /// A key was pressed.
    Key(Key),
    /// The terminal has another size now.
    Resize(Size),
    /// A second has passed.
    Tick,
    /// An agent's feed told something; the number is the agent's place on the command line.
    Feed(usize, FeedEvent),
    /// The process received a signal.
    Signal(Signal),
    /// The terminal is gone: no key will ever come again.
    InputClosed,
}

/// What an agent's feed can tell.
#[derive(Clone, Debug)]
pub enum FeedEvent {
    /// A connection is being tried.
    Connecting,
    /// The agent accepted it and answered.
    Connected,
    /// A reading arrived.
    Reading(Box<Reading>),
    /// There is no connection, and why; it is tried again after `retry_in`.
    Down {
        /// One sentence.
        reason: Label,
        /// Time to the next try.
        retry_in: Duration,
    },
}

/// A signal that the program reacts to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Signal {
    /// End, by the signal of this number.
    End(u8),
    /// The process was stopped, and goes on now.
    Continue,
}

/// A key, with Ctrl where it makes a difference.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "a key's name says what it is")]
pub enum Key {
    Char(char),
    Ctrl(char),
    Function(u8),
    Up,
    Down,
    PageUp,
    PageDown,
    Home,
    End,
    Tab,
    BackTab,
    Enter,
    Esc,
}

/// Something that the runtime is to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effect {
    /// What is shown has changed.
    Draw,
    /// What the terminal shows is not what was drawn: draw every cell again.
    Repaint,
    /// Give the terminal back and stop until the shell continues the process.
    Suspend,
    /// Try all broken connections now.
    Reconnect,
    /// End the program.
    Quit(Exit),
}
