//! `fit`: from a table to a model file with an honest score.

use crate::failure::Failure;
use crate::input;
use crate::interrupt;
use crate::output::Output;
use crate::progress::{self, Progress};
use chainrule::kernels::InstructionSet;
use chainrule::train::{Ended, Event};
use chainrule::{Layer, Processor};
use chainrule_table::cross_validation::CrossValidation;
use chainrule_table::metrics::Metrics;
use chainrule_table::recipe::{self, Fitted, OPTIONS, Roles, Start, Tables};
use chainrule_table::{Model, Task};
use serde_json::{Value, json};
use std::fmt::Write as _;
use std::io::{self, Write as _};
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::time::Instant;

/// The options of `fit`.
#[derive(clap::Args, Debug)]
#[command(
    about = "Train a network on a table",
    after_help = "Examples:\n  \
        chainrule fit houses.csv --target price\n  \
        chainrule fit houses.csv --target price --hidden 64,64 --dropout 0.2 --seed 1 -o model.safetensors\n  \
        chainrule fit train.csv --target price --test test.csv --json\n  \
        chainrule fit tutorial.csv --target y --preset plain --hidden 3,2 --learning-rate 0.001 --seed 1"
)]
pub struct Options {
    /// The table: CSV with a header, as it is or packed (.gz, .zst), or Parquet; `-` is standard input
    data: PathBuf,
    /// A table of rows for the score, instead of holding some back
    #[arg(long, value_name = "FILE")]
    test: Option<PathBuf>,
    /// A table of rows that decide when to stop, instead of holding some back
    #[arg(long, value_name = "FILE")]
    validation: Option<PathBuf>,
    /// A model file whose encoding and parameters are the start
    #[arg(long, value_name = "MODEL")]
    start: Option<PathBuf>,
    /// A TOML file of options, by the same names; the command line wins
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Print the options in use as TOML and end
    #[arg(long)]
    print_config: bool,
    /// Threads; the result is the same for any number [default: the machine's]
    #[arg(long, value_name = "N")]
    threads: Option<usize>,
    /// Seconds that training may take, as 60s or 5m: as many folds and epochs as there is time for; what they were is
    /// recorded, and repeats without a clock
    #[arg(long, value_name = "TIME")]
    budget: Option<String>,
    /// Write every epoch as a line of JSON
    #[arg(long, value_name = "FILE")]
    log: Option<PathBuf>,
    /// Print one JSON object instead of text
    #[arg(long)]
    json: bool,
    /// Print nothing but errors
    #[arg(long)]
    quiet: bool,
    /// Replace existing files
    #[arg(long)]
    force: bool,
    /// The model file [default: the table's name with .safetensors, -2, -3, … if taken]
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
    #[command(flatten)]
    recipe: RecipeOptions,
}

