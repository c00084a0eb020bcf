//! Carries accepted calls out: on a ring it claims the call, makes an attempt, and stores how that ended.
//!
//! An attempt that may have come to nothing is made again, under the same key, until the call's deadline. Attempts of
//! different calls are in no order.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt as _;
use malla_contracts::google::rpc;
use malla_runtime::link;
use malla_runtime::shutdown::Shutdown;
use malla_storage::database::Clock;
use malla_storage::wait;
use prost::Message as _;
use prost_types::Any;
use tokio::sync::{Notify, Semaphore};
use tonic::{Code, Status};

use crate::doorbell::{Doorbell, Ring};
use crate::error::Error;
use crate::mesh::Caller;
use crate::metrics::Metrics;
use crate::store::{Call, Calls, Outcome, Standing};

mod places;

pub(crate) use places::Places;

use places::{ATTEMPTS_MAX, Place};

#[cfg(test)]
mod tests;

/// How long a call that was rung for may wait for its promise; one that is promised later is rung for again.
const PROMISE_WAIT: Duration = Duration::from_secs(1);
/// Between two tries to store how an attempt ended.
const SETTLE_PAUSE: Duration = Duration::from_millis(250);
/// Largest result that is kept.
const RESULT_BYTES_MAX: usize = 1 << 20;
/// How often it looks for calls that are due.
const SWEEP_INTERVAL: Duration = Duration::from_millis(500);
/// Attempts that ended without a word, after which a call is taken for what kills its workers.
const CRASHES_MAX: i32 = 5;
/// A service that is not there is cheap to ask again, and its clients are waiting.
const AWAY_MS: std::ops::RangeInclusive<i64> = 250..=2_000;
/// One that is there and fails needs rest.
const FAILING_MS: std::ops::RangeInclusive<i64> = 1_000..=60_000;

/// Carries calls out. Any number of processes may, on one store.
pub(crate) struct Worker {
    pub(crate) calls: Arc<Calls>,
    pub(crate) bell: Arc<dyn Doorbell>,
    pub(crate) mesh: Arc<dyn Caller>,
    /// Rung when a call is promised.
    pub(crate) promised: Arc<Notify>,
    /// Rung when a call ends.
    pub(crate) ended: Arc<Notify>,
    pub(crate) clock: Clock,
    pub(crate) metrics: Metrics,
    pub(crate) places: Arc<Places>,
    pub(crate) shutdown: Shutdown,
}

impl Worker {
    /// Works until the process drains, which waits for what is under way.
    pub(crate) async fn run(self: Arc<Self>) {
        let workers = Arc::new(Semaphore::new(ATTEMPTS_MAX));
        tokio::spawn(self.clone().sweep());
        while let Ok(free) = workers.clone().acquire_owned().await {
            let ring = tokio::select! {
                ring = self.bell.heard() => ring,
                () = self.shutdown.draining() => return,
            };
            let worker = self.clone();
            self.shutdown.spawn(async move {
                worker.answer(ring).await;
                drop(free);
            });
        }
    }

    /// Rings for calls that are due: after a pause, or because a ring was lost or its worker is gone. Not while all workers
    /// are busy: rings that nobody can hear yet would only heap up.
    async fn sweep(self: Arc<Self>) {
        loop {
            tokio::select! {
                () = tokio::time::sleep(SWEEP_INTERVAL) => {}
                () = self.shutdown.draining() => return,
            }
            if let Ok(stats) = self.calls.stats().await {
                self.metrics.unfinished(&stats);
            }
            if !self.bell.is_well() || self.places.all_taken() {
                continue;
            }
            if let Err(error) = self.ring().await {
                tracing::warn!(%error, "the store cannot say which calls are due");
            }
        }
    }

    async fn ring(&self) -> Result<(), Error> {
        let due = self.calls.due(&self.places.full()).await?;
        for (at, id) in due.iter().enumerate() {
            if let Err(error) = self.bell.ring(id).await {
                tracing::warn!(operation.id = id, %error, "it is rung for again");
                return self.calls.unrung(&due[at..]).await;
            }
        }
        Ok(())
    }

    async fn answer(&self, ring: Ring) {
        match self.attend(&ring.id).await {
            Ok(place) => {
                ring.done().await;
                if let Some(place) = place {
                    self.go_on(place).await;
                }
            }
            Err(error) => {
                tracing::warn!(operation.id = ring.id, %error, "a call could not be attended to");
                tokio::time::sleep(Duration::from_secs(1)).await;
                ring.again().await;
            }
        }
    }

