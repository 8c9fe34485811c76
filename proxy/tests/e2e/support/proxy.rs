//! A proxy within the test's process, on free ports, drained when dropped.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::mpsc::channel;
use std::thread::JoinHandle;

use hosp_proxy::config::{AdminAddr, Config, file, resolve::resolve};
use hosp_proxy::handover::Inherited;
use hosp_proxy::reload::{ReloadError, Reloader};
use hosp_proxy::server::{Drainer, Server};
use hosp_proxy::shared::Shared;
use hosp_proxy::worker::Drained;

use super::{Answer, exchange};

/// What a test asks for beyond the defaults.
#[derive(Default)]
pub(crate) struct Settings<'a> {
    /// Further flags.
    pub(crate) flags: &'a str,
    /// A configuration file's text.
    pub(crate) file: &'a str,
}

/// A running proxy.
pub(crate) struct Proxy {
    pub(crate) address: SocketAddr,
    pub(crate) admin: SocketAddr,
    pub(crate) shared: Arc<Shared>,
    pub(crate) drainer: Drainer,
    reloader: Reloader,
    thread: Option<JoinHandle<Drained>>,
}

impl Proxy {
    /// A proxy with one worker in front of `origins`.
    pub(crate) fn start(origins: &[&str], settings: Settings<'_>) -> Self {
        let config = config(origins, settings);
        let (tell, started) = channel();
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::LocalRuntime::new().unwrap();
            runtime.block_on(async {
                let server = Server::start(config, Inherited::default()).await.unwrap();
                let AdminAddr::Tcp(admin) = *server.admin() else {
                    panic!("the admin interface is on TCP here")
                };
                tell.send((
                    server.listening()[0],
                    admin,
                    server.shared(),
                    server.drainer(),
                    server.reloader(),
                ))
                .unwrap();
                server.wait().await.unwrap()
            })
        });
        let (address, admin, shared, drainer, reloader) = started.recv().unwrap();
        Self { address, admin, shared, drainer, reloader, thread: Some(thread) }
    }

    /// The body of one page of the admin interface.
    pub(crate) fn admin(&self, path: &str) -> Answer {
        exchange(self.admin, format!("GET {path} HTTP/1.1\r\nHost: admin\r\nConnection: close\r\n\r\n"))
    }

    /// The value of one series on `/metrics`, 0 when it is not there.
    pub(crate) fn metric(&self, series: &str) -> u64 {
        let text = self.admin("/metrics").text();
        let value = text.lines().find_map(|line| line.strip_prefix(series)?.strip_prefix(' '));
        value.map_or(0, |v| v.parse().unwrap())
    }

    /// Gives it the configuration that a file with this text makes; the sections that changed.
    pub(crate) fn reload(&self, file: &str) -> Result<Vec<&'static str>, ReloadError> {
        self.reloader.reload(config(&[], Settings { file, ..Settings::default() }))
    }

    /// Drains, and says how that went.
    pub(crate) fn finish(mut self) -> Drained {
        self.drainer.drain();
        self.thread.take().unwrap().join().unwrap()
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        // The thread ends with its drain; a test that has failed already need not wait for it.
        self.drainer.drain();
    }
}

fn config(origins: &[&str], settings: Settings<'_>) -> Config {
    let mut args = vec!["hosp-proxy", "--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0", "--workers", "1"];
    origins.iter().for_each(|origin| args.extend(["--origin", origin]));
    args.extend(settings.flags.split_whitespace());
    let file = file::parse(settings.file, std::path::Path::new("test.toml")).unwrap();
    resolve(&hosp_proxy::cli::flags(args.into_iter()), file).unwrap()
}
