//! x86-64: AVX2 with FMA, and AVX-512. Instructions only; the formulas are elsewhere.

use super::lanes::{Kernel, Lanes};
use std::arch::x86_64::*;
use std::ops::{Add, Div, Mul, Neg, Sub};

/// Proof that the processor has AVX2 and FMA.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Avx2(());

/// Proof that the processor has AVX-512 F, DQ, BW and VL, besides AVX2 and FMA.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Avx512(());

impl Avx2 {
    pub(crate) fn detect() -> Option<Self> {
        (is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma")).then_some(Self(()))
    }
}

impl Avx512 {
    pub(crate) fn detect() -> Option<Self> {
        (Avx2::detect().is_some()
            && is_x86_feature_detected!("avx512f")
            && is_x86_feature_detected!("avx512dq")
            && is_x86_feature_detected!("avx512bw")
            && is_x86_feature_detected!("avx512vl"))
        .then_some(Self(()))
    }
}

/// The mask of the first `n` of eight 32-bit lanes.
#[target_feature(enable = "avx2")]
#[inline]
fn first_of_8(n: usize) -> __m256i {
    _mm256_cmpgt_epi32(_mm256_set1_epi32(n as i32), _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7))
}

/// The mask of the first `n` of four 64-bit lanes.
#[target_feature(enable = "avx2")]
#[inline]
fn first_of_4(n: usize) -> __m256i {
    _mm256_cmpgt_epi64(_mm256_set1_epi64x(n as i64), _mm256_setr_epi64x(0, 1, 2, 3))
}

/// [`Lanes::store_first`] in halves: a masked store takes AMD's processors tens of cycles.
///
/// # Safety
/// `to` must be valid for writes of the first `n` of eight elements.
#[target_feature(enable = "avx2")]
#[inline]
unsafe fn store_first_of_8(to: *mut f32, n: usize, x: __m256) {
    // SAFETY: each store ends at or before element n.
    unsafe {
        if n >= 8 {
            return _mm256_storeu_ps(to, x);
        }
        let (mut to, mut rest) = (to, _mm256_castps256_ps128(x));
        if n & 4 != 0 {
            _mm_storeu_ps(to, rest);
            (to, rest) = (to.add(4), _mm256_extractf128_ps::<1>(x));
        }
        if n & 2 != 0 {
            _mm_storel_pd(to.cast(), _mm_castps_pd(rest));
            (to, rest) = (to.add(2), _mm_movehl_ps(rest, rest));
        }
        if n & 1 != 0 {
            _mm_store_ss(to, rest);
        }
    }
}

/// [`Lanes::store_first`] in halves.
///
/// # Safety
/// `to` must be valid for writes of the first `n` of four elements.
#[target_feature(enable = "avx2")]
#[inline]
unsafe fn store_first_of_4(to: *mut f64, n: usize, x: __m256d) {
    // SAFETY: each store ends at or before element n.
    unsafe {
        if n >= 4 {
            return _mm256_storeu_pd(to, x);
        }
        let (mut to, mut rest) = (to, _mm256_castpd256_pd128(x));
        if n & 2 != 0 {
            _mm_storeu_pd(to, rest);
            (to, rest) = (to.add(2), _mm256_extractf128_pd::<1>(x));
        }
        if n & 1 != 0 {
            _mm_store_sd(to, rest);
        }
    }
}

