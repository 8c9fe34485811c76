//! `cargo xtask bench proxy`: hosp-proxy beside nginx and HAProxy, each with one worker on a core of its own.
//!
//! All run at once and idle but for the one that is measured; rounds are interleaved and figures are medians,
//! so that the machine's moods hit all alike.
//!
//! hosp-proxy is judged against the nginx that does the same work (forwarding fields, request ids, `Via`,
//! `Cache-Status`, repeats set up). The nginx that does the least a proxy gets by with is measured, too: what
//! the difference costs nginx, the features cost everybody.

use std::fmt;
use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use serde::Serialize;
use xtask::child::Running;
use xtask::endpoint::Endpoint;
use xtask::ports;
use xtask::stats::{median, median_ratio};
use xtask::table::Table;
use xtask::usage::Usage;

use super::{Cores, Rounds, micros, wrk};
use crate::artifacts::{Program, Programs};
use crate::servers::{Server, body, configure, haproxy, nginx};

const ORIGIN_CONF: &str = include_str!("../../assets/origin.nginx.conf");
const NGINX_CONF: &str = include_str!("../../assets/proxy.nginx.conf");
const HAPROXY_CONF: &str = include_str!("../../assets/haproxy.cfg");

/// Seconds of load before each measurement: connections are made, caches filled.
const WARM_UP: u32 = 1;

/// What the requests ask for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
enum Mode {
    /// Answers that may not be cached: each request reaches the origin.
    PassThrough,
    /// One cacheable answer: none does.
    CacheHit,
}

impl Mode {
    const ALL: [Self; 2] = [Self::PassThrough, Self::CacheHit];

    const fn path(self) -> &'static str {
        match self {
            Self::PassThrough => "/pass",
            Self::CacheHit => "/hit",
        }
    }
}

impl fmt::Display for Mode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::PassThrough => "pass-through",
            Self::CacheHit => "cache hit",
        })
    }
}

/// A server as it is asked; one process may be several.
struct Contender {
    name: &'static str,
    listen: SocketAddr,
    pid: u32,
}

/// The one that hosp-proxy is judged against.
const PEER: &str = "nginx";
/// The same with nothing but what a proxy has to do.
const BARE: &str = "nginx, bare";

/// One measurement.
#[derive(Clone, Copy, Debug)]
struct Sample {
    cpu_us: f64,
    system_us: f64,
    rate: f64,
    p50_us: f64,
    p99_us: f64,
    memory: f64,
}

/// A server's medians in one mode.
#[derive(Clone, Debug, Serialize)]
struct Figures {
    server: &'static str,
    mode: Mode,
    /// User and system time of the server's processes per request.
    cpu_us_per_request: f64,
    /// The part of it in the program itself.
    user_us_per_request: f64,
    /// The part of it in the kernel.
    system_us_per_request: f64,
    /// The whole, divided by that of the nginx that does the same work, of the same round.
    cpu_to_nginx: f64,
    /// The whole, divided by that of the bare nginx.
    cpu_to_bare_nginx: f64,
    requests_per_second: f64,
    p50_us: f64,
    p99_us: f64,
    memory_bytes: f64,
}

/// Runs `cargo xtask bench proxy`.
pub(super) fn run(rounds: &Rounds) -> anyhow::Result<()> {
    let programs = Programs::build()?;
    let dir = tempfile::Builder::new().prefix("hosp-bench-").tempdir()?;
    let [origin, hosp, nginx, bare, haproxy] = ports::free()?;
    let _origin = start_origin(dir.path(), origin)?;
    let (_running, contenders) =
        start_contenders(dir.path(), &programs, origin, [hosp, nginx, bare, haproxy])?;
    let figures = measure_all(dir.path(), rounds, origin, &contenders)?;
    if rounds.json {
        println!("{}", serde_json::to_string_pretty(&figures)?);
    } else {
        println!("{}", table(rounds, &figures));
    }
    Ok(())
}

fn start_origin(dir: &Path, listen: SocketAddr) -> anyhow::Result<Running> {
    let places = [("ORIGIN", listen.to_string()), ("BODY", body())];
    let config = configure(dir, "origin.conf", ORIGIN_CONF, &places)?;
    let (program, args) = nginx(&config)?;
    Server { name: "origin", program, args, listen, core: Cores::find().load, cgroup: None }.start(dir)
}

