//! Data frames, and the recipe of the command on them.

use crate::callbacks::{Signals, Trouble};
use crate::processors::processor;
use crate::refused;
use arrow_array::cast::AsArray;
use arrow_array::ffi_stream::{FFI_ArrowArrayStream, RecordBatchStreamReader};
use arrow_array::temporal_conversions as dates;
use arrow_array::types as arrow;
use arrow_array::{Array, ArrayRef, RecordBatchReader};
use arrow_schema::{DataType, TimeUnit};
use chainrule::Matrix;
use chainrule::model_file::ModelFile;
use chainrule::train::Event;
use chainrule_table::recipe::{Options, Start, Tables, fit};
use chainrule_table::{Column, Predictions};
use numpy::{PyArray2, PyReadonlyArray1};
use pyo3::exceptions::{PyTypeError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyCapsule, PyDict};
use std::ops::ControlFlow;

/// Columns by name, for the recipe: built once, read by fit and predict.
#[pyclass(frozen)]
pub(crate) struct Table(chainrule_table::Table);

#[pymethods]
impl Table {
    /// From what exports an Arrow stream (`frame`, if any), then columns of float64 arrays or lists of texts.
    #[new]
    #[pyo3(signature = (frame, more))]
    fn new(frame: Option<&Bound<'_, PyAny>>, more: Vec<(String, Bound<'_, PyAny>)>) -> PyResult<Self> {
        let mut columns = frame.map_or(Ok(Vec::new()), from_arrow)?;
        for (name, values) in more {
            columns.push(match values.extract::<PyReadonlyArray1<'_, f64>>() {
                Ok(numbers) => Column::numbers(&name, numbers.as_array().to_vec()),
                Err(_) => {
                    let texts: Vec<Option<String>> = values.extract()?;
                    Column::texts(&name, texts.iter().map(Option::as_deref))
                }
            });
        }
        Ok(Self(chainrule_table::Table::new("the table", columns).map_err(refused)?))
    }

    #[getter]
    fn rows(&self) -> usize {
        self.0.rows()
    }

    #[getter]
    fn names(&self) -> Vec<&str> {
        self.0.columns().iter().map(Column::name).collect()
    }
}

/// The columns of a PyCapsule stream, batch by batch.
fn from_arrow(frame: &Bound<'_, PyAny>) -> PyResult<Vec<Column>> {
    let capsule = frame.call_method0("__arrow_c_stream__")?;
    let capsule = capsule.cast::<PyCapsule>()?;
    let pointer = capsule.pointer_checked(Some(c"arrow_array_stream"))?;
    // SAFETY: a capsule of this name holds an ArrowArrayStream (the Arrow PyCapsule interface), which is moved out: the
    // capsule's destructor then finds it released.
    #[allow(unsafe_code)]
    let stream = unsafe { FFI_ArrowArrayStream::from_raw(pointer.as_ptr().cast()) };
    let reader = RecordBatchStreamReader::try_new(stream).map_err(refused)?;
    let schema = reader.schema();
    let mut columns: Vec<Cells> = schema.fields().iter().map(|_| Cells::Empty(0)).collect();
    for batch in reader {
        let batch = batch.map_err(refused)?;
        for ((cells, array), field) in columns.iter_mut().zip(batch.columns()).zip(schema.fields()) {
            cells.append(array).map_err(|kind| {
                let expected = "numbers, texts, booleans, dates or categories";
                PyTypeError::new_err(format!("column {:?}: expected {expected}, got {kind}", field.name()))
            })?;
        }
    }
    let columns = columns.into_iter().zip(schema.fields()).map(|(cells, field)| match cells {
        Cells::Empty(rows) => Column::numbers(field.name(), vec![f64::NAN; rows]),
        Cells::Numbers(numbers) => Column::numbers(field.name(), numbers),
        Cells::Texts(texts) => Column::texts(field.name(), texts.iter().map(Option::as_deref)),
    });
    Ok(columns.collect())
}

/// The cells of a column so far.
enum Cells {
    /// Only missing ones.
    Empty(usize),
    Numbers(Vec<f64>),
    Texts(Vec<Option<String>>),
}

impl Cells {
    fn append(&mut self, array: &ArrayRef) -> Result<(), String> {
        let more = match read(array)? {
            Self::Empty(rows) => {
                match self {
                    Self::Empty(before) => *before += rows,
                    Self::Numbers(numbers) => numbers.resize(numbers.len() + rows, f64::NAN),
                    Self::Texts(texts) => texts.resize(texts.len() + rows, None),
                }
                return Ok(());
            }
            more => more,
        };
        if let Self::Empty(rows) = *self {
            *self = match more {
                Self::Numbers(_) => Self::Numbers(vec![f64::NAN; rows]),
                _ => Self::Texts(vec![None; rows]),
            };
        }
        match (self, more) {
            (Self::Numbers(numbers), Self::Numbers(more)) => numbers.extend(more),
            (Self::Texts(texts), Self::Texts(more)) => texts.extend(more),
            _ => return Err("numbers in one part and texts in another".into()),
        }
        Ok(())
    }
}

