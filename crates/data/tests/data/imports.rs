//! Every published data set imports as its README says; damaged files are refused in clear words and leave nothing.

use std::fs;
use std::path::{Path, PathBuf};

use lorikeet_data::{Error, ImportOptions, Imported, Kind, Record, Store};
use proptest::prelude::*;

use crate::shared::shared;

fn import(file: &Path, options: &ImportOptions) -> Result<Imported, Error> {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(folder.path()).unwrap();
    let result = store.import(file, options, &mut |_| ());
    let left: Vec<_> = fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    match &result {
        Ok(imported) => {
            assert_eq!(left, [imported.hash.as_str()]);
            let dataset = store.dataset(&imported.hash).unwrap();
            assert_eq!(dataset.len() as u64, imported.n_rows);
            assert_eq!(
                dataset.iter().map(|row| row.unwrap().kind()).filter(|kind| *kind == imported.kind).count(),
                dataset.len()
            );
            assert_eq!(dataset.row(0).unwrap(), imported.first);
            let rows = fs::read(dataset.folder().join("rows.jsonl")).unwrap();
            assert_eq!(blake3::hash(&rows).to_hex().as_str(), imported.hash);
            assert_eq!(store.list().unwrap().len(), 1);
        }
        Err(_) => assert_eq!(left, Vec::<std::ffi::OsString>::new(), "a failed import leaves nothing"),
    }
    result
}

fn keep_good() -> ImportOptions {
    ImportOptions { keep_good: true, ..ImportOptions::default() }
}

/// Imports `text` from a file called `name`.
fn import_text(name: &str, text: impl AsRef<[u8]>, options: &ImportOptions) -> Result<Imported, Error> {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join(name);
    fs::write(&file, text).unwrap();
    import(&file, options)
}

/// The message of a failed import, with the file's folder left out.
fn refused(name: &str, text: impl AsRef<[u8]>) -> String {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join(name);
    fs::write(&file, text).unwrap();
    let message = import(&file, &ImportOptions::default()).unwrap_err().to_string();
    message.replace(&format!("{}/", folder.path().display()), "")
}

