// The chapters' words, after "Feed Forward Neural Network" by Rodolfo Lourenzutti; numbers come from the library.


export const CHAPTERS = [
  {
    id: "network", group: "The network", title: "What a network is made of", from: "Section 2 of the tutorial",
    blocks: [
      "A feed-forward network is a chain of layers. Numbers come in at the left, the *input layer*; each further layer makes new numbers of them, and the last, the *output layer*, is the answer. What lies between is called hidden, only because nobody outside sees it.",
      { figure: 1, caption: "the picture that everybody draws: circles and lines." },
      "A circle is a *neuron*: it sends one number on. A line is a *weight*: the number that is sent along it is multiplied by it. But something is missing from the picture. Where several lines meet, what happens to the numbers they bring?",
      { figure: 2, caption: "the same network with the receptor that every neuron has, but for the inputs." },
      "They are added up in the box at the neuron's left, its *receptor* (elsewhere: pre-activation, or weighted sum). The neuron then passes the receptor's number through its *activation function* and sends the result. We draw the box, because the derivatives later go through it.",
      { list: ["*Input layer*: one neuron for each column of the data; its numbers are the data.", "*Weights*: numbers, positive or negative, that strengthen, weaken or turn round a signal. They are what is learnt.", "*Bias*: one more number, which a receptor adds on its own. The diagrams leave it out; the calculations do not."] },
      { play: "#view=play", text: "Look at this network live: click a line, or change a number of the data." },
    ],
  },
  {
    id: "notation", group: "The network", title: "Names for everything", from: "Section 3 of the tutorial",
    blocks: [
      "Many numbers need names. A superscript in brackets says the layer, from 0 for the input to $L$ for the output. Subscripts say which one.",
      { list: ["$x⁽ˡ⁾ₖ$ is neuron k of layer l, $z⁽ˡ⁾ₖ$ its receptor, $b⁽ˡ⁾ₖ$ the receptor's bias.", "$w⁽ˡ⁾ᵢⱼ$ is the weight from neuron i of layer l − 1 to neuron j of layer l: first who sends, then who receives.", "$x⁽ˡ⁾ᵢₖ$ with two indices is the value of neuron k for row i of the data."] },
      { figure: 3, caption: "one weight, and what its indices say." },
      "The weights between two layers are a matrix $W⁽ˡ⁾$: a row for each neuron that sends, a column for each that receives.",
      { figure: 4, caption: "the matrices under their lines." },
      { figure: 5, caption: "the shape of W⁽¹⁾." },
      { figure: 6, caption: "the second row of W⁽²⁾: all that leaves neuron 2 of layer 1." },
      { figure: 7, caption: "the second column of W⁽²⁾: all that arrives at neuron 2 of layer 2." },
      { formula: ["z⁽ˡ⁾ₖ = Σⱼ w⁽ˡ⁾ⱼₖ x⁽ˡ⁻¹⁾ⱼ + b⁽ˡ⁾ₖ", "x⁽ˡ⁾ₖ = a(z⁽ˡ⁾ₖ)"] },
      "For now a is relu, $a(z) = max{0, z}$, in the hidden layers, and the identity, $a(z) = z$, at the output.",
    ],
  },
  {
    id: "forward", group: "The network", title: "Forward, by hand", from: "Section 3, Example 1",
    blocks: [
      "Ten rows of synthetic data, and weights to start from. All biases are 0.",
      { figure: 8, caption: "the data and the first weights, as the library draws them from NumPy's generator." },
      "Take the first row, $x = (6.1, 8.7)$, and carry it through: every receptor adds up what arrives, every neuron sends what is left of it after relu. Do it with a pencil.",
      { exercise: "1n", name: "By hand" },
      { figure: 9, caption: "all numbers of row 1 in their places, to two decimals." },
      "Three of the five hidden neurons send nothing for this row: their receptors are below 0. Remember that when the derivatives come.",
    ],
  },
  {
    id: "matrices", group: "The network", title: "All rows at once", from: "Section 3.1, Example 2, Exercise 1",
    blocks: [
      "What was done for a row can be done for all: put the rows of the data under one another, and the sums become matrix products.",
      { formula: ["Z⁽ˡ⁾ = X⁽ˡ⁻¹⁾ W⁽ˡ⁾ + 1 b⁽ˡ⁾ᵀ      (1)", "X⁽ˡ⁾ = a(Z⁽ˡ⁾)      (2)"] },
      { figure: 10, caption: "a row for each sample, a column for each receptor." },
      { figure: 11, caption: "layer 1 for all ten rows." }, { figure: 12, caption: "layer 2." }, { figure: 13, caption: "layer 3, the predictions." },
      "In NumPy, `@` is the matrix product and `+ b` repeats the bias for every row. Fill in the six lines; they are tried on the tutorial's network and on a hidden one whose biases are not 0.",
      { exercise: "1", name: "Exercise 1" },
    ],
  },
  {
    id: "cost", group: "Backpropagation", title: "How wrong is it?", from: "Section 4.1",
    blocks: [
      "Before training, the predictions mean nothing. The *cost* says how wrong they are, in one number: half the mean of the squared differences.",
      { formula: ["J = 1/(2n) Σᵢ (ŷᵢ − yᵢ)²      (3)"] },
      "Data and truth are given, so J is a function of the weights alone. *Gradient descent* walks downhill on it: every weight is moved a little against its derivative, again and again.",
      { formula: ["w := w − η ∂J/∂w"] },
      "η, the *learning rate*, sets the length of a step. What is left to find is $∂J/∂w$ for each weight, and that is what backpropagation does.",
      { figure: 14, caption: "the cost at the end of the network." },
      { play: "#view=play&start=seed&hidden=16,8&init=he_normal&scale=standard&rate=0.002&seed=3", text: "Watch gradient descent on this data, with a network large enough to learn it." },
    ],
  },
  {
    id: "output", group: "Backpropagation", title: "The chain rule at the output", from: "Section 4.2.1, Exercise 2",
    blocks: [
      "How does J change if $w⁽³⁾₁₁$ changes a little? The weight moves the receptor $z⁽³⁾₁$, the receptor the neuron $x⁽³⁾₁$, the neuron J. Three links, three derivatives, and the chain rule multiplies them.",
      { formula: ["∂J/∂w⁽³⁾₁₁ = ∂J/∂x⁽³⁾₁ · ∂x⁽³⁾₁/∂z⁽³⁾₁ · ∂z⁽³⁾₁/∂w⁽³⁾₁₁      (4)"] },
      { figure: 15, caption: "from J back to the weight." },
      { heading: "Always the same three" },
      "However long the way, only these turn up on it:",
      { list: ["through a neuron: $∂x⁽ˡ⁾ₖ/∂z⁽ˡ⁾ₖ = a′(z⁽ˡ⁾ₖ)$; for relu 1 where z > 0, else 0;", "from a receptor to a weight: $∂z⁽ˡ⁾ₖ/∂w⁽ˡ⁾ⱼₖ = x⁽ˡ⁻¹⁾ⱼ$, the neuron that the weight multiplies;", "from a receptor to a neuron before it: $∂z⁽ˡ⁾ₖ/∂x⁽ˡ⁻¹⁾ⱼ = w⁽ˡ⁾ⱼₖ$, the weight between them."] },
      "Only the first link, from J, is different: $∂J/∂x⁽³⁾₁ = x⁽³⁾₁ − y₁$, since the ½ cancels the 2.",
      { figure: 16, caption: "the same with its numbers. No signal left x⁽²⁾₁ for this row, so its weight had no part in the error." },
      { figure: 17, caption: "the way to the neighbour, w⁽³⁾₂₁." },
      { exercise: "2", name: "Exercise 2" },
    ],
  },
  {
    id: "layer2", group: "Backpropagation", title: "One layer further back", from: "Section 4.2.2, Exercise 3",
    blocks: [
      "For a weight of layer 2 the way is longer by two links. The part from J to $z⁽³⁾₁$ is known already; what is new goes on from there.",
      { figure: 18, caption: "w⁽²⁾₃₂: the known part and the new part." },
      { formula: ["∂J/∂w⁽²⁾₃₂ = ∂J/∂z⁽³⁾₁ · ∂z⁽³⁾₁/∂x⁽²⁾₂ · ∂x⁽²⁾₂/∂z⁽²⁾₂ · ∂z⁽²⁾₂/∂w⁽²⁾₃₂"] },
      "A product is 0 as soon as one factor is. Here many are, so a wrong formula may well give the right number: enter formulas, and they are tried where nothing is 0.",
      { exercise: "3", name: "Exercise 3" },
      { heading: "Practice: four more weights of layer 2" },
      { exercise: "w2_11", name: "Practice" }, { exercise: "w2_12", name: "Practice" }, { exercise: "w2_22", name: "Practice" }, { exercise: "w2_31", name: "Practice" },
    ],
  },
  {
    id: "layer1", group: "Backpropagation", title: "Two ways at once", from: "Section 4.2.3, Exercise 4",
    blocks: [
      "A neuron of layer 1 sends to both neurons of layer 2, so a weight before it moves J along two ways. Where ways meet, their derivatives are added.",
      { figure: 19, caption: "the two ways of w⁽¹⁾₂₁; what they share is black." },
      { exercise: "4", name: "Exercise 4" },
      "For a bias the last link is 1 in place of x: nothing multiplies it.",
      { heading: "Practice: four more weights of layer 1" },
      { exercise: "w1_11", name: "Practice" }, { exercise: "w1_13", name: "Practice" }, { exercise: "w1_22", name: "Practice" }, { exercise: "w1_23", name: "Practice" },
      { play: "#view=play&weight=1", text: "See the paths of any weight in the playground." },
    ],
  },
  {
    id: "general", group: "Backpropagation", title: "δ: the whole gradient in one sweep", from: "Section 4.2.4",
    blocks: [
      "All ways share their beginnings. So the derivative by a receptor is found once, named δ, and passed on: that is the whole trick.",
      { formula: ["δ⁽ᴸ⁾ₖ = ∂J/∂x⁽ᴸ⁾ₖ · a′(z⁽ᴸ⁾ₖ)      (8)", "δ⁽ˡ⁾ₖ = (Σₘ δ⁽ˡ⁺¹⁾ₘ w⁽ˡ⁺¹⁾ₖₘ) · a′(z⁽ˡ⁾ₖ)      (9)", "∂J/∂w⁽ˡ⁾ᵢₖ = δ⁽ˡ⁾ₖ x⁽ˡ⁻¹⁾ᵢ      (10)", "∂J/∂b⁽ˡ⁾ₖ = δ⁽ˡ⁾ₖ      (11)"] },
      "With n rows, J is a mean, so each row's δ holds a 1/n, and the sums over the rows need no further dividing.",
      "A network of any depth needs one pass forward and one back, where the paths would be as many as the product of the layers' widths. The playground shows both: for every weight its paths, and δ's number beside their sum.",
    ],
  },
  {
    id: "functions", group: "In NumPy", title: "Activations and cost as code", from: "Sections 5.1 and 5.2, Exercises 5 to 7",
    blocks: [
      "A network class needs to know each activation and its derivative, and the cost and its. The tutorial passes them as dictionaries of two functions; here you write the functions' last lines.",
      { exercise: "5", name: "Exercise 5" }, { exercise: "6", name: "Exercise 6" }, { exercise: "7", name: "Exercise 7" },
    ],
  },
  {
    id: "class", group: "In NumPy", title: "The class NN", from: "Section 5.3, Exercises 8 to 10",
    blocks: [
      "The class keeps its parameters in a dictionary, `self.params`, under W1, b1, W2, …; its methods are loops over the layers. `self.L` is the number of layers, so the last layer has the index `self.L - 1`.",
      { exercise: "8", name: "Exercise 8" }, { exercise: "9", name: "Exercise 9" },
      "The backward pass stores dZ, which is δ, and dW and db. Your lines are run on a hidden network, and the library's diagnosis says which term of which layer is wrong.",
      { exercise: "10", name: "Exercise 10" },
    ],
  },
  {
    id: "training", group: "In NumPy", title: "Training", from: "Sections 5.4 to 6, Exercise 11",
    blocks: [
      "Forward, backward, update, again and again: that is all there is to training.",
      { exercise: "11", name: "Exercise 11" },
      "The printed loss is J before the update. Let the tutorial's own run pass in the playground: weights from N(0, 0.001²), seed 1, η = 0.001, 1,000 epochs. J falls, yet look at the surface: the network says the same for every row. Only the last bias has learnt; the two neurons of layer 2 are dead after the first step.",
      { play: "#view=play&start=seed&run=1000", text: "The tutorial's run, 1,000 epochs of it." },
      { play: "#view=play&start=seed&hidden=16,8&init=he_normal&scale=standard&rate=0.002&seed=3&run=1000", text: "The same data, with 16 and 8 neurons and he's start: it learns." },
    ],
  },
  {
    id: "pytorch", group: "In PyTorch", title: "The same network in PyTorch", from: "Section 7, which the tutorial only announces",
    blocks: [
      "In practice nobody writes the backward pass. A framework keeps a *tape*: on the way forward it notes every operation and what its derivative needs; on the way back it reads the tape from its end and multiplies. That is the chain rule, and nothing else.",
      { heading: "The tape of row 1, along one way" },
      { tape: true },
      { heading: "Line beside line" },
      { side: [["The class, in NumPy", "nn = NN([2, 3, 2, 1], relu, identity, mse)\n\ncoef = nn.forward_pass(X, training=True)\nJ = mse['loss'](coef['x3'], Y)\n\nd = nn.backward_pass(X, Y, coef)\n\n\nfor l in range(1, nn.L):\n    nn.params[f'W{l}'] -= lr * d[f'dW{l}']\n    nn.params[f'b{l}'] -= lr * d[f'db{l}']"], ["PyTorch", "model = nn.Sequential(nn.Linear(2, 3), nn.ReLU(),\n    nn.Linear(3, 2), nn.ReLU(), nn.Linear(2, 1))\npredicted = model(X)     # writes the tape\nJ = ((predicted - Y) ** 2).sum() / (2 * len(Y))\n\noptimizer.zero_grad()    # else gradients add up\nJ.backward()             # reads it backwards\n\noptimizer.step()         # w := w − η ∂J/∂w"]] },
      { list: ["`nn.Linear` keeps W as [n_out, n_in], the transpose of ours: `model[0].weight` is $W⁽¹⁾ᵀ$.", "A gradient adds to what is there: `zero_grad` clears it before every backward pass.", "`nn.MSELoss` has no ½, so its gradient is twice ours."] },
      { heading: "The whole script" },
      "From Figure 8's weights, as the playground writes it for any of its runs:",
      { script: true },
    ],
  },
  ...[
    ["activation", "Activation functions", "Section 8.1", ["Why not simply pass the receptor's number on? And why relu, of all functions? What counts is the bend, and how much of a derivative gets through."]],
    ["initialisation", "First weights", "Section 8.2", ["A layer adds up n signals. If the weights' deviation is σ, the sum has about σ√n times the signal's size, layer after layer: ten layers take the tenth power of that. Only one σ keeps it level."]],
    ["vanishing", "Vanishing and exploding gradients", "Section 8.3", ["Backwards the same happens to δ: each layer multiplies it by weights and a slope. A factor a little below 1 vanishes in a deep network, one a little above explodes."]],
    ["dropout", "Dropout", "Section 8.4.1", ["A network with more weights than rows can learn its rows by heart, noise and all. Dropout silences neurons at random at every step, so none can rely on another; the others are scaled up to make up for it. At prediction all of them speak."]],
    ["decay", "Weight decay", "Section 8.4.2", ["Large weights make steep surfaces, which bend to every noisy point. A penalty ½λ‖W‖² draws all weights towards 0, unless the data pull harder."]],
    ["stopping", "Early stopping", "Section 8.4.3", ["First a network learns what the rows have in common, then what sets them apart. Rows that it does not learn from tell when the second begins: stop there, and keep the weights of the best epoch."]],
    ["norm", "Batch normalisation", "Section 8.5", ["Columns of a table differ in size by powers of ten, and so do receptors in a badly started network. Batch norm brings each to mean 0 and deviation 1 within its mini-batch, then lets the network choose another scale and shift."]],
  ].map(([id, title, section, words]) => ({ id, group: "Labs", title, from: `${section}, which the tutorial only announces`, blocks: [...words, { lab: id }] })),
];
