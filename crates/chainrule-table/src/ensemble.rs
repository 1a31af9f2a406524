//! Members over folds: each row teaches all members but one, and helps to choose that one.
//!
//! The rows that are not held back for the score are dealt into K folds. Member m learns from all folds but the m-th, whose
//! rows stop its training; together these give every row a prediction by a member that has not learnt from it. On those the
//! rest is chosen: how much of the linear model goes into the mean, and the temperature. So a row takes both roles,
//! never for its own prediction (cross-fitting).

use crate::model::{Intervals, Output};
use crate::recipe::FitError;
use chainrule::kernels::Lanes;
use chainrule::loss::Link;
use chainrule::train::{self, Epoch, Event, LayerFacts, Report};
use chainrule::{Data, Error, Loss, Matrix, Network, Processor, Scalar};
use std::borrow::Cow;
use std::ops::ControlFlow;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError, mpsc};

/// Deals rows 0…n − 1 into `folds` folds, in the order of the permutation, class by class: each fold's share of a class
/// is within one row of the others'. Each fold's rows are in increasing order.
pub(crate) fn deal(folds: usize, classes: Option<&[u32]>, permutation: &[usize]) -> Vec<Vec<usize>> {
    let mut order = permutation.to_vec();
    if let Some(classes) = classes {
        order.sort_by_key(|&row| classes[row]);
    }
    let mut dealt = vec![Vec::new(); folds];
    for (place, row) in order.into_iter().enumerate() {
        dealt[place % folds].push(row);
    }
    dealt.iter_mut().for_each(|fold| fold.sort_unstable());
    dealt
}

/// Deals whole groups into at most `folds` folds, in the order in which the permutation first names them, each to the
/// fold with the fewest rows.
pub(crate) fn deal_groups(folds: usize, groups: &[u32], permutation: &[usize]) -> Vec<Vec<usize>> {
    let mut rows_of = std::collections::HashMap::<u32, Vec<usize>>::new();
    let mut order = Vec::new();
    for &row in permutation {
        let rows = rows_of.entry(groups[row]).or_default();
        if rows.is_empty() {
            order.push(groups[row]);
        }
        rows.push(row);
    }
    let mut dealt = vec![Vec::new(); folds.min(order.len()).max(1)];
    for group in order {
        let smallest = (0..dealt.len()).min_by_key(|&fold| dealt[fold].len()).unwrap_or(0);
        dealt[smallest].extend(&rows_of[&group]);
    }
    dealt.iter_mut().for_each(|fold| fold.sort_unstable());
    dealt
}

/// Inputs, targets and weights of some rows.
#[derive(Clone, Debug)]
pub(crate) struct Rows<T> {
    pub(crate) x: Matrix<T>,
    pub(crate) y: Matrix<T>,
    pub(crate) weights: Option<Vec<T>>,
}

impl<T: Scalar> Rows<T> {
    pub(crate) fn data(&self) -> Data<'_, T> {
        Data { x: self.x.view(), y: self.y.view(), weights: self.weights.as_deref() }
    }

    /// A copy of the rows at `positions`.
    pub(crate) fn at(&self, positions: &[usize]) -> Self {
        let gather = |from: &Matrix<T>| {
            let data = positions.iter().flat_map(|&row| from.row(row)).copied().collect();
            Matrix::from_vec(positions.len(), from.cols(), data).expect("whole rows")
        };
        let weights = self.weights.as_ref().map(|weights| positions.iter().map(|&row| weights[row]).collect());
        Self { x: gather(&self.x), y: gather(&self.y), weights }
    }
}

/// All of some rows, or those at positions.
pub(crate) enum Chosen<'a, T> {
    All(&'a Rows<T>),
    At(&'a Rows<T>, Vec<usize>),
}

impl<T: Scalar> Chosen<'_, T> {
    pub(crate) fn get(&self) -> Cow<'_, Rows<T>> {
        match self {
            Self::All(rows) => Cow::Borrowed(rows),
            Self::At(rows, positions) => Cow::Owned(rows.at(positions)),
        }
    }
}

/// A member that is to be trained: the network as it starts, and its rows.
pub(crate) struct Job<'a, T> {
    pub(crate) network: Network<T>,
    /// Whether the training rows set what training does not learn ([`Network::start_from`]).
    pub(crate) fresh: bool,
    pub(crate) training: Chosen<'a, T>,
    pub(crate) choosing: Option<Chosen<'a, T>>,
    pub(crate) options: train::Options,
}

