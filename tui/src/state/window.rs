//! The time that the figures cover.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use crate::history::Resolution;

/// The time that the figures cover, up to now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Window {
    /// 10 s
    TenSeconds,
    /// 60 s
    Minute,
    /// 5 minutes
    FiveMinutes,
    /// 15 minutes
    QuarterHour,
}

/// Why text is no window.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is none of 10s, 60s, 5m, 15m")]
pub struct WindowError(String);

impl Window {
    /// All of them, ascending.
    pub const ALL: [Self; 4] = [Self::TenSeconds, Self::Minute, Self::FiveMinutes, Self::QuarterHour];

    /// The next longer one, and after the longest the shortest.
    pub const fn next(self) -> Self {
        match self {
            Self::TenSeconds => Self::Minute,
            Self::Minute => Self::FiveMinutes,
            Self::FiveMinutes => Self::QuarterHour,
            Self::QuarterHour => Self::TenSeconds,
        }
    }

    /// Its length.
    pub const fn length(self) -> Duration {
        match self {
            Self::TenSeconds => Duration::from_secs(10),
            Self::Minute => Duration::from_secs(60),
            Self::FiveMinutes => Duration::from_secs(300),
            Self::QuarterHour => Duration::from_secs(900),
        }
    }

    /// The cells of the history that make it up: how long each, and how many.
    pub const fn cells(self) -> (Resolution, u64) {
        match self {
            Self::TenSeconds => (Resolution::Second, 10),
            Self::Minute => (Resolution::Second, 60),
            Self::FiveMinutes => (Resolution::TenSeconds, 30),
            Self::QuarterHour => (Resolution::TenSeconds, 90),
        }
    }

    /// The cells that the charts show: those of the window, but never less than a minute.
    pub const fn trend(self) -> (Resolution, u64) {
        match self {
            Self::TenSeconds => Self::Minute.cells(),
            longer => longer.cells(),
        }
    }
}

impl FromStr for Window {
    type Err = WindowError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        humantime::parse_duration(text)
            .ok()
            .and_then(|length| Self::ALL.into_iter().find(|window| window.length() == length))
            .ok_or_else(|| WindowError(text.to_owned()))
    }
}

impl fmt::Display for Window {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::TenSeconds => "10 s",
            Self::Minute => "60 s",
            Self::FiveMinutes => "5 min",
            Self::QuarterHour => "15 min",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_are_read_however_they_are_written() {
        let cases = [
            ("10s", Window::TenSeconds),
            ("60s", Window::Minute),
            ("1m", Window::Minute),
            ("5m", Window::FiveMinutes),
            ("900s", Window::QuarterHour),
        ];
        for (text, window) in cases {
            assert_eq!(text.parse(), Ok(window), "{text}");
        }
        assert!("2m".parse::<Window>().is_err());
        assert!("".parse::<Window>().is_err());
    }

    #[test]
    fn cells_add_up_to_the_length() {
        for window in Window::ALL {
            let (resolution, count) = window.cells();
            assert_eq!(resolution.step() * u32::try_from(count).unwrap(), window.length());
            assert!(count <= resolution.keep());
        }
    }
}
