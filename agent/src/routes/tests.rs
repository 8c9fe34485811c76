//! Which route a path gets, and that strangers cannot multiply them.

use hosp_agent_ebpf::PATH_MAX;
use proptest::prelude::*;

use super::*;
use crate::testing;

fn template_of(path: &str) -> String {
    let mut out = String::new();
    if template::write(path.as_bytes(), false, &mut out) { out } else { "(none)".into() }
}

#[test]
fn templates() {
    for (path, want) in [
        ("/", "/"),
        ("*", "*"),
        ("/patients", "/patients"),
        ("/patients/", "/patients/"),
        ("/patients/42/notes", "/patients/{id}/notes"),
        ("/patients/HN000123/notes", "/patients/{id}/notes"),
        ("/patients/42/notes?q=secret#x", "/patients/{id}/notes"),
        ("/api/v2/oauth2/token", "/api/v2/oauth2/token"),
        ("/files/3f2504e0-4f89-11d3-9a0c-0305e82c3301", "/files/{id}"),
        ("/files/abcdefab-abcd-abcd-abcd-abcdefabcdef", "/files/{id}"),
        ("/commit/9f8e7d6c", "/commit/{id}"),
        ("/commit/deadbeef", "/commit/deadbeef"),
        ("/static/app.9f8e7d6c5b.js", "/static/{id}"),
        ("/static/jquery-3.7.1.min.js", "/static/jquery-3.7.1.min.js"),
        ("/reports/2026-11-23", "/reports/{id}"),
        ("/reports/report-2024.pdf", "/reports/{id}"),
        ("/users/ann@example.org", "/users/{id}"),
        ("/search/caf%C3%A9", "/search/{id}"),
        ("/t/aB3dE5gH7jK9", "/t/{id}"),
        ("/t/AbCdEfGhIjKl", "/t/{id}"),
        ("/medication-administration", "/medication-administration"),
        ("/prescriptionHistory", "/prescriptionHistory"),
        ("/a/b/c/d/e/f/g/h/i/j", "/a/b/c/d/e/f/g/h/*"),
        ("/x{y}/z", "/{id}/z"),
        ("http://example.org:80/patients/7", "/patients/{id}"),
        ("http://example.org", "/"),
        ("example.org:443", "(none)"),
        ("", "(none)"),
    ] {
        assert_eq!(template_of(path), want, "{path}");
    }
    assert_eq!(template_of(&format!("/{}", "a".repeat(33))), "/{id}");
}

#[test]
fn the_last_segment_of_a_cut_path_is_unknown() {
    let mut out = String::new();
    assert!(template::write(b"/patients/42/no", true, &mut out));
    assert_eq!(out, "/patients/{id}/*");
}

#[test]
fn patterns() {
    for (pattern, path, matches) in [
        ("/patients/{id}/notes", "/patients/anything/notes", true),
        ("/patients/{id}/notes", "/patients/anything/notes?x=1", true),
        ("/patients/{id}/notes", "/patients//notes", false),
        ("/patients/{id}/notes", "/patients/1/notes/2", false),
        ("/patients/{id}/notes", "/patients/1", false),
        ("/static/*", "/static/a/b/c", true),
        ("/static/*", "/static/", true),
        ("/static/*", "/static", false),
        ("/*", "/", true),
        ("/", "/", true),
        ("/", "/x", false),
        ("/a", "*", false),
    ] {
        let pattern = Pattern::try_from(pattern.to_owned()).unwrap();
        assert_eq!(pattern.matches(path.as_bytes(), false), matches, "{} {path}", pattern.text());
    }
}

#[test]
fn a_cut_path_matches_only_where_the_missing_part_does_not_matter() {
    let open = Pattern::try_from("/files/{name}/*".to_owned()).unwrap();
    let closed = Pattern::try_from("/files/{name}".to_owned()).unwrap();
    assert!(open.matches(b"/files/x/long", true));
    assert!(!open.matches(b"/files/lo", true), "the cut may lie within {{name}}");
    assert!(!closed.matches(b"/files/lo", true));
}

#[test]
fn patterns_that_mean_nothing_are_refused() {
    for pattern in ["patients", "/a*b", "/{}", "/{a}b", "/a/*/b", "/a b", "/a?b", "/{a{b}}", "/é"] {
        assert!(Pattern::try_from(pattern.to_owned()).is_err(), "{pattern}");
    }
    assert!(Pattern::try_from("/a".repeat(200)).is_err());
}

fn routes(cap: usize) -> Routes {
    Routes::new(Vec::new(), cap)
}

fn ask(routes: &mut Routes, path: &str, status: u16) -> String {
    let record = testing::record().path(path).status(status).build();
    let mut names = Names::new(1);
    let service = names.intern("web");
    let id = routes.route(service, "web", &record);
    routes.text(id).to_string()
}

#[test]
fn a_path_that_the_service_denies_makes_no_route_but_may_belong_to_one() {
    let mut routes = routes(10);
    assert_eq!(ask(&mut routes, "/patients/1", 404), "_other");
    assert_eq!(ask(&mut routes, "/patients/2", 200), "/patients/{id}");
    assert_eq!(ask(&mut routes, "/patients/1", 404), "/patients/{id}");
    assert_eq!(routes.overflowed(), 0);
}

#[test]
fn routes_beyond_the_cap_are_counted_as_overflow() {
    let mut routes = routes(2);
    for path in ["/a", "/b", "/c", "/c", "/a"] {
        ask(&mut routes, path, 200);
    }
    assert_eq!(ask(&mut routes, "/b", 200), "/b");
    assert_eq!(ask(&mut routes, "/c", 500), "_other");
    assert_eq!(routes.overflowed(), 3);
}

#[test]
fn a_configured_route_wins_and_may_be_for_one_service_only() {
    let configured = |pattern: &str, service: Option<&str>| Configured {
        pattern: Pattern::try_from(pattern.to_owned()).unwrap(),
        service: service.map(Into::into),
    };
    let mut routes = Routes::new(
        vec![configured("/wards/{ward}", None), configured("/beds/{bed}", Some("elsewhere"))],
        10,
    );
    assert_eq!(ask(&mut routes, "/wards/north", 404), "/wards/{ward}");
    assert_eq!(ask(&mut routes, "/beds/north", 200), "/beds/north");
}

proptest! {
    #[test]
    fn any_bytes_give_a_clean_and_bounded_template(
        path in proptest::collection::vec(any::<u8>(), 0..=PATH_MAX),
        cut: bool,
    ) {
        let mut out = String::new();
        template::write(&path, cut, &mut out);
        prop_assert!(out.len() <= template::MAX_TEMPLATE);
        prop_assert!(out.bytes().all(|b| b.is_ascii_graphic() && !b"?#%\"\\@".contains(&b)), "{out}");
    }

    #[test]
    fn cardinality_never_passes_the_cap(
        paths in proptest::collection::vec(("/[a-z]{1,3}(/[a-z]{1,3}){0,3}", 100u16..600), 0..300),
        cap in 0usize..20,
    ) {
        let mut routes = routes(cap);
        let distinct: HashSet<String> =
            paths.iter().map(|(path, status)| ask(&mut routes, path, *status)).collect();
        prop_assert!(distinct.iter().filter(|route| *route != "_other").count() <= cap);
    }
}
