//! PyTorch: a script to read, with the network as an `nn.Sequential`, its loss, its optimizer and what is done to the columns;
//! the weights beside it. It is the tutorial's section 7 for a network of one's own.

use super::ExportError;
use super::program::{Answer, Cell, Chain, Op, Program, Put, Quantiles, Step};
use crate::model::Model;
use crate::scale::Affine;
use chainrule::activation::Activation;
use chainrule::loss::{Link, Loss};
use chainrule::model_file::{ModelFile, Tensor};
use chainrule::optimizer::{Moments, Optimizer};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::fmt::Write as _;

/// A parameter or buffer of a layer: its name there, its shape, its numbers.
type Named = (&'static str, Vec<usize>, Vec<f64>);

/// What PyTorch calls a step's numbers.
fn numbers_of(step: &Step) -> Vec<Named> {
    let [n, outputs] = step.widths;
    let members = step.members[0];
    match &step.op {
        Op::Dense { weights, biases, heads: false } => {
            let transposed = (0..outputs).flat_map(|j| (0..n).map(move |k| weights[k * outputs + j])).collect();
            vec![("weight", vec![outputs, n], transposed), ("bias", vec![outputs], biases.clone())]
        }
        Op::Dense { weights, biases, heads: true } => {
            vec![
                ("weight", vec![members, n, outputs], weights.clone()),
                ("bias", vec![members, outputs], biases.clone()),
            ]
        }
        Op::Members { scale, shift } => {
            let shape = vec![step.members[1], n];
            vec![("weight", shape.clone(), scale.clone()), ("bias", shape, shift.clone())]
        }
        Op::Piecewise { bins, width, columns, edges, line, slopes, knots, .. } => {
            let (c, one, many) = (columns.len(), *width, bins * width);
            let mut weights = Vec::with_capacity(c * (one + many));
            let mut biases = Vec::with_capacity(c * one);
            for column in 0..c {
                weights.extend_from_slice(&line[column * one..(column + 1) * one]);
                weights.extend_from_slice(&slopes[column * many..(column + 1) * many]);
                biases.extend_from_slice(&knots[column * many..column * many + one]);
            }
            vec![
                ("edges", vec![c, bins + 1], edges.clone()),
                ("weight", vec![c, bins + 1, *width], weights),
                ("bias", vec![c, *width], biases),
            ]
        }
        Op::BatchNorm { rows, .. } => ["running_mean", "running_var", "weight", "bias"]
            .into_iter()
            .zip(rows)
            .map(|(name, row)| (name, vec![n], row.clone()))
            .collect(),
        Op::LayerNorm { rows, .. } => {
            ["weight", "bias"].into_iter().zip(rows).map(|(name, row)| (name, vec![n], row.clone())).collect()
        }
        Op::Activation(_) | Op::Dropout { .. } => Vec::new(),
    }
}

/// The weights' file: `<network>.<layer>.<name>`, as `nn.ModuleList` and `nn.Sequential` call them.
pub(super) fn weights(program: &Program) -> Result<Vec<u8>, ExportError> {
    let mut tensors = BTreeMap::new();
    for (m, chain) in program.chains.iter().enumerate() {
        for step in &chain.steps {
            for (name, shape, numbers) in numbers_of(step) {
                let single: Vec<f32> = numbers.iter().map(|&x| x as f32).collect();
                let tensor = if chain.single { Tensor::new(&shape, &single)? } else { Tensor::new(&shape, &numbers)? };
                tensors.insert(format!("{m}.{}.{name}", step.layer), tensor);
            }
        }
    }
    let metadata = [("for".to_owned(), Value::from("pytorch"))].into_iter().collect();
    Ok(ModelFile { tensors, metadata }.write_bytes()?)
}

/// The program with its numbers from such a file, as the script reads them; none if one is missing.
pub(super) fn restored(program: &Program, file: &[u8]) -> Option<Program> {
    let file = ModelFile::read_bytes(file).ok()?;
    let mut program = program.clone();
    for (m, chain) in program.chains.iter_mut().enumerate() {
        let single = chain.single;
        for step in &mut chain.steps {
            let [n, outputs] = step.widths;
            let read = |name: &str| {
                let tensor = file.tensors.get(&format!("{m}.{}.{name}", step.layer))?;
                match single {
                    true => Some(tensor.values::<f32>().ok()?.into_iter().map(f64::from).collect::<Vec<f64>>()),
                    false => tensor.values::<f64>().ok(),
                }
            };
            match &mut step.op {
                Op::Dense { weights, biases, heads } => {
                    let w = read("weight")?;
                    *weights = if *heads {
                        w
                    } else {
                        (0..n).flat_map(|k| (0..outputs).map(|j| w[j * n + k]).collect::<Vec<_>>()).collect()
                    };
                    *biases = read("bias")?;
                }
                Op::Members { scale, shift } => (*scale, *shift) = (read("weight")?, read("bias")?),
                Op::Piecewise { bins, width, columns, edges, line, slopes, knots, .. } => {
                    let (w, b) = (read("weight")?, read("bias")?);
                    *edges = read("edges")?;
                    (*line, *slopes, *knots) = Default::default();
                    for c in 0..columns.len() {
                        let w = &w[c * (*bins + 1) * *width..(c + 1) * (*bins + 1) * *width];
                        line.extend_from_slice(&w[..*width]);
                        slopes.extend_from_slice(&w[*width..]);
                        let mut knot = b[c * *width..(c + 1) * *width].to_vec();
                        for t in 0..*bins {
                            knots.extend_from_slice(&knot);
                            let add = |(knot, slope): (&mut f64, &f64)| {
                                *knot = if single { f64::from((*knot + slope) as f32) } else { *knot + slope };
                            };
                            knot.iter_mut().zip(&w[(t + 1) * *width..]).for_each(add);
                        }
                    }
                }
                Op::BatchNorm { rows, .. } => {
                    for (row, name) in rows.iter_mut().zip(["running_mean", "running_var", "weight", "bias"]) {
                        *row = read(name)?;
                    }
                }
                Op::LayerNorm { rows, .. } => {
                    for (row, name) in rows.iter_mut().zip(["weight", "bias"]) {
                        *row = read(name)?;
                    }
                }
                Op::Activation(_) | Op::Dropout { .. } => {}
            }
        }
    }
    Some(program)
}

/// A value as Python writes it.
fn python(value: &Value) -> String {
    match value {
        Value::Null => "None".into(),
        Value::Bool(yes) => if *yes { "True" } else { "False" }.into(),
        Value::Array(all) => {
            let parts: Vec<String> = all.iter().map(python).collect();
            format!("[{}]", parts.join(", "))
        }
        Value::Object(all) => {
            let parts: Vec<String> =
                all.iter().map(|(key, value)| format!("{}: {}", Value::from(key.as_str()), python(value))).collect();
            format!("{{{}}}", parts.join(", "))
        }
        // JSON's texts and numbers are Python's.
        other => other.to_string(),
    }
}

fn number(x: f64) -> String {
    format!("{x:?}")
}

fn layer(step: &Step) -> String {
    let [n, outputs] = step.widths;
    let members = step.members[0];
    match &step.op {
        Op::Dense { heads: false, .. } => format!("nn.Linear({n}, {outputs})"),
        Op::Dense { heads: true, .. } => format!("Heads({members}, {n}, {outputs})"),
        Op::Members { .. } => format!("Members({}, {n})", step.members[1]),
        Op::Piecewise { bins, width, columns, .. } => format!("Piecewise({columns:?}, {n}, {bins}, {width})"),
        Op::BatchNorm { epsilon, momentum, .. } => {
            format!("nn.BatchNorm1d({n}, eps={}, momentum={})", number(*epsilon), number(*momentum))
        }
        Op::LayerNorm { epsilon, .. } => format!("nn.LayerNorm({n}, eps={})", number(*epsilon)),
        Op::Dropout { rate } => format!("nn.Dropout({})", number(*rate)),
        Op::Activation(activation) => match activation {
            Activation::Identity | Activation::Own(_) => "nn.Identity()".into(),
            Activation::Relu => "nn.ReLU()".into(),
            Activation::LeakyRelu { slope } => format!("nn.LeakyReLU({})", number(*slope)),
            Activation::Elu { alpha } => format!("nn.ELU({})", number(*alpha)),
            Activation::Selu => "nn.SELU()".into(),
            Activation::Gelu => "nn.GELU()".into(),
            Activation::Silu => "nn.SiLU()".into(),
            Activation::Mish => "nn.Mish()".into(),
            Activation::Softplus => "nn.Softplus()".into(),
            Activation::Tanh => "nn.Tanh()".into(),
            Activation::Logistic => "nn.Sigmoid()".into(),
        },
    }
}

const PIECEWISE: &str = r#"
class Piecewise(nn.Module):
    """Each of the columns, a number x, becomes `width` numbers: b + x w0 + sum over bins of (share of the bin below x) w."""

    def __init__(self, columns, inputs, bins, width):
        super().__init__()
        self.columns, self.others = columns, [c for c in range(inputs) if c not in columns]
        self.register_buffer("edges", torch.zeros(len(columns), bins + 1))
        self.weight = nn.Parameter(torch.zeros(len(columns), bins + 1, width))
        self.bias = nn.Parameter(torch.zeros(len(columns), width))

    def forward(self, x):
        low, span = self.edges[:, :-1], self.edges[:, 1:] - self.edges[:, :-1]
        column = x[:, self.columns].unsqueeze(2)
        share = ((column - low) / span.masked_fill(span <= 0, torch.inf)).clamp(0, 1)
        embedded = self.bias + column * self.weight[:, 0] + torch.einsum("ncb,cbw->ncw", share, self.weight[:, 1:])
        return torch.cat([embedded.flatten(1), x[:, self.others]], 1)

"#;

const MEMBERS: &str = r#"
class Members(nn.Module):
    """The row for each of several networks in one, through a scale and shift of its own: [n, w] -> [n, members, w]."""

    def __init__(self, members, width):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(members, width))
        self.bias = nn.Parameter(torch.zeros(members, width))

    def forward(self, x):
        return x.unsqueeze(1) * self.weight + self.bias

