//! The backward arcs from the cost to a weight, one colour a path.

use super::canvas::{Anchor, Canvas, Ink, between, width_of};
use super::{Diagram, Drawn, Inside, Look, OnEdges, short};
use crate::error::Error;
use crate::explain::ledger::{Factor, Ledger, Path};
use crate::explain::symbol::number;
use crate::explain::trace::Stages;

/// Paths that are drawn; more in one picture cannot be told apart.
const MOST: usize = 4;

/// A place that a path goes through.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Node {
    Cost,
    /// A neuron's circle, (layer, index).
    Neuron(usize, usize),
    /// A receptor's box.
    Receptor(usize, usize),
    /// The weight (layer, from, to) at its end.
    Weight(usize, usize, usize),
}

impl Diagram<'_> {
    pub(super) fn paths(
        &self,
        canvas: &mut Canvas,
        stages: &Stages,
        ledger: &Ledger,
        values: bool,
    ) -> Result<(), Error> {
        let weight = self.address(stages, ledger.parameter)?;
        // The largest path's member is the one that is drawn.
        let member = ledger.paths.first().and_then(|path| {
            path.units.iter().find_map(|&(k, i)| {
                let stage = stages.stage(k);
                (stage.members > 1).then(|| i / stage.width)
            })
        });
        let shown = Diagram { member: member.unwrap_or(self.member), ..*self };
        let of_member = |path: &&Path| {
            path.units.iter().all(|&(k, i)| {
                let stage = stages.stage(k);
                stage.members == 1 || i / stage.width == shown.member
            })
        };
        let paths: Vec<&Path> = ledger.paths.iter().filter(of_member).take(MOST).collect();
        shown.arcs(canvas, stages, ledger, &paths, weight, values);
        Ok(())
    }

    fn arcs(
        &self,
        canvas: &mut Canvas,
        stages: &Stages,
        ledger: &Ledger,
        paths: &[&Path],
        weight: (usize, usize, usize),
        values: bool,
    ) {
        let ways: Vec<Vec<Node>> = paths.iter().map(|path| self.nodes(stages, path, weight)).collect();
        let mut look = Look::new();
        (look.faint, look.few_labels) = (true, true);
        if values && self.trace.is_some() {
            (look.inside, look.on_edges) = (Inside::Values, OnEdges::Values);
        }
        // What all paths share is black.
        let shared = |node: &Node| ways.iter().all(|way| way.contains(node));
        let (l, i, j) = weight;
        look.lit.extend([(l - 1, i), (l, j)]);
        for (n, way) in ways.iter().enumerate().rev() {
            for node in way {
                if let Node::Neuron(l, i) | Node::Receptor(l, i) = *node {
                    look.lit.insert((l, i));
                }
            }
            for pair in way.windows(2) {
                if let (Node::Receptor(l, to), Node::Neuron(_, from)) = (pair[0], pair[1]) {
                    look.coloured.insert((l, from, to), n);
                }
            }
        }
        look.coloured.insert(weight, 0);
        let drawn = self.base(canvas, stages, &look);
        let cost = self.cost_place(canvas, stages, &drawn);
        let mut labels = Vec::new();
        let mut told: Vec<(Node, Node)> = Vec::new();
        for (n, (way, path)) in ways.iter().zip(paths).enumerate() {
            for (pair, factor) in way.windows(2).zip(merged(&path.factors, way.len() - 1)) {
                let (from, to) = (pair[0], pair[1]);
                if told.contains(&(from, to)) {
                    continue;
                }
                told.push((from, to));
                let common = ways.len() > 1 && shared(&from) && shared(&to);
                let ink = if common { Ink::Plain } else { Ink::Path(n) };
                let (start, past, end) = self.curve(&drawn, cost, from, to, n);
                let title = format!("{} = {} = {}", factor.0, factor.1, factor.2);
                canvas.arc(start, past, end, ink, 1.8, &title);
                let text = match (values, to) {
                    // The number of the edge beside it.
                    (true, Node::Neuron(..)) if from != Node::Cost => continue,
                    (true, _) => short(factor.2),
                    (false, _) => factor.0,
                };
                labels.push((start, past, end, ink, text));
            }
        }
        // After all arcs, where there is room; the legend has them all.
        for (start, past, end, ink, text) in labels {
            place(canvas, start, past, end, ink, &text);
        }
        self.legend(canvas, ledger, paths);
    }

    fn cost_place(&self, canvas: &mut Canvas, stages: &Stages, drawn: &Drawn) -> (f64, f64) {
        self.cost(canvas, stages, drawn, stages.last_layer(), Ink::Faint)
    }

    /// From the cost back to the weight.
    fn nodes(&self, stages: &Stages, path: &Path, weight: (usize, usize, usize)) -> Vec<Node> {
        let mut nodes = vec![Node::Cost];
        let last = stages.last_layer();
        for &(k, i) in path.units.iter().rev() {
            let stage = stages.stage(k);
            let (layer, index) = (stage.layer, i % stage.width);
            let receptor = stages.dense(layer).map(|dense| dense + 1);
            let neuron = self.last_stage(stages, layer);
            // What a norm or members make of a receptor is drawn as the receptor.
            let node = match receptor {
                Some(receptor) if k == receptor || k != neuron => Node::Receptor(layer, index),
                _ => Node::Neuron(layer, index),
            };
            // A prediction stands in the last neuron even where no activation makes it one.
            if nodes.len() == 1 && layer == last && matches!(node, Node::Receptor(..)) {
                nodes.push(Node::Neuron(layer, index));
            }
            if nodes.last() != Some(&node) {
                nodes.push(node);
            }
        }
        nodes.push(Node::Weight(weight.0, weight.1, weight.2));
        nodes
    }

    /// Start, control point and end of the arc between two nodes of path `n`.
    fn curve(
        &self,
        drawn: &Drawn,
        cost: (f64, f64),
        from: Node,
        to: Node,
        n: usize,
    ) -> ((f64, f64), (f64, f64), (f64, f64)) {
        let sizes = &drawn.sizes;
        let circle = |l: usize, i: usize| drawn.neurons[&(l, i)];
        // The second path of two runs below, that their arcs do not lie upon each other.
        let side = if n % 2 == 1 { 1.0 } else { -1.0 };
        let box_of = |l: usize, i: usize| {
            let (x, y) = circle(l, i);
            (x - sizes.radius - sizes.width / 2.0, y)
        };
        match (from, to) {
            (Node::Cost, Node::Neuron(l, i)) => {
                let (x, y) = circle(l, i);
                let start = (cost.0 + 12.0, cost.1 - 10.0);
                let end = (x + 0.5 * sizes.radius, y - 0.88 * sizes.radius);
                (start, (f64::midpoint(start.0, end.0), start.1.min(end.1) - 34.0), end)
            }
            (from, Node::Receptor(l, i)) => {
                let (x, y) = if let Node::Neuron(l, i) = from { circle(l, i) } else { (cost.0 + 12.0, cost.1) };
                let (to_x, to_y) = box_of(l, i);
                let start = (x - 0.3 * sizes.radius, y + side * 0.96 * sizes.radius);
                let end = (to_x, to_y + side * sizes.height / 2.0);
                (start, (f64::midpoint(start.0, end.0), f64::midpoint(start.1, end.1) + side * 30.0), end)
            }
            (Node::Receptor(l, j), Node::Neuron(before, i)) => {
                let ((x, y), (to_x, to_y)) = (box_of(l, j), circle(before, i));
                let start = (x - sizes.width / 2.0, y + side * 0.25 * sizes.height);
                let end = (to_x + 0.94 * sizes.radius, to_y + side * 0.34 * sizes.radius);
                (start, bent(start, end, side * 26.0), end)
            }
            (Node::Receptor(l, j), Node::Weight(to, i, k)) => {
                let (x, y) = box_of(l, j);
                let (to_x, to_y) = drawn.weights[&(to, i, k)];
                let above = if to_y > y { -1.0 } else { side };
                let start = (x - sizes.width / 2.0, y + above * 0.3 * sizes.height);
                let end = (to_x + 8.0, to_y + above * (sizes.font * 0.7 + 3.0));
                (start, bent(start, end, above * 22.0), end)
            }
            _ => (cost, cost, cost),
        }
    }

    /// Every path as its product, the sum, and what is not drawn.
    fn legend(&self, canvas: &mut Canvas, ledger: &Ledger, paths: &[&Path]) {
        let [left, _, _, bottom] = canvas.bounds();
        let (mut y, size, x) = (bottom + 30.0, 12.5, left + 4.0);
        let room = 900.0;
        let mut line = |y: &mut f64, indent: f64, ink: Ink, text: &str| {
            canvas.text(x + indent, *y, Anchor::Start, size, ink, text);
            *y += 23.0;
        };
        for (n, path) in paths.iter().enumerate() {
            let symbols: Vec<String> = path.factors.iter().map(|factor| factor.derivative.plain.clone()).collect();
            let terms: Vec<String> = path.factors.iter().map(|factor| bracketed(&factor.term.plain)).collect();
            let numbers: Vec<String> = path.factors.iter().map(|factor| bracketed(&number(factor.value, 6))).collect();
            for (m, parts) in [symbols, terms, numbers].iter().enumerate() {
                let mut text = String::from(if m == 0 { "" } else { "= " });
                for (p, part) in parts.iter().enumerate() {
                    let joined = if p == 0 { part.clone() } else { format!(" · {part}") };
                    if width_of(&text, size) + width_of(&joined, size) > room {
                        line(&mut y, if m == 0 { 0.0 } else { 18.0 }, Ink::Path(n), &text);
                        text = String::from("   ");
                    }
                    text += &joined;
                }
                if m == 2 {
                    text += &format!(" = {}", number(path.value, 10));
                }
                line(&mut y, if m == 0 { 0.0 } else { 18.0 }, Ink::Path(n), &text);
            }
        }
        let drawn: f64 = paths.iter().map(|path| path.value).sum();
        let left_out = ledger.path_count.saturating_sub(paths.len() as u128);
        let mut sum: Vec<String> = paths.iter().map(|path| bracketed(&number(path.value, 8))).collect();
        if left_out > 0 {
            sum.push(format!("{} (the other {left_out})", bracketed(&number(ledger.by_paths() - drawn, 8))));
        }
        let total = number(ledger.by_paths(), 10);
        let text = format!(
            "∂J/∂{} = {} = {total}",
            ledger.symbol.plain,
            if sum.is_empty() { "0".into() } else { sum.join(" + ") }
        );
        line(&mut y, 0.0, Ink::Plain, &text);
    }
}

