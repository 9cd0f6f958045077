//! The kinds of value that settings take, and how each is read from a file, a flag or a form.

use lorikeet_models::Quantise;
use serde_json::{Value, json};

use lorikeet_data::LossOn;

use crate::{Decay, Goal};

/// The kind of a setting's value, as forms distinguish them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Yes or no.
    Bool,
    /// A whole number.
    Integer,
    /// A number.
    Number,
    /// One of several words.
    Choice,
    /// Words as they are.
    Text,
    /// Several words.
    List,
}

/// Parts of a form.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Group {
    /// How it learns.
    Learning,
    /// What is added to the model.
    Adapter,
    /// What is read.
    Data,
    /// What is checked and kept.
    Saving,
    /// What computes.
    Computing,
}

/// What computes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DeviceChoice {
    /// The fastest device there is.
    Auto,
    /// The processor.
    Cpu,
    /// An NVIDIA graphics card.
    Cuda,
    /// An Apple graphics unit.
    Metal,
}

/// What is made small.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LossChoice {
    /// The surprise at what is right.
    CrossEntropy,
    /// The same with less weight on what is already right.
    Focal,
}

/// How much each class counts.
#[derive(Clone, Debug, PartialEq)]
pub enum ClassWeights {
    /// The rarer the more: rows / (classes x rows of the class), scikit-learn's `balanced`.
    Balanced,
    /// In the order of the labels.
    Listed(Vec<f64>),
}

/// In what numbers products with frozen weights are computed; sums are always of 32 bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PrecisionChoice {
    /// 32-bit floats.
    F32,
    /// 16-bit floats with the range of 32-bit ones (bfloat16).
    Bf16,
}

/// What a backward computes again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RecomputeChoice {
    /// As many blocks as it takes to stay within the memory there is.
    Auto,
    /// Every block.
    On,
    /// Nothing.
    Off,
}

/// How the base is kept in memory while an adapter is trained on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum QuantiseChoice {
    /// As its files have it.
    None,
    /// In blocks of 8 bits.
    Q8_0,
    /// In blocks of 4 bits.
    Q4K,
}

impl QuantiseChoice {
    /// As the models know it.
    pub fn wanted(self) -> Option<Quantise> {
        match self {
            QuantiseChoice::None => None,
            QuantiseChoice::Q8_0 => Some(Quantise::Q8_0),
            QuantiseChoice::Q4K => Some(Quantise::Q4K),
        }
    }
}

/// A type of setting.
pub trait SettingType: Sized {
    /// The kind of value.
    const KIND: Kind;
    /// The words to choose from.
    const CHOICES: &'static [(&'static str, &'static str)] = &[];

    /// The value for files and the registry.
    fn to_value(&self) -> Value;
    /// Reads a value, also from text as flags give it.
    fn from_value(value: &Value) -> Option<Self>;
    /// What is taken, for messages.
    fn expected() -> String;
}

impl SettingType for bool {
    const KIND: Kind = Kind::Bool;

    fn to_value(&self) -> Value {
        json!(self)
    }

    fn from_value(value: &Value) -> Option<Self> {
        value.as_bool().or_else(|| value.as_str()?.parse().ok())
    }

    fn expected() -> String {
        "true or false".to_owned()
    }
}

impl SettingType for u64 {
    const KIND: Kind = Kind::Integer;

    fn to_value(&self) -> Value {
        json!(self)
    }

    fn from_value(value: &Value) -> Option<Self> {
        let whole = |f: f64| (f >= 0.0 && f.fract() == 0.0 && f < 1e19).then_some(f as u64);
        value.as_u64().or_else(|| value.as_f64().and_then(whole)).or_else(|| value.as_str()?.parse().ok())
    }

    fn expected() -> String {
        "a whole number".to_owned()
    }
}

impl SettingType for f64 {
    const KIND: Kind = Kind::Number;

    fn to_value(&self) -> Value {
        json!(self)
    }

    fn from_value(value: &Value) -> Option<Self> {
        // YAML reads `2e-4` as text, because a mantissa without a point is no number there.
        value.as_f64().or_else(|| value.as_str()?.parse().ok()).filter(|f: &f64| f.is_finite())
    }

    fn expected() -> String {
        "a number".to_owned()
    }
}

impl SettingType for String {
    const KIND: Kind = Kind::Text;

    fn to_value(&self) -> Value {
        json!(self)
    }

    fn from_value(value: &Value) -> Option<Self> {
        value.as_str().map(str::trim).filter(|text| !text.is_empty()).map(str::to_owned)
    }

    fn expected() -> String {
        "a text".to_owned()
    }
}

impl SettingType for Vec<String> {
    const KIND: Kind = Kind::List;

    fn to_value(&self) -> Value {
        json!(self)
    }

    fn from_value(value: &Value) -> Option<Self> {
        let words: Vec<String> = match value {
            Value::String(text) => text.split(',').map(|w| w.trim().to_owned()).collect(),
            Value::Array(items) => items.iter().map(|v| v.as_str().map(str::to_owned)).collect::<Option<_>>()?,
            _ => return None,
        };
        (!words.is_empty() && words.iter().all(|w| !w.is_empty())).then_some(words)
    }

