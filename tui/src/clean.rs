//! Text from outside, made harmless: the paths that an agent sees come from attackers.

use std::fmt;
use std::sync::Arc;

use unicode_width::UnicodeWidthChar;

/// Text that is safe to print: no control characters, no invisible or direction-changing ones, bounded length.
///
/// The only way to make one is to clean a string, so whoever holds a `Label` need not ask where it came from.
/// What was unsafe is shown escaped (`\u{1b}`), so that two different strings seldom look alike.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Label(Arc<str>);

impl Label {
    /// Longest label, in characters; the rest is cut, and the cut shown by three dots.
    pub const MAX_CHARS: usize = 256;

    /// The harmless form of `text`.
    pub fn clean(text: &str) -> Self {
        if text.len() <= Self::MAX_CHARS && text.bytes().all(|b| (b' '..=b'~').contains(&b)) {
            return Self(text.into());
        }
        let mut clean = String::new();
        let mut room = Self::MAX_CHARS;
        for c in text.chars() {
            let piece = if harmless(c) { c.to_string() } else { c.escape_unicode().to_string() };
            let length = piece.chars().count();
            if length > room.saturating_sub(3) {
                clean.push_str("...");
                break;
            }
            room -= length;
            clean.push_str(&piece);
        }
        Self(clean.into())
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Label {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

/// Whether a terminal shows `c` as itself, in its own cell or two. Characters of no width are not: controls,
/// joiners, direction marks, and combining marks, which pile up without end.
fn harmless(c: char) -> bool {
    !c.is_control() && c.width().is_some_and(|width| width > 0) && !matches!(c, '\u{2028}' | '\u{2029}')
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn what_a_terminal_would_obey_is_escaped() {
        let cases = [
            ("/patients/{id}", "/patients/{id}"),
            ("/\u{1b}[2J", "/\\u{1b}[2J"),
            ("a\nb\tc", "a\\u{a}b\\u{9}c"),
            ("\u{9b}31m", "\\u{9b}31m"),
            ("\u{202e}gpj", "\\u{202e}gpj"),
            ("e\u{301}", "e\\u{301}"),
            ("\u{200b}", "\\u{200b}"),
            ("/münchen/患者", "/münchen/患者"),
        ];
        for (text, expect) in cases {
            assert_eq!(Label::clean(text).as_str(), expect);
        }
    }

    #[test]
    fn a_long_string_is_cut_and_says_so() {
        let label = Label::clean(&"x".repeat(100_000));
        assert_eq!(label.as_str().len(), Label::MAX_CHARS);
        assert!(label.as_str().ends_with("..."));
    }

    proptest! {
        #[test]
        fn nothing_unsafe_passes(text in any::<String>()) {
            let label = Label::clean(&text);
            prop_assert!(label.as_str().chars().all(harmless));
            prop_assert!(label.as_str().chars().count() <= Label::MAX_CHARS);
        }
    }
}
