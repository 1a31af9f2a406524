//! The model file: tensors by name and one JSON object, in one safetensors file that vouches for itself.
//!
//! ```text
//! n                u64, little-endian: the header's bytes, a multiple of 8, at most 16 MiB
//! header           JSON: {"<name>": {"data_offsets": [from, to], "dtype": "F32", "shape": [3, 2]}, …,
//!                         "__metadata__": {"chainrule": "<the metadata as JSON text>"}}, then spaces up to n
//! data             the tensors' numbers, little-endian, without gaps: f64 before f32, then by name
//! ```
//!
//! All JSON is written with sorted keys, no blanks, and each number as its shortest decimal that reads back to the
//! same bits, so the same content always writes the same bytes. Four keys of the metadata are the writer's:
//!
//! * `format_version`: 1.
//! * `library_version`: the version of this library.
//! * `fingerprint`: SHA-256 over the tensors in order of name (bytes of UTF-8), each as
//!   u64(bytes of the name) ‖ name ‖ `F32` or `F64` ‖ u64(rank) ‖ u64(dimension) … ‖ numbers, all little-endian;
//!   64 lower-case hex digits. It names the weights and nothing else.
//! * `checksum`: SHA-256 of the whole file in which this field's 64 digits are zeros.
//!
//! The container is that of <https://github.com/huggingface/safetensors>; its crate reads our files in the tests.
//! The reader is our own because every number in a file from a stranger may be a lie: it knows all sizes to be
//! true before it allocates by them, and refuses what that crate lets pass (duplicate keys, numbers that are not
//! finite, any altered bit).

use crate::error::Error;
use crate::scalar::Scalar;
use serde::de::{DeserializeSeed, Deserializer, Error as _, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};
use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::fmt;
use std::ops::Range;

/// The format that this library writes, and the newest that it reads.
pub const FORMAT_VERSION: u64 = 1;

const MAX_HEADER: usize = 16 << 20;
const MAX_TENSORS: usize = 65_536;
const MAX_RANK: usize = 8;
/// Values in one JSON text: a byte of text can cost 50 bytes of memory, so the header's length is no bound yet.
const MAX_JSON_VALUES: usize = 1 << 20;
/// What stands in the place of `checksum` while the sum is taken.
const NO_CHECKSUM: &str = "0000000000000000000000000000000000000000000000000000000000000000";

/// Named tensors and one JSON object of facts about them.
///
/// ```
/// # use chainrule::model_file::{ModelFile, Tensor};
/// let mut model = ModelFile::default();
/// model.tensors.insert("0.weight".into(), Tensor::new(&[1, 2], &[0.5_f32, -3.0])?);
/// model.metadata.insert("loss".into(), "squared_error".into());
///
/// let again = ModelFile::read_bytes(&model.write_bytes()?)?;
/// assert_eq!(again.tensors, model.tensors);
/// assert_eq!(again.metadata["loss"], "squared_error");
/// # Ok::<(), chainrule::Error>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ModelFile {
    /// The tensors by name.
    pub tensors: BTreeMap<String, Tensor>,
    /// The facts. `format_version`, `library_version`, `fingerprint` and `checksum` are the writer's: they are
    /// there after reading, and [`ModelFile::write_bytes`] sets them whatever stands there.
    pub metadata: Map<String, Value>,
}

/// The numbers of one tensor, with their type and shape: row-major, all finite.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tensor {
    dtype: Dtype,
    shape: Vec<usize>,
    bytes: Vec<u8>,
}

/// The type of a tensor's numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Dtype {
    /// [`f32`], in the file `F32`.
    F32,
    /// [`f64`], in the file `F64`.
    F64,
}

/// Why a model file cannot be used.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum FileFault {
    /// The bytes are no safetensors file at all.
    NotSafetensors,
    /// A safetensors file that another program has written.
    Foreign,
    /// A newer version of this library has written it.
    Newer {
        /// The file's format version.
        format: u64,
    },
    /// The file ends too early.
    CutShort {
        /// The bytes that there must be at least.
        expected: u64,
        /// The bytes that there are.
        got: u64,
    },
    /// Something in the file has changed since it was written.
    Altered,
    /// The contents contradict the format or themselves.
    Contents {
        /// What is wrong, and where.
        reason: String,
    },
}

