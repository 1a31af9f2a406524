//! The backward pass against two independent derivatives: dual numbers through the same forward pass, and central
//! differences. Every activation with every loss, normalisation, sample weights and dropout.

use crate::activation::Activation;
use crate::backprop::{Data, Mode, Workspace, loss_and_gradient};
use crate::dual::Dual;
use crate::kernels::{InstructionSet, Processor};
use crate::layer::Layer;
use crate::loss::Loss;
use crate::matrix::Matrix;
use crate::network::Network;
use crate::random::default_rng;

const ROWS: usize = 6;
const INPUTS: usize = 3;
/// Kinks are left out: no pre-activation and no residual is nearer to one.
const FROM_KINKS: f64 = 1e-3;
/// Half a step of the central differences: their error is about 10⁻¹⁹ + 10⁻¹⁶/10⁻⁵ of J.
const STEP: f64 = 1e-5;

/// One network on one batch.
struct Case {
    name: String,
    network: Network<f64>,
    loss: Loss,
    x: Matrix<f64>,
    y: Matrix<f64>,
    weights: Option<Vec<f64>>,
    mode: Mode,
}

const TRAINING: Mode = Mode::Training { seed: 7, step: 3 };
const WEIGHTS: [f64; ROWS] = [1.0, 0.5, 0.0, 2.0, 3.25, 0.125];

impl Case {
    /// The case with the first seed that keeps its distance from kinks; where `far` is given the last pre-activations
    /// of every column reach from −far to far.
    fn new(name: &str, layers: &[Layer], loss: &Loss, weighted: bool, mode: Mode, far: Option<f64>) -> Self {
        let name = format!("{name} {layers:?} {loss} weighted {weighted} {mode:?} far {far:?}");
        (0..1000)
            .map(|seed| Self::draw(&name, layers, loss, weighted, mode, far, seed))
            .find(Self::keeps_its_distance)
            .unwrap_or_else(|| panic!("no seed keeps its distance from kinks: {name}"))
    }

    fn draw(
        name: &str,
        layers: &[Layer],
        loss: &Loss,
        weighted: bool,
        mode: Mode,
        far: Option<f64>,
        seed: u64,
    ) -> Self {
        let mut generator = default_rng(seed);
        let mut number = |low, high| generator.uniform(low, high).unwrap();
        let mut network = Network::<f64>::zeros(INPUTS, layers.to_vec()).unwrap();
        network.parameters_mut().iter_mut().for_each(|p| *p += number(-1.0, 1.0));
        network.running_mut().iter_mut().for_each(|r| *r += number(-0.5, 0.5));
        let x = Matrix::from_vec(ROWS, INPUTS, (0..ROWS * INPUTS).map(|_| number(-2.0, 2.0)).collect()).unwrap();
        let outputs = network.outputs();
        let columns = loss.target_columns(outputs).unwrap();
        let y = (0..ROWS * columns)
            .map(|i| match loss {
                Loss::CrossEntropy { .. } => (i % outputs) as f64,
                Loss::BinaryCrossEntropy => [0.0, 1.0, number(0.0, 1.0)][i % 3],
                Loss::Poisson => (i % 4) as f64,
                _ => number(-3.0, 3.0),
            })
            .collect();
        let y = Matrix::from_vec(ROWS, columns, y).unwrap();
        let weights = weighted.then(|| WEIGHTS.to_vec());
        let mut case = Self { name: format!("{name} seed {seed}"), network, loss: loss.clone(), x, y, weights, mode };
        if let Some(far) = far {
            case.stretch(far);
        }
        case
    }

    /// Makes the columns of the last layer's output, a dense one, reach from −far to far.
    fn stretch(&mut self, far: f64) {
        let (workspace, _, _) = self.pass();
        let z: Vec<Vec<f64>> = workspace.output(self.network.layers().len()).map(<[f64]>::to_vec).collect();
        let [.., weights, biases] = self.network.layout().segments() else { unreachable!() };
        let (weights, biases) = (weights.range.clone(), biases.range.clone());
        let outputs = biases.len();
        for k in 0..outputs {
            let column = || z.iter().map(|row| row[k]);
            let (low, high) = (column().fold(f64::MAX, f64::min), column().fold(f64::MIN, f64::max));
            let scale = 2.0 * far / (high - low).max(1e-3);
            let theta = self.network.parameters_mut();
            theta[weights.clone()].iter_mut().skip(k).step_by(outputs).for_each(|w| *w *= scale);
            let b = &mut theta[biases.start + k];
            *b = (*b - 0.5 * (low + high)) * scale;
        }
    }

