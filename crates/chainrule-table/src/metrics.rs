//! Scores of predictions, in f64, over rows in order; a row of weight 2 counts as two rows.

use chainrule::kernels::Lanes;
use chainrule::{Error, MatrixRef};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// The scores of a model on some rows, by the names that `--json` uses.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Metrics {
    /// Of predicted numbers.
    Regression(RegressionMetrics),
    /// Of predicted probabilities.
    Classification(ClassificationMetrics),
    /// Of several numbers, by the targets' names.
    Several(BTreeMap<String, RegressionMetrics>),
}

impl Metrics {
    /// The metric that decides, by the name that a person reads; smaller is better. Of a number the RMSE, of classes the
    /// log loss, of several numbers the mean of their 1 − R² (of a target that is the same in every row: 1 if it is missed).
    pub fn main(&self) -> (&'static str, f64) {
        match self {
            Self::Regression(RegressionMetrics { rmse, .. }) => ("RMSE", *rmse),
            Self::Classification(ClassificationMetrics { log_loss, .. }) => ("log loss", *log_loss),
            Self::Several(all) => {
                let missed = |of: &RegressionMetrics| of.r2.map_or(f64::from(of.rmse > 0.0), |r2| 1.0 - r2);
                ("mean 1 − R²", all.values().map(missed).sum::<f64>() / all.len() as f64)
            }
        }
    }
}

/// The scores of predicted numbers ŷ for y with weights w (1 if none are given).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RegressionMetrics {
    /// √(Σ w (ŷ − y)² / Σ w).
    pub rmse: f64,
    /// Σ w |ŷ − y| / Σ w.
    pub mae: f64,
    /// 1 − Σ w (ŷ − y)² / Σ w (y − ȳ)², ȳ being the weighted mean; none if y is the same in every row.
    pub r2: Option<f64>,
}

/// The scores of predicted probabilities p with weights w (1 if none are given).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ClassificationMetrics {
    /// The share of rows, by weight, whose most probable class (the first among equals) is the true one.
    pub accuracy: f64,
    /// −Σ w ln p[true class] / Σ w, with p brought into ε … 1 − ε where ε = 2⁻⁵² (as scikit-learn does for f64).
    pub log_loss: f64,
    /// For two classes the chance, by weight, that a row of the second has a higher probability of it than a row of the
    /// first, ties counting half; absent for more classes, or if only one of the two occurs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub roc_auc: Option<f64>,
}

/// The scores of predicted numbers.
///
/// # Errors
/// If there is no row, lengths differ, or a prediction is not finite.
pub fn regression(truth: &[f64], predicted: &[f64], weights: Option<&[f64]>) -> Result<RegressionMetrics, Error> {
    let weight = check(truth.len(), predicted.len(), predicted, weights)?;
    let total: f64 = (0..truth.len()).map(weight).sum();
    let mean = (0..truth.len()).map(|i| weight(i) * truth[i]).sum::<f64>() / total;
    let (mut squares, mut distances, mut spread) = (0.0, 0.0, 0.0);
    for (i, (y, prediction)) in truth.iter().zip(predicted).enumerate() {
        let (error, distance) = (prediction - y, y - mean);
        squares += weight(i) * error * error;
        distances += weight(i) * error.abs();
        spread += weight(i) * distance * distance;
    }
    let differ = truth.iter().any(|y| *y != truth[0]) && spread > 0.0;
    let r2 = differ.then(|| 1.0 - squares / spread);
    Ok(RegressionMetrics { rmse: (squares / total).sqrt(), mae: distances / total, r2 })
}

/// The scores of predicted probabilities [rows, classes] for the true classes' indices.
///
/// # Errors
/// If there is no row, lengths differ, a class has no column, or a probability is not finite.
pub fn classification(
    truth: &[u32],
    probabilities: MatrixRef<'_, f64>,
    weights: Option<&[f64]>,
) -> Result<ClassificationMetrics, Error> {
    let weight = check(truth.len(), probabilities.rows(), probabilities.as_slice(), weights)?;
    let classes = probabilities.cols();
    if let Some(class) = truth.iter().find(|class| **class as usize >= classes) {
        let expected = format!("an index below {classes}");
        return Err(Error::Value { what: "a class", expected, got: class.to_string() });
    }
    let (mut right, mut loss, mut total) = (0.0, 0.0, 0.0);
    for (i, &class) in truth.iter().enumerate() {
        let p = probabilities.row(i);
        let likeliest = (1..classes).fold(0, |best, k| if p[k] > p[best] { k } else { best });
        right += if likeliest == class as usize { weight(i) } else { 0.0 };
        loss -= weight(i) * Lanes::ln(p[class as usize].clamp(f64::EPSILON, 1.0 - f64::EPSILON));
        total += weight(i);
    }
    let roc_auc = match classes {
        2 => roc_auc(truth, &(0..truth.len()).map(|i| probabilities.row(i)[1]).collect::<Vec<_>>(), weight),
        _ => None,
    };
    Ok(ClassificationMetrics { accuracy: right / total, log_loss: loss / total, roc_auc })
}

