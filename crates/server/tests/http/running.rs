//! The server while it runs: several at once, listeners that leave, and its end.

use std::io::Read;
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use lorikeet_api::wire::StopReason;
use lorikeet_api::{ApiError, ErrorCode};
use lorikeet_server::Server;
use serde_json::json;

use crate::client::{begin, chat, get, post, receive};
use crate::engine::{BASE, Engine, TUNED, paced, serve};

const CHATS: &str = "/v1/chat/completions";

/// A server whose model takes its time.
fn slow() -> Option<(Server, Arc<Engine>)> {
    let engine = paced(Duration::from_millis(20))?;
    Some((Server::start(Arc::<Engine>::clone(&engine), 0).unwrap(), engine))
}

fn long(more: serde_json::Value) -> serde_json::Value {
    let mut body = chat(BASE, json!({"max_tokens": 150, "temperature": 1, "seed": 3}));
    body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    body
}

/// Reads until the first piece of a stream has arrived.
fn first_piece(connection: &mut TcpStream) {
    let (mut seen, mut buffer) = (String::new(), [0; 512]);
    while !seen.contains("\"delta\":{\"content\":\"") {
        let n = connection.read(&mut buffer).unwrap();
        assert!(n > 0, "ended early: {seen}");
        seen.push_str(&String::from_utf8_lossy(&buffer[..n]));
    }
}

#[test]
fn eight_clients_at_once_get_their_own_answers() {
    let Some((server, engine)) = serve() else { return };
    let (url, address) = (server.url(), server.address());
    let ask = move |i: usize| {
        let body = chat(
            if i.is_multiple_of(2) { BASE } else { TUNED },
            json!({"temperature": 1, "seed": i / 2, "max_tokens": 30}),
        );
        let agent: ureq::Agent =
            ureq::Agent::config_builder().timeout_global(Some(Duration::from_secs(60))).build().into();
        let mut reply = agent.post(format!("{url}{CHATS}")).send_json(&body).unwrap();
        let reply: serde_json::Value = reply.body_mut().read_json().unwrap();
        assert_eq!(reply["model"], body["model"]);
        reply["choices"][0]["message"]["content"].as_str().unwrap().to_owned()
    };
    let alone: Vec<String> = (0..8).map(&ask).collect();
    let clients: Vec<_> = (0..8)
        .map(|i| {
            std::thread::spawn({
                let ask = ask.clone();
                move || ask(i)
            })
        })
        .collect();
    let together: Vec<String> = clients.into_iter().map(|client| client.join().unwrap()).collect();
    assert_eq!(together, alone);
    assert_eq!(engine.most_active.load(Ordering::SeqCst), 1);
    assert_eq!(server.models().iter().map(|model| model.n_requests).collect::<Vec<_>>(), [8, 8, 0]);
    assert_eq!(get(address, "/health").status, 200);
}

#[test]
fn health_and_models_answer_while_the_model_writes() {
    let Some((server, engine)) = slow() else { return };
    let writing = begin(server.address(), CHATS, &long(json!({})));
    engine.until_active();
    assert_eq!(get(server.address(), "/health").status, 200);
    assert_eq!(get(server.address(), "/v1/models").status, 200);
    assert!(engine.ended.lock().unwrap().is_empty());
    drop(writing);
}

#[test]
fn a_listener_that_leaves_a_stream_stops_the_model() {
    let Some((server, engine)) = slow() else { return };
    let mut connection = begin(server.address(), CHATS, &long(json!({"stream": true})));
    first_piece(&mut connection);
    drop(connection);
    assert_eq!(engine.ended_after(1), [StopReason::Cancelled]);
    // The next one is not kept waiting, and what nobody heard is not counted.
    assert_eq!(post(server.address(), CHATS, &chat(BASE, json!({"max_tokens": 2}))).status, 200);
    assert_eq!(server.models()[0].n_requests, 1);
}

#[test]
fn a_listener_that_leaves_a_whole_answer_stops_the_model() {
    let Some((server, engine)) = slow() else { return };
    let connection = begin(server.address(), CHATS, &long(json!({})));
    engine.until_active();
    drop(connection);
    assert_eq!(engine.ended_after(1), [StopReason::Cancelled]);
}

