//! A real nginx, and what its access log says.

use std::fs;
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};

use xtask::child::{Launch, Running};
use xtask::counts::Counts;
use xtask::{poll, ports};

use crate::rig::{PATIENCE, find};

/// A real nginx with one line of `METHOD status` in its log for each request.
pub(crate) struct Nginx {
    server: Running,
    pub(crate) address: SocketAddr,
    log: PathBuf,
}

impl Nginx {
    /// Starts it on a free port, with a file of 3 MB, an error and an empty answer to serve.
    pub(crate) fn new(dir: &Path) -> Self {
        let [address] = ports::free().unwrap();
        Self::listening(dir, address, "")
    }

    /// The same on this address, with these options of its `listen`.
    pub(crate) fn listening(dir: &Path, address: SocketAddr, options: &str) -> Self {
        let log = dir.join(format!("access-{}.log", address.port()));
        let at = dir.display();
        let temp = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
            .map(|name| format!("{name}_temp_path {at}/{name};"))
            .join("\n");
        let conf = format!(
            "daemon off; worker_processes 1; pid {at}/nginx.pid; error_log {at}/error.log; {user}
             events {{ worker_connections 4096; }}
             http {{
                 {temp}
                 log_format counts '$request_method $status'; access_log {log} counts buffer=64k flush=1s;
                 keepalive_requests 1000000000; sendfile on; tcp_nopush on; root {at};
                 server {{
                     listen {address} {options};
                     location /hello {{ return 200 'hello world'; }}
                     location /empty {{ return 204; }}
                     location /sick {{ return 503 'sick'; }}
                 }}
             }}",
            user = "user root;",
            log = log.display(),
        );
        let file = dir.join("nginx.conf");
        fs::write(&file, conf).unwrap();
        fs::write(dir.join("big.bin"), vec![b'x'; 3_000_000]).unwrap();
        let server = Launch::new("nginx", find("nginx").unwrap())
            .args(["-c", &file.display().to_string()])
            .log(&dir.join("nginx.out"))
            .spawn()
            .unwrap();
        poll::until("nginx", PATIENCE, || TcpStream::connect(address).ok()).unwrap();
        Self { server, address, log }
    }

    /// A URL on it.
    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// Ends it, and counts what its log holds.
    pub(crate) fn stop(mut self) -> Counts {
        self.server.stop(PATIENCE).unwrap();
        logged(&self.log)
    }
}

/// What a server's log of one line of `METHOD status` for each request holds. `[` begins what it says of itself.
pub(crate) fn logged(log: &Path) -> Counts {
    let mut counts = Counts::default();
    for line in fs::read_to_string(log).unwrap().lines().filter(|line| !line.starts_with('[')) {
        let (method, status) = line.split_once(' ').unwrap();
        let known = ["GET", "HEAD", "POST", "PUT", "DELETE", "CONNECT", "OPTIONS", "TRACE", "PATCH"];
        let method = if known.contains(&method) { method } else { "_OTHER" };
        counts.add(method, status.parse().unwrap(), 1);
    }
    counts
}
