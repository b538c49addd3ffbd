//! Opens an epoch: a running primary, the voters named, the schema in place; then the record that sends users
//! there, while the barrier is being passed.

use std::time::Duration;

use anyhow::{Context as _, bail, ensure};
use runtime::clock::BootTime;
use topology::{Activation, Cause, Epoch, Failure};
use tracing::{info, warn};

use super::{Done, Tools, change};
use crate::agent::decide::tenure::Event;
use crate::agent::postgres::{AT_ONCE, Upstream};
use crate::agent::shared::Known;
use crate::{database, defect};

/// How long the first renewal may take: an election of etcd's leader, and some.
const RIGHT_LIMIT: Duration = Duration::from_secs(5);
/// How long an epoch's barrier may take before the site serves what needs none. A voter that is there
/// follows within some tenths of a second; one that restarts, within a few.
const BARRIER_LIMIT: Duration = Duration::from_secs(5);
/// The same when the cell's first standbys copy the database.
const FIRST_BARRIER_LIMIT: Duration = Duration::from_mins(2);
/// Before a barrier that failed is tried again: users wait for it.
const AGAIN: Duration = Duration::from_millis(100);
const POLL: Duration = Duration::from_millis(5);

/// What is known of the database that the epoch is opened on.
struct Database {
    system: u64,
    /// Whether roles and schema are what this program expects.
    is_current: bool,
}

/// Runs until the epoch is open or cannot be; dropped when the activation moves on.
pub(super) async fn open(tools: Tools, known: Known) -> anyhow::Result<Done> {
    let activation = known.activation().clone();
    let epoch = activation.epoch;
    let fresh = activation.system.is_none() && !tools.postgres.has_data();
    if fresh {
        hold_right(&tools).await?;
        info!("making the cell's first database");
        tools.postgres.create().await.context("make the cell's first database")?;
    }
    ensure!(tools.postgres.has_data(), "open epoch {epoch} without data");
    let Database { system, is_current } = run_as_primary(&tools, &known).await?;
    if !is_current {
        bring_up_to_date(&tools).await?;
    }
    // Also after a promotion that asked before: it may have replayed more.
    refuse_used_epoch(&tools, &known).await?;
    defect::replicate_no_keys(tools.postgres.sql.cell()).await?;
    let mut opened = activation.open(&tools.site.id.region, &activation.reason);
    opened.system = Some(system);
    if activation.system.is_none() {
        // The first standbys have to copy the database first; nobody waits for this cell yet.
        let strong = passes(&tools, epoch, FIRST_BARRIER_LIMIT).await?;
        grant(&tools, strong);
        let known = publish(&tools, &known, opened).await?;
        return Ok(Done::Opened { known: Box::new(known), strong });
    }
    // Routers hear of it while the voters confirm the barrier: what is weak needs none, and what is strong
    // waits for it here.
    grant(&tools, false);
    let (known, strong) =
        tokio::try_join!(publish(&tools, &known, opened), passes(&tools, epoch, BARRIER_LIMIT))?;
    Ok(Done::Opened { known: Box::new(known), strong })
}

/// The gateway may answer from now on, before the routers hear of it: the right is held. Voters enough for
/// strong work are expected either way.
fn grant(tools: &Tools, open: bool) {
    tools.shared.standing.send_modify(|standing| {
        standing.tenure = standing.tenure.after(Event::Granted).unwrap_or(standing.tenure);
        standing.open = open;
        standing.strong = true;
    });
}

/// Writes that the epoch is open, and has the lease renewed under that record.
async fn publish(tools: &Tools, known: &Known, opened: Activation) -> anyhow::Result<Known> {
    let changed = change(tools, known, opened).await?;
    let known = changed.context("open an epoch that is over")?;
    tools.shared.learn(known.clone());
    tools.shared.standing.send_modify(|standing| standing.follow(&known));
    Ok(known)
}

/// Returns whether the barrier is passed in time; the gateway hears of it at once. A try that fails is made
/// again, as long as there is a database.
async fn passes(tools: &Tools, epoch: Epoch, limit: Duration) -> anyhow::Result<bool> {
    let passing = async {
        while let Err(err) = barrier(tools, epoch).await {
            ensure!(tools.postgres.is_running(), "pass the barrier: {err:#}");
            warn!(%epoch, error = format!("{err:#}"), "barrier not passed yet");
            tokio::time::sleep(AGAIN).await;
        }
        Ok(())
    };
    let Ok(passed) = tokio::time::timeout(limit, passing).await else {
        warn!(%epoch, "barrier not passed yet: serving at risk, without strong writes");
        return Ok(false);
    };
    passed?;
    tools.shared.standing.send_modify(|standing| standing.open = true);
    Ok(true)
}

/// An epoch that this database has seen opened elsewhere, or a later one, shows that the cell's
/// record went back in time: no epoch is used twice (I2).
async fn refuse_used_epoch(tools: &Tools, known: &Known) -> anyhow::Result<()> {
    let epoch = known.activation().epoch;
    let me = &tools.site.id.region;
    let Some((newest, region)) = tools.postgres.sql.newest_epoch().await? else { return Ok(()) };
    if newest < epoch || (newest == epoch && region == me.as_str()) {
        return Ok(());
    }
    let mut next = known.activation().clone();
    next.epoch = newest.next();
    // Where somebody was elected before the record went back is not where this history begins.
    next.elected_at = None;
    next.cause = Some(Cause::failure(Failure::EtcdWentBack));
    next.reason = format!("epoch {newest} has been opened in {region} already");
    if let Some(known) = change(tools, known, next).await? {
        tools.shared.learn(known);
    }
    bail!("open epoch {epoch}: {newest} has been opened in {region} already");
}