"#;

const HEADS: &str = r#"
class Heads(nn.Module):
    """A linear layer for each member."""

    def __init__(self, members, inputs, outputs):
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(members, inputs, outputs))
        self.bias = nn.Parameter(torch.zeros(members, outputs))

    def forward(self, x):
        x = x if x.dim() == 3 else x.unsqueeze(1)
        return torch.einsum("nmi,mio->nmo", x, self.weight) + self.bias

"#;

const PREPARE: &str = r##"
MISSING = {"", "NA", "N/A", "#N/A", "<NA>", "NaN", "nan", "NaT", "null", "NULL", "None", "?"}


def prepare(rows):
    """A table's rows, dictionaries of texts or numbers, as numbers [n, width]."""
    x = torch.zeros(len(rows), sum(c["width"] for c in COLUMNS), dtype=torch.float64)
    for i, row in enumerate(rows):
        first = 0
        for c in COLUMNS:
            cell = row[c["name"]]
            cell = None if cell is None or str(cell).strip() in MISSING else cell
            put = c["missing"] if cell is None else None
            if "texts" in c:
                if cell is not None:
                    put = c["texts"].get(str(cell).strip(), c["unseen"])
            elif c["scale"] is not None:
                z = ((c["median"] if cell is None else float(cell)) - c["mean"]) / c["scale"]
                x[i, first] = z / math.sqrt(1 + (z / 3) * (z / 3)) if c["bent"] else z
            if put is not None:
                x[i, first + put[0]] = put[1]
            first += c["width"]
    return x

