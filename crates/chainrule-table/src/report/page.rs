//! The page around the charts: one file, no script, no network.

/// Text as HTML, in elements and in quoted attributes. Control characters, which HTML forbids, become �.
pub(super) fn escape(text: &str) -> String {
    let mut html = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => html.push_str("&amp;"),
            '<' => html.push_str("&lt;"),
            '>' => html.push_str("&gt;"),
            '"' => html.push_str("&quot;"),
            '\'' => html.push_str("&#39;"),
            '\t' | '\n' => html.push(' '),
            c if c.is_control()
                || matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}') =>
            {
                html.push('\u{fffd}');
            }
            c if (c as u32 & 0xfffe) == 0xfffe || matches!(c, '\u{fdd0}'..='\u{fdef}') => html.push('\u{fffd}'),
            c => html.push(c),
        }
    }
    html
}

/// At most so many characters.
pub(super) fn cut(text: &str, most: usize) -> String {
    match text.chars().count() > most {
        true => text.chars().take(most - 1).chain(['…']).collect(),
        false => text.to_owned(),
    }
}

/// A table of texts; the first column is left-aligned, others right unless `texts`.
pub(super) fn table(head: &[&str], rows: &[Vec<String>], texts: bool) -> String {
    let mut html = format!("<div class=\"scroll\"><table{}>\n", if texts { " class=\"texts\"" } else { "" });
    if !head.is_empty() {
        let cells: String = head.iter().map(|cell| format!("<th scope=\"col\">{}</th>", escape(cell))).collect();
        html += &format!("<thead><tr>{cells}</tr></thead>\n");
    }
    html += "<tbody>\n";
    for row in rows {
        let cells = row.iter().enumerate().map(|(n, cell)| match n {
            0 => format!("<th scope=\"row\">{}</th>", escape(cell)),
            _ => format!("<td>{}</td>", escape(cell)),
        });
        html += &format!("<tr>{}</tr>\n", cells.collect::<String>());
    }
    html + "</tbody></table></div>\n"
}

/// The whole page.
pub(super) fn page(title: &str, body: &str) -> String {
    let title = escape(title);
    format!(
        "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'; img-src data:\">\n\
         <meta name=\"color-scheme\" content=\"light dark\">\n<link rel=\"icon\" href=\"data:,\">\n\
         <title>{title}</title>\n<style>\n{STYLE}</style>\n</head>\n<body>\n<main>\n{body}</main>\n</body>\n</html>\n"
    )
}

