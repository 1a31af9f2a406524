//! Element by element, and down the columns of a matrix: one loop for every formula.

use super::lanes::Lanes;
use super::naive::LANES;
use crate::scalar::Scalar;

/// Runs `f` over all elements: it sees one vector of each slice and returns what the writable ones become.
///
/// All slices have the same length. There is one call of `f`, so that a formula is inlined whatever its size: what is less than
/// a vector at the end passes through copies of a vector's length.
#[inline(always)]
pub(crate) fn each<V: Lanes, const R: usize, const W: usize>(
    v: V,
    read: [&[V::Scalar]; R],
    mut write: [&mut [V::Scalar]; W],
    f: impl Fn([V; R], [V; W]) -> [V; W],
) {
    let n = write[0].len();
    assert!(read.iter().all(|x| x.len() == n) && write.iter().all(|x| x.len() == n), "slices of one length");
    let whole = n - n % V::LANES;
    let (mut from, mut to, mut end) = (read.map(<[_]>::as_ptr), write.each_mut().map(|y| y.as_mut_ptr()), whole);
    let (mut rest, mut rest_written) = ([[V::Scalar::ZERO; LANES]; R], [[V::Scalar::ZERO; LANES]; W]);
    for last in [false, true] {
        if last {
            if whole == n {
                break;
            }
            for r in 0..R {
                v.load_partial(&read[r][whole..]).store(&mut rest[r]);
            }
            for w in 0..W {
                v.load_partial(&write[w][whole..]).store(&mut rest_written[w]);
            }
            (from, to) = (rest.each_ref().map(|x| x.as_ptr()), rest_written.each_mut().map(|y| y.as_mut_ptr()));
            end = V::LANES;
        }
        let mut i = 0;
        while i < end {
            let (mut x, mut y) = ([v; R], [v; W]);
            // SAFETY: `end` is a multiple of a vector's elements, all pointers are valid up to it, and what they point to
            // is borrowed, for writing where it is written.
            unsafe {
                for r in 0..R {
                    x[r] = v.load_pointer(from[r].add(i));
                }
                for w in 0..W {
                    y[w] = v.load_pointer(to[w].add(i));
                }
                y = f(x, y);
                for w in 0..W {
                    y[w].store_pointer(to[w].add(i));
                }
            }
            i += V::LANES;
        }
        if last {
            for w in 0..W {
                v.load(&rest_written[w]).store_partial(&mut write[w][whole..]);
            }
        }
    }
}

/// Some columns of a matrix, in `N` vectors of which the last may be cut short.
#[derive(Clone, Copy)]
pub(crate) struct Columns<const N: usize> {
    first: usize,
    count: usize,
}

impl<const N: usize> Columns<N> {
    /// The columns' elements of a row, and zero beyond them.
    #[inline(always)]
    pub(crate) fn of<V: Lanes>(self, v: V, row: &[V::Scalar]) -> [V; N] {
        let row = &row[self.first..self.first + self.count];
        let mut vectors = [v; N];
        if self.count == N * V::LANES {
            for j in 0..N {
                vectors[j] = v.load(&row[j * V::LANES..]);
            }
        } else {
            for j in 0..N {
                vectors[j] = v.load_partial(&row[(j * V::LANES).min(self.count)..]);
            }
        }
        vectors
    }

    /// Writes the columns' elements of a row.
    #[inline(always)]
    pub(crate) fn put<V: Lanes>(self, vectors: [V; N], row: &mut [V::Scalar]) {
        let row = &mut row[self.first..self.first + self.count];
        if self.count == N * V::LANES {
            for j in 0..N {
                vectors[j].store(&mut row[j * V::LANES..]);
            }
        } else {
            for j in 0..N {
                vectors[j].store_partial(&mut row[(j * V::LANES).min(self.count)..]);
            }
        }
    }
}

/// Work on some columns of a matrix, down its rows, so that what belongs to a column stays in registers.
pub(crate) trait ByColumns<V: Lanes> {
    /// Does the work for `columns`.
    fn run<const N: usize>(&mut self, v: V, columns: Columns<N>);
}

/// Runs `work` for all of `n` columns, four vectors at a time: as many chains side by side as hide an addition's latency.
#[inline(always)]
pub(crate) fn by_columns<V: Lanes>(v: V, n: usize, work: &mut impl ByColumns<V>) {
    let mut first = 0;
    while first < n {
        let count = (n - first).min(4 * V::LANES);
        match count.div_ceil(V::LANES) {
            1 => work.run(v, Columns::<1> { first, count }),
            2 => work.run(v, Columns::<2> { first, count }),
            _ => work.run(v, Columns::<4> { first, count }),
        }
        first += count;
    }
}
