//! Optimizers: how the gradient changes the parameters.

pub(crate) mod lbfgs;

use crate::error::Error;
use crate::kernels::elementwise::each;
use crate::kernels::{Kernel, Lanes};
use crate::names::{Spelled, spell};
use crate::scalar::Scalar;
use std::fmt;
use std::str::FromStr;

/// A rule for the step from the gradient g to the parameters θ at learning rate η.
///
/// Parsed from and written as the name in parentheses with its numbers. Weight decay is decoupled in all of them:
/// θ ← (1 − ηλ)θ before the step (Loshchilov & Hutter 2019), on weights only.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Optimizer {
    /// (`gradient_descent`, also `sgd`) θ ← θ − ηg: the tutorial's rule.
    GradientDescent,
    /// (`momentum:mu`, 0.9) v ← μv + g; θ ← θ − ηv (Polyak 1964, as PyTorch writes it).
    Momentum {
        /// μ.
        mu: f64,
    },
    /// (`nesterov:mu`, 0.9) v ← μv + g; θ ← θ − η(g + μv) (Sutskever et al. 2013, as PyTorch writes it).
    Nesterov {
        /// μ.
        mu: f64,
    },
    /// (`rmsprop:rho:epsilon`, 0.99 and 1e-8) s ← ρs + (1 − ρ)g²; θ ← θ − ηg/(√s + ε) (Hinton's lecture 6e).
    RmsProp {
        /// ρ.
        rho: f64,
        /// ε.
        epsilon: f64,
    },
    /// (`adam:beta1:beta2:epsilon`, 0.9, 0.999 and 1e-8) m ← β₁m + (1 − β₁)g; v ← β₂v + (1 − β₂)g²;
    /// θ ← θ − η·m̂/(√v̂ + ε), m̂ = m/(1 − β₁ᵗ), v̂ = v/(1 − β₂ᵗ) (Kingma & Ba 2015; ε outside the root, as PyTorch).
    Adam(Moments),
    /// (`adam_hat:beta1:beta2:epsilon`) Adam with ε̂ beside √v instead of √v̂, θ ← θ − η·√(1 − β₂ᵗ)/(1 − β₁ᵗ)·m/(√v + ε̂): the
    /// order that Kingma & Ba remark on before their section 2.1, as scikit-learn computes.
    AdamHat(Moments),
    /// (`adamw:beta1:beta2:epsilon`) Adam whose weight decay is 0.01 unless another is given.
    AdamW(Moments),
    /// (`lbfgs:memory`, 10) limited-memory BFGS with a strong Wolfe line search on the full batch (Nocedal & Wright
    /// 2006, algorithms 7.4, 7.5, 3.5 and 3.6); an epoch is one iteration, the learning rate is not used.
    Lbfgs {
        /// How many steps it remembers.
        memory: f64,
    },
}

/// Adam's numbers.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Moments {
    /// β₁.
    pub beta1: f64,
    /// β₂.
    pub beta2: f64,
    /// ε.
    pub epsilon: f64,
}

impl Default for Moments {
    fn default() -> Self {
        Self { beta1: 0.9, beta2: 0.999, epsilon: 1e-8 }
    }
}

const NAMES: [&str; 8] = ["gradient_descent", "momentum", "nesterov", "rmsprop", "adam", "adam_hat", "adamw", "lbfgs"];

impl Optimizer {
    /// The weight decay λ where none is given.
    pub fn default_weight_decay(&self) -> f64 {
        if let Self::AdamW(_) = self { 0.01 } else { 0.0 }
    }

    /// The learning rate η where none is given.
    pub fn default_learning_rate(&self) -> f64 {
        match self {
            Self::GradientDescent | Self::Momentum { .. } | Self::Nesterov { .. } => 0.01,
            Self::RmsProp { .. } | Self::Adam(_) | Self::AdamHat(_) | Self::AdamW(_) => 0.001,
            Self::Lbfgs { .. } => 1.0,
        }
    }

    /// How many numbers it keeps for every parameter.
    pub(crate) fn memories(&self) -> usize {
        match self {
            Self::GradientDescent | Self::Lbfgs { .. } => 0,
            Self::Momentum { .. } | Self::Nesterov { .. } | Self::RmsProp { .. } => 1,
            Self::Adam(_) | Self::AdamHat(_) | Self::AdamW(_) => 2,
        }
    }
}

