//! What stored answers are found by: method, host and target.

use std::borrow::Cow;
use std::hash::{Hash, Hasher};

use http::{HeaderValue, Method};
use quick_cache::Equivalent;

use crate::forward::Target;

/// A key that owns its text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Key {
    /// Whether the answer is one to HEAD, which has no body to give to a GET.
    pub head: bool,
    host: Box<[u8]>,
    target: Box<str>,
}

/// A key that borrows its text from a request, so that a look-up allocates nothing.
#[derive(Clone, Debug)]
pub struct KeyRef<'a> {
    head: bool,
    host: Cow<'a, [u8]>,
    target: &'a str,
}

impl<'a> KeyRef<'a> {
    /// The key of a request's answers. Hosts are compared in lower case and without the default port.
    pub fn of(method: &Method, target: &'a Target) -> Self {
        let host = target.host.as_ref().map(HeaderValue::as_bytes).unwrap_or_default();
        let host = host.strip_suffix(b":80").unwrap_or(host);
        let host = if host.iter().any(u8::is_ascii_uppercase) {
            Cow::Owned(host.to_ascii_lowercase())
        } else {
            Cow::Borrowed(host)
        };
        Self { head: *method == Method::HEAD, host, target: target.path_and_query() }
    }

    /// The same resource's key for answers to GET (`head` false) or to HEAD.
    pub fn with_head(&self, head: bool) -> Self {
        Self { head, ..self.clone() }
    }

    /// Whether this is the key of answers to HEAD.
    pub fn is_head(&self) -> bool {
        self.head
    }

    /// The key with a text of its own.
    pub fn to_key(&self) -> Key {
        Key { head: self.head, host: self.host.as_ref().into(), target: self.target.into() }
    }
}

impl Key {
    /// The same key, borrowed.
    pub fn as_ref(&self) -> KeyRef<'_> {
        KeyRef { head: self.head, host: Cow::Borrowed(&self.host), target: &self.target }
    }

    /// Bytes of text held.
    pub fn len(&self) -> usize {
        self.host.len() + self.target.len()
    }

    /// Whether there is no text at all.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl Hash for Key {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.as_ref().hash(state);
    }
}

impl Hash for KeyRef<'_> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.head.hash(state);
        self.host.as_ref().hash(state);
        self.target.hash(state);
    }
}

impl Equivalent<Key> for KeyRef<'_> {
    fn equivalent(&self, key: &Key) -> bool {
        self.head == key.head && *self.host == *key.host && *self.target == *key.target
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(method: Method, host: &'static str, uri: &str) -> Key {
        let target =
            Target { uri: uri.parse().unwrap(), host: Some(HeaderValue::from_static(host)), absolute: false };
        KeyRef::of(&method, &target).to_key()
    }

    #[test]
    fn the_same_resource_has_one_key_and_another_has_another() {
        let base = key(Method::GET, "hosp.example", "/a?b");
        assert_eq!(base, key(Method::GET, "HOSP.example:80", "/a?b"));
        assert_ne!(base, key(Method::HEAD, "hosp.example", "/a?b"));
        assert_ne!(base, key(Method::GET, "hosp.example:81", "/a?b"));
        assert_ne!(base, key(Method::GET, "hosp.example", "/a?B"));
        assert_ne!(base, key(Method::GET, "hosp.example", "/a"));
        assert!(base.as_ref().equivalent(&base));
    }
}
