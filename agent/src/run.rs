//! Start and end: binds, attaches, gives up privileges, runs, and leaves nothing behind.

use std::future::Future;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::thread::{self, JoinHandle};

use hosp_feed::AgentInfo;
use tokio::runtime::{self, Runtime};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::{oneshot, watch};

use crate::clock;
use crate::config::Settings;
use crate::endpoint::{Bound, Endpoint};
use crate::enrich::Enricher;
use crate::failure::Failure;
use crate::intake::Intake;
use crate::kernel::{Kernel, Options, find_cgroup2};
use crate::metrics::Metrics;
use crate::owner::Owner;
use crate::privileges;
use crate::proxy;
use crate::request_log::{LogFile, RequestLog};
use crate::series::{Shared, Table};
use crate::serve::feed::FeedSite;
use crate::serve::metrics::MetricsSite;
use crate::serve::{Limits, Server};
use crate::source::Source;

/// Added to the agent's nice value, from -20 (first) to 19 (last): ahead of servers under load, for the fraction
/// of a core that it takes.
const NICE: i32 = -10;

/// The two server sockets, bound.
#[derive(Debug)]
pub struct Sockets {
    /// For `/metrics`.
    pub metrics: Bound,
    /// For the feed.
    pub feed: Bound,
}

/// Observes this host until SIGINT or SIGTERM.
pub fn observe(settings: Settings) -> Result<(), Failure> {
    privileges::check()?;
    let runtime = runtime()?;
    // Listened for before there is anything to clean up: attaching takes a while, and a signal may come meanwhile.
    let stop = signalled(&runtime)?;
    let cgroup = settings.cgroup.clone().or_else(find_cgroup2).ok_or(Failure::NoCgroup2)?;
    let sockets =
        Sockets { metrics: settings.metrics.bind("--metrics-listen")?, feed: settings.feed.bind("--feed")? };
    let metrics = sockets.metrics.endpoint().map_err(Failure::system("read back the address of /metrics"))?;
    let feed = sockets.feed.endpoint().map_err(Failure::system("read back the address of the feed"))?;
    let kernel = Kernel::attach(&Options {
        cgroup: cgroup.clone(),
        own_ports: own_ports(&[&metrics, &feed], &settings.proxy),
        ports: settings.ports.as_slice().to_vec(),
        unread: settings.unread,
        ring_bytes: settings.ring_bytes,
        bpf_stats: settings.bpf_stats,
    })?;
    // The ring holds a fraction of a second at full speed: on a host whose CPUs are all busy, waiting for one's
    // turn is what loses records. Not fatal where it is refused.
    let ahead = rustix::process::nice(NICE)
        .inspect_err(|error| tracing::debug!(%error, "keeping the usual scheduling priority"));
    // Every thread is started after this line, and inherits what it leaves.
    privileges::reduce()?;
    tracing::info!(cgroup = %cgroup.display(), %metrics, %feed, "observing");
    let stop = async {
        // The owner runs by now, and stays ahead. This thread and those that encode only serve readers: they must
        // not take a CPU from the servers, however often they are asked.
        if ahead.is_ok() {
            let _ = rustix::process::nice(-NICE);
        }
        stop.await;
    };
    run(&runtime, kernel, settings, sockets, stop)?;
    tracing::info!("stopped; the programs are detached");
    Ok(())
}

/// Ports whose connections are the agent's own: those that it listens on, and that by which it asks the proxy on
/// this host. A proxy's address elsewhere is left in: its port may be a port that matters here.
fn own_ports(listening: &[&Endpoint], proxy: &Endpoint) -> Vec<u16> {
    let local = listening.iter().copied().chain(match proxy {
        Endpoint::Tcp(addr) if addr.ip().is_loopback() => Some(proxy),
        Endpoint::Tcp(_) | Endpoint::Unix(_) => None,
    });
    local
        .filter_map(|endpoint| match endpoint {
            Endpoint::Tcp(addr) => Some(addr.port()),
            Endpoint::Unix(_) => None,
        })
        .collect()
}

/// The runtime of everything but the owner. It starts no thread before there is something to encode.
pub fn runtime() -> Result<Runtime, Failure> {
    runtime::Builder::new_current_thread()
        .enable_all()
        // For encoding snapshots: one at work is enough.
        .max_blocking_threads(1)
        .build()
        .map_err(Failure::system("start the async runtime"))
}

/// Ready after a SIGINT or SIGTERM that came after this call.
fn signalled(runtime: &Runtime) -> Result<impl Future<Output = ()> + use<>, Failure> {
    let _within = runtime.enter();
    let listen = |kind| signal(kind).map_err(Failure::system("listen for signals"));
    let (mut interrupt, mut terminate) = (listen(SignalKind::interrupt())?, listen(SignalKind::terminate())?);
    Ok(async move {
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
    })
}

