//! What is said where a model is asked for something it cannot do, and generation with its cache.

use lorikeet_models::{Backend, Composed, Fused, Model, Tokens};

use crate::zoo;

fn open(name: &str) -> Model<Fused> {
    Model::open(Fused::new(1).unwrap(), zoo::folder(name).path()).unwrap()
}

fn refusal<T>(result: Result<T, lorikeet_models::ModelError>) -> String {
    zoo::message(result, std::path::Path::new("nowhere"))
}

#[test]
fn a_text_that_is_too_long() {
    let text = Tokens::from_sequences(&[vec![1; 17]]);
    insta::assert_snapshot!(refusal(open("llama tied").logits(&text)), @"the text's length in tokens is 17, and this model takes at most 16");
    insta::assert_snapshot!(refusal(open("bert").logits(&text)), @"the text's length in tokens is 17, and this model takes at most 16");
}

#[test]
fn a_token_that_has_no_embedding() {
    let text = Tokens::from_sequences(&[[1, zoo::VOCABULARY]]);
    insta::assert_snapshot!(refusal(open("llama tied").logits(&text)), @"the token 13 is not in this model's vocabulary of 13; the tokenizer is of another model");
    insta::assert_snapshot!(refusal(open("distilbert").logits(&text)), @"the token 13 is not in this model's vocabulary of 13; the tokenizer is of another model");
    let fresh = Tokens::from_sequences(&[[1, 2]]);
    insta::assert_snapshot!(refusal(open("llama tied").loss(&fresh, &[1, 99])), @"the token 99 is not in this model's vocabulary of 13; the tokenizer is of another model");
    let empty = Tokens::from_sequences::<[u32; 0]>(&[[]]);
    insta::assert_snapshot!(refusal(open("llama for labels").logits(&empty).map(drop)), @"a text without a token says nothing; give at least a word");
    insta::assert_snapshot!(refusal(open("bert").loss(&fresh, &[3])), @"the label 3 is not among this model's 3 classes");
}

#[test]
fn a_continuation_from_an_encoder() {
    insta::assert_snapshot!(refusal(open("bert").cache(4)), @"a `bert` model gives labels and does not continue texts; take a decoder such as `llama` or `qwen2`");
}

#[test]
fn a_conversation_that_outgrows_its_cache() {
    let model = open("qwen3");
    let mut cache = model.cache(4).unwrap();
    model.next_logits(&[1, 2, 3], &mut cache).unwrap();
    insta::assert_snapshot!(refusal(model.next_logits(&[4, 5], &mut cache)), @"the conversation's length is 5, and this model takes at most 4");
    assert_eq!((cache.len(), cache.capacity()), (3, 4));
}

#[test]
fn sequences_that_a_cache_does_not_have() {
    let model = open("qwen3");
    let mut cache = model.cache_for(2, 4).unwrap();
    let refused = refusal(model.next_logits_of(&[(0, &[1]), (2, &[1])], &mut cache));
    insta::assert_snapshot!(refused, @"a cache of 2 sequences continues each at most once, in ascending order, with at least one token; this does not hold of sequence 2");
    for reads in [&[(1, &[1u32][..]), (0, &[1])], &[(0, &[1]), (0, &[1])], &[(0, &[1]), (1, &[])]] {
        assert!(model.next_logits_of(reads, &mut cache).is_err());
    }
    assert!(cache.is_empty());
    assert!(model.cache_for(usize::MAX, 4).is_err());
}

/// Conversations of different lengths over one cache, of which some pause: each gets what it gets alone.
#[test]
fn conversations_that_are_read_together_do_not_know_of_each_other() {
    for name in ["llama untied", "qwen3", "gemma3"] {
        let model = open(name);
        let texts: [&[u32]; 3] = [&[3, 1, 4, 1, 5, 9], &[2, 7], &[1, 8, 2, 8, 1, 8, 2, 8, 4, 5]];
        let mut together = model.cache_for(3, 20).unwrap();
        let mut alone: Vec<_> = texts.iter().map(|_| model.cache(20).unwrap()).collect();
        // The first token of each at once, the second of two of them, the third with a piece of the last.
        let rounds: [Vec<(usize, &[u32])>; 3] = [
            texts.iter().enumerate().map(|(s, text)| (s, &text[..1])).collect(),
            vec![(0, &texts[0][1..2]), (2, &texts[2][1..2])],
            vec![(0, &texts[0][2..3]), (1, &texts[1][1..2]), (2, &texts[2][2..7])],
        ];
        for reads in rounds {
            let found = model.next_logits_of(&reads, &mut together).unwrap();
            for ((s, ids), found) in reads.iter().zip(found.chunks_exact(zoo::VOCABULARY as usize)) {
                let expected = model.next_logits(ids, &mut alone[*s]).unwrap();
                let worst = found.iter().zip(&expected).fold(0f32, |m, (a, b)| m.max((a - b).abs()));
                assert!(worst < 1e-5, "{name}, sequence {s}: {worst}");
            }
        }
        assert_eq!((together.len(), together.n_sequences()), (7, 3));
    }
}

/// Whether a text is read at once, in pieces or token by token, or again after a part was forgotten: the next token is the same.
fn the_cache_changes_nothing<B: Backend>(make: impl Fn() -> B) {
    for name in ["llama untied", "llama biased", "qwen2", "qwen3"] {
        let folder = zoo::folder(name);
        let model = Model::open(make(), folder.path()).unwrap();
        let text = [3, 1, 4, 1, 5, 9, 2, 6];
        let all = model.backend().download(&model.logits(&Tokens::from_sequences(&[text])).unwrap()).unwrap();
        let expected = &all[all.len() - zoo::VOCABULARY as usize..];
        for pieces in [&[8][..], &[1; 8], &[3, 4, 1]] {
            let mut cache = model.cache(100).unwrap();
            let (mut rest, mut last) = (&text[..], Vec::new());
            for n in pieces {
                let (now, later) = rest.split_at(*n);
                model.next_logits(&[7, 7], &mut cache).unwrap();
                cache.truncate(cache.len() - 2);
                last = model.next_logits(now, &mut cache).unwrap();
                rest = later;
            }
            let worst = last.iter().zip(expected).fold(0f32, |m, (a, b)| m.max((a - b).abs()));
            assert!(worst < 1e-5 && last.len() == expected.len(), "{name}, {pieces:?}: {worst}");
        }
    }
}

#[test]
fn the_cache_changes_nothing_on_either_back_end() {
    the_cache_changes_nothing(|| Fused::new(1).unwrap());
    the_cache_changes_nothing(Composed::cpu);
}
