//! What bad input gets: one line that says what, where and the next step.

use chainrule_table::{Encoder, Scale, Schema, SchemaOptions, Table, TableError, Target, Task};
use std::io;

fn read(csv: impl AsRef<[u8]>) -> Result<Table, TableError> {
    Table::read_csv(csv.as_ref(), "houses.csv")
}

fn options(target: &str) -> SchemaOptions {
    SchemaOptions { target: target.to_owned(), ..SchemaOptions::default() }
}

fn refused(csv: impl AsRef<[u8]>) -> String {
    read(csv).unwrap_err().to_string()
}

/// What inference says of a table whose target is `y`.
fn not_inferred(csv: impl AsRef<[u8]>) -> String {
    not_inferred_with(csv, &options("y"))
}

fn not_inferred_with(csv: impl AsRef<[u8]>, options: &SchemaOptions) -> String {
    Schema::infer(&read(csv).unwrap(), options).unwrap_err().to_string()
}

/// Rows of `x,y` with x = 1, 2, … and y = 0.5, 1.5, …, where `change` may put other cells.
fn rows(n: usize, change: impl Fn(usize) -> Option<(&'static str, &'static str)>) -> String {
    let mut csv = "x,y\n".to_owned();
    for i in 0..n {
        match change(i) {
            Some((x, y)) => csv += &format!("{x},{y}\n"),
            None => csv += &format!("{},{i}.5\n", i + 1),
        }
    }
    csv
}

#[test]
fn a_missing_file() {
    let error = std::fs::File::open("no/such/houses.csv").unwrap_err();
    let text = TableError::io("houses.csv", &error).to_string();
    assert_eq!(text, "houses.csv: no such file; check the path");
}

#[test]
fn a_source_that_breaks_off() {
    struct Broken;
    impl io::Read for Broken {
        fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
            Err(io::Error::other("the disk\nis gone"))
        }
    }
    let text = Table::read_csv(Broken, "-").unwrap_err().to_string();
    assert_eq!(text, r"-: cannot be read: the disk\nis gone");
}

#[test]
fn an_empty_file() {
    let text = "houses.csv: the file is empty; expected column names in line 1 and rows below";
    assert_eq!(refused(""), text);
    assert_eq!(refused("\r\n\n"), text);
    assert_eq!(refused("\u{feff}"), text);
}

#[test]
fn a_header_and_no_row() {
    let text = "houses.csv: column names but no rows; expected at least one row below line 1";
    assert_eq!(refused("rooms,price"), text);
    assert_eq!(refused("rooms,price\n\n"), text);
}

#[test]
fn a_ragged_row() {
    let text = |line, got| {
        let advice = "a comma inside a field needs quotes around it";
        format!("houses.csv: line {line}: expected 2 fields as in line 1, got {got}; {advice}")
    };
    assert_eq!(refused("rooms,price\n3,200\n4\n5,300\n"), text(3, 1));
    assert_eq!(refused("rooms,price\r\n\r\n3,200\r\n4,1,000\r\n"), text(4, 3));
    assert_eq!(refused("rooms,price\r\"3\r\n\n\",200\r4,\"1\",000"), text(5, 3));
}

#[test]
fn a_quote_left_open() {
    let text = |line| {
        format!("houses.csv: line {line}: a quoted field never ends; close its quote, and double quotes inside it")
    };
    assert_eq!(refused("a,b\n1,\"2\n3,4\n"), text(2));
    assert_eq!(refused("a,b\n1,2\n3,\"4"), text(3));
    assert_eq!(refused("a,b\n1,2\n\"3,4\n5,6\n"), text(3));
    assert_eq!(refused("a,\"b\n1,2\n"), text(1));
    assert!(read("a,b\n1,\"2\"\n3,\"4\"\"\"").is_ok());
}

#[test]
fn text_that_is_not_utf8() {
    let text = "houses.csv: line 3: not UTF-8 text; save the table as CSV in UTF-8";
    assert_eq!(refused(b"town,price\nK\xc3\xb6ln,1\nK\xf6ln,2\n"), text);
}

