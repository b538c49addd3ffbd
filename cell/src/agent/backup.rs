//! Backups of the active site: base backups, the WAL between them, and word of what goes wrong.
//!
//! ```text
//!  PostgreSQL ──finished WAL──▶ archive-push ─┐
//!  agent ─────────base backup──▶ backup ──────┴▶ the cell's part of the repository
//!    └─────── is it all there? ──▶ info, repo-ls ◀┘
//! ```
//!
//! All sites of a cell send into one catalogue, whichever is active. Nothing a user asks waits for
//! any of it: an archive that fails or is full costs an alert, and WAL up to a bound. The archive
//! itself is looked into, because two things leave holes that PostgreSQL does not know of: a site
//! that died before it had sent all its WAL, and WAL given up while the archive took none. What a
//! server still has is sent again; what is lost for good is answered by a new base backup.

mod alerts;
mod continuity;
mod decide;
mod pgbackrest;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use tokio::sync::watch;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use topology::wire::agent::{TenureLine, TenureName};
use tracing::{info, warn};

use super::postgres::{Archiver, History, Postgres, SegmentSize};
use crate::config::Site;
use alerts::{Alert, Alerts};
use continuity::{Continuity, continuity, told};
use decide::Seen;
use pgbackrest::{BaseBackup, Catalogue, PgBackRest};

pub(crate) use alerts::AlertLines;

/// How often the server is asked how archiving goes.
const LOOK: Duration = Duration::from_secs(5);
/// Between looks into the archive, and after a failure: a standing problem is not hammered.
const PAUSE: Duration = Duration::from_mins(1);
/// The cell's catalogue is made once the site has served for this long: starting comes first.
const SETTLE: Duration = Duration::from_secs(10);
/// Segments compared at a time; a base backup made long ago by a busy cell is followed in steps.
const COMPARED: u64 = 50_000;
/// Time between the base backups of cells that began together.
const TURN: Duration = Duration::from_secs(10);
/// Pause after a base backup failed: the next one costs as much.
const BACK_UP_AGAIN: Duration = Duration::from_mins(5);

pub(crate) struct Backups {
    site: Arc<Site>,
    postgres: Arc<Postgres>,
    alerts: Alerts,
}

/// What is known since this site serves.
struct Serving {
    since: Instant,
    /// Whether the cell's catalogue is there: before that nothing can be taken.
    has_catalogue: bool,
    fails: bool,
    looked_into: Option<Instant>,
    /// Why the repository cannot be read.
    unreadable: Option<String>,
    /// Up to where the archive leads on from the base backup with this label.
    whole: Option<(String, u64)>,
    /// What is missing for good.
    broken: Option<String>,
    /// The timeline that the archive is known to lead to.
    leads_to: Option<u32>,
    /// Why the last base backup could not be made.
    failed: Option<String>,
    back_up_after: Instant,
}

impl Backups {
    /// Prepares everything before PostgreSQL is started for the first time.
    pub(crate) fn prepare(site: &Arc<Site>, postgres: &Arc<Postgres>) -> anyhow::Result<Self> {
        let backups = Self {
            site: Arc::clone(site),
            postgres: Arc::clone(postgres),
            alerts: Alerts::register()?,
        };
        if let Err(err) = backups.configure() {
            warn!(error = format!("{err:#}"), "no backups yet");
        }
        Ok(backups)
    }

    pub(crate) fn alerts(&self) -> watch::Receiver<AlertLines> {
        self.alerts.lines()
    }

    pub(crate) async fn keep(
        self,
        mut tenure: watch::Receiver<TenureLine>,
        stop: CancellationToken,
    ) -> anyhow::Result<()> {
        while !stop.is_cancelled() {
            tokio::select! {
                () = stop.cancelled() => break,
                () = serving(&mut tenure, true) => {}
            }
            // What is under way when the tenure ends is dropped, and its process with it.
            tokio::select! {
                () = stop.cancelled() => {}
                () = serving(&mut tenure, false) => {}
                () = self.serve() => {}
            }
            self.alerts.clear();
        }
        Ok(())
    }

    /// Writes the configuration and tells PostgreSQL; fails if pgBackRest is not there.
    fn configure(&self) -> anyhow::Result<PgBackRest> {
        let program = pgbackrest::installed()
            .context("find pgbackrest on this machine; apt-get install pgbackrest")?;
        let pgbackrest = PgBackRest::configure(program, &self.site, &self.postgres)?;
        let every = self.site.spec.backup.archive_every;
        // Before there is a catalogue it could only fail, three times at each piece of WAL.
        let sending = pgbackrest.has_catalogue().then(|| pgbackrest.sending(every));
        self.postgres.archive_with(sending)?;
        Ok(pgbackrest)
    }

