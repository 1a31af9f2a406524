//! What is explained: a network of the model and rows of the table.

use super::Common;
use crate::commands::fit::processor;
use crate::failure::{Failure, printable};
use crate::input;
use crate::text::{cut, number};
use chainrule::explain::{Parameter, Stages, origin};
use chainrule::{Error, Layer, Network, Processor};
use chainrule_table::explain::Seen;
use chainrule_table::{Model, Scaled, Step, Table};
use serde_json::{Value, json};
use std::ops::{Deref, DerefMut};
use std::path::Path;

/// A network of the model, in double precision.
pub(super) struct Net {
    pub(super) model: Model,
    pub(super) processor: Processor,
    /// The network, from 1.
    pub(super) member: usize,
    /// The member (from 1) of those that share the network's weights, where each has its own.
    pub(super) inner: Option<usize>,
    pub(super) network: Network<f64>,
    pub(super) stages: Stages,
    pub(super) notes: Vec<String>,
}

/// A network and the table.
pub(super) struct Subject {
    net: Net,
    pub(super) table: Table,
}

impl Deref for Subject {
    type Target = Net;

    fn deref(&self) -> &Net {
        &self.net
    }
}

impl DerefMut for Subject {
    fn deref_mut(&mut self) -> &mut Net {
        &mut self.net
    }
}

impl Subject {
    /// Reads model and table; `member` is `M`, or `M.K` for member K within network M.
    pub(super) fn new(common: &Common, member: Option<&str>) -> Result<Self, Failure> {
        let net = Net::new(&common.model, common.threads, member)?;
        Ok(Self { net, table: input::table(&common.data)? })
    }

    /// A row that a user counts from 1.
    pub(super) fn row(&self, row: usize) -> Result<usize, Failure> {
        let rows = self.table.rows();
        row.checked_sub(1).filter(|&row| row < rows).ok_or_else(|| {
            let expected = format!("a row from 1 to {rows}");
            Error::Value { what: "row", expected, got: row.to_string() }.into()
        })
    }

    /// Inputs of rows, without targets.
    pub(super) fn inputs(&mut self, rows: Option<&[usize]>) -> Result<Seen, Failure> {
        let seen = Seen::inputs(&self.model, self.model.member(self.member)?, &self.table, rows)?;
        Ok(self.noted(seen))
    }

    /// Inputs and targets of rows; every row has the target `value` if there is one.
    pub(super) fn with_targets(&mut self, rows: Option<&[usize]>, value: Option<&str>) -> Result<Seen, Failure> {
        let network = self.model.member(self.member)?;
        let seen = match value {
            None => Seen::with_targets(&self.model, network, &self.table, rows)?,
            Some(value) => {
                let mut seen = Seen::inputs(&self.model, network, &self.table, rows)?;
                seen.set_target(&self.model, value)?;
                seen
            }
        };
        Ok(self.noted(seen))
    }

    fn noted(&mut self, seen: Seen) -> Seen {
        self.net.notes.extend(seen.notes.iter().map(ToString::to_string));
        seen
    }

    /// Whether the rows have targets of their own.
    pub(super) fn has_targets(&self, row: usize) -> bool {
        let has = |position: usize| !self.table.columns()[position].cells().is_missing(row);
        self.model.target.columns().all(|column| self.table.position(column).is_some_and(has))
    }
}

impl Net {
    /// Reads the model; `member` is `M`, or `M.K` for member K within network M.
    pub(super) fn new(model: &Path, threads: Option<usize>, member: Option<&str>) -> Result<Self, Failure> {
        let processor = processor(threads)?;
        let model = input::predictor(model)?;
        let (m, inner) = member.map_or(Ok((1, None)), address)?;
        let network = model.member(m)?.widened();
        if let Some(k) = inner.filter(|k| !(1..=network.members()).contains(k)) {
            let expected = match network.members() {
                1 => format!("{m}: no members share the weights of network {m}"),
                n => format!("{m}.K with K from 1 to {n}"),
            };
            return Err(Error::Value { what: "member", expected, got: format!("{m}.{k}") }.into());
        }
        let mut notes = Vec::new();
        let networks = model.others.len() + 1;
        if networks > 1 && member.is_none() {
            notes.push(format!("network 1 of the {networks} whose mean predicts; --member M for another"));
        }
        let stages = Stages::new(&network);
        Ok(Self { model, processor, member: m, inner, network, stages, notes })
    }

    /// `2-3-2-1, relu, relu`: widths by layer, and what else there is.
    pub(super) fn architecture(&self) -> String {
        let mut widths = vec![self.network.inputs().to_string()];
        let mut others = Vec::new();
        for (k, layer) in self.network.layers().iter().enumerate() {
            match layer {
                Layer::Dense { .. } | Layer::Heads { .. } => {
                    widths.push((self.network.width(k) / self.network.members_at(k)).to_string());
                }
                Layer::Piecewise { columns, bins, width } => {
                    others.push(format!("{} numbers as {width} each over {bins} bins", columns.len()));
                }
                Layer::Members { count } => others.push(format!("{count} members")),
                layer => others.push(layer.to_string()),
            }
        }
        others.dedup();
        [widths.join("-")].into_iter().chain(others).collect::<Vec<_>>().join(", ")
    }

    /// The line that says which network it is.
    pub(super) fn title(&self) -> String {
        let networks = self.model.others.len() + 1;
        let which = if networks > 1 { format!(" {} of {networks}", self.member) } else { String::new() };
        format!("network{which}  {}\n", self.architecture())
    }

