//! A small language that looks like NumPy: what a learner writes into a blank, parsed and evaluated here.
//!
//! An expression: numbers, names, `True False None`; `+ - * / @ **`, comparisons, `and or not`, `a if c else b`; calls with
//! keywords, `[i, j]`, slices, `.T .shape .size .sum() .mean() .dot() .astype()`; texts and f-texts as keys; and of `np`
//! `maximum fmax minimum fmin sum mean zeros ones zeros_like ones_like where exp log tanh sqrt abs square sign dot matmul
//! multiply add subtract transpose array`. Arrays have up to two dimensions and broadcast as NumPy's do. There are no
//! statements, so nothing loops; texts, nesting and arrays have a largest size.

use chainrule::kernels::Lanes;
use std::collections::BTreeMap;
use std::fmt;
use std::rc::Rc;

/// The longest expression, the deepest nesting, the most elements of an array.
const LONGEST: usize = 600;
const DEEPEST: usize = 40;
const MOST: usize = 100_000;

/// An array of up to two dimensions.
#[derive(Clone, Debug, PartialEq)]
pub struct Array {
    /// No, one or two sizes.
    pub shape: Vec<usize>,
    /// Row after row.
    pub data: Vec<f64>,
    /// Whether it holds truths.
    pub truth: bool,
}

type Call = dyn Fn(&[Value], &[Keyword]) -> Result<Value, String>;

/// An argument with its name.
type Keyword = (String, Value);

/// What an expression comes to.
#[derive(Clone)]
pub enum Value {
    /// A number or an array.
    Array(Array),
    /// A text: a key.
    Text(String),
    /// `(2, 3)`, `[1, 2]`.
    Tuple(Vec<Value>),
    /// Named values: a dictionary, an object, `np`.
    Named(BTreeMap<String, Value>),
    /// Something to call.
    Function(String, Rc<Call>),
    /// `None`.
    None,
}

impl fmt::Debug for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.kind())
    }
}

impl Array {
    /// A matrix.
    pub fn matrix(rows: usize, cols: usize, data: Vec<f64>) -> Self {
        Self { shape: vec![rows, cols], data, truth: false }
    }

    /// A number.
    pub fn number(x: f64) -> Self {
        Self { shape: Vec::new(), data: vec![x], truth: false }
    }

    fn map(&self, f: impl Fn(f64) -> f64) -> Self {
        Self { shape: self.shape.clone(), data: self.data.iter().map(|x| f(*x)).collect(), truth: false }
    }

    /// Rows and columns, a vector being a row.
    fn sizes(&self) -> [usize; 2] {
        match self.shape[..] {
            [] => [1, 1],
            [n] => [1, n],
            [n, m, ..] => [n, m],
        }
    }

    /// As NumPy writes a shape.
    pub fn shape_text(&self) -> String {
        match &self.shape[..] {
            [] => "a single number".into(),
            [n] => format!("({n},)"),
            shape => format!("({})", shape.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")),
        }
    }

    fn with(&self, other: &Self, f: impl Fn(f64, f64) -> f64) -> Result<Self, String> {
        let ([a, b], [c, d]) = (self.sizes(), other.sizes());
        let joint = |a: usize, b: usize| {
            if a == b || b == 1 {
                Some(a)
            } else if a == 1 {
                Some(b)
            } else {
                None
            }
        };
        let (Some(rows), Some(cols)) = (joint(a, c), joint(b, d)) else {
            return Err(format!(
                "arrays of shapes {} and {} do not go together element by element",
                self.shape_text(),
                other.shape_text()
            ));
        };
        check_size(rows, cols)?;
        let at = |array: &Self, [n, m]: [usize; 2], i: usize, j: usize| array.data[(i % n) * m + j % m];
        let data = (0..rows * cols)
            .map(|k| (k / cols, k % cols))
            .map(|(i, j)| f(at(self, [a, b], i, j), at(other, [c, d], i, j)))
            .collect();
        let shape = match self.shape.len().max(other.shape.len()) {
            0 => Vec::new(),
            1 => vec![cols],
            _ => vec![rows, cols],
        };
        Ok(Self { shape, data, truth: false })
    }

    fn matmul(&self, other: &Self) -> Result<Self, String> {
        if self.shape.is_empty() || other.shape.is_empty() {
            return Err("@ multiplies matrices; for a single number use *".into());
        }
        let [n, inner] = self.sizes();
        let [rows, m] = if other.shape.len() == 1 { [other.shape[0], 1] } else { other.sizes() };
        if inner != rows {
            return Err(format!(
                "{} @ {} does not fit: the left one has {inner} columns, the right one {rows} rows",
                self.shape_text(),
                other.shape_text()
            ));
        }
        check_size(n, m)?;
        let mut data = vec![0.0; n * m];
        for i in 0..n {
            for k in 0..inner {
                for j in 0..m {
                    data[i * m + j] += self.data[i * inner + k] * other.data[k * m + j];
                }
            }
        }
        let mut shape = Vec::new();
        if self.shape.len() == 2 {
            shape.push(n);
        }
        if other.shape.len() == 2 {
            shape.push(m);
        }
        Ok(Self { shape, data, truth: false })
    }

    fn transposed(&self) -> Self {
        if self.shape.len() < 2 {
            return self.clone();
        }
        let [n, m] = self.sizes();
        Self {
            shape: vec![m, n],
            data: (0..n * m).map(|k| self.data[(k % n) * m + k / n]).collect(),
            truth: self.truth,
        }
    }

    fn reduce(&self, axis: Option<i64>, keep: bool, mean: bool) -> Result<Self, String> {
        let [n, m] = self.sizes();
        let of = |sum: f64, count: usize| if mean { sum / count as f64 } else { sum };
        let Some(axis) = axis else {
            let data = vec![of(self.data.iter().sum(), self.data.len())];
            let shape = if keep { vec![1; self.shape.len()] } else { Vec::new() };
            return Ok(Self { shape, data, truth: false });
        };
        let dimensions = self.shape.len() as i64;
        let axis = if axis < 0 { axis + dimensions } else { axis };
        if !(0..dimensions).contains(&axis) {
            return Err(format!("axis {axis} is none of an array of shape {}", self.shape_text()));
        }
        if self.shape.len() == 1 {
            return self.reduce(None, keep, mean);
        }
        let (shape, data): (_, Vec<f64>) = if axis == 0 {
            let sums = (0..m).map(|j| of((0..n).map(|i| self.data[i * m + j]).sum(), n)).collect();
            (if keep { vec![1, m] } else { vec![m] }, sums)
        } else {
            let sums = self.data.chunks(m.max(1)).map(|row| of(row.iter().sum(), m)).collect();
            (if keep { vec![n, 1] } else { vec![n] }, sums)
        };
        Ok(Self { shape, data, truth: false })
    }
}

fn check_size(rows: usize, cols: usize) -> Result<(), String> {
    match rows.checked_mul(cols) {
        Some(n) if n <= MOST => Ok(()),
        _ => Err(format!("an array of {rows} × {cols} is too large here: up to {MOST} elements")),
    }
}

impl Value {
    /// A number.
    pub fn number(x: f64) -> Self {
        Self::Array(Array::number(x))
    }

