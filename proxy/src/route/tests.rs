//! Which policy a request gets.

use std::time::Duration;

use http::Method;

use super::*;

fn pattern(text: &str) -> Pattern {
    Pattern::try_from(text.to_owned()).unwrap()
}

fn general() -> RoutePolicy {
    RoutePolicy {
        route: 0,
        tries: 5,
        deadline: Duration::from_secs(30),
        try_timeout: None,
        hedge: Some(HedgePolicy { quantile: 0.95, floor: Duration::from_millis(100) }),
        replay: 64 << 10,
        priority: Priority::Normal,
        repeat: RepeatRule::Idempotent,
    }
}

fn rule(text: &str, methods: &[Method], given: Overrides) -> Rule {
    Rule { pattern: pattern(text), methods: methods.to_vec(), given }
}

#[test]
fn the_first_rule_that_matches_method_and_path_counts() {
    let tries = |n| Overrides { tries: Some(n), ..Overrides::default() };
    let routes = Routes::new(
        general(),
        vec![
            rule("/patients/{id}/notes", &[Method::POST, Method::PUT], tries(1)),
            rule("/patients/{id}/notes", &[Method::GET], tries(2)),
            rule("/patients/*", &[], tries(3)),
        ],
    );
    let check = |method: Method, path: &str, expect: u32| {
        assert_eq!(routes.resolve(&method, path).tries, expect, "{method} {path}");
    };
    check(Method::POST, "/patients/1/notes", 1);
    check(Method::GET, "/patients/1/notes", 2);
    check(Method::HEAD, "/patients/1/notes", 2);
    check(Method::DELETE, "/patients/1/notes", 3);
    check(Method::GET, "/patients/1", 3);
    check(Method::GET, "/reports", 5);
    check(Method::OPTIONS, "*", 5);
}

#[test]
fn what_a_rule_leaves_open_is_the_general_setting() {
    let given = Overrides {
        deadline: Some(Duration::from_secs(60)),
        hedge: Some(None),
        repeat: Some(RepeatRule::Always),
        ..Overrides::default()
    };
    let routes = Routes::new(general(), vec![rule("/reports/*", &[], given)]);
    assert_eq!(
        routes.resolve(&Method::GET, "/reports/1"),
        RoutePolicy {
            route: 1,
            deadline: Duration::from_secs(60),
            hedge: None,
            repeat: RepeatRule::Always,
            ..general()
        }
    );
}

#[test]
fn health_checks_come_first_and_writes_before_reads_unless_a_rule_says_otherwise() {
    let bulk = Overrides { priority: Some(Priority::Bulk), ..Overrides::default() };
    let routes = Routes::new(
        general(),
        vec![rule("/import", &[], bulk), rule("/patients/*", &[], Overrides::default())],
    );
    let check = |method: Method, path: &str, expect: Priority| {
        assert_eq!(routes.resolve(&method, path).priority, expect, "{method} {path}");
    };
    check(Method::GET, "/healthz", Priority::Critical);
    check(Method::POST, "/healthz", Priority::Write);
    check(Method::GET, "/healthz/deep", Priority::Normal);
    check(Method::DELETE, "/patients/1", Priority::Write);
    check(Method::GET, "/patients/1", Priority::Normal);
    check(Method::POST, "/import", Priority::Bulk);
    let order = [Priority::Critical, Priority::Write, Priority::Normal, Priority::Bulk];
    assert!(order.is_sorted_by(|a, b| a > b), "whoever sheds compares them");
}
