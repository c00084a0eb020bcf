//! What becomes of promised calls: claimed under a lease, settled. Whoever shares the database may take part; every
//! change is one statement or one transaction.

use malla_contracts::google::rpc;
use prost::Message as _;
use sea_orm::entity::prelude::*;
use sea_orm::sea_query::Query;
use sea_orm::{Condition, ExprTrait as _, FromQueryResult, QueryOrder as _, QuerySelect as _, QueryTrait as _};

use super::entity::{self, Column};
use super::{Call, Calls, State};
use crate::error::Error;

/// How long after it was rung the doorbell is rung again for a call that is still due.
const RING_AGAIN_MS: i64 = 5_000;
/// Most calls the doorbell is rung for at once.
const DUE_MAX: u64 = 100;

/// How an attempt ended.
#[derive(Clone, Debug)]
pub(crate) enum Outcome {
    /// With an encoded `google.protobuf.Any`, or an error that would come again.
    Done(Result<Vec<u8>, rpc::Status>),
    /// It is tried again after a pause.
    Again {
        pause_ms: i64,
        /// It ended without a word.
        crashed: bool,
    },
}

/// How many calls there are.
#[derive(Clone, Debug, Default, PartialEq, Eq, FromQueryResult)]
pub(crate) struct Stats {
    pub(crate) queued: i64,
    pub(crate) running: i64,
    /// Age of the oldest that has not ended, in milliseconds.
    pub(crate) oldest_ms: Option<i64>,
}

impl Calls {
    /// One call, whoever owns it.
    pub(crate) async fn find(&self, id: &str) -> Result<Option<Call>, Error> {
        Ok(entity::Entity::find_by_id(id).one(&self.store.connection).await?)
    }

    /// Begins an attempt of a call, if it was promised and is due. The attempt's number is its lease: what it settles later
    /// counts only while no other has begun.
    pub(crate) async fn claim(&self, id: &str) -> Result<Option<Call>, Error> {
        let now = (self.clock)();
        // Still running, with its lease over: whoever ran it is gone.
        let crashed = Condition::all().add(Column::State.eq(State::Running));
        let crashes = Expr::case(crashed, Expr::col(Column::Crashes).add(1)).finally(Expr::col(Column::Crashes));
        let claimed = entity::Entity::update_many()
            .col_expr(Column::Crashes, crashes.into())
            .col_expr(Column::State, Expr::value(State::Running))
            .col_expr(Column::Attempts, Expr::col(Column::Attempts).add(1))
            .col_expr(Column::NextAttemptMs, Expr::value(now + self.config.lease_ms()))
            .col_expr(Column::ModifiedMs, Expr::value(now))
            .filter(due(now))
            .filter(Column::Id.eq(id))
            .exec_with_returning(&self.store.connection)
            .await?;
        Ok(claimed.into_iter().next())
    }

    /// Ends an attempt. Without effect when its lease was over and another has begun.
    pub(crate) async fn settle(&self, call: &Call, outcome: &Outcome) -> Result<(), Error> {
        let now = (self.clock)();
        let update = entity::Entity::update_many()
            .filter(Column::Id.eq(&call.id))
            .filter(Column::State.eq(State::Running))
            .filter(Column::Attempts.eq(call.attempts));
        let update = match outcome {
            Outcome::Done(result) => {
                let (response, error) = match result {
                    Ok(response) => (Some(response.clone()), None),
                    Err(status) => (None, Some(status.encode_to_vec())),
                };
                let result = response.as_ref().or(error.as_ref()).map_or(&[][..], Vec::as_slice);
                self.ended(update, State::Done, result, now)
                    .col_expr(Column::Response, Expr::value(response))
                    .col_expr(Column::Error, Expr::value(error))
            }
            Outcome::Again { pause_ms, crashed } => update
                .col_expr(Column::State, Expr::value(State::Queued))
                .col_expr(Column::ModifiedMs, Expr::value(now))
                .col_expr(Column::Crashes, Expr::col(Column::Crashes).add(i32::from(*crashed)))
                .col_expr(Column::NextAttemptMs, Expr::value(now + pause_ms))
                .col_expr(Column::RungMs, Expr::value(0)),
        };
        update.exec(&self.store.connection).await?;
        Ok(())
    }

