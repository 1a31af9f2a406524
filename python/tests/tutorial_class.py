"""The class of the tutorial "Feed Forward Neural Network" (R. Lourenzutti; see docs/sources.md), section 5.5, as it stands
there, docstrings left out: what ours is compared with."""

import numpy as np


class NN:
    def __init__(self, layers_dims, activation_hidden, activation_output, loss_function, seed=None):
        self.L = len(layers_dims)
        self.loss_function = loss_function

        # Processing the activation functions:
        self.a = [lambda x: x]
        if isinstance(activation_hidden, list):
            self.a.extend(activation_hidden)
        else:
            self.a.extend([activation_hidden] * (self.L - 2))

        self.a.append(activation_output)

        # Initialize parameters
        self.params = {}
        rng = np.random.default_rng(seed=seed)
        self.initialize_parameters(layers_dims, rng)

    def initialize_parameters(self, layers_dims, rng):
        for l in range(1, self.L):
            self.params[f'W{l}'] = rng.normal(scale=0.001, size=(layers_dims[l - 1], layers_dims[l]))
            self.params[f'b{l}'] = np.zeros((1, layers_dims[l]))

    def forward_pass(self, X, training=False):
        outputs = {'x0': X}
        for l in range(1, self.L):
            outputs[f'z{l}'] = (outputs[f'x{l-1}'] @ self.params[f'W{l}']) + self.params[f'b{l}']
            outputs[f'x{l}'] = self.a[l]['activation'](outputs[f'z{l}'])
        return outputs if training else outputs[f'x{self.L-1}']

    def backward_pass(self, X, Y, coef):
        derivatives = {}
        l = self.L - 1
        derivatives[f'dZ{l}'] = (self.loss_function['derivative'](coef[f'x{l}'], Y) *
                                self.a[l]['derivative'](coef[f'z{l}']))

        derivatives[f'dW{l}'] = coef[f'x{l-1}'].T @ derivatives[f'dZ{l}']
        derivatives[f'db{l}'] = np.sum(derivatives[f'dZ{l}'], axis=0, keepdims=True)

        for l in range(self.L - 2, 0, -1):
            derivatives[f'dZ{l}'] = (derivatives[f'dZ{l+1}'] @ self.params[f'W{l+1}'].T *
                                    self.a[l]['derivative'](coef[f'z{l}']))

            derivatives[f'dW{l}'] = coef[f'x{l-1}'].T @ derivatives[f'dZ{l}']
            derivatives[f'db{l}'] = np.sum(derivatives[f'dZ{l}'], axis=0, keepdims=True)

        return derivatives

    def train(self, X, Y, n_it, learning_rate=0.01, verbose=True):
        for i in range(n_it):
            coef = self.forward_pass(X, training=True)
            derivatives = self.backward_pass(X, Y, coef)

            for l in range(1, self.L):
                self.params[f'W{l}'] -= learning_rate * derivatives[f'dW{l}']
                self.params[f'b{l}'] -= learning_rate * derivatives[f'db{l}']

            if verbose and i % 100 == 0:
                current_loss = self.loss_function['loss'](coef[f'x{self.L-1}'], Y)
                print(f"Iteration {i}: Loss = {current_loss:.6f}")


# Relu activation function and its derivative
def relu(z): return np.maximum(0, z)
def relu_derivative(z): return (z > 0).astype(float)
activation_relu_dict = {'activation': relu, 'derivative': relu_derivative}

# Identity activation function and its derivative
def identity(z): return z
def identity_derivative(z): return np.ones_like(z)
activation_output_dict = {'activation': identity, 'derivative': identity_derivative}

# Mean Squared Error loss function and its derivative
def mse(y_hat, Y): return np.mean((y_hat - Y) ** 2) / 2
def mse_prime(x, Y): return (x - Y) / Y.shape[0]
loss_dict = {'loss': mse, 'derivative': mse_prime}
