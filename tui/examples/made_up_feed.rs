//! A feed of made-up traffic, to work on the view without an agent:
//!
//! ```text
//! cargo run -p hosp-tui --example made_up_feed -- /tmp/hosp.sock
//! cargo run -p hosp-tui -- --agent unix:/tmp/hosp.sock
//! ```

#![expect(clippy::unwrap_used, reason = "what cannot be set up has failed")]

#[path = "../tests/support/server.rs"]
mod server;
#[path = "../tests/support/traffic.rs"]
mod traffic;

use std::path::PathBuf;
use std::time::Duration;

fn main() {
    let Some(socket) = std::env::args_os().nth(1).map(PathBuf::from) else {
        eprintln!("usage: made_up_feed SOCKET");
        std::process::exit(64);
    };
    let agent = traffic::Agent::new("made-up", std::process::id());
    let _server = server::Server::agent(&socket, agent, Duration::from_secs(1));
    println!("serving unix:{}; Ctrl-C ends it", socket.display());
    loop {
        std::thread::park();
    }
}
