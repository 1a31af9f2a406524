//! ONNX: raw columns in, predictions out, all that is between in the graph.
//!
//! One input a column, \[N, 1\]: doubles (NaN where missing) or strings (empty where missing). Outputs: `prediction` \[N, 1\]
//! and perhaps `quantiles` \[N, levels\]; or `label` \[N\] and `probabilities` \[N, labels\]; numbers are doubles.
//! Operator set 17 and ai.onnx.ml 3. Dense layers are `Gemm` with W transposed, as PyTorch's exporter writes them.

mod run;
mod wire;

use super::program::{Answer, Answered, Cell, Chain, Op, Program, Put, Quantiles, RawCells, Step, formula};
use chainrule::kernels;
use chainrule::loss::Link;
use std::collections::HashMap;
use wire::{Attribute, Graph, Kind, Node, Tensor};

/// A file, and where in it the number before the target's scale stands.
pub(super) struct Emitted {
    pub(super) file: Vec<u8>,
    raw: String,
    outputs: Vec<String>,
}

/// The model's graph as a file.
pub(super) fn print(program: &Program, facts: &[(&str, &str)]) -> Emitted {
    let mut builder = Builder::new(program);
    let x = builder.encode(program);
    let mut single = None;
    let mut mean: Option<String> = None;
    for (m, chain) in program.chains.iter().enumerate() {
        let x = match chain.single {
            false => x.clone(),
            true => single.get_or_insert_with(|| builder.cast(&x, Kind::F32)).clone(),
        };
        let one = builder.chain(chain, program.link, x);
        mean = Some(match &program.shares {
            None => one,
            Some(shares) => {
                let share = builder.number(shares[m]);
                let part = builder.node("Mul", &[&one, &share]);
                mean.map_or(part.clone(), |mean| builder.node("Add", &[&mean, &part]))
            }
        });
    }
    let raw = builder.answer(program, mean.expect("a chain"));
    let outputs = builder.graph.outputs.iter().map(|(name, ..)| name.clone()).collect();
    Emitted { file: builder.graph.write("chainrule", facts), raw, outputs }
}

impl Emitted {
    /// What the file itself gives for rows of cells; none if it cannot be read back.
    pub(super) fn run(&self, program: &Program, cells: &[RawCells], rows: usize) -> Option<Vec<Answered>> {
        let graph = Graph::read(&self.file)?;
        let inputs = graph.inputs.iter().zip(cells).map(|((name, ..), cells)| {
            let tensor = match cells {
                RawCells::Numbers(numbers) => Tensor::new(Kind::F64, &[rows, 1], numbers[..rows].to_vec()),
                RawCells::Texts(texts) => {
                    let texts = texts[..rows].iter().map(|text| text.clone().unwrap_or_default()).collect();
                    Tensor::texts(texts, &[rows, 1])
                }
            };
            (name.clone(), tensor)
        });
        let values = run::run(&graph, inputs.collect())?;
        let row = |name: &str, i: usize| {
            let tensor = values.get(name)?;
            let width = tensor.numbers.len() / rows;
            Some(tensor.numbers[i * width..(i + 1) * width].to_vec())
        };
        let answer = |i: usize| match &program.answer {
            Answer::Label(labels) => {
                let text = values.get(&self.outputs[0])?.texts.get(i)?;
                let label = labels.iter().position(|label| label == text)?;
                Some(Answered { label, ..Answered::probabilities(row(&self.outputs[1], i)?) })
            }
            Answer::Number { .. } => {
                let mut numbers = Vec::new();
                for name in &self.outputs {
                    numbers.extend(row(name, i)?);
                }
                Some(Answered { raw: row(&self.raw, i)?, numbers, label: 0 })
            }
        };
        (0..rows).map(answer).collect()
    }
}

struct Builder {
    graph: Graph,
    /// What names of ours begin with; no column's name does.
    prefix: String,
    /// Constants that have been named, by their content.
    known: HashMap<String, String>,
}

impl Builder {
    fn new(program: &Program) -> Self {
        let mut prefix = String::from("chainrule/");
        while program.columns.iter().any(|column| column.name.starts_with(&prefix)) {
            prefix.push('/');
        }
        Self { graph: Graph::default(), prefix, known: HashMap::new() }
    }

