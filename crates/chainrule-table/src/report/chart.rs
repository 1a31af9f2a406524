//! Small charts as SVG that takes its colours from the page: lines, dots, bars.

use super::page::escape;
use chainrule::explain::number;
use std::fmt::Write as _;

/// Points that belong together, in one of the page's colours.
pub(super) struct Series {
    pub(super) name: String,
    pub(super) colour: usize,
    pub(super) points: Vec<(f64, f64)>,
    pub(super) kind: Kind,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Line,
    /// One of several lines of a kind: thin.
    Thin,
    Dots,
    /// A line that is only compared with.
    Reference,
    /// From 0 to the point, as wide as there is room.
    Bars,
}

/// A chart of series over two axes.
pub(super) struct Chart<'a> {
    pub(super) title: &'a str,
    pub(super) x: &'a str,
    pub(super) y: &'a str,
    pub(super) series: Vec<Series>,
    /// Powers of ten upwards; numbers of 0 or less are left out.
    pub(super) log: bool,
    /// What both axes span, where it is not the points' own.
    pub(super) span: Option<[(f64, f64); 2]>,
}

const WIDTH: f64 = 460.0;
const HEIGHT: f64 = 270.0;
const LEFT: f64 = 58.0;
const RIGHT: f64 = 26.0;
const TOP: f64 = 10.0;
const BOTTOM: f64 = 40.0;
/// A series of more points is thinned: the eye sees no more.
const MOST_POINTS: usize = 160;

impl Chart<'_> {
    /// The chart as a figure with its legend; nothing if there is no point.
    pub(super) fn html(self) -> String {
        let shown = |&(x, y): &(f64, f64)| x.is_finite() && y.is_finite() && (!self.log || y > 0.0);
        let height = |y: f64| if self.log { log10(y) } else { y };
        let series: Vec<(&Series, Vec<(f64, f64)>)> = self
            .series
            .iter()
            .map(|series| {
                let points = series.points.iter().filter(|point| shown(point)).map(|&(x, y)| (x, height(y)));
                (series, thinned(points.collect(), series.kind))
            })
            .filter(|(_, points)| !points.is_empty())
            .collect();
        let all = || series.iter().flat_map(|(_, points)| points.iter().copied());
        if all().next().is_none() {
            return String::new();
        }
        let [x_span, y_span] = self.span.unwrap_or_else(|| {
            let bars = series.iter().any(|(series, _)| series.kind == Kind::Bars);
            let (mut x, y) = (span(all().map(|point| point.0), false), span(all().map(|point| point.1), bars));
            if let (true, Some((_, points))) = (bars, series.first().filter(|(_, points)| points.len() > 1)) {
                let half = 0.5 * (points[1].0 - points[0].0).abs();
                x = (x.0 - half, x.1 + half);
            }
            [x, y]
        });
        let right = WIDTH - RIGHT;
        let at_x = |x: f64| LEFT + (x - x_span.0) / (x_span.1 - x_span.0) * (right - LEFT);
        let at_y = |y: f64| HEIGHT - BOTTOM - (y - y_span.0) / (y_span.1 - y_span.0) * (HEIGHT - BOTTOM - TOP);
        let mut svg = format!(
            "<svg viewBox=\"0 0 {WIDTH} {HEIGHT}\" role=\"img\" aria-label=\"{}\">\n",
            escape(&format!("{}: {} by {}", self.title, self.y, self.x))
        );
        let upwards = if self.log { log_ticks(y_span) } else { ticks(y_span, 5).map(|tick| (tick, tick)).collect() };
        for (tick, at) in upwards {
            let (y, label) = (at_y(at), number(tick, 4));
            let _ = write!(svg, "<path class=\"grid\" d=\"M{LEFT} {y:.1}H{right}\"/>");
            let _ = writeln!(svg, "<text x=\"{:.1}\" y=\"{:.1}\" class=\"end\">{label}</text>", LEFT - 6.0, y + 4.0);
        }
        for tick in ticks(x_span, 6) {
            let (x, y) = (at_x(tick), HEIGHT - BOTTOM);
            let _ = write!(svg, "<path class=\"axis\" d=\"M{x:.1} {y}v4\"/>");
            let _ =
                writeln!(svg, "<text x=\"{x:.1}\" y=\"{:.1}\" class=\"middle\">{}</text>", y + 17.0, number(tick, 4));
        }
        let _ = write!(svg, "<path class=\"axis\" d=\"M{LEFT} {:.1}H{right}\"/>", HEIGHT - BOTTOM);
        let middle = 0.5 * (LEFT + right);
        let _ = writeln!(svg, "<text x=\"{middle}\" y=\"{}\" class=\"middle\">{}</text>", HEIGHT - 5.0, escape(self.x));
        for (series, points) in &series {
            let colour = series.colour;
            let mut path = String::new();
            let class = match series.kind {
                Kind::Line | Kind::Thin | Kind::Reference => {
                    for (n, &(x, y)) in points.iter().enumerate() {
                        let _ = write!(path, "{}{:.1} {:.1}", if n == 0 { 'M' } else { 'L' }, at_x(x), at_y(y));
                    }
                    if points.len() == 1 {
                        path += "h0";
                    }
                    match series.kind {
                        Kind::Line => format!("line c{colour}"),
                        Kind::Thin => format!("thin c{colour}"),
                        _ => "reference".into(),
                    }
                }
                Kind::Dots => {
                    points.iter().for_each(|&(x, y)| {
                        let _ = write!(path, "M{:.1} {:.1}h0", at_x(x), at_y(y));
                    });
                    format!("dots c{colour}")
                }
                Kind::Bars => {
                    let gap = if points.len() > 1 { (at_x(points[1].0) - at_x(points[0].0)).abs() } else { 40.0 };
                    points.iter().for_each(|&(x, y)| {
                        let left = at_x(x) - 0.45 * gap;
                        let _ = write!(
                            path,
                            "M{left:.1} {:.1}V{:.1}h{:.1}V{:.1}Z",
                            at_y(0.0),
                            at_y(y),
                            0.9 * gap,
                            at_y(0.0)
                        );
                    });
                    format!("bars f{colour}")
                }
            };
            let _ = writeln!(svg, "<path class=\"{class}\" d=\"{path}\"/>");
        }
        svg += "</svg>\n";
        figure(self.title, self.y, &svg, &self.series)
    }
}