    /// Something to call.
    pub fn function(name: &str, call: impl Fn(&[Self], &[(String, Self)]) -> Result<Self, String> + 'static) -> Self {
        Self::Function(name.into(), Rc::new(call))
    }

    fn kind(&self) -> String {
        match self {
            Self::Array(array) if array.shape.is_empty() => format!("the number {}", array.data[0]),
            Self::Array(array) => format!("an array of shape {}", array.shape_text()),
            Self::Text(text) => format!("the text '{text}'"),
            Self::Tuple(_) => "a tuple".into(),
            Self::Named(_) => "a dictionary".into(),
            Self::Function(name, _) => format!("the function {name}: call it with ( )"),
            Self::None => "None".into(),
        }
    }

    /// The array.
    ///
    /// # Errors
    /// If it is none.
    pub fn array(&self) -> Result<Array, String> {
        match self {
            Self::Array(array) => Ok(array.clone()),
            Self::Tuple(items) => {
                let rows = items.iter().map(Self::array).collect::<Result<Vec<_>, _>>()?;
                let same = rows.windows(2).all(|pair| pair[0].shape == pair[1].shape);
                let inner = rows.first().map_or(Vec::new(), |row| row.shape.clone());
                if !same || inner.len() > 1 {
                    return Err("a list of rows of different lengths is no array".into());
                }
                let shape = std::iter::once(rows.len()).chain(inner).collect();
                Ok(Array { shape, data: rows.into_iter().flat_map(|row| row.data).collect(), truth: false })
            }
            other => Err(format!("expected a number or an array, got {}", other.kind())),
        }
    }

    fn truth(&self) -> Result<bool, String> {
        match self {
            Self::Array(array) if array.data.len() == 1 => Ok(array.data[0] != 0.0),
            Self::Array(array) => Err(format!(
                "the truth of an array of shape {} is many truths: use np.where or multiply by the comparison",
                array.shape_text()
            )),
            Self::None => Ok(false),
            other => Err(format!("expected a truth, got {}", other.kind())),
        }
    }

