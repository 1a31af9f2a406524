//! Files from strangers: whatever the bytes, a table or an error of one line, never a panic.

use chainrule_table::{Encoder, Scale, Schema, SchemaOptions, Table, TableError, Target, data_fingerprint};

const SMALL: &str = "id,size,colour,when,ok,price\r\n\
    1,3.5,red,2024-01-01,yes,10\r\n\
    2,,\"dark, \"\"blue\"\"\",2024-01-02,no,20.5\r\n\
    3,1e3,red,2024-01-03,yes,\r\n\
    4,-2,green,2024-01-04,no,7\r\n\
    5,NA,\"two\r\nlines\",2024-01-05,yes,9\r\n\
    6,0,red,2024-01-06,no,8";

/// Everything that this crate does with a table.
fn everything(bytes: &[u8], target: &str) -> Result<(), TableError> {
    let table = Table::read_csv(bytes, "t.csv")?;
    data_fingerprint(&table);
    let options = SchemaOptions { target: target.to_owned(), ..SchemaOptions::default() };
    let schema = Schema::infer(&table, &options)?;
    let training = &schema.rows[..schema.rows.len() - 1];
    let (encoder, _) = Encoder::fit(&table, &schema, training, Scale::Standard)?;
    encoder.encode::<f32>(&table, None)?;
    match Target::fit(&table, &schema, training, Scale::Standard)? {
        Target::Regression(target) => drop(target.encode::<f32>(&table, &schema.rows)?),
        Target::Classification(target) => drop(target.classes(&table, &schema.rows)?),
    }
    Ok(())
}

/// SplitMix64 (Steele, Lea & Flood 2014): a seeded stream of test cases.
struct Random(u64);

impl Random {
    fn below(&mut self, n: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z ^ (z >> 31)) % n as u64) as usize
    }
}

#[test]
fn no_bytes_make_it_panic() {
    let pieces: [&[u8]; 24] = [
        b",",
        b"\"",
        b"\n",
        b"\r",
        b"\r\n",
        b"\0",
        b"\xff",
        b"\xef\xbb\xbf",
        b"\xe2\x80\xa8",
        b" ",
        b"NA",
        b"inf",
        b"-",
        b"1e308",
        b"-1e308",
        b"5e-324",
        b"1e99",
        b"0",
        b"2024-02-30",
        b"yes",
        b"?",
        b"\xc3\xa4",
        b"'",
        b";",
    ];
    let mut random = Random(1);
    let (mut good, mut bad) = (0, 0);
    for _ in 0..20_000 {
        let mut bytes = SMALL.as_bytes().to_vec();
        for _ in 0..1 + random.below(4) {
            let at = random.below(bytes.len() + 1);
            let to = (at + random.below(8)).min(bytes.len());
            let piece = match random.below(4) {
                0 => vec![random.below(256) as u8],
                1 => {
                    let from = random.below(bytes.len() + 1);
                    bytes[from..(from + random.below(40)).min(bytes.len())].to_vec()
                }
                _ => pieces[random.below(pieces.len())].to_vec(),
            };
            bytes.splice(at..to, piece);
        }
        match everything(&bytes, ["price", "colour", "ok"][random.below(3)]) {
            Ok(()) => good += 1,
            Err(error) => {
                bad += 1;
                assert!(!error.to_string().contains(|c: char| c.is_control()), "{error:?}");
            }
        }
    }
    // Both ways are walked often.
    assert!(good > 1000 && bad > 1000, "{good} good, {bad} bad");
}

#[test]
fn a_file_cut_anywhere_gives_whole_rows_or_an_error() {
    let rows = |length: usize| Table::read_csv(&SMALL.as_bytes()[..length], "t.csv").map(|table| table.rows());
    let starts: Vec<usize> = (1..=6).map(|id| SMALL.find(&format!("\n{id},")).unwrap() + 1).collect();
    for length in 0..=SMALL.len() {
        if let Ok(rows) = rows(length) {
            // The last row may lack digits, but it has all its fields; none before it is lost.
            assert_eq!(rows, starts.iter().filter(|start| **start < length).count(), "{length}");
        }
    }
    assert_eq!(rows(SMALL.len()), Ok(6));
}