/// A figure: title, what goes upwards, the picture, and the legend if there is more than one name.
fn figure(title: &str, y: &str, svg: &str, series: &[Series]) -> String {
    let mut names: Vec<(&str, usize, bool)> = Vec::new();
    for series in series {
        if !series.name.is_empty() && !names.iter().any(|(name, ..)| *name == series.name) {
            names.push((&series.name, series.colour, series.kind == Kind::Reference));
        }
    }
    let mut legend = String::new();
    if names.len() > 1 {
        for (name, colour, reference) in names {
            let class = if reference { "key kr".to_owned() } else { format!("key k{colour}") };
            let _ = write!(legend, "<span class=\"{class}\">{}</span> ", escape(name));
        }
        legend = format!("<p class=\"legend\">{}</p>\n", legend.trim_end());
    }
    format!(
        "<figure>\n<figcaption><b>{}</b> <span class=\"quiet\">{}</span></figcaption>\n{svg}{legend}</figure>\n",
        escape(title),
        escape(y)
    )
}

/// A bar of a [`bars`] chart.
pub(super) struct Bar {
    pub(super) name: String,
    pub(super) value: f64,
    /// A whisker of so much at either side.
    pub(super) spread: f64,
    pub(super) label: String,
}

/// Bars to the right, one under another, each with its name and number.
pub(super) fn bars(title: &str, y: &str, bars: &[Bar], colour: usize) -> String {
    /// Characters of a name, and where the bars begin.
    const NAME: usize = 26;
    const BEGIN: f64 = 180.0;
    const ROW: f64 = 20.0;
    let wide = 640.0;
    let (low, high) = span(bars.iter().flat_map(|bar| [bar.value - bar.spread, bar.value + bar.spread]), true);
    let at = |x: f64| BEGIN + (x - low) / (high - low) * (wide - BEGIN - 80.0);
    let height = bars.len() as f64 * ROW + 4.0;
    let mut svg = format!("<svg viewBox=\"0 0 {wide} {height}\" role=\"img\" aria-label=\"{}\">\n", escape(title));
    for (n, bar) in bars.iter().enumerate() {
        let (y, zero, end) = (n as f64 * ROW, at(0.0), at(bar.value));
        let name: String = match bar.name.chars().count() > NAME {
            true => bar.name.chars().take(NAME - 1).chain(['…']).collect(),
            false => bar.name.clone(),
        };
        let text = y + 14.0;
        let _ = writeln!(svg, "<text x=\"{:.1}\" y=\"{text}\" class=\"end\">{}</text>", BEGIN - 8.0, escape(&name));
        let (left, width) = (zero.min(end), (end - zero).abs().max(0.5));
        let _ = write!(
            svg,
            "<rect class=\"f{colour}\" x=\"{left:.1}\" y=\"{}\" width=\"{width:.1}\" height=\"13\"/>",
            y + 3.0
        );
        let whisker = at(bar.value + bar.spread);
        if bar.spread > 0.0 {
            let _ = write!(
                svg,
                "<path class=\"whisker\" d=\"M{:.1} {:.1}H{whisker:.1}\"/>",
                at(bar.value - bar.spread),
                y + 9.5
            );
        }
        let _ = writeln!(
            svg,
            "<text x=\"{:.1}\" y=\"{text}\">{}</text>",
            whisker.max(end).max(zero) + 6.0,
            escape(&bar.label)
        );
    }
    svg += "</svg>\n";
    figure(title, y, &svg, &[]).replace("<figure>", "<figure class=\"wide\">")
}

