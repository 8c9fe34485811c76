//! What libFuzzer says of its progress, in two numbers.

use std::fmt;

/// How far a run came.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Progress {
    executions: u64,
    /// Edges covered by the inputs that were there before.
    covered_before: Option<u64>,
    covered: u64,
    slowest_seconds: u64,
}

impl Progress {
    /// Takes in one line of output. False when it says something else, which somebody should read.
    pub(super) fn take(&mut self, line: &str) -> bool {
        let mut words = line.split_whitespace();
        match words.next() {
            // `#24  INITED cov: 969 ft: 2837 corp: 23/2710b exec/s: 0 rss: 43Mb`
            Some("######") => true,
            Some(number) if number.starts_with('#') => {
                let mut words = words.skip_while(|&word| word != "cov:").skip(1);
                let Some(covered) = words.next().and_then(|n| n.parse().ok()) else { return false };
                self.covered_before.get_or_insert(covered);
                self.covered = self.covered.max(covered);
                true
            }
            Some("stat::number_of_executed_units:") => set(&mut self.executions, words.next()),
            Some("stat::slowest_unit_time_sec:") => set(&mut self.slowest_seconds, words.next()),
            // Among them the dictionary that it recommends: `"\x00" # Uses: 55`.
            Some(word) => ["stat::", "NEW_FUNC[", "INFO:", "Done", "\""].iter().any(|p| word.starts_with(p)),
            None => true,
        }
    }
}

fn set(into: &mut u64, word: Option<&str>) -> bool {
    let number = word.and_then(|word| word.parse().ok());
    *into = number.unwrap_or(*into);
    number.is_some()
}

impl fmt::Display for Progress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let new = self.covered - self.covered_before.unwrap_or(self.covered);
        write!(
            f,
            "{} executions, {} edges covered, {new} of them new; slowest input: {} s",
            self.executions, self.covered, self.slowest_seconds
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn progress_is_counted_and_everything_else_is_for_people() {
        let mut progress = Progress::default();
        let quiet = [
            "#24\tINITED cov: 969 ft: 2837 corp: 23/2710b exec/s: 0 rss: 43Mb",
            "\tNEW_FUNC[1/1]: 0x55 in step /src/machine.rs:20",
            "#331\tNEW    cov: 980 ft: 2840 corp: 24/2711b lim: 4 exec/s: 0 rss: 43Mb L: 4/9 MS: 1 EraseBytes-",
            "#9000\tDONE   cov: 980 ft: 2840 corp: 24/2711b lim: 4 exec/s: 0 rss: 43Mb",
            "stat::number_of_executed_units: 9000",
            "stat::slowest_unit_time_sec:    2",
            "stat::peak_rss_mb:              162",
            "###### Recommended dictionary. ######",
            "\"\\000\" # Uses: 55",
            "INFO: seed corpus: files: 12 min: 2b max: 41b total: 245b rss: 55Mb",
        ];
        for line in quiet {
            assert!(progress.take(line), "{line}");
        }
        for line in [
            "thread '<unnamed>' panicked at bodies/http1.rs:102:5:",
            "    #0 0x5581 in step /src/machine.rs:20:5",
            "error: could not compile",
        ] {
            assert!(!progress.take(line), "{line}");
        }
        assert_eq!(
            progress.to_string(),
            "9000 executions, 980 edges covered, 11 of them new; slowest input: 2 s"
        );
    }

    #[test]
    fn a_run_that_says_nothing_has_done_nothing() {
        assert_eq!(
            Progress::default().to_string(),
            "0 executions, 0 edges covered, 0 of them new; slowest input: 0 s"
        );
    }
}
