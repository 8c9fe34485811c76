//! Fills in the configurations: places by name, and times of the real system, scaled.

use std::collections::BTreeMap;

use anyhow::{Context as _, ensure};
use xtask::chaos_rig::scenario::Scenario;

/// What stands for what in a template.
#[derive(Clone, Debug)]
pub(super) struct Places<'a> {
    scenario: &'a Scenario,
    values: BTreeMap<&'static str, String>,
}

impl<'a> Places<'a> {
    /// `@DEADLINE@`, and times such as `@22s@`, in the scenario's scale.
    pub(super) fn new(scenario: &'a Scenario) -> Self {
        let values = [("DEADLINE", time(scenario, scenario.deadline))];
        Self { scenario, values: values.into() }
    }

    /// Adds the place `@name@`.
    #[must_use]
    pub(super) fn with(mut self, name: &'static str, value: String) -> Self {
        self.values.insert(name, value);
        self
    }

    /// `template` with all of its places filled in.
    pub(super) fn fill(&self, template: &str) -> anyhow::Result<String> {
        let parts: Vec<&str> = template.split('@').collect();
        ensure!(parts.len() % 2 == 1, "an at sign without its partner");
        let fill = |(n, part): (usize, &&str)| {
            if n % 2 == 0 { Ok((*part).to_owned()) } else { self.value(part) }
        };
        parts.iter().enumerate().map(fill).collect()
    }

    fn value(&self, place: &str) -> anyhow::Result<String> {
        if let Some(value) = self.values.get(place) {
            return Ok(value.clone());
        }
        let real = humantime::parse_duration(place)
            .with_context(|| format!("@{place}@ is neither a known place nor a time"))?;
        Ok(time(self.scenario, real.as_secs_f64()))
    }
}

/// `seconds` of the real system in the run, in whole milliseconds: a form that all servers read.
pub(super) fn time(scenario: &Scenario, seconds: f64) -> String {
    format!("{}ms", scenario.scaled(seconds).as_millis().max(1))
}

#[cfg(test)]
mod tests {
    use xtask::chaos_rig::catalogue;

    use super::*;

    fn fill(template: &str) -> anyhow::Result<String> {
        let scenario = catalogue::find("errors-30").unwrap();
        Places::new(scenario).with("LISTEN", "127.0.0.1:1".into()).fill(template)
    }

    #[test]
    fn places_and_scaled_times_are_filled_in() {
        let filled = fill("on @LISTEN@ within @DEADLINE@, each @22s@, back-off @100ms@, @1ms@").unwrap();
        assert_eq!(filled, "on 127.0.0.1:1 within 1500ms, each 1100ms, back-off 5ms, 1ms");
    }

    #[test]
    fn what_is_unknown_is_refused() {
        for (template, part) in [("@LISTN@", "@LISTN@"), ("a@b", "partner")] {
            let error = fill(template).unwrap_err().to_string();
            assert!(error.contains(part), "{error}");
        }
    }
}