const STYLE: &str = "\
:root{--ink:#1b1f24;--quiet:#5b6573;--ground:#fff;--panel:#f6f7f9;--rule:#dfe3e8;--good:#2b8a3e;--bad:#b3261e;\
--c0:#3b6fd8;--c1:#d9622b;--c2:#2b8a3e;--c3:#8a4fc9;--c4:#0b8793;--c5:#c2255c}
@media (prefers-color-scheme:dark){:root{--ink:#e8ebef;--quiet:#a3adb9;--ground:#14171b;--panel:#1d2127;--rule:#363c45;\
--good:#8ce99a;--bad:#ff8a80;--c0:#7aa7ff;--c1:#ffa05c;--c2:#7bdc8f;--c3:#c9a0ff;--c4:#66d9e8;--c5:#ff8fb3}}
*{box-sizing:border-box}
body{margin:0;background:var(--ground);color:var(--ink);font:16px/1.5 'Helvetica Neue',Arial,'DejaVu Sans',sans-serif}
main{max-width:1060px;margin:0 auto;padding:24px 20px 60px}
h1{font-size:1.7rem;line-height:1.2;margin:.2em 0;overflow-wrap:anywhere}
h2{font-size:1.2rem;margin:2.2em 0 .6em;padding-bottom:.25em;border-bottom:1px solid var(--rule)}
p{margin:.5em 0;max-width:75ch;overflow-wrap:anywhere}
code{font:.9em ui-monospace,'DejaVu Sans Mono',monospace;background:var(--panel);padding:.1em .3em;border-radius:3px;overflow-wrap:anywhere}
.quiet{color:var(--quiet)}
.tiles{display:flex;flex-wrap:wrap;gap:12px;margin:1em 0}
.tile{background:var(--panel);border-radius:8px;padding:12px 16px;min-width:130px;flex:1 1 130px}
.tile b{display:block;font-size:1.5rem;font-weight:600;font-variant-numeric:tabular-nums}
.tile span{color:var(--quiet);font-size:.85rem}
.grid2{display:grid;grid-template-columns:repeat(auto-fit,minmax(min(100%,420px),1fr));gap:18px 24px}
figure{margin:0;min-width:0}
figcaption{font-size:.95rem;margin-bottom:4px}
figure svg{width:100%;height:auto;display:block}
figure.wide{max-width:800px}
svg text{font-size:12px;fill:var(--quiet);stroke:none}
.end{text-anchor:end}.middle{text-anchor:middle}
.grid{stroke:var(--rule);fill:none}.axis,.whisker{stroke:var(--quiet);fill:none}
.line,.thin,.reference,.dots{fill:none;stroke-linejoin:round;stroke-linecap:round}
.line{stroke-width:2}.thin{stroke-width:1.2;opacity:.75}.dots{stroke-width:4.5;opacity:.5}
.reference{stroke:var(--quiet);stroke-dasharray:4 4}
.c0{stroke:var(--c0)}.c1{stroke:var(--c1)}.c2{stroke:var(--c2)}.c3{stroke:var(--c3)}.c4{stroke:var(--c4)}.c5{stroke:var(--c5)}
.f0{fill:var(--c0)}.f1{fill:var(--c1)}.f2{fill:var(--c2)}.f3{fill:var(--c3)}.f4{fill:var(--c4)}.f5{fill:var(--c5)}
.legend{font-size:.85rem;margin:2px 0 0}
.key{white-space:nowrap;margin-right:10px}
.key::before{content:'';display:inline-block;width:14px;border-top:3px solid;margin-right:5px;vertical-align:middle}
.k0::before{border-color:var(--c0)}.k1::before{border-color:var(--c1)}.k2::before{border-color:var(--c2)}
.k3::before{border-color:var(--c3)}.k4::before{border-color:var(--c4)}.k5::before{border-color:var(--c5)}
.kr::before{border-top:2px dashed var(--quiet)}
.scroll{overflow-x:auto}
table{border-collapse:collapse;font-size:.9rem;font-variant-numeric:tabular-nums}
th,td{padding:4px 12px 4px 0;border-bottom:1px solid var(--rule);text-align:right;vertical-align:top;white-space:nowrap}
tbody th,thead th:first-child,.texts td,.texts th{text-align:left;font-weight:400}
thead th{color:var(--quiet);font-weight:400}
.texts td{white-space:normal;overflow-wrap:anywhere}
.confusion{margin-bottom:18px}
.confusion td{padding:6px 10px;text-align:center;border:1px solid var(--ground)}
.finding{background:var(--panel);border-left:4px solid var(--bad);border-radius:4px;padding:10px 16px;margin:12px 0}
.finding h3{margin:0 0 .3em;font-size:1.02rem}
.healthy{border-left-color:var(--good)}
.diagram svg{width:100%;height:auto;max-height:640px}
.night{display:none}
@media (prefers-color-scheme:dark){.day{display:none}.night{display:block}}
@media (max-width:600px){main{padding:14px 12px 40px}h1{font-size:1.35rem}.diagram{overflow-x:auto}.diagram svg{min-width:640px}}
@media print{main{max-width:none;padding:0}h2{break-after:avoid}figure,.finding,.tile,tr{break-inside:avoid}\
.grid2{grid-template-columns:1fr 1fr}.scroll{overflow:visible}.day{display:block}.night{display:none}}
";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_of_a_text_is_markup() {
        assert_eq!(escape("<b a='1' c=\"2\">&\u{1b}\n"), "&lt;b a=&#39;1&#39; c=&quot;2&quot;&gt;&amp;\u{fffd} ");
        // Characters that turn the writing direction, and those that are none.
        assert_eq!(escape("a\u{202e}b\u{ffff}c\u{fdd0}"), "a\u{fffd}b\u{fffd}c\u{fffd}");
    }
}
