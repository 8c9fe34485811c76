//! Request ids: the client's when it is harmless, else one of our own.

use std::cell::{Cell, RefCell};

use bytes::BytesMut;
use http::{HeaderMap, HeaderName, HeaderValue};

/// The field that carries a request's id, in requests and in answers.
pub const X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// Longest id that is taken from a client.
const LONGEST: usize = 128;

/// Whether an id from outside is fit for logs and for other programs: 1 to 128 letters, digits and `-._~+/=:@`.
pub fn is_valid(id: &[u8]) -> bool {
    (1..=LONGEST).contains(&id.len())
        && id.iter().all(|&b| b.is_ascii_alphanumeric() || b"-._~+/=:@".contains(&b))
}

/// Makes ids for one worker: 64 random bits that no other worker has, then a count.
#[derive(Debug)]
pub struct Ids {
    prefix: [u8; MADE / 2],
    next: Cell<u64>,
    /// Memory that the ids are cut from: one allocation for many.
    text: RefCell<BytesMut>,
}

/// Length of the ids made here.
const MADE: usize = 32;
/// Ids per allocation.
const PER_CHUNK: usize = 64;

impl Ids {
    /// A source whose ids begin with `prefix`; `first` is the count to start from.
    pub fn new(prefix: u64, first: u64) -> Self {
        Self { prefix: hexadecimal(prefix), next: Cell::new(first), text: RefCell::default() }
    }

    /// The id of a request: the one it came with when there is exactly one and it is valid, else a new one.
    pub fn of(&self, headers: &HeaderMap) -> HeaderValue {
        let mut given = headers.get_all(X_REQUEST_ID).iter();
        match (given.next(), given.next()) {
            (Some(id), None) if is_valid(id.as_bytes()) => id.clone(),
            _ => self.make(),
        }
    }

    fn make(&self) -> HeaderValue {
        let count = self.next.get();
        self.next.set(count.wrapping_add(1));
        let mut text = self.text.borrow_mut();
        if text.capacity() < MADE {
            *text = BytesMut::with_capacity(MADE * PER_CHUNK);
        }
        text.extend_from_slice(&self.prefix);
        text.extend_from_slice(&hexadecimal(count));
        HeaderValue::from_maybe_shared(text.split().freeze()).expect("hexadecimal digits are visible ASCII")
    }
}

fn hexadecimal(number: u64) -> [u8; MADE / 2] {
    std::array::from_fn(|place| b"0123456789abcdef"[(number >> (60 - 4 * place)) as usize & 0xf])
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn id_for(given: &[&str]) -> String {
        let headers = given.iter().map(|id| (X_REQUEST_ID, id.parse().unwrap())).collect();
        Ids::new(0xab, 1).of(&headers).to_str().unwrap().to_owned()
    }

    #[test]
    fn a_harmless_id_is_kept_and_anything_else_replaced() {
        const OURS: &str = "00000000000000ab0000000000000001";
        let longest = "x".repeat(LONGEST);
        assert_eq!(id_for(&["7b3bb5c1-9d1e-4a39"]), "7b3bb5c1-9d1e-4a39");
        assert_eq!(id_for(&[&longest]), longest);
        assert_eq!(id_for(&[]), OURS);
        assert_eq!(id_for(&["a", "b"]), OURS);
        assert_eq!(id_for(&[""]), OURS);
        assert_eq!(id_for(&[&"x".repeat(LONGEST + 1)]), OURS);
        assert_eq!(id_for(&["a b"]), OURS);
        assert_eq!(id_for(&["\"quoted\""]), OURS);
    }

    proptest! {
        #[test]
        fn what_is_valid_is_short_and_visible(id in proptest::collection::vec(any::<u8>(), 0..200)) {
            if is_valid(&id) {
                prop_assert!(id.len() <= LONGEST && id.iter().all(u8::is_ascii_graphic));
            }
        }
    }
}
