//! The stated rules for columns, tasks, encodings and fingerprints, one worked example each.

use chainrule_table::{
    Cells, Column, Encoder, Kind, Note, Scale, Schema, SchemaOptions, Table, Target, Task, data_fingerprint,
};

fn read(csv: &str) -> Table {
    Table::read_csv(csv.as_bytes(), "t.csv").unwrap()
}

fn options() -> SchemaOptions {
    SchemaOptions { target: "y".to_owned(), ..SchemaOptions::default() }
}

fn infer(csv: &str) -> Schema {
    Schema::infer(&read(csv), &options()).unwrap()
}

fn texts(notes: &[Note]) -> Vec<&str> {
    notes.iter().map(Note::as_str).collect()
}

/// A table of a column `x` with these cells, another input, and a target.
fn with_x<S: AsRef<str>>(cells: impl IntoIterator<Item = S>) -> String {
    let mut csv = "x,other,y\n".to_owned();
    for (i, cell) in cells.into_iter().enumerate() {
        csv += &format!("{},{i},{i}.5\n", cell.as_ref());
    }
    csv
}

fn kind_of_x<S: AsRef<str>>(cells: impl IntoIterator<Item = S>) -> Kind {
    infer(&with_x(cells)).kinds[0]
}

fn numbers(table: &Table, column: usize) -> Vec<f64> {
    match table.columns()[column].cells() {
        Cells::Numbers(numbers) => numbers.iter().collect(),
        Cells::Texts(_) => panic!("a column of texts"),
    }
}

/// The encoding of a table fitted on all its rows but the last, of all its rows.
fn encode(csv: &str, scale: Scale) -> (Vec<String>, Vec<Vec<f64>>, Vec<Note>) {
    let table = read(csv);
    let schema = Schema::infer(&table, &options()).unwrap();
    let (encoder, _) = Encoder::fit(&table, &schema, &schema.rows[..schema.rows.len() - 1], scale).unwrap();
    let (matrix, notes) = encoder.encode::<f64>(&table, None).unwrap();
    let names = encoder.columns().into_iter().map(|column| column.name).collect();
    (names, (0..matrix.rows()).map(|i| matrix.row(i).to_vec()).collect(), notes)
}

#[test]
fn a_numeric_column_ignores_surrounding_blanks() {
    let table = read("x,y\n 1 ,2\n\" -2.5e1\",+3\n\t.5,4.\n");
    assert_eq!(numbers(&table, 0), [1.0, -25.0, 0.5]);
    assert_eq!(numbers(&table, 1), [2.0, 3.0, 4.0]);
}

#[test]
fn what_counts_as_missing() {
    let missing = ["", " ", "NA", "N/A", "NaN", "nan", "null", "NULL", "None", "?", " NA "];
    let table = read(&format!("x,y\n1,0\n{}", missing.map(|cell| format!("{cell},0\n")).concat()));
    let values = numbers(&table, 0);
    assert_eq!(values.len(), 12);
    assert!(values[1..].iter().all(|x| x.is_nan()));
    for other in ["na", "NAN", "-nan", "none", "-", "1,5", "1_000", "0x10", "1e"] {
        let table = read(&format!("x,y\n1,0\n\"{other}\",0\n"));
        assert!(matches!(table.columns()[0].cells(), Cells::Texts(_)), "{other}");
    }
}

#[test]
fn rfc_4180_is_read() {
    let table = read("\u{feff}\"a\",b\r\n\"x, \"\"y\"\"\r\nz\",1\r\n\r\n w ,2");
    let Cells::Texts(a) = table.columns()[0].cells() else { panic!() };
    assert_eq!((a.get(0), a.get(1)), (Some("x, \"y\"\r\nz"), Some(" w ")));
    assert_eq!((table.columns()[0].name(), numbers(&table, 1)), ("a", vec![1.0, 2.0]));
}

