//! A timer that costs nothing per request: it is re-armed only when it fires too early.
//!
//! A deadline is set for each request and almost never reached. Registering and cancelling one with the
//! runtime costs more than looking at a cached deadline, so one [`LazySleep`] lives as long as its client
//! connection. While deadlines only move forward (the usual case) it stays armed for an old one; when it
//! fires, it compares the clock with the deadline that counts now and re-arms itself for the rest.

use std::future::Future;
use std::pin::{Pin, pin};
use std::task::{Context, Poll};

use tokio::task::unconstrained;
use tokio::time::Instant;

/// A reusable timer whose deadline is given at each poll. Only one task may poll it.
#[derive(Debug)]
pub struct LazySleep {
    inner: Pin<Box<tokio::time::Sleep>>,
    /// Whether `inner` has the task's waker, so that it needs no poll before it has elapsed.
    registered: bool,
}

impl LazySleep {
    /// A timer that is first armed for `deadline`.
    pub fn new(deadline: Instant) -> Self {
        Self { inner: Box::pin(tokio::time::sleep_until(deadline)), registered: false }
    }

    /// Ready once `deadline` has passed. The task is woken at `deadline`, or earlier for nothing.
    pub fn poll_until(&mut self, cx: &mut Context<'_>, deadline: Instant) -> Poll<()> {
        loop {
            let elapsed = self.inner.is_elapsed();
            if elapsed || self.inner.deadline() > deadline {
                self.inner.as_mut().reset(deadline);
            } else if self.registered {
                return Poll::Pending;
            }
            // Out of its budget, the task would be told to wait without having been registered.
            self.registered = pin!(unconstrained(self.inner.as_mut())).poll(cx).is_pending();
            if self.registered {
                return Poll::Pending;
            }
            if Instant::now() >= deadline {
                return Poll::Ready(());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::future::poll_fn;
    use std::time::Duration;

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
