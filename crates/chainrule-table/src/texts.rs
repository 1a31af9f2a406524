//! A column of texts: each distinct one once, in one piece of memory.

use crate::table::is_missing;
use std::hash::{BuildHasher, RandomState};

/// A column of texts: the distinct texts ("levels") in order of first appearance, and for each row its level.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Texts {
    levels: Levels,
    codes: Vec<u32>,
}

/// The code of a missing text.
const MISSING: u32 = u32::MAX;

/// Distinct texts end to end.
#[derive(Clone, Debug, Default, PartialEq)]
struct Levels {
    arena: String,
    ends: Vec<usize>,
}

impl Levels {
    fn get(&self, code: usize) -> &str {
        let start = if code == 0 { 0 } else { self.ends[code - 1] };
        &self.arena[start..self.ends[code]]
    }
}

impl Texts {
    /// The distinct texts, in order of first appearance.
    pub fn levels(&self) -> impl ExactSizeIterator<Item = &str> + Clone {
        (0..self.levels.ends.len()).map(|code| self.levels.get(code))
    }

    /// The text of a code.
    ///
    /// # Panics
    /// If there is no such code.
    pub fn level(&self, code: usize) -> &str {
        self.levels.get(code)
    }

    /// The position in [`Self::levels`] of the text in that row; none where missing.
    #[inline]
    pub fn code(&self, row: usize) -> Option<usize> {
        let code = self.codes[row];
        (code != MISSING).then_some(code as usize)
    }

    /// The text in that row; none where missing.
    pub fn get(&self, row: usize) -> Option<&str> {
        self.code(row).map(|code| self.levels.get(code))
    }

    /// The number of rows.
    pub fn len(&self) -> usize {
        self.codes.len()
    }

    /// Whether there is no row.
    pub fn is_empty(&self) -> bool {
        self.codes.is_empty()
    }
}

/// Collects texts and gives each distinct one its code.
///
/// The table of codes is open-addressed. Its hash has a seed of its own in every process, so that no file can be made to
/// collide; codes are given in order of appearance and do not depend on it.
pub(crate) struct Coder {
    texts: Texts,
    slots: Vec<u32>,
    seed: u64,
}

impl Default for Coder {
    fn default() -> Self {
        Self::with_missing(0)
    }
}

impl Coder {
    pub(crate) fn with_missing(rows: usize) -> Self {
        let texts = Texts { levels: Levels::default(), codes: vec![MISSING; rows] };
        Self { texts, slots: Vec::new(), seed: RandomState::new().hash_one(0) }
    }

    pub(crate) fn push(&mut self, text: &str) {
        match is_missing(text.trim()) {
            true => self.texts.codes.push(MISSING),
            false => {
                let code = self.code(text);
                self.texts.codes.push(code);
            }
        }
    }

    fn code(&mut self, text: &str) -> u32 {
        // Neighbours are often equal.
        if let Some(&last) = self.texts.codes.last()
            && last != MISSING
            && self.texts.levels.get(last as usize) == text
        {
            return last;
        }
        let levels = self.texts.levels.ends.len();
        if 2 * levels >= self.slots.len() {
            self.grow();
        }
        let mask = self.slots.len() - 1;
        let mut slot = hash(self.seed, text.as_bytes()) as usize & mask;
        loop {
            match self.slots[slot] {
                MISSING => break,
                code if self.texts.levels.get(code as usize) == text => return code,
                _ => slot = (slot + 1) & mask,
            }
        }
        self.slots[slot] = levels as u32; // The reader stops before 2³² rows.
        self.texts.levels.arena.push_str(text);
        self.texts.levels.ends.push(self.texts.levels.arena.len());
        levels as u32
    }

    fn grow(&mut self) {
        let size = (2 * self.slots.len()).max(16);
        self.slots = vec![MISSING; size];
        for code in 0..self.texts.levels.ends.len() {
            let mut slot = hash(self.seed, self.texts.levels.get(code).as_bytes()) as usize & (size - 1);
            while self.slots[slot] != MISSING {
                slot = (slot + 1) & (size - 1);
            }
            self.slots[slot] = code as u32;
        }
    }

    /// Adds all cells of another column.
    pub(crate) fn append(&mut self, other: &Texts) {
        let codes: Vec<u32> = other.levels().map(|level| self.code(level)).collect();
        self.texts.codes.extend(other.codes.iter().map(|&code| match code {
            MISSING => MISSING,
            code => codes[code as usize],
        }));
    }

    pub(crate) fn finish(mut self) -> Texts {
        self.texts.codes.shrink_to_fit();
        self.texts.levels.arena.shrink_to_fit();
        self.texts
    }
}

/// Folded multiplication over words of 8 bytes, as in wyhash (Wang Yi).
fn hash(seed: u64, bytes: &[u8]) -> u64 {
    const ODD: u64 = 0x9e37_79b9_7f4a_7c15;
    let fold = |a: u64, b: u64| {
        let product = u128::from(a) * u128::from(b);
        product as u64 ^ (product >> 64) as u64
    };
    let mut state = seed ^ (bytes.len() as u64).wrapping_mul(ODD);
    let (words, rest) = bytes.as_chunks::<8>();
    for word in words {
        state = fold(state ^ u64::from_le_bytes(*word), ODD ^ seed.rotate_left(32) | 1);
    }
    let last = rest.iter().fold(0, |word, byte| word << 8 | u64::from(*byte));
    fold(state ^ last, ODD ^ seed.rotate_left(32) | 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_text_has_one_code_in_order_of_appearance() {
        let mut coder = Coder::default();
        let cells: Vec<String> = (0..10_000).map(|i| format!("t{}", i * i % 3001)).collect();
        cells.iter().for_each(|cell| coder.push(cell));
        coder.push(" NA ");
        let texts = coder.finish();
        let mut seen: Vec<&str> = Vec::new();
        for (row, cell) in cells.iter().enumerate() {
            if !seen.contains(&cell.as_str()) {
                seen.push(cell);
            }
            assert_eq!(texts.get(row), Some(cell.as_str()));
        }
        assert_eq!(texts.levels().collect::<Vec<_>>(), seen);
        assert_eq!(texts.get(10_000), None);
    }

    #[test]
    fn columns_of_blocks_join() {
        let column = |cells: &[&str]| {
            let mut coder = Coder::default();
            cells.iter().for_each(|cell| coder.push(cell));
            coder
        };
        let mut joined = column(&["b", "a", ""]);
        joined.append(&column(&["c", "a", "?", "b"]).finish());
        assert_eq!(joined.finish(), column(&["b", "a", "", "c", "a", "?", "b"]).finish());
    }
}
