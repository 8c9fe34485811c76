//! What the screens look like, cell for cell, and that nothing whatsoever breaks them.

use std::time::Duration;

use insta::assert_snapshot;
use ratatui::Terminal;
use ratatui::backend::TestBackend;

use super::{Depth, LEAST, Look, render};
use crate::clean::Label;
use crate::event::{Event, FeedEvent, Key, Now};
use crate::reading::Reading;
use crate::state::{Agent, Size, State, Window};
use crate::traffic::{self, START_UNIX_MS};
use crate::update::update;

const LOOK: Look = Look { ascii: false, depth: Depth::Full };

/// A state that events are fed to at one second each.
struct Stage {
    state: State,
    now: Now,
}

impl Stage {
    fn new(agents: usize) -> Self {
        let agents =
            (0..agents).map(|n| Agent::new(Label::clean(&format!("unix:/run/hosp/agent{n}.sock")))).collect();
        let now = Now { up: Duration::ZERO, unix_ms: START_UNIX_MS };
        let state = State::new(agents, Window::Minute, None, Size { width: 80, height: 24 });
        let mut stage = Self { state, now };
        stage.event(Event::Tick);
        stage
    }

    fn event(&mut self, event: Event) {
        update(&mut self.state, self.now, event);
    }

    fn wait(&mut self, seconds: u64) {
        for _ in 0..seconds {
            self.now.up += Duration::from_secs(1);
            self.now.unix_ms += 1000;
            self.event(Event::Tick);
        }
    }

    /// So many seconds of traffic of the agent at `place`.
    fn traffic(&mut self, place: usize, agent: &mut traffic::Agent, seconds: u64) {
        self.event(Event::Feed(place, FeedEvent::Connected));
        for _ in 0..seconds {
            self.wait(1);
            let reading = Reading::check(agent.second()).unwrap();
            self.event(Event::Feed(place, FeedEvent::Reading(Box::new(reading))));
        }
    }

    /// A minute of one host's traffic.
    fn minute() -> Self {
        let mut stage = Self::new(1);
        stage.traffic(0, &mut traffic::Agent::new("web-1", 4711), 60);
        stage
    }

    fn down(&mut self, place: usize) {
        let reason = Label::clean(
            "cannot connect to unix:/run/hosp/agent0.sock: No such file or directory; is hosp-agent running there?",
        );
        self.event(Event::Feed(place, FeedEvent::Down { reason, retry_in: Duration::from_secs(2) }));
    }

    fn draw(&self, width: u16, height: u16, look: Look) -> String {
        let mut terminal = Terminal::new(TestBackend::new(width, height)).unwrap();
        terminal.draw(|frame| render(frame, &self.state, &look)).unwrap();
        // The backend cannot print a screen without columns.
        if width == 0 { String::new() } else { terminal.backend().to_string() }
    }
}

#[test]
fn overview_at_three_sizes() {
    let stage = Stage::minute();
    assert_snapshot!("overview_80x24", stage.draw(80, 24, LOOK));
    assert_snapshot!("overview_120x40", stage.draw(120, 40, LOOK));
    assert_snapshot!("overview_200x60", stage.draw(200, 60, LOOK));
}

#[test]
fn overview_on_the_smallest_terminal() {
    assert_snapshot!("overview_60x16", Stage::minute().draw(LEAST.0, LEAST.1, LOOK));
}

#[test]
fn overview_in_ascii() {
    let screen = Stage::minute().draw(120, 40, Look { ascii: true, depth: Depth::None });
    assert!(screen.is_ascii(), "{screen}");
    assert_snapshot!("overview_ascii_120x40", screen);
}

#[test]
fn before_anything_was_heard() {
    let stage = Stage::new(1);
    assert_snapshot!("empty_80x24", stage.draw(80, 24, LOOK));
    assert_snapshot!("empty_120x40", stage.draw(120, 40, LOOK));
    assert_snapshot!("empty_200x60", stage.draw(200, 60, LOOK));
}

#[test]
fn paused_shows_the_moment_of_the_pause() {
    let mut stage = Stage::new(1);
    let mut agent = traffic::Agent::new("web-1", 4711);
    stage.traffic(0, &mut agent, 60);
    stage.event(Event::Key(Key::Char('p')));
    let frozen = stage.draw(80, 24, LOOK);
    stage.traffic(0, &mut agent, 10);
    assert_eq!(stage.draw(80, 24, LOOK), frozen);
    assert_snapshot!("paused_80x24", frozen);
    assert_snapshot!("paused_120x40", stage.draw(120, 40, LOOK));
    assert_snapshot!("paused_200x60", stage.draw(200, 60, LOOK));
    stage.event(Event::Key(Key::Char('p')));
    assert_ne!(stage.draw(80, 24, LOOK), frozen, "what was collected underneath is shown after the pause");
}

#[test]
fn disconnected_says_why_and_when_it_tries_again() {
    let mut stage = Stage::minute();
    stage.down(0);
    assert_snapshot!("disconnected_80x24", stage.draw(80, 24, LOOK));
    assert_snapshot!("disconnected_120x40", stage.draw(120, 40, LOOK));
    assert_snapshot!("disconnected_200x60", stage.draw(200, 60, LOOK));
}

#[test]
fn stale_says_for_how_long() {
    let mut stage = Stage::minute();
    stage.wait(7);
    assert_snapshot!("stale_80x24", stage.draw(80, 24, LOOK));
}

#[test]
fn too_small_says_so_and_recovers() {
    let stage = Stage::minute();
    assert_snapshot!("too_small_59x16", stage.draw(59, 16, LOOK));
    assert!(stage.draw(30, 3, LOOK).contains("terminal too small (30x3)"));
    assert!(stage.draw(60, 16, LOOK).contains("requests/s"));
}

#[test]
fn help_and_the_popup_of_agents() {
    let mut stage = Stage::new(2);
    stage.traffic(0, &mut traffic::Agent::new("web-1", 4711), 3);
    stage.down(1);
    stage.event(Event::Key(Key::Char('a')));
    assert_snapshot!("agents_80x24", stage.draw(80, 24, LOOK));
    stage.event(Event::Key(Key::Char('?')));
    assert_snapshot!("help_80x24", stage.draw(80, 24, LOOK));
    assert_snapshot!("help_120x40", stage.draw(120, 40, LOOK));
}

#[test]
fn losses_and_blind_spots_are_in_the_header() {
    let mut stage = Stage::new(1);
    let mut snapshot = traffic::Agent::new("web-1", 4711).second();
    snapshot.books.lost.insert("ring".into(), 12_345);
    snapshot.books.resyncs = 2;
    snapshot.books.connections.insert("tls".into(), 3);
    snapshot.books.connections.insert("opaque".into(), 1);
    let reading = Box::new(Reading::check(snapshot).unwrap());
    stage.event(Event::Feed(0, FeedEvent::Reading(reading)));
    let screen = stage.draw(80, 24, LOOK);
    assert!(screen.contains("records lost 12.3k!  resyncs 2!  blind spots 4! (opaque 1, tls 3)"), "{screen}");
}

mod anything_goes;