    fn node(&mut self, operator: &str, inputs: &[&str]) -> String {
        self.node_with(operator, inputs, [])
    }

    fn node_with<const N: usize>(
        &mut self,
        operator: &str,
        inputs: &[&str],
        attributes: [(&str, Attribute); N],
    ) -> String {
        let output = format!("{}{}", self.prefix, self.graph.nodes.len());
        self.graph.nodes.push(Node {
            operator: operator.into(),
            inputs: inputs.iter().map(|&input| input.to_owned()).collect(),
            output: output.clone(),
            attributes: attributes.into_iter().map(|(name, value)| (name.to_owned(), value)).collect(),
        });
        output
    }

    fn constant(&mut self, tensor: Tensor) -> String {
        // Small ones are shared.
        let key = if tensor.numbers.len() + tensor.texts.len() <= 8 { format!("{tensor:?}") } else { String::new() };
        if let Some(name) = self.known.get(&key) {
            return name.clone();
        }
        let name = format!("{}constant/{}", self.prefix, self.graph.constants.len());
        self.graph.constants.push((name.clone(), tensor));
        if !key.is_empty() {
            self.known.insert(key, name.clone());
        }
        name
    }

    fn number(&mut self, x: f64) -> String {
        self.constant(Tensor::new(Kind::F64, &[], vec![x]))
    }

    fn numbers(&mut self, kind: Kind, numbers: &[f64], shape: &[usize]) -> String {
        self.constant(Tensor::new(kind, shape, numbers.to_vec()))
    }

    fn indices(&mut self, indices: impl IntoIterator<Item = usize>) -> String {
        let numbers: Vec<f64> = indices.into_iter().map(|i| i as f64).collect();
        self.constant(Tensor::new(Kind::I64, &[numbers.len()], numbers))
    }

    fn cast(&mut self, x: &str, kind: Kind) -> String {
        self.node_with("Cast", &[x], [("to", Attribute::Int(kind as i64))])
    }

    fn concat(&mut self, parts: &[String], axis: i64) -> String {
        if let [only] = parts {
            return only.clone();
        }
        let parts: Vec<&str> = parts.iter().map(String::as_str).collect();
        self.node_with("Concat", &parts, [("axis", Attribute::Int(axis))])
    }

    fn gather(&mut self, x: &str, indices: &str, axis: i64) -> String {
        self.node_with("Gather", &[x, indices], [("axis", Attribute::Int(axis))])
    }

    fn unsqueeze(&mut self, x: &str, axis: usize) -> String {
        let axes = self.indices([axis]);
        self.node("Unsqueeze", &[x, &axes])
    }

    fn sum(&mut self, x: &str, axis: usize) -> String {
        let axes = self.indices([axis]);
        self.node_with("ReduceSum", &[x, &axes], [("keepdims", Attribute::Int(0))])
    }

    /// Each row's mean, [N, 1].
    fn mean(&mut self, x: &str, count: &str) -> String {
        let sum = self.sum(x, 1);
        let mean = self.node("Div", &[&sum, count]);
        self.unsqueeze(&mean, 1)
    }

