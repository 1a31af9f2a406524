//! An SVG that knows where its labels are, so that none is put upon another.

use std::fmt::Write as _;

/// The colours of a page.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Theme {
    /// Dark ink on white.
    #[default]
    Light,
    /// Light ink on black.
    Dark,
}

/// What a thing is coloured by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ink {
    /// Text and what is to be seen.
    Plain,
    /// What is there, but not meant.
    Faint,
    /// Notes.
    Quiet,
    /// An edge of no special weight.
    Edge,
    Positive,
    Negative,
    /// The n-th path, or what is called out.
    Path(usize),
}

/// Fills of neurons by where they are, and of receptors.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fill {
    Input,
    Hidden,
    Output,
    Receptor,
    Faint,
}

impl Theme {
    fn ink(self, ink: Ink) -> &'static str {
        const PATHS: [[&str; 2]; 6] = [
            ["#c2255c", "#ff8fb3"],
            ["#1864ab", "#74c0fc"],
            ["#2b8a3e", "#8ce99a"],
            ["#d9480f", "#ffa94d"],
            ["#5f3dc4", "#b197fc"],
            ["#0b7285", "#66d9e8"],
        ];
        let [light, dark] = match ink {
            Ink::Plain => ["#1b1f24", "#eceff3"],
            Ink::Faint => ["#d5d9df", "#3a414b"],
            Ink::Quiet => ["#5b6573", "#a9b3c0"],
            Ink::Edge => ["#8a939f", "#78828f"],
            Ink::Positive => ["#3b7dd8", "#74a9f5"],
            Ink::Negative => ["#d9773b", "#f0a36c"],
            Ink::Path(n) => PATHS[n % PATHS.len()],
        };
        if self == Self::Dark { dark } else { light }
    }

    fn fill(self, fill: Fill) -> [&'static str; 2] {
        let (light, dark) = match fill {
            Fill::Input => (["#e7f1fc", "#2f6db5"], ["#16304d", "#74a9f5"]),
            Fill::Hidden => (["#e8f5ea", "#2f7d44"], ["#15361f", "#7fcf92"]),
            Fill::Output => (["#fdeee2", "#bd5a1a"], ["#45260f", "#f0a36c"]),
            Fill::Receptor => (["#f7f8fa", "#6b7480"], ["#20262e", "#97a1ae"]),
            Fill::Faint => (["#fafbfc", "#d5d9df"], ["#181c21", "#3a414b"]),
        };
        if self == Self::Dark { dark } else { light }
    }

    fn ground(self) -> &'static str {
        if self == Self::Dark { "#101317" } else { "#ffffff" }
    }
}

/// Where a text's given point stands in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Anchor {
    Start,
    Middle,
    End,
}

/// A rectangle that is taken.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Area {
    pub(super) x: f64,
    pub(super) y: f64,
    pub(super) width: f64,
    pub(super) height: f64,
    /// Of a text, what it says.
    pub(super) text: String,
}

impl Area {
    pub(super) fn meets(&self, other: &Self) -> bool {
        let apart = self.x + self.width <= other.x
            || other.x + other.width <= self.x
            || self.y + self.height <= other.y
            || other.y + other.height <= self.y;
        !apart
    }
}

/// A drawing on its way.
pub(super) struct Canvas {
    theme: Theme,
    body: String,
    /// Where texts are.
    pub(super) labels: Vec<Area>,
    /// Where shapes are that no label should cross.
    pub(super) shapes: Vec<Area>,
    /// Left, top, right, bottom of everything.
    bounds: [f64; 4],
}

/// A run of a text on one level: 0, above (1) or below (−1) the line.
fn runs(text: &str) -> Vec<(i8, String)> {
    let mut runs: Vec<(i8, String)> = Vec::new();
    for c in text.chars() {
        let digit = |first: char| char::from(b'0' + (c as u32 - first as u32) as u8);
        let (level, c) = match c {
            '⁰' => (1, '0'),
            '¹' => (1, '1'),
            '²' => (1, '2'),
            '³' => (1, '3'),
            '⁴'..='⁹' => (1, char::from(digit('⁴') as u8 + 4)),
            '⁽' => (1, '('),
            '⁾' => (1, ')'),
            'ᵐ' => (1, 'm'),
            'ᵀ' => (1, 'T'),
            '₀'..='₉' => (-1, digit('₀')),
            '‚' => (-1, ','),
            c => (0, c),
        };
        match runs.last_mut() {
            Some((last, run)) if *last == level => run.push(c),
            _ => runs.push((level, c.into())),
        }
    }
    runs
}

