//! ONNX's file: protobuf messages, as much of them as our graphs have (<https://onnx.ai/onnx/intro/concepts.html>; the
//! field numbers are those of `onnx.proto`).
//!
//! A message is a row of fields: a varint of number · 8 + kind, then a varint (kind 0), 4 bytes (5), or a length and so many
//! bytes (2). Writing is that; reading gives the fields back.

use std::collections::BTreeMap;

/// The type of a tensor's elements.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    F32 = 1,
    I64 = 7,
    Text = 8,
    Bool = 9,
    F64 = 11,
}

impl Kind {
    pub(super) fn of(code: u64) -> Option<Self> {
        [Self::F32, Self::I64, Self::Text, Self::Bool, Self::F64].into_iter().find(|kind| *kind as u64 == code)
    }
}

/// A tensor; numbers of every kind stand as f64, which holds them exactly.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Tensor {
    pub(super) kind: Kind,
    pub(super) shape: Vec<usize>,
    pub(super) numbers: Vec<f64>,
    pub(super) texts: Vec<String>,
}

impl Tensor {
    pub(super) fn new(kind: Kind, shape: &[usize], numbers: Vec<f64>) -> Self {
        Self { kind, shape: shape.to_vec(), numbers, texts: Vec::new() }
    }

    pub(super) fn texts(texts: Vec<String>, shape: &[usize]) -> Self {
        Self { kind: Kind::Text, shape: shape.to_vec(), numbers: Vec::new(), texts }
    }
}

/// An attribute of a node.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Attribute {
    Int(i64),
    Float(f32),
    Ints(Vec<i64>),
    Floats(Vec<f32>),
    Texts(Vec<String>),
}

/// A step of a graph.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Node {
    pub(super) operator: String,
    pub(super) inputs: Vec<String>,
    pub(super) output: String,
    pub(super) attributes: BTreeMap<String, Attribute>,
}

/// A value that enters or leaves: name, kind, and its shape, None for the number of rows.
pub(super) type Value = (String, Kind, Vec<Option<usize>>);

/// A graph.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Graph {
    pub(super) nodes: Vec<Node>,
    pub(super) constants: Vec<(String, Tensor)>,
    pub(super) inputs: Vec<Value>,
    pub(super) outputs: Vec<Value>,
}

/// The operators that are not ONNX's own but `ai.onnx.ml`'s.
const ML: [&str; 1] = ["LabelEncoder"];

#[derive(Default)]
struct Message(Vec<u8>);

impl Message {
    fn varint(&mut self, mut x: u64) {
        while x >= 0x80 {
            self.0.push(x as u8 | 0x80);
            x >>= 7;
        }
        self.0.push(x as u8);
    }

    fn int(mut self, field: u64, x: i64) -> Self {
        self.varint(field << 3);
        self.varint(x as u64);
        self
    }

    fn float(mut self, field: u64, x: f32) -> Self {
        self.varint(field << 3 | 5);
        self.0.extend(x.to_le_bytes());
        self
    }

    fn bytes(mut self, field: u64, bytes: &[u8]) -> Self {
        self.varint(field << 3 | 2);
        self.varint(bytes.len() as u64);
        self.0.extend_from_slice(bytes);
        self
    }

    fn text(self, field: u64, text: &str) -> Self {
        self.bytes(field, text.as_bytes())
    }

    fn message(self, field: u64, message: Self) -> Self {
        self.bytes(field, &message.0)
    }

    fn each<I: IntoIterator>(self, items: I, f: impl Fn(Self, I::Item) -> Self) -> Self {
        items.into_iter().fold(self, f)
    }
}

impl Graph {
    /// The file.
    pub(super) fn write(&self, name: &str, facts: &[(&str, &str)]) -> Vec<u8> {
        let operators = |domain: &str, version| Message::default().text(1, domain).int(2, version);
        let graph = Message::default()
            .each(&self.nodes, |graph, node| graph.message(1, node.write()))
            .text(2, name)
            .each(&self.constants, |graph, (name, tensor)| graph.message(5, tensor.write(name)))
            .each(&self.inputs, |graph, value| graph.message(11, write_value(value)))
            .each(&self.outputs, |graph, value| graph.message(12, write_value(value)));
        let fact = |file: Message, (key, value): &(&str, &str)| {
            file.message(14, Message::default().text(1, key).text(2, value))
        };
        Message::default()
            .int(1, 8)
            .text(2, "chainrule")
            .text(3, env!("CARGO_PKG_VERSION"))
            .message(7, graph)
            .message(8, operators("", 17))
            .message(8, operators("ai.onnx.ml", 3))
            .each(facts, fact)
            .0
    }

