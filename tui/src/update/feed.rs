//! What a feed's events change.

use std::time::Duration;

use crate::clean::Label;
use crate::event::FeedEvent;
use crate::history::{Known, Step};
use crate::reading::Reading;
use crate::state::{Link, State};

/// Takes in an event of the agent at `place`.
pub(super) fn take(state: &mut State, place: usize, event: FeedEvent) {
    let now = state.now.up;
    let Some(agent) = state.agents.get_mut(place) else { return };
    match event {
        FeedEvent::Connecting => {
            let after = reason(&agent.link);
            agent.link = Link::Connecting { after };
        }
        FeedEvent::Connected => {
            agent.link = Link::Live { last: now };
            // The numbers between two connections were not missed for slowness.
            agent.last_seq = None;
        }
        FeedEvent::Down { reason, retry_in } => {
            agent.link = Link::Down { reason, retry_at: now.saturating_add(retry_in) };
        }
        FeedEvent::Reading(reading) => take_reading(state, place, *reading),
    }
}

fn reason(link: &Link) -> Option<Label> {
    match link {
        Link::Connecting { after } => after.clone(),
        Link::Down { reason, .. } => Some(reason.clone()),
        Link::Live { .. } | Link::Stale { .. } => None,
    }
}

fn take_reading(state: &mut State, place: usize, reading: Reading) {
    let now = state.now.up;
    let agent = &mut state.agents[place];
    let (step, cell) = Known::advance(agent.known.as_ref(), &reading);
    match (step, agent.last_seq) {
        (Step::Restarted, _) => agent.restarts += 1,
        (Step::Next, Some(last)) => {
            let gap = reading.seq.saturating_sub(last).saturating_sub(1);
            agent.missed = agent.missed.saturating_add(gap);
        }
        (Step::First | Step::Next, _) => {}
    }
    agent.link = Link::Live { last: now };
    agent.last_seq = Some(reading.seq);
    agent.interval = Duration::from_millis(reading.interval_ms);
    agent.known = Some(Known::of(&reading));
    state.data.take(place, now, &cell, reading);
    state.refresh_soon();
}

/// Marks connections stale on which nothing has come for longer than they are usually silent.
pub(super) fn notice_silence(state: &mut State) {
    let now = state.now.up;
    for agent in &mut state.agents {
        if let Link::Live { last } = agent.link
            && now.saturating_sub(last) > agent.patience()
        {
            agent.link = Link::Stale { since: last };
        }
    }
}
