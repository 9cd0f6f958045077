//! A hub on loopback with one model: its files, a script of misdeeds, and a memory of what was asked.

use std::collections::{HashMap, VecDeque};
use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use lorikeet_hub::{Hub, Patience, Token};
use serde_json::json;
use sha2::{Digest, Sha256};

/// What the server does to one request for a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Misdeed {
    /// Closes the connection after so many bytes of the body.
    Cut(usize),
    /// Answers with this status.
    Status(u16),
    /// Sends the right number of wrong bytes.
    WrongBytes,
    /// Sends everything although a part was asked for.
    NoRange,
    /// Sends so many bytes and then nothing more.
    Stall(usize),
}

/// A request as it came.
#[derive(Clone, Debug, Default)]
pub struct Asked {
    /// Below the hub's address.
    pub path: String,
    /// By name in small letters.
    pub headers: HashMap<String, String>,
}

impl Asked {
    /// The part that is wanted, where not all is.
    pub fn range(&self) -> Option<&str> {
        self.headers.get("range").map(String::as_str)
    }
}

#[derive(Default)]
struct State {
    name: String,
    files: Vec<(String, Vec<u8>, bool)>,
    misdeeds: HashMap<String, VecDeque<Misdeed>>,
    asked: Vec<Asked>,
    token: Option<String>,
}

/// The server; it ends with the test.
pub struct Server {
    address: String,
    state: Arc<Mutex<State>>,
}

/// What the main branch is at.
pub const COMMIT: &str = "0123456789abcdef0123456789abcdef01234567";

/// Bytes that are the same at no two places nearby.
pub fn noise(n: usize, seed: u64) -> Vec<u8> {
    let mut x = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut next = || {
        x ^= x << 13;
        x ^= x >> 7;
        x ^= x << 17;
        (x >> 24) as u8
    };
    (0..n).map(|_| next()).collect()
}

impl Server {
    /// `owner/name` with these files; large ones have a hash in the list.
    ///
    /// # Panics
    /// Where loopback has no free port.
    pub fn with(files: &[(&str, Vec<u8>)]) -> Self {
        Self::of("owner/name", files.iter().map(|(file, bytes)| ((*file).to_owned(), bytes.clone())).collect())
    }

    /// The model `name` with the files of a folder.
    ///
    /// # Panics
    /// Where the folder cannot be read.
    pub fn of_folder(name: &str, folder: &Path) -> Self {
        let entries = folder.read_dir().expect("the folder is there").map(|entry| entry.expect("an entry"));
        let file = |path: &Path| std::fs::read(path).expect("a file");
        Self::of(name, entries.map(|e| (e.file_name().to_string_lossy().into_owned(), file(&e.path()))).collect())
    }

    fn of(name: &str, files: Vec<(String, Vec<u8>)>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("the hub on loopback");
        let address = format!("http://{}", listener.local_addr().expect("the hub on loopback"));
        let state = Arc::new(Mutex::new(State::default()));
        {
            let mut state = state.lock().expect("the hub on loopback");
            name.clone_into(&mut state.name);
            let with_size = |(file, bytes): (String, Vec<u8>)| {
                let is_large = bytes.len() > 1000;
                (file, bytes, is_large)
            };
            state.files = files.into_iter().map(with_size).collect();
        }
        let shared = state.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let state = shared.clone();
                std::thread::spawn(move || drop(serve(&stream, &state)));
            }
        });
        Self { address, state }
    }

    /// Where it answers.
    pub fn address(&self) -> &str {
        &self.address
    }

    /// What it does to the next requests for a file, in order; after that it behaves.
    pub fn misbehave(&self, file: &str, misdeeds: &[Misdeed]) {
        self.state
            .lock()
            .expect("the hub on loopback")
            .misdeeds
            .insert(file.to_owned(), misdeeds.iter().copied().collect());
    }

    /// Answers only who has this token.
    pub fn demand_token(&self, token: &str) {
        self.state.lock().expect("the hub on loopback").token = Some(token.to_owned());
    }

    /// All requests, in order.
    pub fn asked(&self) -> Vec<Asked> {
        self.state.lock().expect("the hub on loopback").asked.clone()
    }

    /// Ranges that were asked of a file, in order.
    pub fn ranges(&self, file: &str) -> Vec<Option<String>> {
        let of_file = |asked: &Asked| asked.path.ends_with(&format!("/{file}"));
        self.asked().iter().filter(|a| of_file(a)).map(|a| a.range().map(str::to_owned)).collect()
    }

    /// A hub that is asked quickly again and again.
    pub fn hub(&self, token: Option<&str>) -> Hub {
        let patience = Patience {
            first_wait: Duration::from_millis(1),
            longest_wait: Duration::from_millis(5),
            silence: Duration::from_millis(400),
            n_tries: 4,
        };
        Hub::new(&self.address, token.and_then(Token::new), patience)
    }
}

