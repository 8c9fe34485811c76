//! What two processes say to each other in a hand-over: small messages over a Unix socket, some with open sockets.

use std::io::{self, IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer, SendAncillaryMessage,
    SendFlags, recvmsg, sendmsg,
};

/// Version of these messages. Programs of different versions meet here, so it changes with any change.
pub(super) const VERSION: u8 = 1;

/// Most sockets in one message: below the kernel's 253.
const MOST: usize = 128;

/// What a message is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// First of all; the number is [`VERSION`].
    Version,
    /// Sockets that clients come to; the number is theirs.
    Listeners,
    /// The socket of the admin interface; the number is 1.
    Admin,
    /// No more sockets; the number is 0.
    End,
    /// The new process serves; the number says whether it took the admin socket.
    Serving,
}

impl Kind {
    const ALL: [Self; 5] = [Self::Version, Self::Listeners, Self::Admin, Self::End, Self::Serving];

    fn byte(self) -> u8 {
        match self {
            Self::Version => b'V',
            Self::Listeners => b'L',
            Self::Admin => b'A',
            Self::End => b'E',
            Self::Serving => b'S',
        }
    }

    /// The kind that a message begins with.
    pub(super) fn of(byte: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.byte() == byte)
    }
}

/// Length of a message without its sockets.
pub(super) const LENGTH: usize = 2;

/// Sends one message without sockets.
pub(super) fn say(to: impl AsFd, kind: Kind, number: u8) -> io::Result<()> {
    send(to, [kind.byte(), number], &[])
}

/// Sends sockets, in as many messages as it takes.
pub(super) fn send_sockets(to: impl AsFd, kind: Kind, sockets: &[BorrowedFd<'_>]) -> io::Result<()> {
    sockets.chunks(MOST).try_for_each(|some| send(&to, [kind.byte(), some.len() as u8], some))
}

fn send(to: impl AsFd, message: [u8; LENGTH], sockets: &[BorrowedFd<'_>]) -> io::Result<()> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MOST))];
    let mut control = SendAncillaryBuffer::new(&mut space);
    if !sockets.is_empty() && !control.push(SendAncillaryMessage::ScmRights(sockets)) {
        return Err(io::Error::other("too many sockets for one message"));
    }
    let sent = sendmsg(to, &[IoSlice::new(&message)], &mut control, SendFlags::NOSIGNAL)?;
    if sent == LENGTH { Ok(()) } else { Err(io::ErrorKind::WriteZero.into()) }
}

/// Receives one message: its kind, its number and its sockets.
pub(super) fn receive(from: impl AsFd) -> io::Result<(Kind, u8, Vec<OwnedFd>)> {
    let mut message = [0; LENGTH];
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MOST))];
    let mut control = RecvAncillaryBuffer::new(&mut space);
    let flags = RecvFlags::CMSG_CLOEXEC | RecvFlags::WAITALL;
    let received = recvmsg(from, &mut [IoSliceMut::new(&mut message)], &mut control, flags)?;
    let sockets: Vec<OwnedFd> = control
        .drain()
        .filter_map(|part| match part {
            RecvAncillaryMessage::ScmRights(sockets) => Some(sockets),
            _ => None,
        })
        .flatten()
        .collect();
    if received.bytes < LENGTH {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    let kind = Kind::of(message[0])
        .ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, "unknown kind of message"))?;
    let with_sockets = matches!(kind, Kind::Listeners | Kind::Admin);
    if with_sockets && sockets.len() != usize::from(message[1]) {
        // The kernel leaves out what does not fit under the limit on open files.
        return Err(io::Error::new(io::ErrorKind::InvalidData, "sockets were lost on the way"));
    }
    Ok((kind, message[1], sockets))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::TcpListener;
    use std::os::unix::net::UnixStream;

    #[test]
    fn sockets_arrive_whole_and_in_order_however_many_there_are() {
        let (ours, theirs) = UnixStream::pair().unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let other = TcpListener::bind("127.0.0.1:0").unwrap();
        let mut sockets = vec![listener.as_fd(); MOST + 1];
        sockets.push(other.as_fd());
        send_sockets(&ours, Kind::Listeners, &sockets).unwrap();
        say(&ours, Kind::End, 0).unwrap();

        let mut arrived = Vec::new();
        loop {
            let (kind, number, some) = receive(&theirs).unwrap();
            assert_eq!(usize::from(number), some.len());
            match kind {
                Kind::Listeners => arrived.extend(some.into_iter().map(TcpListener::from)),
                _ => break,
            }
        }
        let addresses: Vec<_> = arrived.iter().map(|l| l.local_addr().unwrap()).collect();
        let mut expect = vec![listener.local_addr().unwrap(); MOST + 1];
        expect.push(other.local_addr().unwrap());
        assert_eq!(addresses, expect);
        drop(ours);
        assert_eq!(receive(&theirs).unwrap_err().kind(), io::ErrorKind::UnexpectedEof);
    }

    #[test]
    fn what_is_no_message_is_refused() {
        let (ours, theirs) = UnixStream::pair().unwrap();
        send(&ours, *b"GE", &[]).unwrap();
        assert_eq!(receive(&theirs).unwrap_err().kind(), io::ErrorKind::InvalidData);
        send(&ours, [Kind::Admin.byte(), 1], &[]).unwrap();
        assert_eq!(receive(&theirs).unwrap_err().kind(), io::ErrorKind::InvalidData);
    }
}
