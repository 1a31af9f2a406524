//! A file is written whole or not at all.

use chainrule_cli::failure::Failure;
use chainrule_cli::output::Output;
use std::fs;
use std::path::{Path, PathBuf};

/// An empty folder for one test.
fn folder(name: &str) -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("output-{name}"));
    let _ = fs::remove_dir_all(&folder);
    fs::create_dir_all(&folder).unwrap();
    folder
}

fn names(folder: &Path) -> Vec<String> {
    let names = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let mut names: Vec<String> = names.collect();
    names.sort();
    names
}

fn write(output: &Output, text: &str) -> Result<Option<PathBuf>, Failure> {
    output.write(|out| out.write_all(text.as_bytes()).map_err(Failure::Write))
}

fn line(failure: Failure) -> String {
    match failure {
        Failure::Fault(line) => line,
        other => panic!("expected a fault, got {other:?}"),
    }
}

#[test]
fn a_file_appears_under_its_name_and_nothing_else_stays() {
    let folder = folder("new");
    let path = folder.join("out.csv");
    assert_eq!(write(&Output::explicit(&path, false).unwrap(), "a,b\n").unwrap().unwrap(), path);
    assert_eq!(fs::read_to_string(&path).unwrap(), "a,b\n");
    assert_eq!(names(&folder), ["out.csv"]);
}

#[test]
fn the_file_does_not_have_its_name_before_it_is_whole() {
    let folder = folder("unfinished");
    let path = folder.join("out.csv");
    let output = Output::explicit(&path, false).unwrap();
    let content = |out: &mut dyn std::io::Write| {
        out.write_all(&[b'x'; 1 << 20]).map_err(Failure::Write)?;
        let seen = names(&folder);
        assert!(seen.len() == 1 && seen[0].starts_with(".out.csv.tmp-"), "{seen:?}");
        Ok(())
    };
    output.write(content).unwrap();
    assert_eq!(names(&folder), ["out.csv"]);
}

#[test]
fn after_a_failure_the_old_file_is_untouched_and_no_temporary_stays() {
    let folder = folder("failure");
    let path = folder.join("out.csv");
    fs::write(&path, "old").unwrap();
    let output = Output::explicit(&path, true).unwrap();
    let result = output.write(|out| {
        out.write_all(&[b'x'; 1 << 20]).map_err(Failure::Write)?;
        Err(Failure::Fault("row 3 is no number".into()))
    });
    assert_eq!(line(result.unwrap_err()), "row 3 is no number");
    let result = output.write(|_| Err(Failure::Write(std::io::ErrorKind::StorageFull.into())));
    let expected = format!("{}: no space left to write it; free some and run this again", path.display());
    assert_eq!(line(result.unwrap_err()), expected);
    assert_eq!(fs::read_to_string(&path).unwrap(), "old");
    assert_eq!(names(&folder), ["out.csv"]);
}

#[test]
fn an_existing_file_is_refused_at_once_unless_forced() {
    let folder = folder("existing");
    let path = folder.join("out.csv");
    fs::write(&path, "old").unwrap();
    let expected = format!("{} exists already; --force replaces it", path.display());
    assert_eq!(line(Output::explicit(&path, false).unwrap_err()), expected);
    write(&Output::explicit(&path, true).unwrap(), "new").unwrap();
    assert_eq!(fs::read_to_string(&path).unwrap(), "new");
}

#[test]
fn a_file_that_appears_meanwhile_is_not_replaced() {
    let folder = folder("meanwhile");
    let path = folder.join("out.csv");
    let output = Output::explicit(&path, false).unwrap();
    fs::write(&path, "theirs").unwrap();
    let expected = format!("{} exists already; --force replaces it", path.display());
    assert_eq!(line(write(&output, "ours").unwrap_err()), expected);
    assert_eq!(fs::read_to_string(&path).unwrap(), "theirs");
    assert_eq!(names(&folder), ["out.csv"]);
}

#[test]
fn a_missing_folder_and_a_folder_as_file_are_refused_at_once() {
    let folder = folder("missing");
    let refusal = line(Output::explicit(&folder.join("no/out.csv"), false).unwrap_err());
    assert_eq!(refusal, format!("{}: there is no such folder; make it first", folder.join("no").display()));
    let refusal = line(Output::explicit(&folder, true).unwrap_err());
    assert_eq!(refusal, format!("{}: this is a folder; give a file", folder.display()));
}