"##;

/// The script. `name` is the weights' file.
pub(super) fn print(model: &Model, program: &Program, about: &[String], weights: &str) -> String {
    let mut text = String::from("\"\"\"");
    text += &about.join("\n").replace('\\', "\\\\").replace('"', "'");
    text += "\n\nIt needs torch and safetensors. `python THIS_FILE new.csv` prints the predictions for a table's rows;\n\
             `train(x, y)` trains the networks on, as they were trained.\n\"\"\"\n\nimport csv\nimport math\nimport sys\n\
             from pathlib import Path\n\nimport torch\nfrom safetensors.torch import load_file\nfrom torch import nn\n\n\
             # The table's columns, and how a cell becomes numbers: (x - mean) / scale, bent to stay within 3 where it says so;\n\
             # a text puts a number in a place. `missing` and `unseen` say what those put.\nCOLUMNS = [\n";
    let put = |put: Option<Put>| put.map_or(Value::Null, |put| json!([put.place, put.value]));
    for column in &program.columns {
        let value = match &column.cell {
            Cell::Number { median, affine, bent, gap } => json!({
                "name": column.name, "width": column.width, "median": median,
                "mean": affine.map(|affine| affine.mean()), "scale": affine.map(|affine| affine.scale()),
                "bent": bent, "missing": put(*gap),
            }),
            Cell::Text { spellings, unseen, gap } => {
                let texts: serde_json::Map<String, Value> =
                    spellings.iter().map(|(text, each)| (text.clone(), put(Some(*each)))).collect();
                json!({"name": column.name, "width": column.width, "texts": texts, "unseen": put(*unseen), "missing": put(*gap)})
            }
        };
        let _ = writeln!(text, "    {},", python(&value));
    }
    text += "]\n\n";
    text += PREPARE;
    let uses = |wanted: &dyn Fn(&Op) -> bool| {
        program.chains.iter().flat_map(|chain| &chain.steps).any(|step| wanted(&step.op))
    };
    if uses(&|op| matches!(op, Op::Piecewise { .. })) {
        text += PIECEWISE;
    }
    if uses(&|op| matches!(op, Op::Members { .. })) {
        text += MEMBERS;
    }
    if uses(&|op| matches!(op, Op::Dense { heads: true, .. })) {
        text += HEADS;
    }
    networks(&mut text, program, weights);
    predict(&mut text, program);
    train(&mut text, model, program);
    text += "\n\nif __name__ == \"__main__\":\n    with open(sys.argv[1], newline=\"\", encoding=\"utf-8-sig\") as file:\n        \
             rows = list(csv.DictReader(file))\n    predicted = predict(rows)\n    if LABELS is None:\n        \
             for numbers in predicted.tolist():\n            print(*numbers, sep=\",\")\n    else:\n        \
             for p in predicted.tolist():\n            print(LABELS[p.index(max(p))], *p, sep=\",\")\n";
    text
}

