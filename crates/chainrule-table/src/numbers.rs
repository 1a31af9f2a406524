//! A column of numbers in little memory, and how numbers are read and spelled.
//!
//! Most numbers in tables are decimals of a few digits. A column whose numbers are all m / 10ᵏ with one k and |m| < 2³¹ is
//! kept as the 32-bit m, half the memory of doubles; the value is one correctly rounded division of two exact numbers, which
//! is what a parser gives (Clinger, "How to Read Floating Point Numbers Accurately", PLDI 1990). Other columns are doubles.

use crate::table::is_missing;

/// Numbers; NaN where missing. Zero has no sign.
#[derive(Clone, Debug)]
pub struct Numbers {
    store: Store,
    style: Style,
}

#[derive(Clone, Debug)]
enum Store {
    /// m / 10^`places`, [`MISSING`] where missing. `largest` is the greatest |m|.
    Decimals {
        mantissas: Vec<i32>,
        places: u8,
        largest: u32,
    },
    Doubles(Vec<f64>),
}

const MISSING: i32 = i32::MIN;
/// The most places of a column of decimals.
const MAX_PLACES: u8 = 9;
/// Numbers beside 3 · 2⁵¹ are a whole one apart.
const NEAREST: f64 = 6_755_399_441_055_744.0;
/// Exact in f64.
const POWERS: [f64; 23] = [
    1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18, 1e19, 1e20,
    1e21, 1e22,
];

/// How the cells of a column are spelled, so that a number can be given back as it stood in the file.
#[derive(Clone, Copy, Debug)]
struct Style {
    /// No blanks, plus, exponent, superfluous zero in front, nor a point without digits on both sides.
    plain: bool,
    /// No zero at the end behind a point: `1`, `1.5`.
    shortest: bool,
    /// A point everywhere, and at the end a zero only in `.0`: `1.0`, `1.5`.
    pointed: bool,
    /// The least and the greatest number of digits behind the point.
    places: (u8, u8),
}

impl Style {
    /// That of no cell.
    const ANY: Self = Self { plain: true, shortest: true, pointed: true, places: (u8::MAX, 0) };
    /// Of cells of which nothing is known but their values.
    const UNKNOWN: Self = Self { plain: true, shortest: true, pointed: false, places: (u8::MAX, 0) };

    #[inline]
    fn and(&mut self, other: Self) {
        self.plain &= other.plain;
        self.shortest &= other.shortest;
        self.pointed &= other.pointed;
        self.places = (self.places.0.min(other.places.0), self.places.1.max(other.places.1));
    }

    fn spell(self, x: f64) -> String {
        let size = x.abs();
        if size != 0.0 && !(1e-7..1e21).contains(&size) {
            return format!("{x:e}");
        }
        match self {
            Self { plain: true, shortest: false, pointed: true, .. } => format!("{x:?}"),
            Self { plain: true, shortest: false, places: (least, most), .. } if least == most => {
                format!("{x:.*}", usize::from(most))
            }
            _ => x.to_string(),
        }
    }
}

/// A number as a cell spells it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Spelled {
    value: Value,
    style: Style,
    /// A whole number with a zero in front, as `007`: perhaps a code, whose spelling matters.
    pub(crate) zero_in_front: bool,
}

#[derive(Clone, Copy, Debug)]
enum Value {
    /// ± m / 10^places, m below 2⁵³.
    Decimal(i64, u8),
    Double(f64),
}

impl Spelled {
    pub(crate) fn value(self) -> f64 {
        match self.value {
            Value::Decimal(mantissa, places) => mantissa as f64 / POWERS[usize::from(places)],
            Value::Double(x) => x,
        }
    }

    /// The number at the start of `bytes` in the plain form `-12.5`, and its length. None if it has another form or too
    /// many digits for an exact mantissa: then [`Self::read`] decides.
    #[inline]
    pub(crate) fn prefix(bytes: &[u8], point: u8) -> Option<(Self, usize)> {
        let negative = bytes.first() == Some(&b'-');
        let start = usize::from(negative);
        let mut mantissa: u64 = 0;
        let mut at = start;
        while let Some(digit) = bytes.get(at).map(|byte| byte.wrapping_sub(b'0')).filter(|digit| *digit < 10) {
            mantissa = mantissa.wrapping_mul(10).wrapping_add(u64::from(digit));
            at += 1;
        }
        let whole = at - start;
        let mut places = 0;
        if bytes.get(at) == Some(&point) {
            at += 1;
            let first = at;
            while let Some(digit) = bytes.get(at).map(|byte| byte.wrapping_sub(b'0')).filter(|digit| *digit < 10) {
                mantissa = mantissa.wrapping_mul(10).wrapping_add(u64::from(digit));
                at += 1;
            }
            places = at - first;
            if places == 0 {
                return None;
            }
        }
        // 10¹⁸ < 2⁶³: nothing has wrapped.
        if whole == 0 || whole + places > 18 || mantissa >= 1 << 53 {
            return None;
        }
        let ends_in_zero = places > 0 && bytes[at - 1] == b'0';
        let zero_in_front = whole > 1 && bytes[start] == b'0';
        let style = Style {
            plain: !zero_in_front,
            shortest: !ends_in_zero,
            pointed: places == 1 || (places > 1 && !ends_in_zero),
            places: (places as u8, places as u8),
        };
        let mantissa = if negative { -(mantissa as i64) } else { mantissa as i64 };
        let value = Value::Decimal(mantissa, places as u8);
        Some((Self { value, style, zero_in_front: zero_in_front && places == 0 }, at))
    }