    fn whole(&self) -> Result<i64, String> {
        match self {
            Self::Array(array) if array.data.len() == 1 && array.data[0] == array.data[0].trunc() => {
                Ok(array.data[0] as i64)
            }
            other => Err(format!("expected a whole number, got {}", other.kind())),
        }
    }
}

/// Evaluates an expression where these names are known.
///
/// # Errors
/// In a sentence, if it cannot be read or evaluated.
pub fn evaluate(text: &str, names: &BTreeMap<String, Value>) -> Result<Value, String> {
    if text.chars().count() > LONGEST {
        return Err(format!("that is longer than {LONGEST} characters"));
    }
    let tokens = tokens(text)?;
    let mut reader = Reader { tokens, at: 0, depth: 0, names };
    let value = reader.expression()?;
    match reader.peek() {
        None => Ok(value),
        Some(Token::Sign("=")) => Err("write only what stands right of the =".into()),
        Some(token) => Err(format!("cannot read on at `{token}`")),
    }
}

/// Whether an expression names anything: a bare number proves less than a formula.
pub fn has_names(text: &str) -> bool {
    tokens(text).is_ok_and(|tokens| {
        tokens.iter().any(|token| matches!(token, Token::Name(name) if !matches!(name.as_str(), "np" | "if" | "else")))
    })
}

#[derive(Clone, Debug, PartialEq)]
enum Token {
    Number(f64),
    Name(String),
    Text(String),
    /// An f-text, with its braces.
    Format(String),
    Sign(&'static str),
}

impl fmt::Display for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Number(x) => write!(f, "{x}"),
            Self::Name(name) => f.write_str(name),
            Self::Text(text) | Self::Format(text) => write!(f, "'{text}'"),
            Self::Sign(sign) => f.write_str(sign),
        }
    }
}

const SIGNS: [&str; 26] = [
    "**", "//", "<=", ">=", "==", "!=", "+", "-", "*", "/", "@", "<", ">", "(", ")", "[", "]", "{", "}", ",", ".", ":",
    "=", "&", "|", "~",
];

fn tokens(text: &str) -> Result<Vec<Token>, String> {
    // What a phone's keyboard or a book makes of signs.
    let text =
        text.replace(['−', '–'], "-").replace(['×', '·'], "*").replace(['‘', '’'], "'").replace(['“', '”'], "\"");
    let mut rest = text.trim();
    let mut tokens = Vec::new();
    while let Some(first) = rest.chars().next() {
        let prefix = rest.strip_prefix('f').filter(|rest| rest.starts_with(['\'', '"']));
        if first.is_whitespace() {
            rest = rest.trim_start();
            continue;
        }
        if first == '#' {
            break;
        }
        if let (Some(quote @ ('\'' | '"')), after) = (prefix.unwrap_or(rest).chars().next(), prefix.unwrap_or(rest)) {
            let Some(end) = after[1..].find(quote) else {
                return Err("a text is left open: a quote is missing".into());
            };
            let inner = after[1..=end].to_owned();
            tokens.push(if prefix.is_some() { Token::Format(inner) } else { Token::Text(inner) });
            rest = &after[end + 2..];
            continue;
        }
        if first.is_ascii_digit() || (first == '.' && rest[1..].starts_with(|c: char| c.is_ascii_digit())) {
            let mut end = rest.len();
            let mut before = ' ';
            for (at, c) in rest.char_indices() {
                let exponent = matches!(before, 'e' | 'E') && matches!(c, '+' | '-');
                if !(c.is_ascii_digit() || matches!(c, '.' | 'e' | 'E' | '_') || exponent) {
                    end = at;
                    break;
                }
                before = c;
            }
            let number = rest[..end].replace('_', "");
            let x = number.parse().map_err(|_| format!("`{}` is no number", &rest[..end]))?;
            tokens.push(Token::Number(x));
            rest = &rest[end..];
            continue;
        }
        if first.is_alphabetic() || first == '_' {
            let end = rest.find(|c: char| !(c.is_alphanumeric() || c == '_')).unwrap_or(rest.len());
            tokens.push(Token::Name(rest[..end].to_owned()));
            rest = &rest[end..];
            continue;
        }
        let Some(sign) = SIGNS.iter().find(|sign| rest.starts_with(**sign)) else {
            return Err(format!("cannot read `{first}`"));
        };
        tokens.push(Token::Sign(sign));
        rest = &rest[sign.len()..];
    }
    Ok(tokens)
}

struct Reader<'n> {
    tokens: Vec<Token>,
    at: usize,
    depth: usize,
    names: &'n BTreeMap<String, Value>,
}

/// One place of an index.
enum Place {
    At(i64),
    Slice(Option<i64>, Option<i64>),
    Key(String),
}