    /// Columns → encoded numbers [N, width] in f64.
    fn encode(&mut self, program: &Program) -> String {
        let (mut numeric, mut pieces, mut at) = (Vec::new(), Vec::new(), Vec::new());
        for column in &program.columns {
            let kind = if matches!(column.cell, Cell::Number { .. }) { Kind::F64 } else { Kind::Text };
            self.graph.inputs.push((column.name.clone(), kind, vec![None, Some(1)]));
            if let Cell::Number { median, affine, bent, gap } = &column.cell {
                numeric.push((column.name.clone(), *median, *affine, *bent, gap.is_some()));
            }
        }
        let c = numeric.len();
        if c > 0 {
            let names: Vec<String> = numeric.iter().map(|(name, ..)| name.clone()).collect();
            let all = self.concat(&names, 1);
            let missing = self.node("IsNaN", &[&all]);
            let medians: Vec<f64> = numeric.iter().map(|number| number.1).collect();
            let means: Vec<f64> = numeric.iter().map(|number| number.2.map_or(0.0, |affine| affine.mean())).collect();
            let scales: Vec<f64> = numeric.iter().map(|number| number.2.map_or(1.0, |affine| affine.scale())).collect();
            let [medians, means, scales] = [medians, means, scales].map(|row| self.numbers(Kind::F64, &row, &[c]));
            let filled = self.node("Where", &[&missing, &medians, &all]);
            let centred = self.node("Sub", &[&filled, &means]);
            let mut z = self.node("Div", &[&centred, &scales]);
            if numeric.iter().any(|number| number.3) {
                let (three, one) = (self.number(3.0), self.number(1.0));
                let third = self.node("Div", &[&z, &three]);
                let square = self.node("Mul", &[&third, &third]);
                let sum = self.node("Add", &[&one, &square]);
                let root = self.node("Sqrt", &[&sum]);
                let bent = self.node("Div", &[&z, &root]);
                let which: Vec<f64> = numeric.iter().map(|number| f64::from(u8::from(number.3))).collect();
                let which = self.numbers(Kind::Bool, &which, &[c]);
                z = self.node("Where", &[&which, &bent, &z]);
            }
            pieces.push(z);
            if numeric.iter().any(|number| number.4) {
                pieces.push(self.cast(&missing, Kind::F64));
            }
        }
        let (mut number, mut width) = (0, if pieces.len() == 2 { 2 * c } else { c });
        for column in &program.columns {
            match &column.cell {
                Cell::Number { affine, gap, .. } => {
                    at.extend(affine.map(|_| number));
                    at.extend(gap.map(|_| c + number));
                    number += 1;
                }
                Cell::Text { spellings, unseen, gap } => {
                    let known: Vec<(&str, Put)> = spellings.iter().map(|(text, put)| (text.as_str(), *put)).collect();
                    pieces.push(self.text(&column.name, &known, *unseen, *gap, column.width));
                    at.extend(width..width + column.width);
                    width += column.width;
                }
            }
        }
        let all = self.concat(&pieces, 1);
        if at.iter().copied().eq(0..width) {
            return all;
        }
        let at = self.indices(at);
        self.gather(&all, &at, 1)
    }

    /// A column of texts [N, 1] → [N, width].
    fn text(
        &mut self,
        name: &str,
        known: &[(&str, Put)],
        unseen: Option<Put>,
        gap: Option<Put>,
        width: usize,
    ) -> String {
        if known.iter().all(|(_, put)| put.value == 1.0) {
            // The place of the 1, −1 for none.
            let place = |put: Option<Put>| put.map_or(-1, |put| put.place as i64);
            let mut keys: Vec<String> = known.iter().map(|(text, _)| (*text).to_owned()).collect();
            let mut places: Vec<i64> = known.iter().map(|(_, put)| put.place as i64).collect();
            keys.push(String::new());
            places.push(place(gap));
            let attributes = [
                ("keys_strings", Attribute::Texts(keys)),
                ("values_int64s", Attribute::Ints(places)),
                ("default_int64", Attribute::Int(place(unseen))),
            ];
            let code = self.node_with("LabelEncoder", &[name], attributes);
            let places: Vec<f64> = (0..width).map(|k| k as f64).collect();
            let places = self.numbers(Kind::I64, &places, &[1, width]);
            let hit = self.node("Equal", &[&code, &places]);
            return self.cast(&hit, Kind::F64);
        }
        let mut columns = Vec::new();
        for k in 0..width {
            let mut values: Vec<(String, f32)> = known
                .iter()
                .filter(|(_, put)| put.place == k)
                .map(|(text, put)| ((*text).to_owned(), put.value as f32))
                .collect();
            values.extend(gap.filter(|gap| gap.place == k).map(|gap| (String::new(), gap.value as f32)));
            let (keys, values) = values.into_iter().unzip();
            let attributes = [
                ("keys_strings", Attribute::Texts(keys)),
                ("values_floats", Attribute::Floats(values)),
                ("default_float", Attribute::Float(0.0)),
            ];
            let one = self.node_with("LabelEncoder", &[name], attributes);
            columns.push(self.cast(&one, Kind::F64));
        }
        self.concat(&columns, 1)
    }

