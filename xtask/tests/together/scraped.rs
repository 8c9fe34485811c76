//! A real Prometheus, with the configuration and rules that hosp ships.

use std::collections::BTreeMap;
use std::fs;
use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};

use serde_json::Value;
use xtask::child::{Launch, Running};
use xtask::endpoint::Endpoint;
use xtask::origin::OriginReport;
use xtask::stack::{Admin, LOAD, ORIGIN, PROXY, Scope, Settings, Stack};
use xtask::steps::{find_program, workspace};
use xtask::{poll, ports};

use crate::rig::{PATIENCE, stack};

#[test]
fn a_real_prometheus_scrapes_both_and_ends_with_the_generators_count() {
    let settings = Settings { admin: Admin::Tcp, ..Settings::default() };
    let Some(mut stack) = stack("scraped", settings, &["prometheus", "promtool"]) else { return };
    let prometheus = Prometheus::start(&stack);
    stack.start_load(None).unwrap();

    for job in ["hosp-agent", "hosp-proxy"] {
        prometheus.number(&format!("up{{job={job:?}}} == 1"));
    }
    for leg in ["server", "client"] {
        let p99 = prometheus.number(&format!(
            "histogram_quantile(0.99, sum by (le) \
             (rate(http_{leg}_request_duration_seconds_bucket{{service={PROXY:?}}}[1m])))"
        ));
        assert!(p99 > 0.0, "{leg} leg: {p99}");
        let ruled = prometheus.number(&format!("hosp:{leg}_latency_seconds:p99{{service={PROXY:?}}}"));
        assert!(ruled > 0.0, "{leg} leg, by the rule that is shipped: {ruled}");
    }
    let attempts = prometheus.number(&format!("hosp:attempts_per_request:ratio5m{{service={PROXY:?}}}"));
    assert!(attempts > 0.0, "{attempts}");
    promtool_has_nothing_to_say("hosp-agent", &stack.agent_metrics());
    promtool_has_nothing_to_say("hosp-proxy", &stack.proxy_admin());

    let sent = stack.end_load(PATIENCE).unwrap().sent;
    let origin: OriginReport = stack.origin_admin().get_json("/__counts").unwrap();
    assert!(sent > 100 && origin.open == 0, "{sent} sent, {} open", origin.open);
    let truth = BTreeMap::from([
        (format!("client {PROXY}"), origin.requests()),
        (format!("client {LOAD}"), sent),
        (format!("server {ORIGIN}"), origin.requests()),
        (format!("server {PROXY}"), sent),
        ("hosp-proxy itself".to_owned(), sent),
    ]);
    let mut seen = BTreeMap::new();
    let agreed = poll::until("Prometheus has the last counts", PATIENCE, || {
        seen = prometheus.requests();
        (seen == truth).then_some(())
    });
    assert!(agreed.is_ok(), "Prometheus {seen:?}, and the truth is {truth:?}");
    assert_eq!(prometheus.number("sum(hosp_agent_requests_lost_total)"), 0.0);
    assert_eq!(prometheus.number("hosp_agent_books_balanced"), 1.0);
}

/// A Prometheus that scrapes every second. It runs within what the agent observes.
struct Prometheus {
    api: Endpoint,
    process: Running,
    /// The ports at which it scrapes.
    scraped: [u16; 2],
    /// The ports of the stack.
    scope: Scope,
}

impl Prometheus {
    fn start(stack: &Stack) -> Self {
        let (Endpoint::Tcp(agent), Endpoint::Tcp(proxy)) = (stack.agent_metrics(), stack.proxy_admin())
        else {
            unreachable!("both are asked for on TCP")
        };
        let deploy = workspace().unwrap().join("deploy");
        let shipped = fs::read_to_string(deploy.join("prometheus.yml")).unwrap();
        let mut config = shipped;
        for (theirs, ours) in [
            ("scrape_interval: 15s", "scrape_interval: 1s".to_owned()),
            ("evaluation_interval: 15s", "evaluation_interval: 1s".to_owned()),
            ("127.0.0.1:9464", agent.to_string()),
            ("127.0.0.1:9465\"]", format!("{proxy}\"]")),
        ] {
            assert_eq!(config.matches(theirs).count(), 1, "{theirs} in {config}");
            config = config.replace(theirs, &ours);
        }
        let dir = stack.dir().join("prometheus");
        fs::create_dir(&dir).unwrap();
        fs::copy(deploy.join("prometheus-rules.yml"), dir.join("prometheus-rules.yml")).unwrap();
        fs::write(dir.join("prometheus.yml"), config).unwrap();
        Self::launch(stack, &dir, [agent.port(), proxy.port()])
    }

