//! The report: all that is known of a model and its run on one page of HTML that needs nothing else.

mod chart;
mod page;

use crate::cross_validation::CrossValidation;
use crate::doctor::{Courses, Examination};
use crate::explain::importances;
use crate::metrics::Metrics;
use crate::model::{Model, Predictions};
use crate::recipe::{FitError, Fitted, Options, Plan};
use crate::schema::{Kind as ColumnKind, Schema};
use crate::table::{Cells, Table};
use crate::target::Target;
use chainrule::explain::{Diagram, Figure, Theme, number};
use chainrule::network::Role;
use chainrule::{Layer, Processor};
use chart::{Bar, Chart, Kind, Series, bars};
use page::{cut, escape, page, table};
use serde_json::Value;
use std::fmt::Write as _;

/// The parts of a report.
#[derive(Clone, Copy, Debug)]
pub struct Report<'a> {
    /// What the model is called.
    pub name: &'a str,
    /// The model.
    pub model: &'a Model,
    /// The fingerprint of its weights.
    pub fingerprint: &'a str,
    /// The table that is summed up.
    pub table: &'a Table,
    /// The rows that are scored, perhaps of another table.
    pub scored: (&'a Table, &'a [usize]),
    /// Whether the model has learnt from none of them.
    pub honest: bool,
    /// The run that made the model, if it was watched.
    pub run: Option<Run<'a>>,
}

/// A run that was watched.
#[derive(Clone, Copy, Debug)]
pub struct Run<'a> {
    /// What it came to.
    pub fitted: &'a Fitted,
    /// Its networks, epoch by epoch.
    pub courses: &'a Courses,
    /// What the doctor says of it.
    pub examination: &'a Examination,
}

/// More points are not drawn, more rows not shuffled, more columns and classes not listed.
const POINTS: usize = 800;
const SHUFFLED: usize = 1000;
const COLUMNS: usize = 100;
const RANKED: usize = 25;
const CLASSES: usize = 12;

