//! The toolchain that builds the BPF object: a rustc with the sources of `core`, and bpf-linker.
//!
//! The committed object is built by Debian's rustc-web, because that one comes with the sources from a
//! package mirror and stays what it is. Elsewhere rustup's nightly with `rust-src` does the same work; what
//! it builds need not be equal byte for byte.

use std::env;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, bail, ensure};

use super::{Package, apt, package};
use crate::steps::{as_root, find_program, is_root, output, step};

/// What Debian's rustc is called among rustup's toolchains.
const DEBIAN_TOOLCHAIN: &str = "hosp-bpf";
const LLVM: &str = "/usr/lib/llvm-22";
const LINKER_VERSION: &str = "0.13.0";

pub(super) const PACKAGES: &[Package] = &[
    package("rustc-web", "/usr/bin/rustc"),
    // Of the same version: without it rustup lends another toolchain's cargo, and what that passes to rustc shows
    // in the object.
    package("cargo-web", "/usr/bin/cargo"),
    package("rust-web-src", "/usr/lib/rustlib/src/rust/library/core/src/lib.rs"),
    package("llvm-22-dev", "/usr/lib/llvm-22/include/llvm-c/Core.h"),
    package("libpolly-22-dev", "/usr/lib/llvm-22/lib/libPolly.a"),
    package("libzstd-dev", "/usr/include/zstd.h"),
    package("zlib1g-dev", "/usr/include/zlib.h"),
];

/// A toolchain that builds the BPF object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Toolchain {
    /// Debian's rustc-web and LLVM.
    Debian,
    /// rustup's nightly with rust-src.
    Nightly,
}

impl Toolchain {
    /// The one that is there, Debian's first.
    pub(crate) fn find() -> Option<Self> {
        [Self::Debian, Self::Nightly].into_iter().find(|toolchain| toolchain.complete())
    }

    /// Whether nothing of it is missing.
    fn complete(self) -> bool {
        let packages = self != Self::Debian || PACKAGES.iter().all(Package::present);
        packages && linker().is_some() && self.has_core()
    }

    /// Its name for `rustup run`.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Debian => DEBIAN_TOOLCHAIN,
            Self::Nightly => "nightly",
        }
    }

    /// Whether it can build `core`.
    fn has_core(self) -> bool {
        self.sysroot().is_ok_and(|root| root.join("lib/rustlib/src/rust/library/core/src/lib.rs").exists())
    }

    /// Where it lies.
    pub(crate) fn sysroot(self) -> anyhow::Result<PathBuf> {
        output(Command::new("rustup").args(["run", self.name(), "rustc", "--print", "sysroot"]))
            .map(PathBuf::from)
    }

    /// What exactly builds the object, one tool a line.
    pub(crate) fn versions(self) -> anyhow::Result<String> {
        let rustc = output(Command::new("rustup").args(["run", self.name(), "rustc", "--version"]))?;
        let cargo = output(Command::new("rustup").args(["run", self.name(), "cargo", "--version"]))?;
        let linker = output(
            Command::new(linker().context(NO_LINKER)?).arg("--version").env("PATH", path_with_llvm()),
        )?;
        let llvm = match output(Command::new(format!("{LLVM}/bin/llvm-config")).arg("--version")) {
            Ok(version) => version,
            Err(_) => "of rustc".to_owned(),
        };
        Ok(format!("{rustc}\n{cargo}\n{linker}\nLLVM {llvm}\n"))
    }
}

const NO_LINKER: &str = "no bpf-linker: run `cargo xtask setup ebpf`";

/// bpf-linker: in `PATH`, or where `cargo install` puts it.
fn linker() -> Option<PathBuf> {
    let installed = || cargo_home().map(|home| home.join("bin/bpf-linker")).filter(|path| path.is_file());
    find_program("bpf-linker").or_else(installed)
}

/// Where cargo keeps its registry and what it installs.
pub(crate) fn cargo_home() -> Option<PathBuf> {
    let default = || env::home_dir().map(|home| home.join(".cargo"));
    env::var_os("CARGO_HOME").map(PathBuf::from).or_else(default)
}

/// `PATH` with LLVM's and cargo's programs first.
pub(crate) fn path_with_llvm() -> OsString {
    let path = env::var_os("PATH").unwrap_or_default();
    let first = [Some(PathBuf::from(LLVM).join("bin")), cargo_home().map(|home| home.join("bin"))];
    let all = first.into_iter().flatten().chain(env::split_paths(&path));
    env::join_paths(all).unwrap_or(path)
}

/// Makes sure that there is a toolchain: Debian's where it can be had, because only that one can be compared
/// with the committed object.
pub(super) fn ensure() -> anyhow::Result<()> {
    if Toolchain::Debian.complete() {
        return Ok(());
    }
    if find_program("rustup").is_none() {
        bail!(
            "no rustup: install it from https://rustup.rs; building BPF takes a toolchain beside the usual one"
        );
    }
    let mut known = debian_knows_it();
    if known && is_root() {
        return debian();
    }
    if Toolchain::Nightly.complete() {
        return Ok(());
    }
    if !known && is_root() && find_program("apt-get").is_some() {
        step("apt-get update", Command::new("apt-get").args(["update", "--quiet"]))?;
        known = debian_knows_it();
    }
    if known { debian() } else { nightly() }
}

/// Whether Debian's packages are there, or known to apt.
fn debian_knows_it() -> bool {
    let listed = || Command::new("apt-cache").args(["--names-only", "search", "^rustc-web$"]).output();
    PACKAGES.iter().all(Package::present) || listed().is_ok_and(|list| !list.stdout.is_empty())
}

fn debian() -> anyhow::Result<()> {
    let missing: Vec<&str> = PACKAGES.iter().filter(|p| !p.present()).map(|p| p.name).collect();
    if !missing.is_empty() {
        if !is_root() {
            bail!("building BPF needs {}: run `{}`", missing.join(" "), as_root("setup ebpf"),);
        }
        apt::install(&missing)?;
    }
    if !Toolchain::Debian.has_core() {
        let mut link = Command::new("rustup");
        step("rustup toolchain link", link.args(["toolchain", "link", DEBIAN_TOOLCHAIN, "/usr"]))?;
    }
    if linker().is_none() {
        let mut install = install_linker();
        // Without LLVM_PREFIX its build does not find -lLLVM.
        install.env("LLVM_PREFIX", LLVM).env("PATH", path_with_llvm());
        step("cargo install bpf-linker", install.args(["--no-default-features", "--features", "llvm-22"]))?;
    }
    Ok(())
}

fn nightly() -> anyhow::Result<()> {
    let mut install = Command::new("rustup");
    step(
        "rustup: nightly with rust-src",
        install.args(["toolchain", "install", "nightly", "--profile", "minimal", "--component", "rust-src"]),
    )?;
    if linker().is_none() {
        step("cargo install bpf-linker", &mut install_linker())?;
    }
    ensure!(find_program("llvm-strip").is_some(), "no llvm-strip: install LLVM's tools");
    Ok(())
}

fn install_linker() -> Command {
    let mut cargo = Command::new("cargo");
    // Outside the workspace, so that its lock file and settings stay out of it.
    cargo.current_dir(Path::new("/")).args([
        "install",
        "bpf-linker",
        "--version",
        LINKER_VERSION,
        "--locked",
    ]);
    cargo
}
