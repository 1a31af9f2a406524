//! The tutorial's figures for any network, drawn from the network itself as SVG.
//!
//! A layer is a column of neurons (circles), each with its receptor (a box) at its left; an edge is a weight. Of several
//! members one is drawn. A layer of many neurons is elided: the ones with the largest weights stay, three dots stand for
//! the others, and each receptor keeps its strongest edges.

mod canvas;
mod matrices;
mod paths;

pub use canvas::Theme;

use super::ledger::{Ledger, Parameter};
use super::symbol::{Letter, Symbol};
use super::trace::{Stages, Trace};
use crate::error::Error;
use crate::layer::Layer;
use crate::loss::Loss;
use crate::network::{Network, Role};
use canvas::{Anchor, Canvas, Fill, Ink};
use std::collections::{BTreeSet, HashMap};

/// What a diagram shows; in parentheses the tutorial's figures.
#[derive(Clone, Copy, Debug)]
pub enum Figure<'a> {
    /// Neurons and edges (1).
    Plain,
    /// Receptors, neurons and weights with their symbols (2).
    Receptors,
    /// One weight, and what its indices say (3).
    CallOut(Parameter),
    /// Every W⁽ˡ⁾ under its edges (4); with a row of one, or a column, in colour (6, 7).
    Matrices(Option<Line>),
    /// The shape of W⁽ˡ⁾ (5).
    WeightShape(usize),
    /// The data and the weights to start from (8). Needs a trace with targets.
    Start,
    /// The numbers of a row inside the network (9). Needs a trace.
    Values,
    /// The shape of Z⁽ˡ⁾ (10).
    Shape(usize),
    /// Z⁽ˡ⁾ = X⁽ˡ⁻¹⁾W⁽ˡ⁾ + 1b⁽ˡ⁾ᵀ and X⁽ˡ⁾ = a(Z⁽ˡ⁾) with all rows (11–13). Needs a trace.
    Equations(usize),
    /// From the output to the cost (14).
    Cost,
    /// From the cost back to a weight, one colour a path (15–19).
    Paths {
        /// The derivative by the weight, for one row.
        ledger: &'a Ledger,
        /// Whether factors show their numbers.
        values: bool,
    },
}

/// A row or a column of W⁽ˡ⁾.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Line {
    /// The weights that leave neuron i (from 1) of layer l − 1.
    Row(usize, usize),
    /// The weights that arrive at neuron j (from 1) of layer l.
    Column(usize, usize),
}

/// A network to be drawn.
#[derive(Clone, Copy, Debug)]
pub struct Diagram<'a> {
    /// The network.
    pub network: &'a Network<f64>,
    /// Its loss: the last neuron is the prediction.
    pub loss: &'a Loss,
    /// Names of the input columns; none are shown if there are fewer than columns.
    pub columns: &'a [String],
    /// A pass, and the row of it that is shown (from 0).
    pub trace: Option<(&'a Trace, usize)>,
    /// The member that is shown, from 0.
    pub member: usize,
    /// What is shown.
    pub figure: Figure<'a>,
    /// Its colours.
    pub theme: Theme,
    /// Wider layers are elided to about eight neurons.
    pub most: usize,
}

/// Neurons of an elided layer that stay.
const KEPT: usize = 8;
/// Edges that a receptor keeps where a layer is elided.
const STRONGEST: usize = 3;

/// A layer as it is drawn.
struct Column {
    layer: usize,
    /// The stage of its neurons, and of its receptors.
    neuron: usize,
    receptor: Option<usize>,
    width: usize,
    members: usize,
    /// The neurons that are shown, increasing.
    shown: Vec<usize>,
}

impl Column {
    fn is_elided(&self) -> bool {
        self.shown.len() < self.width
    }

    /// Its height in neurons: a gap is half a neuron high.
    fn slots(&self) -> f64 {
        self.gaps().len() as f64 * 0.5 + self.shown.len() as f64
    }

    /// In front of which of the shown neurons there are others (`shown.len()` for the end).
    fn gaps(&self) -> Vec<usize> {
        let mut gaps = Vec::new();
        let mut next = 0;
        for (n, &i) in self.shown.iter().enumerate() {
            if i > next {
                gaps.push(n);
            }
            next = i + 1;
        }
        if next < self.width {
            gaps.push(self.shown.len());
        }
        gaps
    }
}

