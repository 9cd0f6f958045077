//! Every setting of a run, declared once: name, type, unit, default, range, group and one sentence. Flags, form fields,
//! documentation, `--config` files and the stored run all derive from this list; an unknown key is refused with the nearest
//! known one.
//!
//! Settings exist in two stages: as typed ([`Settings`], where `None` means "decide from the rest") and as meant
//! ([`crate::Plan`], where everything is decided).

mod kind;
mod presets;
mod when;

use std::collections::BTreeMap;

use serde_json::Value;

pub use kind::{
    ClassWeights, DeviceChoice, Group, Kind, LossChoice, Pattern, PrecisionChoice, QuantiseChoice, RecomputeChoice,
    SettingType,
};
pub use presets::{PRESETS, Preset};
pub use when::{When, Work};

use lorikeet_data::LossOn;

use crate::{Decay, Goal, Result, TrainError};

/// Values of settings by name.
pub type Values = BTreeMap<String, Value>;

/// The declaration of one setting.
#[derive(Clone, Debug)]
pub struct Setting {
    /// Name in files, flags (with `-` for `_`) and the registry.
    pub name: &'static str,
    /// What a form calls it.
    pub label: &'static str,
    /// Its part of a form.
    pub group: Group,
    /// The kind of value.
    pub kind: Kind,
    /// Unit of a number; empty for none.
    pub unit: &'static str,
    /// Value when nothing is said; null where it is decided from the rest.
    pub default: Value,
    /// Smallest and largest number.
    pub range: Option<(f64, f64)>,
    /// The words to choose from, with what a form calls them.
    pub choices: &'static [(&'static str, &'static str)],
    /// What it does.
    pub sentence: &'static str,
    /// When it matters; all conditions have to hold, and without one it always does.
    pub when: Vec<When>,
}

