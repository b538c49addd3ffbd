//! What the cache holds: whole objects up to a number of bytes, the one not asked for longest leaves
//! first.

use std::collections::BTreeMap;

use bytes::Bytes;

/// Hash of what an object is found by, its variant included.
pub(super) type Key = [u8; 16];

/// What an object costs beside its bytes: two map entries and a few allocations.
const OVERHEAD: usize = 256;

/// A stored answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Object {
    /// Path and query, to be purged by.
    pub(super) path: Box<[u8]>,
    /// The head and its times, as the cache library writes them.
    pub(super) meta: (Vec<u8>, Vec<u8>),
    pub(super) body: Bytes,
}

/// Objects and the order in which they were last asked for.
#[derive(Debug)]
pub(super) struct Shelf {
    limit: usize,
    bytes: usize,
    objects: BTreeMap<Key, (u64, Object)>,
    /// By when they were last asked for.
    order: BTreeMap<u64, Key>,
    asked: u64,
    purges: Purges,
}

/// How often something was purged. What was fetched before a purge is not put on the shelf after it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Purges(u64);

impl Shelf {
    /// An empty shelf for so many bytes, overhead included.
    pub(super) fn new(limit: usize) -> Self {
        let (objects, order) = (BTreeMap::new(), BTreeMap::new());
        Self { limit, bytes: 0, objects, order, asked: 0, purges: Purges::default() }
    }

    /// Returns an object, which is now the last one to leave.
    pub(super) fn get(&mut self, key: &Key) -> Option<&Object> {
        let (asked, object) = self.objects.get_mut(key)?;
        self.order.remove(asked);
        self.asked += 1;
        *asked = self.asked;
        self.order.insert(self.asked, *key);
        Some(object)
    }

    /// Puts an object on the shelf, and returns how many had to leave for it. One that was begun
    /// before the last purge is not taken, nor one that is larger than the shelf.
    pub(super) fn put(&mut self, key: Key, object: Object, begun: Purges) -> usize {
        if begun != self.purges || object.cost() > self.limit {
            return 0;
        }
        self.remove(&key);
        self.bytes += object.cost();
        self.asked += 1;
        self.order.insert(self.asked, key);
        self.objects.insert(key, (self.asked, object));
        let mut left = 0;
        while self.bytes > self.limit
            && let Some((_, oldest)) = self.order.first_key_value()
        {
            let oldest = *oldest;
            self.remove(&oldest);
            left += 1;
        }
        left
    }

    /// Gives an object another head, its body confirmed. Returns whether it is there.
    pub(super) fn renew(&mut self, key: &Key, meta: (Vec<u8>, Vec<u8>)) -> bool {
        let Some((_, object)) = self.objects.get_mut(key) else { return false };
        self.bytes -= object.cost();
        object.meta = meta;
        self.bytes += object.cost();
        true
    }

    pub(super) fn remove(&mut self, key: &Key) -> bool {
        let Some((asked, object)) = self.objects.remove(key) else { return false };
        self.order.remove(&asked);
        self.bytes -= object.cost();
        true
    }

    /// Removes what was stored under such paths, in all variants, and returns how many there were.
    pub(super) fn purge(&mut self, is_meant: impl Fn(&[u8]) -> bool) -> usize {
        self.purges.0 += 1;
        let meant: Vec<Key> = self
            .objects
            .iter()
            .filter(|(_, (_, object))| is_meant(&object.path))
            .map(|(key, _)| *key)
            .collect();
        for key in &meant {
            self.remove(key);
        }
        meant.len()
    }

    pub(super) fn purges(&self) -> Purges {
        self.purges
    }

    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    pub(super) fn len(&self) -> usize {
        self.objects.len()
    }
}

impl Object {
    fn cost(&self) -> usize {
        let (times, head) = &self.meta;
        OVERHEAD + self.path.len() + times.len() + head.len() + self.body.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_object_not_asked_for_longest_leaves_first() {
        let mut shelf = shelf_for(3);
        for key in 1..=3 {
            put(&mut shelf, key);
        }
        assert!(shelf.get(&[1; 16]).is_some());
        assert_eq!(put(&mut shelf, 4), 1);
        assert_eq!(keys(&shelf), [1, 3, 4]);
    }

    #[test]
    fn the_bytes_never_exceed_the_limit_and_are_counted_back() {
        let mut shelf = shelf_for(3);
        for key in 1..=9 {
            put(&mut shelf, key);
            assert!(shelf.bytes() <= shelf.limit);
        }
        assert!(shelf.renew(&[9; 16], (vec![0; 7], vec![])));
        assert_eq!(shelf.bytes(), 3 * size() + 7);
        assert_eq!(shelf.purge(|_| true), 3);
        assert_eq!((shelf.bytes(), shelf.len(), shelf.order.len()), (0, 0, 0));
    }

    #[test]
    fn an_object_larger_than_the_shelf_makes_nothing_leave() {
        let mut shelf = shelf_for(1);
        put(&mut shelf, 1);
        let large = Object { body: vec![0; 2 * size()].into(), ..object(2) };
        assert_eq!(shelf.put([2; 16], large, Purges::default()), 0);
        assert_eq!(keys(&shelf), [1]);
    }

    #[test]
    fn a_second_version_takes_the_place_of_the_first() {
        let mut shelf = shelf_for(2);
        put(&mut shelf, 1);
        put(&mut shelf, 1);
        assert_eq!((shelf.bytes(), shelf.len(), shelf.order.len()), (size(), 1, 1));
    }

    #[test]
    fn what_was_fetched_before_a_purge_is_not_kept_after_it() {
        let mut shelf = shelf_for(2);
        let begun = shelf.purges();
        assert_eq!(shelf.purge(|path| path == b"/1"), 0);
        shelf.put([1; 16], object(1), begun);
        assert_eq!(shelf.len(), 0);
    }

    #[test]
    fn a_purge_takes_what_is_meant_and_leaves_the_rest() {
        let mut shelf = shelf_for(3);
        for key in 1..=3 {
            put(&mut shelf, key);
        }
        assert_eq!(shelf.purge(|path| path.starts_with(b"/2")), 1);
        assert_eq!(keys(&shelf), [1, 3]);
    }

    fn object(number: u8) -> Object {
        let path = format!("/{number}").into_bytes().into();
        Object { path, meta: (vec![], vec![]), body: vec![0; 100].into() }
    }

    fn size() -> usize {
        object(1).cost()
    }

    fn shelf_for(objects: usize) -> Shelf {
        Shelf::new(objects * size())
    }

    fn put(shelf: &mut Shelf, number: u8) -> usize {
        shelf.put([number; 16], object(number), shelf.purges())
    }

    fn keys(shelf: &Shelf) -> Vec<u8> {
        shelf.objects.keys().map(|key| key[0]).collect()
    }
}
