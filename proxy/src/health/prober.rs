//! What is done for the endpoints apart from all requests: names are looked up, endpoints checked, limits reviewed,
//! outliers taken out, and an origin that takes no connections is watched for its return.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::header::{HOST, USER_AGENT};
use http::{HeaderValue, Request};
use http_body_util::Empty;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{Instant, MissedTickBehavior, interval, sleep, timeout};

use super::check::{CheckConfig, Standing};
use super::ejection::{Rate, outlier};
use super::judge::{announce, eject};
use crate::breaker::Cause;
use crate::dns;
use crate::endpoint::Endpoint;
use crate::origins::Origins;
use crate::shared::Shared;

/// From one look at limits and outliers to the next.
const REVIEW: Duration = Duration::from_secs(1);
/// Looks at what requests met, before outliers are judged.
const OUTLIERS: u32 = 5;

/// Does it for the origins that count, whatever a reload makes of them, until the proxy is gone. Must run within a local
/// task set.
pub async fn keep(mut current: watch::Receiver<Arc<Shared>>) {
    loop {
        let origins = current.borrow_and_update().origins.clone();
        let same = |shared: &Arc<Shared>| Arc::ptr_eq(&shared.origins, &origins);
        tokio::select! {
            () = run(origins.clone()) => return,
            others = current.wait_for(|shared| !same(shared)) => if others.is_err() { return },
        }
    }
}

/// Runs until it is dropped.
async fn run(origins: Arc<Origins>) {
    let mut tasks = JoinSet::new();
    for upstream in &origins.endpoints.upstreams {
        tasks.spawn_local(dns::follow(origins.clone(), upstream.clone()));
    }
    tasks.spawn_local(watch_for_return(origins.clone()));
    tasks.spawn_local(review(origins.clone()));
    if let Some(config) = origins.config().health.check.clone() {
        tasks.spawn_local(check_all(origins.clone(), config));
    }
    while tasks.join_next().await.is_some() {}
}

/// Tries to connect, for as long as nobody could.
async fn watch_for_return(origins: Arc<Origins>) {
    loop {
        origins.breaker.opened().await;
        while origins.breaker.cause() == Some(Cause::Unreachable) {
            let started = Instant::now();
            if somebody_listens(&origins).await {
                announce(&origins, origins.breaker.connected(started.into_std()));
            } else {
                sleep(origins.config().breaker.probe_interval).await;
            }
        }
    }
}

/// Whether a connection can be made to any endpoint.
async fn somebody_listens(origins: &Origins) -> bool {
    let mut connects = JoinSet::new();
    for endpoint in origins.endpoints.list().iter() {
        let connect = TcpStream::connect(endpoint.address);
        connects.spawn_local(timeout(origins.config().connect_timeout, connect));
    }
    while let Some(connected) = connects.join_next().await {
        if matches!(connected, Ok(Ok(Ok(_)))) {
            return true;
        }
    }
    false
}

/// Reviews limits and outliers, again and again.
async fn review(origins: Arc<Origins>) {
    let mut ticks = interval(REVIEW);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    for tick in 1u32.. {
        ticks.tick().await;
        let now = Instant::now().into_std();
        let endpoints = origins.endpoints.list();
        for endpoint in endpoints.iter() {
            if endpoint.limit.review(&origins.config().concurrency, now) {
                origins.queue.wake_all();
            }
            endpoint.health.forgive(&origins.config().health.ejection, now);
        }
        if tick.is_multiple_of(OUTLIERS) {
            judge_outliers(&origins, &endpoints);
        }
    }
}

fn judge_outliers(origins: &Origins, endpoints: &[Arc<Endpoint>]) {
    let rate = |endpoint: &Arc<Endpoint>| {
        let (good, bad) = endpoint.limit.take_seen();
        Rate { good, bad }
    };
    let rates: Vec<_> = endpoints.iter().map(rate).collect();
    let config = &origins.config().health.ejection;
    if config.failures > 0
        && let Some(at) = outlier(&rates)
    {
        let endpoint = &endpoints[at];
        let period = config.period(endpoint.health.ejections());
        eject(origins, endpoint, period, Instant::now(), "it fails far more often than the others");
    }
}

/// Checks every endpoint, as long as it is one.
async fn check_all(origins: Arc<Origins>, config: CheckConfig) {
    let config = Arc::new(config);
    let mut watched: Vec<(u64, tokio::task::AbortHandle)> = Vec::new();
    let mut checks = JoinSet::new();
    let mut ticks = interval(REVIEW.min(config.interval));
    loop {
        ticks.tick().await;
        let endpoints = origins.endpoints.list();
        watched.retain(|(number, check)| {
            let stays = endpoints.iter().any(|endpoint| endpoint.number() == *number);
            if !stays {
                check.abort();
            }
            stays
        });
        for endpoint in endpoints.iter() {
            if !watched.iter().any(|(number, _)| *number == endpoint.number()) {
                let check = checks.spawn_local(check(origins.clone(), endpoint.clone(), config.clone()));
                watched.push((endpoint.number(), check));
            }
        }
        while checks.try_join_next().is_some() {}
    }
}

/// Checks one endpoint, again and again.
async fn check(origins: Arc<Origins>, endpoint: Arc<Endpoint>, config: Arc<CheckConfig>) {
    let mut standing = Standing::default();
    let mut ticks = interval(config.interval);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        let passed = matches!(timeout(config.timeout, ask(&endpoint, &config)).await, Ok(Ok(true)));
        let Some(serves) = standing.heard(passed, &config) else { continue };
        endpoint.health.checked(serves, Instant::now().into_std());
        if serves {
            tracing::info!(%endpoint, "passes its checks again");
            origins.queue.wake_all();
        } else {
            tracing::warn!(%endpoint, path = %config.path, "fails its checks: it is left out while there are others");
        }
    }
}

/// Whether the endpoint answers the check with a 2xx. Each time on a new connection: whether it takes one is part of
/// the question.
async fn ask(endpoint: &Endpoint, config: &CheckConfig) -> Result<bool, Box<dyn std::error::Error>> {
    let stream = TcpStream::connect(endpoint.address).await?;
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
    let request = Request::get(config.path.as_str())
        .header(HOST, endpoint.upstream.origin.authority())
        .header(USER_AGENT, HeaderValue::from_static("hosp-proxy health check"))
        .body(Empty::<Bytes>::new())?;
    let answer = async {
        let response = sender.send_request(request).await?;
        Ok(response.status().is_success())
    };
    tokio::select! {
        answer = answer => answer,
        ended = connection => Err(ended.err().map_or_else(|| "closed".into(), Into::into)),
    }
}
