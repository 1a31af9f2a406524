//! Sums along a vector and down the columns of a matrix, in the orders that [`naive`] defines.

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

/// Σ xᵢyᵢ if `DOT`, else Σ xᵢ.
struct Reduce<'a, T, const DOT: bool> {
    x: &'a [T],
    y: &'a [T],
}

impl<T: Scalar, const DOT: bool> Kernel<T> for Reduce<'_, T, DOT> {
    type Output = T;

    #[inline(always)]
    fn run<V: Lanes<Scalar = T>>(self, v: V) -> T {
        let vectors = LANES / V::LANES;
        let mut total = T::ZERO;
        for (x, y) in self.x.chunks(BLOCK).zip(self.y.chunks(BLOCK)) {
            // The first `vectors` of them hold the partial sums.
            let mut sums = [v.splat(T::ZERO); LANES];
            let (x, x_rest) = x.as_chunks::<LANES>();
            let (y, y_rest) = y.as_chunks::<LANES>();
            for (x, y) in x.iter().zip(y) {
                for part in 0..vectors {
                    let (x, y) = (v.load(&x[part * V::LANES..]), v.load(&y[part * V::LANES..]));
                    sums[part] = if DOT { x.fma(y, sums[part]) } else { sums[part] + x };
                }
            }
            // Zeros fill the last vectors up: a sum that began at +0 is never −0, so adding 0 leaves its bits alone.
            for part in 0..x_rest.len().div_ceil(V::LANES) {
                let from = part * V::LANES;
                let (x, y) = (v.load_partial(&x_rest[from..]), v.load_partial(&y_rest[from..]));
                sums[part] = if DOT { x.fma(y, sums[part]) } else { sums[part] + x };
            }
            let mut lanes = [T::ZERO; LANES];
            for part in 0..vectors {
                sums[part].store(&mut lanes[part * V::LANES..]);
            }
            total += join(lanes);
        }
        total
    }
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
    fn run<V: Lanes<Scalar = T>>(self, v: V) {
        let Self { x, out } = self;
        let mut j = 0;
        while j < out.len() {
            // As many chains side by side as hide the latency of an addition, where there are columns enough.
            j += match (out.len() - j) / V::LANES {
                8.. => columns::<V, 8>(v, x, j, out),
                4..8 => columns::<V, 4>(v, x, j, out),
                2..4 => columns::<V, 2>(v, x, j, out),
                1 => columns::<V, 1>(v, x, j, out),
                _ => {
                    let out = &mut out[j..];
                    let mut sum = v.load_partial(out);
                    for i in 0..x.rows() {
                        sum = sum + v.load_partial(&x.row(i).expect("rows without gaps")[j..]);
                    }
                    sum.store_partial(out);
                    out.len()
                }
            }
        }
    }
}

/// Adds up `N` vectors of columns from `j` on and returns how many columns that are.
#[inline(always)]
fn columns<V: Lanes, const N: usize>(v: V, x: Strided<'_, V::Scalar>, j: usize, out: &mut [V::Scalar]) -> usize {
    let out = &mut out[j..j + N * V::LANES];
    let mut sums = [v; N];
    for s in 0..N {
        sums[s] = v.load(&out[s * V::LANES..]);
    }
    for i in 0..x.rows() {
        let row = &x.row(i).expect("rows without gaps")[j..j + N * V::LANES];
        for s in 0..N {
            sums[s] = sums[s] + v.load(&row[s * V::LANES..]);
        }
    }
    for s in 0..N {
        sums[s].store(&mut out[s * V::LANES..]);
    }
    N * V::LANES
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