impl Report<'_> {
    /// The page, of less than a megabyte.
    ///
    /// # Errors
    /// If the table does not fit the model.
    pub fn html(&self, processor: &Processor) -> Result<String, FitError> {
        let model = self.model;
        let mut body = String::new();
        let target = model.target.column();
        let _ = writeln!(
            body,
            "<p class=\"quiet\">chainrule {} · {}</p>\n<h1>{}: {} of {}</h1>",
            env!("CARGO_PKG_VERSION"),
            model.target.task().name(),
            escape(self.name),
            escape(target),
            escape(self.table.name())
        );
        let predictions = model.predict(self.scored.0, Some(self.scored.1), processor)?.0;
        body += &self.score(&predictions)?;
        body += &self.findings();
        body += &self.training();
        body += &match &predictions {
            Predictions::Numbers { values, others, .. } => {
                let all = std::iter::once(values).chain(others);
                all.enumerate().map(|(k, values)| self.numbers(k, values)).collect::<Result<String, _>>()?
            }
            Predictions::Probabilities(p) => self.classes(&(0..p.rows()).map(|i| p.row(i)).collect::<Vec<_>>())?,
        };
        body += &self.importance(processor)?;
        body += &self.layers();
        body += &self.diagram()?;
        body += &self.data()?;
        body += &self.facts();
        Ok(page(&format!("{}: {target}", self.name), &body))
    }

    /// The score beside its baselines.
    fn score(&self, predictions: &Predictions) -> Result<String, FitError> {
        let metrics = self.model.score(self.scored.0, self.scored.1, predictions, None)?;
        let mut html = "<div class=\"tiles\">\n".to_owned();
        let mut tile = |value: String, name: &str| {
            let _ = writeln!(html, "<div class=\"tile\"><b>{}</b><span>{}</span></div>", escape(&value), escape(name));
        };
        for (name, value) in numbers_of(&metrics) {
            tile(number(value, 5), metric_name(&name));
        }
        tile(self.scored.1.len().to_string(), if self.honest { "rows scored" } else { "rows, learnt from" });
        tile(self.model.parameters().to_string(), "parameters");
        html += "</div>\n";
        if !self.honest {
            html += "<p>The model has learnt from the rows that are scored here: the figures flatter it.</p>\n";
        }
        if let Some(run) = &self.run {
            if let Some((linear, constant)) = &run.fitted.baseline {
                let constant_name =
                    if matches!(metrics, Metrics::Classification(_)) { "class shares" } else { "the mean" };
                let names: Vec<String> = numbers_of(&metrics).into_iter().map(|(name, _)| name).collect();
                let row = |what: &str, of: &Metrics| {
                    let numbers = numbers_of(of);
                    let cell = |name: &String| {
                        numbers.iter().find(|(known, _)| known == name).map_or(String::new(), |(_, x)| number(*x, 5))
                    };
                    std::iter::once(what.to_owned()).chain(names.iter().map(cell)).collect::<Vec<_>>()
                };
                let score = run.fitted.score.as_ref().unwrap_or(&metrics);
                let rows = [row("this model", score), row("a linear model", linear), row(constant_name, constant)];
                let head: Vec<&str> = std::iter::once("").chain(names.iter().map(|name| metric_name(name))).collect();
                html += &table(&head, &rows, false);
            }
            if let Some(found) = &run.fitted.cross_validation {
                let rows: Vec<Vec<String>> = CrossValidation::summary(&found.scores)
                    .into_iter()
                    .map(|(name, mean, sd)| vec![metric_name(&name).to_owned(), number(mean, 5), number(sd, 2)])
                    .collect();
                let _ = writeln!(html, "<p>Cross-validation over {} folds:</p>", found.scores.len());
                html += &table(&["", "mean", "deviation"], &rows, false);
            }
            for note in &run.fitted.notes {
                let _ = writeln!(html, "<p class=\"quiet\">{}</p>", escape(note));
            }
        }
        Ok(html)
    }

    fn findings(&self) -> String {
        let Some(run) = &self.run else { return String::new() };
        let mut html = "<h2>The doctor</h2>\n".to_owned();
        if run.examination.findings.is_empty() {
            html += "<div class=\"finding healthy\"><h3>No finding</h3><p>Nothing was seen in the run that a remedy \
                was measured to better.</p></div>\n";
        }
        for finding in &run.examination.findings {
            let mut title = finding.title.clone();
            for symptom in &finding.leads_to {
                title += &format!("; so {}", symptom.title);
            }
            let _ = writeln!(
                html,
                "<div class=\"finding\"><h3>{}</h3>\n<p>{}</p>",
                escape(&title),
                escape(&finding.evidence)
            );
            for symptom in &finding.leads_to {
                let _ = writeln!(html, "<p>{}</p>", escape(&symptom.evidence));
            }
            if !finding.options.is_empty() {
                let options: Vec<String> =
                    finding.options.iter().map(|(name, value)| format!("--{name} {value}")).collect();
                let _ = writeln!(html, "<p>Try <code>{}</code></p>", escape(&options.join(" ")));
            }
            if let Some(measured) = &finding.measured {
                let without = measured.without.map_or("no number".into(), |x| number(x, 4));
                let _ = writeln!(
                    html,
                    "<p>Measured in short runs on {} rows: {} {} with it, {without} without.</p>",
                    measured.rows,
                    metric_name(measured.metric),
                    number(measured.with, 4)
                );
            }
            if let Some(advice) = &finding.advice {
                let _ = writeln!(html, "<p>{}</p>", escape(advice));
            }
            html += "</div>\n";
        }
        for note in &run.examination.notes {
            let _ = writeln!(html, "<p class=\"quiet\">{}</p>", escape(note));
        }
        html
    }

    /// Learning curves.
    fn training(&self) -> String {
        let Some(run) = &self.run else {
            return "<h2>Training</h2>\n<p class=\"quiet\">The run was not watched: the table is not the one that the model \
                was trained on.</p>\n"
                .into();
        };
        let networks = &run.courses.networks;
        let many = networks.len() > 1;
        let line = if many { Kind::Thin } else { Kind::Line };
        let mut losses = Vec::new();
        let mut rates = Vec::new();
        for course in networks.values() {
            let points = |of: &dyn Fn(&chainrule::doctor::Record) -> Option<f64>| {
                course.epochs.iter().filter_map(|epoch| Some((epoch.epoch as f64, of(epoch)?))).collect::<Vec<_>>()
            };
            let series = |name: &str, colour, points| Series { name: name.into(), colour, points, kind: line };
            losses.push(series("training rows", 0, points(&|epoch| Some(epoch.loss))));
            losses.push(series("rows not learnt from", 1, points(&|epoch| epoch.validation_loss)));
            if rates.is_empty() {
                rates.push(series("", 2, points(&|epoch| Some(epoch.learning_rate))));
            }
        }
        losses.retain(|series| !series.points.is_empty());
        let positive = losses.iter().flat_map(|series| &series.points).all(|(_, loss)| *loss > 0.0);
        let report = &run.fitted.report;
        let mut html = "<h2>Training</h2>\n".to_owned();
        let _ = writeln!(
            html,
            "<p>{}{} epochs, {} steps{}.{}</p>",
            if many { format!("{} networks, each on its own rows; together ", networks.len()) } else { String::new() },
            report.epochs,
            report.steps,
            if report.best_epoch > 0 { format!(", the best epoch {}", report.best_epoch) } else { String::new() },
            if many { " A line is a network." } else { "" }
        );
        html += "<div class=\"grid2\">\n";
        let (x, y) = ("epoch", "the loss that is minimised");
        html += &Chart { title: "Loss", x, y, series: losses, log: positive, span: None }.html();
        let y = "in each epoch's last step";
        html += &Chart { title: "Learning rate", x, y, series: rates, log: false, span: None }.html();
        html + "</div>\n"
    }

    /// Activations, gradients and steps by layer, over the run of the first network.
    fn layers(&self) -> String {
        let Some(course) = self.run.and_then(|run| run.courses.networks.get(&0)) else { return String::new() };
        let layers = self.model.network.layers();
        let shown: Vec<usize> = (0..layers.len()).filter(|&k| !matches!(layers[k], Layer::Dropout { .. })).collect();
        let name = |k: usize| format!("{k} {}", kind_name(&layers[k]));
        type Of<'a> = &'a dyn Fn(&chainrule::doctor::Record) -> f64;
        let over = |name: String, colour: usize, of: Of<'_>| Series {
            name,
            colour: colour % 6,
            points: course.epochs.iter().map(|epoch| (epoch.epoch as f64, of(epoch))).collect(),
            kind: Kind::Line,
        };
        let at = |k: usize, epoch: &chainrule::doctor::Record| epoch.layers.get(k + 1).copied().unwrap_or_default();
        let by_layer = |of: &dyn Fn(chainrule::train::LayerFacts) -> f64| -> Vec<Series> {
            shown.iter().enumerate().map(|(n, &k)| over(name(k), n, &|epoch| of(at(k, epoch)))).collect()
        };
        let segments = match &self.model.network {
            crate::AnyNetwork::F32(network) => network.layout().segments().to_vec(),
            crate::AnyNetwork::F64(network) => network.layout().segments().to_vec(),
        };
        let weights: Vec<usize> = (0..segments.len()).filter(|&s| segments[s].role == Role::Weights).collect();
        let by_weights = |of: &dyn Fn(&chainrule::doctor::Record) -> &Vec<f64>| -> Vec<Series> {
            let series = |(n, &s): (usize, &usize)| {
                over(name(segments[s].layer), n, &|epoch| of(epoch).get(s).copied().unwrap_or(f64::NAN))
            };
            weights.iter().enumerate().map(series).collect()
        };
        let x = "epoch";
        let mut html = "<h2>Layers over time</h2>\n".to_owned();
        if self.run.is_some_and(|run| run.courses.networks.len() > 1) {
            html += "<p class=\"quiet\">Of the first network, in each epoch's last step.</p>\n";
        }
        html += "<div class=\"grid2\">\n";
        let chart = |title, y, series, log| Chart { title, x, y, series, log, span: None }.html();
        html += &chart("Signal", "σ of each layer's output over rows", by_layer(&|facts| facts.sigma), true);
        html += &chart("Gradient", "‖∂J/∂W‖ of each layer", by_weights(&|epoch| &epoch.gradient_norms), true);
        html += &chart("Steps", "‖ΔW‖/‖W‖ of one step", by_weights(&|epoch| &epoch.updates), true);
        let is_activation = |k: &&usize| matches!(layers[**k], Layer::Activation(_));
        let activations: Vec<&usize> = shown.iter().filter(is_activation).collect();
        let share = |of: &dyn Fn(chainrule::train::LayerFacts) -> f64| -> Vec<Series> {
            let series = |(n, k): (usize, &&usize)| over(name(**k), n, &|epoch| 100.0 * of(at(**k, epoch)));
            activations.iter().enumerate().map(series).collect()
        };
        let some = |series: &[Series]| series.iter().flat_map(|series| &series.points).any(|(_, share)| *share > 0.0);
        let (dead, saturated) = (share(&|facts| facts.dead), share(&|facts| facts.saturated));
        if some(&dead) {
            html += &chart("Dead units", "% that give one number for a whole batch", dead, false);
        }
        if some(&saturated) {
            html += &chart("Saturation", "% of numbers where the activation is flat", saturated, false);
        }
        html + "</div>\n"
    }

    /// How predicted numbers of target `k` miss.
    fn numbers(&self, k: usize, predicted: &[f64]) -> Result<String, FitError> {
        let Target::Regression(targets) = &self.model.target else { return Ok(String::new()) };
        let Some(target) = targets.numbers().nth(k) else { return Ok(String::new()) };
        let truth = target.values(self.scored.0, self.scored.1)?;
        let n = truth.len();
        let some: Vec<usize> = (0..n.min(POINTS)).map(|i| i * n / n.min(POINTS)).collect();
        let both = truth.iter().chain(predicted).copied().filter(|x| x.is_finite());
        let (low, high) = both.fold((f64::INFINITY, f64::NEG_INFINITY), |(a, b), x| (a.min(x), b.max(x)));
        let residuals: Vec<f64> = predicted.iter().zip(&truth).map(|(p, y)| p - y).collect();
        let dots = |points| Series { name: String::new(), colour: 0, points, kind: Kind::Dots };
        let line = |points| Series { name: String::new(), colour: 0, points, kind: Kind::Reference };
        let column = escape(target.column());
        let mut html =
            format!("<h2>Predictions</h2>\n<p>Of {column}, for the {n} scored rows.</p>\n<div class=\"grid2\">\n");
        html += &Chart {
            title: "Predicted by true",
            x: "true",
            y: "predicted; on the line both are equal",
            series: vec![
                line(vec![(low, low), (high, high)]),
                dots(some.iter().map(|&i| (truth[i], predicted[i])).collect()),
            ],
            log: false,
            span: None,
        }
        .html();
        html += &Chart {
            title: "Residuals",
            x: "predicted",
            y: "predicted − true",
            series: vec![
                line(vec![(low, 0.0), (high, 0.0)]),
                dots(some.iter().map(|&i| (predicted[i], residuals[i])).collect()),
            ],
            log: false,
            span: None,
        }
        .html();
        html += &histogram("Their distribution", "predicted − true", &residuals);
        Ok(html + "</div>\n")
    }

    /// How stated chances come true.
    fn classes(&self, p: &[&[f64]]) -> Result<String, FitError> {
        let Target::Classification(target) = &self.model.target else { return Ok(String::new()) };
        let truth = target.classes(self.scored.0, self.scored.1)?;
        let labels = target.labels();
        let likeliest = |p: &[f64]| (1..p.len()).fold(0, |best, k| if p[k] > p[best] { k } else { best });
        let called: Vec<usize> = p.iter().map(|p| likeliest(p)).collect();
        let mut counts = vec![0_usize; labels.len()];
        truth.iter().for_each(|&class| counts[class as usize] += 1);
        let mut shown: Vec<usize> = (0..labels.len()).collect();
        shown.sort_by_key(|&k| std::cmp::Reverse(counts[k]));
        shown.truncate(CLASSES);
        shown.sort_unstable();
        let mut html = "<h2>Predictions</h2>\n".to_owned();
        let left_out =
            if labels.len() > CLASSES { format!(", the {CLASSES} most frequent classes") } else { String::new() };
        let _ = writeln!(html, "<p>Rows by their true class, columns by the most probable one{left_out}.</p>");
        html += "<div class=\"scroll\"><table class=\"confusion\">\n<thead><tr><th scope=\"col\"></th>";
        for &k in &shown {
            let _ = write!(html, "<th scope=\"col\">{}</th>", escape(&cut(&labels[k], 24)));
        }
        html += "<th scope=\"col\">found</th></tr></thead>\n<tbody>\n";
        for &i in &shown {
            let _ = write!(html, "<tr><th scope=\"row\">{}</th>", escape(&cut(&labels[i], 24)));
            for &j in &shown {
                let count = truth.iter().zip(&called).filter(|(y, c)| **y as usize == i && **c == j).count();
                let share = count as f64 / counts[i].max(1) as f64;
                let rgb = if i == j { "59,111,216" } else { "217,98,43" };
                let _ = write!(html, "<td style=\"background:rgba({rgb},{:.2})\">{count}</td>", 0.75 * share);
            }
            let found = truth.iter().zip(&called).filter(|(y, c)| **y as usize == i && **c == i).count();
            let share = 100.0 * found as f64 / counts[i].max(1) as f64;
            let _ = writeln!(html, "<td>{share:.0} %</td></tr>");
        }
        html += "</tbody></table></div>\n<div class=\"grid2\">\n";
        // Of two classes the second's chance, of more the most probable one's.
        let two = labels.len() == 2;
        let chances: Vec<(f64, bool)> = (0..p.len())
            .map(|i| match two {
                true => (p[i][1], truth[i] == 1),
                false => (p[i][called[i]], truth[i] as usize == called[i]),
            })
            .collect();
        let of = if two { format!("of {}", labels[1]) } else { "of the most probable class".into() };
        let mut bins = [(0.0, 0.0, 0.0); 10];
        for &(p, is) in &chances {
            let bin = &mut bins[((p * 10.0) as usize).min(9)];
            *bin = (bin.0 + p, bin.1 + f64::from(u8::from(is)), bin.2 + 1.0);
        }
        let points = bins.iter().filter(|bin| bin.2 > 0.0).map(|(p, is, n)| (p / n, is / n));
        let unit = Some([(0.0, 1.0); 2]);
        let diagonal =
            || Series { name: "ideal".into(), colour: 0, points: vec![(0.0, 0.0), (1.0, 1.0)], kind: Kind::Reference };
        html += &Chart {
            title: "Calibration",
            x: &format!("mean probability {of}, in ten bins"),
            y: "share of rows where it is true",
            series: vec![
                diagonal(),
                Series { name: "model".into(), colour: 0, points: points.clone().collect(), kind: Kind::Line },
                Series { name: "model".into(), colour: 0, points: points.collect(), kind: Kind::Dots },
            ],
            log: false,
            span: unit,
        }
        .html();
        let curves: Vec<usize> = if two { vec![1] } else { shown.iter().copied().take(6).collect() };
        let (mut roc, mut recall) = (Vec::new(), Vec::new());
        for (n, &k) in curves.iter().enumerate() {
            let scores: Vec<(f64, bool)> = (0..p.len()).map(|i| (p[i][k], truth[i] as usize == k)).collect();
            let (a, b) = curves_of(&scores);
            let series = |points| Series { name: labels[k].clone(), colour: n, points, kind: Kind::Line };
            roc.push(series(a));
            recall.push(series(b));
        }
        roc.push(Series { name: "by chance".into(), ..diagonal() });
        let (title, x, y) = ("ROC", "share of the others called so", "share of the class that is found");
        html += &Chart { title, x, y, series: roc, log: false, span: unit }.html();
        let (title, x, y) =
            ("Precision and recall", "share of the class that is found", "share of calls that are right");
        html += &Chart { title, x, y, series: recall, log: false, span: unit }.html();
        let chances: Vec<f64> = chances.into_iter().map(|(p, _)| p).collect();
        html += &histogram("Probabilities", &format!("probability {of}"), &chances);
        Ok(html + "</div>\n")
    }

    fn importance(&self, processor: &Processor) -> Result<String, FitError> {
        let own = self.scored.0.select(self.scored.1);
        let found = importances(self.model, &own, 5, SHUFFLED, 0, processor, &mut |_| true)?;
        let Some(found) = found else { return Ok(String::new()) };
        let bar = |importance: &crate::explain::Importance| Bar {
            name: importance.column.clone(),
            value: importance.mean,
            spread: importance.deviation,
            label: number(importance.mean, 3),
        };
        let ranked: Vec<Bar> = found.columns.iter().take(RANKED).map(bar).collect();
        let mut html = "<h2>Columns</h2>\n".to_owned();
        let _ = writeln!(
            html,
            "<p>How much {} grows when a column is shuffled over {} rows (its value is {}), mean and deviation of five \
             times.{} Of two columns that say the same, each seems to matter little.</p>",
            metric_name(found.metric),
            found.rows,
            number(found.score, 4),
            if found.columns.len() > RANKED {
                format!(" The first {RANKED} of {}.", found.columns.len())
            } else {
                String::new()
            }
        );
        html += &bars("Permutation importance", "", &ranked, 0);
        Ok(html)
    }

    fn diagram(&self) -> Result<String, FitError> {
        let network = self.model.network.widened();
        let columns: Vec<String> =
            self.model.encoder.columns().into_iter().map(|column| cut(&column.name, 24)).collect();
        let draw = |theme| {
            let figure = Figure::Receptors;
            Diagram {
                network: &network,
                loss: &self.model.loss,
                columns: &columns,
                trace: None,
                member: 0,
                figure,
                theme,
                most: 8,
            }
            .svg()
        };
        let others = self.model.others.len();
        let mut html = "<h2>The network</h2>\n".to_owned();
        let layers: Vec<String> = self.model.network.layers().iter().map(kind_name).collect();
        let _ = writeln!(html, "<p>{}</p>", escape(&layers.join(" → ")));
        if others > 0 {
            let _ = writeln!(html, "<p class=\"quiet\">The first of {} that predict together.</p>", others + 1);
        }
        let (day, night) = (draw(Theme::Light)?, draw(Theme::Dark)?);
        let _ =
            writeln!(html, "<div class=\"diagram day\">\n{day}</div>\n<div class=\"diagram night\">\n{night}</div>");
        Ok(html)
    }

    /// The table's columns.
    fn data(&self) -> Result<String, FitError> {
        let data = self.table;
        let options = Options::of_model(self.model)?;
        let schema = Plan::new(&options).ok().and_then(|plan| Schema::infer(data, &plan.schema).ok());
        let mut html = "<h2>Data</h2>\n".to_owned();
        let _ = writeln!(html, "<p>{}: {} rows, {} columns.", escape(data.name()), data.rows(), data.columns().len());
        if let Some(rows) = self.model.facts.get("rows") {
            let count = |name: &str| rows.get(name).and_then(Value::as_u64).unwrap_or(0);
            let folds = count("folds");
            let choosing = match folds {
                0 | 1 => format!("{} chose when to stop", count("choosing")),
                folds => format!("each of {folds} folds chose when the network that did not learn from it stopped"),
            };
            let _ = writeln!(
                html,
                "{} were learnt from, {choosing}, {} were held back for the score.",
                count("training"),
                count("scoring")
            );
        }
        html += "</p>\n";
        let mut rows = Vec::new();
        for (position, column) in data.columns().iter().enumerate().take(COLUMNS) {
            let kind = match &schema {
                Some(schema) => schema.kinds[position].name(),
                None if column.name() == self.model.target.column() => ColumnKind::Target.name(),
                None => "",
            };
            let missing = (0..data.rows()).filter(|&row| column.cells().is_missing(row)).count();
            let share = if missing == 0 {
                "0".into()
            } else {
                format!("{} %", number(100.0 * missing as f64 / data.rows() as f64, 2))
            };
            let content = match column.cells() {
                Cells::Numbers(numbers) => {
                    let mut known: Vec<f64> = numbers.iter().filter(|x| !x.is_nan()).collect();
                    known.sort_by(f64::total_cmp);
                    match known.is_empty() {
                        true => String::new(),
                        false => format!(
                            "{} … {} … {}",
                            number(known[0], 4),
                            number(known[known.len() / 2], 4),
                            number(known[known.len() - 1], 4)
                        ),
                    }
                }
                Cells::Texts(texts) => {
                    let mut counts = vec![0_usize; texts.levels().len()];
                    (0..texts.len()).filter_map(|row| texts.code(row)).for_each(|code| counts[code] += 1);
                    let most = (0..counts.len()).max_by_key(|&code| (counts[code], std::cmp::Reverse(code)));
                    most.map_or(String::new(), |code| {
                        format!("{} texts, most often {} ({})", counts.len(), cut(texts.level(code), 40), counts[code])
                    })
                }
            };
            rows.push(vec![cut(column.name(), 60), kind.to_owned(), share, content]);
        }
        html += &table(&["column", "kind", "missing", "least, median, largest; or texts"], &rows, true);
        if data.columns().len() > COLUMNS {
            let _ = writeln!(html, "<p class=\"quiet\">And {} more columns.</p>", data.columns().len() - COLUMNS);
        }
        html += "<div class=\"grid2\">\n";
        match &self.model.target {
            Target::Regression(target) => {
                let (with_target, _) = self.model.target.rows(data)?;
                for target in target.numbers() {
                    html += &histogram("The target", target.column(), &target.values(data, &with_target)?);
                }
            }
            Target::Classification(target) => {
                let (with_target, _) = self.model.target.rows(data)?;
                let mut counts = vec![0_usize; target.labels().len()];
                target.classes(data, &with_target)?.iter().for_each(|&class| counts[class as usize] += 1);
                let mut order: Vec<usize> = (0..counts.len()).collect();
                order.sort_by_key(|&k| std::cmp::Reverse(counts[k]));
                let bar = |&k: &usize| Bar {
                    name: target.labels()[k].clone(),
                    value: counts[k] as f64,
                    spread: 0.0,
                    label: format!(
                        "{} ({:.1} %)",
                        counts[k],
                        100.0 * counts[k] as f64 / with_target.len().max(1) as f64
                    ),
                };
                let all: Vec<Bar> = order.iter().take(RANKED).map(bar).collect();
                html += &bars("The classes", "rows of the table", &all, 2);
            }
        }
        Ok(html + "</div>\n")
    }

    /// Every option and fingerprint.
    fn facts(&self) -> String {
        let mut rows: Vec<Vec<String>> = Vec::new();
        let plain = |value: &Value| match value {
            Value::String(text) => cut(text, 400),
            Value::Null => "none".into(),
            value => cut(&value.to_string(), 400),
        };
        for part in ["options", "training"] {
            for (name, value) in self.model.facts.get(part).and_then(Value::as_object).into_iter().flatten() {
                let name = if part == "options" { format!("--{name}") } else { name.replace('_', " ") };
                rows.push(vec![name, plain(value)]);
            }
        }
        rows.push(vec!["loss".into(), self.model.loss.to_string()]);
        rows.push(vec!["precision".into(), self.model.network.precision().into()]);
        if let Some(value) = self.model.facts.get("sample_weight").filter(|value| !value.is_null()) {
            rows.push(vec!["sample weight".into(), plain(value)]);
        }
        rows.push(vec!["fingerprint of the weights".into(), self.fingerprint.into()]);
        if let Some(value) = self.model.facts.get("data_fingerprint") {
            rows.push(vec!["fingerprint of the training table".into(), plain(value)]);
        }
        rows.push(vec!["chainrule".into(), env!("CARGO_PKG_VERSION").into()]);
        format!(
            "<h2>Options and fingerprints</h2>\n<p>The same options, table and version give the same weights, bit for bit, \
             on any machine.</p>\n{}",
            table(&[], &rows, true)
        )
    }
}

