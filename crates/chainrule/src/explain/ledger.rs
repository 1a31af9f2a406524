//! The path ledger: ∂J/∂θ as a sum over all ways from the parameter to the loss, each a product of named factors.
//!
//! The number of paths is the product of the later widths, so they are not listed but searched: best first, with the
//! largest completion of every unit (found backwards, layer by layer) as the bound. It is exact, so the K paths that come
//! out are the K largest. What the search has not unfolded are beginnings of paths; a beginning with product p that ends
//! at unit u stands for p·δᵤ, all its completions at once. Their sum is the remainder, exact too: the ledger closes.

use super::check::Objective;
use super::local::{Local, Source, sources};
use super::symbol::{Letter, Symbol, Written};
use super::trace::{Stages, Trace, loss_factors};
use crate::backprop::{Data, Mode, Workspace, loss_and_gradient};
use crate::error::Error;
use crate::kernels::Processor;
use crate::layer::Layer;
use crate::loss::Loss;
use crate::network::{Network, Role, Segment};
use std::cmp::{Ordering, Reverse};
use std::collections::BinaryHeap;

/// One parameter of a network: a segment of the flat buffer, and a place in it (from 0).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Parameter {
    /// The position among the layout's segments.
    pub segment: usize,
    /// The row in the segment: for weights the neuron that they leave.
    pub row: usize,
    /// The column: for weights the neuron that they reach.
    pub col: usize,
}

impl Parameter {
    /// w⁽ˡ⁾ of dense layer `l` from neuron `from` to neuron `to` (from 1, as people write), of a member (from 1) where
    /// each has its own.
    ///
    /// # Errors
    /// If there is no such weight: says what there is.
    pub fn weight(
        network: &Network<f64>,
        l: usize,
        from: usize,
        to: usize,
        member: Option<usize>,
    ) -> Result<Self, Error> {
        let got = format!("{l}:{from},{to}");
        let (k, segment, layout) = Self::of_layer(network, l, Role::Weights, "weight", &got)?;
        let members = if let Layer::Heads { .. } = network.layers()[k] { network.members_at(k) } else { 1 };
        let inputs = layout.shape[0] / members;
        let member = Self::member(member, members, "weight")?;
        if (1..=inputs).contains(&from) && (1..=layout.shape[1]).contains(&to) {
            return Ok(Self { segment, row: member * inputs + from - 1, col: to - 1 });
        }
        let expected = format!("{l}:FROM,TO with FROM from 1 to {inputs} and TO from 1 to {}", layout.shape[1]);
        Err(Error::Value { what: "weight", expected, got })
    }

    /// b⁽ˡ⁾ⱼ of dense layer `l` (j from 1).
    ///
    /// # Errors
    /// If there is no such bias.
    pub fn bias(network: &Network<f64>, l: usize, j: usize, member: Option<usize>) -> Result<Self, Error> {
        let got = format!("{l}:{j}");
        let (_, segment, layout) = Self::of_layer(network, l, Role::Biases, "bias", &got)?;
        let member = Self::member(member, layout.shape[0], "bias")?;
        if (1..=layout.shape[1]).contains(&j) {
            return Ok(Self { segment, row: member, col: j - 1 });
        }
        Err(Error::Value { what: "bias", expected: format!("{l}:J with J from 1 to {}", layout.shape[1]), got })
    }

    /// Any parameter by its segment's name, as `0.weight[1,2]` or `3.bias[4]`: row and column from 1, rows as
    /// \[n_in, n_out\].
    ///
    /// # Errors
    /// If there is no such parameter.
    pub fn named(network: &Network<f64>, text: &str) -> Result<Self, Error> {
        let segments = network.layout().segments();
        let refuse = |expected: String| Err(Error::Value { what: "parameter", expected, got: text.to_owned() });
        let Some((name, indices)) = text.strip_suffix(']').and_then(|text| text.split_once('[')) else {
            return refuse("NAME[ROW,COLUMN], as 0.weight[1,2]".into());
        };
        let Some(segment) = segments.iter().position(|segment| segment.name == name) else {
            let names: Vec<&str> = segments.iter().map(|segment| segment.name.as_str()).take(12).collect();
            return refuse(format!("one of {}", names.join(", ")));
        };
        let [rows, cols] = segments[segment].shape;
        let indices: Option<Vec<usize>> = indices.split(',').map(|index| index.trim().parse().ok()).collect();
        match indices.as_deref() {
            Some(&[row, col]) if (1..=rows).contains(&row) && (1..=cols).contains(&col) => {
                Ok(Self { segment, row: row - 1, col: col - 1 })
            }
            Some(&[col]) if rows == 1 && (1..=cols).contains(&col) => Ok(Self { segment, row: 0, col: col - 1 }),
            _ => refuse(format!("{name}[ROW,COLUMN] with ROW from 1 to {rows} and COLUMN from 1 to {cols}")),
        }
    }

