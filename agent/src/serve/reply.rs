//! The few kinds of answers that the agent gives.

use std::convert::Infallible;

use bytes::Bytes;
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt as _, Full};
use hyper::header::{ALLOW, CACHE_CONTROL, CONTENT_TYPE, HeaderValue};
use hyper::{Method, Response, StatusCode};

/// Body of an answer: whole, or streamed.
pub type Body = UnsyncBoxBody<Bytes, Infallible>;

/// An answer with a body.
pub(super) fn ok(content_type: &'static str, body: Body) -> Response<Body> {
    let mut response = Response::new(body);
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    // Figures are of the moment.
    response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

/// A line of plain text.
pub(super) fn text(status: StatusCode, line: &'static str) -> Response<Body> {
    let mut response = ok("text/plain; charset=utf-8", whole(line));
    *response.status_mut() = status;
    response
}

/// The answer to a request for which there is nothing, if this is one: a path that is not of the site (404), or a
/// method that reads nothing (405).
pub(super) fn refuse(method: &Method, path: &str, paths: &[&str]) -> Option<Response<Body>> {
    if !paths.contains(&path) {
        return Some(text(StatusCode::NOT_FOUND, "no such page\n"));
    }
    if !matches!(*method, Method::GET | Method::HEAD) {
        let mut response = text(StatusCode::METHOD_NOT_ALLOWED, "only GET and HEAD\n");
        response.headers_mut().insert(ALLOW, HeaderValue::from_static("GET, HEAD"));
        return Some(response);
    }
    None
}

/// A body that is known already.
pub(super) fn whole(bytes: impl Into<Bytes>) -> Body {
    Full::new(bytes.into()).boxed_unsync()
}
