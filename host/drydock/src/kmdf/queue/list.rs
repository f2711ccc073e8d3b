//! An ordered list with O(1) insertion at both ends and O(1) removal from anywhere.
//!
//! A queue may hold a million requests and any of them may be cancelled, so neither a `Vec` nor a
//! `VecDeque` will do. Entries live in a slab and are linked by index; the index is the key that a request
//! keeps while it is in the list. Order is the order of insertion, never an address or a hash.

/// Names one entry of a [`List`] for as long as the entry is in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Key(u32);

const NIL: u32 = u32::MAX;

#[derive(Debug)]
struct Node<T> {
    item: Option<T>,
    previous: u32,
    next: u32,
}

/// A doubly linked list in a slab.
#[derive(Debug)]
pub struct List<T> {
    nodes: Vec<Node<T>>,
    free: u32,
    head: u32,
    tail: u32,
    len: usize,
}

impl<T> Default for List<T> {
    fn default() -> Self {
        Self {
            nodes: Vec::new(),
            free: NIL,
            head: NIL,
            tail: NIL,
            len: 0,
        }
    }
}

impl<T> List<T> {
    /// Number of entries.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether nothing is in the list.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Appends an entry.
    pub fn push_back(&mut self, item: T) -> Key {
        let at = self.take_node(item);
        let last = self.tail;
        self.node_mut(at).previous = last;
        if last == NIL {
            self.head = at;
        } else {
            self.node_mut(last).next = at;
        }
        self.tail = at;
        Key(at)
    }

    /// Puts an entry before all others.
    pub fn push_front(&mut self, item: T) -> Key {
        let at = self.take_node(item);
        let first = self.head;
        self.node_mut(at).next = first;
        if first == NIL {
            self.tail = at;
        } else {
            self.node_mut(first).previous = at;
        }
        self.head = at;
        Key(at)
    }

    /// Takes an entry out.
    ///
    /// # Panics
    /// If `key` is not in the list: the model has lost track of a request.
    pub fn remove(&mut self, key: Key) -> T {
        let node = &mut self.nodes[key.0 as usize];
        let item = node
            .item
            .take()
            .expect("a key names an entry only while the entry is in the list");
        let (previous, next) = (node.previous, node.next);
        node.next = self.free;
        self.free = key.0;
        self.len -= 1;
        if previous == NIL {
            self.head = next;
        } else {
            self.node_mut(previous).next = next;
        }
        if next == NIL {
            self.tail = previous;
        } else {
            self.node_mut(next).previous = previous;
        }
        item
    }

    /// Takes the first entry out.
    pub fn pop_front(&mut self) -> Option<T> {
        (self.head != NIL).then(|| self.remove(Key(self.head)))
    }

    /// The entry `key` names.
    pub fn get(&self, key: Key) -> Option<&T> {
        self.nodes.get(key.0 as usize)?.item.as_ref()
    }

    /// Key of the first entry.
    pub fn first(&self) -> Option<Key> {
        (self.head != NIL).then_some(Key(self.head))
    }

    /// Key of the entry after `key`.
    pub fn after(&self, key: Key) -> Option<Key> {
        let next = self.nodes[key.0 as usize].next;
        (next != NIL).then_some(Key(next))
    }

    /// All entries with their keys, first to last.
    pub fn iter(&self) -> impl Iterator<Item = (Key, &T)> {
        let mut at = self.first();
        std::iter::from_fn(move || {
            let key = at?;
            at = self.after(key);
            Some((key, self.get(key)?))
        })
    }

    fn node_mut(&mut self, at: u32) -> &mut Node<T> {
        &mut self.nodes[at as usize]
    }

    fn take_node(&mut self, item: T) -> u32 {
        self.len += 1;
        let node = Node {
            item: Some(item),
            previous: NIL,
            next: NIL,
        };
        if self.free == NIL {
            self.nodes.push(node);
            u32::try_from(self.nodes.len() - 1).expect("fewer than 2^32 requests in a queue")
        } else {
            let at = self.free;
            self.free = self.nodes[at as usize].next;
            self.nodes[at as usize] = node;
            at
        }
    }
}

#[cfg(test)]
mod tests {
    use super::List;

    fn contents(list: &List<u32>) -> Vec<u32> {
        list.iter().map(|(_, &item)| item).collect()
    }

    /// R-QUE-40: arrival order, requeued ones first.
    #[test]
    fn entries_keep_their_order_with_insertions_at_both_ends() {
        let mut list = List::default();
        list.push_back(2);
        list.push_back(3);
        list.push_front(1);
        assert_eq!(contents(&list), [1, 2, 3]);
        assert_eq!(list.len(), 3);
    }

    #[test]
    fn an_entry_is_removed_from_anywhere_and_its_place_is_used_again() {
        let mut list = List::default();
        let keys: Vec<_> = (0..5).map(|item| list.push_back(item)).collect();
        for (at, left) in [(2, vec![0, 1, 3, 4]), (0, vec![1, 3, 4]), (4, vec![1, 3])] {
            assert_eq!(list.remove(keys[at]), at as u32);
            assert_eq!(contents(&list), left);
        }
        list.push_back(9);
        list.push_back(10);
        assert_eq!(contents(&list), [1, 3, 9, 10]);
        assert_eq!(list.nodes.len(), 5);
        assert_eq!(list.pop_front(), Some(1));
        assert_eq!(list.first().and_then(|key| list.get(key)), Some(&3));
    }
}