    /// The graph in a file; none if it is none of ours.
    pub(super) fn read(file: &[u8]) -> Option<Self> {
        let mut graph = Self::default();
        let fields = fields(file)?;
        let body = fields.iter().find(|(number, _)| *number == 7)?;
        for (number, field) in self::fields(body.1.bytes()?)? {
            match number {
                1 => graph.nodes.push(Node::read(field.bytes()?)?),
                5 => graph.constants.push(Tensor::read(field.bytes()?)?),
                11 => graph.inputs.push(read_value(field.bytes()?)?),
                12 => graph.outputs.push(read_value(field.bytes()?)?),
                _ => {}
            }
        }
        Some(graph)
    }
}

impl Node {
    fn write(&self) -> Message {
        let node = Message::default()
            .each(&self.inputs, |node, input| node.text(1, input))
            .text(2, &self.output)
            .text(3, &self.output)
            .text(4, &self.operator)
            .each(&self.attributes, |node, (name, attribute)| {
                let message = Message::default().text(1, name);
                let (message, kind) = match attribute {
                    Attribute::Float(x) => (message.float(2, *x), 1),
                    Attribute::Int(x) => (message.int(3, *x), 2),
                    Attribute::Floats(all) => (message.each(all, |message, x| message.float(7, *x)), 6),
                    Attribute::Ints(all) => (message.each(all, |message, x| message.int(8, *x)), 7),
                    Attribute::Texts(all) => (message.each(all, |message, x| message.text(9, x)), 8),
                };
                node.message(5, message.int(20, kind))
            });
        if ML.contains(&self.operator.as_str()) { node.text(7, "ai.onnx.ml") } else { node }
    }

    fn read(bytes: &[u8]) -> Option<Self> {
        let mut node =
            Self { operator: String::new(), inputs: Vec::new(), output: String::new(), attributes: BTreeMap::new() };
        for (number, field) in fields(bytes)? {
            match number {
                1 => node.inputs.push(field.text()?),
                2 => node.output = field.text()?,
                4 => node.operator = field.text()?,
                5 => {
                    let parts = fields(field.bytes()?)?;
                    let all = |wanted: u64| {
                        parts.iter().filter(move |(number, _)| *number == wanted).map(|(_, field)| *field)
                    };
                    let name = all(1).next()?.text()?;
                    let attribute = match all(20).next()?.number()? {
                        1 => Attribute::Float(all(2).next()?.float()?),
                        2 => Attribute::Int(all(3).next()?.number()? as i64),
                        6 => Attribute::Floats(all(7).map(Field::float).collect::<Option<_>>()?),
                        7 => Attribute::Ints(all(8).map(|x| Some(x.number()? as i64)).collect::<Option<_>>()?),
                        8 => Attribute::Texts(all(9).map(Field::text).collect::<Option<_>>()?),
                        _ => return None,
                    };
                    node.attributes.insert(name, attribute);
                }
                _ => {}
            }
        }
        Some(node)
    }
}

impl Tensor {
    fn write(&self, name: &str) -> Message {
        let mut message = Message::default();
        for &n in &self.shape {
            message = message.int(1, n as i64);
        }
        let message = message.int(2, self.kind as i64).text(8, name);
        let raw: Vec<u8> = match self.kind {
            Kind::Text => return message.each(&self.texts, |message, text| message.text(6, text)),
            Kind::F32 => self.numbers.iter().flat_map(|&x| (x as f32).to_le_bytes()).collect(),
            Kind::F64 => self.numbers.iter().flat_map(|x| x.to_le_bytes()).collect(),
            Kind::I64 => self.numbers.iter().flat_map(|&x| (x as i64).to_le_bytes()).collect(),
            Kind::Bool => self.numbers.iter().map(|&x| u8::from(x != 0.0)).collect(),
        };
        message.bytes(9, &raw)
    }

