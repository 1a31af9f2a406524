//[bits]
typedef union { REAL x; UINT bits; } word_R;
static REAL from_bits_R(UINT bits) { word_R w; w.bits = bits; return w.x; }
static UINT to_bits_R(REAL x) { word_R w; w.x = x; return w.bits; }
//[fma_f32: bits_f64]
/* a * b + c with one rounding: the processor's where it has one, else exact in doubles, rounded to odd, then to float. */
static float fma_f32(float a, float b, float c) {
#if defined(__FMA__) || defined(__ARM_FEATURE_FMA)
    return __builtin_fmaf(a, b, c);
#else
    double p = (double)a * b, s = p + c, t = s - p, lost = (p - (s - t)) + (c - t);
    if ((lost < 0 || lost > 0) && !(to_bits_f64(s) & 1)) {
        s = from_bits_f64((lost > 0) == (s > 0) ? to_bits_f64(s) + 1 : to_bits_f64(s) - 1);
    }
    return (float)s;
#endif
}
//[fma_f64: bits_f64]
/* The same in integers: 128 bits as two words. */
#if !defined(__FMA__) && !defined(__ARM_FEATURE_FMA)
typedef struct { uint64_t high, low; } wide;
static wide wide_left(wide a, int n) {
    wide r;
    if (n == 0) return a;
    if (n >= 64) { r.high = n < 128 ? a.low << (n - 64) : 0; r.low = 0; return r; }
    r.high = a.high << n | a.low >> (64 - n);
    r.low = a.low << n;
    return r;
}
static wide wide_right(wide a, int n) {
    wide r;
    if (n == 0) return a;
    if (n >= 128) { r.high = 0; r.low = 0; return r; }
    if (n >= 64) { r.high = 0; r.low = a.high >> (n - 64); return r; }
    r.high = a.high >> n;
    r.low = a.low >> n | a.high << (64 - n);
    return r;
}
static int wide_less(wide a, wide b) { return a.high < b.high || (a.high == b.high && a.low < b.low); }
static wide wide_sub(wide a, wide b) {
    wide r;
    r.low = a.low - b.low;
    r.high = a.high - b.high - (a.low < b.low);
    return r;
}
static wide wide_add(wide a, wide b) {
    wide r;
    r.low = a.low + b.low;
    r.high = a.high + b.high + (r.low < a.low);
    return r;
}
static wide wide_product(uint64_t a, uint64_t b) {
    uint64_t a1 = a >> 32, a0 = a & 0xffffffffu, b1 = b >> 32, b0 = b & 0xffffffffu;
    uint64_t low = a0 * b0, middle = a1 * b0 + (low >> 32), other = a0 * b1 + (middle & 0xffffffffu);
    wide r;
    r.high = a1 * b1 + (middle >> 32) + (other >> 32);
    r.low = other << 32 | (low & 0xffffffffu);
    return r;
}
/* x = its mantissa * 2^exponent. */
static uint64_t mantissa_of(double x, int *exponent) {
    uint64_t bits = to_bits_f64(x), m = bits & 0xfffffffffffffu;
    int e = (int)(bits >> 52 & 0x7ff);
    *exponent = (e ? e : 1) - 1075;
    return e ? m | 0x10000000000000u : m;
}
/* Shifts so that bit 125 is the first. */
static wide to_the_top(wide m, int *exponent) {
    while (!(m.high >> 61)) { m = wide_left(m, 1); --*exponent; }
    return m;
}
#endif
static double fma_f64(double a, double b, double c) {
#if defined(__FMA__) || defined(__ARM_FEATURE_FMA)
    return __builtin_fma(a, b, c);
#else
    int ea, eb, ec, e, distance, precision, shift;
    uint64_t ma = mantissa_of(a, &ea), mb = mantissa_of(b, &eb), mc = mantissa_of(c, &ec), sign, sign_c, q, bits;
    wide p, s, swap, rest, half;
    if (ec == 972 && ea != 972 && eb != 972) return c;
    if (ea == 972 || eb == 972 || ec == 972 || ma == 0 || mb == 0) return a * b + c;
    if (mc == 0) return a * b;
    sign = (to_bits_f64(a) ^ to_bits_f64(b)) >> 63;
    sign_c = to_bits_f64(c) >> 63;
    e = ea + eb;
    p = to_the_top(wide_product(ma, mb), &e);
    s.high = mc; s.low = 0; ec -= 64;
    s = to_the_top(s, &ec);
    if (e < ec || (e == ec && wide_less(p, s))) {
        swap = p; p = s; s = swap;
        shift = e; e = ec; ec = shift;
        q = sign; sign = sign_c; sign_c = q;
    }
    distance = e - ec;
    if (distance > 0) {
        rest = wide_right(s, distance);
        swap = wide_left(rest, distance);
        if (distance >= 128 || swap.high != s.high || swap.low != s.low) rest.low |= 1;
        s = rest;
    }
    p = sign == sign_c ? wide_add(p, s) : wide_sub(p, s);
    if (!p.high && !p.low) return 0;
    while (!(p.high >> 63)) { p = wide_left(p, 1); --e; }
    /* The first bit is 2^(e + 127). */
    if (e + 127 > 1023) return from_bits_f64(sign << 63 | 0x7ff0000000000000u);
    precision = e + 127 >= -1022 ? 53 : 53 + 1022 + e + 127;
    if (precision < 0) return from_bits_f64(sign << 63);
    shift = 128 - precision;
    q = wide_right(p, shift).low;
    rest = wide_sub(p, wide_left(wide_right(p, shift), shift));
    half.high = 0; half.low = 1;
    half = wide_left(half, shift - 1);
    if (wide_less(half, rest) || (half.high == rest.high && half.low == rest.low && (q & 1))) ++q;
    bits = precision == 53 ? ((uint64_t)(e + 127 + 1022) << 52) + q : q;
    return from_bits_f64(sign << 63 | bits);
#endif
}
//[sqrt_f64: bits_f64]
/* Correctly rounded, two bits of x for one of the root. */
static double sqrt_f64(double x) {
    uint64_t bits = to_bits_f64(x), m, rest = 0, root = 0;
    int e = (int)(bits >> 52) - 1023, k;
    if (!(x > 0)) return x == 0 ? x : (x - x) / (x - x);
    if (e == 1024) return x;
    if (e == -1023) return sqrt_f64(x * 18014398509481984.0) * (1.0 / 134217728.0);
    m = ((bits & 0xfffffffffffffu) | 0x10000000000000u) << (e & 1);
    for (k = 26; k >= -27; --k) {
        uint64_t trial = root << 2 | 1;
        rest = rest << 2 | (k >= 0 ? m >> (2 * k) & 3 : 0);
        root <<= 1;
        if (rest >= trial) { rest -= trial; root |= 1; }
    }
    root = (root >> 1) + (root & 1);
    return from_bits_f64(((uint64_t)((e - (e & 1)) / 2 + 1022) << 52) + root);
}
//[sqrt_f32: sqrt_f64]
static float sqrt_f32(float x) { return (float)sqrt_f64(x); }
//[max]
static REAL max_R(REAL a, REAL b) { return a < b ? b : a; }
//[min]
static REAL min_R(REAL a, REAL b) { return b < a ? b : a; }
//[abs: bits]
static REAL abs_R(REAL x) { return from_bits_R(to_bits_R(x) & ~((UINT)1 << (8 * sizeof(UINT) - 1))); }
//[copysign: bits]
static REAL copysign_R(REAL x, REAL sign) {
    UINT top = (UINT)1 << (8 * sizeof(UINT) - 1);
    return from_bits_R((to_bits_R(x) & ~top) | (to_bits_R(sign) & top));
}
//[pow2: bits]
static REAL pow2_R(REAL n) { return from_bits_R(to_bits_R(n + (ROUNDER_R + (REAL)BIAS)) << SHIFT); }
//[scale: pow2]
static REAL scale_R(REAL x, REAL n) {
    REAL half = (n * (REAL)0.5 + ROUNDER_R) - ROUNDER_R;
    return x * pow2_R(half) * pow2_R(n - half);
}
//[polynomial: fma]
static REAL polynomial_R(REAL x, const REAL *c, int n) {
    REAL sum = c[n - 1];
    int k;
    for (k = n - 2; k >= 0; --k) sum = fma_R(sum, x, c[k]);
    return sum;
}
#define POLYNOMIAL_R(x, c) polynomial_R(x, c, (int)(sizeof(c) / sizeof(c[0])))
//[fast_two_sum]
typedef struct { REAL a, b; } two_R;
static two_R fast_two_sum_R(REAL a, REAL b) {
    two_R s;
    s.a = a + b;
    s.b = (a - s.a) + b;
    return s;
}
//[two_sum: fast_two_sum]
static two_R two_sum_R(REAL a, REAL b) {
    two_R s;
    REAL t;
    s.a = a + b;
    t = s.a - a;
    s.b = (a - (s.a - t)) + (b - t);
    return s;
}
//[reduce_exp: fma]
/* x = n ln 2 + r + c. */
static REAL reduce_exp_R(REAL x, REAL *r, REAL *c) {
    REAL n = fma_R(x, LOG2_E_R, ROUNDER_R) - ROUNDER_R;
    *r = fma_R(n, -LN_2_R[0], x);
    *c = n * -LN_2_R[1];
    return n;
}
//[exp_of_reduced: polynomial fast_two_sum reduce_exp]
/* e^(r + c) = 1 + a + b. */
static two_R exp_of_reduced_R(REAL r, REAL c) {
    REAL s = r + c;
    return fast_two_sum_R(r, fma_R(s * s, POLYNOMIAL_R(s, EXP_R), c));
}
//[exp: exp_of_reduced scale max min]
static REAL exp_R(REAL x) {
    REAL n, r, c;
    n = reduce_exp_R(min_R(max_R(x, EXP_LOW_R), EXP_HIGH_R), &r, &c);
    return scale_R((REAL)1 + exp_of_reduced_R(r, c).a, n);
}
//[exp_m1: exp_of_reduced pow2 two_sum max min abs]
static REAL exp_m1_R(REAL x) {
    REAL n, r, c, k, high, low, y;
    two_R h, u;
    n = reduce_exp_R(min_R(max_R(x, -ONE_FROM_R), EXP_HIGH_R), &r, &c);
    h = exp_of_reduced_R(r, c);
    k = pow2_R(n - (REAL)1);
    u = two_sum_R(k, (REAL)-0.5);
    high = fma_R(k, h.a, u.a);
    low = fma_R(k, h.a, u.a - high) + fma_R(k, h.b, u.b);
    y = high + low;
    return abs_R(x) < TINY_R ? x : y + y;
}
//[split_exponent: bits]
/* x = *m * 2^e, 3/4 <= *m < 3/2. */
static REAL split_exponent_R(REAL x, REAL *m) {
    UINT bits = to_bits_R(x);
    UINT e = ((bits - to_bits_R((REAL)0.75) + ((UINT)(2 * (BIAS + 1)) << SHIFT)) >> SHIFT) - (UINT)(2 * (BIAS + 1));
    *m = from_bits_R(bits - (e << SHIFT));
    return (REAL)(INT)e;
}
//[ln_of_parts: polynomial fast_two_sum split_exponent]
static REAL ln_of_parts_R(REAL e, REAL f) {
    REAL curved = fma_R(f * f, POLYNOMIAL_R(f, LN_R), e * LN_2_R[1]);
    two_R s = fast_two_sum_R(e * LN_2_R[0], f);
    return s.a + (s.b + curved);
}
static REAL on_the_domain_of_ln_R(REAL x, REAL y) {
    REAL zero = 0, infinity = (REAL)1 / zero;
    if (x <= 0) return x < 0 ? infinity - infinity : -infinity;
    return x < infinity ? y : x;
}
//[ln: ln_of_parts]
static REAL ln_R(REAL x) {
    int subnormal = x < MIN_POSITIVE_R;
    REAL m, e = split_exponent_R(subnormal ? x * TWO_TO_MANTISSA_BITS_R : x, &m);
    return on_the_domain_of_ln_R(x, ln_of_parts_R(e - (subnormal ? MANTISSA_BITS_R : (REAL)0), m - (REAL)1));
}
//[ln_1p: ln_of_parts pow2 abs]
static REAL ln_1p_R(REAL x) {
    REAL one = 1, sum = one + x, m, e, scale, f, y;
    e = split_exponent_R(sum, &m);
    scale = pow2_R((REAL)2 - e);
    f = fma_R(scale, x * (REAL)0.25, fma_R(scale, (REAL)0.25, -one));
    y = on_the_domain_of_ln_R(sum, ln_of_parts_R(e, f));
    return abs_R(x) < TINY_R ? x : y;
}
//[divide: fma]
static REAL divide_R(REAL a, REAL a_low, REAL b, REAL b_low) {
    REAL reciprocal = (REAL)1 / b, q = a * reciprocal;
    REAL left = fma_R(-q, b, a) + fma_R(-q, b_low, a_low);
    return fma_R(left, reciprocal, q);
}
//[tanh: exp_of_reduced pow2 max abs copysign divide]
static REAL tanh_R(REAL x) {
    REAL n, r, c, k, t, t_low;
    two_R h, u, d;
    n = reduce_exp_R(max_R(abs_R(x) * (REAL)-2, -ONE_FROM_R), &r, &c);
    h = exp_of_reduced_R(r, c);
    k = pow2_R(n);
    u = fast_two_sum_R((REAL)-1, k);
    t = fma_R(k, h.a, u.a);
    t_low = fma_R(k, h.a, u.a - t) + fma_R(k, h.b, u.b);
    d = fast_two_sum_R((REAL)2, t);
    return copysign_R(divide_R(t, t_low, d.a, d.b + t_low), x);
}
//[logistic_parts: exp_of_reduced pow2 scale max abs divide]
/* logistic x = q * 2^n. */
static REAL logistic_parts_R(REAL x, REAL *q) {
    REAL n, r, c, k;
    two_R h, m, d;
    n = reduce_exp_R(max_R(-abs_R(x), EXP_LOW_R), &r, &c);
    h = exp_of_reduced_R(r, c);
    m = fast_two_sum_R((REAL)1, h.a);
    m.b = m.b + h.b;
    k = pow2_R(max_R(n, (REAL)-100));
    d = fast_two_sum_R((REAL)1, m.a * k);
    d.b = fma_R(m.b, k, d.b);
    *q = x < 0 ? divide_R(m.a, m.b, d.a, d.b) : divide_R((REAL)1, (REAL)0, d.a, d.b);
    return x < 0 ? n : (REAL)0;
}
//[logistic: logistic_parts]
static REAL logistic_R(REAL x) {
    REAL q, n = logistic_parts_R(x, &q);
    return scale_R(q, n);
}
//[silu: logistic_parts max]
static REAL silu_R(REAL x) {
    REAL q, n;
    x = max_R(x, EXP_LOW_R);
    n = logistic_parts_R(x, &q);
    return scale_R(x * q, n);
}
//[mish: exp_of_reduced pow2 scale max abs]
static REAL mish_R(REAL x) {
    REAL n, r, c, e, over, under, a, y, one = 1, two = 2;
    two_R h, m;
    int negative;
    x = max_R(x, EXP_LOW_R);
    n = reduce_exp_R(max_R(-abs_R(x), EXP_LOW_R), &r, &c);
    h = exp_of_reduced_R(r, c);
    m = fast_two_sum_R(one, h.a);
    e = m.a * pow2_R(max_R(n, (REAL)-100));
    negative = x < 0;
    over = e * (negative ? e + one : e + e);
    under = negative ? fma_R(e, e + two, two) : over + fma_R(e, two, one);
    a = negative ? m.a : one;
    y = a + fma_R(-a, over / under, negative ? m.b + h.b : (REAL)0);
    return scale_R(x * y, negative ? n : (REAL)0);
}
//[gelu: exp_of_reduced pow2 scale max min abs two_sum]
static REAL gelu_R(REAL x) {
    REAL a, square, n, r, c, far, both, v, reciprocal, lost, g, g_low, m, one = 1;
    two_R h, near, p;
    x = max_R(x, -TAIL_END_R);
    /* m * 2^n = Phi(-|x|). */
    a = min_R(abs_R(x), TAIL_END_R);
    square = a * a;
    n = reduce_exp_R(square * (REAL)-0.5, &r, &c);
    h = exp_of_reduced_R(r, c + fma_R(a, a, -square) * (REAL)-0.5);
    near = two_sum_R(a, (REAL)1.25);
    far = a + TAIL_POLE_R;
    both = one / (near.a * far);
    v = (TAIL_POLE_R - a) * (both * near.a);
    reciprocal = both * far;
    lost = fma_R(-reciprocal, near.b, fma_R(-reciprocal, near.a, one));
    p = fast_two_sum_R(TAIL_R[0], v * polynomial_R(v, TAIL_R + 1, (int)(sizeof(TAIL_R) / sizeof(TAIL_R[0])) - 1));
    g = p.a * reciprocal;
    g_low = fma_R(p.b, reciprocal, fma_R(p.a, reciprocal, -g));
    g_low = fma_R(g, lost, g_low);
    m = g + fma_R(g, h.a + h.b, fma_R(g_low, h.a, g_low));
    if (x < 0) return scale_R(x * m, n);
    return scale_R(x * (one - m * pow2_R(max_R(n, (REAL)-100))), (REAL)0);
}
//[softplus: exp ln_1p max abs]
static REAL softplus_R(REAL x) { return max_R(x, (REAL)0) + ln_1p_R(exp_R(-abs_R(x))); }
//[sum]
/* 16 interleaved partial sums in blocks of 4096, joined by a tree: the order that gives the model's own bits. */
static REAL join_R(REAL *lanes) {
    int half, k;
    for (half = 8; half > 0; half /= 2) {
        for (k = 0; k < half; ++k) lanes[k] += lanes[k + half];
    }
    return lanes[0];
}
static REAL sum_R(const REAL *x, int n) {
    REAL total = 0, lanes[16];
    int start, k;
    for (start = 0; start < n; start += 4096) {
        for (k = 0; k < 16; ++k) lanes[k] = 0;
        for (k = start; k < n && k < start + 4096; ++k) lanes[k % 16] += x[k];
        total += join_R(lanes);
    }
    return total;
}
//[dense: fma]
/* y = x W + b for each member; W and b of the next one stand so many numbers behind. */
static void dense_R(const REAL *w, const REAL *b, int next_w, int next_b, int members, int n, int outputs,
                    const REAL *x, REAL *y) {
    int m, j, k;
    for (m = 0; m < members; ++m, x += n, y += outputs, w += next_w, b += next_b) {
        for (j = 0; j < outputs; ++j) y[j] = b[j];
        for (k = 0; k < n; ++k) {
            for (j = 0; j < outputs; ++j) y[j] = fma_R(x[k], w[k * outputs + j], y[j]);
        }
    }
}
//[members: fma]
static void members_R(const REAL *scale, const REAL *shift, int members, int n, const REAL *x, REAL *y) {
    int k;
    for (k = 0; k < members * n; ++k) y[k] = fma_R(scale[k], x[k % n], shift[k]);
}
//[piecewise: fma]
/* x line + (f slope + knot) of the bin where x stands, for one column. */
static void piecewise_R(const REAL *edges, const REAL *line, const REAL *slopes, const REAL *knots, int last, int width,
                        REAL x, REAL *y) {
    int t = 0, k;
    REAL span, f = 0;
    while (t < last && edges[t + 1] <= x) ++t;
    span = edges[t + 1] - edges[t];
    if (span > 0) f = (x - edges[t]) / span;
    f = f < 0 ? 0 : f;
    f = 1 < f ? 1 : f;
    for (k = 0; k < width; ++k) y[k] = fma_R(x, line[k], fma_R(f, slopes[t * width + k], knots[t * width + k]));
}
//[batch_norm: fma sqrt]
static void batch_norm_R(const REAL *mean, const REAL *variance, const REAL *scale, const REAL *shift, REAL epsilon,
                         int n, const REAL *x, REAL *y) {
    int k;
    for (k = 0; k < n; ++k) y[k] = fma_R(scale[k], (x[k] - mean[k]) / sqrt_R(variance[k] + epsilon), shift[k]);
}
//[layer_norm: fma sqrt sum]
static void layer_norm_R(const REAL *scale, const REAL *shift, REAL epsilon, int n, const REAL *x, REAL *y) {
    REAL mean = sum_R(x, n) / (REAL)n, squares = 0, lanes[16], s;
    int start, k;
    for (start = 0; start < n; start += 4096) {
        for (k = 0; k < 16; ++k) lanes[k] = 0;
        for (k = start; k < n && k < start + 4096; ++k) lanes[k % 16] = fma_R(x[k] - mean, x[k] - mean, lanes[k % 16]);
        squares += join_R(lanes);
    }
    s = (REAL)1 / sqrt_R(squares / (REAL)n + epsilon);
    for (k = 0; k < n; ++k) y[k] = fma_R(scale[k], (x[k] - mean) * s, shift[k]);
}
//[softmax: exp sum max]
static void softmax_R(REAL *z, int n) {
    REAL max = z[0], total;
    int k;
    for (k = 1; k < n; ++k) max = max_R(max, z[k]);
    for (k = 0; k < n; ++k) z[k] = exp_R(z[k] - max);
    total = sum_R(z, n);
    for (k = 0; k < n; ++k) z[k] = z[k] / total;
}
