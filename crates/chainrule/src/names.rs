//! The names a user types, parsed in one place: `relu`, `leaky_relu:0.2`, `cosine:0.05`.

use crate::error::Error;

/// A name with its numbers: `name`, or `name:1`, or `name:1:0.5`.
pub(crate) struct Spelled<'a> {
    pub(crate) name: &'a str,
    numbers: Vec<f64>,
    text: &'a str,
    kind: &'static str,
}

impl<'a> Spelled<'a> {
    /// Splits `text` at its colons.
    pub(crate) fn parse(kind: &'static str, text: &'a str) -> Result<Self, Error> {
        let mut parts = text.trim().split(':');
        let name = parts.next().unwrap_or_default();
        let numbers = parts
            .map(|part| part.trim().parse::<f64>().ok().filter(|x| x.is_finite()))
            .collect::<Option<Vec<f64>>>()
            .ok_or_else(|| Error::Value { what: kind, expected: "numbers after the colon".into(), got: text.into() })?;
        Ok(Self { name, numbers, text, kind })
    }

    /// How many numbers there are.
    pub(crate) fn count(&self) -> usize {
        self.numbers.len()
    }

    /// The number at `position`, or its default.
    ///
    /// # Errors
    /// If the number is outside `allowed`, described by `expected`.
    pub(crate) fn number(
        &self,
        position: usize,
        default: f64,
        expected: &str,
        allowed: impl Fn(f64) -> bool,
    ) -> Result<f64, Error> {
        let x = self.numbers.get(position).copied().unwrap_or(default);
        if allowed(x) {
            return Ok(x);
        }
        Err(Error::Value { what: self.kind, expected: format!("{} with {expected}", self.name), got: self.text.into() })
    }

    /// Refuses more than `most` numbers: no option is silent.
    pub(crate) fn at_most(&self, most: usize) -> Result<(), Error> {
        if self.numbers.len() <= most {
            return Ok(());
        }
        Err(Error::Value {
            what: self.kind,
            expected: format!("{} with at most {most} number(s) after it", self.name),
            got: self.text.into(),
        })
    }

    /// The error for a name that is none of `known`.
    pub(crate) fn unknown(&self, known: &[&'static str]) -> Error {
        Error::unknown_name(self.kind, self.name, known)
    }
}

/// Writes `name`, and `:number` for each number that is not the default's.
pub(crate) fn spell(f: &mut std::fmt::Formatter<'_>, name: &str, numbers: &[(f64, f64)]) -> std::fmt::Result {
    f.write_str(name)?;
    let last = numbers.iter().rposition(|(x, default)| x != default);
    for (x, _) in &numbers[..last.map_or(0, |last| last + 1)] {
        write!(f, ":{x}")?;
    }
    Ok(())
}
