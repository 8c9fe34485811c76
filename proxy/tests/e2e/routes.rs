//! What differs by method and path, counted by the origin itself.

use crate::support::{Origin, Proxy, Reply, Settings, exchange, raw};

const UNAVAILABLE: &[u8] = b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 5\r\n\r\nsorry";

#[test]
fn a_route_has_its_own_tries_and_says_what_may_be_repeated() {
    let origin = Origin::new(|_| Reply::Send(UNAVAILABLE.to_vec()));
    let file = "
        [retry]
        backoff_base = '1ms'
        backoff_max = '2ms'
        [[routes]]
        match = '/reports/*'
        tries = 2
        [[routes]]
        match = '/patients/{id}/visits'
        methods = ['POST']
        repeat = 'always'
        tries = 3
        [[routes]]
        match = '/counters/*'
        repeat = 'never'
    ";
    let proxy = Proxy::start(&[&origin.url()], Settings { file, ..Settings::default() });
    let check = |method: &str, target: &str, expect: usize| {
        let before = origin.hits();
        let answer = exchange(proxy.address, raw(method, target, &[], ""));
        assert_eq!((answer.status, origin.hits() - before), (503, expect), "{method} {target}");
    };
    check("GET", "/reports/1?month=11", 2);
    check("GET", "/other", 5);
    check("POST", "/patients/1/visits", 3);
    check("POST", "/patients/1/notes", 1);
    check("GET", "/counters/1", 1);
}
