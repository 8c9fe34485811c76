//! Origin and clients of `cargo xtask chaos`: see [`xtask::chaos_rig`].

use clap::Parser as _;

fn main() -> anyhow::Result<()> {
    let options = xtask::chaos_rig::Options::parse();
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()?
        .block_on(xtask::chaos_rig::run(options))
}