#[test]
fn a_zero_byte() {
    let text = "houses.csv: line 2: a zero byte, which no text has; is this a CSV file?";
    assert_eq!(refused(b"a,b\n\0,1\n"), text);
}

#[test]
fn columns_without_a_name_or_of_one_name() {
    let text = "houses.csv: line 1: column 1 has no name; name it or remove it (a data frame's index?)";
    assert_eq!(refused(",a\n0,1\n"), text);
    assert_eq!(refused("  ,a\n0,1\n"), text);
    let text = "houses.csv: line 1: columns 1 and 3 are both named `a`; rename one";
    assert_eq!(refused("a,b, a\n1,2,3\n"), text);
}

#[test]
fn more_than_is_taken() {
    let names: Vec<String> = (0..200_000).map(|i| format!("c{i}")).collect();
    assert_eq!(refused(names.join(",")), "houses.csv: 200000 columns; at most 100000 are taken");
    let long = format!("a,b\n1,2\n1,{}\n", "x".repeat((16 << 20) + 1));
    let text =
        "houses.csv: line 3, column 2: a field of 16777217 bytes; at most 16777216 are taken (a quote left open?)";
    assert_eq!(refused(long), text);
}

#[test]
fn one_row() {
    let text = "houses.csv: expected at least 2 rows with a value in `y`, got 1; add rows";
    assert_eq!(not_inferred("x,y\n1,2\n"), text);
    assert_eq!(not_inferred("x,y\n1,2\n2,\n"), text);
}

#[test]
fn an_unknown_column() {
    let unknown = |options| not_inferred_with("Lot_Area,Sale_Price\n1,2\n2,3\n", &options);
    let text = "houses.csv: no column `sale_prise` (named by --target); did you mean `Sale_Price`?";
    assert_eq!(unknown(options("sale_prise")), text);
    let text = "houses.csv: no column `rooms` (named by --target); columns: `Lot_Area`, `Sale_Price`";
    assert_eq!(unknown(options("rooms")), text);
    let text = |option| format!("houses.csv: no column `Lot_area` (named by {option}); did you mean `Lot_Area`?");
    let base = options("Sale_Price");
    assert_eq!(unknown(SchemaOptions { ignore: vec!["Lot_area".into()], ..base.clone() }), text("--ignore"));
    assert_eq!(unknown(SchemaOptions { categorical: vec!["Lot_area".into()], ..base.clone() }), text("--categorical"));
    assert_eq!(unknown(SchemaOptions { sample_weight: Some("Lot_area".into()), ..base }), text("--sample-weight"));
    let names: Vec<String> = (0..20).map(|i| format!("column{i}")).collect();
    let wide = format!("{}\n{}\n", names.join(","), ["1"; 20].join(","));
    assert!(not_inferred(wide).ends_with("`column6`, `column7`, … (12 more)"));
}

#[test]
fn one_column_for_two_purposes() {
    let options = SchemaOptions { ignore: vec!["y".into()], ..options("y") };
    let text = "column `y` is named by both --target and --ignore; drop one of them";
    assert_eq!(not_inferred_with("x,y\n1,2\n2,3\n", &options), text);
}

#[test]
fn a_constant_target() {
    let text =
        "houses.csv: the target `y` is `7` in every row, so there is nothing to learn; name another with --target";
    assert_eq!(not_inferred("x,y\n1,7.0\n2,7\n3,\n"), text);
    let text =
        "houses.csv: the target `y` is `good` in every row, so there is nothing to learn; name another with --target";
    assert_eq!(not_inferred("x,y\n1,good\n2,good\n"), text);
}

#[test]
fn a_target_too_large() {
    let text = |got| {
        let range = "expected a number between -1e100 and 1e100";
        format!("houses.csv: line 4, column `y`: {range}, got `{got}`; mend the cell or leave it empty")
    };
    for (cell, got) in
        [("1e300", "1e300"), ("-1e300", "-1e300"), ("inf", "inf"), ("-Infinity", "-inf"), ("1e999", "inf")]
    {
        assert_eq!(not_inferred(format!("x,y\n1,1.5\n2,3\n3,{cell}\n")), text(got));
    }
}

