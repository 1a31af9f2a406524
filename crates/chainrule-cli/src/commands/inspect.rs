//! `inspect`: what a model file holds, or what the columns of a table are.

use crate::failure::{Failure, printable};
use crate::input;
use crate::output::Output;
use chainrule::ModelFile;
use chainrule::model_file::Tensor;
use chainrule_table::{Kind, Schema, SchemaOptions, Table, data_fingerprint};
use serde_json::{Value, json};
use std::path::{Path, PathBuf};

/// The options of `inspect`.
#[derive(clap::Args, Debug)]
#[command(
    about = "Show what a model file holds, or what the columns of a table are taken for and why",
    after_help = "Examples:\n  \
        chainrule inspect houses.csv\n  \
        chainrule inspect houses.safetensors\n  \
        chainrule inspect houses.safetensors --json\n  \
        chainrule inspect - < houses.safetensors"
)]
pub struct Options {
    /// The model file or the table; `-` is a model on standard input
    file: PathBuf,
    /// Of a table, the column to predict
    #[arg(long, value_name = "COLUMN")]
    target: Option<String>,
    /// Print one JSON object instead of text
    #[arg(long)]
    json: bool,
}

/// Prints the facts of a model file, each of which has been checked against its checksum; or of a table.
///
/// # Errors
/// If there is no such file, or it is not a model of ours, whole and unaltered, nor a table.
pub fn run(options: &Options) -> Result<(), Failure> {
    let text = if options.target.is_some() || is_table(&options.file) {
        let table = input::table(&options.file)?;
        let columns = Columns::new(&table, options.target.as_deref())?;
        if options.json { format!("{}\n", columns.as_json()) } else { columns.as_text() }
    } else {
        let model = input::model(&options.file)?;
        if options.json { format!("{}\n", as_json(&model)) } else { as_text(&model) }
    };
    Output::stdout().write(|out| out.write_all(text.as_bytes()).map_err(Failure::Write))?;
    Ok(())
}

/// Whether a file's name says that it is a table.
fn is_table(path: &Path) -> bool {
    let name = path.to_string_lossy().to_lowercase();
    let name = name.strip_suffix(".gz").or(name.strip_suffix(".zst")).unwrap_or(&name);
    [".csv", ".tsv", ".txt", ".parquet"].iter().any(|ending| name.ends_with(ending))
}

/// What the columns of a table are taken for.
struct Columns<'a> {
    table: &'a Table,
    kinds: Vec<Kind>,
    reasons: Vec<String>,
    notes: Vec<String>,
}

impl<'a> Columns<'a> {
    fn new(table: &'a Table, target: Option<&str>) -> Result<Self, Failure> {
        let (kinds, reasons, notes) = match target {
            None => {
                let (kinds, reasons) = Schema::columns(table)?;
                (kinds, reasons, Vec::new())
            }
            Some(target) => {
                let options = SchemaOptions { target: target.to_owned(), ..SchemaOptions::default() };
                let schema = Schema::infer(table, &options)?;
                (schema.kinds, schema.reasons, schema.notes.iter().map(ToString::to_string).collect())
            }
        };
        Ok(Self { table, kinds, reasons, notes })
    }

    fn missing(&self, column: usize) -> usize {
        let cells = self.table.columns()[column].cells();
        (0..self.table.rows()).filter(|&row| cells.is_missing(row)).count()
    }

    /// The first cell with a value.
    fn example(&self, column: usize) -> String {
        let cells = self.table.columns()[column].cells();
        let row = (0..self.table.rows()).find(|&row| !cells.is_missing(row));
        row.map_or(String::new(), |row| self.table.spelling(row, column))
    }

    fn as_json(&self) -> Value {
        let columns: Vec<Value> = (0..self.kinds.len())
            .map(|i| {
                json!({
                    "name": self.table.columns()[i].name(), "kind": self.kinds[i].name(), "input": self.kinds[i].is_input(),
                    "why": self.reasons[i], "missing": self.missing(i), "example": self.example(i),
                })
            })
            .collect();
        json!({
            "rows": self.table.rows(), "columns": columns, "notes": self.notes,
            "data_fingerprint": data_fingerprint(self.table),
        })
    }

    fn as_text(&self) -> String {
        let short = |text: &str, width: usize| -> String {
            let text = printable(text);
            if text.chars().count() <= width { text } else { text.chars().take(width - 1).chain(['…']).collect() }
        };
        let names: Vec<String> = self.table.columns().iter().map(|column| short(column.name(), 30)).collect();
        let width = names.iter().map(|name| name.chars().count()).max().unwrap_or(0).max(6);
        let mut text = format!("{} rows, {} columns", self.table.rows(), names.len());
        if let Some(dialect) = self.table.dialect().filter(|dialect| dialect.separator != ',') {
            text += &format!(", separated by {:?}, decimals after {:?}", dialect.separator, dialect.decimal);
        }
        text += &format!("\n\n{:width$}  kind         missing  first value       why\n", "column");
        for (i, name) in names.iter().enumerate() {
            let (kind, missing, example) = (self.kinds[i].name(), self.missing(i), short(&self.example(i), 16));
            text += &format!("{name:width$}  {kind:11}  {missing:7}  {example:16}  {}\n", printable(&self.reasons[i]));
        }
        self.notes.iter().fold(text, |text, note| text + "note: " + note + "\n")
    }
}