#[test]
fn who_leaves_the_queue_is_never_written_for() {
    let Some((server, engine)) = slow() else { return };
    let mut first = begin(server.address(), CHATS, &long(json!({"stream": true})));
    first_piece(&mut first);
    let waiting = begin(server.address(), CHATS, &long(json!({})));
    std::thread::sleep(Duration::from_millis(100));
    drop(waiting);
    std::thread::sleep(Duration::from_millis(100));
    drop(first);
    assert_eq!(post(server.address(), CHATS, &chat(BASE, json!({"max_tokens": 2}))).status, 200);
    assert_eq!(engine.ended_after(2), [StopReason::Cancelled, StopReason::Length]);
}

#[test]
fn a_stop_lets_an_answer_under_way_end_and_takes_no_more() {
    let Some((server, engine)) = slow() else { return };
    let address = server.address();
    let writing = begin(address, CHATS, &chat(BASE, json!({"max_tokens": 30, "stream": true})));
    engine.until_active();
    server.stop_within(Duration::from_secs(60)).unwrap();
    let chunks = receive(writing).chunks();
    assert_eq!(chunks.last().unwrap()["choices"][0]["finish_reason"], "length");
    assert_eq!(engine.ended_after(1), [StopReason::Length]);
    assert!(TcpStream::connect(address).is_err());
}

#[test]
fn a_stop_that_does_not_wait_says_so_to_everybody() {
    let Some((server, engine)) = slow() else { return };
    let address = server.address();
    let mut streaming = begin(address, CHATS, &long(json!({"stream": true})));
    first_piece(&mut streaming);
    let waiting = begin(address, CHATS, &long(json!({})));
    std::thread::sleep(Duration::from_millis(100));
    let clock = Instant::now();
    server.stop_within(Duration::ZERO).unwrap();
    assert!(clock.elapsed() < Duration::from_secs(5), "{:?}", clock.elapsed());
    let mut rest = String::new();
    streaming.read_to_string(&mut rest).unwrap();
    let message = "the server is being turned off; ask again once it is on";
    assert!(rest.contains(message) && rest.contains("data: [DONE]"), "{rest}");
    let refused = receive(waiting);
    assert_eq!((refused.status, refused.json()["error"]["message"].clone()), (503, json!(message)));
    assert_eq!(engine.ended_after(1), [StopReason::Cancelled]);
}

#[test]
fn an_idle_connection_does_not_hold_up_a_stop() {
    let Some((server, _)) = serve() else { return };
    let idle = TcpStream::connect(server.address()).unwrap();
    assert_eq!(get(server.address(), "/health").status, 200);
    let clock = Instant::now();
    server.stop().unwrap();
    assert!(clock.elapsed() < Duration::from_secs(5), "{:?}", clock.elapsed());
    drop(idle);
}

#[test]
fn a_port_that_is_taken_is_said_with_what_to_do() {
    let Some((server, engine)) = serve() else { return };
    let port = server.address().port();
    let error: ApiError = Server::start(engine, port).err().unwrap().into();
    assert_eq!(error.code, ErrorCode::PortInUse);
    assert_eq!(error.message, format!("another program on this computer uses the port: {port}"));
    assert_eq!(error.hint.as_deref(), Some("stop that program, or take another port; 0 takes any free one"));
}

#[test]
fn only_this_computer_can_reach_it_and_a_dropped_server_is_gone() {
    let Some((server, _)) = serve() else { return };
    let address = server.address();
    assert!(address.ip().is_loopback());
    assert_eq!(server.url(), format!("http://127.0.0.1:{}", address.port()));
    assert_eq!(get(address, "/health").status, 200);
    drop(server);
    let deadline = Instant::now() + Duration::from_secs(10);
    while TcpStream::connect(address).is_ok() {
        assert!(Instant::now() < deadline, "still listens");
        std::thread::sleep(Duration::from_millis(10));
    }
}

#[test]
fn one_connection_serves_one_request_after_the_other() {
    let Some((server, _)) = serve() else { return };
    let agent: ureq::Agent = ureq::Agent::config_builder().max_idle_connections(1).build().into();
    let ask = |address: SocketAddr| agent.get(format!("http://{address}/health")).call().unwrap().status();
    assert!((0..3).all(|_| ask(server.address()) == 200));
}
