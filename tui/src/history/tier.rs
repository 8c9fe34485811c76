//! The ring buffers: the last minute by the second, the last 15 minutes by ten seconds.

use std::collections::VecDeque;
use std::time::Duration;

use super::Cell;

/// What one agent has told in the last 15 minutes.
///
/// Each reading is added to both rings, so that short windows are sharp and long ones cheap: at most 60 + 90
/// cells, whatever the time that the program runs.
#[derive(Clone, Debug, PartialEq)]
pub struct History {
    seconds: Ring,
    tens: Ring,
}

/// Which of the two rings to read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Resolution {
    /// Cells of 1 s, for the last 60 s.
    Second,
    /// Cells of 10 s, for the last 15 minutes.
    TenSeconds,
}

impl Resolution {
    /// Length of one cell.
    pub const fn step(self) -> Duration {
        match self {
            Self::Second => Duration::from_secs(1),
            Self::TenSeconds => Duration::from_secs(10),
        }
    }

    /// Number of cells kept.
    pub const fn keep(self) -> u64 {
        match self {
            Self::Second => 60,
            Self::TenSeconds => 90,
        }
    }

    /// The cell that a moment lies in, counted from the start of the program.
    pub const fn slot(self, now: Duration) -> u64 {
        now.as_secs() / self.step().as_secs()
    }
}

#[derive(Clone, Debug, PartialEq)]
struct Ring {
    resolution: Resolution,
    /// (slot, cell), oldest first.
    cells: VecDeque<(u64, Cell)>,
}

impl Ring {
    const fn new(resolution: Resolution) -> Self {
        Self { resolution, cells: VecDeque::new() }
    }

    /// `now` never goes back.
    fn add(&mut self, now: Duration, cell: &Cell) {
        let slot = self.resolution.slot(now);
        match self.cells.back_mut() {
            Some((newest, there)) if *newest >= slot => there.merge(cell),
            _ => self.cells.push_back((slot, cell.clone())),
        }
        while self.cells.front().is_some_and(|(oldest, _)| oldest + self.resolution.keep() <= slot) {
            self.cells.pop_front();
        }
    }
}

impl Default for History {
    fn default() -> Self {
        Self { seconds: Ring::new(Resolution::Second), tens: Ring::new(Resolution::TenSeconds) }
    }
}

impl History {
    /// Adds what one reading said, at the time `now` since the start of the program.
    pub fn add(&mut self, now: Duration, cell: &Cell) {
        self.seconds.add(now, cell);
        self.tens.add(now, cell);
    }

    /// The last `count` cells up to `now`, as (age in cells, cell), oldest first; moments without a reading have
    /// no cell.
    pub fn last(
        &self,
        resolution: Resolution,
        count: u64,
        now: Duration,
    ) -> impl Iterator<Item = (u64, &Cell)> {
        let ring = match resolution {
            Resolution::Second => &self.seconds,
            Resolution::TenSeconds => &self.tens,
        };
        let slot = resolution.slot(now);
        ring.cells
            .iter()
            .map(move |(at, cell)| (slot.saturating_sub(*at), cell))
            .filter(move |(age, _)| *age < count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cell(covered_ms: u64) -> Cell {
        Cell { covered_ms, ..Cell::default() }
    }

    fn covered(history: &History, resolution: Resolution, count: u64, now: u64) -> u64 {
        history.last(resolution, count, Duration::from_secs(now)).map(|(_, cell)| cell.covered_ms).sum()
    }

    #[test]
    fn a_window_holds_what_came_within_it() {
        let mut history = History::default();
        (0..=1000).for_each(|s| history.add(Duration::from_secs(s), &cell(1)));
        assert_eq!(covered(&history, Resolution::Second, 10, 1000), 10);
        assert_eq!(covered(&history, Resolution::Second, 60, 1000), 60);
        assert_eq!(covered(&history, Resolution::TenSeconds, 90, 1000), 891, "89 whole cells and one of 1 s");
        assert_eq!(covered(&history, Resolution::Second, 10, 1005), 5, "silence empties the window");
        assert_eq!(covered(&history, Resolution::Second, 10, 2000), 0);
    }

    #[test]
    fn memory_is_bounded_however_long_it_runs() {
        let mut history = History::default();
        (0..100_000).for_each(|s| history.add(Duration::from_secs(s), &cell(1)));
        assert_eq!(history.seconds.cells.len(), 60);
        assert_eq!(history.tens.cells.len(), 90);
    }

    #[test]
    fn readings_of_one_second_share_a_cell() {
        let mut history = History::default();
        history.add(Duration::from_millis(5_100), &cell(1000));
        history.add(Duration::from_millis(5_900), &cell(1000));
        let cells: Vec<_> = history.last(Resolution::Second, 60, Duration::from_secs(5)).collect();
        assert_eq!(cells, [(0, &cell(2000))]);
    }
}
