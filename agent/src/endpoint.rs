//! Where a server listens or is reached: `unix:PATH` or `ADDRESS:PORT`; and how to bind and connect there.

use std::fmt;
use std::fs;
use std::io;
use std::net::{SocketAddr, TcpListener, ToSocketAddrs as _};
use std::os::unix::fs::{DirBuilderExt as _, FileTypeExt as _, MetadataExt as _, PermissionsExt as _};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::str::FromStr;

use serde::Deserialize;

/// Where a server listens or is reached.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub enum Endpoint {
    /// A Unix socket, by its path.
    Unix(PathBuf),
    /// A TCP address.
    Tcp(SocketAddr),
}

/// Why a text is no endpoint.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is neither unix:/absolute/path nor ADDRESS:PORT, such as 127.0.0.1:9464")]
pub struct BadEndpoint(String);

impl FromStr for Endpoint {
    type Err = BadEndpoint;

    fn from_str(text: &str) -> Result<Self, BadEndpoint> {
        if let Some(path) = text.strip_prefix("unix:") {
            let path = Path::new(path);
            return path.is_absolute().then(|| Self::Unix(path.to_owned())).ok_or(BadEndpoint(text.into()));
        }
        // Names are resolved once, for `localhost:9464`.
        let addr = text.to_socket_addrs().ok().and_then(|mut addrs| addrs.next());
        addr.map(Self::Tcp).ok_or(BadEndpoint(text.into()))
    }
}

impl TryFrom<String> for Endpoint {
    type Error = BadEndpoint;

    fn try_from(text: String) -> Result<Self, BadEndpoint> {
        text.parse()
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
            Self::Tcp(addr) => addr.fmt(f),
        }
    }
}

/// Why an endpoint could not be bound.
#[derive(Debug, thiserror::Error)]
pub enum BindError {
    /// Somebody listens there already.
    #[error(
        "cannot listen on {0}: in use by another process (another hosp-agent?); stop it, or choose another with {1}"
    )]
    InUse(Endpoint, &'static str),
    /// Something else is in the way of the socket.
    #[error(
        "cannot listen on {0}: there is a file there that is no socket; remove it, or choose another path with {1}"
    )]
    NotASocket(Endpoint, &'static str),
    /// The system refused.
    #[error("cannot listen on {0}: {1}; choose another with {2}")]
    Io(Endpoint, io::Error, &'static str),
}

/// A bound server socket. Dropping it removes the socket's file, if that is still this one's.
#[derive(Debug)]
pub enum Bound {
    /// A Unix socket.
    Unix {
        /// The socket.
        listener: UnixListener,
        /// Its file.
        file: SocketFile,
    },
    /// A TCP socket.
    Tcp(TcpListener),
}

/// The file of a Unix socket; removed when dropped, unless another server has put its own there.
#[derive(Debug)]
pub struct SocketFile {
    path: PathBuf,
    id: (u64, u64),
}

impl Endpoint {
    /// Listens here. `flag` is what the operator can change it by.
    ///
    /// A Unix socket has mode 0660, from before its name appears; what a dead server left behind at that name is
    /// replaced, and directories that are missing are made with mode 0755.
    pub fn bind(&self, flag: &'static str) -> Result<Bound, BindError> {
        let failed = |error: io::Error| match error.kind() {
            io::ErrorKind::AddrInUse => BindError::InUse(self.clone(), flag),
            _ => BindError::Io(self.clone(), error, flag),
        };
        match self {
            Self::Tcp(addr) => {
                let listener = TcpListener::bind(addr).map_err(failed)?;
                listener.set_nonblocking(true).map_err(failed)?;
                Ok(Bound::Tcp(listener))
            }
            Self::Unix(path) => {
                match fs::symlink_metadata(path) {
                    Ok(found) if !found.file_type().is_socket() => {
                        return Err(BindError::NotASocket(self.clone(), flag));
                    }
                    Ok(_) if UnixStream::connect(path).is_ok() => {
                        return Err(BindError::InUse(self.clone(), flag));
                    }
                    Ok(_) | Err(_) => {}
                }
                let (listener, file) = bind_unix(path).map_err(failed)?;
                Ok(Bound::Unix { listener, file })
            }
        }
    }
}

fn bind_unix(path: &Path) -> io::Result<(UnixListener, SocketFile)> {
    if let Some(dir) = path.parent() {
        fs::DirBuilder::new().recursive(true).mode(0o755).create(dir)?;
    }
    let mut new = path.as_os_str().to_owned();
    new.push(format!(".{}", std::process::id()));
    let new = PathBuf::from(new);
    let _ = fs::remove_file(&new);
    let listener = UnixListener::bind(&new)?;
    listener.set_nonblocking(true)?;
    fs::set_permissions(&new, fs::Permissions::from_mode(0o660))?;
    fs::rename(&new, path)?;
    let id = file_id(path)?;
    Ok((listener, SocketFile { path: path.to_owned(), id }))
}

fn file_id(path: &Path) -> io::Result<(u64, u64)> {
    fs::symlink_metadata(path).map(|file| (file.dev(), file.ino()))
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        if file_id(&self.path).is_ok_and(|id| id == self.id) {
            let _ = fs::remove_file(&self.path);
        }
    }
}

