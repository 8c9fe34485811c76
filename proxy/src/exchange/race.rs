//! The tries of one request that are under way at the same time, and when the next one begins: whatever happens first
//! is told.

use std::cell::{Cell, RefCell};
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::time::Instant;

use crate::timer::LazySleep;

/// What happened.
#[derive(Debug)]
pub(super) enum Event<T> {
    /// A try ended.
    Ended(T),
    /// It is time for a try beside those under way.
    Hedge,
    /// It is time to try again, on a new connection if it is so.
    Retry(bool),
}

/// All tries under way but the first, which lies with its owner.
#[derive(Debug)]
pub(super) struct Race<F> {
    /// Rarely any: an empty list takes no memory.
    beside: Vec<Pin<Box<F>>>,
    /// When to try again, and whether on a new connection.
    retry: Option<(Instant, bool)>,
}

impl<F: Future> Race<F> {
    /// No tries but the first.
    pub(super) fn new() -> Self {
        Self { beside: Vec::new(), retry: None }
    }

    /// Adds a try.
    pub(super) fn beside(&mut self, attempt: F) {
        self.beside.push(Box::pin(attempt));
    }

    /// Tells of [`Event::Retry`] at this time.
    pub(super) fn retry_at(&mut self, at: Instant, fresh: bool) {
        self.retry = Some((at, fresh));
    }

    /// Whether a retry is about to begin.
    pub(super) fn retries(&self) -> bool {
        self.retry.is_some()
    }

    /// Tries under way.
    pub(super) fn under_way(&self, first: &Option<F>) -> usize {
        usize::from(first.is_some()) + self.beside.len()
    }

    /// Whether something is still to come.
    pub(super) fn goes_on(&self, first: &Option<F>) -> bool {
        self.under_way(first) > 0 || self.retries()
    }

    /// What happens first. A try that has ended is gone; `hedge_at` may be set by the tries themselves.
    pub(super) fn poll(
        &mut self,
        cx: &mut Context<'_>,
        mut first: Pin<&mut Option<F>>,
        hedge_at: &Cell<Option<Instant>>,
        timer: &RefCell<LazySleep>,
    ) -> Poll<Event<F::Output>> {
        if let Some(attempt) = first.as_mut().as_pin_mut()
            && let Poll::Ready(result) = attempt.poll(cx)
        {
            first.set(None);
            return Poll::Ready(Event::Ended(result));
        }
        for n in 0..self.beside.len() {
            if let Poll::Ready(result) = self.beside[n].as_mut().poll(cx) {
                drop(self.beside.swap_remove(n));
                return Poll::Ready(Event::Ended(result));
            }
        }
        let mut due = |at: Instant| timer.borrow_mut().poll_until(cx, at).is_ready();
        if let Some((_, fresh)) = self.retry.take_if(|(at, _)| due(*at)) {
            return Poll::Ready(Event::Retry(fresh));
        }
        match hedge_at.get() {
            Some(at) if due(at) => Poll::Ready(Event::Hedge),
            _ => Poll::Pending,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::future::poll_fn;
    use std::pin::pin;
    use std::time::Duration;

    /// A try that takes this long, in seconds, and then tells who it was.
    async fn attempt(name: &'static str, seconds: u64) -> &'static str {
        tokio::time::sleep(Duration::from_secs(seconds)).await;
        name
    }

    #[tokio::test(start_paused = true)]
    async fn whatever_happens_first_is_told_and_the_others_go_on() {
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        let timer = RefCell::new(LazySleep::new(at(60)));
        let hedge_at = Cell::new(Some(at(2)));
        let mut first = pin!(Some(attempt("first", 9)));
        let mut race = Race::new();
        let mut told = Vec::new();
        while race.goes_on(&first) {
            let event = poll_fn(|cx| race.poll(cx, first.as_mut(), &hedge_at, &timer)).await;
            let what = match event {
                Event::Ended(name) => name,
                Event::Hedge => {
                    hedge_at.set(None);
                    race.beside(attempt("hedge", 3));
                    race.retry_at(at(4), false);
                    "hedging"
                }
                Event::Retry(_) => {
                    race.beside(attempt("retry", 20));
                    "retrying"
                }
            };
            told.push((start.elapsed().as_secs(), what, race.under_way(&first)));
        }
        let expect =
            [(2, "hedging", 2), (4, "retrying", 3), (5, "hedge", 2), (9, "first", 1), (24, "retry", 0)];
        assert_eq!(told, expect);
    }
}
