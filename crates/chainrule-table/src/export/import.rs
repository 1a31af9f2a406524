//! A PyTorch network taken in: a state dict in a safetensors file, and the list of its layers.
//!
//! The file names the parameters of linear layers and norms; it does not say what stands between them, nor what the columns
//! are. So a person gives the list of all layers in order, `linear,relu,linear`. Parameters go to the layers that have some,
//! in the order of their names (numbers in names count as numbers: `layers.10` comes after `layers.9`).

use super::ExportError;
use crate::model::Model;
use chainrule::model_file::{ModelFile, Tensor};
use chainrule::{Layer, Loss};
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;

/// No header of a state dict is longer.
const MAX_HEADER: usize = 16 << 20;
/// No network has more layers.
const MAX_LAYERS: usize = 1000;

/// What a state dict does not say.
#[derive(Clone, Debug)]
pub struct Import {
    /// The layers in order: `linear` (also `dense`), `batch_norm`, `layer_norm`, `dropout`, an activation.
    pub layers: Vec<String>,
    /// What it was trained by: it says how outputs become predictions.
    pub loss: Loss,
    /// The columns that go in, in order; none: `x1`, `x2`, ….
    pub columns: Vec<String>,
    /// The targets' names: one, or one for each number that is predicted.
    pub targets: Vec<String>,
    /// The labels, for a loss of classes; none: `0`, `1`, ….
    pub labels: Vec<String>,
}

fn refuse<T>(reason: impl Into<String>) -> Result<T, ExportError> {
    Err(ExportError::Import { reason: reason.into() })
}

/// A tensor as it stands in the file.
struct Raw<'a> {
    dtype: String,
    shape: Vec<usize>,
    bytes: &'a [u8],
}

/// The tensors of a safetensors file of any program.
///
/// Every number in it may be a lie: nothing is allocated by one.
fn read(file: &[u8]) -> Result<BTreeMap<String, Raw<'_>>, ExportError> {
    const NONE: &str = "this is no safetensors file; save the state dict with safetensors.torch.save_file";
    let Some((length, rest)) = file.split_first_chunk::<8>() else { return refuse(NONE) };
    let length = usize::try_from(u64::from_le_bytes(*length)).unwrap_or(usize::MAX);
    if length > MAX_HEADER || length > rest.len() {
        return refuse(NONE);
    }
    let (header, data) = rest.split_at(length);
    let Ok(Value::Object(header)) = serde_json::from_slice::<Value>(header) else { return refuse(NONE) };
    let mut tensors = BTreeMap::new();
    for (name, entry) in header {
        if name == "__metadata__" {
            continue;
        }
        let size = |value: &Value| value.as_u64().and_then(|n| usize::try_from(n).ok());
        let sizes =
            |key: &str| entry[key].as_array().and_then(|all| all.iter().map(size).collect::<Option<Vec<usize>>>());
        let (Some(dtype), Some(shape), Some(offsets)) =
            (entry["dtype"].as_str(), sizes("shape"), sizes("data_offsets"))
        else {
            return refuse(format!(
                "its tensor `{name}` is not described as safetensors does; save the state dict again"
            ));
        };
        let bytes = match offsets[..] {
            [from, to] => data.get(from..to),
            _ => None,
        };
        let Some(bytes) = bytes else {
            return refuse(format!("its tensor `{name}` lies beyond the end of the file; copy it again"));
        };
        tensors.insert(name, Raw { dtype: dtype.to_owned(), shape, bytes });
    }
    Ok(tensors)
}

/// A name cut so that its numbers compare as numbers.
fn order(name: &str) -> Vec<(u64, String)> {
    name.split('.').map(|part| (part.parse().unwrap_or(u64::MAX), part.to_owned())).collect()
}

