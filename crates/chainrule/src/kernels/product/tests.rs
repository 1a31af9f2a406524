use super::*;
use crate::kernels::numbers::Numbers;

/// How a matrix of rows × cols stands in memory, and how many elements that takes.
fn strides(numbers: &mut Numbers, rows: usize, cols: usize, layout: Layout) -> (usize, usize, usize) {
    let (row, col) = match layout {
        Layout::Rows => (cols, 1),
        Layout::WideRows => (cols + 1 + numbers.below(5), 1),
        Layout::Columns => (1, rows),
        Layout::WideColumns => (1, rows + 1 + numbers.below(5)),
        Layout::Scattered => (2, 2 * rows + 3),
    };
    (row, col, if rows * cols == 0 { 0 } else { (rows - 1) * row + (cols - 1) * col + 1 })
}

#[derive(Clone, Copy)]
enum Layout {
    Rows,
    WideRows,
    Columns,
    WideColumns,
    Scattered,
}
const LAYOUTS: [Layout; 5] = [Layout::Rows, Layout::WideRows, Layout::Columns, Layout::WideColumns, Layout::Scattered];

/// Computes one product in every way that this processor has and compares each bit with the definition, those between
/// and beyond C's rows too.
fn check<T: Scalar>(numbers: &mut Numbers, (m, k, n): (usize, usize, usize), layouts: (Layout, Layout), start: usize) {
    let (a_row, a_col, a_len) = strides(numbers, m, k, layouts.0);
    let (b_row, b_col, b_len) = strides(numbers, k, n, layouts.1);
    let (a_data, b_data) = (numbers.numbers::<T>(a_len), numbers.numbers::<T>(b_len));
    let a = Strided::new(&a_data, m, k, a_row, a_col);
    let b = Strided::new(&b_data, k, n, b_row, b_col);
    let c_row = n + numbers.below(3);
    let before: Vec<T> = numbers.numbers(m * c_row + 20);
    let bias = numbers.numbers::<T>(n);
    let start = [Start::Zero, Start::Bias(&bias), Start::Stored][start % 3];

    let mut expected = before.clone();
    naive::product(start, a, b, StridedMut::new(&mut expected, m, n, c_row));
    let mut scratch = Scratch::new();
    let mut packed = Packed::new();
    for set in InstructionSet::available() {
        for way in ["product", "packed"] {
            let mut got = before.clone();
            let c = StridedMut::new(&mut got, m, n, c_row);
            if way == "product" {
                product(set, &mut scratch, start, a, b, c);
            } else {
                packed.pack(set, b);
                product_packed(&mut scratch, start, a, &packed, c);
            }
            // Equal as numbers is equal in bits, but for the sign of zero, which to_f64 keeps.
            let same = got.iter().zip(&expected).all(|(x, y)| x.to_f64().to_bits() == y.to_f64().to_bits());
            assert!(same, "{} {} {way}: {m} × {k} × {n}, start {start:?}", T::NAME, set.name());
        }
    }
}

fn small_sizes<T: Scalar>() {
    let mut numbers = Numbers(1);
    for long in 0..=67 {
        for x in [0, 1, 15, 16, 17, 33, 67] {
            for y in [0, 1, 15, 16, 17, 33, 67] {
                for shape in [(long, x, y), (x, long, y), (x, y, long)] {
                    check::<T>(&mut numbers, shape, (Layout::Rows, Layout::Rows), long + x + y);
                }
            }
        }
    }
}

#[test]
fn every_small_size_of_each_axis_gives_the_bits_of_the_definition() {
    small_sizes::<f32>();
    small_sizes::<f64>();
}

#[test]
fn any_shape_and_strides_give_the_bits_of_the_definition() {
    let mut numbers = Numbers(2);
    for i in 0..1000 {
        let shape = (numbers.below(150), numbers.below(150), numbers.below(150));
        let layouts = (LAYOUTS[i % 5], LAYOUTS[i / 5 % 5]);
        check::<f32>(&mut numbers, shape, layouts, i);
        check::<f64>(&mut numbers, shape, layouts, i);
    }
}

#[test]
fn blocks_of_a_long_inner_index_continue_one_chain() {
    let mut numbers = Numbers(3);
    for (i, k) in [257, 511, 512, 513, 1000, 2049, 5000].into_iter().enumerate() {
        for start in 0..3 {
            let shape = (1 + numbers.below(40), k, 1 + numbers.below(70));
            let layouts = (LAYOUTS[(i + start) % 5], LAYOUTS[i % 5]);
            check::<f32>(&mut numbers, shape, layouts, start);
            check::<f64>(&mut numbers, shape, layouts, start);
        }
    }
}

