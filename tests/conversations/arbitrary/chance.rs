//! Choices out of octets: the same octets make the same choices, and a fuzzer can learn from them.

/// Octets that have not been used.
pub struct Chance<'a>(&'a [u8]);

impl<'a> Chance<'a> {
    pub fn new(octets: &'a [u8]) -> Self {
        Chance(octets)
    }

    pub fn is_over(&self) -> bool {
        self.0.is_empty()
    }

    /// The next octet; 0 when there is none.
    pub fn octet(&mut self) -> u8 {
        let Some((&first, rest)) = self.0.split_first() else { return 0 };
        self.0 = rest;
        first
    }

    pub fn below(&mut self, limit: usize) -> usize {
        usize::from(self.octet()) % limit
    }

    /// Seldom true, and never when nothing is left.
    pub fn one_in(&mut self, odds: usize) -> bool {
        self.below(odds) == odds - 1
    }

    pub fn pick<T: Copy>(&mut self, from: &[T]) -> T {
        from[self.below(from.len())]
    }

    pub fn octets(&mut self, len: usize) -> Vec<u8> {
        (0..len).map(|_| self.octet()).collect()
    }
}
