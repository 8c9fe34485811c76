//! Snapshots to lines and back.

use serde::Deserialize;

use crate::{Snapshot, VERSION};

/// Longest line that a reader accepts, in bytes. A snapshot with every series that an agent may hold is
/// well below it.
pub const MAX_LINE: usize = 32 * 1024 * 1024;

/// Why a line of the feed was not understood.
#[derive(Debug, thiserror::Error)]
pub enum DecodeError {
    /// Longer than [`MAX_LINE`].
    #[error("a line of {0} bytes: no agent writes lines over {MAX_LINE} bytes")]
    TooLong(usize),
    /// Written by an agent of another feed version.
    #[error("the agent speaks feed version {0}, this program {VERSION}: install matching versions")]
    Version(u32),
    /// Not a snapshot.
    #[error("not a snapshot: {0}")]
    Json(#[from] serde_json::Error),
}

/// One snapshot as one line, newline included.
pub fn encode(snapshot: &Snapshot) -> Vec<u8> {
    let mut line = serde_json::to_vec(snapshot).expect("a snapshot has string keys only");
    line.push(b'\n');
    line
}

/// The snapshot of one line (with or without its newline). The version is read first, so that a feed of
/// another version is reported as such and not as bad JSON.
pub fn decode(line: &[u8]) -> Result<Snapshot, DecodeError> {
    #[derive(Deserialize)]
    struct Version {
        version: u32,
    }
    if line.len() > MAX_LINE {
        return Err(DecodeError::TooLong(line.len()));
    }
    let Version { version } = serde_json::from_slice(line)?;
    if version != VERSION {
        return Err(DecodeError::Version(version));
    }
    Ok(serde_json::from_slice(line)?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn another_version_is_named_even_when_the_rest_is_unknown() {
        let error = decode(br#"{"version":99,"what":"ever"}"#).unwrap_err();
        assert!(matches!(error, DecodeError::Version(99)), "{error}");
    }

    #[test]
    fn a_cut_line_is_an_error() {
        assert!(matches!(decode(br#"{"version":1,"agent":{"#), Err(DecodeError::Json(_))));
    }

    proptest! {
        #[test]
        fn bytes_from_outside_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
            let _ = decode(&bytes);
        }
    }
}