    /// The parameter at `index` of the flat buffer.
    pub fn at(network: &Network<f64>, index: usize) -> Option<Self> {
        let segments = network.layout().segments();
        let segment = segments.iter().position(|segment| segment.range.contains(&index))?;
        let offset = index - segments[segment].range.start;
        let cols = segments[segment].shape[1];
        Some(Self { segment, row: offset / cols, col: offset % cols })
    }

    fn of_layer<'n>(
        network: &'n Network<f64>,
        l: usize,
        role: Role,
        what: &'static str,
        got: &str,
    ) -> Result<(usize, usize, &'n Segment), Error> {
        let stages = Stages::new(network);
        let found = stages.dense(l).and_then(|k| {
            let segments = network.layout().segments();
            let segment = segments.iter().position(|segment| segment.layer == k && segment.role == role)?;
            Some((k, segment, &segments[segment]))
        });
        found.ok_or_else(|| {
            let expected = format!("a layer from 1 to {}", stages.last_layer());
            Error::Value { what, expected, got: got.to_owned() }
        })
    }

    fn member(member: Option<usize>, members: usize, what: &'static str) -> Result<usize, Error> {
        match member {
            None => Ok(0),
            Some(m) if (1..=members).contains(&m) => Ok(m - 1),
            Some(m) => {
                let expected = match members {
                    1 => format!("no member: this {what} is shared by all"),
                    _ => format!("a member from 1 to {members}"),
                };
                Err(Error::Value { what: "member", expected, got: m.to_string() })
            }
        }
    }

    /// Where it stands in the flat buffer.
    ///
    /// # Panics
    /// If it is not one of this network's.
    pub fn index(&self, network: &Network<f64>) -> usize {
        let segment = &network.layout().segments()[self.segment];
        assert!(self.row < segment.shape[0] && self.col < segment.shape[1], "a parameter of the network");
        segment.range.start + self.row * segment.shape[1] + self.col
    }

    /// `0.weight[1,2]`: the segment's name, row and column from 1.
    pub fn name(&self, network: &Network<f64>) -> String {
        let segment = &network.layout().segments()[self.segment];
        match segment.shape[0] {
            1 => format!("{}[{}]", segment.name, self.col + 1),
            _ => format!("{}[{},{}]", segment.name, self.row + 1, self.col + 1),
        }
    }

    /// The tutorial's symbol: w⁽¹⁾₁₂.
    pub fn symbol(&self, network: &Network<f64>, stages: &Stages) -> Symbol {
        let segment = &network.layout().segments()[self.segment];
        let (input, output) = (stages.stage(segment.layer), stages.stage(segment.layer + 1));
        let (r, c) = (self.row, self.col);
        let member = |m: usize| Some(m + 1);
        match (&network.layers()[segment.layer], segment.role) {
            (Layer::Heads { .. }, Role::Weights) => {
                let m = (output.members > 1).then(|| r / input.width + 1);
                Symbol::new(Letter::Weight, output.layer, m, &[r % input.width + 1, c + 1])
            }
            (Layer::Heads { .. }, _) => {
                Symbol::new(Letter::Bias, output.layer, (output.members > 1).then_some(r + 1), &[c + 1])
            }
            (Layer::Members { .. }, Role::Scale) => Symbol::new(Letter::Scale, output.layer, member(r), &[c + 1]),
            (Layer::Members { .. }, _) => Symbol::new(Letter::Shift, output.layer, member(r), &[c + 1]),
            (Layer::Piecewise { .. }, Role::Biases) => Symbol::new(Letter::Bias, output.layer, None, &[r + 1, c + 1]),
            (_, Role::Weights) => Symbol::new(Letter::Weight, output.layer, None, &[r + 1, c + 1]),
            (_, Role::Biases) => Symbol::new(Letter::Bias, output.layer, None, &[c + 1]),
            (_, Role::Scale) => Symbol::new(Letter::Scale, output.layer, None, &[c + 1]),
            (_, Role::Shift) => Symbol::new(Letter::Shift, output.layer, None, &[c + 1]),
        }
    }
}

/// One factor of a path.
#[derive(Clone, Debug, PartialEq)]
pub struct Factor {
    /// ∂z⁽³⁾₁/∂x⁽²⁾₂.
    pub derivative: Written,
    /// What it is: w⁽³⁾₂₁.
    pub term: Written,
    /// Its value.
    pub value: f64,
}

