use super::*;

fn answer(id: &str, given: &[(&str, &str)]) -> Json {
    let asked = exercise(id).unwrap();
    let mut answers = Map::new();
    for field in asked["fields"].as_array().unwrap() {
        let (name, solution) = (field["id"].as_str().unwrap(), field["solution"].clone());
        let own = given.iter().find(|(field, _)| *field == name).map(|(_, text)| Json::from(*text));
        answers.insert(name.into(), own.unwrap_or(solution));
    }
    check(id, &Json::Object(answers)).unwrap()
}

#[track_caller]
fn right(id: &str, given: &[(&str, &str)]) {
    let said = answer(id, given);
    assert_eq!(said["passed"], true, "{id} {given:?}: {said}");
}

/// One wrong field among right ones, and a part of what is said about it.
#[track_caller]
fn wrong(id: &str, field: &str, text: &str, part: &str) {
    let said = answer(id, &[(field, text)]);
    let told = format!("{} {}", said["fields"][field]["text"], said["verdict"]);
    assert_eq!(said["passed"], false, "{id} {field} = {text}");
    assert!(told.contains(part), "{id} {field} = {text}: expected {part:?} in {told}");
    for (other, judged) in said["fields"].as_object().unwrap() {
        assert!(other == field || judged["state"] == "good", "{id}: {other} is blamed for {field} = {text}: {judged}");
    }
}

#[test]
fn the_solutions_are_accepted() {
    for id in ["1", "1n", "2", "3", "4", "5", "6", "7", "8", "9", "10", "11"] {
        right(id, &[]);
    }
    for (id, ..) in WEIGHTS {
        right(id, &[]);
    }
}

#[test]
fn exercise_1_takes_several_forms_and_tells_wrong_ones_apart() {
    right(
        "1",
        &[
            ("Z1", "np.dot(X, W1) + b1"),
            ("X1", "np.maximum(Z1, 0)"),
            ("Z2", "b2 + X1 @ W2"),
            ("X2", "Z2 * (Z2 > 0)"),
            ("Z3", "X2.dot(W3) + b3"),
            ("X3", "1 * Z3"),
        ],
    );
    right("1", &[("X1", "np.where(Z1 > 0, Z1, 0)"), ("Z2", "np.matmul(X1, W2) + b2")]);
    wrong("1", "Z1", "W1 @ X", "does not fit");
    wrong("1", "Z1", "X @ W1", "The bias is missing");
    wrong("1", "X1", "Z1", "activation is missing");
    wrong("1", "X1", "np.fmin(0, Z1)", "below 0");
    wrong("1", "Z2", "Z1 @ W2 + b2", "receptors Z1");
    wrong("1", "X2", "Z2 > 0", "derivative");
    wrong("1", "X3", "np.fmax(0, Z3)", "identity");
    wrong("1", "Z1", "X @ W1.T + b1", "does not fit");
    // What is right on the tutorial's numbers only is said to be so.
    let said = answer("1", &[("Z1", "X @ W1")]);
    assert_eq!(said["fields"]["Z1"]["state"], "unsure");
}

#[test]
fn row_1_is_checked_number_by_number() {
    right("1n", &[("z⁽¹⁾₂", "0.818"), ("z⁽¹⁾₁", "−0.314"), ("x⁽¹⁾₂", "Z1[0, 1]*(Z1[0, 1] > 0)"), ("z⁽³⁾₁", "0.00172")]);
    right("1n", &[("z⁽¹⁾₂", "0.06*0 + 0.02*6.1 + 0.08*8.7")]);
    wrong("1n", "z⁽¹⁾₂", "-0.818", "sign");
    wrong("1n", "x⁽¹⁾₁", "-0.314", "activation is missing");
    wrong("1n", "x⁽¹⁾₂", "0", "above 0");
    wrong("1n", "z⁽¹⁾₂", "0.122", "first signal alone");
    wrong("1n", "z⁽²⁾₁", "Z1[0] @ W2[:, 0]", "receptors");
    wrong("1n", "z⁽¹⁾₃", "X[1] @ W1[:, 2]", "row 2");
}

