//! What the page draws: the network with its numbers, the forward pass as a walk, what it has learnt, a derivative's ledger.

use crate::{App, Fault, processor, rows_json};
use chainrule::explain::{Factor, Ledger, Stages, Trace, number};
use chainrule::network::Role;
use chainrule::{Data, Layer, Matrix, Network};
use chainrule_table::recipe::session::Session;
use chainrule_table::{Target, Task};
use serde_json::{Value, json};

/// Rows of the table that the page lists.
const LISTED: usize = 200;
/// Points of a picture.
const POINTS: usize = 800;
/// Up to so many rows the loss is computed anew for every picture.
const QUICK: usize = 2_000;

/// What is known once data are loaded.
pub(crate) fn facts(app: &App) -> Result<Value, Fault> {
    let session = app.session()?;
    let (table, schema) = (session.table(), session.schema());
    let columns: Vec<Value> = (table.columns().iter().enumerate())
        .map(|(j, column)| json!({"name": column.name(), "kind": schema.kinds[j].name(), "reason": schema.reasons[j]}))
        .collect();
    let listed: Vec<Vec<String>> =
        (0..table.rows().min(LISTED)).map(|i| (0..columns.len()).map(|j| table.spelling(i, j)).collect()).collect();
    let [training, scoring] = session.rows();
    let encoded: Vec<String> = session.encoder().columns().into_iter().map(|column| column.name).collect();
    let listed_only = |rows: &[usize]| rows.iter().copied().filter(|row| *row < LISTED).collect::<Vec<_>>();
    Ok(json!({
        "name": app.name, "rows": table.rows(), "columns": columns, "cells": listed, "encoded": encoded,
        "training": training.len(), "scoring": scoring.len(), "scored": listed_only(scoring),
        "shown": training.iter().copied().take(LISTED).collect::<Vec<_>>(),
        "task": schema.task.name(), "labels": schema.labels, "target": schema.target, "notes": session.notes(),
        "loss": session.loss().to_string(), "layers": session.network().layers().iter().map(Layer::to_string).collect::<Vec<_>>(),
        "parameters": session.network().parameters().len(),
    }))
}

/// Training row `i` (from 0) as matrices of one row.
pub(crate) fn row(session: &Session<'_>, i: usize) -> Result<(Matrix<f64>, Matrix<f64>), Fault> {
    let data = session.training();
    if i >= data.x.rows() {
        return Err(Fault(format!("there is no training row {}: there are {}", i + 1, data.x.rows())));
    }
    Ok((data.x.rows_range(i..i + 1).to_owned(), data.y.rows_range(i..i + 1).to_owned()))
}

/// The network with the numbers of a training row, and where the run is.
pub(crate) fn view(app: &App, at: usize) -> Result<Value, Fault> {
    let session = app.session()?;
    let (network, loss) = (session.network(), session.loss());
    let (x, y) = row(session, at)?;
    let trace = Trace::new(network, loss, &Data::new(x.view(), y.view()), processor())?;
    let names: Vec<String> = session.encoder().columns().into_iter().map(|column| column.name).collect();
    let whole = session.training();
    let now = if whole.x.rows() <= QUICK { Some(network.loss(loss, &whole, processor())?) } else { None };
    let scoring = match session.scoring() {
        Some(data) if data.x.rows() <= QUICK => Some(network.loss(loss, &data, processor())?),
        _ => None,
    };
    let model = session.model().to_file()?;
    let gradient = chainrule::explain::largest_gradients(
        network,
        loss,
        &Data::new(x.view(), y.view()),
        network.parameters().len(),
        processor(),
    )?;
    let mut by_index = vec![0.0; network.parameters().len()];
    gradient.iter().for_each(|(parameter, g)| by_index[parameter.index(network)] = *g);
    Ok(json!({
        "layers": layers(network, &trace, &names),
        "prediction": trace.prediction().row(0), "target": trace.target(0), "row_loss": trace.loss(),
        "decoded": session.predict(&x)?.row(0),
        "loss": now, "scoring_loss": scoring, "last_loss": app.last.map(|last| last.loss),
        "steps": session.steps().steps(), "epochs": session.steps().epochs(),
        "fingerprint": chainrule::model_file::fingerprint(&model.tensors),
        "norms": norms(network, &gradient_of_all(session, now.is_some())?),
        "edited": app.edited, "gradient": by_index,
    }))
}

/// ∂J/∂θ over all training rows where they are few, else nothing.
fn gradient_of_all(session: &Session<'_>, few: bool) -> Result<Vec<f64>, Fault> {
    let network = session.network();
    let mut all = vec![0.0; network.parameters().len()];
    if few {
        let found = chainrule::explain::largest_gradients(
            network,
            session.loss(),
            &session.training(),
            all.len(),
            processor(),
        )?;
        found.iter().for_each(|(parameter, g)| all[parameter.index(network)] = *g);
    }
    Ok(all)
}

