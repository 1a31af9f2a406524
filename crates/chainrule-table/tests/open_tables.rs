//! The eight open tables of `testdata/tables`: what is inferred on them, and that they encode.

use chainrule_table::split::hold_back;
use chainrule_table::{Cells, Encoder, Kind, Scale, Schema, SchemaOptions, Table, Target, Task, data_fingerprint};
use flate2::read::GzDecoder;
use std::fs::File;
use std::path::{Path, PathBuf};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn read(name: &str) -> Table {
    let file = File::open(root().join(format!("testdata/tables/{name}.csv.gz"))).unwrap();
    Table::read_csv(GzDecoder::new(file), &format!("{name}.csv")).unwrap()
}

fn infer(table: &Table, target: &str) -> Schema {
    Schema::infer(table, &SchemaOptions { target: target.to_owned(), ..SchemaOptions::default() }).unwrap()
}

/// Name, rows, numeric and other inputs, missing cells, target and classes, as testdata/tables/README.md gives them.
const TABLES: [(&str, usize, usize, usize, usize, &str, usize); 8] = [
    ("wine", 178, 13, 0, 0, "target", 3),
    ("diabetes", 442, 10, 0, 0, "target", 0),
    ("german_credit", 1000, 7, 13, 0, "creditability", 2),
    ("ames", 2930, 33, 40, 4599, "Sale_Price", 0),
    ("churn", 7043, 9, 10, 11, "churn", 2),
    ("satellite", 6435, 36, 0, 0, "classes", 6),
    ("california", 20640, 8, 0, 0, "MedHouseVal", 0),
    ("diamonds", 53940, 6, 3, 0, "price", 0),
];

#[test]
fn every_table_is_inferred_as_its_provenance_says() {
    for (name, rows, numeric, others, missing, target, classes) in TABLES {
        let table = read(name);
        let schema = infer(&table, target);
        let of = |kinds: &[Kind]| schema.kinds.iter().filter(|kind| kinds.contains(kind)).count();
        assert_eq!((table.rows(), schema.rows.len()), (rows, rows), "{name}");
        assert_eq!(of(&[Kind::Numeric]), numeric, "{name}");
        assert_eq!(of(&[Kind::Categorical, Kind::Boolean]), others, "{name}");
        let gaps = |cells: &Cells| (0..rows).filter(|&row| cells.is_missing(row)).count();
        assert_eq!(table.columns().iter().map(|column| gaps(column.cells())).sum::<usize>(), missing, "{name}");
        let task = if classes == 0 { Task::Regression } else { Task::Classification };
        assert_eq!((schema.task, schema.labels.len(), schema.notes.len()), (task, classes, 1), "{name}");
    }
}

#[test]
fn the_kinds_of_the_example_are_sensible() {
    let table = read("ames");
    let schema = infer(&table, "Sale_Price");
    let kind = |name: &str| schema.kinds[table.position(name).unwrap()];
    assert_eq!(kind("Lot_Frontage"), Kind::Numeric);
    assert_eq!(kind("Neighborhood"), Kind::Categorical);
    assert_eq!(kind("Central_Air"), Kind::Boolean);
    assert_eq!(kind("Street"), Kind::Categorical);
    assert_eq!(kind("Sale_Price"), Kind::Target);
    let note = "`Sale_Price` is numeric: regression (--task classification overrides)";
    assert_eq!(schema.notes[0].to_string(), note);

    let (encoder, notes) = Encoder::fit(&table, &schema, &schema.rows, Scale::Standard).unwrap();
    assert_eq!((encoder.width(), notes.len()), (312, 0));
    let names: Vec<String> = encoder.columns().into_iter().map(|column| column.name).collect();
    for name in ["Lot_Frontage", "Street=Pave", "Neighborhood=North_Ames", "Misc_Feature is missing", "Central_Air=Y"] {
        assert!(names.iter().any(|n| n == name), "{name}");
    }
}

#[test]
fn the_example_is_the_table_of_the_tests() {
    let example = Table::read_csv(File::open(root().join("examples/ames.csv")).unwrap(), "ames.csv").unwrap();
    assert_eq!(data_fingerprint(&example), data_fingerprint(&read("ames")));
}

#[test]
fn every_table_encodes_on_its_split_and_survives_its_file() {
    for (name, rows, numeric, _, _, target, _) in TABLES {
        let table = read(name);
        let schema = infer(&table, target);
        let split = File::open(root().join(format!("testdata/tables/splits/{name}.csv"))).unwrap();
        let split = Table::read_csv(split, "split").unwrap();
        let Cells::Texts(folds) = split.columns()[1].cells() else { panic!("folds are texts") };
        let training: Vec<usize> = (0..rows).filter(|&row| folds.get(row) == Some("train")).collect();

        let (encoder, _) = Encoder::fit(&table, &schema, &training, Scale::Standard).unwrap();
        let (inputs, _) = encoder.encode::<f64>(&table, Some(&training)).unwrap();
        assert_eq!((inputs.rows(), inputs.cols()), (training.len(), encoder.width()));
        let mut standardised = 0;
        for (j, column) in encoder.columns().iter().enumerate() {
            let values: Vec<f64> = (0..inputs.rows()).map(|i| inputs[(i, j)]).collect();
            let n = values.len() as f64;
            let mean = values.iter().sum::<f64>() / n;
            let variance = values.iter().map(|z| (z - mean) * (z - mean)).sum::<f64>() / n;
            if column.name == column.source {
                standardised += 1;
                assert!(mean.abs() < 1e-10 && (variance - 1.0).abs() < 1e-10, "{name}: {}", column.name);
            } else {
                assert!(
                    values.iter().all(|z| [-1.0, 0.0, 1.0].contains(z)) && variance > 0.0,
                    "{name}: {}",
                    column.name
                );
            }
        }
        assert_eq!(standardised, numeric);

        let target = Target::fit(&table, &schema, &training, Scale::Standard).unwrap();
        match &target {
            Target::Regression(target) => assert_eq!(target.encode::<f32>(&table, &schema.rows).unwrap().rows(), rows),
            Target::Classification(target) => assert_eq!(target.classes(&table, &schema.rows).unwrap().len(), rows),
        }
        let stored = serde_json::to_string(&(&encoder, &target)).unwrap();
        assert_eq!(serde_json::from_str::<(Encoder, Target)>(&stored).unwrap(), (encoder, target), "{name}");
    }
}

#[test]
fn a_stratified_split_keeps_the_classes_of_a_real_table() {
    let table = read("satellite");
    let schema = infer(&table, "classes");
    let Target::Classification(target) = Target::fit(&table, &schema, &schema.rows, Scale::Standard).unwrap() else {
        panic!("a class")
    };
    let classes = target.classes(&table, &schema.rows).unwrap();
    let permutation: Vec<usize> = (0..6435).map(|i| i * 1024 % 6435).collect();
    let split = hold_back(&schema.rows, 0.1, Some(&classes), &permutation).unwrap();
    assert_eq!((split.held.len(), split.training.len()), (644, 5791));
    for class in 0..6 {
        let of = |rows: &[usize]| rows.iter().filter(|&&row| classes[row] == class).count() as f64;
        assert!((of(&split.held) - 644.0 * of(&schema.rows) / 6435.0).abs() < 1.0);
    }
}
