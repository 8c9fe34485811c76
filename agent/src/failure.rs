//! Why the agent ended, and the exit status that says so (those of `sysexits.h`).

use std::io;
use std::path::PathBuf;

use crate::config::ConfigError;
use crate::endpoint::BindError;
use crate::kernel::KernelError;
use crate::privileges::{Missing, ReduceError};

/// Exit status for a bad command line.
pub const USAGE: u8 = 64;
/// Exit status when something that is needed is missing, or in use.
pub const UNAVAILABLE: u8 = 69;
/// Exit status when the agent failed while it ran.
pub const SOFTWARE: u8 = 70;
/// Exit status when the agent may not do what it must.
pub const NOT_PERMITTED: u8 = 77;
/// Exit status for a bad configuration.
pub const CONFIG: u8 = 78;

/// Why the agent ended.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// The configuration is bad.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// Privileges are missing.
    #[error(transparent)]
    Missing(#[from] Missing),
    /// There is no cgroup v2.
    #[error(
        "no cgroup v2 file system is mounted: boot with systemd.unified_cgroup_hierarchy=1, or \
         `mount -t cgroup2 none /sys/fs/cgroup`, or name one with --cgroup"
    )]
    NoCgroup2,
    /// A server socket could not be bound.
    #[error(transparent)]
    Bind(#[from] BindError),
    /// The programs could not be attached.
    #[error(transparent)]
    Kernel(#[from] KernelError),
    /// The request log cannot be written to.
    #[error("cannot open the request log {0}: {1}; choose another file with --request-log")]
    RequestLog(PathBuf, io::Error),
    /// Privileges could not be given up.
    #[error(transparent)]
    Reduce(#[from] ReduceError),
    /// The system refused something else.
    #[error("cannot {what}: {source}")]
    System {
        /// What was tried.
        what: &'static str,
        /// Why not.
        source: io::Error,
    },
    /// The thread that owns all state ended by itself.
    #[error("the aggregating thread panicked; this is a bug in hosp-agent")]
    OwnerPanicked,
}

impl Failure {
    /// For [`Result::map_err`].
    pub fn system(what: &'static str) -> impl FnOnce(io::Error) -> Self {
        move |source| Self::System { what, source }
    }

    /// The exit status that says this.
    pub fn exit_status(&self) -> u8 {
        match self {
            Self::Config(_) | Self::Kernel(KernelError::RingSize(_) | KernelError::Ports { .. }) => CONFIG,
            Self::Missing(_) | Self::Kernel(KernelError::NotPermitted { .. }) => NOT_PERMITTED,
            Self::NoCgroup2 | Self::Bind(_) | Self::Kernel(_) | Self::RequestLog(..) => UNAVAILABLE,
            Self::Reduce(_) | Self::System { .. } | Self::OwnerPanicked => SOFTWARE,
        }
    }
}
