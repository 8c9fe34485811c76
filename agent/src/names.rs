//! Names by number: a bounded table in which each distinct name is stored once.

use std::borrow::Borrow;
use std::collections::HashMap;
use std::hash::Hash;
use std::sync::Arc;

use foldhash::fast::RandomState;

/// The name of everything beyond a cap.
pub const OTHER: &str = "_other";

/// Number of a name in its table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct NameId(u32);

impl NameId {
    /// [`OTHER`], in every table.
    pub const OTHER: Self = Self(0);
}

/// A bounded table of names, found by a key that is cheaper to compare than the name.
#[derive(Debug)]
pub struct Names<K> {
    ids: HashMap<K, NameId, RandomState>,
    texts: Vec<Arc<str>>,
    cap: usize,
}

impl<K: Hash + Eq> Names<K> {
    /// A table of at most `cap` names besides [`OTHER`].
    pub fn new(cap: usize) -> Self {
        Self { ids: HashMap::default(), texts: vec![OTHER.into()], cap }
    }

    /// The number of the name of `key`; `name` says what it is called when it is new. [`NameId::OTHER`] when
    /// it is new and the table is full.
    pub fn id<Q>(&mut self, key: &Q, name: impl FnOnce(&Q) -> (K, Arc<str>)) -> NameId
    where
        K: Borrow<Q>,
        Q: Hash + Eq + ?Sized,
    {
        if let Some(&id) = self.ids.get(key) {
            return id;
        }
        if self.ids.len() >= self.cap {
            return NameId::OTHER;
        }
        let id = NameId(u32::try_from(self.texts.len()).expect("the cap is far below 2^32"));
        let (key, text) = name(key);
        self.texts.push(text);
        self.ids.insert(key, id);
        id
    }

    /// Whether more than half of the table is taken.
    pub fn half_full(&self) -> bool {
        self.ids.len() > self.cap / 2
    }

    /// The name of that number.
    pub fn text(&self, id: NameId) -> &Arc<str> {
        &self.texts[id.0 as usize]
    }
}

impl Names<Arc<str>> {
    /// The number of `text`, if it has one.
    pub fn get(&self, text: &str) -> Option<NameId> {
        self.ids.get(text).copied()
    }

    /// The number of `text`.
    pub fn intern(&mut self, text: &str) -> NameId {
        if text == OTHER {
            return NameId::OTHER;
        }
        self.id(text, |text| {
            let text: Arc<str> = text.into();
            (text.clone(), text)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_beyond_the_cap_share_one_number() {
        let mut names = Names::new(2);
        let (a, b) = (names.intern("a"), names.intern("b"));
        assert_ne!(a, b);
        assert_eq!(names.intern("c"), NameId::OTHER);
        assert_eq!(names.intern("a"), a, "a known name keeps its number when the table is full");
        assert_eq!(&**names.text(NameId::OTHER), OTHER);
        assert_eq!(&**names.text(b), "b");
    }

    #[test]
    fn a_name_that_looks_like_the_overflow_is_the_overflow() {
        assert_eq!(Names::new(2).intern(OTHER), NameId::OTHER);
    }
}