/// One step of the rule for a stretch of the parameters, element by element.
pub(crate) struct Update<'a, T> {
    pub(crate) optimizer: &'a Optimizer,
    /// η, with the segment's factor.
    pub(crate) learning_rate: f64,
    /// ηλ: what the parameters lose first.
    pub(crate) decay: f64,
    /// The number of this step, from 1, as the powers of β₁ and β₂.
    pub(crate) powers: Powers,
    pub(crate) parameters: &'a mut [T],
    pub(crate) gradient: &'a [T],
    /// m (or v, or s), and Adam's v; empty where the rule keeps fewer.
    pub(crate) memories: [&'a mut [T]; 2],
}

/// β₁ᵗ and β₂ᵗ, by repeated multiplication.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Powers(pub(crate) f64, pub(crate) f64);

impl Powers {
    pub(crate) fn next(self, optimizer: &Optimizer) -> Self {
        match optimizer {
            Optimizer::Adam(m) | Optimizer::AdamHat(m) | Optimizer::AdamW(m) => {
                Self(self.0 * m.beta1, self.1 * m.beta2)
            }
            _ => self,
        }
    }
}

impl<T: Scalar> Kernel<T> for Update<'_, T> {
    type Output = ();
    #[inline(always)]
    fn run<V: Lanes<Scalar = T>>(self, v: V) {
        let (rate, keep) = (v.of(self.learning_rate), v.of(1.0 - self.decay));
        let (theta, g, [first, second]) = (self.parameters, self.gradient, self.memories);
        // θ − η·step, after the decay.
        let moved = |theta: V, step: V| (-rate).fma(step, keep * theta);
        match *self.optimizer {
            Optimizer::GradientDescent | Optimizer::Lbfgs { .. } => {
                each(v, [g], [theta], |[g], [theta]| [moved(theta, g)]);
            }
            Optimizer::Momentum { mu } => {
                let mu = v.of(mu);
                each(v, [g], [theta, first], |[g], [theta, m]| {
                    let m = mu.fma(m, g);
                    [moved(theta, m), m]
                });
            }
            Optimizer::Nesterov { mu } => {
                let mu = v.of(mu);
                each(v, [g], [theta, first], |[g], [theta, m]| {
                    let m = mu.fma(m, g);
                    [moved(theta, mu.fma(m, g)), m]
                });
            }
            Optimizer::RmsProp { rho, epsilon } => {
                let (rho, rest, epsilon) = (v.of(rho), v.of(1.0 - rho), v.of(epsilon));
                each(v, [g], [theta, first], |[g], [theta, s]| {
                    let s = rho.fma(s, rest * g * g);
                    [moved(theta, g / (s.sqrt() + epsilon)), s]
                });
            }
            Optimizer::Adam(moments) | Optimizer::AdamHat(moments) | Optimizer::AdamW(moments) => {
                let Moments { beta1, beta2, epsilon } = moments;
                let rate = v.of(self.learning_rate / (1.0 - self.powers.0));
                let root = 1.0 / (1.0 - self.powers.1).sqrt();
                let hat = matches!(self.optimizer, Optimizer::AdamHat(_));
                let epsilon = if hat { epsilon * root } else { epsilon };
                let root = v.of(root);
                let (b1, r1) = (v.of(beta1), v.of(1.0 - beta1));
                let (b2, r2, epsilon) = (v.of(beta2), v.of(1.0 - beta2), v.of(epsilon));
                each(v, [g], [theta, first, second], |[g], [theta, m, s]| {
                    let m = b1.fma(m, r1 * g);
                    let s = b2.fma(s, r2 * g * g);
                    [(-rate).fma(m / root.fma(s.sqrt(), epsilon), keep * theta), m, s]
                });
            }
        }
    }
}