/// Sizes that follow from how many neurons stand in a column.
#[derive(Clone, Copy)]
struct Sizes {
    radius: f64,
    font: f64,
    /// From neuron to neuron, down and across.
    down: f64,
    across: f64,
    /// A receptor's box.
    width: f64,
    height: f64,
}

impl Sizes {
    fn new(most: f64) -> Self {
        let (radius, font, down, across) = match most {
            n if n <= 4.0 => (23.0, 13.0, 104.0, 236.0),
            n if n <= 7.5 => (20.0, 12.0, 70.0, 232.0),
            _ => (17.0, 10.5, 48.0, 226.0),
        };
        Self { radius, font, down, across, width: 2.3 * radius, height: 1.5 * radius }
    }
}

/// What stands in neurons and receptors.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Inside {
    Nothing,
    Symbols,
    Values,
}

/// What stands on edges.
#[derive(Clone, Copy, PartialEq, Eq)]
enum OnEdges {
    Nothing,
    Symbols,
    Values,
}

/// How the network is drawn.
#[derive(Clone)]
struct Look {
    receptors: bool,
    inside: Inside,
    on_edges: OnEdges,
    titles: bool,
    /// Everything but what is coloured is faint.
    faint: bool,
    /// Only coloured edges have labels.
    few_labels: bool,
    /// Edges (layer, from, to) in the colour of a path.
    coloured: HashMap<(usize, usize, usize), usize>,
    /// Neurons (layer, index) that stay in colour although all is faint.
    lit: BTreeSet<(usize, usize)>,
}

impl Look {
    fn new() -> Self {
        Self {
            receptors: true,
            inside: Inside::Symbols,
            on_edges: OnEdges::Symbols,
            titles: true,
            faint: false,
            few_labels: false,
            coloured: HashMap::new(),
            lit: BTreeSet::new(),
        }
    }
}

/// The drawing of a network so far.
struct Drawn {
    columns: Vec<Column>,
    sizes: Sizes,
    /// The neuron's centre, by (layer, index).
    neurons: HashMap<(usize, usize), (f64, f64)>,
    /// Where the label of a weight is, or would be.
    weights: HashMap<(usize, usize, usize), (f64, f64)>,
}