/// The size of what stands above or below the line.
const SMALL: f64 = 0.7;

/// How wide a text is at most, in any usual font.
pub(super) fn width_of(text: &str, size: f64) -> f64 {
    let em = |c: char| match c {
        'i' | 'l' | 'j' | '.' | ',' | '\'' | '′' | ':' | '|' | '/' | '!' => 0.36,
        '(' | ')' | '[' | ']' | ' ' | 't' | 'f' | 'r' => 0.42,
        'm' | 'w' | 'M' | 'W' | '∂' | '→' | '…' | '%' | '@' => 0.9,
        '0'..='9' | '−' | '+' => 0.64,
        c if c.is_ascii_lowercase() => 0.62,
        c if c.is_ascii() => 0.74,
        c if (c as u32) < 0x2000 => 0.7,
        _ => 1.0,
    };
    let run = |(level, run): &(i8, String)| run.chars().map(em).sum::<f64>() * if *level == 0 { 1.0 } else { SMALL };
    runs(text).iter().map(run).sum::<f64>() * size
}

fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out += "&amp;",
            '<' => out += "&lt;",
            '>' => out += "&gt;",
            '"' => out += "&quot;",
            '\'' => out += "&#39;",
            // XML has no place for most of the others.
            c if c.is_control() => out.push(' '),
            c => out.push(c),
        }
    }
    out
}

/// A coordinate: two decimals are a hair's breadth.
fn at(x: f64) -> String {
    let text = format!("{x:.2}");
    let text = text.trim_end_matches('0').trim_end_matches('.');
    if text == "-0" { "0".into() } else { text.into() }
}

impl Canvas {
    pub(super) fn new(theme: Theme) -> Self {
        let bounds = [f64::INFINITY, f64::INFINITY, f64::NEG_INFINITY, f64::NEG_INFINITY];
        Self { theme, body: String::new(), labels: Vec::new(), shapes: Vec::new(), bounds }
    }

    fn extend(&mut self, x: f64, y: f64) {
        let [left, top, right, bottom] = self.bounds;
        self.bounds = [left.min(x), top.min(y), right.max(x), bottom.max(y)];
    }

    /// Left, top, right, bottom of everything so far.
    pub(super) fn bounds(&self) -> [f64; 4] {
        self.bounds
    }

    /// Where a text would be whose given point, at half its height, is (x, y).
    pub(super) fn area(x: f64, y: f64, anchor: Anchor, size: f64, text: &str) -> Area {
        let width = width_of(text, size);
        let left = match anchor {
            Anchor::Start => x,
            Anchor::Middle => x - width / 2.0,
            Anchor::End => x - width,
        };
        let height = size * 1.3;
        Area { x: left, y: y - height / 2.0, width, height, text: text.to_owned() }
    }

    /// Whether a label there would cross neither another nor a shape.
    pub(super) fn is_free(&self, area: &Area) -> bool {
        !self.labels.iter().chain(&self.shapes).any(|other| other.meets(area))
    }

    /// A text whose given point, at half its height, is (x, y); sub- and superscripts in Unicode become real ones.
    pub(super) fn text(&mut self, x: f64, y: f64, anchor: Anchor, size: f64, ink: Ink, text: &str) {
        self.write(x, y, anchor, size, ink, text, "");
    }

    /// A text upon lines: the ground behind it keeps it legible.
    pub(super) fn label(&mut self, x: f64, y: f64, size: f64, ink: Ink, text: &str) {
        let area = Self::area(x, y, Anchor::Middle, size, text);
        let _ = writeln!(
            self.body,
            "<rect x=\"{}\" y=\"{}\" width=\"{}\" height=\"{}\" rx=\"3\" fill=\"{}\" opacity=\"0.85\"/>",
            at(area.x),
            at(area.y + 0.1 * size),
            at(area.width),
            at(area.height - 0.2 * size),
            self.theme.ground()
        );
        self.text(x, y, Anchor::Middle, size, ink, text);
    }

    /// A text in bold.
    pub(super) fn bold(&mut self, x: f64, y: f64, anchor: Anchor, size: f64, ink: Ink, text: &str) {
        self.write(x, y, anchor, size, ink, text, " font-weight=\"bold\"");
    }