impl fmt::Display for FileFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotSafetensors => write!(f, "this is no safetensors file; give a file that chainrule has written"),
            Self::Foreign => write!(
                f,
                "a safetensors file without chainrule's metadata, so of another program; \
                 give a file that chainrule has written"
            ),
            Self::Newer { format } => write!(
                f,
                "written by a newer version (format {format}; this program reads up to {FORMAT_VERSION}): \
                 update chainrule"
            ),
            Self::CutShort { expected, got } => {
                write!(f, "cut short: {got} bytes where at least {expected} belong; copy it again")
            }
            Self::Altered => {
                write!(f, "altered since it was written: its checksum is not that of its contents; copy it again")
            }
            Self::Contents { reason } => write!(f, "{reason}; copy it again, or train again"),
        }
    }
}

impl From<FileFault> for Error {
    fn from(fault: FileFault) -> Self {
        Self::ModelFile(fault)
    }
}

impl FileFault {
    /// A file that is whole but holds something that makes no sense.
    pub fn contents(reason: impl Into<String>) -> Self {
        Self::Contents { reason: reason.into() }
    }
}

impl Dtype {
    /// The type of `T`.
    pub fn of<T: Scalar>() -> Self {
        if T::BYTES == 4 { Self::F32 } else { Self::F64 }
    }

    /// Bytes of one number.
    pub fn bytes(self) -> usize {
        match self {
            Self::F32 => 4,
            Self::F64 => 8,
        }
    }

    /// The name on the command line: `f32` or `f64`.
    pub fn name(self) -> &'static str {
        match self {
            Self::F32 => f32::NAME,
            Self::F64 => f64::NAME,
        }
    }

    /// The name in the file.
    fn tag(self) -> &'static str {
        match self {
            Self::F32 => "F32",
            Self::F64 => "F64",
        }
    }

    fn from_tag(tag: &str) -> Option<Self> {
        [Self::F32, Self::F64].into_iter().find(|dtype| dtype.tag() == tag)
    }
}

impl Tensor {
    /// A tensor of `values`, row-major.
    ///
    /// # Errors
    /// If the shape has more than 8 dimensions or an empty one, if `values` has not as many elements as the shape,
    /// or if one of them is not finite.
    pub fn new<T: Scalar>(shape: &[usize], values: &[T]) -> Result<Self, Error> {
        let dtype = Dtype::of::<T>();
        let size = size_in_bytes(dtype, shape).ok_or_else(|| Error::Value {
            what: "a tensor's shape",
            expected: format!("at most {MAX_RANK} dimensions, none of them empty"),
            got: format!("{shape:?}"),
        })?;
        if size != size_of_val(values) {
            return Err(Error::Length { what: "a tensor's numbers", expected: size / T::BYTES, got: values.len() });
        }
        if let Some(at) = values.iter().position(|x| !x.is_finite()) {
            return Err(Error::Value {
                what: "a tensor's numbers",
                expected: "finite ones".into(),
                got: format!("{} at index {at}", values[at]),
            });
        }
        let mut bytes = Vec::with_capacity(size);
        for x in values {
            bytes.extend_from_slice(&x.bits().to_le_bytes()[..T::BYTES]);
        }
        Ok(Self { dtype, shape: shape.to_vec(), bytes })
    }

    /// The numbers, row-major.
    ///
    /// # Errors
    /// If they are not of type `T`: what is converted is the caller's to decide.
    pub fn values<T: Scalar>(&self) -> Result<Vec<T>, Error> {
        if self.dtype != Dtype::of::<T>() {
            return Err(Error::Value {
                what: "a tensor's type",
                expected: T::NAME.into(),
                got: self.dtype.name().into(),
            });
        }
        Ok(numbers(&self.bytes).collect())
    }

