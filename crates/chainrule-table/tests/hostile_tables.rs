//! Thirty tables that people really have: each gives a sensible result, or an error of one line.

use chainrule_table::{Cells, Encoder, Kind, Scale, Schema, SchemaOptions, Table, TableError, Target};

/// Reads, infers and encodes; gives the schema and the encoded columns' names.
fn through(bytes: impl AsRef<[u8]>) -> Result<(Schema, Vec<String>), TableError> {
    let table = Table::read_csv_with(bytes.as_ref(), "t.csv", 2)?;
    let schema = Schema::infer(&table, &SchemaOptions { target: "y".to_owned(), ..SchemaOptions::default() })?;
    let (encoder, _) = Encoder::fit(&table, &schema, &schema.rows, Scale::Robust)?;
    Target::fit(&table, &schema, &schema.rows, Scale::Standard)?;
    let (matrix, _) = encoder.encode::<f32>(&table, None)?;
    assert!(matrix.as_slice().iter().all(|x| x.is_finite()));
    Ok((schema, encoder.columns().into_iter().map(|column| column.name).collect()))
}

fn kinds(bytes: impl AsRef<[u8]>) -> Vec<Kind> {
    through(bytes).unwrap().0.kinds
}

fn refused(bytes: impl AsRef<[u8]>) -> String {
    let text = through(bytes).unwrap_err().to_string();
    assert!(!text.contains(|c: char| c.is_control()), "{text:?}");
    text
}

fn numbers(csv: impl AsRef<[u8]>, column: usize) -> Vec<f64> {
    let table = Table::read_csv(csv.as_ref(), "t.csv").unwrap();
    match table.columns()[column].cells() {
        Cells::Numbers(numbers) => numbers.iter().collect(),
        Cells::Texts(texts) => panic!("texts: {:?}", texts.levels().collect::<Vec<_>>()),
    }
}

/// `x,y` and n rows of these cells.
fn rows(n: usize, cell: impl Fn(usize) -> String) -> String {
    (0..n).fold("x,y\n".to_owned(), |csv, i| csv + &format!("{},{}.5\n", cell(i), i % 97))
}

#[test]
fn ten_thousand_categories() {
    // Five rows each: the thousand that come first by their bytes have a column, the others share one.
    let (schema, names) = through(rows(50_000, |i| format!("c{}", i % 10_000))).unwrap();
    assert_eq!((schema.kinds[0], names.len(), names[1000].as_str()), (Kind::Categorical, 1001, "x is rare"));
}

#[test]
fn ten_thousand_categories_of_two_rows_each() {
    assert_eq!(
        refused(rows(20_000, |i| format!("c{}", i % 10_000))),
        "t.csv: no column to predict `y` from; left out: `x (constant)`"
    );
}

#[test]
fn five_thousand_columns() {
    let line = |k: usize| (0..5000).map(|i| (i * k % 7).to_string()).collect::<Vec<_>>().join(",");
    let names: Vec<String> = (0..5000).map(|i| format!("c{i}")).collect();
    let csv = format!("{},y\n{},1.5\n{},2\n{},3\n", names.join(","), line(1), line(2), line(3));
    let (schema, names) = through(csv).unwrap();
    // Of i·k mod 7 there are seven different columns, one of them constant.
    let of = |kind| schema.kinds.iter().filter(|k| **k == kind).count();
    assert_eq!((of(Kind::Numeric), of(Kind::Constant), of(Kind::Duplicate), names.len()), (6, 715, 4279, 6));
}

#[test]
fn one_column() {
    assert_eq!(refused("y\n1\n2\n3\n"), "t.csv: no column to predict `y` from; add columns");
}

#[test]
fn every_column_has_gaps() {
    let (schema, names) = through("a,b,c,y\n1,,2024-01-01,1.5\n,p,,2\n3,q,2024-03-01,3\n4,,2024-04-01,\n").unwrap();
    assert_eq!(schema.rows, [0, 1, 2]);
    assert_eq!(names.iter().filter(|name| name.ends_with("is missing")).count(), 3);
}

