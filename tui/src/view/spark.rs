//! Sparklines: one character per column, one column for one or more points.

use super::look::Look;

const BLOCKS: [char; 9] = [' ', '▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];
const ASCII: [char; 9] = [' ', '.', ':', '-', '=', '+', '*', '#', '@'];

impl Look {
    /// A line of at most `width` characters. Each value lies from 0 to 1, `None` where nothing is known; of
    /// several values in one column the highest is shown. A value above 0 is never blank.
    pub(super) fn spark(self, values: &[Option<f64>], width: usize) -> String {
        let glyphs = if self.ascii { ASCII } else { BLOCKS };
        let columns = width.min(values.len());
        (0..columns)
            .map(|column| {
                let from = column * values.len() / columns;
                let to = ((column + 1) * values.len() / columns).max(from + 1);
                let highest = values[from..to].iter().flatten().copied().fold(0.0, f64::max);
                glyphs[(highest.clamp(0.0, 1.0) * 8.0).ceil() as usize]
            })
            .collect()
    }
}

/// Where a latency lies from just above 0 (`lowest`) to 1 (`highest`), on a logarithmic scale that spans a decade
/// at least, so that noise stays small; all in microseconds.
pub(super) fn log_scale(micros: u32, lowest: u32, highest: u32) -> f64 {
    let log = |n: u32| f64::from(n.max(1)).log10();
    let span = (log(highest) - log(lowest)).max(1.0);
    (1.0 - (log(highest) - log(micros)) / span).clamp(0.05, 1.0)
}

#[cfg(test)]
mod tests {
    use super::super::look::Depth;
    use super::*;

    #[test]
    fn heights_follow_the_values() {
        let look = Look { ascii: false, depth: Depth::None };
        let values = [Some(0.0), Some(0.01), Some(0.5), Some(1.0), None];
        assert_eq!(look.spark(&values, 10), " ▁▄█ ");
        assert_eq!(look.spark(&values, 2), "▁█", "the highest of each column");
        assert_eq!(look.spark(&[], 10), "");
        assert_eq!(Look { ascii: true, ..look }.spark(&values, 10), " .=@ ");
    }

    #[test]
    fn a_decade_is_as_high_as_any_other() {
        let cases = [
            ((1_000, 10, 100_000), 0.5),
            ((100_000, 10, 100_000), 1.0),
            ((10, 10, 100_000), 0.05),
            ((90_000, 90_000, 100_000), 0.954),
            ((0, 0, 0), 1.0),
        ];
        for ((micros, lowest, highest), expect) in cases {
            let got = log_scale(micros, lowest, highest);
            assert!((got - expect).abs() < 1e-3, "{micros} {lowest} {highest}: {got}");
        }
    }
}