    /// The number that a whole cell holds, if it holds one.
    pub(crate) fn read(cell: &str, point: u8) -> Option<Self> {
        let trimmed = cell.trim();
        if let Some((mut number, length)) = Self::prefix(trimmed.as_bytes(), point)
            && length == trimmed.len()
        {
            number.style.plain &= trimmed.len() == cell.len();
            return Some(number);
        }
        let with_point;
        let text = match point {
            b'.' => trimmed,
            _ if trimmed.contains('.') => return None,
            _ => {
                with_point = trimmed.replace(char::from(point), ".");
                &with_point
            }
        };
        // The parser also takes other spellings of "not a number" (`-NAN`): those are texts here.
        let x = text.parse().ok().filter(|x: &f64| !x.is_nan())?;
        // Many digits: the shortest decimal is what programs write.
        let long = text.len() > 15 && text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.' || byte == b'-');
        let style = Style { plain: long && trimmed.len() == cell.len(), ..Style::UNKNOWN };
        Some(Self { value: Value::Double(x), style, zero_in_front: false })
    }
}

impl Default for Numbers {
    fn default() -> Self {
        Self { store: Store::Decimals { mantissas: Vec::new(), places: 0, largest: 0 }, style: Style::ANY }
    }
}

impl FromIterator<f64> for Numbers {
    fn from_iter<I: IntoIterator<Item = f64>>(values: I) -> Self {
        let mut numbers = Self { style: Style::UNKNOWN, ..Self::default() };
        values.into_iter().for_each(|x| numbers.push(x));
        numbers
    }
}

impl Numbers {
    /// The number of cells.
    pub fn len(&self) -> usize {
        match &self.store {
            Store::Decimals { mantissas, .. } => mantissas.len(),
            Store::Doubles(values) => values.len(),
        }
    }

    /// Whether there is no cell.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The number in that row; NaN where missing.
    ///
    /// # Panics
    /// If there is no such row.
    #[inline]
    pub fn get(&self, row: usize) -> f64 {
        match &self.store {
            Store::Decimals { mantissas, places, .. } => decimal(mantissas[row], POWERS[usize::from(*places)]),
            Store::Doubles(values) => values[row],
        }
    }

