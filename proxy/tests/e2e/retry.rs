//! What is tried again and what is not, counted by the origin itself.

use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::sync::mpsc::channel;

use crate::support::{Client, Origin, Proxy, Reply, Settings, eventually, exchange, get, ok, raw};

const UNAVAILABLE: &[u8] =
    b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 5\r\nX-From: origin\r\n\r\nsorry";
/// Back-off too short to notice.
const QUICK: &str = "[retry]\nbackoff_base = '1ms'\nbackoff_max = '2ms'";

fn quick(origin: &Origin) -> Proxy {
    Proxy::start(&[&origin.url()], Settings { file: QUICK, ..Settings::default() })
}

/// Does `first` to the first request and answers all others.
fn at_first(first: impl Fn() -> Reply + Send + Sync + 'static) -> Origin {
    Origin::new(move |seen| if seen.number == 0 { first() } else { Reply::Send(ok("fine")) })
}

#[test]
fn a_503_is_tried_again() {
    let origin = at_first(|| Reply::Send(UNAVAILABLE.to_vec()));
    let proxy = quick(&origin);
    let answer = get(proxy.address, "/", &[]);
    assert_eq!((answer.status, answer.text().as_str()), (200, "fine"));
    assert_eq!(origin.hits(), 2);
    assert_eq!(proxy.metric("hosp_proxy_retries_total{reason=\"status_503\"}"), 1);
}

#[test]
fn clients_are_told_of_the_tries_where_that_is_wanted() {
    let origin = at_first(|| Reply::Send(UNAVAILABLE.to_vec()));
    let file = "[retry]\nbackoff_base = '1ms'\n[log]\nserver_timing = true";
    let proxy = Proxy::start(&[&origin.url()], Settings { file, ..Settings::default() });
    let timing = get(proxy.address, "/", &[]).field("server-timing");
    assert!(timing.starts_with("origin;dur=") && timing.ends_with("desc=\"tries=2\""), "{timing}");
}

#[test]
fn a_reset_before_the_head_is_tried_again() {
    let origin = at_first(|| Reply::SendAndReset(vec![]));
    assert_eq!(get(quick(&origin).address, "/", &[]).status, 200);
    assert_eq!(origin.hits(), 2);
}

#[test]
fn a_reset_within_the_head_is_tried_again() {
    let origin = at_first(|| Reply::SendAndClose(b"HTTP/1.1 200 OK\r\nContent-".to_vec()));
    assert_eq!(get(quick(&origin).address, "/", &[]).status, 200);
    assert_eq!(origin.hits(), 2);
}

#[test]
fn garbage_is_tried_again_and_never_passed_on() {
    let origin = Origin::new(|_| Reply::SendAndClose(b"220 mail.example ESMTP\r\n\r\n".to_vec()));
    let proxy = quick(&origin);
    let answer = get(proxy.address, "/", &[]);
    assert_eq!(answer.status, 502);
    assert!(answer.text().contains("not valid HTTP"), "{}", answer.text());
    assert_eq!(origin.hits(), 5);
}

#[test]
fn when_all_tries_fail_the_origins_own_answer_is_passed_on() {
    let origin = Origin::new(|_| Reply::Send(UNAVAILABLE.to_vec()));
    let answer = get(quick(&origin).address, "/", &[]);
    assert_eq!(
        (answer.status, answer.text().as_str(), answer.field("x-from").as_str()),
        (503, "sorry", "origin")
    );
    assert_eq!(origin.hits(), 5);
}

#[test]
fn an_earlier_answer_of_the_origin_is_better_than_none() {
    let origin = Origin::new(|seen| match seen.number {
        0 => Reply::Send(UNAVAILABLE.to_vec()),
        _ => Reply::SendAndReset(vec![]),
    });
    let answer = get(quick(&origin).address, "/", &[]);
    assert_eq!((answer.status, answer.text().as_str()), (503, "sorry"));
    assert_eq!(origin.hits(), 5);
}

