//! Where the admin interface listens: a Unix socket that only its group may open, or TCP.

use std::fs;
use std::io;
use std::net::{SocketAddr, TcpListener as StdTcpListener};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt};
use std::os::unix::net::UnixListener as StdUnixListener;
use std::path::{Path, PathBuf};

use tokio::net::{TcpListener, UnixListener, UnixStream};

use crate::config::AdminAddr;

/// Mode of the socket file: its owner and group may connect.
const MODE: u32 = 0o660;

/// Why the admin interface cannot listen.
#[derive(Debug, thiserror::Error)]
pub enum AdminError {
    /// The socket's folder cannot be made.
    #[error(
        "cannot make {path} for the admin socket: {source}; run as root, or give another --admin unix:PATH or --admin 127.0.0.1:PORT"
    )]
    Folder {
        /// The folder.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// Another process listens there.
    #[error("{0} is in use by another process: stop it, or give another --admin unix:PATH")]
    InUse(PathBuf),
    /// Something other than a socket is there.
    #[error("{0} exists and is no socket: remove it, or give another --admin unix:PATH")]
    NotASocket(PathBuf),
    /// The socket cannot be made.
    #[error(
        "cannot make the admin socket {path}: {source}; give another --admin unix:PATH or --admin 127.0.0.1:PORT"
    )]
    Socket {
        /// The socket.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The address cannot be listened on.
    #[error("cannot listen on {address} for the admin interface: {source}; give another --admin")]
    Tcp {
        /// The address.
        address: SocketAddr,
        /// Why.
        source: io::Error,
    },
}

/// A listening admin socket.
#[derive(Debug)]
pub enum AdminListener {
    /// On TCP.
    Tcp(TcpListener),
    /// On a Unix socket.
    Unix(UnixSocket),
}

/// A listening Unix socket whose file goes when it does.
#[derive(Debug)]
pub struct UnixSocket {
    listener: UnixListener,
    path: PathBuf,
    /// Device and inode: a successor may have put its own socket there meanwhile. `None` when one has taken this over.
    file: Option<(u64, u64)>,
}

impl UnixSocket {
    /// The next connection.
    pub async fn accept(&self) -> io::Result<UnixStream> {
        self.listener.accept().await.map(|(stream, _)| stream)
    }
}

impl Drop for UnixSocket {
    fn drop(&mut self) {
        if fs::symlink_metadata(&self.path).is_ok_and(|m| Some((m.dev(), m.ino())) == self.file)
            && let Err(error) = fs::remove_file(&self.path)
        {
            tracing::debug!(%error, path = %self.path.display(), "the admin socket's file stays behind");
        }
    }
}

impl AdminListener {
    /// Listens on `address`. Must run within a runtime.
    pub async fn bind(address: &AdminAddr) -> Result<Self, AdminError> {
        match address {
            AdminAddr::Tcp(address) => {
                let failed = |source| AdminError::Tcp { address: *address, source };
                if !address.ip().is_loopback() {
                    tracing::warn!(%address, "the admin interface can be reached from other hosts, and asks nobody who they are");
                }
                TcpListener::bind(address).await.map(Self::Tcp).map_err(failed)
            }
            AdminAddr::Unix(path) => bind_unix(path).await.map(Self::Unix),
        }
    }

    /// Listens on a socket that a predecessor left, if that is at `address`. Must run within a runtime.
    pub fn adopt(address: &AdminAddr, socket: OwnedFd) -> io::Result<Option<Self>> {
        Ok(match address {
            AdminAddr::Unix(path) => {
                let listener = StdUnixListener::from(socket);
                if listener.local_addr()?.as_pathname() != Some(path) {
                    return Ok(None);
                }
                // Without its file nobody finds it.
                let Ok(file) = file(path) else { return Ok(None) };
                let listener = UnixListener::from_std(listener)?;
                Some(Self::Unix(UnixSocket { listener, path: path.clone(), file: Some(file) }))
            }
            AdminAddr::Tcp(address) => {
                let listener = StdTcpListener::from(socket);
                // Of a Unix socket there is no such address.
                let same = listener.local_addr().is_ok_and(|bound| {
                    bound.ip() == address.ip() && (address.port() == 0 || bound.port() == address.port())
                });
                if same { Some(Self::Tcp(TcpListener::from_std(listener)?)) } else { None }
            }
        })
    }