/// A member that was trained, and its predictions for its choosing rows.
pub(crate) struct Member<T> {
    pub(crate) network: Network<T>,
    pub(crate) report: Report,
    pub(crate) predictions: Option<Matrix<f64>>,
}

type Outcome<T> = Result<Member<T>, FitError>;

/// What a thread tells of an epoch.
struct Told {
    member: usize,
    epoch: usize,
    steps: usize,
    loss: f64,
    penalty: f64,
    validation_loss: Option<f64>,
    best: bool,
    learning_rate: f64,
    gradient_norms: Vec<f64>,
    dead: Vec<f64>,
    updates: Vec<f64>,
    layers: Vec<LayerFacts>,
    start: Vec<LayerFacts>,
}

/// Trains every job. Where there are several and the processor has threads, a member has one of them to itself: no bit
/// depends on it. `watch` is told of epochs as they end, member m's epoch e as epoch m·epochs + e.
pub(crate) fn train_all<T: Scalar>(
    mut jobs: Vec<Job<'_, T>>,
    processor: &Processor,
    watch: &mut dyn FnMut(Event<'_>) -> ControlFlow<()>,
) -> Result<Vec<Member<T>>, FitError> {
    if jobs.len() == 1 {
        return Ok(vec![train_one(jobs.remove(0), processor, watch)?]);
    }
    let workers = processor.threads().min(jobs.len());
    let epochs = jobs.first().map_or(0, |job| job.options.epochs);
    if workers < 2 {
        let mut members = Vec::new();
        let mut stopped = false;
        for (m, job) in jobs.into_iter().enumerate() {
            let mut watch = |event: Event<'_>| match event {
                Event::Epoch(epoch) if !stopped => {
                    let flow = watch(Event::Epoch(&Epoch { epoch: m * epochs + epoch.epoch, ..*epoch }));
                    stopped = flow.is_break();
                    flow
                }
                _ if stopped => ControlFlow::Break(()),
                _ => ControlFlow::Continue(()),
            };
            members.push(train_one(job, processor, &mut watch)?);
        }
        return Ok(members);
    }
    let set = processor.instruction_set();
    let (next, stop) = (AtomicUsize::new(0), AtomicBool::new(false));
    let jobs: Vec<_> = jobs.into_iter().map(|job| Mutex::new(Some(job))).collect();
    let done: Vec<Mutex<Option<Outcome<T>>>> = jobs.iter().map(|_| Mutex::new(None)).collect();
    let (sender, receiver) = mpsc::channel::<Told>();
    let work = |sender: mpsc::Sender<Told>| {
        let processor = Processor::with_instruction_set(1, set);
        loop {
            let m = next.fetch_add(1, Ordering::Relaxed);
            let Some(job) = jobs.get(m).and_then(|job| job.lock().unwrap_or_else(PoisonError::into_inner).take())
            else {
                return;
            };
            let mut watch = |event: Event<'_>| {
                if let Event::Epoch(epoch) = event {
                    // Nobody listens only where the run is over.
                    let _ = sender.send(Told {
                        member: m,
                        epoch: epoch.epoch,
                        steps: epoch.steps,
                        loss: epoch.loss,
                        penalty: epoch.penalty,
                        validation_loss: epoch.validation_loss,
                        best: epoch.best,
                        learning_rate: epoch.learning_rate,
                        gradient_norms: epoch.gradient_norms.to_vec(),
                        dead: epoch.dead.to_vec(),
                        updates: epoch.updates.to_vec(),
                        layers: epoch.layers.to_vec(),
                        start: epoch.start.to_vec(),
                    });
                }
                if stop.load(Ordering::Relaxed) { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
            };
            let member = train_one(job, &processor, &mut watch);
            if member.is_err() {
                stop.store(true, Ordering::Relaxed);
            }
            *done[m].lock().unwrap_or_else(PoisonError::into_inner) = Some(member);
        }
    };
    std::thread::scope(|scope| {
        let work = &work;
        let mut spawned = 0;
        for _ in 0..workers {
            let sender = sender.clone();
            spawned += usize::from(std::thread::Builder::new().spawn_scoped(scope, move || work(sender)).is_ok());
        }
        if spawned == 0 {
            // No thread can be had: the work is done here, and told of afterwards.
            work(sender.clone());
        }
        drop(sender);
        for told in receiver {
            let facts = Epoch {
                epoch: told.member * epochs + told.epoch,
                steps: told.steps,
                loss: told.loss,
                penalty: told.penalty,
                validation_loss: told.validation_loss,
                best: told.best,
                learning_rate: told.learning_rate,
                gradient_norms: &told.gradient_norms,
                dead: &told.dead,
                updates: &told.updates,
                layers: &told.layers,
                start: &told.start,
            };
            if watch(Event::Epoch(&facts)).is_break() {
                stop.store(true, Ordering::Relaxed);
            }
        }
    });
    let mut members = Vec::new();
    for member in done {
        members.push(member.into_inner().unwrap_or_else(PoisonError::into_inner).expect("every job is done")?);
    }
    Ok(members)
}