#[test]
fn a_default_name_counts_on_where_it_is_taken() {
    let folder = folder("default");
    let output = Output::default_name(&folder.join("houses.v1.safetensors"));
    for (text, name) in [("1", "houses.v1"), ("2", "houses.v1-2"), ("3", "houses.v1-3")] {
        let path = folder.join(format!("{name}.safetensors"));
        assert_eq!(write(&output, text).unwrap().unwrap(), path);
        assert_eq!(fs::read_to_string(path).unwrap(), text);
    }
}

#[test]
fn of_many_that_want_a_default_name_each_gets_its_own() {
    let folder = folder("race");
    let output = Output::default_name(&folder.join("m"));
    std::thread::scope(|threads| {
        for i in 0..20 {
            let output = &output;
            threads.spawn(move || write(output, &i.to_string()).unwrap());
        }
    });
    let mut texts: Vec<u32> =
        names(&folder).iter().map(|name| fs::read_to_string(folder.join(name)).unwrap().parse().unwrap()).collect();
    texts.sort();
    assert_eq!(texts, (0..20).collect::<Vec<_>>());
}

#[test]
fn a_name_of_the_greatest_length_is_written() {
    let folder = folder("long");
    let path = folder.join("ö".repeat(127));
    write(&Output::explicit(&path, false).unwrap(), "x").unwrap();
    assert_eq!(fs::read_to_string(path).unwrap(), "x");
}

/// This test starts itself again as the process that is interrupted.
#[cfg(unix)]
#[test]
fn ctrl_c_while_writing_leaves_the_folder_as_it_was() {
    use std::process::{Command, Stdio};
    const CHILD: &str = "CHAINRULE_TEST_OUTPUT_CHILD";
    if let Some(folder) = std::env::var_os(CHILD) {
        let folder = PathBuf::from(folder);
        let result = Output::explicit(&folder.join("out.csv"), true).unwrap().write(|out| {
            fs::write(folder.join("started"), "").unwrap();
            loop {
                out.write_all(b"1,2,3\n").map_err(Failure::Write)?;
                std::thread::sleep(std::time::Duration::from_micros(1));
            }
        });
        assert!(matches!(result, Err(Failure::Interrupted)), "{result:?}");
        return;
    }
    let folder = folder("interrupt");
    fs::write(folder.join("out.csv"), "old").unwrap();
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "ctrl_c_while_writing_leaves_the_folder_as_it_was"])
        .env(CHILD, &folder)
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    while !folder.join("started").exists() && child.try_wait().unwrap().is_none() {
        std::thread::sleep(std::time::Duration::from_millis(1));
    }
    assert!(Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap().success());
    assert!(child.wait().unwrap().success());
    assert_eq!(names(&folder), ["out.csv", "started"]);
    assert_eq!(fs::read_to_string(folder.join("out.csv")).unwrap(), "old");
}

#[cfg(unix)]
#[test]
fn a_link_stays_a_link_and_permissions_stay() {
    use std::os::unix::fs::PermissionsExt;
    let folder = folder("link");
    let (file, link) = (folder.join("file"), folder.join("link"));
    fs::write(&file, "old").unwrap();
    fs::set_permissions(&file, fs::Permissions::from_mode(0o640)).unwrap();
    std::os::unix::fs::symlink("file", &link).unwrap();
    write(&Output::explicit(&link, true).unwrap(), "new").unwrap();
    assert!(link.is_symlink());
    assert_eq!(fs::read_to_string(&file).unwrap(), "new");
    assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o640);
}

#[cfg(target_os = "linux")]
#[test]
fn a_device_is_written_to_and_not_replaced() {
    use std::os::unix::fs::FileTypeExt;
    assert_eq!(write(&Output::explicit(Path::new("/dev/null"), false).unwrap(), "x").unwrap(), None);
    assert!(fs::metadata("/dev/null").unwrap().file_type().is_char_device());
    let full = write(&Output::explicit(Path::new("/dev/full"), false).unwrap(), "x");
    assert_eq!(line(full.unwrap_err()), "/dev/full: no space left to write it; free some and run this again");
}
