//! `cargo xtask setup`: installs what the other commands need, and does nothing where it is all there.

mod apt;
pub(crate) mod bpf;

use std::path::Path;

use anyhow::bail;
use clap::ValueEnum;

use crate::steps::{as_root, find_program, is_root};

/// Flags of `cargo xtask setup`.
#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    /// What to prepare for; everything when left out
    groups: Vec<Group>,
}

/// What tools are needed for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Group {
    /// End-to-end tests and benchmarks: real servers, load generators, Prometheus, a terminal
    Test,
    /// Booting other kernels
    Kernels,
    /// Building the BPF object
    Ebpf,
}

/// A Debian package, and what shows that it is there: a program, or an absolute path.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Package {
    name: &'static str,
    proof: &'static str,
}

const fn package(name: &'static str, proof: &'static str) -> Package {
    Package { name, proof }
}

const TEST: &[Package] = &[
    package("nginx", "nginx"),
    package("haproxy", "haproxy"),
    package("varnish", "varnishd"),
    package("prometheus", "promtool"),
    package("wrk", "wrk"),
    package("nghttp2-client", "h2load"),
    package("apache2-utils", "ab"),
    package("tmux", "tmux"),
    package("curl", "curl"),
    package("bpftool", "bpftool"),
    package("nftables", "nft"),
    package("iproute2", "ip"),
];

const KERNELS: &[Package] = &[
    package("qemu-system-x86", "qemu-system-x86_64"),
    package("busybox-static", "busybox"),
    package("cpio", "cpio"),
];

impl Group {
    const fn packages(self) -> &'static [Package] {
        match self {
            Self::Test => TEST,
            Self::Kernels => KERNELS,
            Self::Ebpf => bpf::PACKAGES,
        }
    }
}

impl Package {
    fn present(&self) -> bool {
        if self.proof.starts_with('/') {
            Path::new(self.proof).exists()
        } else {
            find_program(self.proof).is_some()
        }
    }
}

/// Runs `cargo xtask setup`.
pub(crate) fn run(options: &Options) -> anyhow::Result<()> {
    let groups = if options.groups.is_empty() { Group::value_variants() } else { &options.groups };
    ensure(groups)?;
    eprintln!("setup: all that {} need is there", names(groups));
    Ok(())
}

/// Makes sure that everything that `groups` need is there.
pub(crate) fn ensure(groups: &[Group]) -> anyhow::Result<()> {
    let plain = groups.iter().filter(|&&group| group != Group::Ebpf);
    let missing: Vec<Package> =
        plain.flat_map(|group| group.packages()).filter(|p| !p.present()).copied().collect();
    if !missing.is_empty() {
        install(&missing, groups)?;
    }
    if groups.contains(&Group::Ebpf) {
        bpf::ensure()?;
    }
    Ok(())
}

fn install(missing: &[Package], groups: &[Group]) -> anyhow::Result<()> {
    let list: Vec<&str> = missing.iter().map(|package| package.name).collect();
    if find_program("apt-get").is_none() {
        let proofs: Vec<&str> = missing.iter().map(|package| package.proof).collect();
        bail!("missing here: {}. This is no Debian: install them by hand", proofs.join(", "));
    }
    if !is_root() {
        bail!(
            "missing here: {0}. Installing takes root:\n    sudo apt-get install --no-install-recommends {0}\nor\n    {1}",
            list.join(" "),
            as_root(&format!("setup {}", names(groups))),
        );
    }
    apt::install(&list)
}

fn names(groups: &[Group]) -> String {
    let name = |group: &Group| group.to_possible_value().map(|value| value.get_name().to_owned());
    groups.iter().filter_map(name).collect::<Vec<_>>().join(" ")
}
