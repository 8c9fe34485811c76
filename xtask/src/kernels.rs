//! `cargo xtask test --kernels`: the agent on another kernel than this host's.
//!
//! Debian's cloud kernel boots in qemu with nginx, a load generator and the real agent in its initial RAM disk;
//! what the agent counted there must equal nginx's access log, request for request.

mod initramfs;

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail, ensure};

use xtask::prom::Scrape;

use crate::artifacts::{Program, Programs};
use crate::setup::{self, Group};
use crate::steps::{find_program, output, target_dir, timed};

/// The package that depends on Debian's newest kernel for virtual machines: 6.1, the oldest that hosp supports.
const KERNEL: &str = "linux-image-cloud-amd64";

/// How long a guest may take. Without hardware virtualisation it takes about 30 s.
const PATIENCE: Duration = Duration::from_secs(300);

/// Requests by method and status.
type Counts = BTreeMap<(String, u16), u64>;

/// Runs the guest and compares its books.
pub(crate) fn run() -> anyhow::Result<()> {
    setup::ensure(&[Group::Test, Group::Kernels])?;
    let programs = Programs::build()?;
    let dir = target_dir()?.join("kernels");
    fs::create_dir_all(&dir).with_context(|| format!("cannot create {}", dir.display()))?;
    let kernel = timed("fetching Debian's kernel", || kernel(&dir))?;
    let initrd = timed("packing the guest", || initramfs::pack(&dir, programs.path(Program::Agent)))?;
    let console = timed("booting the guest", || boot(&dir, &kernel, &initrd))?;
    let release = judge(&console).with_context(|| format!("the guest's console:\n{console}"))?;
    println!("kernels: hosp-agent loads, attaches and counts right on {release}");
    println!("1 passed, 0 failed");
    Ok(())
}

/// Debian's newest kernel, downloaded once.
fn kernel(dir: &Path) -> anyhow::Result<PathBuf> {
    let depends = output(Command::new("apt-cache").args(["depends", KERNEL]))?;
    let package = depends
        .lines()
        .find_map(|line| line.trim().strip_prefix("Depends: "))
        .with_context(|| format!("{KERNEL} depends on no kernel; run apt-get update"))?;
    let unpacked = dir.join(package);
    if vmlinuz(&unpacked).is_none() {
        // Where apt's own user may write, too.
        let download = tempdir(dir, "download")?;
        output(Command::new("apt-get").args(["download", package]).current_dir(&download))?;
        let deb = fs::read_dir(&download)?.flatten().map(|entry| entry.path()).next();
        let deb = deb.with_context(|| format!("apt-get downloaded nothing for {package}"))?;
        output(Command::new("dpkg").arg("-x").arg(&deb).arg(&unpacked))?;
        fs::remove_dir_all(&download)?;
    }
    vmlinuz(&unpacked).with_context(|| format!("{package} holds no kernel image"))
}

fn vmlinuz(unpacked: &Path) -> Option<PathBuf> {
    let files = fs::read_dir(unpacked.join("boot")).ok()?;
    files.flatten().map(|file| file.path()).find(|path| path.to_string_lossy().contains("/vmlinuz-"))
}

/// An empty directory of that name.
fn tempdir(dir: &Path, name: &str) -> anyhow::Result<PathBuf> {
    let path = dir.join(name);
    if path.exists() {
        fs::remove_dir_all(&path)?;
    }
    fs::create_dir_all(&path)?;
    Ok(path)
}

/// Boots the guest, waits until it has powered itself off, and returns what it said.
fn boot(dir: &Path, kernel: &Path, initrd: &Path) -> anyhow::Result<String> {
    let log = dir.join("console.log");
    let qemu = find_program("qemu-system-x86_64").context("qemu-system-x86_64 is not in PATH")?;
    let mut guest = Command::new(qemu)
        .args(["-accel", "tcg", "-m", "1024", "-smp", "2", "-nographic", "-no-reboot"])
        .args(["-append", "console=ttyS0 panic=-1 quiet", "-kernel"])
        .arg(kernel)
        .arg("-initrd")
        .arg(initrd)
        .stdin(Stdio::null())
        .stdout(File::create(&log)?)
        .spawn()
        .context("cannot run qemu-system-x86_64")?;
    let start = Instant::now();
    while guest.try_wait()?.is_none() {
        if start.elapsed() > PATIENCE {
            guest.kill()?;
            guest.wait()?;
            let console = fs::read_to_string(&log).unwrap_or_default();
            bail!("the guest did not finish within {} s; its console:\n{console}", PATIENCE.as_secs());
        }
        std::thread::sleep(Duration::from_millis(200));
    }
    Ok(String::from_utf8_lossy(&fs::read(&log)?).replace('\r', ""))
}

