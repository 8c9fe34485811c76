//! Who takes part: hosp-proxy in each of a scenario's variants, nginx twice, HAProxy and Varnish, each with its
//! configuration for the scenario.

use std::fmt;
use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Context as _;
use xtask::chaos_rig::Contender;
use xtask::chaos_rig::scenario::Scenario;
use xtask::child::Running;
use xtask::endpoint::Endpoint;
use xtask::{poll, ports};

use super::template::{Places, time};
use crate::servers::{Server, haproxy, nginx};
use xtask::artifacts::{Program, Programs};
use xtask::steps::find_program;

const NGINX_NAIVE: &str = include_str!("../../assets/chaos/nginx-naive.conf");
const NGINX_EXPERT: &str = include_str!("../../assets/chaos/nginx-expert.conf");
const HAPROXY: &str = include_str!("../../assets/chaos/haproxy.cfg");
const VARNISH: &str = include_str!("../../assets/chaos/varnish.vcl");

/// hosp-proxy's configurations: one file for each variant.
const VARIANTS: [(&str, &str); 2] = [
    (DEFAULT, include_str!("../../assets/chaos/hosp-proxy/default.toml")),
    ("budget-70", include_str!("../../assets/chaos/hosp-proxy/budget-70.toml")),
];
/// The variant that takes part in every scenario.
const DEFAULT: &str = "default";

/// How often nginx's expert lists a lone endpoint: once for each try.
const TRIES: usize = 5;
/// How long Varnish may take to compile its configuration.
const COMPILED: Duration = Duration::from_secs(20);

/// A kind of contender.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// hosp-proxy, with the configuration of this name.
    Hosp(&'static str),
    /// nginx, as most people set it up.
    NginxNaive,
    /// nginx, set up for an origin that fails.
    NginxExpert,
    /// HAProxy, set up for an origin that fails.
    Haproxy,
    /// Varnish, set up for an origin that fails.
    Varnish,
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Hosp(DEFAULT) => "hosp-proxy",
            Self::Hosp(variant) => return write!(f, "hosp-proxy/{variant}"),
            Self::NginxNaive => "nginx-naive",
            Self::NginxExpert => "nginx-expert",
            Self::Haproxy => "haproxy",
            Self::Varnish => "varnish",
        })
    }
}

impl Kind {
    /// All that take part in `scenario`.
    pub(super) fn all(scenario: &Scenario) -> Vec<Self> {
        let variants = scenario.variants.iter().copied();
        let hosp = std::iter::once(DEFAULT).chain(variants).map(Self::Hosp);
        hosp.chain([Self::NginxNaive, Self::NginxExpert, Self::Haproxy, Self::Varnish]).collect()
    }

    /// Whether `name` means it: its own name, or for hosp-proxy's variants also `hosp-proxy`.
    pub(super) fn is_called(self, name: &str) -> bool {
        self.to_string() == name || matches!(self, Self::Hosp(_)) && name == "hosp-proxy"
    }
}

/// A contender that runs.
#[derive(Debug)]
pub(super) struct Started {
    pub(super) process: Running,
    pub(super) contender: Contender,
}

impl Started {
    /// Starts `kind` for `scenario`, and waits until it accepts connections. Its files go to `dir`.
    pub(super) fn new(
        kind: Kind,
        scenario: &Scenario,
        dir: &Path,
        programs: &Programs,
    ) -> anyhow::Result<Self> {
        let [target, first, second] = ports::free()?;
        let endpoints = [first, second][..scenario.endpoints].to_vec();
        let name = kind.to_string();
        let file_name = name.replace('/', "-");
        let places = Places::new(scenario)
            .with("DIR", dir.display().to_string())
            .with("LISTEN", target.to_string())
            .with("SERVERS", servers(kind, scenario, &endpoints));
        let config = dir.join(format!("{file_name}.conf"));
        let text = places.fill(template(kind)?).with_context(|| format!("the configuration of {name}"))?;
        fs::write(&config, text).with_context(|| format!("cannot write {}", config.display()))?;
        let (program, args) = match kind {
            Kind::Hosp(_) => {
                let admin = dir.join(format!("{file_name}.sock"));
                let args = hosp(&config, &admin, target, &endpoints);
                (programs.path(Program::Proxy).to_path_buf(), args)
            }
            Kind::NginxNaive | Kind::NginxExpert => nginx(&config)?,
            Kind::Haproxy => haproxy(&config)?,
            Kind::Varnish => varnish(&config, dir, target)?,
        };
        let server = Server { name: &file_name, program, args, listen: target, core: None, cgroup: None };
        let process = server.start(dir)?;
        if kind == Kind::Varnish {
            // Its manager listens before its configuration is compiled.
            let ready = || Endpoint::Tcp(target).get("/__ready").ok();
            poll::until("varnish serves", COMPILED, ready).with_context(|| process.log_tail(20))?;
        }
        Ok(Self { process, contender: Contender { name, target, endpoints } })
    }
}

fn template(kind: Kind) -> anyhow::Result<&'static str> {
    Ok(match kind {
        Kind::Hosp(name) => {
            VARIANTS
                .iter()
                .find(|(variant, _)| *variant == name)
                .with_context(|| format!("hosp-proxy has no configuration called {name}"))?
                .1
        }
        Kind::NginxNaive => NGINX_NAIVE,
        Kind::NginxExpert => NGINX_EXPERT,
        Kind::Haproxy => HAPROXY,
        Kind::Varnish => VARNISH,
    })
}