/// [`Lanes::transpose`] for 8 × 8 `f32`: rows i and i + 4 share a register, half a row each, so that only steps within
/// 128 bits remain.
///
/// # Safety
/// `from` must be valid for reads, and `to` for writes, of 8 rows of 8 elements.
#[target_feature(enable = "avx2")]
#[inline]
unsafe fn transpose_8x8(from: *const f32, from_row: usize, to: *mut f32, to_row: usize) {
    for half in [0, 4] {
        let pair = |i: usize| {
            // SAFETY: rows i and i + 4 have the elements half .. half + 4.
            unsafe {
                let low = _mm_loadu_ps(from.add(i * from_row + half));
                let high = _mm_loadu_ps(from.add((i + 4) * from_row + half));
                _mm256_insertf128_ps::<1>(_mm256_castps128_ps256(low), high)
            }
        };
        let rows = [pair(0), pair(1), pair(2), pair(3)];
        let low = [_mm256_unpacklo_ps(rows[0], rows[1]), _mm256_unpacklo_ps(rows[2], rows[3])];
        let high = [_mm256_unpackhi_ps(rows[0], rows[1]), _mm256_unpackhi_ps(rows[2], rows[3])];
        let columns = [
            _mm256_shuffle_ps::<0b01_00_01_00>(low[0], low[1]),
            _mm256_shuffle_ps::<0b11_10_11_10>(low[0], low[1]),
            _mm256_shuffle_ps::<0b01_00_01_00>(high[0], high[1]),
            _mm256_shuffle_ps::<0b11_10_11_10>(high[0], high[1]),
        ];
        for (j, column) in columns.into_iter().enumerate() {
            // SAFETY: row half + j of the target has 8 elements.
            unsafe { _mm256_storeu_ps(to.add((half + j) * to_row), column) };
        }
    }
}

/// [`Lanes::transpose`] for 4 × 4 `f64`, in the same way.
///
/// # Safety
/// `from` must be valid for reads, and `to` for writes, of 4 rows of 4 elements.
#[target_feature(enable = "avx2")]
#[inline]
unsafe fn transpose_4x4(from: *const f64, from_row: usize, to: *mut f64, to_row: usize) {
    for half in [0, 2] {
        let pair = |i: usize| {
            // SAFETY: rows i and i + 2 have the elements half and half + 1.
            unsafe {
                let low = _mm_loadu_pd(from.add(i * from_row + half));
                let high = _mm_loadu_pd(from.add((i + 2) * from_row + half));
                _mm256_insertf128_pd::<1>(_mm256_castpd128_pd256(low), high)
            }
        };
        let rows = [pair(0), pair(1)];
        // SAFETY: rows half and half + 1 of the target have 4 elements.
        unsafe {
            _mm256_storeu_pd(to.add(half * to_row), _mm256_unpacklo_pd(rows[0], rows[1]));
            _mm256_storeu_pd(to.add((half + 1) * to_row), _mm256_unpackhi_pd(rows[0], rows[1]));
        }
    }
}

