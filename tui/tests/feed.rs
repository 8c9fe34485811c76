//! The feed over real sockets: what a good agent sends arrives, and everything else becomes one sentence.

#![expect(clippy::unwrap_used, reason = "what cannot be set up has failed")]

#[path = "support/server.rs"]
mod server;
#[path = "support/traffic.rs"]
mod traffic;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use hosp_tui::address::Address;
use hosp_tui::event::FeedEvent;
use hosp_tui::feed::{Feed, FeedError, follow, snapshot};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::{Notify, mpsc};
use tokio::time::timeout;

use server::Server;

const PACE: Duration = Duration::from_millis(20);
/// Whatever is waited for takes less than this, or never comes.
const DEADLINE: Duration = Duration::from_secs(30);

fn socket() -> (TempDir, PathBuf, Address) {
    let dir = TempDir::new().unwrap();
    let path = dir.path().join("agent.sock");
    let address = Address::Unix(path.clone());
    (dir, path, address)
}

/// A server that reads a request and answers with these bytes, whatever they are; then it hangs up.
fn answering(path: &std::path::Path, bytes: Vec<u8>) -> Server {
    let bytes = Arc::new(bytes);
    Server::raw(path, move |mut stream| {
        let bytes = Arc::clone(&bytes);
        async move {
            let mut request = [0; 1024];
            let _ = stream.read(&mut request).await;
            let _ = stream.write_all(&bytes).await;
        }
    })
}

fn body(lines: &[u8]) -> Vec<u8> {
    [b"HTTP/1.1 200 OK\r\nconnection: close\r\n\r\n", lines].concat()
}

/// The error that the feed at `address` leads to sooner or later.
async fn fails(address: &Address) -> FeedError {
    let reading = async {
        let mut feed = Feed::open(address).await?;
        loop {
            feed.next().await?;
        }
    };
    let result: Result<(), FeedError> = timeout(DEADLINE, reading).await.expect("the feed ends");
    result.expect_err("a feed ends with an error only")
}

#[tokio::test]
async fn readings_arrive_in_order() {
    let (_dir, path, address) = socket();
    let _server = Server::agent(&path, traffic::Agent::new("web-1", 1), PACE);
    let mut feed = Feed::open(&address).await.unwrap();
    for seq in 1..=5 {
        let reading = timeout(DEADLINE, feed.next()).await.unwrap().unwrap();
        assert_eq!((reading.seq, reading.agent.host.as_str()), (seq, "web-1"));
    }
    let line = snapshot(&address).await.unwrap();
    assert_eq!(hosp_feed::decode(&line).unwrap().agent.host, "web-1");
}

#[tokio::test]
async fn whatever_is_no_feed_becomes_one_sentence() {
    let cut = hosp_feed::encode(&traffic::Agent::new("web-1", 1).second());
    let cases: [(&str, Vec<u8>, &str); 8] = [
        ("not HTTP", b"SSH-2.0-OpenSSH_9.2\r\n".to_vec(), "does not speak HTTP"),
        ("hung up", Vec::new(), "does not speak HTTP"),
        ("404", b"HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n".to_vec(), "answered 404 to /v1/feed"),
        ("no JSON", body(b"<html>\n"), "not a snapshot"),
        ("version", body(b"{\"version\":2}\n"), "speaks feed version 2, this program 1"),
        ("cut", body(&cut[..cut.len() / 2]), "in the middle of a snapshot"),
        ("ended", body(&cut), "ended the feed"),
        ("too long", body(&vec![b'x'; hosp_feed::MAX_LINE + 1]), "no agent writes lines over"),
    ];
    for (case, bytes, expect) in cases {
        let (_dir, path, address) = socket();
        let _server = answering(&path, bytes);
        let sentence = fails(&address).await.to_string();
        assert!(sentence.contains(expect), "{case}: {sentence}");
        assert!(sentence.contains(&address.to_string()), "{case}: {sentence}");
    }
}

#[tokio::test]
async fn an_agent_that_is_not_there_is_missed_with_a_hint() {
    let (_dir, _, address) = socket();
    let sentence = fails(&address).await.to_string();
    assert!(
        sentence.starts_with("cannot connect to unix:") && sentence.contains("is hosp-agent running"),
        "{sentence}"
    );
}

#[tokio::test]
async fn tcp_works_like_a_unix_socket() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address: Address = listener.local_addr().unwrap().to_string().parse().unwrap();
    let line = hosp_feed::encode(&traffic::Agent::new("web-1", 1).second());
    tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut request = [0; 1024];
        let _ = stream.read(&mut request).await;
        stream.write_all(&body(&line)).await.unwrap();
    });
    let mut feed = Feed::open(&address).await.unwrap();
    assert_eq!(feed.next().await.unwrap().seq, 1);
}

#[tokio::test]
async fn following_survives_the_agent_and_a_wish_cuts_the_pause_short() {
    let (_dir, path, address) = socket();
    let (sender, mut events) = mpsc::channel(64);
    let again = Arc::new(Notify::new());
    let follower = tokio::spawn(follow(3, address, sender, Arc::clone(&again)));
    let mut next = async || {
        let (place, event) = timeout(DEADLINE, events.recv()).await.unwrap().unwrap();
        assert_eq!(place, 3);
        event
    };
    while !matches!(next().await, FeedEvent::Down { .. }) {}
    let server = Server::agent(&path, traffic::Agent::new("web-1", 1), PACE);
    again.notify_waiters();
    while !matches!(next().await, FeedEvent::Reading(_)) {}
    drop(server);
    let retry_in = loop {
        if let FeedEvent::Down { retry_in, .. } = next().await {
            break retry_in;
        }
    };
    assert!(retry_in <= Duration::from_millis(250), "a feed that worked is tried again soon: {retry_in:?}");
    let _server = Server::agent(&path, traffic::Agent::new("web-1", 2), PACE);
    let reading = loop {
        if let FeedEvent::Reading(reading) = next().await {
            break reading;
        }
    };
    assert_eq!(reading.agent.pid, 2);
    drop(events);
    timeout(DEADLINE, follower).await.expect("nobody listens, so it ends").unwrap();
}
