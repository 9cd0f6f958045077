//! What is learnt of a row: seen through previews, and held against what the model is asked at inference.

use std::path::Path;

use lorikeet_data::{
    Chat, Dataset, ImportOptions, Labels, LossOn, Message, NOT_TRAINED, PrepareOptions, PreviewRow, Role, SplitShares,
    Store, Task, Tokenizer, epoch_order, prepare, preview, split,
};
use serde_json::{Value, json};

use crate::shared::shared;

/// The data set that these rows make.
fn dataset(folder: &Path, rows: &[Value]) -> Dataset {
    let file = folder.join("rows.jsonl");
    let text: String = rows.iter().map(|row| format!("{row}\n")).collect();
    std::fs::write(&file, text).unwrap();
    let store = Store::open(&folder.join("store")).unwrap();
    let imported = store.import(&file, &ImportOptions::default(), &mut |_| ()).unwrap();
    store.dataset(&imported.hash).unwrap()
}

/// The text of a row with what is learnt in brackets.
fn bracketed(row: &PreviewRow) -> String {
    let (mut text, mut is_open) = (String::new(), false);
    for token in &row.tokens {
        if token.trained != is_open {
            text.push(if is_open { ']' } else { '[' });
            is_open = token.trained;
        }
        text += &token.text;
    }
    if is_open {
        text.push(']');
    }
    text
}

fn previews(tokenizer: &Tokenizer, rows: &[Value], options: &PrepareOptions) -> String {
    let folder = tempfile::tempdir().unwrap();
    let dataset = dataset(folder.path(), rows);
    let shown = preview(&dataset, 0..rows.len(), tokenizer, options).unwrap();
    shown.iter().map(bracketed).collect::<Vec<_>>().join("\n----\n")
}

fn causal() -> PrepareOptions {
    PrepareOptions::new(Task::Causal, 512)
}

/// A tokenizer whose folder has `template` as its chat template.
fn with_template(root: &Path, tokenizer: &str, template: &str) -> Tokenizer {
    let folder = tempfile::tempdir().unwrap();
    for name in ["tokenizer.json", "tokenizer_config.json"] {
        std::fs::copy(root.join(tokenizer).join(name), folder.path().join(name)).unwrap();
    }
    let source = std::fs::read_to_string(root.join("chat_templates").join(template)).unwrap();
    std::fs::write(folder.path().join("chat_template.jinja"), source).unwrap();
    Tokenizer::open(folder.path()).unwrap()
}

fn conversation() -> Value {
    json!({"messages": [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "Hi"},
        {"role": "assistant", "content": "Hello!"},
        {"role": "user", "content": "Joke?"},
        {"role": "assistant", "content": "No."},
    ]})
}

fn without_system() -> Value {
    json!({"messages": conversation()["messages"].as_array().unwrap()[1..]})
}

