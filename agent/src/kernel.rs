//! The edge to the kernel: loads the eBPF programs, attaches them, and reads what they write.
//!
//! Nothing else in this crate knows aya. Dropping a [`Kernel`] detaches its programs.

mod cgroup;
mod diagnostics;
mod netns;

use std::fs::File;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::time::Duration;

use aya::maps::{MapData, PerCpuArray, RingBuf};
use aya::programs::{
    BtfTracePoint, CgroupAttachMode, CgroupSkb, CgroupSkbAttachType, CgroupSockAddr, SockOps,
};
use aya::{Btf, Ebpf, EbpfLoader, Pod};
use hosp_agent_ebpf::{COUNTERS, SHORT};
use hosp_feed::ProgramCost;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::{Access, AtFlags, accessat};
use rustix::io::Errno;

use diagnostics::Diagnostics;

use crate::source::{Counters, Source};

pub use cgroup::{find as find_cgroup2, is_cgroup2};

/// The programs, as `cargo xtask ebpf` built them. Committed, so that building hosp needs no BPF toolchain.
static OBJECT: &[u8] = aya::include_bytes_aligned!("../../agent-ebpf/prebuilt/hosp-agent-ebpf.o");

/// Smallest ring buffer: below it, a burst of one scheduler tick no longer fits.
pub const MIN_RING: u32 = 64 * 1024;
/// Largest ring buffer.
pub const MAX_RING: u32 = 1024 * 1024 * 1024;

/// Most ports that can be chosen.
pub const MAX_PORTS: usize = 16;

/// Most ports on which this process can listen.
const MAX_OWN_PORTS: usize = 4;

/// What to attach, and how.
#[derive(Clone, Debug)]
pub struct Options {
    /// Directory of the cgroup whose sockets are observed, with those of its descendants.
    pub cgroup: PathBuf,
    /// TCP ports on which this process listens itself, at most [`MAX_OWN_PORTS`]: their connections are left out.
    pub own_ports: Vec<u16>,
    /// TCP ports of servers whose connections are observed, at most [`MAX_PORTS`]; all, when there is none.
    pub ports: Vec<u16>,
    /// Whether to tell how long requests lie unread: a program runs at every read of every socket for it.
    pub unread: bool,
    /// Size of the ring buffer in bytes, a power of two from [`MIN_RING`] to [`MAX_RING`].
    pub ring_bytes: u32,
    /// Whether the kernel shall measure what the programs cost. The measuring costs time itself.
    pub bpf_stats: bool,
}

/// Why the programs could not be attached.
#[derive(Debug, thiserror::Error)]
pub enum KernelError {
    /// The ring buffer's size is not allowed.
    #[error("a ring buffer of {0} bytes: it must be a power of two from {MIN_RING} to {MAX_RING}")]
    RingSize(u32),
    /// More ports than the programs have places for.
    #[error("{count} ports where the programs know at most {most}")]
    Ports {
        /// How many.
        count: usize,
        /// How many there can be.
        most: usize,
    },
    /// The kernel refused for lack of privileges.
    #[error(
        "not permitted to {what}: run as root, or with CAP_BPF, CAP_NET_ADMIN, CAP_PERFMON and CAP_SYS_ADMIN"
    )]
    NotPermitted {
        /// What was tried.
        what: &'static str,
    },
    /// The cgroup's directory cannot be opened.
    #[error(
        "cannot open the cgroup {path}: {source}; name a directory of the cgroup v2 file system with --cgroup"
    )]
    Cgroup {
        /// The directory.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The cgroup is none.
    #[error("{0} is no cgroup v2; name a directory of the cgroup v2 file system with --cgroup")]
    NotACgroup(PathBuf),
    /// The kernel took a step badly.
    #[error("the kernel refused to {what}: {source:#}; `hosp-agent doctor` shows what this host lacks")]
    Refused {
        /// What was tried.
        what: &'static str,
        /// Why.
        source: anyhow::Error,
    },
}

/// The attached programs and their maps.
pub struct Kernel {
    records: RingBuf<MapData>,
    books: PerCpuArray<MapData, Books>,
    diagnostics: Option<Diagnostics>,
    // Last, so that the maps go before the programs do.
    ebpf: Ebpf,
    cgroup: File,
    /// Keeps the kernel measuring for as long as it is open.
    stats: Option<OwnedFd>,
    ring_bytes: u32,
}