#[test]
fn a_text_after_numbers_brings_their_spelling_back() {
    let table = read("x,y\n007,1\n,2\n1.50,3\nnine,4\n007,5\n");
    let Cells::Texts(x) = table.columns()[0].cells() else { panic!() };
    assert_eq!(x.levels().collect::<Vec<_>>(), ["007", "1.50", "nine"]);
    assert_eq!(
        (0..5).map(|row| x.get(row)).collect::<Vec<_>>(),
        [Some("007"), None, Some("1.50"), Some("nine"), Some("007")]
    );
    assert_eq!((table.spelling(2, 0), table.place(4, 0).line), ("1.50".to_owned(), Some(6)));
}

#[test]
fn kinds_of_columns() {
    assert_eq!(kind_of_x(["1", "", "2.5"]), Kind::Numeric);
    assert_eq!(kind_of_x(["yes", "No", "yes"]), Kind::Boolean);
    assert_eq!(kind_of_x(["T", "F", ""]), Kind::Boolean);
    assert_eq!(kind_of_x(["yes", "false", "N", "1"]), Kind::Boolean);
    assert_eq!(kind_of_x(["yes", "maybe"]), Kind::Categorical);
    assert_eq!(kind_of_x(["yes", "YES"]), Kind::Categorical);
    assert_eq!(kind_of_x(["yes", "", "yes"]), Kind::Categorical);
    assert_eq!(kind_of_x(["a", "b", "c"]), Kind::Categorical);
    assert_eq!(kind_of_x(["a", "a"]), Kind::Constant);
    assert_eq!(kind_of_x(["1", "1.0"]), Kind::Constant);
    assert_eq!(kind_of_x(["", "NA"]), Kind::Constant);
    assert_eq!(kind_of_x(["1", "", "1"]), Kind::Numeric);
}

#[test]
fn dates_and_times_in_many_forms() {
    let dates = ["2024-02-29", "1999-12-31T23:59", "2024-05-01 12:30:05.25Z", "2024-05-01T12:30:05+02:00"];
    assert_eq!(kind_of_x(dates), Kind::Date);
    assert_eq!(kind_of_x(["2024-05-01", "", "01/05/2024", "1 May 2024"]), Kind::Date);
    assert_eq!(kind_of_x(["12:30", "9:05 pm"]), Kind::Date);
    for wrong in ["2023-02-29", "2024-13-01", "24-01-01x", "2024-05-01T24:00", "soon"] {
        assert_eq!(kind_of_x(["2024-01-01", wrong]), Kind::Categorical, "{wrong}");
    }
}

#[test]
fn a_date_is_its_day_and_its_places_in_year_and_week() {
    // Two years from a Monday on: 2024-01-01 is day 19,723. A gap in training has a column.
    let (names, rows, notes) = encode("d,y\n2024-01-01,1.5\n,2\n2025-12-29,3\n,4\n", Scale::None);
    assert_eq!(names[..3], ["d", "d in the year, sine", "d in the year, cosine"]);
    assert_eq!(names[3..], ["d in the week, sine", "d in the week, cosine", "d is missing"]);
    assert_eq!(rows[0], [19_723.0, 0.0, 1.0, 0.0, 1.0, 0.0]);
    // The median day between them stands for a gap.
    assert_eq!(rows[1], [(19_723.0 + 20_451.0) / 2.0, 0.0, 0.0, 0.0, 0.0, 1.0]);
    assert_eq!((rows[2][3..].to_vec(), rows[3].clone()), (vec![0.0, 1.0, 0.0], rows[1].clone()));
    assert_eq!(notes, []);
}

#[test]
fn whole_numbers_that_only_name_something_are_told_by_the_columns_name() {
    let kind = |name: &str, cells: &[&str]| infer(&with_x(cells).replacen('x', name, 1)).kinds[0];
    assert_eq!(kind("customer_id", &["17", "4", "9"]), Kind::Identifier);
    assert_eq!(kind("Unnamed: 0", &["0", "1", "2"]), Kind::Identifier);
    assert_eq!(kind("ZipCode", &["10001", "94103", "10001", "94103"]), Kind::Categorical);
    assert_eq!(kind("storeId", &["1", "2", "1", "2"]), Kind::Categorical);
    assert_eq!(kind("zip_code_income", &["1", "2", "1", "2"]), Kind::Numeric);
    assert_eq!(kind("id", &["1.5", "2", "3"]), Kind::Numeric);
    // A zero in front needs no name.
    assert_eq!(kind("place", &["02134", "10001", "02134"]), Kind::Categorical);
}