#[test]
fn the_assistants_turns_and_their_ends_are_learnt_in_every_template() {
    let Some(root) = shared("tokenizers") else { return };
    let mut told = String::new();
    for (tokenizer, template, row) in [
        ("qwen2.5", "qwen2.5.jinja", conversation()),
        ("qwen2.5", "smollm2.jinja", conversation()),
        ("qwen2.5", "qwen3.jinja", conversation()),
        ("qwen2.5", "llama-3.jinja", conversation()),
        ("qwen2.5", "gemma.jinja", without_system()),
        ("qwen2.5", "deepseek-r1-distill-qwen.jinja", conversation()),
        ("phi-3-mini", "phi-3-mini.jinja", without_system()),
        ("phi-3-mini", "phi-3.5-mini.jinja", conversation()),
        ("mistral-v0.3", "mistral-v0.3.jinja", conversation()),
        ("mistral-v0.3", "mistral-nemo.jinja", conversation()),
    ] {
        let tokenizer = with_template(&root, tokenizer, template);
        told += &format!("== {template}\n{}\n", previews(&tokenizer, &[row], &causal()));
    }
    insta::assert_snapshot!(told, @r#"
    == qwen2.5.jinja
    <|im_start|>system
    Be brief.<|im_end|>
    <|im_start|>user
    Hi<|im_end|>
    <|im_start|>assistant
    [Hello!<|im_end|>]
    <|im_start|>user
    Joke?<|im_end|>
    <|im_start|>assistant
    [No.<|im_end|>]

    == smollm2.jinja
    <|im_start|>system
    Be brief.<|im_end|>
    <|im_start|>user
    Hi<|im_end|>
    <|im_start|>assistant
    [Hello!<|im_end|>]
    <|im_start|>user
    Joke?<|im_end|>
    <|im_start|>assistant
    [No.<|im_end|>]

    == qwen3.jinja
    <|im_start|>system
    Be brief.<|im_end|>
    <|im_start|>user
    Hi<|im_end|>
    <|im_start|>assistant
    [Hello!<|im_end|>]
    <|im_start|>user
    Joke?<|im_end|>
    <|im_start|>assistant
    [<think>

    </think>

    No.<|im_end|>]

    == llama-3.jinja
    <|start_header_id|>system<|end_header_id|>

    Be brief.<|eot_id|><|start_header_id|>user<|end_header_id|>

    Hi<|eot_id|><|start_header_id|>assistant<|end_header_id|>

    [Hello!<|eot_id|><]|start_header_id|>user<|end_header_id|>

    Joke?<|eot_id|><|start_header_id|>assistant<|end_header_id|>

    [No.<|eot_id|><|im_end|>]
    == gemma.jinja
    <start_of_turn>user
    Hi<end_of_turn>
    <start_of_turn>model
    [Hello!<end_of_turn>
    ]<start_of_turn>user
    Joke?<end_of_turn>
    <start_of_turn>model
    [No.<end_of_turn>
    <|im_end|>]
    == deepseek-r1-distill-qwen.jinja
    Be brief.<｜User｜>Hi<｜Assistant｜>[Hello!<｜end▁of▁sentence｜><]｜User｜>Joke?<｜Assistant｜>[No.<｜end▁of▁sentence｜><|im_end|>]
    == phi-3-mini.jinja
    <|user|>
    Hi<|end|>
    <|assistant|>
    [Hello!<|end|>
    ]<|user|>
    Joke?<|end|>
    <|assistant|>
    [No.<|end|>
    ]<|endoftext|>
    == phi-3.5-mini.jinja
    <|system|>
    Be brief.<|end|>
    <|user|>
    Hi<|end|>
    <|assistant|>
    [Hello!<|end|>
    ]<|user|>
    Joke?<|end|>
    <|assistant|>
    [No.<|end|>
    ]<|endoftext|>
    == mistral-v0.3.jinja
    <s>[INST] Hi[/INST] [Hello!</s>][INST] Be brief.

    Joke?[/INST][ No.</s>]
    == mistral-nemo.jinja
    <s>[INST]Hi[/INST][Hello!</s>][INST]Joke?[/INST][No.</s>]
    "#);
}

#[test]
fn a_thinking_template_is_learnt_as_it_is_asked_for() {
    let Some(root) = shared("tokenizers") else { return };
    let tokenizer = with_template(&root, "qwen2.5", "smollm3.jinja");
    let row = json!({"messages": [
        {"role": "system", "content": "/system_override Be brief."},
        {"role": "user", "content": "Hi"},
        {"role": "assistant", "content": "Hello!"},
        {"role": "user", "content": "Joke?"},
        {"role": "assistant", "content": "No."},
    ]});
    insta::assert_snapshot!(previews(&tokenizer, &[row], &causal()), @r#"
    <|im_start|>system
     Be brief.<|im_end|>
    <|im_start|>user
    Hi<|im_end|>
    <|im_start|>assistant
    [Hello!<|im_end|>]
    <|im_start|>user
    Joke?<|im_end|>
    <|im_start|>assistant
    [No.<|im_end|>]
    "#);
}

#[test]
fn a_model_without_a_template_gets_the_plain_one() {
    let Some(root) = shared("tokenizers") else { return };
    let mut told = String::new();
    for name in ["gpt2", "llama2"] {
        let tokenizer = Tokenizer::open(&root.join(name)).unwrap();
        told += &format!("== {name}\n{}\n", previews(&tokenizer, &[conversation()], &causal()));
    }
    insta::assert_snapshot!(told, @r#"
    == gpt2
    Be brief.

    User: Hi
    Assistant:[ Hello!<|endoftext|>]
    User: Joke?
    Assistant:[ No.<|endoftext|>]

    == llama2
    <s>Be brief.

    User: Hi
    Assistant:[ Hello!</s>
    ]User: Joke?
    Assistant:[ No.</s>
    </s>]
    "#);
}

#[test]
fn completions_and_texts_are_learnt_to_their_end() {
    let Some(root) = shared("tokenizers") else { return };
    let mut told = String::new();
    for name in ["gpt2", "llama2", "mistral-v0.3"] {
        let tokenizer = Tokenizer::open(&root.join(name)).unwrap();
        let prompts = [
            json!({"prompt": "Capital of France?", "completion": " Paris"}),
            json!({"prompt": "Capital of France: ", "completion": "Paris 👨‍👩‍👧"}),
            json!({"prompt": "inter", "completion": "nationally"}),
        ];
        told += &format!("== {name}\n{}\n", previews(&tokenizer, &prompts, &causal()));
        told += &format!("{}\n", previews(&tokenizer, &[json!({"text": "Once upon a time."})], &causal()));
    }
    insta::assert_snapshot!(told, @r#"
    == gpt2
    Capital of France?[ Paris<|endoftext|>]
    ----
    Capital of France: [Paris 👨‍👩‍👧<|endoftext|>]
    ----
    inter[nationally<|endoftext|>]
    Once[ upon a time.<|endoftext|>]
    == llama2
    Capital of France?[ Paris</s>]
    ----
    Capital of France: [Paris 👨‍👩‍👧</s>]
    ----
    inter[nationally</s>]
    [Once upon a time.</s>]
    == mistral-v0.3
    Capital of France?[ Paris</s>]
    ----
    Capital of France: [Paris 👨‍👩‍👧</s>]
    ----
    inter[nationally</s>]
    [Once upon a time.</s>]
    "#);
}

#[test]
fn turns_of_weight_zero_and_tool_calls_are_told_apart() {
    let Some(root) = shared("tokenizers") else { return };
    let tokenizer = Tokenizer::open(&root.join("qwen2.5")).unwrap();
    let row = json!({"messages": [
        {"role": "user", "content": "Weather?"},
        {"role": "assistant", "content": "Hm.", "weight": 0},
        {"role": "user", "content": "Please"},
        {"role": "assistant", "tool_calls": [{"function": {"name": "get", "arguments": "{\"city\": \"Köln\"}"}}]},
        {"role": "tool", "content": "sun"},
        {"role": "assistant", "content": "Sunny."},
    ]});
    insta::assert_snapshot!(previews(&tokenizer, &[row], &causal()), @r#"
    <|im_start|>system
    You are Qwen, created by Alibaba Cloud. You are a helpful assistant.<|im_end|>
    <|im_start|>user
    Weather?<|im_end|>
    <|im_start|>assistant
    Hm.<|im_end|>
    <|im_start|>user
    Please<|im_end|>
    <|im_start|>assistant
    [<tool_call>
    {"name": "get", "arguments": {"city": "Köln"}}
    </tool_call><|im_end|>]
    <|im_start|>user
    <tool_response>
    sun
    </tool_response><|im_end|>
    <|im_start|>assistant
    [Sunny.<|im_end|>]
    "#);
}

/// What the model is trained to continue must be what it is asked to continue, token for token.
#[test]
fn the_tokens_before_a_learnt_turn_are_the_prompt_at_inference() {
    let Some(root) = shared("tokenizers") else { return };
    let turns = [
        Message::new(Role::User, "What is 2+2?  "),
        Message::new(Role::Assistant, "It is 4.\n"),
        Message::new(Role::User, "今天天气很好。"),
        Message::new(Role::Assistant, "Yes 😀"),
    ];
    for (tokenizer, template) in [
        ("qwen2.5", "qwen2.5.jinja"),
        ("qwen2.5", "smollm2.jinja"),
        ("qwen2.5", "qwen3.jinja"),
        ("qwen2.5", "llama-3.2.jinja"),
        ("phi-3-mini", "phi-3-mini.jinja"),
        ("mistral-v0.3", "mistral-v0.3.jinja"),
    ] {
        let tokenizer = with_template(&root, tokenizer, template);
        let folder = tempfile::tempdir().unwrap();
        let dataset = dataset(folder.path(), &[json!({"messages": turns})]);
        let row = preview(&dataset, 0..1, &tokenizer, &causal()).unwrap().remove(0);
        let ids: Vec<u32> = row.tokens.iter().map(|token| token.id).collect();
        for n_before in [1, 3] {
            let chat = Chat { messages: turns[..n_before].to_vec(), tools: Vec::new() };
            let prompt = tokenizer.chat_prompt(&chat).unwrap();
            assert!(ids.starts_with(&prompt), "{template}: turn {n_before} is asked for with other tokens");
            let is_first_learnt = row.tokens[prompt.len()].trained && !row.tokens[prompt.len() - 1].trained;
            assert!(is_first_learnt, "{template}: turn {n_before} is not learnt from its first token");
        }
        let last = row.tokens.iter().rfind(|token| token.trained).unwrap();
        assert!(tokenizer.stop_ids().contains(&last.id), "{template}: {last:?} does not end a turn");
    }
}

#[test]
fn a_template_that_hides_its_turns_is_refused() {
    let Some(root) = shared("tokenizers") else { return };
    let folder = tempfile::tempdir().unwrap();
    std::fs::copy(root.join("gpt2/tokenizer.json"), folder.path().join("tokenizer.json")).unwrap();
    let source = "{{ messages | length }}:{% for m in messages %} {{ m.content | length }}{% endfor %}";
    std::fs::write(folder.path().join("chat_template.jinja"), source).unwrap();
    let tokenizer = Tokenizer::open(folder.path()).unwrap();
    let dataset = dataset(folder.path(), &[conversation()]);
    let message = preview(&dataset, 0..1, &tokenizer, &causal()).unwrap_err().to_string();
    insta::assert_snapshot!(message, @r#"row 1: the assistant's turn 3 cannot be found in what the chat template renders, so no loss mask can be made: the text before the turn changes once the turn is there, and the template marks no `{% generation %}` block for it"#);
}

/// Where neither the prompt nor the words can be found again, the template's own marks are believed.
#[test]
fn generation_blocks_are_the_last_resort() {
    let Some(root) = shared("tokenizers") else { return };
    let folder = tempfile::tempdir().unwrap();
    std::fs::copy(root.join("gpt2/tokenizer.json"), folder.path().join("tokenizer.json")).unwrap();
    let source = "{{ messages | length }}:{% for m in messages %} {% if m.role == 'assistant' %}{% generation %}{{ m.content | length }}!{% endgeneration %}{% else %}u{% endif %}{% endfor %}";
    std::fs::write(folder.path().join("chat_template.jinja"), source).unwrap();
    let tokenizer = Tokenizer::open(folder.path()).unwrap();
    assert_eq!(previews(&tokenizer, &[conversation()], &causal()), "5: u u [6!] u [3!]");
}

#[test]
fn thoughts_are_learnt_in_the_last_turn_and_dropped_before() {
    let Some(root) = shared("tokenizers") else { return };
    let tokenizer = with_template(&root, "qwen2.5", "qwen3.jinja");
    let row = json!({"messages": [
        {"role": "user", "content": "Hi"},
        {"role": "assistant", "content": "<think>\nfirst\n</think>\n\nHello!"},
        {"role": "user", "content": "Joke?"},
        {"role": "assistant", "content": "<think>\nsecond\n</think>\n\nNo."},
    ]});
    insta::assert_snapshot!(previews(&tokenizer, &[row], &causal()), @r#"
    <|im_start|>user
    Hi<|im_end|>
    <|im_start|>assistant
    [Hello!<|im_end|>]
    <|im_start|>user
    Joke?<|im_end|>
    <|im_start|>assistant
    [<think>
    second
    </think>

    No.<|im_end|>]
    "#);
}

#[test]
fn rows_are_cut_counted_and_batched() {
    let Some(root) = shared("tokenizers") else { return };
    let tokenizer = Tokenizer::open(&root.join("qwen2.5")).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let short = json!({"prompt": "a b c", "completion": " d"});
    let long = json!({"prompt": "a", "completion": " b c d e f g h i j k l"});
    let hopeless = json!({"prompt": "a b c d e f g h i j k l", "completion": " m"});
    let dataset = dataset(folder.path(), &[short, long, hopeless]);
    let options = PrepareOptions { n_threads: 2, ..PrepareOptions::new(Task::Causal, 8) };
    let mut told = Vec::new();
    let prepared = prepare(&dataset, &[0, 1, 2], &tokenizer, &options, None, &mut |p| told.push(p.n_done)).unwrap();
    let statistics = prepared.statistics();
    assert_eq!((statistics.n_rows, statistics.n_examples, statistics.n_dropped, statistics.n_truncated), (3, 2, 1, 2));
    assert_eq!((statistics.n_tokens, statistics.n_trained_tokens, statistics.n_end_trained), (13, 9, 1));
    assert_eq!((statistics.lengths.min, statistics.lengths.max), (5, 8));
    assert_eq!(told, [3]);
    assert_eq!(prepared.longest(1), [1]);
    let batch = prepared.batch(&[1, 0]);
    assert_eq!(batch.starts, [0, 8, 13]);
    assert_eq!(batch.n_supervised, 9);
    assert_eq!(batch.targets[0..7], batch.ids[1..8]);
    assert_eq!((batch.targets[7], batch.targets[8], batch.targets[12]), (NOT_TRAINED, NOT_TRAINED, NOT_TRAINED));
    let nothing = prepare(&dataset, &[2], &tokenizer, &options, None, &mut |_| ()).unwrap_err().to_string();
    insta::assert_snapshot!(nothing, @r#"no row has a token left to train on: 1 rows, 1 of them without a trained token within 8 tokens; raise the maximum length or check that the rows have answers"#);
}

#[test]
fn a_long_text_becomes_windows_that_predict_every_token_once() {
    let Some(root) = shared("tokenizers") else { return };
    let tokenizer = Tokenizer::open(&root.join("gpt2")).unwrap();
    let text = "one two three four five six seven eight nine ten";
    let whole = tokenizer.encode(text, true).unwrap().ids;
    let folder = tempfile::tempdir().unwrap();
    let dataset = dataset(folder.path(), &[json!({"text": text})]);
    let prepared =
        prepare(&dataset, &[0], &tokenizer, &PrepareOptions::new(Task::Causal, 4), None, &mut |_| ()).unwrap();
    let batch = prepared.batch(&(0..prepared.len() as u32).collect::<Vec<_>>());
    let predicted: Vec<u32> = batch.targets.iter().copied().filter(|target| *target != NOT_TRAINED).collect();
    assert_eq!(predicted[..whole.len() - 1], whole[1..]);
    assert_eq!(predicted.last(), tokenizer.eos().map(|eos| &eos.id));
    assert_eq!((prepared.statistics().n_split, prepared.statistics().n_end_trained), (1, 1));
}

#[test]
fn labels_are_numbered_by_the_training_rows_and_unknown_ones_named() {
    let Some(root) = shared("tokenizers") else { return };
    let tokenizer = Tokenizer::open(&root.join("bert-base-uncased")).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let label = |label: &str| json!({"text": "good film", "label": label});
    let dataset = dataset(folder.path(), &[label("10"), label("9"), label("10"), label("neutral")]);
    let options = PrepareOptions::new(Task::Classify, 16);
    let prepared = prepare(&dataset, &[0, 1, 2], &tokenizer, &options, None, &mut |_| ()).unwrap();
    assert_eq!(prepared.labels().names(), ["9", "10"]);
    let batch = prepared.batch(&[0, 1, 2]);
    assert_eq!(batch.labels, [1, 0, 1]);
    assert_eq!((batch.n_supervised, batch.n_sequences()), (3, 3));
    assert_eq!(batch.ids[..4], [101, 2204, 2143, 102]);
    let labels: &Labels = prepared.labels();
    let unknown = prepare(&dataset, &[2, 3], &tokenizer, &options, Some(labels), &mut |_| ()).unwrap_err().to_string();
    insta::assert_snapshot!(unknown, @r#"the label `neutral` in row 4 does not occur in the training rows; known labels: `9`, `10`"#);
    let single = prepare(&dataset, &[0, 2], &tokenizer, &options, None, &mut |_| ()).unwrap_err().to_string();
    insta::assert_snapshot!(single, @r#"a classifier needs at least two different labels in its training rows; found: `10`"#);
    let causal = prepare(&dataset, &[0], &tokenizer, &causal(), None, &mut |_| ()).unwrap_err().to_string();
    insta::assert_snapshot!(causal, @r#"row 1: rows of kind `labelled` cannot be used to train a language model; to learn the labels, choose the task `classify`"#);
}

#[test]
fn threads_do_not_change_what_is_prepared() {
    let Some(root) = shared("tokenizers") else { return };
    let Some(data) = shared("data/alpaca") else { return };
    let tokenizer = Tokenizer::open(&root.join("qwen2.5")).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(folder.path()).unwrap();
    let imported = store.import(&data.join("alpaca_raw_5k.json"), &ImportOptions::default(), &mut |_| ()).unwrap();
    let dataset = store.dataset(&imported.hash).unwrap();
    let rows = split(dataset.len(), SplitShares { validation: 0.9, test: 0.0 }, 3).train;
    let with_threads = |n_threads: usize| {
        let options = PrepareOptions { n_threads, ..PrepareOptions::new(Task::Causal, 256) };
        prepare(&dataset, &rows, &tokenizer, &options, None, &mut |_| ()).unwrap()
    };
    let (one, three) = (with_threads(1), with_threads(3));
    assert_eq!(one, three);
    assert!(one.statistics().share_end_trained() > 0.95, "{:?}", one.statistics());
    let order = epoch_order(one.len(), 1, 0);
    assert_eq!(one.batch(&order[..8]), three.batch(&order[..8]));
}

/// Both answers are shown as they are compared, whatever else is to be learned from.
#[test]
fn a_pair_shows_both_of_its_answers() {
    let Some(root) = shared("tokenizers") else { return };
    let tokenizer = Tokenizer::open(&root.join("qwen2.5")).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let rows = [json!({"prompt": "Sky?", "chosen": "Blue.", "rejected": "It is green, always."})];
    let options = PrepareOptions { loss_on: LossOn::All, ..causal() };
    let shown = preview(&dataset(folder.path(), &rows), 0..1, &tokenizer, &options).unwrap().remove(0);
    let trained = |tokens: &[lorikeet_data::PreviewToken]| -> String {
        tokens.iter().filter(|token| token.trained).map(|token| token.text.as_str()).collect()
    };
    let rejected = shown.rejected.unwrap();
    assert!(trained(&shown.tokens).starts_with("Blue."), "{:?}", shown.tokens);
    assert!(trained(&rejected).starts_with("It is green, always."), "{rejected:?}");
    assert!(!trained(&rejected).contains("Sky") && shown.n_tokens == rejected.len());
}
