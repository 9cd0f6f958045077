//! Decoders that nobody published: whatever options meet, both back ends agree forward and backward, every parameter
//! receives a gradient, a cache changes nothing, and merging can be undone.

use lorikeet_models::{
    Activation, Architecture, Backend, Composed, DecoderSpec, Fused, LayerSpec, LoraSpec, Model, ModelConfig, Naming,
    NormKind, Objective, Recompute, Rope, RopeScaling, Targets, Tokens, Trainable, WeightSource,
};
use proptest::{prelude::*, test_runner::RngSeed};

use crate::zoo;

const WIDTH: usize = 8;
const LENGTHS: [usize; 3] = [7, 1, 5];
/// Of the largest number of what is compared, or of one. Gradients of norms over norms carry the last digits further.
const LOGITS: f32 = 5e-4;
const GRADIENTS: f32 = 1e-3;
/// The same cases every time: one in some thousands is a network that magnifies the noise of 32 bits.
const SEED: u64 = 20_261_120;

fn scaling(pairs: usize) -> impl Strategy<Value = RopeScaling> {
    let list = || prop::collection::vec(0.5f64..4.0, pairs);
    prop_oneof![
        Just(RopeScaling::None),
        (1.5f64..8.0).prop_map(|factor| RopeScaling::Linear { factor }),
        (1.5f64..8.0).prop_map(|factor| RopeScaling::Llama3 {
            factor,
            low_frequency: 1.0,
            high_frequency: 4.0,
            original_positions: 6.0
        }),
        (1.5f64..8.0, any::<bool>()).prop_map(|(factor, whole_pairs)| RopeScaling::Yarn {
            factor,
            fast_turns: 4.0,
            slow_turns: 1.0,
            original_positions: 6.0,
            whole_pairs,
            attention_factor: 1.2
        }),
        (list(), list()).prop_map(|(short, long)| RopeScaling::Long {
            short,
            long,
            original_positions: 4.0,
            attention_factor: 1.1
        }),
    ]
}

fn rope(half: usize) -> impl Strategy<Value = Rope> {
    let rope = |pairs: usize| {
        (5f64..500.0, scaling(pairs)).prop_map(move |(theta, scaling)| Rope { theta, dim: 2 * pairs, scaling })
    };
    (1..=half).prop_flat_map(rope)
}

/// Key/value heads, query heads for each, half the channels of a head.
fn heads() -> impl Strategy<Value = (usize, usize, usize)> {
    (1usize..3, 1usize..4, 1usize..4)
}

fn spec() -> impl Strategy<Value = DecoderSpec> {
    heads().prop_flat_map(|(kv_heads, group, half)| {
        let layer = (prop::option::of(2usize..9), prop::option::of(0usize..2));
        let layers = prop::collection::vec(layer.prop_map(|(window, rope)| LayerSpec { window, rope }), 1..4);
        let ropes = prop::collection::vec(rope(half), 2);
        let norm = prop_oneof![Just(NormKind::Rms), Just(NormKind::RmsPlusOne), Just(NormKind::Layer)];
        let smooth = [Activation::Silu, Activation::Gelu, Activation::GeluTanh, Activation::Tanh];
        let caps = prop::option::of(1f32..9.0);
        let numbers = (1usize..13, prop::option::of(0.5f32..3.0), 0.2f32..1.0, caps.clone(), caps);
        let flags = prop::collection::vec(any::<bool>(), 10);
        (layers, ropes, norm, prop::sample::select(smooth.to_vec()), numbers, flags).prop_map(
            move |(
                layers,
                ropes,
                norm,
                activation,
                (inner, embedding_scale, score_scale, score_cap, logit_cap),
                on,
            )| {
                DecoderSpec {
                    naming: if on[0] { Naming::Llama } else { Naming::Gpt2 },
                    vocabulary: zoo::VOCABULARY as usize,
                    width: WIDTH,
                    inner,
                    layers,
                    heads: kv_heads * group,
                    kv_heads,
                    head_dim: 2 * half,
                    max_positions: 16,
                    embedding_scale,
                    learned_positions: on[1],
                    ropes,
                    norm,
                    // So much that the norm of what is nearly nothing does not magnify the last digits.
                    norm_eps: 1e-2,
                    norm_after: on[2],
                    // Heads are normed by their root mean square in every family.
                    qk_norm: on[3] && norm != NormKind::Layer,
                    score_scale,
                    score_cap,
                    logit_cap,
                    fused: on[4],
                    gated: on[5],
                    transposed: on[6],
                    qkv_bias: on[7],
                    output_bias: on[8],
                    mlp_bias: on[8],
                    tied: on[9],
                    activation,
                }
            },
        )
    })
}

fn model<B: Backend>(backend: B, spec: &DecoderSpec, trainable: &Trainable) -> Model<B> {
    let config = ModelConfig {
        folder: "random".into(),
        model_type: "random".to_owned(),
        architecture: Architecture::Decoder(spec.clone()),
        labels: None,
        label_names: Vec::new(),
        initial_deviation: 0.3,
        raw: serde_json::Map::new(),
    };
    let source = WeightSource::Fresh { folder: "random".into(), seed: 5, deviation: 0.4 };
    let mut model = Model::build(backend, config, &source, trainable, 5).unwrap();
    zoo::disturb(&mut model);
    model
}