#[test]
fn prose_and_duplicates_are_left_out() {
    let prose = (0..150).map(|i| format!("sentence {i} of many"));
    assert_eq!(kind_of_x(prose), Kind::Text);
    let schema = infer("a,b,c,y\n1,p,1,1.5\n2,q,2.0,2\n,p,,3\n");
    assert_eq!(schema.kinds, [Kind::Numeric, Kind::Categorical, Kind::Duplicate, Kind::Target]);
    assert_eq!(schema.notes[1].as_str(), "left out: `c (the same as a)`");
}

#[test]
fn a_boolean_keeps_its_meaning_however_it_is_spelled() {
    let (names, rows, _) = encode("b,y\nyes,1.5\nNO,2\n,3\nyes,3\nT,4\n", Scale::Standard);
    assert_eq!(names, ["b=yes", "b is missing"]);
    assert_eq!(rows, [[1.0, 0.0], [-1.0, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 0.0]]);
}

#[test]
fn a_robust_scale_bends_what_lies_far_out() {
    // Median 3, quartiles 2 and 4: z = (x − 3)/2; z = 6 becomes 6/√5.
    let (_, rows, _) = encode("x,y\n1,1.5\n2,2\n3,3\n4,4\n5,5\n15,6\n", Scale::Robust);
    assert_eq!((rows[2][0], rows[5][0]), (0.0, 6.0 / 5.0_f64.sqrt()));
    assert_eq!(encode("x,y\n1,1.5\n2,2\n3,3\n4,4\n5,5\n1e9,6\n", Scale::Robust).1[5][0].round(), 3.0);
}

#[test]
fn identifiers_have_many_texts_and_few_repeats() {
    // 101 texts in 201 cells are more than half of them; in 202 they are not, and 100 texts are too few.
    let cells = |levels: usize, n: usize| (0..n).map(move |i| format!("id{}", i % levels));
    assert_eq!(kind_of_x(cells(101, 201)), Kind::Identifier);
    assert_eq!(kind_of_x(cells(101, 202)), Kind::Categorical);
    assert_eq!(kind_of_x(cells(100, 100)), Kind::Categorical);
    let forced = SchemaOptions { categorical: vec!["x".into()], ..options() };
    assert_eq!(Schema::infer(&read(&with_x(cells(101, 201))), &forced).unwrap().kinds[0], Kind::Categorical);
}

#[test]
fn what_is_left_out_is_said_once_for_all_columns() {
    let schema = infer("a,b,c,d,x,y\n1,z,2024-01-01,3,4,1.5\n1,z,2024-01-02,3,5,2.5\n");
    assert_eq!(
        texts(&schema.notes),
        [
            "`y` is numeric: regression (--task classification overrides)",
            "left out, the same in every row: `a`, `b`, `d`",
        ]
    );
}

#[test]
fn a_text_among_numbers_is_said() {
    let schema = infer(&with_x(["1", "2", "3o", "4"]));
    let note = "t.csv: line 4, column `x`: `3o` makes texts of a column with 3 numbers in 4 cells";
    assert_eq!((schema.kinds[0], schema.notes[1].as_str()), (Kind::Categorical, note));
}