impl Diagram<'_> {
    /// The picture.
    ///
    /// # Errors
    /// If the figure needs a trace that is not there, or a layer, row or weight that the network has not.
    pub fn svg(&self) -> Result<String, Error> {
        let (canvas, title) = self.draw()?;
        Ok(canvas.finish(&title))
    }

    fn draw(&self) -> Result<(Canvas, String), Error> {
        let stages = Stages::new(self.network);
        let mut canvas = Canvas::new(self.theme);
        let widths: Vec<String> =
            (0..=stages.last_layer()).map(|l| stages.stage(self.last_stage(&stages, l)).width.to_string()).collect();
        let mut title = format!("Network {}", widths.join("-"));
        let mut look = Look::new();
        match self.figure {
            Figure::Plain => {
                (look.receptors, look.inside, look.on_edges) = (false, Inside::Nothing, OnEdges::Nothing);
                self.base(&mut canvas, &stages, &look);
            }
            Figure::Receptors => {
                self.base(&mut canvas, &stages, &look);
            }
            Figure::CallOut(parameter) => {
                let (l, i, j) = self.address(&stages, parameter)?;
                (look.faint, look.on_edges) = (true, OnEdges::Nothing);
                look.coloured.insert((l, i, j), 0);
                look.lit.extend([(l - 1, i), (l, j)]);
                let drawn = self.base(&mut canvas, &stages, &look);
                self.call_out(&mut canvas, &stages, &drawn, (l, i, j));
                title += ": one weight";
            }
            Figure::Matrices(line) => {
                if let Some(line) = line {
                    self.light_line(&stages, line, &mut look)?;
                }
                let drawn = self.base(&mut canvas, &stages, &look);
                self.matrices_below(&mut canvas, &stages, &drawn, line);
                title += ": its weight matrices";
            }
            Figure::WeightShape(l) => {
                let k = self.dense(&stages, l)?;
                self.weight_shape(&mut canvas, &stages, k);
                title = format!("The shape of W of layer {l}");
            }
            Figure::Shape(l) => {
                let k = self.dense(&stages, l)?;
                self.z_shape(&mut canvas, &stages, k);
                title = format!("The shape of Z of layer {l}");
            }
            Figure::Start => {
                let (trace, _) = self.trace()?;
                self.start(&mut canvas, &stages, trace);
                title = "The data and the weights to start from".into();
            }
            Figure::Values => {
                let (trace, row) = self.trace()?;
                (look.inside, look.on_edges) = (Inside::Values, OnEdges::Values);
                let drawn = self.base(&mut canvas, &stages, &look);
                self.rows_at_the_left(&mut canvas, trace, row, &drawn);
                title += ": a row's numbers";
            }
            Figure::Equations(l) => {
                let k = self.dense(&stages, l)?;
                let (trace, _) = self.trace()?;
                self.equations(&mut canvas, &stages, trace, k);
                title = format!("The matrix equations of layer {l}");
            }
            Figure::Cost => {
                let drawn = self.base(&mut canvas, &stages, &look);
                let last = stages.last_layer();
                self.cost(&mut canvas, &stages, &drawn, last, Ink::Plain);
                title += " and its cost";
            }
            Figure::Paths { ledger, values } => {
                self.paths(&mut canvas, &stages, ledger, values)?;
                title += &format!(": ∂J/∂{} by its paths", ledger.symbol.plain);
            }
        }
        Ok((canvas, title))
    }

    fn trace(&self) -> Result<(&Trace, usize), Error> {
        let trace = self.trace.filter(|(trace, row)| *row < trace.rows());
        trace.ok_or_else(|| Error::Value {
            what: "diagram",
            expected: "a row of data to show the numbers of".into(),
            got: "none".into(),
        })
    }

    fn dense(&self, stages: &Stages, l: usize) -> Result<usize, Error> {
        stages.dense(l).ok_or_else(|| Error::Value {
            what: "diagram",
            expected: format!("a layer from 1 to {}", stages.last_layer()),
            got: l.to_string(),
        })
    }

    /// Layer, from and to (from 0) of a weight.
    fn address(&self, stages: &Stages, parameter: Parameter) -> Result<(usize, usize, usize), Error> {
        let segment = &self.network.layout().segments()[parameter.segment];
        let l = stages.stage(segment.layer + 1).layer;
        if segment.role != Role::Weights || stages.dense(l) != Some(segment.layer) {
            let expected = "a weight of a dense layer".into();
            return Err(Error::Value { what: "diagram", expected, got: parameter.name(self.network) });
        }
        Ok((l, parameter.row % stages.stage(segment.layer).width, parameter.col))
    }

    /// The stage of layer `l`'s neurons.
    fn last_stage(&self, stages: &Stages, l: usize) -> usize {
        (0..stages.all().len()).rfind(|&k| stages.stage(k).layer == l).unwrap_or(0)
    }

    /// The number of the shown member among those of a stage.
    fn at(&self, stages: &Stages, k: usize, i: usize) -> usize {
        let stage = stages.stage(k);
        if stage.members > 1 { self.member.min(stage.members - 1) * stage.width + i } else { i }
    }

    /// w of layer `l` from `i` to `j`.
    fn weight(&self, stages: &Stages, l: usize, i: usize, j: usize) -> f64 {
        let k = stages.dense(l).expect("a layer of the network");
        let own = matches!(self.network.layers()[k], Layer::Heads { .. });
        self.network.weights(k).row(if own { self.at(stages, k, i) } else { i })[j]
    }

    fn weight_symbol(&self, stages: &Stages, l: usize, i: usize, j: usize) -> Symbol {
        let k = stages.dense(l).expect("a layer of the network");
        let own = matches!(self.network.layers()[k], Layer::Heads { .. }) && stages.stage(k + 1).members > 1;
        Symbol::new(Letter::Weight, l, own.then_some(self.member + 1), &[i + 1, j + 1])
    }

    /// The symbol of a neuron: the last one's is the prediction's.
    fn neuron_symbol(&self, stages: &Stages, l: usize, i: usize) -> Symbol {
        let k = self.last_stage(stages, l);
        let (stage, at) = (stages.stage(k), self.at(stages, k, i));
        match stage.letter {
            Letter::X(n) if l == stages.last_layer() && l > 0 => stage.parameter(Letter::X(n + 1), at, &[i + 1]),
            Letter::X(_) | Letter::Embedded => stage.symbol(at),
            Letter::Z | Letter::Normed(_) if l > 0 => stage.parameter(Letter::X(0), at, &[i + 1]),
            _ => stage.symbol(at),
        }
    }

    /// The number of a neuron in the row that is shown.
    fn neuron_value(&self, stages: &Stages, l: usize, i: usize) -> Option<f64> {
        let (trace, row) = self.trace?;
        let k = self.last_stage(stages, l);
        let at = self.at(stages, k, i);
        Some(match l == stages.last_layer() {
            true => trace.prediction().row(row)[at],
            false => trace.output(k).row(row)[at],
        })
    }

    /// The columns of the picture; neurons in `must` are shown in any case.
    fn columns(&self, stages: &Stages, must: &BTreeSet<(usize, usize)>) -> Vec<Column> {
        let last = stages.last_layer();
        let column = |l: usize| {
            let neuron = self.last_stage(stages, l);
            let receptor = stages.dense(l).map(|k| k + 1);
            let (width, members) = (stages.stage(neuron).width, stages.stage(neuron).members);
            let mut shown: Vec<usize> = (0..width).collect();
            if width > self.most.max(2) {
                // The neurons with the largest weights around them.
                let strength = |i: usize| {
                    let arriving = receptor.map_or(0.0, |k| {
                        let from = stages.stage(k - 1).width;
                        (0..from).fold(0.0_f64, |max, r| max.max(self.weight(stages, l, r, i).abs()))
                    });
                    let leaving = stages.dense(l + 1).filter(|_| l < last).map_or(0.0, |k| {
                        let to = stages.stage(k + 1).width;
                        (0..to).fold(0.0_f64, |max, c| max.max(self.weight(stages, l + 1, i, c).abs()))
                    });
                    arriving + leaving
                };
                let strengths: Vec<f64> = (0..width).map(strength).collect();
                shown.sort_by(|&a, &b| {
                    let wanted = |i: usize| must.contains(&(l, i));
                    wanted(b).cmp(&wanted(a)).then(strengths[b].total_cmp(&strengths[a])).then(a.cmp(&b))
                });
                shown.truncate(KEPT);
                shown.sort_unstable();
            }
            Column { layer: l, neuron, receptor, width, members, shown }
        };
        (0..=last).map(column).collect()
    }

    /// Neurons, receptors, edges and titles.
    fn base(&self, canvas: &mut Canvas, stages: &Stages, look: &Look) -> Drawn {
        let columns = self.columns(stages, &look.lit);
        let most = columns.iter().map(Column::slots).fold(1.0, f64::max);
        let sizes = Sizes::new(most);
        let mut drawn = Drawn { columns, sizes, neurons: HashMap::new(), weights: HashMap::new() };
        let mut dots = Vec::new();
        for (c, column) in drawn.columns.iter().enumerate() {
            let x = c as f64 * sizes.across;
            let mut y = -(column.slots() - 1.0) / 2.0 * sizes.down;
            let gaps = column.gaps();
            for (n, &i) in column.shown.iter().enumerate() {
                if gaps.contains(&n) {
                    dots.push((x, y - 0.25 * sizes.down));
                    y += 0.5 * sizes.down;
                }
                drawn.neurons.insert((column.layer, i), (x, y));
                y += sizes.down;
            }
            if gaps.contains(&column.shown.len()) {
                dots.push((x, y - 0.25 * sizes.down));
            }
        }
        self.edges(canvas, stages, look, &mut drawn);
        for (x, y) in dots {
            canvas.text(x, y, Anchor::Middle, 15.0, Ink::Quiet, "⋮");
        }
        for column in &drawn.columns {
            for &i in &column.shown {
                self.neuron(canvas, stages, look, &drawn, column, i);
            }
        }
        self.weight_labels(canvas, stages, look, &mut drawn);
        if look.titles {
            self.titles(canvas, stages, &drawn, most);
        }
        drawn
    }

    /// The edges between two columns that are drawn.
    fn kept(&self, stages: &Stages, from: &Column, to: &Column, look: &Look) -> Vec<(usize, usize)> {
        let l = to.layer;
        let mut edges = Vec::new();
        for &j in &to.shown {
            let mut arriving = from.shown.clone();
            if from.is_elided() || to.is_elided() {
                arriving.sort_by(|&a, &b| {
                    let size = |i: usize| self.weight(stages, l, i, j).abs();
                    let wanted = |i: usize| look.coloured.contains_key(&(l, i, j));
                    wanted(b).cmp(&wanted(a)).then(size(b).total_cmp(&size(a))).then(a.cmp(&b))
                });
                let coloured = arriving.iter().filter(|&&i| look.coloured.contains_key(&(l, i, j))).count();
                arriving.truncate(STRONGEST.max(coloured));
            }
            edges.extend(arriving.into_iter().map(|i| (i, j)));
        }
        edges
    }

    fn edges(&self, canvas: &mut Canvas, stages: &Stages, look: &Look, drawn: &mut Drawn) {
        for pair in drawn.columns.windows(2) {
            let [from, to] = pair else { continue };
            let l = to.layer;
            let mut edges = self.kept(stages, from, to, look);
            let elided = from.is_elided() || to.is_elided();
            let largest =
                edges.iter().fold(f64::MIN_POSITIVE, |max, &(i, j)| max.max(self.weight(stages, l, i, j).abs()));
            // Coloured ones last, above the others.
            edges.sort_by_key(|&(i, j)| look.coloured.contains_key(&(l, i, j)));
            for (i, j) in edges {
                let (start, end) = self.ends(drawn, look, l, i, j);
                let w = self.weight(stages, l, i, j);
                let by_sign = elided || look.on_edges == OnEdges::Values;
                let (ink, width) = match look.coloured.get(&(l, i, j)) {
                    Some(&n) => (Ink::Path(n), 2.4),
                    None if look.faint => (Ink::Faint, 1.0),
                    None if by_sign => {
                        let ink = if w < 0.0 { Ink::Negative } else { Ink::Positive };
                        (ink, 0.6 + 1.8 * w.abs() / largest)
                    }
                    None => (Ink::Edge, if from.shown.len() * to.shown.len() > 40 { 0.6 } else { 1.0 }),
                };
                let title = format!("{} = {w}", self.weight_symbol(stages, l, i, j));
                canvas.line(start, end, ink, width, look.receptors, &title);
            }
        }
    }

    /// Where an edge starts and ends.
    fn ends(&self, drawn: &Drawn, look: &Look, l: usize, i: usize, j: usize) -> ((f64, f64), (f64, f64)) {
        let (a, b) = (drawn.neurons[&(l - 1, i)], drawn.neurons[&(l, j)]);
        let sizes = &drawn.sizes;
        let end = if look.receptors { b.0 - sizes.radius - sizes.width } else { b.0 - sizes.radius };
        ((a.0 + sizes.radius, a.1), (end, b.1))
    }

    fn neuron(&self, canvas: &mut Canvas, stages: &Stages, look: &Look, drawn: &Drawn, column: &Column, i: usize) {
        let (l, sizes) = (column.layer, &drawn.sizes);
        let (x, y) = drawn.neurons[&(l, i)];
        let lit = !look.faint || look.lit.contains(&(l, i));
        let fill = match l {
            _ if !lit => Fill::Faint,
            0 => Fill::Input,
            _ if l == stages.last_layer() => Fill::Output,
            _ => Fill::Hidden,
        };
        let ink = if lit { Ink::Plain } else { Ink::Faint };
        let symbol = self.neuron_symbol(stages, l, i);
        let value = self.neuron_value(stages, l, i);
        let told = |symbol: &Symbol, value: Option<f64>| match value {
            Some(value) => format!("{symbol} = {value}"),
            None => symbol.to_string(),
        };
        canvas.circle(x, y, sizes.radius, fill, &told(&symbol, value));
        let inside = |symbol: &Symbol, value: Option<f64>| match (look.inside, value) {
            (Inside::Nothing, _) => String::new(),
            (Inside::Values, Some(value)) => short(value),
            _ => symbol.to_string(),
        };
        let text = inside(&symbol, value);
        if !text.is_empty() {
            canvas.text(x, y, Anchor::Middle, fitting(&text, sizes.font, 2.0 * sizes.radius - 5.0), ink, &text);
        }
        if let (Some(k), true) = (column.receptor, look.receptors) {
            let left = x - sizes.radius - sizes.width;
            let z = stages.stage(k).symbol(self.at(stages, k, i));
            let value = self.trace.map(|(trace, row)| trace.output(k).row(row)[self.at(stages, k, i)]);
            let fill = if lit { Fill::Receptor } else { Fill::Faint };
            canvas.block(left, y - sizes.height / 2.0, sizes.width, sizes.height, fill, &told(&z, value));
            let text = inside(&z, value);
            if !text.is_empty() {
                let size = fitting(&text, sizes.font, sizes.width - 5.0);
                canvas.text(left + sizes.width / 2.0, y, Anchor::Middle, size, ink, &text);
            }
        }
    }

    /// The names of the input columns, unless something else stands there.
    fn names(&self, canvas: &mut Canvas, drawn: &Drawn) {
        let Some(column) = drawn.columns.first() else { return };
        for &i in &column.shown {
            let Some(origin) = super::trace::origin(self.network, column.neuron, i) else { continue };
            if let Some(name) = self.columns.get(origin) {
                let (x, y) = drawn.neurons[&(0, i)];
                let name: String = if name.chars().count() > 22 {
                    name.chars().take(21).chain(['…']).collect()
                } else {
                    name.clone()
                };
                canvas.text(x - drawn.sizes.radius - 8.0, y, Anchor::End, 11.5, Ink::Quiet, &name);
            }
        }
    }

    fn titles(&self, canvas: &mut Canvas, stages: &Stages, drawn: &Drawn, most: f64) {
        if !matches!(self.figure, Figure::Values) {
            self.names(canvas, drawn);
        }
        let top = -(most - 1.0) / 2.0 * drawn.sizes.down - drawn.sizes.radius - 52.0;
        for (c, column) in drawn.columns.iter().enumerate() {
            // Over neuron and receptor together.
            let shift = if column.receptor.is_some() && !matches!(self.figure, Figure::Plain) {
                drawn.sizes.width / 2.0
            } else {
                0.0
            };
            let x = c as f64 * drawn.sizes.across - shift;
            let kind = match column.layer {
                0 => "input layer",
                l if l == stages.last_layer() => "output layer",
                _ => "hidden layer",
            };
            canvas.bold(x, top, Anchor::Middle, 13.0, Ink::Plain, &format!("Layer {}", column.layer));
            let elided = if column.is_elided() { format!(", {} neurons", column.width) } else { String::new() };
            canvas.text(x, top + 17.0, Anchor::Middle, 11.5, Ink::Quiet, &format!("{kind}{elided}"));
            let members = column.members > 1;
            if members {
                let text = format!("member {} of {}", self.member + 1, column.members);
                canvas.text(x, top + 33.0, Anchor::Middle, 11.0, Ink::Quiet, &text);
            }
        }
    }

    /// Weights on edges, where no label meets another.
    fn weight_labels(&self, canvas: &mut Canvas, stages: &Stages, look: &Look, drawn: &mut Drawn) {
        for c in 1..drawn.columns.len() {
            let (from, to) = (&drawn.columns[c - 1], &drawn.columns[c]);
            let l = to.layer;
            let mut edges = self.kept(stages, from, to, look);
            edges.sort_by_key(|&(i, j)| (!look.coloured.contains_key(&(l, i, j)), i, j));
            let size = (drawn.sizes.font - 1.0).max(9.5);
            let mut placed = Vec::new();
            let taken = canvas.labels.len();
            let (mut failed, count) = (0, edges.len());
            for (i, j) in edges {
                let (start, end) = self.ends(drawn, look, l, i, j);
                let point = |t: f64| (start.0 + t * (end.0 - start.0), start.1 + t * (end.1 - start.1));
                let coloured = look.coloured.get(&(l, i, j));
                drawn.weights.insert((l, i, j), point(0.3));
                let text = match look.on_edges {
                    _ if look.few_labels && coloured.is_none() => continue,
                    OnEdges::Nothing => continue,
                    OnEdges::Symbols => self.weight_symbol(stages, l, i, j).to_string(),
                    OnEdges::Values => short(self.weight(stages, l, i, j)),
                };
                // Near the start first, as the tutorial has them.
                let places = [0.3, 0.26, 0.34, 0.38, 0.42, 0.46, 0.5, 0.54, 0.58, 0.22, 0.62, 0.66, 0.7];
                let free = places.into_iter().map(point).find(|&(x, y)| {
                    let area = Canvas::area(x, y, Anchor::Middle, size, &text);
                    canvas.is_free(&area) && !placed.iter().any(|(other, ..): &(canvas::Area, _, _)| other.meets(&area))
                });
                match free {
                    Some((x, y)) => {
                        let ink = match coloured {
                            Some(&n) => Ink::Path(n),
                            None if look.faint => Ink::Faint,
                            None => Ink::Plain,
                        };
                        drawn.weights.insert((l, i, j), (x, y));
                        placed.push((Canvas::area(x, y, Anchor::Middle, size, &text), (x, y), (text, ink)));
                    }
                    None => failed += 1,
                }
            }
            debug_assert_eq!(taken, canvas.labels.len());
            // Many labels cover the edges, a few among many tell less than none.
            let all = count <= 16 && failed * 4 <= count;
            for (_, (x, y), (text, ink)) in placed {
                if all || matches!(ink, Ink::Path(_)) {
                    canvas.label(x, y, size, ink, &text);
                }
            }
        }
    }

    /// The cost at the right of the last layer, and the arrow to it; gives where it is.
    fn cost(&self, canvas: &mut Canvas, stages: &Stages, drawn: &Drawn, last: usize, ink: Ink) -> (f64, f64) {
        let column = &drawn.columns[last];
        let x = last as f64 * drawn.sizes.across + drawn.sizes.radius + 84.0;
        let argument = match column.shown.len() {
            1 if column.width == 1 => self.neuron_symbol(stages, last, 0).to_string(),
            _ => format!("x⁽{}⁾", superscript(last)),
        };
        let text = if column.width == 1 { format!("J({argument}, y₁)") } else { format!("J({argument}, y)") };
        for &i in &column.shown {
            let (x0, y0) = drawn.neurons[&(last, i)];
            canvas.line((x0 + drawn.sizes.radius, y0), (x - 4.0, 0.0), ink, 1.4, true, "");
        }
        canvas.text(x, 0.0, Anchor::Start, 14.0, Ink::Plain, &text);
        (x, 0.0)
    }

    /// What the indices of one weight say.
    fn call_out(&self, canvas: &mut Canvas, stages: &Stages, drawn: &Drawn, (l, i, j): (usize, usize, usize)) {
        let look = Look::new();
        let (start, end) = self.ends(drawn, &look, l, i, j);
        let middle = (start.0 + 0.5 * (end.0 - start.0), start.1 + 0.5 * (end.1 - start.1));
        let symbol = self.weight_symbol(stages, l, i, j).to_string();
        canvas.label(middle.0, middle.1, 14.0, Ink::Path(0), &symbol);
        let [left, _, right, bottom] = canvas.bounds();
        let (x, y) = (f64::midpoint(left, right), bottom + 46.0);
        canvas.bold(x - 170.0, y + 12.0, Anchor::End, 30.0, Ink::Path(0), &symbol);
        let above = format!("above: it leads from layer {} to layer {l}", l - 1);
        let below = format!("below: from neuron {} of layer {}, to neuron {} of layer {l}", i + 1, l - 1, j + 1);
        canvas.line((x - 164.0, y + 2.0), (x - 136.0, y - 4.0), Ink::Quiet, 1.0, false, "");
        canvas.line((x - 164.0, y + 20.0), (x - 136.0, y + 26.0), Ink::Quiet, 1.0, false, "");
        canvas.text(x - 130.0, y - 4.0, Anchor::Start, 13.0, Ink::Plain, &above);
        canvas.text(x - 130.0, y + 26.0, Anchor::Start, 13.0, Ink::Plain, &below);
    }
}

/// The number as superscripts.
fn superscript(n: usize) -> String {
    n.to_string().bytes().map(|digit| super::symbol::SUPERSCRIPTS[usize::from(digit - b'0')]).collect()
}

/// The size at which a text is as wide as there is room, at most `size`.
fn fitting(text: &str, size: f64, room: f64) -> f64 {
    size.min(size * room / canvas::width_of(text, size).max(1e-9)).max(5.0)
}

/// Two decimals, more for what is small: as much as a neuron has room for.
fn short(x: f64) -> String {
    let text = match x.abs() {
        0.0 => "0".into(),
        size if !size.is_finite() => return super::symbol::number(x, 3),
        size if !(5e-4..1e5).contains(&size) => format!("{x:.0e}"),
        size if size < 9.95e-3 => trimmed(&format!("{x:.3}")),
        size if size < 100.0 => trimmed(&format!("{x:.2}")),
        size if size < 1000.0 => trimmed(&format!("{x:.1}")),
        _ => format!("{x:.0}"),
    };
    text.replace('-', "−")
}

fn trimmed(text: &str) -> String {
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

#[cfg(test)]
mod tests;
