//! A hub at an address, with the token that is sent to it and nowhere else.

use std::{fmt, time::Duration};

use ureq::{
    Agent,
    config::RedirectAuthHeaders,
    http::Response,
    tls::{RootCerts, TlsConfig},
};

use crate::{HubError, Result, Wanted, listing::Listing};

/// A secret that is sent to the hub. It is never printed.
#[derive(Clone, PartialEq, Eq)]
pub struct Token(String);

impl Token {
    /// The token in `text`; `None` for blanks.
    pub fn new(text: &str) -> Option<Self> {
        let text = text.trim();
        let can_be_sent = text.chars().all(|c| c.is_ascii_graphic());
        (!text.is_empty() && can_be_sent).then(|| Self(text.to_owned()))
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token(…)")
    }
}

/// How long is waited, and how often is tried.
#[derive(Clone, Copy, Debug)]
pub struct Patience {
    /// The first wait after a failed try; each further one is twice as long.
    pub first_wait: Duration,
    /// The longest wait, also where the hub asks for a longer one.
    pub longest_wait: Duration,
    /// How long nothing may come before a connection counts as cut.
    pub silence: Duration,
    /// Tries in a row that bring nothing.
    pub n_tries: u32,
}

impl Default for Patience {
    fn default() -> Self {
        Self {
            first_wait: Duration::from_secs(1),
            longest_wait: Duration::from_secs(60),
            silence: Duration::from_secs(30),
            n_tries: 6,
        }
    }
}

/// A hub.
#[derive(Clone, Debug)]
pub struct Hub {
    /// Its address, without a slash at the end.
    pub(crate) endpoint: String,
    token: Option<Token>,
    pub(crate) patience: Patience,
    agent: Agent,
}

/// Answers other than files are small.
const MOST_LISTED_BYTES: u64 = 64 << 20;

/// What a try met that did not bring what was asked for.
pub(crate) enum Met {
    /// Something that may be otherwise in a moment; the hub may have said when.
    Passing { why: String, wait: Option<Duration> },
    /// Something that stays as it is.
    Lasting(HubError),
}

impl Hub {
    /// The hub at `endpoint`.
    pub fn new(endpoint: &str, token: Option<Token>, patience: Patience) -> Self {
        let tls = TlsConfig::builder().root_certs(RootCerts::PlatformVerifier).build();
        let agent = Agent::config_builder()
            .tls_config(tls)
            .http_status_as_error(false)
            // A hub sends large files from other hosts, by signed addresses: the token is none of their business.
            .redirect_auth_headers(RedirectAuthHeaders::SameHost)
            .user_agent(concat!("lorikeet/", env!("CARGO_PKG_VERSION")))
            .timeout_connect(Some(patience.silence))
            .timeout_recv_response(Some(patience.silence))
            .timeout_per_read(Some(patience.silence))
            .build()
            .new_agent();
        Self { endpoint: endpoint.trim_end_matches('/').to_owned(), token, patience, agent }
    }

    /// Asks for an address, from a byte on.
    pub(crate) fn ask(&self, address: &str, from: u64, what: &str) -> std::result::Result<Answer, Met> {
        let mut request = self.agent.get(address).header("accept-encoding", "identity");
        if let Some(Token(secret)) = &self.token {
            request = request.header("authorization", format!("Bearer {secret}"));
        }
        if from > 0 {
            request = request.header("range", format!("bytes={from}-"));
        }
        let answer = request.call().map_err(|e| Met::Passing { why: e.to_string(), wait: None })?;
        let status = answer.status();
        if status.is_success() {
            return Ok(answer);
        }
        let (endpoint, what) = (self.endpoint.clone(), what.to_owned());
        Err(match status.as_u16() {
            404 | 410 => Met::Lasting(HubError::NotFound { endpoint, what }),
            // What is asked beyond the end of a file (416) is asked because what is here is no longer what is there.
            408 | 416 | 425 | 429 | 500..=599 => {
                Met::Passing { why: format!("status {}", status.as_u16()), wait: asked_wait(&answer) }
            }
            status => {
                let with_token = self.token.is_some();
                Met::Lasting(HubError::Refused { endpoint, what, with_token, status })
            }
        })
    }