impl Bound {
    /// Where it listens; a port of 0 has become the one that was given.
    pub fn endpoint(&self) -> io::Result<Endpoint> {
        Ok(match self {
            Self::Unix { file, .. } => Endpoint::Unix(file.path.clone()),
            Self::Tcp(listener) => Endpoint::Tcp(listener.local_addr()?),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn endpoints_are_paths_or_addresses() {
        assert_eq!("unix:/run/x".parse(), Ok(Endpoint::Unix("/run/x".into())));
        assert_eq!("127.0.0.1:1".parse(), Ok(Endpoint::Tcp(([127, 0, 0, 1], 1).into())));
        assert_eq!("[::1]:1".parse::<Endpoint>().unwrap().to_string(), "[::1]:1");
        for bad in ["", "unix:", "unix:relative", "127.0.0.1", "127.0.0.1:99999"] {
            assert!(bad.parse::<Endpoint>().is_err(), "{bad}");
        }
    }

    #[test]
    fn the_socket_of_a_living_server_is_left_alone_and_that_of_a_dead_one_replaced() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("made/agent.sock");
        let endpoint = Endpoint::Unix(path.clone());
        let first = endpoint.bind("--feed").unwrap();
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o660);
        assert_eq!(fs::metadata(path.parent().unwrap()).unwrap().permissions().mode() & 0o777, 0o755);
        assert!(matches!(endpoint.bind("--feed"), Err(BindError::InUse(..))));

        // A crash leaves the file behind.
        let Bound::Unix { listener, file } = first else { panic!("a Unix socket") };
        drop(listener);
        let second = endpoint.bind("--feed").unwrap();
        drop(file);
        assert!(UnixStream::connect(&path).is_ok(), "the dead one's clean-up leaves the living one's file");
        drop(second);
        assert!(!path.exists());
    }

    #[test]
    fn a_file_that_is_no_socket_is_never_replaced() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("notes.txt");
        fs::write(&path, "keep me").unwrap();
        let error = Endpoint::Unix(path.clone()).bind("--feed").unwrap_err();
        assert!(matches!(error, BindError::NotASocket(..)), "{error}");
        assert_eq!(fs::read(&path).unwrap(), b"keep me");
    }

    #[test]
    fn a_port_in_use_is_named_with_the_flag_that_changes_it() {
        let taken = TcpListener::bind("127.0.0.1:0").unwrap();
        let endpoint = Endpoint::Tcp(taken.local_addr().unwrap());
        let message = endpoint.bind("--metrics-listen").unwrap_err().to_string();
        assert!(message.contains(&endpoint.to_string()) && message.contains("--metrics-listen"), "{message}");
    }
}
