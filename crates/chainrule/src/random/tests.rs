//! The vectors of `testdata/numpy-random` and `testdata/tutorial.json`, and the streams' published ones.

use super::normal::{self, R, R_F32};
use super::{Generator, GeneratorState, Philox, Purpose, SeedSequence, Stream, default_rng, ziggurat};
use serde_json::Value;
use sha2::{Digest, Sha256};

fn vectors() -> Value {
    serde_json::from_str(include_str!("../../../../testdata/numpy-random/vectors.json")).unwrap()
}

/// The seeds of the vectors, by what NumPy was given.
fn seed(name: &Value) -> SeedSequence {
    match name.as_str().unwrap() {
        "0" => 0.into(),
        "1" => 1.into(),
        "42" => 42.into(),
        "2**40+1" => ((1 << 40) + 1).into(),
        "2**128+5" => SeedSequence::from_words(&[5, 0, 0, 0, 1]),
        "[1, 2, 3]" => [1, 2, 3].into(),
        "[2**40+1, 7]" => [(1 << 40) + 1, 7].into(),
        "[0, 0, 0, 0, 1]" => [0, 0, 0, 0, 1].into(),
        other => panic!("a seed unknown to the test: {other}"),
    }
}

/// A bit pattern: floats are compared by their bits.
fn hex(value: &Value) -> u128 {
    u128::from_str_radix(value.as_str().unwrap(), 16).unwrap()
}

fn hexes(value: &Value) -> Vec<u128> {
    value.as_array().unwrap().iter().map(hex).collect()
}

fn integers(value: &Value) -> Vec<i64> {
    value.as_array().unwrap().iter().map(|x| x.as_i64().unwrap()).collect()
}

/// As many draws as there are patterns.
fn draws(patterns: &[u128], mut draw: impl FnMut() -> u128) -> Vec<u128> {
    patterns.iter().map(|_| draw()).collect()
}

fn bits64(x: f64) -> u128 {
    x.to_bits().into()
}

fn bits32(x: f32) -> u128 {
    x.to_bits().into()
}

#[test]
fn every_method_gives_numpys_numbers_for_every_kind_of_seed() {
    for vector in vectors()["seeds"].as_array().unwrap() {
        let name = &vector["seed"];
        let sequence = seed(name);
        let rng = || default_rng(seed(name));
        let same = |method: &str, draw: &mut dyn FnMut() -> u128| {
            let expected = hexes(&vector[method]);
            assert!(!expected.is_empty(), "no vector of {method}");
            assert_eq!(draws(&expected, draw), expected, "{method} of seed {name}");
        };
        assert_eq!(sequence.pool.map(u128::from)[..], hexes(&vector["pool"]), "{name}");
        assert_eq!(sequence.generate_state::<4>().map(u128::from)[..], hexes(&vector["generate_state_u32"]), "{name}");
        assert_eq!(
            sequence.generate_state_u64::<4>().map(u128::from)[..],
            hexes(&vector["generate_state_u64"]),
            "{name}"
        );
        assert_eq!(rng().state().state, hex(&vector["state"]), "{name}");
        assert_eq!(rng().state().increment, hex(&vector["inc"]), "{name}");

        let mut r = rng();
        same("next_u64", &mut || r.next_u64().into());
        let mut r = rng();
        same("random_f64", &mut || bits64(r.random_f64()));
        let mut r = rng();
        same("random_f32", &mut || bits32(r.random_f32()));
        let mut r = rng();
        same("uniform(-0.5, 0.5)", &mut || bits64(r.uniform(-0.5, 0.5).unwrap()));
        let mut r = rng();
        same("standard_normal_f64", &mut || bits64(r.standard_normal_f64()));
        let mut r = rng();
        same("standard_normal_f32", &mut || bits32(r.standard_normal_f32()));
        let mut r = rng();
        same("normal(1.5, 0.02)", &mut || bits64(r.normal(1.5, 0.02).unwrap()));

        let order: Vec<i64> = rng().permutation(10).into_iter().map(|i| i as i64).collect();
        assert_eq!(order, integers(&vector["permutation(10)"]), "permutation of seed {name}");
        for (method, high) in [("integers(0, 10)", 10), ("integers(0, 2**40+12345)", (1 << 40) + 12345)] {
            let expected = integers(&vector[method]);
            let mut r = rng();
            let got: Vec<i64> = expected.iter().map(|_| r.integers(0, high).unwrap()).collect();
            assert_eq!(got, expected, "{method} of seed {name}");
        }
    }
}

