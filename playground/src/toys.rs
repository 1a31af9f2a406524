//! The classic toy sets, drawn by NumPy's `default_rng`.

use chainrule::Error;
use chainrule::kernels::Lanes;
use chainrule::random::{Generator, default_rng};
use std::f64::consts::PI;
use std::fmt::Write as _;

/// Their names, and what each is.
pub const TOYS: [(&str, &str); 5] = [
    ("circle", "a disc within a ring: no straight line parts them"),
    ("xor", "four squares, equal colours across the corner"),
    ("gauss", "two clouds that a straight line parts"),
    ("spiral", "two arms wound round each other: the hard one"),
    ("plane", "a number that grows along the diagonal"),
];

/// The columns x1, x2 and `class` (or, for the plane, y) as CSV: `rows` rows, drawn one after the other, with `noise` from
/// 0 to 1.
///
/// # Errors
/// If there is no such set.
pub fn toy(name: &str, rows: usize, noise: f64, seed: u64) -> Result<String, Error> {
    if !TOYS.iter().any(|(known, _)| *known == name) {
        return Err(Error::unknown_name("toy set", name, &TOYS.map(|(name, _)| name)));
    }
    let mut rng = default_rng(seed);
    let mut text = String::from(if name == "plane" { "x1,x2,y\n" } else { "x1,x2,class\n" });
    for i in 0..rows {
        // The two classes take turns.
        let (first, share) = (i % 2 == 0, (i / 2) as f64 / (rows as f64 / 2.0));
        let (x, y, value) = match name {
            "circle" => {
                let radius = if first { within(&mut rng, 0.0, 2.5) } else { within(&mut rng, 3.5, 5.0) };
                let angle = within(&mut rng, 0.0, 2.0 * PI);
                let (x, y) = (radius * Lanes::sin(angle), radius * Lanes::cos(angle));
                (x + within(&mut rng, -2.5, 2.5) * noise, y + within(&mut rng, -2.5, 2.5) * noise, None)
            }
            "xor" => {
                let (x, y) = (within(&mut rng, 0.3, 5.0), within(&mut rng, 0.3, 5.0));
                let (left, down) = (rng.random_f64() < 0.5, first);
                let x = if left { -x } else { x };
                // Equal signs for the first class.
                let y = if left == down { -y } else { y };
                (x + within(&mut rng, -5.0, 5.0) * noise, y + within(&mut rng, -5.0, 5.0) * noise, None)
            }
            "gauss" => {
                let (centre, deviation) = (if first { 2.0 } else { -2.0 }, 0.7 + 3.5 * noise);
                (rng.normal(centre, deviation)?, rng.normal(centre, deviation)?, None)
            }
            "spiral" => {
                let (radius, turn) = (share * 5.0, 1.75 * share * 2.0 * PI + if first { 0.0 } else { PI });
                let (x, y) = (radius * Lanes::sin(turn), radius * Lanes::cos(turn));
                (x + within(&mut rng, -1.0, 1.0) * noise, y + within(&mut rng, -1.0, 1.0) * noise, None)
            }
            _ => {
                let (x, y) = (within(&mut rng, -6.0, 6.0), within(&mut rng, -6.0, 6.0));
                (x, y, Some((x + y) / 10.0 + within(&mut rng, -1.0, 1.0) * noise))
            }
        };
        let _ = match value {
            Some(value) => writeln!(text, "{x},{y},{value}"),
            None => writeln!(text, "{x},{y},{}", if first { "blue" } else { "orange" }),
        };
    }
    Ok(text)
}

fn within(rng: &mut Generator, low: f64, high: f64) -> f64 {
    low + (high - low) * rng.random_f64()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_set_has_its_rows_and_two_equal_classes() {
        for (name, _) in TOYS {
            let text = toy(name, 200, 0.1, 3).unwrap();
            assert_eq!(text.lines().count(), 201, "{name}");
            let blue = text.lines().filter(|line| line.ends_with("blue")).count();
            assert_eq!(blue, if name == "plane" { 0 } else { 100 }, "{name}");
            assert_eq!(text, toy(name, 200, 0.1, 3).unwrap());
            assert_ne!(text, toy(name, 200, 0.1, 4).unwrap());
        }
        assert!(toy("sprial", 10, 0.0, 0).unwrap_err().to_string().contains("spiral"));
    }

    #[test]
    fn without_noise_the_classes_lie_where_the_names_say() {
        let rows = |name: &str| {
            let text = toy(name, 400, 0.0, 1).unwrap();
            let row = |line: &str| {
                let cells: Vec<&str> = line.split(',').collect();
                (cells[0].parse::<f64>().unwrap(), cells[1].parse::<f64>().unwrap(), cells[2].to_owned())
            };
            text.lines().skip(1).map(row).collect::<Vec<_>>()
        };
        assert!(rows("circle").iter().all(|(x, y, class)| (x * x + y * y < 9.0) == (class == "blue")));
        assert!(rows("xor").iter().all(|(x, y, class)| (x * y > 0.0) == (class == "blue")));
        assert!(rows("plane").iter().all(|(x, y, value)| ((x + y) / 10.0).to_string() == *value));
    }
}