/// The model of a network from elsewhere; its columns go in as they are.
///
/// # Errors
/// If the bytes are no state dict, or it does not fit the layers.
pub fn import(file: &[u8], import: &Import) -> Result<ModelFile, ExportError> {
    let raw = read(file)?;
    // Layers with parameters: `layers.0` of `layers.0.weight`.
    let mut stems: Vec<&str> = raw.keys().filter_map(|name| name.strip_suffix(".weight")).collect();
    stems.sort_by_key(|stem| order(stem));
    if import.targets.is_empty() {
        return refuse("target: expected a name, got none");
    }
    if import.layers.is_empty() || import.layers.len() > MAX_LAYERS {
        return refuse(format!("layers: expected 1 to {MAX_LAYERS} of them, got {}", import.layers.len()));
    }
    let mut stems_left = stems.iter();
    let (mut layers, mut tensors, mut used) = (Vec::new(), BTreeMap::new(), 0);
    let (mut width, mut inputs, mut precision) = (None, 0, None);
    for (k, text) in import.layers.iter().enumerate() {
        let text = text.trim();
        let name = text.split(':').next().unwrap_or_default();
        let linear = matches!(name, "linear" | "dense");
        if !linear && !matches!(name, "batch_norm" | "layer_norm") {
            match text.parse::<Layer>()? {
                layer @ (Layer::Activation(_) | Layer::Dropout { .. }) => layers.push(layer),
                other => {
                    return refuse(format!(
                        "layers: `{other}` does not come from a state dict; known: linear, batch_norm, layer_norm, dropout and the activations"
                    ));
                }
            }
            continue;
        }
        let Some(&stem) = stems_left.next() else {
            let (wanted, got) = (import.layers.len(), stems.len());
            return refuse(format!(
                "the state dict has parameters for {got} layers, and the list of {wanted} asks for more at `{text}`, its layer {}; its layers are {}",
                k + 1,
                stems.join(", ")
            ));
        };
        let tensor = &raw[&format!("{stem}.weight")];
        let (outputs, shape) = match (linear, &tensor.shape[..]) {
            (true, &[outputs, n]) if outputs > 0 && n > 0 => {
                if let Some(width) = width.filter(|width| *width != n) {
                    return refuse(format!(
                        "`{stem}.weight` takes {n} numbers, and the layer before it gives {width}; check the order of the layers"
                    ));
                }
                if inputs == 0 {
                    inputs = n;
                }
                (outputs, vec![outputs, n])
            }
            (false, &[n]) if n > 0 && width.is_none_or(|width| width == n) => {
                if inputs == 0 {
                    inputs = n;
                }
                (n, vec![n])
            }
            (_, shape) => {
                return refuse(format!(
                    "`{stem}.weight` has the shape {shape:?}, which is none of `{text}`, layer {} of the list; check the order of the layers",
                    k + 1
                ));
            }
        };
        width = Some(outputs);
        let mut put = |name: &str, shape: &[usize], missing: Option<f64>| {
            let full = format!("{stem}.{name}");
            let (tensor, double) = match (raw.get(&full), missing) {
                (Some(tensor), _) => (tensor_of(&full, tensor, shape)?, tensor.dtype == "F64"),
                (None, Some(value)) => {
                    let double = precision == Some(true);
                    let n = shape.iter().product();
                    (
                        if double {
                            Tensor::new(shape, &vec![value; n])?
                        } else {
                            Tensor::new(shape, &vec![value as f32; n])?
                        },
                        double,
                    )
                }
                (None, None) => return refuse(format!("the state dict has no `{full}`, which `{text}` needs")),
            };
            if *precision.get_or_insert(double) != double {
                return refuse(format!(
                    "`{full}` has another precision than the tensors before it; save the state dict in one"
                ));
            }
            used += usize::from(raw.contains_key(&full));
            tensors.insert(format!("{k}.{name}"), tensor);
            Ok(())
        };
        put("weight", &shape, None)?;
        put("bias", &[outputs], Some(0.0))?;
        if name == "batch_norm" {
            put("running_mean", &[outputs], None)?;
            put("running_var", &[outputs], None)?;
        }
        layers.push(if linear { Layer::Dense { outputs } } else { text.parse()? });
    }
    let counters = raw.keys().filter(|name| name.ends_with(".num_batches_tracked")).count();
    if used + counters < raw.len() {
        let unused: Vec<&str> = stems_left.copied().collect();
        let rest = if unused.is_empty() {
            "of kinds that no layer here has".to_owned()
        } else {
            format!("for {}", unused.join(", "))
        };
        return refuse(format!(
            "the state dict has {} tensors that the layers do not use, {rest}; give all layers with --layers",
            raw.len() - used - counters
        ));
    }
    if inputs == 0 {
        return refuse("layers: expected at least one `linear`");
    }
    let metadata = metadata(import, inputs, width.unwrap_or(inputs), &layers, precision == Some(true))?;
    let file = ModelFile { tensors, metadata };
    // What predicts must be able to.
    Model::from_file(&file)?;
    Ok(file)
}

