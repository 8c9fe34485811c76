//! Cuts a stream of bytes into lines of bounded length.

use bytes::{Bytes, BytesMut};
use hosp_feed::{DecodeError, MAX_LINE};

/// Cuts a stream of bytes into lines of at most [`MAX_LINE`] bytes.
#[derive(Debug, Default)]
pub struct Lines {
    buffer: BytesMut,
    /// Bytes at the start of the buffer that are known to hold no newline.
    searched: usize,
}

impl Lines {
    /// Adds bytes to the end.
    pub fn push(&mut self, bytes: &[u8]) {
        self.buffer.extend_from_slice(bytes);
    }

    /// The next whole line, without its newline; `None` until there is one.
    pub fn next_line(&mut self) -> Result<Option<Bytes>, DecodeError> {
        let found =
            self.buffer[self.searched..].iter().position(|&b| b == b'\n').map(|at| at + self.searched);
        let length = found.unwrap_or(self.buffer.len());
        if length > MAX_LINE {
            return Err(DecodeError::TooLong(length));
        }
        self.searched = if found.is_some() { 0 } else { self.buffer.len() };
        Ok(found.map(|end| {
            let mut line = self.buffer.split_to(end + 1);
            line.truncate(end);
            line.freeze()
        }))
    }

    /// Whether a line has begun and not ended.
    pub fn within_line(&self) -> bool {
        !self.buffer.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn drain(lines: &mut Lines) -> Vec<Bytes> {
        std::iter::from_fn(|| lines.next_line().unwrap()).collect()
    }

    #[test]
    fn a_line_without_end_is_refused() {
        let mut lines = Lines::default();
        let part = vec![b'x'; MAX_LINE / 4];
        for _ in 0..4 {
            lines.push(&part);
            assert!(lines.next_line().unwrap().is_none());
        }
        lines.push(b"x");
        assert!(matches!(lines.next_line(), Err(DecodeError::TooLong(_))));
    }

    proptest! {
        #[test]
        fn where_the_stream_was_cut_does_not_matter(
            text in proptest::collection::vec(prop_oneof![Just(b'\n'), any::<u8>()], 0..200),
            size in 1_usize..50,
        ) {
            let mut lines = Lines::default();
            let mut got = Vec::new();
            for piece in text.chunks(size) {
                lines.push(piece);
                got.extend(drain(&mut lines));
            }
            let mut expect: Vec<_> = text.split(|&b| b == b'\n').collect();
            let rest = expect.pop().unwrap();
            prop_assert_eq!(got, expect);
            prop_assert_eq!(lines.within_line(), !rest.is_empty());
        }
    }
}
