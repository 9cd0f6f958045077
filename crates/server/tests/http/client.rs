//! A client that can be as exact, as rude and as absent as a test needs.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use serde_json::{Value, json};

/// An answer as it came over the wire.
#[derive(Debug)]
pub struct Reply {
    pub status: u16,
    pub headers: Vec<(String, String)>,
    pub body: String,
}

impl Reply {
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
    }

    pub fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {}", self.body))
    }

    /// The data of each event of a stream.
    pub fn events(&self) -> Vec<String> {
        assert_eq!((self.status, self.header("content-type")), (200, Some("text/event-stream")), "{}", self.body);
        let lines = self.body.lines().filter(|line| !line.is_empty());
        lines.map(|line| line.strip_prefix("data: ").expect(line).to_owned()).collect()
    }

    /// The chunks of a stream, which must end with `[DONE]`.
    pub fn chunks(&self) -> Vec<Value> {
        let mut events = self.events();
        assert_eq!(events.pop().as_deref(), Some("[DONE]"), "{events:?}");
        events.iter().map(|event| serde_json::from_str(event).unwrap()).collect()
    }
}

/// Sends `method path` with these header lines and a body, over a connection of its own.
pub fn send(address: SocketAddr, request: &str, headers: &[&str], body: &str) -> TcpStream {
    let mut connection = TcpStream::connect(address).unwrap();
    connection.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
    let mut head = format!("{request} HTTP/1.1\r\nconnection: close\r\ncontent-length: {}\r\n", body.len());
    for line in headers {
        head.push_str(&format!("{line}\r\n"));
    }
    connection.write_all(format!("{head}\r\n{body}").as_bytes()).unwrap();
    connection
}

/// Reads the whole answer.
pub fn receive(mut connection: TcpStream) -> Reply {
    let mut bytes = Vec::new();
    connection.read_to_end(&mut bytes).unwrap();
    let text = String::from_utf8(bytes).unwrap();
    let (head, body) = text.split_once("\r\n\r\n").expect(&text);
    let mut lines = head.lines();
    let status = lines.next().unwrap().split(' ').nth(1).unwrap().parse().unwrap();
    let pair = |line: &str| line.split_once(": ").map(|(name, value)| (name.to_owned(), value.to_owned())).unwrap();
    let mut reply = Reply { status, headers: lines.map(pair).collect(), body: body.to_owned() };
    if reply.header("transfer-encoding") == Some("chunked") {
        reply.body = unchunked(body);
    }
    reply
}

fn unchunked(mut body: &str) -> String {
    let mut whole = String::new();
    while let Some((size, rest)) = body.split_once("\r\n") {
        let size = usize::from_str_radix(size, 16).unwrap();
        whole.push_str(&rest[..size]);
        body = rest[size..].strip_prefix("\r\n").unwrap();
        if size == 0 {
            break;
        }
    }
    whole
}

const LOCAL: &str = "host: localhost";
const JSON: &str = "content-type: application/json";

/// Asks as a well-behaved program does.
pub fn get(address: SocketAddr, path: &str) -> Reply {
    receive(send(address, &format!("GET {path}"), &[LOCAL], ""))
}

/// Sends JSON as a well-behaved program does.
pub fn post(address: SocketAddr, path: &str, body: &Value) -> Reply {
    receive(begin(address, path, body))
}

/// Sends JSON and leaves the answer to the test.
pub fn begin(address: SocketAddr, path: &str, body: &Value) -> TcpStream {
    send(address, &format!("POST {path}"), &[LOCAL, JSON], &body.to_string())
}

/// Sends a body that is not JSON, or not to be.
pub fn post_text(address: SocketAddr, path: &str, body: &str) -> Reply {
    receive(send(address, &format!("POST {path}"), &[LOCAL, JSON], body))
}

/// A chat that says the same each time, with further fields.
pub fn chat(model: &str, more: Value) -> Value {
    with(
        json!({"model": model, "temperature": 0, "max_tokens": 12, "messages": [{"role": "user", "content": "Name a bird."}]}),
        more,
    )
}

/// A completion that says the same each time, with further fields.
pub fn completion(model: &str, more: Value) -> Value {
    with(json!({"model": model, "temperature": 0, "max_tokens": 12, "prompt": "A bird is"}), more)
}

fn with(mut body: Value, more: Value) -> Value {
    body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    body
}

/// The same value with what differs from run to run replaced: id, time and the words of a model of random weights.
pub fn redacted(mut value: Value) -> Value {
    let id = value["id"].as_str().unwrap().to_owned();
    let (prefix, rest) = id.split_once('-').unwrap();
    assert!(rest.len() == 24 && rest.bytes().all(|b| b.is_ascii_hexdigit()), "{id}");
    value["id"] = format!("{prefix}-[24 hex digits]").into();
    assert!(value["created"].as_u64().unwrap() > 1_700_000_000);
    value["created"] = "[seconds since 1970]".into();
    for choice in value["choices"].as_array_mut().unwrap() {
        for words in ["/message/content", "/delta/content", "/text"] {
            if let Some(text) = choice.pointer_mut(words).filter(|text| *text != "") {
                assert!(text.is_string());
                *text = "[words]".into();
            }
        }
    }
    value
}