/// Takes records from `source` and serves what comes of them, until `stop` is ready or something fails. Then the
/// last records are taken in, the feed ends, and the sockets' files are removed. `stop` is looked at once the owner
/// runs.
pub fn run<S: Source + 'static>(
    runtime: &Runtime,
    source: S,
    settings: Settings,
    sockets: Sockets,
    stop: impl Future<Output = ()>,
) -> Result<(), Failure> {
    let (facts, facts_reader) = watch::channel(None);
    let enricher = Enricher::start(settings.naming, "/proc".into(), find_cgroup2())
        .map_err(Failure::system("start the thread that looks up processes"))?;
    let series = Shared::default();
    let log = settings.request_log.as_deref().map(request_log).transpose()?;
    let intake = Intake::new(enricher, Table::new(settings.max_series, series.clone()), log);
    let (owner, handle) = Owner::new(source, intake, identity(), facts_reader);
    let metrics = Arc::new(Metrics::new(series, handle.clone()));

    runtime.block_on(async {
        let server = |bound| {
            Server::new(bound, Limits::default(), metrics.traffic.stalled_readers.clone())
                .map_err(Failure::system("serve on a socket"))
        };
        let (scrapes, readers) = (server(sockets.metrics)?, server(sockets.feed)?);
        let (end, ending) = watch::channel(false);
        let scrapes =
            scrapes.run(Arc::new(MetricsSite::new(metrics.clone(), handle.clone())), ending.clone());
        let feed = FeedSite::new(handle, metrics.traffic.feed_readers.clone());
        let readers = tokio::spawn(readers.run(Arc::new(feed), ending));
        let scrapes = tokio::spawn(scrapes);
        let proxy = tokio::spawn(proxy::follow(settings.proxy, facts));

        let mut owner = start(owner)?;
        tokio::select! {
            () = stop => {
                owner.stop.store(true, Relaxed);
                let _ = (&mut owner.ended).await;
            }
            // By itself: joining it tells why.
            _ = &mut owner.ended => {}
        }
        let _ = end.send(true);
        // The servers bound their own time; what panicked in them has been reported by the panic itself.
        let _ = tokio::join!(scrapes, readers);
        proxy.abort();
        match owner.thread.join() {
            Ok(Ok(())) => Ok(()),
            Ok(Err(source)) => Err(Failure::System { what: "read the kernel's records", source }),
            Err(_) => Err(Failure::OwnerPanicked),
        }
    })
}

/// Opens the request log and starts its thread; from now on, SIGHUP opens it again.
fn request_log(path: &Path) -> Result<RequestLog, Failure> {
    let reopen = Arc::new(AtomicBool::new(false));
    signal_hook::flag::register(SignalKind::hangup().as_raw_value(), reopen.clone())
        .map_err(Failure::system("listen for signals"))?;
    let file = LogFile::open(path, reopen).map_err(|error| Failure::RequestLog(path.to_owned(), error))?;
    RequestLog::start(file).map_err(Failure::system("start the thread that writes the request log"))
}

/// The owner, running.
struct RunningOwner {
    thread: JoinHandle<std::io::Result<()>>,
    stop: Arc<AtomicBool>,
    /// Ready when the thread ends, in whatever way.
    ended: oneshot::Receiver<()>,
}

fn start<S: Source + 'static>(owner: Owner<S>) -> Result<RunningOwner, Failure> {
    let stop = Arc::new(AtomicBool::new(false));
    let flag = stop.clone();
    let (alive, ended) = oneshot::channel::<()>();
    let thread = thread::Builder::new()
        .name("hosp-owner".into())
        .spawn(move || {
            let _alive = alive;
            owner.run(&flag)
        })
        .map_err(Failure::system("start the aggregating thread"))?;
    Ok(RunningOwner { thread, stop, ended })
}

/// Which agent on which host this is.
fn identity() -> AgentInfo {
    AgentInfo {
        host: rustix::system::uname().nodename().to_string_lossy().into_owned(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        pid: std::process::id(),
        started_unix_ms: clock::unix_ns() / 1_000_000,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_connections_of_the_agent_itself_are_left_out() {
        let endpoint = |text: &str| text.parse::<Endpoint>().unwrap();
        let (metrics, feed) = (endpoint("127.0.0.1:9464"), endpoint("unix:/run/hosp/agent.sock"));
        let ports = |proxy: &str| own_ports(&[&metrics, &feed], &endpoint(proxy));
        assert_eq!(ports("unix:/run/hosp/proxy.sock"), [9464]);
        assert_eq!(ports("127.0.0.1:9901"), [9464, 9901]);
        assert_eq!(ports("192.0.2.1:80"), [9464]);
    }
}
