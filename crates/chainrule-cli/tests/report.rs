//! `fit --report` and `report`: one page that needs nothing else, whatever a table's strings say.
#![allow(clippy::print_stderr)]

use html5ever::tendril::TendrilSink;
use html5ever::tokenizer::TokenizerOpts;
use html5ever::{ParseOpts, parse_document};
use markup5ever_rcdom::{Handle, NodeData, RcDom};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

fn folder(name: &str) -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("report").join(name);
    let _ = fs::remove_dir_all(&folder);
    fs::create_dir_all(&folder).unwrap();
    folder
}

fn chainrule(arguments: &[&str], folder: &Path) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_chainrule"));
    command.args(arguments).current_dir(folder).stdin(Stdio::null()).output().unwrap()
}

fn done(arguments: &[&str], folder: &Path) {
    let output = chainrule(arguments, folder);
    assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
}

/// The names of all elements, once the page is without a parse error and has nothing of another place or a script.
fn elements(html: &str) -> Vec<String> {
    assert!(html.len() < 1_000_000, "{} bytes", html.len());
    let options =
        ParseOpts { tokenizer: TokenizerOpts { exact_errors: true, ..Default::default() }, ..Default::default() };
    let dom = parse_document(RcDom::default(), options).one(html);
    assert!(dom.errors.borrow().is_empty(), "{:?}", dom.errors.borrow());
    let mut names = Vec::new();
    walk(&dom.document, &mut names);
    for forbidden in ["script", "img", "iframe", "object", "form", "a", "base"] {
        assert!(!names.iter().any(|name| name == forbidden), "there is <{forbidden}>");
    }
    assert_eq!(names.iter().filter(|name| *name == "link").count(), 1);
    names
}

fn walk(node: &Handle, names: &mut Vec<String>) {
    if let NodeData::Element { name, attrs, .. } = &node.data {
        names.push(name.local.to_string());
        for attribute in attrs.borrow().iter() {
            let key = attribute.name.local.to_string();
            assert!(!key.starts_with("on"), "{key}={}", attribute.value);
            let leads_away = ["src", "href"].contains(&key.as_str()) && &*attribute.value != "data:,";
            assert!(!leads_away, "{key}={}", attribute.value);
        }
    }
    node.children.borrow().iter().for_each(|child| walk(child, names));
}

const HOSTILE: [&str; 4] = [
    "<script>alert(1)</script>",
    "\"><img src=x onerror=alert(2)>",
    "</style></svg></title><iframe src='https://example.org'>",
    "' onmouseover='alert(3)\u{202e}&lt;b&gt;",
];

/// A table whose names, categories and labels are markup.
fn hostile(rows: usize) -> String {
    let quoted = |text: &str| format!("\"{}\"", text.replace('"', "\"\""));
    let mut csv = format!("{},{},kind,{}\n", quoted(HOSTILE[0]), quoted(HOSTILE[1]), quoted("t</h1><script>"));
    for i in 0..rows {
        let (x, z) = ((i * 7 % 50) as f64 / 10.0, (i * 3 % 11) as f64);
        let label = if x + 0.3 * z > 4.0 { HOSTILE[2] } else { HOSTILE[3] };
        csv += &format!("{x},{z},{},{}\n", quoted(HOSTILE[i % 4]), quoted(label));
    }
    csv
}

#[test]
fn a_tables_strings_cannot_inject_markup() {
    let folder = folder("hostile");
    fs::write(folder.join("h.csv"), hostile(160)).unwrap();
    let target = "t</h1><script>";
    let arguments = ["fit", "h.csv", "--target", target, "--effort", "fast", "--epochs", "4", "--report", "<b>&.html"];
    done(&[&arguments[..], &["-o", "<i>m.safetensors"]].concat(), &folder);
    let html = fs::read_to_string(folder.join("<b>&.html")).unwrap();
    elements(&html);
    assert!(!html.contains("<script") && !html.contains("<iframe") && !html.contains('\u{202e}'));
    assert!(html.contains("&lt;script&gt;alert(1)&lt;/script&gt;"));
}