impl FromStr for Optimizer {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let spelled = Spelled::parse("optimizer", text)?;
        let below_1 = |x: f64| (0.0..1.0).contains(&x);
        let share = |position, default| spelled.number(position, default, "numbers from 0 to below 1", below_1);
        let epsilon = |position| spelled.number(position, 1e-8, "epsilon > 0", |x| x > 0.0);
        let moments =
            || Ok::<_, Error>(Moments { beta1: share(0, 0.9)?, beta2: share(1, 0.999)?, epsilon: epsilon(2)? });
        let (optimizer, numbers) = match spelled.name {
            "gradient_descent" | "sgd" => (Self::GradientDescent, 0),
            "momentum" => (Self::Momentum { mu: share(0, 0.9)? }, 1),
            "nesterov" => (Self::Nesterov { mu: share(0, 0.9)? }, 1),
            "rmsprop" => (Self::RmsProp { rho: share(0, 0.99)?, epsilon: epsilon(1)? }, 2),
            "adam" => (Self::Adam(moments()?), 3),
            "adam_hat" => (Self::AdamHat(moments()?), 3),
            "adamw" => (Self::AdamW(moments()?), 3),
            "lbfgs" => {
                let memory = |x: f64| (1.0..=1000.0).contains(&x) && x.trunc() == x;
                (Self::Lbfgs { memory: spelled.number(0, 10.0, "a memory of 1 to 1000 steps", memory)? }, 1)
            }
            _ => return Err(spelled.unknown(&NAMES)),
        };
        spelled.at_most(numbers)?;
        Ok(optimizer)
    }
}