    fn expected() -> String {
        "a list of names".to_owned()
    }
}

impl SettingType for ClassWeights {
    const KIND: Kind = Kind::List;

    fn to_value(&self) -> Value {
        match self {
            ClassWeights::Balanced => json!(["balanced"]),
            ClassWeights::Listed(weights) => json!(weights.iter().map(f64::to_string).collect::<Vec<_>>()),
        }
    }

    fn from_value(value: &Value) -> Option<Self> {
        let weights: Vec<Value> = match value {
            Value::String(text) => text.split(',').map(|w| json!(w.trim())).collect(),
            Value::Array(items) => items.clone(),
            _ => return None,
        };
        if weights == [json!("balanced")] {
            return Some(ClassWeights::Balanced);
        }
        let weights: Vec<f64> = weights.iter().map(f64::from_value).collect::<Option<_>>()?;
        let fits =
            weights.len() > 1 && weights.iter().all(|w| (0.0..=1e6).contains(w)) && weights.iter().any(|w| *w > 0.0);
        fits.then_some(ClassWeights::Listed(weights))
    }

    fn expected() -> String {
        "`balanced`, or a weight from 0 to 1000000 for each label".to_owned()
    }
}

/// Numbers for names, in the order given.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Pattern(pub Vec<(String, f64)>);

impl SettingType for Pattern {
    const KIND: Kind = Kind::List;

    fn to_value(&self) -> Value {
        self.0.iter().map(|(name, number)| format!("{name}={number}")).collect()
    }

    fn from_value(value: &Value) -> Option<Self> {
        let number = |v: &Value| f64::from_value(v).filter(|n| *n > 0.0);
        let pair = |text: &str| {
            let (name, n) = text.rsplit_once('=')?;
            Some((name.trim().to_owned(), number(&json!(n.trim()))?))
        };
        let pairs: Vec<(String, f64)> = match value {
            Value::Null => Vec::new(),
            Value::String(text) if text.trim().is_empty() => Vec::new(),
            Value::String(text) => text.split(',').map(pair).collect::<Option<_>>()?,
            Value::Array(items) => items.iter().map(|v| pair(v.as_str()?)).collect::<Option<_>>()?,
            Value::Object(map) => map.iter().map(|(k, v)| Some((k.clone(), number(v)?))).collect::<Option<_>>()?,
            _ => return None,
        };
        pairs.iter().all(|(name, _)| !name.is_empty()).then_some(Self(pairs))
    }

    fn expected() -> String {
        "a list of names with positive numbers such as `q_proj=16`".to_owned()
    }
}

impl<T: SettingType> SettingType for Option<T> {
    const KIND: Kind = T::KIND;
    const CHOICES: &'static [(&'static str, &'static str)] = T::CHOICES;

    fn to_value(&self) -> Value {
        self.as_ref().map_or(Value::Null, T::to_value)
    }

    fn from_value(value: &Value) -> Option<Self> {
        match value {
            Value::Null => Some(None),
            other => T::from_value(other).map(Some),
        }
    }

    fn expected() -> String {
        T::expected()
    }
}

/// A setting with words to choose from: each with its label, and with what earlier versions wrote for it, which is still read.
macro_rules! choice {
    ($type:ident { $($variant:ident = $word:literal $(| $former:literal)?, $label:literal;)* }) => {
        impl SettingType for $type {
            const KIND: Kind = Kind::Choice;
            const CHOICES: &'static [(&'static str, &'static str)] = &[$(($word, $label)),*];

            fn to_value(&self) -> Value {
                match self { $($type::$variant => json!($word)),* }
            }

            fn from_value(value: &Value) -> Option<Self> {
                match value.as_str()? { $($word $(| $former)? => Some($type::$variant),)* _ => None }
            }

            fn expected() -> String {
                format!("one of {}", [$($word),*].join(", "))
            }
        }
    };
}

choice!(Decay {
    Cosine = "cosine", "Cosine";
    Linear = "linear", "Linear";
    Constant = "constant", "Constant";
});

choice!(DeviceChoice {
    Auto = "auto", "Fastest";
    Cpu = "cpu", "Processor";
    Cuda = "cuda", "NVIDIA graphics card";
    Metal = "metal", "Apple graphics unit";
});

choice!(LossChoice {
    CrossEntropy = "cross_entropy", "Cross-entropy";
    Focal = "focal", "Focal";
});

choice!(QuantiseChoice {
    None = "none", "As stored";
    Q8_0 = "q8_0", "8 bits";
    Q4K = "q4_k", "4 bits";
});

choice!(PrecisionChoice {
    F32 = "f32", "32 bits";
    Bf16 = "bf16", "16 bits";
});

choice!(RecomputeChoice {
    Auto = "auto", "Where memory is short";
    On = "on" | "blocks", "Every block";
    Off = "off" | "never", "Off";
});

choice!(Goal {
    Sft = "sft", "Examples as they are";
    Dpo = "dpo", "Pairs of answers (DPO)";
    Orpo = "orpo", "Pairs of answers without a reference (ORPO)";
    Kto = "kto", "Answers judged good or bad (KTO)";
});

choice!(LossOn {
    Completion = "completion", "The last answer";
    Assistant = "assistant", "Every answer";
    All = "all", "Everything";
});
