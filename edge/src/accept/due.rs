//! Ends answers that their clients do not take. hyper asks a body for nothing while the client has no room for more, so
//! what a body knows of its deadline is not heard then, and its request would keep its place for as long as the client
//! likes. Here the task that sends an answer is watched from outside: over HTTP/2 that of its stream, which is reset, over
//! HTTP/1 that of its connection, which is closed.

use std::future::poll_fn;
use std::pin::pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::Poll;
use std::time::Duration;

use hyper::rt::Executor;
use tokio::time::Instant;

tokio::task_local! {
    static DUE: Due;
}

/// When the answer a task sends has to be taken.
#[derive(Clone, Debug, Default)]
struct Due(Arc<Mutex<Option<Instant>>>);

/// An answer that is not taken yet, until it is dropped.
#[derive(Debug)]
pub(crate) struct Untaken(Due);

impl Untaken {
    /// The present task sends an answer that has to be taken by then. `None` in someone else's server, whose affair it is.
    pub(crate) fn until(instant: Instant) -> Option<Self> {
        let due = DUE.try_with(Due::clone).ok()?;
        due.set(Some(instant));
        Some(Self(due))
    }
}

impl Drop for Untaken {
    fn drop(&mut self) {
        self.0.set(None);
    }
}

impl Due {
    fn set(&self, instant: Option<Instant>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = instant;
    }

    fn get(&self) -> Option<Instant> {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Runs a task; `None` when its answer was not taken in time.
pub(super) async fn watched<T>(task: impl Future<Output = T>) -> Option<T> {
    let due = Due::default();
    let mut task = pin!(DUE.scope(due.clone(), task));
    let mut overdue = pin!(tokio::time::sleep(Duration::ZERO));
    poll_fn(|context| {
        if let Poll::Ready(output) = task.as_mut().poll(context) {
            return Poll::Ready(Some(output));
        }
        // An answer begins and ends while its task runs, so here is where that is noticed.
        let Some(instant) = due.get() else { return Poll::Pending };
        if overdue.deadline() != instant {
            overdue.as_mut().reset(instant);
        }
        overdue.as_mut().poll(context).map(|()| None)
    })
    .await
}

/// Runs the streams of HTTP/2, each watched for itself: others of its connection may well be taken.
#[derive(Clone, Copy, Debug)]
pub(super) struct Streams;

impl<F: Future<Output = ()> + Send + 'static> Executor<F> for Streams {
    fn execute(&self, stream: F) {
        tokio::spawn(async {
            if watched(stream).await.is_none() {
                tracing::debug!("a stream was reset: its client did not take the answer in time");
            }
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_task_ends_when_its_present_answer_is_overdue() {
        let second = Duration::from_secs(1);
        let begun = Instant::now();
        let answering = watched(async {
            drop(Untaken::until(Instant::now() + second));
            tokio::time::sleep(second * 5).await;
            let _untaken = Untaken::until(Instant::now() + second);
            std::future::pending::<()>().await;
        });
        assert_eq!(answering.await, None);
        assert_eq!(begun.elapsed().as_secs(), 6, "the first was taken");
        assert!(Untaken::until(begun).is_none(), "of no task");
    }
}
