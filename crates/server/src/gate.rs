//! Who may knock. Every page in a browser can send requests to this computer; only programs on it are meant.
//!
//! - `Host` must be this computer: a page whose own name was made to point to 127.0.0.1 sends that name.
//! - `Origin`, which browsers send along, must be this computer where there is one. Pages served by this computer
//!   (`http://localhost:3000`) may ask and read answers; for these, and only these, the cross-origin headers are sent.
//! - A body must be `application/json`: browsers ask before they send it elsewhere, plain forms cannot.

use axum::extract::Request;
use axum::http::header::{
    ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS, ACCESS_CONTROL_ALLOW_ORIGIN,
    ACCESS_CONTROL_REQUEST_METHOD, CONTENT_TYPE, HOST, ORIGIN, VARY,
};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

use crate::refusal::Refusal;

/// Lets a request in, or refuses it.
pub(crate) async fn pass(request: Request, next: Next) -> Response {
    match checked(request.method(), request.headers()) {
        Err(refusal) => refusal.into_response(),
        Ok(origin) => {
            let asks_first = request.method() == Method::OPTIONS
                && header(request.headers(), &ACCESS_CONTROL_REQUEST_METHOD).is_some();
            let mut response = if asks_first { permission() } else { next.run(request).await };
            response.headers_mut().insert(VARY, HeaderValue::from_static("origin"));
            if let Some(origin) = origin {
                response.headers_mut().insert(ACCESS_CONTROL_ALLOW_ORIGIN, origin);
            }
            response
        }
    }
}

/// The origin to name in the answer, where a page of this computer asks.
fn checked(method: &Method, headers: &HeaderMap) -> Result<Option<HeaderValue>, Refusal> {
    let forbidden = |code, message: String| Err(Refusal::new(StatusCode::FORBIDDEN, code, message));
    let host = header(headers, &HOST).unwrap_or_default();
    if !is_this_computer(host) {
        let message = format!("only requests to `localhost` or `127.0.0.1` are answered, the `Host` is: `{host}`");
        return forbidden("host_not_allowed", message);
    }
    let origin = headers.get(ORIGIN);
    let page = origin.map(|origin| origin.to_str().unwrap_or_default());
    if let Some(page) = page.filter(|page| !page.split_once("://").is_some_and(|(_, host)| is_this_computer(host))) {
        let message = format!("only pages of this computer may ask, the `Origin` is: `{page}`");
        return forbidden("origin_not_allowed", message);
    }
    if method == Method::POST && !is_json(headers) {
        let found = header(headers, &CONTENT_TYPE).unwrap_or("none");
        let message = format!("the `Content-Type` must be `application/json`, found: `{found}`");
        return Err(Refusal::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "unsupported_media_type", message));
    }
    Ok(origin.cloned())
}

fn header<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<&'a str> {
    headers.get(name).and_then(|value| value.to_str().ok())
}

/// A host with or without a port.
fn is_this_computer(host: &str) -> bool {
    let name = match host.rsplit_once(':') {
        Some((name, port)) if !port.is_empty() && port.bytes().all(|b| b.is_ascii_digit()) => name,
        _ => host,
    };
    name.eq_ignore_ascii_case("localhost") || name == "127.0.0.1"
}

fn is_json(headers: &HeaderMap) -> bool {
    let essence = header(headers, &CONTENT_TYPE).and_then(|kind| kind.split(';').next()).map(str::trim);
    essence.is_some_and(|essence| essence.eq_ignore_ascii_case("application/json"))
}

/// The answer to a browser that asks before it sends.
fn permission() -> Response {
    let headers = [
        (ACCESS_CONTROL_ALLOW_METHODS, HeaderValue::from_static("GET, POST")),
        (ACCESS_CONTROL_ALLOW_HEADERS, HeaderValue::from_static("authorization, content-type")),
    ];
    (StatusCode::NO_CONTENT, headers).into_response()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_exact_names_of_this_computer_are_this_computer() {
        for host in ["localhost", "LOCALHOST:8384", "127.0.0.1", "127.0.0.1:80"] {
            assert!(is_this_computer(host), "{host}");
        }
        for host in [
            "",
            "localhost.evil.example",
            "evil.example:8384",
            "127.0.0.1.evil.example",
            "127.0.0.1@evil.example",
            "0.0.0.0",
            "localhost:",
            "localhost:80:90",
        ] {
            assert!(!is_this_computer(host), "{host}");
        }
    }
}
