//! The tutorial's figures, drawn by the library from its own numbers.

use crate::{Fault, Request, processor};
use chainrule::explain::{Diagram, Figure, Ledger, Line, Parameter, Theme, Trace, example};
use chainrule::{Data, Loss};
use serde_json::{Value, json};

/// Figure 1 to 19 as SVG, `theme` light or dark.
pub(crate) fn figure(request: &Request) -> Result<Value, Fault> {
    let theme = if request.text("theme") == "dark" { Theme::Dark } else { Theme::Light };
    let (network, loss) = (example::figure_8(), Loss::SquaredError);
    let (x, y) = example::data();
    let one = Data::new(x.rows_range(0..1), y.rows_range(0..1));
    let all = Trace::new(&network, &loss, &Data::new(x.view(), y.view()), processor())?;
    let first = Trace::new(&network, &loss, &one, processor())?;
    let n = request.count("number");
    let weight = |l, from, to| Parameter::weight(&network, l, from, to, None);
    let ledger = |l, from, to| Ledger::new(&network, &loss, &one, weight(l, from, to)?, 20, processor());
    let found = match n {
        15 | 16 => Some(ledger(3, 1, 1)?),
        17 => Some(ledger(3, 2, 1)?),
        18 => Some(ledger(2, 3, 2)?),
        19 => Some(ledger(1, 2, 1)?),
        _ => None,
    };
    let figure = match n {
        1 => Figure::Plain,
        2 => Figure::Receptors,
        3 => Figure::CallOut(weight(1, 1, 2)?),
        4 => Figure::Matrices(None),
        5 => Figure::WeightShape(1),
        6 => Figure::Matrices(Some(Line::Row(2, 2))),
        7 => Figure::Matrices(Some(Line::Column(2, 2))),
        8 => Figure::Start,
        9 => Figure::Values,
        10 => Figure::Shape(1),
        11..=13 => Figure::Equations(n - 10),
        14 => Figure::Cost,
        15..=19 => Figure::Paths { ledger: found.as_ref().expect("made above"), values: n != 15 && n != 17 },
        _ => return Err(Fault(format!("there is no figure {n}: there are 1 to 19"))),
    };
    let of_all = matches!(n, 8 | 10..=13);
    let trace = Some((if of_all { &all } else { &first }, 0));
    let names = ["x1".to_owned(), "x2".to_owned()];
    let diagram =
        Diagram { network: &network, loss: &loss, columns: &names, trace, member: 0, figure, theme, most: 12 };
    Ok(json!({"svg": diagram.svg()?}))
}

#[cfg(test)]
mod tests {
    use crate::App;
    use serde_json::{Value, json};

    #[test]
    fn all_nineteen_figures_are_drawn_and_hold_the_tutorial_s_numbers() {
        let mut app = App::default();
        let svg = |app: &mut App, n: u32| {
            let request = json!({"op": "figure", "number": n, "theme": "light"});
            let answer: Value = serde_json::from_slice(&app.call(request.to_string().as_bytes())).unwrap();
            answer["svg"].as_str().unwrap_or_else(|| panic!("figure {n}: {answer}")).to_owned()
        };
        for n in 1..=19 {
            assert!(svg(&mut app, n).starts_with("<svg"), "{n}");
        }
        for (n, number) in
            [(8, "113"), (9, "0.82"), (11, "0.818"), (12, "0.025"), (13, "0.0017"), (16, "−113"), (19, "0.07")]
        {
            assert!(svg(&mut app, n).contains(number), "figure {n} lacks {number}");
        }
    }
}
