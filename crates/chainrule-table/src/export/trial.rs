//! The exported file run by what it is for: a compiler, PyTorch, ONNX Runtime.
//!
//! This crate starts no program. It says what to start ([`Exported::trial`]) and judges what that prints
//! ([`Exported::ran`]): a line for each row, `LABEL'S-INDEX NUMBER NUMBER …`, behind lines `# WHO` if any.

use super::program::{Answer, Answered, RawCells};
use super::verify::Difference;
use super::{ExportError, Exported, Format, VECTORS, weights_name};

/// What to start in a folder of its own to have an exported file run.
#[derive(Clone, Debug)]
pub struct Trial {
    /// The folder's files, name and content.
    pub files: Vec<(String, Vec<u8>)>,
    /// The tool's usual name.
    pub tool: &'static str,
    /// Its arguments. Status [`Trial::ABSENT`] means that something it needs is not installed.
    pub arguments: Vec<String>,
    /// The program that the tool leaves, which prints the answers if it is given an argument; none: the tool prints them.
    pub program: Option<&'static str>,
}

impl Trial {
    /// The exit status of a tool that lacks what it needs; its standard error ends with what that is.
    pub const ABSENT: i32 = 77;
}

/// Runs a script for PyTorch.
const PYTORCH: &str = include_str!("trial_pytorch.py");
/// Runs an ONNX file.
const ONNX: &str = include_str!("trial_onnx.py");

impl Exported {
    /// How the file is run by what it is for.
    pub fn trial(&self) -> Trial {
        let name = &self.name;
        let source = format!("{name}.{}", self.report.format().ending());
        let mut files = vec![(source.clone(), self.file.clone())];
        let words = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect();
        let (tool, arguments, program) = match self.report.format() {
            Format::C => {
                let define = format!("-D{}_MAIN", name.to_uppercase());
                let arguments = words(&["-O2", "-ffp-contract=off", &define, &source, "-o", "check"]);
                ("cc", arguments, Some("check"))
            }
            Format::Rust => {
                let cfg = format!("{name}_main");
                ("rustc", words(&["-O", "--edition", "2021", "--cfg", &cfg, &source, "-o", "check"]), Some("check"))
            }
            format => {
                files.push(("rows.csv".into(), self.rows().into_bytes()));
                if let (Some(weights), Format::Pytorch) = (&self.weights, format) {
                    files.push((weights_name(name), weights.clone()));
                }
                if let Answer::Label(labels) = &self.program.answer {
                    files.push(("labels.json".into(), serde_json::json!(labels).to_string().into_bytes()));
                }
                let script = if format == Format::Onnx { ONNX } else { PYTORCH };
                ("python3", words(&["-c", script, &source]), None)
            }
        };
        Trial { files, tool, arguments, program }
    }

    /// Puts into the report why the file was not run.
    pub fn left_out(&mut self, why: String) {
        self.report.run = Err(why);
    }

    /// Puts into the report what the file, run by `tool`, has printed.
    ///
    /// # Errors
    /// If that is not an answer to every row, or differs from the model by more than the format's bound.
    pub fn ran(&mut self, tool: &str, printed: &str) -> Result<(), ExportError> {
        let (who, lines): (Vec<&str>, Vec<&str>) = printed.lines().partition(|line| line.starts_with('#'));
        let by = who.first().map_or(tool, |who| who[1..].trim()).to_owned();
        let rows = match self.report.format() {
            Format::C | Format::Rust => self.expected.len().min(VECTORS),
            Format::Onnx | Format::Pytorch => self.expected.len(),
        };
        let differs = |by: &str, what: String| ExportError::Ran { by: by.to_owned(), what };
        if lines.len() != rows {
            let what = format!("expected {rows} lines with an answer each, got {}", lines.len());
            return Err(differs(&by, what));
        }
        let mut got = Vec::with_capacity(rows);
        for (i, line) in lines.iter().enumerate() {
            let what = || format!("row {}: expected a label's index and {} numbers", i + 1, self.program.answers());
            got.push(self.answered(line).ok_or_else(|| differs(&by, what()))?);
        }
        let difference = Difference::new(&self.program, &self.expected[..rows], &got, true);
        if !difference.within(self.report.bound()) {
            return Err(differs(&by, self.report.shown(&difference)));
        }
        self.report.run = Ok((by, difference));
        Ok(())
    }

    /// The answer in a line.
    fn answered(&self, line: &str) -> Option<Answered> {
        let mut words = line.split_ascii_whitespace();
        let label = words.next()?.parse().ok()?;
        let numbers = words.map(|word| word.parse().ok()).collect::<Option<Vec<f64>>>()?;
        let raw = match &self.program.answer {
            _ if numbers.len() != self.program.answers() => return None,
            Answer::Label(_) => return Some(Answered { label, ..Answered::probabilities(numbers) }),
            // The prediction of quantiles is one of them.
            Answer::Number { affines, .. } if self.program.outputs() > affines.len() => {
                numbers[1..].iter().map(|y| affines[0].to_input(*y)).collect()
            }
            Answer::Number { affines, .. } => affines.iter().zip(&numbers).map(|(a, y)| a.to_input(*y)).collect(),
        };
        Some(Answered { raw, numbers, label })
    }

    /// The rows as CSV.
    fn rows(&self) -> String {
        let quoted = |text: &str| format!("\"{}\"", text.replace('"', "\"\""));
        let line = |cells: Vec<String>| cells.join(",") + "\n";
        let mut text = line(self.program.columns.iter().map(|column| quoted(&column.name)).collect());
        for i in 0..self.expected.len() {
            let cell = |cells: &RawCells| match cells {
                RawCells::Numbers(numbers) if numbers[i].is_nan() => "\"\"".into(),
                RawCells::Numbers(numbers) => format!("{:?}", numbers[i]),
                RawCells::Texts(texts) => quoted(texts[i].as_deref().unwrap_or("")),
            };
            text += &line(self.cells.iter().map(cell).collect());
        }
        text
    }
}