#[test]
fn exercise_2_takes_numbers_and_formulas() {
    right("2", &[("f0", "0.0017178 - 113"), ("f1", "1"), ("f2", "0.02454"), ("result", "-2.773")]);
    right("2", &[("f0", "X3[0,0] - Y[0]"), ("f2", "X2[0, 1]"), ("result", "(X3[0, 0] - Y[0]) * 1 * X2[0, 1]")]);
    wrong("2", "f0", "113 - 0.0017178", "sign");
    wrong("2", "f0", "-110", "Nearly");
    wrong("2", "f0", "-56.5", "That is not it");
    wrong("2", "f1", "0", "slope is 1");
    wrong("2", "f2", "0.07", "weight itself");
    wrong("2", "f2", "X2[0, 0]", "another neuron");
    wrong("2", "f2", "Z2[0, 1]", "by luck");
    wrong("2", "result", "2.773", "sign");
    wrong("2", "result", "-0.2773", "ten rows");
}

#[test]
fn exercise_3_is_0_but_not_for_any_reason() {
    right("3", &[("result", "0"), ("f3", "(Z2[0, 0] > 0)"), ("f2", "-0.05")]);
    right("3", &[("f3", "1 if Z2[0, 0] > 0 else 0"), ("result", "(X3[0]-Y[0]) * W3[0, 0] * (Z2[0, 0]>0) * X1[0, 1]")]);
    wrong("3", "f3", "1", "slope is 1 where z is above 0");
    wrong("3", "f2", "0.07", "another weight");
    wrong("3", "f4", "0", "That is another neuron");
    wrong("3", "f4", "-0.09", "weight itself");
    // The wrong gate gives 0 as well.
    wrong("3", "result", "(X3[0]-Y[0]) * W3[0, 0] * X2[0, 0] * X1[0, 1]", "by luck");
}

#[test]
fn exercise_4_needs_both_paths() {
    right("4", &[("result", "-1.4475")]);
    right(
        "4",
        &[(
            "result",
            "(X3[0,0]-Y[0,0]) * (W3[0,0]*(Z2[0,0]>0)*W2[1,0] + W3[1,0]*(Z2[0,1]>0)*W2[1,1]) * (Z1[0,1]>0) * X[0,0]",
        )],
    );
    // One path is 0 for row 1: the number is right by luck.
    wrong("4", "result", "(X3[0,0]-Y[0,0]) * W3[1,0]*(Z2[0,1]>0)*W2[1,1] * (Z1[0,1]>0) * X[0,0]", "by luck");
    wrong("4", "result", "0", "alone");
    wrong("4", "result", "1.4475", "sign");
    let asked = exercise("4").unwrap();
    let field = |derivative: &str| {
        asked["fields"].as_array().unwrap().iter().find(|f| f["label"] == derivative).unwrap()["id"]
            .as_str()
            .unwrap()
            .to_owned()
    };
    wrong("4", &field("∂z⁽¹⁾₂/∂w⁽¹⁾₁₂"), "8.7", "another neuron");
    wrong("4", &field("∂z⁽²⁾₁/∂x⁽¹⁾₂"), "W2[0, 1]", "other way round");
    wrong("4", &field("∂x⁽¹⁾₂/∂z⁽¹⁾₂"), "0.818", "a′(z)");
}

#[test]
fn the_practice_weights_have_the_tutorial_s_values() {
    let values = [
        ("w2_11", 0.0),
        ("w2_12", 0.0),
        ("w2_22", -6.470_281_638_772),
        ("w2_31", 0.0),
        ("w1_11", 0.0),
        ("w1_13", 0.0),
        ("w1_22", -2.064_478_615_794),
        ("w1_23", 0.0),
    ];
    for (id, value) in values {
        right(id, &[("result", &value.to_string())]);
        wrong(id, "result", &(value + 1.0).to_string(), "not");
    }
}

