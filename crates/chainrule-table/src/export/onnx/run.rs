//! A reader of our own graphs, by ONNX's rules: what a runtime computes, in plain arithmetic of the tensors' kind.

use super::wire::{Attribute, Graph, Kind, Node, Tensor};
use chainrule::kernels::Lanes;
use std::collections::HashMap;

/// The value of every name; none where a node breaks the rules.
pub(super) fn run(graph: &Graph, inputs: HashMap<String, Tensor>) -> Option<HashMap<String, Tensor>> {
    let mut values = inputs;
    values.extend(graph.constants.iter().cloned());
    for node in &graph.nodes {
        let inputs = node.inputs.iter().map(|name| values.get(name)).collect::<Option<Vec<_>>>()?;
        let output = evaluate(node, &inputs)?;
        values.insert(node.output.clone(), output);
    }
    Some(values)
}

/// x in the precision of its kind.
fn round(kind: Kind, x: f64) -> f64 {
    if kind == Kind::F32 { f64::from(x as f32) } else { x }
}

fn int(node: &Node, name: &str) -> Option<i64> {
    if let Attribute::Int(x) = node.attributes.get(name)? { Some(*x) } else { None }
}

/// An axis from the end, too.
fn axis(axis: i64, rank: usize) -> Option<usize> {
    usize::try_from(if axis < 0 { axis + rank as i64 } else { axis }).ok().filter(|axis| *axis < rank)
}