    fn launch(stack: &Stack, dir: &Path, scraped: [u16; 2]) -> Self {
        let [address] = ports::free().unwrap();
        let process = Launch::new("prometheus", find_program("prometheus").unwrap())
            .args([
                format!("--config.file={}", dir.join("prometheus.yml").display()),
                format!("--storage.tsdb.path={}", dir.join("data").display()),
                format!("--web.listen-address={address}"),
            ])
            .log(&dir.join("log"))
            .cgroup(stack.cgroup())
            .spawn()
            .unwrap();
        let prometheus = Self { api: Endpoint::Tcp(address), process, scraped, scope: stack.scope() };
        let ready = poll::until("Prometheus is ready", PATIENCE, || prometheus.api.get("/-/ready").ok());
        assert!(ready.is_ok(), "{}", prometheus.process.log_tail(20));
        prometheus
    }

    /// The results of a query: their labels, and their values.
    fn query(&self, query: &str) -> Vec<(Value, f64)> {
        let path = format!("/api/v1/query?query={}", encoded(query));
        let answer: Value = self.api.get_json(&path).unwrap_or_else(|error| panic!("{query}: {error}"));
        let results = answer["data"]["result"].as_array().unwrap();
        let value = |result: &Value| result["value"][1].as_str().unwrap().parse().unwrap();
        results.iter().map(|result| (result["metric"].clone(), value(result))).collect()
    }

    /// The finite number that a query comes to, as soon as it does.
    fn number(&self, query: &str) -> f64 {
        let found = poll::until(query, PATIENCE, || match self.query(query)[..] {
            [(_, number)] if number.is_finite() => Some(number),
            _ => None,
        });
        found.unwrap_or_else(|late| panic!("{late}; {}", self.process.log_tail(20)))
    }

    /// `hosp_agent_requests_total` by leg and service, at the ports of the stack, as whoever scrapes is a client as
    /// well; and hosp-proxy's own count.
    fn requests(&self) -> BTreeMap<String, u64> {
        let [agent, proxy] = self.scraped;
        let scrapes =
            format!("hosp_agent_requests_total{{leg=\"server\", server_port=~\"{agent}|{proxy}\"}}");
        assert_eq!(self.query(&scrapes), [], "answers to scrapes are not observed");
        let Scope { proxy_port, origin_port } = self.scope;
        let all = format!(
            "sum by (leg, service) (hosp_agent_requests_total{{server_port=~\"{proxy_port}|{origin_port}\"}})"
        );
        let name = |labels: &Value| {
            let label = |name: &str| labels[name].as_str().unwrap().to_owned();
            format!("{} {}", label("leg"), label("service"))
        };
        let by_proxy = self.query("sum(hosp_proxy_requests_total)").into_iter();
        let by_proxy = by_proxy.map(|(_, n)| ("hosp-proxy itself".to_owned(), n as u64));
        self.query(&all).into_iter().map(|(labels, n)| (name(&labels), n as u64)).chain(by_proxy).collect()
    }
}

/// Percent-encoded for a query string.
fn encoded(text: &str) -> String {
    text.bytes().map(|byte| format!("%{byte:02X}")).collect()
}

fn promtool_has_nothing_to_say(who: &str, metrics: &Endpoint) {
    let text = metrics.get("/metrics").unwrap();
    let mut promtool = Command::new(find_program("promtool").unwrap())
        .args(["check", "metrics"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    promtool.stdin.take().unwrap().write_all(&text).unwrap();
    let output = promtool.wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
    assert!(output.status.success() && said.is_empty(), "{who}: {said}");
}