/// A layer's name without the list of an embedding's columns.
fn kind_name(layer: &Layer) -> String {
    match layer {
        Layer::Piecewise { bins, width, columns } => format!("piecewise:{bins}:{width} of {} columns", columns.len()),
        layer => layer.to_string(),
    }
}

fn numbers_of(metrics: &Metrics) -> Vec<(String, f64)> {
    if let Metrics::Several(all) = metrics {
        let of =
            |(name, metrics): (&String, &crate::metrics::RegressionMetrics)| (format!("RMSE of {name}"), metrics.rmse);
        return all.iter().map(of).collect();
    }
    let value = serde_json::to_value(metrics).unwrap_or_default();
    let of = value.as_object().into_iter().flatten();
    of.filter_map(|(name, value)| Some((name.clone(), value.as_f64()?))).collect()
}

/// What a person calls a metric.
fn metric_name(name: &str) -> &str {
    match name {
        "rmse" => "RMSE",
        "mae" => "MAE",
        "r2" => "R²",
        "log_loss" => "log loss",
        "roc_auc" => "ROC AUC",
        "balanced_accuracy" => "balanced accuracy",
        name => name,
    }
}

/// How numbers lie, in thirty bins between their 0.5th and 99.5th hundredth; what lies outside is in the outermost.
fn histogram(title: &str, x: &str, numbers: &[f64]) -> String {
    const BINS: usize = 30;
    let mut sorted: Vec<f64> = numbers.iter().copied().filter(|x| x.is_finite()).collect();
    sorted.sort_by(f64::total_cmp);
    let Some(last) = sorted.len().checked_sub(1) else { return String::new() };
    let (low, high) = (sorted[last / 200], sorted[last - last / 200]);
    if high <= low {
        return String::new();
    }
    let width = (high - low) / BINS as f64;
    let mut counts = [0.0; BINS];
    sorted.iter().for_each(|x| counts[(((x - low) / width).max(0.0) as usize).min(BINS - 1)] += 1.0);
    let points = counts.iter().enumerate().map(|(bin, count)| (low + (bin as f64 + 0.5) * width, *count)).collect();
    let series = vec![Series { name: String::new(), colour: 0, points, kind: Kind::Bars }];
    Chart { title, x, y: "rows", series, log: false, span: None }.html()
}

