//! The built command: `tutorial`, and the files that it leaves.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

fn chainrule(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_chainrule")).args(arguments).stdin(Stdio::null()).output().unwrap()
}

fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).unwrap()
}

/// A folder that is not there yet.
fn folder(name: &str) -> PathBuf {
    let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    let _ = fs::remove_dir_all(&path);
    path
}

fn names(folder: &Path) -> Vec<String> {
    let mut names: Vec<String> =
        fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

#[test]
fn a_section_goes_by_its_name_and_by_its_number() {
    for (number, name) in [("1", "forward"), ("2", "matrices"), ("3", "backpropagation"), ("4", "training")] {
        let (by_number, by_name) = (chainrule(&["tutorial", number]), chainrule(&["tutorial", name]));
        assert_eq!(by_name.status.code(), Some(0));
        assert!(text(&by_name.stdout).starts_with(&format!("{number}  ")));
        assert_eq!(by_number.stdout, by_name.stdout);
        assert!(text(&chainrule(&["tutorial"]).stdout).contains(&format!("chainrule tutorial {name} ")));
    }
}

#[test]
fn answers_come_only_with_the_section_that_asks() {
    let answered = chainrule(&["tutorial", "3", "--answers"]);
    assert!(text(&answered.stdout).contains("= −1.447507995\n"));
    let refused = chainrule(&["tutorial", "forward", "--answers"]);
    assert_eq!(refused.status.code(), Some(2));
    assert_eq!(
        text(&refused.stderr),
        "error: --answers belongs to the section with exercises: chainrule tutorial backpropagation --answers\n"
    );
    assert_eq!(chainrule(&["tutorial", "--answers"]).status.code(), Some(2));
    assert_eq!(chainrule(&["tutorial", "5"]).status.code(), Some(2));
}

#[test]
fn the_files_are_written_and_read() {
    let folder = folder("lesson");
    let path = folder.to_str().unwrap();
    let output = chainrule(&["tutorial", "--write", path]);
    assert_eq!((output.status.code(), text(&output.stdout)), (Some(0), ""));
    assert_eq!(names(&folder), ["commands.txt", "figure8.safetensors", "tutorial.csv"]);
    let table = fs::read_to_string(folder.join("tutorial.csv")).unwrap();
    assert_eq!(table.lines().count(), 11);
    assert!(table.starts_with("x1,x2,y\n6.1,8.7,113\n3.9,8.7,90\n"), "{table}");
    let model = chainrule(&["inspect", folder.join("figure8.safetensors").to_str().unwrap()]);
    assert!(text(&model.stdout).contains("parameters 20\n"), "{model:?}");
}

#[test]
fn every_tutorial_command_of_the_list_runs() {
    let folder = folder("commands");
    chainrule(&["tutorial", "--write", folder.to_str().unwrap()]);
    let commands = fs::read_to_string(folder.join("commands.txt")).unwrap();
    let ours: Vec<Vec<&str>> = commands
        .lines()
        .filter_map(|line| line.strip_prefix("chainrule "))
        .filter(|line| line.starts_with("tutorial"))
        .map(|line| line.split(' ').collect())
        .collect();
    assert_eq!(ours.len(), 5);
    for arguments in ours {
        assert_eq!(chainrule(&arguments).status.code(), Some(0), "{arguments:?}");
    }
}

#[test]
fn an_existing_file_is_refused_before_any_is_written_and_replaced_by_force() {
    let folder = folder("taken");
    fs::create_dir(&folder).unwrap();
    fs::write(folder.join("commands.txt"), "mine").unwrap();
    let path = folder.to_str().unwrap();
    let refused = chainrule(&["tutorial", "forward", "--write", path]);
    assert_eq!((refused.status.code(), text(&refused.stdout)), (Some(1), ""));
    assert!(text(&refused.stderr).ends_with("commands.txt exists already; --force replaces it\n"), "{refused:?}");
    assert_eq!(names(&folder), ["commands.txt"]);
    assert_eq!(fs::read_to_string(folder.join("commands.txt")).unwrap(), "mine");
    let forced = chainrule(&["tutorial", "forward", "--write", path, "--force"]);
    assert_eq!(forced.status.code(), Some(0));
    assert!(text(&forced.stdout).starts_with("1  "));
    assert_eq!(names(&folder).len(), 3);
    assert!(fs::read_to_string(folder.join("commands.txt")).unwrap().contains("chainrule tutorial forward"));
    assert_eq!(chainrule(&["tutorial", "forward", "--force"]).status.code(), Some(2));
}

#[test]
fn a_folder_that_cannot_be_made_is_named() {
    let file = folder("in_the_way");
    fs::write(&file, "").unwrap();
    let refused = chainrule(&["tutorial", "--write", file.join("lesson").to_str().unwrap()]);
    assert_eq!(refused.status.code(), Some(1));
    assert!(text(&refused.stderr).contains("in_the_way/lesson: "), "{refused:?}");
    fs::remove_file(file).unwrap();
}
