//! A real feed on a real Unix socket, with made-up traffic.

use std::convert::Infallible;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use futures_util::stream;
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Full, StreamBody};
use hyper::body::{Frame, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use tokio::net::{UnixListener, UnixStream};
use tokio::runtime::Runtime;

use super::traffic::Agent;

/// A feed server. Dropping it closes its socket and all its connections, as an agent that is killed does.
pub(crate) struct Server {
    runtime: Option<Runtime>,
}

impl Drop for Server {
    fn drop(&mut self) {
        // Not the runtime's own drop: that one waits, and tests that are asynchronous themselves must not.
        self.runtime.take().into_iter().for_each(Runtime::shutdown_background);
    }
}

impl Server {
    /// Serves `agent` on `socket`, one snapshot each `pace`.
    pub(crate) fn agent(socket: &Path, agent: Agent, pace: Duration) -> Self {
        let agent = Arc::new(Mutex::new(agent));
        Self::raw(socket, move |stream| {
            let agent = Arc::clone(&agent);
            async move {
                let service = service_fn(move |request| {
                    let answer = answer(&request, &agent, pace);
                    async { Ok::<_, Infallible>(answer) }
                });
                let _ = http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
            }
        })
    }

    /// Hands every connection to `talk`.
    pub(crate) fn raw<T, F>(socket: &Path, talk: T) -> Self
    where
        T: Fn(UnixStream) -> F + Send + 'static,
        F: Future<Output = ()> + Send + 'static,
    {
        let _ = std::fs::remove_file(socket);
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let listener = {
            let _inside = runtime.enter();
            UnixListener::bind(socket).unwrap()
        };
        runtime.spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                tokio::spawn(talk(stream));
            }
        });
        Self { runtime: Some(runtime) }
    }
}

fn answer(
    request: &Request<Incoming>,
    agent: &Arc<Mutex<Agent>>,
    pace: Duration,
) -> Response<UnsyncBoxBody<Bytes, Infallible>> {
    let line = |agent: &Mutex<Agent>| Bytes::from(hosp_feed::encode(&agent.lock().unwrap().second()));
    match request.uri().path() {
        "/v1/snapshot" => Response::new(Full::new(line(agent)).boxed_unsync()),
        "/v1/feed" => {
            let lines = stream::unfold(Arc::clone(agent), move |agent| async move {
                tokio::time::sleep(pace).await;
                Some((Ok(Frame::data(line(&agent))), agent))
            });
            Response::new(StreamBody::new(lines).boxed_unsync())
        }
        _ => Response::builder().status(404).body(Full::default().boxed_unsync()).unwrap(),
    }
}