/// The recipe's options, by its own list: their names and help have one home.
#[derive(Debug, Default)]
struct RecipeOptions(Vec<(&'static str, String)>);

impl clap::Args for RecipeOptions {
    fn augment_args(command: clap::Command) -> clap::Command {
        OPTIONS.iter().fold(command, |command, (name, help)| {
            command.arg(clap::Arg::new(*name).long(*name).help(*help).value_name("VALUE").allow_hyphen_values(true))
        })
    }

    fn augment_args_for_update(command: clap::Command) -> clap::Command {
        Self::augment_args(command)
    }
}

impl clap::FromArgMatches for RecipeOptions {
    fn from_arg_matches(matches: &clap::ArgMatches) -> Result<Self, clap::Error> {
        let given = OPTIONS.iter().filter_map(|(name, _)| Some((*name, matches.get_one::<String>(name)?.clone())));
        Ok(Self(given.collect()))
    }

    fn update_from_arg_matches(&mut self, matches: &clap::ArgMatches) -> Result<(), clap::Error> {
        *self = Self::from_arg_matches(matches)?;
        Ok(())
    }
}

/// The instructions and threads of a run. The hidden variable serves tests that compare instruction sets.
pub(crate) fn processor(threads: Option<usize>) -> Result<Processor, Failure> {
    let threads = match threads {
        Some(threads) if !(1..=1024).contains(&threads) => {
            return Err(Failure::Fault(format!("threads: expected a number from 1 to 1024, got {threads}")));
        }
        Some(threads) => threads,
        None => std::thread::available_parallelism().map_or(1, usize::from),
    };
    let set = match std::env::var("CHAINRULE_INSTRUCTIONS") {
        Ok(name) => InstructionSet::available()
            .into_iter()
            .find(|set| set.name() == name)
            .ok_or_else(|| Failure::Fault(format!("CHAINRULE_INSTRUCTIONS: this processor has no `{name}`")))?,
        Err(_) => InstructionSet::detect(),
    };
    Ok(Processor::with_instruction_set(threads, set))
}

fn recipe_options(options: &Options) -> Result<recipe::Options, Failure> {
    let mut all = recipe::Options::default();
    if let Some(path) = &options.config {
        let fault = |reason: String| Failure::Fault(format!("{}: {reason}", path.display()));
        let text = std::fs::read_to_string(path).map_err(|error| Failure::file(path, &error))?;
        let table: toml::Table =
            text.parse().map_err(|error: toml::de::Error| fault(error.to_string().replace('\n', " ").trim().into()))?;
        for (name, value) in table {
            let plain = |value: &toml::Value| match value {
                toml::Value::String(text) => Some(text.clone()),
                toml::Value::Integer(_) | toml::Value::Float(_) => Some(value.to_string()),
                _ => None,
            };
            let text = match &value {
                toml::Value::Array(items) => {
                    items.iter().map(plain).collect::<Option<Vec<_>>>().map(|all| all.join(","))
                }
                value => plain(value),
            };
            let text =
                text.ok_or_else(|| fault(format!("{name}: expected a text, a number or a list of them, got {value}")))?;
            all.set(&name, &text).map_err(|error| fault(error.to_string()))?;
        }
    }
    for (name, value) in &options.recipe.0 {
        all.set(name, value)?;
    }
    Ok(all)
}

/// Trains, saves and reports.
///
/// # Errors
/// If an option, the data or the run is at fault; then nothing is written.
pub fn run(options: &Options) -> Result<(), Failure> {
    let started = Instant::now();
    let mut recipe = recipe_options(options)?;
    let budget = options.budget.as_deref().map(seconds_in).transpose()?;
    if options.print_config {
        return Output::stdout()
            .write(|out| out.write_all(config_text(&recipe).as_bytes()).map_err(Failure::Write))
            .map(drop);
    }
    if recipe.get("target").is_none() {
        let header = input::table(&options.data)?;
        let names: Vec<&str> = header.columns().iter().map(|column| column.name()).take(20).collect();
        return Err(Failure::Fault(format!(
            "say what to predict with --target COLUMN; the columns are {}",
            names.join(", ")
        )));
    }
    let plan = recipe::Plan::new(&recipe)?;
    let output = match &options.output {
        Some(path) => Output::explicit(path, options.force)?,
        None => Output::default_name(&default_name(&options.data)),
    };
    let log = options.log.as_deref().map(|path| Output::explicit(path, options.force)).transpose()?;
    let processor = processor(options.threads)?;
    let table = input::table(&options.data)?;
    let test = options.test.as_deref().map(input::table).transpose()?;
    let validation = options.validation.as_deref().map(input::table).transpose()?;
    let start = options.start.as_deref().map(input::predictor).transpose()?;
    let tables = Tables { table: &table, test: test.as_ref(), validation: validation.as_ref(), start: start.as_ref() };

    interrupt::watch();
    if let Some(budget) = budget {
        recipe = within(budget - started.elapsed().as_secs_f64(), &tables, &recipe, &processor)?;
    }
    let talk = !options.quiet && !options.json;
    let told = !options.quiet;
    let plain_lines = plan.preset == recipe::Preset::Plain && talk;
    let mut progress = (told && !plain_lines).then(Progress::new);
    let mut epochs = 0;
    let mut lines: Vec<(usize, String)> = Vec::new();
    let mut done = 0;
    let mut tell_start = |start: &Start| {
        epochs = start.epochs;
        if told {
            let _ = io::stderr().write_all(start_text(&options.data, &table, start).as_bytes());
        }
    };
    let of = std::cell::Cell::new(0);
    let mut begin = |start: &Start| {
        of.set(start.epochs);
        tell_start(start);
    };
    let mut watch = |event: Event<'_>| {
        match event {
            Event::Step { step, loss, .. } => {
                // The tutorial's own lines.
                if plain_lines && (step - 1) % 100 == 0 {
                    let _ = writeln!(io::stdout(), "Iteration {}: Loss = {loss:.6}", step - 1);
                }
            }
            Event::Epoch(epoch) => {
                done += 1;
                if let Some(progress) = &mut progress {
                    progress.show(progress::Epoch {
                        done,
                        of: of.get(),
                        training_loss: epoch.loss,
                        validation_loss: epoch.validation_loss,
                    });
                }
                if log.is_some() {
                    let line = json!({
                        "epoch": epoch.epoch, "steps": epoch.steps, "loss": epoch.loss,
                        "validation_loss": epoch.validation_loss, "best": epoch.best,
                        "learning_rate": epoch.learning_rate, "gradient_norms": epoch.gradient_norms, "dead": epoch.dead,
                    });
                    lines.push((epoch.epoch, format!("{line}\n")));
                }
            }
        }
        if interrupt::interrupted() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    };
    let fitted = recipe::fit(&tables, &recipe, &processor, &mut begin, &mut watch)?;
    drop(progress);
    let bytes = fitted.model.to_file()?.write_bytes()?;
    let fingerprint = chainrule::ModelFile::read_bytes(&bytes)?.metadata["fingerprint"].clone();
    let path = output.write(|out| out.write_all(&bytes).map_err(Failure::Write))?;
    if let Some(log) = log {
        // Members that train side by side end their epochs in any order.
        lines.sort_by_key(|(epoch, _)| *epoch);
        let text: String = lines.into_iter().map(|(_, line)| line).collect();
        log.write(|out| out.write_all(text.as_bytes()).map_err(Failure::Write))?;
    }
    let seconds = started.elapsed().as_secs_f64();
    let name = path.as_deref().map_or("-".into(), |path| path.display().to_string());
    let text = if options.json {
        format!("{}\n", summary_json(&fitted, &name, &fingerprint, &table, seconds))
    } else if options.quiet || path.is_none() {
        String::new()
    } else {
        summary_text(&fitted, &name, &fingerprint, &options.data, seconds)
    };
    Output::stdout().write(|out| out.write_all(text.as_bytes()).map_err(Failure::Write))?;
    if fitted.report.ended == Ended::Stopped && interrupt::interrupted() {
        return Err(Failure::Interrupted);
    }
    Ok(())
}

/// `90`, `90s`, `1.5m` or `1h` in seconds.
fn seconds_in(text: &str) -> Result<f64, Failure> {
    let (number, unit) = match text.trim().char_indices().last() {
        Some((end, 's')) => (&text.trim()[..end], 1.0),
        Some((end, 'm')) => (&text.trim()[..end], 60.0),
        Some((end, 'h')) => (&text.trim()[..end], 3600.0),
        _ => (text.trim(), 1.0),
    };
    let seconds = number.parse().ok().map(|number: f64| number * unit).filter(|s| *s > 0.0 && s.is_finite());
    seconds.ok_or_else(|| Failure::Fault(format!("budget: expected a time as 60s, 5m or 1h, got {text}")))
}

/// The options that fit a budget, after a trial of about a tenth of it.
///
/// The trial trains a member on each thread, as the run will: where threads share a core, its memory or a neighbour, it is
/// slowed as much.
fn within(
    budget: f64,
    tables: &Tables<'_>,
    options: &recipe::Options,
    processor: &Processor,
) -> Result<recipe::Options, Failure> {
    let began = Instant::now();
    let mut trial = options.clone();
    if options.get("folds").is_none() {
        trial.set("folds", &processor.threads().to_string())?;
    }
    trial.set("cv", "none")?;
    trial.set("epochs", "3")?;
    let (mut roles, mut first, mut last, mut epochs) = (None, began, began, 0_usize);
    let mut begin = |start: &Start| (roles, first) = (Some(start.rows), Instant::now());
    let mut watch = |event: Event<'_>| {
        if let Event::Epoch(_) = event {
            epochs += 1;
            last = Instant::now();
        }
        let enough = epochs > 0 && began.elapsed().as_secs_f64() > budget / 10.0;
        if enough || interrupt::interrupted() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    };
    recipe::fit(tables, &trial, processor, &mut begin, &mut watch)?;
    let Some(Roles { training, choosing, folds, .. }) = roles else { return Ok(options.clone()) };
    let (rows, learnt) = match folds {
        1 if tables.validation.is_some() => (training, training as f64),
        1 => (training + choosing, training as f64),
        _ => (training, training as f64 * (1.0 - 1.0 / folds as f64)),
    };
    let threads = processor.threads();
    let trained = last.duration_since(first).as_secs_f64();
    let epoch_seconds = trained / epochs.div_ceil(threads.min(folds)).max(1) as f64;
    // What the trial took besides its epochs, the real run will take too; and a linear model in each fold.
    let turns = 1 + options.get("cv").and_then(|folds| folds.trim().parse::<usize>().ok()).unwrap_or(0);
    let left = 0.9 * (budget - 2.0 * began.elapsed().as_secs_f64() + trained).max(0.0) / turns as f64;
    Ok(recipe::Plan::within(options, tables, left, &recipe::Trial { rows, learnt, epoch_seconds, threads })?)
}

