//! C ← AᵀB, both factors with many rows and C handed over strip by strip: ∂J/∂W = X⁽ˡ⁻¹⁾ᵀδ⁽ˡ⁾ with whatever follows it
//! (an optimizer's update) while a strip is still in the cache.

use super::pack::{self, Fill};
use super::{
    Order, Origin, Scratch, Start, Strided, StridedMut, Tiles, VECTORS, blocks, most_rows, naive, vector_product,
};
use crate::kernels::{InstructionSet, Kernel, Lanes, Set};
use crate::scalar::Scalar;
use std::ops::Range;

/// How many steps of the inner index a block takes: a strip's part of A stays in the first-level cache beside a stream of B.
const KC: usize = 512;

/// So many tiles stand side by side in a strip: whole cache lines of A's rows.
const TILES: usize = 8;

/// A larger C, in bytes, is asked for before it is written: it is not in the nearest caches, and stores wait for it
/// (300-1000-300-7, batch 77: 0.94 of the time; 784-256-128-10 in `f64` 0.97; 20-64-64-1, which is not far, 1.02).
const FAR: usize = 128 * 1024;

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
        packed.shape_for(set, width, k, n);
        let mut row = 0;
        for part in 0..parts {
            Fill { packed: &mut *packed, row, col: 0, b: b(part) }.run(v);
            row += b(part).rows;
        }
        let tall = TILES * most_rows::<V>();
        let far = size_of_val(&*c) > FAR;
        for ic in (0..m).step_by(tall) {
            let mc = tall.min(m - ic);
            for (pc, kc) in blocks(k, KC) {
                // A tile's columns, and a vector between tiles for what the last column leaves behind its end.
                let strip = strip.room(kc * mc + TILES * V::LANES).as_mut_ptr();
                let tiles = || blocks(mc, most_rows::<V>()).enumerate();
                let place = |tile: usize, ir: usize| strip.wrapping_add(ir * kc + tile * V::LANES);
                let mut first = 0;
                for part in 0..parts {
                    // The rows of this part that belong to the block.
                    let a = a(part);
                    assert_eq!(a.col_stride, 1, "rows without gaps");
                    let (from, to) = (pc.max(first), (pc + kc).min(first + a.rows));
                    for (tile, (ir, rows)) in tiles().filter(|_| from < to) {
                        // SAFETY: rows from − first … to − first of A, its columns ic + ir … + rows; as many elements of
                        // room, and a vector, after those of the rows before.
                        unsafe {
                            let to_tile = place(tile, ir).add((from - pc) * rows);
                            pack::columns(v, to - from, rows, a.at(from - first, ic + ir), a.row_stride, to_tile);
                        }
                    }
                    first += a.rows;
                }
                // Tiles of one height together: at most two heights.
                let mut tile = 0;
                while let Some((first, (ir, rows))) = tiles().nth(tile) {
                    let down = tiles().skip(tile).take_while(|&(_, (_, next))| next == rows).count();
                    // SAFETY: the tiles' columns are kc × rows elements, B's panels have k rows, and C is m × n.
                    unsafe {
                        Tiles {
                            rows,
                            down,
                            cols: n,
                            k: kc,
                            a: place(first, ir),
                            order: Order::Columns,
                            a_tile: kc * rows + V::LANES,
                            b: packed.panel(v, pc, 0),
                            b_panel: k * width,
                            c: c.as_mut_ptr().add((ic + ir) * n),
                            c_row: n,
                            origin: if pc == 0 { Origin::Zero } else { Origin::Stored },
                            far,
                        }
                        .run(set);
                    }
                    tile += down;
                }
            }
            done(ic..ic + mc, &mut c[ic * n..(ic + mc) * n]);
        }
    }
}
