//! Tables for Chainrule: from a file of rows to matrices that a network takes, and back to labels, units and scores.
//!
//! ```
//! use chainrule_table::{Encoder, Scale, Schema, SchemaOptions, Table, Target};
//!
//! let csv = "rooms,street,price\n3,Elm,210\n,Oak,180\n5,Elm,330\n";
//! let table = Table::read_csv(csv.as_bytes(), "houses.csv")?;
//! let schema = Schema::infer(&table, &SchemaOptions { target: "price".into(), ..SchemaOptions::default() })?;
//! let (encoder, _) = Encoder::fit(&table, &schema, &schema.rows, Scale::Standard)?;
//! let names: Vec<String> = encoder.columns().into_iter().map(|column| column.name).collect();
//! assert_eq!(names, ["rooms", "rooms is missing", "street=Oak"]);
//!
//! let (inputs, notes) = encoder.encode::<f32>(&table, None)?;
//! assert_eq!(inputs.row(1), [0.0, 1.0, 1.0]); // the median, its gap, and Oak
//! assert!(notes.is_empty());
//! let Target::Regression(price) = Target::fit(&table, &schema, &schema.rows, Scale::Standard)? else { unreachable!() };
//! assert_eq!(price.decode(0.0), 240.0); // the mean
//! # Ok::<(), chainrule_table::TableError>(())
//! ```
//!
//! In reading order: [`table`] (cells, what is missing, what is a number), [`schema`] (what each column is), [`encoder`]
//! and [`target`] (what a network sees), [`split`] (who learns, who scores), [`metrics`], and the data's [`fingerprint`].
//! Rules live in those modules' pages. Columns are found by name, rows count from 0 (from 1 in messages), and everything is
//! fitted on the training rows that the caller names. Facts that a person should know are returned as [`Note`]s, mistakes
//! as [`TableError`]s of one line; nothing is printed.

pub mod cross_validation;
pub mod doctor;
pub mod encoder;
pub mod error;
pub mod explain;
pub mod export;
pub mod fingerprint;
pub mod metrics;
pub mod model;
pub mod note;
pub mod recipe;
pub mod report;
pub mod scale;
pub mod schema;
pub mod split;
pub mod table;
pub mod target;

#[cfg(not(target_arch = "wasm32"))]
pub mod source;

mod calendar;
mod csv_file;
mod ensemble;
mod in_order;
mod levels;
mod numbers;
#[cfg(not(target_arch = "wasm32"))]
mod parquet_file;
mod texts;

pub use csv_file::{Dialect, Header, Rows, Stream};
pub use encoder::{EncodedColumn, Encoder, Scaled, Step};
pub use error::{Place, TableError};
pub use fingerprint::data_fingerprint;
pub use model::{AnyNetwork, Intervals, Model, Output, Predictions};
pub use note::Note;
pub use recipe::FitError;
pub use scale::{Affine, Scale};
pub use schema::{Kind, Schema, SchemaOptions, Task};
#[cfg(not(target_arch = "wasm32"))]
pub use source::Source;
pub use table::{Cells, Column, Numbers, Table, Texts};
pub use target::Target;
