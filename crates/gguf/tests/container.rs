//! Files that are written are read back; files that lie about their contents are refused without being believed.
#![allow(clippy::unwrap_used, clippy::panic, missing_docs)]

use std::{fs, sync::LazyLock};

use lorikeet_gguf::{Array, Fault, GgufError, Header, Kind, Mapped, TensorPlan, Value, locate, write};
use proptest::prelude::*;

fn fields() -> Vec<(String, Value<'static>)> {
    [
        ("a.u8", Value::U8(1)),
        ("a.i8", Value::I8(-2)),
        ("a.u16", Value::U16(3)),
        ("a.i16", Value::I16(-4)),
        ("a.u32", Value::U32(5)),
        ("a.i32", Value::I32(-6)),
        ("a.f32", Value::F32(0.5)),
        ("a.bool", Value::Bool(true)),
        ("a.text", Value::text("Grüße")),
        ("a.u64", Value::U64(1 << 40)),
        ("a.i64", Value::I64(-7)),
        ("a.f64", Value::F64(1e300)),
        ("a.texts", Value::Array(Array::of_texts(["a", "", "ü"]))),
        ("a.floats", Value::Array(Array::of_f32(&[1.5, -2.0]))),
        ("a.ints", Value::Array(Array::of_i32(&[7, -8]))),
    ]
    .map(|(key, value)| (key.to_owned(), value))
    .into()
}

fn plan(name: &str, dims: &[usize], n_bytes: usize) -> TensorPlan {
    TensorPlan { name: name.to_owned(), dims: dims.to_vec(), format: 0, n_bytes }
}

fn example() -> Vec<u8> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.gguf");
    let tensors = [plan("first", &[2, 3], 24), plan("second", &[5], 20)];
    write(&path, &fields(), &tensors, |i| Ok::<_, GgufError>(vec![i as u8 + 1; tensors[i].n_bytes])).unwrap();
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    fs::read(path).unwrap()
}

#[test]
fn what_is_written_is_read() {
    let bytes = example();
    let header = Header::parse(&bytes).unwrap();
    let expected = fields();
    assert_eq!(header.fields.len(), expected.len());
    assert!(expected.iter().all(|(key, value)| header.get(key) == Some(value)));
    assert_eq!(header.get("a.texts").unwrap().as_array().unwrap().texts().collect::<Vec<_>>(), ["a", "", "ü"]);
    assert_eq!(header.get("a.ints").unwrap().as_array().unwrap().numbers().collect::<Vec<_>>(), [7.0, -8.0]);
    let [first, second] = header.tensors.as_slice() else { panic!("{:?}", header.tensors) };
    assert_eq!(
        (&*first.name, first.dims.as_slice(), &*second.name, second.dims.as_slice()),
        ("first", &[2, 3][..], "second", &[5][..])
    );
    assert_eq!((first.start % 32, second.start % 32), (0, 0));
    assert_eq!(&bytes[first.start..first.start + 24], [1; 24]);
    assert_eq!(&bytes[second.start..second.start + 20], [2; 20]);
}

#[test]
fn a_tensor_of_other_bytes_is_not_written() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.gguf");
    let error = write(&path, &[], &[plan("x", &[4], 16)], |_| Ok::<_, GgufError>(vec![0; 12])).unwrap_err();
    assert!(error.to_string().starts_with("`x` came with 12 bytes for"), "{error}");
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
}

#[test]
fn a_file_cut_anywhere_is_refused_or_has_its_front() {
    let bytes = example();
    let whole = Header::parse(&bytes).unwrap();
    for len in 0..bytes.len() {
        match Header::parse(&bytes[..len]) {
            Ok(header) => assert!(header == whole && len >= whole.tensors[1].start, "{len}"),
            Err(fault) => assert!(len < whole.tensors[1].start, "{len}: {fault}"),
        }
    }
}

/// A front of version 3 with counts of tensors and keys, and what follows.
fn front(version: u32, n_tensors: u64, n_fields: u64, rest: &[&[u8]]) -> Vec<u8> {
    let mut bytes = b"GGUF".to_vec();
    bytes.extend(version.to_le_bytes());
    bytes.extend(n_tensors.to_le_bytes());
    bytes.extend(n_fields.to_le_bytes());
    rest.iter().for_each(|part| bytes.extend(*part));
    bytes
}

fn text(text: &str) -> Vec<u8> {
    [&(text.len() as u64).to_le_bytes()[..], text.as_bytes()].concat()
}

fn number(n: u32) -> [u8; 4] {
    n.to_le_bytes()
}

const BILLIONS: [u8; 8] = (7u64 << 30).to_le_bytes();
const ENDLESS: [u8; 8] = u64::MAX.to_le_bytes();

