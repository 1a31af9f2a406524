//! A panic becomes one line. In a process of its own: what is tested silences all panics.

use chainrule_cli::failure::{Failure, contained};

#[test]
fn a_panic_becomes_one_line_with_its_place() {
    let number = 7;
    let bug = contained(|| panic!("number {number}"));
    let Err(Failure::Bug(line)) = bug else { unreachable!("{bug:?}") };
    assert!(line.starts_with("number 7 at ") && line.contains("panics.rs:"), "{line}");
    assert!(contained(|| Ok(())).is_ok());
}