    fn data(&self) -> Data<'_, f64> {
        let data = Data { x: self.x.view(), y: self.y.view(), weights: self.weights.as_deref() };
        data.check(&self.network, &self.loss).unwrap();
        data
    }

    /// The workspace after a pass, J and the gradient.
    fn pass(&self) -> (Workspace<f64>, f64, Vec<f64>) {
        let mut workspace = Workspace::new(&self.network, ROWS, 1);
        let mut gradient = vec![f64::NAN; self.network.parameters().len()];
        let processor = Processor::new(1);
        let (data, mode) = (self.data(), self.mode);
        let j =
            loss_and_gradient(&self.network, &self.loss, &data, None, mode, &mut workspace, &processor, &mut gradient);
        (workspace, j, gradient)
    }

    fn keeps_its_distance(&self) -> bool {
        let (workspace, _, _) = self.pass();
        let far = |x: f64| x.abs() > FROM_KINKS;
        let inner = self.network.layers().iter().enumerate().all(|(k, layer)| {
            let after_dropout = k > 0 && matches!(self.network.layers()[k - 1], Layer::Dropout { .. });
            // What dropout dropped is exactly 0 whatever the parameters: no kink is crossed.
            let clear = |z: f64| far(z) || (after_dropout && z == 0.0);
            !matches!(layer, Layer::Activation(_)) || workspace.output(k).flatten().all(|&z| clear(z))
        });
        let outer = workspace.output(self.network.layers().len()).zip(0..).all(|(z, i)| {
            z.iter().enumerate().all(|(k, &z)| {
                let y = self.y.row(i);
                let d = z - y[k.min(y.len() - 1)];
                far(d) && far(d.abs() - 1.0)
            })
        });
        inner && outer
    }

    /// ∂J/∂θ, each entry by one forward pass on dual numbers.
    fn gradient_by_duals(&self) -> Vec<f64> {
        let mut network = self.network.cast::<Dual>();
        let (x, y) = (self.x.cast::<Dual>(), self.y.cast::<Dual>());
        let data = Data::new(x.view(), y.view());
        let weight = |i: usize| self.weights.as_ref().map_or(1.0, |weights| weights[i]);
        let total: f64 = (0..ROWS).map(weight).sum();
        let mut workspace = Workspace::new(&network, ROWS, 1);
        let processor = Processor::with_instruction_set(1, InstructionSet::NAIVE);
        let mut unused = vec![Dual::default(); network.parameters().len()];
        (0..network.parameters().len())
            .map(|p| {
                network.parameters_mut()[p].derivative = 1.0;
                let (loss, mode) = (&self.loss, self.mode);
                loss_and_gradient(&network, loss, &data, None, mode, &mut workspace, &processor, &mut unused);
                network.parameters_mut()[p].derivative = 0.0;
                workspace.losses().enumerate().map(|(i, loss)| weight(i) / total * loss.derivative).sum()
            })
            .collect()
    }

    /// ∂J/∂θ ≈ (8(J(θ + h) − J(θ − h)) − (J(θ + 2h) − J(θ − 2h)))/12h: central differences of fourth order.
    fn gradient_by_differences(&self) -> Vec<f64> {
        let mut network = self.network.clone();
        let mut workspace = Workspace::new(&network, ROWS, 1);
        let mut unused = vec![0.0; network.parameters().len()];
        let (data, processor) = (self.data(), Processor::with_instruction_set(1, InstructionSet::NAIVE));
        (0..network.parameters().len())
            .map(|p| {
                let theta = network.parameters()[p];
                let mut at = |step: f64| {
                    network.parameters_mut()[p] = theta + step;
                    let (loss, mode) = (&self.loss, self.mode);
                    loss_and_gradient(&network, loss, &data, None, mode, &mut workspace, &processor, &mut unused)
                };
                let (near, far) = (at(STEP) - at(-STEP), at(2.0 * STEP) - at(-2.0 * STEP));
                network.parameters_mut()[p] = theta;
                (8.0 * near - far) / (12.0 * STEP)
            })
            .collect()
    }

    /// Every entry as by duals within 10⁻¹² of the largest of 1, itself, and 10⁻³ of the whole gradient's largest
    /// entry (where large terms cancel, their rounding remains); every tensor as by differences within 10⁻⁷ of its norm
    /// or, where that vanishes, 10⁻³ of the whole gradient's, besides the rounding of J over the step.
    fn check(&self) {
        let (_, j, analytic) = self.pass();
        assert!(j.is_finite(), "{}: J = {j}", self.name);
        let (duals, differences) = (self.gradient_by_duals(), self.gradient_by_differences());
        let largest = duals.iter().fold(0.0, |largest: f64, d| largest.max(d.abs()));
        let norm = |x: &mut dyn Iterator<Item = f64>| x.map(|x| x * x).sum::<f64>().sqrt();
        let whole = norm(&mut analytic.iter().copied());
        for segment in self.network.layout().segments() {
            let range = segment.range.clone();
            for (i, (a, d)) in analytic[range.clone()].iter().zip(&duals[range.clone()]).enumerate() {
                let allowed = 1e-12 * d.abs().max(1.0).max(1e-3 * largest);
                let (name, segment) = (&self.name, &segment.name);
                assert!((a - d).abs() <= allowed, "{name}: {segment}[{i}] = {a:e}, by duals {d:e}");
            }
            let apart = norm(&mut range.clone().map(|p| analytic[p] - differences[p]));
            let length = norm(&mut range.clone().map(|p| analytic[p]));
            let (name, segment) = (&self.name, &segment.name);
            let allowed = 1e-7 * length.max(1e-3 * whole) + 1e-15 * j.abs() / STEP;
            assert!(apart <= allowed, "{name}: {segment} has norm {length:e}, differences are {apart:e} away");
        }
    }
}