fn networks(text: &mut String, program: &Program, weights: &str) {
    let _ = writeln!(text, "\n# The networks, layer by layer.\nNETWORKS = nn.ModuleList([");
    let mut written: Vec<(String, usize)> = Vec::new();
    for Chain { single, steps, .. } in &program.chains {
        let layers: String = steps.iter().map(|step| format!("        {},\n", layer(step))).collect();
        let precision = if *single { "float32" } else { "float64" };
        let network = format!("nn.Sequential(\n{layers}    ).to(torch.{precision})");
        match written.last_mut() {
            Some((last, count)) if *last == network => *count += 1,
            _ => written.push((network, 1)),
        }
    }
    for (network, count) in written {
        let _ = match count {
            1 => writeln!(text, "    {network},"),
            _ => writeln!(text, "    *[{network} for _ in range({count})],"),
        };
    }
    // A batch norm's counter of batches is not in the file: it is of no use at prediction.
    let weights = Value::from(weights);
    let _ = writeln!(
        text,
        "])\nkeys = NETWORKS.load_state_dict(load_file(Path(__file__).with_name({weights})), strict=False)\n\
         assert not keys.unexpected_keys and all(key.endswith(\"num_batches_tracked\") for key in keys.missing_keys), keys\n\
         NETWORKS.eval()"
    );
}

