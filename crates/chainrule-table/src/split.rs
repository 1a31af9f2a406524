//! Which rows are held back for scoring or choosing.

use chainrule::Error;

/// Rows for training and rows held back, each in the table's order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Split {
    /// The rows that are learnt from.
    pub training: Vec<usize>,
    /// The rows that are not.
    pub held: Vec<usize>,
}

/// Holds back a fraction of `rows`, drawn by a permutation of 0, 1, …, n − 1 where n = `rows.len()`.
///
/// h = n · `fraction` rows are held back, rounded to the nearest number (halves up), but at least one and at most n − 1 if
/// the fraction is above 0 and there are two rows.
///
/// Without `classes` these are the rows that the permutation names first. With the class of each row, every class gives
/// its share: class c of n꜀ rows gives ⌊h · n꜀ / n⌋; the seats that are left go one each to the largest remainders
/// (the lower class first among equals), and again in that order while seats are left; but each class keeps one row for
/// training, so a class of one row gives none, and h is less where the classes have no more to give. Within a class
/// the rows that the permutation names first are held back.
///
/// # Errors
/// If the fraction is not at least 0 and below 1; if `classes` or `permutation` are not of length n; if `permutation` is
/// none.
pub fn hold_back(
    rows: &[usize],
    fraction: f64,
    classes: Option<&[u32]>,
    permutation: &[usize],
) -> Result<Split, Error> {
    let n = rows.len();
    if !(0.0..1.0).contains(&fraction) {
        let expected = "at least 0 and below 1".to_owned();
        return Err(Error::Value { what: "the fraction of rows held back", expected, got: fraction.to_string() });
    }
    let lengths =
        [("the classes of the rows", classes.map_or(n, <[u32]>::len)), ("the permutation", permutation.len())];
    for (what, got) in lengths {
        if got != n {
            return Err(Error::Length { what, expected: n, got });
        }
    }
    let mut is_held = vec![None; n];
    for &i in permutation {
        match is_held.get_mut(i) {
            Some(place @ None) => *place = Some(false),
            _ => {
                let expected = format!("each number below {n} once");
                return Err(Error::Value { what: "the permutation", expected, got: i.to_string() });
            }
        }
    }

    let held = match (n as f64 * fraction).round() as usize {
        0 if fraction > 0.0 && n > 1 => 1,
        held => held.min(n.saturating_sub(1)),
    };
    let class_of = |i: usize| classes.map_or(0, |classes| classes[i] as usize);
    let mut left = match classes {
        None => vec![held],
        Some(classes) => shares(classes, held),
    };
    for &i in permutation {
        let left = &mut left[class_of(i)];
        if *left > 0 {
            *left -= 1;
            is_held[i] = Some(true);
        }
    }
    let of = |wanted| rows.iter().zip(&is_held).filter(move |(_, held)| **held == Some(wanted)).map(|(row, _)| *row);
    let mut split = Split { training: of(false).collect(), held: of(true).collect() };
    split.training.sort_unstable();
    split.held.sort_unstable();
    Ok(split)
}

/// Holds back whole groups of `rows`, in the order of the permutation, until a fraction of the rows is held back or would
/// be passed by more than it is missed; at least one group, and at most all but one.
///
/// # Panics
/// If `groups` or `permutation` are shorter than the rows.
pub fn hold_back_groups(rows: &[usize], fraction: f64, groups: &[u32], permutation: &[usize]) -> Split {
    let mut sizes = std::collections::BTreeMap::<u32, usize>::new();
    groups.iter().for_each(|&group| *sizes.entry(group).or_default() += 1);
    let wanted = rows.len() as f64 * fraction;
    let mut held = std::collections::BTreeSet::new();
    let mut count = 0;
    for &i in permutation {
        let (group, size) = (groups[i], sizes[&groups[i]]);
        let nearer = ((count + size) as f64 - wanted).abs() < (wanted - count as f64).abs();
        if fraction > 0.0 && !held.contains(&group) && held.len() + 1 < sizes.len() && (held.is_empty() || nearer) {
            held.insert(group);
            count += size;
        }
    }
    let (mut training, mut held_rows) = (Vec::new(), Vec::new());
    for (&row, group) in rows.iter().zip(groups) {
        if held.contains(group) { held_rows.push(row) } else { training.push(row) }
    }
    Split { training, held: held_rows }
}

