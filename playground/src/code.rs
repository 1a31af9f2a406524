//! How a run is repeated elsewhere: the command line, and a script for PyTorch.

use crate::{App, Fault};
use chainrule::{Layer, Loss, Optimizer};
use chainrule_table::Target;
use chainrule_table::recipe::session::Session;
use serde_json::{Value, json};
use std::fmt::Write as _;

/// Up to so many numbers stand in the script itself.
const INLINE: usize = 120;

/// The command that gives the same weights after as many epochs, and the script.
pub(crate) fn code(app: &App) -> Result<Value, Fault> {
    let session = app.session()?;
    let quoted = |text: &str| match text.chars().all(|c| c.is_ascii_alphanumeric() || "_-.,:/+".contains(c))
        && !text.is_empty()
    {
        true => text.to_owned(),
        false => format!("'{}'", text.replace('\'', "'\\''")),
    };
    let mut command = format!("chainrule fit {}", quoted(&app.name));
    for (name, value) in app.given.iter().filter(|(name, value)| !value.is_empty() && name != "epochs") {
        let _ = write!(command, " --{name} {}", quoted(value));
    }
    if app.edited {
        command += " --start start.safetensors";
    }
    let epochs = session.steps().epochs();
    let steps = session.steps().steps();
    let whole = session.training().x.rows().div_ceil(batch(session)) * epochs == steps;
    let _ = write!(command, " --epochs {}", epochs.max(1));
    Ok(json!({
        "command": command, "epochs": epochs, "whole": whole && epochs > 0, "edited": app.edited,
        "pytorch": pytorch(app, session),
    }))
}

fn batch(session: &Session<'_>) -> usize {
    session.training_options().batch_size.unwrap_or(session.training().x.rows())
}

/// The encoded training rows with their targets, as CSV.
pub(crate) fn encoded(session: &Session<'_>) -> String {
    let data = session.training();
    let quoted = |name: &str| format!("\"{}\"", name.replace('"', "\"\""));
    let mut text: String = session.encoder().columns().iter().map(|column| quoted(&column.name) + ",").collect();
    text += &format!("{}\n", quoted(session.target().column()));
    for i in 0..data.x.rows() {
        for x in data.x.row(i) {
            let _ = write!(text, "{x},");
        }
        let _ = writeln!(text, "{}", data.y.row(i)[0]);
    }
    text
}