    /// The mean prediction of a chain's members, [N, outputs] in f64.
    fn chain(&mut self, chain: &Chain, link: Link, mut x: String) -> String {
        let kind = if chain.single { Kind::F32 } else { Kind::F64 };
        // Whether there is an axis of members: [N, members, width].
        let mut members = false;
        for step in &chain.steps {
            x = self.step(step, kind, &mut members, &x);
        }
        let p = match link {
            Link::Identity => x,
            Link::Logistic => self.node("Sigmoid", &[&x]),
            Link::Exponential => self.node("Exp", &[&x]),
            Link::Softmax => self.node_with("Softmax", &[&x], [("axis", Attribute::Int(-1))]),
        };
        let p = if members {
            let sum = self.sum(&p, 1);
            let count = self.numbers(kind, &[chain.members as f64], &[]);
            self.node("Div", &[&sum, &count])
        } else {
            p
        };
        if chain.single { self.cast(&p, Kind::F64) } else { p }
    }

    fn step(&mut self, step: &Step, kind: Kind, members: &mut bool, x: &str) -> String {
        let [n, outputs] = step.widths;
        let count = step.members[0];
        match &step.op {
            Op::Dropout { .. } => x.to_owned(),
            Op::Dense { weights, biases, .. } if !*members => {
                let transposed: Vec<f64> =
                    (0..outputs).flat_map(|j| (0..n).map(move |k| weights[k * outputs + j])).collect();
                let (w, b) = (self.numbers(kind, &transposed, &[outputs, n]), self.numbers(kind, biases, &[outputs]));
                self.node_with("Gemm", &[x, &w, &b], [("transB", Attribute::Int(1))])
            }
            Op::Dense { weights, biases, heads: false } => {
                let (w, b) = (self.numbers(kind, weights, &[n, outputs]), self.numbers(kind, biases, &[outputs]));
                let product = self.node("MatMul", &[x, &w]);
                self.node("Add", &[&product, &b])
            }
            Op::Dense { weights, biases, heads: true } => {
                let w = self.numbers(kind, weights, &[count, n, outputs]);
                let b = self.numbers(kind, biases, &[count, 1, outputs]);
                let swap = || [("perm", Attribute::Ints(vec![1, 0, 2]))];
                let turned = self.node_with("Transpose", &[x], swap());
                let product = self.node("MatMul", &[&turned, &w]);
                let sum = self.node("Add", &[&product, &b]);
                self.node_with("Transpose", &[&sum], swap())
            }
            Op::Members { scale, shift } => {
                *members = true;
                let shape = [step.members[1], n];
                let (scale, shift) = (self.numbers(kind, scale, &shape), self.numbers(kind, shift, &shape));
                let one = self.unsqueeze(x, 1);
                let scaled = self.node("Mul", &[&one, &scale]);
                self.node("Add", &[&scaled, &shift])
            }
            Op::Piecewise { .. } => self.piecewise(step, kind, x),
            Op::BatchNorm { epsilon, rows: [mean, variance, scale, shift], .. } => {
                let round = |x: f64| if kind == Kind::F32 { f64::from(x as f32) } else { x };
                let root = |&variance: &f64| round(round(variance + round(*epsilon)).sqrt());
                let roots: Vec<f64> = variance.iter().map(root).collect();
                let [mean, root, scale, shift] = [mean, &roots, scale, shift].map(|row| self.numbers(kind, row, &[n]));
                let centred = self.node("Sub", &[x, &mean]);
                let normal = self.node("Div", &[&centred, &root]);
                let scaled = self.node("Mul", &[&normal, &scale]);
                self.node("Add", &[&scaled, &shift])
            }
            Op::LayerNorm { epsilon, rows: [scale, shift] } => {
                let (scale, shift) = (self.numbers(kind, scale, &[n]), self.numbers(kind, shift, &[n]));
                if kind == Kind::F32 {
                    let attributes = [("axis", Attribute::Int(-1)), ("epsilon", Attribute::Float(*epsilon as f32))];
                    return self.node_with("LayerNormalization", &[x, &scale, &shift], attributes);
                }
                // The operator's ε is a float: too coarse for doubles.
                let (count, epsilon) = (self.number(n as f64), self.number(*epsilon));
                let mean = self.mean(x, &count);
                let centred = self.node("Sub", &[x, &mean]);
                let squares = self.node("Mul", &[&centred, &centred]);
                let variance = self.mean(&squares, &count);
                let sum = self.node("Add", &[&variance, &epsilon]);
                let root = self.node("Sqrt", &[&sum]);
                let normal = self.node("Div", &[&centred, &root]);
                let scaled = self.node("Mul", &[&normal, &scale]);
                self.node("Add", &[&scaled, &shift])
            }
            Op::Activation(activation) => {
                let (name, constants) = formula(activation);
                let constants: Vec<String> = constants.iter().map(|&x| self.numbers(kind, &[x], &[])).collect();
                self.activation(name, &constants, kind, x)
            }
        }
    }