/// One way from the parameter to the loss.
#[derive(Clone, Debug, PartialEq)]
pub struct Path {
    /// From the loss back to the parameter, as the tutorial writes the chain rule.
    pub factors: Vec<Factor>,
    /// The units on the way, from the parameter on: (stage, number in it), both from 0.
    pub units: Vec<(usize, usize)>,
    /// The product.
    pub value: f64,
}

/// ∂J/∂θ = Σ δ·∂z/∂θ: one term of equations 10 and 11.
#[derive(Clone, Debug, PartialEq)]
pub struct Term {
    /// The row, from 0.
    pub row: usize,
    /// δ of the number that the parameter moves.
    pub delta: Factor,
    /// How it moves it: x, or 1 for a bias.
    pub source: Factor,
    /// The product.
    pub value: f64,
}

/// ∂J/∂θ four ways: by paths, by δ, by backpropagation and by a difference.
#[derive(Clone, Debug, PartialEq)]
pub struct Ledger {
    /// The parameter.
    pub parameter: Parameter,
    /// Its symbol: w⁽¹⁾₁₂.
    pub symbol: Written,
    /// Its name: `0.weight[1,2]`.
    pub name: String,
    /// Its value.
    pub value: f64,
    /// J over the rows.
    pub loss: f64,
    /// How many rows J is averaged over.
    pub rows: usize,
    /// The largest paths, largest first; none for several rows.
    pub paths: Vec<Path>,
    /// How many paths there are.
    pub path_count: u128,
    /// The sum of all paths that are not listed.
    pub remainder: f64,
    /// The largest terms of the δ form, largest first.
    pub terms: Vec<Term>,
    /// How many terms there are.
    pub term_count: usize,
    /// The sum of all terms: ∂J/∂θ by δ.
    pub by_delta: f64,
    /// ∂J/∂θ as training computes it.
    pub backpropagation: f64,
    /// ∂J/∂θ by a central difference.
    pub difference: f64,
    /// The difference's step.
    pub step: f64,
    /// Whether a kink of an activation lies between the two ends of the step, which makes the difference meaningless.
    pub kink: bool,
}

impl Ledger {
    /// The sum of all paths: listed ones and remainder.
    pub fn by_paths(&self) -> f64 {
        self.paths.iter().map(|path| path.value).sum::<f64>() + self.remainder
    }

    /// The largest of |paths − backpropagation| and |δ form − backpropagation|, relative to |∂J/∂θ|.
    pub fn gap(&self) -> f64 {
        let by_paths = if self.rows == 1 { (self.by_paths() - self.backpropagation).abs() } else { 0.0 };
        let gap = by_paths.max((self.by_delta - self.backpropagation).abs());
        if gap == 0.0 { 0.0 } else { gap / self.backpropagation.abs() }
    }