    /// Ids of calls that are due and for which the doorbell was not rung lately, the longest due first, but for those of
    /// some services; notes that it is rung for them now.
    pub(crate) async fn due(&self, but: &[String]) -> Result<Vec<String>, Error> {
        let methods = but.iter().fold(Condition::all(), |methods, service| methods.add(of(service).not()));
        self.take_due(methods, DUE_MAX).await
    }

    /// As [`Calls::due`], the one call of a service that is due for the longest.
    pub(crate) async fn next(&self, service: &str) -> Result<Option<String>, Error> {
        Ok(self.take_due(Condition::all().add(of(service)), 1).await?.pop())
    }

    /// Of several who ask at once, each is given others.
    async fn take_due(&self, methods: Condition, limit: u64) -> Result<Vec<String>, Error> {
        let now = (self.clock)();
        let due = due(now).add(Column::RungMs.lte(now - RING_AGAIN_MS)).add(methods);
        let longest = longest(due.clone(), limit).into_query();
        let mut rung = entity::Entity::update_many()
            .col_expr(Column::RungMs, Expr::value(now))
            .filter(Column::Id.in_subquery(longest))
            // Asked again: PostgreSQL waits for whoever else asks, and looks anew.
            .filter(due)
            .into_query();
        rung.returning(Query::returning().columns([Column::NextAttemptMs, Column::Id]));
        let rows = self.store.connection.query_all(&rung).await?;
        let mut due = rows.iter().map(QueryResult::try_get_many_by_index).collect::<Result<Vec<(i64, String)>, _>>()?;
        due.sort_unstable();
        Ok(due.into_iter().map(|(_, id)| id).collect())
    }

    /// Notes that the doorbell was not rung for these calls, so that it soon is.
    pub(crate) async fn unrung(&self, ids: &[String]) -> Result<(), Error> {
        entity::Entity::update_many()
            .col_expr(Column::RungMs, Expr::value(0))
            .filter(Column::Id.is_in(ids))
            .exec(&self.store.connection)
            .await?;
        Ok(())
    }

    /// Counts the calls that have not ended.
    pub(crate) async fn stats(&self) -> Result<Stats, Error> {
        let counted = counted((self.clock)()).into_model().one(&self.store.connection).await?;
        Ok(counted.unwrap_or_default())
    }
}

/// [`Stats`] at a time.
fn counted(now: i64) -> Select<entity::Entity> {
    let count =
        |state: State| -> Expr { Expr::case(Condition::all().add(Column::State.eq(state)), Expr::value(1)).into() };
    entity::Entity::find()
        .select_only()
        .expr_as(count(State::Queued).count(), "queued")
        .expr_as(count(State::Running).count(), "running")
        .expr_as(Expr::value(now).sub(Expr::col(Column::CreatedMs)).max(), "oldest_ms")
        .filter(Column::State.is_in(State::UNFINISHED))
}

/// The ids of those among `which` that are due for the longest.
fn longest(which: Condition, limit: u64) -> Select<entity::Entity> {
    let ids = entity::Entity::find().select_only().column(Column::Id).filter(which);
    ids.order_by_asc(Column::NextAttemptMs).order_by_asc(Column::Id).limit(limit)
}

/// Calls of a service.
fn of(service: &str) -> Expr {
    Column::Method.like(format!("{service}/%"))
}

fn due(now: i64) -> Condition {
    Condition::all()
        .add(Column::State.is_in(State::UNFINISHED))
        .add(Column::NextAttemptMs.lte(now))
        .add(Column::Confirmed.eq(true))
}

#[cfg(test)]
mod tests;