    fn read(bytes: &[u8]) -> Option<(String, Self)> {
        let (mut name, mut kind, mut raw) = (String::new(), Kind::F32, &[][..]);
        let mut tensor = Self::new(kind, &[], Vec::new());
        for (number, field) in fields(bytes)? {
            match number {
                1 => tensor.shape.push(usize::try_from(field.number()?).ok()?),
                2 => kind = Kind::of(field.number()?)?,
                6 => tensor.texts.push(field.text()?),
                8 => name = field.text()?,
                9 => raw = field.bytes()?,
                _ => {}
            }
        }
        tensor.kind = kind;
        let eight = |chunk: &[u8]| <[u8; 8]>::try_from(chunk).unwrap_or_default();
        tensor.numbers = match kind {
            Kind::Text => Vec::new(),
            Kind::Bool => raw.iter().map(|&x| f64::from(x)).collect(),
            Kind::F32 => {
                raw.chunks_exact(4).map(|x| f32::from_le_bytes(x.try_into().unwrap_or_default()).into()).collect()
            }
            Kind::F64 => raw.chunks_exact(8).map(|x| f64::from_le_bytes(eight(x))).collect(),
            Kind::I64 => raw.chunks_exact(8).map(|x| i64::from_le_bytes(eight(x)) as f64).collect(),
        };
        let count = if kind == Kind::Text { tensor.texts.len() } else { tensor.numbers.len() };
        (count == tensor.shape.iter().product::<usize>()).then_some((name, tensor))
    }
}

fn write_value((name, kind, shape): &Value) -> Message {
    let shape = Message::default().each(shape, |message, size| {
        let dimension = Message::default();
        message.message(
            1,
            match size {
                Some(n) => dimension.int(1, *n as i64),
                None => dimension.text(2, "N"),
            },
        )
    });
    let tensor = Message::default().int(1, *kind as i64).message(2, shape);
    Message::default().text(1, name).message(2, Message::default().message(1, tensor))
}

fn read_value(bytes: &[u8]) -> Option<Value> {
    let tensor = of(of(bytes, 2)?.bytes()?, 1)?.bytes()?;
    let kind = Kind::of(of(tensor, 1)?.number()?)?;
    let sizes = fields(of(tensor, 2)?.bytes()?)?;
    let size = |(_, field): (u64, Field<'_>)| Some(of(field.bytes()?, 1).and_then(|n| n.number()).map(|n| n as usize));
    Some((of(bytes, 1)?.text()?, kind, sizes.into_iter().map(size).collect::<Option<_>>()?))
}

/// The first field of a message with that number.
fn of(bytes: &[u8], wanted: u64) -> Option<Field<'_>> {
    Some(fields(bytes)?.into_iter().find(|(number, _)| *number == wanted)?.1)
}

/// A field's value.
#[derive(Clone, Copy)]
enum Field<'a> {
    Number(u64),
    Float(f32),
    Bytes(&'a [u8]),
}

impl<'a> Field<'a> {
    fn number(self) -> Option<u64> {
        if let Self::Number(x) = self { Some(x) } else { None }
    }

    fn float(self) -> Option<f32> {
        if let Self::Float(x) = self { Some(x) } else { None }
    }

    fn bytes(self) -> Option<&'a [u8]> {
        if let Self::Bytes(bytes) = self { Some(bytes) } else { None }
    }

    fn text(self) -> Option<String> {
        String::from_utf8(self.bytes()?.to_vec()).ok()
    }
}

/// A message's fields in order.
fn fields(mut bytes: &[u8]) -> Option<Vec<(u64, Field<'_>)>> {
    let mut all = Vec::new();
    while !bytes.is_empty() {
        let key = varint(&mut bytes)?;
        let field = match key & 7 {
            0 => Field::Number(varint(&mut bytes)?),
            5 => {
                let (four, rest) = bytes.split_at_checked(4)?;
                bytes = rest;
                Field::Float(f32::from_le_bytes(four.try_into().ok()?))
            }
            2 => {
                let length = usize::try_from(varint(&mut bytes)?).ok()?;
                let (content, rest) = bytes.split_at_checked(length)?;
                bytes = rest;
                Field::Bytes(content)
            }
            _ => return None,
        };
        all.push((key >> 3, field));
    }
    Some(all)
}

fn varint(bytes: &mut &[u8]) -> Option<u64> {
    let mut x = 0;
    for shift in (0..64).step_by(7) {
        let (&byte, rest) = bytes.split_first()?;
        *bytes = rest;
        x |= u64::from(byte & 0x7f) << shift;
        if byte < 0x80 {
            return Some(x);
        }
    }
    None
}
