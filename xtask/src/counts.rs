//! Requests by method and final status, as every party to the books reports them.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// Requests that are alike: one method, one final status (0 where there was no answer).
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct Kind {
    /// The method in upper case.
    pub method: String,
    /// The final status; 0 where there was no answer.
    pub status: u16,
}

/// Why a text is no [`Kind`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a method and a status, such as `GET 200`")]
pub struct BadKind(String);

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.method, self.status)
    }
}

impl FromStr for Kind {
    type Err = BadKind;

    fn from_str(text: &str) -> Result<Self, BadKind> {
        let bad = || BadKind(text.to_owned());
        let (method, status) = text.split_once(' ').ok_or_else(bad)?;
        Ok(Self { method: method.to_owned(), status: status.parse().map_err(|_| bad())? })
    }
}

impl From<Kind> for String {
    fn from(kind: Kind) -> Self {
        kind.to_string()
    }
}

impl TryFrom<String> for Kind {
    type Error = BadKind;

    fn try_from(text: String) -> Result<Self, BadKind> {
        text.parse()
    }
}

/// How many requests there were of each [`Kind`]; in JSON `{"GET 200": 17}`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Counts(BTreeMap<Kind, u64>);

impl Counts {
    /// Adds `n` requests of one kind.
    pub fn add(&mut self, method: &str, status: u16, n: u64) {
        if n > 0 {
            *self.0.entry(Kind { method: method.to_owned(), status }).or_default() += n;
        }
    }

    /// How many there were of `kind`.
    pub fn get(&self, kind: &Kind) -> u64 {
        self.0.get(kind).copied().unwrap_or(0)
    }

    /// How many there were in all.
    pub fn total(&self) -> u64 {
        self.0.values().sum()
    }

    /// Every kind that occurred, with its number.
    pub fn iter(&self) -> impl Iterator<Item = (&Kind, u64)> {
        self.0.iter().map(|(kind, &n)| (kind, n))
    }

    /// Sum over the statuses (of any method) for which `wanted` holds.
    pub fn of_status(&self, wanted: impl Fn(u16) -> bool) -> u64 {
        self.iter().filter(|(kind, _)| wanted(kind.status)).map(|(_, n)| n).sum()
    }

    /// The kinds on which two parties disagree: the kind, this count, the other's count.
    pub fn differences<'a>(&'a self, other: &'a Self) -> Vec<(&'a Kind, u64, u64)> {
        let kinds: BTreeSet<&Kind> = self.0.keys().chain(other.0.keys()).collect();
        kinds
            .into_iter()
            .map(|kind| (kind, self.get(kind), other.get(kind)))
            .filter(|(_, mine, theirs)| mine != theirs)
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counts(all: &[(&str, u16, u64)]) -> Counts {
        let mut counts = Counts::default();
        all.iter().for_each(|&(method, status, n)| counts.add(method, status, n));
        counts
    }

    #[test]
    fn counts_travel_as_one_json_object_and_come_back_equal() {
        let sent = counts(&[("GET", 200, 17), ("POST", 0, 2), ("GET", 200, 1)]);
        let json = serde_json::to_string(&sent).unwrap();
        assert_eq!(json, r#"{"GET 200":18,"POST 0":2}"#);
        assert_eq!(serde_json::from_str::<Counts>(&json).unwrap(), sent);
    }

    #[test]
    fn a_key_without_a_status_is_refused() {
        for json in [r#"{"GET":1}"#, r#"{"GET x":1}"#, r#"{"GET 70000":1}"#] {
            assert!(serde_json::from_str::<Counts>(json).is_err(), "{json}");
        }
    }

    #[test]
    fn only_the_kinds_that_disagree_are_told() {
        let (a, b) =
            (counts(&[("GET", 200, 5), ("GET", 502, 1)]), counts(&[("GET", 200, 5), ("POST", 201, 1)]));
        let told: Vec<String> = a.differences(&b).iter().map(|(k, x, y)| format!("{k}: {x} {y}")).collect();
        assert_eq!(told, ["GET 502: 1 0", "POST 201: 0 1"]);
        assert!(a.differences(&a.clone()).is_empty());
    }

    #[test]
    fn a_class_is_summed_over_all_methods() {
        let all = counts(&[("GET", 502, 3), ("POST", 503, 4), ("GET", 200, 9)]);
        assert_eq!(all.of_status(|s| s >= 500), 7);
        assert_eq!(all.total(), 16);
    }
}