fn start_contenders(
    dir: &Path,
    programs: &Programs,
    origin: SocketAddr,
    [hosp_at, nginx_at, bare_at, haproxy_at]: [SocketAddr; 4],
) -> anyhow::Result<(Vec<Running>, Vec<Contender>)> {
    let places = |listen: SocketAddr| {
        [("LISTEN", listen.to_string()), ("BARE", bare_at.to_string()), ("ORIGIN", origin.to_string())]
    };
    let nginx = nginx(&configure(dir, "nginx.conf", NGINX_CONF, &places(nginx_at))?)?;
    let haproxy = haproxy(&configure(dir, "haproxy.cfg", HAPROXY_CONF, &places(haproxy_at))?)?;
    let hosp = vec![
        format!("--listen={hosp_at}"),
        format!("--origin=http://{origin}"),
        format!("--admin=unix:{}", dir.join("hosp.sock").display()),
        "--workers=1".to_owned(),
    ];
    let hosp = (programs.path(Program::Proxy).to_path_buf(), hosp);
    let start = |name, listen, (program, args)| {
        Server { name, program, args, listen, core: Cores::find().server, cgroup: None }.start(dir)
    };
    let running = vec![
        start("hosp-proxy", hosp_at, hosp)?,
        start("nginx", nginx_at, nginx)?,
        start("haproxy", haproxy_at, haproxy)?,
    ];
    let [hosp, nginx, haproxy] = [&running[0], &running[1], &running[2]].map(Running::pid);
    let contenders = vec![
        Contender { name: "hosp-proxy", listen: hosp_at, pid: hosp },
        Contender { name: PEER, listen: nginx_at, pid: nginx },
        Contender { name: BARE, listen: bare_at, pid: nginx },
        Contender { name: "haproxy", listen: haproxy_at, pid: haproxy },
    ];
    Ok((running, contenders))
}

fn measure_all(
    dir: &Path,
    rounds: &Rounds,
    origin: SocketAddr,
    contenders: &[Contender],
) -> anyhow::Result<Vec<Figures>> {
    let mut samples = vec![Vec::new(); Mode::ALL.len() * contenders.len()];
    for round in 0..rounds.rounds as usize {
        eprintln!("    round {} of {}", round + 1, rounds.rounds);
        for (m, mode) in Mode::ALL.into_iter().enumerate() {
            for turn in 0..contenders.len() {
                // Each round begins with another server, so that none always follows the same neighbour.
                let c = (turn + round) % contenders.len();
                samples[m * contenders.len() + c].push(measure(dir, rounds, origin, &contenders[c], mode)?);
            }
        }
    }
    let position = |name: &str| {
        contenders.iter().position(|contender| contender.name == name).with_context(|| format!("no {name}"))
    };
    let (peer, bare) = (position(PEER)?, position(BARE)?);
    let figures = Mode::ALL.into_iter().enumerate().flat_map(|(m, mode)| {
        let of_mode = &samples[m * contenders.len()..(m + 1) * contenders.len()];
        contenders
            .iter()
            .zip(of_mode)
            .map(move |(contender, own)| figures(contender.name, mode, own, &of_mode[peer], &of_mode[bare]))
    });
    Ok(figures.collect())
}

/// Loads one server, and checks that the origin saw as many requests as the mode says.
fn measure(
    dir: &Path,
    rounds: &Rounds,
    origin: SocketAddr,
    contender: &Contender,
    mode: Mode,
) -> anyhow::Result<Sample> {
    wrk::load(dir, rounds, WARM_UP, contender.listen, mode.path())?;
    let (reached_before, before) = (origin_requests(origin)?, Usage::of_group(contender.pid)?);
    let load = wrk::load(dir, rounds, rounds.seconds, contender.listen, mode.path())?;
    let (after, reached) = (Usage::of_group(contender.pid)?, origin_requests(origin)? - reached_before);
    ensure!(load.requests > 0, "{} answered nothing", contender.name);
    let share = reached as f64 / load.requests as f64;
    let as_meant = match mode {
        // wrk drops what is under way at its end, and asking for the count is a request, too.
        Mode::PassThrough => (0.99..1.05).contains(&share),
        Mode::CacheHit => share < 0.01,
    };
    ensure!(
        as_meant,
        "{}, {mode}: {reached} of {} requests reached the origin",
        contender.name,
        load.requests
    );
    let per_request = |spent: Duration| micros(spent) / load.requests as f64;
    Ok(Sample {
        cpu_us: per_request(after.cpu.saturating_sub(before.cpu)),
        system_us: per_request(after.system.saturating_sub(before.system)),
        rate: load.rate(),
        p50_us: load.p50_us as f64,
        p99_us: load.p99_us as f64,
        memory: after.memory as f64,
    })
}