fn list(values: &[f64], columns: usize) -> String {
    let rows: Vec<String> = values
        .chunks(columns.max(1))
        .map(|row| format!("[{}]", row.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")))
        .collect();
    format!("[{}]", rows.join(",\n    "))
}

fn pytorch(app: &App, session: &Session<'_>) -> String {
    let (network, run, data) = (session.network(), session.training_options(), session.training());
    let inline_weights = app.start.len() <= INLINE;
    let mut text =
        String::from("# The same run in PyTorch, whose sums have another order: the last digits may differ.\n");
    text += if inline_weights { "# pip install torch numpy\n" } else { "# pip install torch numpy safetensors\n" };
    text += "import numpy as np\nimport torch\nfrom torch import nn\n\ntorch.set_default_dtype(torch.float64)\n\n";
    let classes = matches!(session.target(), Target::Classification(_));
    let several = matches!(run.loss, Loss::CrossEntropy { .. });
    if data.x.as_slice().len() <= INLINE {
        let _ = writeln!(text, "X = torch.tensor({}, dtype=torch.float64)", list(data.x.as_slice(), data.x.cols()));
        let _ = writeln!(text, "Y = torch.tensor({}, dtype=torch.float64)", list(data.y.as_slice(), 1));
    } else {
        text +=
            "# encoded.csv is on the page, under Downloads: the rows that are learnt from, as the network sees them.\n";
        text += "table = torch.tensor(np.loadtxt(\"encoded.csv\", delimiter=\",\", skiprows=1, ndmin=2))\n";
        text += "X, Y = table[:, :-1], table[:, -1:]\n";
    }
    if several {
        text += "Y = Y[:, 0].long()\n";
    }
    text += "\nmodel = nn.Sequential(\n";
    for (k, layer) in network.layers().iter().enumerate() {
        let line = match layer {
            Layer::Dense { outputs } => {
                let inputs = if k == 0 { network.inputs() } else { network.width(k - 1) };
                format!("nn.Linear({inputs}, {outputs})")
            }
            Layer::Activation(activation) => match activation.to_string().as_str() {
                "relu" => "nn.ReLU()".into(),
                "tanh" => "nn.Tanh()".into(),
                "logistic" => "nn.Sigmoid()".into(),
                "gelu" => "nn.GELU()".into(),
                "silu" => "nn.SiLU()".into(),
                "mish" => "nn.Mish()".into(),
                "selu" => "nn.SELU()".into(),
                "softplus" => "nn.Softplus()".into(),
                "identity" => "nn.Identity()".into(),
                name if name.starts_with("leaky_relu") => "nn.LeakyReLU(0.01)".into(),
                _ => "nn.ELU()".into(),
            },
            other => format!("nn.Identity()  # {other}"),
        };
        let _ = writeln!(text, "    {line},");
    }
    text += ")\n\nwith torch.no_grad():\n";
    if inline_weights {
        for segment in network.layout().segments() {
            let values = &app.start[segment.range.clone()];
            let (k, part) = segment.name.split_once('.').unwrap_or(("0", "weight"));
            let value = match part {
                // [n_in, n_out] here, the transpose in PyTorch.
                "weight" => {
                    format!("torch.tensor({}).T", list(values, segment.shape[1]).replace("\n    ", "\n        "))
                }
                _ => format!("torch.tensor({values:?})"),
            };
            let _ = writeln!(text, "    model[{k}].{part}.copy_({value})");
        }
    } else {
        text += "    from safetensors.torch import load_file\n";
        text += "    model.load_state_dict(load_file(\"start.safetensors\"))  # on the page, under Downloads\n";
    }
    let rate = run.learning_rate.unwrap_or_else(|| run.optimizer.default_learning_rate());
    let decay = run.weight_decay.unwrap_or_else(|| run.optimizer.default_weight_decay());
    let optimizer = match run.optimizer {
        Optimizer::Momentum { mu } => format!("SGD(model.parameters(), lr={rate}, momentum={mu})"),
        Optimizer::Nesterov { mu } => format!("SGD(model.parameters(), lr={rate}, momentum={mu}, nesterov=True)"),
        Optimizer::RmsProp { rho, epsilon } => {
            format!("RMSprop(model.parameters(), lr={rate}, alpha={rho}, eps={epsilon})")
        }
        Optimizer::Adam(m) => {
            format!("Adam(model.parameters(), lr={rate}, betas=({}, {}), eps={})", m.beta1, m.beta2, m.epsilon)
        }
        Optimizer::AdamW(m) => format!(
            "AdamW([{{\"params\": [p for p in model.parameters() if p.dim() > 1], \"weight_decay\": {decay}}},\n    \
             {{\"params\": [p for p in model.parameters() if p.dim() == 1], \"weight_decay\": 0.0}}], lr={rate}, betas=({}, {}), eps={})",
            m.beta1, m.beta2, m.epsilon
        ),
        _ => format!("SGD(model.parameters(), lr={rate})"),
    };
    let _ = writeln!(text, "\noptimizer = torch.optim.{optimizer}");
    text += match (classes, several) {
        (true, true) => "cost = nn.functional.cross_entropy\n",
        (true, false) => "cost = nn.functional.binary_cross_entropy_with_logits\n",
        _ => "\n\ndef cost(predicted, y):\n    return ((predicted - y) ** 2).sum() / (2 * len(y))\n\n",
    };
    let n = data.x.rows();
    let batch = batch(session);
    let epochs = session.steps().epochs().max(1);
    let _ = writeln!(text, "\nfor epoch in range({epochs}):");
    let penalty = match run.l2 {
        0.0 => String::new(),
        l2 => format!(" + {} * sum((p**2).sum() for p in model.parameters() if p.dim() > 1)", l2 / 2.0),
    };
    if batch < n {
        let _ = writeln!(text, "    order = np.random.default_rng([{}, 1, epoch]).permutation(len(X))", run.seed);
        let _ =
            writeln!(text, "    for start in range(0, len(X), {batch}):\n        rows = order[start:start + {batch}]");
        let _ = writeln!(text, "        loss = cost(model(X[rows]), Y[rows])");
        let _ = writeln!(
            text,
            "        optimizer.zero_grad()\n        (loss{penalty}).backward()\n        optimizer.step()"
        );
    } else {
        let _ = writeln!(text, "    loss = cost(model(X), Y)");
        let _ = writeln!(text, "    optimizer.zero_grad()\n    (loss{penalty}).backward()\n    optimizer.step()");
    }
    text += "print(cost(model(X), Y).item())\n";
    text
}