fn losses(outputs: usize) -> Vec<Loss> {
    let fits = |loss: &Loss| loss.target_columns(outputs).is_ok();
    let more = ["cross_entropy:0.1", "quantile:0.1:0.5:0.75"].map(|name| name.parse().unwrap());
    Loss::all().into_iter().chain(more).filter(fits).collect()
}

fn dense(outputs: usize) -> Layer {
    Layer::Dense { outputs }
}

/// dense, norm, activation, twice, and a dense layer.
fn layers(activation: &Activation, norm: Option<Layer>, outputs: usize) -> Vec<Layer> {
    let hidden =
        |width| [Some(dense(width)), norm.clone(), Some(Layer::Activation(activation.clone()))].into_iter().flatten();
    hidden(4).chain(hidden(3)).chain([dense(outputs)]).collect()
}

fn every_activation_and_loss(norm: Option<Layer>) {
    let mut cases = 0;
    for activation in Activation::all() {
        for outputs in [1, 3] {
            for loss in losses(outputs) {
                for weighted in [false, true] {
                    let layers = layers(&activation, norm.clone(), outputs);
                    Case::new("all", &layers, &loss, weighted, TRAINING, None).check();
                    cases += 1;
                }
            }
        }
    }
    // Six losses fit one output, eight fit three.
    assert_eq!(cases, 11 * (6 + 8) * 2);
}

#[test]
fn gradients_are_those_of_dual_numbers_and_differences_without_a_norm() {
    every_activation_and_loss(None);
}

#[test]
fn gradients_are_those_of_dual_numbers_and_differences_with_batch_norm() {
    every_activation_and_loss(Some(Layer::BATCH_NORM));
}

#[test]
fn gradients_are_those_of_dual_numbers_and_differences_with_layer_norm() {
    every_activation_and_loss(Some(Layer::LAYER_NORM));
}

#[test]
fn gradients_hold_for_pre_activations_as_large_as_50() {
    for outputs in [1, 3] {
        for loss in losses(outputs) {
            for activation in Activation::all() {
                let layers = layers(&activation, None, outputs);
                Case::new("large", &layers, &loss, false, TRAINING, Some(50.0)).check();
            }
        }
    }
}

#[test]
fn gradients_pass_through_dropout_s_mask() {
    for activation in Activation::all() {
        let a = || Layer::Activation(activation.clone());
        let drop = || Layer::Dropout { rate: 0.3 };
        // After an activation and before one, and where its input is a batch norm's output.
        let layers = [dense(4), a(), drop(), dense(5), drop(), a(), Layer::BATCH_NORM, drop(), dense(3)];
        for loss in losses(3) {
            Case::new("dropout", &layers, &loss, true, TRAINING, None).check();
        }
    }
}