/// How many requests the origin has answered so far, by its `stub_status`.
fn origin_requests(origin: SocketAddr) -> anyhow::Result<u64> {
    let text = Endpoint::Tcp(origin).get_text("/status")?;
    stub_status_requests(&text).with_context(|| format!("nginx's stub_status says:\n{text}"))
}

fn stub_status_requests(text: &str) -> Option<u64> {
    let (_, counts) = text.split_once("server accepts handled requests")?;
    counts.split_whitespace().nth(2)?.parse().ok()
}

fn figures(server: &'static str, mode: Mode, own: &[Sample], peer: &[Sample], bare: &[Sample]) -> Figures {
    let of = |get: fn(&Sample) -> f64| median(&own.iter().map(get).collect::<Vec<_>>()).unwrap_or(0.0);
    let to = |other: &[Sample]| {
        let pairs: Vec<_> = own.iter().zip(other).map(|(own, other)| (own.cpu_us, other.cpu_us)).collect();
        median_ratio(&pairs).unwrap_or(0.0)
    };
    Figures {
        server,
        mode,
        cpu_us_per_request: of(|sample| sample.cpu_us),
        user_us_per_request: of(|sample| sample.cpu_us - sample.system_us),
        system_us_per_request: of(|sample| sample.system_us),
        cpu_to_nginx: to(peer),
        cpu_to_bare_nginx: to(bare),
        requests_per_second: of(|sample| sample.rate),
        p50_us: of(|sample| sample.p50_us),
        p99_us: of(|sample| sample.p99_us),
        memory_bytes: of(|sample| sample.memory),
    }
}

fn table(rounds: &Rounds, figures: &[Figures]) -> String {
    let head = [
        "server",
        "mode",
        "CPU µs/request",
        "user",
        "system",
        "to nginx",
        "to bare",
        "requests/s",
        "p50 ms",
        "p99 ms",
        "MiB",
    ];
    let mut table = Table::new(head);
    for (index, row) in figures.iter().enumerate() {
        if index > 0 && row.mode != figures[index - 1].mode {
            table.rule();
        }
        table.row([
            row.server.to_owned(),
            row.mode.to_string(),
            format!("{:.2}", row.cpu_us_per_request),
            format!("{:.2}", row.user_us_per_request),
            format!("{:.2}", row.system_us_per_request),
            format!("{:.2}", row.cpu_to_nginx),
            format!("{:.2}", row.cpu_to_bare_nginx),
            format!("{:.0}", row.requests_per_second),
            format!("{:.2}", row.p50_us / 1e3),
            format!("{:.2}", row.p99_us / 1e3),
            format!("{:.1}", row.memory_bytes / f64::from(1 << 20)),
        ]);
    }
    format!(
        "\none worker each, {} connections kept alive, 1 KiB answers, medians of {} rounds of {} s\n\n{table}\n\
         hosp-proxy is judged by `to nginx`: its CPU time divided by that of the nginx that adds the same fields\n\
         and is set up to repeat. `{BARE}` only passes on, with X-Forwarded-For.\n",
        rounds.connections, rounds.rounds, rounds.seconds
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_origins_count_is_the_third_of_stub_status() {
        let text = "Active connections: 2 \nserver accepts handled requests\n 11 10 912 \nReading: 0 Writing: 1 Waiting: 1 \n";
        assert_eq!(stub_status_requests(text), Some(912));
        assert_eq!(stub_status_requests("hello"), None);
    }

    #[test]
    fn the_ratio_to_nginx_is_taken_round_by_round() {
        let samples = |cpu: [f64; 3]| {
            cpu.map(|cpu_us| Sample {
                cpu_us,
                system_us: cpu_us / 3.0,
                rate: 1.0,
                p50_us: 1.0,
                p99_us: 1.0,
                memory: 1.0,
            })
        };
        let (own, peer, bare) =
            (samples([9.0, 18.0, 36.0]), samples([10.0, 20.0, 40.0]), samples([4.5, 9.0, 18.0]));
        let figures = figures("x", Mode::PassThrough, &own, &peer, &bare);
        assert_eq!((figures.cpu_us_per_request, figures.cpu_to_nginx), (18.0, 0.9));
        assert_eq!((figures.user_us_per_request, figures.cpu_to_bare_nginx), (12.0, 2.0));
    }
}
