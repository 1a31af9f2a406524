//! What is predicted: a number, brought to scale, or a class, by its index.

use crate::error::{TableError, first_few};
use crate::levels::Levels;
use crate::note::Note;
use crate::scale::{Affine, Scale};
use crate::schema::{MAX_CLASSES, Schema, Task, rows_with_target};
use crate::table::{Cells, Table};
use chainrule::{Matrix, Scalar};
use serde::{Deserialize, Serialize};
use std::collections::HashSet;

/// The target of a model, and the way from a table to what a network learns and back.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase", tag = "task")]
pub enum Target {
    /// A number.
    Regression(NumberTarget),
    /// A class.
    Classification(ClassTarget),
}

/// A target of numbers: a network learns z = (y − mean) / scale.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct NumberTarget {
    column: String,
    affine: Affine,
    /// Further numbers that the same network predicts, each with a scale of its own.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    others: Vec<NumberTarget>,
}

/// A target of classes: a network learns a label's index.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Stored")]
pub struct ClassTarget {
    column: String,
    labels: Vec<String>,
}

impl Target {
    /// The schema's target; for regression its scale is fitted on the given training rows.
    ///
    /// # Errors
    /// If a number is infinite or too large.
    pub fn fit(table: &Table, schema: &Schema, rows: &[usize], scale: Scale) -> Result<Self, TableError> {
        let name = |position: usize| table.columns()[position].name().to_owned();
        let number = |position: usize| {
            let affine = Affine::fit(scale, &table.numbers(position, rows)?);
            Ok::<_, TableError>(NumberTarget { column: name(position), affine, others: Vec::new() })
        };
        Ok(match schema.task {
            Task::Regression => {
                let others = schema.other_targets.iter().map(|&position| number(position)).collect::<Result<_, _>>()?;
                Self::Regression(NumberTarget { others, ..number(schema.target)? })
            }
            Task::Classification => {
                Self::Classification(ClassTarget { column: name(schema.target), labels: schema.labels.clone() })
            }
        })
    }

    /// The columns' names: one, or those of several numbers.
    pub fn columns(&self) -> impl Iterator<Item = &str> {
        let others = match self {
            Self::Regression(target) => &target.others[..],
            Self::Classification(_) => &[],
        };
        std::iter::once(self.column()).chain(others.iter().map(|target| &target.column[..]))
    }

    /// The column's name, or the first of several numbers'.
    pub fn column(&self) -> &str {
        match self {
            Self::Regression(target) => &target.column,
            Self::Classification(target) => &target.column,
        }
    }

    /// Regression or classification.
    pub fn task(&self) -> Task {
        match self {
            Self::Regression(_) => Task::Regression,
            Self::Classification(_) => Task::Classification,
        }
    }

    /// The classes in the order of their indices; none for regression.
    pub fn labels(&self) -> &[String] {
        match self {
            Self::Regression(_) => &[],
            Self::Classification(target) => &target.labels,
        }
    }

    /// The rows of a table that have a value in every target column, with a note on those that have none.
    ///
    /// # Errors
    /// If the table has no such column, or no such row.
    pub fn rows(&self, table: &Table) -> Result<(Vec<usize>, Vec<Note>), TableError> {
        let targets = self.columns().map(|column| position(table, column)).collect::<Result<Vec<_>, _>>()?;
        let (rows, notes) = rows_with_target(table, &targets, None);
        if rows.is_empty() {
            let (file, target) = (table.name().to_owned(), self.column().to_owned());
            return Err(TableError::TooFewRows { file, target, expected: 1, got: 0 });
        }
        Ok((rows, notes))
    }
}

impl NumberTarget {
    /// This number and the others beside it, in the order of the network's outputs.
    pub fn numbers(&self) -> impl Iterator<Item = &Self> {
        std::iter::once(self).chain(&self.others)
    }

    /// The column's name.
    pub fn column(&self) -> &str {
        &self.column
    }