#[test]
fn integers_of_every_width_are_numpys() {
    let vectors = vectors();
    for range in vectors["integers_seed_42"].as_array().unwrap() {
        let (low, high) = (range["low"].as_i64().unwrap(), range["high"].as_i64().unwrap());
        let expected = integers(&range["values"]);
        let mut rng = default_rng(42);
        let got: Vec<i64> = expected.iter().map(|_| rng.integers(low, high).unwrap()).collect();
        assert_eq!(got, expected, "integers({low}, {high})");
    }
}

#[test]
fn the_slow_paths_of_the_ziggurat_stand_where_numpys_do() {
    let mut rng = default_rng(42);
    let normals: Vec<f64> = (0..12_000).map(|_| rng.standard_normal_f64()).collect();
    for path in vectors()["slow_paths_of_standard_normal_f64_seed_42"].as_array().unwrap() {
        let index = path["index"].as_u64().unwrap() as usize;
        assert_eq!(bits64(normals[index]), hex(&path["bits"]), "element {index}");
    }
}

#[test]
fn a_buffered_half_survives_draws_of_64_bits() {
    let mut rng = default_rng(42);
    for call in vectors()["interleaved_seed_42"].as_array().unwrap() {
        let expected = &call[1];
        match call[0].as_str().unwrap() {
            "random_f32" => assert_eq!(bits32(rng.random_f32()), hex(expected)),
            "random_f64" => assert_eq!(bits64(rng.random_f64()), hex(expected)),
            "standard_normal_f64" => assert_eq!(bits64(rng.standard_normal_f64()), hex(expected)),
            "integers(0, 10)" => assert_eq!(rng.integers(0, 10).ok(), expected.as_i64()),
            "permutation(5)" => {
                let order: Vec<i64> = rng.permutation(5).into_iter().map(|i| i as i64).collect();
                assert_eq!(order, integers(expected));
            }
            other => panic!("a method unknown to the test: {other}"),
        }
    }
}

#[test]
fn children_are_numpys_children() {
    let vectors = vectors();
    let spawned = &vectors["spawned"];
    let mut parent = seed(&spawned["seed"]);
    let mut last = None;
    for expected in spawned["children"].as_array().unwrap() {
        let child = parent.spawn();
        assert_eq!(child.generate_state::<4>().map(u128::from)[..], hexes(&expected["generate_state_u32"]));
        let mut rng = default_rng(child.clone());
        assert_eq!(rng.state().state, hex(&expected["state"]));
        assert_eq!(bits64(rng.random_f64()), hex(&expected["random_f64"]));
        last = Some(child);
    }
    let grandchild = last.unwrap().spawn();
    assert_eq!(grandchild.generate_state::<2>().map(u128::from)[..], hexes(&spawned["first_child_of_the_second"]));
}

#[test]
fn an_integer_is_its_words_however_it_is_given() {
    assert_eq!(SeedSequence::from((1 << 40) + 1), SeedSequence::from_words(&[1, 256]));
    assert_eq!(SeedSequence::from_u128(7 << 96), SeedSequence::from_words(&[0, 0, 0, 7]));
    assert_eq!(SeedSequence::from(0), SeedSequence::from_words(&[0]));
    assert_eq!(SeedSequence::from([(1 << 40) + 1, 7]), SeedSequence::from_words(&[1, 256, 7]));
}

#[test]
fn raw_numbers_are_those_of_numpys_own_test_sets() {
    for set in [
        include_str!("../../../../testdata/numpy-random/pcg64-testset-1.csv"),
        include_str!("../../../../testdata/numpy-random/pcg64-testset-2.csv"),
    ] {
        let mut numbers = set.lines().map(|line| {
            let (_, number) = line.split_once(", 0x").unwrap();
            u64::from_str_radix(number, 16).unwrap()
        });
        let mut rng = default_rng(numbers.next().unwrap());
        assert_eq!(numbers.inspect(|&number| assert_eq!(rng.next_u64(), number)).count(), 1000);
    }
}

const MILLION: usize = 1_000_000;

