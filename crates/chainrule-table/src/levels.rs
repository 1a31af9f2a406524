//! Finding a text among known ones, also where a number is spelled another way.

use crate::table::number;
use std::cmp::Ordering;
use std::collections::HashMap;

/// An index of distinct texts.
pub(crate) struct Levels<'a> {
    by_text: HashMap<&'a str, usize>,
    by_number: HashMap<u64, usize>,
}

/// Equal for equal numbers: −0 becomes 0.
fn key(x: f64) -> u64 {
    (x + 0.0).to_bits()
}

impl<'a> Levels<'a> {
    pub(crate) fn new(levels: &'a [String]) -> Self {
        let mut by_number = HashMap::new();
        for (i, level) in levels.iter().enumerate() {
            if let Some(x) = number(level) {
                by_number.entry(key(x)).or_insert(i);
            }
        }
        Self { by_text: levels.iter().enumerate().map(|(i, level)| (level.as_str(), i)).collect(), by_number }
    }

    /// The level of that text; failing that, the first one that is the same number (`1.0` finds `1`: another program may
    /// have written the table).
    pub(crate) fn find(&self, text: &str) -> Option<usize> {
        self.by_text.get(text).copied().or_else(|| number(text).and_then(|x| self.find_number(x)))
    }

    pub(crate) fn find_number(&self, x: f64) -> Option<usize> {
        self.by_number.get(&key(x)).copied()
    }
}

/// Sorts as a person expects: by number if all are numbers (then by text), else by their bytes.
pub(crate) fn sort(levels: &mut [String]) {
    if levels.iter().all(|level| number(level).is_some()) {
        let value = |level: &String| number(level).unwrap_or(f64::NAN);
        levels.sort_by(|a, b| value(a).partial_cmp(&value(b)).unwrap_or(Ordering::Equal).then_with(|| a.cmp(b)));
    } else {
        levels.sort();
    }
}