    /// The map between y and z.
    pub fn affine(&self) -> Affine {
        self.affine
    }

    /// y in the given rows.
    ///
    /// # Errors
    /// If the table has no such column; if a cell is missing, a text, infinite or too large.
    pub fn values(&self, table: &Table, rows: &[usize]) -> Result<Vec<f64>, TableError> {
        let position = position(table, &self.column)?;
        let values = table.numbers(position, rows)?;
        match values.iter().position(|y| y.is_nan()) {
            None => Ok(values),
            Some(i) => Err(TableError::MissingCell { place: table.place(rows[i], position) }),
        }
    }

    /// z in the given rows, [rows, numbers].
    ///
    /// # Errors
    /// As [`Self::values`]; also if `T` cannot hold z², which a loss needs.
    pub fn encode<T: Scalar>(&self, table: &Table, rows: &[usize]) -> Result<Matrix<T>, TableError> {
        let mut all = Matrix::zeros(rows.len(), 1 + self.others.len());
        for (k, target) in self.numbers().enumerate() {
            for (i, y) in target.values(table, rows)?.into_iter().enumerate() {
                let z = target.affine.to_input(y);
                if !T::from_f64(z * z).is_finite() {
                    let position = position(table, &target.column)?;
                    let (place, got) = (table.place(rows[i], position), table.spelling(rows[i], position));
                    return Err(TableError::Unrepresentable { place, got, precision: T::NAME });
                }
                all[(i, k)] = T::from_f64(z);
            }
        }
        Ok(all)
    }

    /// y = mean + scale · z.
    pub fn decode(&self, z: f64) -> f64 {
        self.affine.to_raw(z)
    }
}

impl ClassTarget {
    /// The classes in the order of their indices.
    pub fn labels(&self) -> &[String] {
        &self.labels
    }

    /// The index of each row's label. Numbers count as equal however they are spelled.
    ///
    /// # Errors
    /// If the table has no such column; if a cell is missing or holds none of the labels.
    pub fn classes(&self, table: &Table, rows: &[usize]) -> Result<Vec<u32>, TableError> {
        let position = position(table, &self.column)?;
        let cells = table.columns()[position].cells();
        let labels = Levels::new(&self.labels);
        let known: Vec<Option<usize>> = match cells {
            Cells::Texts(texts) => texts.levels().map(|text| labels.find(text)).collect(),
            Cells::Numbers(_) => Vec::new(),
        };
        let class = |&row: &usize| {
            let class = match cells {
                Cells::Texts(texts) => texts.code(row).and_then(|code| known[code]),
                Cells::Numbers(values) => labels.find_number(values.get(row)),
            };
            class.map(|class| class as u32).ok_or_else(|| match cells.is_missing(row) {
                true => TableError::MissingCell { place: table.place(row, position) },
                false => TableError::UnknownLabel {
                    place: table.place(row, position),
                    got: table.spelling(row, position),
                    known: first_few(&self.labels),
                },
            })
        };
        rows.iter().map(class).collect()
    }
}

fn position(table: &Table, column: &str) -> Result<usize, TableError> {
    table.position(column).ok_or_else(|| {
        let names = vec![column.to_owned()];
        TableError::MissingColumns { file: table.name().to_owned(), names, got: 1 }
    })
}

/// A [`ClassTarget`] in a file, which anybody may have written.
#[derive(Deserialize)]
struct Stored {
    column: String,
    labels: Vec<String>,
}

impl TryFrom<Stored> for ClassTarget {
    type Error = String;

    fn try_from(Stored { column, labels }: Stored) -> Result<Self, String> {
        let distinct = labels.iter().collect::<HashSet<_>>().len();
        match (2..=MAX_CLASSES).contains(&labels.len()) && distinct == labels.len() {
            true => Ok(Self { column, labels }),
            false => Err(format!("{} labels, {distinct} of them different: expected 2 to {MAX_CLASSES}", labels.len())),
        }
    }
}
