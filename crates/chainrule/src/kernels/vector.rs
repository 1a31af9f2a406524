//! Sums along a vector and down the columns of a matrix, in the orders that [`naive`] defines; products by elements.

use super::elementwise::{ByColumns, Columns, by_columns, each};
use super::naive::{BLOCK, LANES, join};
use super::{InstructionSet, Kernel, Lanes, Start, Strided, naive};
use crate::scalar::Scalar;

/// Σ xᵢ, bit for bit as [`naive::sum`].
pub fn sum<T: Scalar>(set: InstructionSet, x: &[T]) -> T {
    T::dispatch(set, Reduce::<T, false> { x, y: x })
}

/// Σ xᵢyᵢ, bit for bit as [`naive::dot`].
///
/// # Panics
/// If the lengths differ.
pub fn dot<T: Scalar>(set: InstructionSet, x: &[T], y: &[T]) -> T {
    assert_eq!(x.len(), y.len(), "the lengths of a dot product");
    T::dispatch(set, Reduce::<T, true> { x, y })
}

/// Σ xᵢ², bit for bit as [`naive::dot`] of `x` with itself.
pub fn sum_of_squares<T: Scalar>(set: InstructionSet, x: &[T]) -> T {
    dot(set, x, x)
}

/// x ← x∘y.
///
/// # Panics
/// If the lengths differ.
pub(crate) fn multiply<T: Scalar>(set: InstructionSet, x: &mut [T], y: &[T]) {
    T::dispatch(set, Multiply { x, y });
}

struct Multiply<'a, T> {
    x: &'a mut [T],
    y: &'a [T],
}

impl<T: Scalar> Kernel<T> for Multiply<'_, T> {
    type Output = ();

    #[inline(always)]
    fn run<V: Lanes<Scalar = T>>(self, v: V) {
        each(v, [self.y], [self.x], |[y], [x]| [x * y]);
    }
}

/// Asks for the cache lines of `x`, so that whoever reads it next need not wait for memory; it changes no number.
#[inline]
pub(crate) fn prefetch<T>(x: &[T]) {
    #[cfg(target_arch = "x86_64")]
    for byte in (0..size_of_val(x)).step_by(64) {
        use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
        // SAFETY: a prefetch of any address is harmless, and SSE is part of the architecture.
        unsafe { _mm_prefetch::<_MM_HINT_T0>(x.as_ptr().cast::<i8>().wrapping_add(byte)) };
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = x;
}

/// Σ xᵢyᵢ if `DOT`, else Σ xᵢ.
struct Reduce<'a, T, const DOT: bool> {
    x: &'a [T],
    y: &'a [T],
}

impl<T: Scalar, const DOT: bool> Kernel<T> for Reduce<'_, T, DOT> {
    type Output = T;

    #[inline(always)]
    fn run<V: Lanes<Scalar = T>>(self, v: V) -> T {
        if DOT {
            // Zeros fill the last vectors up: a sum that began at +0 is never −0, so adding 0 leaves its bits alone.
            reduce::<V, 2, false>(v, [self.x, self.y], |[x, y], sum| x.fma(y, sum))
        } else {
            reduce::<V, 1, false>(v, [self.x], |[x], sum| sum + x)
        }
    }
}

/// Σ over the elements of slices of one length, bit for bit as [`naive::reduce`]: `step` returns the sum with one vector of
/// each slice added.
///
/// `FENCED` if a step adds something where all slices are 0: the lanes beyond the end are then kept as they were.
#[inline(always)]
pub(crate) fn reduce<V: Lanes, const R: usize, const FENCED: bool>(
    v: V,
    read: [&[V::Scalar]; R],
    step: impl Fn([V; R], V) -> V,
) -> V::Scalar {
    let vectors = LANES / V::LANES;
    let n = read[0].len();
    assert!(read.iter().all(|x| x.len() == n), "slices of one length");
    let mut total = V::Scalar::ZERO;
    for block in (0..n).step_by(BLOCK) {
        // The first `vectors` of them hold the partial sums.
        let mut sums = [v; LANES];
        let end = n.min(block + BLOCK);
        let whole = end - (end - block) % LANES;
        for i in (block..whole).step_by(LANES) {
            for part in 0..vectors {
                let mut x = [v; R];
                for r in 0..R {
                    x[r] = v.load(&read[r][i + part * V::LANES..]);
                }
                sums[part] = step(x, sums[part]);
            }
        }
        for part in 0..(end - whole).div_ceil(V::LANES) {
            let from = whole + part * V::LANES;
            let mut x = [v; R];
            for r in 0..R {
                x[r] = v.load_partial(&read[r][from..end]);
            }
            let sum = step(x, sums[part]);
            sums[part] = if FENCED { sum.first(end - from, sums[part]) } else { sum };
        }
        let mut lanes = [V::Scalar::ZERO; LANES];
        for part in 0..vectors {
            sums[part].store(&mut lanes[part * V::LANES..]);
        }
        total += join(lanes);
    }
    total
}