/// The keys of the metadata that say what the file is, apart from what the model is.
const ABOUT_THE_FILE: [&str; 4] = ["format_version", "library_version", "fingerprint", "checksum"];

fn as_json(model: &ModelFile) -> Value {
    let tensor = |(name, tensor): (&String, &Tensor)| json!({"name": name, "dtype": tensor.dtype().name(), "shape": tensor.shape()});
    let mut metadata = model.metadata.clone();
    let mut all = json!({
        "parameters": parameters(model),
        "tensors": in_order(model).into_iter().map(tensor).collect::<Vec<_>>(),
    });
    for key in ABOUT_THE_FILE {
        all[key] = metadata.remove(key).unwrap_or_default();
    }
    all["metadata"] = metadata.into();
    all
}

fn as_text(model: &ModelFile) -> String {
    let fact = |key: &str| printable(model.metadata.get(key).and_then(Value::as_str).unwrap_or_default());
    let mut text = format!(
        "chainrule model, format {}, written by chainrule {}\nfingerprint {}\nparameters {}\n",
        model.metadata["format_version"],
        fact("library_version"),
        fact("fingerprint"),
        parameters(model),
    );
    let names: Vec<String> = model.tensors.keys().map(|name| printable(name)).collect();
    let width = names.iter().map(|name| name.chars().count()).max().unwrap_or(0).clamp(6, 60);
    if !names.is_empty() {
        text += &format!("\n{:width$}  type  shape\n", "tensor");
    }
    for (name, tensor) in in_order(model) {
        text += &format!("{:width$}  {}   {:?}\n", printable(name), tensor.dtype().name(), tensor.shape());
    }
    let facts = model.metadata.iter().filter(|(key, _)| !ABOUT_THE_FILE.contains(&key.as_str()));
    for (i, (key, value)) in facts.enumerate() {
        text += if i == 0 { "\n" } else { "" };
        outline(&printable(key), value, 0, &mut text);
    }
    text
}

/// Numbers that training has found; the running statistics of a batch norm and the edges of an embedding are not among
/// them.
fn parameters(model: &ModelFile) -> usize {
    let trained =
        |name: &str| !name.rsplit('.').next().is_some_and(|last| last.starts_with("running_") || last == "edges");
    model.tensors.iter().filter(|(name, _)| trained(name)).map(|(_, tensor)| tensor.len()).sum()
}

/// The tensors in the order of the layers: 2 before 10.
fn in_order(model: &ModelFile) -> Vec<(&String, &Tensor)> {
    let mut tensors: Vec<_> = model.tensors.iter().collect();
    tensors.sort_by_cached_key(|(name, _)| -> Vec<(u64, String)> {
        name.split('.').map(|part| (part.parse().unwrap_or(u64::MAX), part.to_owned())).collect()
    });
    tensors
}

/// `key: value` on one line where it fits, else a line each for what is inside; of a long list the beginning.
fn outline(key: &str, value: &Value, indent: usize, text: &mut String) {
    const COLUMNS: usize = 100;
    const LINES: usize = 20;
    let whole = match value {
        Value::String(value) => printable(value),
        value => printable(&value.to_string()),
    };
    let room = COLUMNS.saturating_sub(indent + key.chars().count() + 2);
    *text += &format!("{:indent$}{key}:", "");
    match value {
        Value::Object(object) if whole.chars().count() > room => {
            *text += "\n";
            object.iter().for_each(|(key, value)| outline(&printable(key), value, indent + 2, text));
        }
        Value::Array(items) if whole.chars().count() > room => {
            if !items.iter().any(|item| item.is_object() || item.is_array()) {
                let start: String = whole.chars().take(room.saturating_sub(20)).collect();
                let start = start.rsplit_once(',').map_or("[", |(start, _)| start);
                *text += &format!(" {start}, … {} in all]\n", items.len());
                return;
            }
            *text += "\n";
            for (i, item) in items.iter().take(LINES).enumerate() {
                outline(&(i + 1).to_string(), item, indent + 2, text);
            }
            if items.len() > LINES {
                *text += &format!("{:indent$}  … {} in all; --json shows them\n", "", items.len());
            }
        }
        _ => *text += &format!(" {whole}\n"),
    }
}