    /// All numbers in order.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = f64> + '_ {
        (0..self.len()).map(|row| self.get(row))
    }

    /// The numbers in the given rows.
    ///
    /// # Panics
    /// If there is no such row.
    pub fn gather(&self, rows: &[usize]) -> Vec<f64> {
        match &self.store {
            Store::Decimals { mantissas, places, .. } => {
                let power = POWERS[usize::from(*places)];
                rows.iter().map(|&row| decimal(mantissas[row], power)).collect()
            }
            Store::Doubles(values) => rows.iter().map(|&row| values[row]).collect(),
        }
    }

    /// Whether no cell was ever spelled: the column is missing all over.
    pub(crate) fn all_missing(&self) -> bool {
        self.style.places == Style::ANY.places && self.iter().all(f64::is_nan)
    }

    /// The number in that row as the file spells it, where all its cells share a style; else its shortest decimal. Empty
    /// where missing.
    pub fn spelling(&self, row: usize) -> String {
        let x = self.get(row);
        if x.is_nan() { String::new() } else { self.style.spell(x) }
    }

    /// Adds a number, NaN for a missing one.
    pub fn push(&mut self, x: f64) {
        let x = x + 0.0; // −0 becomes 0
        if x.is_nan() {
            return self.push_missing();
        }
        if let Store::Decimals { places, .. } = self.store {
            for places in places..=MAX_PLACES {
                // The nearest integer; `round` is a call on processors before SSE 4.1. Halves fail the test below either way.
                let mantissa = x * POWERS[usize::from(places)] + NEAREST - NEAREST;
                if mantissa.abs() > f64::from(i32::MAX) {
                    break;
                }
                if mantissa / POWERS[usize::from(places)] == x {
                    return self.push_decimal(mantissa as i64, places);
                }
            }
        }
        self.doubles().push(x);
    }

    /// Adds a missing number.
    #[inline]
    pub(crate) fn push_missing(&mut self) {
        match &mut self.store {
            Store::Decimals { mantissas, .. } => mantissas.push(MISSING),
            Store::Doubles(values) => values.push(f64::NAN),
        }
    }

    #[inline]
    pub(crate) fn push_spelled(&mut self, spelled: Spelled) {
        self.style.and(spelled.style);
        match spelled.value {
            Value::Decimal(mantissa, places) => self.push_decimal(mantissa, places),
            Value::Double(x) => self.doubles().push(x + 0.0),
        }
    }

    /// Adds ± m / 10^places.
    #[inline]
    fn push_decimal(&mut self, mantissa: i64, of_cell: u8) {
        match &mut self.store {
            Store::Doubles(values) => values.push(mantissa as f64 / POWERS[usize::from(of_cell)]),
            Store::Decimals { mantissas, places, largest } => {
                if of_cell == *places && mantissa.unsigned_abs() < 1 << 31 {
                    mantissas.push(mantissa as i32);
                    *largest = (*largest).max(mantissa.unsigned_abs() as u32);
                } else {
                    self.push_other(mantissa, of_cell);
                }
            }
        }
    }

    /// As [`Self::push_decimal`] for a number that the column's places or 32 bits do not fit.
    #[cold]
    fn push_other(&mut self, mantissa: i64, of_cell: u8) {
        let Store::Decimals { mantissas, places, largest } = &mut self.store else { return };
        let factor = |digits: u8| 10_i64.checked_pow(u32::from(digits));
        let fits = |m: Option<i64>| m.filter(|m| m.unsigned_abs() < 1 << 31).map(|m| m as i32);
        if of_cell <= *places {
            let scaled = factor(*places - of_cell).and_then(|f| mantissa.checked_mul(f));
            if let Some(m) = fits(scaled) {
                mantissas.push(m);
                *largest = (*largest).max(m.unsigned_abs());
                return;
            }
        } else if of_cell <= MAX_PLACES
            && let Some(m) = fits(Some(mantissa))
            && let Some(factor) = factor(of_cell - *places)
            && let Some(most) = fits(i64::from(*largest).checked_mul(factor))
        {
            mantissas.iter_mut().filter(|m| **m != MISSING).for_each(|m| *m *= factor as i32);
            mantissas.push(m);
            (*places, *largest) = (of_cell, most.unsigned_abs().max(m.unsigned_abs()));
            return;
        }
        self.doubles().push(mantissa as f64 / POWERS[usize::from(of_cell)]);
    }

    /// The column as doubles from now on.
    fn doubles(&mut self) -> &mut Vec<f64> {
        if let Store::Decimals { mantissas, places, .. } = &self.store {
            let power = POWERS[usize::from(*places)];
            self.store = Store::Doubles(mantissas.iter().map(|&m| decimal(m, power)).collect());
        }
        match &mut self.store {
            Store::Doubles(values) => values,
            Store::Decimals { .. } => unreachable!("replaced above"),
        }
    }

    /// Adds all cells of another column.
    pub(crate) fn append(&mut self, other: &Self) {
        self.style.and(other.style);
        match (&mut self.store, &other.store) {
            (
                Store::Decimals { mantissas, places, largest },
                Store::Decimals { mantissas: more, places: p, largest: l },
            ) if places == p => {
                mantissas.extend_from_slice(more);
                *largest = (*largest).max(*l);
            }
            (_, Store::Decimals { mantissas, places, .. }) => {
                for &mantissa in mantissas {
                    match mantissa {
                        MISSING => self.push_missing(),
                        mantissa => self.push_decimal(i64::from(mantissa), *places),
                    }
                }
            }
            (_, Store::Doubles(values)) => self.doubles().extend_from_slice(values),
        }
    }

    /// Gives back memory that is kept for more cells.
    pub(crate) fn shrink(&mut self) {
        match &mut self.store {
            Store::Decimals { mantissas, .. } => mantissas.shrink_to_fit(),
            Store::Doubles(values) => values.shrink_to_fit(),
        }
    }
}

#[inline]
fn decimal(mantissa: i32, power: f64) -> f64 {
    if mantissa == MISSING { f64::NAN } else { f64::from(mantissa) / power }
}

