//! The model file keeps what it is given, byte for byte, and lets nothing else in.

use chainrule::Error;
use chainrule::model_file::{Dtype, FileFault, ModelFile, Tensor, fingerprint};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

/// Written by version 0.1.0 from [`tiny`]; every later version reads it.
const TINY: &[u8] = include_bytes!("../../../testdata/model_files/0.1.0.safetensors");

const ZEROS: &str = "0000000000000000000000000000000000000000000000000000000000000000";

/// Both types, and numbers and texts that a careless writer would change.
fn tiny() -> ModelFile {
    let mut model = ModelFile::default();
    model.tensors.insert("0.weight".into(), Tensor::new(&[3, 2], &[0.1_f32, -0.0, 1e-45, 3.4e38, 5.0, 6.0]).unwrap());
    model.tensors.insert("0.bias".into(), Tensor::new(&[3], &[1.0_f32, 2.0, 3.0]).unwrap());
    model.tensors.insert("0.running_mean".into(), Tensor::new(&[2], &[0.1_f64, 5e-324]).unwrap());
    let facts = json!({
        "columns": [{"name": "größe \"m²\"\n", "kind": "number"}, {"name": "{}", "kind": "category"}],
        "numbers": [0.1, 1e16, 1e-7, -0.0, 1.0, 5e-324, 1.7976931348623157e308, 18446744073709551615_u64, -9223372036854775808_i64],
        "nothing": null,
        "early_stopping": true,
    });
    model.metadata = facts.as_object().unwrap().clone();
    model
}