#[test]
fn a_client_error_is_an_answer() {
    let origin =
        Origin::new(|_| Reply::Send(b"HTTP/1.1 429 Slow down\r\nContent-Length: 0\r\n\r\n".to_vec()));
    assert_eq!(get(quick(&origin).address, "/", &[]).status, 429);
    assert_eq!(origin.hits(), 1);
}

#[test]
fn a_429_that_says_when_to_come_again_is_obeyed() {
    let busy = b"HTTP/1.1 429 Too Many Requests\r\nRetry-After: 1\r\nContent-Length: 0\r\n\r\n";
    let origin = at_first(|| Reply::Send(busy.to_vec()));
    let proxy = quick(&origin);
    let start = std::time::Instant::now();
    assert_eq!(get(proxy.address, "/", &[]).status, 200);
    assert!(start.elapsed() >= std::time::Duration::from_secs(1), "it came too early");
    assert_eq!(proxy.metric("hosp_proxy_retries_total{reason=\"status_429\"}"), 1);
}

#[test]
fn a_write_is_never_sent_twice() {
    for reply in
        [|| Reply::SendAndReset(vec![]), || Reply::Send(UNAVAILABLE.to_vec()), || Reply::SendAndClose(vec![])]
    {
        let origin = Origin::new(move |_| reply());
        let proxy = quick(&origin);
        let status = exchange(proxy.address, raw("POST", "/notes", &[], "a note")).status;
        assert!(status >= 500, "{status}");
        assert_eq!(origin.hits(), 1);
        assert_eq!(proxy.metric("hosp_proxy_retries_denied_total{reason=\"not_idempotent\"}"), 1);
    }
}

#[test]
fn a_write_on_a_used_connection_that_is_reset_is_not_sent_twice_either() {
    let origin = Origin::new(|seen| match seen.number {
        0 => Reply::Send(ok("first")),
        _ => Reply::SendAndReset(vec![]),
    });
    let proxy = quick(&origin);
    get(proxy.address, "/", &[]);
    assert_eq!(exchange(proxy.address, raw("POST", "/notes", &[], "a note")).status, 502);
    assert_eq!((origin.hits(), origin.connections()), (2, 1));
}

#[test]
fn a_write_with_an_idempotency_key_is_sent_again_with_its_body() {
    let origin = at_first(|| Reply::SendAndReset(vec![]));
    let proxy = quick(&origin);
    let request = raw("POST", "/notes", &["Idempotency-Key: 8e03978e"], "a note");
    assert_eq!(exchange(proxy.address, request).status, 200);
    let bodies: Vec<_> = origin.seen().into_iter().map(|seen| seen.body).collect();
    assert_eq!(bodies, [b"a note", b"a note"]);
}

#[test]
fn a_put_is_sent_again_with_its_body_chunked_or_not() {
    let origin = Origin::new(|seen| match seen.number % 2 {
        0 => Reply::Send(UNAVAILABLE.to_vec()),
        _ => Reply::Send(ok("fine")),
    });
    let proxy = quick(&origin);
    let chunked =
        "PUT /n HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n4\r\na no\r\n2\r\nte\r\n0\r\n\r\n";
    for request in [raw("PUT", "/n", &[], "a note"), chunked.to_owned()] {
        assert_eq!(exchange(proxy.address, request).status, 200);
    }
    assert!(origin.seen().iter().all(|seen| seen.body == b"a note"));
    assert_eq!(origin.hits(), 4);
}

#[test]
fn a_body_too_large_to_hold_goes_through_and_is_not_sent_again() {
    let large = "x".repeat(300_000);
    let origin = Origin::new(|_| Reply::Send(UNAVAILABLE.to_vec()));
    let proxy = quick(&origin);
    assert_eq!(exchange(proxy.address, raw("PUT", "/n", &[], &large)).status, 503);
    assert_eq!(origin.seen()[0].body.len(), large.len());
    assert_eq!(origin.hits(), 1);
    assert_eq!(proxy.metric("hosp_proxy_retries_denied_total{reason=\"body\"}"), 1);
}

