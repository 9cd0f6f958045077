//! Puts a model together: asks the weight source for each leaf, decides what is trained, attaches adapters by name.

use std::collections::BTreeSet;

use lorikeet_kernels::{Backend, HostMatrix};

use crate::{
    LoraSpec, ModelError, Result, Targets,
    files::{WeightSource, stream_of},
    leaf::{Leaf, Parameter},
    lora::{Matcher, ends_with},
    names::{PEFT_PREFIX, spellings},
    norm::NormKind,
    projection::{Adapter, Magnitude, Projection, output_squares},
    quantise::Misfits,
};

/// What training may change.
#[derive(Clone, Debug, PartialEq)]
pub enum Trainable {
    /// Nothing: the model is used as it is.
    Nothing,
    /// Low-rank adapters, and the classifier of an encoder.
    Lora(LoraSpec),
    /// Every weight.
    Everything,
}

/// What the head of a classifier starts from where the base has none that fits.
#[derive(Clone, Copy, Debug)]
pub(crate) struct FreshHead {
    pub seed: u64,
    /// Standard deviation of its weights; biases are zero.
    pub deviation: f32,
}

/// The sizes of a linear map.
#[derive(Clone, Copy)]
pub(crate) struct LinearShape {
    pub out: usize,
    pub inside: usize,
    pub bias: bool,
    /// The weight lies as (in, out), as GPT-2's do, instead of (out, in).
    pub transposed: bool,
}

/// Collects the leaves of one model.
pub(crate) struct Builder<'a, B: Backend> {
    pub backend: &'a B,
    source: &'a WeightSource,
    trainable: &'a Trainable,
    /// Which modules get an adapter.
    matcher: Option<Matcher>,
    /// The family's prefix and those that published files have in its place.
    prefixes: &'static [&'static str],
    /// Every name that was looked for.
    asked: BTreeSet<String>,
    pub parameters: Vec<Parameter<B>>,
    /// Paths of the linear maps with an adapter, and of those without.
    adapted: Vec<String>,
    plain: Vec<String>,
    offered: BTreeSet<String>,
    /// What could not be kept in fewer bits.
    pub misfits: Misfits,
}