#[test]
fn gradients_hold_wherever_a_norm_stands() {
    let tanh = || Layer::Activation(Activation::Tanh);
    for norm in [Layer::BATCH_NORM, Layer::LAYER_NORM] {
        let places = [
            vec![norm.clone(), dense(3)],
            vec![dense(4), tanh(), dense(3), norm.clone()],
            vec![norm.clone(), norm.clone(), tanh(), norm.clone(), dense(4), dense(3)],
            vec![tanh(), norm.clone(), dense(4), norm.clone(), Layer::LAYER_NORM, dense(3), tanh()],
        ];
        for layers in places {
            for mode in [TRAINING, Mode::Evaluation] {
                for loss in losses(3) {
                    Case::new("places", &layers, &loss, true, mode, None).check();
                }
            }
        }
    }
}

/// 2 bins of columns 0 and 2 of 3, and some networks that share weights after it.
fn embedded(outputs: usize) -> Vec<Layer> {
    let parts = ["piecewise:2:3:0:2", "dense:4", "members:3", "tanh", "dropout:0.3", "dense:4", "silu"];
    let layers = parts.iter().map(|name| name.parse().unwrap());
    layers.chain([Layer::Heads { outputs }]).collect()
}

#[test]
fn gradients_pass_through_members_heads_and_embeddings() {
    for outputs in [1, 3] {
        for loss in losses(outputs) {
            Case::new("members", &embedded(outputs), &loss, true, TRAINING, None).check();
            // Where an embedding and members are not first, δ passes through them; a shared last layer.
            let parts = ["dense:3", "piecewise:4:2:1", "heads:5", "tanh", "members:2", "selu"];
            let layers: Vec<Layer> = parts.iter().map(|name| name.parse().unwrap()).chain([dense(outputs)]).collect();
            Case::new("places", &layers, &loss, false, TRAINING, None).check();
        }
    }
}

#[test]
fn threads_and_instructions_change_no_bit_of_members_and_embeddings() {
    let mut bits = Vec::new();
    for set in InstructionSet::available() {
        for threads in [1, 2, 3, 5] {
            let mut network = Network::<f32>::new(3, embedded(2), None, 5).unwrap();
            let rows = 83;
            let x: Vec<f32> = (0..rows * 3).map(|i| ((i * i * 7 + 3) % 101) as f32 / 50.0 - 1.0).collect();
            let x = Matrix::from_vec(rows, 3, x).unwrap();
            let y = Matrix::from_vec(rows, 1, (0..rows).map(|i| (i % 2) as f32).collect()).unwrap();
            network.start_from(x.view()).unwrap();
            let processor = Processor::with_instruction_set(threads, set);
            let mut workspace = Workspace::new(&network, rows, threads);
            let mut gradient = vec![0.0; network.parameters().len()];
            let (data, loss) = (Data::new(x.view(), y.view()), "cross_entropy".parse().unwrap());
            // Two steps, so that the embedding's broken lines are not 0.
            let mut j = 0.0;
            for step in 0..2 {
                let mode = Mode::Training { seed: 1, step };
                j = loss_and_gradient(&network, &loss, &data, None, mode, &mut workspace, &processor, &mut gradient);
                network.parameters_mut().iter_mut().zip(&gradient).for_each(|(p, g)| *p -= 0.1 * g);
            }
            let after = network.loss(&loss, &data, &processor).unwrap();
            bits.push((j.to_bits(), after.to_bits(), gradient.iter().map(|g| g.to_bits()).collect::<Vec<_>>()));
        }
    }
    assert!(bits.len() >= 4 && bits.iter().all(|other| *other == bits[0]));
}

#[test]
fn a_weight_of_two_is_as_the_row_twice() {
    for loss in losses(3) {
        let layers = layers(&Activation::Tanh, Some(Layer::LAYER_NORM), 3);
        let mut case = Case::new("twice", &layers, &loss, false, TRAINING, None);
        case.weights = Some(vec![1.0, 2.0, 1.0, 1.0, 2.0, 1.0]);
        let (_, weighted, gradient) = case.pass();
        let batch = [0, 1, 1, 2, 3, 4, 4, 5];
        case.weights = None;
        let mut workspace = Workspace::new(&case.network, batch.len(), 1);
        let mut twice = vec![0.0; gradient.len()];
        let (network, loss, data, processor) = (&case.network, &case.loss, case.data(), Processor::new(1));
        let j = loss_and_gradient(network, loss, &data, Some(&batch), TRAINING, &mut workspace, &processor, &mut twice);
        let near = |a: f64, b: f64| (a - b).abs() <= 1e-14 * a.abs().max(1.0);
        assert!(near(weighted, j), "{loss}: {weighted} {j}");
        assert!(gradient.iter().zip(&twice).all(|(&a, &b)| near(a, b)), "{loss}: {gradient:?} {twice:?}");
    }
}