#[test]
fn an_origin_that_comes_up_in_between_is_reached_even_by_a_write() {
    // The port is taken, but nobody listens on it: connections are refused.
    let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
    socket.bind(&"127.0.0.1:0".parse::<std::net::SocketAddr>().unwrap().into()).unwrap();
    let address = socket.local_addr().unwrap().as_socket().unwrap();
    let file = "[retry]\ninterval = '20ms'\ntries = 20\n[pool]\nconnect_timeout = '1s'";
    let proxy = Proxy::start(&[&format!("http://{address}")], Settings { file, ..Settings::default() });
    let mut client = Client::connect(proxy.address);
    client.send(raw("POST", "/notes", &[], "a note"));
    eventually("a refused try", || proxy.shared.metrics.retries[0].get() > 0);
    socket.listen(16).unwrap();
    let origin = Origin::on(TcpListener::from(socket), |_| Reply::Send(ok("fine")));
    assert_eq!(client.answer().status, 200);
    assert_eq!(origin.hits(), 1);
}

#[test]
fn an_origin_that_is_down_is_told_apart_from_one_that_fails() {
    let gone = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let proxy = Proxy::start(&[&format!("http://{gone}")], Settings { file: QUICK, ..Settings::default() });
    let answer = get(proxy.address, "/", &[]);
    assert_eq!(answer.status, 503);
    assert!(answer.text().contains("could not be reached"), "{}", answer.text());
}

#[test]
fn a_try_goes_to_another_origin_than_the_one_before_and_the_next_request_to_the_one_that_works() {
    let good = Origin::new(|_| Reply::Send(ok("fine")));
    let bad = Origin::new(|_| Reply::Send(UNAVAILABLE.to_vec()));
    let proxy = Proxy::start(&[&good.url(), &bad.url()], Settings { file: QUICK, ..Settings::default() });
    for _ in 0..10 {
        assert_eq!(get(proxy.address, "/", &[]).status, 200);
    }
    assert_eq!(good.hits(), 10);
    assert!((1..=3).contains(&bad.hits()), "{}", bad.hits());
}

#[test]
fn no_try_outlasts_the_deadline() {
    let (_hold, never) = channel();
    let never = std::sync::Mutex::new(Some(never));
    let origin = Origin::new(move |_| Reply::Wait(never.lock().unwrap().take().unwrap(), vec![]));
    let proxy = Proxy::start(&[&origin.url()], Settings { flags: "--deadline 200ms", ..Settings::default() });
    let answer = get(proxy.address, "/", &[]);
    assert_eq!(answer.status, 504);
    assert!(answer.text().contains("in time"), "{}", answer.text());
    assert_eq!(origin.hits(), 1);
    eventually("the origin's connection is given up", || origin.abandoned() == 1);
}

#[test]
fn a_try_that_cannot_start_before_the_deadline_is_not_started() {
    let origin = Origin::new(|_| Reply::Send(UNAVAILABLE.to_vec()));
    let settings = Settings { flags: "--deadline 1s --profile classic", ..Settings::default() };
    let proxy = Proxy::start(&[&origin.url()], settings);
    assert_eq!(get(proxy.address, "/", &[]).status, 503);
    assert_eq!(origin.hits(), 1);
    assert_eq!(proxy.metric("hosp_proxy_retries_denied_total{reason=\"deadline\"}"), 1);
}

#[test]
fn a_try_that_hangs_is_given_up_and_made_again() {
    let (_hold, never) = channel();
    let never = std::sync::Mutex::new(Some(never));
    let origin = Origin::new(move |_| match never.lock().unwrap().take() {
        Some(never) => Reply::Wait(never, vec![]),
        None => Reply::Send(ok("fine")),
    });
    let file = "[retry]\ntry_timeout = '100ms'\nbackoff_base = '1ms'";
    let proxy = Proxy::start(&[&origin.url()], Settings { file, ..Settings::default() });
    assert_eq!(get(proxy.address, "/", &[]).status, 200);
    assert_eq!(proxy.metric("hosp_proxy_retries_total{reason=\"timeout\"}"), 1);
}

