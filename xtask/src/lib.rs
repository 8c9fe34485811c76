//! What the maintainer's commands share with the demo's two programs and the end-to-end tests.
//!
//! | module | its one job |
//! |---|---|
//! | [`origin`] | `demo-origin`: a hospital's API that fails the way the real one does |
//! | [`load`] | `demo-load`: an open-loop generator that knows what became of each request |
//! | [`chaos_rig`] | `chaos-rig`: the fault-injecting origin and the clients of `cargo xtask chaos` |
//! | [`connections`] | client connections, kept alive |
//! | [`counts`] | requests by method and final status, as every party to the books reports them |
//! | [`child`], [`cgroup`], [`ports`] | processes that never outlive the command that started them |
//! | [`artifacts`], [`stack`] | the workspace's programs, built; and origin, agent, proxy and load running together |
//! | [`steps`] | long steps, announced and timed; where we run |
//! | [`endpoint`], [`prom`], [`poll`] | asking a running program what it has counted |
//! | [`usage`], [`stats`], [`table`] | what a process tree cost, medians, and the printed tables |
//!
//! Nothing here knows about eBPF; the commands themselves live beside `main.rs`.

pub mod artifacts;
pub mod cgroup;
pub mod chaos_rig;
pub mod child;
pub mod connections;
pub mod counts;
pub mod endpoint;
pub mod load;
pub mod origin;
pub mod poll;
pub mod ports;
pub mod prom;
pub mod stack;
pub mod stats;
pub mod steps;
pub mod table;
pub mod usage;
