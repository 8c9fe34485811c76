//! Standard output and standard error, for what is no live view.

use std::fmt::Display;
use std::io::{self, Write};

use crate::clean::Label;
use crate::exit::Failure;

/// Writes to standard output. A reader that has seen enough, such as `head`, is no failure.
pub fn print(text: &[u8]) -> Result<(), Failure> {
    let mut out = io::stdout().lock();
    match out.write_all(text).and_then(|()| out.flush()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(Failure::Output(error)),
        Ok(()) | Err(_) => Ok(()),
    }
}

/// Writes a line about what went wrong to standard error, cleaned: an error repeats what came from outside. When
/// standard error is closed or full, nobody can be told.
pub fn tell(what: &impl Display) {
    let _ = writeln!(io::stderr(), "hosp-tui: {}", Label::clean(&what.to_string()));
}
