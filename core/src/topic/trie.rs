//! A trie of patterns: which of them match a key, at a cost that does not depend on how many there
//! are.
//!
//! Every word of a pattern is a node. Nodes live in one vector and name each other by index, so
//! that neither a pattern of 32,767 words nor the end of the trie recurses. The edges of all nodes
//! are one hash table: a child is found by its parent's index and its word, and costs four bytes
//! there.
//!
//! ```text
//!   a.b      a.*.c      a.#.d                    ROOT ─ a ─┬─ b
//!                                                          ├─ * ─ c
//!                                                          └─ # ─ d
//! ```
//!
//! Matching walks all paths at once, one word after the other, as a set of nodes. A `#` node keeps
//! itself in the set once it is reached, so it is entered once at most, and so is each of its
//! children per word: the cost is bounded by words × nodes reached, never exponential.
//!
//! MQTT patterns that start with a wildcard hang under a second root, which a key that starts with
//! `$` does not enter.

use foldhash::fast::RandomState;
use hashbrown::{HashSet, HashTable};
use smallvec::SmallVec;
use std::hash::BuildHasher;

use super::{Pattern, Token, words};

/// A map from patterns to values of which the values of all matching patterns can be asked for.
/// Patterns that mean the same, such as `a.b` in either syntax, are one.
///
/// ```
/// use leveret_core::{Pattern, Trie};
/// let mut trie = Trie::default();
/// *trie.entry(Pattern::amqp("a.*")) = 1;
/// let mut found = Vec::new();
/// trie.for_each_match("a.b", |value| found.push(*value));
/// assert_eq!(found, [1]);
/// ```
#[derive(Debug, Clone)]
pub struct Trie<V> {
    nodes: Vec<Node<V>>,
    free: Vec<u32>,
    /// Literal children, by parent and word. Its order never shows; the seed, which differs from
    /// process to process, keeps peers from choosing words that collide.
    edges: HashTable<u32>,
    hasher: RandomState,
}

#[derive(Debug, Clone)]
struct Node<V> {
    word: Box<str>,
    value: Option<V>,
    parent: u32,
    one: u32,
    many: u32,
    literal_children: u32,
}

impl<V> Default for Trie<V> {
    fn default() -> Self {
        Trie {
            nodes: vec![Node::new("", NONE), Node::new("", NONE)],
            free: Vec::new(),
            edges: HashTable::new(),
            hasher: RandomState::default(),
        }
    }
}

impl<V> Trie<V> {
    /// The value of a pattern, created if it is not there.
    pub fn entry(&mut self, pattern: Pattern<'_>) -> &mut V
    where
        V: Default,
    {
        let mut node = root_of(pattern);
        for token in pattern.tokens() {
            node = match self.child(node, token) {
                Some(child) => child,
                None => self.add_child(node, token),
            };
        }
        self.node_mut(node).value.get_or_insert_default()
    }

    /// The value of exactly this pattern.
    pub fn get_mut(&mut self, pattern: Pattern<'_>) -> Option<&mut V> {
        let node = self.find(pattern)?;
        self.node_mut(node).value.as_mut()
    }

    /// Takes a pattern out, with the nodes that only it needed.
    pub fn remove(&mut self, pattern: Pattern<'_>) -> Option<V> {
        let node = self.find(pattern)?;
        let value = self.node_mut(node).value.take()?;
        self.prune(node);
        Some(value)
    }

    /// Calls `visit` with the value of every pattern that matches `key`, each once, in an order
    /// that depends on nothing but the patterns and the key.
    pub fn for_each_match<'a>(&'a self, key: &str, visit: impl FnMut(&'a V)) {
        let mut walk = Walk::new(self, visit);
        walk.enter(ROOT);
        if !key.starts_with('$') {
            walk.enter(DOLLAR_SHY_ROOT);
        }
        for word in words(key) {
            if walk.is_over() {
                return;
            }
            walk.step(word);
        }
        walk.finish();
    }

    fn find(&self, pattern: Pattern<'_>) -> Option<u32> {
        pattern.tokens().try_fold(root_of(pattern), |node, token| self.child(node, token))
    }

    fn child(&self, parent: u32, token: Token<'_>) -> Option<u32> {
        match token {
            Token::One => some(self.node(parent).one),
            Token::Many => some(self.node(parent).many),
            Token::Word(word) => self.literal_child(parent, word),
        }
    }

    fn literal_child(&self, parent: u32, word: &str) -> Option<u32> {
        if self.node(parent).literal_children == 0 {
            return None;
        }
        let is_it = |&child: &u32| {
            let node = self.node(child);
            node.parent == parent && *node.word == *word
        };
        self.edges.find(self.hasher.hash_one((parent, word)), is_it).copied()
    }

    fn add_child(&mut self, parent: u32, token: Token<'_>) -> u32 {
        let Token::Word(word) = token else {
            let child = self.allocate(Node::new("", parent));
            let above = self.node_mut(parent);
            *(if token == Token::One { &mut above.one } else { &mut above.many }) = child;
            return child;
        };
        let child = self.allocate(Node::new(word, parent));
        self.node_mut(parent).literal_children += 1;
        let (nodes, hasher) = (&self.nodes, &self.hasher);
        self.edges.insert_unique(hasher.hash_one((parent, word)), child, |&other| {
            let node = &nodes[other as usize];
            hasher.hash_one((node.parent, &*node.word))
        });
        child
    }

    fn allocate(&mut self, node: Node<V>) -> u32 {
        if let Some(index) = self.free.pop() {
            *self.node_mut(index) = node;
            return index;
        }
        self.nodes.push(node);
        u32::try_from(self.nodes.len() - 1).expect("fewer than 2^32 nodes fit into memory")
    }

    /// Removes a node that holds nothing and leads nowhere, and then its parents in the same state.
    fn prune(&mut self, mut index: u32) {
        while self.node(index).is_idle() && index > DOLLAR_SHY_ROOT {
            let parent = self.node(index).parent;
            self.unlink(parent, index);
            *self.node_mut(index) = Node::new("", NONE);
            self.free.push(index);
            index = parent;
        }
        if self.free.len() + 2 == self.nodes.len() {
            // Only the roots are left, with the value of the empty pattern if it has one.
            self.nodes.truncate(2);
            self.nodes.shrink_to_fit();
            self.free = Vec::new();
            self.edges = HashTable::new();
        }
    }

    fn unlink(&mut self, parent: u32, child: u32) {
        let hash = self.hasher.hash_one((parent, &*self.node(child).word));
        let above = self.node_mut(parent);
        if above.one == child {
            above.one = NONE;
        } else if above.many == child {
            above.many = NONE;
        } else {
            above.literal_children -= 1;
            self.edges
                .find_entry(hash, |&other| other == child)
                .expect("a literal child has an edge")
                .remove();
        }
    }

    fn node(&self, index: u32) -> &Node<V> {
        &self.nodes[index as usize]
    }

    fn node_mut(&mut self, index: u32) -> &mut Node<V> {
        &mut self.nodes[index as usize]
    }
}

impl<V> Node<V> {
    fn new(word: &str, parent: u32) -> Self {
        Node { word: word.into(), value: None, parent, one: NONE, many: NONE, literal_children: 0 }
    }

