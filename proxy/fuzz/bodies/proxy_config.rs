//! The proxy's configuration file: any text gives a configuration within its bounds, for which a cache can be made, or
//! an error with a place within the text.

use std::path::Path;
use std::time::Duration;

use hosp_proxy::cache::Cache;
use hosp_proxy::cli::Flags;
use hosp_proxy::config::file::{FileError, parse};
use hosp_proxy::config::resolve::resolve;
use http::Method;

/// Longest duration that a file may give.
const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// Reads the configuration that `bytes` are.
pub(crate) fn check(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let file = match parse(text, Path::new("proxy.toml")) {
        Ok(file) => file,
        Err(FileError::Parse { line, column, message, .. }) => {
            let in_text = text.split('\n').nth(line - 1).map(|line| line.chars().count());
            assert!(in_text.is_some_and(|len| column <= len + 1), "{line}:{column} {message}");
            return;
        }
        Err(error) => panic!("nothing was read: {error}"),
    };
    let flags = Flags {
        listen: vec![([127, 0, 0, 1], 0).into()],
        origin: vec!["http://origin.example".parse().expect("an origin")],
        ..Flags::default()
    };
    let config = resolve(&flags, file).expect("the flags give what a file may lack");
    assert!((1..=20).contains(&config.retry.tries));
    for (method, path) in [(Method::GET, "/"), (Method::POST, "/patients/1/notes"), (Method::OPTIONS, "*")] {
        let policy = config.routes.resolve(&method, path);
        assert!((1..=20).contains(&policy.tries));
        assert!(!policy.deadline.is_zero() && policy.deadline <= DAY);
        assert!(policy.hedge.is_none_or(|hedge| (0.5..1.0).contains(&hedge.quantile)));
    }
    assert!((0.0..=1.0).contains(&config.retry.budget.ratio));
    assert!(!config.deadline.is_zero() && config.deadline <= DAY && config.drain <= DAY);
    assert!((8 << 10..=1 << 20).contains(&config.limits.head));
    assert!(Cache::new(&config.cache).is_empty());
}
