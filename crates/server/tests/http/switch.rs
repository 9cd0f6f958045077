//! The switch: on, replaced, off, and what happens when something cannot be opened.

use std::net::TcpListener;
use std::sync::Arc;

use lorikeet_api::wire::{ServeRequest, ServedKind};
use lorikeet_api::{ApiError, ErrorCode, ServeSwitch, Served};
use lorikeet_server::Switch;
use serde_json::json;

use crate::client::{chat, get, post};
use crate::engine::{BASE, engine};

fn request(model: &str, port: u16) -> ServeRequest {
    ServeRequest { model: model.to_owned(), adapters: Vec::new(), port: Some(port), quantize: None }
}

fn switch() -> Option<impl ServeSwitch> {
    let ready = engine()?;
    Some(Switch::new(move |request: &ServeRequest| match request.model.as_str() {
        BASE => Ok(Arc::<crate::engine::Engine>::clone(&ready) as Arc<dyn Served>),
        other => Err(ApiError::new(ErrorCode::NotFound, format!("no such model: `{other}`"))),
    }))
}

fn address(status: &lorikeet_api::wire::ServeStatus) -> std::net::SocketAddr {
    status.address.as_deref().unwrap().strip_prefix("http://").unwrap().parse().unwrap()
}

#[test]
fn on_counts_and_off() {
    let Some(switch) = switch() else { return };
    let off = switch.status();
    assert!(!off.running && off.address.is_none() && off.since_ms.is_none() && off.models.is_empty());
    assert_eq!(switch.stop(), Ok(off.clone()));
    let on = switch.start(request(BASE, 0)).unwrap();
    assert!(on.running && on.since_ms.is_some());
    assert_eq!(
        on.models.iter().map(|model| model.kind).collect::<Vec<_>>(),
        [ServedKind::Base, ServedKind::Adapter, ServedKind::Classifier]
    );
    assert_eq!(post(address(&on), "/v1/chat/completions", &chat(BASE, json!({"max_tokens": 1}))).status, 200);
    assert_eq!(switch.status().models[0].n_requests, 1);
    assert_eq!(switch.stop(), Ok(off));
    assert!(std::net::TcpStream::connect(address(&on)).is_err());
}

#[test]
fn another_request_replaces_what_is_served_even_on_the_same_port() {
    let Some(switch) = switch() else { return };
    let first = switch.start(request(BASE, 0)).unwrap();
    assert_eq!(get(address(&first), "/health").status, 200);
    let second = switch.start(request(BASE, address(&first).port())).unwrap();
    assert_eq!(second.address, first.address);
    assert_eq!(second.models[0].n_requests, 0);
    assert_eq!(get(address(&second), "/health").status, 200);
}

#[test]
fn what_cannot_be_opened_leaves_what_was_served() {
    let Some(switch) = switch() else { return };
    let on = switch.start(request(BASE, 0)).unwrap();
    let refused = switch.start(request("unknown", 0)).unwrap_err();
    assert_eq!((refused.code, refused.message.as_str()), (ErrorCode::NotFound, "no such model: `unknown`"));
    assert_eq!(switch.status(), on);
    assert_eq!(get(address(&on), "/health").status, 200);
}

#[test]
fn a_port_that_is_taken_is_a_code() {
    let Some(switch) = switch() else { return };
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let refused = switch.start(request(BASE, taken.local_addr().unwrap().port())).unwrap_err();
    assert_eq!(refused.code, ErrorCode::PortInUse);
    assert!(!switch.status().running);
}