fn read(array: &ArrayRef) -> Result<Cells, String> {
    macro_rules! numbers {
        ($t:ty) => {
            Cells::Numbers(array.as_primitive::<$t>().iter().map(|x| x.map_or(f64::NAN, |x| x as f64)).collect())
        };
    }
    macro_rules! moments {
        ($t:ty, $convert:path) => {{
            let moment = |x| $convert(x).map(|moment| moment.format("%Y-%m-%dT%H:%M:%S").to_string());
            Cells::Texts(array.as_primitive::<$t>().iter().map(|x| x.and_then(moment)).collect())
        }};
    }
    let owned = |text: Option<&str>| text.map(str::to_owned);
    Ok(match array.data_type() {
        DataType::Null => Cells::Empty(array.len()),
        DataType::Int8 => numbers!(arrow::Int8Type),
        DataType::Int16 => numbers!(arrow::Int16Type),
        DataType::Int32 => numbers!(arrow::Int32Type),
        DataType::Int64 => numbers!(arrow::Int64Type),
        DataType::UInt8 => numbers!(arrow::UInt8Type),
        DataType::UInt16 => numbers!(arrow::UInt16Type),
        DataType::UInt32 => numbers!(arrow::UInt32Type),
        DataType::UInt64 => numbers!(arrow::UInt64Type),
        DataType::Float16 => {
            let halves = array.as_primitive::<arrow::Float16Type>();
            Cells::Numbers(halves.iter().map(|x| x.map_or(f64::NAN, |x| x.to_f64())).collect())
        }
        DataType::Float32 => numbers!(arrow::Float32Type),
        DataType::Float64 => {
            let doubles = array.as_primitive::<arrow::Float64Type>();
            if doubles.null_count() == 0 {
                return Ok(Cells::Numbers(doubles.values().to_vec()));
            }
            numbers!(arrow::Float64Type)
        }
        DataType::Decimal128(_, scale) => {
            let unit = (0..scale.unsigned_abs()).fold(1.0, |unit, _| unit * 10.0);
            let value = |x: i128| if *scale >= 0 { x as f64 / unit } else { x as f64 * unit };
            let decimals = array.as_primitive::<arrow::Decimal128Type>();
            Cells::Numbers(decimals.iter().map(|x| x.map_or(f64::NAN, value)).collect())
        }
        DataType::Boolean => Cells::Texts(array.as_boolean().iter().map(|x| x.map(|x| x.to_string())).collect()),
        DataType::Utf8 => Cells::Texts(array.as_string::<i32>().iter().map(owned).collect()),
        DataType::LargeUtf8 => Cells::Texts(array.as_string::<i64>().iter().map(owned).collect()),
        DataType::Utf8View => Cells::Texts(array.as_string_view().iter().map(owned).collect()),
        DataType::Date32 => {
            let day = |x| dates::date32_to_datetime(x).map(|day| day.format("%Y-%m-%d").to_string());
            Cells::Texts(array.as_primitive::<arrow::Date32Type>().iter().map(|x| x.and_then(day)).collect())
        }
        DataType::Date64 => moments!(arrow::Date64Type, dates::date64_to_datetime),
        DataType::Timestamp(TimeUnit::Second, _) => {
            moments!(arrow::TimestampSecondType, dates::timestamp_s_to_datetime)
        }
        DataType::Timestamp(TimeUnit::Millisecond, _) => {
            moments!(arrow::TimestampMillisecondType, dates::timestamp_ms_to_datetime)
        }
        DataType::Timestamp(TimeUnit::Microsecond, _) => {
            moments!(arrow::TimestampMicrosecondType, dates::timestamp_us_to_datetime)
        }
        DataType::Timestamp(TimeUnit::Nanosecond, _) => {
            moments!(arrow::TimestampNanosecondType, dates::timestamp_ns_to_datetime)
        }
        DataType::Dictionary(_, _) => {
            let dictionary = array.as_any_dictionary();
            let keys = dictionary.normalized_keys();
            let at = |i: usize| (!array.is_null(i)).then(|| keys[i]);
            match read(dictionary.values())? {
                Cells::Empty(_) => Cells::Empty(array.len()),
                Cells::Numbers(values) => {
                    Cells::Numbers((0..array.len()).map(|i| at(i).map_or(f64::NAN, |key| values[key])).collect())
                }
                Cells::Texts(values) => {
                    Cells::Texts((0..array.len()).map(|i| at(i).and_then(|key| values[key].clone())).collect())
                }
            }
        }
        other => return Err(other.to_string()),
    })
}

type Doubles<'py> = Bound<'py, PyArray2<f64>>;

/// A fitted model of the recipe.
#[pyclass(frozen)]
pub(crate) struct Model(chainrule_table::Model);