#[test]
fn the_task_is_inferred() {
    let infer = |targets: &[&str]| {
        let rows: String = targets.iter().enumerate().map(|(i, y)| format!("{i},{y}\n")).collect();
        let schema = infer(&format!("x,y\n{rows}"));
        (schema.task, schema.labels.join(" "), schema.notes[0].to_string())
    };
    let (task, labels, note) = infer(&["b", "a", "b", "a"]);
    assert_eq!(
        (task, labels.as_str(), note.as_str()),
        (Task::Classification, "a b", "`y` holds texts: classification")
    );
    let (task, labels, _) = infer(&["1", "0", "0", "1"]);
    assert_eq!((task, labels.as_str()), (Task::Classification, "0 1"));
    // Ten rows a value: classes, in the order of numbers. Nine and a half, or one with a fraction: numbers.
    let whole = ["2", "10", "-1"].repeat(10);
    let (task, labels, note) = infer(&whole);
    assert_eq!((task, labels.as_str()), (Task::Classification, "-1 2 10"));
    assert_eq!(note, "`y` has 3 different whole numbers: classification (--task regression overrides)");
    assert_eq!(infer(&whole[1..]).0, Task::Regression);
    assert_eq!(infer(&["2", "10", "-1.5"].repeat(10)).0, Task::Regression);
    let eleven: Vec<String> = (0..11).map(|i| i.to_string()).collect();
    assert_eq!(infer(&eleven.iter().map(String::as_str).collect::<Vec<_>>().repeat(20)).0, Task::Regression);
    // A count that occurs once is no class.
    let twice = whole.repeat(2);
    assert_eq!(infer(&[twice.clone(), vec!["7"; 2]].concat()).0, Task::Classification);
    assert_eq!(infer(&[twice, vec!["7"; 1]].concat()).0, Task::Regression);
}

#[test]
fn the_task_can_be_given() {
    let csv = "x,y\n1,0\n2,1\n3,1\n4,0\n";
    let given = |task| Schema::infer(&read(csv), &SchemaOptions { task: Some(task), ..options() }).unwrap();
    assert_eq!((given(Task::Regression).task, given(Task::Regression).notes.len()), (Task::Regression, 0));
    assert_eq!(given(Task::Classification).labels, ["0", "1"]);
    assert_eq!("regression".parse::<Task>(), Ok(Task::Regression));
    let error = "classificaton".parse::<Task>().unwrap_err().to_string();
    assert_eq!(error, "unknown task `classificaton`; did you mean `classification`?");
}

#[test]
fn labels_keep_their_spelling_and_numbers_are_equal_by_value() {
    let options = SchemaOptions { task: Some(Task::Classification), ..options() };
    let labels = |csv: &str| Schema::infer(&read(csv), &options).unwrap().labels;
    assert_eq!(labels("x,y\n1,02\n2,10\n3,02\n4,10\n"), ["02", "10"]);
    assert_eq!(labels("x,y\n1,2.0\n2,10.0\n3,2.0\n4,10.0\n"), ["2.0", "10.0"]);
    let table = read("x,y\n1,02\n2,10\n3,2\n4,10.0\n5,10\n");
    let schema = Schema::infer(&table, &options).unwrap();
    assert_eq!(schema.labels, ["2", "10"]);
    let Target::Classification(target) = Target::fit(&table, &schema, &schema.rows, Scale::Standard).unwrap() else {
        panic!()
    };
    assert_eq!(target.classes(&table, &schema.rows).unwrap(), [0, 1, 0, 1, 1]);
    // Another program may write the same labels in another way, or beside one that is new.
    assert_eq!(target.classes(&read("y\n2.0\n1e1\n"), &[0, 1]).unwrap(), [0, 1]);
    assert_eq!(target.classes(&read("y\n2.0\nmany\n10\n"), &[0, 2]).unwrap(), [0, 1]);
}

#[test]
fn rows_without_target_or_weight_do_not_serve() {
    let table = read("x,w,y\n1,1,1.5\n2,0,2.5\n3,2,\n4,0.5,3.5\n5,1,?\n");
    let options = SchemaOptions { sample_weight: Some("w".into()), ..options() };
    let schema = Schema::infer(&table, &options).unwrap();
    assert_eq!(schema.rows, [0, 3]);
    assert_eq!(schema.weights.as_deref(), Some(&[1.0, 0.0, 2.0, 0.5, 1.0][..]));
    assert_eq!(schema.kinds, [Kind::Numeric, Kind::Weight, Kind::Target]);
    let said = texts(&schema.notes);
    assert_eq!(said[..2], ["1 row of weight 0 left out", "2 rows without a value in `y` left out"]);
}

