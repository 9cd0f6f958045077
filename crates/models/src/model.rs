//! A model in memory: runs forward and backward, generates, and hands its parameters to an optimiser.

use std::{borrow::Cow, path::Path};

use lorikeet_kernels::{Backend, Objective};

use crate::{
    AdapterFiles, AdapterTensor, Architecture, KeyValueCache, LoraSpec, Misfits, ModelConfig, ModelError, ModelFiles,
    Naming, Noise, Parameter, Quantise, Result, Trainable, WeightSource,
    build::{Builder, FreshHead},
    classifier::Classifier,
    decoder::Decoder,
    encoder::Encoder,
    leaf::{Context, Gradients},
    names::{DecoderNames, base_prefixes},
    projection::Projection,
    tokens::{LossSum, Recompute, Tokens},
};

/// A model on a device.
pub struct Model<B: Backend> {
    backend: B,
    config: ModelConfig,
    body: Body<B>,
    parameters: Vec<Parameter<B>>,
    lora: Option<LoraSpec>,
    adapted: Vec<String>,
    adapters: bool,
    pub(crate) noise: Option<Noise>,
    n_stored: usize,
    quantise: Option<Quantise>,
    misfits: Misfits,
}

#[allow(clippy::large_enum_variant)]
enum Body<B: Backend> {
    /// With a head for the vocabulary, or for the classes that the configuration counts.
    Decoder(Decoder<B>),
    Encoder(Encoder<B>, Option<Classifier<B>>),
}

impl<B: Backend> Body<B> {
    /// Every linear map that may have an adapter.
    fn projections(&mut self) -> Box<dyn Iterator<Item = &mut Projection<B>> + '_> {
        match self {
            Body::Decoder(decoder) => Box::new(decoder.projections()),
            Body::Encoder(encoder, head) => {
                Box::new(encoder.projections().chain(head.iter_mut().flat_map(Classifier::projections)))
            }
        }
    }
}

impl<B: Backend> Model<B> {
    /// Puts a model together on `backend`. `seed` is that of a classifier that the base does not have.
    ///
    /// # Errors
    /// Where a weight is missing or misshapen, or a target module names nothing.
    pub fn build(
        backend: B,
        config: ModelConfig,
        source: &WeightSource,
        trainable: &Trainable,
        seed: u64,
    ) -> Result<Self> {
        if matches!(trainable, Trainable::Everything)
            && let Some(problem) = cannot_be_trained_whole(&config, source)
        {
            return Err(ModelError::Unsuited { model_type: config.model_type, problem: problem.to_owned() });
        }
        let mut builder = Builder::new(&backend, source, trainable, base_prefixes(&config.architecture))?;
        let start = FreshHead { seed, deviation: config.initial_deviation };
        let body = match &config.architecture {
            Architecture::Decoder(spec) => {
                let classes = config.labels.map(|n| (n, start));
                let decoder = Decoder::new(&mut builder, spec, classes)?;
                let headless = spec.tied || classes.is_some();
                builder.check_leftovers(|name| DecoderNames::of(spec.naming).is_superfluous(name, headless))?;
                Body::Decoder(decoder)
            }
            Architecture::Encoder(spec) => {
                let encoder = Encoder::new(&mut builder, spec)?;
                let head = config.labels.map(|n| Classifier::new(&mut builder, spec, n, start)).transpose()?;
                Body::Encoder(encoder, head)
            }
        };
        let misfits = std::mem::take(&mut builder.misfits);
        let (parameters, adapted) = builder.finish()?;
        let lora = if let Trainable::Lora(spec) = trainable { Some(spec.clone()) } else { None };
        let n_stored = if let WeightSource::Files(files) = source { files.n_parameters() } else { 0 };
        Ok(Self {
            backend,
            config,
            body,
            parameters,
            lora,
            adapted,
            adapters: true,
            noise: None,
            n_stored,
            quantise: source.quantise(),
            misfits,
        })
    }

    /// The model in `folder` as it is, for use. An encoder whose files hold no classifier has none.
    ///
    /// # Errors
    /// As [`Model::build`] and [`ModelFiles::open`].
    pub fn open(backend: B, folder: &Path) -> Result<Self> {
        Self::open_quantised(backend, folder, None, None)
    }