    fn write(&mut self, x: f64, y: f64, anchor: Anchor, size: f64, ink: Ink, text: &str, style: &str) {
        let area = Self::area(x, y, anchor, size, text);
        self.extend(area.x, area.y);
        self.extend(area.x + area.width, area.y + area.height);
        self.labels.push(area);
        let anchor = match anchor {
            Anchor::Start => "start",
            Anchor::Middle => "middle",
            Anchor::End => "end",
        };
        let _ = write!(
            self.body,
            "<text xml:space=\"preserve\" x=\"{}\" y=\"{}\" font-size=\"{}\" text-anchor=\"{anchor}\" fill=\"{}\" class=\"t\"{style}>",
            at(x),
            at(y + size * 0.34),
            at(size),
            self.theme.ink(ink)
        );
        let mut level = 0;
        for (next, run) in runs(text) {
            let run = escape(&run);
            let rise = |level: i8| if level > 0 { 0.38 } else { -0.2 * f64::from(-level) };
            let down = (rise(level) - rise(next)) * size;
            match next {
                0 if level == 0 => self.body += &run,
                0 => {
                    let _ = write!(self.body, "<tspan dy=\"{}\">{run}</tspan>", at(down));
                }
                _ => {
                    let small = at(size * SMALL);
                    let _ = write!(self.body, "<tspan dy=\"{}\" font-size=\"{small}\">{run}</tspan>", at(down));
                }
            }
            level = next;
        }
        self.body += "</text>\n";
    }

    /// What a pointer over the next shape shows: written in front of the shape, within one group.
    fn titled(&mut self, title: &str, shape: &str) {
        if title.is_empty() {
            self.body += shape;
        } else {
            let _ = write!(self.body, "<g><title>{}</title>{shape}</g>", escape(title));
        }
        self.body.push('\n');
    }

    pub(super) fn circle(&mut self, x: f64, y: f64, r: f64, fill: Fill, title: &str) {
        let [inside, edge] = self.theme.fill(fill);
        let shape = format!(
            "<circle cx=\"{}\" cy=\"{}\" r=\"{}\" fill=\"{inside}\" stroke=\"{edge}\" stroke-width=\"1.5\"/>",
            at(x),
            at(y),
            at(r)
        );
        self.titled(title, &shape);
        self.shape(x - r, y - r, 2.0 * r, 2.0 * r);
    }

    pub(super) fn block(&mut self, x: f64, y: f64, width: f64, height: f64, fill: Fill, title: &str) {
        let [inside, edge] = self.theme.fill(fill);
        let shape = format!(
            "<rect x=\"{}\" y=\"{}\" width=\"{}\" height=\"{}\" rx=\"3\" fill=\"{inside}\" stroke=\"{edge}\" stroke-width=\"1.5\"/>",
            at(x),
            at(y),
            at(width),
            at(height)
        );
        self.titled(title, &shape);
        self.shape(x, y, width, height);
    }

    fn shape(&mut self, x: f64, y: f64, width: f64, height: f64) {
        self.extend(x - 1.0, y - 1.0);
        self.extend(x + width + 1.0, y + height + 1.0);
        self.shapes.push(Area { x, y, width, height, text: String::new() });
    }

    /// A rectangle around something, with no inside.
    pub(super) fn frame(&mut self, x: f64, y: f64, width: f64, height: f64, ink: Ink) {
        let _ = writeln!(
            self.body,
            "<rect x=\"{}\" y=\"{}\" width=\"{}\" height=\"{}\" rx=\"3\" fill=\"none\" stroke=\"{}\" stroke-width=\"1.6\"/>",
            at(x),
            at(y),
            at(width),
            at(height),
            self.theme.ink(ink)
        );
        self.extend(x, y);
        self.extend(x + width, y + height);
    }

    /// A line, perhaps with an arrowhead at its end.
    pub(super) fn line(&mut self, from: (f64, f64), to: (f64, f64), ink: Ink, width: f64, head: bool, title: &str) {
        let colour = self.theme.ink(ink);
        let mut shape = format!(
            "<path d=\"M{} {}L{} {}\" stroke=\"{colour}\" stroke-width=\"{}\" fill=\"none\"/>",
            at(from.0),
            at(from.1),
            at(to.0),
            at(to.1),
            at(width)
        );
        if head {
            shape += &arrowhead(from, to, colour, 3.0 + 1.6 * width);
        }
        self.titled(title, &shape);
        self.extend(from.0, from.1);
        self.extend(to.0, to.1);
    }