    /// The type of the numbers.
    pub fn dtype(&self) -> Dtype {
        self.dtype
    }

    /// The size of each dimension; of a single number none.
    pub fn shape(&self) -> &[usize] {
        &self.shape
    }

    /// How many numbers there are.
    #[allow(clippy::len_without_is_empty)] // a tensor is never empty
    pub fn len(&self) -> usize {
        self.bytes.len() / self.dtype.bytes()
    }

    fn is_finite(&self) -> bool {
        match self.dtype {
            Dtype::F32 => numbers::<f32>(&self.bytes).all(f32::is_finite),
            Dtype::F64 => numbers::<f64>(&self.bytes).all(f64::is_finite),
        }
    }
}

/// The little-endian numbers in `bytes`.
fn numbers<T: Scalar>(bytes: &[u8]) -> impl Iterator<Item = T> {
    bytes.chunks_exact(T::BYTES).map(|chunk| {
        let mut bits = [0; 8];
        bits[..T::BYTES].copy_from_slice(chunk);
        T::from_bits(u64::from_le_bytes(bits))
    })
}

/// The bytes of a tensor, or nothing if the shape is none of ours or its product overflows.
fn size_in_bytes(dtype: Dtype, shape: &[usize]) -> Option<usize> {
    if shape.len() > MAX_RANK || shape.contains(&0) {
        return None;
    }
    shape.iter().try_fold(dtype.bytes(), |size, n| size.checked_mul(*n))
}

/// The SHA-256 that names a set of weights, as 64 lower-case hex digits: equal if and only if all names, types,
/// shapes and bits are. Its bytes are laid out at the top of this module.
pub fn fingerprint(tensors: &BTreeMap<String, Tensor>) -> String {
    let mut hash = Sha256::new();
    for (name, tensor) in tensors {
        hash.update((name.len() as u64).to_le_bytes());
        hash.update(name);
        hash.update(tensor.dtype.tag());
        hash.update((tensor.shape.len() as u64).to_le_bytes());
        for n in &tensor.shape {
            hash.update((*n as u64).to_le_bytes());
        }
        hash.update(&tensor.bytes);
    }
    hex(hash)
}

fn hex(hash: Sha256) -> String {
    hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
}

impl ModelFile {
    /// The file's bytes; the same content always gives the same.
    ///
    /// # Errors
    /// If [`ModelFile::read_bytes`] would refuse them: more than 16 MiB of names and metadata, more than 65,536
    /// tensors, metadata nested too deeply, a tensor named `__metadata__`.
    pub fn write_bytes(&self) -> Result<Vec<u8>, Error> {
        if self.tensors.contains_key("__metadata__") {
            return Err(FileFault::contents("no tensor may be named `__metadata__`").into());
        }
        // f64 before f32, so that each tensor lies aligned to its numbers in a file mapped into memory.
        let mut order: Vec<(&String, &Tensor)> = self.tensors.iter().collect();
        order.sort_by_key(|(_, tensor)| Reverse(tensor.dtype));

        let mut metadata = self.metadata.clone();
        metadata.insert("format_version".into(), FORMAT_VERSION.into());
        metadata.insert("library_version".into(), env!("CARGO_PKG_VERSION").into());
        metadata.insert("fingerprint".into(), fingerprint(&self.tensors).into());
        metadata.insert("checksum".into(), NO_CHECKSUM.into());
        let unsealed = header(&order, &metadata);
        let mut hash = Sha256::new();
        hash.update(&unsealed);
        order.iter().for_each(|(_, tensor)| hash.update(&tensor.bytes));
        metadata.insert("checksum".into(), hex(hash).into());

        let mut bytes = header(&order, &metadata);
        order.iter().for_each(|(_, tensor)| bytes.extend_from_slice(&tensor.bytes));
        // Nothing leaves that would be refused when it comes back.
        Self::read_bytes(&bytes)?;
        Ok(bytes)
    }