    /// Unfolds ∂J/∂θ over the rows of `data`; for one row into its `most` largest paths, for several into the `most`
    /// largest terms δ·∂z/∂θ.
    ///
    /// ```
    /// use chainrule::explain::{Ledger, Parameter};
    /// use chainrule::{Activation, Data, Loss, Matrix, Network, Processor};
    /// let network = Network::<f64>::mlp(2, &[3, 2], 1, &Activation::Tanh, None, 1)?;
    /// let (x, y) = (Matrix::from_rows(&[[6.1, 8.7]]), Matrix::from_rows(&[[113.0]]));
    /// let data = Data::new(x.view(), y.view());
    /// let weight = Parameter::weight(&network, 1, 1, 2, None)?;
    /// let ledger = Ledger::new(&network, &Loss::SquaredError, &data, weight, 20, &Processor::new(1))?;
    /// assert_eq!((ledger.symbol.plain.as_str(), ledger.path_count), ("w⁽¹⁾₁₂", 2));
    /// assert!(ledger.gap() < 1e-12);
    /// # Ok::<(), chainrule::Error>(())
    /// ```
    ///
    /// # Errors
    /// If the data do not fit the network and the loss.
    pub fn new(
        network: &Network<f64>,
        loss: &Loss,
        data: &Data<'_, f64>,
        parameter: Parameter,
        most: usize,
        processor: &Processor,
    ) -> Result<Self, Error> {
        let trace = Trace::new(network, loss, data, processor)?;
        let gradient = gradient(network, loss, data, processor);
        let segment = &network.layout().segments()[parameter.segment];
        let stages = trace.stages();
        let rows = trace.rows();
        let symbol = Written::symbol(&parameter.symbol(network, stages));
        let (mut paths, mut path_count, mut remainder) = (Vec::new(), 0, 0.0);
        let (mut terms, mut by_delta, mut term_count) = (Vec::new(), 0.0, 0);
        for row in 0..rows {
            let locals = trace.locals(network, row, processor);
            let deltas = trace.deltas(&locals, row);
            let stage = segment.layer + 1;
            let x = trace.output(segment.layer).row(row);
            let sources = sources(network, stages, segment, [parameter.row, parameter.col], x);
            for source in &sources {
                let unit = Written::symbol(&stages.stage(stage).symbol(source.unit));
                let delta = deltas[stage][source.unit];
                let j = Written::new("J", "J");
                term_count += 1;
                by_delta += delta * source.value;
                terms.push(Term {
                    row,
                    delta: Factor {
                        derivative: Written::derivative(&j, &unit),
                        term: Written::new("δ", "\\delta"),
                        value: delta,
                    },
                    source: Factor {
                        derivative: Written::derivative(&unit, &symbol),
                        term: source.term.clone(),
                        value: source.value,
                    },
                    value: delta * source.value,
                });
            }
            shorten(&mut terms, most);
            if rows == 1 {
                let search = Search { network, loss, trace: &trace, locals: &locals, deltas: &deltas, row };
                path_count = search.count(stage, &sources);
                (paths, remainder) = search.largest(stage, sources, &symbol, most, path_count);
            }
        }
        let objective = Objective::new(network, loss, data, processor)?;
        let difference = objective.difference(parameter.index(network));
        Ok(Self {
            parameter,
            symbol,
            name: parameter.name(network),
            value: network.parameters()[parameter.index(network)],
            loss: trace.loss().unwrap_or(f64::NAN),
            rows,
            paths,
            path_count,
            remainder,
            terms,
            term_count,
            by_delta,
            backpropagation: gradient[parameter.index(network)],
            difference: difference.value,
            step: difference.step,
            kink: difference.kink,
        })
    }
}

/// Keeps the `most` largest terms, largest first, once there are many more.
fn shorten(terms: &mut Vec<Term>, most: usize) {
    terms.sort_by(|a, b| b.value.abs().total_cmp(&a.value.abs()).then(a.row.cmp(&b.row)));
    terms.truncate(most.max(1));
}

/// ∂J/∂θ of every parameter over the rows of checked `data`, as at prediction.
pub(crate) fn gradient(network: &Network<f64>, loss: &Loss, data: &Data<'_, f64>, processor: &Processor) -> Vec<f64> {
    let mut gradient = vec![0.0; network.parameters().len()];
    let mut workspace = Workspace::new(network, data.x.rows(), 1);
    loss_and_gradient(network, loss, data, None, Mode::Evaluation, &mut workspace, processor, &mut gradient);
    gradient
}

/// The `most` parameters with the largest |∂J/∂θ| over the rows of `data`, largest first, each with its derivative.
///
/// # Errors
/// If the data do not fit the network and the loss.
pub fn largest_gradients(
    network: &Network<f64>,
    loss: &Loss,
    data: &Data<'_, f64>,
    most: usize,
    processor: &Processor,
) -> Result<Vec<(Parameter, f64)>, Error> {
    data.check(network, loss)?;
    let gradient = gradient(network, loss, data, processor);
    let mut order: Vec<usize> = (0..gradient.len()).collect();
    order.sort_by(|&a, &b| gradient[b].abs().total_cmp(&gradient[a].abs()).then(a.cmp(&b)));
    Ok(order.into_iter().take(most).filter_map(|i| Some((Parameter::at(network, i)?, gradient[i]))).collect())
}

/// The beginning of a path: where it has come, and its product so far.
#[derive(Clone, Copy)]
struct Node {
    stage: usize,
    unit: usize,
    product: f64,
    /// The node before, or the source.
    from: From,
}

#[derive(Clone, Copy)]
enum From {
    Source(usize),
    Node(usize),
}

/// In the heap: the size of the node's largest completion, then first come first served.
#[derive(PartialEq)]
struct Bound(f64);

impl Eq for Bound {}

impl PartialOrd for Bound {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Bound {
    fn cmp(&self, other: &Self) -> Ordering {
        self.0.total_cmp(&other.0)
    }
}

struct Search<'a> {
    network: &'a Network<f64>,
    loss: &'a Loss,
    trace: &'a Trace,
    locals: &'a [Local<'a>],
    deltas: &'a [Vec<f64>],
    row: usize,
}

