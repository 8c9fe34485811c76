//! Which network namespace this process is in, as the kernel's programs name it.

use std::net::UdpSocket;
use std::os::fd::AsRawFd;

/// `SO_NETNS_COOKIE` of this process's network namespace (Linux 5.14); 0 when the kernel does not tell.
pub(super) fn cookie() -> u64 {
    let Ok(socket) = UdpSocket::bind(("127.0.0.1", 0)) else { return 0 };
    let mut cookie = 0u64;
    let mut len = size_of::<u64>() as libc::socklen_t;
    // SAFETY: the kernel writes at most `len` bytes to `cookie`, which has as many.
    let failed = unsafe {
        libc::getsockopt(
            socket.as_raw_fd(),
            libc::SOL_SOCKET,
            libc::SO_NETNS_COOKIE,
            (&raw mut cookie).cast(),
            &raw mut len,
        )
    };
    if failed == 0 { cookie } else { 0 }
}