impl Reader<'_> {
    fn peek(&self) -> Option<&Token> {
        self.tokens.get(self.at)
    }

    fn is_sign(&self, sign: &str) -> bool {
        matches!(self.peek(), Some(Token::Sign(s)) if *s == sign)
    }

    fn take(&mut self, sign: &str) -> bool {
        let found = self.is_sign(sign);
        self.at += usize::from(found);
        found
    }

    fn word(&mut self, word: &str) -> bool {
        let found = matches!(self.peek(), Some(Token::Name(name)) if name == word);
        self.at += usize::from(found);
        found
    }

    fn expect(&mut self, sign: &str) -> Result<(), String> {
        match self.take(sign) {
            true => Ok(()),
            false => Err(match self.peek() {
                Some(token) => format!("expected `{sign}` before `{token}`"),
                None => format!("a `{sign}` is missing at the end"),
            }),
        }
    }

    fn expression(&mut self) -> Result<Value, String> {
        self.depth += 1;
        if self.depth > DEEPEST {
            return Err("that is nested too deeply".into());
        }
        let value = self.either()?;
        let value = if self.word("if") {
            let condition = self.either()?;
            if !self.word("else") {
                return Err("an `if` needs its `else`".into());
            }
            let other = self.expression()?;
            if condition.truth()? { value } else { other }
        } else {
            value
        };
        self.depth -= 1;
        Ok(value)
    }

    fn either(&mut self) -> Result<Value, String> {
        let mut left = self.both()?;
        while self.word("or") {
            let right = self.both()?;
            left = if left.truth()? { left } else { right };
        }
        Ok(left)
    }

    fn both(&mut self) -> Result<Value, String> {
        let mut left = self.negation()?;
        while self.word("and") {
            let right = self.negation()?;
            left = if left.truth()? { right } else { left };
        }
        Ok(left)
    }

    fn negation(&mut self) -> Result<Value, String> {
        if !self.word("not") {
            return self.comparison();
        }
        self.depth += 1;
        if self.depth > DEEPEST {
            return Err("that is nested too deeply".into());
        }
        let value = self.negation()?.truth()?;
        self.depth -= 1;
        Ok(truth(Array::number(f64::from(u8::from(!value)))))
    }

    fn comparison(&mut self) -> Result<Value, String> {
        let left = self.sum()?;
        for sign in ["<=", ">=", "==", "!=", "<", ">"] {
            if self.take(sign) {
                let right = self.sum()?;
                let holds = move |a: f64, b: f64| {
                    f64::from(u8::from(match sign {
                        "<=" => a <= b,
                        ">=" => a >= b,
                        "==" => a == b,
                        "!=" => a != b,
                        "<" => a < b,
                        _ => a > b,
                    }))
                };
                return Ok(truth(left.array()?.with(&right.array()?, holds)?));
            }
        }
        Ok(left)
    }

    fn sum(&mut self) -> Result<Value, String> {
        let mut left = self.product()?;
        loop {
            let plus = self.take("+");
            if !plus && !self.take("-") {
                return Ok(left);
            }
            let right = self.product()?.array()?;
            let result = left.array()?.with(&right, if plus { |a, b| a + b } else { |a, b| a - b })?;
            left = Value::Array(result);
        }
    }

    fn product(&mut self) -> Result<Value, String> {
        let mut left = self.unary()?;
        loop {
            let sign = match self.peek() {
                Some(Token::Sign(sign @ ("*" | "/" | "@" | "//"))) => *sign,
                _ => return Ok(left),
            };
            self.at += 1;
            let right = self.unary()?.array()?;
            let a = left.array()?;
            left = Value::Array(match sign {
                "@" => a.matmul(&right)?,
                "*" => a.with(&right, |a, b| a * b)?,
                "/" => a.with(&right, |a, b| a / b)?,
                _ => a.with(&right, |a, b| (a / b).floor())?,
            });
        }
    }

    fn unary(&mut self) -> Result<Value, String> {
        self.depth += 1;
        if self.depth > DEEPEST {
            return Err("that is nested too deeply".into());
        }
        let value = if self.take("-") {
            Value::Array(self.unary()?.array()?.map(|x| -x))
        } else if self.take("+") {
            Value::Array(self.unary()?.array()?)
        } else {
            let base = self.postfix()?;
            if self.take("**") {
                let exponent = self.unary()?.array()?;
                Value::Array(power(&base.array()?, &exponent)?)
            } else {
                base
            }
        };
        self.depth -= 1;
        Ok(value)
    }

    fn postfix(&mut self) -> Result<Value, String> {
        let mut value = self.atom()?;
        loop {
            if self.take(".") {
                let Some(Token::Name(name)) = self.peek().cloned() else {
                    return Err("a name must follow the dot".into());
                };
                self.at += 1;
                value = attribute(&value, &name)?;
            } else if self.take("(") {
                let (given, named) = self.arguments()?;
                let Value::Function(_, call) = &value else {
                    return Err(format!("{} cannot be called", value.kind()));
                };
                value = call(&given, &named)?;
            } else if self.take("[") {
                let places = self.places()?;
                value = indexed(&value, &places)?;
            } else {
                return Ok(value);
            }
        }
    }

    fn arguments(&mut self) -> Result<(Vec<Value>, Vec<Keyword>), String> {
        let (mut given, mut named) = (Vec::new(), Vec::new());
        while !self.take(")") {
            let keyword = match (self.peek(), self.tokens.get(self.at + 1)) {
                (Some(Token::Name(name)), Some(Token::Sign("="))) => Some(name.clone()),
                _ => None,
            };
            match keyword {
                Some(name) => {
                    self.at += 2;
                    named.push((name, self.expression()?));
                }
                None => given.push(self.expression()?),
            }
            if !self.take(",") {
                self.expect(")")?;
                break;
            }
        }
        Ok((given, named))
    }

    fn places(&mut self) -> Result<Vec<Place>, String> {
        let mut places = Vec::new();
        loop {
            let start = if self.is_sign(":") { None } else { Some(self.expression()?) };
            if self.take(":") {
                let end = if self.is_sign("]") || self.is_sign(",") { None } else { Some(self.expression()?.whole()?) };
                places.push(Place::Slice(start.map(|value| value.whole()).transpose()?, end));
            } else {
                places.push(match start {
                    Some(Value::Text(key)) => Place::Key(key),
                    Some(value) => Place::At(value.whole()?),
                    None => return Err("an index is missing between [ and ]".into()),
                });
            }
            if !self.take(",") {
                self.expect("]")?;
                return Ok(places);
            }
        }
    }

    fn atom(&mut self) -> Result<Value, String> {
        let Some(token) = self.peek().cloned() else { return Err("something is missing at the end".into()) };
        self.at += 1;
        match token {
            Token::Number(x) => Ok(Value::number(x)),
            Token::Text(text) => Ok(Value::Text(text)),
            Token::Format(text) => self.format(&text),
            Token::Name(name) => match name.as_str() {
                "True" => Ok(truth(Array::number(1.0))),
                "False" => Ok(truth(Array::number(0.0))),
                "None" => Ok(Value::None),
                "np" => Ok(Value::Named(BTreeMap::from([("np".into(), Value::None)]))),
                "float" | "int" => Ok(Value::function(&name, |given, _| match given {
                    [value] => Ok(Value::Array(value.array()?)),
                    _ => Err("float takes one number".into()),
                })),
                "len" => Ok(Value::function("len", |given, _| match given {
                    [Value::Array(array)] if !array.shape.is_empty() => Ok(Value::number(array.shape[0] as f64)),
                    [Value::Tuple(items)] => Ok(Value::number(items.len() as f64)),
                    _ => Err("len takes an array or a list".into()),
                })),
                "max" | "min" | "abs" | "sum" => Ok(numpy(match name.as_str() {
                    "max" => "maximum",
                    "min" => "minimum",
                    "abs" => "abs",
                    _ => "sum",
                })?),
                "range" => Ok(Value::function("range", |given, _| {
                    let ends = given.iter().map(Value::whole).collect::<Result<Vec<_>, _>>()?;
                    let (start, end) = match ends[..] {
                        [end] => (0, end),
                        [start, end] => (start, end),
                        _ => return Err("range takes one or two whole numbers here".into()),
                    };
                    let numbers: Vec<f64> =
                        (start..end.clamp(start, start.saturating_add(1000))).map(|x| x as f64).collect();
                    Ok(Value::Array(Array { shape: vec![numbers.len()], data: numbers, truth: false }))
                })),
                name => self.names.get(name).cloned().ok_or_else(|| {
                    let mut known: Vec<&str> = self.names.keys().map(String::as_str).collect();
                    known.push("np");
                    format!("`{name}` is not known here; there are {}", known.join(", "))
                }),
            },
            Token::Sign("(") => {
                let first = self.expression()?;
                if self.take(")") {
                    return Ok(first);
                }
                let mut items = vec![first];
                while self.take(",") {
                    if self.is_sign(")") {
                        break;
                    }
                    items.push(self.expression()?);
                }
                self.expect(")")?;
                Ok(Value::Tuple(items))
            }
            Token::Sign("[") => {
                let mut items = Vec::new();
                while !self.take("]") {
                    items.push(self.expression()?);
                    if !self.take(",") {
                        self.expect("]")?;
                        break;
                    }
                }
                Ok(Value::Tuple(items))
            }
            token => Err(format!("cannot read on at `{token}`")),
        }
    }

    /// f'W{l + 1}': whole numbers in braces.
    fn format(&self, text: &str) -> Result<Value, String> {
        let (mut result, mut rest) = (String::new(), text);
        while let Some((before, after)) = rest.split_once('{') {
            let Some((inner, tail)) = after.split_once('}') else { return Err("a } is missing in the f-text".into()) };
            let mut reader = Reader { tokens: tokens(inner)?, at: 0, depth: self.depth + 1, names: self.names };
            let value = reader.expression()?.whole()?;
            result += before;
            result += &value.to_string();
            rest = tail;
        }
        Ok(Value::Text(result + rest))
    }
}

