//! The decisions as tables; each row names the section that it comes from.

use super::*;
use http::HeaderValue;

type Fields = [(&'static str, &'static str)];

fn headers(fields: &Fields) -> HeaderMap {
    fields.iter().map(|(n, v)| (HeaderName::from_static(n), HeaderValue::from_static(v))).collect()
}

fn seconds(n: u64) -> Duration {
    Duration::from_secs(n)
}

#[test]
fn what_a_request_lets_the_cache_do() {
    let check =
        |section: &str, method: Method, fields: &Fields, look: Result<(), CacheResult>, store: bool| {
            let ask = Ask::of(&method, &headers(fields));
            assert_eq!((ask.look, ask.store), (look, store), "{section}: {method} {fields:?}");
        };
    use CacheResult::{Bypass, Method as ByMethod, Request};
    check("§4", Method::GET, &[], Ok(()), true);
    check("§4", Method::HEAD, &[], Ok(()), true);
    check("§3", Method::POST, &[], Err(ByMethod), false);
    check("§3", Method::OPTIONS, &[], Err(ByMethod), false);
    check("§3.3", Method::GET, &[("range", "bytes=0-")], Err(Bypass), false);
    check("§4.3.1", Method::GET, &[("if-match", "\"a\"")], Err(Bypass), false);
    check("§5.2.1.4", Method::GET, &[("cache-control", "no-cache")], Err(Request), true);
    check("§5.2.1.5", Method::GET, &[("cache-control", "no-store")], Err(Request), false);
    check("§5.4", Method::GET, &[("pragma", "no-cache")], Err(Request), true);
}

#[test]
fn what_is_stored() {
    let policy = StorePolicy { default_ttl: seconds(120) };
    let now = SystemTime::now();
    let check = |section: &str, request: &Fields, status: u16, answer: &Fields, expect: Option<u64>| {
        let request = headers(request);
        let ask = Ask::of(&Method::GET, &request);
        let status = StatusCode::from_u16(status).unwrap();
        let got =
            storing(&ask, &request, status, &headers(answer), now, policy).map(|s| s.lifetime.as_secs());
        assert_eq!(got, expect, "{section}: {request:?} {status} {answer:?}");
    };
    const TEN: (&str, &str) = ("cache-control", "max-age=10");
    check("explicit lifetime", &[], 200, &[TEN], Some(10));
    check("profile's default", &[], 200, &[], Some(120));
    check("default for 200 only", &[], 404, &[], None);
    check("explicit 301", &[], 301, &[TEN], Some(10));
    check("explicit 404", &[], 404, &[TEN], Some(10));
    check("explicit 410", &[], 410, &[TEN], Some(10));
    check("no 500, whatever it says", &[], 500, &[TEN], None);
    check("no 206 (§3.3)", &[], 206, &[TEN], None);
    check("no 302", &[], 302, &[TEN], None);
    check("§5.2.2.5", &[], 200, &[("cache-control", "no-store, max-age=10")], None);
    check("§5.2.2.7", &[], 200, &[("cache-control", "private, max-age=10")], None);
    check("§5.2.2.4", &[], 200, &[("cache-control", "no-cache, max-age=10")], None);
    check("§5.2.2.4 with names", &[], 200, &[("cache-control", "no-cache=\"x\", max-age=10")], None);
    check(
        "§7.3: Set-Cookie is one person's",
        &[],
        200,
        &[("cache-control", "public, max-age=10"), ("set-cookie", "a=b")],
        None,
    );
    check("§4.2.1: stale on arrival", &[], 200, &[("cache-control", "max-age=0")], None);
    check("§5.3: Expires: 0", &[], 200, &[("expires", "0")], None);
    check("§4.1", &[], 200, &[TEN, ("vary", "*")], None);
    check("§4.1 in a list", &[], 200, &[TEN, ("vary", "accept, *")], None);
    check("§4.1", &[], 200, &[TEN, ("vary", "accept")], Some(10));
    check("Vary that is none", &[], 200, &[TEN, ("vary", "a b")], None);
    check("request no-store", &[("cache-control", "no-store")], 200, &[TEN], None);

    const BASIC: (&str, &str) = ("authorization", "Basic eA==");
    check("§3.5", &[BASIC], 200, &[TEN], None);
    check("§3.5 default", &[BASIC], 200, &[], None);
    check("§3.5 public", &[BASIC], 200, &[("cache-control", "public, max-age=10")], Some(10));
    check("§3.5 s-maxage", &[BASIC], 200, &[("cache-control", "s-maxage=10")], Some(10));
    check(
        "§3.5 must-revalidate",
        &[BASIC],
        200,
        &[("cache-control", "must-revalidate, max-age=10")],
        Some(10),
    );

    const COOKIE: (&str, &str) = ("cookie", "sid=1");
    check("cookie", &[COOKIE], 200, &[TEN], None);
    check("cookie, default", &[COOKIE], 200, &[], None);
    check(
        "cookie, must-revalidate",
        &[COOKIE],
        200,
        &[("cache-control", "must-revalidate, max-age=10")],
        None,
    );
    check("cookie, public", &[COOKIE], 200, &[("cache-control", "public, max-age=10")], Some(10));
    check("cookie, public but no lifetime", &[COOKIE], 200, &[("cache-control", "public")], None);
}

#[test]
fn which_stored_answer_is_used() {
    use CacheResult::{Bypass, Hit, Request, Stale};
    let check = |name: &str, request: &Fields, age: u64, for_everyone: bool, expect: CacheResult| {
        let ask = Ask::of(&Method::GET, &headers(request));
        let candidate = Candidate { age: seconds(age), lifetime: seconds(10), for_everyone };
        assert_eq!(usable(&ask, candidate), expect, "{name}");
    };
    check("§4.2: younger than its lifetime", &[], 9, false, Hit);
    check("§4.2: not at its lifetime", &[], 10, false, Stale);
    check("§5.2.1.1: max-age", &[("cache-control", "max-age=5")], 6, false, Request);
    check("§5.2.1.1: max-age", &[("cache-control", "max-age=5")], 5, false, Hit);
    check("§5.2.1.3: min-fresh", &[("cache-control", "min-fresh=4")], 7, false, Request);
    check("§5.2.1.3: min-fresh", &[("cache-control", "min-fresh=4")], 6, false, Hit);
    check("credentials get their own answer", &[("authorization", "x")], 1, false, Bypass);
    check("cookies too", &[("cookie", "x")], 1, false, Bypass);
    check("unless it is for everyone", &[("cookie", "x")], 1, true, Hit);
}

#[test]
fn what_invalidates() {
    let check = |method: Method, status: u16, expect: bool| {
        assert_eq!(invalidates(&method, StatusCode::from_u16(status).unwrap()), expect, "{method} {status}");
    };
    check(Method::POST, 201, true);
    check(Method::DELETE, 303, true);
    check(Method::from_bytes(b"PURGE").unwrap(), 200, true);
    check(Method::POST, 404, false);
    check(Method::PUT, 500, false);
    check(Method::GET, 200, false);
    check(Method::OPTIONS, 200, false);
}
