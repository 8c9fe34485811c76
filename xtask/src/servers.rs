//! The servers under measurement: their configuration, start and readiness.

use std::fs;
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, bail};
use xtask::cgroup::Cgroup;
use xtask::child::{Launch, Running};
use xtask::poll;

use crate::steps::find_program;

/// How long a server may take from its start to its first connection.
const READY: Duration = Duration::from_secs(20);

/// A kibibyte, the body of every answer.
pub(crate) fn body() -> String {
    "0123456789abcdef".repeat(64)
}

/// Writes a configuration with its `@PLACES@` filled in.
pub(crate) fn configure(
    dir: &Path,
    name: &str,
    template: &str,
    places: &[(&str, String)],
) -> anyhow::Result<PathBuf> {
    let dir_place = ("DIR", dir.display().to_string());
    let mut text = template.to_owned();
    for (place, value) in places.iter().chain([&dir_place]) {
        text = text.replace(&format!("@{place}@"), value);
    }
    let path = dir.join(name);
    fs::write(&path, text).with_context(|| format!("cannot write {}", path.display()))?;
    Ok(path)
}

/// What to start.
pub(crate) struct Server<'a> {
    pub(crate) name: &'a str,
    pub(crate) program: PathBuf,
    pub(crate) args: Vec<String>,
    pub(crate) listen: SocketAddr,
    pub(crate) core: Option<usize>,
    pub(crate) cgroup: Option<&'a Cgroup>,
}

impl Server<'_> {
    /// Starts it and waits until it accepts connections.
    pub(crate) fn start(self, dir: &Path) -> anyhow::Result<Running> {
        let log = dir.join(format!("{}.log", self.name));
        let mut launch = Launch::new(self.name, self.program).args(&self.args).log(&log).cgroup(self.cgroup);
        if let Some(core) = self.core {
            launch = launch.core(core);
        }
        let mut running = launch.spawn()?;
        let ready = poll::until(&format!("{} accepts connections", self.name), READY, || {
            if running.ended().is_some() {
                return Some(false);
            }
            TcpStream::connect(self.listen).is_ok().then_some(true)
        });
        match ready {
            Ok(true) => Ok(running),
            Ok(false) => bail!("{} ended at once:\n{}", running.name(), running.log_tail(10)),
            Err(late) => bail!("{late}:\n{}", running.log_tail(10)),
        }
    }
}

/// nginx with this configuration.
pub(crate) fn nginx(config: &Path) -> anyhow::Result<(PathBuf, Vec<String>)> {
    let program = find_program("nginx").context("no nginx")?;
    // Before its configuration is read, nginx writes to the log of its build; `-e` turns that away, too.
    Ok((program, vec!["-e".into(), "stderr".into(), "-c".into(), config.display().to_string()]))
}

/// HAProxy with this configuration, in the foreground.
pub(crate) fn haproxy(config: &Path) -> anyhow::Result<(PathBuf, Vec<String>)> {
    let program = find_program("haproxy").context("no haproxy")?;
    Ok((program, vec!["-db".into(), "-f".into(), config.display().to_string()]))
}