/// ‖∂J/∂W⁽ˡ⁾‖ and ‖∂J/∂b⁽ˡ⁾‖ of every segment.
fn norms(network: &Network<f64>, gradient: &[f64]) -> Vec<Value> {
    let stages = Stages::new(network);
    let norm = |segment: &chainrule::network::Segment| {
        let part = &gradient[segment.range.clone()];
        let letter = if segment.role == Role::Weights { "W" } else { "b" };
        let norm = chainrule::kernels::sum_of_squares(processor().instruction_set(), part).sqrt();
        json!({"letter": letter, "layer": stages.stage(segment.layer + 1).layer, "norm": norm})
    };
    network.layout().segments().iter().map(norm).collect()
}

/// The columns of the diagram: neurons, receptors, and the weights that lead to them.
fn layers(network: &Network<f64>, trace: &Trace, names: &[String]) -> Vec<Value> {
    let stages = trace.stages();
    let units = |k: usize| -> Vec<Value> {
        let stage = stages.stage(k);
        (0..stage.width)
            .map(|i| json!({"symbol": stage.symbol(i).to_string(), "value": trace.output(k).row(0)[i]}))
            .collect()
    };
    let mut layers = vec![json!({"layer": 0, "neurons": units(0), "names": names, "stage_x": 0})];
    for l in 1..=stages.last_layer() {
        let Some(k) = stages.dense(l) else { continue };
        // The neuron is the last stage of the layer; at the output the prediction.
        let last = (k + 1..stages.all().len()).take_while(|&s| stages.stage(s).layer == l).last().unwrap_or(k + 1);
        let mut neurons = units(last);
        if l == stages.last_layer() {
            for (i, neuron) in neurons.iter_mut().enumerate() {
                neuron["value"] = trace.prediction().row(0)[i].into();
                neuron["symbol"] = chainrule::explain::Symbol::new(chainrule::explain::Letter::X(0), l, None, &[i + 1])
                    .to_string()
                    .into();
            }
        }
        let of =
            |role: Role| network.layout().segments().iter().find(|segment| segment.layer == k && segment.role == role);
        let activation = network.layers()[k + 1..last].iter().find_map(|layer| match layer {
            Layer::Activation(activation) => Some(activation.to_string()),
            _ => None,
        });
        let start = |role| of(role).map(|segment| segment.range.start);
        let values = |role| of(role).map(|segment| &network.parameters()[segment.range.clone()]);
        layers.push(json!({
            "layer": l, "neurons": neurons, "receptors": units(k + 1), "activation": activation, "stage_z": k + 1, "stage_x": last,
            "weights": values(Role::Weights), "weights_at": start(Role::Weights),
            "biases": values(Role::Biases), "biases_at": start(Role::Biases),
        }));
    }
    layers
}

/// The forward pass of a row, unit by unit: what is computed, with its numbers.
pub(crate) fn walk(session: &Session<'_>, at: usize) -> Result<Value, Fault> {
    let network = session.network();
    let (x, _) = row(session, at)?;
    let trace = Trace::forward(network, session.loss(), x.view(), processor())?;
    let (stages, mut steps) = (trace.stages(), Vec::new());
    let last = stages.all().len() - 1;
    for k in 0..last {
        let (before, after) = (trace.output(k).row(0), trace.output(k + 1).row(0));
        for (j, value) in after.iter().enumerate() {
            let stage = stages.stage(k + 1);
            let symbol = stage.symbol(j).to_string();
            let (rule, numbers) = match &network.layers()[k] {
                Layer::Dense { outputs } => {
                    let weights = network.weights(k);
                    let term = |i: usize| {
                        let w = chainrule::explain::Symbol::new(
                            chainrule::explain::Letter::Weight,
                            stage.layer,
                            None,
                            &[i + 1, j + 1],
                        );
                        (format!("{w} {}", stages.stage(k).symbol(i)), weights.as_slice()[i * outputs + j], before[i])
                    };
                    let terms: Vec<_> = (0..before.len()).map(term).collect();
                    let b = network.biases(k)[j];
                    let bias =
                        chainrule::explain::Symbol::new(chainrule::explain::Letter::Bias, stage.layer, None, &[j + 1]);
                    let short = |parts: Vec<String>| match parts.len() {
                        0..=6 => parts.join(" + "),
                        n => format!("{} + … + {}", parts[..3].join(" + "), parts[n - 2..].join(" + ")),
                    };
                    let rules = terms.iter().map(|(rule, ..)| rule.clone()).chain([bias.to_string()]).collect();
                    let told = |x: f64| if x < 0.0 { format!("({})", number(x, 6)) } else { number(x, 6) };
                    let numbers =
                        terms.iter().map(|(_, w, x)| format!("{}·{}", told(*w), told(*x))).chain([told(b)]).collect();
                    (short(rules), short(numbers))
                }
                layer => {
                    let from = stages.stage(k).symbol(j.min(before.len() - 1));
                    (format!("{layer}({from})"), format!("{layer}({})", number(before[j.min(before.len() - 1)], 6)))
                }
            };
            let letter = if stage.letter == chainrule::explain::Letter::Z { "z" } else { "x" };
            steps.push(json!({
                "symbol": symbol, "rule": rule, "numbers": numbers, "value": value,
                "layer": stage.layer, "unit": j, "letter": letter,
            }));
        }
    }
    for (j, value) in trace.prediction().row(0).iter().enumerate() {
        let z = stages.stage(last).symbol(j).to_string();
        let x = chainrule::explain::Symbol::new(chainrule::explain::Letter::X(0), stages.last_layer(), None, &[j + 1]);
        let link = match session.loss().link() {
            chainrule::loss::Link::Identity => z.clone(),
            link => format!("{}({z})", format!("{link:?}").to_lowercase()),
        };
        steps.push(json!({
            "symbol": x.to_string(), "rule": link, "numbers": number(trace.output(last).row(0)[j], 9), "value": value,
            "layer": stages.last_layer(), "unit": j, "letter": "x",
        }));
    }
    Ok(steps.into())
}