fn train_one<T: Scalar>(
    job: Job<'_, T>,
    processor: &Processor,
    watch: &mut dyn FnMut(Event<'_>) -> ControlFlow<()>,
) -> Result<Member<T>, FitError> {
    let Job { mut network, fresh, training: chosen, choosing, options } = job;
    let (training, held) = (chosen.get(), choosing.as_ref().map(Chosen::get));
    if fresh {
        network.start_from(training.x.view())?;
    }
    let data = held.as_ref().map(|held| held.data());
    let report = train::train(&mut network, &training.data(), data.as_ref(), &options, processor, watch);
    let report = report.map_err(|error| match &chosen {
        Chosen::All(_) => FitError::Engine(error),
        Chosen::At(_, positions) => FitError::Engine(error).at_rows(positions),
    })?;
    let predictions = match held {
        Some(held) => Some(network.predict(held.x.view(), &options.loss, processor)?.cast::<f64>()),
        None => None,
    };
    Ok(Member { network, report, predictions })
}

/// From which probability on a row is best called one of the rarer of two classes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Threshold {
    /// The rarer class's index.
    pub class: usize,
    /// The probability with the largest F1 on rows not learnt from.
    pub at: f64,
    /// F1 there.
    pub f1: f64,
    /// F1 at a probability of one half.
    pub f1_at_half: f64,
}

/// Predictions for choosing rows, and the truth there.
pub(crate) struct Held {
    pub(crate) predictions: Matrix<f64>,
    pub(crate) y: Matrix<f64>,
    pub(crate) weights: Option<Vec<f64>>,
}