fn truth(array: Array) -> Value {
    Value::Array(Array { truth: true, ..array })
}

fn power(base: &Array, exponent: &Array) -> Result<Array, String> {
    let whole = exponent.data.iter().all(|e| *e == e.trunc() && (0.0..=16.0).contains(e));
    if whole {
        return base.with(exponent, |x, e| (0..e as u32).fold(1.0, |product, _| product * x));
    }
    match exponent.data[..] {
        [0.5] => Ok(base.map(f64::sqrt)),
        _ => Err("** takes exponents 0 to 16 here, or 0.5".into()),
    }
}

fn attribute(value: &Value, name: &str) -> Result<Value, String> {
    match value {
        Value::Named(names) if names.len() == 1 && names.contains_key("np") => numpy(name),
        Value::Named(names) => names.get(name).cloned().ok_or_else(|| {
            format!("there is no `.{name}`; there are {}", names.keys().cloned().collect::<Vec<_>>().join(", "))
        }),
        Value::Array(array) => {
            let array = array.clone();
            Ok(match name {
                "T" => Value::Array(array.transposed()),
                "shape" => Value::Tuple(array.shape.iter().map(|n| Value::number(*n as f64)).collect()),
                "size" => Value::number(array.data.len() as f64),
                "ndim" => Value::number(array.shape.len() as f64),
                "sum" | "mean" => {
                    let mean = name == "mean";
                    Value::function(name, move |given, named| {
                        let all: Vec<Value> =
                            std::iter::once(Value::Array(array.clone())).chain(given.iter().cloned()).collect();
                        reduced(&all, named, mean)
                    })
                }
                "astype" | "copy" => {
                    Value::function(name, move |_, _| Ok(Value::Array(Array { truth: false, ..array.clone() })))
                }
                "transpose" => Value::function(name, move |_, _| Ok(Value::Array(array.transposed()))),
                "dot" => Value::function(name, move |given, _| match given {
                    [other] => Ok(Value::Array(array.matmul(&other.array()?)?)),
                    _ => Err("dot takes one array".into()),
                }),
                _ => {
                    return Err(format!(
                        "an array has no `.{name}` here; there are T, shape, size, ndim, sum, mean, dot, astype, copy, transpose"
                    ));
                }
            })
        }
        other => Err(format!("{} has no `.{name}`", other.kind())),
    }
}

