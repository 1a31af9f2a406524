//! Bringing a column of numbers to mean 0 and spread 1, or leaving it alone.

use chainrule::Error;
use serde::{Deserialize, Serialize};
use std::str::FromStr;

/// What is done with numbers before a network sees them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Scale {
    /// Mean 0, standard deviation 1 over the training rows.
    #[default]
    Standard,
    /// Median 0, and 1 between the quartiles (Holzmüller et al., "Better by Default", NeurIPS 2024): outliers do not matter.
    /// Inputs are also bent to stay within ±3.
    Robust,
    /// As they are.
    None,
}

impl FromStr for Scale {
    type Err = Error;

    fn from_str(name: &str) -> Result<Self, Error> {
        match name {
            "standard" => Ok(Self::Standard),
            "robust" => Ok(Self::Robust),
            "none" => Ok(Self::None),
            _ => Err(Error::unknown_name("scale", name, &["standard", "robust", "none"])),
        }
    }
}

/// The map from a raw number x to what a network sees, z = (x − mean) / scale, in f64.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Stored")]
pub struct Affine {
    mean: f64,
    scale: f64,
}

/// An [`Affine`] in a file, which anybody may have written.
#[derive(Deserialize)]
struct Stored {
    mean: f64,
    scale: f64,
}

impl TryFrom<Stored> for Affine {
    type Error = String;

    fn try_from(Stored { mean, scale }: Stored) -> Result<Self, String> {
        if mean.is_finite() && scale.is_finite() && scale > 0.0 {
            Ok(Self { mean, scale })
        } else {
            Err(format!("a column's mean {mean} and scale {scale}: expected finite numbers, the scale above 0"))
        }
    }
}

impl Affine {
    /// z = x.
    pub const IDENTITY: Self = Self { mean: 0.0, scale: 1.0 };

    /// The map for these training values: mean and population standard deviation under [`Scale::Standard`]; median and
    /// distance of the quartiles under [`Scale::Robust`], or half the range where the quartiles are equal; the identity
    /// under [`Scale::None`]. Values without any spread are centred and keep the scale 1.
    pub fn fit(scale: Scale, values: &[f64]) -> Self {
        match scale {
            Scale::None => Self::IDENTITY,
            Scale::Robust => {
                let mut sorted = values.to_vec();
                sorted.sort_unstable_by(f64::total_cmp);
                let (Some(&least), Some(&most)) = (sorted.first(), sorted.last()) else { return Self::IDENTITY };
                let quartiles = quantile(&sorted, 0.75) - quantile(&sorted, 0.25);
                let spread = if quartiles > 0.0 { quartiles } else { (most - least) / 2.0 };
                Self { mean: quantile(&sorted, 0.5), scale: if spread > 0.0 { spread } else { 1.0 } }
            }
            Scale::Standard => {
                let (mean, deviation) = moments(values);
                Self { mean, scale: if deviation > 0.0 { deviation } else { 1.0 } }
            }
        }
    }

    /// What z = 0 stands for.
    pub fn mean(&self) -> f64 {
        self.mean
    }

    /// How many raw units one unit of z is.
    pub fn scale(&self) -> f64 {
        self.scale
    }

    /// z = (x − mean) / scale.
    pub fn to_input(&self, x: f64) -> f64 {
        (x - self.mean) / self.scale
    }

    /// x = mean + scale · z.
    pub fn to_raw(&self, z: f64) -> f64 {
        self.mean + self.scale * z
    }
}

/// The quantile of sorted values at a share of 0 to 1, between two of them on the line that joins them.
fn quantile(sorted: &[f64], share: f64) -> f64 {
    let place = share * (sorted.len() - 1) as f64;
    let (below, above) = (sorted[place.floor() as usize], sorted[place.ceil() as usize]);
    below + (above - below) * place.fract()
}