    /// A further handle to the socket.
    pub fn copy(&self) -> io::Result<OwnedFd> {
        match self {
            Self::Tcp(tcp) => tcp.as_fd().try_clone_to_owned(),
            Self::Unix(unix) => unix.listener.as_fd().try_clone_to_owned(),
        }
    }

    /// Stops to listen, and leaves the socket's file to a successor.
    pub fn leave(self) {
        if let Self::Unix(mut unix) = self {
            unix.file = None;
        }
    }

    /// The address, with the port that was found for port 0.
    pub fn address(&self) -> io::Result<AdminAddr> {
        Ok(match self {
            Self::Tcp(tcp) => AdminAddr::Tcp(tcp.local_addr()?),
            Self::Unix(unix) => AdminAddr::Unix(unix.path.clone()),
        })
    }
}

async fn bind_unix(path: &Path) -> Result<UnixSocket, AdminError> {
    if let Some(folder) = path.parent().filter(|f| !f.as_os_str().is_empty()) {
        fs::create_dir_all(folder)
            .map_err(|source| AdminError::Folder { path: folder.to_owned(), source })?;
    }
    clear(path).await?;
    let failed = |source| AdminError::Socket { path: path.to_owned(), source };
    let listener = UnixListener::bind(path).map_err(failed)?;
    fs::set_permissions(path, fs::Permissions::from_mode(MODE)).map_err(failed)?;
    Ok(UnixSocket { listener, path: path.to_owned(), file: Some(file(path).map_err(failed)?) })
}

fn file(path: &Path) -> io::Result<(u64, u64)> {
    fs::symlink_metadata(path).map(|metadata| (metadata.dev(), metadata.ino()))
}

/// Takes away a socket file on which nobody listens any more.
async fn clear(path: &Path) -> Result<(), AdminError> {
    let metadata = match fs::symlink_metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(source) => return Err(AdminError::Socket { path: path.to_owned(), source }),
        Ok(metadata) => metadata,
    };
    if !metadata.file_type().is_socket() {
        return Err(AdminError::NotASocket(path.to_owned()));
    }
    match UnixStream::connect(path).await {
        Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => {
            fs::remove_file(path).map_err(|source| AdminError::Socket { path: path.to_owned(), source })
        }
        // It answered, or is too busy to.
        _ => Err(AdminError::InUse(path.to_owned())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_stale_socket_is_replaced_and_a_live_one_is_not() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("made/on/demand/proxy.sock");
        let address = AdminAddr::Unix(path.clone());
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        // The file of a process that was killed: bound once, nobody listens.
        drop(std::os::unix::net::UnixListener::bind(&path).unwrap());
        let live = AdminListener::bind(&address).await.unwrap();
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, MODE);
        assert!(matches!(AdminListener::bind(&address).await, Err(AdminError::InUse(_))));
        drop(live);
        assert!(!path.exists(), "the file goes with its owner");
    }

    #[tokio::test]
    async fn an_adopted_socket_serves_its_address_and_its_file_outlives_the_predecessor() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("proxy.sock");
        let address = AdminAddr::Unix(path.clone());
        let old = AdminListener::bind(&address).await.unwrap();
        let elsewhere = AdminAddr::Unix(folder.path().join("other.sock"));
        let tcp = AdminAddr::Tcp("127.0.0.1:0".parse().unwrap());
        for other in [elsewhere, tcp] {
            assert!(AdminListener::adopt(&other, old.copy().unwrap()).unwrap().is_none(), "{other}");
        }
        let new = AdminListener::adopt(&address, old.copy().unwrap()).unwrap().unwrap();
        old.leave();
        let _client = UnixStream::connect(&path).await.unwrap();
        let AdminListener::Unix(unix) = &new else { panic!("{new:?}") };
        unix.accept().await.unwrap();
        drop(new);
        assert!(!path.exists(), "the file goes with its last owner");
    }

    #[tokio::test]
    async fn what_is_no_socket_is_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("precious");
        fs::write(&path, "data").unwrap();
        let error = AdminListener::bind(&AdminAddr::Unix(path.clone())).await.unwrap_err();
        assert!(matches!(error, AdminError::NotASocket(_)));
        assert_eq!(fs::read(&path).unwrap(), b"data");
        let error = AdminListener::bind(&AdminAddr::Unix(path.join("below"))).await.unwrap_err();
        assert!(matches!(error, AdminError::Folder { .. }), "{error}");
    }
}
