//! What the table of datasets promises.

use serde_json::json;

use crate::rows::{dataset, empty, run};
use crate::{NewDataset, NewRun, Page, RegistryError};

#[test]
fn a_dataset_comes_back_as_it_went_in() {
    let (_folder, registry) = empty();
    let new = dataset("Customer mails", "aa11");
    let row = registry.datasets().insert(&new).unwrap();
    assert_eq!(row.id, "customer-mails");
    assert!(row.created_at_ms > 1_700_000_000_000);
    assert_eq!(registry.datasets().get("customer-mails").unwrap(), row);
    let crate::DatasetRow { id: _, name, hash, kind, n_rows, n_bad, n_bytes, source_path, labels, details, .. } = row;
    assert_eq!(NewDataset { name, hash, kind, n_rows, n_bad, n_bytes, source_path, labels, details }, new);
}

#[test]
fn the_same_content_is_the_same_row() {
    let (_folder, registry) = empty();
    let first = registry.datasets().insert(&dataset("spam", "aa11")).unwrap();
    let again = registry.datasets().insert(&dataset("another name", "aa11")).unwrap();
    assert_eq!(first, again);
    assert_eq!(registry.datasets().find_hash("aa11").unwrap(), Some(first));
    assert_eq!(registry.datasets().find_hash("bb22").unwrap(), None);
    assert_eq!(registry.datasets().list(Page::first(10)).unwrap().rows.len(), 1);
}

#[test]
fn the_same_name_counts_up() {
    let (_folder, registry) = empty();
    let ids: Vec<String> =
        ["a1", "b2", "c3"].iter().map(|hash| registry.datasets().insert(&dataset("spam", hash)).unwrap().id).collect();
    assert_eq!(ids, ["spam", "spam-2", "spam-3"]);
}

#[test]
fn a_dataset_is_found_by_id_hash_name_and_unique_beginnings() {
    let (_folder, registry) = empty();
    let datasets = registry.datasets();
    datasets.insert(&dataset("Spam mails", "0123456789abcdef")).unwrap();
    datasets.insert(&dataset("Spam texts", "0123456700000000")).unwrap();
    for given in
        ["spam-mails", "0123456789abcdef", "Spam mails", "spam-m", "012345678", "012345678".to_uppercase().as_str()]
    {
        assert_eq!(datasets.get(given).unwrap().id, "spam-mails", "{given}");
    }
    let messages: Vec<String> = ["spam", "01234567", "012345", "spam-mials", "zzz", ""]
        .iter()
        .map(|given| datasets.get(given).unwrap_err().to_string())
        .collect();
    insta::assert_snapshot!(messages.join("\n"));
}

#[test]
fn an_exact_id_wins_over_a_longer_one() {
    let (_folder, registry) = empty();
    registry.datasets().insert(&dataset("spam", "a1")).unwrap();
    registry.datasets().insert(&dataset("spam", "b2")).unwrap();
    assert_eq!(registry.datasets().get("spam").unwrap().hash, "a1");
}

#[test]
fn the_list_is_newest_first_and_comes_in_pages() {
    let (_folder, registry) = empty();
    for n in 0..7 {
        registry.datasets().insert(&dataset("d", &format!("hash{n}"))).unwrap();
    }
    let mut hashes = Vec::new();
    let mut page = Page::first(3);
    let mut n_pages = 0;
    loop {
        let listing = registry.datasets().list(page).unwrap();
        n_pages += 1;
        hashes.extend(listing.rows.into_iter().map(|row| row.hash));
        let Some(next) = listing.next else { break };
        page = Page::after(3, next);
    }
    assert_eq!(n_pages, 3);
    assert_eq!(hashes, ["hash6", "hash5", "hash4", "hash3", "hash2", "hash1", "hash0"]);
    let skipped = registry.datasets().list(Page::at(5, 3)).unwrap();
    assert_eq!(skipped.rows.iter().map(|row| row.hash.as_str()).collect::<Vec<_>>(), ["hash1", "hash0"]);
}

#[test]
fn a_dataset_that_a_run_uses_stays() {
    let (_folder, registry) = empty();
    let used = registry.datasets().insert(&dataset("used", "a1")).unwrap();
    let checked = registry.datasets().insert(&dataset("checked", "b2")).unwrap();
    let free = registry.datasets().insert(&dataset("free", "c3")).unwrap();
    let run = NewRun { dataset_id: Some(used.id), validation_dataset_id: Some(checked.id), ..run() };
    let run = registry.runs().create(&run).unwrap();
    for id in ["used", "checked"] {
        let error = registry.datasets().delete(id).unwrap_err();
        assert!(matches!(&error, RegistryError::InUse { run_id, .. } if *run_id == run.id), "{error}");
    }
    registry.datasets().delete(&free.id).unwrap();
    let error = registry.datasets().delete(&free.id).unwrap_err();
    assert_eq!(error.to_string(), "no dataset has the id: `free`");
}

#[test]
fn a_new_name_leaves_the_id() {
    let (_folder, registry) = empty();
    registry.datasets().insert(&dataset("spam", "a1")).unwrap();
    registry.datasets().rename("spam", "Spam, cleaned").unwrap();
    let row = registry.datasets().get("spam").unwrap();
    assert_eq!((row.name.as_str(), row.labels), ("Spam, cleaned", Some(json!(["ham", "spam"]))));
    assert!(matches!(registry.datasets().rename("spa", "x"), Err(RegistryError::NotFound { .. })));
}
