//! The laws of delivery: any sequence of calls does to the store what it does to a model that keeps each message's
//! state explicitly. Expectations: AWS SQS' vocabulary, and RabbitMQ's total-queue checker for what may be lost.

use std::collections::HashMap;

use proptest::prelude::*;

use super::*;

const QUEUE: &str = "laws";
const MESSAGES_MAX: i64 = 6;
const RECEIVES_MAX: i64 = 2;
const RETENTION: i64 = 100_000;

#[derive(Clone, Debug)]
enum Step {
    Push {
        body: usize,
        key: Option<u8>,
        delay: i64,
    },
    Pop,
    Receive {
        limit: u64,
        visibility: i64,
    },
    Ack(usize),
    Nack(usize, i64),
    Extend(usize, i64),
    Release(usize),
    Redrive,
    Sweep,
    Pass(i64),
    /// The process, and a Redis of its own, are killed; the next one opens the store.
    Crash,
}

fn step() -> impl Strategy<Value = Step> {
    let delay = || prop::sample::select(vec![0, 0, 1, 5_000]);
    let visibility = || prop::sample::select(vec![1_000, 5_000, 2 * RETENTION]);
    let some_time = prop::sample::select(vec![1, 999, 1_000, 5_000, RETENTION, TOMBSTONE_MS, KEY_MS]);
    let push = (0..3_usize, prop::option::of(0..2_u8), delay());
    prop_oneof![
        6 => push.prop_map(|(body, key, delay)| Step::Push { body, key, delay }),
        1 => Just(Step::Pop),
        6 => (1..4_u64, visibility()).prop_map(|(limit, visibility)| Step::Receive { limit, visibility }),
        4 => (0..5_usize).prop_map(Step::Ack),
        3 => (0..5_usize, delay()).prop_map(|(of, delay)| Step::Nack(of, delay)),
        2 => (0..5_usize, visibility()).prop_map(|(of, visibility)| Step::Extend(of, visibility)),
        2 => (0..5_usize).prop_map(Step::Release),
        1 => Just(Step::Redrive),
        1 => Just(Step::Sweep),
        4 => some_time.prop_map(Step::Pass),
        1 => Just(Step::Crash),
    ]
}

#[derive(Clone, Debug, PartialEq)]
enum State {
    Ready { since: i64 },
    Delayed { until: i64 },
    Leased { receipt: String, until: i64 },
    Dead { since: i64 },
}

#[derive(Debug)]
struct Entry {
    id: String,
    body: usize,
    pushed_ms: i64,
    attempts: i64,
    /// Of the latest delivery, unless it was given back.
    receipt: Option<String>,
    state: State,
}

#[derive(Default)]
struct Model {
    now: i64,
    entries: Vec<Entry>,
    keys: HashMap<u8, (usize, String, i64)>,
    acked: Vec<(Delivery, i64)>,
}

impl Model {
    /// What has come to its end by now moves on.
    fn settle(&mut self) {
        for entry in &mut self.entries {
            match entry.state {
                State::Delayed { until: since } | State::Leased { until: since, .. } if since <= self.now => {
                    let dead = entry.attempts >= RECEIVES_MAX;
                    entry.state = if dead { State::Dead { since } } else { State::Ready { since } };
                }
                _ => {}
            }
        }
    }

    /// The id a push answers if it stores nothing.
    fn push(&self, body: usize, key: Option<u8>) -> Result<Option<String>, Code> {
        match key.and_then(|key| self.keys.get(&key)) {
            Some((known, id, at)) if self.now - at < KEY_MS => {
                if *known == body {
                    Ok(Some(id.clone()))
                } else {
                    Err(Code::AlreadyExists)
                }
            }
            _ if self.entries.len() as i64 >= MESSAGES_MAX => Err(Code::ResourceExhausted),
            _ => Ok(None),
        }
    }

    fn ready(&self) -> Vec<usize> {
        let ready = |at: &usize| matches!(self.entries[*at].state, State::Ready { .. });
        (0..self.entries.len()).filter(ready).collect()
    }

    fn leased(&self, delivery: &Delivery) -> Option<usize> {
        let holds =
            |entry: &Entry| matches!(&entry.state, State::Leased { receipt, .. } if *receipt == delivery.receipt);
        self.entries.iter().position(|entry| entry.id == delivery.id && holds(entry))
    }

    fn stats(&self) -> Stats {
        let mut stats = Stats::default();
        for entry in &self.entries {
            match entry.state {
                State::Ready { .. } => {
                    stats.ready += 1;
                    stats.oldest_ready_age_ms.get_or_insert(self.now - entry.pushed_ms);
                }
                State::Delayed { .. } => stats.delayed += 1,
                State::Leased { .. } => stats.leased += 1,
                State::Dead { .. } => stats.dead += 1,
            }
        }
        stats
    }
}