fn evaluate(node: &Node, inputs: &[&Tensor]) -> Option<Tensor> {
    let x = *inputs.first()?;
    let unary = |f: &dyn Fn(f64) -> f64| {
        let numbers = x.numbers.iter().map(|&x_i| round(x.kind, f(x_i))).collect();
        Some(Tensor::new(x.kind, &x.shape, numbers))
    };
    // A function of the library's in the tensor's precision.
    let function = |single: &dyn Fn(f32) -> f32, double: &dyn Fn(f64) -> f64| {
        unary(&|x_i| if x.kind == Kind::F32 { f64::from(single(x_i as f32)) } else { double(x_i) })
    };
    let binary = |kind: Kind, f: &dyn Fn(f64, f64) -> f64| {
        let y = inputs.get(1)?;
        (x.kind == y.kind && x.kind != Kind::Text).then_some(())?;
        broadcast(&[x, y], kind, |at| round(kind, f(x.numbers[at[0]], y.numbers[at[1]])))
    };
    // Rows along the last axis.
    let width = x.shape.last().copied().unwrap_or(1);
    match node.operator.as_str() {
        "Identity" => Some(x.clone()),
        "Add" => binary(x.kind, &|a, b| a + b),
        "Sub" => binary(x.kind, &|a, b| a - b),
        "Mul" => binary(x.kind, &|a, b| a * b),
        "Div" => binary(x.kind, &|a, b| a / b),
        "Max" => binary(x.kind, &f64::max),
        "Min" => binary(x.kind, &f64::min),
        "GreaterOrEqual" => binary(Kind::Bool, &|a, b| f64::from(u8::from(a >= b))),
        "Equal" => binary(Kind::Bool, &|a, b| f64::from(u8::from(a == b))),
        "Where" => {
            let (a, b) = (inputs.get(1)?, inputs.get(2)?);
            (a.kind == b.kind && x.kind == Kind::Bool).then_some(())?;
            broadcast(
                &[x, a, b],
                a.kind,
                |at| if x.numbers[at[0]] != 0.0 { a.numbers[at[1]] } else { b.numbers[at[2]] },
            )
        }
        "Neg" => unary(&|x| -x),
        "Abs" => unary(&f64::abs),
        "Sqrt" => unary(&f64::sqrt),
        "Relu" => unary(&|x| x.max(0.0)),
        "Exp" => function(&Lanes::exp, &Lanes::exp),
        "Log" => function(&Lanes::ln, &Lanes::ln),
        "Tanh" => function(&Lanes::tanh, &Lanes::tanh),
        "Sigmoid" => function(&Lanes::logistic, &Lanes::logistic),
        "Erf" => function(&Lanes::erf, &Lanes::erf),
        "IsNaN" => {
            let numbers = x.numbers.iter().map(|x| f64::from(u8::from(x.is_nan()))).collect();
            Some(Tensor::new(Kind::Bool, &x.shape, numbers))
        }
        "Cast" => {
            let kind = Kind::of(int(node, "to")? as u64)?;
            Some(Tensor::new(kind, &x.shape, x.numbers.iter().map(|&x| round(kind, x)).collect()))
        }
        "Unsqueeze" => {
            let at = *inputs.get(1)?.numbers.first()? as usize;
            let mut shape = x.shape.clone();
            (at <= shape.len()).then(|| shape.insert(at, 1))?;
            Some(Tensor { shape, ..x.clone() })
        }
        "Reshape" => {
            let sizes = inputs.get(1)?.numbers.iter().enumerate();
            let shape: Vec<usize> = sizes.map(|(k, &n)| if n == 0.0 { x.shape[k] } else { n as usize }).collect();
            (shape.iter().product::<usize>() == x.numbers.len()).then(|| Tensor { shape, ..x.clone() })
        }
        "Concat" => {
            let at = axis(int(node, "axis")?, x.shape.len())?;
            let outer: usize = x.shape[..at].iter().product();
            let mut shape = x.shape.clone();
            shape[at] = inputs.iter().map(|input| input.shape[at]).sum();
            let mut numbers = Vec::new();
            for row in 0..outer {
                for input in inputs {
                    let n = input.numbers.len() / outer;
                    numbers.extend_from_slice(&input.numbers[row * n..(row + 1) * n]);
                }
            }
            Some(Tensor::new(x.kind, &shape, numbers))
        }
        "Gather" => {
            let (at, indices) = (axis(int(node, "axis")?, x.shape.len())?, inputs.get(1)?);
            let (outer, size): (usize, usize) = (x.shape[..at].iter().product(), x.shape[at]);
            let inner: usize = x.shape[at + 1..].iter().product();
            let shape = [&x.shape[..at], &indices.shape, &x.shape[at + 1..]].concat();
            let mut result = Tensor::new(x.kind, &shape, Vec::new());
            for row in 0..outer {
                for &index in &indices.numbers {
                    let index = Some(index as usize).filter(|index| *index < size)?;
                    let range = (row * size + index) * inner..(row * size + index + 1) * inner;
                    match x.kind {
                        Kind::Text => result.texts.extend_from_slice(&x.texts[range]),
                        _ => result.numbers.extend_from_slice(&x.numbers[range]),
                    }
                }
            }
            Some(result)
        }
        "Transpose" => {
            // Of ours only the first two of three axes change places.
            let &[a, b, c] = &x.shape[..] else { return None };
            let numbers =
                (0..b).flat_map(|j| (0..a).flat_map(move |i| (0..c).map(move |k| x.numbers[(i * b + j) * c + k])));
            Some(Tensor::new(x.kind, &[b, a, c], numbers.collect()))
        }
        "Gemm" => {
            let (w, b) = (inputs.get(1)?, inputs.get(2)?);
            let (&[rows, n], &[outputs, _]) = (&x.shape[..], &w.shape[..]) else { return None };
            let mut numbers = Vec::with_capacity(rows * outputs);
            for i in 0..rows {
                for j in 0..outputs {
                    let product = dot(x.kind, n, |k| x.numbers[i * n + k], |k| w.numbers[j * n + k]);
                    numbers.push(round(x.kind, product + b.numbers[j]));
                }
            }
            Some(Tensor::new(x.kind, &[rows, outputs], numbers))
        }
        "MatMul" => {
            let w = inputs.get(1)?;
            let &[batches, rows, n] = &x.shape[..] else { return None };
            let outputs = *w.shape.last()?;
            let mut numbers = Vec::with_capacity(batches * rows * outputs);
            for batch in 0..batches {
                // With a matrix for each of the first axis, or one for all.
                let w = if w.shape.len() == 3 { &w.numbers[batch * n * outputs..] } else { &w.numbers[..] };
                for x_row in x.numbers[batch * rows * n..(batch + 1) * rows * n].chunks_exact(n) {
                    numbers.extend((0..outputs).map(|j| dot(x.kind, n, |k| x_row[k], |k| w[k * outputs + j])));
                }
            }
            Some(Tensor::new(x.kind, &[batches, rows, outputs], numbers))
        }
        "ReduceSum" => {
            let at = *inputs.get(1)?.numbers.first()? as usize;
            let (outer, size): (usize, usize) = (x.shape[..at].iter().product(), x.shape[at]);
            let inner: usize = x.shape[at + 1..].iter().product();
            let mut numbers = vec![0.0; outer * inner];
            for row in 0..outer {
                for k in 0..size * inner {
                    let sum = &mut numbers[row * inner + k % inner];
                    *sum = round(x.kind, *sum + x.numbers[row * size * inner + k]);
                }
            }
            Some(Tensor::new(x.kind, &[&x.shape[..at], &x.shape[at + 1..]].concat(), numbers))
        }
        "Softmax" => {
            let mut numbers = x.numbers.clone();
            for row in numbers.chunks_exact_mut(width) {
                let max = row.iter().copied().fold(f64::NEG_INFINITY, f64::max);
                let exp = |x_k: f64| match x.kind {
                    Kind::F32 => f64::from(Lanes::exp((x_k - max) as f32)),
                    _ => Lanes::exp(x_k - max),
                };
                row.iter_mut().for_each(|x_k| *x_k = exp(*x_k));
                let sum = row.iter().fold(0.0, |sum, &p| round(x.kind, sum + p));
                row.iter_mut().for_each(|p| *p = round(x.kind, *p / sum));
            }
            Some(Tensor::new(x.kind, &x.shape, numbers))
        }
        "LayerNormalization" => {
            let (scale, shift) = (inputs.get(1)?, inputs.get(2)?);
            let Attribute::Float(epsilon) = node.attributes.get("epsilon")? else { return None };
            let r = |value: f64| round(x.kind, value);
            let mut numbers = x.numbers.clone();
            for row in numbers.chunks_exact_mut(width) {
                let mean = r(row.iter().fold(0.0, |sum, &x| r(sum + x)) / width as f64);
                let squares = row.iter().fold(0.0, |sum, &x| r(sum + r(r(x - mean) * r(x - mean))));
                let root = r(r(r(squares / width as f64) + f64::from(*epsilon)).sqrt());
                for (k, x) in row.iter_mut().enumerate() {
                    *x = r(r(r(r(*x - mean) / root) * scale.numbers[k]) + shift.numbers[k]);
                }
            }
            Some(Tensor::new(x.kind, &x.shape, numbers))
        }
        "ArgMax" => {
            let first = |row: &[f64]| (1..width).fold(0, |best, k| if row[k] > row[best] { k } else { best }) as f64;
            let numbers = x.numbers.chunks_exact(width).map(first).collect();
            Some(Tensor::new(Kind::I64, &x.shape[..x.shape.len() - 1], numbers))
        }
        "LabelEncoder" => {
            let Attribute::Texts(keys) = node.attributes.get("keys_strings")? else { return None };
            let (kind, values, default): (Kind, Vec<f64>, f64) = match node.attributes.get("values_int64s") {
                Some(Attribute::Ints(values)) => {
                    (Kind::I64, values.iter().map(|&x| x as f64).collect(), int(node, "default_int64")? as f64)
                }
                _ => {
                    let Attribute::Floats(values) = node.attributes.get("values_floats")? else { return None };
                    let Attribute::Float(default) = node.attributes.get("default_float")? else { return None };
                    (Kind::F32, values.iter().map(|&x| f64::from(x)).collect(), f64::from(*default))
                }
            };
            let index: HashMap<&str, f64> = keys.iter().map(String::as_str).zip(values).collect();
            let numbers = x.texts.iter().map(|text| index.get(text.as_str()).copied().unwrap_or(default)).collect();
            Some(Tensor::new(kind, &x.shape, numbers))
        }
        _ => None,
    }
}