/// Makes roles, database and schema what this program expects.
async fn bring_up_to_date(tools: &Tools) -> anyhow::Result<()> {
    tools.postgres.make_roles_and_database().await?;
    let mut cell = tools.postgres.sql.cell().await?;
    database::migrate(&mut cell).await.context("bring the schema up to date")
}

/// Waits until the lease is held: nothing is promoted on a right that has not begun (I3).
async fn hold_right(tools: &Tools) -> anyhow::Result<()> {
    let held = async {
        while tools.shared.valid_until() <= BootTime::now() {
            tokio::time::sleep(POLL).await;
        }
    };
    tokio::time::timeout(RIGHT_LIMIT, held).await.context("hold the lease")
}

/// The set of standbys that count is in force before the first write of the epoch.
async fn run_as_primary(tools: &Tools, known: &Known) -> anyhow::Result<Database> {
    let postgres = &tools.postgres;
    let name_voters = || {
        let Activation { voters, acks, epoch, .. } = known.activation();
        postgres.write_sync_set(&tools.site.id, voters, *acks, *epoch)
    };
    if !postgres.is_standby() {
        // Before the right is looked at: nothing is waited for between that and the start.
        postgres.is_alone(AT_ONCE).await;
        hold_right(tools).await?;
        postgres.mark_primary()?;
        name_voters()?;
        if !postgres.is_running() {
            postgres.start().await?;
        }
        let database = examine(tools, known).await?;
        // A try before this one may have been promoted, and no more.
        if known.activation().elected_at.is_some() {
            tell_timeline(tools, known.activation().epoch, database.system).await;
        }
        return Ok(database);
    }
    // Users wait: what a standby can be asked as well is not asked after the promotion.
    let made_ready = async {
        if !postgres.is_running() {
            postgres.start_standby(&Upstream::nowhere()).await?;
        }
        name_voters()?;
        // One after the other, over one connection: opening another takes longer than either.
        let database = examine(tools, known).await?;
        refuse_used_epoch(tools, known).await?;
        Ok(database)
    };
    let (database, ()) = tokio::try_join!(made_ready, hold_right(tools))?;
    ensure!(BootTime::now() < tools.shared.valid_until(), "hold the right up to the promotion");
    postgres.mark_primary()?;
    postgres.promote().await.context("promote this site")?;
    tell_timeline(tools, known.activation().epoch, database.system).await;
    Ok(database)
}

/// Has the standbys that ask know the new timeline before their PostgreSQL does: over distances.
async fn tell_timeline(tools: &Tools, epoch: Epoch, system: u64) {
    if tools.site.spec.round_trip.is_zero() {
        return;
    }
    match tools.postgres.begun_timeline(epoch.0, system).await {
        Ok(begun) => drop(tools.shared.begun.send_replace(Some(begun))),
        Err(err) => {
            let error = format!("{err:#}");
            warn!(%epoch, error, "the new timeline is not told: standbys find it by themselves");
        }
    }
}

/// Returns what the database is, unless it is not the one to open this epoch on.
async fn examine(tools: &Tools, known: &Known) -> anyhow::Result<Database> {
    let Activation { epoch, system: expected, .. } = known.activation();
    let system = tools.postgres.sql.system().await?;
    if let Some(expected) = expected.filter(|expected| *expected != system) {
        bail!("open epoch {epoch}: the database is of system {system}, not {expected}");
    }
    let is_current = match tools.postgres.sql.cell().await {
        Ok(cell) => database::is_current(&cell).await,
        // A first start that was interrupted: there may be no such database yet.
        Err(_) => false,
    };
    Ok(Database { system, is_current })
}

/// Returns only when enough voters have flushed it, and with it everything before: also
/// transactions that were never acknowledged. From here on strong reads and replays are true.
pub(super) async fn barrier(tools: &Tools, epoch: Epoch) -> anyhow::Result<()> {
    let number = i64::try_from(epoch.0).context("write the epoch")?;
    // A connection of its own: given up, it is closed, and not lent to anybody while it waits.
    let mut client = deadpool_postgres::Client::take(tools.postgres.sql.cell().await?);
    let transaction = client.transaction().await.context("begin the barrier")?;
    transaction
        .batch_execute("SET LOCAL synchronous_commit = on")
        .await
        .context("make the barrier strong")?;
    transaction
        .execute(
            "INSERT INTO cell_epoch (epoch, region, timeline, opened_at)
             SELECT $1, $2, timeline_id, now() FROM pg_control_checkpoint()
             ON CONFLICT DO NOTHING",
            &[&number, &tools.site.id.region.as_str()],
        )
        .await
        .context("write the epoch")?;
    // A repeated try inserts nothing; the message makes the commit wait all the same.
    transaction
        .execute("SELECT pg_logical_emit_message(true, 'epoch', $1::text)", &[&epoch.to_string()])
        .await
        .context("write the barrier")?;
    transaction.commit().await.context("pass the barrier")
}
