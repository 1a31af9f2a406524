//! The figures of matrices: weights, their shapes, the data, the equations.

use super::canvas::{Anchor, Canvas, Ink, width_of};
use super::{Diagram, Drawn, Line, Look, superscript};
use crate::activation::Activation;
use crate::error::Error;
use crate::explain::symbol::{Letter, Symbol};
use crate::explain::trace::{Stages, Trace};
use crate::layer::Layer;
use crate::matrix::{Matrix, MatrixRef};

/// Cells of a matrix, and which of them are in colour.
struct Grid {
    cells: Vec<Vec<String>>,
    coloured: Vec<(usize, usize)>,
    size: f64,
}

impl Grid {
    fn new(cells: Vec<Vec<String>>, size: f64) -> Self {
        Self { cells, coloured: Vec::new(), size }
    }

    fn widths(&self) -> Vec<f64> {
        let columns = self.cells.first().map_or(0, Vec::len);
        let width = |c: usize| self.cells.iter().map(|row| width_of(&row[c], self.size)).fold(0.0, f64::max);
        (0..columns).map(|c| width(c) + self.size).collect()
    }

    fn width(&self) -> f64 {
        self.widths().iter().sum()
    }

    fn height(&self) -> f64 {
        self.cells.len() as f64 * self.step() + 4.0
    }

    fn step(&self) -> f64 {
        self.size * 1.65
    }

    /// Half the height of row `r`, from the matrix's top.
    fn row(&self, r: usize) -> f64 {
        2.0 + (r as f64 + 0.5) * self.step()
    }

    /// Draws it with its left top corner at (x, y).
    fn draw(&self, canvas: &mut Canvas, x: f64, y: f64) {
        canvas.brackets(x, y, self.width(), self.height());
        let widths = self.widths();
        for (r, row) in self.cells.iter().enumerate() {
            let mut right = x;
            for (c, cell) in row.iter().enumerate() {
                right += widths[c];
                let ink = if self.coloured.contains(&(r, c)) { Ink::Path(0) } else { Ink::Plain };
                canvas.text(right - self.size / 2.0, y + self.row(r), Anchor::End, self.size, ink, cell);
            }
        }
    }
}

/// So many of a matrix's rows and columns are written out; dots stand for the others, but for the last.
fn elided(n: usize, most: usize) -> Vec<Option<usize>> {
    if n <= most {
        return (0..n).map(Some).collect();
    }
    (0..most - 2).map(Some).chain([None, Some(n - 1)]).collect()
}

fn cells(rows: usize, columns: usize, most: [usize; 2], cell: impl Fn(usize, usize) -> String) -> Vec<Vec<String>> {
    let columns = elided(columns, most[1]);
    let row = |r: &Option<usize>| {
        let text = |c: &Option<usize>| match (r, c) {
            (Some(r), Some(c)) => cell(*r, *c),
            (Some(_), None) => "…".into(),
            (None, Some(_)) => "⋮".into(),
            (None, None) => "⋱".into(),
        };
        columns.iter().map(text).collect()
    };
    elided(rows, most[0]).iter().map(row).collect()
}

fn fixed(x: f64, decimals: usize) -> String {
    if x == 0.0 {
        return "0".into();
    }
    if x.abs() >= 1e5 {
        return crate::explain::symbol::number(x, 4);
    }
    let text = format!("{x:.decimals$}");
    let text = if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.') } else { &text };
    let text = if text.is_empty() || text == "-0" { "0" } else { text };
    text.replace('-', "−")
}

fn numbers(matrix: MatrixRef<'_, f64>, most: [usize; 2], decimals: usize) -> Vec<Vec<String>> {
    cells(matrix.rows(), matrix.cols(), most, |r, c| fixed(matrix.row(r)[c], decimals))
}

