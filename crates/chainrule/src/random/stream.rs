//! Streams of random numbers with direct access, for use inside training.

use super::Philox;

/// What a [`Stream`] is for; streams of different purposes are unrelated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// Which activations dropout keeps.
    Dropout {
        /// The position of the dropout layer in the layer list, from 0.
        layer: usize,
    },
}

impl Purpose {
    /// The purpose in three words of fixed place.
    fn words(self) -> [u32; 3] {
        match self {
            Self::Dropout { layer } => [1, layer as u32, (layer as u64 >> 32) as u32],
        }
    }
}

/// The random numbers of one (seed, purpose, step); element k is computed directly, whatever was asked for before.
///
/// The numbers are [`Philox`]'s:
/// - key: the first two words of `SeedSequence::from_words([seed mod 2³², ⌊seed / 2³²⌋, p₀, p₁, p₂])`, where p is the
///   purpose: for dropout 1, layer mod 2³², ⌊layer / 2³²⌋;
/// - element k is word k mod 4 of the block whose counter is [b mod 2³², ⌊b / 2³²⌋, step mod 2³², ⌊step / 2³²⌋] with
///   b = ⌊k / 4⌋.
///
/// So every seed, step and k is its own, and no two elements of a seed and purpose share a counter.
///
/// ```
/// use chainrule::random::{Purpose, Stream};
///
/// let stream = Stream::new(1, Purpose::Dropout { layer: 2 }, 7);
/// let mut elements = [0; 100];
/// stream.fill(1_000_000, &mut elements);
/// assert_eq!(elements[42], stream.at(1_000_042));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stream {
    philox: Philox,
    step: u64,
}

/// So many blocks are drawn side by side.
const TOGETHER: usize = 16;

impl Stream {
    /// The stream of this seed and purpose in training step `step`.
    pub fn new(seed: u64, purpose: Purpose, step: u64) -> Self {
        let [p0, p1, p2] = purpose.words();
        let words = [seed as u32, (seed >> 32) as u32, p0, p1, p2];
        Self { philox: Philox::new(super::seed::state_from_words(&words)), step }
    }

    /// Element k: 32 random bits.
    #[inline]
    pub fn at(&self, k: u64) -> u32 {
        self.philox.block(self.counter(k))[(k % 4) as usize]
    }

    /// Element k as a number in [0, 1): its bits · 2⁻³², exactly.
    #[inline]
    pub fn uniform_at(&self, k: u64) -> f64 {
        f64::from(self.at(k)) / (1_u64 << 32) as f64
    }

    /// Elements k, k + 1, … (after 2⁶⁴ − 1 comes 0) into `out`: a fourth of the work of asking for each, and less where
    /// the caller's instructions do several blocks at a time.
    #[inline(always)]
    pub fn fill(&self, k: u64, out: &mut [u32]) {
        // The first block may have begun before k; the others are whole, but for the last.
        let before = (k % 4) as usize;
        let (head, rest) = out.split_at_mut(((4 - before) % 4).min(out.len()));
        if before > 0 {
            let block = self.philox.block(self.counter(k));
            head.copy_from_slice(&block[before..][..head.len()]);
        }
        let mut k = k.wrapping_add(head.len() as u64);
        let mut groups = rest.chunks_exact_mut(4 * TOGETHER);
        for group in &mut groups {
            let blocks = self.philox.blocks::<TOGETHER>(k / 4, self.step);
            for (pair, word) in group.chunks_exact_mut(2).zip(blocks.as_flattened()) {
                (pair[0], pair[1]) = (*word as u32, (word >> 32) as u32);
            }
            k = k.wrapping_add(4 * TOGETHER as u64);
        }
        for block in groups.into_remainder().chunks_mut(4) {
            block.copy_from_slice(&self.philox.block(self.counter(k))[..block.len()]);
            k = k.wrapping_add(4);
        }
    }

    /// The counter of the block that holds element k.
    #[inline(always)]
    fn counter(&self, k: u64) -> [u32; 4] {
        let block = k / 4;
        [block as u32, (block >> 32) as u32, self.step as u32, (self.step >> 32) as u32]
    }
}
