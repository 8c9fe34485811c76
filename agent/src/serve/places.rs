//! The connections of one server: so many and no more. Who comes when there is no place gets that of whoever has
//! been quiet the longest, so that idle connections cannot keep a scraper out.

use std::future::Future;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use prometheus::IntCounter;
use tokio::task::{AbortHandle, JoinSet};
use tokio::time::{Instant, sleep_until, timeout};

/// When a connection's peer last took something. Clones share it.
#[derive(Clone, Debug)]
pub(super) struct Pulse(Arc<Mutex<Instant>>);

impl Pulse {
    /// Beats once, now.
    pub(super) fn new() -> Self {
        Self(Arc::new(Mutex::new(Instant::now())))
    }

    /// The peer has taken something now.
    pub(super) fn beat(&self) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Instant::now();
    }

    fn last(&self) -> Instant {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The connections of one server.
pub(super) struct Places {
    most: usize,
    quiet: Duration,
    evicted: IntCounter,
    taken: Vec<(AbortHandle, Pulse)>,
    tasks: JoinSet<()>,
}

impl Places {
    /// At most `most` connections; one that has been quiet for `quiet` may lose its place, which `evicted` counts.
    pub(super) fn new(most: usize, quiet: Duration, evicted: IntCounter) -> Self {
        Self { most, quiet, evicted, taken: Vec::new(), tasks: JoinSet::new() }
    }

    /// Serves a connection. There must be a free place: see [`Self::free`].
    pub(super) fn take(&mut self, pulse: Pulse, connection: impl Future<Output = ()> + Send + 'static) {
        self.taken.push((self.tasks.spawn(connection), pulse));
    }

    /// Waits until there is a free place.
    pub(super) async fn free(&mut self) {
        loop {
            while self.tasks.try_join_next().is_some() {}
            self.taken.retain(|(task, _)| !task.is_finished());
            if self.taken.len() < self.most {
                return;
            }
            let quietest = (0..self.taken.len()).min_by_key(|&at| self.taken[at].1.last());
            let at = quietest.expect("there is at least one place");
            let due = self.taken[at].1.last() + self.quiet;
            if due <= Instant::now() {
                self.taken.swap_remove(at).0.abort();
                self.evicted.inc();
                return;
            }
            tokio::select! {
                _ = self.tasks.join_next() => {}
                () = sleep_until(due) => {}
            }
        }
    }

    /// Waits for the ends of all connections, for `most` at most. Returns whether all have ended.
    pub(super) async fn drain(mut self, most: Duration) -> bool {
        timeout(most, async { while self.tasks.join_next().await.is_some() {} }).await.is_ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::future::pending;

    const QUIET: Duration = Duration::from_secs(2);

    fn places(most: usize) -> (Places, IntCounter) {
        let evicted = IntCounter::new("evicted", "evicted").unwrap();
        (Places::new(most, QUIET, evicted.clone()), evicted)
    }

    #[tokio::test(start_paused = true)]
    async fn the_quietest_gives_way_and_only_when_it_has_been_quiet_for_long() {
        let (mut places, evicted) = places(3);
        let pulses = [(); 3].map(|()| Pulse::new());
        pulses.iter().for_each(|pulse| places.take(pulse.clone(), pending()));
        tokio::time::advance(QUIET / 2).await;
        pulses[0].beat();
        pulses[2].beat();
        let begun = Instant::now();
        places.free().await;
        assert_eq!((begun.elapsed(), evicted.get()), (QUIET / 2, 1));
        assert!(places.taken.iter().all(|(_, pulse)| !Arc::ptr_eq(&pulse.0, &pulses[1].0)));
    }

    #[tokio::test(start_paused = true)]
    async fn a_place_that_becomes_free_by_itself_costs_nobody_anything() {
        let (mut places, evicted) = places(2);
        places.take(Pulse::new(), pending());
        places.take(Pulse::new(), tokio::time::sleep(QUIET / 4));
        let begun = Instant::now();
        places.free().await;
        assert_eq!((begun.elapsed(), evicted.get()), (QUIET / 4, 0));
    }
}
