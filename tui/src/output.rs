//! Standard output, for what is no live view.

use std::io::{self, Write};

use crate::exit::Failure;

/// Writes to standard output. A reader that has seen enough, such as `head`, is no failure.
pub fn print(text: &[u8]) -> Result<(), Failure> {
    let mut out = io::stdout().lock();
    match out.write_all(text).and_then(|()| out.flush()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(Failure::Output(error)),
        Ok(()) | Err(_) => Ok(()),
    }
}
