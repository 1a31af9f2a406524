//! The constants of `f32`. `coefficients.py` prints the tables.

use super::Constants;

impl Constants for f32 {
    const MIN_POSITIVE: Self = f32::MIN_POSITIVE;
    const MANTISSA_BITS: Self = 23.0;
    const TWO_TO_MANTISSA_BITS: Self = 8_388_608.0;
    const ROUNDER: Self = 12_582_912.0;
    const TINY: Self = 2.0e-8;

    const LOG2_E: Self = std::f32::consts::LOG2_E;
    const LN_2: [Self; 2] = [0.69314575, 1.4286068e-06];
    // e^r = 1 + r + r² P(r), r in [-0.3473, 0.3473]: relative error 2^-31.0.
    const EXP: &[Self] = &[0.5, 0.16666666, 0.041666478, 0.008333567, 0.0013933728, 0.00019743561];
    const EXP_LOW: Self = -110.0;
    const EXP_HIGH: Self = 89.0;
    const ONE_FROM: Self = 20.0;
    // ln(1 + f) = f + f² P(f), f in [-0.2502, 0.5002]: relative error 2^-27.6.
    const LN: &[Self] =
        &[-0.5, 0.33333454, -0.25000116, 0.19990708, -0.16646408, 0.1447868, -0.13170232, 0.10480832, -0.045180503];

    // erf x = x + x P(x²), x² in [0.0000, 0.7656]: relative error 2^-26.1.
    const ERF: &[Self] = &[0.12837915, -0.37612534, 0.112823315, -0.02678778, 0.005027395, -0.00061806355];
    const ERF_ONE_FROM: Self = 4.5;
    // Φ(−a) e^(a²/2) = P(v) / (a + 5/4), v = (4 − a) / (4 + a), v in [-0.5676, 1.0000]: relative error 2^-27.4.
    const TAIL: &[Self] = &[
        0.49565586,
        0.1393029,
        0.0450945,
        -0.010673165,
        -0.02448191,
        -0.015816107,
        -0.0048749875,
        0.00013837326,
        0.00064619625,
        8.029896e-05,
        -7.1959774e-05,
    ];
    const TAIL_POLE: Self = 4.0;
    const TAIL_END: Self = 14.5;

    const FRAC_2_PI: Self = std::f32::consts::FRAC_2_PI;
    const PI_2: [Self; 3] = [std::f32::consts::FRAC_PI_2, -4.371139e-08, -1.7151245e-15];
    // sin r = r + r³ P(r²), r² in [0.0000, 0.6243]: relative error 2^-27.8.
    const SIN: &[Self] = &[-0.16666654, 0.008332114, -0.00019509411];
    // cos r = 1 − r²/2 + r⁴ P(r²), r² in [0.0000, 0.6243]: relative error 2^-32.9.
    const COS: &[Self] = &[0.041666646, -0.0013887304, 2.4431196e-05];
    const PERIODIC_LIMIT: Self = 65_536.0;
    fn sin_of_large(x: Self) -> Self {
        pxfm::f_sin(x as f64) as f32
    }
    fn cos_of_large(x: Self) -> Self {
        pxfm::f_cos(x as f64) as f32
    }
}
