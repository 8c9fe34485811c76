//! Durations (`30s`, `1m 30s`) and sizes (`64KiB`, `1MB`, `4096`), as the file and the flags write them.

use std::str::FromStr;
use std::time::Duration;

use serde::Deserialize;

/// Longest duration that makes sense anywhere in the configuration: one day.
const LONGEST: Duration = Duration::from_secs(24 * 60 * 60);

/// A duration, zero to one day.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(try_from = "String")]
pub struct Period(pub Duration);

/// A duration above zero, to one day.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(try_from = "String")]
pub struct PositivePeriod(pub Duration);

/// A number of bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(try_from = "String")]
pub struct Size(pub u64);

/// Why a text is no duration or size.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum UnitError {
    /// Not a duration.
    #[error("`{0}` is not a duration: write for example 250ms, 30s or 2m")]
    Duration(String),
    /// Longer than a day.
    #[error("`{0}` is longer than a day")]
    TooLong(String),
    /// Zero where that means nothing.
    #[error("`{0}`: must be longer than zero")]
    Zero(String),
    /// Not a size.
    #[error("`{0}` is not a size: write for example 4096, 64KiB, 1MiB or 10MB")]
    Size(String),
}

impl FromStr for Period {
    type Err = UnitError;

    fn from_str(text: &str) -> Result<Self, UnitError> {
        let duration = humantime::parse_duration(text).map_err(|_| UnitError::Duration(text.to_owned()))?;
        if duration > LONGEST { Err(UnitError::TooLong(text.to_owned())) } else { Ok(Self(duration)) }
    }
}

impl FromStr for PositivePeriod {
    type Err = UnitError;

    fn from_str(text: &str) -> Result<Self, UnitError> {
        let Period(duration) = text.parse()?;
        if duration.is_zero() { Err(UnitError::Zero(text.to_owned())) } else { Ok(Self(duration)) }
    }
}

impl FromStr for Size {
    type Err = UnitError;

    fn from_str(text: &str) -> Result<Self, UnitError> {
        let error = || UnitError::Size(text.to_owned());
        let digits = text.len() - text.trim_start_matches(|c: char| c.is_ascii_digit()).len();
        let (number, unit) = text.split_at(digits);
        let scale = match unit.trim() {
            "" | "B" => 1,
            "KiB" => 1 << 10,
            "MiB" => 1 << 20,
            "GiB" => 1 << 30,
            "kB" | "KB" => 1_000,
            "MB" => 1_000_000,
            "GB" => 1_000_000_000,
            _ => return Err(error()),
        };
        let number: u64 = number.parse().map_err(|_| error())?;
        number.checked_mul(scale).map(Self).ok_or_else(error)
    }
}

macro_rules! try_from_string {
    ($($name:ty),*) => {$(
        impl TryFrom<String> for $name {
            type Error = UnitError;

            fn try_from(text: String) -> Result<Self, UnitError> {
                text.parse()
            }
        }
    )*};
}
try_from_string!(Period, PositivePeriod, Size);

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn sizes() {
        let check = |text: &str, expect: Option<u64>| {
            assert_eq!(text.parse::<Size>().ok().map(|s| s.0), expect, "{text}");
        };
        check("0", Some(0));
        check("4096", Some(4096));
        check("64KiB", Some(65_536));
        check("1 MiB", Some(1 << 20));
        check("10MB", Some(10_000_000));
        check("", None);
        check("KiB", None);
        check("-1", None);
        check("1.5MiB", None);
        check("99999999999GiB", None);
    }

    #[test]
    fn durations() {
        assert_eq!("1m 30s".parse(), Ok(Period(Duration::from_secs(90))));
        assert_eq!("0s".parse(), Ok(Period(Duration::ZERO)));
        assert_eq!("0s".parse::<PositivePeriod>(), Err(UnitError::Zero("0s".into())));
        assert_eq!("25h".parse::<Period>(), Err(UnitError::TooLong("25h".into())));
        assert_eq!("soon".parse::<Period>(), Err(UnitError::Duration("soon".into())));
    }

    proptest! {
        #[test]
        fn no_text_makes_the_parsers_panic(text in ".{0,40}") {
            let _ = text.parse::<Size>();
            let _ = text.parse::<PositivePeriod>();
        }
    }
}
