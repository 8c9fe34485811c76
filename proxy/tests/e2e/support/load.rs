//! Clients that never pause: each sends its next request as soon as it has an answer, and reports every failure.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::JoinHandle;

use super::{Client, raw};

/// How clients treat their connections.
#[derive(Clone, Copy)]
enum Reuse {
    /// One connection until the server says that it closes it.
    KeepAlive,
    /// A new connection for each request.
    Never,
}

/// Clients at work.
pub(crate) struct Load {
    stop: Arc<AtomicBool>,
    answered: Arc<AtomicUsize>,
    clients: Vec<JoinHandle<Result<(), String>>>,
}

impl Load {
    /// Starts two clients of each kind.
    pub(crate) fn start(address: SocketAddr) -> Self {
        let (stop, answered) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
        let clients = [Reuse::KeepAlive, Reuse::KeepAlive, Reuse::Never, Reuse::Never]
            .map(|reuse| {
                let (stop, answered) = (stop.clone(), answered.clone());
                std::thread::spawn(move || work(address, reuse, &stop, &answered))
            })
            .into();
        Self { stop, answered, clients }
    }

    /// Answers so far.
    pub(crate) fn answered(&self) -> usize {
        self.answered.load(Ordering::Relaxed)
    }

    /// Ends the clients; how many answers they got, or what the first one that failed met.
    pub(crate) fn finish(self) -> Result<usize, String> {
        self.stop.store(true, Ordering::Relaxed);
        for client in self.clients {
            client.join().unwrap()?;
        }
        Ok(self.answered.load(Ordering::Relaxed))
    }
}

fn work(address: SocketAddr, reuse: Reuse, stop: &AtomicBool, answered: &AtomicUsize) -> Result<(), String> {
    let mut connection: Option<Client> = None;
    while !stop.load(Ordering::Relaxed) {
        let on = if connection.is_some() { "a used" } else { "a new" };
        let failed = |what: &str, error| {
            format!("{what} on {on} connection, after {} answers: {error}", answered.load(Ordering::Relaxed))
        };
        let mut client = match connection.take() {
            Some(client) => client,
            None => Client::try_connect(address).map_err(|e| failed("not connected", e))?,
        };
        client.try_send(raw("POST", "/load", &[], "body")).map_err(|e| failed("not sent", e))?;
        let answer = client.answer_to("POST").map_err(|e| failed("no answer", e))?;
        if answer.status != 200 {
            return Err(format!("status {}: {}", answer.status, answer.text()));
        }
        answered.fetch_add(1, Ordering::Relaxed);
        if matches!(reuse, Reuse::KeepAlive) && answer.field("connection") != "close" {
            connection = Some(client);
        }
    }
    Ok(())
}