impl<'a, B: Backend> Builder<'a, B> {
    pub fn new(
        backend: &'a B,
        source: &'a WeightSource,
        trainable: &'a Trainable,
        prefixes: &'static [&'static str],
    ) -> Result<Self> {
        let matcher = if let Trainable::Lora(spec) = trainable { Some(spec.matcher()?) } else { None };
        let (parameters, adapted, plain, offered) = (Vec::new(), Vec::new(), Vec::new(), BTreeSet::new());
        let (asked, misfits) = (BTreeSet::new(), Misfits::default());
        Ok(Self { backend, source, trainable, matcher, prefixes, asked, parameters, adapted, plain, offered, misfits })
    }

    /// A matrix such as an embedding.
    pub fn matrix(&mut self, name: String, rows: usize, cols: usize) -> Result<Leaf<B>> {
        self.leaf(name, rows, cols, vec![rows, cols])
    }

    /// A vector such as a norm's weight or a bias, as (1, n).
    pub fn vector(&mut self, name: String, n: usize) -> Result<Leaf<B>> {
        self.leaf(name, 1, n, vec![n])
    }

    /// The weight of a norm. One to which the norm adds one starts at zero.
    pub fn norm_weight(&mut self, name: String, n: usize, kind: NormKind) -> Result<Leaf<B>> {
        let mut leaf = self.vector(name, n)?;
        if kind == NormKind::RmsPlusOne && matches!(self.source, WeightSource::Fresh { .. }) {
            let value = match &mut leaf {
                Leaf::Frozen(value) => value,
                Leaf::Trained(i) => &mut self.parameters[*i].value,
            };
            self.backend.scale(value, 0.0)?;
        }
        Ok(leaf)
    }

    /// The linear map at a module path, with an adapter where the path is a target.
    pub fn projection(&mut self, path: String, out: usize, inside: usize, bias: bool) -> Result<Projection<B>> {
        self.linear(path, LinearShape { out, inside, bias, transposed: false })
    }

    /// [`Builder::projection`] of a weight that may lie transposed.
    pub fn linear(&mut self, path: String, shape: LinearShape) -> Result<Projection<B>> {
        let LinearShape { out, inside, bias, .. } = shape;
        let name = format!("{path}.weight");
        let transposed =
            shape.transposed && !matches!(self.source, WeightSource::Files(files) if files.is_upright(&name));
        let (rows, cols) = if transposed { (inside, out) } else { (out, inside) };
        let weight = self.matrix(name, rows, cols)?;
        let bias = if bias { Some(self.vector(format!("{path}.bias"), out)?) } else { None };
        self.offered.insert(last_name(&path).to_owned());
        let adapter = self.adapter_at(path, &weight, LinearShape { transposed, ..shape })?;
        Ok(Projection { weight, transposed, bias, adapter, merged: None })
    }

    /// The adapter of the linear map at a module path, where the path is a target.
    fn adapter_at(&mut self, path: String, weight: &Leaf<B>, shape: LinearShape) -> Result<Option<Adapter<B>>> {
        if let (Trainable::Lora(spec), Some(matcher)) = (self.trainable, &self.matcher)
            && matcher.covers(&path)
        {
            let (rank, scale) = matcher.rank_and_scale(&path);
            let adapter = self.adapter((spec, rank, scale), &path, weight, shape)?;
            self.adapted.push(path);
            return Ok(Some(adapter));
        }
        if self.matcher.as_ref().is_none_or(|m| m.in_layers(&path)) {
            self.plain.push(path);
        }
        Ok(None)
    }

    /// A linear map outside the blocks, such as BERT's pooler: it gets an adapter only where it is named.
    pub fn outer_projection(&mut self, path: &str, out: usize, inside: usize) -> Result<Projection<B>> {
        let weight = self.matrix(format!("{path}.weight"), out, inside)?;
        let bias = Some(self.vector(format!("{path}.bias"), out)?);
        let adapter = match self.trainable {
            Trainable::Lora(spec) if spec.targets == Targets::AllLinear => {
                self.plain.push(path.to_owned());
                None
            }
            _ => {
                self.adapter_at(path.to_owned(), &weight, LinearShape { out, inside, bias: true, transposed: false })?
            }
        };
        Ok(Projection { weight, transposed: false, bias, adapter, merged: None })
    }

    /// A linear map of the head: with LoRA it is trained and saved whole. Where the base has none, it starts from fresh
    /// numbers.
    pub fn head(&mut self, path: &str, out: usize, inside: usize, start: FreshHead) -> Result<Projection<B>> {
        let weight = self.head_matrix(&format!("{path}.weight"), out, inside, start)?;
        let bias = FreshHead { deviation: 0.0, ..start };
        let bias = self.head_leaf(format!("{path}.bias"), (1, out), vec![out], bias)?;
        Ok(Projection { weight, transposed: false, bias: Some(bias), adapter: None, merged: None })
    }

    /// The weight of a head without a bias; see [`Builder::head`].
    pub fn head_matrix(&mut self, name: &str, out: usize, inside: usize, start: FreshHead) -> Result<Leaf<B>> {
        self.head_leaf(name.to_owned(), (out, inside), vec![out, inside], start)
    }

    fn head_leaf(
        &mut self,
        name: String,
        (rows, cols): (usize, usize),
        dims: Vec<usize>,
        FreshHead { seed, deviation }: FreshHead,
    ) -> Result<Leaf<B>> {
        let stored = match self.find(&name, rows, cols) {
            // The file's classifier has another number of classes than the examples: training replaces it.
            Err(ModelError::WeightShape { .. }) if *self.trainable != Trainable::Nothing => None,
            Err(ModelError::WeightShape { path, expected, found, .. }) if expected.get(1) == found.get(1) => {
                let [found, asked] = [found, expected].map(|shape| shape.first().copied().unwrap_or_default());
                return Err(ModelError::HeadSize { path, found, asked });
            }
            found => found?,
        };
        let stream = stream_of(seed, &name);
        let value = match stored {
            Some(matrix) => self.backend.duplicate(&self.backend.weight(&matrix)?)?,
            None => {
                let numbers = (0..(rows * cols) as u64).map(|i| deviation * stream.normal(i)).collect();
                self.backend.upload(numbers, rows, cols)?
            }
        };
        Ok(match self.trainable {
            Trainable::Nothing => Leaf::Frozen(value),
            Trainable::Everything => self.train(name, dims, value),
            Trainable::Lora(_) => self.train(format!("{PEFT_PREFIX}{name}"), dims, value),
        })
    }

    fn leaf(&mut self, name: String, rows: usize, cols: usize, dims: Vec<usize>) -> Result<Leaf<B>> {
        let missing = || ModelError::MissingWeight { path: self.source.folder().to_owned(), name: name.clone() };
        let mut matrix = self.find(&name, rows, cols)?.ok_or_else(missing)?;
        if let Some(quantise) = self.source.quantise().filter(|_| rows > 1 && *self.trainable != Trainable::Everything)
        {
            matrix = quantise.apply(&name, self.gives_logits(&name), matrix, &mut self.misfits)?;
            self.source.let_go(&spellings(self.prefixes, &name));
        }
        let weight = self.backend.weight(&matrix)?;
        Ok(match self.trainable {
            Trainable::Everything => {
                let value = self.backend.duplicate(&weight)?;
                self.train(name, dims, value)
            }
            // Vectors are small and used by operations that take 32-bit floats only.
            _ if rows == 1 => Leaf::Frozen(self.backend.duplicate(&weight)?),
            _ => Leaf::Frozen(weight),
        })
    }

    /// Whether a matrix is the output: the head, or the embedding of a decoder without one.
    fn gives_logits(&self, name: &str) -> bool {
        let has_head = || matches!(self.source, WeightSource::Files(files) if files.shape("lm_head.weight").is_some());
        let is_embedding = ["model.embed_tokens.weight", "transformer.wte.weight"].contains(&name);
        name == "lm_head.weight" || is_embedding && !has_head()
    }

    fn train(&mut self, name: String, dims: Vec<usize>, value: B::Tensor) -> Leaf<B> {
        self.parameters.push(Parameter { name, dims, value });
        Leaf::Trained(self.parameters.len() - 1)
    }

    /// A with uniform numbers in ±1/sqrt(in) (PEFT's default, He et al. 2015 with slope sqrt 5), B with zeros.
    /// DoRA's magnitude starts as the length of the weight's rows.
    fn adapter(
        &mut self,
        (spec, rank, scale): (&LoraSpec, usize, f32),
        path: &str,
        weight: &Leaf<B>,
        LinearShape { out, inside, transposed, .. }: LinearShape,
    ) -> Result<Adapter<B>> {
        let (a_name, b_name) =
            (format!("{PEFT_PREFIX}{path}.lora_A.weight"), format!("{PEFT_PREFIX}{path}.lora_B.weight"));
        let (stream, bound) = (stream_of(spec.seed, &a_name), 1.0 / (inside as f32).sqrt());
        let numbers = (0..(rank * inside) as u64).map(|i| bound * (2.0 * stream.uniform(i) - 1.0)).collect();
        let a = self.backend.upload(numbers, rank, inside)?;
        let b = self.backend.zeros(out, rank)?;
        let first = self.parameters.len();
        self.parameters.push(Parameter { name: a_name, dims: vec![rank, inside], value: a });
        self.parameters.push(Parameter { name: b_name, dims: vec![out, rank], value: b });
        let magnitude = match weight {
            Leaf::Frozen(weight) if spec.dora => Some(self.magnitude(path, weight, transposed)?),
            _ => None,
        };
        Ok(Adapter { a: first, b: first + 1, scale, magnitude })
    }

    fn magnitude(&mut self, path: &str, weight: &B::Tensor, transposed: bool) -> Result<Magnitude<B>> {
        let squares = output_squares(self.backend, weight, transposed)?;
        let value = self.backend.upload(squares.iter().map(|s| s.sqrt() as f32).collect(), 1, squares.len())?;
        let name = format!("{PEFT_PREFIX}{path}.lora_magnitude_vector");
        self.parameters.push(Parameter { name, dims: vec![squares.len()], value });
        Ok(Magnitude::new(self.parameters.len() - 1, squares))
    }

    /// The tensor, under whichever of its names it is stored.
    fn find(&mut self, name: &str, rows: usize, cols: usize) -> Result<Option<HostMatrix>> {
        let names = spellings(self.prefixes, name);
        self.asked.extend(names.iter().cloned());
        self.source.find(&names, rows, cols)
    }

    /// Checks that the files hold nothing that the model has no place for: a weight that is silently left out would make it
    /// another model. Names that `superfluous` accepts are known to be of no use here.
    pub fn check_leftovers(&self, superfluous: impl Fn(&str) -> bool) -> Result<()> {
        let WeightSource::Files(files) = self.source else { return Ok(()) };
        let left: Vec<&str> = files.names().filter(|name| !self.asked.contains(*name) && !superfluous(name)).collect();
        match left.first() {
            None => Ok(()),
            Some(first) => Err(ModelError::LeftoverWeights {
                path: self.source.folder().to_owned(),
                first: (*first).to_owned(),
                n_names: left.len(),
            }),
        }
    }

    /// Checks that every target named something, and returns the parameters with the names of the adapted modules.
    pub fn finish(self) -> Result<(Vec<Parameter<B>>, Vec<String>)> {
        let missed: Vec<String> = match self.trainable {
            Trainable::Lora(LoraSpec { targets: Targets::Named(names), .. }) => {
                let hit = |name: &&String| self.adapted.iter().any(|path| ends_with(path, name));
                names.iter().filter(|n| !hit(n)).cloned().collect()
            }
            Trainable::Lora(LoraSpec { targets, .. }) if self.adapted.is_empty() => vec![targets.words()],
            _ => Vec::new(),
        };
        if !missed.is_empty() {
            let known = self.offered.into_iter().collect::<Vec<_>>().join(", ");
            return Err(ModelError::NoTarget { targets: format!("`{}`", missed.join("`, `")), known });
        }
        if let Some(layer) = self.matcher.as_ref().and_then(|m| m.layer_without(&self.adapted)) {
            return Err(ModelError::NoLayer { layer });
        }
        let names: BTreeSet<&str> = self.adapted.iter().map(|path| distinct_name(path, &self.plain)).collect();
        let names = names.into_iter().map(str::to_owned).collect();
        Ok((self.parameters, names))
    }
}

