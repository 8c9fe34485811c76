//! Each event, and what it must change.

use std::time::Duration;

use super::*;
use crate::clean::Label;
use crate::event::FeedEvent;
use crate::reading::Reading;
use crate::state::{Agent, Link, Size, Window};
use crate::traffic;

fn state(agents: usize) -> State {
    let agents = (0..agents).map(|n| Agent::new(Label::clean(&format!("unix:{n}")))).collect();
    State::new(agents, Window::Minute, None, Size { width: 80, height: 24 })
}

fn at(seconds: u64) -> Now {
    Now { up: Duration::from_secs(seconds), unix_ms: seconds * 1000 }
}

fn press(state: &mut State, key: Key) -> Vec<Effect> {
    let now = state.now;
    update(state, now, Event::Key(key))
}

fn reading(state: &mut State, seconds: u64, agent: &mut traffic::Agent) {
    let reading = Box::new(Reading::check(agent.second()).unwrap());
    update(state, at(seconds), Event::Feed(0, FeedEvent::Reading(reading)));
}

#[test]
fn keys_and_signals_lead_to_effects() {
    let cases = [
        (Event::Key(Key::Char('q')), vec![Effect::Quit(Exit::Done)]),
        (Event::Key(Key::Ctrl('c')), vec![Effect::Quit(Exit::Done)]),
        (Event::Key(Key::Ctrl('z')), vec![Effect::Suspend]),
        (Event::Key(Key::Ctrl('l')), vec![Effect::Repaint]),
        (Event::Key(Key::Char('r')), vec![Effect::Reconnect]),
        (Event::Key(Key::Char('p')), vec![Effect::Draw]),
        (Event::Key(Key::Char('µ')), vec![]),
        (Event::Signal(Signal::End(15)), vec![Effect::Quit(Exit::Signalled(15))]),
        (Event::Signal(Signal::Continue), vec![Effect::Repaint]),
        (Event::InputClosed, vec![Effect::Quit(Exit::Done)]),
        (Event::Resize(Size { width: 1, height: 1 }), vec![Effect::Draw]),
        (Event::Tick, vec![Effect::Draw]),
    ];
    for (event, effects) in cases {
        assert_eq!(update(&mut state(1), at(1), event.clone()), effects, "{event:?}");
    }
}

#[test]
fn escape_closes_the_popup_first_and_the_help_then_and_never_quits() {
    let mut state = state(1);
    press(&mut state, Key::Char('?'));
    press(&mut state, Key::Char('a'));
    assert_eq!((state.screen, state.popup), (Screen::Help, Some(Popup::Agents)));
    press(&mut state, Key::Esc);
    assert_eq!((state.screen, state.popup), (Screen::Help, None));
    press(&mut state, Key::Esc);
    assert_eq!((state.screen, state.popup), (Screen::Overview, None));
    assert_eq!(press(&mut state, Key::Esc), [Effect::Draw]);
}

#[test]
fn the_window_goes_round() {
    let mut state = state(1);
    let seen: Vec<Window> = (0..4)
        .map(|_| {
            press(&mut state, Key::Char('w'));
            state.window
        })
        .collect();
    assert_eq!(seen, [Window::FiveMinutes, Window::QuarterHour, Window::TenSeconds, Window::Minute]);
}

#[test]
fn a_pause_freezes_what_is_shown_and_collecting_goes_on() {
    let (mut state, mut agent) = (state(1), traffic::Agent::new("web-1", 7));
    reading(&mut state, 1, &mut agent);
    press(&mut state, Key::Char(' '));
    let shown = state.figures.clone();
    (2..20).for_each(|s| reading(&mut state, s, &mut agent));
    update(&mut state, at(20), Event::Tick);
    assert_eq!(state.figures, shown);
    press(&mut state, Key::Char('w'));
    assert_eq!(state.figures.legs, shown.legs, "another window of the same moment");
    press(&mut state, Key::Char(' '));
    assert!(state.figures.legs.server.sum.tally.ended > 10 * shown.legs.server.sum.tally.ended);
}

#[test]
fn a_silent_agent_turns_stale_and_live_again() {
    let (mut state, mut agent) = (state(1), traffic::Agent::new("web-1", 7));
    update(&mut state, at(1), Event::Feed(0, FeedEvent::Connected));
    reading(&mut state, 2, &mut agent);
    update(&mut state, at(5), Event::Tick);
    assert_eq!(state.agents[0].link, Link::Live { last: at(2).up }, "three seconds are no silence yet");
    update(&mut state, at(6), Event::Tick);
    assert_eq!(state.agents[0].link, Link::Stale { since: at(2).up });
    reading(&mut state, 7, &mut agent);
    assert_eq!(state.agents[0].link, Link::Live { last: at(7).up });
}