/// The standard error of the weighted mean of losses: √(Σ w² (ℓ − mean)²) / Σ w.
pub fn standard_error(losses: &[f64], weights: Option<&[f64]>) -> f64 {
    let weight = |i: usize| weights.map_or(1.0, |weights| weights[i]);
    let total: f64 = (0..losses.len()).map(weight).sum();
    let mean = losses.iter().enumerate().map(|(i, loss)| weight(i) * loss).sum::<f64>() / total;
    let square = |(i, loss): (usize, &f64)| (weight(i) * (loss - mean)) * (weight(i) * (loss - mean));
    losses.iter().enumerate().map(square).sum::<f64>().sqrt() / total
}

/// How far stated chances are from what comes true: Σ over ten equal bins of the highest probability p of
/// (rows in the bin / rows) · |mean p − share of rows whose most probable class is the true one| (Guo et al. 2017).
pub fn expected_calibration_error(truth: &[u32], probabilities: MatrixRef<'_, f64>) -> f64 {
    let mut bins = [(0.0, 0.0); 10];
    for (i, &class) in truth.iter().enumerate() {
        let p = probabilities.row(i);
        let likeliest = (1..p.len()).fold(0, |best, k| if p[k] > p[best] { k } else { best });
        let (chances, hits) = &mut bins[((p[likeliest] * 10.0) as usize).min(9)];
        *chances += p[likeliest];
        *hits += if likeliest == class as usize { 1.0 } else { 0.0 };
    }
    bins.iter().map(|(chances, hits)| f64::abs(chances - hits)).sum::<f64>() / truth.len().max(1) as f64
}

/// Σ over pairs of a row i of class 1 and a row j of class 0 of wᵢ wⱼ ([sᵢ > sⱼ] + ½ [sᵢ = sⱼ]), divided by Σ wᵢ wⱼ:
/// one pass over the rows in the order of their scores s, one group of equal scores at a time.
fn roc_auc(truth: &[u32], scores: &[f64], weight: impl Fn(usize) -> f64) -> Option<f64> {
    let mut order: Vec<usize> = (0..truth.len()).collect();
    order.sort_by(|&a, &b| scores[a].total_cmp(&scores[b]));
    // Weights of each class so far, and the sum over pairs.
    let (mut zeros, mut ones, mut pairs) = (0.0, 0.0, 0.0);
    for group in order.chunk_by(|&a, &b| scores[a] == scores[b]) {
        let of = |class| group.iter().filter(|&&i| truth[i] == class).map(|&i| weight(i)).sum::<f64>();
        let (group_zeros, group_ones): (f64, f64) = (of(0), of(1));
        pairs += group_ones * (zeros + 0.5 * group_zeros);
        zeros += group_zeros;
        ones += group_ones;
    }
    (zeros > 0.0 && ones > 0.0).then(|| pairs / (zeros * ones))
}

/// The weight of each row, once everything fits together.
fn check<'a>(
    rows: usize,
    predictions: usize,
    numbers: &[f64],
    weights: Option<&'a [f64]>,
) -> Result<impl Fn(usize) -> f64 + Copy + 'a, Error> {
    for (what, got) in [("the predictions", predictions), ("the weights", weights.map_or(rows, <[f64]>::len))] {
        if got != rows {
            return Err(Error::Length { what, expected: rows, got });
        }
    }
    let value =
        |what, expected: &str, got: f64| Error::Value { what, expected: expected.to_owned(), got: got.to_string() };
    if let Some(number) = numbers.iter().find(|number| !number.is_finite()) {
        return Err(value("a prediction", "a finite number", *number));
    }
    let total: f64 = weights.map_or(rows as f64, |weights| weights.iter().sum());
    if total.is_nan() || total <= 0.0 {
        return Err(value("the weights of the scored rows", "a sum above 0", total));
    }
    Ok(move |row: usize| weights.map_or(1.0, |weights| weights[row]))
}