#[test]
fn numbers_are_filled_and_standardised() {
    // Training x = 1, –, 2, 6: the median 2 fills the gap; mean (1 + 2 + 2 + 6)/4 = 2.75, squared distances
    // 3.0625 + 0.5625 + 0.5625 + 10.5625 = 14.75, deviation √(14.75/4).
    let csv = "x,y\n1,1.5\n,2\n2,3\n6,4\n4.75,5\n";
    let (names, rows, notes) = encode(csv, Scale::Standard);
    let deviation = 3.6875_f64.sqrt();
    assert_eq!(names, ["x", "x is missing"]);
    assert_eq!(rows[0], [-1.75 / deviation, 0.0]);
    assert_eq!(rows[1], [-0.75 / deviation, 1.0]);
    assert_eq!(rows[4], [2.0 / deviation, 0.0]);
    assert_eq!(notes, []);
    assert_eq!(encode(csv, Scale::None).1[4], [4.75, 0.0]);
    // An even number of values: the middle of the two in the middle.
    assert_eq!(encode("x,y\n1,1.5\n,2\n4,3\n2,3\n9,4\n0,5\n", Scale::None).1[1], [3.0, 1.0]);
}

#[test]
fn a_gap_that_training_had_not_gets_the_median() {
    let (names, rows, notes) = encode("x,c,y\n1,a,1.5\n3,b,2\n5,c,3\n,,4\n", Scale::None);
    assert_eq!(names, ["x", "c=a", "c=b", "c=c"]);
    assert_eq!(rows[3], [3.0, 0.0, 0.0, 0.0]);
    assert_eq!(
        texts(&notes),
        [
            "1 gap in `x`, which had none in training: taken as its median 3",
            "1 gap in `c`, which had none in training: taken as no category",
        ]
    );
}

#[test]
fn categories_have_a_column_each_and_gaps_too() {
    let (names, rows, notes) = encode("c,y\nb,1.5\n,2\na,3\nb,3\nz,4\n", Scale::Standard);
    assert_eq!(names, ["c=a", "c=b", "c is missing"]);
    assert_eq!(rows, [[0., 1., 0.], [0., 0., 1.], [1., 0., 0.], [0., 1., 0.], [0., 0., 0.]]);
    assert_eq!(texts(&notes), ["1 cell of `c` taken as no category: not among those learnt, as `z`"]);
}

#[test]
fn two_categories_share_a_column() {
    let (names, rows, _) = encode("c,y\nb,1.5\na,2\nb,3\n,4\n", Scale::Standard);
    assert_eq!(names, ["c=b"]);
    assert_eq!(rows, [[1.0], [-1.0], [1.0], [0.0]]);
    // Of two booleans, the second is the one that says yes: by its bytes `Yes` would come before `no`.
    assert_eq!(encode("c,y\nno,1.5\nYes,2\nno,3\n", Scale::Standard).0, ["c=Yes"]);
}

#[test]
fn forced_categories_are_found_by_value() {
    let options = SchemaOptions { categorical: vec!["c".into()], ..options() };
    let table = read("c,y\n10,1.5\n9,2\n010,3\n");
    let schema = Schema::infer(&table, &options).unwrap();
    let (encoder, _) = Encoder::fit(&table, &schema, &schema.rows, Scale::Standard).unwrap();
    assert_eq!(encoder.columns().iter().map(|c| c.name.as_str()).collect::<Vec<_>>(), ["c=10"]);
    let (matrix, notes) = encoder.encode::<f32>(&read("c\n010\n9.0\n11\n"), None).unwrap();
    assert_eq!(matrix.as_slice(), [1.0, -1.0, 0.0]);
    assert_eq!(notes.len(), 1);
}