/// Compares what the guest printed; the release of its kernel when all is right.
fn judge(console: &str) -> anyhow::Result<String> {
    let section = |name: &str| {
        let begin = format!("--- {name}\n");
        let from = console.find(&begin).with_context(|| format!("it printed no {name}"))? + begin.len();
        let rest = &console[from..];
        anyhow::Ok(&rest[..rest.find("--- ").unwrap_or(rest.len())])
    };
    let release = section("kernel")?.trim().to_owned();
    let truth = access_log(section("nginx")?)?;
    let metrics = Scrape::parse(section("metrics")?)?;
    ensure!(!truth.is_empty(), "nginx served nothing");
    for leg in ["server", "client"] {
        let seen = requests(&metrics, leg)?;
        ensure!(seen == truth, "{leg} leg: the agent counted {seen:?}, nginx {truth:?}");
    }
    for sample in metrics.select("hosp_agent_requests_lost_total", &[]) {
        ensure!(sample.value == 0.0, "requests were lost: {sample:?}");
    }
    Ok(release)
}

/// Lines of `METHOD status` as `sort | uniq -c` counts them.
fn access_log(text: &str) -> anyhow::Result<Counts> {
    let mut counts = Counts::new();
    for line in text.lines().filter(|line| !line.trim().is_empty()) {
        let fields: Vec<&str> = line.split_whitespace().collect();
        let [n, method, status] = fields[..] else { bail!("not a count: {line:?}") };
        counts.insert((method.to_owned(), status.parse()?), n.parse()?);
    }
    Ok(counts)
}

/// `hosp_agent_requests_total` of one leg, at nginx's port: whoever asks the agent for its metrics is seen asking.
fn requests(metrics: &Scrape, leg: &str) -> anyhow::Result<Counts> {
    let mut counts = Counts::new();
    for sample in metrics.select("hosp_agent_requests_total", &[("leg", leg), ("server_port", "8080")]) {
        let label = |name: &str| sample.labels.get(name).with_context(|| format!("no {name} in {sample:?}"));
        let key = (label("http_request_method")?.clone(), label("http_response_status_code")?.parse()?);
        *counts.entry(key).or_default() += sample.value as u64;
    }
    Ok(counts)
}

#[cfg(test)]
mod tests {
    use super::*;

    const CONSOLE: &str = "SeaBIOS\n--- kernel\n6.1.0\n--- nginx\n     10 GET 200\n--- metrics\n\
        hosp_agent_requests_total{leg=\"server\",server_port=\"8080\",http_request_method=\"GET\",http_response_status_code=\"200\"} 10\n\
        hosp_agent_requests_total{leg=\"client\",server_port=\"8080\",http_request_method=\"GET\",http_response_status_code=\"200\"} 10\n\
        hosp_agent_requests_total{leg=\"client\",server_port=\"9464\",http_request_method=\"GET\",http_response_status_code=\"200\"} 3\n\
        hosp_agent_requests_lost_total{stage=\"ring\"} 0\n--- end\n";

    #[test]
    fn equal_books_pass() {
        assert_eq!(judge(CONSOLE).unwrap(), "6.1.0");
    }

    #[test]
    fn one_request_too_few_or_lost_fails() {
        assert!(judge(&CONSOLE.replace("     10 GET", "     11 GET")).is_err());
        assert!(judge(&CONSOLE.replace("\"ring\"} 0", "\"ring\"} 1")).is_err());
        assert!(judge("--- kernel\npanic").is_err());
    }
}
