//! Philox4x32-10: random numbers as a function of a counter.

const ROUNDS: usize = 10;
const MULTIPLIERS: [u32; 2] = [0xd251_1f53, 0xcd9e_8d57];
/// What is added to the key after each round: the golden ratio and √3 − 1, times 2³².
const WEYL: [u32; 2] = [0x9e37_79b9, 0xbb67_ae85];

/// The counter-based generator Philox4x32-10: four random words for each counter, in any order.
///
/// Source: J. K. Salmon, M. A. Moraes, R. O. Dror, D. E. Shaw, "Parallel Random Numbers: As Easy as 1, 2, 3", 2011,
/// and its library Random123.
///
/// ```
/// use chainrule::random::Philox;
///
/// assert_eq!(Philox::new([0, 0]).block([0; 4]), [0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8]);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Philox {
    key: [u32; 2],
}

impl Philox {
    /// The generator with this key.
    pub fn new(key: [u32; 2]) -> Self {
        Self { key }
    }

    /// The four words of `counter`.
    #[inline]
    pub fn block(&self, counter: [u32; 4]) -> [u32; 4] {
        let [mut c0, mut c1, mut c2, mut c3] = counter;
        let [mut k0, mut k1] = self.key;
        for _ in 0..ROUNDS {
            let p0 = u64::from(MULTIPLIERS[0]) * u64::from(c0);
            let p1 = u64::from(MULTIPLIERS[1]) * u64::from(c2);
            [c0, c1, c2, c3] = [(p1 >> 32) as u32 ^ c1 ^ k0, p1 as u32, (p0 >> 32) as u32 ^ c3 ^ k1, p0 as u32];
            k0 = k0.wrapping_add(WEYL[0]);
            k1 = k1.wrapping_add(WEYL[1]);
        }
        [c0, c1, c2, c3]
    }

    /// The blocks of the counters [b mod 2³², ⌊b / 2³²⌋, high mod 2³², ⌊high / 2³²⌋] for b = first, first + 1, … (after 2⁶² − 1
    /// comes 0), two words of
    /// 32 bits in one of 64, the earlier below: the same rounds side by side, for instructions that do several at once.
    #[inline(always)]
    pub(crate) fn blocks<const N: usize>(&self, first: u64, high: u64) -> [[u64; 2]; N] {
        const LOW: u64 = 0xffff_ffff;
        let [mut c0, mut c1, mut c2, mut c3] = [[0; N]; 4];
        for i in 0..N {
            let block = first.wrapping_add(i as u64) & (u64::MAX >> 2);
            (c0[i], c1[i], c2[i], c3[i]) = (block & LOW, block >> 32, high & LOW, high >> 32);
        }
        let [mut k0, mut k1] = self.key;
        for _ in 0..ROUNDS {
            for i in 0..N {
                let (p0, p1) = (u64::from(MULTIPLIERS[0]) * c0[i], u64::from(MULTIPLIERS[1]) * c2[i]);
                (c0[i], c2[i]) = ((p1 >> 32) ^ c1[i] ^ u64::from(k0), (p0 >> 32) ^ c3[i] ^ u64::from(k1));
                (c1[i], c3[i]) = (p1 & LOW, p0 & LOW);
            }
            k0 = k0.wrapping_add(WEYL[0]);
            k1 = k1.wrapping_add(WEYL[1]);
        }
        std::array::from_fn(|i| [c0[i] | c1[i] << 32, c2[i] | c3[i] << 32])
    }
}
