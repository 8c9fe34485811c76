//! `hosp-agent doctor`: everything that observing needs, checked at once, with the remedy for what is missing.

mod host;
mod services;

use std::io::{self, Write};

use serde::Serialize;

use crate::config::Settings;

/// The result of all checks.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// Version of hosp-agent.
    pub version: &'static str,
    /// Whether observing will work: no check failed.
    pub ok: bool,
    /// Every check, in a fixed order.
    pub checks: Vec<Check>,
}

/// The result of one check.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Check {
    /// Its name; stable.
    pub check: &'static str,
    /// How it ended.
    pub status: Status,
    /// What was found.
    pub detail: String,
    /// What to do about it, if there is anything to do.
    pub fix: Option<String>,
}

/// How a check ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Status {
    /// As it should be.
    Ok,
    /// Observing works, but something will be missing or slow.
    Warn,
    /// Observing does not work.
    Fail,
}

impl Check {
    fn new(check: &'static str, status: Status, detail: impl Into<String>, fix: Option<String>) -> Self {
        Self { check, status, detail: detail.into(), fix }
    }

    fn ok(check: &'static str, detail: impl Into<String>) -> Self {
        Self::new(check, Status::Ok, detail, None)
    }

    fn warn(check: &'static str, detail: impl Into<String>, fix: impl Into<String>) -> Self {
        Self::new(check, Status::Warn, detail, Some(fix.into()))
    }

    fn fail(check: &'static str, detail: impl Into<String>, fix: impl Into<String>) -> Self {
        Self::new(check, Status::Fail, detail, Some(fix.into()))
    }
}

/// Runs every check against what would be observed with `settings`. Changes nothing on the host.
pub fn examine(settings: &Settings) -> Report {
    let checks = vec![
        host::kernel(),
        host::privileges(),
        host::cgroup(settings),
        host::programs(settings),
        host::lockdown(),
        host::jit(),
        host::processes(),
        services::free("metrics", "--metrics-listen", &settings.metrics),
        services::free("feed", "--feed", &settings.feed),
        services::proxy(&settings.proxy),
    ];
    let ok = checks.iter().all(|check| check.status != Status::Fail);
    Report { version: env!("CARGO_PKG_VERSION"), ok, checks }
}

impl Report {
    /// Whether observing will work.
    pub fn healthy(&self) -> bool {
        self.ok
    }

    /// Writes the report: one line for each check and each remedy, or one JSON object.
    pub fn print(&self, json: bool, out: &mut impl Write) -> io::Result<()> {
        if json {
            serde_json::to_writer_pretty(&mut *out, self)?;
            return writeln!(out);
        }
        for Check { check, status, detail, fix } in &self.checks {
            let mark = match status {
                Status::Ok => "ok  ",
                Status::Warn => "warn",
                Status::Fail => "FAIL",
            };
            writeln!(out, "{mark}  {check:<11} {detail}")?;
            if let Some(fix) = fix {
                writeln!(out, "{:17} fix: {fix}", "")?;
            }
        }
        let verdict = match self.ok {
            true => "hosp-agent can observe this host.",
            false => "hosp-agent cannot observe this host before every FAIL is fixed.",
        };
        writeln!(out, "{verdict}")
    }
}

#[cfg(test)]
mod tests;