/// Mean and population standard deviation in two passes, values in order:
/// mean = x₁ + Σᵢ(xᵢ − x₁)/n, deviation = √(Σᵢ(xᵢ − mean)²/n).
///
/// Summing the distances from the first value instead of the values keeps the error relative to their spread: equal
/// values give exactly their value and 0, and time stamps keep their digits.
pub(crate) fn moments(values: &[f64]) -> (f64, f64) {
    let Some(&first) = values.first() else { return (0.0, 0.0) };
    let n = values.len() as f64;
    let mean = first + values.iter().map(|x| x - first).sum::<f64>() / n;
    let variance = values.iter().map(|x| (x - mean) * (x - mean)).sum::<f64>() / n;
    (mean, variance.sqrt())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mean_and_population_deviation() {
        // 2, 4, 4, 4, 5, 5, 7, 9: mean 40/8 = 5; squared distances 9+1+1+1+0+0+4+16 = 32; √(32/8) = 2.
        assert_eq!(moments(&[2.0, 4.0, 4.0, 4.0, 5.0, 5.0, 7.0, 9.0]), (5.0, 2.0));
        let z = Affine::fit(Scale::Standard, &[2.0, 4.0, 4.0, 4.0, 5.0, 5.0, 7.0, 9.0]);
        assert_eq!((z.to_input(9.0), z.to_raw(2.0)), (2.0, 9.0));
    }

    #[test]
    fn the_robust_scale_does_not_see_an_outlier() {
        // Sorted 1, 2, 3, 4, 1e9: the median 3, the quartiles 2 and 4.
        assert_eq!(Affine::fit(Scale::Robust, &[4.0, 1e9, 1.0, 3.0, 2.0]), Affine { mean: 3.0, scale: 2.0 });
        // Quartiles between values: 0.75 · 3 = 2.25 → 3 + 0.25 · 1, 0.75 → 1 + 0.75 · 1.
        assert_eq!(Affine::fit(Scale::Robust, &[1.0, 2.0, 3.0, 4.0]), Affine { mean: 2.5, scale: 1.5 });
        // Equal quartiles: half the range.
        assert_eq!(Affine::fit(Scale::Robust, &[0.0, 0.0, 0.0, 0.0, 6.0]), Affine { mean: 0.0, scale: 3.0 });
        assert_eq!(Affine::fit(Scale::Robust, &[7.0; 4]), Affine { mean: 7.0, scale: 1.0 });
    }

    #[test]
    fn equal_values_have_no_spread_to_the_last_bit() {
        // Summed as they are, a million times 0.1 give 100000.00000133288, and a deviation of 1.3e-12.
        assert_eq!(moments(&vec![0.1; 1_000_000]), (0.1, 0.0));
        assert_eq!(Affine::fit(Scale::Standard, &[0.1; 3]), Affine { mean: 0.1, scale: 1.0 });
        assert_eq!(Affine::fit(Scale::Standard, &[]), Affine::IDENTITY);
    }

    #[test]
    fn a_stored_scale_of_zero_is_refused() {
        let read = |json: &str| serde_json::from_str::<Affine>(json).map_err(|error| error.to_string());
        assert_eq!(read(r#"{"mean":1.5,"scale":0.1}"#), Ok(Affine { mean: 1.5, scale: 0.1 }));
        assert!(read(r#"{"mean":1.5,"scale":0}"#).is_err_and(|e| e.contains("the scale above 0")));
        assert!(read(r#"{"mean":1.5,"scale":-1}"#).is_err());
        assert!(read(r#"{"mean":1e999,"scale":1}"#).is_err());
        assert!(read(r#"{"mean":null,"scale":1}"#).is_err());
    }

    #[test]
    fn scales_are_named() {
        assert_eq!("none".parse(), Ok(Scale::None));
        let error = "standart".parse::<Scale>().unwrap_err();
        assert_eq!(error.to_string(), "unknown scale `standart`; did you mean `standard`?");
    }
}
