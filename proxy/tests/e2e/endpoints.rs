//! Which endpoint is asked, and when none is.

use std::net::TcpListener;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::channel;

use socket2::{Domain, Socket, Type};

use crate::support::{
    Client, NameServer, Origin, Proxy, Reply, Settings, eventually, exchange, get, ok, raw,
};

const UNAVAILABLE: &[u8] = b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 5\r\n\r\nsorry";
/// Back-off and probes too short to notice.
const QUICK: &str =
    "[retry]\nbackoff_base = '1ms'\nbackoff_max = '2ms'\n[breaker]\nprobe_interval = '20ms'\n";

fn proxy(origins: &[&Origin], file: &str) -> Proxy {
    let urls: Vec<String> = origins.iter().map(|origin| origin.url()).collect();
    let urls: Vec<&str> = urls.iter().map(String::as_str).collect();
    Proxy::start(&urls, Settings { file, ..Settings::default() })
}

fn always(reply: &'static [u8]) -> Origin {
    Origin::new(move |_| Reply::Send(reply.to_vec()))
}

/// An origin that works while the flag says so.
fn switched() -> (Origin, Arc<AtomicBool>) {
    let works = Arc::new(AtomicBool::new(false));
    let flag = works.clone();
    let origin = Origin::new(move |_| {
        Reply::Send(if flag.load(Ordering::SeqCst) { ok("fine") } else { UNAVAILABLE.to_vec() })
    });
    (origin, works)
}

#[test]
fn while_everything_fails_clients_are_told_at_once_and_a_probe_finds_the_end_of_it() {
    let (origin, works) = switched();
    let proxy = proxy(&[&origin], QUICK);
    for _ in 0..4 {
        assert_eq!(get(proxy.address, "/", &[]).text(), "sorry");
    }
    assert_eq!(origin.hits(), 20);
    eventually("requests are answered without the origin", || {
        let answer = get(proxy.address, "/", &[]);
        assert_eq!(answer.status, 503);
        answer.text().contains("not passed on") && answer.field("retry-after") == "1"
    });
    assert_eq!(proxy.metric("hosp_proxy_breaker_open{reason=\"failing\"}"), 1);
    assert!(proxy.metric("hosp_proxy_refused_total{reason=\"failing\"}") > 0);
    works.store(true, Ordering::SeqCst);
    eventually("the origin is asked again", || get(proxy.address, "/", &[]).status == 200);
    assert_eq!(proxy.metric("hosp_proxy_breaker_open{reason=\"failing\"}"), 0);
    (0..20).for_each(|_| assert_eq!(get(proxy.address, "/", &[]).status, 200));
}

#[test]
fn requests_wait_for_an_origin_that_restarts_writes_too() {
    let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let url = format!("http://{address}");
    let proxy = Proxy::start(&[&url], Settings { file: QUICK, ..Settings::default() });
    let refused = get(proxy.address, "/", &[]);
    assert_eq!(refused.status, 503, "five refusals, and nobody waits as yet");
    let mut write = Client::connect(proxy.address);
    write.send(raw("POST", "/notes", &[], "note"));
    eventually("it waits", || proxy.shared.origins.queue.waiting() == 1);
    let origin = Origin::on(TcpListener::bind(address).unwrap(), |_| Reply::Send(ok("written")));
    assert_eq!(write.answer().text(), "written");
    assert_eq!(origin.hits(), 1);
}

#[test]
fn nobody_waits_longer_than_is_configured_for_an_origin_that_is_gone() {
    let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let file = format!("{QUICK}hold = '50ms'\n");
    let url = format!("http://{address}");
    let proxy = Proxy::start(&[&url], Settings { file: &file, ..Settings::default() });
    for _ in 0..3 {
        let answer = get(proxy.address, "/", &[]);
        assert_eq!(answer.status, 503);
        assert!(answer.text().contains("could not be reached"), "{}", answer.text());
    }
    eventually("it is told at once", || {
        get(proxy.address, "/", &[]);
        proxy.metric("hosp_proxy_refused_total{reason=\"unreachable\"}") >= 2
    });
}

#[test]
fn an_endpoint_that_fails_in_a_row_is_left_out_but_never_the_last() {
    let (bad, good) = (always(UNAVAILABLE), Origin::new(|_| Reply::Send(ok("fine"))));
    // Without that, balancing alone would hardly ever ask the bad one.
    let lone = proxy(&[&bad], QUICK);
    for _ in 0..4 {
        assert_eq!(get(lone.address, "/", &[]).status, 503);
    }
    assert_eq!(bad.hits(), 20);
    assert_eq!(lone.metric("hosp_proxy_endpoint_ejections_total"), 0);

    let both = proxy(&[&bad, &good], "[health]\nfailures = 1\n[retry]\nbackoff_base = '1ms'");
    for _ in 0..10 {
        assert_eq!(get(both.address, "/", &[]).status, 200);
    }
    assert_eq!(bad.hits(), 21);
    assert_eq!(both.metric("hosp_proxy_endpoint_ejections_total"), 1);
    let address = bad.url().replace("http://", "");
    let series = format!("hosp_proxy_endpoint_healthy{{endpoint=\"{address}\",origin=\"{}\"}}", bad.url());
    assert_eq!(both.metric(&series), 0);
}