/// The control point of a curve that is bent by so much: upwards where it is negative.
fn bent(start: (f64, f64), end: (f64, f64), by: f64) -> (f64, f64) {
    (f64::midpoint(start.0, end.0), f64::midpoint(start.1, end.1) + by)
}

/// The factors as so many steps: those of norms and members, which the picture has no place for, are multiplied in.
fn merged(factors: &[Factor], steps: usize) -> Vec<(String, String, f64)> {
    let one = |factor: &Factor| (factor.derivative.plain.clone(), factor.term.plain.clone(), factor.value);
    let mut all: Vec<(String, String, f64)> = factors.iter().map(one).collect();
    while all.len() > steps && all.len() > 1 {
        // In front of the last, the source.
        let at = all.len() - 2;
        let (derivative, term, value) = all.remove(at);
        let at = at.saturating_sub(1).min(all.len() - 1);
        let before = &mut all[at];
        *before = (format!("{}·{derivative}", before.0), format!("{}·{term}", before.1), before.2 * value);
    }
    // A loss that is fused with its link has no factor of its own for the last neuron.
    while all.len() < steps {
        let (derivative, term, value) = all[0].clone();
        all.insert(0, (derivative, term, value));
        all[1] = (String::new(), "1".into(), 1.0);
    }
    all
}

fn bracketed(text: &str) -> String {
    let inner = text.contains(" − ") || text.contains(" + ") || text.starts_with('−');
    if inner { format!("({text})") } else { text.to_owned() }
}

/// Puts a label beside a curve where nothing else is; leaves it out if there is no such place.
fn place(canvas: &mut Canvas, start: (f64, f64), past: (f64, f64), end: (f64, f64), ink: Ink, text: &str) {
    const SIZE: f64 = 11.5;
    if text.is_empty() {
        return;
    }
    let outwards = if past.1 < f64::midpoint(start.1, end.1) { -1.0 } else { 1.0 };
    for away in [10.0, 16.0, 24.0, 34.0, 46.0] {
        for t in [0.5, 0.4, 0.6, 0.3, 0.7, 0.2, 0.8] {
            for side in [outwards, -outwards] {
                let (x, y) = between(start, past, end, t);
                let area = Canvas::area(x, y + side * away, Anchor::Middle, SIZE, text);
                if canvas.is_free(&area) {
                    canvas.label(x, y + side * away, SIZE, ink, text);
                    return;
                }
            }
        }
    }
}
