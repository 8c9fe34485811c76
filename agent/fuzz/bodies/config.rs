//! The agent's configuration file: any text gives settings within their bounds, or an error with a place.

use std::path::Path;

use hosp_agent::config::{ConfigError, Ports, Settings};

/// Keys whose values may be names to resolve: a fuzzer has no business with name servers.
const RESOLVED: [&str; 4] = ["metrics_listen", "feed", "proxy", "\\"];

/// Reads the settings that `bytes` are.
pub(crate) fn check(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    if RESOLVED.iter().any(|key| text.contains(key)) {
        return;
    }
    match Settings::parse(text, Path::new("agent.toml")) {
        Ok(settings) => {
            assert!(settings.ring_bytes.is_power_of_two());
            assert!(settings.ports.as_slice().len() <= Ports::MAX && !settings.ports.as_slice().contains(&0));
            assert!((64..=20_000).contains(&settings.max_series));
            assert!((1..=2000).contains(&settings.naming.routes_per_service));
            for (port, name) in &settings.naming.services {
                assert!(*port != 0 && (1..=64).contains(&name.len()), "{port} {name:?}");
            }
            for route in &settings.naming.routes {
                let (pattern, text) = (&route.pattern, route.pattern.text());
                assert!(text.starts_with('/') && text.len() <= 200, "{text:?}");
                let plain = !text.contains(['{', '*']);
                assert!(!plain || pattern.matches(text.as_bytes(), false), "{text:?} does not match itself");
            }
        }
        Err(ConfigError::Parse(_, error)) => {
            let message = error.to_string();
            assert!(message.contains("line ") || error.span().is_none(), "no place in {message:?}");
        }
        Err(error) => panic!("nothing was read: {error}"),
    }
}
