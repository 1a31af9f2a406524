//! C ← AᵀB, both factors with many rows and C handed over strip by strip: ∂J/∂W = X⁽ˡ⁻¹⁾ᵀδ⁽ˡ⁾ with whatever follows it
//! (an optimizer's update) while a strip is still in the cache.

use super::pack::{self, Fill};
use super::{
    Order, Origin, Panels, Scratch, Start, Strided, StridedMut, Tile, VECTORS, blocks, most_rows, naive, vector_product,
};
use crate::kernels::{InstructionSet, Kernel, Lanes, Set};
use crate::scalar::Scalar;
use std::ops::Range;

/// How many steps of the inner index a block takes: a strip's part of A stays in the first-level cache beside a stream of B.
const KC: usize = 512;

/// C \[m, n\] ← Σₚ AₚᵀBₚ, each element one chain over the rows of part 0, then part 1, and so on.
///
/// `a(p)` \[rows of p, m\] and `b(p)` \[rows of p, n\] give the parts, `c` has no gaps. `done(rows, strip)` is called once
/// for every strip of C's rows, in order, right after it is complete.
///
/// # Panics
/// If the shapes do not fit.
pub(crate) fn strips<'m, T: Scalar>(
    set: InstructionSet,
    scratch: &mut Scratch<T>,
    parts: usize,
    a: impl Fn(usize) -> Strided<'m, T>,
    b: impl Fn(usize) -> Strided<'m, T>,
    c: &mut [T],
    mut done: impl FnMut(Range<usize>, &mut [T]),
) {
    let (m, n) = (a(0).cols, b(0).cols);
    assert_eq!(c.len(), m * n, "a product's elements");
    let mut rows = 0;
    for part in 0..parts {
        let (a, b) = (a(part), b(part));
        assert_eq!((a.rows, a.cols, b.cols), (b.rows, m, n), "a product's shapes");
        rows += a.rows;
    }
    if rows == 0 {
        c.fill(T::ZERO);
    } else if set.0 != Set::Naive && n > 1 {
        return T::dispatch(set, Strips { set, scratch, parts, rows, a, b, c, done });
    }
    for part in (0..parts).filter(|&part| a(part).rows > 0) {
        let start = if part == 0 { Start::Zero } else { Start::Stored };
        if set.0 == Set::Naive {
            naive::product(start, a(part).transposed(), b(part), StridedMut::new(c, m, n, n));
        } else {
            vector_product(set, &mut scratch.a, start, b(part).transposed(), a(part), c);
        }
    }
    done(0..m, c);
}

struct Strips<'s, T, A, B, F> {
    set: InstructionSet,
    scratch: &'s mut Scratch<T>,
    parts: usize,
    /// Of all parts.
    rows: usize,
    a: A,
    b: B,
    c: &'s mut [T],
    done: F,
}

impl<'m, T, A, B, F> Kernel<T> for Strips<'_, T, A, B, F>
where
    T: Scalar,
    A: Fn(usize) -> Strided<'m, T>,
    B: Fn(usize) -> Strided<'m, T>,
    F: FnMut(Range<usize>, &mut [T]),
{
    type Output = ();

    #[inline(always)]
    fn run<V: Lanes<Scalar = T>>(self, v: V) {
        let Self { set, scratch: Scratch { a: strip, b: packed }, parts, rows: k, a, b, c, mut done } = self;
        let (m, n, width) = ((a)(0).cols, (b)(0).cols, VECTORS * V::LANES);
        // B is read once a strip. A copy pays unless the first-level cache holds it as it stands.
        let panels = if parts == 1 && k * n * T::BYTES <= 16 * 1024 && b(0).col_stride == 1 {
            Panels::in_place(set, b(0), packed)
        } else {
            packed.shape_for(set, width, k, n);
            let mut row = 0;
            for part in 0..parts {
                Fill { packed: &mut *packed, row, col: 0, b: b(part) }.run(v);
                row += b(part).rows;
            }
            Panels::Packed(packed)
        };
        for (ir, rows) in blocks(m, most_rows::<V>()) {
            for (pc, kc) in blocks(k, KC) {
                let strip = strip.room(kc * rows + V::LANES).as_mut_ptr();
                let mut first = 0;
                for part in 0..parts {
                    // The rows of this part that belong to the block.
                    let a = a(part);
                    let (from, to) = (pc.max(first), (pc + kc).min(first + a.rows));
                    if from < to {
                        assert_eq!(a.col_stride, 1, "rows without gaps");
                        // SAFETY: rows from − first … to − first of A, its columns ir … ir + rows; as many elements of
                        // room, and a vector, after those of the rows before.
                        unsafe {
                            let to_strip = strip.add((from - pc) * rows);
                            pack::columns(v, to - from, rows, a.at(from - first, ir), a.row_stride, to_strip);
                        }
                    }
                    first += a.rows;
                }
                for jr in (0..n).step_by(width) {
                    let cols = width.min(n - jr);
                    let (b, b_row) = panels.panel(v, pc, jr);
                    // SAFETY: the strip's copy has kc × rows elements, B's panels k rows, and C m × n.
                    unsafe {
                        Tile {
                            rows,
                            cols,
                            k: kc,
                            a: strip,
                            order: Order::Columns,
                            b,
                            b_row,
                            c: c.as_mut_ptr().add(ir * n + jr),
                            c_row: n,
                            origin: if pc == 0 { Origin::Zero } else { Origin::Stored },
                        }
                        .run(v);
                    }
                }
            }
            done(ir..ir + rows, &mut c[ir * n..(ir + rows) * n]);
        }
    }
}