#[test]
fn what_a_hostile_file_announces_is_not_believed() {
    let key = text("k");
    let (array, byte, words) = (number(Kind::Array as u32), number(0), number(Kind::Text as u32));
    let nested: Vec<u8> = std::iter::repeat_n([&array[..], &1u64.to_le_bytes()].concat(), 1000).flatten().collect();
    let tensor = |dims: u32, rest: &[u8]| [&text("t")[..], &number(dims), rest].concat();
    let shape = [&4u64.to_le_bytes()[..], &number(0), &ENDLESS].concat();
    let once = [&key[..], &number(4), &number(1)].concat();
    let ends = |what, at, needed, left| Fault::Ends { what, at, needed, left };
    let cases: Vec<(Vec<u8>, Fault)> = vec![
        (b"PK\x03\x04 a pickle in a zip".to_vec(), Fault::Magic),
        (front(1, 0, 0, &[]), Fault::Version { found: 1 }),
        (front(0x0300_0000, 0, 0, &[]), Fault::Version { found: 0x0300_0000 }),
        (front(3, 7 << 30, 0, &[]), ends("the list of tensors", 8, 24 * (7 << 30), 8)),
        (front(3, 0, u64::MAX, &[]), ends("the list of metadata keys", 16, u64::MAX, 0)),
        (front(3, 0, 1, &[&ENDLESS, &[0; 64]]), ends("a text", 32, u64::MAX, 64)),
        (front(3, 0, 1, &[&key, &words, &BILLIONS, &[0; 8]]), ends("a text", 45, 7 << 30, 8)),
        (front(3, 0, 1, &[&key, &array, &byte, &BILLIONS, &[0; 8]]), ends("an array", 41, 7 << 30, 8)),
        (front(3, 0, 1, &[&key, &array, &words, &ENDLESS, &[0; 8]]), ends("an array", 41, u64::MAX, 8)),
        (front(3, 0, 1, &[&key, &array, &number(12), &4u64.to_le_bytes(), &[0; 8]]), ends("an array", 49, 32, 8)),
        (front(3, 0, 1, &[&key, &number(13), &[0; 8]]), Fault::Kind { at: 33, found: 13 }),
        (front(3, 0, 1, &[&key, &array, &nested]), Fault::Depth { at: 97, limit: 4 }),
        (front(3, 0, 1, &[&2u64.to_le_bytes(), b"\xff\xfe", &number(4), &[0; 8]]), Fault::Text { at: 24 }),
        (front(3, 0, 2, &[&once, &once]), Fault::Twice { name: "k".to_owned() }),
        (front(3, 1, 0, &[&tensor(5, &[0; 64])]), Fault::Dimensions { name: "t".to_owned(), found: 5 }),
        (front(3, 1, 0, &[&tensor(u32::MAX, &[0; 64])]), Fault::Dimensions { name: "t".to_owned(), found: u32::MAX }),
        (front(3, 1, 0, &[&tensor(1, &shape)]), Fault::Place { name: "t".to_owned(), offset: u64::MAX }),
        (front(3, 0, 1, &[&text("general.alignment"), &number(4), &number(3)]), Fault::Alignment { found: 3 }),
        (front(3, 0, 1, &[&text("general.alignment"), &number(4), &number(0)]), Fault::Alignment { found: 0 }),
    ];
    for (bytes, fault) in cases {
        assert_eq!(Header::parse(&bytes), Err(fault));
    }
}

static EXAMPLE: LazyLock<Vec<u8>> = LazyLock::new(example);

proptest! {
    #[test]
    fn no_change_of_a_byte_is_a_panic(at in 0usize..700, to in any::<u8>()) {
        let mut bytes = EXAMPLE.clone();
        let at = at % bytes.len();
        bytes[at] = to;
        let _ = Header::parse(&bytes);
    }

    #[test]
    fn no_bytes_are_a_panic(rest in prop::collection::vec(any::<u8>(), 0..200), tensors in 0u64..3, keys in 0u64..3) {
        let _ = Header::parse(&front(3, tensors, keys, &[&rest]));
    }
}

#[test]
fn a_folder_means_the_only_file_in_it() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    assert_eq!(locate(folder.path()).unwrap(), None);
    assert_eq!(locate(&at("missing")).unwrap(), None);
    fs::write(at("a.GGUF"), example()).unwrap();
    assert_eq!(locate(folder.path()).unwrap(), Some(at("a.GGUF")));
    assert_eq!(locate(&at("a.GGUF")).unwrap(), Some(at("a.GGUF")));
    assert_eq!(Mapped::open(&at("a.GGUF")).unwrap().header().unwrap().tensors.len(), 2);
    fs::write(at("b.gguf"), "").unwrap();
    let message = locate(folder.path()).unwrap_err().to_string();
    assert!(message.ends_with("give the path of one of them: `a.GGUF`, `b.gguf`"), "{message}");
    let message = Mapped::open(&at("b.gguf")).unwrap().header().unwrap_err().to_string();
    assert!(
        message
            .ends_with("(the file's mark at byte 0 needs 4 more bytes and the file has 0); copy or download it again"),
        "{message}"
    );
    fs::write(at("model.safetensors"), "").unwrap();
    assert_eq!(locate(folder.path()).unwrap(), None);
}