    /// Attends to one call: nothing, if it is not due or not known. When it has ended there may be more for its service,
    /// in its place.
    async fn attend(&self, id: &str) -> Result<Option<Place>, Error> {
        // It is rung for before it is promised.
        let (look, limit) = (|| self.calls.standing(id), PROMISE_WAIT);
        let is_known = |standing: &Option<Standing>| standing.as_ref().is_none_or(|standing| standing.confirmed);
        let Some(standing) = wait::until(&self.promised, limit, &self.shutdown, look, is_known).await? else {
            return Ok(None);
        };
        let Some(place) = self.places.take(&standing.method) else {
            self.calls.unrung(&[id.to_owned()]).await?;
            return Ok(None);
        };
        Ok(self.carry_out(id).await?.then_some(place))
    }

    /// Attends to calls that found no place at their service, for as long as it answers.
    async fn go_on(&self, place: Place) {
        while let Ok(Some(id)) = self.calls.next(&place.service).await {
            if !matches!(self.carry_out(&id).await, Ok(true)) {
                return;
            }
        }
    }

    /// Makes an attempt at a call, if it is due, and tells whether that was its last.
    async fn carry_out(&self, id: &str) -> Result<bool, Error> {
        let Some(call) = self.calls.claim(id).await? else { return Ok(false) };
        if call.attempts > 1 {
            self.metrics.repeated();
        }
        let outcome = if call.crashes >= CRASHES_MAX {
            self.metrics.dead();
            tracing::error!(operation.id = call.id, rpc.method = call.method, "a call kills its workers; given up");
            let message = format!("given up: {CRASHES_MAX} attempts ended without an answer");
            Outcome::Done(Err(error(Code::Internal, message)))
        } else if (self.clock)() >= call.deadline_ms {
            self.metrics.dead();
            let message = format!("the call could not be carried out in time, in {} attempts", call.attempts - 1);
            Outcome::Done(Err(error(Code::DeadlineExceeded, message)))
        } else {
            self.attempt(&call).await
        };
        let done = matches!(outcome, Outcome::Done(_));
        self.settle(&call, &outcome).await?;
        if done {
            self.ended.notify_waiters();
        }
        Ok(done)
    }

    /// Stores how an attempt ended: again and again, for as long as no other can begin. What is known by now would else have
    /// to be found out anew.
    async fn settle(&self, call: &Call, outcome: &Outcome) -> Result<(), Error> {
        loop {
            match self.calls.settle(call, outcome).await {
                Err(error) if (self.clock)() < call.next_attempt_ms => {
                    tracing::warn!(operation.id = call.id, %error, "how an attempt ended could not be stored yet");
                    tokio::time::sleep(SETTLE_PAUSE).await;
                }
                ended => return ended,
            }
        }
    }

    async fn attempt(&self, call: &Call) -> Outcome {
        let attempt = AssertUnwindSafe(self.mesh.attempt(call)).catch_unwind();
        let ended = tokio::select! {
            ended = attempt => ended,
            // Somebody else makes it, under the same key.
            () = self.shutdown.draining() => return Outcome::Again { pause_ms: 0, crashed: false },
        };
        match ended {
            Ok(Ok(response)) if response.len() > RESULT_BYTES_MAX => {
                let bytes = response.len();
                let message =
                    format!("the answer has {bytes} bytes; of a deferred call at most {RESULT_BYTES_MAX} are kept");
                Outcome::Done(Err(error(Code::ResourceExhausted, message)))
            }
            Ok(Ok(response)) => {
                let type_url = format!("type.googleapis.com/{}", call.response_type);
                Outcome::Done(Ok(Any { type_url, value: response.into() }.encode_to_vec()))
            }
            Ok(Err(status)) => match pause_ms(&status, call.attempts) {
                Some(pause_ms) => Outcome::Again { pause_ms, crashed: false },
                None => Outcome::Done(Err(stored(&status))),
            },
            Err(_panic) => {
                tracing::error!(operation.id = call.id, rpc.method = call.method, "an attempt panicked");
                Outcome::Again { pause_ms: *FAILING_MS.start(), crashed: true }
            }
        }
    }
}

/// How long to pause before the next attempt; `None` when another would end the same.
fn pause_ms(status: &Status, attempts: i32) -> Option<i64> {
    let range = match status.code() {
        _ if link::is_lost(status) => AWAY_MS,
        Code::Unavailable | Code::Aborted | Code::ResourceExhausted | Code::DeadlineExceeded => FAILING_MS,
        _ => return None,
    };
    let doublings = attempts.saturating_sub(1).clamp(0, 16);
    Some((range.start() << doublings).min(*range.end()))
}

fn error(code: Code, message: String) -> rpc::Status {
    rpc::Status { code: code.into(), message, details: Vec::new() }
}

/// A status with its details.
fn stored(status: &Status) -> rpc::Status {
    let details = rpc::Status::decode(status.details()).map(|status| status.details).unwrap_or_default();
    rpc::Status { details, ..error(status.code(), status.message().to_owned()) }
}
