//! The guest's initial RAM disk: a few programs of this host with their libraries, and a script.

use std::fs::{self, File};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context as _, ensure};

use crate::steps::{find_program, output};

const INIT: &str = include_str!("init.sh");
const NGINX: &str = include_str!("nginx.conf");

/// Packs the guest into `dir`; the file to boot it with.
pub(super) fn pack(dir: &Path, agent: &Path) -> anyhow::Result<PathBuf> {
    let root = super::tempdir(dir, "root")?;
    for dir in ["bin", "dev", "proc", "sys", "cgroup", "tmp", "run", "etc", "var/log/nginx", "var/lib/nginx"]
    {
        fs::create_dir_all(root.join(dir))?;
    }
    fs::write(root.join("etc/passwd"), "root:x:0:0::/:/bin/sh\nnobody:x:65534:65534::/:/bin/sh\n")?;
    fs::write(root.join("etc/group"), "root:x:0:\nnogroup:x:65534:\n")?;
    fs::write(root.join("etc/nginx.conf"), NGINX)?;
    fs::write(root.join("init"), INIT)?;
    fs::set_permissions(root.join("init"), fs::Permissions::from_mode(0o755))?;
    for name in ["busybox", "nginx", "ab"] {
        let program = find_program(name).with_context(|| format!("{name} is not in PATH"))?;
        copy(&program, &root)?;
    }
    copy(agent, &root)?;
    archive(&root, &dir.join("initrd"))
}

/// Copies a program into `/bin`, and the libraries that it loads to where it looks for them.
fn copy(program: &Path, root: &Path) -> anyhow::Result<()> {
    let name = program.file_name().context("a program has a name")?;
    fs::copy(program, root.join("bin").join(name))
        .with_context(|| format!("cannot copy {}", program.display()))?;
    // Fails for a program without libraries, such as Debian's busybox-static.
    let libraries = output(Command::new("ldd").arg(program)).unwrap_or_default();
    for library in libraries.split_whitespace().filter(|word| word.starts_with('/')) {
        let to = root.join(library.trim_start_matches('/'));
        fs::create_dir_all(to.parent().context("a library lies in a directory")?)?;
        fs::copy(library, to).with_context(|| format!("cannot copy {library}"))?;
    }
    Ok(())
}

/// Writes the tree at `root` as a cpio archive, the form that the kernel unpacks.
fn archive(root: &Path, to: &Path) -> anyhow::Result<PathBuf> {
    let mut find = Command::new("find").arg(".").current_dir(root).stdout(Stdio::piped()).spawn()?;
    let names = find.stdout.take().context("its output is piped")?;
    let packed = Command::new("cpio")
        .args(["--create", "--format=newc", "--quiet"])
        .current_dir(root)
        .stdin(names)
        .stdout(File::create(to)?)
        .status()
        .context("cannot run cpio")?;
    ensure!(find.wait()?.success() && packed.success(), "cannot pack {}", root.display());
    Ok(to.to_owned())
}
