//! Training options from a dictionary.

use crate::callbacks::{Pair, Trouble};
use crate::refused;
use chainrule::Loss;
use chainrule::loss::Own;
use chainrule::train::{Limits, Options};
use pyo3::exceptions::PyTypeError;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyTuple};

/// A loss: its name, or the tuple (name, loss, derivative) of somebody's own.
pub(crate) fn loss(loss: &Bound<'_, PyAny>, trouble: &Trouble) -> PyResult<Loss> {
    match loss.cast::<PyTuple>() {
        Ok(own) => {
            let (name, function, derivative) = own.extract()?;
            Ok(Loss::Own(Own::new(Pair { name, function, derivative, trouble: trouble.clone(), width: 0 })))
        }
        Err(_) => loss.extract::<String>()?.parse().map_err(refused),
    }
}

/// The options by the names of [`Options`]' fields; a schedule and an optimizer by what they are called.
pub(crate) fn options(given: &Bound<'_, PyDict>, trouble: &Trouble) -> PyResult<Options> {
    let mut options = Options::default();
    for (name, value) in given.iter() {
        let text = || value.extract::<String>();
        match name.extract::<String>()?.as_str() {
            "loss" => options.loss = loss(&value, trouble)?,
            "optimizer" => options.optimizer = text()?.parse().map_err(refused)?,
            "schedule" => options.schedule = text()?.parse().map_err(refused)?,
            "learning_rate" => options.learning_rate = value.extract()?,
            "epochs" => options.epochs = value.extract()?,
            "batch_size" => options.batch_size = value.extract()?,
            "weight_decay" => options.weight_decay = value.extract()?,
            "l1" => options.l1 = value.extract()?,
            "l2" => options.l2 = value.extract()?,
            "alpha" => options.alpha = value.extract()?,
            "clip_norm" => options.clip_norm = value.extract()?,
            "clip_value" => options.clip_value = value.extract()?,
            "patience" => options.patience = value.extract()?,
            "shuffle" => options.shuffle = value.extract()?,
            "seed" => options.seed = value.extract()?,
            "limits" => {
                let (gradient, decrease, evaluations) = value.extract()?;
                options.limits = Limits { gradient, decrease, evaluations };
            }
            other => return Err(PyTypeError::new_err(format!("unknown training option `{other}`"))),
        }
    }
    Ok(options)
}