fn batch() -> (Tokens, Vec<u32>) {
    let id = |n: usize| (n * 7 + 3) as u32 % zoo::VOCABULARY;
    let rows: Vec<Vec<u32>> = LENGTHS.iter().map(|n| (0..*n).map(|i| id(i + 5 * n)).collect()).collect();
    let tokens = Tokens::from_sequences(&rows);
    let targets = (0..tokens.ids.len()).map(id).collect();
    (tokens, targets)
}

fn gradients<B: Backend>(model: &Model<B>, recompute: Recompute) -> Vec<Vec<f32>> {
    let ((tokens, targets), mut grads) = (batch(), model.gradients().unwrap());
    let objective = (&Objective::default(), 1.0);
    model.loss_and_gradients(&tokens, &targets, objective, recompute, &mut grads).unwrap();
    grads.0.iter().map(|g| model.backend().download(g).unwrap()).collect()
}

fn logits<B: Backend>(model: &Model<B>) -> Vec<f32> {
    model.backend().download(&model.logits(&batch().0).unwrap()).unwrap()
}

#[track_caller]
fn assert_near(what: &str, left: &[f32], right: &[f32], tolerance: f32) {
    assert_eq!(left.len(), right.len(), "{what}");
    let size = left.iter().fold(1f32, |m, v| m.max(v.abs()));
    let apart = left.iter().zip(right).fold(0f32, |m, (l, r)| m.max((l - r).abs()));
    assert!(apart <= tolerance * size, "{what}: {apart:e} apart where the largest number is {size}");
}

/// Softmax does not notice what is added to all its scores: without a rotation or a norm, that is a bias on the keys.
fn is_flat(spec: &DecoderSpec, name: &str) -> bool {
    let key_bias = name.ends_with("k_proj.bias") || name.ends_with("k_attn.bias");
    key_bias && !spec.qk_norm && spec.score_cap.is_none() && spec.layers.iter().any(|layer| layer.rope.is_none())
}

fn both_back_ends_agree(spec: &DecoderSpec, trainable: &Trainable) {
    let (fused, composed) = (model(Fused::new(2).unwrap(), spec, trainable), model(Composed::cpu(), spec, trainable));
    assert_near("logits", &logits(&fused), &logits(&composed), LOGITS);
    let (ours, theirs) = (gradients(&fused, Recompute::Never), gradients(&composed, Recompute::Never));
    assert_eq!(ours, gradients(&fused, Recompute::EveryBlock), "recompute changes the gradients");
    for ((p, ours), theirs) in fused.parameters().iter().zip(&ours).zip(&theirs) {
        assert_near(&p.name, ours, theirs, GRADIENTS);
        assert!(is_flat(spec, &p.name) || ours.iter().any(|g| *g != 0.0), "`{}` receives no gradient", p.name);
    }
}

fn a_cache_changes_nothing<B: Backend>(model: &Model<B>) {
    let ids = &batch().0.ids[..LENGTHS[0]];
    let whole = model.backend().download(&model.logits(&Tokens::from_sequences(&[ids])).unwrap()).unwrap();
    let (mut cache, width) = (model.cache(ids.len()).unwrap(), zoo::VOCABULARY as usize);
    let (prompt, rest) = ids.split_at(3);
    let mut last = model.next_logits(prompt, &mut cache).unwrap();
    for id in rest {
        last = model.next_logits(&[*id], &mut cache).unwrap();
    }
    assert_near("token by token", &last, &whole[whole.len() - width..], LOGITS);
}

fn merging_can_be_undone<B: Backend>(mut model: Model<B>) {
    let before = logits(&model);
    model.merge().unwrap();
    assert_near("merged", &logits(&model), &before, LOGITS);
    model.unmerge();
    assert_eq!(logits(&model), before, "merged and taken apart");
}

fn adapters() -> Trainable {
    Trainable::Lora(LoraSpec::new(2, 3.0, Targets::AllLinear, 3))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 40, failure_persistence: None, rng_seed: RngSeed::Fixed(SEED), ..ProptestConfig::default() })]

    #[test]
    fn any_decoder_is_the_same_on_both_back_ends(spec in spec()) {
        both_back_ends_agree(&spec, &Trainable::Everything);
        both_back_ends_agree(&spec, &adapters());
    }

    #[test]
    fn any_decoder_reads_token_by_token(spec in spec()) {
        a_cache_changes_nothing(&model(Fused::new(1).unwrap(), &spec, &adapters()));
        a_cache_changes_nothing(&model(Composed::cpu(), &spec, &adapters()));
    }

    #[test]
    fn any_decoder_is_merged_and_taken_apart(spec in spec()) {
        merging_can_be_undone(model(Fused::new(1).unwrap(), &spec, &adapters()));
        merging_can_be_undone(model(Composed::cpu(), &spec, &adapters()));
    }
}