    /// Goes on for as long as it is polled.
    async fn serve(&self) {
        let since = Instant::now();
        let pgbackrest = loop {
            match self.configure() {
                Ok(pgbackrest) => break pgbackrest,
                Err(err) => {
                    let wrong = format!("nothing is backed up: {err:#}");
                    self.alerts.set(Alert::BackupMissing, Some(wrong));
                }
            }
            tokio::time::sleep(PAUSE).await;
        };
        self.alerts.set(Alert::BackupMissing, None);
        tokio::time::sleep_until(since + SETTLE).await;
        let mut serving = Serving::begin(since, since + self.site.spec.backup.steady + self.turn());
        loop {
            self.look(&pgbackrest, &mut serving).await;
            tokio::time::sleep(LOOK).await;
        }
    }

    /// Cells that began together, on one machine or behind one store, back up one after the other.
    fn turn(&self) -> Duration {
        let place = self.site.spec.cells.iter().position(|cell| cell.id == self.site.id.cell);
        TURN * u32::try_from(place.unwrap_or(0)).unwrap_or(0)
    }

    async fn look(&self, pgbackrest: &PgBackRest, serving: &mut Serving) {
        // A server that does not answer is the keeper's affair.
        let Ok(archiver) = self.postgres.archiver().await else { return };
        let fails = self.say_whether_it_fails(&archiver, serving);
        let now = Instant::now();
        // Also at the moment from which on a base backup may be made.
        let fresh = serving.looked_into.filter(|looked| {
            now < *looked + PAUSE
                && (now < serving.back_up_after || *looked >= serving.back_up_after)
        });
        if fresh.is_some() {
            return;
        }
        serving.looked_into = Some(now);
        let seen = self.look_into(pgbackrest, serving, &archiver).await;
        serving.unreadable = seen.as_ref().err().map(|err| format!("{err:#}"));
        let Ok(catalogue) = seen else { return };
        self.alerts.set(Alert::ArchiveGap, serving.broken.clone());
        self.alerts.show_newest(catalogue.newest.as_ref());
        let policy = &self.site.spec.backup;
        let age = catalogue.newest.as_ref().map(BaseBackup::age);
        let due = decide::is_due(age, serving.broken.is_some(), policy);
        if due && !fails && now >= serving.back_up_after {
            self.back_up(pgbackrest, serving).await;
        }
        let missing = decide::missing(age, serving.failed.as_deref(), policy);
        self.alerts.set(Alert::BackupMissing, missing);
    }

    /// Returns whether archiving fails, as far as PostgreSQL knows.
    fn say_whether_it_fails(&self, archiver: &Archiver, serving: &mut Serving) -> bool {
        self.alerts.show_waiting(archiver.waiting.len());
        let seen = Seen {
            failed: archiver.failed_seconds.and_then(|ago| Duration::try_from_secs_f64(ago).ok()),
            waiting: archiver.waiting.len(),
            waited: Duration::try_from_secs_f64(archiver.waiting_seconds).unwrap_or_default(),
            served: serving.since.elapsed(),
        };
        let fails = decide::failing(seen, &self.site.spec.backup).filter(|_| serving.has_catalogue);
        let wrong = match (&fails, &serving.unreadable) {
            (Some(fails), Some(unreadable)) => Some(format!("{fails}; {unreadable}")),
            (Some(wrong), None) | (None, Some(wrong)) => Some(wrong.clone()),
            (None, None) => None,
        };
        if fails.is_none() && serving.fails {
            // It works again: what it has missed is looked for at once.
            serving.looked_into = None;
        }
        serving.fails = fails.is_some();
        self.alerts.set(Alert::ArchiveFailing, wrong);
        serving.fails
    }

    /// Reads what the repository has, and finds holes.
    async fn look_into(
        &self,
        pgbackrest: &PgBackRest,
        serving: &mut Serving,
        archiver: &Archiver,
    ) -> anyhow::Result<Catalogue> {
        if !serving.has_catalogue {
            pgbackrest.create_catalogue().await?;
            serving.has_catalogue = true;
            pgbackrest.note_catalogue()?;
            // PostgreSQL may have tried in vain, and waits: it tries again.
            self.configure()?;
        }
        let catalogue = pgbackrest.catalogue(archiver.system).await?;
        if let (Some(base), Some(archive)) = (&catalogue.newest, &catalogue.archive) {
            self.follow_on(pgbackrest, serving, archiver, base, archive).await?;
        }
        Ok(catalogue)
    }