/// One CPU's counters.
#[repr(transparent)]
#[derive(Clone, Copy)]
struct Books([u64; COUNTERS as usize]);

// SAFETY: an array of integers; any bytes are a valid value, and there is no padding.
unsafe impl Pod for Books {}

impl Kernel {
    /// Loads the programs and attaches them to a cgroup.
    pub fn attach(options: &Options) -> Result<Self, KernelError> {
        if !options.ring_bytes.is_power_of_two() || !(MIN_RING..=MAX_RING).contains(&options.ring_bytes) {
            return Err(KernelError::RingSize(options.ring_bytes));
        }
        let own_ports: [u16; MAX_OWN_PORTS] = listed(&options.own_ports)?;
        let ports: [u16; MAX_PORTS] = listed(&options.ports)?;
        let cgroup = open_cgroup(&options.cgroup)?;
        let stats = options
            .bpf_stats
            .then(|| aya::sys::enable_stats(aya::sys::Stats::RunTime))
            .transpose()
            .map_err(|e| refused("measure what the programs cost", e))?;
        // Woken at an eighth: enough left for what comes while userspace gets up.
        let wake_bytes = u64::from(options.ring_bytes / 8);
        let own_netns = netns::cookie();
        let level = diagnostics::level();
        let mut loader = EbpfLoader::new();
        diagnostics::set_level(&mut loader, &level);
        let mut ebpf = loader
            .map_max_entries("RECORDS", options.ring_bytes)
            .override_global("WAKE_BYTES", &wake_bytes, true)
            .override_global("OWN_PORTS", &own_ports, true)
            .override_global("PORTS", &ports, true)
            .override_global("OWN_NETNS", &own_netns, true)
            .load(OBJECT)
            .map_err(|e| refused("load the maps", e))?;
        attach(&mut ebpf, &cgroup)?;
        if options.unread
            && let Err(e) = attach_to_reads(&mut ebpf)
        {
            // Linux 6.3 has the tracepoint, and BTF tells where. Without it, one figure is missing.
            tracing::warn!("how long requests lie unread cannot be told on this kernel: {e:#}");
        }
        let diagnostics =
            Diagnostics::of(&mut ebpf).map_err(|e| refused("listen to the programs' diagnostics", e))?;
        let records = ebpf.take_map("RECORDS").expect("the object has a map of this name");
        let books = ebpf.take_map("BOOKS").expect("the object has a map of this name");
        Ok(Self {
            records: RingBuf::try_from(records).map_err(|e| refused("open the ring buffer", e))?,
            books: PerCpuArray::try_from(books).map_err(|e| refused("open the counters", e))?,
            diagnostics,
            ebpf,
            cgroup,
            stats,
            ring_bytes: options.ring_bytes,
        })
    }

    /// Fails when the cgroup has been removed: the kernel detaches the programs then, and says nothing.
    fn check_cgroup(&self) -> io::Result<()> {
        match accessat(&self.cgroup, "cgroup.procs", Access::EXISTS, AtFlags::empty()) {
            Err(Errno::NOENT | Errno::NODEV) => Err(io::Error::other(
                "the cgroup that is observed has been removed, and the programs with it; \
                 start hosp-agent again, or observe a cgroup that stays",
            )),
            Ok(()) | Err(_) => Ok(()),
        }
    }
}

/// `ports` as the programs want them, zeros behind them.
fn listed<const N: usize>(ports: &[u16]) -> Result<[u16; N], KernelError> {
    let mut list = [0; N];
    let places = list.get_mut(..ports.len()).ok_or(KernelError::Ports { count: ports.len(), most: N })?;
    places.copy_from_slice(ports);
    Ok(list)
}