fn config_text(recipe: &recipe::Options) -> String {
    let given = OPTIONS.iter().filter_map(|(name, help)| Some((name, help, recipe.get(name)?)));
    given.fold(String::new(), |text, (name, help, value)| {
        let value = match value.parse::<f64>() {
            Ok(number) if number.is_finite() && !value.contains(['e', 'E', '+']) => value.to_owned(),
            _ => toml::Value::String(value.to_owned()).to_string(),
        };
        text + &format!("{name} = {value}  # {help}\n")
    })
}

fn default_name(data: &Path) -> PathBuf {
    if data == Path::new("-") {
        return PathBuf::from("model.safetensors");
    }
    let name = Path::new(data.file_name().unwrap_or(data.as_os_str()));
    // houses.csv.gz → houses.safetensors
    let packed =
        name.extension().is_some_and(|packing| ["gz", "zst"].iter().any(|known| packing.eq_ignore_ascii_case(known)));
    let name = if packed { name.with_extension("") } else { name.to_owned() };
    name.with_extension("safetensors")
}

fn start_text(data: &Path, table: &chainrule_table::Table, start: &Start) -> String {
    let mut text = format!(
        "data      {}: {} rows, {} columns → {} inputs\n",
        data.display(),
        table.rows(),
        table.columns().len(),
        start.inputs
    );
    for note in &start.notes {
        text += &format!("note      {note}\n");
    }
    let layers: Vec<String> = start.layers.iter().map(in_brief).collect();
    let times = if start.rows.folds > 1 { format!("{} × ", start.rows.folds) } else { String::new() };
    text += &format!("network   {times}{} ({} parameters)\n", layers.join(", "), start.parameters);
    let task = match start.task {
        Task::Regression => "regression",
        Task::Classification => "classification",
    };
    let rows = start.rows;
    let choosing = match rows.folds {
        1 => format!("{} choose when to stop", rows.choosing),
        folds => format!("each of {folds} folds chooses when the member that has not learnt from it stops"),
    };
    text += &format!(
        "training  {task}, {} rows; {choosing}, {} are held back for the score; at most {} epochs\n",
        rows.training, rows.scoring, start.epochs
    );
    text
}