fn predict(text: &mut String, program: &Program) {
    let labels = match &program.answer {
        Answer::Label(labels) => python(&json!(labels)),
        Answer::Number { .. } => "None".into(),
    };
    let _ = writeln!(text, "LABELS = {labels}");
    let shares = program.shares.clone().unwrap_or_else(|| vec![1.0]);
    let shares: Vec<String> = shares.iter().map(|&share| number(share)).collect();
    let link = match program.link {
        Link::Identity => "z",
        Link::Logistic => "z.sigmoid()",
        Link::Softmax => "z.softmax(-1)",
        Link::Exponential => "z.exp()",
    };
    let _ = writeln!(
        text,
        "# Each network's share in the mean.\nSHARES = [{}]\n\n\n@torch.no_grad()\ndef predict(rows):\n    \
         \"\"\"Predictions for a table's rows, in doubles [n, numbers].\"\"\"\n    x, y = prepare(rows), 0\n    \
         for network, share in zip(NETWORKS, SHARES):\n        z = network(x.to(next(network.parameters()).dtype))\n        \
         p = {link}\n        p = p.mean(1) if p.dim() == 3 else p  # of the members\n        y = y + share * p.double()",
        shares.join(", ")
    );
    if let Some([low, high]) = program.range {
        let _ =
            writeln!(text, "    y = y.clamp({}, {})  # as far as the training rows went", number(low), number(high));
    }
    match &program.answer {
        Answer::Label(_) => {
            if program.link == Link::Logistic {
                *text += "    y = torch.cat([1 - y, y], 1)\n";
            }
            if program.temperature != 1.0 {
                let temperature = number(program.temperature);
                let _ = writeln!(text, "    y = (y.clamp(min=1e-300).log() / {temperature}).softmax(1)  # calibrated");
            }
        }
        Answer::Number { affines, output, quantiles } => {
            match quantiles {
                Quantiles::None => {}
                Quantiles::Outputs(levels) => {
                    let _ = writeln!(
                        text,
                        "    y = torch.cat([y[:, {output}:{}], y], 1)  # then the quantiles {levels:?}",
                        output + 1
                    );
                }
                Quantiles::Around(intervals) => {
                    let edges = python(&json!(intervals.edges));
                    let offsets = python(&json!(intervals.offsets));
                    let _ = writeln!(
                        text,
                        "    # Quantiles {:?}, by where the prediction stands.\n    \
                         edges = torch.tensor({edges}, dtype=torch.float64)\n    \
                         offsets = torch.tensor({offsets}, dtype=torch.float64)\n    \
                         y = torch.cat([y, y + offsets[torch.bucketize(y[:, 0].contiguous(), edges, right=True)]], 1)",
                        intervals.levels
                    );
                }
            }
            let [means, scales] = [Affine::mean, Affine::scale].map(|of| match &affines[..] {
                [one] => number(of(one)),
                all => format!("y.new_tensor({})", python(&json!(all.iter().map(of).collect::<Vec<f64>>()))),
            });
            let _ = writeln!(text, "    y = {means} + {scales} * y  # back to the target's unit");
        }
    }
    *text += "    return y\n";
}

