//! `demo-origin`: a veterinary hospital's API that fails the way the real one does, and keeps exact books.
//!
//! `GET /patients`, `GET /patients/{id}`, `GET|POST /patients/{id}/notes`, `GET /reports/{id}` (chunked) and
//! `GET /static/{name}` (cacheable). Faults are drawn from the seed and the number of the request, so that two
//! runs with the same seed fail alike, in whatever order the requests come. What it counted is told on a Unix
//! socket of its own (`GET /__counts`), where asking disturbs no count.

mod connection;
mod faults;
mod hospital;
mod ledger;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use anyhow::Context as _;
use tokio::net::{TcpListener, UnixListener};
use tokio::signal::unix::{SignalKind, signal};

pub use faults::{Delay, Fate, Faults, Verdict};
pub use ledger::OriginReport;

use hospital::Hospital;
use ledger::Ledger;

/// Flags of `demo-origin`.
#[derive(Clone, Debug, clap::Parser)]
#[command(name = "demo-origin", version, about = "A hospital's API that fails the way the real one does")]
pub struct Options {
    /// Address to serve on; port 0 picks a free one, told by the admin socket
    #[arg(long, default_value = "127.0.0.1:8080")]
    pub listen: SocketAddr,
    /// Unix socket that answers GET /__counts
    #[arg(long, value_name = "PATH")]
    pub admin: PathBuf,
    /// Seed of the faults and latencies
    #[arg(long, default_value_t = 1)]
    pub seed: u64,
    /// Share of requests answered with a 5xx
    #[arg(long, default_value_t = 0.05)]
    pub errors: f64,
    /// Share of requests whose connection is reset before the head
    #[arg(long, default_value_t = 0.005)]
    pub resets: f64,
    /// Factor on the real system's 2 to 20 s per answer
    #[arg(long, default_value_t = 0.01)]
    pub time_scale: f64,
}

/// What all connections share.
struct Shared {
    faults: Faults,
    sequence: AtomicU64,
    hospital: Hospital,
    ledger: Arc<Ledger>,
}

/// Serves until SIGINT or SIGTERM.
pub async fn run(options: Options) -> anyhow::Result<()> {
    let delay = Delay::scaled(options.time_scale)?;
    let faults = Faults::new(options.seed, options.errors, options.resets, delay)?;
    let listener = TcpListener::bind(options.listen)
        .await
        .with_context(|| format!("cannot listen on {}", options.listen))?;
    let address = listener.local_addr()?;
    // A predecessor that was killed leaves its socket behind, and binding to an existing path fails.
    let _ = std::fs::remove_file(&options.admin);
    let admin = UnixListener::bind(&options.admin)
        .with_context(|| format!("cannot make the admin socket {}", options.admin.display()))?;
    println!("demo-origin: {address}, seed {}, admin unix:{}", options.seed, options.admin.display());

    let shared = Arc::new(Shared {
        faults,
        sequence: AtomicU64::new(0),
        hospital: Hospital::default(),
        ledger: Arc::new(Ledger::new(address)),
    });
    let (mut interrupt, mut terminate) = (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
    loop {
        tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => drop(tokio::spawn(connection::serve(stream, Arc::clone(&shared)))),
                // Out of descriptors or memory for a moment: the kernel keeps the connection waiting.
                Err(error) => {
                    eprintln!("demo-origin: accept: {error}");
                    tokio::task::yield_now().await;
                }
            },
            accepted = admin.accept() => {
                let (stream, _) = accepted.context("admin socket")?;
                tokio::spawn(connection::serve_admin(stream, Arc::clone(&shared.ledger)));
            }
            _ = interrupt.recv() => break,
            _ = terminate.recv() => break,
        }
    }
    let _ = std::fs::remove_file(&options.admin);
    Ok(())
}
