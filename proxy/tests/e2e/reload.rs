//! A new configuration for a running proxy, without a client that notices.

use crate::support::{Client, Load, Origin, Proxy, Reply, Settings, eventually, exchange, get, ok, raw};

#[test]
fn reloads_under_load_fail_no_request() {
    let one = Origin::new(|_| Reply::Send(ok("one")));
    let two = Origin::new(|_| Reply::Send(ok("two")));
    let proxy = Proxy::start(&[], Settings { file: &origins(&[&one]), ..Settings::default() });
    let load = Load::start(proxy.address);
    for turn in 0..20 {
        let before = load.answered();
        let origin = if turn % 2 == 0 { &two } else { &one };
        let hits = origin.hits();
        // The pool's settings alternate as well, so that idle connections are given up, too.
        let file = format!("{}[pool]\nidle = {}\n", origins(&[origin]), 4 + turn % 2);
        proxy.reload(&file).unwrap();
        eventually("requests go where the new configuration says", || origin.hits() > hits + 20);
        eventually("the clients get on", || load.answered() > before + 50);
    }
    let answered = load.finish().unwrap();
    assert_eq!(one.hits() + two.hits(), answered, "each request reached one origin once");
}

#[test]
fn the_next_request_on_a_connection_is_treated_as_the_new_configuration_says() {
    let (release, gate) = std::sync::mpsc::channel();
    let gate = std::sync::Mutex::new(Some(gate));
    let old = Origin::new(move |seen| match seen.line().contains("/slow") {
        true => Reply::Wait(gate.lock().unwrap().take().unwrap(), ok("old, and whole")),
        false => Reply::Send(ok("old")),
    });
    let new = Origin::new(|_| Reply::Send(ok("new")));
    let proxy = Proxy::start(&[], Settings { file: &origins(&[&old]), ..Settings::default() });
    let mut client = Client::connect(proxy.address);
    assert_eq!(client.send(raw("GET", "/", &[], "")).answer().text(), "old");
    let mut busy = Client::connect(proxy.address);
    busy.send(raw("GET", "/slow", &[], ""));
    eventually("the slow request is under way", || old.hits() == 2);

    assert_eq!(proxy.reload(&origins(&[&new])).unwrap(), ["origins"]);
    eventually("new connections meet it", || get(proxy.address, "/", &[]).text() == "new");
    assert_eq!(client.send(raw("GET", "/", &[], "")).answer().text(), "new");
    release.send(()).unwrap();
    assert_eq!(busy.answer().text(), "old, and whole", "what was under way ends as it began");
    assert_eq!(busy.send(raw("GET", "/", &[], "")).answer().text(), "new");
}

#[test]
fn stored_answers_outlive_a_reload_that_does_not_touch_the_cache() {
    let origin = Origin::new(|_| {
        Reply::Send(b"HTTP/1.1 200 OK\r\nCache-Control: max-age=60\r\nContent-Length: 2\r\n\r\nhi".to_vec())
    });
    let proxy = Proxy::start(&[], Settings { file: &origins(&[&origin]), ..Settings::default() });
    get(proxy.address, "/stored", &[]);
    proxy.reload(&format!("{}[forwarded]\nhost = 'origin'", origins(&[&origin]))).unwrap();
    eventually("it is in force", || {
        exchange(proxy.address, raw("POST", "/other", &[], ""));
        origin.seen().last().unwrap().one("host") != Some("hosp.example")
    });
    let hits = origin.hits();
    assert_eq!(get(proxy.address, "/stored", &[]).text(), "hi");
    assert_eq!(origin.hits(), hits);
}

fn origins(origins: &[&Origin]) -> String {
    let urls: Vec<String> = origins.iter().map(|origin| format!("'{}'", origin.url())).collect();
    format!("origins = [{}]\n", urls.join(", "))
}
