//! Whether a connection may have become readable since it was last found empty, without asking the runtime.
//!
//! hyper looks for bytes some ten times per request; all but two of these find none. The runtime's answer to each takes
//! a lock and registers the task's waker again. An [`Alarm`] is a waker of our own that is registered once and
//! remembers whether it went off: until then, the answer is known.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Wake, Waker};

/// The alarm of one connection.
#[derive(Debug, Default)]
pub(super) struct Alarm {
    bell: Option<Bell>,
}

#[derive(Debug)]
struct Bell {
    state: Arc<State>,
    waker: Waker,
}

#[derive(Debug)]
struct State {
    /// Set when the alarm has gone off, and while it is not known to be registered.
    rung: AtomicBool,
    task: Waker,
}

impl Wake for State {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.rung.store(true, Ordering::Release);
        self.task.wake_by_ref();
    }
}

impl Alarm {
    /// Does what `attempt` does, unless it is known to find nothing. `attempt` has to register the waker that it is
    /// given when it returns [`Poll::Pending`].
    pub(super) fn poll<T>(
        &mut self,
        cx: &mut Context<'_>,
        attempt: impl FnOnce(&mut Context<'_>) -> Poll<T>,
    ) -> Poll<T> {
        self.bell.take_if(|bell| !bell.state.task.will_wake(cx.waker()));
        let bell = self.bell.get_or_insert_with(|| Bell::new(cx.waker().clone()));
        if !bell.state.rung.load(Ordering::Acquire) {
            return Poll::Pending;
        }
        // Before the attempt, so that going off during it is not missed.
        bell.state.rung.store(false, Ordering::Release);
        let result = attempt(&mut Context::from_waker(&bell.waker));
        if result.is_ready() {
            bell.state.rung.store(true, Ordering::Release);
        }
        result
    }
}

impl Bell {
    fn new(task: Waker) -> Self {
        let state = Arc::new(State { rung: AtomicBool::new(true), task });
        Self { waker: state.clone().into(), state }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::{Cell, RefCell};
    use std::sync::atomic::AtomicUsize;

    #[derive(Default)]
    struct Count(AtomicUsize);

    impl Wake for Count {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Something that counts how often it was asked and keeps the waker that it was asked with.
    #[derive(Default)]
    struct Source {
        asked: Cell<u32>,
        ready: Cell<bool>,
        waker: RefCell<Option<Waker>>,
    }

    impl Source {
        fn poll(&self, cx: &mut Context<'_>) -> Poll<()> {
            self.asked.set(self.asked.get() + 1);
            *self.waker.borrow_mut() = Some(cx.waker().clone());
            if self.ready.get() { Poll::Ready(()) } else { Poll::Pending }
        }

        fn wake(&self) {
            self.waker.borrow().as_ref().unwrap().wake_by_ref();
        }
    }

    #[test]
    fn an_empty_source_is_asked_once_until_it_wakes() {
        let (mut alarm, source, count) = (Alarm::default(), Source::default(), Arc::new(Count::default()));
        let waker = Waker::from(count.clone());
        let mut cx = Context::from_waker(&waker);
        for _ in 0..3 {
            assert!(alarm.poll(&mut cx, |cx| source.poll(cx)).is_pending());
        }
        assert_eq!(source.asked.get(), 1);
        source.ready.set(true);
        source.wake();
        assert_eq!(count.0.load(Ordering::Relaxed), 1);
        for asked in 2..4 {
            assert!(alarm.poll(&mut cx, |cx| source.poll(cx)).is_ready());
            assert_eq!(source.asked.get(), asked);
        }
    }

    #[test]
    fn another_task_is_woken_once_it_has_asked() {
        let (mut alarm, source) = (Alarm::default(), Source::default());
        let counts: [Arc<Count>; 2] = Default::default();
        for count in &counts {
            let waker = Waker::from(count.clone());
            assert!(alarm.poll(&mut Context::from_waker(&waker), |cx| source.poll(cx)).is_pending());
        }
        source.wake();
        assert_eq!(counts.each_ref().map(|c| c.0.load(Ordering::Relaxed)), [0, 1]);
    }
}
