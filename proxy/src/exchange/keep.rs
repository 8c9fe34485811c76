//! The origin's own last answer to a failed try, held in case that nothing better comes.

use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::{Bytes, BytesMut};
use http::response::Parts as ResponseHead;
use http_body::Body;

use super::Outcome;
use super::attempt::Answer;
use crate::body::upstream::UpstreamBody;
use crate::error::Failure;
use crate::retry::Reason;

/// Most of a failed answer's body that is held while further tries are made, in bytes.
const MOST_KEPT: usize = 64 << 10;

/// Holds the last answer that came whole.
#[derive(Debug, Default)]
pub(super) struct Keeper {
    coming: Option<Box<Coming>>,
    kept: Option<(ResponseHead, Bytes)>,
}

/// An answer whose body is still on its way.
#[derive(Debug)]
struct Coming {
    head: ResponseHead,
    body: UpstreamBody,
    so_far: BytesMut,
}

impl Keeper {
    /// Holds what a failed try came to, once it has come whole.
    pub(super) fn hold(&mut self, last: Result<Answer, Reason>) {
        if let Ok(Answer { head, body }) = last {
            self.coming = Some(Box::new(Coming { head, body, so_far: BytesMut::new() }));
        }
    }

    /// Takes what has come of the answer's body.
    pub(super) fn poll(&mut self, cx: &mut Context<'_>) {
        while let Some(coming) = &mut self.coming {
            match Pin::new(&mut coming.body).poll_frame(cx) {
                Poll::Pending => return,
                Poll::Ready(Some(Ok(frame))) => {
                    let data = frame.into_data().unwrap_or_default();
                    if coming.so_far.len() + data.len() > MOST_KEPT {
                        self.coming = None;
                    } else {
                        coming.so_far.extend_from_slice(&data);
                    }
                }
                Poll::Ready(Some(Err(_))) => self.coming = None,
                Poll::Ready(None) => {
                    let whole = self.coming.take();
                    self.kept = whole.map(|whole| (whole.head, whole.so_far.freeze()));
                }
            }
        }
    }

    /// What is held.
    pub(super) fn kept(self) -> Option<Outcome> {
        self.kept.map(|(head, body)| Outcome::Kept(head, body))
    }

    /// The origin's own last answer if there is one, else what the last try came to.
    pub(super) fn give_up(self, last: Result<Answer, Reason>) -> Outcome {
        match last {
            Ok(answer) => Outcome::Answer(answer.head, answer.body),
            Err(reason) => self.kept().unwrap_or(Outcome::Failed(Failure::of(reason))),
        }
    }
}