/// A tensor of ours.
fn tensor_of(name: &str, raw: &Raw<'_>, shape: &[usize]) -> Result<Tensor, ExportError> {
    if raw.shape != shape {
        return refuse(format!("`{name}` has the shape {:?}; expected {shape:?}", raw.shape));
    }
    let bytes = |size: usize| shape.iter().try_fold(size, |size, n| size.checked_mul(*n));
    match raw.dtype.as_str() {
        "F32" if bytes(4) == Some(raw.bytes.len()) => {
            let numbers: Vec<f32> = raw.bytes.as_chunks().0.iter().map(|four| f32::from_le_bytes(*four)).collect();
            Ok(Tensor::new(shape, &numbers)?)
        }
        "F64" if bytes(8) == Some(raw.bytes.len()) => {
            let numbers: Vec<f64> = raw.bytes.as_chunks().0.iter().map(|eight| f64::from_le_bytes(*eight)).collect();
            Ok(Tensor::new(shape, &numbers)?)
        }
        "F32" | "F64" => refuse(format!("`{name}` has not as many bytes as its shape says; copy the file again")),
        other => refuse(format!("`{name}` is of type {other}; expected F32 or F64: save the state dict with .float()")),
    }
}

/// What a model file says beside its tensors.
fn metadata(
    import: &Import,
    inputs: usize,
    outputs: usize,
    layers: &[Layer],
    double: bool,
) -> Result<Map<String, Value>, ExportError> {
    let columns = match &import.columns[..] {
        [] => (1..=inputs).map(|k| format!("x{k}")).collect(),
        columns if columns.len() == inputs => columns.to_vec(),
        columns => {
            return refuse(format!("columns: expected {inputs}, which the first layer takes, got {}", columns.len()));
        }
    };
    let classes = match &import.loss {
        Loss::BinaryCrossEntropy => 2,
        Loss::CrossEntropy { .. } => outputs,
        _ => 0,
    };
    let expected = match &import.loss {
        Loss::CrossEntropy { .. } => outputs.max(2),
        Loss::Quantile { levels } => levels.len(),
        _ => import.targets.len(),
    };
    if outputs != expected || (classes > 0 && import.targets.len() != 1) {
        let targets = import.targets.join(", ");
        return refuse(format!(
            "the last layer gives {outputs} numbers, and a model of {targets} by the loss {} has {expected}; \
             name another loss with --loss, or a target for each number with --target",
            import.loss
        ));
    }
    let target = if classes > 0 {
        let labels = match &import.labels[..] {
            [] => (0..classes).map(|k| k.to_string()).collect(),
            labels if labels.len() == classes => labels.to_vec(),
            labels => return refuse(format!("labels: expected {classes}, got {}", labels.len())),
        };
        json!({"task": "classification", "column": import.targets[0], "labels": labels})
    } else if import.labels.is_empty() {
        let number = |name: &String| json!({"column": name, "affine": {"mean": 0.0, "scale": 1.0}});
        let mut target = number(&import.targets[0]);
        target["task"] = "regression".into();
        if import.targets.len() > 1 {
            target["others"] = import.targets[1..].iter().map(number).collect();
        }
        target
    } else {
        return refuse(format!("labels: the loss {} predicts numbers, which have none", import.loss));
    };
    let numeric = json!({"numeric": {"affine": {"mean": 0.0, "scale": 1.0}, "median": 0.0, "missing": false}});
    let columns: Vec<Value> = columns.iter().map(|name: &String| json!({"name": name, "encoding": numeric})).collect();
    let layers: Vec<String> = layers.iter().map(Layer::to_string).collect();
    let facts = json!({
        "architecture": {"inputs": inputs, "layers": layers, "precision": if double { "f64" } else { "f32" }},
        "encoder": {"inputs": columns, "others": import.targets},
        "imported_from": "pytorch",
        "loss": import.loss.to_string(),
        "target": target,
    });
    match facts {
        Value::Object(facts) => Ok(facts.into_iter().collect()),
        _ => unreachable!("an object was written"),
    }
}