    /// The model in `folder`, with an adapter where one is given, its base kept in fewer bits where that is asked for.
    ///
    /// # Errors
    /// As [`Model::open`] and [`Model::open_with_adapter`].
    pub fn open_quantised(
        backend: B,
        folder: &Path,
        adapter: Option<&Path>,
        quantise: Option<Quantise>,
    ) -> Result<Self> {
        if let Some(adapter) = adapter {
            let config = ModelConfig::read(folder, None)?;
            let read = AdapterFiles::open(adapter)?.over(&config)?;
            let config = config.adapted(&read);
            let source = WeightSource::Files(ModelFiles::open(folder)?.quantised(quantise));
            let mut model = Self::build(backend, config, &source, &Trainable::Lora(read.config.lora.clone()), 0)?;
            model.load_tensors(&read)?;
            return Ok(model);
        }
        let (mut config, files) = (ModelConfig::read(folder, None)?, ModelFiles::open(folder)?.quantised(quantise));
        if config.labels.is_some() && files.shape(&config.head_weight()).is_none() {
            if let Architecture::Decoder(_) = config.architecture {
                return Err(ModelError::MissingWeight { path: folder.to_owned(), name: config.head_weight() });
            }
            config.labels = None;
        }
        Self::build(backend, config, &WeightSource::Files(files), &Trainable::Nothing, 0)
    }

    /// The model in `folder` with the adapter in `adapter`, in any form that [`AdapterFiles`] reads.
    ///
    /// # Errors
    /// As [`Model::open`], and where the adapter does not fit.
    pub fn open_with_adapter(backend: B, folder: &Path, adapter: &Path) -> Result<Self> {
        Self::open_quantised(backend, folder, Some(adapter), None)
    }

    /// Overwrites the parameters with those of the adapter in `folder`, which must be the same ones.
    ///
    /// # Errors
    /// [`ModelError::AdapterMismatch`] where one is missing, left over or of another shape.
    pub fn load_adapter(&mut self, folder: &Path) -> Result<()> {
        self.load_tensors(&AdapterFiles::open(folder)?.over(&self.config)?)
    }

    fn load_tensors(&mut self, adapter: &AdapterFiles) -> Result<()> {
        let names: Vec<&str> = adapter.tensors.keys().map(String::as_str).collect();
        self.load_parameters(&adapter.path, &names, |name| Ok(adapter.tensors.get(name).cloned()))
    }

    /// Overwrites the parameters, which are every weight, with those of the model in `folder`.
    ///
    /// # Errors
    /// [`ModelError::AdapterMismatch`] where one is missing, left over or of another shape.
    pub fn load_whole(&mut self, folder: &Path) -> Result<()> {
        let files = ModelFiles::open(folder)?;
        let names: Vec<&str> = files.names().collect();
        self.load_parameters(folder, &names, |name| {
            let dims = files.shape(name).unwrap_or_default().to_vec();
            Ok(files.matrix(name)?.map(|matrix| AdapterTensor { dims, numbers: matrix.to_f32() }))
        })
    }

    /// Overwrites the parameters with what `read` has under their names, which are `names`.
    fn load_parameters(
        &mut self,
        folder: &Path,
        names: &[&str],
        read: impl Fn(&str) -> Result<Option<AdapterTensor>>,
    ) -> Result<()> {
        let mismatch = |reason: String| ModelError::AdapterMismatch { path: folder.to_owned(), reason };
        let known = |name: &str| self.parameters.iter().any(|p| p.name == name);
        if let Some(extra) = names.iter().find(|n| !known(n)) {
            return Err(mismatch(format!("the model has no place for `{extra}`")));
        }
        self.body.projections().for_each(Projection::forget);
        for p in &mut self.parameters {
            let Some(tensor) = read(&p.name)? else {
                return Err(mismatch(format!("it lacks `{}`", p.name)));
            };
            if tensor.dims != p.dims {
                return Err(mismatch(format!("`{}` has shape {:?} instead of {:?}", p.name, tensor.dims, p.dims)));
            }
            self.backend.overwrite(&mut p.value, &tensor.numbers)?;
        }
        Ok(())
    }

