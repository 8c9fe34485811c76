//! Which idle connection is used again, and which is not.

use std::io::{Read, Write};
use std::net::TcpListener;

use super::*;
use crate::body::replay::RequestBody;
use http::{Request, StatusCode};
use http_body_util::BodyExt;
use tokio::task::LocalSet;

fn pool(origin: &Origin, idle_timeout: Duration, idle: usize) -> Pool {
    let args = ["hosp-proxy", "--listen", "127.0.0.1:0", "--origin", "http://127.0.0.1:1"];
    let flags = crate::cli::flags(args.into_iter());
    let mut config = crate::config::resolve::resolve(&flags, Default::default()).unwrap();
    config.origins = vec![origin.clone()];
    config.pool.idle_timeout = idle_timeout;
    config.pool.idle = idle;
    Pool::new(&config)
}

/// An origin that this thread itself plays, so that it does what the test says and when.
fn origin() -> (TcpListener, Origin) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let origin = format!("http://{}", listener.local_addr().unwrap()).parse().unwrap();
    (listener, origin)
}

/// One exchange on a new connection, which then lies idle in the pool; the origin's end of it.
async fn used_once(pool: &Pool, listener: &TcpListener, origin: &Origin) -> std::net::TcpStream {
    let mut lease = pool.connect(origin).await.unwrap();
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
    pool.put_back(0, lease);
    assert!(!pool.idle[0].borrow().is_empty(), "the connection is not taken back");
    peer
}

const LONG: Duration = Duration::from_secs(60);

#[tokio::test]
async fn an_idle_connection_is_used_again() {
    LocalSet::new()
        .run_until(async {
            let (listener, origin) = origin();
            let pool = pool(&origin, LONG, 8);
            let _peer = used_once(&pool, &listener, &origin).await;
            assert!(pool.checkout(0, true).is_some_and(|lease| lease.reused));
            assert!(pool.checkout(0, true).is_none(), "it is in use now");
        })
        .await;
}

#[tokio::test]
async fn a_connection_closed_a_moment_ago_is_not_used_for_a_write() {
    LocalSet::new()
        .run_until(async {
            let (listener, origin) = origin();
            let pool = pool(&origin, LONG, 8);
            let peer = used_once(&pool, &listener, &origin).await;
            // From here on the runtime gets no chance to notice: nothing is awaited.
            drop(peer);
            assert!(
                !pool.idle[0].borrow()[0].lease.sender.is_closed(),
                "hyper knows: the test shows nothing"
            );
            assert!(pool.checkout(0, true).is_none());
        })
        .await;
}

#[tokio::test]
async fn a_connection_closed_some_time_ago_is_not_used_for_anything() {
    LocalSet::new()
        .run_until(async {
            let (listener, origin) = origin();
            let pool = pool(&origin, LONG, 8);
            let peer = used_once(&pool, &listener, &origin).await;
            drop(peer);
            while !pool.idle[0].borrow()[0].lease.sender.is_closed() {
                tokio::task::yield_now().await;
            }
            pool.reap();
            assert!(pool.idle[0].borrow().is_empty());
        })
        .await;
}

#[tokio::test]
async fn surplus_is_closed() {
    LocalSet::new()
        .run_until(async {
            let (listener, origin) = origin();
            let pool = pool(&origin, LONG, 1);
            let _one = used_once(&pool, &listener, &origin).await;
            let first = pool.checkout(0, false).unwrap();
            let _other = used_once(&pool, &listener, &origin).await;
            pool.put_back(0, first);
            assert_eq!(pool.idle[0].borrow().len(), 1);
        })
        .await;
}

#[tokio::test(start_paused = true)]
async fn what_was_idle_for_too_long_is_closed() {
    LocalSet::new()
        .run_until(async {
            let (listener, origin) = origin();
            let pool = pool(&origin, LONG, 8);
            let _peer = used_once(&pool, &listener, &origin).await;
            tokio::time::advance(LONG - REAP_INTERVAL).await;
            pool.reap();
            assert_eq!(pool.idle[0].borrow().len(), 1);
            tokio::time::advance(REAP_INTERVAL).await;
            pool.reap();
            assert!(pool.idle[0].borrow().is_empty());
        })
        .await;
}