/// outⱼ ← startⱼ + Σᵢ xᵢⱼ, bit for bit as [`naive::sum_rows`]: ∂J/∂b from δ.
///
/// Shapes: x \[rows, n\], out \[n\].
///
/// # Panics
/// If the shapes do not fit.
pub fn sum_rows<'a, T: Scalar>(set: InstructionSet, start: Start<'_, T>, x: impl Into<Strided<'a, T>>, out: &mut [T]) {
    let x = x.into();
    assert_eq!(x.cols(), out.len(), "the columns of a sum of rows");
    match start {
        Start::Zero => out.fill(T::ZERO),
        Start::Bias(bias) => out.copy_from_slice(bias),
        Start::Stored => {}
    }
    if x.rows() > 0 && x.row(0).is_none() {
        naive::sum_rows(Start::Stored, x, out);
    } else {
        T::dispatch(set, SumRows { x, out });
    }
}

struct SumRows<'a, 'x, T> {
    x: Strided<'x, T>,
    out: &'a mut [T],
}

impl<T: Scalar> Kernel<T> for SumRows<'_, '_, T> {
    type Output = ();

    #[inline(always)]
    fn run<V: Lanes<Scalar = T>>(mut self, v: V) {
        by_columns(v, self.out.len(), &mut self);
    }
}

impl<V: Lanes> ByColumns<V> for SumRows<'_, '_, V::Scalar> {
    #[inline(always)]
    fn run<const N: usize>(&mut self, v: V, columns: Columns<N>) {
        let mut sums = columns.of(v, self.out);
        for i in 0..self.x.rows() {
            let x = columns.of(v, self.x.row(i).expect("rows without gaps"));
            for j in 0..N {
                sums[j] = sums[j] + x[j];
            }
        }
        columns.put(sums, self.out);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernels::numbers::Numbers;

    fn bits<T: Scalar>(x: &[T]) -> Vec<u64> {
        x.iter().map(|x| x.to_f64().to_bits()).collect()
    }

    fn reductions<T: Scalar>() {
        let mut numbers = Numbers(5);
        for n in (0..=67).chain([4095, 4096, 4097, 4111, 4113, 8190, 8192, 8193, 10_000]) {
            let (x, y) = (numbers.numbers::<T>(n), numbers.numbers::<T>(n));
            let expected = [naive::sum(&x), naive::dot(&x, &y), naive::dot(&x, &x)];
            for set in InstructionSet::available() {
                let got = [sum(set, &x), dot(set, &x, &y), sum_of_squares(set, &x)];
                assert_eq!(bits(&got), bits(&expected), "{} of {n} {}", set.name(), T::NAME);
            }
        }
    }

    #[test]
    fn reductions_give_the_bits_of_the_definition() {
        reductions::<f32>();
        reductions::<f64>();
    }

    /// Σ (xᵢ − ½)²: an element that is 0 adds something.
    struct Squares<'a, T>(&'a [T]);

    impl<T: Scalar> Kernel<T> for Squares<'_, T> {
        type Output = T;
        #[inline(always)]
        fn run<V: Lanes<Scalar = T>>(self, v: V) -> T {
            let half = v.of(0.5);
            reduce::<V, 1, true>(v, [self.0], |[x], sum| (x - half).fma(x - half, sum))
        }
    }

    fn fenced<T: Scalar>() {
        let (mut numbers, half) = (Numbers(7), T::from_f64(0.5));
        for n in (0..=67).chain([4095, 4096, 4097, 4113, 10_000]) {
            let x = numbers.numbers::<T>(n);
            let expected = naive::reduce(n, |i, sum| (x[i] - half).fma(x[i] - half, sum));
            for set in InstructionSet::available() {
                assert_eq!(bits(&[T::dispatch(set, Squares(&x))]), bits(&[expected]), "{} of {n}", set.name());
            }
        }
    }

    #[test]
    fn lanes_beyond_the_end_add_nothing() {
        fenced::<f32>();
        fenced::<f64>();
    }

    #[test]
    fn negative_zeros_sum_to_zero_in_every_instruction_set() {
        for set in InstructionSet::available() {
            for n in 0..40 {
                assert_eq!(sum(set, &vec![-0.0_f32; n]).to_bits(), naive::sum(&vec![-0.0_f32; n]).to_bits());
            }
        }
    }

    fn sums_of_rows<T: Scalar>() {
        let mut numbers = Numbers(6);
        for rows in [0, 1, 2, 33] {
            for n in (0..=67).chain([127, 128, 129, 300]) {
                let x = numbers.numbers::<T>(rows * (n + 3) * 2);
                let (before, bias) = (numbers.numbers::<T>(n), numbers.numbers::<T>(n));
                for x in [Strided::new(&x, rows, n, n + 3, 1), Strided::new(&x, rows, n, 1, rows + 1)] {
                    for start in [Start::Zero, Start::Bias(&bias), Start::Stored] {
                        let mut expected = before.clone();
                        naive::sum_rows(start, x, &mut expected);
                        for set in InstructionSet::available() {
                            let mut got = before.clone();
                            sum_rows(set, start, x, &mut got);
                            assert_eq!(bits(&got), bits(&expected), "{} {rows} × {n} {}", set.name(), T::NAME);
                        }
                    }
                }
            }
        }
    }

    #[test]
    fn sums_of_rows_give_the_bits_of_the_definition() {
        sums_of_rows::<f32>();
        sums_of_rows::<f64>();
    }
}
