//! Symbols as the tutorial writes them, in Unicode and in LaTeX; and numbers as a person reads them.

use std::fmt;

/// A letter with a layer and indices: w⁽¹⁾₁₂. Layers count from 0, indices from 1.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Symbol {
    /// x, z, w, …
    pub letter: Letter,
    /// The layer, 0 for the input.
    pub layer: usize,
    /// The member, from 1, where several share the layer.
    pub member: Option<usize>,
    /// The indices, from 1.
    pub indices: Vec<usize>,
}

/// The letter of a [`Symbol`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Letter {
    /// x, a neuron; with so many primes where a layer has several.
    X(usize),
    /// z, a receptor.
    Z,
    /// ẑ, a receptor after its norm; with so many primes.
    Normed(usize),
    /// e, an embedded column.
    Embedded,
    /// w.
    Weight,
    /// b.
    Bias,
    /// γ.
    Scale,
    /// β.
    Shift,
    /// y, a target.
    Target,
}

impl Letter {
    /// As a character of a line of text.
    pub fn plain(self) -> String {
        let primes = |n: usize| "′".repeat(n);
        match self {
            Self::X(n) => format!("x{}", primes(n)),
            Self::Z => "z".into(),
            Self::Normed(n) => format!("ẑ{}", primes(n)),
            Self::Embedded => "e".into(),
            Self::Weight => "w".into(),
            Self::Bias => "b".into(),
            Self::Scale => "γ".into(),
            Self::Shift => "β".into(),
            Self::Target => "y".into(),
        }
    }

    fn latex(self) -> String {
        match self {
            Self::X(n) => format!("x{}", "'".repeat(n)),
            Self::Normed(n) => format!("\\hat z{}", "'".repeat(n)),
            Self::Scale => "\\gamma".into(),
            Self::Shift => "\\beta".into(),
            other => other.plain(),
        }
    }
}

/// The digits of `n` in another script.
fn digits(n: usize, set: [char; 10]) -> String {
    n.to_string().bytes().map(|digit| set[usize::from(digit - b'0')]).collect()
}

pub(crate) const SUPERSCRIPTS: [char; 10] = ['⁰', '¹', '²', '³', '⁴', '⁵', '⁶', '⁷', '⁸', '⁹'];
const SUBSCRIPTS: [char; 10] = ['₀', '₁', '₂', '₃', '₄', '₅', '₆', '₇', '₈', '₉'];

impl Symbol {
    /// The symbol of one neuron or receptor.
    pub fn new(letter: Letter, layer: usize, member: Option<usize>, indices: &[usize]) -> Self {
        Self { letter, layer, member, indices: indices.to_vec() }
    }

    /// What stands above, without parentheses: `1`, or `1 m3` for the third member.
    pub fn above(&self) -> String {
        match self.member {
            Some(member) => format!("{}m{member}", self.layer),
            None => self.layer.to_string(),
        }
    }

    /// What stands below: `12`, or `1,12` where an index has two digits.
    pub fn below(&self) -> String {
        let comma = if self.indices.len() > 1 && self.indices.iter().any(|&i| i > 9) { "," } else { "" };
        self.indices.iter().map(usize::to_string).collect::<Vec<_>>().join(comma)
    }

    /// The symbol in LaTeX's mathematics.
    pub fn latex(&self) -> String {
        let member = self.member.map_or(String::new(), |m| format!(",m{m}"));
        let indices: Vec<String> = self.indices.iter().map(usize::to_string).collect();
        let below = if indices.is_empty() { String::new() } else { format!("_{{{}}}", indices.join(",")) };
        match self.letter {
            Letter::Target => format!("y{below}"),
            letter => format!("{}^{{({}{member})}}{below}", letter.latex(), self.layer),
        }
    }
}

impl fmt::Display for Symbol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.letter.plain())?;
        if self.letter != Letter::Target {
            let member = self.member.map_or(String::new(), |m| format!("ᵐ{}", digits(m, SUPERSCRIPTS)));
            write!(f, "⁽{}{member}⁾", digits(self.layer, SUPERSCRIPTS))?;
        }
        let comma = self.indices.len() > 1 && self.indices.iter().any(|&i| i > 9);
        for (n, &i) in self.indices.iter().enumerate() {
            if n > 0 && comma {
                f.write_str("‚")?;
            }
            f.write_str(&digits(i, SUBSCRIPTS))?;
        }
        Ok(())
    }
}

/// A piece of mathematics in both spellings.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Written {
    /// In Unicode.
    pub plain: String,
    /// In LaTeX's mathematics.
    pub latex: String,
}

impl Written {
    pub(crate) fn new(plain: impl Into<String>, latex: impl Into<String>) -> Self {
        Self { plain: plain.into(), latex: latex.into() }
    }

    pub(crate) fn symbol(symbol: &Symbol) -> Self {
        Self { plain: symbol.to_string(), latex: symbol.latex() }
    }

    /// ∂a/∂b.
    pub(crate) fn derivative(of: &Self, by: &Self) -> Self {
        Self {
            plain: format!("∂{}/∂{}", of.plain, by.plain),
            latex: format!("\\frac{{\\partial {}}}{{\\partial {}}}", of.latex, by.latex),
        }
    }
}

/// The shortest decimal of at most `digits` significant digits, with a true minus sign.
pub fn number(x: f64, digits: usize) -> String {
    let rounded: f64 = format!("{x:.*e}", digits.clamp(1, 17) - 1).parse().unwrap_or(x);
    let text = match rounded.abs() {
        0.0 => "0".into(), // also for −0
        size if (1e-5..1e10).contains(&size) => rounded.to_string(),
        _ if rounded.is_finite() => format!("{rounded:e}"),
        _ => rounded.to_string().replace("inf", "∞"),
    };
    text.replace('-', "−")
}

/// A number as LaTeX writes it.
pub fn latex_number(x: f64, digits: usize) -> String {
    let text = number(x, digits).replace('−', "-").replace('∞', "\\infty");
    match text.split_once('e') {
        Some((mantissa, exponent)) => format!("{mantissa}\\cdot 10^{{{exponent}}}"),
        None => text.replace("NaN", "\\mathrm{NaN}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn symbols_are_the_tutorial_s() {
        let w = |indices: &[usize]| Symbol::new(Letter::Weight, 1, None, indices);
        assert_eq!(w(&[1, 2]).to_string(), "w⁽¹⁾₁₂");
        assert_eq!(w(&[1, 12]).to_string(), "w⁽¹⁾₁‚₁₂", "₁₁₂ could be 11,2");
        assert_eq!(w(&[1, 2]).latex(), "w^{(1)}_{1,2}");
        assert_eq!(Symbol::new(Letter::X(0), 2, Some(3), &[4]).to_string(), "x⁽²ᵐ³⁾₄");
        assert_eq!(Symbol::new(Letter::Target, 0, None, &[1]).to_string(), "y₁");
    }

    #[test]
    fn numbers_are_what_a_person_would_write() {
        assert_eq!(number(0.1 + 0.2, 12), "0.3");
        assert_eq!(number(-0.0, 12), "0");
        assert_eq!(number(-1.447_507_994_982_3, 13), "−1.447507994982");
        assert_eq!(number(1.5e-9, 3), "1.5e−9");
        assert_eq!(latex_number(-1.5e-9, 3), "-1.5\\cdot 10^{-9}");
        assert_eq!(number(f64::NEG_INFINITY, 3), "−∞");
    }
}
