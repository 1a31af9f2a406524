//! What a person should know about their data although it is no error.

use crate::error::{List, first_few};
use serde::{Deserialize, Serialize};
use std::fmt;

/// A fact about the data in one sentence, for the person who runs the command.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Note(String);

impl Note {
    pub(crate) fn new(text: String) -> Self {
        Self(text)
    }

    /// `left out, dates: `built`, `sold``: one note for all columns that share a fate; none for no column.
    pub(crate) fn columns<S: AsRef<str>>(fate: &str, names: &[S]) -> Option<Self> {
        (!names.is_empty()).then(|| Self(format!("{fate}: {}", List(&first_few(names)))))
    }

    /// The sentence.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Note {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// `1 row`, `2 rows`.
pub(crate) fn counted(count: usize, noun: &str) -> String {
    format!("{count} {noun}{}", if count == 1 { "" } else { "s" })
}
