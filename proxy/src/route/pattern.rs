//! What a route's paths look like: `/patients/{id}/notes`, `/static/*`. The form is that of hosp-agent's routes.

use serde::Deserialize;

/// A path with gaps. `{name}` stands for one segment that is not empty, a closing `*` for whatever follows.
///
/// Paths are compared as they were sent, byte for byte: an origin may take `/a%2Fb` and `/a/b` for different things.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct Pattern {
    text: String,
    segments: Vec<Segment>,
    open: bool,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Segment {
    Literal(String),
    Any,
}

/// Why a text is no pattern.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PatternError {
    /// It does not begin with a slash.
    #[error("route {0:?} must begin with '/'")]
    NoSlash(String),
    /// It holds something that no path does, or a query.
    #[error("route {0:?} may hold printable ASCII characters only, without '?' and '#'")]
    Character(String),
    /// A brace or an asterisk stands where it means nothing.
    #[error(
        "segment {segment:?} of route {route:?}: write '{{name}}' for one whole segment, or '*' as the last"
    )]
    Segment {
        /// The segment.
        segment: String,
        /// All of it.
        route: String,
    },
}

impl TryFrom<String> for Pattern {
    type Error = PatternError;

    fn try_from(text: String) -> Result<Self, PatternError> {
        let Some(path) = text.strip_prefix('/') else { return Err(PatternError::NoSlash(text)) };
        if !text.bytes().all(|b| b.is_ascii_graphic() && !b"?#".contains(&b)) {
            return Err(PatternError::Character(text));
        }
        let (path, open) = match path.strip_suffix("/*") {
            Some(before) => (Some(before), true),
            None => ((path != "*").then_some(path), path == "*"),
        };
        let segments = path
            .into_iter()
            .flat_map(|path| path.split('/'))
            .map(|part| {
                let name = part.strip_prefix('{').and_then(|rest| rest.strip_suffix('}'));
                match name {
                    Some(name) if !name.is_empty() && !name.contains(['{', '}', '*']) => Ok(Segment::Any),
                    None if !part.contains(['{', '}', '*']) => Ok(Segment::Literal(part.to_owned())),
                    _ => Err(PatternError::Segment { segment: part.to_owned(), route: text.clone() }),
                }
            })
            .collect::<Result<_, _>>()?;
        Ok(Self { segments, open, text })
    }
}

impl Pattern {
    /// As the operator wrote it.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Whether `path`, which has no query, looks like this.
    pub fn matches(&self, path: &str) -> bool {
        let Some(path) = path.strip_prefix('/') else { return false };
        let mut rest = path.split('/');
        let all_match = self.segments.iter().all(|want| match (want, rest.next()) {
            (Segment::Literal(text), Some(got)) => text == got,
            (Segment::Any, Some(got)) => !got.is_empty(),
            (_, None) => false,
        });
        // What a closing `*` stands for may be empty, but its slash is there.
        all_match && (rest.next().is_some() == self.open)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn paths_are_told_apart() {
        let check = |pattern: &str, path: &str, expect: bool| {
            let pattern = Pattern::try_from(pattern.to_owned()).unwrap();
            assert_eq!(pattern.matches(path), expect, "{} {path}", pattern.text());
        };
        check("/", "/", true);
        check("/", "/a", false);
        check("/patients", "/patients", true);
        check("/patients", "/patients/", false);
        check("/patients/", "/patients/", true);
        check("/patients/{id}/notes", "/patients/1/notes", true);
        check("/patients/{id}/notes", "/patients//notes", false);
        check("/patients/{id}/notes", "/patients/1/notes/2", false);
        check("/patients/{id}/notes", "/patients/1", false);
        check("/patients/{id}", "/%70atients/1", false);
        check("/static/*", "/static/a/b.css", true);
        check("/static/*", "/static/", true);
        check("/static/*", "/static", false);
        check("/static/*", "/statics/a", false);
        check("/*", "/", true);
        check("/*", "/anything/at/all", true);
        check("/*", "*", false);
        check("/{any}/*", "/a/b", true);
        check("/{any}/*", "/a", false);
    }

    #[test]
    fn what_means_nothing_is_refused() {
        let check = |text: &str, part: &str| {
            let error = Pattern::try_from(text.to_owned()).unwrap_err().to_string();
            assert!(error.contains(part), "{text}: {error}");
        };
        check("", "begin with '/'");
        check("patients", "begin with '/'");
        check("/a?b", "without '?'");
        check("/a b", "printable");
        check("/a/{}", "segment \"{}\"");
        check("/a/{id", "segment \"{id\"");
        check("/a/x{id}", "segment \"x{id}\"");
        check("/a/*/b", "segment \"*\"");
        check("/a*", "segment \"a*\"");
        check("/*/*", "segment \"*\"");
    }

    proptest! {
        #[test]
        fn a_path_that_fills_the_gaps_matches_and_one_segment_less_does_not(
            segments in proptest::collection::vec(("[a-z]{1,4}", any::<bool>()), 2..6)
        ) {
            let join = |parts: Vec<String>| format!("/{}", parts.join("/"));
            let gap = |(text, gap): &(String, bool)| if *gap { format!("{{{text}}}") } else { text.clone() };
            let pattern = Pattern::try_from(join(segments.iter().map(gap).collect())).unwrap();
            let path = |count: usize| join(segments[..count].iter().map(|(text, _)| text.clone()).collect());
            prop_assert!(pattern.matches(&path(segments.len())));
            prop_assert!(!pattern.matches(&path(segments.len() - 1)));
            prop_assert!(!pattern.matches(&(path(segments.len()) + "/more")));
        }

        #[test]
        fn no_text_makes_patterns_panic(text in ".{0,30}", path in ".{0,30}") {
            if let Ok(pattern) = Pattern::try_from(text) {
                let _ = pattern.matches(&path);
            }
        }
    }
}