#[test]
fn the_budget_bounds_what_an_outage_costs() {
    let origin = Origin::new(|_| Reply::Send(UNAVAILABLE.to_vec()));
    let file = "[retry]\nbackoff_base = '1ms'\nbudget_floor = 0\nbudget_ratio = 0.5";
    let proxy = Proxy::start(&[&origin.url()], Settings { file, ..Settings::default() });
    let mut client = Client::connect(proxy.address);
    for _ in 0..100 {
        assert_eq!(client.send(raw("GET", "/", &[], "")).answer().status, 503);
    }
    assert!(origin.hits() <= 150, "{}", origin.hits());
    assert!(proxy.metric("hosp_proxy_retries_denied_total{reason=\"budget\"}") > 0);
}

#[test]
fn an_upload_may_take_longer_than_the_deadline() {
    let origin = Origin::new(|_| Reply::Send(ok("fine")));
    let proxy = Proxy::start(&[&origin.url()], Settings { flags: "--deadline 150ms", ..Settings::default() });
    let mut client = Client::connect(proxy.address);
    client.send("PUT /n HTTP/1.1\r\nHost: a\r\nContent-Length: 8\r\n\r\n");
    let start = std::time::Instant::now();
    // A slow sender, not a wait for something to have happened.
    for _ in 0..8 {
        std::thread::sleep(std::time::Duration::from_millis(50));
        client.send("x");
    }
    assert_eq!(client.answer().status, 200);
    assert!(start.elapsed() > std::time::Duration::from_millis(150));
}

/// Answers the first request after its first bytes, keeps reading, and counts the heads that come.
fn answers_early(listener: TcpListener) -> std::sync::mpsc::Receiver<()> {
    let (told, heads) = channel();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let (mut stream, told) = (stream.unwrap(), told.clone());
            std::thread::spawn(move || {
                let mut piece = [0; 4096];
                let n = stream.read(&mut piece).unwrap_or(0);
                if n > 0 && piece.starts_with(b"PUT ") {
                    told.send(()).unwrap();
                    let answer = b"HTTP/1.1 503 Busy\r\nRetry-After: 1\r\nContent-Length: 5\r\n\r\nsorry";
                    stream.write_all(answer).unwrap();
                }
                while stream.read(&mut piece).is_ok_and(|n| n > 0) {}
            });
        }
    });
    heads
}

#[test]
fn a_body_that_streams_on_while_a_retry_is_due_is_never_sent_without_its_beginning() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let heads = answers_early(listener);
    let proxy = Proxy::start(&[&url], Settings { file: QUICK, ..Settings::default() });
    let mut client = Client::connect(proxy.address);
    client.send("PUT /note HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nfirst\r\n");
    heads.recv().unwrap();
    // More than is held for a further try, while the pause that the origin asks for lasts.
    client.send(format!("20000\r\n{}\r\n0\r\n\r\n", "x".repeat(0x20000)));
    let answer = client.answer();
    assert_eq!((answer.status, answer.text().as_str()), (503, "sorry"));
    assert!(heads.try_recv().is_err(), "a second try had no beginning to send");
    assert_eq!(proxy.metric("hosp_proxy_retries_denied_total{reason=\"body\"}"), 1);
}

#[test]
fn a_client_that_stops_sending_is_not_the_origins_failure() {
    let origin = Origin::new(|_| Reply::Send(ok("fine")));
    let file = "deadline = '200ms'\n[health]\nfailures = 1";
    let proxy =
        Proxy::start(&[&origin.url(), "http://127.0.0.1:1"], Settings { file, ..Settings::default() });
    for _ in 0..3 {
        let mut client = Client::connect(proxy.address);
        client.send("POST /note HTTP/1.1\r\nHost: a\r\nContent-Length: 100\r\n\r\nno more");
        assert_eq!(client.answer().status, 400);
    }
    let of = |outcome: &str| {
        proxy.metric(&format!(
            "hosp_proxy_attempts_total{{origin=\"{}\",outcome=\"{outcome}\"}}",
            origin.url()
        ))
    };
    assert_eq!(of("timeout"), 0);
    assert!(of("cancelled") > 0, "the origin was asked");
}