fn train(text: &mut String, model: &Model, program: &Program) {
    let training = model.facts.get("training").cloned().unwrap_or_default();
    let fact = |name: &str| training[name].as_f64();
    let (loss, y) = match &model.loss {
        Loss::SquaredError => {
            ("0.5 * (z - y).square().sum(-1).mean()".into(), "numbers [n, 1], (target - mean) / scale")
        }
        Loss::AbsoluteError => ("(z - y).abs().sum(-1).mean()".into(), "numbers [n, 1], (target - mean) / scale"),
        Loss::Huber { delta } => (
            format!("nn.functional.huber_loss(z, y, delta={})", number(*delta)),
            "numbers [n, 1], (target - mean) / scale",
        ),
        Loss::Quantile { levels } => (
            format!("torch.maximum((t := z.new_tensor({levels:?})) * (y - z), (t - 1) * (y - z)).sum(-1).mean()"),
            "numbers [n, 1], (target - mean) / scale",
        ),
        Loss::BinaryCrossEntropy => {
            ("nn.functional.binary_cross_entropy_with_logits(z, y)".into(), "0 or 1, [n, 1], the label's index")
        }
        Loss::CrossEntropy { smoothing } => (
            format!("nn.functional.cross_entropy(z, y, label_smoothing={})", number(*smoothing)),
            "indices of labels [n]",
        ),
        Loss::Poisson => ("nn.functional.poisson_nll_loss(z, y)".into(), "counts [n, 1]"),
        Loss::Own(_) => return,
    };
    let optimizer = training["optimizer"]
        .as_str()
        .and_then(|text| text.parse().ok())
        .unwrap_or(Optimizer::AdamW(Moments::default()));
    let rate = number(fact("learning_rate").unwrap_or(optimizer.default_learning_rate()));
    let decay = fact("weight_decay").unwrap_or(optimizer.default_weight_decay());
    let moments = |m: Moments| format!("betas=({}, {}), eps={}", number(m.beta1), number(m.beta2), number(m.epsilon));
    let optimizer = match optimizer {
        Optimizer::GradientDescent => format!("torch.optim.SGD(groups, lr={rate})"),
        Optimizer::Momentum { mu } => format!("torch.optim.SGD(groups, lr={rate}, momentum={})", number(mu)),
        Optimizer::Nesterov { mu } => {
            format!("torch.optim.SGD(groups, lr={rate}, momentum={}, nesterov=True)", number(mu))
        }
        Optimizer::RmsProp { rho, epsilon } => {
            format!("torch.optim.RMSprop(groups, lr={rate}, alpha={}, eps={})", number(rho), number(epsilon))
        }
        Optimizer::Adam(m) | Optimizer::AdamW(m) => format!("torch.optim.AdamW(groups, lr={rate}, {})", moments(m)),
        Optimizer::AdamHat(m) => {
            format!(
                "torch.optim.AdamW(groups, lr={rate}, {})  # eps beside the corrected root, not the raw one",
                moments(m)
            )
        }
        Optimizer::Lbfgs { memory } => {
            format!("torch.optim.LBFGS(network.parameters(), history_size={memory}, line_search_fn=\"strong_wolfe\")")
        }
    };
    let epochs = fact("planned_epochs").or(fact("epochs")).unwrap_or(100.0);
    let batch = fact("batch_size").map_or("None".into(), |n| format!("{n}"));
    // Where all rows are one batch; unlike an argument's default, this line knows x.
    let all = if batch == "None" { "    batch = batch or len(x)\n" } else { "" };
    let members = if program.chains.iter().any(|chain| chain.members > 1) {
        "\n    if z.dim() == 3:  # every member has the loss\n        z, y = z.flatten(0, 1), y.repeat_interleave(z.shape[1], 0)"
    } else {
        ""
    };
    let _ = writeln!(
        text,
        "\n\ndef loss(z, y):\n    \"\"\"The cost of a batch; y: {y}.\"\"\"{members}\n    return {loss}\n\n\n\
         def train(x, y, network=NETWORKS[0], epochs={epochs}, batch={batch}):\n    \
         \"\"\"Mini-batches in a fresh order each epoch; x from `prepare`. Only weights decay.\"\"\"\n    \
         weights = [p for name, p in network.named_parameters() if name.endswith(\"weight\") and p.dim() > 1]\n    \
         others = [p for name, p in network.named_parameters() if not (name.endswith(\"weight\") and p.dim() > 1)]\n    \
         groups = [{{\"params\": weights, \"weight_decay\": {decay}}}, {{\"params\": others, \"weight_decay\": 0.0}}]\n    \
         optimizer = {optimizer}\n{all}    x = x.to(weights[0].dtype)\n    y = y.to(weights[0].dtype) if y.is_floating_point() else y\n    \
         network.train()\n    for epoch in range(epochs):\n        for rows in torch.randperm(len(x)).split(batch):\n            \
         def closure():\n                optimizer.zero_grad()\n                cost = loss(network(x[rows]), y[rows])\n                \
         cost.backward()\n                return cost\n\n            cost = optimizer.step(closure)\n        \
         print(f\"epoch {{epoch + 1}}: loss {{float(cost):.6f}}\")\n    network.eval()",
        decay = number(decay),
    );
}