#[test]
fn the_reason_stays_while_a_new_connection_is_tried() {
    let mut state = state(1);
    let reason = Label::clean("it is gone");
    let down = FeedEvent::Down { reason: reason.clone(), retry_in: Duration::from_secs(2) };
    update(&mut state, at(1), Event::Feed(0, down));
    assert_eq!(state.agents[0].link, Link::Down { reason: reason.clone(), retry_at: at(3).up });
    update(&mut state, at(3), Event::Feed(0, FeedEvent::Connecting));
    assert_eq!(state.agents[0].link, Link::Connecting { after: Some(reason) });
    update(&mut state, at(3), Event::Feed(0, FeedEvent::Connected));
    assert_eq!(state.agents[0].link, Link::Live { last: at(3).up });
}

#[test]
fn a_restarted_agent_is_counted_and_its_totals_start_again() {
    let mut state = state(1);
    let mut agent = traffic::Agent::new("web-1", 7);
    (1..=30).for_each(|s| reading(&mut state, s, &mut agent));
    let before = state.figures.legs.server.sum.tally.ended;
    let mut agent = traffic::Agent::new("web-1", 8);
    reading(&mut state, 31, &mut agent);
    assert_eq!(state.agents[0].restarts, 1);
    let grown = state.figures.legs.server.sum.tally.ended - before;
    assert!((20..400).contains(&grown), "one second's traffic, and not a total: {grown}");
    assert!(state.data.hosts[0].as_ref().unwrap().totals.values().all(|legs| legs.server < 400));
}

#[test]
fn readings_missed_are_counted_but_not_those_between_two_connections() {
    let (mut state, mut agent) = (state(1), traffic::Agent::new("web-1", 7));
    update(&mut state, at(1), Event::Feed(0, FeedEvent::Connected));
    reading(&mut state, 1, &mut agent);
    let _ = (agent.second(), agent.second());
    reading(&mut state, 4, &mut agent);
    assert_eq!(state.agents[0].missed, 2);
    let _ = agent.second();
    update(&mut state, at(6), Event::Feed(0, FeedEvent::Connected));
    reading(&mut state, 6, &mut agent);
    assert_eq!(state.agents[0].missed, 2);
}

#[test]
fn services_go_round_by_name_and_back_to_the_automatic_choice() {
    let mut state = state(1);
    let mut snapshot = traffic::Agent::new("web-1", 7).second();
    let mut other = snapshot.series[0].clone();
    other.key.service = "another".into();
    snapshot.series.push(other);
    let reading = Box::new(Reading::check(snapshot).unwrap());
    update(&mut state, at(1), Event::Feed(0, FeedEvent::Reading(reading)));
    assert_eq!(state.figures.service, Some(Label::clean("hosp-proxy")));
    let seen: Vec<_> = (0..3)
        .map(|_| {
            press(&mut state, Key::Char('s'));
            state.wanted.clone()
        })
        .collect();
    assert_eq!(seen, [Some(Label::clean("another")), Some(Label::clean("hosp-proxy")), None]);
}

#[test]
fn scrolling_stays_within_the_list() {
    let (mut state, mut agent) = (state(1), traffic::Agent::new("web-1", 7));
    reading(&mut state, 1, &mut agent);
    let last = state.figures.routes.len() - 1;
    for (key, expect) in
        [(Key::Up, 0), (Key::Down, 1), (Key::PageDown, last), (Key::Home, 0), (Key::End, last)]
    {
        press(&mut state, key);
        assert_eq!(state.scroll.routes, expect, "{key:?}");
    }
    press(&mut state, Key::Tab);
    press(&mut state, Key::Down);
    assert_eq!((state.scroll.routes, state.scroll.live), (last, 1));
}

#[test]
fn readings_of_many_agents_share_one_computation() {
    let mut state = state(8);
    let mut agents: Vec<_> = (0..8).map(|n| traffic::Agent::new("web", n)).collect();
    for (place, agent) in agents.iter_mut().enumerate() {
        let reading = Box::new(Reading::check(agent.second()).unwrap());
        update(&mut state, at(10), Event::Feed(place, FeedEvent::Reading(reading)));
    }
    let after_the_first = state.figures.legs.server.sum.tally.ended;
    update(&mut state, at(11), Event::Tick);
    assert!(after_the_first > 0 && state.figures.legs.server.sum.tally.ended > 4 * after_the_first);
}