macro_rules! settings {
    ($($name:ident: $type:ty = $default:expr, $label:literal, $group:ident, $unit:literal, $range:expr, $sentence:literal
        $(, when $($subject:ident in [$($word:ident)*])&+)?;)*) => {
        /// Settings as typed; `None` is decided from the rest when a run is planned.
        #[derive(Clone, Debug, PartialEq)]
        pub struct Settings {
            $(#[doc = $sentence] pub $name: $type,)*
        }

        impl Default for Settings {
            fn default() -> Self {
                Self { $($name: $default,)* }
            }
        }

        /// All declarations, in the order of a form.
        pub fn declarations() -> Vec<Setting> {
            vec![$(Setting {
                name: stringify!($name),
                label: $label,
                group: Group::$group,
                kind: <$type as SettingType>::KIND,
                unit: $unit,
                default: value_of::<$type>($default),
                range: $range,
                choices: <$type as SettingType>::CHOICES,
                sentence: $sentence,
                when: vec![$($(When { subject: stringify!($subject), words: &[$(stringify!($word)),*] }),+)?],
            },)*]
        }

        impl Settings {
            /// Every setting with its value.
            pub fn to_values(&self) -> Values {
                [$((stringify!($name).to_owned(), SettingType::to_value(&self.$name)),)*].into()
            }

            /// Sets one setting by name.
            ///
            /// # Errors
            /// Where there is no such setting, or it does not take the value.
            pub fn set(&mut self, name: &str, value: &Value) -> Result<()> {
                match name {
                    $(stringify!($name) => self.$name = read::<$type>(stringify!($name), value, $range)?,)*
                    _ => return Err(unknown(name, &[])),
                }
                Ok(())
            }
        }
    };
}

settings! {
    epochs: f64 = 3.0, "Passes", Learning, "passes", Some((0.01, 1000.0)), "How often every example is read.";
    steps: Option<u64> = None, "Steps", Learning, "steps", Some((1.0, 1e9)), "Optimiser steps in all; left empty, the passes decide.";
    batch_size: u64 = 8, "Batch size", Learning, "examples", Some((1.0, 4096.0)), "Examples that are computed together; more need more memory.";
    gradient_accumulation: u64 = 1, "Gradient accumulation", Learning, "batches", Some((1.0, 4096.0)), "Batches that make one step, which gives a larger batch without its memory.";
    learning_rate: Option<f64> = None, "Learning rate", Learning, "", Some((0.0, 10.0)), "Size of a step; left empty, 0.75 / the model's width for LoRA (at most 3e-3) and 5e-5 for all weights.";
    schedule: Decay = Decay::Cosine, "Schedule", Learning, "", None, "How the learning rate falls after the warm-up.";
    warmup: f64 = 0.03, "Warm-up", Learning, "fraction", Some((0.0, 1.0)), "Share of the steps in which the learning rate rises from zero.";
    warmup_steps: Option<u64> = None, "Warm-up steps", Learning, "steps", Some((0.0, 1e9)), "The warm-up as a number of steps; overrides the share.";
    weight_decay: f64 = 0.01, "Weight decay", Learning, "", Some((0.0, 10.0)), "How strongly weights are pulled towards zero at each step.";
    max_gradient_norm: f64 = 1.0, "Gradient clipping", Learning, "", Some((0.0, 1e6)), "Longer gradients are shortened to this norm; 0 leaves them.";
    beta1: f64 = 0.9, "Beta 1", Learning, "", Some((0.0, 0.999_999)), "How slowly the optimiser forgets the direction of past gradients.";
    beta2: f64 = 0.999, "Beta 2", Learning, "", Some((0.0, 0.999_999_9)), "How slowly the optimiser forgets the size of past gradients.";
    epsilon: f64 = 1e-8, "Epsilon", Learning, "", Some((1e-12, 1.0)), "Keeps the optimiser from dividing by zero.";
    loss: LossChoice = LossChoice::CrossEntropy, "Loss", Learning, "", None, "What training makes small: cross-entropy, or for labels the focal loss, which looks past what is already right; checks always measure plain cross-entropy.", when task in [classify];
    objective: Option<Goal> = None, "Objective", Learning, "", None, "What is learned: to continue as the examples do, or to prefer the better of two answers (DPO, ORPO), or to say what is wanted (KTO); left empty, what the examples are for.", when task in [causal];
    beta: f64 = 0.1, "Preference strength", Learning, "", Some((1e-4, 100.0)), "How closely DPO and KTO stay to the base (smaller strays further); the weight of the rejected answer in ORPO.", when objective in [dpo orpo kto];
    desirable_weight: f64 = 1.0, "Weight of wanted answers", Learning, "", Some((0.0, 100.0)), "How much answers judged good count in KTO.", when objective in [kto];
    undesirable_weight: f64 = 1.0, "Weight of unwanted answers", Learning, "", Some((0.0, 100.0)), "How much answers judged bad count in KTO.", when objective in [kto];
    label_smoothing: f64 = 0.0, "Label smoothing", Learning, "fraction", Some((0.0, 0.99)), "Share of each answer's weight that is spread over all others, so that the model does not grow too sure; in DPO the share of pairs taken to be the wrong way round.", when loss in [cross_entropy] & objective in [sft dpo];
    focal_alpha: f64 = 0.25, "Focal alpha", Learning, "", Some((0.0, 1e3)), "Multiplies the focal loss.", when loss in [focal];
    focal_gamma: f64 = 2.0, "Focal gamma", Learning, "", Some((0.0, 20.0)), "How little the focal loss counts rows that are already right; 0 counts all alike.", when loss in [focal];
    class_weights: Option<ClassWeights> = None, "Class weights", Learning, "", None, "How much each label counts: `balanced` gives rare ones more, a list gives one weight per label in their order; left empty, all alike.", when task in [classify];
    neftune_alpha: f64 = 0.0, "Embedding noise", Learning, "", Some((0.0, 1000.0)), "Strength of the random noise on the words while learning (NEFTune), usually 5 to 15; 0 for none.";
    early_stopping: Option<u64> = None, "Early stopping", Learning, "checks", Some((1.0, 1000.0)), "Ends the run after so many checks without a better validation loss; left empty, never.";
    adapter: Option<String> = None, "Start from", Adapter, "", None, "An adapter that training goes on from, as its folder or the name of a run; its rank, alpha and modules are kept; left empty, a fresh one.", when method in [lora];
    rank: u64 = 8, "Rank", Adapter, "", Some((1.0, 1024.0)), "Size of the adapter: higher learns more and needs more memory.", when method in [lora];
    alpha: f64 = 16.0, "Alpha", Adapter, "", Some((0.001, 1e6)), "Strength of the adapter: its update is multiplied by alpha / rank.", when method in [lora];
    target_modules: Option<Vec<String>> = None, "Target modules", Adapter, "", None, "Modules that get an adapter, `all-linear`, or a regular expression for whole paths; left empty, all linear ones of a language model, query and value of a classifier.", when method in [lora];
    exclude_modules: Option<Vec<String>> = None, "Modules left out", Adapter, "", None, "Modules that get no adapter although the target modules name them, as names or a regular expression for whole paths.", when method in [lora];
    layers: Option<Vec<String>> = None, "Layers", Adapter, "", None, "Layers that get adapters, counted from 0, such as `0-3,8`; left empty, all.", when method in [lora];
    rank_pattern: Pattern = Pattern::default(), "Ranks by module", Adapter, "", None, "Other ranks for single modules, such as `q_proj=16`; a name is a regular expression for the end of a path.", when method in [lora];
    alpha_pattern: Pattern = Pattern::default(), "Alphas by module", Adapter, "", None, "Other alphas for single modules, such as `q_proj=32`.", when method in [lora];
    dropout: f64 = 0.0, "Dropout", Adapter, "fraction", Some((0.0, 0.95)), "Share of an adapter's inputs that each batch leaves out, so that it learns less by heart.", when method in [lora];
    dora: bool = false, "DoRA", Adapter, "", None, "Also learns the length of each row of the adapted weights: often a little better, and slower.", when method in [lora];
    lora_plus_ratio: f64 = 1.0, "LoRA+ ratio", Adapter, "", Some((1.0, 1024.0)), "How many times as fast the second half of an adapter learns as the first; LoRA+ takes 16 with a lower learning rate.", when method in [lora];
    rank_stabilised: bool = false, "Rank-stabilised", Adapter, "", None, "Multiplies by alpha / sqrt(rank) instead, which suits high ranks (rsLoRA).", when method in [lora];
    quantize: QuantiseChoice = QuantiseChoice::None, "Base in fewer bits", Adapter, "", None, "Keeps the base in blocks of 8 or 4 bits while an adapter is trained on it, which needs a half or a third of the memory and blurs it a little.", when method in [lora];
    max_length: u64 = 512, "Longest example", Data, "tokens", Some((4.0, 1_048_576.0)), "Longer examples are cut; never more than the model can read.";
    loss_on: LossOn = LossOn::Assistant, "Learned from", Data, "", None, "Which part of a conversation is learned: the last answer, every answer, or all of it with the questions.", when task in [causal] & objective in [sft];
    packing: bool = false, "Packing", Data, "", None, "Puts short examples together until each place of a batch holds about the longest example's tokens; they do not see each other.", when task in [causal] & objective in [sft];
    validation_split: f64 = 0.1, "Kept aside", Data, "fraction", Some((0.0, 0.9)), "Share of the examples to check with, which are not learned from.";
    shuffle: bool = true, "Shuffle", Data, "", None, "Reads the examples in a new order on every pass.";
    evaluate_every: Option<u64> = None, "Check every", Saving, "steps", Some((1.0, 1e9)), "Steps between two checks on the examples kept aside; left empty, about ten checks a run.";
    save_every: Option<u64> = None, "Save every", Saving, "steps", Some((1.0, 1e9)), "Steps between two saves of the whole state; left empty, at every check.";
    keep_checkpoints: u64 = 2, "Checkpoints kept", Saving, "checkpoints", Some((1.0, 1000.0)), "Newest saves that are kept, besides the best one.";
    samples: u64 = 2, "Sample answers", Saving, "answers", Some((0.0, 16.0)), "Questions from the examples kept aside that are answered at every check.", when task in [causal];
    sample_tokens: u64 = 64, "Longest sample answer", Saving, "tokens", Some((1.0, 4096.0)), "Tokens after which a sample answer is cut.", when task in [causal];
    device: DeviceChoice = DeviceChoice::Auto, "Device", Computing, "", None, "What computes: the fastest there is, or the one named.";
    threads: Option<u64> = None, "Threads", Computing, "threads", Some((1.0, 1024.0)), "Processor threads; left empty, as many as there are cores.";
    seed: u64 = 42, "Seed", Computing, "", Some((0.0, 9e15)), "The same seed and settings on the same computer give the same result.";
    precision: PrecisionChoice = PrecisionChoice::F32, "Precision", Computing, "", None, "In what numbers products with the base's weights are computed: of 32 bits, or of 16 (bf16) with sums of 32, which is up to twice as fast where the processor or card knows them; adapters and their gradients always have 32.", when method in [lora];
    recompute: RecomputeChoice = RecomputeChoice::Auto, "Gradient checkpointing", Computing, "", None, "Computes inner values again instead of keeping them: up to a third slower, much less memory; `auto` does so for just as many blocks as the memory asks for.";
    memory_limit: Option<f64> = None, "Memory limit", Computing, "GB", Some((0.01, 1e6)), "Memory that the whole program may hold; a run that needs more is refused, and `auto` gradient checkpointing keeps to it; left empty, what is free.";
    from_scratch: bool = false, "From scratch", Computing, "", None, "Starts from random weights instead of the model's own; needs the method `full`.", when method in [full] & objective in [sft orpo];
}

impl Settings {
    /// The defaults with `values` applied.
    ///
    /// # Errors
    /// At the first name that is unknown or value that is not taken.
    pub fn from_values(values: &Values) -> Result<Self> {
        let mut settings = Self::default();
        values.iter().try_for_each(|(name, value)| settings.set(name, value))?;
        Ok(settings)
    }
}

/// The error for a name that is neither a setting nor one of `others`.
pub fn unknown(name: &str, others: &[&str]) -> TrainError {
    let known = declarations().into_iter().map(|d| d.name).chain(others.iter().copied());
    let nearest = known
        .map(|k| (strsim::damerau_levenshtein(name, k), k))
        .min()
        .filter(|(distance, k)| *distance <= k.len().max(name.len()) / 2);
    TrainError::UnknownSetting { name: name.to_owned(), nearest: nearest.map(|(_, k)| k.to_owned()) }
}

fn value_of<T: SettingType>(value: T) -> Value {
    value.to_value()
}

fn read<T: SettingType>(name: &'static str, value: &Value, range: Option<(f64, f64)>) -> Result<T> {
    let bad = |expected: String| TrainError::BadSetting { name, expected, value: value.to_string() };
    let parsed = T::from_value(value).ok_or_else(|| bad(T::expected()))?;
    if let (Some((least, most)), Some(number)) = (range, T::to_value(&parsed).as_f64())
        && !(least..=most).contains(&number)
    {
        return Err(bad(format!("{} from {least} to {most}", T::expected())));
    }
    Ok(parsed)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn values_go_in_and_come_out_the_same() {
        let mut settings = Settings::default();
        settings.set("learning_rate", &json!(1e-3)).unwrap();
        settings.set("target_modules", &json!("q_proj, v_proj")).unwrap();
        settings.set("steps", &json!("20")).unwrap();
        settings.set("schedule", &json!("linear")).unwrap();
        assert_eq!(settings.target_modules, Some(vec!["q_proj".to_owned(), "v_proj".to_owned()]));
        assert_eq!(Settings::from_values(&settings.to_values()).unwrap(), settings);
    }

    #[test]
    fn what_earlier_versions_wrote_is_read() {
        for (former, now) in [("never", "off"), ("blocks", "on")] {
            let mut settings = Settings::default();
            settings.set("recompute", &json!(former)).unwrap();
            assert_eq!(settings.to_values()["recompute"], now);
        }
    }

    #[test]
    fn what_is_not_taken_is_said_with_the_mend() {
        let say = |name: &str, value: Value| Settings::default().set(name, &value).unwrap_err().to_string();
        assert_eq!(say("learning_rat", json!(1)), "`learning_rat` is not a setting; did you mean `learning_rate`");
        assert_eq!(say("batch_size", json!(0)), "`batch_size` takes a whole number from 1 to 4096, not: 0");
        assert_eq!(say("epochs", json!("many")), "`epochs` takes a number, not: \"many\"");
        assert_eq!(say("schedule", json!("cosin")), "`schedule` takes one of cosine, linear, constant, not: \"cosin\"");
    }

    #[test]
    fn every_declaration_has_words_and_a_default_it_takes() {
        for d in declarations() {
            assert!(d.sentence.ends_with('.') && !d.label.is_empty(), "{}", d.name);
            Settings::default().set(d.name, &d.default).unwrap();
        }
    }
}
