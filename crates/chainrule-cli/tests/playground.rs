//! The command that carries the page, and what it says where it carries none.

use std::process::Command;

fn chainrule(arguments: &[&str]) -> std::process::Output {
    Command::new(env!("CARGO_BIN_EXE_chainrule")).args(arguments).output().expect("runs")
}

#[cfg(not(feature = "playground"))]
#[test]
fn a_build_without_the_page_says_how_to_get_it() {
    let output = chainrule(&["playground", "-o", "-"]);
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(said.lines().count(), 1);
    assert!(said.contains("run playground/build"), "{said}");
    assert!(output.stdout.is_empty());
}

#[cfg(feature = "playground")]
#[test]
fn the_page_comes_out_whole() {
    let output = chainrule(&["playground", "-o", "-"]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let page = String::from_utf8(output.stdout).expect("UTF-8");
    assert!(page.starts_with("<!doctype html>") && page.trim_end().ends_with("</html>"));
}
