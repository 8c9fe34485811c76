//! Tells people how a given request would be treated, and by which setting: `check --explain "POST /patients/1/notes"`.

use std::fmt::{self, Display, Write as _};
use std::str::FromStr;

use http::{Method, Uri};
use humantime::format_duration;

use super::{Overrides, Priority, RepeatRule, Routes, Rule};

/// The request that is asked about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Question {
    /// Its method.
    pub method: Method,
    /// Its path, without query.
    pub path: String,
}

/// Why a text names no request.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no method and path: write for example \"POST /patients/1/notes\"")]
pub struct QuestionError(String);

impl FromStr for Question {
    type Err = QuestionError;

    fn from_str(text: &str) -> Result<Self, QuestionError> {
        let error = || QuestionError(text.to_owned());
        let (method, target) = text.trim().split_once(' ').ok_or_else(error)?;
        let method = Method::from_bytes(method.as_bytes()).map_err(|_| error())?;
        let target = target.trim_start();
        let uri: Uri = target.parse().map_err(|_| error())?;
        if !target.starts_with('/') {
            return Err(error());
        }
        Ok(Self { method, path: uri.path().to_owned() })
    }
}

/// Where a value comes from.
#[derive(Clone, Copy)]
enum Source {
    Route,
    General,
    Request,
}

impl Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Route => "the route",
            Self::General => "general settings",
            Self::Request => "the kind of request",
        })
    }
}

/// The policy of the request that is asked about, a line per value with where it comes from.
pub fn explain(routes: &Routes, Question { method, path }: &Question) -> String {
    let policy = routes.resolve(method, path);
    let found = routes.find(method, path).map(|(rule, _)| rule);
    let nothing = Overrides::default();
    let given = found.map_or(&nothing, |rule| &rule.given);
    let by = |given: bool| if given { Source::Route } else { Source::General };

    let mut text = format!("{method} {path}\n  route        {}\n", route(routes, found));
    let mut line = |name: &str, value: String, source: Source| {
        writeln!(text, "  {name:<12} {value}  [{source}]").expect("a String takes everything");
    };
    line("tries", policy.tries.to_string(), by(given.tries.is_some()));
    line("deadline", format_duration(policy.deadline).to_string(), by(given.deadline.is_some()));
    let try_timeout =
        policy.try_timeout.map_or_else(|| "none".to_owned(), |t| format_duration(t).to_string());
    line("try_timeout", try_timeout, by(given.try_timeout.is_some()));
    let (hedge, source) = match policy.hedge {
        Some(_) if !method.is_safe() => (format!("off: {method} is no safe method"), Source::Request),
        Some(hedge) => {
            let percent = hedge.quantile * 100.0;
            (format!("p{percent}, not before {}", format_duration(hedge.floor)), by(given.hedge.is_some()))
        }
        None => ("off".to_owned(), by(given.hedge.is_some())),
    };
    line("hedge", hedge, source);
    line("replay", format!("{} bytes", policy.replay), by(given.replay.is_some()));
    let source = match (given.priority, Priority::of(method, path)) {
        (None, Some(_)) => Source::Request,
        (given, _) => by(given.is_some()),
    };
    line("priority", policy.priority.name().to_owned(), source);
    line("repeat", repeat(policy.repeat, method), by(given.repeat.is_some()));
    text
}

fn route(routes: &Routes, found: Option<&Rule>) -> String {
    let Some(rule) = found else { return "none: the general settings hold".to_owned() };
    let at = routes.rules().position(|r| std::ptr::eq(r, rule)).map_or(0, |at| at + 1);
    let methods: Vec<&str> = rule.methods.iter().map(Method::as_str).collect();
    let methods = if methods.is_empty() { "all methods".to_owned() } else { methods.join(", ") };
    format!("{} for {methods}, number {at} of {}", rule.pattern.text(), routes.rules().len())
}

fn repeat(rule: RepeatRule, method: &Method) -> String {
    let meaning = match rule {
        RepeatRule::Idempotent if method.is_idempotent() => "sent again after any failure",
        RepeatRule::Idempotent => "sent again only if no byte was delivered, or with an Idempotency-Key",
        RepeatRule::Always => "sent again after any failure, whatever the origin did",
        RepeatRule::Never => "sent again only if no byte was delivered",
    };
    format!("{}: {meaning}", rule.name())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::file;
    use crate::config::resolve::resolve;

    const FILE: &str = "
        listen = ['127.0.0.1:1']
        origins = ['http://a']
        [retry]
        tries = 4
        [[routes]]
        match = '/patients/{id}/notes'
        methods = ['POST', 'PUT']
        tries = 1
        deadline = '1m 30s'
        replay = '1MiB'
        [[routes]]
        match = '/reports/*'
        priority = 'bulk'
        hedge = 'off'
        repeat = 'never'
        try_timeout = '10s'
    ";

    fn explained(question: &str) -> String {
        let file = file::parse(FILE, std::path::Path::new("p.toml")).unwrap();
        let config = resolve(&crate::cli::Flags::default(), file).unwrap();
        explain(&config.routes, &question.parse().unwrap())
    }

    #[test]
    fn a_write_under_a_route() {
        let expect = "\
POST /patients/1/notes
  route        /patients/{id}/notes for POST, PUT, number 1 of 2
  tries        1  [the route]
  deadline     1m 30s  [the route]
  try_timeout  none  [general settings]
  hedge        off: POST is no safe method  [the kind of request]
  replay       1048576 bytes  [the route]
  priority     write  [the kind of request]
  repeat       idempotent: sent again only if no byte was delivered, or with an Idempotency-Key  [general settings]
";
        assert_eq!(explained("POST /patients/1/notes?draft=1"), expect);
    }

    #[test]
    fn a_read_that_the_operator_wants_less_of() {
        let text = explained("GET /reports/2026/11");
        let has = |line: &str| assert!(text.lines().any(|l| l == line), "{line} is not in\n{text}");
        has("  route        /reports/* for all methods, number 2 of 2");
        has("  tries        4  [general settings]");
        has("  try_timeout  10s  [the route]");
        has("  hedge        off  [the route]");
        has("  priority     bulk  [the route]");
        has("  repeat       never: sent again only if no byte was delivered  [the route]");
    }

    #[test]
    fn a_request_that_no_route_is_for() {
        let text = explained("GET /");
        let has = |line: &str| assert!(text.lines().any(|l| l == line), "{line} is not in\n{text}");
        has("  route        none: the general settings hold");
        has("  hedge        p95, not before 100ms  [general settings]");
        has("  priority     normal  [general settings]");
        has("  repeat       idempotent: sent again after any failure  [general settings]");
    }

    #[test]
    fn what_is_no_request_is_refused() {
        for text in ["", "GET", "/patients", "GET patients", "G@T /", "GET http://a/"] {
            assert_eq!(text.parse::<Question>(), Err(QuestionError(text.to_owned())), "{text}");
        }
    }
}