    /// Does `work` until it succeeds, meets something lasting, or has met passing things too often. It says with each passing
    /// thing whether it brought something nevertheless. `goes_on` is asked while waiting.
    pub(crate) fn patiently<T>(
        &self,
        what: &str,
        goes_on: &mut dyn FnMut() -> bool,
        mut work: impl FnMut(&mut dyn FnMut() -> bool) -> std::result::Result<T, (Met, bool)>,
    ) -> Result<T> {
        let mut n_tries = 0;
        loop {
            let (why, wait) = match work(goes_on) {
                Ok(done) => return Ok(done),
                Err((Met::Lasting(error), _)) => return Err(error),
                Err((Met::Passing { why, wait }, brought)) => {
                    n_tries = if brought { 1 } else { n_tries + 1 };
                    (why, wait)
                }
            };
            if n_tries >= self.patience.n_tries {
                let (endpoint, what) = (self.endpoint.clone(), what.to_owned());
                return Err(HubError::GaveUp { endpoint, what, n_tries, why });
            }
            tracing::debug!("the hub did not give `{what}`: {why}");
            let own = self.patience.first_wait * 2u32.saturating_pow(n_tries.saturating_sub(1));
            self.wait(wait.unwrap_or(own).min(self.patience.longest_wait), goes_on)?;
        }
    }

    fn wait(&self, time: Duration, goes_on: &mut dyn FnMut() -> bool) -> Result<()> {
        const PIECE: Duration = Duration::from_millis(100);
        let mut left = time;
        while !left.is_zero() {
            if !goes_on() {
                return Err(HubError::Stopped);
            }
            std::thread::sleep(left.min(PIECE));
            left = left.saturating_sub(PIECE);
        }
        Ok(())
    }

    /// What the repository holds.
    pub(crate) fn listing(&self, wanted: &Wanted, goes_on: &mut dyn FnMut() -> bool) -> Result<Listing> {
        let (repository, revision) = (wanted.repository.as_str(), encoded(&wanted.revision, false));
        let address = format!("{}/api/models/{repository}/revision/{revision}?blobs=true", self.endpoint);
        let what = wanted.words();
        let text = self.patiently(&what, goes_on, |_| {
            let mut answer = self.ask(&address, 0, &what).map_err(|met| (met, false))?;
            let read = answer.body_mut().with_config().limit(MOST_LISTED_BYTES).read_to_string();
            read.map_err(|e| (Met::Passing { why: e.to_string(), wait: None }, false))
        })?;
        Listing::parse(&text).map_err(|reason| HubError::BadAnswer { endpoint: self.endpoint.clone(), what, reason })
    }

    /// The address of a file at a commit.
    pub(crate) fn address(&self, wanted: &Wanted, commit: &str, path: &str) -> String {
        format!("{}/{}/resolve/{commit}/{}", self.endpoint, wanted.repository.as_str(), encoded(path, true))
    }
}

/// What came.
pub(crate) type Answer = Response<ureq::Body>;

/// How long the hub asks to be left alone.
fn asked_wait(answer: &Answer) -> Option<Duration> {
    let seconds = answer.headers().get("retry-after")?.to_str().ok()?.trim().parse().ok()?;
    Some(Duration::from_secs(seconds))
}

/// A word as a part of an address; slashes stay where they separate folders.
fn encoded(word: &str, slashes: bool) -> String {
    let mut out = String::with_capacity(word.len());
    for byte in word.bytes() {
        match byte {
            b'/' if slashes => out.push('/'),
            b if b.is_ascii_alphanumeric() || b"-_.~".contains(&b) => out.push(char::from(b)),
            b => out += &format!("%{b:02X}"),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_never_printed() {
        let token = Token::new(" hf_secret\n");
        let hub = Hub::new("http://localhost/", token.clone(), Patience::default());
        assert!(!format!("{token:?} {hub:?}").contains("secret"));
        assert_eq!(hub.endpoint, "http://localhost");
        assert!(Token::new(" \n").is_none() && Token::new("a\r\nb: c").is_none());
    }

    #[test]
    fn words_become_parts_of_addresses() {
        assert_eq!(encoded("refs/pr/1", false), "refs%2Fpr%2F1");
        assert_eq!(encoded("q 4/ü.gguf", true), "q%204/%C3%BC.gguf");
    }
}