#[pymethods]
impl Model {
    /// Fits by the options of the command: (model, what there is to tell, notes).
    #[staticmethod]
    #[pyo3(signature = (table, options, threads, watch=None))]
    fn fit<'py>(
        py: Python<'py>,
        table: &Table,
        options: Vec<(String, String)>,
        threads: usize,
        watch: Option<Py<PyAny>>,
    ) -> PyResult<(Self, Bound<'py, PyDict>, Vec<String>)> {
        let mut given = Options::default();
        for (name, value) in options {
            given.set(&name, &value).map_err(refused)?;
        }
        let trouble = Trouble::default();
        let mut signals = Signals::new();
        let mut most = 0;
        let mut started = |start: &Start| most = start.epochs;
        let tables = Tables { table: &table.0, test: None, validation: None, start: None };
        let fitted = py.detach(|| {
            let mut each = |event: Event<'_>| {
                if let (Event::Epoch(epoch), Some(watch)) = (event, &watch) {
                    let facts = (epoch.epoch, epoch.loss, epoch.validation_loss);
                    match Python::attach(|py| watch.bind(py).call1(facts)?.is_truthy()) {
                        Ok(false) => {}
                        Ok(true) => return ControlFlow::Break(()),
                        Err(error) => {
                            trouble.keep(error);
                            return ControlFlow::Break(());
                        }
                    }
                }
                if signals.look() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
            };
            fit(&tables, &given, &processor(threads), &mut started, &mut each)
        });
        trouble.check()?;
        if fitted.is_err()
            && let Some(raised) = signals.raised.take()
        {
            return Err(raised);
        }
        let fitted = fitted.map_err(refused)?;
        let facts = PyDict::new(py);
        facts.set_item("epochs", fitted.report.epochs)?;
        facts.set_item("most_epochs", most)?;
        facts.set_item("best_epoch", fitted.report.best_epoch)?;
        facts.set_item("loss", fitted.report.loss)?;
        facts.set_item("validation_loss", fitted.report.validation_loss)?;
        facts.set_item("folds", fitted.rows.folds)?;
        facts.set_item("parameters", fitted.model.parameters())?;
        facts.set_item("labels", fitted.model.target.labels())?;
        facts.set_item("coverage", fitted.coverage)?;
        facts.set_item("raised", signals.raised)?;
        Ok((Self(fitted.model), facts, fitted.notes))
    }

    /// Numbers or each class's probability, [rows, 1 or classes]; quantiles, [rows, levels]; notes.
    fn predict<'py>(
        &self,
        py: Python<'py>,
        table: &Table,
        threads: usize,
    ) -> PyResult<(Doubles<'py>, Doubles<'py>, Vec<String>)> {
        let predicted = py.detach(|| {
            let processor = processor(if table.0.rows() < 256 { 1 } else { threads });
            self.0.predict(&table.0, None, &processor)
        });
        let (predictions, notes) = predicted.map_err(refused)?;
        let (values, quantiles) = match predictions {
            Predictions::Probabilities(probabilities) => (probabilities, Matrix::zeros(0, 0)),
            Predictions::Numbers { values, quantiles, .. } => {
                let mut all = Matrix::zeros(values.len(), quantiles.len());
                for (k, (_, numbers)) in quantiles.iter().enumerate() {
                    for (i, x) in numbers.iter().enumerate() {
                        all.row_mut(i)[k] = *x;
                    }
                }
                (Matrix::from_vec(values.len(), 1, values).map_err(refused)?, all)
            }
        };
        let notes = notes.iter().map(|note| note.as_str().to_owned()).collect();
        Ok((crate::network::array(py, values)?, crate::network::array(py, quantiles)?, notes))
    }

    /// The bytes of the model file.
    fn to_bytes<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyBytes>> {
        let file = self.0.to_file().map_err(refused)?;
        Ok(PyBytes::new(py, &file.write_bytes().map_err(refused)?))
    }

    /// The model in a file's bytes.
    #[staticmethod]
    fn from_bytes(bytes: &[u8]) -> PyResult<Self> {
        let file = ModelFile::read_bytes(bytes).map_err(refused)?;
        Ok(Self(chainrule_table::Model::from_file(&file).map_err(refused)?))
    }

    /// The SHA-256 that names the weights, as the command prints it.
    #[getter]
    fn fingerprint(&self) -> PyResult<String> {
        Ok(chainrule::model_file::fingerprint(&self.0.to_file().map_err(refused)?.tensors))
    }

    #[getter]
    fn quantile_levels(&self) -> Vec<f64> {
        self.0.quantile_levels().to_vec()
    }

    /// What the file tells of the training, as JSON.
    #[getter]
    fn facts(&self) -> PyResult<String> {
        serde_json::to_string(&self.0.facts).map_err(|error| PyValueError::new_err(error.to_string()))
    }
}
