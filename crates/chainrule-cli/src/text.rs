//! Numbers and symbols as the tutorial writes them.

/// The shortest decimal of at most ten significant digits: what a person would write for the sum just made.
pub(crate) fn number(x: f64) -> String {
    let rounded: f64 = format!("{x:.9e}").parse().expect("a number just written");
    let text = match rounded.abs() {
        0.0 => "0".into(), // also for −0
        size if (1e-6..1e10).contains(&size) => rounded.to_string(),
        _ => format!("{rounded:e}"),
    };
    text.replace('-', "−")
}

/// Two significant digits, for what only its size is to be seen.
pub(crate) fn rough(x: f64) -> String {
    number(format!("{x:.1e}").parse().expect("a number just written"))
}

fn digits(n: usize, set: [char; 10]) -> String {
    n.to_string().bytes().map(|digit| set[usize::from(digit - b'0')]).collect()
}

/// ₁₂ for 12.
pub(crate) fn subscript(n: usize) -> String {
    digits(n, ['₀', '₁', '₂', '₃', '₄', '₅', '₆', '₇', '₈', '₉'])
}

/// w⁽¹⁾₁₂ for ("w", 1, [1, 2]); everything counts from 1 but layers, of which 0 is the input.
pub(crate) fn symbol(letter: &str, layer: usize, indices: &[usize]) -> String {
    let subscripts: String = indices.iter().map(|&i| subscript(i)).collect();
    format!("{letter}⁽{}⁾{subscripts}", digits(layer, ['⁰', '¹', '²', '³', '⁴', '⁵', '⁶', '⁷', '⁸', '⁹']))
}

/// a + b − c: a sum of written terms.
pub(crate) fn sum(terms: &[String]) -> String {
    let mut text = String::new();
    for term in terms {
        match (text.is_empty(), term.strip_prefix('−')) {
            (true, _) => text += term,
            (false, Some(size)) => text += &format!(" − {size}"),
            (false, None) => text += &format!(" + {term}"),
        }
    }
    text
}

/// a × b × (−c): a product of numbers.
pub(crate) fn product(factors: &[f64]) -> String {
    let written = factors.iter().enumerate().map(|(i, &x)| match number(x) {
        text if i > 0 && text.starts_with('−') => format!("({text})"),
        text => text,
    });
    written.collect::<Vec<_>>().join(" × ")
}

/// Cells in columns, decimal points under each other: one line a row.
pub(crate) fn aligned(rows: &[Vec<f64>]) -> Vec<String> {
    let cells: Vec<Vec<String>> = rows.iter().map(|row| row.iter().map(|&x| number(x)).collect()).collect();
    let ahead = |cell: &str| cell.chars().take_while(|&c| c != '.').count();
    let mut lines = vec![String::new(); rows.len()];
    for j in 0..cells.first().map_or(0, Vec::len) {
        let left = cells.iter().map(|row| ahead(&row[j])).max().unwrap_or(0);
        let right = cells.iter().map(|row| row[j].chars().count() - ahead(&row[j])).max().unwrap_or(0);
        for (line, row) in lines.iter_mut().zip(&cells) {
            let (indent, width) = (left - ahead(&row[j]), left + right);
            let gap = if j == 0 { "" } else { "  " };
            *line += &format!("{gap}{:<width$}", format!("{:indent$}{}", "", row[j]));
        }
    }
    lines
}

/// Blocks side by side, each with its title.
pub(crate) fn side_by_side(blocks: &[(String, Vec<String>)]) -> String {
    let width = |(title, lines): &(String, Vec<String>)| {
        lines.iter().chain([title]).map(|line| line.chars().count()).max().unwrap_or(0)
    };
    let rows = blocks.iter().map(|(_, lines)| lines.len() + 1).max().unwrap_or(0);
    let mut text = String::new();
    for i in 0..rows {
        let mut line = String::from("  ");
        for block in blocks {
            let cell = if i == 0 { Some(&block.0) } else { block.1.get(i - 1) };
            line += &format!("{:<width$}   ", cell.map_or("", String::as_str), width = width(block));
        }
        text += line.trim_end();
        text += "\n";
    }
    text
}

/// At most `most` characters, the last of them `…` where more were there.
pub(crate) fn cut(text: &str, most: usize) -> String {
    if text.chars().count() <= most {
        return text.to_owned();
    }
    text.chars().take(most - 1).chain(['…']).collect()
}