    pub(crate) fn context(&self) -> Context<'_, B> {
        Context { backend: &self.backend, parameters: &self.parameters, adapters: self.adapters, noise: None }
    }

    /// How the base is kept, where it is kept in fewer bits than its files have.
    pub fn quantised(&self) -> Option<Quantise> {
        self.quantise
    }

    /// What of the base could not be kept so.
    pub fn misfits(&self) -> &Misfits {
        &self.misfits
    }

    /// The device.
    pub fn backend(&self) -> &B {
        &self.backend
    }

    /// What the folder says of the model.
    pub fn config(&self) -> &ModelConfig {
        &self.config
    }

    /// The low-rank adaptation, where there is one.
    pub fn lora(&self) -> Option<&LoraSpec> {
        self.lora.as_ref()
    }

    /// The names of the modules that have an adapter.
    pub fn adapted_modules(&self) -> &[String] {
        &self.adapted
    }

    /// What training changes.
    pub fn parameters(&self) -> &[Parameter<B>] {
        &self.parameters
    }

    /// The device and the parameters, for an optimiser.
    pub fn parameters_mut(&mut self) -> (&B, &mut [Parameter<B>]) {
        self.body.projections().for_each(Projection::forget);
        (&self.backend, &mut self.parameters)
    }

    /// Numbers that training changes.
    pub fn n_trainable(&self) -> usize {
        self.parameters.iter().map(|p| p.dims.iter().product::<usize>()).sum()
    }

    /// Numbers of the whole model, those of adapters included.
    pub fn n_parameters(&self) -> usize {
        let trained = self.n_trainable();
        if self.lora.is_none() && trained > 0 { trained } else { self.n_stored + trained }
    }

    /// Gradients of zero.
    ///
    /// # Errors
    /// Where the device has no memory for them.
    pub fn gradients(&self) -> Result<Gradients<B>> {
        Gradients::zeros(&self.backend, &self.parameters)
    }

    /// Lets adapters take part, or computes with the base alone.
    pub fn set_adapters(&mut self, on: bool) {
        self.adapters = on;
    }

    /// The dropout and the noise of the batches that follow; they act in [`Model::loss_and_gradients`] only.
    pub fn set_noise(&mut self, noise: Option<Noise>) {
        self.noise = noise;
    }

    /// Adds every adapter to its weight. What was trained whole stays as it is.
    ///
    /// # Errors
    /// Where the device has no memory for the merged weights.
    pub fn merge(&mut self) -> Result<()> {
        let ctx = Context { backend: &self.backend, parameters: &self.parameters, adapters: true, noise: None };
        self.body.projections().try_for_each(|p| p.merge(ctx))
    }

    /// Takes every adapter out of its weight again: the model is what it was before [`Model::merge`].
    pub fn unmerge(&mut self) {
        self.body.projections().for_each(Projection::unmerge);
    }

    pub(crate) fn check(&self, tokens: &Tokens) -> Result<()> {
        let (longest, limit) = (tokens.longest(), self.config.max_positions());
        if longest > limit {
            return Err(ModelError::TooLarge { what: "the text's length in tokens", found: longest, limit });
        }
        if self.config.labels.is_some() && tokens.spans.queries.iter().any(|sequence| sequence.is_empty()) {
            return Err(ModelError::NoTokens);
        }
        self.check_ids(&tokens.ids)
    }

    fn check_ids(&self, ids: &[u32]) -> Result<()> {
        let vocabulary = self.config.vocabulary();
        match ids.iter().find(|id| **id as usize >= vocabulary) {
            Some(found) => Err(ModelError::UnknownToken { found: *found, vocabulary }),
            None => Ok(()),
        }
    }

    pub(crate) fn check_targets(&self, targets: &[u32]) -> Result<()> {
        let Some(labels) = self.config.labels else {
            let supervised: Vec<u32> = targets.iter().copied().filter(|t| *t != crate::head::IGNORED).collect();
            return self.check_ids(&supervised);
        };
        match targets.iter().find(|t| **t as usize >= labels) {
            Some(found) => Err(ModelError::UnknownLabel { found: *found, labels }),
            None => Ok(()),
        }
    }

    /// The target of each row of hidden channels: a decoder that gives labels does so at each sequence's last token.
    fn placed<'t>(&self, tokens: &Tokens, targets: &'t [u32]) -> Cow<'t, [u32]> {
        if self.config.labels.is_none() {
            return Cow::Borrowed(targets);
        }
        let mut placed = vec![crate::head::IGNORED; tokens.ids.len()];
        for (row, label) in tokens.lasts().into_iter().zip(targets) {
            if let Some(place) = placed.get_mut(row as usize) {
                *place = *label;
            }
        }
        Cow::Owned(placed)
    }

    /// Logits: one row per token (N, V) of a causal model, one per sequence (S, K) of a classifier.
    ///
    /// # Errors
    /// Where a text is too long or an id has no embedding, and of an encoder without a classifier.
    pub fn logits(&self, tokens: &Tokens) -> Result<B::Tensor> {
        self.check(tokens)?;
        let ctx = self.context();
        match &self.body {
            Body::Decoder(decoder) => {
                let hidden = decoder.hidden(ctx, tokens, None)?;
                match self.config.labels {
                    None => decoder.logits(ctx, &hidden),
                    Some(_) => decoder.logits(ctx, &self.backend.gather_rows(&hidden, &tokens.lasts())?),
                }
            }
            Body::Encoder(encoder, head) => {
                let (head, hidden) = (self.classifier(head)?, encoder.hidden(ctx, tokens)?);
                Ok(head.forward(ctx, &hidden, &tokens.firsts())?.logits)
            }
        }
    }

    /// The last hidden states (N, C), a decoder's behind its final norm.
    pub(crate) fn last_hidden(&self, tokens: &Tokens) -> Result<B::Tensor> {
        self.check(tokens)?;
        let ctx = self.context();
        match &self.body {
            Body::Decoder(decoder) => decoder.head.normed(ctx, &decoder.hidden(ctx, tokens, None)?),
            Body::Encoder(encoder, _) => encoder.hidden(ctx, tokens),
        }
    }

    fn classifier<'h>(&self, head: &'h Option<Classifier<B>>) -> Result<&'h Classifier<B>> {
        head.as_ref().ok_or_else(|| ModelError::Unsuited {
            model_type: self.config.model_type.clone(),
            problem: "without a classifier gives no labels; train one, or add an adapter that has one".to_owned(),
        })
    }

    /// Sum of plain cross-entropies: `targets` holds the token to predict at each token (`u32::MAX`: none) for a causal
    /// model, the label of each sequence for a classifier.
    ///
    /// # Errors
    /// As [`Model::logits`].
    pub fn loss(&self, tokens: &Tokens, targets: &[u32]) -> Result<LossSum> {
        self.objective(tokens, targets, &Objective::default())
    }

    /// [`Model::loss`] by another objective.
    ///
    /// # Errors
    /// As [`Model::logits`].
    pub fn objective(&self, tokens: &Tokens, targets: &[u32], objective: &Objective) -> Result<LossSum> {
        self.check(tokens)?;
        self.check_targets(targets)?;
        let ctx = self.context();
        let sum = match &self.body {
            Body::Decoder(decoder) => {
                let hidden = decoder.hidden(ctx, tokens, None)?;
                decoder.loss(ctx, &hidden, &self.placed(tokens, targets), (objective, 1.0), None)?.0
            }
            Body::Encoder(..) => self.backend.cross_entropy(&mut self.logits(tokens)?, targets, objective, 1.0)?,
        };
        Ok(sum_over(sum, targets, objective))
    }

    /// [`Model::objective`], which also adds the gradients of `scale` times the sum to `grads`.
    ///
    /// # Errors
    /// As [`Model::logits`].
    pub fn loss_and_gradients(
        &self,
        tokens: &Tokens,
        targets: &[u32],
        (objective, scale): (&Objective, f32),
        recompute: Recompute,
        grads: &mut Gradients<B>,
    ) -> Result<LossSum> {
        self.check(tokens)?;
        self.check_targets(targets)?;
        let ctx = Context { noise: self.noise, ..self.context() };
        let sum = match &self.body {
            Body::Decoder(decoder) => {
                let trace = decoder.trace(ctx, tokens, recompute)?;
                let placed = self.placed(tokens, targets);
                let (sum, dy) = decoder.loss(ctx, &trace.hidden, &placed, (objective, scale), Some(grads))?;
                if let Some(dy) = dy {
                    decoder.backward(ctx, grads, tokens, trace, dy)?;
                }
                sum
            }
            Body::Encoder(encoder, head) => {
                let head = self.classifier(head)?;
                let (trace, firsts) = (encoder.trace(ctx, tokens, recompute)?, tokens.firsts());
                let mut head_trace = head.forward(ctx, &trace.hidden, &firsts)?;
                let sum = self.backend.cross_entropy(&mut head_trace.logits, targets, objective, scale)?;
                let dy = head.backward(ctx, grads, &head_trace, (&firsts, tokens.ids.len()))?;
                encoder.backward(ctx, grads, tokens, trace, dy)?;
                sum
            }
        };
        Ok(sum_over(sum, targets, objective))
    }

    /// A cache for one conversation of up to `capacity` tokens.
    ///
    /// # Errors
    /// Where this model does not continue texts, or the device has no memory.
    pub fn cache(&self, capacity: usize) -> Result<KeyValueCache<B>> {
        self.cache_for(1, capacity)
    }

    /// A cache for so many conversations of up to `capacity` tokens each.
    ///
    /// # Errors
    /// As [`Model::cache`].
    pub fn cache_for(&self, n_sequences: usize, capacity: usize) -> Result<KeyValueCache<B>> {
        let spec = &self.decoder()?.spec;
        let capacity = capacity.min(spec.max_positions);
        KeyValueCache::new(&self.backend, spec.layers.len(), spec.kv_heads * spec.head_dim, n_sequences, capacity)
    }

    /// Reads `ids` after what the cache holds and returns the logits (V) of the token that follows the last one.
    ///
    /// # Errors
    /// Where the cache has no room, or an id has no embedding.
    pub fn next_logits(&self, ids: &[u32], cache: &mut KeyValueCache<B>) -> Result<Vec<f32>> {
        self.next_logits_of(&[(0, ids)], cache)
    }

    /// Reads the ids of some sequences, which ascend, after what the cache holds of each, all in one pass over the weights;
    /// returns the logits (V) of the token that follows in each, one behind the other.
    ///
    /// # Errors
    /// As [`Model::next_logits`], and where a sequence is not in the cache or has nothing to read.
    pub fn next_logits_of(&self, reads: &[(usize, &[u32])], cache: &mut KeyValueCache<B>) -> Result<Vec<f32>> {
        reads.iter().try_for_each(|(_, ids)| self.check_ids(ids))?;
        let (decoder, ctx) = (self.decoder()?, self.context());
        let reading = cache.reading(reads, |before, after| decoder.turns_between(before, after))?;
        let tokens = &reading.tokens;
        let hidden = decoder.hidden(ctx, tokens, Some((cache, &reading.rows)))?;
        cache.push(reads, tokens);
        let last = self.backend.gather_rows(&hidden, &tokens.lasts())?;
        Ok(self.backend.download(&decoder.logits(ctx, &last)?)?)
    }

    pub(crate) fn decoder(&self) -> Result<&Decoder<B>> {
        match (&self.body, self.config.labels) {
            (Body::Decoder(decoder), None) => Ok(decoder),
            _ => Err(ModelError::Unsuited {
                model_type: self.config.model_type.clone(),
                problem: "gives labels and does not continue texts; take a decoder such as `llama` or `qwen2`"
                    .to_owned(),
            }),
        }
    }
}

/// Why every weight together cannot be trained and written again.
fn cannot_be_trained_whole(config: &ModelConfig, source: &WeightSource) -> Option<&'static str> {
    if source.is_gguf() {
        return Some("in a GGUF file cannot be trained whole; train an adapter on it, or take its safetensors");
    }
    match &config.architecture {
        Architecture::Decoder(d) if d.naming == Naming::LanguageModel => {
            Some("with a part that sees pictures, which would be lost, cannot be trained whole; train an adapter on it")
        }
        _ => None,
    }
}

/// A sum of losses with the number and the weight of the targets that are supervised.
fn sum_over(sum: f64, targets: &[u32], objective: &Objective) -> LossSum {
    let count = targets.iter().filter(|t| **t != crate::head::IGNORED).count();
    LossSum { sum, count, weight: LossSum::weight_of(targets, objective) }
}