#[test]
fn a_target_that_f32_cannot_square() {
    let table = read("x,y\n1,1.5\n2,3\n3,1e30\n").unwrap();
    let schema = Schema::infer(&table, &options("y")).unwrap();
    let Target::Regression(target) = Target::fit(&table, &schema, &schema.rows, Scale::None).unwrap() else { panic!() };
    let text = "houses.csv: line 4, column `y`: expected a number that f32 can hold once encoded, got `1e30`; \
                mend the cell or leave it empty";
    assert_eq!(target.encode::<f32>(&table, &schema.rows).unwrap_err().to_string(), text);
    assert!(target.encode::<f64>(&table, &schema.rows).is_ok());
    let Target::Regression(target) = Target::fit(&table, &schema, &schema.rows, Scale::Standard).unwrap() else {
        panic!()
    };
    assert!(target.encode::<f32>(&table, &schema.rows).is_ok());
}

#[test]
fn an_infinite_input() {
    let csv = "x,y\n1,1.5\n1e999,3\n3,4.5\n";
    let text = "houses.csv: line 3, column `x`: expected a number between -1e100 and 1e100, got `inf`; \
                mend the cell or leave it empty";
    assert_eq!(not_inferred(csv), text);
    // Nothing is wrong with it where it is not used.
    let table = read("x,z,y\n1,inf,1.5\n2,3,3\n3,4,4.5\n").unwrap();
    let ignored = SchemaOptions { ignore: vec!["z".into()], ..options("y") };
    assert!(Schema::infer(&table, &ignored).is_ok());
}

#[test]
fn a_column_of_numbers_that_turns_to_text_after_a_million_rows() {
    let mut csv = rows(1_000_000, |_| None);
    csv += "n.a.,3.5\n7,4.5\n";
    let text = "houses.csv: line 1000002, column `x`: expected a number as in 1000001 of 1000002 cells, got `n.a.`; \
                mend the cell, or use --categorical x or --ignore x";
    assert_eq!(not_inferred(csv), text);
}

#[test]
fn a_column_of_numbers_with_some_texts() {
    // Texts in 5 % of 200 cells: still numbers with mistakes. In 6 %: texts, and nearly every one different.
    let texts = |n: usize| rows(200, move |i| (i < n).then_some(("12o", "1")));
    let text = "houses.csv: line 2, column `x`: expected a number as in 190 of 200 cells, got `12o`; \
                mend the cell, or use --categorical x or --ignore x";
    assert_eq!(not_inferred(texts(10)), text);
    let text = "houses.csv: no column to predict `y` from; left out: `x (identifier)`";
    assert_eq!(not_inferred(texts(12)), text);
    let forced = SchemaOptions { categorical: vec!["x".into()], ..options("y") };
    assert!(Schema::infer(&read(texts(10)).unwrap(), &forced).is_ok());
}

#[test]
fn a_numeric_target_with_a_text() {
    let text = "houses.csv: line 5, column `y`: expected a number as in 19 of 20 cells, got `?1`; \
                mend the cell, or use --task classification";
    assert_eq!(not_inferred(rows(20, |i| (i == 3).then_some(("1", "?1")))), text);
    let regression = SchemaOptions { task: Some(Task::Regression), ..options("y") };
    let text = "houses.csv: line 2, column `y`: expected a number as in 0 of 2 cells, got `good`; \
                mend the cell, or use --task classification";
    assert_eq!(not_inferred_with("x,y\n1,good\n2,bad\n", &regression), text);
}

#[test]
fn a_class_with_one_row() {
    let text = "houses.csv: line 4, column `y`: class `so-so` has one row, expected at least 2; \
                add rows, remove this one or merge the class with another";
    assert_eq!(not_inferred("x,y\n1,good\n2,good\n3,so-so\n4,bad\n5,bad\n"), text);
    let classes = SchemaOptions { task: Some(Task::Classification), ..options("y") };
    let text = "houses.csv: line 4, column `y`: class `7` has one row, expected at least 2; \
                add rows, remove this one, or use --task regression";
    assert_eq!(not_inferred_with("x,y\n1,1\n2,1.0\n3,07\n", &classes), text);
}

