//! The new process's part: takes the sockets that wait on standard input, and tells the old process when it serves.

use std::io;
use std::net::TcpListener;
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::time::Duration;

use super::Inherited;
use super::wire::{Kind, VERSION, receive, say};

/// Longest wait for the old process, which sends everything before the new one has begun.
const PATIENCE: Duration = Duration::from_secs(10);

/// Why nothing could be taken over.
#[derive(Debug, thiserror::Error)]
pub enum TakeError {
    /// Standard input is no socket, or ended early.
    #[error("no sockets to take over on standard input: {0}; send SIGUSR2 to the running hosp-proxy instead")]
    Nothing(#[source] io::Error),
    /// The two programs do not understand each other.
    #[error(
        "the running hosp-proxy hands over in version {0}, this one takes version {VERSION}: stop it and start this one"
    )]
    Version(u8),
}

/// The process that is to be replaced. It drains when it is told that its successor serves, and goes on as before when
/// this is dropped.
#[derive(Debug)]
pub struct Predecessor(UnixStream);

impl Predecessor {
    /// Tells it that this process serves, and whether it has the admin socket as well.
    pub fn dismiss(self, took_admin: bool) -> io::Result<()> {
        say(&self.0, Kind::Serving, u8::from(took_admin))
    }
}

/// Takes the sockets over that wait on standard input.
pub fn take() -> Result<(Inherited, Predecessor), TakeError> {
    let stdin = io::stdin().as_fd().try_clone_to_owned().map_err(TakeError::Nothing)?;
    take_from(UnixStream::from(stdin))
}

fn take_from(stream: UnixStream) -> Result<(Inherited, Predecessor), TakeError> {
    stream.set_read_timeout(Some(PATIENCE)).map_err(TakeError::Nothing)?;
    let mut inherited = Inherited::default();
    let (kind, version, _) = receive(&stream).map_err(TakeError::Nothing)?;
    if kind != Kind::Version || version != VERSION {
        return Err(TakeError::Version(version));
    }
    loop {
        let (kind, _, sockets) = receive(&stream).map_err(TakeError::Nothing)?;
        match kind {
            Kind::Listeners => inherited.listeners.extend(sockets.into_iter().map(TcpListener::from)),
            Kind::Admin => inherited.admin = sockets.into_iter().next(),
            Kind::End => return Ok((inherited, Predecessor(stream))),
            Kind::Version | Kind::Serving => {
                let error = io::Error::new(io::ErrorKind::InvalidData, "a message out of place");
                return Err(TakeError::Nothing(error));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn another_version_is_refused_by_name() {
        let (old, new) = UnixStream::pair().unwrap();
        say(&old, Kind::Version, 9).unwrap();
        let error = take_from(new).unwrap_err();
        assert!(matches!(error, TakeError::Version(9)), "{error}");
    }

    #[test]
    fn a_predecessor_that_is_gone_is_told_from_one_that_has_nothing() {
        let (old, new) = UnixStream::pair().unwrap();
        say(&old, Kind::Version, VERSION).unwrap();
        drop(old);
        assert!(matches!(take_from(new), Err(TakeError::Nothing(_))));

        let (old, new) = UnixStream::pair().unwrap();
        say(&old, Kind::Version, VERSION).unwrap();
        say(&old, Kind::End, 0).unwrap();
        let (inherited, predecessor) = take_from(new).unwrap();
        assert!(inherited.listeners.is_empty() && inherited.admin.is_none());
        predecessor.dismiss(true).unwrap();
        assert_eq!(receive(&old).map(|(kind, number, _)| (kind, number)).unwrap(), (Kind::Serving, 1));
    }
}
