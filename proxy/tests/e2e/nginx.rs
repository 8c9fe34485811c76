//! The proxy in front of a real server: nginx, as Debian ships it.

use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use crate::support::{Client, Proxy, Settings, eventually, exchange, get, raw};

/// A running nginx, stopped by its process id when dropped.
struct Nginx {
    child: Child,
    address: SocketAddr,
    folder: tempfile::TempDir,
}

impl Nginx {
    /// `None`, with the reason printed, where nginx is not installed. In CI it has to be.
    fn start(locations: &str) -> Option<Self> {
        let Some(binary) = ["/usr/sbin/nginx", "/usr/bin/nginx"].into_iter().find(|p| Path::new(p).exists())
        else {
            assert!(
                std::env::var_os("CI").is_none(),
                "nginx is not installed: `apt-get install nginx-light`"
            );
            println!("skipped: nginx is not installed (`apt-get install nginx-light`)");
            return None;
        };
        let folder = tempfile::tempdir().unwrap();
        let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let root = folder.path().display();
        let config = format!(
            "daemon off; worker_processes 1; pid {root}/pid; error_log {root}/error.log;\n\
             events {{}}\n\
             http {{ access_log {root}/access.log; client_body_temp_path {root}/b; proxy_temp_path {root}/p;\n\
             fastcgi_temp_path {root}/f; uwsgi_temp_path {root}/u; scgi_temp_path {root}/s;\n\
             server {{ listen {address}; root {root}; {locations} }} }}"
        );
        let path = folder.path().join("nginx.conf");
        std::fs::write(&path, config).unwrap();
        let child = Command::new(binary)
            .args(["-p", folder.path().to_str().unwrap(), "-c", path.to_str().unwrap()])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let nginx = Self { child, address, folder };
        eventually("nginx listens", || TcpStream::connect(nginx.address).is_ok());
        Some(nginx)
    }

    fn log_lines(&self) -> usize {
        std::fs::read_to_string(self.folder.path().join("access.log")).map_or(0, |log| log.lines().count())
    }
}

impl Drop for Nginx {
    fn drop(&mut self) {
        let _ = Command::new("kill").args(["-TERM", &self.child.id().to_string()]).status();
        let _ = self.child.wait();
    }
}

#[test]
fn files_errors_and_hits_through_a_real_server() {
    let locations = "location /cached/ { expires 60s; } location /busy { return 503 busy; }";
    let Some(nginx) = Nginx::start(locations) else { return };
    std::fs::create_dir(nginx.folder.path().join("cached")).unwrap();
    std::fs::write(nginx.folder.path().join("cached/a.txt"), "stored").unwrap();
    let large: Vec<u8> = (0..2_000_000u32).map(|n| (n % 251) as u8).collect();
    std::fs::write(nginx.folder.path().join("large.bin"), &large).unwrap();
    let file = "[retry]\nbackoff_base = '1ms'\ntries = 3";
    let proxy =
        Proxy::start(&[&format!("http://{}", nginx.address)], Settings { file, ..Settings::default() });

    let mut client = Client::connect(proxy.address);
    assert_eq!(client.send(raw("GET", "/large.bin", &[], "")).answer().body, large);
    assert_eq!(client.send(raw("GET", "/missing", &[], "")).answer().status, 404);
    let busy = client.send(raw("GET", "/busy", &[], "")).answer();
    assert_eq!((busy.status, busy.text().as_str()), (503, "busy"));
    for _ in 0..3 {
        assert_eq!(get(proxy.address, "/cached/a.txt", &[]).text(), "stored");
    }
    let part = get(proxy.address, "/cached/a.txt", &["Range: bytes=0-2"]);
    assert_eq!((part.status, part.text().as_str()), (206, "sto"));
    let etag = get(proxy.address, "/cached/a.txt", &[]).field("etag");
    assert_eq!(get(proxy.address, "/cached/a.txt", &[&format!("If-None-Match: {etag}")]).status, 304);
    assert_eq!(exchange(proxy.address, raw("POST", "/missing", &[], "x")).status, 404);
    // Large, missing, three busy ones, one miss, one range, one POST.
    eventually("nginx has logged what reached it", || nginx.log_lines() == 8);
}
