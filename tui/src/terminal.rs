//! The terminal: taken over as a whole, and given back on every way out.

use std::io::{self, Write};
use std::panic;
use std::process;
use std::sync::atomic::{AtomicBool, Ordering};

use crossterm::cursor::{Hide, Show};
use crossterm::execute;
use crossterm::terminal::{
    Clear, ClearType, EnterAlternateScreen, LeaveAlternateScreen, disable_raw_mode, enable_raw_mode,
};
use ratatui::Terminal;
use ratatui::backend::CrosstermBackend;
use ratatui::layout::Rect;

use crate::exit::Exit;

/// Whether the terminal is ours, so that giving it back twice does no harm: the second time might wipe what the
/// shell has written since.
static TAKEN: AtomicBool = AtomicBool::new(false);

/// The terminal, ours until it is dropped.
pub struct Screen {
    /// What draws on it.
    pub terminal: Terminal<CrosstermBackend<io::Stdout>>,
}

impl Screen {
    /// Takes the terminal over: raw mode, alternate screen, no cursor.
    pub fn take() -> io::Result<Self> {
        enter()?;
        let terminal = Terminal::new(CrosstermBackend::new(io::stdout())).inspect_err(|_| give_back())?;
        Ok(Self { terminal })
    }

    /// Takes it over again after it was given back, or after others wrote on it.
    pub fn take_again(&mut self) -> io::Result<()> {
        enter()?;
        // Not `clear()`: that one asks the terminal where the cursor is, and the answer would have to pass the
        // thread that reads the keys. A resize clears everything as well.
        let size = self.terminal.size()?;
        self.terminal.resize(Rect::new(0, 0, size.width, size.height))
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        give_back();
    }
}

fn enter() -> io::Result<()> {
    TAKEN.store(true, Ordering::SeqCst);
    // Entering clears the alternate screen only where it is not in use yet. A predecessor that was killed leaves
    // its picture there, and what is blank in the first drawing would never be written over it.
    enable_raw_mode()
        .and_then(|()| execute!(io::stdout(), EnterAlternateScreen, Clear(ClearType::All), Hide))
        .inspect_err(|_| give_back())
}

/// Gives the terminal back, if it is ours. Errors are of no use any more: after a hang-up there is no terminal.
pub fn give_back() {
    if TAKEN.swap(false, Ordering::SeqCst) {
        let mut out = io::stdout();
        let _ = execute!(out, LeaveAlternateScreen, Show);
        let _ = out.flush();
        let _ = disable_raw_mode();
    }
}

/// From now on a panic of any thread gives the terminal back before it is told, and ends the program: a view
/// with a broken half would show figures that are not true.
pub fn install_panic_hook() {
    let tell = panic::take_hook();
    panic::set_hook(Box::new(move |info| {
        give_back();
        tell(info);
        process::exit(Exit::Internal.code().into());
    }));
}