/// The number that a cell holds; NaN if it is missing, `None` if it is another text.
pub(crate) fn number(cell: &str) -> Option<f64> {
    let trimmed = cell.trim();
    if is_missing(trimmed) {
        return Some(f64::NAN);
    }
    Spelled::read(trimmed, b'.').map(Spelled::value)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn column(cells: &[&str]) -> Numbers {
        let mut numbers = Numbers::default();
        for cell in cells {
            match *cell {
                "" => numbers.push_missing(),
                cell => numbers.push_spelled(Spelled::read(cell, b'.').unwrap()),
            }
        }
        numbers
    }

    fn is_decimal(numbers: &Numbers) -> bool {
        matches!(numbers.store, Store::Decimals { .. })
    }

    #[test]
    fn every_number_is_the_parsers_to_the_last_bit() {
        let mut state = 1_u64;
        let mut random = |n: u64| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (state >> 33) % n
        };
        for _ in 0..200_000 {
            let digits: String = (0..1 + random(20)).map(|_| char::from(b'0' + random(10) as u8)).collect();
            let mut text = digits.clone();
            if random(3) > 0 {
                text.insert(1 + random(digits.len() as u64) as usize, '.');
            }
            if random(2) == 0 {
                text.insert(0, '-');
            }
            let expected: f64 = text.parse().unwrap();
            let read = Spelled::read(&text, b'.').unwrap();
            assert_eq!(read.value(), expected, "{text}");
            let mut numbers = Numbers::default();
            numbers.push_spelled(read);
            assert_eq!(numbers.get(0).to_bits(), (expected + 0.0).to_bits(), "{text}");
        }
    }

    #[test]
    fn decimals_of_different_places_share_the_greatest() {
        let numbers = column(&["1", "", "-2.5", "0.125", "7"]);
        assert!(is_decimal(&numbers));
        let values: Vec<f64> = numbers.iter().collect();
        assert_eq!((values[0], values[2], values[3], values[4]), (1.0, -2.5, 0.125, 7.0));
        assert!(values[1].is_nan());
    }

    #[test]
    fn doubles_that_are_short_decimals_take_four_bytes() {
        for places in 0..=MAX_PLACES {
            for m in (-2_147_483_647..=2_147_483_647_i64).step_by(1_234_577) {
                let x = m as f64 / POWERS[usize::from(places)];
                let mut numbers = Numbers::default();
                numbers.push(x);
                assert!(is_decimal(&numbers), "{m}e-{places}");
                assert_eq!(numbers.get(0), x, "{m}e-{places}");
            }
        }
        for x in [0.5e-9, 1e-300, 2_147_483_647.5, f64::INFINITY, 1.0 / 3.0, 6_755_399_441_055_744.0] {
            let mut numbers = Numbers::default();
            numbers.push(x);
            assert!(!is_decimal(&numbers), "{x}");
            assert_eq!(numbers.get(0), x);
        }
    }

    #[test]
    fn what_32_bits_cannot_hold_makes_doubles() {
        let numbers = column(&["1.5", "2147483647", "", "0.1"]);
        assert!(!is_decimal(&numbers));
        assert_eq!(numbers.get(1), 2_147_483_647.0);
        assert!(numbers.get(2).is_nan());
        assert!(is_decimal(&column(&["2147483647", "-2147483647"])));
        assert!(!is_decimal(&column(&["2147483648"])));
        assert!(!is_decimal(&column(&["2000000000", "0.5"])));
    }

    #[test]
    fn a_style_that_all_cells_share_is_given_back() {
        let spelled = |cells: &[&str]| -> Vec<String> {
            let numbers = column(cells);
            (0..cells.len()).map(|row| numbers.spelling(row)).collect()
        };
        for cells in [
            ["1", "", "2.5", "-300"],
            ["1.0", "", "2.5", "0.125"],
            ["1.50", "", "2.25", "-0.10"],
            ["0.30000000000000004", "", "1.5", "2"],
        ] {
            assert_eq!(spelled(&cells), cells);
        }
        // No style of ours: the shortest decimals.
        assert_eq!(spelled(&["1.50", "2", "1e3", "+4"]), ["1.5", "2", "1000", "4"]);
        assert_eq!(spelled(&["1e300", "inf", "5e-324"]), ["1e300", "inf", "5e-324"]);
    }

    #[test]
    fn columns_of_blocks_join_as_if_read_at_once() {
        let cells = ["1", "2.5", "", "2147483646", "0.001", "3"];
        for cut in 0..=cells.len() {
            let mut joined = column(&cells[..cut]);
            joined.append(&column(&cells[cut..]));
            let whole = column(&cells);
            for row in 0..cells.len() {
                assert_eq!(joined.get(row).to_bits(), whole.get(row).to_bits(), "{cut} {row}");
                assert_eq!(joined.spelling(row), whole.spelling(row));
            }
        }
    }

    #[test]
    fn a_decimal_comma() {
        let read = |cell| Spelled::read(cell, b',').map(Spelled::value);
        assert_eq!(
            (read("1,5"), read("-0,25"), read("3"), read("1e3")),
            (Some(1.5), Some(-0.25), Some(3.0), Some(1e3))
        );
        assert_eq!((read("1.5"), read("1.234,5")), (None, None));
    }
}