fn sha256(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The file of `header`, its checksum made right: what a clever attacker sends.
fn sealed(header: &str, data: &[u8]) -> Vec<u8> {
    let file = |header: &str| [&(header.len() as u64).to_le_bytes(), header.as_bytes(), data].concat();
    file(&header.replacen(ZEROS, &sha256(&file(header)), 1))
}

/// A sealed file with the given entries beside the metadata, and a data section of `data` zeros.
fn with_entries(entries: &str, data: usize) -> Vec<u8> {
    let metadata = format!(
        r#"{{"checksum":"{ZEROS}","fingerprint":"{}","format_version":1,"library_version":"0.1.0"}}"#,
        fingerprint(&Default::default())
    );
    sealed(&with_metadata(&metadata, entries), &vec![0; data])
}

fn with_metadata(metadata: &str, entries: &str) -> String {
    format!(r#"{{"__metadata__":{{"chainrule":{}}}{entries}}}"#, Value::from(metadata))
}

fn fault(bytes: &[u8]) -> FileFault {
    match ModelFile::read_bytes(bytes) {
        Err(Error::ModelFile(fault)) => fault,
        other => panic!("expected a fault of the file, got {other:?}"),
    }
}

/// The reason for which contents are refused.
fn reason(bytes: &[u8]) -> String {
    match fault(bytes) {
        FileFault::Contents { reason } => reason,
        other => panic!("expected bad contents, got {other:?}"),
    }
}

#[test]
fn what_is_written_is_read_again() {
    let model = tiny();
    let bytes = model.write_bytes().unwrap();
    let again = ModelFile::read_bytes(&bytes).unwrap();
    assert_eq!(again.tensors, model.tensors);
    for (key, value) in &model.metadata {
        assert_eq!(&again.metadata[key], value, "{key}");
    }
    assert_eq!(again.metadata.len(), model.metadata.len() + 4);
    assert_eq!(again.metadata["fingerprint"], fingerprint(&model.tensors));
    assert_eq!(again.write_bytes().unwrap(), bytes);

    let weights: Vec<f32> = again.tensors["0.weight"].values().unwrap();
    let bits: Vec<u32> = weights.iter().map(|x| x.to_bits()).collect();
    assert_eq!(bits, [0.1_f32, -0.0, 1e-45, 3.4e38, 5.0, 6.0].map(f32::to_bits));
    assert_eq!(again.tensors["0.running_mean"].values::<f64>().unwrap(), [0.1, 5e-324]);
    assert_eq!(
        again.tensors["0.bias"].values::<f64>().unwrap_err().to_string(),
        "a tensor's type: expected f64, got f32"
    );
}

#[test]
fn numbers_of_the_metadata_keep_every_bit() {
    let mut random = Random(7);
    let numbers: Vec<f64> = (0..20_000).map(|_| f64::from_bits(random.next())).filter(|x| x.is_finite()).collect();
    let mut model = ModelFile::default();
    model.metadata.insert("numbers".into(), json!(numbers));
    let again = ModelFile::read_bytes(&model.write_bytes().unwrap()).unwrap();
    for (i, x) in numbers.iter().enumerate() {
        assert_eq!(again.metadata["numbers"][i].as_f64().unwrap().to_bits(), x.to_bits(), "{x:e}");
    }
}

#[test]
fn the_format_has_not_drifted() {
    assert_eq!(sha256(TINY), "5cd7f623a6cd2d4384d86a8db052dd50d246a88d7759afaae88d587170007be8");
    // Only the library's version, and with it the checksum, may differ from the file of 0.1.0.
    let blank = |bytes: &[u8]| {
        let length = u64::from_le_bytes(bytes[..8].try_into().unwrap()) as usize;
        let header = String::from_utf8(bytes[8..8 + length].to_vec()).unwrap();
        let metadata = ModelFile::read_bytes(bytes).unwrap().metadata;
        let header = header.replace(metadata["checksum"].as_str().unwrap(), "");
        let version = |v: &str| format!(r#"\"library_version\":\"{v}\""#);
        let header = header.replace(&version(metadata["library_version"].as_str().unwrap()), &version(""));
        (header.trim_end().to_owned(), bytes[8 + length..].to_vec())
    };
    assert_eq!(blank(&tiny().write_bytes().unwrap()), blank(TINY));
}

#[test]
fn a_file_of_version_0_1_0_is_read() {
    let model = ModelFile::read_bytes(TINY).unwrap();
    assert_eq!(model.tensors, tiny().tensors);
    assert_eq!(model.metadata["library_version"], "0.1.0");
    assert_eq!(model.metadata["format_version"], 1);
    assert_eq!(model.metadata["numbers"], tiny().metadata["numbers"]);
}

#[test]
fn the_fingerprint_is_the_sha_256_of_the_layout_that_is_written_down() {
    let mut model = ModelFile::default();
    model.tensors.insert("b".into(), Tensor::new(&[1, 2], &[1.0_f32, -2.0]).unwrap());
    model.tensors.insert("a".into(), Tensor::new(&[], &[0.5_f64]).unwrap());
    let mut layout = Vec::new();
    layout.extend([1, 0, 0, 0, 0, 0, 0, 0]); // the name has one byte
    layout.extend(b"aF64");
    layout.extend([0; 8]); // rank 0
    layout.extend(0.5_f64.to_le_bytes());
    layout.extend([1, 0, 0, 0, 0, 0, 0, 0]);
    layout.extend(b"bF32");
    layout.extend([2, 0, 0, 0, 0, 0, 0, 0]); // rank 2
    layout.extend([1, 0, 0, 0, 0, 0, 0, 0]);
    layout.extend([2, 0, 0, 0, 0, 0, 0, 0]);
    layout.extend(1.0_f32.to_le_bytes());
    layout.extend((-2.0_f32).to_le_bytes());
    assert_eq!(fingerprint(&model.tensors), sha256(&layout));
}

#[test]
fn the_fingerprint_names_the_weights_and_nothing_else() {
    let model = tiny();
    let mut other_facts = tiny();
    other_facts.metadata.insert("seed".into(), 8.into());
    assert_eq!(fingerprint(&other_facts.tensors), fingerprint(&model.tensors));
    let mut other_name = model.tensors.clone();
    let bias = other_name.remove("0.bias").unwrap();
    other_name.insert("1.bias".into(), bias);
    let mut other_shape = model.tensors.clone();
    other_shape.insert("0.bias".into(), Tensor::new(&[1, 3], &[1.0_f32, 2.0, 3.0]).unwrap());
    let mut other_type = model.tensors.clone();
    other_type.insert("0.bias".into(), Tensor::new(&[3], &[1.0_f64, 2.0, 3.0]).unwrap());
    let mut other_sign = model.tensors.clone();
    other_sign.insert("0.running_mean".into(), Tensor::new(&[2], &[0.1_f64, -5e-324]).unwrap());
    for other in [other_name, other_shape, other_type, other_sign] {
        assert_ne!(fingerprint(&other), fingerprint(&model.tensors));
    }
}

#[test]
fn the_safetensors_crate_reads_our_files() {
    let model = tiny();
    let bytes = model.write_bytes().unwrap();
    let read = safetensors::SafeTensors::deserialize(&bytes).unwrap();
    assert_eq!(read.len(), model.tensors.len());
    let data = 8 + u64::from_le_bytes(bytes[..8].try_into().unwrap()) as usize;
    assert_eq!(data % 8, 0);
    for (name, tensor) in &model.tensors {
        let view = read.tensor(name).unwrap();
        assert_eq!(view.shape(), tensor.shape());
        let width = tensor.dtype().bytes();
        let at = view.data().as_ptr() as usize - bytes.as_ptr() as usize;
        assert_eq!(at % width, 0, "{name} is aligned to its numbers");
        let numbers = view.data().chunks_exact(width);
        match tensor.dtype() {
            Dtype::F32 => {
                assert_eq!(view.dtype(), safetensors::Dtype::F32);
                let numbers: Vec<f32> = numbers.map(|x| f32::from_le_bytes(x.try_into().unwrap())).collect();
                assert_eq!(numbers, tensor.values::<f32>().unwrap());
            }
            Dtype::F64 => {
                assert_eq!(view.dtype(), safetensors::Dtype::F64);
                let numbers: Vec<f64> = numbers.map(|x| f64::from_le_bytes(x.try_into().unwrap())).collect();
                assert_eq!(numbers, tensor.values::<f64>().unwrap());
            }
        }
    }
}

#[test]
fn a_tensor_is_as_large_as_its_shape_and_finite() {
    let refusal = |tensor: Result<Tensor, Error>| tensor.unwrap_err().to_string();
    assert_eq!(refusal(Tensor::new(&[2, 2], &[1.0_f32; 3])), "a tensor's numbers: expected 4, got 3");
    assert_eq!(
        refusal(Tensor::new(&[2], &[1.0, f64::INFINITY])),
        "a tensor's numbers: expected finite ones, got inf at index 1"
    );
    for shape in [&[0][..], &[1; 9], &[4_194_305, 4_194_305, 211_106_198_978_564]] {
        let refusal = refusal(Tensor::new::<f32>(shape, &[]));
        assert!(
            refusal.starts_with("a tensor's shape: expected at most 8 dimensions, none of them empty"),
            "{refusal}"
        );
    }
}

#[test]
fn what_could_not_be_read_is_not_written() {
    let mut reserved = tiny();
    reserved.tensors.insert("__metadata__".into(), Tensor::new(&[1], &[1.0_f32]).unwrap());
    let mut deep = tiny();
    deep.metadata.insert("deep".into(), (0..200).fold(Value::Null, |inner, _| json!([inner])));
    let mut long = tiny();
    long.metadata.insert("long".into(), "x".repeat(16 << 20).into());
    for model in [reserved, deep, long] {
        assert!(matches!(model.write_bytes(), Err(Error::ModelFile(FileFault::Contents { .. }))));
    }
}

#[test]
fn every_truncation_is_refused() {
    let bytes = tiny().write_bytes().unwrap();
    for end in 0..bytes.len() {
        let fault = fault(&bytes[..end]);
        if end < 9 {
            assert_eq!(fault, FileFault::NotSafetensors, "{end}");
        } else {
            assert!(matches!(fault, FileFault::CutShort { got, .. } if got == end as u64), "{end}: {fault:?}");
        }
    }
}

#[test]
fn every_appended_byte_is_refused() {
    let bytes = tiny().write_bytes().unwrap();
    assert_eq!(fault(&[&bytes[..], b" "].concat()), FileFault::Altered);
}

#[test]
fn every_flipped_bit_is_refused() {
    let bytes = tiny().write_bytes().unwrap();
    for bit in 0..8 * bytes.len() {
        let mut bytes = bytes.clone();
        bytes[bit / 8] ^= 1 << (bit % 8);
        fault(&bytes);
    }
}

#[test]
fn a_flipped_bit_of_a_weight_is_called_an_alteration() {
    let mut bytes = tiny().write_bytes().unwrap();
    *bytes.last_mut().unwrap() ^= 1;
    assert_eq!(fault(&bytes), FileFault::Altered);
    assert_eq!(
        Error::from(FileFault::Altered).to_string(),
        "not a usable model file: altered since it was written: its checksum is not that of its contents; copy it again"
    );
}

#[test]
fn other_files_are_told_apart() {
    for bytes in
        [&b""[..], b"x", b"price,area\n1,2\n3,4\n", b"PK\x03\x04\x14\0\0\0\x08\0", b"\x80\x04\x95\0\0\0\0\0\0\0"]
    {
        assert_eq!(fault(bytes), FileFault::NotSafetensors);
    }
    let foreign = r#"{"w":{"dtype":"BF16","shape":[2],"data_offsets":[0,4]}}"#;
    assert_eq!(fault(&sealed(foreign, &[0; 4])), FileFault::Foreign);
    let foreign = r#"{"__metadata__":{"format":"pt"},"w":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}"#;
    assert_eq!(fault(&sealed(foreign, &[0; 4])), FileFault::Foreign);
    assert_eq!(
        Error::from(FileFault::Foreign).to_string(),
        "not a usable model file: a safetensors file without chainrule's metadata, so of another program; give a \
         file that chainrule has written"
    );
}

#[test]
fn a_newer_format_is_refused_before_anything_else_in_it_is_judged() {
    let newer = with_metadata(r#"{"format_version":2,"seal":"of another kind"}"#, r#","w":{"dtype":"F8"}"#);
    let fault = fault(&sealed(&newer, &[]));
    assert_eq!(fault, FileFault::Newer { format: 2 });
    assert_eq!(
        Error::from(fault).to_string(),
        "not a usable model file: written by a newer version (format 2; this program reads up to 1): update chainrule"
    );
}

#[test]
fn a_version_that_is_none_is_refused() {
    for metadata in ["{}", r#"{"format_version":0}"#, r#"{"format_version":-1}"#, r#"{"format_version":"1"}"#] {
        let reason = reason(&sealed(&with_metadata(metadata, ""), &[]));
        assert_eq!(reason, "its metadata has no valid `format_version`");
    }
}

#[test]
fn hostile_headers_are_refused_for_what_is_wrong_with_them() {
    let cases = [
        // The product is 4 modulo 2⁶⁴: a reader without checked multiplication would go on.
        (
            r#","w":{"dtype":"F32","shape":[4194305,4194305,211106198978564],"data_offsets":[0,4]}"#,
            4,
            "tensor `w` has the impossible shape [4194305, 4194305, 211106198978564]",
        ),
        (r#","w":{"dtype":"F32","shape":[0],"data_offsets":[0,0]}"#, 0, "tensor `w` has the impossible shape [0]"),
        (
            r#","w":{"dtype":"F32","shape":[2],"data_offsets":[0,4]}"#,
            4,
            "tensor `w` of F32 and shape [2] ends at byte 4 of the data",
        ),
        (
            r#","w":{"dtype":"F32","shape":[2],"data_offsets":[8,0]}"#,
            8,
            "tensor `w` lies at byte 8 of the data, not at 0, where the one before it ends",
        ),
        (
            r#","v":{"dtype":"F32","shape":[2],"data_offsets":[0,8]},"w":{"dtype":"F32","shape":[2],"data_offsets":[4,12]}"#,
            12,
            "tensor `w` lies at byte 4 of the data, not at 8, where the one before it ends",
        ),
        (
            r#","v":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},"w":{"dtype":"F32","shape":[1],"data_offsets":[8,12]}"#,
            12,
            "tensor `w` lies at byte 8 of the data, not at 4, where the one before it ends",
        ),
        (r#","w":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}"#, 6, "2 bytes belong to no tensor"),
        (
            r#","w":{"dtype":"BF16","shape":[2],"data_offsets":[0,4]}"#,
            4,
            "tensor `w` holds numbers of type BF16, not F32 or F64",
        ),
        (
            r#","w":{"dtype":"F32","shape":[-1],"data_offsets":[0,4]}"#,
            4,
            "tensor `w` must have a dtype, a shape of at most 8 sizes and two offsets",
        ),
        (
            r#","w":{"dtype":"F32","shape":[1,1,1,1,1,1,1,1,1],"data_offsets":[0,4]}"#,
            4,
            "tensor `w` must have a dtype, a shape of at most 8 sizes and two offsets",
        ),
        (
            r#","w":{"dtype":"F32","shape":[1.0],"data_offsets":[0,4]}"#,
            4,
            "tensor `w` must have a dtype, a shape of at most 8 sizes and two offsets",
        ),
        (
            r#","w":{"dtype":"F32","shape":[1],"data_offsets":[0,4],"file":"/etc/passwd"}"#,
            4,
            "tensor `w` must have a dtype, a shape of at most 8 sizes and two offsets",
        ),
        (
            r#","\u001b[2Jw\n":{"dtype":"F32","shape":[1],"data_offsets":[0]}"#,
            4,
            r"tensor `\u{1b}[2Jw\n` must have a dtype, a shape of at most 8 sizes and two offsets",
        ),
        (r#","w":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}"#, 4, "its fingerprint is not that of its tensors"),
    ];
    for (entries, data, expected) in cases {
        assert_eq!(reason(&with_entries(entries, data)), expected);
    }
    // Offsets beyond the file, whatever they add up to, are a file that is too short.
    let huge = r#","w":{"dtype":"F32","shape":[4611686018427387903],"data_offsets":[0,18446744073709551612]}"#;
    assert!(matches!(fault(&with_entries(huge, 4)), FileFault::CutShort { .. }));
}

#[test]
fn hostile_json_is_refused() {
    let refused = |header: &str, expected: &str| {
        let reason = reason(&sealed(header, &[]));
        assert!(reason.contains(expected), "{reason}");
    };
    refused(r#"{"a":1,"a":1}"#, "its header is not valid JSON: the key `a` twice");
    refused(r#"{"w":{"dtype":"F32","dtype":"F64"}}"#, "the key `dtype` twice");
    refused(&with_metadata(r#"{"format_version":1,"format_version":1}"#, ""), "its metadata is not valid JSON");
    refused(&format!(r#"{{"a":{}"#, "[".repeat(1 << 20)), "recursion limit exceeded");
    let deep = format!(r#"{{"a":{}{}}}"#, "[".repeat(1 << 10), "]".repeat(1 << 10));
    refused(&with_metadata(&deep, ""), "recursion limit exceeded");
    refused(&format!(r#"{{"a":[{}0]}}"#, "0,".repeat(1 << 20)), "too many values");
    refused(r#"{"a":1e999}"#, "number out of range");
    refused(r#"{"a":NaN}"#, "not valid JSON");
    refused(r#"{"a":1}}"#, "trailing characters");
    refused(r#"{"__metadata__":{"chainrule":"{}","format":"pt"}}"#, "must hold one text");
    refused(r#"{"__metadata__":{"chainrule":{}}}"#, "must hold one text");
    refused(r#"{"__metadata__":{"chainrule":"[]"}}"#, "its metadata is no JSON object");
    // Invalid UTF-8 inside a text.
    assert!(reason(&[&8_u64.to_le_bytes(), &b"{\"\xff\":1} "[..]].concat()).contains("not valid JSON"));
}

#[test]
fn a_header_longer_than_16_mib_is_refused_unread() {
    for length in [(16 << 20) + 1, 1 << 40, i64::MAX as u64, u64::MAX - 7, u64::MAX] {
        let bytes = [&length.to_le_bytes()[..], b"{\"a\":1}"].concat();
        assert_eq!(reason(&bytes), format!("a header of {length} bytes, where at most 16777216 are read"));
    }
    let bytes = [&(16_u64 << 20).to_le_bytes()[..], b"{\"a\":1}"].concat();
    assert_eq!(fault(&bytes), FileFault::CutShort { expected: (16 << 20) + 8, got: 15 });
}

#[test]
fn more_than_65536_tensors_are_refused() {
    let one_of_no_size = |i| format!(r#","{i}":{{"dtype":"F32","shape":[0],"data_offsets":[0,0]}}"#);
    let entries: String = (0..65_537).map(one_of_no_size).collect();
    assert_eq!(reason(&with_entries(&entries, 0)), "more than 65536 tensors");
    let entries: String = (0..65_536).map(one_of_no_size).collect();
    assert_eq!(reason(&with_entries(&entries, 0)), "tensor `0` has the impossible shape [0]");
}

#[test]
fn weights_that_are_not_finite_are_refused_in_a_sealed_file() {
    for bad in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
        let mut model = ModelFile::default();
        model.tensors.insert("w".into(), Tensor::new(&[1], &[1.0_f32]).unwrap());
        let bytes = model.write_bytes().unwrap();
        // The fingerprint of the altered weights, by the layout.
        let record =
            [&1_u64.to_le_bytes()[..], b"wF32", &1_u64.to_le_bytes(), &1_u64.to_le_bytes(), &bad.to_le_bytes()];
        let stored = ModelFile::read_bytes(&bytes).unwrap().metadata;
        let header = String::from_utf8(bytes[8..bytes.len() - 4].to_vec()).unwrap();
        let header = header.replace(stored["fingerprint"].as_str().unwrap(), &sha256(&record.concat()));
        let header = header.replace(stored["checksum"].as_str().unwrap(), ZEROS);
        assert_eq!(reason(&sealed(&header, &bad.to_le_bytes())), "tensor `w` holds a number that is not finite");
    }
}

#[test]
fn a_checksum_that_is_none_is_refused() {
    for checksum in ["", "0", &"0".repeat(64), &"g".repeat(64), &"A".repeat(64), &"1".repeat(1000)] {
        let metadata = format!(r#"{{"checksum":"{checksum}","format_version":1}}"#);
        let header = with_metadata(&metadata, "");
        let bytes = [&(header.len() as u64).to_le_bytes(), header.as_bytes()].concat();
        assert_eq!(fault(&bytes), FileFault::Altered);
    }
}

/// Marsaglia's xorshift64 (Journal of Statistical Software 8, 2003): enough to pick places.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    fn below(&mut self, n: usize) -> usize {
        (self.next() % n as u64) as usize
    }
}

/// `bytes` with one to four edits: a byte set, a range removed, doubled or moved, a piece of the format put in.
fn mutated(bytes: &[u8], random: &mut Random) -> Vec<u8> {
    const PIECES: [&str; 16] = [
        "{",
        "}",
        "[",
        "]",
        ",",
        "\"",
        "\\",
        "-",
        "0",
        "9",
        "e999",
        "18446744073709551615",
        "null",
        "\u{0}",
        "F64",
        "1.5",
    ];
    let mut bytes = bytes.to_vec();
    for _ in 0..=random.below(4) {
        let from = random.below(bytes.len());
        let to = from + random.below((bytes.len() - from).min(40) + 1);
        match random.below(5) {
            0 => bytes[from] = random.next() as u8,
            1 => drop(bytes.drain(from..to)),
            2 => bytes.extend_from_within(from..to),
            3 => bytes[from..].rotate_left(to - from),
            _ => drop(bytes.splice(from..to, PIECES[random.below(16)].bytes())),
        }
        if bytes.is_empty() {
            bytes.push(b'{');
        }
    }
    bytes
}

#[test]
fn random_damage_is_refused() {
    let bytes = tiny().write_bytes().unwrap();
    let mut random = Random(1);
    for _ in 0..50_000 {
        let damaged = mutated(&bytes, &mut random);
        assert!(damaged == bytes || ModelFile::read_bytes(&damaged).is_err());
    }
}

#[test]
fn random_damage_under_a_valid_checksum_is_refused_or_harmless() {
    let bytes = tiny().write_bytes().unwrap();
    let length = u64::from_le_bytes(bytes[..8].try_into().unwrap()) as usize;
    let stored = ModelFile::read_bytes(&bytes).unwrap().metadata;
    let header = std::str::from_utf8(&bytes[8..8 + length]).unwrap();
    let header = header.replace(stored["checksum"].as_str().unwrap(), ZEROS);
    let mut random = Random(2);
    let mut reads = 0;
    for _ in 0..50_000 {
        let header = String::from_utf8_lossy(&mutated(header.as_bytes(), &mut random)).into_owned();
        // What still reads must be a model like any other.
        if let Ok(model) = ModelFile::read_bytes(&sealed(&header, &bytes[8 + length..])) {
            assert_eq!(fingerprint(&model.tensors), stored["fingerprint"]);
            model.write_bytes().unwrap();
            reads += 1;
        }
    }
    assert!(reads > 100, "only {reads} damaged files passed the checksum: the damage never reaches the other checks");
}
