//! A stream of leased messages. What it has handed out and nobody has settled counts against its limit.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt as _;
use futures_util::stream::{self, Stream};
use malla_runtime::places::Place;
use malla_runtime::shutdown::Shutdown;
use malla_storage::wait;
use tokio::runtime::Handle;
use tokio::time::Instant;

use crate::bells::Bells;
use crate::error::Error;
use crate::rules::RECEIVE_MAX;
use crate::store::{Delivery, Message, Messages};

/// After so long without a message a stream looks whether the process drains.
const WAIT: Duration = Duration::from_secs(20);

/// What a stream needs and remembers.
pub(crate) struct Subscription {
    pub(crate) messages: Arc<dyn Messages>,
    pub(crate) bells: Arc<Bells>,
    pub(crate) shutdown: Shutdown,
    pub(crate) queue: String,
    pub(crate) visibility_ms: i64,
    pub(crate) in_flight_max: u64,
    /// Handed out, and not known to be settled.
    pub(crate) in_flight: Vec<Delivery>,
    /// Leased, and not handed out yet.
    pub(crate) leased: VecDeque<Message>,
    /// When their leases end, at the earliest. By this process's clock: the store's may be another.
    pub(crate) leased_until: Instant,
    pub(crate) _place: Place,
}

impl Subscription {
    /// The messages as they come; ends after an error.
    pub(crate) fn run(self) -> impl Stream<Item = Result<Message, Error>> + Send {
        stream::unfold(Some(self), |subscription| async {
            let mut subscription = subscription?;
            match subscription.next().await {
                Ok(message) => Some((Ok(message), Some(subscription))),
                Err(last) => Some((Err(last), None)),
            }
        })
    }

    async fn next(&mut self) -> Result<Message, Error> {
        loop {
            // Read too slowly: others may have them already. Who has never seen them has not failed to process them.
            if self.leased_until <= Instant::now() && !self.leased.is_empty() {
                release(&*self.messages, &self.queue, &self.leased).await?;
                self.leased.clear();
            }
            if let Some(message) = self.leased.pop_front() {
                let receipt = message.receipt.clone().unwrap_or_default();
                self.in_flight.push(Delivery { queue: message.queue.clone(), id: message.id.clone(), receipt });
                return Ok(message);
            }
            let look = || self.look();
            let some = |(_, messages, _): &(_, Vec<Message>, _)| !messages.is_empty();
            let bell = self.bells.of(&self.queue);
            let (in_flight, leased, leased_until) = wait::until(bell, WAIT, &self.shutdown, look, some).await?;
            if leased.is_empty() && self.shutdown.draining().now_or_never().is_some() {
                return Err(Error::Draining);
            }
            (self.in_flight, self.leased, self.leased_until) = (in_flight, leased.into(), leased_until);
        }
    }

    /// What is still in flight, new messages if there is room for any, and when their leases end.
    async fn look(&self) -> Result<(Vec<Delivery>, Vec<Message>, Instant), Error> {
        let mut in_flight = self.in_flight.clone();
        if in_flight.len() as u64 >= self.in_flight_max {
            in_flight = self.messages.held(&self.queue, in_flight).await?;
        }
        let room = self.in_flight_max.saturating_sub(in_flight.len() as u64).min(RECEIVE_MAX.unsigned_abs().into());
        if room == 0 {
            return Ok((in_flight, Vec::new(), Instant::now()));
        }
        let until = Instant::now() + Duration::from_millis(self.visibility_ms.unsigned_abs());
        let leased = self.messages.receive(&self.queue, room, self.visibility_ms).await?;
        Ok((in_flight, leased, until))
    }
}

impl Drop for Subscription {
    /// What was leased and not handed out need not wait for the end of its lease.
    fn drop(&mut self) {
        let leased = std::mem::take(&mut self.leased);
        let (messages, bells, queue) = (self.messages.clone(), self.bells.clone(), self.queue.clone());
        if leased.is_empty() {
            return;
        }
        if let Ok(runtime) = Handle::try_current() {
            runtime.spawn(async move {
                match release(&*messages, &queue, &leased).await {
                    Ok(()) => bells.of(&queue).notify_one(),
                    Err(error) => tracing::warn!(%error, queue, "unread messages come back when their leases end"),
                }
            });
        }
    }
}

/// Gives back messages that were leased together.
async fn release(messages: &dyn Messages, queue: &str, leased: &VecDeque<Message>) -> Result<(), Error> {
    let Some(receipt) = leased.front().and_then(|first| first.receipt.as_deref()) else { return Ok(()) };
    let ids: Vec<_> = leased.iter().map(|message| message.id.clone()).collect();
    messages.release(queue, receipt, &ids).await
}