#[test]
fn a_column_without_any_value() {
    assert_eq!(kinds("a,x,y\n,1,1.5\nNA,2,2\n?,3,3\n"), [Kind::Constant, Kind::Numeric, Kind::Target]);
}

#[test]
fn quotes_commas_and_line_ends_in_cells() {
    let csv = "x,y\n\"a, \"\"b\"\"\nc\",1.5\n\"a, \"\"b\"\"\nc\",2\n\"d\r\ne\",3\n";
    let (_, names) = through(csv).unwrap();
    assert_eq!(names, ["x=d\r\ne"]);
}

#[test]
fn a_quote_in_the_middle_of_a_cell() {
    assert_eq!(through("x,y\n5\" pipe,1.5\n6\" pipe,2\n5\" pipe,3\n").unwrap().1, ["x=6\" pipe"]);
}

#[test]
fn a_byte_order_mark() {
    assert_eq!(kinds("\u{feff}x,y\n1,1.5\n2,2\n"), [Kind::Numeric, Kind::Target]);
}

#[test]
fn semicolons_and_decimal_commas() {
    let csv = "x;c;y\n1,5;a;2,5\n-0,25;b;3\n7;a;4,125\n";
    assert_eq!((numbers(csv, 0), numbers(csv, 2)), (vec![1.5, -0.25, 7.0], vec![2.5, 3.0, 4.125]));
    assert_eq!(kinds(csv), [Kind::Numeric, Kind::Categorical, Kind::Target]);
}

#[test]
fn semicolons_and_decimal_points() {
    assert_eq!(numbers("x;y\n1.5;1\n2.25;2\n", 0), [1.5, 2.25]);
}

#[test]
fn tabs_and_bars() {
    assert_eq!((numbers("x\ty\n1\t1.5\n2\t2\n", 1), numbers("x|y\n1|1.5\n2|2\n", 1)), (vec![1.5, 2.0], vec![1.5, 2.0]));
}

#[test]
fn mixed_line_ends() {
    assert_eq!(numbers("x,y\r\n1,1\n2,2\r3,3\r\n\r\n4,4", 1), [1.0, 2.0, 3.0, 4.0]);
}

#[test]
fn dates_in_three_formats() {
    let (schema, names) = through("a,b,c,y\n2024-01-31,31/01/2024,31 Jan 2024,1.5\n2024-02-29,29/02/2024,29 Feb 2024,2\n2024-03-05,05/03/2024,5 Mar 2024,3\n").unwrap();
    assert_eq!(schema.kinds[..3], [Kind::Date; 3]);
    assert_eq!(schema.reasons[1], "dates or times, the day first");
    assert_eq!(names.len(), 9); // of each the days and two for the week
    // And in one column.
    assert_eq!(kinds("x,y\n2024-01-31,1.5\n01/31/2025,2\n31 Jan 2026,3\n")[0], Kind::Date);
}

#[test]
fn a_target_named_like_a_feature() {
    assert_eq!(refused("x,y,y\n1,2,3\n2,3,4\n"), "t.csv: line 1: columns 2 and 3 are both named `y`; rename one");
    // One that differs by its case only is another column.
    assert_eq!(kinds("Y,y\n1,1.5\n2,2\n"), [Kind::Numeric, Kind::Target]);
}

#[test]
fn a_copy_of_the_target_under_another_name_is_an_input() {
    assert_eq!(kinds("x,y\n1.5,1.5\n2,2\n"), [Kind::Numeric, Kind::Target]);
}