impl Held {
    /// The members' predictions, each for its part of the rows.
    pub(crate) fn new<T: Scalar>(members: &[(Cow<'_, Rows<T>>, &Matrix<f64>)]) -> Self {
        let mut data = Vec::new();
        let mut y = Vec::new();
        let mut weights = Vec::new();
        for (rows, predictions) in members {
            data.extend_from_slice(predictions.as_slice());
            y.extend(rows.y.as_slice().iter().map(|y| y.to_f64()));
            weights.extend(rows.weights.iter().flatten().map(|w| w.to_f64()));
        }
        let rows = members.iter().map(|(rows, _)| rows.y.rows()).sum();
        let matrix = |data: Vec<f64>| Matrix::from_vec(rows, data.len() / rows, data).expect("whole rows");
        Self { predictions: matrix(data), y: matrix(y), weights: (!weights.is_empty()).then_some(weights) }
    }

    /// The mean loss that predictions have here: half the squared error, or −ln of the true class's probability.
    pub(crate) fn loss(&self, link: Link, predictions: &Matrix<f64>) -> f64 {
        let (mut sum, mut total) = (0.0, 0.0);
        for i in 0..predictions.rows() {
            let (p, y, weight) = (predictions.row(i), self.y.row(i), self.weights.as_ref().map_or(1.0, |w| w[i]));
            let ln = |p: f64| Lanes::ln(p.max(f64::EPSILON));
            let loss = match link {
                Link::Softmax => -ln(p[y[0] as usize]),
                Link::Logistic => -(y[0] * ln(p[0]) + (1.0 - y[0]) * ln(1.0 - p[0])),
                _ => p.iter().zip(y).map(|(p, y)| 0.5 * (p - y) * (p - y)).sum(),
            };
            sum += weight * loss;
            total += weight;
        }
        sum / total
    }

    /// How much of the linear model goes into the mean: the share in twentieths with the least loss here.
    pub(crate) fn share_of(&self, link: Link, linear: &Matrix<f64>) -> f64 {
        let mut best = (f64::INFINITY, 0.0);
        for twentieths in 0..=20 {
            let share = f64::from(twentieths) / 20.0;
            let output = Output { shares: vec![1.0 - share, share], ..Output::single() };
            let loss = self.loss(link, &output.mean(&[self.predictions.clone(), linear.clone()]));
            if loss < best.0 {
                best = (loss, share);
            }
        }
        best.1
    }

    /// The temperature T with the least loss here + 10 (ln T)²/n, by golden sections of its logarithm between ½ and 2.
    ///
    /// The penalty is the restraint of few rows: where all of a hundred are right, the loss alone would have T fall without
    /// bound, and the next row that is wrong would pay for it.
    pub(crate) fn temperature(&self, link: Link, mean: &Matrix<f64>) -> f64 {
        let loss = |log: f64| {
            let mut adjusted = mean.clone();
            Output { temperature: Lanes::exp(log), ..Output::single() }.adjust(link, &mut adjusted);
            self.loss(link, &adjusted) + 10.0 * log * log / mean.rows() as f64
        };
        let golden = (5.0_f64.sqrt() - 1.0) / 2.0;
        let (mut low, mut high) = (-std::f64::consts::LN_2, std::f64::consts::LN_2);
        let (mut a, mut b) = (high - golden * (high - low), low + golden * (high - low));
        let (mut at_a, mut at_b) = (loss(a), loss(b));
        for _ in 0..20 {
            if at_a < at_b {
                (high, b, at_b) = (b, a, at_a);
                a = high - golden * (high - low);
                at_a = loss(a);
            } else {
                (low, a, at_a) = (a, b, at_b);
                b = low + golden * (high - low);
                at_b = loss(b);
            }
        }
        Lanes::exp(0.5 * (low + high))
    }

    /// The probability of the rarer of two classes from which on calling a row one gives the largest F1 here.
    ///
    /// F1 = 2 TP / (2 TP + FP + FN): rows of the class that are called so, twice, over those and all mistakes. The threshold
    /// lies in the middle between the last row that is called one and the next.
    pub(crate) fn threshold(&self, link: Link, mean: &Matrix<f64>) -> Option<Threshold> {
        let weight = |i: usize| self.weights.as_ref().map_or(1.0, |w| w[i]);
        let n = mean.rows();
        let second: f64 = (0..n).map(|i| weight(i) * self.y[(i, 0)]).sum();
        let total: f64 = (0..n).map(weight).sum();
        let class = usize::from(second <= total - second);
        let probability = |i: usize| match (link, mean.cols()) {
            (Link::Logistic, 1) => Some(if class == 1 { mean[(i, 0)] } else { 1.0 - mean[(i, 0)] }),
            (Link::Softmax, 2) => Some(mean[(i, class)]),
            _ => None,
        };
        let mut rows = (0..n)
            .map(|i| Some((probability(i)?, weight(i), usize::from(self.y[(i, 0)] == 1.0) == class)))
            .collect::<Option<Vec<_>>>()?;
        rows.sort_by(|a, b| b.0.total_cmp(&a.0));
        let positives = second.min(total - second);
        let (mut right, mut called) = (0.0, 0.0);
        let mut best = Threshold { class, at: 0.5, f1: 0.0, f1_at_half: 0.0 };
        for (i, &(p, weight, is)) in rows.iter().enumerate() {
            called += weight;
            right += if is { weight } else { 0.0 };
            let next = rows.get(i + 1).map_or(0.0, |next| next.0);
            if next == p {
                continue;
            }
            let f1 = 2.0 * right / (called + positives);
            if p >= 0.5 {
                best.f1_at_half = f1;
            }
            if f1 > best.f1 {
                (best.f1, best.at) = (f1, 0.5 * (p + next));
            }
        }
        (best.f1 > 0.0).then_some(best)
    }

    /// Intervals around predictions (after range), by what was missed here.
    ///
    /// Choosing rows are sorted by their prediction into up to ten bins of 400 rows or more. In a bin of n rows the offset
    /// of level q is the residual y − ŷ of rank ⌈q(n + 1)⌉ above the median and ⌊q(n + 1)⌋ below it: split conformal
    /// prediction (Vovk et al. 2005), within bins so that the interval may widen where the numbers do.
    pub(crate) fn intervals(&self, levels: &[f64], mean: &Matrix<f64>) -> Intervals {
        let n = mean.rows();
        let mut order: Vec<usize> = (0..n).collect();
        order.sort_by(|&a, &b| mean[(a, 0)].total_cmp(&mean[(b, 0)]));
        let bins = (n / 400).clamp(1, 10);
        let mut intervals = Intervals { levels: levels.to_vec(), edges: Vec::new(), offsets: Vec::new() };
        for bin in 0..bins {
            let rows = &order[bin * n / bins..(bin + 1) * n / bins];
            if bin > 0 {
                intervals.edges.push(mean[(rows[0], 0)]);
            }
            let mut residuals: Vec<f64> = rows.iter().map(|&i| self.y[(i, 0)] - mean[(i, 0)]).collect();
            residuals.sort_by(f64::total_cmp);
            let offset = |level: &f64| {
                let rank = level * (residuals.len() + 1) as f64;
                let rank = if *level > 0.5 { rank.ceil() } else { rank.floor() };
                residuals[(rank as usize).clamp(1, residuals.len()) - 1]
            };
            intervals.offsets.push(levels.iter().map(offset).collect());
        }
        intervals
    }
}

/// The reports of all members as one: sums of epochs and steps, means of losses.
pub(crate) fn joint_report(reports: &[Report], loss: f64, processor: &Processor) -> Report {
    let n = reports.len();
    let mean = |of: &dyn Fn(&Report) -> f64| reports.iter().map(of).sum::<f64>() / n as f64;
    let worst = reports.iter().map(|report| report.ended).find(|ended| *ended == train::Ended::Stopped);
    Report {
        ended: worst.unwrap_or(reports[0].ended),
        epochs: reports.iter().map(|report| report.epochs).sum(),
        steps: reports.iter().map(|report| report.steps).sum(),
        best_epoch: mean(&|report| report.best_epoch as f64).round() as usize,
        loss: mean(&|report| report.loss),
        validation_loss: Some(loss),
        threads: if n > 1 { processor.threads().min(n) } else { reports[0].threads },
    }
}

/// A linear model with a little L2 (λ = 1/n), fitted to the minimum.
pub(crate) fn linear<T: Scalar>(
    rows: &Rows<T>,
    loss: &Loss,
    outputs: usize,
    processor: &Processor,
) -> Result<Network<T>, Error> {
    let mut network = Network::<T>::zeros(rows.x.cols(), vec![chainrule::Layer::Dense { outputs }])?;
    let options = train::Options {
        loss: loss.clone(),
        optimizer: chainrule::Optimizer::Lbfgs { memory: 10.0 },
        epochs: 100,
        batch_size: None,
        l2: 1.0 / rows.x.rows() as f64,
        ..train::Options::default()
    };
    train::train(&mut network, &rows.data(), None, &options, processor, &mut |_| ControlFlow::Continue(()))?;
    Ok(network)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_fold_has_its_share_of_every_class() {
        // Nine rows of class 0 and three of class 1, in three folds: three and one each.
        let classes = [0, 1, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0];
        let backwards: Vec<usize> = (0..12).rev().collect();
        let dealt = deal(3, Some(&classes), &backwards);
        for fold in &dealt {
            assert!(fold.is_sorted());
            let of = |class| fold.iter().filter(|&&row| classes[row] == class).count();
            assert_eq!((of(0), of(1)), (3, 1));
        }
        let mut all = dealt.concat();
        all.sort_unstable();
        assert_eq!(all, (0..12).collect::<Vec<_>>());
    }

    #[test]
    fn a_group_is_dealt_as_a_whole_to_the_smallest_fold() {
        // The permutation meets group 7 (3 rows), then 5 (2 rows), then 9 (1 row, to the smaller fold).
        let groups = [7, 5, 7, 9, 5, 7];
        let dealt = deal_groups(2, &groups, &[0, 1, 2, 3, 4, 5]);
        assert_eq!(dealt, [vec![0, 2, 5], vec![1, 3, 4]]);
        // No more folds than groups.
        assert_eq!(deal_groups(4, &[1, 1, 1], &[2, 1, 0]), [vec![0, 1, 2]]);
    }

    fn held(predictions: Vec<f64>, y: Vec<f64>) -> Held {
        let matrix = |data: Vec<f64>| Matrix::from_vec(y.len(), data.len() / y.len(), data).unwrap();
        Held { predictions: matrix(predictions), y: matrix(y.clone()), weights: None }
    }

    #[test]
    fn the_better_of_two_models_gets_the_larger_share() {
        let held = held(vec![0.0, 0.0, 0.0, 0.0], vec![1.0, 2.0, 3.0, 4.0]);
        let line = Matrix::from_vec(4, 1, vec![1.0, 2.0, 3.0, 4.0]).unwrap();
        assert_eq!(held.share_of(Link::Identity, &line), 1.0);
        let far = Matrix::from_vec(4, 1, vec![-5.0; 4]).unwrap();
        assert_eq!(held.share_of(Link::Identity, &far), 0.0);
        // Twice the truth and nothing: half of each.
        let twice = Matrix::from_vec(4, 1, vec![2.0, 4.0, 6.0, 8.0]).unwrap();
        assert_eq!(held.share_of(Link::Identity, &twice), 0.5);
    }

    #[test]
    fn chances_that_are_too_sure_are_brought_down() {
        // 0.8 where 3 of 4 are right: σ(logit(0.8)/T) = 0.75 at T = ln 4 / ln 3, of so many rows nearly.
        let n = 40_000;
        let truth = [1.0, 1.0, 1.0, 0.0].repeat(n / 4);
        let sure = held(vec![0.8; n], truth.clone());
        let temperature = sure.temperature(Link::Logistic, &sure.predictions);
        let expected = Lanes::ln(4.0_f64) / Lanes::ln(3.0_f64);
        assert!((temperature - expected).abs() < 1e-3, "{temperature} is not {expected}");
        // The same as two classes with softmax.
        let both = Held {
            predictions: Matrix::from_vec(n, 2, [0.2, 0.8].repeat(n)).unwrap(),
            y: Matrix::from_vec(n, 1, truth).unwrap(),
            weights: None,
        };
        assert!((both.temperature(Link::Softmax, &both.predictions) - temperature).abs() < 1e-9);
        // All of eight are right: the chances are left nearly as they are.
        let few = held(vec![0.9; 8], vec![1.0; 8]);
        assert!((0.9..1.0).contains(&few.temperature(Link::Logistic, &few.predictions)));
    }

    #[test]
    fn the_threshold_is_where_f1_is_largest() {
        // Two of five rows are of class 1; called down to 0.2 there are 2 right of 3: F1 = 4/5. At one half: 1 of 1, 2/3.
        let held = held(vec![0.9, 0.3, 0.2, 0.1, 0.05], vec![1.0, 0.0, 1.0, 0.0, 0.0]);
        let found = held.threshold(Link::Logistic, &held.predictions).unwrap();
        assert_eq!((found.class, found.f1, found.f1_at_half), (1, 0.8, 2.0 / 3.0));
        assert!((found.at - 0.15).abs() < 1e-15, "{}", found.at);
        // The rarer class is the first: its probability is the other's complement.
        let mirrored = Held { y: Matrix::from_vec(5, 1, vec![0.0, 1.0, 0.0, 1.0, 1.0]).unwrap(), ..held };
        let p = Matrix::from_vec(5, 1, vec![0.1, 0.7, 0.8, 0.9, 0.95]).unwrap();
        let other = mirrored.threshold(Link::Logistic, &p).unwrap();
        assert_eq!((other.class, other.f1), (0, 0.8));
        assert_eq!(mirrored.threshold(Link::Identity, &p), None);
    }

    #[test]
    fn an_interval_s_ends_are_the_conformal_ranks() {
        // Residuals 1…9 around 0: rank ⌊0.1 · 10⌋ = 1, ⌊0.5 · 10⌋ = 5, ⌈0.9 · 10⌉ = 9.
        let held = held(vec![0.0; 9], (1..10).map(f64::from).collect());
        let intervals = held.intervals(&[0.1, 0.5, 0.9], &held.predictions);
        assert_eq!((intervals.edges.len(), &intervals.offsets[0][..]), (0, &[1.0, 5.0, 9.0][..]));
    }

    #[test]
    fn an_interval_widens_where_the_numbers_do() {
        // 400 rows around 0 miss by up to 1, 400 around 100 by up to 50.
        let miss = |i: usize| (i % 201) as f64 / 100.0 - 1.0;
        let predictions: Vec<f64> = (0..800).map(|i| if i < 400 { 0.0 } else { 100.0 }).collect();
        let y = (0..800).map(|i| predictions[i] + miss(i) * if i < 400 { 1.0 } else { 50.0 }).collect();
        let held = held(predictions, y);
        let intervals = held.intervals(&[0.05, 0.95], &held.predictions);
        assert_eq!(intervals.edges, [100.0]);
        assert!(intervals.offsets[0][1] < 1.0 && intervals.offsets[1][1] > 40.0, "{:?}", intervals.offsets);
    }
}
