//! The sockets that this process listens on, kept at hand for a successor until it stops to listen.

use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::watch;

use super::give::Sockets;

/// A second handle to each listening socket. As long as it is open the kernel takes connections, so it has to go when
/// the workers' own do.
#[derive(Clone, Debug)]
pub struct Doors {
    sockets: Arc<Mutex<Option<Sockets>>>,
    admin_left: watch::Sender<bool>,
}

impl Doors {
    /// Keeps `sockets`.
    pub fn new(sockets: Sockets) -> Self {
        Self { sockets: Arc::new(Mutex::new(Some(sockets))), admin_left: watch::Sender::new(false) }
    }

    /// Copies for a successor; `None` once they are closed.
    pub fn copies(&self) -> io::Result<Option<Sockets>> {
        self.lock().as_ref().map(Sockets::copies).transpose()
    }

    /// Lets them go.
    pub fn close(&self) {
        *self.lock() = None;
    }

    /// Has the admin interface stop here without taking its address away: a successor listens there.
    pub fn leave_admin(&self) {
        self.admin_left.send_replace(true);
    }

    /// Becomes true when the admin interface is a successor's.
    pub fn admin_left(&self) -> watch::Receiver<bool> {
        self.admin_left.subscribe()
    }

    fn lock(&self) -> MutexGuard<'_, Option<Sockets>> {
        // Nothing panics while it is locked.
        self.sockets.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
