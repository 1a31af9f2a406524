//! The playground: the library behind a page.
//!
//! The page's worker holds one [`App`] and asks it in JSON: a request names an operation (`op`) and its arguments, the answer
//! is what to draw. The page draws; every number comes from here, and so from `chainrule` and `chainrule-table`. A file is
//! answered as its bytes. What is wrong is answered as `{"error": …}`, in the library's words.

#[cfg(target_arch = "wasm32")]
mod abi;
pub mod code;
pub mod exercises;
pub mod figures;
pub mod labs;
pub mod numpy;
pub mod toys;
mod view;

use chainrule::explain::{Ledger, Parameter, example};
use chainrule::train::Stepped;
use chainrule::{Activation, Matrix, Processor};
use chainrule_table::Table;
use chainrule_table::recipe::{Options, session::Session};
use serde_json::{Map, Value, json};
use std::fmt;
use std::sync::OnceLock;

/// What goes wrong, in a sentence for a person.
#[derive(Debug)]
pub struct Fault(pub String);

impl<E: fmt::Display> From<E> for Fault {
    fn from(error: E) -> Self {
        Self(error.to_string())
    }
}

/// One thread: a page's worker.
pub(crate) fn processor() -> &'static Processor {
    static PROCESSOR: OnceLock<Processor> = OnceLock::new();
    PROCESSOR.get_or_init(|| Processor::new(1))
}

/// What the page holds: the data, and the run on it.
#[derive(Default)]
pub struct App {
    csv: String,
    name: String,
    given: Vec<(String, String)>,
    session: Option<Session<'static>>,
    /// The parameters that the run began with, and whether somebody set them.
    start: Vec<f64>,
    edited: bool,
    last: Option<Stepped>,
}

/// The arguments of a request.
pub(crate) struct Request(Value);

impl Request {
    pub(crate) fn text(&self, name: &str) -> &str {
        self.0[name].as_str().unwrap_or_default()
    }

    pub(crate) fn number(&self, name: &str) -> Option<f64> {
        self.0[name].as_f64()
    }

    pub(crate) fn count(&self, name: &str) -> usize {
        self.0[name].as_u64().map_or(0, |count| usize::try_from(count).unwrap_or(usize::MAX))
    }

    pub(crate) fn value(&self, name: &str) -> &Value {
        &self.0[name]
    }
}

/// The most rows that a page reads, and the most bytes: a browser's tab has little memory.
const MOST_BYTES: usize = 64 << 20;
/// The most parameters of a network that a page trains.
const MOST_PARAMETERS: usize = 200_000;

impl App {
    /// Answers a request.
    pub fn call(&mut self, request: &[u8]) -> Vec<u8> {
        let answer = match serde_json::from_slice(request) {
            Ok(request) => self.answer(&Request(request)),
            Err(error) => Err(error.into()),
        };
        match answer {
            Ok(Answer::Json(value)) => value.to_string().into_bytes(),
            Ok(Answer::Bytes(bytes)) => bytes,
            Err(Fault(message)) => json!({ "error": message }).to_string().into_bytes(),
        }
    }

    fn answer(&mut self, request: &Request) -> Result<Answer, Fault> {
        Ok(Answer::Json(match request.text("op") {
            "names" => names(),
            "tutorial" => json!({"csv": tutorial_csv(), "start": example::figure_8().parameters()}),
            "toy" => {
                let rows = request.count("rows").clamp(4, 100_000);
                let noise = request.number("noise").unwrap_or(0.0).clamp(0.0, 1.0);
                let seed = request.count("seed") as u64;
                json!({"csv": toys::toy(request.text("name"), rows, noise, seed)?})
            }
            "columns" => columns(request.text("csv"), request.text("name"))?,
            "load" => self.load(request)?,
            "edit" => self.edit(request)?,
            "reset" => self.restart(None)?,
            "start" => {
                let parameters = request.value("parameters").as_array().map(Vec::as_slice).unwrap_or_default();
                let parameters: Vec<f64> = parameters.iter().map(|x| x.as_f64().unwrap_or(f64::NAN)).collect();
                self.restart(Some(&parameters))?
            }
            "set" => self.set(request)?,
            "step" => self.step(request.count("steps").clamp(1, 1_000_000))?,
            "epochs" => self.epochs(request.count("epochs").clamp(1, 1_000_000))?,
            "view" => view::view(self, request.count("row"))?,
            "walk" => view::walk(self.session()?, request.count("row"))?,
            "outcome" => view::outcome(self.session()?, request.count("size").clamp(2, 200))?,
            "ledger" => self.ledger(request)?,
            "code" => code::code(self)?,
            "figure" => figures::figure(request)?,
            "exercise" => exercises::exercise(request.text("id"))?,
            "check" => exercises::check(request.text("id"), request.value("answers"))?,
            "lab" => labs::lab(request.text("id"))?,
            "csv" => return Ok(Answer::Bytes(self.csv.clone().into_bytes())),
            "encoded" => return Ok(Answer::Bytes(code::encoded(self.session()?).into_bytes())),
            "model" => return Ok(Answer::Bytes(self.session()?.model().to_file()?.write_bytes()?)),
            "start_file" => return Ok(Answer::Bytes(self.start_file()?)),
            other => return Err(Fault(format!("there is no operation `{other}`"))),
        }))
    }

