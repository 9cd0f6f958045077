//! Training gives the same bits whatever the number of threads.

use lorikeet_models::{Backend, Fused, Model, Objective, Recompute};
use lorikeet_tests::{fixture::Fixture, shared_data};
use lorikeet_train::{Optimiser, Settings};

/// Every parameter's bits after three steps.
fn trained(fixture: &Fixture, threads: usize) -> Vec<u32> {
    let backend = Fused::new(threads).unwrap();
    let adapter = fixture.adapter_folder("adapter").unwrap();
    let mut model = Model::open_with_adapter(backend.clone(), &fixture.model_folder(), &adapter).unwrap();
    let settings = Settings::default().optimiser();
    backend.run(|| {
        let mut optimiser = Optimiser::new(&model, settings).unwrap();
        let mut grads = model.gradients().unwrap();
        for _ in 0..3 {
            grads.clear(model.backend()).unwrap();
            for batch in fixture.batches() {
                let (tokens, targets) = (&batch.tokens, &batch.targets);
                model
                    .loss_and_gradients(tokens, targets, (&Objective::default(), 0.1), Recompute::Never, &mut grads)
                    .unwrap();
            }
            optimiser.step(&mut model, &grads, 1e-2).unwrap();
        }
        let numbers = model.parameters().iter().flat_map(|p| model.backend().download(&p.value).unwrap());
        numbers.map(f32::to_bits).collect()
    })
}

#[test]
fn parity_bit_for_bit_of_one_two_and_three_threads() {
    for name in ["llama-untied", "qwen3", "bert"] {
        let Some(folder) = shared_data::find("parity/fixtures").map(|f| f.join(name)).filter(|f| f.is_dir()) else {
            continue;
        };
        let fixture = Fixture::read(&folder);
        let one = trained(&fixture, 1);
        assert!(one.iter().all(|bits| f32::from_bits(*bits).is_finite()), "{name}");
        assert!(one == trained(&fixture, 2) && one == trained(&fixture, 3), "{name} depends on the number of threads");
        println!("{name}: {} trained numbers, the same bits with 1, 2 and 3 threads", one.len());
    }
}
