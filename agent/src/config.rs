//! The settings: defaults, below the configuration file, below the command line.

mod file;
mod ports;

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use crate::args::Options;
use crate::endpoint::Endpoint;
use crate::enrich::Naming;

pub use self::ports::{BadPorts, Ports};

use self::file::File;

/// Everything that can be set.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Where `/metrics` is served.
    pub metrics: Endpoint,
    /// Where the feed is served.
    pub feed: Endpoint,
    /// The cgroup to observe; the root of cgroup v2 when not set.
    pub cgroup: Option<PathBuf>,
    /// The ports to observe.
    pub ports: Ports,
    /// Whether to tell how long requests lie unread.
    pub unread: bool,
    /// Where every request is logged, if anywhere.
    pub request_log: Option<PathBuf>,
    /// Whether the kernel measures the BPF programs.
    pub bpf_stats: bool,
    /// Admin address of hosp-proxy.
    pub proxy: Endpoint,
    /// Size of the kernel's ring buffer in bytes.
    pub ring_bytes: u32,
    /// Most series; see [`crate::series::Fold::limit`].
    pub max_series: usize,
    /// Names of services and routes.
    pub naming: Naming,
}

/// Why there are no settings.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file cannot be read.
    #[error("cannot read {0}: {1}")]
    Read(PathBuf, io::Error),
    /// The file is not right. The message holds line, column and the line itself.
    #[error("{0}: {1}")]
    Parse(PathBuf, Box<toml::de::Error>),
}

impl Settings {
    /// The settings of this command line, with those of the file that it names.
    pub fn load(options: &Options) -> Result<Self, ConfigError> {
        let file = options.config.as_deref().map(read).transpose()?.unwrap_or_default();
        Ok(Self::merge(file, options))
    }

    /// The settings that `text`, the content of the file at `path`, makes without a command line.
    pub fn parse(text: &str, path: &Path) -> Result<Self, ConfigError> {
        Ok(Self::merge(parse(text, path)?, &Options::default()))
    }

    fn merge(file: File, options: &Options) -> Self {
        let or = |flag: &Option<Endpoint>, file: Option<Endpoint>, default: Endpoint| {
            flag.clone().or(file).unwrap_or(default)
        };
        let unix = |path: &str| Endpoint::Unix(path.into());
        Self {
            metrics: or(
                &options.metrics_listen,
                file.metrics_listen,
                Endpoint::Tcp(([127, 0, 0, 1], 9464).into()),
            ),
            feed: or(&options.feed, file.feed, unix("/run/hosp/agent.sock")),
            proxy: or(&options.proxy, file.proxy, unix("/run/hosp/proxy.sock")),
            cgroup: options.cgroup.clone().or(file.cgroup),
            ports: options.ports.clone().unwrap_or(file.ports),
            unread: options.unread || file.unread,
            request_log: options.request_log.clone().or(file.request_log),
            bpf_stats: options.bpf_stats || file.bpf_stats,
            ring_bytes: file.limits.ring_bytes.0,
            max_series: file.limits.series.0,
            naming: Naming {
                services: file.services.into_iter().map(|(port, name)| (port.0, name.0)).collect(),
                routes: file.routes.into_iter().map(Into::into).collect(),
                routes_per_service: file.limits.routes_per_service.0,
            },
        }
    }
}

/// Checks a file and does nothing else.
pub fn check(path: &Path) -> Result<(), ConfigError> {
    read(path).map(drop)
}

fn read(path: &Path) -> Result<File, ConfigError> {
    let text = fs::read_to_string(path).map_err(|error| ConfigError::Read(path.to_owned(), error))?;
    parse(&text, path)
}

fn parse(text: &str, path: &Path) -> Result<File, ConfigError> {
    toml::from_str(text).map_err(|error| ConfigError::Parse(path.to_owned(), Box::new(error)))
}

#[cfg(test)]
mod tests;