fn indexed(value: &Value, places: &[Place]) -> Result<Value, String> {
    match (value, places) {
        (Value::Named(names), [Place::Key(key)]) => names.get(key).cloned().ok_or_else(|| {
            format!("there is no key '{key}'; there are {}", names.keys().cloned().collect::<Vec<_>>().join(", "))
        }),
        (Value::Tuple(items), [Place::At(at)]) => {
            let place = if *at < 0 { at + items.len() as i64 } else { *at };
            let item = usize::try_from(place).ok().and_then(|place| items.get(place));
            item.cloned().ok_or_else(|| format!("there is no element {at}: there are {}", items.len()))
        }
        (Value::Array(array), places) if places.len() <= array.shape.len() => {
            let resolve = |place: &Place, size: usize| -> Result<(Vec<usize>, bool), String> {
                let wrap = |at: i64| if at < 0 { at + size as i64 } else { at };
                match place {
                    Place::At(at) => match usize::try_from(wrap(*at)) {
                        Ok(place) if place < size => Ok((vec![place], false)),
                        _ => Err(format!(
                            "index {at} is outside {}: indices go from 0 to {}",
                            array.shape_text(),
                            size.saturating_sub(1)
                        )),
                    },
                    Place::Slice(start, end) => {
                        let clamp = |at: i64| wrap(at).clamp(0, size as i64) as usize;
                        let (start, end) = (start.map_or(0, clamp), end.map_or(size, clamp));
                        Ok(((start..end.max(start)).collect(), true))
                    }
                    Place::Key(key) => Err(format!("an array has no key '{key}'")),
                }
            };
            let (rows, cols);
            let shape: Vec<usize>;
            if array.shape.len() == 2 {
                let (r, keep_rows) = resolve(&places[0], array.shape[0])?;
                let (c, keep_cols) = match places.get(1) {
                    Some(place) => resolve(place, array.shape[1])?,
                    None => ((0..array.shape[1]).collect(), true),
                };
                shape = [(keep_rows, r.len()), (keep_cols, c.len())]
                    .iter()
                    .filter(|(keep, _)| *keep)
                    .map(|(_, n)| *n)
                    .collect();
                (rows, cols) = (r, c);
            } else {
                let (c, keep) = resolve(&places[0], array.shape[0])?;
                shape = if keep { vec![c.len()] } else { Vec::new() };
                (rows, cols) = (vec![0], c);
            }
            let width = array.sizes()[1];
            let data = rows.iter().flat_map(|i| cols.iter().map(move |j| array.data[i * width + j])).collect();
            Ok(Value::Array(Array { shape, data, truth: array.truth }))
        }
        (Value::Array(array), _) => {
            Err(format!("an array of shape {} has fewer dimensions than that", array.shape_text()))
        }
        (other, _) => Err(format!("{} cannot be indexed like that", other.kind())),
    }
}

fn keyword<'v>(given: &'v [Value], named: &'v [(String, Value)], name: &str, place: usize) -> Option<&'v Value> {
    named.iter().find(|(key, _)| key == name).map(|(_, value)| value).or_else(|| given.get(place))
}

fn reduced(given: &[Value], named: &[(String, Value)], mean: bool) -> Result<Value, String> {
    let name = if mean { "mean" } else { "sum" };
    if let Some((key, _)) = named.iter().find(|(key, _)| key != "axis" && key != "keepdims") {
        return Err(format!("np.{name} has no argument `{key}` here; there are axis and keepdims"));
    }
    let array = given.first().ok_or_else(|| format!("np.{name} of what?"))?.array()?;
    let axis = match keyword(given, named, "axis", 1) {
        None | Some(Value::None) => None,
        Some(value) => Some(value.whole()?),
    };
    let keep = keyword(given, named, "keepdims", 2).map_or(Ok(false), Value::truth)?;
    Ok(Value::Array(array.reduce(axis, keep, mean)?))
}

