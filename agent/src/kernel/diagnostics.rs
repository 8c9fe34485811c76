//! What the programs say of themselves, when somebody asks for it: with `HOSP_LOG=bpf=debug`, and nothing otherwise.

use aya::{Ebpf, EbpfLoader};
use aya_log::EbpfLogger;

/// The target under which it is logged.
const TARGET: &str = "bpf";

/// What programs log, on its way into the agent's own log.
pub(super) struct Diagnostics(EbpfLogger<Forward>);

/// Whether anybody wants to know.
fn wanted() -> bool {
    tracing::enabled!(target: TARGET, tracing::Level::DEBUG)
}

/// The level that the programs get. 0 is less than any: the kernel's verifier drops the code then.
pub(super) fn level() -> u8 {
    if wanted() { aya_log::Level::Debug as u8 } else { 0 }
}

/// Tells the loader of [`level`].
pub(super) fn set_level<'a>(loader: &mut EbpfLoader<'a>, level: &'a u8) {
    loader.override_global(aya_log::LEVEL, level, true);
}

impl Diagnostics {
    /// Listens to the programs of `ebpf`; nothing when nobody wants to know.
    pub(super) fn of(ebpf: &mut Ebpf) -> Result<Option<Self>, aya_log::Error> {
        wanted().then(|| EbpfLogger::init_with_logger(ebpf, Forward).map(Self)).transpose()
    }

    /// Passes on what was said.
    pub(super) fn flush(&mut self) {
        self.0.flush();
    }
}

/// From the crate that aya-log speaks through to the one that the agent does.
struct Forward;

impl log::Log for Forward {
    fn enabled(&self, _: &log::Metadata<'_>) -> bool {
        true
    }

    fn log(&self, record: &log::Record<'_>) {
        tracing::debug!(target: TARGET, "{}", record.args());
    }

    fn flush(&self) {}
}