impl Diagram<'_> {
    /// Colours the edges of a row or a column of W⁽ˡ⁾.
    pub(super) fn light_line(&self, stages: &Stages, line: Line, look: &mut Look) -> Result<(), Error> {
        let (Line::Row(l, at) | Line::Column(l, at)) = line;
        let k = self.dense(stages, l)?;
        let (from, to) = (stages.stage(k).width, stages.stage(k + 1).width);
        let (what, most) = if matches!(line, Line::Row(..)) { ("row", from) } else { ("column", to) };
        if !(1..=most).contains(&at) {
            return Err(Error::Value { what, expected: format!("1 to {most} of layer {l}"), got: at.to_string() });
        }
        match line {
            Line::Row(..) => {
                look.coloured.extend((0..to).map(|j| ((l, at - 1, j), 0)));
                look.lit.insert((l - 1, at - 1));
            }
            Line::Column(..) => {
                look.coloured.extend((0..from).map(|i| ((l, i, at - 1), 0)));
                look.lit.insert((l, at - 1));
            }
        }
        Ok(())
    }

    /// Every W⁽ˡ⁾ under its edges.
    pub(super) fn matrices_below(&self, canvas: &mut Canvas, stages: &Stages, drawn: &Drawn, line: Option<Line>) {
        let sizes = &drawn.sizes;
        let y = canvas.bounds()[3] + 14.0;
        for c in 1..drawn.columns.len() {
            let l = drawn.columns[c].layer;
            let (from, to) = (drawn.columns[c - 1].width, drawn.columns[c].width);
            let left = (c - 1) as f64 * sizes.across + sizes.radius;
            let right = c as f64 * sizes.across - sizes.radius - sizes.width;
            canvas.brace(left, right, y);
            let middle = f64::midpoint(left, right);
            canvas.line((middle, y + 18.0), (middle, y + 38.0), Ink::Quiet, 1.2, true, "");
            let symbol = |i: usize, j: usize| self.weight_symbol(stages, l, i, j).to_string();
            let most = [6, 4];
            let mut grid = Grid::new(cells(from, to, most, symbol), 12.0);
            let (rows, columns) = (elided(from, most[0]), elided(to, most[1]));
            for (r, i) in rows.iter().enumerate() {
                for (c, j) in columns.iter().enumerate() {
                    let hit = match line {
                        Some(Line::Row(of, at)) => of == l && *i == Some(at - 1),
                        Some(Line::Column(of, at)) => of == l && *j == Some(at - 1),
                        None => false,
                    };
                    if hit {
                        grid.coloured.push((r, c));
                    }
                }
            }
            let title = format!("W⁽{}⁾  [{from}, {to}]", superscript(l));
            canvas.text(middle, y + 52.0, Anchor::Middle, 13.0, Ink::Plain, &title);
            grid.draw(canvas, middle - grid.width() / 2.0, y + 66.0);
        }
        if let Some(line) = line {
            let [left, _, right, bottom] = canvas.bounds();
            let text = match line {
                Line::Row(l, i) => {
                    format!("Row {i} of W⁽{}⁾: the weights that leave neuron {i} of layer {}", superscript(l), l - 1)
                }
                Line::Column(l, j) => {
                    format!("Column {j} of W⁽{}⁾: the weights that arrive at neuron {j} of layer {l}", superscript(l))
                }
            };
            canvas.text(f64::midpoint(left, right), bottom + 26.0, Anchor::Middle, 13.0, Ink::Path(0), &text);
        }
    }

    /// W⁽ˡ⁾ of the dense layer at `k`: a row leaves a neuron, a column arrives at one.
    pub(super) fn weight_shape(&self, canvas: &mut Canvas, stages: &Stages, k: usize) {
        let l = stages.stage(k + 1).layer;
        let (from, to) = (stages.stage(k).width, stages.stage(k + 1).width);
        let symbol = |i: usize, j: usize| self.weight_symbol(stages, l, i, j).to_string();
        let names = [
            format!("{from} row{}: the neurons of layer {}", plural(from), l - 1),
            format!("{to} column{}: the neurons of layer {l}", plural(to)),
            "a row: the weights that leave one neuron".into(),
            "a column: the weights that arrive at one".into(),
        ];
        shape(canvas, &format!("W⁽{}⁾", superscript(l)), [from, to], symbol, &names);
    }

    /// Z⁽ˡ⁾ of the dense layer at `k`: a row for each sample, a column for each receptor.
    pub(super) fn z_shape(&self, canvas: &mut Canvas, stages: &Stages, k: usize) {
        let stage = stages.stage(k + 1);
        let l = stage.layer;
        let to = stage.width;
        let n = self.trace.map(|(trace, _)| trace.rows());
        let rows = n.unwrap_or(4);
        let symbol = |i: usize, j: usize| Symbol::new(Letter::Z, l, None, &[i + 1, j + 1]).to_string();
        let count = n.map_or("n rows".to_owned(), |n| format!("{n} row{}", plural(n)));
        let names = [
            format!("{count}: the samples"),
            format!("{to} column{}: the receptors of layer {l}", plural(to)),
            "a row: what one sample gives".into(),
            "a column: one receptor over all samples".into(),
        ];
        shape(canvas, &format!("Z⁽{}⁾", superscript(l)), [rows, to], symbol, &names);
    }

    /// The data, and the weights to start from.
    pub(super) fn start(&self, canvas: &mut Canvas, stages: &Stages, trace: &Trace) {
        const SIZE: f64 = 12.5;
        let most = [12, 6];
        let mut x = 0.0;
        let mut block = |title: String, cells: Vec<Vec<String>>| {
            let grid = Grid::new(cells, SIZE);
            let width = grid.width().max(width_of(&title, 14.0));
            canvas.text(x + width / 2.0, -24.0, Anchor::Middle, 14.0, Ink::Plain, &title);
            grid.draw(canvas, x + (width - grid.width()) / 2.0, 0.0);
            x += width + 38.0;
        };
        let n = trace.rows();
        let input = trace.output(0);
        block(format!("X  [{n}, {}]", input.cols()), numbers(input.view(), most, 2));
        let targets: Vec<f64> = (0..n).flat_map(|i| trace.target(i).to_vec()).collect();
        if n > 0 && !targets.is_empty() {
            let columns = targets.len() / n;
            let y = Matrix::from_vec(n, columns, targets).expect("targets of every row");
            block(format!("Y  [{n}, {columns}]"), numbers(y.view(), most, 2));
        }
        for l in 1..=stages.last_layer() {
            let Some(k) = stages.dense(l) else { continue };
            let (from, to) = (stages.stage(k).width, stages.stage(k + 1).width);
            let weight = |i: usize, j: usize| fixed(self.weight(stages, l, i, j), 3);
            block(format!("W⁽{}⁾  [{from}, {to}]", superscript(l)), cells(from, to, most, weight));
            let biases = self.biases(stages, k);
            if biases.iter().any(|b| *b != 0.0) {
                let row = MatrixRef::new(1, biases.len(), &biases).expect("one row");
                block(format!("b⁽{}⁾", superscript(l)), numbers(row, most, 3));
            }
        }
        let none = (0..self.network.layers().len()).all(|k| self.network.biases(k).iter().all(|b| *b == 0.0));
        if none {
            let [_, top, _, bottom] = canvas.bounds();
            canvas.text(x - 8.0, f64::midpoint(top, bottom), Anchor::Start, 13.0, Ink::Quiet, "all b = 0");
        }
    }

    /// The shown member's b⁽ˡ⁾.
    fn biases(&self, stages: &Stages, k: usize) -> Vec<f64> {
        let all = self.network.biases(k);
        let width = stages.stage(k + 1).width;
        let first = if all.len() > width { self.at(stages, k + 1, 0) } else { 0 };
        all[first..first + width].to_vec()
    }

    /// Z⁽ˡ⁾ = X⁽ˡ⁻¹⁾W⁽ˡ⁾ + 1b⁽ˡ⁾ᵀ and X⁽ˡ⁾ = a(Z⁽ˡ⁾) with the numbers of all rows.
    pub(super) fn equations(&self, canvas: &mut Canvas, stages: &Stages, trace: &Trace, k: usize) {
        const SIZE: f64 = 12.5;
        let l = stages.stage(k + 1).layer;
        let last = l == stages.last_layer();
        let (most, decimals) = ([12, 5], if last { 4 } else { 3 });
        let member = |of: usize| {
            let stage = stages.stage(of);
            let first = self.at(stages, of, 0);
            let n = trace.rows();
            let data = (0..n).flat_map(|i| trace.output(of).row(i)[first..first + stage.width].to_vec()).collect();
            Matrix::from_vec(n, stage.width, data).expect("one member's numbers")
        };
        let (x, z) = (member(k), member(k + 1));
        let neuron = self.last_stage(stages, l);
        let mut y = member(neuron);
        if last {
            let width = stages.stage(neuron).width;
            let first = self.at(stages, neuron, 0);
            for i in 0..y.rows() {
                y.row_mut(i).copy_from_slice(&trace.prediction().row(i)[first..first + width]);
            }
        }
        let weights = {
            let (from, to) = (stages.stage(k).width, stages.stage(k + 1).width);
            Grid::new(cells(from, to, most, |i, j| fixed(self.weight(stages, l, i, j), 3)), SIZE)
        };
        let biases = self.biases(stages, k);
        let biases = MatrixRef::new(1, biases.len(), &biases).expect("one row");
        let grid = |matrix: &Matrix<f64>, decimals: usize| Grid::new(numbers(matrix.view(), most, decimals), SIZE);
        let (up, down) = (superscript(l), superscript(l - 1));
        let z_name = format!("Z⁽{up}⁾");
        let from = Symbol::new(stages.stage(k).letter, 0, None, &[]).letter.plain().to_uppercase();
        let first: Vec<Piece> = vec![
            Piece::Text(format!("{z_name} =")),
            Piece::Grid(grid(&x, 3), format!("{from}⁽{down}⁾")),
            Piece::Grid(weights, format!("W⁽{up}⁾")),
            Piece::Text("+  1".into()),
            Piece::Grid(Grid::new(numbers(biases, most, 3), SIZE), format!("b⁽{up}⁾ᵀ")),
            Piece::Text("=".into()),
            Piece::Grid(grid(&z, decimals), String::new()),
        ];
        lay_out(canvas, 0.0, first);
        let top = canvas.bounds()[3] + 44.0;
        let between = &self.network.layers()[k + 1..neuron];
        let name = match between {
            [] if last => {
                let text = format!("{:?}", self.loss.link()).to_lowercase();
                if text == "identity" { String::new() } else { text }
            }
            [Layer::Activation(Activation::Identity)] => String::new(),
            layers => {
                let shown = layers.iter().filter(|layer| !matches!(layer, Layer::Dropout { .. }));
                let names = shown.map(|layer| layer.to_string().split(':').next().unwrap_or_default().to_owned());
                names.collect::<Vec<_>>().join(", ")
            }
        };
        let inside = format!("X⁽{up}⁾ = {name}({z_name})");
        let second = vec![
            Piece::Text(if name.is_empty() { format!("X⁽{up}⁾ = {z_name}") } else { inside }),
            Piece::Text("=".into()),
            Piece::Grid(grid(&y, decimals), String::new()),
        ];
        lay_out(canvas, top, second);
    }

    /// X⁽⁰⁾ at the left of a network, its row `row` framed, and arrows into the inputs.
    pub(super) fn rows_at_the_left(&self, canvas: &mut Canvas, trace: &Trace, row: usize, drawn: &Drawn) {
        const SIZE: f64 = 12.0;
        let Some(column) = drawn.columns.first() else { return };
        if column.neuron != 0 || trace.output(0).cols() > 6 {
            // Many columns: the names and numbers of those that are shown.
            for &i in &column.shown {
                let (x, y) = drawn.neurons[&(0, i)];
                let origin = crate::explain::trace::origin(self.network, column.neuron, i);
                if let Some(name) = origin.and_then(|origin| self.columns.get(origin)) {
                    let name: String = name.chars().take(24).collect();
                    canvas.text(x - drawn.sizes.radius - 8.0, y, Anchor::End, 11.5, Ink::Quiet, &name);
                }
            }
            return;
        }
        // At most ten rows, the shown one among them.
        let first = if trace.rows() <= 10 { 0 } else { row.saturating_sub(4).min(trace.rows() - 10) };
        let count = trace.rows().min(10);
        let x = trace.output(0);
        let cells = (first..first + count).map(|i| x.row(i).iter().map(|x| fixed(*x, 3)).collect()).collect();
        let grid = Grid::new(cells, SIZE);
        let left = -drawn.sizes.radius - 96.0 - grid.width();
        let top = -grid.height() / 2.0;
        let title = if self.columns.len() == x.cols() { self.columns.join("  ") } else { "X".into() };
        let title = if width_of(&title, 11.0) > grid.width() + 20.0 { "X".into() } else { title };
        canvas.text(left + grid.width() / 2.0, top - 14.0, Anchor::Middle, 11.0, Ink::Quiet, &title);
        grid.draw(canvas, left, top);
        let y = top + grid.row(row - first);
        canvas.frame(left + 3.0, y - grid.step() / 2.0, grid.width() - 6.0, grid.step(), Ink::Path(0));
        for &i in &column.shown {
            let (to_x, to_y) = drawn.neurons[&(0, i)];
            let (start, end) = ((left + grid.width() + 5.0, y), (to_x - drawn.sizes.radius, to_y));
            canvas.line(start, end, Ink::Path(0), 1.3, true, "");
        }
    }
}

