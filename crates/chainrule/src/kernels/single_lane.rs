//! A scalar as one lane.

use super::lanes::Lanes;

macro_rules! single_lane {
    ($t:ident, $bits:ident, $int:ident, $mantissa:expr, $bias:expr, $magic:expr) => {
        impl Lanes for $t {
            type Scalar = $t;
            type Mask = bool;
            const LANES: usize = 1;
            const REGISTERS: usize = 16;
            const SQUARE: usize = 1;

            #[inline(always)]
            fn splat(self, x: $t) -> $t {
                x
            }
            #[inline(always)]
            fn load(self, from: &[$t]) -> $t {
                from[0]
            }
            #[inline(always)]
            fn store(self, to: &mut [$t]) {
                to[0] = self;
            }
            #[inline(always)]
            unsafe fn load_pointer(self, from: *const $t) -> $t {
                // SAFETY: the caller promises one readable element.
                unsafe { from.read_unaligned() }
            }
            #[inline(always)]
            unsafe fn store_pointer(self, to: *mut $t) {
                // SAFETY: the caller promises one writable element.
                unsafe { to.write_unaligned(self) }
            }
            #[inline(always)]
            unsafe fn load_first(self, from: *const $t, n: usize) -> $t {
                // SAFETY: the caller promises `n` readable elements.
                if n == 0 { 0.0 } else { unsafe { from.read_unaligned() } }
            }
            #[inline(always)]
            unsafe fn store_first(self, to: *mut $t, n: usize) {
                if n > 0 {
                    // SAFETY: the caller promises `n` writable elements.
                    unsafe { to.write_unaligned(self) }
                }
            }
            #[inline(always)]
            unsafe fn transpose(self, from: *const $t, _: usize, to: *mut $t, _: usize) {
                // SAFETY: the caller promises a square of one element in each.
                unsafe { to.write_unaligned(from.read_unaligned()) }
            }
            #[inline(always)]
            fn fma(self, b: $t, c: $t) -> $t {
                self.mul_add(b, c)
            }
            #[inline(always)]
            fn sqrt(self) -> $t {
                $t::sqrt(self)
            }
            #[inline(always)]
            fn abs(self) -> $t {
                $t::abs(self)
            }
            #[inline(always)]
            fn copysign(self, sign: $t) -> $t {
                $t::copysign(self, sign)
            }
            #[inline(always)]
            fn round(self) -> $t {
                self.round_ties_even()
            }
            #[inline(always)]
            fn lt(self, other: $t) -> bool {
                self < other
            }
            #[inline(always)]
            fn le(self, other: $t) -> bool {
                self <= other
            }
            #[inline(always)]
            fn select(mask: bool, yes: $t, no: $t) -> $t {
                if mask { yes } else { no }
            }
            #[inline(always)]
            fn any(mask: bool) -> bool {
                mask
            }
            #[inline(always)]
            fn pow2(self) -> $t {
                // Beside 1.5 · 2ᵖ a small integer stands in the low bits, here with the exponent's bias.
                $t::from_bits((self + ($magic + $bias as $t)).to_bits() << $mantissa)
            }
            #[inline(always)]
            fn split_exponent(self) -> ($t, $t) {
                let bits = self.to_bits() as $int;
                let exponent = bits.wrapping_sub((0.75 as $t).to_bits() as $int) >> $mantissa;
                (exponent as $t, $t::from_bits(bits.wrapping_sub(exponent << $mantissa) as $bits))
            }
            super::elementary::elementary_methods!();
        }
    };
}
single_lane!(f32, u32, i32, 23, 127, 12_582_912.0);
single_lane!(f64, u64, i64, 52, 1023, 6_755_399_441_055_744.0);