#[test]
fn the_page_has_every_part_and_the_command_writes_the_same_one() {
    let folder = folder("parts");
    let mut csv = "a,b,street,y\n".to_owned();
    for i in 0..240 {
        let (a, b) = ((i * 37 % 101) as f64 / 50.0 - 1.0, (i * 53 % 89) as f64 / 44.0 - 1.0);
        csv +=
            &format!("{a},{b},{},{:.4}\n", ["elm", "oak"][i % 2], a * b + (i % 2) as f64 + (i * 29 % 17) as f64 / 90.0);
    }
    fs::write(folder.join("h.csv"), csv).unwrap();
    done(&["fit", "h.csv", "--target", "y", "--epochs", "12", "--report", "fit.html", "-o", "h.safetensors"], &folder);
    let html = fs::read_to_string(folder.join("fit.html")).unwrap();
    let names = elements(&html);
    let parts = [
        "The doctor",
        "Training",
        "Predictions",
        "Columns",
        "Layers over time",
        "The network",
        "Data",
        "Options and fingerprints",
        "Loss",
        "Learning rate",
        "Signal",
        "Gradient",
        "Steps",
        "Predicted by true",
        "Residuals",
        "Permutation importance",
        "The target",
        "a linear model",
        "fingerprint of the weights",
        "--epochs",
    ];
    for part in parts {
        assert!(html.contains(&format!(">{part}<")), "{part} is missing");
    }
    assert!(names.iter().filter(|name| *name == "svg").count() >= 11);
    assert!(!html.contains("NaN") && !html.contains("inf\""));
    // The same run again: the same page, byte for byte.
    done(&["report", "h.safetensors", "h.csv", "--quiet"], &folder);
    assert_eq!(fs::read_to_string(folder.join("h.html")).unwrap(), html);
    // Another table: its own score, and no curves.
    let text = fs::read_to_string(folder.join("h.csv")).unwrap();
    let other: String = text.lines().take(60).map(|line| format!("{line}\n")).collect();
    fs::write(folder.join("other.csv"), other).unwrap();
    done(&["report", "h.safetensors", "other.csv", "-o", "other.html"], &folder);
    let other = fs::read_to_string(folder.join("other.html")).unwrap();
    elements(&other);
    assert!(other.contains("The run was not watched") && other.contains("<b>59</b><span>rows scored</span>"));
    // An existing page is kept.
    let refused = chainrule(&["report", "h.safetensors", "other.csv", "-o", "other.html"], &folder);
    assert_eq!(refused.status.code(), Some(1));
}

#[test]
fn the_tutorials_own_class_gets_a_page_too() {
    let folder = folder("tutorial");
    let table = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/tutorial.csv");
    let table = table.to_str().unwrap();
    let plain = ["--preset", "plain", "--hidden", "3,2", "--learning-rate", "0.001", "--seed", "1", "--quiet"];
    done(
        &[&["fit", table, "--target", "y", "--report", "p.html", "-o", "p.safetensors"][..], &plain].concat(),
        &folder,
    );
    let html = fs::read_to_string(folder.join("p.html")).unwrap();
    elements(&html);
    assert!(html.contains("the signal vanishes on its way through the layers"));
    assert!(html.contains("The model has learnt from the rows that are scored here"));
}

/// In a browser, where one is installed: no message on its console, at the width of a desk and of a phone.
#[test]
fn a_browser_has_nothing_to_complain_of() {
    let Some(browser) = ["chromium", "chromium-browser", "google-chrome"].into_iter().find(|name| {
        Command::new(name)
            .arg("--version")
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status()
            .is_ok_and(|s| s.success())
    }) else {
        eprintln!("left out: no Chromium is installed");
        return;
    };
    let folder = folder("browser");
    fs::write(folder.join("h.csv"), hostile(160)).unwrap();
    let target = "t</h1><script>";
    let arguments = ["fit", "h.csv", "--target", target, "--effort", "fast", "--epochs", "4", "--report", "page.html"];
    done(&[&arguments[..], &["-o", "m.safetensors"]].concat(), &folder);
    for size in ["1280,900", "390,844"] {
        let output = Command::new(browser)
            .args(["--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--enable-logging=stderr"])
            .arg(format!("--user-data-dir={}", folder.join("profile").display()))
            .arg(format!("--window-size={size}"))
            .arg("--dump-dom")
            .arg(format!("file://{}", folder.join("page.html").display()))
            .output()
            .unwrap();
        let messages = String::from_utf8_lossy(&output.stderr);
        assert!(!messages.contains("CONSOLE"), "{size}: {messages}");
        let dom = String::from_utf8_lossy(&output.stdout);
        assert!(dom.contains("Options and fingerprints"), "{size}: {messages}");
    }
}