    pub(crate) fn session(&self) -> Result<&Session<'static>, Fault> {
        self.session.as_ref().ok_or_else(|| Fault("no data yet".into()))
    }

    /// Reads a table and begins a run on it.
    fn load(&mut self, request: &Request) -> Result<Value, Fault> {
        let csv = match request.value("csv").as_str() {
            Some(csv) => csv.to_owned(),
            None => self.csv.clone(),
        };
        let name = match request.value("name").as_str() {
            Some(name) => name.to_owned(),
            None => self.name.clone(),
        };
        let mut given = vec![("preset".to_owned(), "plain".to_owned())];
        for (name, value) in request.value("options").as_object().into_iter().flatten() {
            given.push((name.clone(), value.as_str().map_or_else(|| value.to_string(), str::to_owned)));
        }
        // As a person would write them.
        given.sort_by_key(|(name, _)| ORDER.iter().position(|known| known == name));
        let session = begin(&csv, &name, &given)?;
        self.start = session.network().parameters().to_vec();
        (self.csv, self.name, self.given, self.edited, self.last) = (csv, name, given, false, None);
        self.session = Some(session);
        view::facts(self)
    }

    /// Changes one cell of the table, and begins anew with the weights as they are.
    fn edit(&mut self, request: &Request) -> Result<Value, Fault> {
        let (row, column) = (request.count("row"), request.count("column"));
        let session = self.session()?;
        let table = session.table();
        if row >= table.rows() || column >= table.columns().len() {
            return Err(Fault(format!("there is no cell in row {}, column {}", row + 1, column + 1)));
        }
        let quoted = |cell: &str| match cell.contains([',', '"', '\n', '\r']) {
            true => format!("\"{}\"", cell.replace('"', "\"\"")),
            false => cell.to_owned(),
        };
        let names: Vec<String> = table.columns().iter().map(|column| quoted(column.name())).collect();
        let mut csv = names.join(",") + "\n";
        for i in 0..table.rows() {
            let cells: Vec<String> = (0..names.len())
                .map(|j| match (i, j) == (row, column) {
                    true => quoted(request.text("cell").trim()),
                    false => quoted(&table.spelling(i, j)),
                })
                .collect();
            csv += &(cells.join(",") + "\n");
        }
        let mut changed = begin(&csv, &self.name, &self.given)?;
        let (parameters, edited) =
            (session.network().parameters().to_vec(), self.edited || session.steps().steps() > 0);
        let same = changed.network().parameters().len() == parameters.len();
        if same {
            changed.start_at(&parameters)?;
        }
        self.start = changed.network().parameters().to_vec();
        (self.csv, self.edited, self.last) = (csv, edited && same, None);
        self.session = Some(changed);
        view::facts(self)
    }

    /// Begins anew, from the seed's weights or from given ones.
    fn restart(&mut self, parameters: Option<&[f64]>) -> Result<Value, Fault> {
        let mut session = begin(&self.csv, &self.name, &self.given)?;
        if let Some(parameters) = parameters {
            session.start_at(parameters)?;
        }
        (self.start, self.edited, self.last) = (session.network().parameters().to_vec(), parameters.is_some(), None);
        self.session = Some(session);
        view::facts(self)
    }

    /// Sets one parameter: a new start from there.
    fn set(&mut self, request: &Request) -> Result<Value, Fault> {
        let value = request.number("value").ok_or_else(|| Fault("expected a number".into()))?;
        let session = self.session.as_mut().ok_or_else(|| Fault("no data yet".into()))?;
        let mut parameters = session.network().parameters().to_vec();
        let index = request.count("index");
        *parameters.get_mut(index).ok_or_else(|| Fault(format!("there is no parameter {index}")))? = value;
        session.start_at(&parameters)?;
        (self.start, self.edited, self.last) = (parameters, true, None);
        Ok(json!({}))
    }

    fn step(&mut self, steps: usize) -> Result<Value, Fault> {
        self.advance(|session| session.steps().steps(), steps)
    }

    fn epochs(&mut self, epochs: usize) -> Result<Value, Fault> {
        self.advance(|session| session.steps().epochs(), epochs)
    }

    /// Takes steps until `done` has grown by `by`; tells the loss of every epoch that ended.
    fn advance(&mut self, done: impl Fn(&Session<'_>) -> usize, by: usize) -> Result<Value, Fault> {
        let session = self.session.as_mut().ok_or_else(|| Fault("no data yet".into()))?;
        let (end, mut epochs) = (done(session) + by, Vec::new());
        let mut converged = false;
        while done(session) < end && !converged {
            let stepped = session.step()?;
            converged = stepped.converged;
            if let Some(loss) = stepped.epoch_loss {
                epochs.push(json!([session.steps().epochs(), loss]));
            }
            self.last = Some(stepped);
        }
        let (steps, all) = (session.steps().steps(), session.steps().epochs());
        Ok(json!({"steps": steps, "epochs": all, "losses": epochs, "converged": converged}))
    }

    fn ledger(&self, request: &Request) -> Result<Value, Fault> {
        let session = self.session()?;
        let network = session.network();
        let parameter = Parameter::at(network, request.count("index")).ok_or_else(|| Fault("no such weight".into()))?;
        let data = session.training();
        let (x, y);
        let data = match request.value("row").as_u64() {
            None => data,
            Some(_) => {
                (x, y) = view::row(session, request.count("row"))?;
                chainrule::Data::new(x.view(), y.view())
            }
        };
        let ledger = Ledger::new(network, session.loss(), &data, parameter, 12, processor())?;
        Ok(view::ledger_json(&ledger, parameter.index(network)))
    }

    /// The model that the run began with.
    fn start_file(&self) -> Result<Vec<u8>, Fault> {
        let mut session = begin(&self.csv, &self.name, &self.given)?;
        session.start_at(&self.start)?;
        Ok(session.model().to_file()?.write_bytes()?)
    }
}

