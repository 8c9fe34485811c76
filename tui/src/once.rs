//! `--once`: one report, as a table for people or as JSON for scripts, and no terminal needed.

mod report;
mod table;

use std::time::Duration;

use hosp_feed::Snapshot;
use tokio::time::{Instant, sleep, timeout_at};

use crate::address::Address;
use crate::cli::Options;
use crate::exit::{Exit, Failure};
use crate::feed::{self, FeedError};
use crate::output::{print, tell};
use crate::reading::Reading;
pub use report::Report;

/// The agents have so long to answer, tries after a failure included.
const PATIENCE: Duration = Duration::from_secs(5);
/// Pause between two tries.
const PAUSE: Duration = Duration::from_millis(100);

/// Prints one report. Agents that could not be reached are named on standard error, and make the exit code 69.
pub fn run(options: &Options) -> Result<Exit, Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|source| Failure::System { what: "start the event loop", source })?;
    let snapshots = runtime.block_on(ask_all(&options.agents));
    for error in snapshots.iter().filter_map(|(_, snapshot)| snapshot.as_ref().err()) {
        tell(error);
    }
    let complete = snapshots.iter().all(|(_, snapshot)| snapshot.is_ok());
    if options.json || snapshots.iter().any(|(_, snapshot)| snapshot.is_ok()) {
        let report = Report::of(&snapshots, options.service.as_deref());
        let text = if options.json { report.json() } else { table::render(&report) };
        print(text.as_bytes())?;
    }
    Ok(if complete { Exit::Done } else { Exit::Unavailable })
}

/// All agents' answers, in the order of `addresses`.
async fn ask_all(addresses: &[Address]) -> Vec<(String, Result<Snapshot, FeedError>)> {
    let deadline = Instant::now() + PATIENCE;
    let asked =
        addresses.iter().map(|address| async move { (address.to_string(), ask(address, deadline).await) });
    futures_util::future::join_all(asked).await
}

/// One agent's answer. What may pass within seconds, such as an agent that is just starting, is tried again.
async fn ask(address: &Address, deadline: Instant) -> Result<Snapshot, FeedError> {
    let mut last = None;
    let tries = async {
        loop {
            match ask_now(address).await {
                Err(error) if error.passing() => last = Some(error),
                answer => return answer,
            }
            sleep(PAUSE).await;
        }
    };
    match timeout_at(deadline, tries).await {
        Ok(answer) => answer,
        Err(_) => Err(last.unwrap_or(FeedError::Timeout { address: address.to_string(), after: PATIENCE })),
    }
}

async fn ask_now(address: &Address) -> Result<Snapshot, FeedError> {
    let line = feed::snapshot(address).await?;
    let snapshot = hosp_feed::decode(&line).map_err(Into::into).and_then(|snapshot| {
        // The report is made from the snapshot itself, but only from one that the live view would take too.
        Reading::check(snapshot.clone()).map(|_| snapshot)
    });
    snapshot.map_err(|source| FeedError::Reading { address: address.to_string(), source })
}