    fn is_leaf(&self) -> bool {
        self.literal_children == 0 && self.one == NONE && self.many == NONE
    }

    fn is_idle(&self) -> bool {
        self.value.is_none() && self.is_leaf()
    }
}

/// All paths that the words seen so far lead to.
struct Walk<'a, V, F> {
    trie: &'a Trie<V>,
    visit: F,
    /// Where paths without `#` at their end stand.
    here: Nodes,
    next: Nodes,
    /// The `#` nodes that something follows. They swallow every further word.
    loops: Nodes,
    entered: Entered,
}

impl<'a, V, F: FnMut(&'a V)> Walk<'a, V, F> {
    fn new(trie: &'a Trie<V>, visit: F) -> Self {
        Walk {
            trie,
            visit,
            here: Nodes::new(),
            next: Nodes::new(),
            loops: Nodes::new(),
            entered: Entered::default(),
        }
    }

    /// Adds a node, and the `#` nodes that no word separates from it. A `#` node that was reached
    /// matches whatever follows, so its value is due at once.
    fn enter(&mut self, index: u32) {
        self.here.push(index);
        let mut many = self.trie.node(index).many;
        while many != NONE && self.entered.insert(many) {
            let node = self.trie.node(many);
            if let Some(value) = &node.value {
                (self.visit)(value);
            }
            if !node.is_leaf() {
                self.loops.push(many);
            }
            many = node.many;
        }
    }

    fn step(&mut self, word: &str) {
        std::mem::swap(&mut self.here, &mut self.next);
        self.here.clear();
        // Loops that this word opens begin with the next one.
        let loops = self.loops.len();
        for i in 0..self.next.len() {
            self.follow(self.next[i], word);
        }
        for i in 0..loops {
            self.follow(self.loops[i], word);
        }
    }

    fn follow(&mut self, from: u32, word: &str) {
        if let Some(child) = self.trie.literal_child(from, word) {
            self.enter(child);
        }
        if let Some(child) = some(self.trie.node(from).one) {
            self.enter(child);
        }
    }

    fn is_over(&self) -> bool {
        self.here.is_empty() && self.loops.is_empty()
    }

    fn finish(mut self) {
        for &index in &self.here {
            if let Some(value) = &self.trie.node(index).value {
                (self.visit)(value);
            }
        }
    }
}

/// The `#` nodes of a walk: a list while they are few, as they nearly always are.
#[derive(Default)]
struct Entered {
    few: SmallVec<[u32; ENTERED_FEW]>,
    more: HashSet<u32, RandomState>,
}