/// The order of options in a command.
const ORDER: [&str; 13] = [
    "target",
    "preset",
    "hidden",
    "activation",
    "init",
    "optimizer",
    "learning-rate",
    "batch-size",
    "l2",
    "scale",
    "target-scale",
    "test-fraction",
    "seed",
];

enum Answer {
    Json(Value),
    Bytes(Vec<u8>),
}

fn read(csv: &str, name: &str) -> Result<Table, Fault> {
    if csv.len() > MOST_BYTES {
        let (got, most) = (csv.len() >> 20, MOST_BYTES >> 20);
        return Err(Fault(format!(
            "{name}: {got} MB are too many for a page, which reads up to {most}: use the command"
        )));
    }
    Ok(Table::read_csv(csv.as_bytes(), name)?)
}

fn begin(csv: &str, name: &str, given: &[(String, String)]) -> Result<Session<'static>, Fault> {
    let mut options = Options::default();
    for (name, value) in given.iter().filter(|(_, value)| !value.is_empty()) {
        options.set(name, value)?;
    }
    let widths = options.get("hidden").unwrap_or("3,2").split(',').filter_map(|width| width.trim().parse().ok());
    let (mut parameters, mut before) = (0_usize, 1_usize);
    for width in widths {
        parameters = parameters.saturating_add(before.saturating_mul(width));
        before = width;
    }
    if parameters > MOST_PARAMETERS {
        let expected = format!("at most {MOST_PARAMETERS} weights, which a page can train");
        return Err(Fault(format!("hidden: expected {expected}; use the command for more")));
    }
    Ok(Session::new(read(csv, name)?, &options, processor())?)
}

/// The columns of a table, before a target is chosen.
fn columns(csv: &str, name: &str) -> Result<Value, Fault> {
    let table = read(csv, name)?;
    let (kinds, reasons) = chainrule_table::Schema::columns(&table)?;
    let column = |(j, column): (usize, &chainrule_table::Column)| json!({"name": column.name(), "kind": kinds[j].name(), "reason": reasons[j]});
    let columns: Vec<Value> = table.columns().iter().enumerate().map(column).collect();
    Ok(json!({"rows": table.rows(), "columns": columns}))
}

fn tutorial_csv() -> String {
    let (x, y) = example::data();
    let line = |i: usize| format!("{},{},{}\n", x[(i, 0)], x[(i, 1)], y[(i, 0)]);
    format!("x1,x2,y\n{}", (0..x.rows()).map(line).collect::<String>())
}

/// What there is to choose from.
fn names() -> Value {
    let toys: Vec<Value> = toys::TOYS.iter().map(|(name, text)| json!({"name": name, "text": text})).collect();
    let activations: Vec<String> = Activation::all().iter().map(ToString::to_string).collect();
    let help: Map<String, Value> =
        chainrule_table::recipe::OPTIONS.iter().map(|(name, text)| ((*name).to_owned(), Value::from(*text))).collect();
    json!({
        "toys": toys, "activations": activations, "optimizers": ["gradient_descent", "momentum", "nesterov", "rmsprop", "adam", "adamw"], "help": help,
        "initialisers": ["normal:0.001", "zeros", "uniform:0.1", "glorot_uniform", "glorot_normal", "he_uniform", "he_normal",
            "lecun_normal"],
        "version": env!("CARGO_PKG_VERSION"),
    })
}

/// A matrix's rows as JSON.
pub(crate) fn rows_json(matrix: &Matrix<f64>) -> Vec<Vec<f64>> {
    (0..matrix.rows()).map(|i| matrix.row(i).to_vec()).collect()
}
