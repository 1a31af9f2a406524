//! Members over folds: each row teaches all members but one, and helps to choose that one.
//!
//! The rows that are not held back for the score are dealt into K folds. Member m learns from all folds but the m-th, whose
//! rows stop its training; together these give every row a prediction by a member that has not learnt from it. On those the
//! rest is chosen: how much of the linear model goes into the mean, and the temperature. So a row takes both roles,
//! never for its own prediction (cross-fitting).

use crate::model::Output;
use crate::recipe::FitError;
use chainrule::kernels::Lanes;
use chainrule::loss::Link;
use chainrule::train::{self, Epoch, Event, Report};
use chainrule::{Data, Error, Loss, Matrix, Network, Processor, Scalar};
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

/// A member that is to be trained: the network as it starts, and its rows.
pub(crate) struct Job<T> {
    pub(crate) network: Network<T>,
    pub(crate) training: Vec<usize>,
    pub(crate) choosing: Vec<usize>,
    pub(crate) options: train::Options,
}

/// A member that was trained, and its predictions for its choosing rows.
pub(crate) struct Member<T> {
    pub(crate) network: Network<T>,
    pub(crate) report: Report,
    pub(crate) chosen_on: Vec<usize>,
    pub(crate) predictions: Matrix<f64>,
}

type Outcome<T> = Result<Member<T>, FitError>;

/// What a thread tells of an epoch.
struct Told {
    member: usize,
    epoch: usize,
    steps: usize,
    loss: f64,
    validation_loss: Option<f64>,
    best: bool,
    learning_rate: f64,
    gradient_norms: Vec<f64>,
    dead: Vec<f64>,
}

/// Trains every job. Where there are several and the processor has threads, a member has one of them to itself: no bit
/// depends on it. `watch` is told of epochs as they end, member m's epoch e as epoch m·epochs + e.
pub(crate) fn train_all<T: Scalar>(
    jobs: Vec<Job<T>>,
    rows: &Rows<T>,
    processor: &Processor,
    watch: &mut dyn FnMut(Event<'_>) -> ControlFlow<()>,
) -> Result<Vec<Member<T>>, FitError> {
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
            members.push(train_one(job, rows, processor, &mut watch)?);
        }
        return Ok(members);
    }
    let set = processor.instruction_set();
    let (next, stop) = (AtomicUsize::new(0), AtomicBool::new(false));
    let jobs: Vec<Mutex<Option<Job<T>>>> = jobs.into_iter().map(|job| Mutex::new(Some(job))).collect();
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
                        validation_loss: epoch.validation_loss,
                        best: epoch.best,
                        learning_rate: epoch.learning_rate,
                        gradient_norms: epoch.gradient_norms.to_vec(),
                        dead: epoch.dead.to_vec(),
                    });
                }
                if stop.load(Ordering::Relaxed) { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
            };
            let member = train_one(job, rows, &processor, &mut watch);
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
                validation_loss: told.validation_loss,
                best: told.best,
                learning_rate: told.learning_rate,
                gradient_norms: &told.gradient_norms,
                dead: &told.dead,
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
    job: Job<T>,
    rows: &Rows<T>,
    processor: &Processor,
    watch: &mut dyn FnMut(Event<'_>) -> ControlFlow<()>,
) -> Result<Member<T>, FitError> {
    let Job { mut network, training, choosing, options } = job;
    let (training, held) = (rows.at(&training), rows.at(&choosing));
    network.start_from(training.x.view())?;
    let data = held.data();
    let report = train::train(&mut network, &training.data(), Some(&data), &options, processor, watch)?;
    let predictions = network.predict(held.x.view(), &options.loss, processor)?.cast::<f64>();
    Ok(Member { network, report, chosen_on: choosing, predictions })
}

/// The members' predictions for their choosing rows, and the truth there.
pub(crate) struct Held {
    pub(crate) predictions: Matrix<f64>,
    pub(crate) y: Matrix<f64>,
    pub(crate) weights: Option<Vec<f64>>,
}

impl Held {
    /// Gathers them from every member.
    pub(crate) fn new<T: Scalar>(rows: &Rows<T>, members: &[(&[usize], &Matrix<f64>)]) -> Self {
        let at: Vec<usize> = members.iter().flat_map(|(at, _)| at.iter().copied()).collect();
        let data: Vec<f64> = members.iter().flat_map(|(_, predictions)| predictions.as_slice()).copied().collect();
        let cols = members.first().map_or(1, |(_, predictions)| predictions.cols());
        let truth = rows.at(&at);
        Self {
            predictions: Matrix::from_vec(at.len(), cols, data).expect("a prediction a row"),
            y: truth.y.cast(),
            weights: truth.weights.map(|weights| weights.iter().map(|w| w.to_f64()).collect()),
        }
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

    /// The temperature with the least loss here, by golden sections of its logarithm between ½ and 2.
    pub(crate) fn temperature(&self, link: Link, mean: &Matrix<f64>) -> f64 {
        let loss = |log: f64| {
            let mut adjusted = mean.clone();
            Output { temperature: Lanes::exp(log), ..Output::single() }.adjust(link, &mut adjusted);
            self.loss(link, &adjusted)
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
pub(crate) fn linear(
    rows: &Rows<f64>,
    loss: &Loss,
    outputs: usize,
    processor: &Processor,
) -> Result<Network<f64>, Error> {
    let mut network = Network::<f64>::zeros(rows.x.cols(), vec![chainrule::Layer::Dense { outputs }])?;
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