/// The module's own name: the last part of its path.
pub(crate) fn last_name(path: &str) -> &str {
    path.rsplit('.').next().unwrap_or(path)
}

/// The shortest end of `path` that names none of the modules in `others`: BERT calls four different linear maps `dense`, and
/// PEFT would give all of them an adapter.
fn distinct_name<'p>(path: &'p str, others: &[String]) -> &'p str {
    let ends = path.rmatch_indices('.').map(|(dot, _)| &path[dot + 1..]);
    ends.chain([path]).find(|end| !others.iter().any(|other| ends_with(other, end))).unwrap_or(path)
}

#[cfg(test)]
mod tests {
    use super::distinct_name;

    #[test]
    fn a_name_grows_until_it_means_only_what_it_should() {
        let others = ["bert.pooler.dense", "bert.encoder.layer.1.output.dense"].map(str::to_owned);
        let name = |path| distinct_name(path, &others);
        assert_eq!(name("bert.encoder.layer.0.attention.self.query"), "query");
        assert_eq!(name("bert.encoder.layer.0.intermediate.dense"), "intermediate.dense");
        assert_eq!(name("bert.encoder.layer.0.attention.output.dense"), "attention.output.dense");
        assert_eq!(name("bert.encoder.layer.0.output.dense"), "0.output.dense");
    }
}