    /// Follows the WAL from the base backup to what this server writes now.
    async fn follow_on(
        &self,
        pgbackrest: &PgBackRest,
        serving: &mut Serving,
        archiver: &Archiver,
        base: &BaseBackup,
        archive: &str,
    ) -> anyhow::Result<()> {
        let size = SegmentSize::new(archiver.segment_size).context("know the size of a segment")?;
        let current = size.segment(&archiver.current).context("read the current segment")?;
        let history = self.postgres.history(current.timeline)?;
        self.lead_here(pgbackrest, serving, archive, &history).await?;
        let first = size.segment(&base.first).context("read the base backup's beginning")?;
        let from = match &serving.whole {
            Some((label, whole)) if *label == base.label => *whole,
            Some(_) | None => first.number,
        };
        let waiting = archiver.waiting.iter().filter_map(|name| size.segment(name));
        let finished = waiting.map(|one| one.number).fold(current.number, u64::min);
        let to = finished.min(from + COMPARED);
        let required: Vec<_> = (from..to).map(|number| history.segment(number, size)).collect();
        let present = pgbackrest.present(archive, &required, size).await?;
        let files = self.postgres.wal_files()?;
        let local: BTreeSet<_> = files.iter().filter_map(|name| size.segment(name)).collect();
        let seen = if history.segment(first.number, size) == first {
            continuity(&required, &present, &local)
        } else {
            // Made by a site whose last writes the cell has left behind.
            Continuity::Broken(vec![first])
        };
        match seen {
            Continuity::Whole => {
                serving.whole = Some((base.label.clone(), to.max(from)));
                serving.broken = None;
            }
            Continuity::Repairable(missing) => {
                info!(missing = told(&missing, size), "WAL is sent to the archive again");
                for segment in missing {
                    self.postgres.send_again(&size.name(segment))?;
                }
                serving.broken = None;
            }
            Continuity::Broken(missing) => {
                serving.broken = Some(format!(
                    "the archive lacks {}: nothing after it can be restored before there is a new \
                     base backup",
                    told(&missing, size)
                ));
            }
        }
        Ok(())
    }

    /// Has the archive know which timelines lead to this one: who restores finds them by nothing else. While a
    /// site stands by, its PostgreSQL takes for sent whatever it finishes, and that of its promotion is the first.
    async fn lead_here(
        &self,
        pgbackrest: &PgBackRest,
        serving: &mut Serving,
        archive: &str,
        history: &History,
    ) -> anyhow::Result<()> {
        let timeline = history.current();
        let Some(own) = history.files().last() else { return Ok(()) };
        if serving.leads_to == Some(timeline) {
            return Ok(());
        }
        let present = pgbackrest.histories(archive).await?;
        // It names all of them. Of those that are long over this server may have none.
        serving.leads_to = present.contains(&own).then_some(timeline);
        let files = self.postgres.wal_files()?;
        let is_missing = |file: &String| !present.contains(file) && files.contains(file);
        for file in history.files().filter(is_missing) {
            info!(file, "history of a timeline is sent to the archive again");
            self.postgres.send_again(&file)?;
        }
        Ok(())
    }

    async fn back_up(&self, pgbackrest: &PgBackRest, serving: &mut Serving) {
        info!("base backup begun");
        let begun = Instant::now();
        let mut backup = std::pin::pin!(pgbackrest.back_up());
        let done = loop {
            tokio::select! {
                done = &mut backup => break done,
                () = tokio::time::sleep(LOOK) => {
                    if let Ok(archiver) = self.postgres.archiver().await {
                        self.say_whether_it_fails(&archiver, serving);
                    }
                }
            }
        };
        serving.failed = done.err().map(|err| format!("{err:#}"));
        match &serving.failed {
            None => info!(elapsed = ?begun.elapsed(), "base backup made"),
            Some(error) => {
                serving.back_up_after = Instant::now() + BACK_UP_AGAIN;
                warn!(error, "base backup not made");
            }
        }
        // What it leads on from has changed.
        serving.looked_into = None;
    }
}

impl Serving {
    fn begin(since: Instant, back_up_after: Instant) -> Self {
        Self {
            since,
            has_catalogue: false,
            fails: false,
            looked_into: None,
            unreadable: None,
            whole: None,
            broken: None,
            leads_to: None,
            failed: None,
            back_up_after,
        }
    }
}

/// Resolves when the site serves, or when it does not.
async fn serving(tenure: &mut watch::Receiver<TenureLine>, wanted: bool) {
    let told = tenure.wait_for(|line| (line.tenure == TenureName::Serving) == wanted);
    if told.await.is_err() {
        std::future::pending::<()>().await;
    }
}