#[test]
fn blocks_of_many_rows_and_columns_cover_each_element_once() {
    let mut numbers = Numbers(4);
    for (shape, layouts) in [
        ((1100, 20, 40), (Layout::Rows, Layout::Rows)),
        ((700, 300, 33), (Layout::Columns, Layout::Rows)),
        ((33, 20, 2500), (Layout::Rows, Layout::Columns)),
        ((3000, 9, 1), (Layout::Rows, Layout::Rows)),
        ((1, 9, 3000), (Layout::Rows, Layout::Rows)),
    ] {
        check::<f32>(&mut numbers, shape, layouts, 1);
        check::<f64>(&mut numbers, shape, layouts, 2);
    }
}

/// Part `p` of the rows of a matrix.
fn part<'a, T: Scalar>(data: &'a [T], parts: &[usize], p: usize, cols: usize) -> Strided<'a, T> {
    let before: usize = parts[..p].iter().sum();
    Strided::new(&data[before * cols..], parts[p], cols, cols, 1)
}

fn strips_alike<T: Scalar>() {
    let mut numbers = Numbers(8);
    // (columns of A, columns of B, rows of each part): more than a strip's tiles, a last tile cut short, blocks of the inner
    // index that cut a part, parts that are empty. Two parts of 1 row and 7 columns are two tiles, of which the first's last
    // column must not run into the second's first.
    for (m, n, parts) in [
        (7, 2, &[1, 1][..]),
        (131, 67, &[40, 40, 33]),
        (230, 5, &[300, 0, 290]),
        (49, 40, &[1, 700]),
        (20, 1, &[8, 3]),
        (3, 3, &[0]),
    ] {
        let rows: usize = parts.iter().sum();
        let (a, b) = (numbers.numbers::<T>(rows * m), numbers.numbers::<T>(rows * n));
        let mut expected = vec![T::ONE; m * n];
        let whole = Strided::new(&a, rows, m, m, 1).transposed();
        naive::product(Start::Zero, whole, Strided::new(&b, rows, n, n, 1), StridedMut::new(&mut expected, m, n, n));
        for set in InstructionSet::available() {
            let mut c = vec![T::ONE; m * n];
            let mut seen = 0;
            let (a, b) = (|p| part(&a, parts, p, m), |p| part(&b, parts, p, n));
            strips(set, &mut Scratch::new(), parts.len(), a, b, &mut c, |rows, strip| {
                assert_eq!((rows.start, strip.len()), (seen, rows.len() * n), "strips in order");
                seen = rows.end;
            });
            let same = c.iter().zip(&expected).all(|(x, y)| x.bits() == y.bits());
            assert!(same && seen == m, "{} {}: {m} × {parts:?} × {n}", T::NAME, set.name());
        }
    }
}

#[test]
fn strips_of_several_parts_give_the_bits_of_the_definition() {
    strips_alike::<f32>();
    strips_alike::<f64>();
}

#[test]
fn a_second_product_of_the_same_shape_finds_its_room() {
    let (m, k, n) = (100, 300, 90);
    let (a, b) = (vec![1.0_f32; m * k], vec![1.0_f32; k * n]);
    let mut c = vec![0.0; m * n];
    for set in InstructionSet::available() {
        let mut scratch = Scratch::new();
        let mut room = Vec::new();
        for _ in 0..2 {
            let (a, b) = (Strided::new(&a, m, k, 1, m), Strided::new(&b, k, n, 1, k));
            product(set, &mut scratch, Start::Zero, a, b, StridedMut::new(&mut c, m, n, n));
            room.push((scratch.a.as_slice().as_ptr_range(), scratch.b.panels().as_ptr_range()));
        }
        assert_eq!(room[0], room[1]);
    }
}

/// The comparisons above run on [`InstructionSet::available`]; this asks the processor itself what that must hold.
#[test]
#[cfg(target_arch = "x86_64")]
fn no_instruction_set_of_this_processor_is_skipped() {
    use std::arch::is_x86_feature_detected as has;
    let mut expected = vec!["naive"];
    if has!("avx2") && has!("fma") {
        expected.push("avx2");
        if has!("avx512f") && has!("avx512dq") && has!("avx512bw") && has!("avx512vl") {
            expected.push("avx512");
        }
    }
    let names: Vec<&str> = InstructionSet::available().into_iter().map(InstructionSet::name).collect();
    assert_eq!(names, expected);
}

#[test]
#[should_panic(expected = "beyond its data")]
fn strides_that_overflow_are_refused() {
    Strided::new(&[0.0_f32; 4], 3, 2, usize::MAX / 2 + 1, 1);
}

#[test]
#[should_panic(expected = "beyond memory")]
fn a_repeated_element_cannot_make_a_packed_matrix_that_wraps_around() {
    let set = InstructionSet::detect();
    Packed::new().pack(set, Strided::new(&[0.0_f32], usize::MAX / 2, 8, 0, 0));
}