#[test]
fn exercise_5_is_relu_and_its_slope() {
    right("5", &[("relu", "np.where(z > 0, z, 0)"), ("slope", "np.where(z > 0, 1, 0)")]);
    right("5", &[("relu", "z * (z > 0)"), ("slope", "1.0 * (z > 0)")]);
    wrong("5", "relu", "np.minimum(0, z)", "positive ones");
    wrong("5", "relu", "z", "identity");
    wrong("5", "slope", "z >= 0", "z = 0");
    wrong("5", "slope", "np.maximum(0, z)", "relu itself");
    wrong("5", "slope", "np.ones_like(z)", "lacks the factor a′");
    wrong("5", "slope", "z < 0", "other way round");
    wrong("5", "relu", "max(0)", "two arguments");
}

#[test]
fn exercise_6_is_the_identity() {
    right("6", &[("identity", "1 * z"), ("slope", "np.ones_like(z)")]);
    right("6", &[("slope", "z * 0 + 1")]);
    wrong("6", "identity", "np.maximum(0, z)", "relu");
    wrong("6", "identity", "np.ones_like(z)", "derivative");
    wrong("6", "slope", "1", "z's shape");
    wrong("6", "slope", "z", "function");
    wrong("6", "slope", "z > 0", "relu's");
    wrong("6", "slope", "np.zeros_like(z)", "slope 0");
}

#[test]
fn exercise_7_tells_every_wrong_factor() {
    right("7", &[("mse", "((a - Y) ** 2).mean() / 2"), ("slope", "(a - Y) / len(Y)")]);
    right("7", &[("mse", "np.sum((a - Y) ** 2) / (2 * Y.shape[0])"), ("slope", "(1 / Y.shape[0]) * (a - Y)")]);
    wrong("7", "mse", "np.mean((a - Y) ** 2)", "½ is missing");
    wrong("7", "mse", "np.sum((a - Y) ** 2) / 2", "sum over the rows");
    wrong("7", "mse", "np.mean(a - Y) / 2", "not squared");
    wrong("7", "slope", "a - Y", "not divided by the 5 rows");
    wrong("7", "slope", "(Y - a) / Y.shape[0]", "sign");
    wrong("7", "slope", "(a - Y) / Y.size", "divided by the 2 outputs too");
    wrong("7", "slope", "2 * (a - Y) / Y.shape[0]", "a 2 too many");
}

#[test]
fn exercise_8_draws_as_the_library_does() {
    right(
        "8",
        &[
            ("W", "rng.normal(0, 0.001, (layers_dims[l-1], layers_dims[l]))"),
            ("b", "0 * np.ones((1, layers_dims[l]))"),
            ("range", "range(1, len(layers_dims))"),
        ],
    );
    right("8", &[("W", "rng.normal(size=(layers_dims[l - 1], layers_dims[l])) * 0.001")]);
    wrong("8", "range", "range(self.L)", "Begin at 1");
    wrong("8", "range", "range(1, self.L - 1)", "output layer is left out");
    wrong("8", "W", "rng.normal(scale=0.001, size=(layers_dims[l], layers_dims[l-1]))", "turned round");
    wrong("8", "W", "rng.normal(size=(layers_dims[l-1], layers_dims[l]))", "scale is missing");
    wrong("8", "W", "np.zeros((layers_dims[l-1], layers_dims[l]))", "equal for ever");
    wrong("8", "b", "np.zeros((layers_dims[l], 1))", "one row");
    wrong("8", "b", "np.zeros(layers_dims[l])", "shape (1, n)");
}

#[test]
fn exercise_9_is_one_loop_for_any_network() {
    right("9", &[("z", "np.dot(outputs[f'x{l - 1}'], self.params[f'W{l}']) + self.params[f'b{l}']")]);
    right(
        "9",
        &[("z", "(outputs[f'x{l-1}'] @ self.params[f\"W{l}\"]) + self.params['b' + 'x']")]
            .map(|_| ("x", "self.a[l]['activation'](outputs[f'z{l}'])")),
    );
    wrong("9", "z", "outputs[f'x{l-1}'] @ self.params[f'W{l}']", "bias is missing");
    wrong("9", "z", "X @ self.params[f'W{l}'] + self.params[f'b{l}']", "does not fit");
    wrong("9", "z", "outputs[f'x{l}'] @ self.params[f'W{l}'] + self.params[f'b{l}']", "no key");
    wrong("9", "z", "outputs[f'z{l-1}'] @ self.params[f'W{l}'] + self.params[f'b{l}']", "not its receptor");
    wrong("9", "x", "outputs[f'z{l}']", "activation is missing");
    wrong("9", "x", "np.maximum(0, outputs[f'z{l}'])", "only one activation");
    wrong("9", "x", "self.a[l]['derivative'](outputs[f'z{l}'])", "derivative");
}

