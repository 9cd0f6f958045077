//! An answer on its way: the model writes on a thread of its own, the connection listens; when it is gone, the model stops.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use lorikeet_api::wire::{GenerateRequest, GenerateUpdate, Generation, StopReason};
use tokio::sync::{mpsc, oneshot};
use tokio_stream::StreamExt;
use tokio_stream::wrappers::UnboundedReceiverStream;

use crate::asked::Asked;
use crate::frame::{DONE, Dialect, Frame};
use crate::refusal::Refusal;
use crate::serving::Serving;

/// A comment is sent after so much silence, so that nobody takes the connection for dead.
const SILENCE: Duration = Duration::from_secs(15);

/// Answers a request to write, whole or in pieces.
pub(crate) async fn answer(serving: Arc<Serving>, asked: Asked, dialect: Dialect) -> Result<Response, Refusal> {
    serving.find_writer(&asked.request.model)?;
    let frame = Frame::new(dialect, &asked.request.model, asked.includes_usage);
    if asked.is_streamed {
        return streamed(serving, asked.request, frame).await;
    }
    let answer = whole(serving, asked.request).await?;
    Ok(Json(frame.whole(&answer)).into_response())
}

/// Writes the whole answer; dropping this future ends the writing.
async fn whole(serving: Arc<Serving>, request: GenerateRequest) -> Result<Generation, Refusal> {
    let turn = serving.turn().await?;
    let (ready, answer) = oneshot::channel();
    tokio::task::spawn_blocking(move || {
        let _turn = turn;
        let written = write(&serving, request, &mut |_| !ready.is_closed());
        // Nobody there to take it: the connection is gone.
        let _ = ready.send(written);
    });
    answer.await.map_err(|_| Refusal::lost())?
}

/// Sends pieces as they are written. What goes wrong before the first one is refused with a status; later it is a piece.
async fn streamed(serving: Arc<Serving>, request: GenerateRequest, frame: Frame) -> Result<Response, Refusal> {
    let turn = serving.turn().await?;
    // Unbounded, because an answer is: a listener that does not read must not hold up those who wait behind it.
    let (pieces, mut arriving) = mpsc::unbounded_channel();
    tokio::task::spawn_blocking(move || {
        let _turn = turn;
        send(&serving, request, &frame, &pieces);
    });
    let first = arriving.recv().await.ok_or_else(Refusal::lost)??;
    let rest =
        UnboundedReceiverStream::new(arriving).map(|piece| piece.unwrap_or_else(|refusal| refusal.body().to_string()));
    let events = tokio_stream::once(first).chain(rest).map(|data| Ok::<_, Infallible>(Event::default().data(data)));
    Ok(Sse::new(events).keep_alive(KeepAlive::new().interval(SILENCE)).into_response())
}

/// Writes an answer into chunks.
fn send(
    serving: &Serving,
    request: GenerateRequest,
    frame: &Frame,
    pieces: &mpsc::UnboundedSender<Result<String, Refusal>>,
) {
    // A failed send is a listener that went away: the sink says so to the model at the next token.
    let tell = |piece: String| drop(pieces.send(Ok(piece)));
    let mut opening = frame.opening();
    let mut sink = |update: GenerateUpdate| {
        opening.take().iter().for_each(|chunk| tell(chunk.to_string()));
        if !update.text.is_empty() {
            tell(frame.piece(&update.text).to_string());
        }
        !pieces.is_closed()
    };
    match write(serving, request, &mut sink) {
        Ok(answer) => {
            let last = opening.into_iter().chain([frame.closing(&answer)]).chain(frame.usage(&answer));
            last.for_each(|chunk| tell(chunk.to_string()));
        }
        Err(refusal) => drop(pieces.send(Err(refusal))),
    }
    tell(DONE.to_owned());
}

/// Writes and counts an answer; the end of the server ends it as well.
fn write(
    serving: &Serving,
    request: GenerateRequest,
    sink: &mut dyn FnMut(GenerateUpdate) -> bool,
) -> Result<Generation, Refusal> {
    let name = request.model.clone();
    let answer = serving.served.generate(request, &mut |update| sink(update) && !serving.is_ending())?;
    if answer.stop_reason == StopReason::Cancelled && serving.is_ending() {
        return Err(Refusal::stopping());
    }
    if answer.stop_reason != StopReason::Cancelled {
        serving.count(&name);
    }
    Ok(answer)
}