impl Search<'_> {
    /// The number of paths from the sources at `stage`.
    fn count(&self, stage: usize, sources: &[Source]) -> u128 {
        let mut counts: Vec<u128> = vec![1; self.deltas[self.locals.len()].len()];
        for local in self.locals[stage..].iter().rev() {
            let count = |i| local.outputs_of(i).fold(0_u128, |sum, (j, _)| sum.saturating_add(counts[j]));
            counts = (0..local.inputs()).map(count).collect();
        }
        sources.iter().fold(0_u128, |sum, source| sum.saturating_add(counts[source.unit]))
    }

    /// The `most` largest paths and the sum of the others.
    fn largest(
        &self,
        stage: usize,
        sources: Vec<Source>,
        symbol: &Written,
        most: usize,
        all: u128,
    ) -> (Vec<Path>, f64) {
        let last = self.locals.len();
        // The size of the largest completion of every unit.
        let mut best = vec![Vec::new(); last + 1];
        best[last] = self.deltas[last].iter().map(|delta| delta.abs()).collect();
        for k in (stage..last).rev() {
            let completion =
                |i| self.locals[k].outputs_of(i).fold(0.0_f64, |max, (j, d)| max.max(d.abs() * best[k + 1][j]));
            best[k] = (0..self.locals[k].inputs()).map(completion).collect();
        }
        let mut nodes: Vec<Node> = Vec::new();
        let mut heap = BinaryHeap::new();
        let push = |nodes: &mut Vec<Node>, heap: &mut BinaryHeap<(Bound, Reverse<usize>)>, node: Node| {
            heap.push((Bound(node.product.abs() * best[node.stage][node.unit]), Reverse(nodes.len())));
            nodes.push(node);
        };
        for (s, source) in sources.iter().enumerate() {
            let node = Node { stage, unit: source.unit, product: source.value, from: From::Source(s) };
            push(&mut nodes, &mut heap, node);
        }
        let mut found = Vec::new();
        while found.len() < most {
            let Some((bound, Reverse(at))) = heap.pop() else { break };
            let node = nodes[at];
            if bound.0 == 0.0 && all > most as u128 {
                // Nothing but zeros is left, and too many of them.
                heap.push((bound, Reverse(at)));
                break;
            }
            if node.stage == last {
                found.push(at);
                continue;
            }
            for (unit, derivative) in self.locals[node.stage].outputs_of(node.unit) {
                let node =
                    Node { stage: node.stage + 1, unit, product: node.product * derivative, from: From::Node(at) };
                push(&mut nodes, &mut heap, node);
            }
        }
        // What is left are beginnings: each with all its completions is product · δ.
        let mut left: Vec<usize> = heap.into_iter().map(|(_, Reverse(at))| at).collect();
        left.sort_unstable();
        let remainder = left.iter().map(|&at| nodes[at].product * self.deltas[nodes[at].stage][nodes[at].unit]).sum();
        let paths = found.into_iter().map(|at| self.path(&nodes, at, &sources, symbol)).collect();
        (paths, remainder)
    }

    fn path(&self, nodes: &[Node], end: usize, sources: &[Source], symbol: &Written) -> Path {
        let stages = self.trace.stages();
        let name = |node: &Node| Written::symbol(&stages.stage(node.stage).symbol(node.unit));
        let mut factors = loss_factors(self.loss, self.trace, self.row, nodes[end].unit);
        let value = nodes[end].product * self.deltas[self.locals.len()][nodes[end].unit];
        let mut units = Vec::new();
        let mut at = end;
        loop {
            let node = &nodes[at];
            // A dropout leaves the neuron as it is: no step of the path.
            let same = stages.stage(node.stage).same;
            if !same {
                units.push((node.stage, node.unit));
            }
            match node.from {
                From::Node(before) => {
                    let from = &nodes[before];
                    if !same {
                        let k = from.stage;
                        let local = &self.locals[k];
                        let derivative = local.outputs_of(from.unit).find(|&(j, _)| j == node.unit);
                        factors.push(Factor {
                            derivative: Written::derivative(&name(node), &name(from)),
                            term: local.term(self.network, stages, k, from.unit, node.unit),
                            value: derivative.map_or(0.0, |(_, d)| d),
                        });
                    }
                    at = before;
                }
                From::Source(s) => {
                    let source = &sources[s];
                    factors.push(Factor {
                        derivative: Written::derivative(&name(node), symbol),
                        term: source.term.clone(),
                        value: source.value,
                    });
                    break;
                }
            }
        }
        units.reverse();
        Path { factors, units, value }
    }
}