/// The sizes that `np.zeros` and `rng.normal` take.
pub(crate) fn shape_of(value: &Value) -> Result<Vec<usize>, String> {
    let sizes = match value {
        Value::Tuple(items) => items.iter().map(Value::whole).collect::<Result<Vec<_>, _>>()?,
        other => vec![other.whole()?],
    };
    let shape: Vec<usize> = sizes
        .iter()
        .map(|n| usize::try_from(*n).map_err(|_| format!("a size of {n} makes no sense")))
        .collect::<Result<_, _>>()?;
    if shape.len() > 2 {
        return Err("arrays have up to two dimensions here".into());
    }
    check_size(*shape.first().unwrap_or(&1), *shape.get(1).unwrap_or(&1))?;
    Ok(shape)
}

/// `np.name`.
fn numpy(name: &str) -> Result<Value, String> {
    let known = [
        "maximum",
        "fmax",
        "minimum",
        "fmin",
        "sum",
        "mean",
        "zeros",
        "ones",
        "zeros_like",
        "ones_like",
        "where",
        "exp",
        "log",
        "tanh",
        "sqrt",
        "abs",
        "square",
        "sign",
        "dot",
        "matmul",
        "multiply",
        "add",
        "subtract",
        "divide",
        "transpose",
        "array",
        "greater",
    ];
    let Some(&name) = known.iter().find(|one| **one == name) else {
        return Err(format!("`np.{name}` is not known here; there are np.{}", known.join(", np.")));
    };
    Ok(Value::function(&format!("np.{name}"), move |given, named| {
        let one = || match given {
            [value, ..] => value.array(),
            [] => Err(format!("np.{name} of what?")),
        };
        let two = |f: fn(f64, f64) -> f64| match given {
            [a, b] => Ok(Value::Array(a.array()?.with(&b.array()?, f)?)),
            _ => Err(format!("np.{name} takes two arguments")),
        };
        let filled = |x: f64| {
            let shape = shape_of(keyword(given, named, "shape", 0).ok_or_else(|| format!("np.{name} needs a shape"))?)?;
            if given.len() > 1 && matches!(given[1], Value::Array(_)) {
                return Err(format!(
                    "np.{name} takes one shape: np.{name}((rows, columns)) with two pairs of brackets"
                ));
            }
            Ok(Value::Array(Array { data: vec![x; shape.iter().product()], shape, truth: false }))
        };
        match name {
            "maximum" | "fmax" => two(f64::max),
            "minimum" | "fmin" => two(f64::min),
            "multiply" => two(|a, b| a * b),
            "add" => two(|a, b| a + b),
            "subtract" => two(|a, b| a - b),
            "divide" => two(|a, b| a / b),
            "greater" => two(|a, b| f64::from(u8::from(a > b))),
            "sum" | "mean" => reduced(given, named, name == "mean"),
            "zeros" => filled(0.0),
            "ones" => filled(1.0),
            "zeros_like" => Ok(Value::Array(one()?.map(|_| 0.0))),
            "ones_like" => Ok(Value::Array(one()?.map(|_| 1.0))),
            "exp" => Ok(Value::Array(one()?.map(Lanes::exp))),
            "log" => Ok(Value::Array(one()?.map(Lanes::ln))),
            "tanh" => Ok(Value::Array(one()?.map(Lanes::tanh))),
            "sqrt" => Ok(Value::Array(one()?.map(f64::sqrt))),
            "abs" => Ok(Value::Array(one()?.map(f64::abs))),
            "square" => Ok(Value::Array(one()?.map(|x| x * x))),
            "sign" => Ok(Value::Array(one()?.map(|x| if x == 0.0 { 0.0 } else { x.signum() }))),
            "array" => Ok(Value::Array(one()?)),
            "transpose" => Ok(Value::Array(one()?.transposed())),
            "where" => match given {
                [condition, yes, no] => {
                    let (condition, yes, no) = (condition.array()?, yes.array()?, no.array()?);
                    let is = condition.map(|x| f64::from(u8::from(x != 0.0)));
                    let yes = is.with(&yes, |is, yes| if is == 1.0 { yes } else { 0.0 })?;
                    let no = is.with(&no, |is, no| if is == 1.0 { 0.0 } else { no })?;
                    Ok(Value::Array(yes.with(&no, |a, b| a + b)?))
                }
                _ => Err("np.where takes a condition and two values".into()),
            },
            _ => match given {
                [a, b] => Ok(Value::Array(a.array()?.matmul(&b.array()?)?)),
                _ => Err(format!("np.{name} takes two arrays")),
            },
        }
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names() -> BTreeMap<String, Value> {
        let matrix = |rows, cols, data: &[f64]| Value::Array(Array::matrix(rows, cols, data.to_vec()));
        let params = BTreeMap::from([("W1".to_owned(), matrix(2, 3, &[1.0, 2.0, 3.0, 4.0, 5.0, 6.0]))]);
        BTreeMap::from([
            ("X".to_owned(), matrix(2, 2, &[1.0, -2.0, 3.0, 0.5])),
            ("W".to_owned(), matrix(2, 3, &[1.0, 2.0, 3.0, 4.0, 5.0, 6.0])),
            ("b".to_owned(), matrix(1, 3, &[10.0, 20.0, 30.0])),
            ("l".to_owned(), Value::number(1.0)),
            ("self".to_owned(), Value::Named(BTreeMap::from([("params".to_owned(), Value::Named(params))]))),
        ])
    }

    fn array(text: &str) -> Array {
        evaluate(text, &names()).and_then(|value| value.array()).unwrap_or_else(|error| panic!("{text}: {error}"))
    }

    #[test]
    fn expressions_are_worth_what_numpy_makes_of_them() {
        let cases: [(&str, &[usize], &[f64]); 24] = [
            ("1 + 2 * 3 ** 2 - -4", &[], &[23.0]),
            ("-2 ** 2", &[], &[-4.0]),
            ("X @ W + b", &[2, 3], &[3.0, 12.0, 21.0, 15.0, 28.5, 42.0]),
            ("X.T", &[2, 2], &[1.0, 3.0, -2.0, 0.5]),
            ("np.maximum(0, X)", &[2, 2], &[1.0, 0.0, 3.0, 0.5]),
            ("np.sum(X, axis=0, keepdims=True)", &[1, 2], &[4.0, -1.5]),
            ("X.sum(axis=0)", &[2], &[4.0, -1.5]),
            ("np.mean((X - 1) ** 2) / 2", &[], &[(0.0 + 9.0 + 4.0 + 0.25) / 8.0]),
            ("np.zeros((1, 3))", &[1, 3], &[0.0, 0.0, 0.0]),
            ("(X > 0).astype(float)", &[2, 2], &[1.0, 0.0, 1.0, 1.0]),
            ("X * (X > 0)", &[2, 2], &[1.0, 0.0, 3.0, 0.5]),
            ("X[0, 1]", &[], &[-2.0]),
            ("X[1]", &[2], &[3.0, 0.5]),
            ("X[:, 1]", &[2], &[-2.0, 0.5]),
            ("W[0:1, 1:]", &[1, 2], &[2.0, 3.0]),
            ("X[-1, -1]", &[], &[0.5]),
            ("X.shape[0]", &[], &[2.0]),
            ("len(W)", &[], &[2.0]),
            ("1 if X[0, 0] > 0 else 0", &[], &[1.0]),
            ("np.where(X > 0, 1, 0)", &[2, 2], &[1.0, 0.0, 1.0, 1.0]),
            ("self.params[f'W{l}'][1, 2]", &[], &[6.0]),
            ("self.params['W1'].T @ X[0]", &[3], &[-7.0, -8.0, -9.0]),
            ("[1, 2, 3]", &[3], &[1.0, 2.0, 3.0]),
            ("6.1×0.06 − 0.5", &[], &[6.1 * 0.06 - 0.5]),
        ];
        for (text, shape, data) in cases {
            let value = array(text);
            assert_eq!(value.shape, shape, "{text}");
            for (got, expected) in value.data.iter().zip(data) {
                assert!((got - expected).abs() < 1e-12, "{text}: {:?}", value.data);
            }
        }
    }

    #[test]
    fn what_makes_no_sense_is_said_and_nothing_panics() {
        let cases = [
            ("W @ X", "(2, 3) @ (2, 2) does not fit"),
            ("Y", "`Y` is not known here"),
            ("X +", "missing at the end"),
            ("Z1 = X", "not known"),
            ("X = 2", "right of the ="),
            ("np.eye(3)", "`np.eye` is not known here"),
            ("X[5, 0]", "outside (2, 2)"),
            ("X + W", "do not go together"),
            ("(X", "`)` is missing"),
            ("np.zeros((100000, 100000))", "too large"),
            ("np.zeros(1, 3)", "two pairs of brackets"),
            ("1 if X > 0 else 0", "many truths"),
            ("import os", "not known"),
            ("'a", "left open"),
            ("X ? 2", "cannot read `?`"),
            ("self.params[f'W{l + 7}']", "no key 'W8'"),
        ];
        for (text, part) in cases {
            let error = evaluate(text, &names()).unwrap_err();
            assert!(error.contains(part), "{text}: {error}");
        }
        for text in [
            "(".repeat(500),
            "-".repeat(500),
            "not ".repeat(140),
            "[".repeat(500),
            "X[".repeat(250),
            "9".repeat(500),
            "f'{".repeat(190),
        ] {
            let _ = evaluate(&text, &names());
        }
        assert!(evaluate(&"1+".repeat(400), &names()).unwrap_err().contains("longer than"));
    }
}
