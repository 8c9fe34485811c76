//! The demo's origin: see [`xtask::origin`].

use clap::Parser as _;

fn main() -> anyhow::Result<()> {
    let options = xtask::origin::Options::parse();
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()?
        .block_on(xtask::origin::run(options))
}