#[cfg(test)]
mod tests {
    use super::*;
    use chainrule::Matrix;

    fn near(a: f64, b: f64) {
        assert!((a - b).abs() <= 1e-14 * b.abs().max(1.0), "{a} is not {b}");
    }

    const Y: [f64; 4] = [3.0, -0.5, 2.0, 7.0];
    const P: [f64; 4] = [2.5, 0.0, 2.0, 8.0];
    const W: [f64; 4] = [1.0, 2.0, 0.5, 3.0];

    #[test]
    fn regression_by_hand() {
        // Errors −0.5, 0.5, 0, 1: squares 0.25 + 0.25 + 0 + 1 = 1.5, rmse √(1.5/4), mae 2/4. The mean of y is 2.875; its
        // squared distances 0.015625 + 11.390625 + 0.765625 + 17.015625 = 29.1875; r2 = 1 − 1.5/29.1875.
        let score = regression(&Y, &P, None).unwrap();
        near(score.rmse, 0.375_f64.sqrt());
        near(score.mae, 0.5);
        near(score.r2.unwrap(), 1.0 - 1.5 / 29.1875);
    }

    #[test]
    fn regression_as_scikit_learn() {
        // from sklearn.metrics import *          (scikit-learn 1.9.1)
        // y, p, w = [3, -0.5, 2, 7], [2.5, 0.0, 2, 8], [1, 2, 0.5, 3]
        // for s in (None, w):
        //     print(root_mean_squared_error(y, p, sample_weight=s), mean_absolute_error(y, p, sample_weight=s),
        //           r2_score(y, p, sample_weight=s))
        let plain = regression(&Y, &P, None).unwrap();
        near(plain.rmse, 0.6123724356957945);
        near(plain.mae, 0.5);
        near(plain.r2.unwrap(), 0.9486081370449679);
        let weighted = regression(&Y, &P, Some(&W)).unwrap();
        near(weighted.rmse, 0.7595545253127499);
        near(weighted.mae, 0.6923076923076923);
        near(weighted.r2.unwrap(), 0.9463401210787011);
    }

    #[test]
    fn weight_two_is_the_row_twice() {
        let once = regression(&Y, &P, Some(&[1.0, 2.0, 1.0, 1.0])).unwrap();
        let twice = regression(&[3.0, -0.5, -0.5, 2.0, 7.0], &[2.5, 0.0, 0.0, 2.0, 8.0], None).unwrap();
        near(once.rmse, twice.rmse);
        near(once.mae, twice.mae);
        near(once.r2.unwrap(), twice.r2.unwrap());
    }

