//! The shape of `[[routes]]`, and of what may be said of hedging there and in `[retry]`.

use std::time::Duration;

use http::Method;
use serde::Deserialize;

use super::file::Tries;
use super::units::{Period, PositivePeriod, Size};
use crate::route::{HedgePolicy, Overrides, Pattern, Priority, RepeatRule, Rule};

/// One `[[routes]]`: what differs for these methods and paths.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Route {
    /// `match = "/patients/{id}/notes"`.
    #[serde(rename = "match")]
    pub pattern: Pattern,
    /// `methods = ["POST", "PUT"]`; absent means all.
    pub methods: Option<Methods>,
    /// Tries in all, 1 to 20.
    pub tries: Option<Tries>,
    /// Time for all tries together.
    pub deadline: Option<PositivePeriod>,
    /// Longest time for one try.
    pub try_timeout: Option<PositivePeriod>,
    /// When a slow try gets a second one beside it.
    pub hedge: Option<Hedge>,
    /// Least time before that.
    pub hedge_floor: Option<Period>,
    /// Most of a request's body that is held for a further try.
    pub replay: Option<Size>,
    /// Who goes first when not all can be served.
    pub priority: Option<Priority>,
    /// Which requests may be sent more than once.
    pub repeat: Option<RepeatRule>,
}

impl Route {
    /// The rule that this is, over the `general` hedging.
    pub fn into_rule(self, general: Option<HedgePolicy>) -> Rule {
        let hedge = match (self.hedge, self.hedge_floor) {
            (None, None) => None,
            (quantile, floor) => Some(hedging(quantile, floor, general)),
        };
        let given = Overrides {
            tries: self.tries.map(|t| t.0),
            deadline: self.deadline.map(|p| p.0),
            try_timeout: self.try_timeout.map(|p| p.0),
            hedge,
            replay: self.replay.map(|s| s.0 as usize),
            priority: self.priority,
            repeat: self.repeat,
        };
        Rule { pattern: self.pattern, methods: self.methods.map_or_else(Vec::new, |m| m.0), given }
    }
}

/// What `hedge` and `hedge_floor` make together, over the `general` hedging.
pub fn hedging(
    hedge: Option<Hedge>,
    floor: Option<Period>,
    general: Option<HedgePolicy>,
) -> Option<HedgePolicy> {
    let quantile = match hedge {
        Some(Hedge::Off) => return None,
        Some(Hedge::Slower(quantile)) => quantile,
        None => general?.quantile,
    };
    let floor = floor.map(|p| p.0).or(general.map(|g| g.floor)).unwrap_or(HEDGE_FLOOR);
    Some(HedgePolicy { quantile, floor })
}

/// Answers that come sooner than this are not worth a second try.
const HEDGE_FLOOR: Duration = Duration::from_millis(100);

/// What hedging is when nothing is said of it.
pub const HEDGE: HedgePolicy = HedgePolicy { quantile: 0.95, floor: HEDGE_FLOOR };

/// `hedge = "p95"` or `hedge = "off"`.
#[derive(Clone, Copy, Debug, PartialEq, Deserialize)]
#[serde(try_from = "String")]
pub enum Hedge {
    /// Never.
    Off,
    /// Tries that are slower than this share of those observed.
    Slower(f64),
}

/// Why a text says nothing of hedging.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}`: write the percentile from which tries are slow, \"p50\" to \"p99.9\", or \"off\"")]
pub struct HedgeError(String);

impl TryFrom<String> for Hedge {
    type Error = HedgeError;

    fn try_from(text: String) -> Result<Self, HedgeError> {
        if text == "off" {
            return Ok(Self::Off);
        }
        let percent = text.strip_prefix('p').and_then(|number| number.parse::<f64>().ok());
        match percent {
            Some(percent) if (50.0..=99.9).contains(&percent) => Ok(Self::Slower(percent / 100.0)),
            _ => Err(HedgeError(text)),
        }
    }
}

/// Methods of a route, at least one.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "Vec<String>")]
pub struct Methods(pub Vec<Method>);

/// Why a list is none of methods.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MethodsError {
    /// Nothing in it.
    #[error("no method: name at least one, or leave `methods` out for all of them")]
    Empty,
    /// Not a method. They are case-sensitive, and nobody means `get`.
    #[error("{0:?} is no method: write for example \"GET\" or \"POST\", in capitals")]
    NoMethod(String),
}

impl TryFrom<Vec<String>> for Methods {
    type Error = MethodsError;

    fn try_from(texts: Vec<String>) -> Result<Self, MethodsError> {
        if texts.is_empty() {
            return Err(MethodsError::Empty);
        }
        let method = |text: String| match Method::from_bytes(text.as_bytes()) {
            Ok(method) if !text.bytes().any(|b| b.is_ascii_lowercase()) => Ok(method),
            _ => Err(MethodsError::NoMethod(text)),
        };
        texts.into_iter().map(method).collect::<Result<_, _>>().map(Self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_route_says_of_hedging_what_differs() {
        let general = Some(HedgePolicy { quantile: 0.9, floor: Duration::from_secs(1) });
        let check = |toml: &str, general, expect: Option<Option<(f64, u64)>>| {
            let route: Route = toml::from_str(&format!("match = '/'\n{toml}")).unwrap();
            let got = route.into_rule(general).given.hedge;
            let got = got.map(|h| h.map(|h| (h.quantile, h.floor.as_millis() as u64)));
            assert_eq!(got, expect, "{toml} over {general:?}");
        };
        check("", general, None);
        check("hedge = 'off'", general, Some(None));
        check("hedge = 'p99'", general, Some(Some((0.99, 1000))));
        check("hedge_floor = '2s'", general, Some(Some((0.9, 2000))));
        check("hedge_floor = '2s'", None, Some(None));
        check("hedge = 'p50'", None, Some(Some((0.5, 100))));
        check("hedge = 'off'\nhedge_floor = '2s'", general, Some(None));
    }

    #[test]
    fn what_means_nothing_is_refused() {
        let check = |toml: &str, part: &str| {
            let error = toml::from_str::<Route>(toml).unwrap_err();
            assert!(error.message().contains(part), "{toml}: {error}");
        };
        check("tries = 2", "missing field `match`");
        check("match = '/'\nmethods = []", "at least one");
        check("match = '/'\nmethods = ['get']", "in capitals");
        check("match = '/'\nmethods = ['GET POST']", "is no method");
        check("match = '/'\nhedge = 'p20'", "\"p50\" to \"p99.9\"");
        check("match = '/'\nhedge = '95'", "\"p50\" to \"p99.9\"");
        check("match = '/'\npriority = 'urgent'", "unknown variant `urgent`");
        check("match = '/'\nrepeat = 'often'", "unknown variant `often`");
        check("match = '/'\ntrys = 2", "unknown field `trys`");
    }
}
