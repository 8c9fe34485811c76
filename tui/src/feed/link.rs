//! Follows one agent for as long as the program runs: connects, reads, waits, connects again.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Notify, mpsc};

use super::{Backoff, Feed, FeedError};
use crate::address::Address;
use crate::clean::Label;
use crate::event::FeedEvent;

/// Follows one agent until nobody listens to `events` any more. `now` cuts a pause between two tries short.
///
/// When the listener is slow, so is the reading, and the agent skips snapshots: nothing piles up.
pub async fn follow(
    place: usize,
    address: Address,
    events: mpsc::Sender<(usize, FeedEvent)>,
    now: Arc<Notify>,
) {
    let mut backoff = Backoff::new(rand::random::<f64>);
    loop {
        let Err(error) = read(place, &address, &events, || backoff.reset()).await else { return };
        let retry_in = backoff.pause();
        let reason = Label::clean(&error.to_string());
        if events.send((place, FeedEvent::Down { reason, retry_in })).await.is_err() {
            return;
        }
        wait(retry_in, &now).await;
    }
}

async fn wait(pause: Duration, now: &Notify) {
    tokio::select! {
        () = tokio::time::sleep(pause) => {}
        () = now.notified() => {}
    }
}

/// Reads one connection to its end. `Ok` when nobody listens any more.
async fn read(
    place: usize,
    address: &Address,
    events: &mpsc::Sender<(usize, FeedEvent)>,
    mut proved: impl FnMut(),
) -> Result<(), FeedError> {
    if events.send((place, FeedEvent::Connecting)).await.is_err() {
        return Ok(());
    }
    let mut feed = Feed::open(address).await?;
    if events.send((place, FeedEvent::Connected)).await.is_err() {
        return Ok(());
    }
    loop {
        let reading = feed.next().await?;
        proved();
        if events.send((place, FeedEvent::Reading(Box::new(reading)))).await.is_err() {
            return Ok(());
        }
    }
}