    /// Φ of doubles: Φ(−a) = e^(−a²/2) P(v) / (a + 5/4) with v = (c − a)/(c + a), as the library has it.
    fn normal_cdf(&mut self, z: &str) -> String {
        let constants: HashMap<&str, Vec<f64>> = kernels::constants::<f64>().into_iter().collect();
        let [zero, one, near, pole, end, half] =
            [0.0, 1.0, 1.25, constants["TAIL_POLE"][0], constants["TAIL_END"][0], -0.5].map(|x| self.number(x));
        let size = self.node("Abs", &[z]);
        let a = self.node("Min", &[&size, &end]);
        let (less, more) = (self.node("Sub", &[&pole, &a]), self.node("Add", &[&pole, &a]));
        let v = self.node("Div", &[&less, &more]);
        let mut p = zero.clone();
        for coefficient in constants["TAIL"].iter().rev() {
            let coefficient = self.number(*coefficient);
            p = self.node("Mul", &[&p, &v]);
            p = self.node("Add", &[&p, &coefficient]);
        }
        let square = self.node("Mul", &[&a, &a]);
        let exponent = self.node("Mul", &[&square, &half]);
        let power = self.node("Exp", &[&exponent]);
        let over = self.node("Mul", &[&power, &p]);
        let under = self.node("Add", &[&a, &near]);
        let tail = self.node("Div", &[&over, &under]);
        let (above, positive) = (self.node("Sub", &[&one, &tail]), self.node("GreaterOrEqual", &[z, &zero]));
        self.node("Where", &[&positive, &above, &tail])
    }

    /// Operators that every runtime has in both precisions.
    fn activation(&mut self, name: &str, constants: &[String], kind: Kind, z: &str) -> String {
        let mut of = |x: f64| self.numbers(kind, &[x], &[]);
        let (zero, one) = (of(0.0), of(1.0));
        match name {
            "identity" => z.to_owned(),
            "relu" => self.node("Relu", &[z]),
            "tanh" => self.node("Tanh", &[z]),
            "logistic" => self.node("Sigmoid", &[z]),
            // max(z, 0) + slope · min(z, 0)
            "leaky_relu" => {
                let (above, below) = (self.node("Max", &[z, &zero]), self.node("Min", &[z, &zero]));
                let sloped = self.node("Mul", &[&below, &constants[0]]);
                self.node("Add", &[&above, &sloped])
            }
            // λ max(z, 0) + α (e^min(z, 0) − 1)
            "elu" => {
                let (above, below) = (self.node("Max", &[z, &zero]), self.node("Min", &[z, &zero]));
                let above = self.node("Mul", &[&above, &constants[1]]);
                let power = self.node("Exp", &[&below]);
                let less = self.node("Sub", &[&power, &one]);
                let below = self.node("Mul", &[&less, &constants[0]]);
                self.node("Add", &[&above, &below])
            }
            // z Φ(z); ONNX Runtime has no Erf of doubles.
            "gelu" if kind == Kind::F64 => {
                let share = self.normal_cdf(z);
                self.node("Mul", &[z, &share])
            }
            // ½ z (1 + erf(z/√2))
            "gelu" => {
                let (root, half) =
                    (self.numbers(kind, &[std::f64::consts::SQRT_2], &[]), self.numbers(kind, &[0.5], &[]));
                let scaled = self.node("Div", &[z, &root]);
                let erf = self.node("Erf", &[&scaled]);
                let sum = self.node("Add", &[&erf, &one]);
                let product = self.node("Mul", &[z, &sum]);
                self.node("Mul", &[&product, &half])
            }
            "silu" => {
                let share = self.node("Sigmoid", &[z]);
                self.node("Mul", &[z, &share])
            }
            // z n/(n + 2), n = e(e + 2), e = e^min(z, 20)
            "mish" => {
                let (two, twenty) = (self.numbers(kind, &[2.0], &[]), self.numbers(kind, &[20.0], &[]));
                let low = self.node("Min", &[z, &twenty]);
                let e = self.node("Exp", &[&low]);
                let sum = self.node("Add", &[&e, &two]);
                let n = self.node("Mul", &[&e, &sum]);
                let under = self.node("Add", &[&n, &two]);
                let share = self.node("Div", &[&n, &under]);
                self.node("Mul", &[z, &share])
            }
            // max(z, 0) + ln(1 + e^−|z|)
            "softplus" => {
                let (above, size) = (self.node("Max", &[z, &zero]), self.node("Abs", &[z]));
                let minus = self.node("Neg", &[&size]);
                let power = self.node("Exp", &[&minus]);
                let sum = self.node("Add", &[&power, &one]);
                let log = self.node("Log", &[&sum]);
                self.node("Add", &[&above, &log])
            }
            _ => unreachable!("a formula's name"),
        }
    }