#[test]
fn more_classes_than_are_taken() {
    let mut csv = "x,y\n".to_owned();
    for i in 0..2002 {
        csv += &format!("{i},class{}\n", i % 1001);
    }
    let text = "houses.csv: the target `y` has 1001 classes, at most 1000 are taken; \
                merge some, or name another with --target";
    assert_eq!(not_inferred(csv), text);
}

#[test]
fn more_columns_than_rows_are_no_error() {
    let names: Vec<String> = (0..300).map(|i| format!("c{i}")).collect();
    let row = |k: usize| (0..300).map(|i| (i * k).to_string()).collect::<Vec<_>>().join(",");
    let table = read(format!("{},y\n{},1.5\n{},2.5\n", names.join(","), row(1), row(2))).unwrap();
    let schema = Schema::infer(&table, &options("y")).unwrap();
    let (encoder, _) = Encoder::fit(&table, &schema, &schema.rows, Scale::Standard).unwrap();
    // c0 is 0 in both rows.
    assert_eq!(encoder.encode::<f32>(&table, None).unwrap().0.cols(), 299);
}

#[test]
fn weights_that_make_no_sense() {
    let weighted = |weights: [&str; 3]| {
        let [a, b, c] = weights;
        let options = SchemaOptions { sample_weight: Some("w".into()), ..options("y") };
        not_inferred_with(format!("x,y,w\n1,1.5,{a}\n2,2.5,{b}\n3,3.5,{c}\n"), &options)
    };
    let at = "houses.csv: line 3, column `w`";
    let text = format!("{at}: expected a weight of 0 or more, got -1; 0 leaves a row out");
    assert_eq!(weighted(["1", "-1", "1"]), text);
    let text = format!("{at}: expected a value, got none; fill the cell or remove the row");
    assert_eq!(weighted(["1", "", "1"]), text);
    let text = format!("{at}: expected a number, got `one`; mend the cell or leave it empty");
    assert_eq!(weighted(["1", "one", "1"]), text);
    assert!(weighted(["1", "inf", "1"]).starts_with(&format!("{at}: expected a number between")));
    assert_eq!(weighted(["0", "0", "0"]), "houses.csv: column `w`: every weight is 0; give some row a weight");
    assert_eq!(weighted(["0", "0", "1"]), "houses.csv: expected at least 2 rows with a value in `y`, got 1; add rows");
}

#[test]
fn no_column_to_predict_from() {
    assert_eq!(not_inferred("y\n1\n2\n"), "houses.csv: no column to predict `y` from; add columns");
    let text = "houses.csv: no column to predict `y` from; left out: `a (constant)`, `id (identifier)`";
    assert_eq!(not_inferred("a,id,y\n1,7,1\n1,8,2\n"), text);
}

/// A model's columns, fitted on x = 1, 2, 3 and c = p, q, r.
fn fitted() -> (Encoder, Target) {
    let table = read("x,c,y\n1,p,1.5\n2,q,2.5\n3,r,3.5\n").unwrap();
    let schema = Schema::infer(&table, &options("y")).unwrap();
    let (encoder, _) = Encoder::fit(&table, &schema, &schema.rows, Scale::Standard).unwrap();
    let target = Target::fit(&table, &schema, &schema.rows, Scale::Standard).unwrap();
    (encoder, target)
}

#[test]
fn a_table_without_the_columns_of_the_model() {
    let (encoder, target) = fitted();
    let table = read("z\n1\n").unwrap();
    let text = encoder.encode::<f32>(&table, None).unwrap_err().to_string();
    assert_eq!(text, "houses.csv: the model needs 2 columns that the table has not: `x`, `c`");
    let text = target.rows(&table).unwrap_err().to_string();
    assert_eq!(text, "houses.csv: the model needs 1 column that the table has not: `y`");
}

#[test]
fn a_text_where_the_model_needs_a_number() {
    let table = read("c,x\np,1\nq,many\n").unwrap();
    let text = fitted().0.encode::<f32>(&table, None).unwrap_err().to_string();
    assert_eq!(text, "houses.csv: line 3, column `x`: expected a number, got `many`; mend the cell or leave it empty");
}