#[test]
fn of_many_categories_the_rare_ones_share_a_column() {
    // Levels l0 … l59: the even ones in six rows, the odd ones in one.
    let cells: Vec<String> = (0..60).flat_map(|i| vec![format!("l{i}"); if i % 2 == 0 { 6 } else { 1 }]).collect();
    let options = SchemaOptions { categorical: vec!["x".into()], ignore: vec!["other".into()], ..options() };
    let table = read(&with_x(cells));
    let schema = Schema::infer(&table, &options).unwrap();
    let (encoder, notes) = Encoder::fit(&table, &schema, &schema.rows, Scale::Standard).unwrap();
    let columns = encoder.columns();
    assert_eq!((columns.len(), columns[0].name.as_str(), columns[30].name.as_str()), (31, "x=l0", "x is rare"));
    assert_eq!(texts(&notes), ["rare texts are not told apart: `x (beside 30 frequent ones)`"]);
    // What training has not seen is rare, too; the codes say which level it is, from 1.
    let rows = read("x\nl1\nnew\nl10\n\"\"\n");
    let (matrix, notes) = encoder.encode::<f32>(&rows, None).unwrap();
    assert_eq!((matrix[(0, 30)], matrix[(1, 30)], matrix[(2, 30)], matrix[(3, 30)]), (1.0, 1.0, 0.0, 0.0));
    assert_eq!(notes.len(), 1);
    assert_eq!(encoder.codes(&rows, &[0, 1, 2, 3]).unwrap(), [[0, 0, 2, 0]]);
}

#[test]
fn what_is_the_same_in_all_training_rows_is_left_out() {
    let table = read("a,b,c,x,y\n0,q,,1,1.5\n0,q,,2,2.5\n0,q,,3,3.5\n7,r,5,4,4.5\n");
    let schema = Schema::infer(&table, &options()).unwrap();
    assert_eq!(schema.inputs().count(), 4);
    let (encoder, notes) = Encoder::fit(&table, &schema, &[0, 1, 2], Scale::Standard).unwrap();
    assert_eq!(encoder.inputs().collect::<Vec<_>>(), ["x"]);
    assert_eq!(texts(&notes), ["left out, the same in every training row: `a`, `b`, `c`"]);
    // A number with gaps is not the same everywhere, but only the gap tells rows apart.
    let (names, rows, _) = encode("x,y\n5,1.5\n,2\n5,3\n6,4\n", Scale::Standard);
    assert_eq!((names, rows), (vec!["x is missing".to_owned()], vec![vec![0.0], vec![1.0], vec![0.0], vec![0.0]]));
}

#[test]
fn columns_are_found_by_name() {
    let table = read("i,x,c,y\n1,1,a,1.5\n1,2,b,2\n1,3,a,3\n");
    let schema = Schema::infer(&table, &options()).unwrap();
    let (encoder, _) = Encoder::fit(&table, &schema, &schema.rows, Scale::None).unwrap();
    // The constant and the target of training are no surprise; `new` is.
    let (matrix, notes) = encoder.encode::<f64>(&read("new,y,c,i,x\n0,0,b,0,9\n"), None).unwrap();
    assert_eq!(matrix.as_slice(), [9.0, 1.0]);
    assert_eq!(texts(&notes), ["ignored, unknown to the model: `new`"]);
}

#[test]
fn the_affine_map_leads_back() {
    let table = read("x,c,y\n1,a,1.5\n3,b,2\n");
    let schema = Schema::infer(&table, &options()).unwrap();
    let (encoder, _) = Encoder::fit(&table, &schema, &schema.rows, Scale::Standard).unwrap();
    let columns = encoder.columns();
    assert_eq!((columns[0].affine.mean(), columns[0].affine.scale(), columns[0].affine.to_raw(-1.0)), (2.0, 1.0, 1.0));
    assert_eq!((columns[1].source.as_str(), columns[1].affine.to_raw(-1.0)), ("c", -1.0));
}

#[test]
fn a_target_is_standardised_and_back() {
    // y = 1, 3: mean 2, deviation 1; row 3 was not fitted on.
    let table = read("x,y\n1,1\n2,3\n3,5.5\n");
    let schema = Schema::infer(&table, &options()).unwrap();
    let Target::Regression(target) = Target::fit(&table, &schema, &[0, 1], Scale::Standard).unwrap() else { panic!() };
    assert_eq!(target.encode::<f32>(&table, &[0, 1, 2]).unwrap().as_slice(), [-1.0, 1.0, 3.5]);
    assert_eq!((target.decode(3.5), target.values(&table, &[2]).unwrap()), (5.5, vec![5.5]));
}