#[test]
fn every_published_set_imports_as_its_readme_says() {
    let Some(root) = shared("data") else { return };
    let labels = |imported: &Imported| {
        imported.labels.iter().map(|label| format!("{} {}", label.name, label.n_rows)).collect::<Vec<_>>().join(", ")
    };
    let mut told = String::new();
    for (file, kind, n_rows) in [
        ("sst2/train.tsv", Kind::Labelled, 6920),
        ("sst2/dev.tsv", Kind::Labelled, 872),
        ("ag_news/ag_news_part1.csv", Kind::Labelled, 5000),
        ("sms_spam/sms.tsv", Kind::Labelled, 5574),
        ("zh_hotel_reviews/ChnSentiCorp_htl_all.csv", Kind::Labelled, 7766),
        ("zh_news_titles/dev.txt", Kind::Labelled, 10_000),
        ("alpaca/alpaca_raw_5k.json", Kind::Chat, 5000),
        ("alpaca/alpaca_filtered_5k.json", Kind::Chat, 5305),
        ("alpaca_zh/alpaca_zh_demo.json", Kind::Chat, 1000),
        ("chat_multiturn/sharegpt_identity.json", Kind::Chat, 500),
        ("chat_multiturn/sharegpt_toolcall_en.json", Kind::Chat, 300),
        ("chat_multiturn/messages_sft.jsonl", Kind::Chat, 500),
        ("ja_zh_parallel/source.ja.txt", Kind::Text, 722),
        ("ja_zh_parallel/reference.zh.txt", Kind::Text, 722),
        ("ja_zh_parallel/system_Claude-3.5.zh.txt", Kind::Text, 722),
        // The README counts lines; what is between blank lines is one row.
        ("tiny_shakespeare/input.txt", Kind::Text, 7222),
    ] {
        let imported =
            import(&root.join(file), &ImportOptions::default()).unwrap_or_else(|cause| panic!("{file}: {cause}"));
        assert_eq!((imported.kind, imported.n_rows, imported.n_bad), (kind, n_rows, 0), "{file}");
        told += &format!(
            "{file}: {} {} {:?}, {} empty; {}\n",
            imported.format,
            imported.layout,
            imported.columns,
            imported.n_empty,
            labels(&imported)
        );
    }
    insta::assert_snapshot!(told, @r#"
    sst2/train.tsv: tsv text_label ["column 1", "column 2"], 0 empty; 0 3310, 1 3610
    sst2/dev.tsv: tsv text_label ["column 1", "column 2"], 0 empty; 0 428, 1 444
    ag_news/ag_news_part1.csv: csv text_label ["column 2", "column 3", "column 1"], 0 empty; 1 1286, 2 1270, 3 1204, 4 1240
    sms_spam/sms.tsv: tsv text_label ["column 2", "column 1"], 0 empty; ham 4827, spam 747
    zh_hotel_reviews/ChnSentiCorp_htl_all.csv: csv text_label ["review", "label"], 1 empty; 0 2444, 1 5322
    zh_news_titles/dev.txt: tsv text_label ["column 1", "column 2"], 0 empty; 0 1000, 1 1000, 2 1000, 3 1000, 4 1000, 5 1000, 6 1000, 7 1000, 8 1000, 9 1000
    alpaca/alpaca_raw_5k.json: json alpaca ["instruction", "input", "output"], 2 empty; 
    alpaca/alpaca_filtered_5k.json: json alpaca ["instruction", "input", "output"], 4 empty; 
    alpaca_zh/alpaca_zh_demo.json: json alpaca ["instruction", "input", "output"], 0 empty; 
    chat_multiturn/sharegpt_identity.json: json sharegpt ["conversations"], 0 empty; 
    chat_multiturn/sharegpt_toolcall_en.json: json sharegpt ["conversations", "tools"], 0 empty; 
    chat_multiturn/messages_sft.jsonl: jsonl messages ["messages"], 0 empty; 
    ja_zh_parallel/source.ja.txt: text text [], 0 empty; 
    ja_zh_parallel/reference.zh.txt: text text [], 0 empty; 
    ja_zh_parallel/system_Claude-3.5.zh.txt: text text [], 0 empty; 
    tiny_shakespeare/input.txt: text text [], 0 empty;
    "#);
}

#[test]
fn published_preferences_are_read_in_their_spellings() {
    let Some(root) = shared("data/preference") else { return };
    for (file, kind) in
        [("dpo_en.json", Kind::Preference), ("dpo_zh.json", Kind::Preference), ("kto_en.json", Kind::Judged)]
    {
        let imported = import(&root.join(file), &ImportOptions::default()).unwrap();
        assert_eq!((imported.kind, imported.n_rows, imported.n_bad), (kind, 300, 0), "{file}");
        let answers = match &imported.first {
            Record::Preference(row) => row.answers().to_vec(),
            Record::Judged(row) => vec![row.answer()],
            other => panic!("{file}: {other:?}"),
        };
        for answer in answers {
            let Record::Chat(chat) = answer else { panic!("{file}: {answer:?}") };
            let trained: Vec<bool> = chat.messages.iter().map(|turn| turn.is_trained()).collect();
            let (last, before) = trained.split_last().unwrap();
            assert!(*last && !before.is_empty() && before.iter().all(|turn| !turn), "{file}: {chat:?}");
        }
    }
}

#[test]
fn the_messy_file_is_refused_with_its_first_rows_and_its_good_rows_can_be_kept() {
    let Some(root) = shared("data/messy_spam_csv") else { return };
    let file = root.join("spam.csv");
    let message = import(&file, &ImportOptions::default()).unwrap_err().to_string();
    insta::assert_snapshot!(message.replace(&format!("{}/", root.display()), ""), @r#"
    526 of 5572 rows of `spam.csv` cannot be used, so nothing was imported; mend them, or import only the good rows
      line 7, column 142: byte 0xe5 is not UTF-8: `…X std chgs to send, �1.50 to rcv",,,`
      line 10, column 79: byte 0xe5 is not UTF-8: `…elected to receivea �900 prize reward! To claim call 09061701461. Claim code KL3…`
      line 14, column 60: byte 0xe5 is not UTF-8: `…E membership in our �100,000 Prize Jackpot! Txt the word: CLAIM to No: 81010 T&C…`
      line 20, column 17: byte 0xe5 is not UTF-8: `ham,Fine if that��s the way u feel. That��s the way its gota b,,,`
      line 23, column 6: byte 0x89 is not UTF-8: `ham,I���m going to try for 2 months ha ha only joking,,,`
      line 24, column 8: byte 0xcc is not UTF-8: `ham,So �_ pay first lar... Then when is da stock comin...,,,`
      line 36, column 78: byte 0xe5 is not UTF-8: `…ile will be charged �5/month Please confirm by replying YES or NO. If you reply …`
      line 37, column 56: byte 0xcc is not UTF-8: `… timings then i msg �_ again... Xuhui going to learn on 2nd may too but her less…`
      line 67, column 124: byte 0xe5 is not UTF-8: `… are awarded with a �1500 Bonus Prize, call 09066364589",,,`
      line 69, column 81: byte 0xe5 is not UTF-8: `…rav, Aco&Entry41 Or �1000. To claim txt DIS to 87121 18+6*�1.50(moreFrmMob. ShrA…`
      and 516 more
      save the file as UTF-8; it is often Windows-1252, then `iconv -f windows-1252 -t utf-8` does it
    "#);
    let imported = import(&file, &keep_good()).unwrap();
    assert_eq!(imported.n_rows + imported.n_bad, 5572);
    assert_eq!((imported.kind, imported.bad_rows.len(), imported.labels.len()), (Kind::Labelled, 10, 2));
}

#[test]
fn the_same_rows_have_the_same_hash_whatever_file_they_came_from() {
    let forms = [
        ("a.csv", "text,label\ngood,1\n\"bad, really\",0\n"),
        ("b.tsv", "label\ttext\r\n1\tgood\r\n0\tbad, really\r\n"),
        ("c.jsonl", "{\"text\": \"good\", \"label\": 1}\n{\"label\": \"0\", \"text\": \"bad, really\"}\n"),
        ("d.json", "[{\"text\":\"good\",\"label\":1},\n{\"text\":\"bad, really\",\"label\":0}]"),
        ("e.txt", "\u{feff}text;label\ngood;1\nbad, really;0"),
    ];
    let mut hashes: Vec<String> =
        forms.iter().map(|(name, text)| import_text(name, text, &ImportOptions::default()).unwrap().hash).collect();
    hashes.dedup();
    assert_eq!(hashes.len(), 1, "{hashes:?}");
}

#[test]
fn conversations_are_read_in_all_their_spellings() {
    let rows = [
        r#"{"messages": [{"role": "user", "content": "a"}, {"role": "assistant", "content": [{"type": "text", "text": "b"}]}]}"#,
        r#"{"conversations": [{"from": "human", "value": "a"}, {"from": "gpt", "value": "b"}]}"#,
        r#"{"instruction": "a", "input": "", "output": "b"}"#,
        r#"{"question": "a", "answer": "b"}"#,
    ];
    let imported = import_text("rows.jsonl", rows.join("\n"), &ImportOptions::default()).unwrap();
    assert_eq!((imported.kind, imported.n_rows), (Kind::Chat, 4));
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("rows.jsonl");
    fs::write(&file, rows.join("\n")).unwrap();
    let store = Store::open(&folder.path().join("store")).unwrap();
    let imported = store.import(&file, &ImportOptions::default(), &mut |_| ()).unwrap();
    let dataset = store.dataset(&imported.hash).unwrap();
    let rows: Vec<Record> = dataset.iter().map(Result::unwrap).collect();
    assert!(rows.iter().all(|row| *row == rows[0]), "{rows:?}");
    insta::assert_snapshot!(String::from_utf8(dataset.stored_line(0).unwrap()).unwrap(), @r#"{"messages":[{"role":"user","content":"a"},{"role":"assistant","content":"b"}]}"#);
}

#[test]
fn tool_calls_become_what_templates_read() {
    let row = r#"{"conversations": [{"from": "human", "value": "w?"}, {"from": "function_call", "value": "{\"name\": \"get\", \"arguments\": {\"city\": \"K\"}}"}, {"from": "observation", "value": "sun"}, {"from": "gpt", "value": "Sunny"}], "tools": "[{\"name\": \"get\", \"parameters\": {}}]", "system": "Be brief"}"#;
    let imported = import_text("rows.jsonl", row, &ImportOptions::default()).unwrap();
    insta::assert_snapshot!(serde_json::to_string_pretty(&imported.first).unwrap(), @r#"
    {
      "messages": [
        {
          "role": "system",
          "content": "Be brief"
        },
        {
          "role": "user",
          "content": "w?"
        },
        {
          "role": "assistant",
          "content": "",
          "tool_calls": [
            {
              "type": "function",
              "function": {
                "name": "get",
                "arguments": {
                  "city": "K"
                }
              }
            }
          ]
        },
        {
          "role": "tool",
          "content": "sun"
        },
        {
          "role": "assistant",
          "content": "Sunny"
        }
      ],
      "tools": [
        {
          "type": "function",
          "function": {
            "name": "get",
            "parameters": {}
          }
        }
      ]
    }
    "#);
}

#[test]
fn files_that_cannot_be_used_say_what_they_are() {
    let told = [
        refused("empty.csv", ""),
        refused("blank.jsonl", "\u{feff} \n\n"),
        refused("utf16.csv", b"\xff\xfet\0e\0x\0t\0"),
        refused("packed.jsonl", b"\x1f\x8b\x08\0\0\0\0\0"),
        refused("table.parquet", b"PAR1\x15\x04"),
        refused("noise.bin", (0..=255_u8).cycle().take(4096).collect::<Vec<u8>>()),
        refused("header.csv", "text,label\n"),
        refused("list.json", "[]"),
        refused("unknown.jsonl", r#"{"promt": "a", "completion": "b"}"#),
        refused("unknown.csv", "a,b,c,d\n1,2,3,4\n5,6,7,8\n"),
        refused("pairs.jsonl", r#"{"source": "a", "target": "b"}"#),
        refused("single.json", "{'text': 'a'}"),
    ];
    insta::assert_snapshot!(told.join("\n"), @r#"
    `empty.csv` is empty; choose a file with at least one row
    `blank.jsonl` is empty; choose a file with at least one row
    `utf16.csv` is not text but UTF-16; save the file as UTF-8
    `packed.jsonl` is not text but a gzip archive; unpack it first
    `table.parquet` is not text but a Parquet file; save it as JSON Lines or CSV; this version does not read Parquet
    `noise.bin` is not text but binary data; choose a file of text, CSV or JSON
    `header.csv` holds no rows that can be used: it has no rows, only a header or an empty list
    `list.json` holds no rows that can be used: it has no rows, only a header or an empty list
    `unknown.jsonl` holds no rows that can be used: a row has `promt`, `completion`; expected `messages`, `conversations`, `instruction` with `output`, `prompt` with `completion`, `chosen` with `rejected`, a text with a `label`, or `text`; is `promt` meant to be `prompt`?
    `unknown.csv` holds no rows that can be used: a row has `a`, `b`, `c`, `d`; expected `messages`, `conversations`, `instruction` with `output`, `prompt` with `completion`, `chosen` with `rejected`, a text with a `label`, or `text`
    `pairs.jsonl` holds texts with their translations, which is recognised but cannot be trained on in this version; rows of chat, prompt and completion, preferences, text with a label, or plain text can
    no row of `single.json` can be used (rows: 1)
      line 1, column 2: not valid JSON: names and texts stand in double quotes: `{'text': 'a'}`
    "#);
}

#[test]
fn bad_rows_are_told_in_full() {
    let told = [
        refused(
            "rows.jsonl",
            "{\"text\": \"a\", \"label\": 1}\n{\"text\": \"b\"}\n{\"text\": 3.5, \"label\": 0.5}\n{\"text\": [], \"label\": 1}\n{\"text\": \"é\" \"label\": 1}\n",
        ),
        refused("rows.csv", "text,label\na,1\n\"b,0\nc,\nd,1,x\n"),
        refused(
            "chat.jsonl",
            "{\"messages\": [{\"role\": \"user\", \"content\": \"a\"}]}\n{\"messages\": [{\"role\": \"wizard\", \"content\": \"a\"}]}\n{\"messages\": [{\"role\": \"assistant\", \"content\": [{\"type\": \"image_url\"}]}]}\n{\"messages\": 3}\n{\"messages\": [{\"role\": \"assistant\", \"content\": \"a\"}]}\n",
        ),
        refused("cut.json", "[{\"text\": \"a\"}, {\"text\": \"b"),
        refused("deep.json", format!("[{{\"text\": \"a\"}}, {}1{}]", "{\"text\":".repeat(200), "}".repeat(200))),
    ];
    insta::assert_snapshot!(told.join("\n"), @r#"
    4 of 5 rows of `rows.jsonl` cannot be used, so nothing was imported; mend them, or import only the good rows
      line 2, column 1: `label` is missing: this row has no label: `{"text": "b"}`
      line 3, column 15: the label `0.5` is not a class but a number with a fraction: `{"text": 3.5, "label": 0.5}`
      line 4, column 2: `text` is not a text: `{"text": [], "label": 1}`
      line 5, column 14: not valid JSON: expected `,` or `}`: `{"text": "é" "label": 1}`
    3 of 4 rows of `rows.csv` cannot be used, so nothing was imported; mend them, or import only the good rows
      line 3, column 1: the quote that begins this cell is not closed where the cell ends; double the quotes inside a cell: `"b,0`
      line 4, column 3: `label` is missing: this row has no label: `c,`
      line 5, column 5: this cell stands behind the 2 columns that have a name; put quotes around a text that contains the delimiter: `d,1,x`
    4 of 5 rows of `chat.jsonl` cannot be used, so nothing was imported; mend them, or import only the good rows
      line 1, column 2: `messages` has no turn of the assistant, so there is nothing to learn: `{"messages": [{"role": "user", "content": "a"}]}`
      line 2, column 2: turn 1 of `messages`: the speaker `wizard` is not known; use `system`, `user`, `assistant` or `tool`: `{"messages": [{"role": "wizard", "content": "a"}]}`
      line 3, column 2: turn 1 of `messages`: only text can be trained on in this version, and a part of it is `image_url`: `{"messages": [{"role": "assistant", "content": [{"type": "image_url"}]}]}`
      line 4, column 2: `messages` is not a list: `{"messages": 3}`
    1 of 2 rows of `cut.json` cannot be used, so nothing was imported; mend them, or import only the good rows
      line 1, column 17: the file ends inside this row: a quote or bracket is missing, or it is cut off: `{"text": "b`
    1 of 2 rows of `deep.json` cannot be used, so nothing was imported; mend them, or import only the good rows
      line 1, column 1033: not valid JSON: recursion limit exceeded: `…xt":{"text":{"text":{"text":{"text":{"text":{"text":{"text":{"text":{"text":{"te…`
    "#);
}

#[test]
fn the_content_decides_and_the_name_only_breaks_ties() {
    for (name, text, format) in [
        ("rows.json", "text,label\na,1\nb,0\n", "csv"),
        ("rows.txt", "{\"text\": \"a\"}\n{\"text\": \"b\"}\n", "jsonl"),
        ("rows.csv", "[{\"text\": \"a\"}]", "json"),
        ("rows.md", "a note\nof two lines, as plain as they come\nand a third\n{\"text\": 1}\n", "text"),
        ("rows.txt", "Dear all,\nthis is text, with commas, here\nand, there.\n", "text"),
        ("rows.jsonl", "{\n \"text\": \"a\"\n}\n", "json"),
        ("rows.jsonl", "{\"text\": \"a\"\n{\"text\": \"b\"}\n{\"text\": \"c\"}\n", "jsonl"),
        ("rows", "text\tlabel\n\"a\tb\"\t1\n\"c\"\t0\n\"d\"\t1\n", "tsv"),
    ] {
        let imported = import_text(name, text, &keep_good());
        let told = imported.map_or_else(|cause| cause.to_string(), |imported| imported.format.to_owned());
        assert_eq!(told, format, "{name}: {text}");
    }
}

#[test]
fn a_kind_can_be_asked_for() {
    let text = "text,label\na,1\nb,0\n";
    let options = ImportOptions { kind: Some(Kind::Text), ..ImportOptions::default() };
    assert_eq!(import_text("rows.csv", text, &options).unwrap().kind, Kind::Text);
    let options = ImportOptions { kind: Some(Kind::Chat), ..ImportOptions::default() };
    let message = import_text("rows.csv", text, &options).unwrap_err().to_string();
    assert!(message.contains("not of the kind `chat`"), "{message}");
}

#[test]
fn progress_counts_bytes_and_rows() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("rows.jsonl");
    fs::write(&file, "{\"text\": \"a\"}\n".repeat(2500)).unwrap();
    let store = Store::open(&folder.path().join("store")).unwrap();
    let mut told = Vec::new();
    store.import(&file, &ImportOptions::default(), &mut |now| told.push(now)).unwrap();
    assert_eq!(told.iter().map(|now| now.rows).collect::<Vec<_>>(), [1000, 2000, 2500]);
    let last = told.last().unwrap();
    assert_eq!((last.bytes_read, last.bytes_total), (35_000, 35_000));
}

#[test]
fn a_folder_or_a_missing_file_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let message = import(folder.path(), &ImportOptions::default()).unwrap_err().to_string();
    assert!(message.ends_with("it is a folder; choose a file in it"), "{message}");
    let message = import(&folder.path().join("none.csv"), &ImportOptions::default()).unwrap_err().to_string();
    assert!(message.starts_with("cannot read"), "{message}");
}

#[test]
fn what_an_interrupted_import_left_is_removed_and_never_listed() {
    let folder = tempfile::tempdir().unwrap();
    let left = folder.path().join("import-x.partial");
    fs::create_dir(&left).unwrap();
    fs::write(left.join("rows.jsonl"), "{\"text\":").unwrap();
    let held = folder.path().join("import-y.partial");
    fs::create_dir(&held).unwrap();
    let lock = fs::File::create(held.join("lock")).unwrap();
    lock.lock().unwrap();
    fs::write(left.join("lock"), "").unwrap();
    let store = Store::open(folder.path()).unwrap();
    assert!(!left.exists(), "nobody holds its lock");
    assert!(held.exists(), "its import still runs");
    assert_eq!(store.list().unwrap(), []);
}

#[test]
fn a_damaged_data_set_is_refused_and_mended_by_importing_again() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("rows.jsonl");
    fs::write(&file, "{\"text\": \"a\"}\n{\"text\": \"b\"}\n").unwrap();
    let store = Store::open(&folder.path().join("store")).unwrap();
    let imported = store.import(&file, &ImportOptions::default(), &mut |_| ()).unwrap();
    let rows: PathBuf = store.root().join(&imported.hash).join("rows.jsonl");
    fs::write(&rows, "{\"text\":\"a\"}\n").unwrap();
    let message = store.dataset(&imported.hash).unwrap_err().to_string();
    assert!(message.contains("is damaged: its rows do not have 26 bytes: 13"), "{message}");
    let again = store.import(&file, &ImportOptions::default(), &mut |_| ()).unwrap();
    assert_eq!(again.hash, imported.hash);
    assert_eq!(store.dataset(&again.hash).unwrap().len(), 2);
    assert!(store.dataset(&again.hash).unwrap().row(2).unwrap_err().to_string().contains("row 2 does not exist"));
}

/// The test runs itself as the program that is killed.
#[cfg(target_os = "linux")]
#[test]
fn a_killed_import_leaves_nothing_to_be_seen() {
    use std::io::Write as _;
    use std::process::{Command, Stdio};

    const ROOT: &str = "LORIKEET_TEST_KILLED_IMPORT";
    if let Some(root) = std::env::var_os(ROOT) {
        let store = Store::open(Path::new(&root)).unwrap();
        // Never ends by itself: the other side keeps the pipe open.
        store.import(Path::new("/dev/stdin"), &ImportOptions::default(), &mut |_| ()).unwrap();
    }
    let folder = tempfile::tempdir().unwrap();
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "imports::a_killed_import_leaves_nothing_to_be_seen"])
        .env(ROOT, folder.path())
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    let mut input = child.stdin.take().unwrap();
    for _ in 0..2000 {
        input.write_all("{\"text\": \"a row that is long enough to fill buffers\"}\n".repeat(20).as_bytes()).unwrap();
    }
    child.kill().unwrap();
    child.wait().unwrap();
    let left: Vec<String> =
        fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    assert!(left.len() == 1 && left[0].ends_with(".partial"), "the import was not under way: {left:?}");
    let store = Store::open(folder.path()).unwrap();
    assert_eq!(store.list().unwrap(), []);
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, failure_persistence: None, ..ProptestConfig::default() })]

    /// Whatever a file holds, an import ends: with rows or with a message.
    #[test]
    fn no_bytes_break_an_import(bytes in proptest::collection::vec(any::<u8>(), 0..2000), name in "[a-z]\\.(csv|tsv|json|jsonl|txt)") {
        let _ = import_text(&name, bytes, &keep_good());
    }

    /// The same for bytes that look like the known forms.
    #[test]
    fn no_text_breaks_an_import(text in "([\\[\\]{}\",:;\t\n\r |a1\u{e9}\\\\]|\"text\"|\"label\"|null|text|label|\\{\"text\": \"a\"\\}){0,200}", name in "[a-z]\\.(csv|tsv|json|jsonl|txt)") {
        let _ = import_text(&name, text, &keep_good());
    }
}
