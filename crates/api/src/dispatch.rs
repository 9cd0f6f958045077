//! From a name and JSON to a body and back: the one door behind every door.
//!
//! `dispatch_bodies!` receives the list of commands and makes `dispatch` and `dispatch_stream` over the bodies that are in
//! scope where it is used, together with a type called `App`.

use serde::{Serialize, de::DeserializeOwned};
use serde_json::Value;

use crate::wire::{ApiError, ErrorCode};

/// Makes `dispatch(app, name, request)` and `dispatch_stream(app, name, request, sink)`.
///
/// Each line of the list becomes an arm of each function, so a command cannot be in the list and not at a door.
macro_rules! dispatch_bodies {
    (
        commands { $(#[doc = $doc:literal] $name:ident($request:ty) -> $answer:ty = $body:path;)* }
        streams { $(#[doc = $s_doc:literal] $s_name:ident($s_request:ty, $s_update:ty) -> $s_answer:ty = $s_body:path;)* }
    ) => {
        /// Runs the command of that name. Blocks until it is answered.
        ///
        /// # Errors
        /// What the body says; `invalid_request` when the request does not fit; `not_found` when no command that answers
        /// once has that name.
        pub fn dispatch(app: &App, name: &str, request: serde_json::Value) -> Result<serde_json::Value, $crate::wire::ApiError> {
            match name {
                $(stringify!($name) => {
                    let request: $request = $crate::dispatch::read(name, request)?;
                    let answer: $answer = $body(app, request)?;
                    $crate::dispatch::written(name, &answer)
                })*
                _ => Err($crate::dispatch::unknown(name)),
            }
        }

        /// Runs the streaming command of that name, handing every update to `sink` until it returns false. Blocks until the
        /// command ends.
        ///
        /// # Errors
        /// What the body says; `invalid_request` when the request does not fit; `not_found` when no streaming command has
        /// that name.
        pub fn dispatch_stream(
            app: &App,
            name: &str,
            request: serde_json::Value,
            sink: &mut dyn FnMut(serde_json::Value) -> bool,
        ) -> Result<serde_json::Value, $crate::wire::ApiError> {
            match name {
                $(stringify!($s_name) => {
                    let request: $s_request = $crate::dispatch::read(name, request)?;
                    let mut broken = None;
                    let mut forward = |update: $s_update| match $crate::dispatch::written(name, &update) {
                        Ok(update) => sink(update),
                        Err(error) => {
                            broken = Some(error);
                            false
                        }
                    };
                    let answer: Result<$s_answer, $crate::wire::ApiError> = $s_body(app, request, &mut forward);
                    match broken {
                        Some(error) => Err(error),
                        None => $crate::dispatch::written(name, &answer?),
                    }
                })*
                _ => Err($crate::dispatch::unknown(name)),
            }
        }
    };
}

mod bodies {
    use crate::wire::*;
    use crate::{App, app, data, embedding, export, hub, models, runs, serving, trying};

    crate::command_table!(dispatch_bodies);
}

pub use bodies::{dispatch, dispatch_stream};

/// The request as its type; `null` stands for an empty object.
pub(crate) fn read<T: DeserializeOwned>(name: &str, request: Value) -> Result<T, ApiError> {
    let request = if request.is_null() { Value::Object(serde_json::Map::new()) } else { request };
    serde_json::from_value(request).map_err(|error| {
        ApiError::new(ErrorCode::InvalidRequest, format!("the request does not fit `{name}`: {error}"))
    })
}

/// The answer as JSON.
pub(crate) fn written<T: Serialize>(name: &str, answer: &T) -> Result<Value, ApiError> {
    serde_json::to_value(answer).map_err(|error| {
        ApiError::new(ErrorCode::Internal, format!("the answer of `{name}` cannot be written: {error}"))
    })
}

/// No command has that name.
pub(crate) fn unknown(name: &str) -> ApiError {
    ApiError::new(ErrorCode::NotFound, format!("no such command: `{name}`"))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::wire::{Nothing, PathRequest, WorkProgress};

    /// Counts to a number.
    pub struct App(u64);

    mod bodies {
        use super::{ApiError, App, Nothing, PathRequest, WorkProgress};

        pub(super) fn length(app: &App, request: PathRequest) -> Result<u64, ApiError> {
            Ok(app.0 + request.path.len() as u64)
        }

        pub(super) fn count(
            app: &App,
            _: Nothing,
            sink: &mut dyn FnMut(WorkProgress) -> bool,
        ) -> Result<u64, ApiError> {
            let mut n = 0;
            while n < app.0 && sink(WorkProgress { unit: "rows".into(), done: n, total: Some(app.0) }) {
                n += 1;
            }
            Ok(n)
        }
    }

    dispatch_bodies! {
        commands {
            /// Length.
            length(PathRequest) -> u64 = bodies::length;
        }
        streams {
            /// Counts.
            count(Nothing, WorkProgress) -> u64 = bodies::count;
        }
    }

    #[test]
    fn a_command_reads_its_request_and_writes_its_answer() {
        assert_eq!(dispatch(&App(1), "length", json!({"path": "abc"})), Ok(json!(4)));
    }

    #[test]
    fn unknown_fields_and_unknown_commands_are_refused() {
        let refused = dispatch(&App(1), "length", json!({"path": "abc", "colour": 1})).map_err(|error| error.code);
        assert_eq!(refused, Err(ErrorCode::InvalidRequest));
        let missing = dispatch(&App(1), "count", json!({})).map_err(|error| error.code);
        assert_eq!(missing, Err(ErrorCode::NotFound));
    }

    #[test]
    fn a_stream_ends_when_nobody_listens() {
        let mut seen = Vec::new();
        let answer = dispatch_stream(&App(9), "count", Value::Null, &mut |update| {
            seen.push(update["done"].clone());
            seen.len() < 3
        });
        assert_eq!(answer, Ok(json!(2)));
        assert_eq!(seen, [json!(0), json!(1), json!(2)]);
    }
}
