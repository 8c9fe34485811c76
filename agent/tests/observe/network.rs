//! A network namespace for a test alone.

use std::thread;

use rustix::thread::UnshareFlags;

use crate::rig::client;

/// Runs `inside` in a network namespace of its own, which goes when the last process in it does.
pub(crate) fn of_its_own<T: Send>(inside: impl FnOnce() -> T + Send) -> T {
    thread::scope(|scope| {
        let thread = scope.spawn(|| {
            // SAFETY: only the network namespace changes, and only this thread's, which is its own and new: no file
            // descriptor or memory is unshared.
            unsafe { rustix::thread::unshare_unsafe(UnshareFlags::NEWNET) }.unwrap();
            // Segments as they travel on a wire, not loopback's 64 KiB.
            client("ip", &["link", "set", "lo", "up", "mtu", "1500", "gso_max_segs", "1"]);
            inside()
        });
        thread.join().unwrap()
    })
}
