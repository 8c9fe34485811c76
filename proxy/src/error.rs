//! Everything that the proxy itself answers instead of an origin, in one place.

use bytes::Bytes;
use http::header::{ALLOW, CONNECTION, CONTENT_TYPE, RETRY_AFTER, X_CONTENT_TYPE_OPTIONS};
use http::{HeaderValue, Response, StatusCode};

use crate::retry::Reason;

/// Why a request is not passed on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// Both `Content-Length` and `Transfer-Encoding`.
    #[error("the request has both Content-Length and Transfer-Encoding")]
    Framing,
    /// No `Host`, several, or none that is one.
    #[error("the request needs exactly one valid Host")]
    Host,
    /// A target of a form or scheme that is not served here.
    #[error("the request's target is not one that this proxy serves")]
    Target,
    /// A transfer coding other than `chunked`.
    #[error("the request's transfer coding is not supported")]
    TransferCoding,
    /// CONNECT.
    #[error("this proxy does not tunnel: CONNECT is not supported")]
    Connect,
    /// An upgrade to another protocol.
    #[error("protocol upgrades are not supported")]
    Upgrade,
    /// The client's own body broke off or was malformed.
    #[error("the request's body could not be read")]
    Body,
    /// `Cache-Control: only-if-cached`, and nothing usable is stored.
    #[error("nothing usable is stored, and the request forbids asking the origin")]
    NotStored,
}

/// Why no origin's answer can be given.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Failure {
    /// No connection could be made.
    #[error("the origin could not be reached")]
    Connect,
    /// Connections ended before an answer.
    #[error("the origin closed the connection without an answer")]
    Reset,
    /// What came was no answer.
    #[error("the origin's answer was not valid HTTP")]
    Garbled,
    /// No answer in time.
    #[error("the origin did not answer in time")]
    Timeout,
    /// Nothing was asked: all that was asked lately has failed.
    #[error("the origin fails at the moment; this request was not passed on to it")]
    Failing,
    /// Nothing was asked: too much is under way.
    #[error("the origin has more to do than it can; this request was not passed on to it")]
    Full,
}

impl Refusal {
    /// The status that tells the client.
    pub const fn status(self) -> StatusCode {
        match self {
            Self::Framing | Self::Host | Self::Target | Self::Body => StatusCode::BAD_REQUEST,
            Self::TransferCoding | Self::Upgrade => StatusCode::NOT_IMPLEMENTED,
            Self::Connect => StatusCode::METHOD_NOT_ALLOWED,
            Self::NotStored => StatusCode::GATEWAY_TIMEOUT,
        }
    }

    /// The answer, with `body` made of its text.
    pub fn response<B>(self, body: impl FnOnce(Bytes) -> B) -> Response<B> {
        let mut response = plain(self.status(), &self.to_string(), body);
        if self == Self::Connect {
            let allowed = "GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS, TRACE";
            response.headers_mut().insert(ALLOW, HeaderValue::from_static(allowed));
        }
        // Where a request's end is in doubt, whatever follows it on the connection is too.
        if !matches!(self, Self::NotStored | Self::Target) {
            response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
        }
        response
    }
}

impl Failure {
    /// What the client is told when the last try failed for `reason`, and there is no answer at all.
    pub const fn of(reason: Reason) -> Self {
        match reason {
            Reason::Connect => Self::Connect,
            Reason::Garbled => Self::Garbled,
            Reason::Timeout => Self::Timeout,
            _ => Self::Reset,
        }
    }

    /// The status that tells the client.
    pub const fn status(self) -> StatusCode {
        match self {
            Self::Connect | Self::Failing | Self::Full => StatusCode::SERVICE_UNAVAILABLE,
            Self::Reset | Self::Garbled => StatusCode::BAD_GATEWAY,
            Self::Timeout => StatusCode::GATEWAY_TIMEOUT,
        }
    }

    /// The answer, with `body` made of its text.
    pub fn response<B>(self, body: impl FnOnce(Bytes) -> B) -> Response<B> {
        let mut response = plain(self.status(), &self.to_string(), body);
        if self.status() == StatusCode::SERVICE_UNAVAILABLE {
            response.headers_mut().insert(RETRY_AFTER, HeaderValue::from_static("1"));
        }
        response
    }
}

fn plain<B>(status: StatusCode, text: &str, body: impl FnOnce(Bytes) -> B) -> Response<B> {
    let mut response = Response::new(body(Bytes::from(format!("hosp-proxy: {text}\n"))));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_failure_has_its_own_words() {
        let words = [
            Failure::Connect.to_string(),
            Failure::Reset.to_string(),
            Failure::Garbled.to_string(),
            Failure::Timeout.to_string(),
            Failure::Failing.to_string(),
            Failure::Full.to_string(),
        ];
        let distinct: std::collections::BTreeSet<_> = words.iter().collect();
        assert_eq!(distinct.len(), words.len());
    }

    #[test]
    fn a_request_of_doubtful_length_ends_its_connection() {
        let response = Refusal::Framing.response(|text| text);
        assert_eq!(response.status(), 400);
        assert_eq!(response.headers()[CONNECTION], "close");
    }
}
