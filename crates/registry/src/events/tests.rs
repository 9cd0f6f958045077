//! What the table of events promises.

use serde_json::json;

use crate::rows::{empty, event, running};
use crate::{EventRow, Progress};

#[test]
fn events_come_back_in_order_whole_and_by_kind() {
    let (_folder, registry) = empty();
    let run = running(&registry);
    let sample = EventRow {
        kind: "sample".into(),
        body: json!({ "prompt": "Grüße \"du\"\n", "answer": null, "n": 18446744073709551615_u64, "z": 1, "a": 0.1 }),
        ..event(2, Some(1))
    };
    let events = [event(1, None), sample.clone(), event(3, Some(2))];
    registry.runs().record(&run.id, &[], &events, &Progress { step: 2, seq: 3, best: None }).unwrap();
    let table = registry.events();
    assert_eq!(table.since(&run.id, 0, 10).unwrap(), events);
    assert_eq!(table.since(&run.id, 1, 1).unwrap(), events[1..2]);
    assert_eq!(table.of_kind(&run.id, "sample", 0, 10).unwrap(), std::slice::from_ref(&sample));
    assert_eq!(table.of_kind(&run.id, "sample", 2, 10).unwrap(), []);
    let body = table.since(&run.id, 1, 1).unwrap()[0].body.to_string();
    assert_eq!(body, sample.body.to_string(), "fields keep their order");
}