    /// A curve from a point past a control point to another, with an arrowhead.
    pub(super) fn arc(
        &mut self,
        from: (f64, f64),
        past: (f64, f64),
        to: (f64, f64),
        ink: Ink,
        width: f64,
        title: &str,
    ) {
        let colour = self.theme.ink(ink);
        let mut shape = format!(
            "<path d=\"M{} {}Q{} {} {} {}\" stroke=\"{colour}\" stroke-width=\"{}\" fill=\"none\"/>",
            at(from.0),
            at(from.1),
            at(past.0),
            at(past.1),
            at(to.0),
            at(to.1),
            at(width)
        );
        shape += &arrowhead(past, to, colour, 3.0 + 2.2 * width);
        self.titled(title, &shape);
        let middle = between(from, past, to, 0.5);
        for point in [from, middle, to] {
            self.extend(point.0, point.1);
        }
    }

    /// Brackets around a matrix.
    pub(super) fn brackets(&mut self, x: f64, y: f64, width: f64, height: f64) {
        let colour = self.theme.ink(Ink::Plain);
        for (edge, tip) in [(x, x + 5.0), (x + width, x + width - 5.0)] {
            let _ = writeln!(
                self.body,
                "<path d=\"M{} {}H{}V{}H{}\" fill=\"none\" stroke=\"{colour}\" stroke-width=\"1.3\"/>",
                at(tip),
                at(y),
                at(edge),
                at(y + height),
                at(tip)
            );
        }
        self.extend(x, y);
        self.extend(x + width, y + height);
    }

    /// A brace that opens upwards over [left, right].
    pub(super) fn brace(&mut self, left: f64, right: f64, y: f64) {
        let (colour, middle) = (self.theme.ink(Ink::Quiet), f64::midpoint(left, right));
        let _ = writeln!(
            self.body,
            "<path d=\"M{l} {y0}Q{l} {y1} {l1} {y1}H{m0}Q{m} {y1} {m} {y2}Q{m} {y1} {m1} {y1}H{r1}Q{r} {y1} {r} {y0}\" \
             fill=\"none\" stroke=\"{colour}\" stroke-width=\"1.3\"/>",
            l = at(left),
            l1 = at(left + 7.0),
            m0 = at(middle - 7.0),
            m = at(middle),
            m1 = at(middle + 7.0),
            r1 = at(right - 7.0),
            r = at(right),
            y0 = at(y),
            y1 = at(y + 7.0),
            y2 = at(y + 14.0)
        );
        self.extend(left, y);
        self.extend(right, y + 14.0);
    }

    /// The whole file.
    pub(super) fn finish(self, title: &str) -> String {
        let [left, top, right, bottom] = self.bounds;
        let (x, y) = (left - MARGIN, top - MARGIN);
        let (width, height) = (right - left + 2.0 * MARGIN, bottom - top + 2.0 * MARGIN);
        let ground = self.theme.ground();
        format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"{x} {y} {w} {h}\" width=\"{w}\" height=\"{h}\" role=\"img\">\n\
             <title>{title}</title>\n\
             <style>.t{{font-family:'Helvetica Neue',Arial,'DejaVu Sans',sans-serif}}</style>\n\
             <rect x=\"{x}\" y=\"{y}\" width=\"{w}\" height=\"{h}\" fill=\"{ground}\"/>\n{body}</svg>\n",
            x = at(x),
            y = at(y),
            w = at(width),
            h = at(height),
            title = escape(title),
            body = self.body
        )
    }
}

/// Room around everything.
const MARGIN: f64 = 16.0;

/// A point of a curve.
pub(super) fn between(from: (f64, f64), past: (f64, f64), to: (f64, f64), t: f64) -> (f64, f64) {
    let mix = |a: f64, b: f64, c: f64| (1.0 - t) * (1.0 - t) * a + 2.0 * t * (1.0 - t) * b + t * t * c;
    (mix(from.0, past.0, to.0), mix(from.1, past.1, to.1))
}

fn arrowhead(from: (f64, f64), to: (f64, f64), colour: &str, size: f64) -> String {
    let (dx, dy) = (to.0 - from.0, to.1 - from.1);
    let length = (dx * dx + dy * dy).sqrt().max(1e-9);
    let (ux, uy) = (dx / length, dy / length);
    let back = (to.0 - size * ux, to.1 - size * uy);
    let half = 0.42 * size;
    format!(
        "<path d=\"M{} {}L{} {}L{} {}Z\" fill=\"{colour}\"/>",
        at(to.0),
        at(to.1),
        at(back.0 - half * uy),
        at(back.1 + half * ux),
        at(back.0 + half * uy),
        at(back.1 - half * ux)
    )
}
