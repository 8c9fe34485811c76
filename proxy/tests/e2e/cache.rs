//! What reaches the origin and what does not.

use crate::support::{Client, Origin, Proxy, Reply, Settings, eventually, exchange, get, raw};

/// An origin whose answers are numbered and carry these lines of head.
fn numbered(fields: &'static str) -> Origin {
    Origin::new(move |seen| {
        let body = format!("answer {}", seen.number);
        Reply::Send(
            format!("HTTP/1.1 200 OK\r\n{fields}Content-Length: {}\r\n\r\n{body}", body.len()).into_bytes(),
        )
    })
}

fn standard(origin: &Origin) -> Proxy {
    Proxy::start(&[&origin.url()], Settings::default())
}

fn classic(origin: &Origin) -> Proxy {
    Proxy::start(&[&origin.url()], Settings { flags: "--profile classic", ..Settings::default() })
}

const MINUTE: &str = "Cache-Control: max-age=60\r\n";

#[test]
fn a_hit_does_not_reach_the_origin() {
    let origin = numbered(MINUTE);
    let proxy = standard(&origin);
    let (first, second) = (get(proxy.address, "/a", &[]), get(proxy.address, "/a", &[]));
    assert_eq!((first.text().as_str(), second.text().as_str()), ("answer 0", "answer 0"));
    assert_eq!(first.field("cache-status"), "hosp-proxy; fwd=uri-miss; stored");
    assert_eq!(second.field("cache-status"), "hosp-proxy; hit");
    assert_eq!((first.all("age").len(), second.field("age").as_str()), (0, "0"));
    assert_ne!(first.field("x-request-id"), second.field("x-request-id"));
    assert_eq!(origin.hits(), 1);
    assert_eq!(get(proxy.address, "/a?b", &[]).text(), "answer 1");
}

#[test]
fn an_answer_without_a_lifetime_is_stored_by_the_classic_profile_only() {
    let origin = numbered("");
    let proxy = standard(&origin);
    (0..2).for_each(|_| assert_eq!(get(proxy.address, "/", &[]).status, 200));
    assert_eq!(origin.hits(), 2);
    let origin = numbered("");
    let proxy = classic(&origin);
    (0..2).for_each(|_| assert_eq!(get(proxy.address, "/", &[]).text(), "answer 0"));
    assert_eq!(origin.hits(), 1);
}

#[test]
fn what_belongs_to_one_person_is_never_shared() {
    let check = |answer: &'static str, request: &[&str]| {
        let origin = numbered(answer);
        let proxy = classic(&origin);
        (0..2).for_each(|_| assert_eq!(get(proxy.address, "/", request).status, 200));
        assert_eq!(origin.hits(), 2, "{answer:?} {request:?}");
    };
    check("Set-Cookie: sid=1\r\nCache-Control: public, max-age=60\r\n", &[]);
    check("Cache-Control: private, max-age=60\r\n", &[]);
    check("Cache-Control: no-store\r\n", &[]);
    check(MINUTE, &["Authorization: Basic eA=="]);
    check(MINUTE, &["Cookie: sid=1"]);
    check("Vary: *\r\nCache-Control: max-age=60\r\n", &[]);
}

#[test]
fn an_answer_for_everyone_is_not_given_to_a_person_unless_it_says_so() {
    let origin = numbered(MINUTE);
    let proxy = standard(&origin);
    get(proxy.address, "/", &[]);
    assert_eq!(get(proxy.address, "/", &["Authorization: Basic eA=="]).text(), "answer 1");
    let origin = numbered("Cache-Control: public, max-age=60\r\n");
    let proxy = standard(&origin);
    get(proxy.address, "/", &[]);
    assert_eq!(get(proxy.address, "/", &["Authorization: Basic eA=="]).text(), "answer 0");
}

#[test]
fn variants_are_kept_apart() {
    let origin = numbered("Vary: Accept\r\nCache-Control: max-age=60\r\n");
    let proxy = standard(&origin);
    let text = |accept: &str| get(proxy.address, "/", &[&format!("Accept: {accept}")]).text();
    assert_eq!((text("a"), text("b")), ("answer 0".into(), "answer 1".into()));
    assert_eq!((text("a"), text("b")), ("answer 0".into(), "answer 1".into()));
    assert_eq!(
        get(proxy.address, "/", &["Accept: c"]).field("cache-status"),
        "hosp-proxy; fwd=vary-miss; stored"
    );
}

#[test]
fn a_write_makes_the_cache_forget() {
    let origin = numbered(MINUTE);
    let proxy = standard(&origin);
    get(proxy.address, "/notes", &[]);
    assert_eq!(exchange(proxy.address, raw("POST", "/notes", &[], "x")).text(), "answer 1");
    assert_eq!(get(proxy.address, "/notes", &[]).text(), "answer 2");
}

