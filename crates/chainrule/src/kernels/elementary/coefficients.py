"""The polynomials of the elementary functions: prints the tables in single.rs and double.rs.

    python coefficients.py            (needs mpmath; a few seconds)

Every polynomial is the weighted minimax one, found by Remez's second algorithm (E. Remez 1934; J.-M. Muller,
"Elementary Functions: Algorithms and Implementation", 3rd ed. 2016, ch. 3) in 60 digits. Its coefficients are rounded
to the scalar one after the other from the lowest, and after each rounding those left are fitted anew (weighted
least squares against the minimax polynomial), so that they make up for what the rounding lost.

The weights turn the error of the polynomial into the relative error of the function that is built on it; that
error is printed beside each polynomial as a power of two.
"""

from mpmath import cos, erf, erfc, exp, expm1, frexp, ldexp, log, log1p, lu_solve, matrix, mp, mpf, nint, pi, sin, sqrt

mp.dps = 60
LN2 = log(mpf(2))


def rounded(x, bits):
    """x to `bits` bits, nearest."""
    if x == 0:
        return mpf(0)
    _, e = frexp(x)
    return ldexp(nint(ldexp(x, bits - e)), e - bits)


def value(c, x):
    """The polynomial with the coefficients c, lowest first, at x."""
    p = mpf(0)
    for a in reversed(c):
        p = p * x + a
    return p


def remez(g, weight, points, count):
    """(coefficients, error) of the minimax polynomial with `count` coefficients on the sorted `points`."""
    n = len(points)
    at = [round((1 - cos(pi * k / count)) / 2 * (n - 1)) for k in range(count + 1)]
    for _ in range(30):
        rows = matrix(count + 1, count + 1)
        right = matrix(count + 1, 1)
        for i, j in enumerate(at):
            for k in range(count):
                rows[i, k] = weight[j] * points[j] ** k
            rows[i, count] = (-1) ** i
            right[i] = weight[j] * g[j]
        solution = lu_solve(rows, right)
        c = [solution[k] for k in range(count)]
        level = abs(solution[count])
        error = [w * (y - value(c, x)) for x, w, y in zip(points, weight, g)]
        # The extreme of each run of equal signs; of more than are needed, those with the largest errors.
        extremes = []
        for j in range(n):
            if extremes and (error[j] > 0) == (error[extremes[-1]] > 0):
                if abs(error[j]) > abs(error[extremes[-1]]):
                    extremes[-1] = j
            else:
                extremes.append(j)
        while len(extremes) > count + 1:
            extremes.pop(0 if abs(error[extremes[0]]) < abs(error[extremes[-1]]) else -1)
        largest = max(abs(e) for e in error)
        if len(extremes) < count + 1 or largest < level * mpf("1.01"):
            return c, largest
        at = extremes
    return c, largest


def table(name, formula, variable, g, weight, lo, hi, count, bits):
    """Prints one table."""
    grid = [lo + (hi - lo) * (1 - cos(pi * (k + mpf(1) / 2) / 800)) / 2 for k in range(800)]
    values = [g(x) for x in grid]
    weights = [abs(weight(x)) for x in grid]
    best, _ = remez(values, weights, grid, count)
    moments = [sum(w * w * x**k for x, w in zip(grid, weights)) for k in range(2 * count)]
    done, lost = [], []
    for k in range(count):
        # Of what the rounding of the coefficients below k lost, those from k on make up as much as they can.
        n = count - k
        gram = matrix(n, n)
        right = matrix(n, 1)
        for i in range(n):
            for j in range(n):
                gram[i, j] = moments[2 * k + i + j]
            right[i] = sum(moments[k + i + j] * lost[j] for j in range(k))
        target = best[k] + lu_solve(gram, right)[0]
        done.append(rounded(target, bits))
        lost.append(best[k] - done[k])
    error = max(w * abs(y - value(done, x)) for x, w, y in zip(grid, weights, values))
    print(f"    // {formula}, {variable} in [{float(lo):.4f}, {float(hi):.4f}]: relative error 2^{float(log(error, 2)):.1f}.")
    print(f"    const {name}: [Self; {count}] = [")
    for c in done:
        print(f"        {number(c, bits)},")
    print("    ];")


def number(c, bits):
    """The shortest decimal that reads back as c, in the house's spelling."""
    if bits == 53:
        return repr(float(c))
    for digits in range(1, 18):
        text = f"{float(c):.{digits}g}"
        if rounded(mpf(text), bits) == c:
            return repr(float(text))
    raise ValueError(c)


def parts(name, x, widths):
    """Prints x as a sum of parts with so many bits."""
    values = []
    for width in widths:
        values.append(rounded(x, width))
        x -= values[-1]
    for i, value in enumerate(values):
        print(f"    {name}[{i}] = {number(value, widths[-1])}")


def mills(a):
    """R(a) = Φ(−a) e^(a²/2): half the Mills ratio times √(2/π)."""
    return erfc(a / sqrt(mpf(2))) * exp(a * a / 2) / 2


def erf_excess(u):
    x = sqrt(u)
    return erf(x) / x - 1


def scalar(bits, counts, high_bits, tail_end, pole, erf_end):
    """All tables of a scalar with so many bits."""
    half = LN2 / 2 * mpf("1.002")
    quarter = (pi / 4 * mpf("1.006")) ** 2
    offset = mpf(5) / 4
    parts("LN_2", LN2, [high_bits, bits])
    parts("PI_2", pi / 2, [bits, bits, bits])
    table("EXP", "e^r = 1 + r + r² P(r)", "r", lambda r: (expm1(r) - r) / r**2, lambda r: r**2 / expm1(r),
          -half, half, counts[0], bits)
    table("LN", "ln(1 + f) = f + f² P(f)", "f", lambda f: (log1p(f) - f) / f**2, lambda f: f**2 / log1p(f),
          mpf("-0.2502"), mpf("0.5002"), counts[1], bits)
    table("ERF", "erf x = x + x P(x²)", "x²", erf_excess, lambda u: 1 / (1 + erf_excess(u)),
          mpf(0), mpf(erf_end) ** 2, counts[2], bits)

    def a_of(v):
        return pole * (1 - v) / (1 + v)

    table("TAIL", f"Φ(−a) e^(a²/2) = P(v) / (a + 5/4), v = ({pole} − a) / ({pole} + a)", "v",
          lambda v: mills(a_of(v)) * (a_of(v) + offset), lambda v: 1 / (mills(a_of(v)) * (a_of(v) + offset)),
          mpf(pole - tail_end) / (pole + tail_end), mpf(1), counts[3], bits)
    table("SIN", "sin r = r + r³ P(r²)", "r²", lambda u: (sin(sqrt(u)) / sqrt(u) - 1) / u,
          lambda u: u / (sin(sqrt(u)) / sqrt(u)), mpf(0), quarter, counts[4], bits)
    table("COS", "cos r = 1 − r²/2 + r⁴ P(r²)", "r²", lambda u: (cos(sqrt(u)) - 1 + u / 2) / u**2,
          lambda u: u**2 / cos(sqrt(u)), mpf(0), quarter, counts[5], bits)


if __name__ == "__main__":
    print("f32")
    scalar(24, [6, 9, 6, 11, 3, 3], 15, mpf("14.5"), 4, "0.875")
    print("f64")
    scalar(53, [10, 20, 12, 23, 6, 6], 42, mpf("39"), 6, "0.875")
