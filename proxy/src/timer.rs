//! A timer that costs nothing per request: it is re-armed only when it fires too early.
//!
//! A deadline is set for each request and almost never reached. Registering and cancelling one with the
//! runtime costs more than looking at a cached deadline, so one [`LazySleep`] lives as long as its client
//! connection. While deadlines only move forward (the usual case) it stays armed for an old one; when it
//! fires, it compares the clock with the deadline that counts now and re-arms itself for the rest.

use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};
use std::time::Duration;

use hyper::rt::{Sleep, Timer};
use tokio::time::Instant;

/// A reusable timer whose deadline is given at each poll.
#[derive(Debug)]
pub struct LazySleep {
    inner: Pin<Box<tokio::time::Sleep>>,
}

impl LazySleep {
    /// A timer that is first armed for `deadline`.
    pub fn new(deadline: Instant) -> Self {
        Self { inner: Box::pin(tokio::time::sleep_until(deadline)) }
    }

    /// Ready once `deadline` has passed. The task is woken at `deadline`, or earlier for nothing.
    pub fn poll_until(&mut self, cx: &mut Context<'_>, deadline: Instant) -> Poll<()> {
        loop {
            if self.inner.is_elapsed() || self.inner.deadline() > deadline {
                self.inner.as_mut().reset(deadline);
            }
            std::task::ready!(self.inner.as_mut().poll(cx));
            if Instant::now() >= deadline {
                return Poll::Ready(());
            }
        }
    }
}

/// hyper's timer for one client connection: all its sleeps share one [`LazySleep`].
///
/// hyper makes and drops a sleep for every request head that it waits for.
#[derive(Clone, Debug)]
pub struct ConnectionTimer {
    shared: Arc<Mutex<LazySleep>>,
}

impl ConnectionTimer {
    /// A timer first armed `period` from now.
    pub fn new(period: Duration) -> Self {
        Self { shared: Arc::new(Mutex::new(LazySleep::new(Instant::now() + period))) }
    }
}

impl Timer for ConnectionTimer {
    fn sleep(&self, duration: Duration) -> Pin<Box<dyn Sleep>> {
        self.sleep_until((Instant::now() + duration).into_std())
    }

    fn sleep_until(&self, deadline: std::time::Instant) -> Pin<Box<dyn Sleep>> {
        Box::pin(SharedSleep { shared: self.shared.clone(), deadline: Instant::from_std(deadline) })
    }

    fn now(&self) -> std::time::Instant {
        Instant::now().into_std()
    }
}

struct SharedSleep {
    shared: Arc<Mutex<LazySleep>>,
    deadline: Instant,
}

impl Sleep for SharedSleep {}

impl Future for SharedSleep {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let mut sleep = self.shared.lock().expect("no holder of this lock panics");
        sleep.poll_until(cx, self.deadline)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::future::poll_fn;

    #[tokio::test(start_paused = true)]
    async fn a_later_deadline_is_kept_although_the_timer_was_armed_for_an_earlier_one() {
        let start = Instant::now();
        let mut sleep = LazySleep::new(start + Duration::from_secs(1));
        let deadline = start + Duration::from_secs(5);
        poll_fn(|cx| sleep.poll_until(cx, deadline)).await;
        assert!(Instant::now() >= deadline);
    }

    #[tokio::test(start_paused = true)]
    async fn an_earlier_deadline_is_kept_too_and_the_timer_can_be_used_again() {
        let start = Instant::now();
        let mut sleep = LazySleep::new(start + Duration::from_secs(60));
        for seconds in [2, 1, 3] {
            let from = Instant::now();
            poll_fn(|cx| sleep.poll_until(cx, from + Duration::from_secs(seconds))).await;
            assert!(from.elapsed() < Duration::from_secs(seconds + 1));
        }
    }
}