/// The metrics in a line; of several targets each in one of its own, below the first.
pub(crate) fn metrics_text(metrics: &Metrics) -> String {
    if let Metrics::Several(all) = metrics {
        let of = |(name, scores): (&String, _)| format!("{}  {name}", metrics_text(&Metrics::Regression(scores)));
        let lines: Vec<String> = all.iter().map(|(name, scores)| of((name, scores.clone()))).collect();
        return lines.join("\n          ");
    }
    let Value::Object(map) = serde_json::to_value(metrics).unwrap_or_default() else { return String::new() };
    let part = |(name, value): (&String, &Value)| Some(format!("{name} {}", significant(value.as_f64()?)));
    map.iter().filter_map(part).collect::<Vec<_>>().join("  ")
}

/// Two significant digits: what a spread deserves.
fn two(x: f64) -> String {
    let digits = if x == 0.0 || !x.is_finite() { 1 } else { 1 - x.abs().log10_floor() };
    if (-6..=12).contains(&digits) { format!("{x:.*}", digits.max(0) as usize) } else { format!("{x:.1e}") }
}

/// Five significant digits, trailing zeros kept.
pub(crate) fn significant(x: f64) -> String {
    let digits = if x == 0.0 || !x.is_finite() { 4 } else { 4 - (x.abs().log10_floor()) };
    if (0..=12).contains(&digits) { format!("{x:.*}", digits as usize) } else { format!("{x:.4e}") }
}

trait Log10Floor {
    fn log10_floor(self) -> i32;
}

impl Log10Floor for f64 {
    /// The decimal exponent, from the scientific form.
    fn log10_floor(self) -> i32 {
        format!("{self:e}").split_once('e').and_then(|(_, exponent)| exponent.parse().ok()).unwrap_or(0)
    }
}