/// Attaches every program, the one that meets new connections first: what it sees from the beginning is exact.
fn attach(ebpf: &mut Ebpf, cgroup: &File) -> Result<(), KernelError> {
    for (name, program) in ebpf.programs_mut() {
        tracing::debug!(name, "loading");
        match program {
            aya::programs::Program::CgroupSkb(p) => p.load(),
            aya::programs::Program::CgroupSockAddr(p) => p.load(),
            aya::programs::Program::SockOps(p) => p.load(),
            // Not on every kernel: see `attach_to_reads`.
            _ => Ok(()),
        }
        .map_err(|e| refused("load a program", e))?;
    }
    // A link is multi-attach by itself; a flag for that is refused.
    let mode = CgroupAttachMode::Single;
    for name in ["hosp_connect4", "hosp_connect6"] {
        let program: &mut CgroupSockAddr = program(ebpf, name);
        program.attach(cgroup, mode).map_err(|e| refused("attach to connects", e))?;
    }
    let program_: &mut SockOps = program(ebpf, "hosp_sock_ops");
    program_.attach(cgroup, mode).map_err(|e| refused("attach to connections", e))?;
    for (name, kind) in
        [("hosp_egress", CgroupSkbAttachType::Egress), ("hosp_ingress", CgroupSkbAttachType::Ingress)]
    {
        let program: &mut CgroupSkb = program(ebpf, name);
        program.attach(cgroup, kind, mode).map_err(|e| refused("attach to packets", e))?;
    }
    Ok(())
}

fn attach_to_reads(ebpf: &mut Ebpf) -> anyhow::Result<()> {
    let btf = Btf::from_sys_fs()?;
    let program: &mut BtfTracePoint = program(ebpf, "hosp_read");
    program.load("sock_recv_length", &btf)?;
    program.attach()?;
    Ok(())
}

fn program<'a, T>(ebpf: &'a mut Ebpf, name: &str) -> &'a mut T
where
    &'a mut T: TryFrom<&'a mut aya::programs::Program>,
{
    ebpf.program_mut(name)
        .and_then(|p| p.try_into().ok())
        .expect("the object has a program of this name and kind")
}

fn open_cgroup(path: &Path) -> Result<File, KernelError> {
    let failed = |source| KernelError::Cgroup { path: path.to_owned(), source };
    if !is_cgroup2(path).map_err(failed)? {
        return Err(KernelError::NotACgroup(path.to_owned()));
    }
    File::open(path).map_err(failed)
}

/// Tells lack of privileges from everything else, wherever in the chain of causes it stands.
fn refused(what: &'static str, error: impl Into<anyhow::Error>) -> KernelError {
    let source = error.into();
    let not_permitted = source.chain().any(|cause| {
        // EPERM only: EACCES is what the verifier says to a program that it refuses.
        cause.downcast_ref::<io::Error>().is_some_and(|e| e.raw_os_error() == Some(libc::EPERM))
    });
    if not_permitted { KernelError::NotPermitted { what } } else { KernelError::Refused { what, source } }
}

impl Source for Kernel {
    fn wait(&mut self, timeout: Duration) -> io::Result<()> {
        let timeout = Timespec::try_from(timeout).map_err(io::Error::other)?;
        let fd = self.records.as_fd();
        match poll(&mut [PollFd::new(&fd, PollFlags::IN)], Some(&timeout)) {
            // Nothing came: because nothing happened, or because nothing can any more.
            Ok(0) => self.check_cgroup(),
            Ok(_) | Err(Errno::INTR) => Ok(()),
            Err(e) => Err(e.into()),
        }
    }

    fn drain(&mut self, each: &mut dyn FnMut(&[u8])) {
        if let Some(diagnostics) = &mut self.diagnostics {
            diagnostics.flush();
        }
        let most = self.ring_bytes as usize / SHORT;
        for _ in 0..most {
            match self.records.next() {
                Some(record) => each(&record),
                None => return,
            }
        }
    }

    fn counters(&self) -> Counters {
        let mut sums = [0u64; COUNTERS as usize];
        if let Ok(cpus) = self.books.get(&0, 0) {
            for cpu in cpus.iter() {
                for (sum, n) in sums.iter_mut().zip(cpu.0) {
                    *sum += n;
                }
            }
        }
        sums
    }

    fn program_costs(&self) -> Vec<ProgramCost> {
        if self.stats.is_none() {
            return Vec::new();
        }
        self.ebpf
            .programs()
            .filter_map(|(name, program)| {
                let info = program.info().ok()?;
                Some(ProgramCost {
                    program: name.to_owned(),
                    runs: info.run_count(),
                    seconds: info.run_time().as_secs_f64(),
                })
            })
            .collect()
    }
}