/// Every k-th point and the last; dots and bars stay as they are.
fn thinned(points: Vec<(f64, f64)>, kind: Kind) -> Vec<(f64, f64)> {
    let n = points.len();
    if n <= MOST_POINTS || matches!(kind, Kind::Dots | Kind::Bars) {
        return points;
    }
    (0..MOST_POINTS).map(|i| points[i * (n - 1) / (MOST_POINTS - 1)]).collect()
}

fn log10(x: f64) -> f64 {
    chainrule::kernels::Lanes::ln(x) / std::f64::consts::LN_10
}

/// The least interval with all numbers, 0 too where asked for, and a little more where they are all one.
fn span(numbers: impl Iterator<Item = f64>, zero: bool) -> (f64, f64) {
    let (mut low, mut high) = if zero { (0.0, 0.0) } else { (f64::INFINITY, f64::NEG_INFINITY) };
    for x in numbers.filter(|x| x.is_finite()) {
        (low, high) = (f64::min(low, x), f64::max(high, x));
    }
    match high - low {
        gap if gap > 1e-12 * low.abs().max(high.abs()) => (low, high),
        _ if low.is_finite() => (low - 0.5 * low.abs().max(1e-3), high + 0.5 * high.abs().max(1e-3)),
        _ => (0.0, 1.0),
    }
}

/// 10ⁿ, correctly rounded.
fn ten(power: i32) -> f64 {
    format!("1e{power}").parse().unwrap_or(f64::NAN)
}

/// About `wanted` round numbers in a span: 1, 2 or 5 times a power of ten apart.
fn ticks((low, high): (f64, f64), wanted: usize) -> impl Iterator<Item = f64> {
    let rough = (high - low) / wanted as f64;
    let power = ten(log10(rough).floor() as i32);
    let step = [1.0, 2.0, 5.0, 10.0].into_iter().map(|m| m * power).find(|step| *step >= rough).unwrap_or(10.0 * power);
    let first = (low / step).ceil() as i64;
    (0..50).map(move |i| (first + i) as f64 * step).take_while(move |tick| *tick <= high + 1e-9 * step)
}

/// Round numbers (with their logarithms) in a span of logarithms: powers of ten, in a short span 2 and 5 times these too, in a
/// shorter one evenly spaced numbers.
fn log_ticks((low, high): (f64, f64)) -> Vec<(f64, f64)> {
    let decades = high - low;
    let every = (decades / 6.0).ceil().max(1.0) as i32;
    let parts: &[f64] = if decades > 3.0 { &[1.0] } else { &[1.0, 2.0, 5.0] };
    let powers = (low.floor() as i32..=high.ceil() as i32).filter(|power| power % every == 0);
    let round: Vec<(f64, f64)> = powers
        .flat_map(|power| parts.iter().map(move |part| part * ten(power)))
        .map(|x| (x, log10(x)))
        .filter(|(_, log)| (low..=high).contains(log))
        .collect();
    if round.len() >= 3 {
        return round;
    }
    let exp = |log: f64| chainrule::kernels::Lanes::exp(log * std::f64::consts::LN_10);
    ticks((exp(low), exp(high)), 4).map(|x| (x, log10(x))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_are_round_and_inside() {
        assert_eq!(ticks((0.0, 10.0), 5).collect::<Vec<_>>(), [0.0, 2.0, 4.0, 6.0, 8.0, 10.0]);
        assert!(ticks((1e9, 1.3e9), 4).all(|tick| (1e9..=1.3e9).contains(&tick)));
        let of = |low, high| log_ticks((low, high)).into_iter().map(|(x, _)| x).collect::<Vec<_>>();
        assert_eq!(of(-4.2, 0.1), [0.0001, 0.001, 0.01, 0.1, 1.0]);
        assert_eq!(of(-0.01, 1.01), [1.0, 2.0, 5.0, 10.0]);
        // Within less than a decade, 0.501 … 0.631.
        let few = of(-0.3, -0.2);
        assert!(few.len() == 2 && (few[0] - 0.55).abs() < 1e-15 && (few[1] - 0.6).abs() < 1e-15, "{few:?}");
    }

    #[test]
    fn a_chart_of_no_number_is_nothing() {
        let chart = |points| Chart {
            title: "t",
            x: "x",
            y: "y",
            series: vec![Series { name: "s".into(), colour: 0, points, kind: Kind::Line }],
            log: true,
            span: None,
        };
        assert_eq!(chart(vec![(1.0, 0.0), (2.0, f64::NAN)]).html(), "");
        let one = chart(vec![(1.0, 5.0)]).html();
        assert!(one.contains("<svg") && !one.contains("NaN") && !one.contains("inf"), "{one}");
    }
}
