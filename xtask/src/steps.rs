//! Long steps, announced and timed; and the few facts about where we run.

use std::env;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

use anyhow::{Context as _, ensure};

/// Runs a command as a step of its own: its name first, its output as it comes, its time at the end.
pub fn step(what: &str, command: &mut Command) -> anyhow::Result<()> {
    timed(what, || {
        let status = command.status().with_context(|| cannot_run(command))?;
        ensure!(status.success(), "{what} failed ({status}): {command:?}");
        Ok(())
    })
}

/// Announces and times a step.
pub fn timed<T>(what: &str, work: impl FnOnce() -> anyhow::Result<T>) -> anyhow::Result<T> {
    eprintln!("==> {what}");
    let start = Instant::now();
    let done = work()?;
    eprintln!("    {what}: {:.1} s", start.elapsed().as_secs_f64());
    Ok(done)
}

/// What a command prints, without the white space at its end.
pub fn output(command: &mut Command) -> anyhow::Result<String> {
    let output = command.output().with_context(|| cannot_run(command))?;
    let errors = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "{command:?} failed ({}): {}", output.status, errors.trim_end());
    Ok(String::from_utf8_lossy(&output.stdout).trim_end().to_owned())
}

fn cannot_run(command: &Command) -> String {
    format!("cannot run {}", command.get_program().display())
}

/// The cargo that runs us, in the workspace's folder.
pub fn cargo() -> anyhow::Result<Command> {
    let mut cargo = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo.current_dir(workspace()?);
    Ok(cargo)
}

/// The workspace's folder.
pub fn workspace() -> anyhow::Result<PathBuf> {
    let manifest = env::var_os("CARGO_MANIFEST_DIR").context("run this as `cargo xtask`")?;
    Ok(Path::new(&manifest).parent().context("xtask lies within the workspace")?.to_path_buf())
}

/// Where cargo puts what it builds.
pub fn target_dir() -> anyhow::Result<PathBuf> {
    Ok(match env::var_os("CARGO_TARGET_DIR") {
        Some(dir) => env::current_dir()?.join(dir),
        None => workspace()?.join("target"),
    })
}

/// Whether we may do what only root may.
pub fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

/// How to run the same command as root with this user's toolchain.
pub fn as_root(command: &str) -> String {
    format!("sudo env \"PATH=$PATH\" \"HOME=$HOME\" cargo xtask {command}")
}

/// Where a program lies: in `PATH`, or where Debian keeps what only root uses to run.
pub fn find_program(name: &str) -> Option<PathBuf> {
    let path = env::var_os("PATH").unwrap_or_default();
    let system = ["/usr/local/sbin", "/usr/sbin", "/sbin"].map(PathBuf::from);
    env::split_paths(&path).chain(system).map(|dir| dir.join(name)).find(|file| file.is_file())
}
