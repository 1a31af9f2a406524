//! The fingerprint of a table's data.

use crate::table::{Cells, Table};
use sha2::{Digest, Sha256};

/// SHA-256, in hexadecimal, of the decoded columns in their order: the same data has the same fingerprint whatever format
/// it came in, and however its numbers were spelled.
///
/// The bytes hashed, every integer an unsigned little-endian number of 64 bits:
/// 1. the 18 bytes `chainrule table 1\n`, the number of rows, the number of columns;
/// 2. per column: the length of its name in bytes, the name in UTF-8, and one byte for its kind:
///    `n` for numbers (and for a column without any value), `t` for texts; then its cells:
///    - a number: its IEEE 754 bits, as an integer (those of 0 for −0); missing: 7ff8000000000000₁₆;
///    - a text: its length in bytes, and the text in UTF-8; missing: the length 2⁶⁴ − 1 and nothing after it.
pub fn data_fingerprint(table: &Table) -> String {
    let mut hash = Sha256::new();
    let mut block = Vec::new();
    block.extend_from_slice(b"chainrule table 1\n");
    let put = |block: &mut Vec<u8>, number: u64| block.extend_from_slice(&number.to_le_bytes());
    put(&mut block, table.rows() as u64);
    put(&mut block, table.columns().len() as u64);
    for column in table.columns() {
        put(&mut block, column.name().len() as u64);
        block.extend_from_slice(column.name().as_bytes());
        block.push(match column.cells() {
            Cells::Numbers(_) => b'n',
            Cells::Texts(_) => b't',
        });
        for row in 0..table.rows() {
            match column.cells() {
                Cells::Numbers(numbers) => match numbers.get(row) {
                    x if x.is_nan() => put(&mut block, 0x7ff8_0000_0000_0000),
                    x => put(&mut block, x.to_bits()),
                },
                Cells::Texts(texts) => match texts.get(row) {
                    None => put(&mut block, u64::MAX),
                    Some(text) => {
                        put(&mut block, text.len() as u64);
                        block.extend_from_slice(text.as_bytes());
                    }
                },
            }
            // Few large updates instead of many small ones.
            if block.len() > 1 << 16 {
                hash.update(&block);
                block.clear();
            }
        }
    }
    hash.update(&block);
    hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
}