    /// Reads what [`ModelFile::write_bytes`] wrote, here or in an older version, and nothing else.
    ///
    /// Beside the tensors themselves it allocates at most in proportion to the header, of at most 16 MiB.
    ///
    /// # Errors
    /// [`Error::ModelFile`] says what is wrong with any other bytes.
    pub fn read_bytes(bytes: &[u8]) -> Result<Self, Error> {
        let (header, data) = split(bytes)?;
        let mut entries = parse("its header", header)?;
        let text = description(entries.remove("__metadata__"))?;
        let metadata = parse("its metadata", text.as_bytes())?;
        // The version comes first: a newer format may mean anything by all else.
        match metadata.get("format_version").and_then(Value::as_u64) {
            Some(1..=FORMAT_VERSION) => (),
            Some(format) if format > FORMAT_VERSION => return Err(FileFault::Newer { format }.into()),
            _ => return Err(FileFault::contents("its metadata has no valid `format_version`").into()),
        }
        if entries.len() > MAX_TENSORS {
            return Err(FileFault::contents(format!("more than {MAX_TENSORS} tensors")).into());
        }
        let mut entries = entries.iter().map(|(name, info)| Entry::new(name, info)).collect::<Result<Vec<_>, _>>()?;
        entries.sort_by_key(|entry| (entry.offsets.start, entry.offsets.end));
        let end = entries.iter().map(|entry| entry.offsets.end).max().unwrap_or(0);
        if end > data.len() as u64 {
            let expected = end.saturating_add((bytes.len() - data.len()) as u64);
            return Err(FileFault::CutShort { expected, got: bytes.len() as u64 }.into());
        }
        let text_of = |key: &str| {
            let missing = || FileFault::contents(format!("its metadata has no text `{key}`"));
            metadata.get(key).and_then(Value::as_str).ok_or_else(missing)
        };
        verify_checksum(bytes, header, text_of("checksum")?)?;

        // From here on the file is as somebody sealed it, which need not have been us.
        let mut tensors = BTreeMap::new();
        let mut rest = data;
        for entry in entries {
            let (name, tensor) = entry.take(data.len() - rest.len(), &mut rest)?;
            tensors.insert(name.to_owned(), tensor);
        }
        if !rest.is_empty() {
            return Err(FileFault::contents(format!("{} bytes belong to no tensor", rest.len())).into());
        }
        text_of("library_version")?;
        if text_of("fingerprint")? != fingerprint(&tensors) {
            return Err(FileFault::contents("its fingerprint is not that of its tensors").into());
        }
        if let Some((name, _)) = tensors.iter().find(|(_, tensor)| !tensor.is_finite()) {
            return Err(
                FileFault::contents(format!("tensor `{}` holds a number that is not finite", shown(name))).into()
            );
        }
        Ok(Self { tensors, metadata })
    }
}

/// The bytes before the data: the header's length and the header.
fn header(order: &[(&String, &Tensor)], metadata: &Map<String, Value>) -> Vec<u8> {
    let mut entries = Map::new();
    let mut offset = 0;
    for (name, tensor) in order {
        let end = offset + tensor.bytes.len();
        let info = json!({"data_offsets": [offset, end], "dtype": tensor.dtype.tag(), "shape": tensor.shape});
        entries.insert((*name).clone(), info);
        offset = end;
    }
    let mut text = String::new();
    write_json(metadata, &mut text);
    entries.insert("__metadata__".into(), json!({ "chainrule": text }));
    let mut text = String::new();
    write_json(&entries, &mut text);
    let length = text.len().next_multiple_of(8);
    let mut bytes = (length as u64).to_le_bytes().to_vec();
    bytes.extend_from_slice(text.as_bytes());
    bytes.resize(8 + length, b' ');
    bytes
}