#[test]
fn a_head_is_answered_from_a_stored_get_and_without_a_body() {
    let origin = numbered(MINUTE);
    let proxy = standard(&origin);
    get(proxy.address, "/", &[]);
    let mut client = Client::connect(proxy.address);
    for _ in 0..2 {
        let head = client.send(raw("HEAD", "/", &[], "")).answer_to("HEAD").unwrap();
        assert_eq!((head.status, head.field("content-length").as_str()), (200, "8"));
    }
    assert_eq!(origin.hits(), 1);
}

#[test]
fn a_client_that_has_it_gets_304_from_the_cache() {
    let origin = numbered("ETag: \"v1\"\r\nCache-Control: max-age=60\r\n");
    let proxy = standard(&origin);
    get(proxy.address, "/", &[]);
    let answer = get(proxy.address, "/", &["If-None-Match: \"v1\""]);
    assert_eq!((answer.status, answer.field("etag").as_str()), (304, "\"v1\""));
    assert_eq!(origin.hits(), 1);
}

#[test]
fn a_chunked_answer_is_stored_whole() {
    let origin = Origin::new(|_| {
        let head = "HTTP/1.1 200 OK\r\nCache-Control: max-age=60\r\nTransfer-Encoding: chunked\r\n\r\n";
        Reply::Send(format!("{head}3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n").into_bytes())
    });
    let proxy = standard(&origin);
    let texts = [get(proxy.address, "/", &[]).text(), get(proxy.address, "/", &[]).text()];
    assert_eq!(texts, ["abcde", "abcde"]);
    assert_eq!(origin.hits(), 1);
}

#[test]
fn a_cut_answer_and_one_that_ends_with_its_connection_are_not_stored() {
    let origin = Origin::new(|seen| match seen.number {
        0 => Reply::SendAndClose(
            b"HTTP/1.1 200 OK\r\nCache-Control: max-age=60\r\nContent-Length: 10\r\n\r\nhalf".to_vec(),
        ),
        _ => {
            Reply::SendAndClose(b"HTTP/1.1 200 OK\r\nCache-Control: max-age=60\r\n\r\nuntil the end".to_vec())
        }
    });
    let proxy = standard(&origin);
    let mut client = Client::connect(proxy.address);
    client.send(raw("GET", "/", &[], "")).answer_to("GET").unwrap_err();
    for hits in 2..4 {
        assert_eq!(get(proxy.address, "/", &[]).text(), "until the end");
        assert_eq!(origin.hits(), hits);
    }
}

#[test]
fn an_answer_larger_than_allowed_streams_through() {
    let origin = Origin::new(|_| {
        let body = "x".repeat(20_000);
        Reply::Send(format!("HTTP/1.1 200 OK\r\n{MINUTE}Content-Length: 20000\r\n\r\n{body}").into_bytes())
    });
    let file = "[cache]\nentry = '10kB'";
    let proxy = Proxy::start(&[&origin.url()], Settings { file, ..Settings::default() });
    (0..2).for_each(|_| assert_eq!(get(proxy.address, "/", &[]).body.len(), 20_000));
    assert_eq!(origin.hits(), 2);
}

#[test]
fn the_client_can_ask_for_the_origins_own_answer_or_for_none_but_a_stored_one() {
    let origin = numbered(MINUTE);
    let proxy = standard(&origin);
    assert_eq!(get(proxy.address, "/", &["Cache-Control: only-if-cached"]).status, 504);
    assert_eq!(origin.hits(), 0);
    get(proxy.address, "/", &[]);
    let fresh = get(proxy.address, "/", &["Cache-Control: no-cache"]);
    assert_eq!(
        (fresh.text().as_str(), fresh.field("cache-status").as_str()),
        ("answer 1", "hosp-proxy; fwd=request; stored")
    );
    assert_eq!(get(proxy.address, "/", &[]).text(), "answer 1");
}

#[test]
fn a_cache_that_is_off_says_nothing() {
    let origin = numbered(MINUTE);
    let proxy =
        Proxy::start(&[&origin.url()], Settings { file: "[cache]\nsize = '0'", ..Settings::default() });
    for _ in 0..2 {
        assert_eq!(get(proxy.address, "/", &[]).all("cache-status").len(), 0);
    }
    assert_eq!(origin.hits(), 2);
}

#[test]
fn results_are_counted() {
    let origin = numbered(MINUTE);
    let proxy = standard(&origin);
    (0..3).for_each(|_| assert_eq!(get(proxy.address, "/", &[]).status, 200));
    assert_eq!(proxy.metric("hosp_proxy_cache_requests_total{result=\"hit\"}"), 2);
    assert_eq!(proxy.metric("hosp_proxy_cache_requests_total{result=\"miss\"}"), 1);
    eventually("the answer is stored", || proxy.metric("hosp_proxy_cache_entries") == 1);
}