fn summary_text(fitted: &Fitted, name: &str, fingerprint: &Value, data: &Path, seconds: f64) -> String {
    let report = &fitted.report;
    let mut text = format!(
        "trained   {} epochs ({} steps) in {seconds:.1} s on {} thread{}, best epoch {}{}\n",
        report.epochs,
        report.steps,
        report.threads,
        if report.threads == 1 { "" } else { "s" },
        report.best_epoch,
        match report.ended {
            Ended::Completed => "",
            Ended::Patience => "; stopped: no improvement",
            Ended::Stopped => "; interrupted",
            Ended::Converged => "; converged",
        }
    );
    if let Some(found) = &fitted.cross_validation {
        let summary = |scores| {
            let part =
                |(name, mean, spread): (String, f64, f64)| format!("{name} {} ± {}", significant(mean), two(spread));
            CrossValidation::summary(scores).into_iter().map(part).collect::<Vec<_>>().join("  ")
        };
        let folds = found.scores.len();
        let _ = writeln!(text, "score     {}", summary(&found.scores));
        let _ = writeln!(text, "          (mean ± standard deviation over {folds} folds, by models like the one kept)");
        let _ = writeln!(text, "baseline  {}  (a linear model)", summary(&found.baselines));
        text += &format!("kept      a model of all {} rows, which has no score of its own\n", fitted.rows.training);
    }
    match (&fitted.score, &fitted.baseline) {
        _ if fitted.cross_validation.is_some() => {}
        (Some(score), Some((linear, constant))) => {
            let constant_name = match score {
                Metrics::Regression(_) | Metrics::Several(_) => "the mean",
                Metrics::Classification(_) => "class shares",
            };
            let (name, _) = recipe::main_metric(score);
            let error = fitted.standard_error.map(|error| format!("; {name} ± {}", significant(error)));
            let (metrics, error) = (metrics_text(score), error.unwrap_or_default());
            let _ = writeln!(text, "score     {metrics}  (on {} held-back rows{error})", fitted.rows.scoring);
            if let Some((nominal, measured)) = fitted.coverage {
                let (nominal, measured) = (100.0 * nominal, 100.0 * measured);
                let _ = writeln!(text, "interval  {measured:.1} % of these rows lie in the {nominal:.0} % interval");
            }
            let _ = writeln!(text, "baseline  {}  (a linear model)", metrics_text(linear));
            let _ = writeln!(text, "          {}  ({constant_name})", metrics_text(constant));
        }
        _ => text += &format!("loss      {}  (on the training rows; none were held back)\n", significant(report.loss)),
    }
    if let Some(recipe::Threshold { class, at, f1, f1_at_half }) = fitted.threshold {
        let class = &fitted.model.target.labels()[class];
        let f1 = format!("F1 {} ({} from 0.5)", significant(f1), significant(f1_at_half));
        let _ = writeln!(text, "threshold `{class}` from a probability of {at:.2}: {f1}, on rows not learnt from");
    }
    let fingerprint = fingerprint.as_str().unwrap_or_default();
    text += &format!("model     {name}  (weights {})\n", fingerprint.get(..16).unwrap_or(fingerprint));
    text += &format!("next      chainrule predict {name} {}\n", data.display());
    text
}

fn summary_json(
    fitted: &Fitted,
    name: &str,
    fingerprint: &Value,
    table: &chainrule_table::Table,
    seconds: f64,
) -> Value {
    let report = &fitted.report;
    let model: &Model = &fitted.model;
    json!({
        "model": name,
        "fingerprint": fingerprint,
        "data_fingerprint": model.facts["data_fingerprint"],
        "task": model.target.task().name(),
        "rows": {"training": fitted.rows.training, "choosing": fitted.rows.choosing, "scoring": fitted.rows.scoring,
            "folds": fitted.rows.folds},
        "columns": table.columns().len(),
        "parameters": model.parameters(),
        "epochs": report.epochs,
        "best_epoch": report.best_epoch,
        "threads": report.threads,
        "seconds": seconds,
        "loss": report.loss,
        "score": fitted.score,
        "standard_error": fitted.standard_error,
        "coverage": fitted.coverage.map(|(nominal, measured)| json!({"nominal": nominal, "measured": measured})),
        "baseline": fitted.baseline.as_ref().map(|(linear, _)| linear),
        "threshold": fitted.model.facts.get("threshold"),
        "cross_validation": fitted.cross_validation.as_ref().map(CrossValidation::facts),
        "baseline_constant": fitted.baseline.as_ref().map(|(_, constant)| constant),
        "notes": fitted.notes,
    })
}

/// A layer's name without the list of an embedding's columns.
fn in_brief(layer: &Layer) -> String {
    match layer {
        Layer::Piecewise { bins, width, columns } => {
            format!("piecewise:{bins}:{width} of {} columns", columns.len())
        }
        layer => layer.to_string(),
    }
}