/// How many of `held` rows each class gives.
fn shares(classes: &[u32], held: usize) -> Vec<usize> {
    let mut sizes = vec![0_usize; classes.iter().max().map_or(0, |class| *class as usize + 1)];
    for &class in classes {
        sizes[class as usize] += 1;
    }
    let n = classes.len().max(1);
    let quota = |size: usize| held as u128 * size as u128;
    let most = |class: usize| sizes[class].saturating_sub(1);
    // held < n, so no class gives all its rows here.
    let mut shares: Vec<usize> = sizes.iter().map(|&size| (quota(size) / n as u128) as usize).collect();
    let mut order: Vec<usize> = (0..sizes.len()).collect();
    order.sort_by_key(|&class| std::cmp::Reverse(quota(sizes[class]) % n as u128));
    let room: usize = shares.iter().enumerate().map(|(class, share)| most(class).saturating_sub(*share)).sum();
    let mut left = room.min(held - shares.iter().sum::<usize>());
    while left > 0 {
        for &class in &order {
            if left > 0 && shares[class] < most(class) {
                shares[class] += 1;
                left -= 1;
            }
        }
    }
    shares
}

#[cfg(test)]
mod tests {
    use super::*;

    fn backwards(n: usize) -> Vec<usize> {
        (0..n).rev().collect()
    }

    #[test]
    fn the_permutation_names_the_rows_held_back() {
        // 5 · 0.4 = 2 rows; the permutation starts with places 3 and 0, which are rows 13 and 10.
        let split = hold_back(&[10, 11, 12, 13, 14], 0.4, None, &[3, 0, 4, 1, 2]).unwrap();
        assert_eq!(split, Split { training: vec![11, 12, 14], held: vec![10, 13] });
    }

    #[test]
    fn halves_round_up_and_neither_side_is_empty() {
        let held = |n: usize, fraction| {
            let rows: Vec<usize> = (0..n).collect();
            hold_back(&rows, fraction, None, &backwards(n)).unwrap().held.len()
        };
        assert_eq!(held(10, 0.25), 3); // 2.5
        assert_eq!(held(10, 0.24), 2);
        assert_eq!(held(2, 0.01), 1);
        assert_eq!(held(2, 0.99), 1);
        assert_eq!(held(100, 0.999), 99);
        assert_eq!(held(100, 0.0), 0);
        assert_eq!((held(1, 0.5), held(0, 0.5)), (0, 0));
    }

    #[test]
    fn each_class_gives_its_share() {
        // h = 20 · 0.25 = 5. Classes of 12, 5, 2 and 1 rows: quotas 3, 1.25, 0.5, 0.25; whole parts 3 + 1 + 0 + 0 = 4;
        // the seat left goes to the remainder 0.5.
        let classes: Vec<u32> = [vec![0; 12], vec![1; 5], vec![2; 2], vec![3; 1]].concat();
        let rows: Vec<usize> = (0..20).collect();
        let split = hold_back(&rows, 0.25, Some(&classes), &backwards(20)).unwrap();
        assert_eq!(split.held, [9, 10, 11, 16, 18]);
        assert_eq!(split.training.len(), 15);
    }

    #[test]
    fn equal_remainders_go_to_the_lower_class() {
        // h = 1; both quotas are 0.5.
        let split = hold_back(&[0, 1, 2, 3], 0.25, Some(&[1, 1, 0, 0]), &[0, 1, 2, 3]).unwrap();
        assert_eq!(split.held, [2]);
    }

    #[test]
    fn every_class_keeps_a_row_for_training() {
        // h = 9 of 10, but four classes keep one row each: 2 − 1, 1 − 1, 1 − 1 and 6 − 1 rows are held back.
        let classes = [0, 0, 1, 2, 3, 3, 3, 3, 3, 3];
        let rows: Vec<usize> = (0..10).collect();
        let split = hold_back(&rows, 0.9, Some(&classes), &rows).unwrap();
        assert_eq!(split.held, [0, 4, 5, 6, 7, 8]);
        assert_eq!(split.training, [1, 2, 3, 9]);
    }

    #[test]
    fn a_capped_class_passes_its_seat_on() {
        // h = 4 of 8: quotas 0.5 and 3.5, whole parts 0 and 3. The seat left would be class 0's, which keeps its only row.
        let rows: Vec<usize> = (0..8).collect();
        let split = hold_back(&rows, 0.5, Some(&[0, 1, 1, 1, 1, 1, 1, 1]), &rows).unwrap();
        assert_eq!(split.held, [1, 2, 3, 4]);
    }

    #[test]
    fn what_is_no_permutation_is_refused() {
        let error = |permutation: &[usize]| hold_back(&[0, 1, 2], 0.5, None, permutation).unwrap_err().to_string();
        assert_eq!(error(&[0, 1]), "the permutation: expected 3, got 2");
        assert_eq!(error(&[0, 1, 1]), "the permutation: expected each number below 3 once, got 1");
        assert_eq!(error(&[0, 1, 3]), "the permutation: expected each number below 3 once, got 3");
    }

    #[test]
    fn a_fraction_of_one_is_refused() {
        for fraction in [1.0, -0.1, f64::NAN] {
            let error = hold_back(&[0, 1], fraction, None, &[0, 1]).unwrap_err().to_string();
            let expected = "the fraction of rows held back: expected at least 0 and below 1";
            assert_eq!(error, format!("{expected}, got {fraction}"));
        }
    }
}
