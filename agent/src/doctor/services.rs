//! Checks of the sockets: those that the agent would listen on, and that of hosp-proxy.

use std::net::TcpListener;
use std::os::unix::fs::FileTypeExt as _;
use std::os::unix::net::UnixStream;
use std::path::Path;

use rustix::fs::{Access, access};

use super::Check;
use crate::endpoint::Endpoint;
use crate::proxy as facts;

/// Whether a server can listen at `endpoint`; `flag` changes where.
pub(super) fn free(check: &'static str, flag: &str, endpoint: &Endpoint) -> Check {
    let other = format!("choose another with {flag}");
    let in_use = || format!("stop what listens on {endpoint} (another hosp-agent?), or {other}");
    match endpoint {
        Endpoint::Tcp(addr) => match TcpListener::bind(addr) {
            Ok(_) => Check::ok(check, format!("{endpoint} is free")),
            Err(error) => Check::fail(check, format!("{endpoint}: {error}"), in_use()),
        },
        Endpoint::Unix(path) => match path.symlink_metadata() {
            Ok(found) if !found.file_type().is_socket() => {
                Check::fail(check, format!("{endpoint}: a file that is no socket is in the way"), other)
            }
            Ok(_) if UnixStream::connect(path).is_ok() => {
                Check::fail(check, format!("{endpoint} is in use"), in_use())
            }
            Ok(_) | Err(_) => writable(check, endpoint, path, other),
        },
    }
}

/// Whether the request log can be written to.
pub(super) fn request_log(path: &Path) -> Check {
    const NAME: &str = "request-log";
    let dir = path.parent().filter(|dir| !dir.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let (place, wanted) =
        if path.exists() { (path, Access::WRITE_OK) } else { (dir, Access::WRITE_OK | Access::EXEC_OK) };
    match access(place, wanted) {
        Ok(()) if !path.is_dir() => Check::ok(NAME, format!("{} can be written", path.display())),
        Ok(()) => Check::fail(
            NAME,
            format!("{} is a directory", path.display()),
            "name a file within it with --request-log",
        ),
        Err(error) => Check::fail(
            NAME,
            format!("{}: cannot write to {}: {error}", path.display(), place.display()),
            "make the directory, run with sudo, or choose another file with --request-log",
        ),
    }
}

/// Whether the socket's file can be made: in its directory, or in the nearest one that exists.
fn writable(check: &'static str, endpoint: &Endpoint, path: &Path, other: String) -> Check {
    let dir = path.ancestors().skip(1).find(|dir| dir.exists()).unwrap_or(Path::new("/"));
    match access(dir, Access::WRITE_OK | Access::EXEC_OK) {
        Ok(()) => Check::ok(check, format!("{endpoint} is free")),
        Err(error) => Check::fail(
            check,
            format!("{endpoint}: cannot write to {}: {error}", dir.display()),
            format!("run with sudo, or {other}"),
        ),
    }
}

/// Whether hosp-proxy answers.
pub(super) fn proxy(endpoint: &Endpoint) -> Check {
    const NAME: &str = "proxy";
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let asked = match runtime {
        Ok(runtime) => runtime.block_on(facts::fetch(endpoint)).map_err(|error| error.to_string()),
        Err(error) => Err(error.to_string()),
    };
    match asked {
        Ok(facts) => {
            Check::ok(NAME, format!("hosp-proxy at {endpoint} has answered {} requests", facts.requests))
        }
        Err(error) => Check::warn(
            NAME,
            format!("no hosp-proxy at {endpoint}: {error}"),
            "none needed to observe; else start it, or name its --admin address with --proxy",
        ),
    }
}