    #[test]
    fn a_constant_truth_has_no_r2() {
        assert_eq!(regression(&[0.1; 3], &[0.1, 0.2, 0.3], None).unwrap().r2, None);
        let json = serde_json::to_string(&Metrics::Regression(regression(&[2.0], &[1.0], None).unwrap())).unwrap();
        assert_eq!(json, r#"{"rmse":1.0,"mae":1.0,"r2":null}"#);
    }

    /// Two columns from the probability of class 1.
    fn binary(ones: &[f64]) -> Matrix<f64> {
        Matrix::from_vec(ones.len(), 2, ones.iter().flat_map(|p| [1.0 - p, *p]).collect()).unwrap()
    }

    #[test]
    fn classification_by_hand() {
        // Row 2 is wrong. −ln(0.8 · 0.4 · 0.5 · 0.9) / 4. Row 3 ties: class 0 wins, which is right.
        // Pairs of classes 1 and 0: 0.4 against 0.2 and 0.5: 1 + 0; 0.9 against both: 2; 3 of 4.
        let score = classification(&[0, 1, 0, 1], binary(&[0.2, 0.4, 0.5, 0.9]).view(), None).unwrap();
        near(score.accuracy, 0.75);
        near(score.log_loss, -Lanes::ln(0.8_f64 * 0.4 * 0.5 * 0.9) / 4.0);
        near(score.roc_auc.unwrap(), 0.75);
    }

    #[test]
    fn ties_count_half() {
        // All scores equal: ½. One pair tied, one right: (½ + 1)/2.
        let auc = |truth: &[u32], scores: &[f64]| classification(truth, binary(scores).view(), None).unwrap().roc_auc;
        assert_eq!(auc(&[0, 1, 0, 1], &[0.5; 4]), Some(0.5));
        assert_eq!(auc(&[0, 0, 1], &[0.5, 0.25, 0.5]), Some(0.75));
        assert_eq!(auc(&[1, 1], &[0.5, 0.5]), None);
    }

    #[test]
    fn classification_as_scikit_learn() {
        // t, p, w = [0,1,1,0,1,0,1,0], [0.1,0.4,0.35,0.8,0.8,0.0,1.0,0.35], [1,2,0.5,1,3,1,1,2]
        // P = [[1-a, a] for a in p]
        // for s in (None, w):
        //     print(accuracy_score(t, [a > 0.5 for a in p], sample_weight=s), log_loss(t, P, sample_weight=s),
        //           roc_auc_score(t, p, sample_weight=s))
        let truth = [0, 1, 1, 0, 1, 0, 1, 0];
        let p = binary(&[0.1, 0.4, 0.35, 0.8, 0.8, 0.0, 1.0, 0.35]);
        let plain = classification(&truth, p.view(), None).unwrap();
        near(plain.accuracy, 0.625);
        near(plain.log_loss, 0.541854718983928);
        near(plain.roc_auc.unwrap(), 0.8125);
        let weighted = classification(&truth, p.view(), Some(&[1.0, 2.0, 0.5, 1.0, 3.0, 1.0, 1.0, 2.0])).unwrap();
        near(weighted.accuracy, 0.6956521739130435);
        near(weighted.log_loss, 0.48724238610583603);
        near(weighted.roc_auc.unwrap(), 0.8615384615384616);
    }

    #[test]
    fn probabilities_of_zero_are_clipped_as_by_scikit_learn() {
        // t, P = [2, 0, 1, 1], [[0.2, 0.2, 0.6], [0.0, 0.5, 0.5], [0.3, 0.4, 0.3], [0, 1, 0]]
        // for s in (None, [1, 2, 1, 0.5]):
        //     print(log_loss(t, P, sample_weight=s), accuracy_score(t, [2, 1, 1, 1], sample_weight=s))
        let p = Matrix::from_rows(&[[0.2, 0.2, 0.6], [0.0, 0.5, 0.5], [0.3, 0.4, 0.3], [0.0, 1.0, 0.0]]);
        let plain = classification(&[2, 0, 1, 1], p.view(), None).unwrap();
        near(plain.log_loss, 9.367692436189325);
        near(plain.accuracy, 0.75);
        let weighted = classification(&[2, 0, 1, 1], p.view(), Some(&[1.0, 2.0, 1.0, 0.5])).unwrap();
        near(weighted.log_loss, 16.336538474194324);
        near(weighted.accuracy, 0.5555555555555556);
    }

    #[test]
    fn a_score_of_three_classes_has_no_roc_auc() {
        let p = Matrix::from_rows(&[[0.5, 0.25, 0.25], [0.0, 0.0, 1.0]]);
        let score = classification(&[0, 2], p.view(), None).unwrap();
        let json = serde_json::to_value(Metrics::Classification(score)).unwrap();
        assert_eq!(json.as_object().unwrap().keys().collect::<Vec<_>>(), ["accuracy", "log_loss"]);
    }

    #[test]
    fn what_cannot_be_scored_is_refused() {
        let text = |result: Result<RegressionMetrics, Error>| result.unwrap_err().to_string();
        assert_eq!(text(regression(&[1.0], &[1.0, 2.0], None)), "the predictions: expected 1, got 2");
        assert_eq!(text(regression(&[1.0], &[f64::NAN], None)), "a prediction: expected a finite number, got NaN");
        assert_eq!(text(regression(&[1.0], &[1.0], Some(&[]))), "the weights: expected 1, got 0");
        let nothing = "the weights of the scored rows: expected a sum above 0, got 0";
        assert_eq!(text(regression(&[], &[], None)), nothing);
        assert_eq!(text(regression(&[1.0], &[1.0], Some(&[0.0]))), nothing);
        let error = classification(&[2], binary(&[0.5]).view(), None).unwrap_err();
        assert_eq!(error.to_string(), "a class: expected an index below 2, got 2");
    }
}
