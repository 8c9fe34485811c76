//! What the terminal tells: crossterm's events as the program's own.

use std::io;
use std::thread;

use crossterm::event::{self, Event as Raw, KeyCode, KeyEvent, KeyEventKind, KeyModifiers};
use tokio::sync::mpsc;

use crate::event::{Event, Key};
use crate::state::Size;

/// Keys that wait for the loop; nobody types ahead of more.
const QUEUE: usize = 64;

/// Starts a thread that reads the terminal for as long as the program runs.
///
/// Not crossterm's `EventStream`: once a terminal is hung up, crossterm 0.29 reads its end of file over and over
/// (`event/source/unix/mio.rs` takes 0 bytes for progress), and a stream does that on the thread that polls it,
/// which then never sees the SIGHUP. Here only this thread spins, until the loop has ended the process.
pub(super) fn spawn() -> io::Result<mpsc::Receiver<Event>> {
    let (sender, events) = mpsc::channel(QUEUE);
    thread::Builder::new().name("keys".to_owned()).spawn(move || {
        loop {
            let raw = event::read();
            let gone = raw.is_err();
            let told = translate(raw).is_none_or(|event| sender.blocking_send(event).is_ok());
            if gone || !told {
                break;
            }
        }
    })?;
    Ok(events)
}

/// What the terminal told, if it means anything to the program. An error means that the terminal is gone.
fn translate(raw: io::Result<Raw>) -> Option<Event> {
    match raw {
        Ok(Raw::Key(key)) => translate_key(key).map(Event::Key),
        Ok(Raw::Resize(width, height)) => Some(Event::Resize(Size { width, height })),
        Ok(_) => None,
        Err(_) => Some(Event::InputClosed),
    }
}

fn translate_key(key: KeyEvent) -> Option<Key> {
    if key.kind == KeyEventKind::Release {
        return None;
    }
    match key.code {
        KeyCode::Char(c) if key.modifiers.contains(KeyModifiers::CONTROL) => {
            Some(Key::Ctrl(c.to_ascii_lowercase()))
        }
        KeyCode::Char(c) if key.modifiers.difference(KeyModifiers::SHIFT).is_empty() => Some(Key::Char(c)),
        KeyCode::F(n) => Some(Key::Function(n)),
        KeyCode::Up => Some(Key::Up),
        KeyCode::Down => Some(Key::Down),
        KeyCode::PageUp => Some(Key::PageUp),
        KeyCode::PageDown => Some(Key::PageDown),
        KeyCode::Home => Some(Key::Home),
        KeyCode::End => Some(Key::End),
        KeyCode::Tab => Some(Key::Tab),
        KeyCode::BackTab => Some(Key::BackTab),
        KeyCode::Enter => Some(Key::Enter),
        KeyCode::Esc => Some(Key::Esc),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn modifiers_tell_keys_apart() {
        let key = |c, modifiers| translate_key(KeyEvent::new(KeyCode::Char(c), modifiers));
        assert_eq!(key('c', KeyModifiers::NONE), Some(Key::Char('c')));
        assert_eq!(key('C', KeyModifiers::CONTROL), Some(Key::Ctrl('c')));
        assert_eq!(key('G', KeyModifiers::SHIFT), Some(Key::Char('G')));
        assert_eq!(
            key('q', KeyModifiers::ALT),
            None,
            "Alt-q is often an Esc and a q that a slow line joined"
        );
    }
}