    /// The bin of each number by counting the edges up to it; then x line + (f slope + knot), gathered.
    fn piecewise(&mut self, step: &Step, kind: Kind, x: &str) -> String {
        let Op::Piecewise { bins, width, columns, edges, line, slopes, knots, last } = &step.op else {
            unreachable!("an embedding")
        };
        let (c, bins, width) = (columns.len(), *bins, *width);
        let round = |x: f64| if kind == Kind::F32 { f64::from(x as f32) } else { x };
        let (mut inner, mut low, mut spans) = (Vec::new(), Vec::new(), Vec::new());
        for edges in edges.chunks_exact(bins + 1) {
            inner.extend_from_slice(&edges[1..bins]);
            // A bin of its own beyond all numbers, so that there is one edge at least.
            inner.push(f64::INFINITY);
            low.extend_from_slice(&edges[..bins]);
            // What is divided by ∞ is 0, as the place in an empty bin is.
            let span = |t: usize| Some(round(edges[t + 1] - edges[t])).filter(|span| *span > 0.0);
            spans.extend((0..bins).map(|t| span(t).unwrap_or(f64::INFINITY)));
        }
        let which = self.indices(columns.iter().copied());
        let of = self.gather(x, &which, 1);
        let deep = self.unsqueeze(&of, 2);
        let inner = self.numbers(kind, &inner, &[c, bins]);
        let beyond = self.node("GreaterOrEqual", &[&deep, &inner]);
        let beyond = self.cast(&beyond, Kind::I64);
        let bin = self.sum(&beyond, 2);
        let last = self.indices(last.iter().copied());
        let bin = self.node("Min", &[&bin, &last]);
        let first = self.indices((0..c).map(|c| c * bins));
        let at = self.node("Add", &[&bin, &first]);
        let (low, spans) = (self.numbers(kind, &low, &[c * bins]), self.numbers(kind, &spans, &[c * bins]));
        let (low, span) = (self.gather(&low, &at, 0), self.gather(&spans, &at, 0));
        let past = self.node("Sub", &[&of, &low]);
        let share = self.node("Div", &[&past, &span]);
        let (zero, one) = (self.numbers(kind, &[0.0], &[]), self.numbers(kind, &[1.0], &[]));
        let share = self.node("Max", &[&share, &zero]);
        let share = self.node("Min", &[&share, &one]);
        let share = self.unsqueeze(&share, 2);
        let slopes = self.numbers(kind, slopes, &[c * bins, width]);
        let knots = self.numbers(kind, knots, &[c * bins, width]);
        let (slope, knot) = (self.gather(&slopes, &at, 0), self.gather(&knots, &at, 0));
        let broken = self.node("Mul", &[&share, &slope]);
        let broken = self.node("Add", &[&broken, &knot]);
        let line = self.numbers(kind, line, &[c, width]);
        let straight = self.node("Mul", &[&deep, &line]);
        let embedded = self.node("Add", &[&straight, &broken]);
        let shape = self.indices([0, c * width]);
        let embedded = self.node("Reshape", &[&embedded, &shape]);
        let others: Vec<usize> = (0..step.widths[0]).filter(|column| !columns.contains(column)).collect();
        if others.is_empty() {
            return embedded;
        }
        let others = self.indices(others);
        let others = self.gather(x, &others, 1);
        self.concat(&[embedded, others], 1)
    }

