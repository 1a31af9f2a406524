//! `explain diagram`: a picture of the network, as SVG.

use super::subject::{Net, Subject};
use super::{Common, tell};
use crate::failure::{Failure, printable};
use crate::output::Output;
use chainrule::explain::{Diagram, Figure, Ledger, Line, Parameter, Theme, Trace};
use chainrule::{Data, Error};
use clap::ValueEnum;
use std::io::{self, Write as _};
use std::path::PathBuf;

/// The options of `explain diagram`.
#[derive(clap::Args, Debug)]
#[command(
    about = "Draw a network, a row's numbers in it, or the paths of a weight",
    after_help = "Figures: network (the default), plain, call-out (of --weight), matrices, weights (the shape of W), start (the\n\
        data and the weights), values (the default with data), shape (of Z), equations, cost, paths (the default with\n\
        --weight). Layers of more than --most neurons are elided.\n\nExamples:\n  \
        chainrule explain diagram figure8.safetensors -o net.svg\n  \
        chainrule explain diagram figure8.safetensors tutorial.csv --row 1 -o values.svg\n  \
        chainrule explain diagram figure8.safetensors tutorial.csv --row 1 --weight 1:1,2 --dark -o paths.svg\n  \
        chainrule explain diagram figure8.safetensors tutorial.csv --figure equations --layer 2 -o layer2.svg\n  \
        chainrule explain diagram figure8.safetensors --figure matrices --layer 2 --column 2 -o column.svg"
)]
pub(super) struct Options {
    /// The model file
    model: PathBuf,
    /// The table, for figures with numbers of rows
    data: Option<PathBuf>,
    /// Where the picture goes; `-` is standard output
    #[arg(short, long, value_name = "FILE", default_value = "-")]
    output: PathBuf,
    /// Replace an existing output
    #[arg(long)]
    force: bool,
    /// The data row, from 1
    #[arg(long, value_name = "I", requires = "data")]
    row: Option<usize>,
    /// The weight that is called out, or whose paths are drawn
    #[arg(long, value_name = "LAYER:FROM,TO")]
    weight: Option<String>,
    /// What is drawn
    #[arg(long, value_enum, hide_possible_values = true, value_name = "FIGURE")]
    figure: Option<Kind>,
    /// The layer of weights, shape and equations, or whose row or column is in colour
    #[arg(long, value_name = "L", default_value_t = 1)]
    layer: usize,
    /// In the figure of matrices: row I of the layer's W
    #[arg(long = "matrix-row", value_name = "I", conflicts_with = "column")]
    matrix_row: Option<usize>,
    /// In the figure of matrices: column J of the layer's W
    #[arg(long, value_name = "J")]
    column: Option<usize>,
    /// The paths with symbols, although there are numbers
    #[arg(long)]
    symbols: bool,
    /// Light on dark
    #[arg(long)]
    dark: bool,
    /// Of an ensemble: network M, or member K of those that share network M's weights as M.K
    #[arg(long, value_name = "M")]
    member: Option<String>,
    /// Layers of more neurons are elided
    #[arg(long, value_name = "N", default_value_t = 12)]
    most: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Kind {
    Network,
    Plain,
    CallOut,
    Matrices,
    Weights,
    Start,
    Values,
    Shape,
    Equations,
    Cost,
    Paths,
}

impl Kind {
    /// Whether it shows numbers of rows, and whether it shows targets.
    fn needs_rows(self) -> (bool, bool) {
        let targets = matches!(self, Self::Start | Self::Paths);
        (targets || matches!(self, Self::Values | Self::Equations), targets)
    }
}

/// Draws and writes.
pub(super) fn run(options: &Options) -> Result<(), Failure> {
    let output = Output::explicit(&options.output, options.force)?;
    let kind = options.figure.unwrap_or(match (&options.weight, &options.data) {
        (Some(_), Some(_)) => Kind::Paths,
        (Some(_), None) => Kind::CallOut,
        (None, Some(_)) => Kind::Values,
        (None, None) => Kind::Network,
    });
    let fault = |message: &str| Err(Failure::Fault(message.into()));
    if (options.matrix_row.is_some() || options.column.is_some()) && kind != Kind::Matrices {
        return fault("--matrix-row and --column belong to --figure matrices");
    }
    if matches!(kind, Kind::Paths | Kind::CallOut) && options.weight.is_none() {
        return fault("this figure is of one weight: say which, as --weight 1:1,2");
    }
    let svg = match &options.data {
        None if kind.needs_rows().0 => {
            return fault("this figure shows numbers of rows: give the table after the model");
        }
        None => {
            let net = Net::new(&options.model, None, options.member.as_deref())?;
            tell(&net.notes);
            let weight = net.parameter(options.weight.as_deref(), None, None)?;
            svg(options, kind, &net, weight, None, None)?
        }
        Some(data) => {
            let common = Common { model: options.model.clone(), data: data.clone(), threads: None };
            let mut subject = Subject::new(&common, options.member.as_deref())?;
            let weight = subject.parameter(options.weight.as_deref(), None, None)?;
            with_rows(options, kind, &mut subject, weight)?
        }
    };
    if let Some(path) = output.write(|out| out.write_all(svg.as_bytes()).map_err(Failure::Write))? {
        let _ = writeln!(io::stderr(), "wrote {}", printable(&path.display().to_string()));
    }
    Ok(())
}

/// A figure with a pass of some rows.
fn with_rows(
    options: &Options,
    kind: Kind,
    subject: &mut Subject,
    weight: Option<Parameter>,
) -> Result<String, Failure> {
    let row = subject.row(options.row.unwrap_or(1))?;
    // Figures of many rows show a dozen of them at most; the row itself is among the first thousand of the pass.
    let first = row - row % ROWS;
    let mut rows: Vec<usize> = (first..subject.table.rows().min(first + ROWS)).collect();
    let targets = kind.needs_rows().1;
    if targets {
        rows.retain(|&row| subject.has_targets(row));
    }
    let Some(at) = rows.iter().position(|&each| each == row) else {
        let column = printable(subject.model.target.column());
        return Err(Failure::Fault(format!("row {} has no value in {column}: choose a row that has one", row + 1)));
    };
    let seen = if targets { subject.with_targets(Some(&rows), None)? } else { subject.inputs(Some(&rows))? };
    let (network, loss, processor) = (&subject.network, &subject.model.loss, &subject.processor);
    let trace = match &seen.y {
        Some(y) => Trace::new(network, loss, &Data { x: seen.x.view(), y: y.view(), weights: None }, processor)?,
        None => Trace::forward(network, loss, seen.x.view(), processor)?,
    };
    let ledger = match (kind, weight, &seen.y) {
        (Kind::Paths, Some(weight), Some(y)) => {
            let data = Data::new(seen.x.rows_range(at..at + 1), y.rows_range(at..at + 1));
            Some(Ledger::new(network, loss, &data, weight, 20, processor)?)
        }
        _ => None,
    };
    tell(&subject.notes);
    svg(options, kind, subject, weight, Some((&trace, at)), ledger.as_ref())
}

/// Rows of a pass for a picture.
const ROWS: usize = 1000;

fn svg(
    options: &Options,
    kind: Kind,
    net: &Net,
    weight: Option<Parameter>,
    trace: Option<(&Trace, usize)>,
    ledger: Option<&Ledger>,
) -> Result<String, Failure> {
    let line = match (options.matrix_row, options.column) {
        (Some(i), _) => Some(Line::Row(options.layer, i)),
        (_, Some(j)) => Some(Line::Column(options.layer, j)),
        _ => None,
    };
    let absent = || Error::Value { what: "figure", expected: "a weight".into(), got: "none".into() };
    let figure = match kind {
        Kind::Network => Figure::Receptors,
        Kind::Plain => Figure::Plain,
        Kind::CallOut => Figure::CallOut(weight.ok_or_else(absent)?),
        Kind::Matrices => Figure::Matrices(line),
        Kind::Weights => Figure::WeightShape(options.layer),
        Kind::Start => Figure::Start,
        Kind::Values => Figure::Values,
        Kind::Shape => Figure::Shape(options.layer),
        Kind::Equations => Figure::Equations(options.layer),
        Kind::Cost => Figure::Cost,
        Kind::Paths => Figure::Paths { ledger: ledger.ok_or_else(absent)?, values: !options.symbols },
    };
    let columns: Vec<String> = net.model.encoder.columns().into_iter().map(|column| column.name).collect();
    let diagram = Diagram {
        network: &net.network,
        loss: &net.model.loss,
        columns: &columns,
        // A figure of symbols shows none of the rows' numbers.
        trace: trace.filter(|_| kind != Kind::Paths || !options.symbols),
        member: net.inner.map_or(0, |k| k - 1),
        figure,
        theme: if options.dark { Theme::Dark } else { Theme::Light },
        most: options.most.max(2),
    };
    Ok(diagram.svg()?)
}