type Points = Vec<(f64, f64)>;

/// ROC and precision over recall, of (score, whether it is of the class): one point for each different score.
fn curves_of(scores: &[(f64, bool)]) -> (Points, Points) {
    let mut sorted = scores.to_vec();
    sorted.sort_by(|a, b| b.0.total_cmp(&a.0));
    let all = sorted.iter().filter(|(_, is)| *is).count() as f64;
    let none = sorted.len() as f64 - all;
    let (mut right, mut wrong) = (0.0, 0.0);
    let (mut roc, mut precision) = (vec![(0.0, 0.0)], Vec::new());
    if all == 0.0 || none == 0.0 {
        return (Vec::new(), Vec::new());
    }
    for group in sorted.chunk_by(|a, b| a.0 == b.0) {
        let of_class = group.iter().filter(|(_, is)| *is).count() as f64;
        right += of_class;
        wrong += group.len() as f64 - of_class;
        roc.push((wrong / none, right / all));
        precision.push((right / all, right / (right + wrong)));
    }
    (roc, precision)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn curves_by_hand() {
        // From the highest score on: right, wrong, (right and wrong at once).
        let (roc, precision) = curves_of(&[(0.9, true), (0.5, false), (0.1, true), (0.1, false)]);
        assert_eq!(roc, [(0.0, 0.0), (0.0, 0.5), (0.5, 0.5), (1.0, 1.0)]);
        assert_eq!(precision, [(0.5, 1.0), (0.5, 0.5), (1.0, 0.5)]);
    }
}
