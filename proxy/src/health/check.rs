//! Active checks: what they ask, and when what they hear changes an endpoint's standing. A pure decision.

use std::time::Duration;

use http::uri::PathAndQuery;

/// How endpoints are checked.
#[derive(Clone, Debug, PartialEq)]
pub struct CheckConfig {
    /// What is asked for, by GET.
    pub path: PathAndQuery,
    /// From one check to the next.
    pub interval: Duration,
    /// How long one may take.
    pub timeout: Duration,
    /// Successes in a row that bring an endpoint back in.
    pub rise: u32,
    /// Failures in a row that take it out.
    pub fall: u32,
}

/// What the checks of one endpoint have said so far.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Standing {
    serves: bool,
    /// Checks in a row that said the opposite.
    against: u32,
}

impl Default for Standing {
    /// In, until checks say otherwise: a proxy that starts has nobody to ask first.
    fn default() -> Self {
        Self { serves: true, against: 0 }
    }
}

impl Standing {
    /// Takes note of one check; whether the endpoint serves, if that has changed.
    pub fn heard(&mut self, passed: bool, config: &CheckConfig) -> Option<bool> {
        if passed == self.serves {
            self.against = 0;
            return None;
        }
        self.against += 1;
        let needed = if passed { config.rise } else { config.fall };
        if self.against < needed {
            return None;
        }
        *self = Self { serves: passed, against: 0 };
        Some(passed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_takes_some_checks_in_a_row_to_change_the_standing() {
        let config = CheckConfig {
            path: PathAndQuery::from_static("/"),
            interval: Duration::from_secs(5),
            timeout: Duration::from_secs(2),
            rise: 2,
            fall: 3,
        };
        let mut standing = Standing::default();
        let heard: Vec<_> = "++--+---+-++-"
            .chars()
            .map(|check| match standing.heard(check == '+', &config) {
                None => '.',
                Some(true) => 'I',
                Some(false) => 'O',
            })
            .collect();
        assert_eq!(heard.iter().collect::<String>(), ".......O...I.");
    }
}
