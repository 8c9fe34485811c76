//! The proxy's books against those of the origin.

use std::collections::BTreeMap;

use hosp_feed::ProxyFacts;

use crate::support::{Client, Origin, Proxy, Reply, Settings, eventually, raw};

#[test]
fn the_counters_equal_what_client_and_origin_counted() {
    // Every third answer is a failure; a seventh resets.
    let origin = Origin::new(|seen| match seen.number {
        n if n % 7 == 6 => Reply::SendAndReset(vec![]),
        n if n % 3 == 2 => Reply::Send(b"HTTP/1.1 503 Busy\r\nContent-Length: 0\r\n\r\n".to_vec()),
        _ => Reply::Send(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok".to_vec()),
    });
    let file = "[retry]\nbackoff_base = '1ms'\ntries = 2";
    let proxy = Proxy::start(&[&origin.url()], Settings { file, ..Settings::default() });
    let mut client = Client::connect(proxy.address);
    let mut answers: BTreeMap<(&str, u16), u64> = BTreeMap::new();
    for n in 0..120 {
        let method = ["GET", "POST", "PUT"][n % 3];
        let answer = client.send(raw(method, "/", &[], if method == "GET" { "" } else { "x" })).answer();
        *answers.entry((method, answer.status)).or_default() += 1;
    }

    for ((method, status), count) in &answers {
        let series = format!(
            "hosp_proxy_requests_total{{http_request_method=\"{method}\",http_response_status_code=\"{status}\"}}"
        );
        eventually(&series, || proxy.metric(&series) == *count);
    }
    let facts = || serde_json::from_slice::<ProxyFacts>(&proxy.admin("/v1/facts").body).unwrap();
    eventually("all requests are over", || facts().origins[0].in_flight == 0);
    let facts = facts();
    assert_eq!(facts.requests, 120);
    assert_eq!(facts.attempts, origin.hits() as u64);
    let retries: u64 = facts.retries.values().sum();
    assert_eq!(facts.attempts, 120 + retries);
    let outcomes = &facts.origins[0].attempts;
    assert_eq!(facts.origins[0].origin, origin.url());
    let failed = outcomes["5xx"] + outcomes["reset"];
    let denied: u64 = facts.retries_denied.values().sum();
    assert_eq!(failed, retries + denied);
    assert_eq!(proxy.metric("hosp_proxy_requests_in_flight"), 0);
}

#[test]
fn the_admin_pages_answer() {
    let proxy = Proxy::start(&["http://127.0.0.1:1"], Settings::default());
    assert_eq!(proxy.admin("/healthz").status, 200);
    assert_eq!(proxy.admin("/readyz").status, 200);
    assert_eq!(proxy.admin("/nothing").status, 404);
    assert_eq!(proxy.admin("/metrics").field("content-type"), "text/plain; version=0.0.4");
}
