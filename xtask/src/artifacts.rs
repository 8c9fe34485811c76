//! The programs of this workspace that the demo, the benchmarks and the end-to-end tests run, built.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use anyhow::{Context as _, bail};
use serde::Deserialize;

use crate::steps::{cargo, timed};

/// A program of this workspace.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Program {
    /// `hosp-proxy`
    Proxy,
    /// `hosp-agent`
    Agent,
    /// `hosp-tui`
    Tui,
    /// `demo-origin`
    DemoOrigin,
    /// `demo-load`
    DemoLoad,
    /// `chaos-rig`
    ChaosRig,
}

impl Program {
    const ALL: [Self; 6] =
        [Self::Proxy, Self::Agent, Self::Tui, Self::DemoOrigin, Self::DemoLoad, Self::ChaosRig];

    /// Its name, which is also that of its process.
    pub const fn name(self) -> &'static str {
        self.names().1
    }

    /// Its package, and its name.
    const fn names(self) -> (&'static str, &'static str) {
        match self {
            Self::Proxy => ("hosp-proxy", "hosp-proxy"),
            Self::Agent => ("hosp-agent", "hosp-agent"),
            Self::Tui => ("hosp-tui", "hosp-tui"),
            Self::DemoOrigin => ("xtask", "demo-origin"),
            Self::DemoLoad => ("xtask", "demo-load"),
            Self::ChaosRig => ("xtask", "chaos-rig"),
        }
    }
}

/// Programs that were built, by name.
#[derive(Clone, Debug)]
pub struct Programs(BTreeMap<String, PathBuf>);

impl Programs {
    /// Builds all of them with optimisation, for whatever shows or measures what they can do.
    pub fn build() -> anyhow::Result<Self> {
        Self::with_profile("release")
    }

    /// Builds all of them as `cargo build` does: sooner done, for tests of what they do.
    pub fn build_for_tests() -> anyhow::Result<Self> {
        Self::with_profile("dev")
    }

    /// All, whoever needs which: a fixed selection gives each dependency the same features every time, so that no
    /// command builds again what another has built.
    fn with_profile(profile: &str) -> anyhow::Result<Self> {
        let list = Program::ALL.map(Program::name);
        timed(&format!("cargo build --profile {profile} ({})", list.join(", ")), || {
            let mut cargo = cargo()?;
            cargo.args(["build", "--profile", profile, "--message-format=json-render-diagnostics"]);
            for (package, name) in Program::ALL.map(Program::names) {
                cargo.args(["--package", package, "--bin", name]);
            }
            let output = cargo.stderr(Stdio::inherit()).output().context("cannot run cargo")?;
            if !output.status.success() {
                bail!("the build failed ({})", output.status);
            }
            let built = Self(executables(&String::from_utf8_lossy(&output.stdout)));
            match list.iter().find(|&&name| !built.0.contains_key(name)) {
                Some(missing) => bail!("cargo built no program called {missing}"),
                None => Ok(built),
            }
        })
    }

    /// Where `program` lies.
    pub fn path(&self, program: Program) -> &Path {
        &self.0[program.name()]
    }
}

/// The executables among cargo's messages (one JSON object a line), by name.
fn executables(messages: &str) -> BTreeMap<String, PathBuf> {
    #[derive(Deserialize)]
    struct Message {
        executable: Option<PathBuf>,
    }
    let paths = messages.lines().filter_map(|line| serde_json::from_str::<Message>(line).ok()?.executable);
    paths.filter_map(|path| Some((path.file_name()?.to_str()?.to_owned(), path))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn executables_are_found_among_cargos_messages() {
        let messages = r#"{"reason":"compiler-artifact","target":{"name":"x"},"executable":null}
{"reason":"compiler-artifact","executable":"/t/release/hosp-proxy","fresh":true}
{"reason":"build-finished","success":true}
not json"#;
        let found = executables(messages);
        assert_eq!(
            found.into_iter().collect::<Vec<_>>(),
            [("hosp-proxy".into(), "/t/release/hosp-proxy".into())]
        );
    }
}
