//! Routes that the operator wrote down, such as `/patients/{id}/notes` or `/static/*`.

use serde::Deserialize;

use super::template::path_of;

/// A configured route. `{name}` stands for one segment that is not empty, a closing `*` for whatever follows.
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

/// Longest pattern, in bytes: the label of a metric, so it should be read by people.
const MAX_PATTERN: usize = 200;

/// Why a text is no pattern.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PatternError {
    /// It does not begin with a slash.
    #[error("route {0:?} must begin with '/'")]
    NoSlash(String),
    /// It is longer than [`MAX_PATTERN`].
    #[error("a route has at most {MAX_PATTERN} bytes; this one has {0}")]
    TooLong(usize),
    /// It holds something that no label should.
    #[error("route {0:?} may hold printable ASCII characters only, without '?', '#', quotes and backslashes")]
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
        if text.len() > MAX_PATTERN {
            return Err(PatternError::TooLong(text.len()));
        }
        let Some(path) = text.strip_prefix('/') else { return Err(PatternError::NoSlash(text)) };
        if !text.bytes().all(|b| b.is_ascii_graphic() && !b"?#\"'\\".contains(&b)) {
            return Err(PatternError::Character(text));
        }
        let mut parts: Vec<&str> = path.split('/').collect();
        let open = parts.last() == Some(&"*");
        if open {
            parts.pop();
        }
        let segments = parts
            .into_iter()
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
    /// As the operator wrote it: the name of the route.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Whether `target` is of this route. Where only its beginning was kept (`cut`), the last segment is not
    /// known, and only what a closing `*` stands for may be missing.
    pub fn matches(&self, target: &[u8], cut: bool) -> bool {
        let Some([b'/', path @ ..]) = path_of(target) else { return false };
        let mut segments: Vec<&[u8]> = path.split(|&b| b == b'/').collect();
        if cut {
            segments.pop();
        }
        let enough = match (self.open, cut) {
            (true, _) => segments.len() + usize::from(cut) > self.segments.len(),
            (false, false) => segments.len() == self.segments.len(),
            (false, true) => false,
        };
        enough
            && segments.len() >= self.segments.len()
            && self.segments.iter().zip(segments).all(|(want, got)| match want {
                Segment::Literal(text) => text.as_bytes() == got,
                Segment::Any => !got.is_empty(),
            })
    }
}
