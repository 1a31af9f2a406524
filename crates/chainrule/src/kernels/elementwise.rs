//! Element by element: one loop for every formula.

use super::lanes::Lanes;

/// Runs `f` over all elements: it sees one vector of each slice and returns what the writable ones become.
///
/// All slices have the same length. The loop has one call of `f`, so that a formula is inlined whatever its size.
#[inline(always)]
pub(crate) fn each<V: Lanes, const R: usize, const W: usize>(
    v: V,
    read: [&[V::Scalar]; R],
    write: [&mut [V::Scalar]; W],
    f: impl Fn([V; R], [V; W]) -> [V; W],
) {
    let n = write[0].len();
    assert!(read.iter().all(|x| x.len() == n) && write.iter().all(|x| x.len() == n), "slices of one length");
    let mut i = 0;
    while i < n {
        let whole = n - i >= V::LANES;
        let (mut x, mut y) = ([v; R], [v; W]);
        for r in 0..R {
            x[r] = if whole { v.load(&read[r][i..]) } else { v.load_partial(&read[r][i..]) };
        }
        for w in 0..W {
            y[w] = if whole { v.load(&write[w][i..]) } else { v.load_partial(&write[w][i..]) };
        }
        let y = f(x, y);
        for w in 0..W {
            if whole {
                y[w].store(&mut write[w][i..]);
            } else {
                y[w].store_partial(&mut write[w][i..]);
            }
        }
        i += V::LANES;
    }
}
