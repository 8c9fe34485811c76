//! Lines on their way out, written together, but never in parts.
//!
//! During a hand-over two processes write to the same pipe. The kernel keeps a write of up to `PIPE_BUF` in one piece, so
//! each write is of whole lines and no longer than that, unless a single line is.

use std::io::{self, Write};

/// Bytes that the kernel writes to a pipe in one piece (pipe(7)).
const PIPE_BUF: usize = 4096;

/// Lines that wait to be written together.
#[derive(Debug)]
pub(super) struct Batch<W> {
    out: W,
    waiting: Vec<u8>,
}

impl<W: Write> Batch<W> {
    /// Nothing waits yet.
    pub(super) fn new(out: W) -> Self {
        Self { out, waiting: Vec::with_capacity(2 * PIPE_BUF) }
    }

    /// Takes a line, which `write` writes without its end; writes those before it if it no longer fits.
    pub(super) fn line(&mut self, write: impl FnOnce(&mut Vec<u8>) -> io::Result<()>) -> io::Result<()> {
        let start = self.waiting.len();
        write(&mut self.waiting)?;
        self.waiting.push(b'\n');
        if start > 0 && self.waiting.len() > PIPE_BUF {
            self.out.write_all(&self.waiting[..start])?;
            self.waiting.drain(..start);
        }
        Ok(())
    }

    /// Writes what waits.
    pub(super) fn flush(&mut self) -> io::Result<()> {
        if !self.waiting.is_empty() {
            self.out.write_all(&self.waiting)?;
            self.waiting.clear();
        }
        self.out.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Each write as it came.
    #[derive(Default)]
    struct Writes(Vec<Vec<u8>>);

    impl Write for &mut Writes {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.push(bytes.to_vec());
            Ok(bytes.len())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    proptest! {
        #[test]
        fn every_write_is_of_whole_lines_and_in_one_piece(
            lengths in proptest::collection::vec(prop_oneof![1..300usize, 3000..6000usize], 1..40)
        ) {
            let mut writes = Writes::default();
            let mut batch = Batch::new(&mut writes);
            for length in &lengths {
                batch.line(|line| { line.resize(line.len() + length, b'x'); Ok(()) }).unwrap();
            }
            batch.flush().unwrap();
            for write in &writes.0 {
                prop_assert_eq!(write.last(), Some(&b'\n'));
                let lines = write.iter().filter(|b| **b == b'\n').count();
                prop_assert!(write.len() <= PIPE_BUF || lines == 1, "{} bytes, {lines} lines", write.len());
            }
            let all: Vec<usize> = writes.0.concat().split(|b| *b == b'\n').map(<[u8]>::len).collect();
            prop_assert_eq!(&all[..lengths.len()], &lengths[..]);
        }
    }
}