impl fmt::Display for Optimizer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let moments = |m: &Moments| [(m.beta1, 0.9), (m.beta2, 0.999), (m.epsilon, 1e-8)];
        match self {
            Self::GradientDescent => f.write_str("gradient_descent"),
            Self::Momentum { mu } => spell(f, "momentum", &[(*mu, 0.9)]),
            Self::Nesterov { mu } => spell(f, "nesterov", &[(*mu, 0.9)]),
            Self::RmsProp { rho, epsilon } => spell(f, "rmsprop", &[(*rho, 0.99), (*epsilon, 1e-8)]),
            Self::Adam(m) => spell(f, "adam", &moments(m)),
            Self::AdamHat(m) => spell(f, "adam_hat", &moments(m)),
            Self::AdamW(m) => spell(f, "adamw", &moments(m)),
            Self::Lbfgs { memory } => spell(f, "lbfgs", &[(*memory, 10.0)]),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernels::InstructionSet;

    /// θ after each of the steps with these gradients, from θ = 1 at η = 0.1 and weight decay 0.
    fn steps<const N: usize>(name: &str, gradients: [f64; N]) -> [f64; N] {
        decayed(name, 0.0, gradients)
    }

    fn decayed<const N: usize>(name: &str, weight_decay: f64, gradients: [f64; N]) -> [f64; N] {
        let optimizer: Optimizer = name.parse().unwrap();
        let (mut theta, mut first, mut second) = ([1.0], [0.0], [0.0]);
        let mut powers = Powers(1.0, 1.0);
        gradients.map(|g| {
            powers = powers.next(&optimizer);
            let update = Update {
                optimizer: &optimizer,
                learning_rate: 0.1,
                decay: 0.1 * weight_decay,
                powers,
                parameters: &mut theta,
                gradient: &[g],
                memories: [&mut first[..optimizer.memories().min(1)], &mut second[..optimizer.memories() / 2]],
            };
            f64::dispatch(InstructionSet::NAIVE, update);
            theta[0]
        })
    }

    fn assert_near<const N: usize>(got: [f64; N], expected: [f64; N]) {
        for (got, expected) in got.iter().zip(&expected) {
            assert!((got - expected).abs() <= 1e-15, "{got} is not {expected}");
        }
    }

    #[test]
    fn gradient_descent_worked_by_hand() {
        // 1 − 0.1·2 = 0.8; 0.8 + 0.1·1 = 0.9; 0.9 − 0.1·0.5 = 0.85
        assert_near(steps("gradient_descent", [2.0, -1.0, 0.5]), [0.8, 0.9, 0.85]);
    }

    #[test]
    fn momentum_worked_by_hand() {
        // v = 2, 0.5·2 − 1 = 0, 0.5·0 + 0.5 = 0.5; θ = 1 − 0.2 = 0.8, 0.8 − 0 = 0.8, 0.8 − 0.05 = 0.75
        assert_near(steps("momentum:0.5", [2.0, -1.0, 0.5]), [0.8, 0.8, 0.75]);
    }

    #[test]
    fn nesterov_worked_by_hand() {
        // v = 2, 0, 0.5 as above; steps g + 0.5v = 2 + 1 = 3, −1 + 0 = −1, 0.5 + 0.25 = 0.75
        // θ = 1 − 0.3 = 0.7, 0.7 + 0.1 = 0.8, 0.8 − 0.075 = 0.725
        assert_near(steps("nesterov:0.5", [2.0, -1.0, 0.5]), [0.7, 0.8, 0.725]);
    }

    #[test]
    fn rmsprop_worked_by_hand() {
        // s = 0.25·4 = 1, 0.75·1 + 0.25·1 = 1, 0.75·1 + 0.25·13 = 4; √s + 1 = 2, 2, 3
        // θ = 1 − 0.1·2/2 = 0.9, 0.9 + 0.1·1/2 = 0.95, 0.95 − 0.1·√13/3
        let third = 0.95 - 0.1 * 13.0_f64.sqrt() / 3.0;
        assert_near(steps("rmsprop:0.75:1", [2.0, -1.0, 13.0_f64.sqrt()]), [0.9, 0.95, third]);
    }

    #[test]
    fn adam_worked_by_hand() {
        // β₁ = 0.5, β₂ = 0.75, ε = 1; g = 2, −1, 0.5.
        // m = 1, 0.5·1 − 0.5·1 = 0, 0.5·0 + 0.5·0.5 = 0.25; m̂ = m/(1 − 0.5ᵗ) = 1/0.5 = 2, 0, 0.25/0.875 = 2/7
        // v = 0.25·4 = 1, 0.75·1 + 0.25·1 = 1, 0.75·1 + 0.25·0.25 = 0.8125; v̂ = v/(1 − 0.75ᵗ): 1/0.25 = 4, not needed,
        // 0.8125/0.578125 = 52/37
        // θ = 1 − 0.1·2/(2 + 1) = 14/15, the same, 14/15 − 0.1·(2/7)/(√(52/37) + 1)
        let (second, root) = (14.0 / 15.0, (52.0_f64 / 37.0).sqrt());
        let third = second - 0.1 * (2.0 / 7.0) / (root + 1.0);
        assert_near(steps("adam:0.5:0.75:1", [2.0, -1.0, 0.5]), [second, second, third]);
    }

    #[test]
    fn adam_takes_pytorch_s_published_steps() {
        // torch.optim.Adam's documentation: m̂ = m/(1 − β₁ᵗ), v̂ = v/(1 − β₂ᵗ), θ ← θ − γ·m̂/(√v̂ + ε), in its defaults
        // β = (0.9, 0.999), ε = 1e-8; written out here as it stands there.
        let gradients = [0.3, -0.7, 1e-4, 2.0, -1e-9, 0.25];
        let (mut m, mut v, mut theta) = (0.0, 0.0, 1.0);
        let expected = std::array::from_fn(|i| {
            let (g, t) = (gradients[i], i as i32 + 1);
            m = 0.9 * m + (1.0 - 0.9) * g;
            v = 0.999 * v + (1.0 - 0.999) * g * g;
            let power = |base: f64| (0..t).map(|_| base).product::<f64>();
            let (m_hat, v_hat) = (m / (1.0 - power(0.9)), v / (1.0 - power(0.999)));
            theta -= 0.1 * m_hat / (v_hat.sqrt() + 1e-8);
            theta
        });
        assert_near(steps("adam", gradients), expected);
    }

    #[test]
    fn adam_hat_adds_epsilon_to_the_root_that_is_not_corrected() {
        // β₁ = 0.5, β₂ = 0.75, ε̂ = 1, g = 2: m = 1, v = 1; 0.1·√0.25/0.5·1/(√1 + 1) = 0.05, where Adam steps 0.1·2/(2 + 1).
        assert_near(steps("adam_hat:0.5:0.75:1", [2.0]), [0.95]);
    }

    #[test]
    fn weight_decay_is_taken_from_the_parameter_and_not_through_the_moments() {
        // θ ← (1 − 0.1·0.5)θ − 0.1g: 0.95 − 0.2 = 0.75, 0.7125 + 0.1 = 0.8125, 0.771875 − 0.05 = 0.721875
        assert_near(decayed("gradient_descent", 0.5, [2.0, -1.0, 0.5]), [0.75, 0.8125, 0.721875]);
        // Adam's first step is ε-nearly η·sign(g), whatever the decay: 0.95 − 0.1·2/(2 + 1)
        assert_near(decayed("adamw:0.5:0.75:1", 0.5, [2.0]), [0.95 - 0.2 / 3.0]);
    }
}