fn sha256(bytes: impl Iterator<Item = impl AsRef<[u8]>>) -> String {
    let mut hash = Sha256::new();
    bytes.for_each(|bytes| hash.update(bytes));
    hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The hash of a million draws, little-endian.
fn hash_of<const BYTES: usize>(mut draw: impl FnMut() -> [u8; BYTES]) -> String {
    sha256((0..MILLION).map(|_| draw()))
}

#[test]
fn a_million_numbers_of_each_method_are_numpys() {
    for vector in vectors()["sha256_of_the_first_1000000"].as_array().unwrap() {
        let name = &vector["seed"];
        let rng = || default_rng(seed(name));
        let mut r = rng();
        assert_eq!(hash_of(|| r.next_u64().to_le_bytes()), vector["next_u64"], "{name}");
        let mut r = rng();
        assert_eq!(hash_of(|| r.random_f64().to_le_bytes()), vector["random_f64"], "{name}");
        let mut r = rng();
        assert_eq!(hash_of(|| r.random_f32().to_le_bytes()), vector["random_f32"], "{name}");
        let mut r = rng();
        assert_eq!(hash_of(|| r.uniform(-0.1, 0.1).unwrap().to_le_bytes()), vector["uniform(-0.1, 0.1)"], "{name}");
        let mut r = rng();
        assert_eq!(hash_of(|| r.integers(0, 1000).unwrap().to_le_bytes()), vector["integers(0, 1000)"], "{name}");
        let order = rng().permutation(MILLION);
        assert_eq!(sha256(order.iter().map(|&i| (i as u64).to_le_bytes())), vector["permutation(1000000)"], "{name}");
    }
}

/// A million normals as `draw` draws them: the hash, with the recorded elements as NumPy drew them.
fn normals_with_numpys_tails<const BYTES: usize>(
    vectors: &Value,
    name: &Value,
    method: &str,
    tail: f64,
    mut draw: impl FnMut() -> (u64, f64, [u8; BYTES]),
) -> String {
    let normals: Vec<_> = (0..MILLION).map(|_| draw()).collect();
    let mut bytes: Vec<[u8; BYTES]> = normals.iter().map(|normal| normal.2).collect();
    let mut recorded = 0;
    for difference in vectors["differences_in_the_first_1000000"].as_array().unwrap() {
        if difference["seed"] == *name && difference["method"] == method {
            let index = difference["index"].as_u64().unwrap() as usize;
            let numpys = hex(&difference["numpy"]) as u64;
            let (ours, value, _) = normals[index];
            assert_eq!(ours.abs_diff(numpys), 1, "element {index} of {method}, seed {name}, is not one ULP away");
            assert!(value.abs() > tail, "element {index} of {method}, seed {name}, is no tail draw");
            bytes[index].copy_from_slice(&numpys.to_le_bytes()[..BYTES]);
            recorded += 1;
        }
    }
    assert!(recorded <= 3, "{recorded} differences in {method}, seed {name}");
    sha256(bytes.iter())
}

#[test]
fn a_million_normals_are_numpys_but_for_at_most_three_tail_draws_by_one_ulp() {
    let vectors = vectors();
    for vector in vectors["sha256_of_the_first_1000000"].as_array().unwrap() {
        let name = &vector["seed"];
        let mut rng = default_rng(seed(name));
        let hash = normals_with_numpys_tails(&vectors, name, "standard_normal_f64", R, || {
            let z = rng.standard_normal_f64();
            (z.to_bits(), z, z.to_le_bytes())
        });
        assert_eq!(hash, vector["standard_normal_f64"], "seed {name}");
        let mut rng = default_rng(seed(name));
        let hash = normals_with_numpys_tails(&vectors, name, "standard_normal_f32", R_F32.into(), || {
            let z = rng.standard_normal_f32();
            (z.to_bits().into(), z.into(), z.to_le_bytes())
        });
        assert_eq!(hash, vector["standard_normal_f32"], "seed {name}");
    }
}

/// That nothing but log1p's rounding makes those differences. NumPy's numbers were drawn with glibc 2.36.
#[test]
#[allow(clippy::disallowed_methods)]
fn a_million_normals_are_numpys_with_the_log1p_that_numpy_had() {
    if std::env::var_os("CHAINRULE_TEST_GLIBC_LOG1P").is_none() {
        return; // needs a C library whose log1p rounds as glibc 2.36's does
    }
    for vector in vectors()["sha256_of_the_first_1000000"].as_array().unwrap() {
        let name = &vector["seed"];
        let mut rng = default_rng(seed(name));
        let hash = hash_of(|| normal::standard_f64(&mut rng, f64::ln_1p).to_le_bytes());
        assert_eq!(hash, vector["standard_normal_f64"], "seed {name}");
        let mut rng = default_rng(seed(name));
        let hash = hash_of(|| normal::standard_f32(&mut rng, f32::ln_1p).to_le_bytes());
        assert_eq!(hash, vector["standard_normal_f32"], "seed {name}");
    }
}

#[test]
fn the_ziggurats_tables_are_numpys() {
    use ziggurat::{F32, F64, K32, K64, W32, W64};
    let tables = [
        (
            "565295797825931547a1036f5b012a247be54abbe077c39fe06c8ed1e9d0a5a9",
            sha256(K64.iter().map(|x| x.to_le_bytes())),
        ),
        (
            "33c6472209e1d09ea3548f0291e5e1ad67fb4f1d0305e9f1086689584b7bb7fa",
            sha256(W64.iter().map(|x| x.to_le_bytes())),
        ),
        (
            "acd898d9d87e212f657755ba43b21e40958090a7ff2103c9e79f4ea1b0fe2bc5",
            sha256(F64.iter().map(|x| x.to_le_bytes())),
        ),
        (
            "b00c1701b8ee9b5e5bb285bef552e979942af25328141d131b0ad8183643fd39",
            sha256(K32.iter().map(|x| x.to_le_bytes())),
        ),
        (
            "7e876b6f831f031c494d3f21c00f1845928d7ba8984b207e08b3fcba766a67fd",
            sha256(W32.iter().map(|x| x.to_le_bytes())),
        ),
        (
            "3ec75aef4fc5308b6f948d1fd8d0eef691a752eebbaa91914fc111948aea6ad8",
            sha256(F32.iter().map(|x| x.to_le_bytes())),
        ),
    ];
    tables.iter().for_each(|(expected, got)| assert_eq!(got, expected));
    assert_eq!([R.to_bits(), normal::INVERSE_R.to_bits()], [0x400d_3bb4_8209_ad33, 0x3fd1_83aa_6c20_e8c1]);
    assert_eq!([R_F32.to_bits(), normal::INVERSE_R_F32.to_bits()], [0x4069_dda4, 0x3e8c_1d53]);
}

/// np.round(x, 1).
fn round_to_one_decimal(x: f64) -> f64 {
    (x * 10.0).round_ties_even() / 10.0
}

/// The numbers of a matrix, row by row.
fn flat(matrix: &Value) -> Vec<f64> {
    let rows = matrix.as_array().unwrap().iter();
    rows.flat_map(|row| row.as_array().unwrap()).map(|x| x.as_f64().unwrap()).collect()
}

#[test]
fn the_tutorials_data_and_initial_weights_come_out_to_the_last_bit() {
    let tutorial: Value = serde_json::from_str(include_str!("../../../../testdata/tutorial.json")).unwrap();

    let mut rng = default_rng(1);
    let mut x = [0.0; 20];
    rng.fill_uniform(3.0, 9.0, &mut x).unwrap();
    let x = x.map(round_to_one_decimal);
    assert_eq!(x[..], flat(&tutorial["hand_worked"]["X"]));
    let y: Vec<f64> = x
        .chunks(2)
        .map(|row| (row[0] * row[0] + row[1] * row[1] + rng.normal(0.0, 3.0).unwrap()).round_ties_even())
        .collect();
    assert_eq!(y, flat(&tutorial["hand_worked"]["Y"]));

    let runs = tutorial["training"].as_array().unwrap();
    assert_eq!(runs.len(), 4);
    for run in runs {
        let mut rng = default_rng(run["seed"].as_u64().unwrap());
        let widths = integers(&run["layers_dims"]);
        for (l, width) in (1..).zip(widths.windows(2)) {
            let mut weights = vec![0.0; (width[0] * width[1]) as usize];
            rng.fill_normal(0.0, 0.001, &mut weights).unwrap();
            assert_eq!(weights, flat(&run["initial"][format!("W{l}")]), "layer {l} of seed {}", run["seed"]);
        }
    }
}

#[test]
fn single_precision_fills_are_double_draws_rounded() {
    let (mut a, mut b) = (default_rng(3), default_rng(3));
    let (mut x, mut z) = ([0.0_f32; 50], [0.0_f32; 50]);
    a.fill_uniform(-1.0, 2.0, &mut x).unwrap();
    a.fill_normal(1.0, 0.5, &mut z).unwrap();
    x.iter().for_each(|&x| assert_eq!(x, b.uniform(-1.0, 2.0).unwrap() as f32));
    z.iter().for_each(|&z| assert_eq!(z, b.normal(1.0, 0.5).unwrap() as f32));
    assert_eq!(a, b);
}

#[test]
fn a_restored_generator_goes_on_as_the_saved_one() {
    let mut rng = default_rng(9);
    rng.random_f32(); // leaves a half in the buffer
    let saved = rng.state();
    assert!(saved.buffered.is_some());
    let mut restored = Generator::from_state(saved).unwrap();
    let goes_on = |rng: &mut Generator| (rng.random_f32(), rng.random_f64(), rng.permutation(20));
    assert_eq!(goes_on(&mut restored), goes_on(&mut rng));

    let error = Generator::from_state(GeneratorState { state: 1, increment: 6, buffered: None }).unwrap_err();
    assert_eq!(error.to_string(), "a random generator's increment: expected an odd number, got 6");
}

#[test]
fn an_impossible_range_is_an_error_and_draws_nothing() {
    let mut rng = default_rng(0);
    let before = rng.clone();
    for (low, high) in [(1.0, 0.0), (f64::NAN, 1.0), (0.0, f64::INFINITY), (f64::MIN, f64::MAX)] {
        assert!(rng.uniform(low, high).is_err(), "{low} to {high}");
    }
    for (mean, deviation) in [(0.0, -1.0), (0.0, f64::NAN), (f64::INFINITY, 1.0), (0.0, f64::INFINITY)] {
        assert!(rng.normal(mean, deviation).is_err(), "{mean}, {deviation}");
    }
    assert!(rng.integers(5, 5).is_err());
    assert_eq!(rng.integers(5, 4).unwrap_err().to_string(), "a range of integers: expected low < high, got 5 to 4");
    assert_eq!(
        rng.uniform(1.0, 0.5).unwrap_err().to_string(),
        "the range of uniform numbers: expected low ≤ high, and high − low finite, got 1 to 0.5"
    );
    assert_eq!(rng, before);
}

#[test]
fn where_there_is_no_choice_nothing_is_drawn() {
    let mut rng = default_rng(0);
    let before = rng.clone();
    assert_eq!(rng.integers(i64::MAX - 1, i64::MAX), Ok(i64::MAX - 1));
    assert_eq!((rng.permutation(0), rng.permutation(1)), (vec![], vec![0]));
    assert_eq!(rng, before);
}

#[test]
fn indices_beyond_32_bits_take_64() {
    // np.random.RandomState(np.random.PCG64(42)).randint(0, 2**33 + 6, size=6, dtype=np.int64): RandomState's integers
    // are drawn by the masks of `shuffle`.
    let expected = [4678297224, 7106330561, 5160272363, 6556177292, 7901658478, 7651773958];
    let mut rng = default_rng(42);
    assert_eq!(expected.map(|_| rng.up_to((1 << 33) + 5)), expected);
}

#[test]
fn philox_gives_the_published_answers() {
    // Random123, tests/kat_vectors, "philox4x32 10": counter, key, words.
    let ones = u32::MAX;
    let pi = [0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344, 0xa4093822, 0x299f31d0];
    for (counter, key, words) in [
        ([0; 4], [0; 2], [0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8]),
        ([ones; 4], [ones; 2], [0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd]),
        ([pi[0], pi[1], pi[2], pi[3]], [pi[4], pi[5]], [0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1]),
    ] {
        assert_eq!(Philox::new(key).block(counter), words);
    }
}

#[test]
fn a_streams_key_and_counter_are_the_documented_ones() {
    // The keys: np.random.SeedSequence(np.array([seed % 2**32, seed >> 32, 1, layer, 0], np.uint32)).generate_state(2).
    for (seed, layer, key) in [
        (0, 0, [0xcaca_49fd, 0xf2ec_3132]),
        (1, 2, [0x84d3_daba, 0xfa64_39d5]),
        ((1 << 40) + 1, 2, [0xf6f5_36cb, 0xc6a9_ff8b]),
    ] {
        let step = 5 + (6 << 32);
        let stream = Stream::new(seed, Purpose::Dropout { layer }, step);
        let philox = Philox::new(key);
        // Element 4·(7 + 8·2³²) + 3 is the last word of block 7 + 8·2³².
        assert_eq!(stream.at(4 * (7 + (8 << 32)) + 3), philox.block([7, 8, 5, 6])[3]);
        assert_eq!(stream.at(u64::MAX), philox.block([u32::MAX, u32::MAX >> 2, 5, 6])[3]);
        assert_eq!(stream.uniform_at(1) * 4294967296.0, f64::from(philox.block([0, 0, 5, 6])[1]));
    }
}

#[test]
fn a_filled_run_holds_the_elements_asked_for_singly() {
    let stream = Stream::new(7, Purpose::Dropout { layer: 1 }, 3);
    for start in [0, 1, 2, 3, 4, 61, 63, (1 << 34) - 70, u64::MAX - 100] {
        for length in (0..10).chain([63, 64, 65, 127, 128, 200]) {
            let mut run = vec![0; length];
            stream.fill(start, &mut run);
            for (i, &element) in (0..).zip(&run) {
                let k = start.wrapping_add(i);
                assert_eq!(element, stream.at(k), "element {k} of a run of {length} from {start}");
            }
        }
    }
}