#[test]
fn exercise_10_is_judged_by_the_library_s_diagnosis() {
    right(
        "10",
        &[
            ("dZ", "self.a[l]['derivative'](coef[f'z{l}']) * (derivatives[f'dZ{l+1}'] @ self.params[f'W{l+1}'].T)"),
            ("dW", "np.dot(coef[f'x{l-1}'].T, derivatives[f'dZ{l}'])"),
            ("db", "derivatives[f'dZ{l}'].sum(axis=0, keepdims=True)"),
        ],
    );
    right("10", &[("dW", "(derivatives[f'dZ{l}'].T @ coef[f'x{l-1}']).T")]);
    wrong("10", "dZ", "derivatives[f'dZ{l+1}'] @ self.params[f'W{l+1}'].T", "lacks the factor a′");
    wrong(
        "10",
        "dZ",
        "derivatives[f'dZ{l+1}'] @ self.params[f'W{l+1}'].T * self.a[l]['derivative'](coef[f'x{l}'])",
        "derivative at X",
    );
    wrong(
        "10",
        "dZ",
        "derivatives[f'dZ{l+1}'] @ self.params[f'W{l+1}'] * self.a[l]['derivative'](coef[f'z{l}'])",
        "does not fit",
    );
    wrong(
        "10",
        "dZ",
        "-derivatives[f'dZ{l+1}'] @ self.params[f'W{l+1}'].T * self.a[l]['derivative'](coef[f'z{l}'])",
        "wrong sign",
    );
    wrong("10", "dW", "coef[f'z{l-1}'].T @ derivatives[f'dZ{l}']", "no key");
    wrong("10", "dW", "coef[f'x{l-1}'].T @ derivatives[f'dZ{l}'] / X.shape[0]", "once too often");
    wrong("10", "dW", "derivatives[f'dZ{l}'].T @ coef[f'x{l-1}']", "transposed");
    wrong("10", "db", "np.sum(derivatives[f'dZ{l}'])", "one number");
    wrong("10", "db", "np.mean(derivatives[f'dZ{l}'], axis=0, keepdims=True)", "once too often");
    wrong("10", "db", "np.sum(derivatives[f'dZ{l}'], axis=0)", "keepdims");
}

#[test]
fn exercise_11_trains_as_the_library_does() {
    right("11", &[("coef", "self.forward_pass(X, True)"), ("W", "derivatives[f'dW{l}'] * learning_rate")]);
    right("11", &[("b", "learning_rate * np.array(derivatives[f'db{l}'])")]);
    wrong("11", "coef", "self.forward_pass(X)", "training=True");
    wrong("11", "derivatives", "self.backward_pass(X, coef, Y)", "in this order");
    wrong("11", "W", "derivatives[f'dW{l}']", "learning rate is missing");
    wrong("11", "W", "-learning_rate * derivatives[f'dW{l}']", "climb");
    wrong("11", "b", "0", "biases learn too");
    wrong("11", "b", "learning_rate * derivatives[f'dW{l}']", "not the biases' shape");
}

#[test]
fn no_answer_panics() {
    for id in ["1", "1n", "2", "4", "5", "6", "7", "8", "9", "10", "11", "w1_23"] {
        let asked = exercise(id).unwrap();
        for text in [
            "",
            "(",
            "np.zeros((9999, 9999))",
            "1/0",
            "0/0",
            "'x'",
            "np",
            "X",
            "self",
            "None",
            "range(9)",
            "[[1, 2], [3]]",
            "[]",
            "np.sum([])",
            "np.zeros((0, 3))",
            "1e999",
            "self.a[l]",
        ] {
            for field in asked["fields"].as_array().unwrap() {
                let _ = answer(id, &[(field["id"].as_str().unwrap(), text)]);
            }
        }
    }
    assert!(check("12", &json!({})).is_err());
}