/// The store, the model, and all deliveries there ever were.
struct Both {
    bench: Bench,
    model: Model,
    deliveries: Vec<Delivery>,
}

impl Both {
    /// One of the latest deliveries; a forged one when there are not that many.
    fn delivery(&self, back: usize) -> Delivery {
        let forged = Delivery { queue: QUEUE.into(), id: "none".into(), receipt: "forged".into() };
        self.deliveries.iter().rev().nth(back).cloned().unwrap_or(forged)
    }

    async fn take(mut self, step: Step) -> Self {
        if let Step::Crash = step {
            self.bench = self.bench.crashed().await;
        } else {
            self.call(step).await;
        }
        self.model.settle();
        self.compare().await;
        self
    }

    async fn call(&mut self, step: Step) {
        let (messages, model) = (self.bench.messages.clone(), &mut self.model);
        match step {
            Step::Push { body: number, key, delay } => {
                let text = key.map(|key| key.to_string());
                let pushed = code(messages.push(QUEUE, body(number), text.as_deref(), delay).await);
                match model.push(number, key) {
                    Ok(Some(first)) => assert_eq!(pushed, Ok(first)),
                    Err(refusal) => assert_eq!(pushed, Err(refusal)),
                    Ok(None) => {
                        let id = pushed.expect("room");
                        key.map(|key| model.keys.insert(key, (number, id.clone(), model.now)));
                        let (pushed_ms, state) = (model.now, State::Delayed { until: model.now + delay });
                        model.entries.push(Entry { id, body: number, pushed_ms, attempts: 0, receipt: None, state });
                    }
                }
            }
            Step::Pop => {
                let popped = messages.pop(QUEUE).await.expect("a pop").map(|message| message.id);
                let first = model.ready().first().map(|at| model.entries.remove(*at).id);
                assert_eq!(popped, first);
            }
            Step::Receive { limit, visibility } => self.receive(limit, visibility).await,
            Step::Pass(time) => {
                model.now += time;
                self.bench.now.store(model.now, Ordering::SeqCst);
            }
            Step::Redrive => {
                let mut redriven = 0;
                for entry in model.entries.iter_mut().filter(|entry| matches!(entry.state, State::Dead { .. })) {
                    (entry.attempts, entry.receipt, entry.state) = (0, None, State::Ready { since: model.now });
                    redriven += 1;
                }
                assert_eq!(messages.redrive(QUEUE).await.expect("a redrive"), redriven);
            }
            Step::Sweep => {
                let (before, end) = (model.entries.len(), model.now - RETENTION);
                let expired =
                    |state: &State| matches!(state, State::Ready { since } | State::Dead { since } if *since <= end);
                model.entries.retain(|entry| !expired(&entry.state));
                assert_eq!(messages.sweep().await.expect("a sweep"), (before - model.entries.len()) as u64);
            }
            Step::Ack(back) => {
                let delivery = self.delivery(back);
                let acked = code(messages.ack(&delivery).await);
                assert_eq!(acked, self.ack(delivery));
            }
            Step::Nack(back, delay) => {
                let (delivery, now) = (self.delivery(back), self.model.now);
                let given_back = code(messages.nack(&delivery, delay).await);
                let state = State::Delayed { until: now + delay };
                assert_eq!(given_back, self.change(&delivery, state).map(|at| self.model.entries[at].receipt = None));
            }
            Step::Extend(back, visibility) => {
                let (delivery, until) = (self.delivery(back), self.model.now + visibility);
                let extended = code(messages.extend(&delivery, visibility).await);
                let state = State::Leased { receipt: delivery.receipt.clone(), until };
                assert_eq!(extended, self.change(&delivery, state).map(|_| until));
            }
            Step::Release(back) => self.release(self.delivery(back)).await,
            Step::Crash => unreachable!("no call"),
        }
    }

    async fn receive(&mut self, limit: u64, visibility: i64) {
        let received = self.bench.messages.receive(QUEUE, limit, visibility).await.expect("leases");
        let ready = self.model.ready();
        assert_eq!(received.len(), ready.len().min(limit as usize));
        for (message, at) in received.iter().zip(ready) {
            let entry = &mut self.model.entries[at];
            entry.attempts += 1;
            assert_eq!((&message.id, &message.body), (&entry.id, &body(entry.body).encoded));
            assert_eq!(i64::from(message.attempts), entry.attempts);
            let delivery = delivery(message);
            assert!(!self.deliveries.contains(&delivery), "a receipt was given twice");
            entry.receipt = Some(delivery.receipt.clone());
            entry.state = State::Leased { receipt: delivery.receipt.clone(), until: self.model.now + visibility };
            self.deliveries.push(delivery);
        }
    }