/// A derivative's ledger.
pub(crate) fn ledger_json(ledger: &Ledger, index: usize) -> Value {
    let factor = |factor: &Factor| json!({"derivative": factor.derivative.plain, "term": factor.term.plain, "value": factor.value});
    let paths: Vec<Value> = (ledger.paths.iter())
        .map(|path| {
            let factors: Vec<Value> = path.factors.iter().map(factor).collect();
            json!({"factors": factors, "value": path.value, "units": path.units})
        })
        .collect();
    let terms: Vec<Value> = (ledger.terms.iter())
        .map(|term| json!({"row": term.row, "delta": factor(&term.delta), "source": factor(&term.source), "value": term.value}))
        .collect();
    json!({
        "index": index, "symbol": ledger.symbol.plain, "value": ledger.value, "rows": ledger.rows, "paths": paths,
        "path_count": ledger.path_count.to_string(), "remainder": ledger.remainder, "terms": terms,
        "term_count": ledger.term_count, "by_paths": ledger.by_paths(), "by_delta": ledger.by_delta,
        "backpropagation": ledger.backpropagation, "difference": ledger.difference, "step": ledger.step, "kink": ledger.kink,
    })
}

/// What the network has learnt: a surface over two columns of numbers, else predictions beside the truth.
pub(crate) fn outcome(session: &Session<'_>, size: usize) -> Result<Value, Fault> {
    let columns = session.encoder().columns();
    let score = session.score()?;
    let plain = columns.len() == 2 && columns.iter().all(|column| column.name == column.source);
    let parts = [Some(session.training()), session.scoring()];
    let truth = |y: f64| match session.target() {
        Target::Regression(number) => number.decode(y),
        Target::Classification(_) => y,
    };
    let mut points = Vec::new();
    for (part, data) in parts.iter().enumerate() {
        let Some(data) = data else { continue };
        let rows = data.x.rows().min(POINTS / (part + 1));
        let some = data.x.rows_range(0..rows).to_owned();
        let predictions = session.predict(&some)?;
        for i in 0..rows {
            let x: Vec<f64> = match plain {
                true => columns.iter().zip(some.row(i)).map(|(column, z)| column.affine.to_raw(*z)).collect(),
                false => Vec::new(),
            };
            points.push(json!({"x": x, "y": truth(data.y.row(i)[0]), "p": predictions.row(i), "scoring": part == 1}));
        }
    }
    let mut outcome = json!({
        "task": session.schema().task.name(), "labels": session.target().labels(), "score": score, "points": points,
        "columns": columns.iter().map(|column| column.name.clone()).collect::<Vec<_>>(),
    });
    if plain {
        let x = session.training().x;
        let range = |j: usize| {
            let column = (0..x.rows()).map(|i| x.row(i)[j]);
            let (low, high) = (column.clone().fold(f64::INFINITY, f64::min), column.fold(f64::NEG_INFINITY, f64::max));
            let margin = 0.08 * (high - low).max(1e-9);
            [low - margin, high + margin]
        };
        let ranges = [range(0), range(1)];
        let at = |j: usize, i: usize| ranges[j][0] + (ranges[j][1] - ranges[j][0]) * (i as f64 + 0.5) / size as f64;
        // Row after row from above, as a picture has them.
        let grid = (0..size * size).flat_map(|n| [at(0, n % size), at(1, size - 1 - n / size)]).collect();
        let predictions = session.predict(&Matrix::from_vec(size * size, 2, grid)?)?;
        let of = |row: &[f64]| match (session.schema().task, row.len()) {
            (Task::Classification, n) if n > 1 => {
                let best = (0..n).max_by(|a, b| row[*a].total_cmp(&row[*b])).unwrap_or(0);
                vec![best as f64, row[best]]
            }
            _ => vec![row[0]],
        };
        let values: Vec<Vec<f64>> = rows_json(&predictions).iter().map(|row| of(row)).collect();
        let raw: Vec<[f64; 2]> = (0..2).map(|j| ranges[j].map(|z| columns[j].affine.to_raw(z))).collect();
        outcome["surface"] = json!({"size": size, "values": values, "ranges": raw});
    }
    Ok(outcome)
}