impl Entered {
    /// Whether it was not there before.
    fn insert(&mut self, index: u32) -> bool {
        if self.few.contains(&index) {
            return false;
        }
        if self.few.len() < ENTERED_FEW {
            self.few.push(index);
            return true;
        }
        self.more.insert(index)
    }
}

type Nodes = SmallVec<[u32; 16]>;

fn root_of(pattern: Pattern<'_>) -> u32 {
    if pattern.hides_dollar() { DOLLAR_SHY_ROOT } else { ROOT }
}

fn some(index: u32) -> Option<u32> {
    (index != NONE).then_some(index)
}

const ROOT: u32 = 0;
const DOLLAR_SHY_ROOT: u32 = 1;
const NONE: u32 = u32::MAX;
const ENTERED_FEW: usize = 16;

#[cfg(test)]
mod tests {
    use super::super::pattern::{AMQP_CASES, MQTT_CASES};
    use super::*;

    fn matches(trie: &Trie<u32>, key: &str) -> Vec<u32> {
        let mut found = Vec::new();
        trie.for_each_match(key, |value| found.push(*value));
        found.sort_unstable();
        found
    }

    #[test]
    fn it_agrees_with_single_patterns_on_the_corner_cases() {
        let cases = |cases: &'static [(&str, &str, bool)],
                     of: fn(&'static str) -> Pattern<'static>| {
            cases.iter().map(move |&(pattern, key, expected)| (of(pattern), key, expected))
        };
        let mut trie = Trie::default();
        for (pattern, key, expected) in
            cases(AMQP_CASES, Pattern::amqp).chain(cases(MQTT_CASES, Pattern::mqtt))
        {
            *trie.entry(pattern) = 1;
            assert_eq!(!matches(&trie, key).is_empty(), expected, "{pattern:?} on {key:?}");
            assert_eq!(trie.remove(pattern), Some(1));
        }
    }

    #[test]
    fn the_empty_pattern_outlasts_the_last_of_the_others() {
        let mut trie = Trie::default();
        *trie.entry(Pattern::amqp("")) = 1;
        *trie.entry(Pattern::amqp("a")) = 2;
        trie.remove(Pattern::amqp("a"));
        assert_eq!(matches(&trie, ""), [1]);
        *trie.entry(Pattern::amqp("b.*")) = 3;
        assert_eq!(matches(&trie, "b.c"), [3]);
    }

    #[test]
    fn all_patterns_that_match_are_found_once() {
        let mut trie = Trie::default();
        for (value, &(pattern, ..)) in (0u32..).zip(AMQP_CASES) {
            *trie.entry(Pattern::amqp(pattern)) = value;
        }
        for key in ["", "a", "a.b", "a.x.y.b", "a.b.b", "x.a.x.a"] {
            let found = matches(&trie, key);
            let mut once = found.clone();
            once.dedup();
            assert_eq!(found, once);
            for pattern in AMQP_CASES.iter().map(|case| case.0) {
                let value = *trie.get_mut(Pattern::amqp(pattern)).unwrap();
                assert_eq!(found.contains(&value), Pattern::amqp(pattern).matches(key));
            }
        }
    }

    #[test]
    fn removal_prunes_the_nodes_that_nothing_needs() {
        let mut trie = Trie::default();
        *trie.entry(Pattern::amqp("a.b")) = 1;
        *trie.entry(Pattern::amqp("a.b.*.#.c")) = 2;
        *trie.entry(Pattern::mqtt("+.b")) = 3;
        assert_eq!(trie.remove(Pattern::amqp("a.b.*.#.c")), Some(2));
        assert_eq!(trie.nodes.len() - trie.free.len(), 2 + 2 + 2);
        assert_eq!(trie.remove(Pattern::amqp("a.b.*.#.c")), None);
        assert_eq!(trie.remove(Pattern::amqp("a")), None);
        assert_eq!(matches(&trie, "a.b"), [1, 3]);
        trie.remove(Pattern::amqp("a.b"));
        trie.remove(Pattern::mqtt("+.b"));
        assert_eq!((trie.nodes.len(), trie.free.len(), trie.edges.len()), (2, 0, 0));
    }

    #[test]
    fn a_pattern_of_32767_words_neither_overflows_nor_lingers() {
        let deep = ["+"; 32_767].join(".");
        let mut trie = Trie::default();
        *trie.entry(Pattern::mqtt(&deep)) = 1;
        assert_eq!(matches(&trie, &["x"; 32_767].join(".")), [1]);
        assert_eq!(trie.remove(Pattern::mqtt(&deep)), Some(1));
        assert_eq!(trie.nodes.len(), 2);
    }

    #[test]
    fn nested_hashes_stay_polynomial() {
        let mut trie = Trie::default();
        *trie.entry(Pattern::amqp(&(["#.a"; 100].join(".") + ".b"))) = 1;
        *trie.entry(Pattern::amqp(&["#.a"; 100].join("."))) = 2;
        assert_eq!(matches(&trie, &["a"; 2_000].join(".")), [2]);
    }
}
