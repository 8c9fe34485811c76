//! The demo's load generator: see [`xtask::load`].

use clap::Parser as _;

fn main() -> anyhow::Result<()> {
    let options = xtask::load::Options::parse();
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()?
        .block_on(xtask::load::run(options))
}