fn plural(n: usize) -> &'static str {
    if n == 1 { "" } else { "s" }
}

/// A matrix of symbols with the meaning of its rows and columns around it.
fn shape(
    canvas: &mut Canvas,
    name: &str,
    [rows, columns]: [usize; 2],
    symbol: impl Fn(usize, usize) -> String,
    [of_rows, of_columns, a_row, a_column]: &[String; 4],
) {
    let grid = Grid::new(cells(rows, columns, [6, 6], symbol), 15.0);
    let (width, height) = (grid.width(), grid.height());
    grid.draw(canvas, 0.0, 0.0);
    canvas.text(-14.0, height / 2.0, Anchor::End, 17.0, Ink::Plain, &format!("{name} ="));
    canvas.text(width / 2.0, -22.0, Anchor::Middle, 13.0, Ink::Plain, of_columns);
    canvas.text(width + 16.0, height / 2.0, Anchor::Start, 13.0, Ink::Plain, of_rows);
    canvas.text(width / 2.0, height + 26.0, Anchor::Middle, 12.0, Ink::Quiet, a_row);
    canvas.text(width / 2.0, height + 44.0, Anchor::Middle, 12.0, Ink::Quiet, a_column);
}

/// A part of a line of an equation.
enum Piece {
    Text(String),
    /// A matrix and the name that stands over it.
    Grid(Grid, String),
}

/// A line of an equation from the left, its top at `y`.
fn lay_out(canvas: &mut Canvas, y: f64, pieces: Vec<Piece>) {
    let height = pieces
        .iter()
        .map(|piece| if let Piece::Grid(grid, _) = piece { grid.height() } else { 0.0 })
        .fold(20.0, f64::max);
    let mut x = 0.0;
    let middle = y + height / 2.0;
    for piece in pieces {
        match piece {
            Piece::Text(text) => {
                canvas.text(x, middle, Anchor::Start, 15.0, Ink::Plain, &text);
                x += width_of(&text, 15.0) + 10.0;
            }
            Piece::Grid(grid, name) => {
                let width = grid.width().max(width_of(&name, 13.0));
                let top = middle - grid.height() / 2.0;
                grid.draw(canvas, x + (width - grid.width()) / 2.0, top);
                if !name.is_empty() {
                    canvas.text(x + width / 2.0, top - 14.0, Anchor::Middle, 13.0, Ink::Quiet, &name);
                }
                x += width + 14.0;
            }
        }
    }
}