    /// From the mean to the outputs; gives the name of what stands before the target's scale.
    fn answer(&mut self, program: &Program, mut z: String) -> String {
        if let Some([low, high]) = program.range {
            let (low, high) = (self.number(low), self.number(high));
            z = self.node("Max", &[&z, &low]);
            z = self.node("Min", &[&z, &high]);
        }
        let raw = z.clone();
        match &program.answer {
            Answer::Number { affines, output, quantiles } => {
                let means: Vec<f64> = affines.iter().map(|affine| affine.mean()).collect();
                let scales: Vec<f64> = affines.iter().map(|affine| affine.scale()).collect();
                let targets = affines.len();
                let [mean, scale] = [means, scales].map(|row| self.numbers(Kind::F64, &row, &[targets]));
                let mut outputs = Vec::new();
                let first = if program.outputs() > targets {
                    let which = self.indices([*output]);
                    self.gather(&z, &which, 1)
                } else {
                    z.clone()
                };
                outputs.push(("prediction", first, targets));
                match quantiles {
                    Quantiles::None => {}
                    Quantiles::Outputs(levels) => outputs.push(("quantiles", z, levels.len())),
                    Quantiles::Around(intervals) => {
                        let levels = intervals.levels.len();
                        let offsets =
                            self.numbers(Kind::F64, &intervals.offsets.concat(), &[intervals.offsets.len(), levels]);
                        let offsets = if intervals.edges.is_empty() {
                            offsets
                        } else {
                            let edges = self.numbers(Kind::F64, &intervals.edges, &[intervals.edges.len()]);
                            let beyond = self.node("GreaterOrEqual", &[&z, &edges]);
                            let beyond = self.cast(&beyond, Kind::I64);
                            let bin = self.sum(&beyond, 1);
                            self.gather(&offsets, &bin, 0)
                        };
                        outputs.push(("quantiles", self.node("Add", &[&z, &offsets]), levels));
                    }
                }
                for (name, z, width) in outputs {
                    let scaled = self.node("Mul", &[&z, &scale]);
                    let y = self.node("Add", &[&scaled, &mean]);
                    self.output(program, name, &y, Kind::F64, vec![None, Some(width)]);
                }
            }
            Answer::Label(labels) => {
                let one = self.number(1.0);
                let mut p = if program.link == Link::Logistic {
                    let other = self.node("Sub", &[&one, &z]);
                    self.concat(&[other, z], 1)
                } else {
                    z
                };
                if program.temperature != 1.0 {
                    let (least, temperature) = (self.number(1e-300), self.number(program.temperature));
                    let positive = self.node("Max", &[&p, &least]);
                    let log = self.node("Log", &[&positive]);
                    let cooled = self.node("Div", &[&log, &temperature]);
                    p = self.node_with("Softmax", &[&cooled], [("axis", Attribute::Int(-1))]);
                }
                let attributes = [("axis", Attribute::Int(1)), ("keepdims", Attribute::Int(0))];
                let likeliest = self.node_with("ArgMax", &[&p], attributes);
                let names = self.constant(Tensor::texts(labels.clone(), &[labels.len()]));
                let label = self.gather(&names, &likeliest, 0);
                self.output(program, "label", &label, Kind::Text, vec![None]);
                self.output(program, "probabilities", &p, Kind::F64, vec![None, Some(labels.len())]);
            }
        }
        raw
    }

    /// Names what leaves.
    fn output(&mut self, program: &Program, name: &str, value: &str, kind: Kind, shape: Vec<Option<usize>>) {
        let mut free = name.to_owned();
        while program.columns.iter().any(|column| column.name == free) {
            free.push('_');
        }
        let node = Node {
            operator: "Identity".into(),
            inputs: vec![value.to_owned()],
            output: free.clone(),
            attributes: std::collections::BTreeMap::new(),
        };
        self.graph.nodes.push(node);
        self.graph.outputs.push((free, kind, shape));
    }
}
