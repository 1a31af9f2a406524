use super::*;
use crate::activation::Activation;
use crate::backprop::Data;
use crate::kernels::Processor;
use crate::matrix::Matrix;

const X: [[f64; 2]; 10] = [
    [6.1, 8.7],
    [3.9, 8.7],
    [4.9, 5.5],
    [8.0, 5.5],
    [6.3, 3.2],
    [7.5, 6.2],
    [5.0, 7.7],
    [4.8, 5.7],
    [3.8, 5.4],
    [4.2, 4.6],
];
const Y: [[f64; 1]; 10] = [[113.0], [90.0], [58.0], [97.0], [42.0], [89.0], [84.0], [54.0], [44.0], [39.0]];

/// The tutorial's network with the weights of its Figure 8.
fn figure_8() -> Network<f64> {
    let mut network = Network::mlp(2, &[3, 2], 1, &Activation::Relu, None, 0).unwrap();
    network.parameters_mut().copy_from_slice(&[
        -0.08, 0.02, 0.06, 0.02, 0.08, -0.09, 0.0, 0.0, 0.0, //
        0.01, -0.01, -0.09, 0.03, 0.07, 0.02, 0.0, 0.0, //
        -0.05, 0.07, 0.0,
    ]);
    network
}

fn diagram<'a>(network: &'a Network<f64>, columns: &'a [String], figure: Figure<'a>) -> Diagram<'a> {
    Diagram {
        network,
        loss: &Loss::SquaredError,
        columns,
        trace: None,
        member: 0,
        figure,
        theme: Theme::Light,
        most: 12,
    }
}

/// No label lies upon another, and none upon a neuron that it does not stand in.
fn is_legible(diagram: &Diagram<'_>, what: &str) -> String {
    let (canvas, _) = diagram.draw().unwrap();
    for (n, a) in canvas.labels.iter().enumerate() {
        for b in &canvas.labels[..n] {
            assert!(!a.meets(b), "{what}: {:?} lies upon {:?}", a, b);
        }
        for shape in &canvas.shapes {
            let inside = a.x >= shape.x
                && a.x + a.width <= shape.x + shape.width
                && a.y >= shape.y
                && a.y + a.height <= shape.y + shape.height;
            // A text of one line may be higher than a box of a crowded network: its middle counts.
            let middle = canvas::Area { y: a.y + a.height / 2.0 - 1.0, height: 2.0, ..a.clone() };
            assert!(inside || !middle.meets(shape), "{what}: {a:?} crosses {shape:?}");
        }
    }
    diagram.svg().unwrap()
}