#[test]
fn the_encoding_in_a_file() {
    let table = read("x,c,b,d,y\n1,p,no,1,1.5\n2,q,yes,1,2.5\n,r,no,1,3.5\n");
    let schema = Schema::infer(&table, &options()).unwrap();
    let (encoder, _) = Encoder::fit(&table, &schema, &schema.rows, Scale::None).unwrap();
    let json = concat!(
        r#"{"inputs":[{"name":"x","encoding":{"numeric":{"median":1.5,"affine":{"mean":0.0,"scale":1.0},"missing":true}}},"#,
        r#"{"name":"c","encoding":{"categories":{"levels":["p","q","r"],"missing":false}}},"#,
        r#"{"name":"b","encoding":{"truth":{"yes":"yes","missing":false}}}],"others":["d","y"]}"#
    );
    assert_eq!(serde_json::to_string(&encoder).unwrap(), json);
    let target = Target::fit(&table, &schema, &schema.rows, Scale::None).unwrap();
    let json = r#"{"task":"regression","column":"y","affine":{"mean":0.0,"scale":1.0}}"#;
    assert_eq!(serde_json::to_string(&target).unwrap(), json);
}

#[test]
fn the_fingerprint_is_that_of_the_documented_bytes() {
    // import hashlib, struct
    // u, f, na = lambda x: struct.pack('<Q', x), lambda x: struct.pack('<d', x), struct.pack('<Q', 0x7ff8000000000000)
    // b = b"chainrule table 1\n" + u(3) + u(3)
    // b += u(1) + b"a" + b"n" + f(1) + f(1.5) + na
    // b += u(2) + "ä".encode() + b"t" + u(1) + b"x" + u(2**64 - 1) + u(2) + b"1 "
    // b += u(1) + b"c" + b"n" + na * 3
    // print(hashlib.sha256(b).hexdigest())
    let hash = "ffeac06757d02d8d14fb33c50cda510e8fbf420ec923a9f8ade72ba2dbbce05a";
    assert_eq!(data_fingerprint(&read("a,ä,c\n1,x,\n1.50,NA,NA\n,1 ,?\n")), hash);
    // The same data from elsewhere.
    let columns = vec![
        Column::numbers("a", vec![1.0, 1.5, -f64::NAN]),
        Column::texts("ä", [Some("x"), None, Some("1 ")]),
        Column::texts("c", [None, None, None]),
    ];
    assert_eq!(data_fingerprint(&Table::new("memory", columns).unwrap()), hash);
    assert_ne!(data_fingerprint(&read("a,ä,c\n1,x,\n1.5,NA,NA\n,1,?\n")), hash);
}

#[test]
fn a_table_from_elsewhere_serves_like_a_file() {
    let columns = vec![
        Column::numbers("x", vec![1.0, 2.0, 10.0, f64::NAN]),
        Column::texts("c", [Some("a"), None, Some("a"), Some("b")]),
        Column::texts("n", [Some("01"), Some(""), Some("2"), None]),
        Column::numbers("y", vec![1.5, 2.5, 3.5, f64::INFINITY]),
    ];
    let table = Table::new("frame", columns).unwrap();
    assert_eq!(numbers(&table, 2)[..1], [1.0]);
    let text = Schema::infer(&table, &options()).unwrap_err().to_string();
    assert!(text.starts_with("frame: row 4, column `y`: expected a number between"), "{text}");
    assert_eq!(table.texts(&[0])[0].levels().collect::<Vec<_>>(), ["1", "2", "10"]);
    let lengths = vec![Column::numbers("x", vec![1.0]), Column::numbers("y", vec![])];
    let text = Table::new("frame", lengths).unwrap_err().to_string();
    assert_eq!(text, "frame: column `y` has 0 rows, expected 1");
    assert!(Table::new("frame", vec![]).is_err());
}
