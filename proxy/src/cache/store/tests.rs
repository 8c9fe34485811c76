//! What is found again, what is replaced, what is forgotten, and what it all weighs.

use super::*;
use crate::forward::Target;
use http::Method;
use http::header::ACCEPT;

fn cache(size: u64) -> Cache {
    Cache::new(&CacheConfig { size, entry: size, default_ttl: Duration::ZERO })
}

fn target(path: &str) -> Target {
    Target {
        uri: path.parse().unwrap(),
        host: Some(HeaderValue::from_static("hosp.example")),
        absolute: false,
    }
}

fn accepting(value: &'static str) -> HeaderMap {
    HeaderMap::from_iter([(ACCEPT, HeaderValue::from_static(value))])
}

fn answer(body: &'static str, vary: &[(&HeaderMap, HeaderName)]) -> Stored {
    let vary = vary
        .iter()
        .map(|(request, name)| (name.clone(), request.get_all(name).iter().cloned().collect()))
        .collect();
    let meta = Meta {
        vary,
        received: Instant::now(),
        initial_age: Duration::from_secs(2),
        lifetime: Duration::from_secs(10),
        for_everyone: false,
    };
    Stored::new(StatusCode::OK, &HeaderMap::new(), Bytes::from_static(body.as_bytes()), meta)
}

fn put(cache: &Cache, method: Method, path: &str, stored: Stored) -> bool {
    let target = target(path);
    let key = KeyRef::of(&method, &target);
    cache.insert(key.to_key(), stored, cache.generation(&key))
}

fn get(
    cache: &Cache,
    method: Method,
    path: &str,
    request: &HeaderMap,
    now: Instant,
) -> Result<Bytes, CacheResult> {
    let target = target(path);
    match cache.find(&KeyRef::of(&method, &target), &Ask::of(&method, request), request, now) {
        Found::Fresh(stored, _) => Ok(stored.body.clone()),
        Found::Nothing(why) => Err(why),
    }
}

#[test]
fn an_answer_is_found_until_its_lifetime_is_over() {
    let (cache, now, none) = (cache(1 << 20), Instant::now(), HeaderMap::new());
    assert_eq!(get(&cache, Method::GET, "/a", &none, now), Err(CacheResult::Miss));
    assert!(put(&cache, Method::GET, "/a", answer("one", &[])));
    assert_eq!(get(&cache, Method::GET, "/a", &none, now).unwrap(), "one");
    assert_eq!(get(&cache, Method::GET, "/b", &none, now), Err(CacheResult::Miss));
    // It came with an age of 2 s.
    assert_eq!(get(&cache, Method::GET, "/a", &none, now + Duration::from_secs(9)), Err(CacheResult::Stale));
}

#[test]
fn a_get_answers_a_head_but_not_the_other_way_round() {
    let (cache, now, none) = (cache(1 << 20), Instant::now(), HeaderMap::new());
    put(&cache, Method::HEAD, "/a", answer("", &[]));
    assert_eq!(get(&cache, Method::GET, "/a", &none, now), Err(CacheResult::Miss));
    assert!(get(&cache, Method::HEAD, "/a", &none, now).is_ok());
    put(&cache, Method::GET, "/a", answer("body", &[]));
    assert_eq!(get(&cache, Method::HEAD, "/a", &none, now).unwrap(), "body");
}

#[test]
fn variants_are_told_apart_and_replaced_one_by_one() {
    let (cache, now) = (cache(1 << 20), Instant::now());
    let (json, html) = (accepting("application/json"), accepting("text/html"));
    put(&cache, Method::GET, "/a", answer("json", &[(&json, ACCEPT)]));
    assert_eq!(get(&cache, Method::GET, "/a", &html, now), Err(CacheResult::VaryMiss));
    assert_eq!(get(&cache, Method::GET, "/a", &HeaderMap::new(), now), Err(CacheResult::VaryMiss));
    put(&cache, Method::GET, "/a", answer("html", &[(&html, ACCEPT)]));
    put(&cache, Method::GET, "/a", answer("json 2", &[(&json, ACCEPT)]));
    assert_eq!(get(&cache, Method::GET, "/a", &html, now).unwrap(), "html");
    assert_eq!(get(&cache, Method::GET, "/a", &json, now).unwrap(), "json 2");
}

#[test]
fn an_answer_that_varies_by_something_else_replaces_all_before_it() {
    let (cache, now, json) = (cache(1 << 20), Instant::now(), accepting("application/json"));
    put(&cache, Method::GET, "/a", answer("for all", &[]));
    put(&cache, Method::GET, "/a", answer("json", &[(&json, ACCEPT)]));
    assert_eq!(get(&cache, Method::GET, "/a", &HeaderMap::new(), now), Err(CacheResult::VaryMiss));
}

#[test]
fn an_answer_asked_for_before_an_invalidation_is_not_stored_after_it() {
    let (cache, now, none) = (cache(1 << 20), Instant::now(), HeaderMap::new());
    let target = target("/a");
    let key = KeyRef::of(&Method::GET, &target);
    let asked = cache.generation(&key);
    put(&cache, Method::GET, "/a", answer("old", &[]));
    cache.invalidate(&KeyRef::of(&Method::POST, &target));
    assert_eq!(get(&cache, Method::GET, "/a", &none, now), Err(CacheResult::Miss));
    assert!(!cache.insert(key.to_key(), answer("older than the change", &[]), asked));
    assert_eq!(get(&cache, Method::GET, "/a", &none, now), Err(CacheResult::Miss));
}

#[test]
fn memory_stays_within_its_bound() {
    let cache = cache(64 << 10);
    for n in 0..1000 {
        put(&cache, Method::GET, &format!("/{n}"), answer("x", &[]));
        assert!(cache.bytes() <= 64 << 10);
    }
    assert!(cache.len() > 10, "{}", cache.len());
}

#[test]
fn stored_fields_share_no_memory_with_the_buffer_they_came_from() {
    let buffer = Bytes::from(vec![b'x'; 4096]);
    let value = HeaderValue::from_maybe_shared(buffer.slice(..10)).unwrap();
    let stored = compact(&HeaderMap::from_iter([(ACCEPT, value)]));
    assert!(buffer.is_unique(), "a stored field keeps 4 KiB alive");
    assert_eq!(stored[ACCEPT], "xxxxxxxxxx");
}