fn request(stream: &TcpStream) -> Option<Asked> {
    let mut lines = BufReader::new(stream).lines();
    let first = lines.next()?.ok()?;
    let mut asked = Asked { path: first.split(' ').nth(1)?.to_owned(), ..Asked::default() };
    for line in lines {
        let line = line.ok()?;
        let Some((name, value)) = line.split_once(':') else { break };
        asked.headers.insert(name.to_ascii_lowercase(), value.trim().to_owned());
    }
    Some(asked)
}

fn serve(mut stream: &TcpStream, state: &Mutex<State>) -> std::io::Result<()> {
    let Some(asked) = request(stream) else { return Ok(()) };
    let (file, misdeed, allowed) = {
        let mut state = state.lock().expect("the hub on loopback");
        state.asked.push(asked.clone());
        let authorization = asked.headers.get("authorization").cloned();
        let allowed = state.token.as_ref().is_none_or(|token| authorization == Some(format!("Bearer {token}")));
        let name = asked.path.split(&format!("/resolve/{COMMIT}/")).nth(1).unwrap_or("list").to_owned();
        let misdeed = state.misdeeds.get_mut(&name).and_then(VecDeque::pop_front);
        (state.files.iter().find(|(n, ..)| *n == name).cloned(), misdeed, allowed)
    };
    let simple = |status: &str, body: &str| {
        format!("HTTP/1.1 {status}\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}", body.len())
    };
    if !allowed {
        return stream.write_all(simple("401 Unauthorized", "").as_bytes());
    }
    if let Some(Misdeed::Status(status)) = misdeed {
        return stream.write_all(simple(&format!("{status} X"), "").as_bytes());
    }
    let is_list =
        asked.path.starts_with(&format!("/api/models/{}/revision/", state.lock().expect("the hub on loopback").name));
    if is_list {
        return stream.write_all(simple("200 OK", &listing(&state.lock().expect("the hub on loopback"))).as_bytes());
    }
    let Some((_, bytes, _)) = file else { return stream.write_all(simple("404 Not Found", "").as_bytes()) };
    let from = asked.range().and_then(|r| r.strip_prefix("bytes=")?.strip_suffix('-')?.parse::<usize>().ok());
    let from = from.filter(|_| misdeed != Some(Misdeed::NoRange));
    let start = from.unwrap_or(0);
    if start >= bytes.len() {
        return stream.write_all(simple("416 Range Not Satisfiable", "").as_bytes());
    }
    let mut body = bytes[start..].to_vec();
    let head = match from {
        Some(from) => format!("206 Partial Content\r\ncontent-range: bytes {from}-{}/{}", bytes.len() - 1, bytes.len()),
        None => "200 OK".to_owned(),
    };
    let head = format!("HTTP/1.1 {head}\r\ncontent-length: {}\r\nconnection: close\r\n\r\n", body.len());
    stream.write_all(head.as_bytes())?;
    match misdeed {
        Some(Misdeed::Cut(n)) => body.truncate(n),
        Some(Misdeed::WrongBytes) => body.iter_mut().for_each(|b| *b = b.wrapping_add(1)),
        Some(Misdeed::Stall(n)) => {
            stream.write_all(&body[..n])?;
            stream.flush()?;
            std::thread::sleep(Duration::from_millis(1500));
            return Ok(());
        }
        _ => {}
    }
    stream.write_all(&body)
}

fn listing(state: &State) -> String {
    let siblings = state.files.iter().map(|(name, bytes, is_large)| {
        let hash: String = Sha256::digest(bytes).iter().map(|b| format!("{b:02x}")).collect();
        match is_large {
            true => json!({"rfilename": name, "size": bytes.len(), "lfs": {"sha256": hash, "size": bytes.len()}}),
            false => json!({"rfilename": name, "size": bytes.len()}),
        }
    });
    json!({"sha": COMMIT, "siblings": siblings.collect::<Vec<_>>()}).to_string()
}
