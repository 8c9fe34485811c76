//! The fields of a request's head, for as many tries as it takes.
//!
//! Nearly every request is tried once, and sending takes a map away for good. So the first try gets the map that came
//! with the request, and only a plain list is kept: copying the map itself costs twice as much.

use std::cell::RefCell;

use http::{HeaderMap, HeaderName, HeaderValue};

/// The fields of a request's head.
#[derive(Debug)]
pub struct Fields {
    list: Vec<(HeaderName, HeaderValue)>,
    /// The same as a map, until it is taken.
    map: RefCell<Option<HeaderMap>>,
}

impl Fields {
    /// The fields of `map`.
    pub fn new(map: HeaderMap) -> Self {
        let list = map.iter().map(|(name, value)| (name.clone(), value.clone())).collect();
        Self { list, map: RefCell::new(Some(map)) }
    }

    /// Whether there is one of this name.
    pub fn contains(&self, name: &HeaderName) -> bool {
        self.list.iter().any(|(own, _)| own == name)
    }

    /// A map of them: the first time the one that they came in, afterwards a new one.
    pub fn to_map(&self) -> HeaderMap {
        self.map.borrow_mut().take().unwrap_or_else(|| self.list.iter().cloned().collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_map_is_the_same() {
        let mut map = HeaderMap::new();
        for (name, value) in [("a", "1"), ("b", "2"), ("a", "3"), ("host", "x"), ("a", "")] {
            map.append(HeaderName::from_static(name), HeaderValue::from_static(value));
        }
        let fields = Fields::new(map.clone());
        for _ in 0..3 {
            assert_eq!(fields.to_map(), map);
        }
    }
}
