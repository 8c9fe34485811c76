//! What the file may say, and what an error in it looks like.

use super::*;

fn load(text: &str, options: Options) -> Result<Settings, String> {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("agent.toml");
    fs::write(&path, text).unwrap();
    let options = Options { config: Some(path), ..options };
    Settings::load(&options).map_err(|error| error.to_string())
}

#[test]
fn defaults() {
    let settings = Settings::load(&Options::default()).unwrap();
    assert_eq!(settings.metrics.to_string(), "127.0.0.1:9464");
    assert_eq!(settings.feed.to_string(), "unix:/run/hosp/agent.sock");
    assert_eq!(settings.proxy.to_string(), "unix:/run/hosp/proxy.sock");
    assert_eq!(settings.naming.routes_per_service, 200);
}

#[test]
fn the_sample_in_the_repository_is_right_and_says_every_default() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("agent.toml");
    check(&path).unwrap();
    // With every line that shows a default switched on, it still is, and changes nothing.
    let text = fs::read_to_string(&path).unwrap();
    let on: String =
        text.lines().map(|line| line.strip_prefix("#= ").unwrap_or(line).to_owned() + "\n").collect();
    assert!(on.lines().filter(|line| !line.starts_with('#')).count() > 5);
    let settings = load(&on, Options::default()).unwrap();
    let defaults = Settings::load(&Options::default()).unwrap();
    assert_eq!(format!("{settings:?}"), format!("{defaults:?}"));
}

#[test]
fn flags_override_the_file() {
    let file = "metrics_listen = '127.0.0.1:1'\nfeed = '127.0.0.1:2'\nbpf_stats = true\ncgroup = '/a'\nports = [1]\nunread = true";
    let flags = Options {
        metrics_listen: Some("127.0.0.1:3".parse().unwrap()),
        cgroup: Some("/b".into()),
        ports: Some("80,8080".parse().unwrap()),
        ..Options::default()
    };
    let settings = load(file, flags).unwrap();
    assert_eq!(settings.metrics.to_string(), "127.0.0.1:3");
    assert_eq!(settings.feed.to_string(), "127.0.0.1:2");
    assert_eq!(settings.cgroup, Some("/b".into()));
    assert!(settings.bpf_stats && settings.unread);
    assert_eq!(settings.ports.as_slice(), [80, 8080]);
}

#[test]
fn services_and_routes() {
    let settings = load(
        "[services]\n\"8080\" = 'hosp-proxy'\n[[routes]]\nmatch = '/patients/{id}/notes'\nservice = 'hosp-proxy'",
        Options::default(),
    )
    .unwrap();
    assert_eq!(settings.naming.services[&8080], "hosp-proxy");
    assert_eq!(settings.naming.routes[0].pattern.text(), "/patients/{id}/notes");
    assert_eq!(settings.naming.routes[0].service.as_deref(), Some("hosp-proxy"));
}

#[test]
fn every_error_says_where_it_is() {
    for (text, place, what) in [
        ("metrics_listen = '127.0.0.1:1'\nmetric = 1", "line 2, column 1", "unknown field `metric`"),
        ("feed = 'nowhere'", "line 1, column 8", "neither unix:"),
        ("ports = [80, 70000]", "line 1, column 14", "70000"),
        ("ports = [80, 0]", "line 1, column 9", "no port"),
        ("[limits]\nserie = 1", "line 2, column 1", "unknown field `serie`"),
        ("[limits]\nseries = 1", "line 2, column 10", "out of range"),
        ("[limits]\nring_bytes = 1000000", "line 2, column 14", "power of two"),
        ("[services]\n\"http\" = 'x'", "line 2, column 1", "no port"),
        ("[services]\n\"80\" = 'x'\n\"080\" = 'y'", "line 3, column 1", "no port"),
        ("[services]\n\"80\" = 'a b'", "line 2, column 8", "no name for a service"),
        ("[[routes]]\nmatch = '/a*'", "line 2, column 9", "one whole segment"),
        ("[[routes]]\nservice = 'x'", "line 1, column 1", "missing field `match`"),
        ("bpf_stats = maybe", "line 1, column 13", ""),
        ("a = [", "line 1", ""),
    ] {
        let message = load(text, Options::default()).unwrap_err();
        assert!(message.contains(place) && message.contains(what), "{text}\n{message}");
        assert!(message.contains("agent.toml"), "{message}");
    }
}

#[test]
fn a_file_that_is_not_there_is_named() {
    let options = Options { config: Some("/nonexistent/agent.toml".into()), ..Options::default() };
    let message = Settings::load(&options).unwrap_err().to_string();
    assert!(message.contains("/nonexistent/agent.toml"), "{message}");
}
