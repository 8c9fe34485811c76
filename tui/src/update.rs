//! The only place that changes the state: one event in, effects out. Pure: no clock, no terminal, no network.

pub mod keys;

mod feed;

use crate::event::{Effect, Event, Key, Now, Signal};
use crate::exit::Exit;
use crate::state::{Frozen, Panel, Popup, Screen, State};
use keys::Action;

/// Changes `state` by what happened at `now`, and says what the runtime is to do about it.
pub fn update(state: &mut State, now: Now, event: Event) -> Vec<Effect> {
    state.now = now;
    match event {
        Event::Key(key) => press(state, key),
        Event::Resize(size) => {
            state.size = size;
            vec![Effect::Draw]
        }
        Event::Tick => {
            feed::notice_silence(state);
            state.refresh_late();
            vec![Effect::Draw]
        }
        Event::Feed(place, event) => {
            feed::take(state, place, event);
            vec![Effect::Draw]
        }
        Event::Signal(Signal::End(number)) => vec![Effect::Quit(Exit::Signalled(number))],
        Event::Signal(Signal::Continue) => vec![Effect::Repaint],
        Event::InputClosed => vec![Effect::Quit(Exit::Done)],
    }
}

fn press(state: &mut State, key: Key) -> Vec<Effect> {
    let Some(action) = keys::action(key) else { return Vec::new() };
    match action {
        Action::Quit => return vec![Effect::Quit(Exit::Done)],
        Action::Suspend => return vec![Effect::Suspend],
        Action::Repaint => return vec![Effect::Repaint],
        Action::Reconnect => return vec![Effect::Reconnect],
        Action::Help => {
            state.popup = None;
            state.scroll.help = 0;
            state.screen = match state.screen {
                Screen::Help => Screen::Overview,
                Screen::Overview => Screen::Help,
            };
        }
        Action::Agents => {
            state.popup = match state.popup {
                Some(Popup::Agents) => None,
                None => Some(Popup::Agents),
            };
        }
        Action::Close if state.popup.is_some() => state.popup = None,
        Action::Close => state.screen = Screen::Overview,
        Action::Pause => {
            state.frozen = match state.frozen.take() {
                Some(_) => None,
                None => Some(Frozen { at: state.now, data: state.data.clone() }),
            };
            state.refresh();
        }
        Action::Window => {
            state.window = state.window.next();
            state.refresh();
        }
        Action::Service => {
            next_service(state);
            state.refresh();
        }
        Action::Panel => state.panel = state.panel.next(),
        Action::Scroll(by) => scroll(state, by),
    }
    vec![Effect::Draw]
}

/// From the automatic choice through all services by name, and back to the automatic choice.
fn next_service(state: &mut State) {
    let services = state.shown().services();
    state.wanted = match &state.wanted {
        None => services.first().cloned(),
        Some(current) => services.into_iter().find(|name| name > current),
    };
}

fn scroll(state: &mut State, by: keys::By) {
    let (at, last) = match (state.screen, state.panel) {
        (Screen::Help, _) => (&mut state.scroll.help, keys::HELP_LINES - 1),
        (Screen::Overview, Panel::Routes) => {
            (&mut state.scroll.routes, state.figures.routes.len().saturating_sub(1))
        }
        (Screen::Overview, Panel::Live) => {
            (&mut state.scroll.live, state.figures.live.len().saturating_sub(1))
        }
    };
    *at = match by {
        keys::By::Line(n) => at.saturating_add_signed(n).min(last),
        keys::By::First => 0,
        keys::By::Last => last,
    };
}

#[cfg(test)]
mod tests;