/// `object` as JSON without blanks, its keys sorted: in any build, also where `serde_json` was told to keep their order.
fn write_json(object: &Map<String, Value>, out: &mut String) {
    fn value(of: &Value, out: &mut String) {
        match of {
            Value::Object(object) => write_json(object, out),
            Value::Array(items) => list('[', items, value, ']', out),
            // As the standard library prints it: serde_json's own spelling (1e16 or 1e+16) has changed before.
            Value::Number(x) if x.is_f64() => out.push_str(&format!("{:?}", x.as_f64().unwrap_or_default())),
            leaf => out.push_str(&leaf.to_string()),
        }
    }
    fn list<I: IntoIterator>(open: char, items: I, item: impl Fn(I::Item, &mut String), close: char, out: &mut String) {
        out.push(open);
        for (i, one) in items.into_iter().enumerate() {
            if i > 0 {
                out.push(',');
            }
            item(one, out);
        }
        out.push(close);
    }
    let sorted: BTreeMap<&String, &Value> = object.iter().collect();
    let pair = |(key, of): (&String, &Value), out: &mut String| {
        out.push_str(&Value::from(key.as_str()).to_string());
        out.push(':');
        value(of, out);
    };
    list('{', sorted, pair, '}', out);
}

/// The header and the data.
fn split(bytes: &[u8]) -> Result<(&[u8], &[u8]), FileFault> {
    let got = bytes.len() as u64;
    let Some((length, rest)) = bytes.split_first_chunk() else { return Err(FileFault::NotSafetensors) };
    let length = u64::from_le_bytes(*length);
    if rest.first() != Some(&b'{') {
        return Err(FileFault::NotSafetensors);
    }
    if length > MAX_HEADER as u64 {
        return Err(FileFault::contents(format!("a header of {length} bytes, where at most {MAX_HEADER} are read")));
    }
    rest.split_at_checked(length as usize).ok_or(FileFault::CutShort { expected: 8 + length, got })
}

/// The text under `chainrule`, which stands alone in `__metadata__`.
fn description(metadata: Option<Value>) -> Result<String, FileFault> {
    let Some(Value::Object(mut metadata)) = metadata else { return Err(FileFault::Foreign) };
    match metadata.remove("chainrule") {
        None => Err(FileFault::Foreign),
        Some(Value::String(text)) if metadata.is_empty() => Ok(text),
        Some(_) => Err(FileFault::contents("`__metadata__` must hold one text, `chainrule`, and nothing else")),
    }
}

/// Compares `checksum` with the sum of `bytes` in which its digits, in `header` (which starts at byte 8), are zeros.
fn verify_checksum(bytes: &[u8], header: &[u8], checksum: &str) -> Result<(), FileFault> {
    let digits = checksum.as_bytes();
    if digits.len() != NO_CHECKSUM.len() {
        return Err(FileFault::Altered);
    }
    // They stand in one place only: to say them elsewhere as well, the file would have to foresee its own sum.
    let at = header.windows(digits.len()).position(|place| place == digits).ok_or(FileFault::Altered)?;
    let mut hash = Sha256::new();
    hash.update(&bytes[..8 + at]);
    hash.update(NO_CHECKSUM);
    hash.update(&bytes[8 + at + digits.len()..]);
    if hex(hash) == checksum { Ok(()) } else { Err(FileFault::Altered) }
}

/// What the header says of one tensor.
struct Entry<'a> {
    name: &'a str,
    dtype: &'a str,
    shape: Vec<usize>,
    offsets: Range<u64>,
}

impl<'a> Entry<'a> {
    fn new(name: &'a str, info: &'a Value) -> Result<Self, FileFault> {
        let read = || {
            let info = info.as_object().filter(|info| info.len() == 3)?;
            let [start, end] = &info.get("data_offsets")?.as_array()?[..] else { return None };
            let shape = info.get("shape")?.as_array().filter(|shape| shape.len() <= MAX_RANK)?;
            let shape = shape.iter().map(|n| usize::try_from(n.as_u64()?).ok()).collect::<Option<_>>()?;
            Some(Self { name, dtype: info.get("dtype")?.as_str()?, shape, offsets: start.as_u64()?..end.as_u64()? })
        };
        read().ok_or_else(|| {
            let name = shown(name);
            FileFault::contents(format!(
                "tensor `{name}` must have a dtype, a shape of at most {MAX_RANK} sizes and two offsets"
            ))
        })
    }