#[test]
fn a_number_too_far_for_the_precision() {
    let table = read("c,x\np,1\nq,1e60\n").unwrap();
    let text = "houses.csv: line 3, column `x`: expected a number that f32 can hold once encoded, got `1e60`; \
                mend the cell or leave it empty";
    assert_eq!(fitted().0.encode::<f32>(&table, None).unwrap_err().to_string(), text);
    assert!(fitted().0.encode::<f64>(&table, None).is_ok());
}

#[test]
fn a_label_that_the_model_does_not_know() {
    let table = read("x,y\n1,good\n2,bad\n3,good\n4,bad\n").unwrap();
    let schema = Schema::infer(&table, &options("y")).unwrap();
    let target = Target::fit(&table, &schema, &schema.rows, Scale::Standard).unwrap();
    let other = read("x,y\n1,\n2,so-so\n").unwrap();
    let (rows, notes) = target.rows(&other).unwrap();
    assert_eq!((rows.as_slice(), notes[0].as_str()), (&[1][..], "1 row without a value in `y` left out"));
    let Target::Classification(target) = target else { panic!() };
    let text = "houses.csv: line 3, column `y`: class `so-so` is none of the model's: `bad`, `good`";
    assert_eq!(target.classes(&other, &rows).unwrap_err().to_string(), text);
}

#[test]
fn a_table_that_would_be_too_large_once_encoded() {
    // 5,000 rows of 500 columns with 1,000 categories each (a few megabytes) would be 2.5 thousand million numbers.
    let names: Vec<String> = (0..500).map(|i| format!("c{i}")).collect();
    let mut csv = format!("y,{}\n", names.join(","));
    for i in 0..5000 {
        let cells: String = (0..500).map(|c| format!(",a{}", (i + c) % 1000)).collect();
        csv += &format!("{i}.5{cells}\n");
    }
    let table = read(csv).unwrap();
    let schema = Schema::infer(&table, &options("y")).unwrap();
    let text = Encoder::fit(&table, &schema, &[0, 1], Scale::Standard).map(|(encoder, _)| encoder.width());
    assert_eq!(text, Ok(500));
    let error = Encoder::fit(&table, &schema, &schema.rows, Scale::Standard).unwrap_err().to_string();
    assert!(error.starts_with("houses.csv: 5000 rows by 500000 encoded columns do not fit; `c"), "{error}");
}

#[test]
fn what_a_file_holds_cannot_break_the_line_of_a_message() {
    let csv = format!("\"a\nb\u{202e}{}\",y\n1,2\n2,3\n", "c".repeat(100));
    let text = not_inferred_with(csv, &options("price"));
    let shown = format!(r"`a\nb\u{{202e}}{}…`", "c".repeat(56));
    assert_eq!(text, format!("houses.csv: no column `price` (named by --target); columns: {shown}, `y`"));
}

#[test]
fn an_encoding_that_no_table_gives_is_not_read() {
    let good = serde_json::to_string(&fitted().0).unwrap();
    assert!(serde_json::from_str::<Encoder>(&good).is_ok());
    let bad = [
        (r#""name":"c""#, r#""name":"x""#),
        (r#""p","q""#, r#""p","p""#),
        (r#""median":2.0"#, r#""median":1e200"#),
        (r#""median":2.0"#, r#""median":null"#),
        (r#""scale":0."#, r#""scale":-0."#),
        (r#"["p","q","r"]"#, r#"[]"#),
    ];
    for (from, to) in bad {
        assert!(good.contains(from), "{from} in {good}");
        assert!(serde_json::from_str::<Encoder>(&good.replace(from, to)).is_err(), "{to}");
    }
    let labels = |labels: &str| {
        let json = format!(r#"{{"task":"classification","column":"y","labels":{labels}}}"#);
        serde_json::from_str::<Target>(&json)
    };
    assert!(labels(r#"["a","b"]"#).is_ok());
    assert!(labels(r#"["a","a"]"#).is_err() && labels(r#"["a"]"#).is_err());
}