/// A vector type with its operations, and the function that runs a kernel on it.
macro_rules! vector {
    (
        $(#[$doc:meta])* $name:ident, $register:ty, [$scalar:ident; $lanes:literal], $mask:ty,
        $run:ident($token:ty, $features:literal), registers $registers:literal,
        zero $zero:ident, splat $splat:ident, load $load:ident, store $store:ident,
        load_first $load_first:expr, store_first $store_first:expr, transpose $square:literal $transpose:ident,
        add $add:ident, sub $sub:ident, mul $mul:ident, div $div:ident, sqrt $sqrt:ident, fma $fma:ident,
        round $round:expr, lt $lt:expr, le $le:expr, max $max:ident, min $min:ident,
        abs |$abs_x:ident| $abs:expr, copysign |$copysign_x:ident, $copysign_sign:ident| $copysign:expr,
        neg |$neg_x:ident| $neg:expr, select |$select_mask:ident, $yes:ident, $no:ident| $select:expr,
        zero_where |$zero_mask:ident, $zero_x:ident| $zero_where:expr, any |$any_mask:ident| $any:expr, pow2 |$pow2_n:ident| $pow2:expr, $(scale |$scale_x:ident, $scale_n:ident| $scale:expr,)?
        split_exponent |$split_x:ident| $split:expr
    ) => {
        $(#[$doc])*
        #[derive(Clone, Copy)]
        pub(crate) struct $name($register);

        #[doc = concat!("Runs `kernel` on [`", stringify!($name), "`].")]
        #[inline]
        pub(crate) fn $run<K: Kernel<$scalar>>(_: $token, kernel: K) -> K::Output {
            #[target_feature(enable = $features)]
            fn inner<K: Kernel<$scalar>>(kernel: K) -> K::Output {
                kernel.run($name($zero()))
            }
            // SAFETY: the token exists only where the processor has the features.
            unsafe { inner(kernel) }
        }

        // SAFETY of every block below: a value of this type exists, and is made only from another one or behind the
        // token, so the processor has the instructions. What stands behind bars below is put in as it is, not called as
        // a closure: one that is not inlined lacks its caller's instructions and makes each of its own a call (f64 ln
        // took seven times as long).
        impl Lanes for $name {
            type Scalar = $scalar;
            type Mask = $mask;
            const LANES: usize = $lanes;
            const REGISTERS: usize = $registers;
            const SQUARE: usize = $square;

            #[inline(always)]
            fn splat(self, x: $scalar) -> Self {
                // SAFETY: as above.
                Self(unsafe { $splat(x) })
            }
            #[inline(always)]
            fn load(self, from: &[$scalar]) -> Self {
                let from: &[$scalar; $lanes] = from.first_chunk().expect("a vector's worth of elements");
                // SAFETY: as above, and `from` has as many elements as are read.
                Self(unsafe { $load(from.as_ptr()) })
            }
            #[inline(always)]
            fn store(self, to: &mut [$scalar]) {
                let to: &mut [$scalar; $lanes] = to.first_chunk_mut().expect("room for a vector");
                // SAFETY: as above, and `to` has as many elements as are written.
                unsafe { $store(to.as_mut_ptr(), self.0) }
            }
            #[inline(always)]
            unsafe fn load_pointer(self, from: *const $scalar) -> Self {
                // SAFETY: as above, and the caller promises readable elements.
                Self(unsafe { $load(from) })
            }
            #[inline(always)]
            unsafe fn store_pointer(self, to: *mut $scalar) {
                // SAFETY: as above, and the caller promises writable elements.
                unsafe { $store(to, self.0) }
            }
            #[inline(always)]
            unsafe fn load_first(self, from: *const $scalar, n: usize) -> Self {
                // SAFETY: as above, and the caller promises `n` readable elements; a masked load touches no other.
                Self(unsafe { $load_first(from, n) })
            }
            #[inline(always)]
            unsafe fn store_first(self, to: *mut $scalar, n: usize) {
                // SAFETY: as above, and the caller promises `n` writable elements; a masked store touches no other.
                unsafe { $store_first(to, n, self.0) }
            }
            #[inline(always)]
            fn prefetch(self, at: *const $scalar) {
                // SAFETY: a prefetch of any address is harmless.
                unsafe { _mm_prefetch::<_MM_HINT_T0>(at.cast()) }
            }
            #[inline(always)]
            unsafe fn transpose(self, from: *const $scalar, from_row: usize, to: *mut $scalar, to_row: usize) {
                // SAFETY: as above, and the caller promises the squares.
                unsafe { $transpose(from, from_row, to, to_row) }
            }
            #[inline(always)]
            fn fma(self, b: Self, c: Self) -> Self {
                // SAFETY: as above.
                Self(unsafe { $fma(self.0, b.0, c.0) })
            }
            #[inline(always)]
            fn sqrt(self) -> Self {
                // SAFETY: as above.
                Self(unsafe { $sqrt(self.0) })
            }
            #[inline(always)]
            fn abs(self) -> Self {
                let $abs_x = self.0;
                // SAFETY: as above.
                Self(unsafe { $abs })
            }
            #[inline(always)]
            fn copysign(self, sign: Self) -> Self {
                let ($copysign_x, $copysign_sign) = (self.0, sign.0);
                // SAFETY: as above.
                Self(unsafe { $copysign })
            }
            #[inline(always)]
            fn round(self) -> Self {
                // SAFETY: as above.
                Self(unsafe { $round(self.0) })
            }
            #[inline(always)]
            fn lt(self, other: Self) -> $mask {
                // SAFETY: as above.
                unsafe { $lt(self.0, other.0) }
            }
            #[inline(always)]
            fn le(self, other: Self) -> $mask {
                // SAFETY: as above.
                unsafe { $le(self.0, other.0) }
            }
            #[inline(always)]
            fn select(mask: $mask, yes: Self, no: Self) -> Self {
                let ($select_mask, $yes, $no) = (mask, yes.0, no.0);
                // SAFETY: as above.
                Self(unsafe { $select })
            }
            #[inline(always)]
            fn zero_where(self, mask: $mask) -> Self {
                let ($zero_mask, $zero_x) = (mask, self.0);
                // SAFETY: as above.
                Self(unsafe { $zero_where })
            }
            #[inline(always)]
            fn any(mask: $mask) -> bool {
                let $any_mask = mask;
                // SAFETY: as above: there is a mask.
                unsafe { $any }
            }
            #[inline(always)]
            fn max(self, other: Self) -> Self {
                // SAFETY: as above. The instruction returns its second operand where either is NaN or both are zero.
                Self(unsafe { $max(other.0, self.0) })
            }
            #[inline(always)]
            fn min(self, other: Self) -> Self {
                // SAFETY: as above.
                Self(unsafe { $min(other.0, self.0) })
            }
            #[inline(always)]
            fn pow2(self) -> Self {
                let $pow2_n = self.0;
                // SAFETY: as above.
                Self(unsafe { $pow2 })
            }
            $(
                #[inline(always)]
                fn scale(self, n: Self) -> Self {
                        let ($scale_x, $scale_n) = (self.0, n.0);
                    // SAFETY: as above.
                    Self(unsafe { $scale })
                }
            )?
            #[inline(always)]
            fn split_exponent(self) -> (Self, Self) {
                let $split_x = self.0;
                // SAFETY: as above.
                let (e, m) = unsafe { $split };
                (Self(e), Self(m))
            }
            super::elementary::elementary_methods!();
        }

        vector!(@operator $name Add add $add);
        vector!(@operator $name Sub sub $sub);
        vector!(@operator $name Mul mul $mul);
        vector!(@operator $name Div div $div);

        impl Neg for $name {
            type Output = Self;
            #[inline(always)]
            fn neg(self) -> Self {
                let $neg_x = self.0;
                // SAFETY: as above.
                Self(unsafe { $neg })
            }
        }
    };
    (@operator $name:ident $trait:ident $method:ident $instruction:ident) => {
        impl $trait for $name {
            type Output = Self;
            #[inline(always)]
            fn $method(self, other: Self) -> Self {
                // SAFETY: a value of this type exists, so the processor has the instruction.
                Self(unsafe { $instruction(self.0, other.0) })
            }
        }
    };
}

const NEAREST: i32 = _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC;
const THREE_QUARTERS_F32: i32 = 0.75_f32.to_bits() as i32;
const THREE_QUARTERS_F64: i64 = 0.75_f64.to_bits() as i64;
/// 1.5 · 2²³ and 1.5 · 2⁵²: added to a small integer they leave it in the low bits of the mantissa.
const MAGIC_F32: f32 = 12_582_912.0;
const MAGIC_F64: f64 = 6_755_399_441_055_744.0;

vector!(
    /// Eight `f32`.
    F32x8, __m256, [f32; 8], __m256,
    avx2_f32(Avx2, "avx2,fma"), registers 16,
    zero _mm256_setzero_ps, splat _mm256_set1_ps, load _mm256_loadu_ps, store _mm256_storeu_ps,
    load_first |from, n| _mm256_maskload_ps(from, first_of_8(n)),
    store_first |to, n, x| store_first_of_8(to, n, x),
    transpose 8 transpose_8x8,
    add _mm256_add_ps, sub _mm256_sub_ps, mul _mm256_mul_ps, div _mm256_div_ps, sqrt _mm256_sqrt_ps, fma _mm256_fmadd_ps,
    round _mm256_round_ps::<NEAREST>,
    lt _mm256_cmp_ps::<_CMP_LT_OQ>, le _mm256_cmp_ps::<_CMP_LE_OQ>,
    max _mm256_max_ps, min _mm256_min_ps,
    abs |x| _mm256_andnot_ps(_mm256_set1_ps(-0.0), x),
    copysign |x, s| _mm256_or_ps(
        _mm256_andnot_ps(_mm256_set1_ps(-0.0), x),
        _mm256_and_ps(_mm256_set1_ps(-0.0), s)
    ),
    neg |x| _mm256_xor_ps(_mm256_set1_ps(-0.0), x),
    select |m, yes, no| _mm256_blendv_ps(no, yes, m),
    zero_where |m, x| _mm256_andnot_ps(m, x),
    any |m| _mm256_movemask_ps(m) != 0,
    pow2 |n| _mm256_castsi256_ps(_mm256_slli_epi32::<23>(_mm256_castps_si256(_mm256_add_ps(
        n,
        _mm256_set1_ps(MAGIC_F32 + 127.0)
    )))),
    split_exponent |x| {
        let bits = _mm256_castps_si256(x);
        let e = _mm256_srai_epi32::<23>(_mm256_sub_epi32(bits, _mm256_set1_epi32(THREE_QUARTERS_F32)));
        let m = _mm256_sub_epi32(bits, _mm256_slli_epi32::<23>(e));
        (_mm256_cvtepi32_ps(e), _mm256_castsi256_ps(m))
    }
);

vector!(
    /// Four `f64`.
    F64x4, __m256d, [f64; 4], __m256d,
    avx2_f64(Avx2, "avx2,fma"), registers 16,
    zero _mm256_setzero_pd, splat _mm256_set1_pd, load _mm256_loadu_pd, store _mm256_storeu_pd,
    load_first |from, n| _mm256_maskload_pd(from, first_of_4(n)),
    store_first |to, n, x| store_first_of_4(to, n, x),
    transpose 4 transpose_4x4,
    add _mm256_add_pd, sub _mm256_sub_pd, mul _mm256_mul_pd, div _mm256_div_pd, sqrt _mm256_sqrt_pd, fma _mm256_fmadd_pd,
    round _mm256_round_pd::<NEAREST>,
    lt _mm256_cmp_pd::<_CMP_LT_OQ>, le _mm256_cmp_pd::<_CMP_LE_OQ>,
    max _mm256_max_pd, min _mm256_min_pd,
    abs |x| _mm256_andnot_pd(_mm256_set1_pd(-0.0), x),
    copysign |x, s| _mm256_or_pd(
        _mm256_andnot_pd(_mm256_set1_pd(-0.0), x),
        _mm256_and_pd(_mm256_set1_pd(-0.0), s)
    ),
    neg |x| _mm256_xor_pd(_mm256_set1_pd(-0.0), x),
    select |m, yes, no| _mm256_blendv_pd(no, yes, m),
    zero_where |m, x| _mm256_andnot_pd(m, x),
    any |m| _mm256_movemask_pd(m) != 0,
    pow2 |n| _mm256_castsi256_pd(_mm256_slli_epi64::<52>(_mm256_castpd_si256(_mm256_add_pd(
        n,
        _mm256_set1_pd(MAGIC_F64 + 1023.0)
    )))),
    split_exponent |x| {
        // There is no arithmetic shift of 64 bits in AVX2, so the exponent keeps its bias through the shift and
        // becomes a float through the mantissa of MAGIC.
        let bits = _mm256_castpd_si256(x);
        let lifted = _mm256_add_epi64(bits, _mm256_set1_epi64x((1023 << 52) - THREE_QUARTERS_F64));
        let biased = _mm256_srli_epi64::<52>(lifted);
        let e = _mm256_sub_epi64(biased, _mm256_set1_epi64x(1023));
        let m = _mm256_sub_epi64(bits, _mm256_slli_epi64::<52>(e));
        let magic = _mm256_set1_pd(MAGIC_F64);
        let float = _mm256_sub_pd(_mm256_castsi256_pd(_mm256_add_epi64(e, _mm256_castpd_si256(magic))), magic);
        (float, _mm256_castsi256_pd(m))
    }
);

vector!(
    /// Sixteen `f32`.
    F32x16, __m512, [f32; 16], __mmask16,
    avx512_f32(Avx512, "avx512f,avx512dq,avx512bw,avx512vl,avx2,fma"), registers 32,
    zero _mm512_setzero_ps, splat _mm512_set1_ps, load _mm512_loadu_ps, store _mm512_storeu_ps,
    load_first |from, n| _mm512_maskz_loadu_ps(((1_u32 << n) - 1) as __mmask16, from),
    store_first |to, n, x| _mm512_mask_storeu_ps(to, ((1_u32 << n) - 1) as __mmask16, x),
    transpose 8 transpose_8x8,
    add _mm512_add_ps, sub _mm512_sub_ps, mul _mm512_mul_ps, div _mm512_div_ps, sqrt _mm512_sqrt_ps, fma _mm512_fmadd_ps,
    round _mm512_roundscale_ps::<NEAREST>,
    lt _mm512_cmp_ps_mask::<_CMP_LT_OQ>, le _mm512_cmp_ps_mask::<_CMP_LE_OQ>,
    max _mm512_max_ps, min _mm512_min_ps,
    abs |x| _mm512_andnot_ps(_mm512_set1_ps(-0.0), x),
    copysign |x, s| _mm512_or_ps(
        _mm512_andnot_ps(_mm512_set1_ps(-0.0), x),
        _mm512_and_ps(_mm512_set1_ps(-0.0), s)
    ),
    neg |x| _mm512_xor_ps(_mm512_set1_ps(-0.0), x),
    select |m, yes, no| _mm512_mask_blend_ps(m, no, yes),
    zero_where |m, x| _mm512_mask_blend_ps(m, x, _mm512_setzero_ps()),
    any |m| _kortestz_mask16_u8(m, m) == 0,
    pow2 |n| _mm512_castsi512_ps(_mm512_slli_epi32::<23>(_mm512_castps_si512(_mm512_add_ps(
        n,
        _mm512_set1_ps(MAGIC_F32 + 127.0)
    )))),
    scale |x, n| _mm512_scalef_ps(x, n),
    split_exponent |x| {
        let bits = _mm512_castps_si512(x);
        let e = _mm512_srai_epi32::<23>(_mm512_sub_epi32(bits, _mm512_set1_epi32(THREE_QUARTERS_F32)));
        let m = _mm512_sub_epi32(bits, _mm512_slli_epi32::<23>(e));
        (_mm512_cvtepi32_ps(e), _mm512_castsi512_ps(m))
    }
);

vector!(
    /// Eight `f64`.
    F64x8, __m512d, [f64; 8], __mmask8,
    avx512_f64(Avx512, "avx512f,avx512dq,avx512bw,avx512vl,avx2,fma"), registers 32,
    zero _mm512_setzero_pd, splat _mm512_set1_pd, load _mm512_loadu_pd, store _mm512_storeu_pd,
    load_first |from, n| _mm512_maskz_loadu_pd(((1_u32 << n) - 1) as __mmask8, from),
    store_first |to, n, x| _mm512_mask_storeu_pd(to, ((1_u32 << n) - 1) as __mmask8, x),
    transpose 4 transpose_4x4,
    add _mm512_add_pd, sub _mm512_sub_pd, mul _mm512_mul_pd, div _mm512_div_pd, sqrt _mm512_sqrt_pd, fma _mm512_fmadd_pd,
    round _mm512_roundscale_pd::<NEAREST>,
    lt _mm512_cmp_pd_mask::<_CMP_LT_OQ>, le _mm512_cmp_pd_mask::<_CMP_LE_OQ>,
    max _mm512_max_pd, min _mm512_min_pd,
    abs |x| _mm512_andnot_pd(_mm512_set1_pd(-0.0), x),
    copysign |x, s| _mm512_or_pd(
        _mm512_andnot_pd(_mm512_set1_pd(-0.0), x),
        _mm512_and_pd(_mm512_set1_pd(-0.0), s)
    ),
    neg |x| _mm512_xor_pd(_mm512_set1_pd(-0.0), x),
    select |m, yes, no| _mm512_mask_blend_pd(m, no, yes),
    zero_where |m, x| _mm512_mask_blend_pd(m, x, _mm512_setzero_pd()),
    any |m| _kortestz_mask8_u8(m, m) == 0,
    pow2 |n| _mm512_castsi512_pd(_mm512_slli_epi64::<52>(_mm512_castpd_si512(_mm512_add_pd(
        n,
        _mm512_set1_pd(MAGIC_F64 + 1023.0)
    )))),
    scale |x, n| _mm512_scalef_pd(x, n),
    split_exponent |x| {
        let bits = _mm512_castpd_si512(x);
        let e = _mm512_srai_epi64::<52>(_mm512_sub_epi64(bits, _mm512_set1_epi64(THREE_QUARTERS_F64)));
        let m = _mm512_sub_epi64(bits, _mm512_slli_epi64::<52>(e));
        (_mm512_cvtepi64_pd(e), _mm512_castsi512_pd(m))
    }
);
