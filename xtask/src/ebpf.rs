//! `cargo xtask ebpf`: rebuilds the committed BPF object; `--check` only compares.
//!
//! The object is committed so that a plain `cargo build` on stable needs no BPF toolchain. That is only
//! honest while anybody can see that it is what its sources build: the build is reproducible (paths remapped,
//! toolchain recorded beside the object), and continuous integration runs `--check`.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, bail, ensure};

use crate::setup::bpf::{Toolchain, cargo_home, path_with_llvm};
use crate::setup::{self, Group};
use crate::steps::{step, target_dir, workspace};

const PACKAGE: &str = "hosp-agent-ebpf";
const TARGET: &str = "bpfel-unknown-none";
const PREBUILT: &str = "agent-ebpf/prebuilt";
/// The object's name in [`PREBUILT`].
const OBJECT: &str = "hosp-agent-ebpf.o";
/// The file beside it that says what built it.
const RECORD: &str = "TOOLCHAIN";

/// Flags of `cargo xtask ebpf`.
#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    /// Compare with the committed object instead of replacing it
    #[arg(long)]
    check: bool,
}

impl Options {
    /// `--check`.
    pub(crate) const fn check() -> Self {
        Self { check: true }
    }
}

/// Runs `cargo xtask ebpf`.
pub(crate) fn run(options: &Options) -> anyhow::Result<()> {
    setup::ensure(&[Group::Ebpf])?;
    let toolchain = Toolchain::find().context("setup found no BPF toolchain after installing one")?;
    let versions = toolchain.versions()?;
    let built = build(toolchain)?;
    let prebuilt = workspace()?.join(PREBUILT);
    if options.check { check(&built, &versions, &prebuilt) } else { replace(&built, &versions, &prebuilt) }
}

/// Builds the object and returns it.
fn build(toolchain: Toolchain) -> anyhow::Result<Vec<u8>> {
    let target_dir = target_dir()?.join("bpf");
    let mut cargo = Command::new("rustup");
    cargo
        .current_dir(workspace()?)
        .args(["run", toolchain.name(), "cargo", "build", "--release", "--locked"])
        .args(["--package", PACKAGE, "--features", "kernel", "--bin", PACKAGE])
        .args(["-Z", "build-std=core", "--target", TARGET])
        // One unit of code generation and no link-time optimisation by rustc: bpf-linker does that work, and
        // the order in which parallel units finish must not show in the object.
        .args(["--config", "profile.release.codegen-units=1", "--config", "profile.release.lto=\"off\""])
        .arg("--target-dir")
        .arg(&target_dir)
        .env("PATH", path_with_llvm())
        .env("RUSTC_BOOTSTRAP", "1")
        .env("CARGO_ENCODED_RUSTFLAGS", flags(toolchain)?.join("\u{1f}"));
    // Set by the cargo that runs us for its own toolchain.
    for variable in
        ["CARGO", "RUSTC", "RUSTUP_TOOLCHAIN", "CARGO_BUILD_TARGET", "RUSTFLAGS", "CARGO_TARGET_DIR"]
    {
        cargo.env_remove(variable);
    }
    step("building the BPF object", &mut cargo)?;
    let path = target_dir.join(TARGET).join("release").join(PACKAGE);
    let stripped = path.with_extension("o");
    // The loader reads the BTF; the DWARF from which it was made is four times as large as all the rest.
    let mut strip = Command::new("llvm-strip");
    strip.env("PATH", path_with_llvm()).arg("--strip-debug").arg("-o").arg(&stripped).arg(&path);
    step("stripping it", &mut strip)?;
    fs::read(&stripped).with_context(|| format!("cannot read {}", stripped.display()))
}

/// Flags of rustc: debug information (from which bpf-linker makes the BTF), and no path of this machine.
fn flags(toolchain: Toolchain) -> anyhow::Result<Vec<String>> {
    let sysroot = toolchain.sysroot()?;
    let mut flags = vec![
        "--cfg=bpf_target_arch=\"x86_64\"".to_owned(),
        "-Cdebuginfo=2".to_owned(),
        // Atomic exchange and 32-bit jumps; every kernel since 5.12 knows them.
        "-Ctarget-cpu=v3".to_owned(),
        "-Clink-arg=--btf".to_owned(),
        remap(&workspace()?, "/hosp"),
        remap(&sysroot.join("lib/rustlib/src/rust"), "/rust"),
    ];
    flags.extend(cargo_home().map(|home| remap(&home, "/cargo")));
    Ok(flags)
}

fn remap(path: &Path, to: &str) -> String {
    format!("--remap-path-prefix={}={to}", path.display())
}

fn replace(built: &[u8], versions: &str, prebuilt: &Path) -> anyhow::Result<()> {
    let write = |name: &str, content: &[u8]| {
        let path = prebuilt.join(name);
        fs::write(&path, content).with_context(|| format!("cannot write {}", path.display()))
    };
    write(OBJECT, built)?;
    write(RECORD, versions.as_bytes())?;
    eprintln!("ebpf: {PREBUILT}/{OBJECT}, {} bytes; commit it together with {RECORD}", built.len());
    Ok(())
}

fn check(built: &[u8], versions: &str, prebuilt: &Path) -> anyhow::Result<()> {
    let read = |name: &str| {
        let path: PathBuf = prebuilt.join(name);
        fs::read(&path)
            .with_context(|| format!("cannot read {}: run `cargo xtask ebpf` and commit it", path.display()))
    };
    let recorded = String::from_utf8_lossy(&read(RECORD)?).into_owned();
    ensure!(
        recorded == versions,
        "the object was built, but cannot be compared: the committed one was made by\n{recorded}and this machine has\n\
         {versions}Check on a machine with the recorded versions, or rebuild with `cargo xtask ebpf` and commit."
    );
    if read(OBJECT)? != built {
        bail!(
            "{PREBUILT}/{OBJECT} is not what its sources build. Run `cargo xtask ebpf`, test, and commit the object \
             together with the sources."
        );
    }
    eprintln!("ebpf: {PREBUILT}/{OBJECT} is what its sources build ({} bytes)", built.len());
    Ok(())
}
