//! Where requests wait for room at an origin: few, not for long, and the important ones first.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::sync::oneshot;

use crate::route::Priority;

/// Kinds of priority.
const LANES: usize = Priority::Critical as usize + 1;

/// No place is left for a request of this priority.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Full;

/// Those who wait, over all workers.
#[derive(Debug)]
pub struct Queue {
    size: usize,
    /// How many are in the lanes; kept apart, so that whoever makes room sees without a lock that nobody waits.
    waiting: AtomicUsize,
    line: Mutex<Line>,
}

#[derive(Debug, Default)]
struct Line {
    lanes: [VecDeque<Waiter>; LANES],
    /// The number of the next who joins.
    next: u64,
}

impl Line {
    fn len(&self) -> usize {
        self.lanes.iter().map(VecDeque::len).sum()
    }
}

#[derive(Debug)]
struct Waiter {
    number: u64,
    tell: oneshot::Sender<Told>,
}

/// What ends a wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Told {
    /// There may be room.
    Go,
    /// The place was needed for a more important request.
    Shed,
}

/// A place in the queue, given up when dropped.
#[derive(Debug)]
pub struct Ticket<'a> {
    queue: &'a Queue,
    lane: usize,
    number: u64,
    told: Option<oneshot::Receiver<Told>>,
}

impl Queue {
    /// A queue with places for `size` requests.
    pub fn new(size: usize) -> Self {
        Self { size, waiting: AtomicUsize::new(0), line: Mutex::default() }
    }

    /// How many wait.
    pub fn waiting(&self) -> usize {
        self.waiting.load(SeqCst)
    }

    /// Joins the queue behind those of the same priority. Where all places are taken, the last of the least important
    /// ones loses its place to a more important one. Whoever joins has to look once more for room before it waits:
    /// what came free in between was nobody's to tell.
    pub fn join(&self, priority: Priority) -> Result<Ticket<'_>, Full> {
        // The first lane is that of the most important ones.
        let lane = Priority::Critical as usize - priority as usize;
        let mut line = self.lock();
        if line.len() >= self.size {
            let last = (lane + 1..LANES).rev().find_map(|less| line.lanes[less].pop_back());
            // Somebody who has just given up needs not be told.
            let _ = last.ok_or(Full)?.tell.send(Told::Shed);
        }
        let (tell, told) = oneshot::channel();
        let number = line.next;
        line.next += 1;
        line.lanes[lane].push_back(Waiter { number, tell });
        self.note(&line);
        Ok(Ticket { queue: self, lane, number, told: Some(told) })
    }

    /// There is room for one more.
    pub fn wake_one(&self) {
        if self.waiting() > 0 {
            let mut line = self.lock();
            while let Some(waiter) = line.lanes.iter_mut().find_map(VecDeque::pop_front) {
                if waiter.tell.send(Told::Go).is_ok() {
                    break;
                }
            }
            self.note(&line);
        }
    }

    /// Things have changed: all look again.
    pub fn wake_all(&self) {
        if self.waiting() > 0 {
            let mut line = self.lock();
            for waiter in line.lanes.iter_mut().flat_map(|lane| lane.drain(..)) {
                // Who has given up needs not be told.
                let _ = waiter.tell.send(Told::Go);
            }
            self.note(&line);
        }
    }

    fn note(&self, line: &Line) {
        self.waiting.store(line.len(), SeqCst);
    }

    fn lock(&self) -> MutexGuard<'_, Line> {
        self.line.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Ticket<'_> {
    /// Waits to be told.
    pub async fn told(&mut self) -> Told {
        let Some(told) = &mut self.told else { return Told::Go };
        // The queue is borrowed: it cannot go before it has told.
        let told = told.await.unwrap_or(Told::Shed);
        self.told = None;
        told
    }
}

impl Drop for Ticket<'_> {
    fn drop(&mut self) {
        let Some(mut told) = self.told.take() else { return };
        // From here on nobody can tell it any more.
        told.close();
        match told.try_recv() {
            // Told, and gone before it heard: the room is the next one's.
            Ok(Told::Go) => self.queue.wake_one(),
            Ok(Told::Shed) => {}
            Err(_) => {
                let mut line = self.queue.lock();
                let lane = &mut line.lanes[self.lane];
                if let Ok(at) = lane.binary_search_by_key(&self.number, |waiter| waiter.number) {
                    lane.remove(at);
                }
                self.queue.note(&line);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use Priority::{Bulk, Critical, Normal, Write};

    /// Who has been told, by position, and what.
    fn told(tickets: &mut [Ticket<'_>]) -> Vec<Option<Told>> {
        tickets.iter_mut().map(|ticket| ticket.told.as_mut()?.try_recv().ok()).collect()
    }

    #[test]
    fn the_important_ones_go_first_and_equals_in_their_order() {
        let queue = Queue::new(10);
        let mut tickets: Vec<_> =
            [Bulk, Normal, Write, Normal, Critical].map(|priority| queue.join(priority).unwrap()).into();
        let order: Vec<usize> = (0..5)
            .map(|_| {
                queue.wake_one();
                told(&mut tickets).iter().position(|told| *told == Some(Told::Go)).unwrap()
            })
            .collect();
        assert_eq!(order, [4, 2, 1, 3, 0]);
        assert_eq!(queue.waiting(), 0);
    }

    #[test]
    fn when_it_is_full_the_least_important_loses_its_place_to_a_more_important_one() {
        let queue = Queue::new(3);
        let mut tickets: Vec<_> = [Normal, Bulk, Bulk].map(|priority| queue.join(priority).unwrap()).into();
        assert!(queue.join(Bulk).is_err());
        let _normal = queue.join(Normal).unwrap();
        assert_eq!(told(&mut tickets), [None, None, Some(Told::Shed)]);
        let _write = queue.join(Write).unwrap();
        assert_eq!(told(&mut tickets), [None, Some(Told::Shed), None]);
        assert!(queue.join(Normal).is_err());
        assert_eq!(queue.waiting(), 3);
    }

    #[test]
    fn who_gives_up_leaves_no_trace_and_passes_on_what_it_was_told() {
        let queue = Queue::new(3);
        let first = queue.join(Normal).unwrap();
        let second = queue.join(Normal).unwrap();
        let mut third = [queue.join(Normal).unwrap()];
        drop(second);
        assert_eq!(queue.waiting(), 2);
        queue.wake_one();
        drop(first);
        assert_eq!(told(&mut third), [Some(Told::Go)]);
        assert_eq!(queue.waiting(), 0);
    }

    #[tokio::test]
    async fn all_are_told_when_things_have_changed() {
        let queue = Queue::new(3);
        let mut tickets = [queue.join(Normal).unwrap(), queue.join(Bulk).unwrap()];
        queue.wake_all();
        for ticket in &mut tickets {
            assert_eq!(ticket.told().await, Told::Go);
        }
    }

    #[test]
    fn a_queue_without_places_takes_nobody() {
        assert!(Queue::new(0).join(Critical).is_err());
    }
}