    /// The name of the encoded column that number `i` of stage `k` is made of.
    pub(super) fn column(&self, k: usize, i: usize) -> Option<String> {
        let column = origin(&self.network, k, i)?;
        self.model.encoder.columns().get(column).map(|column| printable(&column.name))
    }

    /// The parameter that one of the three options addresses.
    pub(super) fn parameter(
        &self,
        weight: Option<&str>,
        bias: Option<&str>,
        named: Option<&str>,
    ) -> Result<Option<Parameter>, Failure> {
        Ok(match (weight, bias, named) {
            (Some(text), ..) => Some(self.weight(text)?),
            (_, Some(text), _) => {
                let address = text.split_once(':').and_then(|(l, j)| Some((whole(l)?, whole(j)?)));
                let expected = || "LAYER:NEURON, as 2:1".into();
                let refuse = || Error::Value { what: "bias", expected: expected(), got: text.into() };
                let (l, j) = address.ok_or_else(refuse)?;
                Some(Parameter::bias(&self.network, l, j, self.inner)?)
            }
            (.., Some(text)) => Some(Parameter::named(&self.network, text)?),
            _ => None,
        })
    }

    /// `2:3,2`, or `1:Lot_Area,2` where layer 1 reads the encoded columns as they are.
    fn weight(&self, text: &str) -> Result<Parameter, Failure> {
        let refuse = |expected: String| Failure::from(Error::Value { what: "weight", expected, got: text.to_owned() });
        let form = || refuse("LAYER:FROM,TO, as 2:3,2; `chainrule inspect MODEL` lists the layers".into());
        let (l, rest) = text.split_once(':').ok_or_else(form)?;
        let (from, to) = rest.rsplit_once(',').ok_or_else(form)?;
        let (l, to) = (whole(l).ok_or_else(form)?, whole(to).ok_or_else(form)?);
        let from = match whole(from) {
            Some(from) => from,
            None if l == 1 => {
                let columns = self.model.encoder.columns();
                let k = self.stages.dense(1).ok_or_else(form)?;
                let column = columns.iter().position(|column| column.name == from).ok_or_else(|| {
                    let some: Vec<&str> = columns.iter().map(|column| column.name.as_str()).take(6).collect();
                    refuse(format!("a number or an encoded column, as {}", some.join(", ")))
                })?;
                let width = self.stages.stage(k).width;
                let at: Vec<usize> = (0..width).filter(|&i| origin(&self.network, k, i) == Some(column)).collect();
                match at[..] {
                    [at] => at + 1,
                    [first, .., last] => {
                        return Err(refuse(format!(
                            "a number: {from} enters layer 1 as {} to {}",
                            first + 1,
                            last + 1
                        )));
                    }
                    [] => return Err(refuse("a number: a norm mixes the columns in front of layer 1".into())),
                }
            }
            None => return Err(form()),
        };
        Ok(Parameter::weight(&self.network, l, from, to, self.inner)?)
    }

    /// The member's facts for JSON.
    pub(super) fn facts(&self) -> Value {
        let layers: Vec<String> = self.network.layers().iter().map(Layer::to_string).collect();
        json!({
            "member": self.member,
            "networks": self.model.others.len() + 1,
            "inputs": self.network.inputs(),
            "layers": layers,
            "loss": self.model.loss.to_string(),
        })
    }
}

fn whole(text: &str) -> Option<usize> {
    text.trim().parse().ok()
}

/// `M` or `M.K`.
fn address(text: &str) -> Result<(usize, Option<usize>), Failure> {
    let read = match text.split_once('.') {
        None => whole(text).map(|m| (m, None)),
        Some((m, k)) => whole(m).zip(whole(k)).map(|(m, k)| (m, Some(k))),
    };
    let expected = || "M, the network, or M.K, the member K of network M, both from 1".into();
    read.ok_or_else(|| Error::Value { what: "member", expected: expected(), got: text.into() }.into())
}

/// `Lot_Area: (11160 − 10147.9)/7878.7` or `Street = Pave`: where an input comes from.
pub(super) fn step(step: &Step) -> String {
    let name = cut(&printable(&step.name), 28);
    let cell = cut(&printable(&step.cell), 20);
    match step.scaled {
        Some(Scaled { raw, affine, .. }) if affine.mean() == 0.0 && affine.scale() == 1.0 => {
            format!("{name} = {}", number(raw))
        }
        Some(Scaled { raw, affine, bent, .. }) => {
            let missing = if step.cell.is_empty() { ", missing: the median" } else { "" };
            let bent = if bent { ", bent into ±3" } else { "" };
            let mean = number(round(affine.mean()));
            let minus = mean.strip_prefix('−').map_or(format!("− {mean}"), |size| format!("+ {size}"));
            format!("{name}: ({} {minus})/{}{bent}{missing}", number(round(raw)), number(round(affine.scale())))
        }
        None if step.cell.is_empty() => format!("{name}: missing"),
        None => format!("{name}: {cell}"),
    }
}

/// Six significant digits.
pub(super) fn round(x: f64) -> f64 {
    format!("{x:.5e}").parse().unwrap_or(x)
}

/// A step as JSON.
pub(super) fn step_json(step: &Step) -> Value {
    let mut value = json!({"name": step.name, "source": step.source, "cell": step.cell, "x": step.value});
    if let Some(Scaled { raw, affine, bent, slope }) = step.scaled {
        value["raw"] = json!(raw);
        value["mean"] = json!(affine.mean());
        value["scale"] = json!(affine.scale());
        value["bent"] = json!(bent);
        value["slope"] = json!(slope);
    }
    value
}
