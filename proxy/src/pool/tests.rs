//! Which idle connection is used again, and which is not.

use std::io::{Read, Write};
use std::net::TcpListener;

use super::*;
use crate::body::replay::RequestBody;
use crate::metrics::Metrics;
use crate::origin::Origin;
use http::{Request, StatusCode};
use http_body_util::BodyExt;
use tokio::task::LocalSet;

/// A pool of connections to `origin`, and its only member.
struct Rig {
    pool: Pool,
    membership: Membership,
    member: Rc<Member>,
}

fn rig(origin: &Origin, idle_timeout: Duration, idle: usize) -> Rig {
    let args = ["hosp-proxy", "--listen", "127.0.0.1:0", "--origin", "http://127.0.0.1:1"];
    let flags = crate::cli::flags(args.into_iter());
    let mut config = crate::config::resolve::resolve(&flags, Default::default()).unwrap();
    config.origins = vec![origin.clone()];
    config.pool.idle_timeout = idle_timeout;
    config.pool.idle = idle;
    let membership = Membership::new(&[vec![origin.clone()]], &Metrics::new(), std::time::Instant::now());
    let pool = Pool::new(&config);
    let member = pool.members(&membership)[0].clone();
    Rig { pool, membership, member }
}

/// An origin that this thread itself plays, so that it does what the test says and when.
fn origin() -> (TcpListener, Origin) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let origin = format!("http://{}", listener.local_addr().unwrap()).parse().unwrap();
    (listener, origin)
}

/// One exchange on a new connection, which then lies idle in the pool; the origin's end of it.
async fn used_once(rig: &Rig, listener: &TcpListener) -> std::net::TcpStream {
    let mut lease = rig.pool.connect(&rig.member.endpoint).await.unwrap();
    let (mut peer, _) = listener.accept().unwrap();
    peer.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
    let request = Request::get("/").header("host", "a").body(RequestBody::None).unwrap();
    let play = async {
        // This thread may wait for the request as soon as hyper's task has written it.
        while lease.link.written() == 0 {
            tokio::task::yield_now().await;
        }
        assert!(peer.read(&mut [0; 1024]).unwrap() > 0);
        peer.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok").unwrap();
    };
    let (response, ()) = tokio::join!(lease.sender.try_send_request(request), play);
    let response = response.unwrap_or_else(|error| panic!("{}", error.into_error()));
    assert_eq!(response.status(), StatusCode::OK);
    assert_eq!(response.into_body().collect().await.unwrap().to_bytes(), "ok");
    while !lease.sender.is_ready() {
        tokio::task::yield_now().await;
    }
    let before = rig.member.idle();
    rig.pool.put_back(&rig.member, lease);
    assert_eq!(rig.member.idle(), before + 1, "the connection is not taken back");
    peer
}

const LONG: Duration = Duration::from_secs(60);

#[tokio::test]
async fn an_idle_connection_is_used_again() {
    LocalSet::new()
        .run_until(async {
            let (listener, origin) = origin();
            let rig = rig(&origin, LONG, 8);
            let _peer = used_once(&rig, &listener).await;
            assert!(rig.pool.checkout(&rig.member, true).is_some_and(|lease| lease.reused));
            assert!(rig.pool.checkout(&rig.member, true).is_none(), "it is in use now");
        })
        .await;
}

#[tokio::test]
async fn a_connection_closed_a_moment_ago_is_not_used_for_a_write() {
    LocalSet::new()
        .run_until(async {
            let (listener, origin) = origin();
            let rig = rig(&origin, LONG, 8);
            let peer = used_once(&rig, &listener).await;
            // From here on the runtime gets no chance to notice: nothing is awaited.
            drop(peer);
            assert!(!rig.member.newest_is_closed(), "hyper knows: the test shows nothing");
            assert!(rig.pool.checkout(&rig.member, true).is_none());
        })
        .await;
}

#[tokio::test]
async fn a_connection_closed_some_time_ago_is_not_used_for_anything() {
    LocalSet::new()
        .run_until(async {
            let (listener, origin) = origin();
            let rig = rig(&origin, LONG, 8);
            let peer = used_once(&rig, &listener).await;
            drop(peer);
            while !rig.member.newest_is_closed() {
                tokio::task::yield_now().await;
            }
            rig.pool.reap();
            assert_eq!(rig.member.idle(), 0);
        })
        .await;
}

#[tokio::test]
async fn surplus_is_closed() {
    LocalSet::new()
        .run_until(async {
            let (listener, origin) = origin();
            let rig = rig(&origin, LONG, 1);
            let _one = used_once(&rig, &listener).await;
            let first = rig.pool.checkout(&rig.member, false).unwrap();
            let _other = used_once(&rig, &listener).await;
            rig.pool.put_back(&rig.member, first);
            assert_eq!(rig.member.idle(), 1);
        })
        .await;
}

#[tokio::test(start_paused = true)]
async fn what_was_idle_for_too_long_is_closed() {
    LocalSet::new()
        .run_until(async {
            let (listener, origin) = origin();
            let rig = rig(&origin, LONG, 8);
            let _peer = used_once(&rig, &listener).await;
            tokio::time::advance(LONG - REAP_INTERVAL).await;
            rig.pool.reap();
            assert_eq!(rig.member.idle(), 1);
            tokio::time::advance(REAP_INTERVAL).await;
            rig.pool.reap();
            assert_eq!(rig.member.idle(), 0);
        })
        .await;
}

#[tokio::test]
async fn an_endpoint_that_is_none_any_more_keeps_no_connection() {
    LocalSet::new()
        .run_until(async {
            let (listener, origin) = origin();
            let rig = rig(&origin, LONG, 8);
            let _peer = used_once(&rig, &listener).await;
            let in_use = rig.pool.checkout(&rig.member, true).unwrap();
            let _other = used_once(&rig, &listener).await;
            let moved = "127.0.0.2:1".parse().unwrap();
            let upstream = rig.membership.upstreams[0].clone();
            assert!(rig.membership.update(&upstream, &[moved], std::time::Instant::now()));
            let members = rig.pool.members(&rig.membership);
            assert_eq!(members.iter().map(|m| m.endpoint.address).collect::<Vec<_>>(), [moved]);
            assert_eq!(rig.member.idle(), 0);
            rig.pool.put_back(&rig.member, in_use);
            assert_eq!(rig.member.idle(), 0);
        })
        .await;
}

#[tokio::test]
async fn an_endpoint_that_stays_keeps_its_connections() {
    LocalSet::new()
        .run_until(async {
            let (listener, origin) = origin();
            let rig = rig(&origin, LONG, 8);
            let _peer = used_once(&rig, &listener).await;
            let (stays, new) = (rig.member.endpoint.address, "127.0.0.2:1".parse().unwrap());
            let upstream = rig.membership.upstreams[0].clone();
            assert!(rig.membership.update(&upstream, &[new, stays], std::time::Instant::now()));
            assert!(!rig.membership.update(&upstream, &[stays, new], std::time::Instant::now()));
            let members = rig.pool.members(&rig.membership);
            assert_eq!(members.len(), 2);
            assert!(members.iter().any(|member| Rc::ptr_eq(member, &rig.member)));
            assert_eq!(rig.member.idle(), 1);
        })
        .await;
}