#[test]
fn all_nineteen_figures_are_drawn_and_legible() {
    let network = figure_8();
    let processor = Processor::new(1);
    let (x, y) = (Matrix::from_rows(&X), Matrix::from_rows(&Y));
    let trace = Trace::new(&network, &Loss::SquaredError, &Data::new(x.view(), y.view()), &processor).unwrap();
    let columns = ["x1".to_owned(), "x2".to_owned()];
    let row = Data::new(x.rows_range(0..1), y.rows_range(0..1));
    let ledger = |l, i, j| {
        let weight = Parameter::weight(&network, l, i, j, None).unwrap();
        Ledger::new(&network, &Loss::SquaredError, &row, weight, 20, &processor).unwrap()
    };
    let (of_16, of_17, of_18, of_19) = (ledger(3, 1, 1), ledger(3, 2, 1), ledger(2, 3, 2), ledger(1, 2, 1));
    let called = Parameter::weight(&network, 1, 1, 2, None).unwrap();
    let paths = |ledger, values| Figure::Paths { ledger, values };
    let figures: [(&str, Figure<'_>, &[&str]); 19] = [
        ("1", Figure::Plain, &["Layer 0", "hidden layer"]),
        ("2", Figure::Receptors, &["Layer 3"]),
        ("3", Figure::CallOut(called), &["above: it leads from layer 0 to layer 1", "to neuron 2 of layer 1"]),
        ("4", Figure::Matrices(None), &["[2, 3]", "[3, 2]", "[2, 1]"]),
        ("5", Figure::WeightShape(1), &["2 rows: the neurons of layer 0", "3 columns: the neurons of layer 1"]),
        ("6", Figure::Matrices(Some(Line::Row(2, 2))), &["the weights that leave neuron 2 of layer 1"]),
        ("7", Figure::Matrices(Some(Line::Column(2, 2))), &["the weights that arrive at neuron 2 of layer 2"]),
        ("8", Figure::Start, &[">113<", ">−0.08<", "all b = 0"]),
        // Values of the tutorial's Figure 9; its x⁽²⁾₂ is 0.02.
        ("9", Figure::Values, &[">−0.31<", ">0.82<", ">−0.42<", ">−0.07<", ">0.02<", ">0.002<"]),
        ("10", Figure::Shape(1), &["10 rows: the samples", "3 columns: the receptors of layer 1"]),
        ("11", Figure::Equations(1), &[">−0.314<", ">0.818<", ">−0.417<", "relu"]),
        ("12", Figure::Equations(2), &[">−0.074<", ">0.025<"]),
        ("13", Figure::Equations(3), &[">0.0017<", ">0.0016<", ">0.0011<"]),
        ("14", Figure::Cost, &["J(x"]),
        ("15", paths(&of_16, false), &["∂J/∂x"]),
        ("16", paths(&of_16, true), &[">−113<", "(−112.998) · 1 · 0 = 0"]),
        ("17", paths(&of_17, true), &["−2.772977845"]),
        ("18", paths(&of_18, false), &["relu′(z"]),
        ("19", paths(&of_19, false), &["relu′(z"]),
    ];
    for (name, figure, expected) in figures {
        for theme in [Theme::Light, Theme::Dark] {
            let wanted = matches!(name, "8" | "9" | "10" | "11" | "12" | "13" | "16" | "17");
            let trace = wanted.then_some((&trace, 0));
            let diagram = Diagram { trace, theme, ..diagram(&network, &columns, figure) };
            let svg = is_legible(&diagram, &format!("figure {name}"));
            for part in expected {
                assert!(svg.contains(part), "figure {name} has no {part}\n{svg}");
            }
        }
    }
    // Figure 19: two paths in two colours meet at x⁽¹⁾₁.
    let (canvas, _) = diagram(&network, &columns, paths(&of_19, false)).draw().unwrap();
    let svg = canvas.finish("");
    assert!(svg.contains("#c2255c") && svg.contains("#1864ab"));
    assert_eq!(of_19.path_count, 2);
}

#[test]
fn networks_of_every_size_are_legible() {
    for widths in [
        &[1, 1][..],
        &[1, 4, 1],
        &[4, 4, 4, 4],
        &[12, 12, 12, 12],
        &[3, 7, 5, 2],
        &[20, 64, 64, 1],
        &[2, 500, 3],
        &[13, 2, 13],
        &[5, 5, 5, 5, 5, 5, 5, 5, 1],
    ] {
        let [inputs, hidden @ .., outputs] = widths else { unreachable!() };
        let network = Network::mlp(*inputs, hidden, *outputs, &Activation::Tanh, None, 1).unwrap();
        let names: Vec<String> = (0..*inputs).map(|i| format!("a rather long column's name {i}")).collect();
        let x = Matrix::from_vec(1, *inputs, (0..*inputs).map(|i| i as f64 - 3.5).collect()).unwrap();
        let y = Matrix::from_vec(1, *outputs, vec![1000.0; *outputs]).unwrap();
        let (data, processor) = (Data::new(x.view(), y.view()), Processor::new(1));
        let trace = Trace::new(&network, &Loss::SquaredError, &data, &processor).unwrap();
        let weight = Parameter::weight(&network, 1, 1, 1, None).unwrap();
        let ledger = Ledger::new(&network, &Loss::SquaredError, &data, weight, 20, &processor).unwrap();
        for figure in [
            Figure::Plain,
            Figure::Receptors,
            Figure::Values,
            Figure::Matrices(None),
            Figure::Cost,
            Figure::Start,
            Figure::CallOut(weight),
            Figure::Equations(1),
            Figure::Paths { ledger: &ledger, values: true },
        ] {
            let trace = Some((&trace, 0));
            is_legible(&Diagram { trace, ..diagram(&network, &names, figure) }, &format!("{widths:?}, {figure:?}"));
        }
        // No hairball: an elided layer has a few edges at each of a few neurons.
        let svg = diagram(&network, &names, Figure::Receptors).svg().unwrap();
        assert!(svg.len() < 150_000, "{widths:?}: {} bytes", svg.len());
    }
}

#[test]
fn a_name_from_a_table_cannot_inject_markup() {
    let network = figure_8();
    let columns = ["<script>alert(1)</script>".to_owned(), "\"&'\u{0}\u{1b}".to_owned()];
    let svg = diagram(&network, &columns, Figure::Receptors).svg().unwrap();
    assert!(!svg.contains("<script") && svg.contains("&lt;script&gt;"), "{svg}");
    assert!(!svg.contains(['\u{0}', '\u{1b}']));
}

#[test]
fn what_a_figure_needs_is_said() {
    let network = figure_8();
    let message = |figure| diagram(&network, &[], figure).svg().unwrap_err().to_string();
    assert_eq!(message(Figure::Values), "diagram: expected a row of data to show the numbers of, got none");
    assert_eq!(message(Figure::WeightShape(4)), "diagram: expected a layer from 1 to 3, got 4");
    assert_eq!(message(Figure::Matrices(Some(Line::Row(2, 4)))), "row: expected 1 to 3 of layer 2, got 4");
    let bias = Parameter::bias(&network, 1, 1, None).unwrap();
    assert_eq!(message(Figure::CallOut(bias)), "diagram: expected a weight of a dense layer, got 0.bias[1]");
}
