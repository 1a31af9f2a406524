//! From a seed to well-mixed words: NumPy's `SeedSequence`.

use std::array;

/// The words of the pool.
const POOL: usize = 4;

/// A seed, mixed so that seeds that differ in one bit give unrelated generators; NumPy's `SeedSequence`.
///
/// It is made from an integer or a list of integers (`u64`; larger ones by [`from_u128`](Self::from_u128) and
/// [`from_words`](Self::from_words)), and goes wherever a seed is asked for. As in NumPy a list is nothing but its
/// words in a row, least significant first: `[1 + (2 << 32), 7]` seeds as `[1, 2, 7]` does.
///
/// Source: M. E. O'Neill, "Developing a seed_seq Alternative", 2015; NumPy, `numpy/random/bit_generator.pyx`.
///
/// ```
/// use chainrule::random::{SeedSequence, default_rng};
///
/// let mut parent = SeedSequence::from(42);
/// assert_eq!(parent.generate_state(), [0xcd540ab7, 0x9f1e2e6d]);
/// let child = parent.spawn();
/// assert_eq!(default_rng(child).random_f64(), 0.9167441575549085);
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SeedSequence {
    /// The seed's words and, behind at least four of them, the spawn key's.
    words: Vec<u32>,
    pub(super) pool: [u32; POOL],
    spawned: u64,
}

/// The pool that any number of words is mixed into.
fn mixed(words: &[u32]) -> [u32; POOL] {
    let mut hash = Hash { running: 0x43b0_d7e5, multiplier: 0x931e_8875 };
    let mut pool = array::from_fn(|i| hash.of(words.get(i).copied().unwrap_or(0)));
    for from in 0..POOL {
        for to in (0..POOL).filter(|&to| to != from) {
            pool[to] = mix(pool[to], hash.of(pool[from]));
        }
    }
    for &word in words.iter().skip(POOL) {
        for to in 0..POOL {
            pool[to] = mix(pool[to], hash.of(word));
        }
    }
    pool
}

fn state_of(pool: [u32; POOL]) -> impl FnMut() -> u32 {
    let mut hash = Hash { running: 0x8b51_f9dd, multiplier: 0x58f3_8ded };
    let mut pool = pool.into_iter().cycle();
    move || hash.of(pool.next().unwrap_or(0))
}

/// `SeedSequence::from_words(words).generate_state()` without keeping the words: it allocates nothing.
pub(super) fn state_from_words<const N: usize>(words: &[u32]) -> [u32; N] {
    let mut state = state_of(mixed(words));
    array::from_fn(|_| state())
}

impl From<u64> for SeedSequence {
    fn from(seed: u64) -> Self {
        Self::from_u128(seed.into())
    }
}

impl<const N: usize> From<[u64; N]> for SeedSequence {
    fn from(seeds: [u64; N]) -> Self {
        seeds[..].into()
    }
}

impl From<&[u64]> for SeedSequence {
    fn from(seeds: &[u64]) -> Self {
        Self::new(seeds.iter().flat_map(|&seed| words(seed.into())).collect())
    }
}

impl SeedSequence {
    /// The seed `seed`.
    pub fn from_u128(seed: u128) -> Self {
        Self::new(words(seed).collect())
    }

    /// The words as they are, as NumPy takes an array of `uint32`; an integer of any size is its words, least
    /// significant first, without zeros behind its most significant one.
    pub fn from_words(words: &[u32]) -> Self {
        Self::new(words.to_vec())
    }

    fn new(words: Vec<u32>) -> Self {
        Self { pool: mixed(&words), words, spawned: 0 }
    }

    /// N words to seed a generator with; NumPy's `generate_state(N)`.
    pub fn generate_state<const N: usize>(&self) -> [u32; N] {
        let mut state = self.state();
        array::from_fn(|_| state())
    }

    /// N double words, each with its low half first; NumPy's `generate_state(N, np.uint64)`.
    pub fn generate_state_u64<const N: usize>(&self) -> [u64; N] {
        let mut state = self.state();
        array::from_fn(|_| u64::from(state()) | u64::from(state()) << 32)
    }

    fn state(&self) -> impl FnMut() -> u32 {
        state_of(self.pool)
    }

    /// The next child: its numbers are unrelated to the parent's and to every other child's.
    ///
    /// NumPy's `spawn(n)` is n calls of this.
    pub fn spawn(&mut self) -> Self {
        let mut child = self.words.clone();
        child.resize(child.len().max(POOL), 0);
        child.extend(words(self.spawned.into()));
        self.spawned += 1;
        Self::new(child)
    }
}

/// The 32-bit words of an integer, least significant first; one word for 0.
fn words(integer: u128) -> impl Iterator<Item = u32> {
    let count = (128 - integer.leading_zeros()).div_ceil(32).max(1);
    (0..count).map(move |i| (integer >> (32 * i)) as u32)
}

/// A hash whose constant runs on with every word.
struct Hash {
    running: u32,
    multiplier: u32,
}

impl Hash {
    fn of(&mut self, word: u32) -> u32 {
        let word = word ^ self.running;
        self.running = self.running.wrapping_mul(self.multiplier);
        let word = word.wrapping_mul(self.running);
        word ^ word >> 16
    }
}

fn mix(x: u32, y: u32) -> u32 {
    let mixed = x.wrapping_mul(0xca01_f9dd).wrapping_sub(y.wrapping_mul(0x4973_f715));
    mixed ^ mixed >> 16
}
