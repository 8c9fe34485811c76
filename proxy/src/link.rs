//! One TCP connection, shared between hyper, which drives it, and us, who ask about it.

mod alarm;

use std::cell::{Cell, RefCell};
use std::io;
use std::mem::MaybeUninit;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};

use socket2::SockRef;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

use crate::framing::Scanner;
use alarm::Alarm;

/// Pieces that are together no longer than this, in bytes, are written as one.
const SMALL: usize = 4 << 10;

thread_local! {
    /// Where they are put together.
    static GATHERED: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
}

/// A connection that hyper reads and writes; clones are handles to the same one.
#[derive(Clone, Debug)]
pub struct Link {
    inner: Rc<Inner>,
}

#[derive(Debug)]
struct Inner {
    stream: RefCell<TcpStream>,
    readable: RefCell<Alarm>,
    written: Cell<u64>,
    scanner: Option<Scanner>,
}

impl Link {
    /// A connection to an origin.
    pub fn outgoing(stream: TcpStream) -> Self {
        Self::new(stream, None)
    }

    /// A connection from a client, whose request heads are looked at by a [`Scanner`].
    pub fn incoming(stream: TcpStream) -> Self {
        Self::new(stream, Some(Scanner::default()))
    }

    fn new(stream: TcpStream, scanner: Option<Scanner>) -> Self {
        Self {
            inner: Rc::new(Inner {
                stream: RefCell::new(stream),
                readable: RefCell::default(),
                written: Cell::new(0),
                scanner,
            }),
        }
    }

    /// Bytes that the kernel has taken for sending so far.
    pub fn written(&self) -> u64 {
        self.inner.written.get()
    }

    /// What watches a client's request heads; `None` on a connection to an origin.
    pub fn scanner(&self) -> Option<&Scanner> {
        self.inner.scanner.as_ref()
    }

    /// Whether an idle connection is no longer of use: closed by its peer, or with bytes that nobody asked for.
    ///
    /// Asks the kernel itself. hyper notices the same only when the runtime has polled the socket, which is too late
    /// for a request that must not be sent twice.
    pub fn is_stale(&self) -> bool {
        let mut byte = [MaybeUninit::uninit()];
        !matches!(
            SockRef::from(&*self.inner.stream.borrow()).peek(&mut byte),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock
        )
    }

    /// Makes the close that follows a reset, so that a cut answer cannot be taken for a whole one, not even
    /// by a client that takes the end of the connection for the end of the body (HTTP/1.0).
    pub fn reset_on_close(&self) {
        if let Err(error) = self.inner.stream.borrow().set_zero_linger() {
            tracing::debug!(%error, "connection cannot be reset, only closed");
        }
    }
}

impl AsyncRead for Link {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        let mut stream = self.inner.stream.borrow_mut();
        let result =
            self.inner.readable.borrow_mut().poll(cx, |cx| Pin::new(&mut *stream).poll_read(cx, buf));
        if let Some(scanner) = &self.inner.scanner {
            scanner.read(&buf.filled()[before..]);
        }
        result
    }
}

impl Link {
    fn count(&self, result: Poll<io::Result<usize>>) -> Poll<io::Result<usize>> {
        if let Poll::Ready(Ok(n)) = result {
            self.inner.written.set(self.inner.written.get() + n as u64);
        }
        result
    }
}

impl AsyncWrite for Link {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        self.count(Pin::new(&mut *self.inner.stream.borrow_mut()).poll_write(cx, buf))
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        // The plain call is the cheaper one in the kernel: by more than it costs to copy a small answer together.
        if let [one] = bufs {
            return self.poll_write(cx, one);
        }
        if bufs.iter().map(|buf| buf.len()).sum::<usize>() <= SMALL {
            return GATHERED.with_borrow_mut(|gathered| {
                gathered.clear();
                bufs.iter().for_each(|buf| gathered.extend_from_slice(buf));
                self.poll_write(cx, gathered)
            });
        }
        self.count(Pin::new(&mut *self.inner.stream.borrow_mut()).poll_write_vectored(cx, bufs))
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut *self.inner.stream.borrow_mut()).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut *self.inner.stream.borrow_mut()).poll_shutdown(cx)
    }
}