#[test]
fn a_fallback_is_asked_only_while_no_origin_before_it_is_well() {
    let checked = Arc::new(AtomicBool::new(true));
    let flag = checked.clone();
    let first = Origin::new(move |seen| {
        let passes = flag.load(Ordering::SeqCst) || !seen.line().contains("/healthz");
        Reply::Send(if passes { ok("first") } else { UNAVAILABLE.to_vec() })
    });
    let second = Origin::new(|_| Reply::Send(ok("second")));
    let file = format!(
        "fallbacks = [['{}']]\n[health.check]\npath = '/healthz'\ninterval = '10ms'\nrise = 1\nfall = 2",
        second.url()
    );
    let proxy = proxy(&[&first], &file);
    assert_eq!(get(proxy.address, "/", &[]).text(), "first");
    checked.store(false, Ordering::SeqCst);
    eventually("the fallback is asked", || get(proxy.address, "/", &[]).text() == "second");
    checked.store(true, Ordering::SeqCst);
    eventually("the first is asked again", || get(proxy.address, "/", &[]).text() == "first");
    let asked = |origin: &Origin| origin.seen().iter().any(|seen| seen.line().contains("/healthz"));
    assert!(asked(&first) && asked(&second));
}

#[test]
fn names_are_looked_up_again_and_both_families_count() {
    // The same port on three addresses.
    let first = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = first.local_addr().unwrap().port();
    let listen = |domain: Domain, address: &str| {
        let socket = Socket::new(domain, Type::STREAM, None).unwrap();
        let address: std::net::SocketAddr = format!("{address}:{port}").parse().unwrap();
        socket.bind(&address.into()).unwrap();
        socket.listen(16).unwrap();
        TcpListener::from(socket)
    };
    let second = listen(Domain::IPV4, "127.0.0.2");
    let third = listen(Domain::IPV6, "[::1]");
    let serving =
        |listener: TcpListener, name: &'static str| Origin::on(listener, move |_| Reply::Send(ok(name)));
    let _origins = [serving(first, "first"), serving(second, "second"), serving(third, "third")];
    let names = NameServer::new(&["127.0.0.1"]);
    let url = format!("http://origin.test:{port}");
    let proxy = Proxy::start(&[&url], Settings { file: &names.config(), ..Settings::default() });
    let asked = || get(proxy.address, "/", &[]).text();
    // The very first request waits for the first look-up.
    assert_eq!(asked(), "first");
    names.set(&["127.0.0.2"]);
    eventually("the new address is asked", || asked() == "second");
    names.set(&["127.0.0.1", "::1"]);
    for name in ["first", "third"] {
        eventually("each of several addresses is asked", || asked() == name);
    }
    // An answer without addresses, or none at all, is no reason to forget those that are known.
    names.set(&[]);
    eventually("look-ups fail", || proxy.metric("hosp_proxy_dns_failures_total") > 1);
    assert!(["first", "third"].contains(&asked().as_str()));
}

#[test]
fn who_finds_no_room_waits_and_who_finds_no_place_to_wait_is_turned_away() {
    let (release, wait) = channel();
    let wait = std::sync::Mutex::new(Some(wait));
    let origin = Origin::new(move |_| match wait.lock().unwrap().take() {
        Some(wait) => Reply::Wait(wait, ok("slow")),
        None => Reply::Send(ok("quick")),
    });
    let proxy = proxy(&[&origin], "[concurrency]\nmin = 1\nmax = 1\nqueue = 1\nwait = '20s'");
    let mut slow = Client::connect(proxy.address);
    slow.send(raw("GET", "/", &[], ""));
    eventually("the first is under way", || origin.hits() == 1);
    eventually("the limit counts", || proxy.shared.origins.endpoints.list()[0].limit.now() == 1);
    let mut waiting = Client::connect(proxy.address);
    waiting.send(raw("GET", "/", &[], ""));
    eventually("the second waits", || proxy.shared.origins.queue.waiting() == 1);
    let refused = exchange(proxy.address, raw("GET", "/", &["Connection: close"], ""));
    assert_eq!(refused.status, 503);
    assert!(refused.text().contains("more to do than it can"), "{}", refused.text());
    // A write takes the place of a read.
    let mut write = Client::connect(proxy.address);
    write.send(raw("POST", "/", &[], "note"));
    assert_eq!(waiting.answer().status, 503);
    release.send(()).unwrap();
    assert_eq!(slow.answer().text(), "slow");
    assert_eq!(write.answer().text(), "quick");
    assert_eq!(proxy.metric("hosp_proxy_refused_total{reason=\"full\"}"), 2);
}