/// The endpoints, as this kind of server lists them. A lone endpoint is never taken out by the experts; of several,
/// HAProxy and Varnish check each, and nginx takes out one that fails, for its default of 10 s: a second in the run.
fn servers(kind: Kind, scenario: &Scenario, endpoints: &[SocketAddr]) -> String {
    let several = endpoints.len() > 1;
    let numbered = endpoints.iter().enumerate();
    let lines: Vec<String> = match kind {
        Kind::Hosp(_) => Vec::new(),
        Kind::NginxNaive => {
            endpoints.iter().map(|endpoint| format!("server {endpoint} fail_timeout=1s;")).collect()
        }
        Kind::NginxExpert => {
            let health = if several { "max_fails=3 fail_timeout=1s" } else { "max_fails=0" };
            let listed = endpoints.iter().cycle().take(TRIES.next_multiple_of(endpoints.len()));
            listed.map(|endpoint| format!("server {endpoint} {health};")).collect()
        }
        Kind::Haproxy => {
            let inter = time(scenario, 2.0);
            let check = format!(
                " check inter {inter} fall 2 rise 2 observe layer7 error-limit 10 on-error mark-down"
            );
            let options = several.then_some(["option httpchk GET /healthz", "option redispatch 1"]);
            let listed = numbered
                .map(|(n, endpoint)| format!("server e{n} {endpoint}{}", if several { &check } else { "" }));
            options.into_iter().flatten().map(str::to_owned).chain(listed).collect()
        }
        Kind::Varnish => {
            let (connect, answer, probe) = (time(scenario, 3.0), time(scenario, 22.0), time(scenario, 2.0));
            let probe = format!(
                " .probe = {{ .url = \"/healthz\"; .interval = {probe}; .timeout = {probe}; .window = 4; .threshold = 3; }}"
            );
            let backend = |(n, endpoint): (usize, &SocketAddr)| {
                format!(
                    "backend e{n} {{ .host = \"{}\"; .port = \"{}\"; .connect_timeout = {connect}; \
                     .first_byte_timeout = {answer}; .between_bytes_timeout = {answer};{} }}",
                    endpoint.ip(),
                    endpoint.port(),
                    if several { &probe } else { "" },
                )
            };
            let director: String =
                (0..endpoints.len()).map(|n| format!(" origin.add_backend(e{n});")).collect();
            let init = format!("sub vcl_init {{ new origin = directors.round_robin();{director} }}");
            numbered.map(backend).chain([init]).collect()
        }
    };
    lines.join("\n")
}

fn hosp(config: &Path, admin: &Path, listen: SocketAddr, endpoints: &[SocketAddr]) -> Vec<String> {
    let mut args = vec![
        format!("--config={}", config.display()),
        format!("--listen={listen}"),
        format!("--admin=unix:{}", admin.display()),
    ];
    args.extend(endpoints.iter().map(|endpoint| format!("--origin=http://{endpoint}")));
    args
}

/// Varnish with this configuration, in the foreground and without another user's rights. A request takes two of
/// its threads for as long as the origin takes.
fn varnish(config: &Path, dir: &Path, listen: SocketAddr) -> anyhow::Result<(PathBuf, Vec<String>)> {
    let program = find_program("varnishd").context("no varnishd")?;
    let args = format!(
        "-F -j none -a {listen} -f {} -n {} -s malloc,256m -p max_retries=4 -p thread_pools=1 \
         -p thread_pool_min=500 -p thread_pool_max=4000",
        config.display(),
        dir.join("varnish").display(),
    );
    Ok((program, args.split_whitespace().map(str::to_owned).collect()))
}

#[cfg(test)]
mod tests {
    use xtask::chaos_rig::catalogue::SCENARIOS;

    use super::*;

    #[test]
    fn every_configuration_is_whole() {
        let endpoints: [SocketAddr; 2] = [([127, 0, 0, 1], 1).into(), ([127, 0, 0, 1], 2).into()];
        for scenario in &SCENARIOS {
            for kind in Kind::all(scenario) {
                let places = Places::new(scenario)
                    .with("DIR", "/d".into())
                    .with("LISTEN", "127.0.0.1:3".into())
                    .with("SERVERS", servers(kind, scenario, &endpoints[..scenario.endpoints]));
                let text = places.fill(template(kind).unwrap()).unwrap();
                assert!(!text.contains('@'), "{} of {}: {text}", kind, scenario.name);
            }
        }
    }

    #[test]
    fn a_lone_endpoint_stands_once_for_each_try_and_is_never_taken_out() {
        let errors = xtask::chaos_rig::catalogue::find("errors-30").unwrap();
        let listed = servers(Kind::NginxExpert, errors, &[([127, 0, 0, 1], 1).into()]);
        assert_eq!(listed.matches("server 127.0.0.1:1 max_fails=0;").count(), TRIES);
        assert!(!servers(Kind::Haproxy, errors, &[([127, 0, 0, 1], 1).into()]).contains("check"));
    }

    #[test]
    fn hosp_proxy_means_all_of_its_variants() {
        assert!(Kind::Hosp("budget-70").is_called("hosp-proxy"));
        assert!(Kind::Hosp("budget-70").is_called("hosp-proxy/budget-70"));
        assert!(!Kind::Hosp(DEFAULT).is_called("hosp-proxy/budget-70"));
        assert!(!Kind::NginxNaive.is_called("nginx-expert"));
    }
}