/// Σ x w, each product and each sum rounded.
fn dot(kind: Kind, n: usize, x: impl Fn(usize) -> f64, w: impl Fn(usize) -> f64) -> f64 {
    match kind {
        Kind::F32 => f64::from((0..n).fold(0.0_f32, |sum, k| sum + x(k) as f32 * w(k) as f32)),
        _ => (0..n).fold(0.0, |sum, k| sum + x(k) * w(k)),
    }
}

/// A tensor of the common shape; `f` gets each input's index.
fn broadcast(inputs: &[&Tensor], kind: Kind, f: impl Fn(&[usize]) -> f64) -> Option<Tensor> {
    let rank = inputs.iter().map(|input| input.shape.len()).max()?;
    let size = |input: &Tensor, k: usize| (k + input.shape.len()).checked_sub(rank).map_or(1, |k| input.shape[k]);
    let mut shape = vec![1; rank];
    for input in inputs {
        for (k, common) in shape.iter_mut().enumerate() {
            match (size(input, k), *common) {
                (1, _) => {}
                (n, 1) => *common = n,
                (n, m) if n == m => {}
                _ => return None,
            }
        }
    }
    // How far an input's index goes with a step along each axis.
    let strides: Vec<Vec<usize>> = inputs
        .iter()
        .map(|input| {
            let mut stride = 1;
            let mut strides = vec![0; rank];
            for k in (0..rank).rev() {
                let n = size(input, k);
                strides[k] = if n == 1 { 0 } else { stride };
                stride *= n;
            }
            strides
        })
        .collect();
    let total: usize = shape.iter().product();
    let (mut numbers, mut place, mut at) = (Vec::with_capacity(total), vec![0; rank], vec![0; inputs.len()]);
    for _ in 0..total {
        numbers.push(f(&at));
        for k in (0..rank).rev() {
            place[k] += 1;
            at.iter_mut().zip(&strides).for_each(|(at, strides)| *at += strides[k]);
            if place[k] < shape[k] {
                break;
            }
            at.iter_mut().zip(&strides).for_each(|(at, strides)| *at -= strides[k] * shape[k]);
            place[k] = 0;
        }
    }
    Some(Tensor::new(kind, &shape, numbers))
}
