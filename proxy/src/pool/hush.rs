//! Keeps the task of a connection to an origin asleep when it would be woken for nothing.
//!
//! Taking a piece out of hyper's body wakes the task that may put the next one in. When it was the last piece, that
//! task finds nothing to do: one of the three times that it runs for each request. [`Hush`] is the waker that it is run
//! with; whoever takes the piece holds it back for as long, and lets it through only when more is to come.

use std::future::poll_fn;
use std::pin::pin;
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Arc, OnceLock};
use std::task::{Context, Wake, Waker};

/// Wakes at once.
const OPEN: u8 = 0;
/// Takes note only.
const HELD: u8 = 1;
/// Has taken note.
const NOTED: u8 = 2;

/// What wakes the task of one connection.
#[derive(Debug, Default)]
pub struct Hush {
    state: AtomicU8,
    task: OnceLock<Waker>,
}

impl Wake for Hush {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        if self.state.load(Ordering::Acquire) == OPEN {
            self.ring();
        } else {
            self.state.store(NOTED, Ordering::Release);
        }
    }
}

impl Hush {
    /// Runs `connection` with this as its waker, in the one task that it wakes.
    pub async fn run<F: Future>(self: Arc<Self>, connection: F) -> F::Output {
        let waker = Waker::from(self.clone());
        let mut connection = pin!(connection);
        poll_fn(|cx| {
            self.task.get_or_init(|| cx.waker().clone());
            connection.as_mut().poll(&mut Context::from_waker(&waker))
        })
        .await
    }

    /// Holds wake-ups back until [`Hush::release`].
    pub fn hold(&self) {
        self.state.store(HELD, Ordering::Release);
    }

    /// Lets wake-ups through again; one that was held back comes now if it is still `wanted`.
    pub fn release(&self, wanted: bool) {
        if self.state.swap(OPEN, Ordering::AcqRel) == NOTED && wanted {
            self.ring();
        }
    }

    fn ring(&self) {
        if let Some(task) = self.task.get() {
            task.wake_by_ref();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::Cell;
    use std::rc::Rc;
    use std::task::Poll;

    #[tokio::test]
    async fn a_wake_up_that_was_held_back_comes_if_it_is_still_wanted() {
        let hush = Arc::new(Hush::default());
        let waker = Waker::from(hush.clone());
        let runs = Rc::new(Cell::new(0));
        let counting = {
            let runs = runs.clone();
            poll_fn(move |_| {
                runs.set(runs.get() + 1);
                Poll::<()>::Pending
            })
        };
        let local = tokio::task::LocalSet::new();
        local.spawn_local(hush.clone().run(counting));
        local
            .run_until(async {
                tokio::task::yield_now().await;
                assert_eq!(runs.get(), 1);
                for (wanted, expect) in [(true, 2), (false, 2), (true, 3)] {
                    hush.hold();
                    waker.wake_by_ref();
                    tokio::task::yield_now().await;
                    hush.release(wanted);
                    tokio::task::yield_now().await;
                    assert_eq!(runs.get(), expect);
                }
                waker.wake_by_ref();
                tokio::task::yield_now().await;
                assert_eq!(runs.get(), 4);
                hush.hold();
                hush.release(true);
                tokio::task::yield_now().await;
                assert_eq!(runs.get(), 4, "nothing was held back");
            })
            .await;
    }
}
