//! `hosp-agent doctor`: everything that observing needs, checked at once, with the remedy for what is missing.

mod host;
mod services;

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
    let mut checks = vec![
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
    checks.extend(settings.request_log.as_deref().map(services::request_log));
    let ok = checks.iter().all(|check| check.status != Status::Fail);
    Report { version: env!("CARGO_PKG_VERSION"), ok, checks }
}

impl Report {
    /// Whether observing will work.
    pub fn healthy(&self) -> bool {
        self.ok
    }

    /// The report as people and scripts read it: one line for each check and each remedy, or one JSON object.
    pub fn text(&self, json: bool) -> String {
        if json {
            let object = serde_json::to_string_pretty(self).expect("the report has string keys only");
            return object + "\n";
        }
        let mut text = String::new();
        for Check { check, status, detail, fix } in &self.checks {
            let mark = match status {
                Status::Ok => "ok  ",
                Status::Warn => "warn",
                Status::Fail => "FAIL",
            };
            text += &format!("{mark}  {check:<11} {detail}\n");
            if let Some(fix) = fix {
                text += &format!("{:17} fix: {fix}\n", "");
            }
        }
        text + match self.ok {
            true => "hosp-agent can observe this host.\n",
            false => "hosp-agent cannot observe this host before every FAIL is fixed.\n",
        }
    }
}

#[cfg(test)]
mod tests;