    /// The tensor at the front of `rest`, which begins at byte `at` of the data.
    fn take(self, at: usize, rest: &mut &[u8]) -> Result<(&'a str, Tensor), FileFault> {
        let fault = |reason: String| FileFault::contents(format!("tensor `{}` {reason}", shown(self.name)));
        let Some(dtype) = Dtype::from_tag(self.dtype) else {
            return Err(fault(format!("holds numbers of type {}, not F32 or F64", shown(self.dtype))));
        };
        let Some(size) = size_in_bytes(dtype, &self.shape) else {
            return Err(fault(format!("has the impossible shape {:?}", self.shape)));
        };
        let Range { start, end } = self.offsets;
        if start != at as u64 {
            return Err(fault(format!("lies at byte {start} of the data, not at {at}, where the one before it ends")));
        }
        if end.checked_sub(start) != Some(size as u64) {
            return Err(fault(format!("of {dtype:?} and shape {:?} ends at byte {end} of the data", self.shape)));
        }
        let Some((bytes, after)) = rest.split_at_checked(size) else {
            return Err(fault(format!("ends at byte {end}, beyond the data")));
        };
        *rest = after;
        Ok((self.name, Tensor { dtype, shape: self.shape, bytes: bytes.to_vec() }))
    }
}

/// What a file says, as part of an error's one line: short, and without characters that move a terminal's cursor.
fn shown(text: &str) -> String {
    text.chars().take(100).flat_map(char::escape_debug).collect()
}

/// The JSON object in `bytes`: no key twice, at most 127 levels (`serde_json`'s limit), a bounded number of values.
fn parse(what: &str, bytes: &[u8]) -> Result<Map<String, Value>, FileFault> {
    let mut left = MAX_JSON_VALUES;
    let mut json = serde_json::Deserializer::from_slice(bytes);
    let value = Strict { left: &mut left }.deserialize(&mut json).and_then(|value| json.end().map(|()| value));
    match value {
        Ok(Value::Object(object)) => Ok(object),
        Ok(_) => Err(FileFault::contents(format!("{what} is no JSON object"))),
        Err(error) => Err(FileFault::contents(format!("{what} is not valid JSON: {}", shown(&error.to_string())))),
    }
}

/// A JSON value read strictly; `left` is how many more the text may hold.
struct Strict<'a> {
    left: &'a mut usize,
}

impl<'de> DeserializeSeed<'de> for Strict<'_> {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, json: D) -> Result<Value, D::Error> {
        *self.left = self.left.checked_sub(1).ok_or_else(|| D::Error::custom("too many values"))?;
        json.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Strict<'_> {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, x: bool) -> Result<Value, E> {
        Ok(x.into())
    }

    fn visit_i64<E>(self, x: i64) -> Result<Value, E> {
        Ok(x.into())
    }

    fn visit_u64<E>(self, x: u64) -> Result<Value, E> {
        Ok(x.into())
    }

    fn visit_f64<E>(self, x: f64) -> Result<Value, E> {
        Ok(x.into())
    }

    fn visit_str<E>(self, x: &str) -> Result<Value, E> {
        Ok(x.into())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut json: A) -> Result<Value, A::Error> {
        let mut items = Vec::new();
        while let Some(item) = json.next_element_seed(Strict { left: self.left })? {
            items.push(item);
        }
        Ok(items.into())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut json: A) -> Result<Value, A::Error> {
        let mut object = Map::new();
        while let Some(key) = json.next_key::<String>()? {
            if object.contains_key(&key) {
                return Err(A::Error::custom(format!("the key `{key}` twice")));
            }
            object.insert(key, json.next_value_seed(Strict { left: self.left })?);
        }
        Ok(object.into())
    }
}
