//! With the feature `playground`: finds the page, and makes sure that it was built of these sources.

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    #[cfg(feature = "playground")]
    page::find();
}

#[cfg(feature = "playground")]
mod page {
    use sha2::{Digest, Sha256};
    use std::fmt::Write as _;
    use std::fs;
    use std::path::{Path, PathBuf};

    /// What the page is made of; `playground/build` has the same list.
    const SOURCES: [&str; 11] = [
        "Cargo.lock",
        "Cargo.toml",
        "crates/chainrule-table/Cargo.toml",
        "crates/chainrule-table/src",
        "crates/chainrule/Cargo.toml",
        "crates/chainrule/src",
        "playground/Cargo.toml",
        "playground/build",
        "playground/build.mjs",
        "playground/page",
        "playground/src",
    ];

    pub(super) fn find() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
        let page = root.join("target/playground.html");
        println!("cargo:rerun-if-changed={}", page.display());
        let mut files = Vec::new();
        for source in SOURCES {
            println!("cargo:rerun-if-changed={}", root.join(source).display());
            collect(&root, Path::new(source), &mut files);
        }
        let stamp = stamp(&root, files);
        let Ok(html) = fs::read_to_string(&page) else {
            panic!("the feature `playground` needs target/playground.html: run playground/build first");
        };
        assert!(
            html.contains(&format!("data-sources=\"{stamp}\"")),
            "target/playground.html is older than its sources: run playground/build again"
        );
        println!("cargo:rustc-env=CHAINRULE_PAGE={}", page.display());
        println!("cargo:rustc-env=CHAINRULE_PAGE_SOURCES={stamp}");
    }

    fn collect(root: &Path, path: &Path, files: &mut Vec<PathBuf>) {
        let whole = root.join(path);
        if whole.is_dir() {
            let entries = fs::read_dir(&whole).expect("a readable folder");
            entries.for_each(|entry| collect(root, &path.join(entry.expect("an entry").file_name()), files));
        } else {
            files.push(path.into());
        }
    }

    /// SHA-256 of what `sha256sum` prints for the files, in the order of their names' bytes.
    fn stamp(root: &Path, files: Vec<PathBuf>) -> String {
        let mut names: Vec<String> = files.into_iter().map(|file| file.to_string_lossy().replace('\\', "/")).collect();
        names.sort();
        let mut lines = String::new();
        for name in names {
            let content = fs::read(root.join(&name)).expect("a readable source");
            let _ = writeln!(lines, "{}  {name}", hex(&Sha256::digest(content)));
        }
        hex(&Sha256::digest(lines))
    }

    fn hex(bytes: &[u8]) -> String {
        bytes.iter().fold(String::new(), |text, byte| text + &format!("{byte:02x}"))
    }
}