    /// Also after the lease's end, as long as nobody else has received the message.
    async fn release(&mut self, Delivery { queue, id, receipt }: Delivery) {
        self.bench.messages.release(&queue, &receipt, std::slice::from_ref(&id)).await.expect("given back");
        let (now, receipt) = (self.model.now, Some(receipt));
        if let Some(entry) = self.model.entries.iter_mut().find(|entry| entry.id == id && entry.receipt == receipt) {
            entry.attempts -= 1;
            (entry.receipt, entry.state) = (None, State::Ready { since: now });
        }
    }

    fn ack(&mut self, delivery: Delivery) -> Result<(), Code> {
        let (now, model) = (self.model.now, &mut self.model);
        if let Some(at) = model.leased(&delivery) {
            model.entries.remove(at);
            model.acked.push((delivery, now));
            return Ok(());
        }
        let known = model.acked.iter().any(|(acked, at)| *acked == delivery && now - at < TOMBSTONE_MS);
        if known { Ok(()) } else { Err(Code::FailedPrecondition) }
    }

    fn change(&mut self, delivery: &Delivery, state: State) -> Result<usize, Code> {
        let at = self.model.leased(delivery).ok_or(Code::FailedPrecondition)?;
        self.model.entries[at].state = state;
        Ok(at)
    }

    async fn compare(&self) {
        let (messages, expected) = (&self.bench.messages, self.model.stats());
        let stats = messages.stats(QUEUE).await.expect("stats");
        assert_eq!(stats, expected);
        assert_eq!(messages.count(QUEUE).await.expect("a count"), expected.ready as u64);
        let sum = stats.ready + stats.delayed + stats.leased + stats.dead;
        assert_eq!(sum, self.bench.stored(QUEUE).await, "counts do not sum to what is stored");

        let held = messages.held(QUEUE, self.deliveries.clone()).await.expect("those held");
        let leased = |delivery: &&Delivery| self.model.leased(delivery).is_some();
        assert_eq!(held, self.deliveries.iter().filter(leased).cloned().collect::<Vec<_>>());

        let letters = messages.dead_letters(QUEUE, 0, 100).await.expect("dead letters");
        let letters = letters.into_iter().map(|letter| (letter.id, letter.body, letter.visible_ms));
        let dead = self.model.entries.iter().filter_map(|entry| match entry.state {
            State::Dead { since } => Some((entry.id.clone(), body(entry.body).encoded, since)),
            _ => None,
        });
        assert_eq!(letters.collect::<Vec<_>>(), dead.collect::<Vec<_>>());
    }
}

fn config() -> Config {
    let (messages_max, receives_max, retention_ms) = (MESSAGES_MAX, RECEIVES_MAX, RETENTION);
    Config { messages_max, receives_max, retention_ms, ..Config::default() }
}

async fn obey(bench: Option<Bench>, steps: &[Step]) {
    let Some(bench) = bench else { return };
    let model = Model { now: bench.now.load(Ordering::SeqCst), ..Model::default() };
    let mut both = Both { bench, model, deliveries: Vec::new() };
    for step in steps {
        both = both.take(step.clone()).await;
    }
}

fn run(test: impl Future<Output = ()>) {
    tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime").block_on(test);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

    #[test]
    fn sqlite_and_redis_keep_the_laws_of_delivery(steps in prop::collection::vec(step(), 1..60)) {
        run(async {
            obey(Some(bench(config()).await), &steps).await;
            obey(redis(config()).await, &steps).await;
        });
    }
}

proptest! {
    // A database for each.
    #![proptest_config(ProptestConfig { cases: 12, ..ProptestConfig::default() })]

    #[test]
    fn redis_cluster_and_sentinel_keep_the_laws_of_delivery(steps in prop::collection::vec(step(), 1..60)) {
        run(async {
            obey(sentinel(config()).await, &steps).await;
            obey(cluster(config()).await, &steps).await;
        });
    }

    #[test]
    fn postgres_keeps_the_laws_of_delivery(steps in prop::collection::vec(step(), 1..60)) {
        run(async { obey(postgres(config()).await, &steps).await });
    }
}

proptest! {
    // A server for each, which is killed each time.
    #![proptest_config(ProptestConfig { cases: 4, ..ProptestConfig::default() })]

    #[test]
    fn a_redis_that_is_killed_keeps_the_laws_of_delivery(steps in prop::collection::vec(step(), 40..80)) {
        run(async { obey(durable_redis(config()).await, &steps).await });
    }
}