#[test]
fn names_from_every_plane_of_unicode() {
    let names: Vec<String> =
        (0..17_u32).map(|plane| char::from_u32(plane << 16 | 0x0100)).map(|c| format!("n{}", c.unwrap())).collect();
    let csv = format!(
        "{},y\n{}1.5\n{}2\n",
        names.join(","),
        "1,".repeat(17),
        (0..17).map(|i| format!("{i}.25,")).collect::<String>()
    );
    let (schema, encoded) = through(csv).unwrap();
    assert_eq!((schema.kinds.len(), encoded), (18, names));
}

#[test]
fn a_ragged_row() {
    let advice = "a comma inside a field needs quotes around it";
    assert_eq!(refused("x,y\n1,2\n3\n"), format!("t.csv: line 3: expected 2 fields as in line 1, got 1; {advice}"));
}

#[test]
fn text_that_is_no_utf8() {
    assert_eq!(refused(b"x,y\nK\xf6ln,1\n"), "t.csv: line 2: not UTF-8 text; save the table as CSV in UTF-8");
    assert!(
        refused("x,y\n1,2\n".encode_utf16().flat_map(u16::to_le_bytes).collect::<Vec<u8>>())
            .starts_with("t.csv: line 1: ")
    );
}

#[test]
fn a_header_alone_and_nothing_at_all() {
    assert!(refused("x,y\n").contains("column names but no rows"));
    assert!(refused("").contains("the file is empty"));
}

#[test]
fn a_column_without_a_name() {
    assert!(refused(",y\n1,2\n").contains("column 1 has no name"));
}

#[test]
fn codes_with_zeros_in_front() {
    let (schema, names) = through("zip,y\n02134,1.5\n10001,2\n02134,3\n94103,4\n").unwrap();
    assert_eq!((schema.kinds[0], names.join(" ")), (Kind::Categorical, "zip=02134 zip=10001 zip=94103".to_owned()));
}

#[test]
fn an_identifier_and_prose() {
    let csv =
        (0..200).fold("id,note,x,y\n".to_owned(), |csv, i| csv + &format!("{i},this is note {i},{},{i}.5\n", i % 7));
    assert_eq!(kinds(csv), [Kind::Identifier, Kind::Text, Kind::Numeric, Kind::Target]);
}

#[test]
fn booleans_in_many_spellings() {
    assert_eq!(kinds("a,b,c,y\nTRUE,ja,1,1.5\nfalse,Nein,no,2\nT,JA,yes,3\n")[..3], [Kind::Boolean; 3]);
}

#[test]
fn an_outlier_beyond_all_measure() {
    let (_, names) = through("x,y\n1,1.5\n2,2\n3,3\n1e90,4\n").unwrap();
    assert_eq!(names, ["x"]);
    assert!(refused("x,y\n1,1.5\n2,2\n1e300,3\n").contains("expected a number between"));
}

#[test]
fn infinities() {
    assert!(refused("x,y\n1,1.5\ninf,2\n").contains("got `inf`"));
}

#[test]
fn a_number_column_with_one_text_far_down() {
    let text = refused(rows(300_000, |i| if i == 299_999 { "n.a.".into() } else { i.to_string() }));
    assert!(
        text.starts_with("t.csv: line 300001, column `x`: expected a number as in 299999 of 300000 cells"),
        "{text}"
    );
}

#[test]
fn a_quote_that_never_ends() {
    let csv = format!("x,y\n1,2\n\"3,4\n{}", "5,6\n".repeat(1_000_000));
    assert!(refused(csv).starts_with("t.csv: line 3: a quoted field never ends"));
    let csv = format!("x,y\n1,2\n\"3,4\n{}", "5,6\n".repeat(5_000_000)); // seen before the end
    assert!(refused(csv).starts_with("t.csv: line 3: a quoted field never ends"));
}

#[test]
fn a_constant_target() {
    assert!(refused("x,y\n1,2\n2,2\n").contains("`2` in every row"));
}

#[test]
fn a_zero_byte() {
    assert!(refused(b"x,y\n1,2\n\0,3\n").starts_with("t.csv: line 3: a zero byte"));
}
