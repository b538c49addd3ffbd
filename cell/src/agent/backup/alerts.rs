//! What a person should know about the backups: said in the site's report and as metrics.

use std::collections::BTreeMap;

use anyhow::Context as _;
use prometheus::{IntGauge, IntGaugeVec, register_int_gauge, register_int_gauge_vec};
use tokio::sync::watch;
use tracing::{info, warn};

use super::pgbackrest::BaseBackup;

/// By name, with what is wrong.
pub(crate) type AlertLines = BTreeMap<String, String>;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Alert {
    /// Finished WAL is not taken by the archive.
    ArchiveFailing,
    /// WAL is missing in the archive: no moment after it can be restored until the next base backup.
    ArchiveGap,
    /// There is no base backup, or none young enough.
    BackupMissing,
}

impl Alert {
    const ALL: [Self; 3] = [Self::ArchiveFailing, Self::ArchiveGap, Self::BackupMissing];

    fn name(self) -> &'static str {
        match self {
            Self::ArchiveFailing => "archive-failing",
            Self::ArchiveGap => "archive-gap",
            Self::BackupMissing => "backup-missing",
        }
    }
}

pub(super) struct Alerts {
    lines: watch::Sender<AlertLines>,
    raised: IntGaugeVec,
    waiting: IntGauge,
    newest: IntGauge,
}

impl Alerts {
    pub(super) fn register() -> anyhow::Result<Self> {
        let raised = register_int_gauge_vec!(
            "cell_backup_alert",
            "1 while something is wrong with the active site's backups",
            &["alert"]
        )
        .context("register the backups' alerts")?;
        for alert in Alert::ALL {
            raised.with_label_values(&[alert.name()]).set(0);
        }
        let waiting = register_int_gauge!(
            "cell_archive_waiting_segments",
            "Finished pieces of WAL that the archive has not taken yet"
        )
        .context("register the waiting WAL")?;
        let newest = register_int_gauge!(
            "cell_backup_newest_timestamp_seconds",
            "When the newest base backup was complete; 0 while none is known"
        )
        .context("register the newest backup")?;
        Ok(Self { lines: watch::channel(AlertLines::new()).0, raised, waiting, newest })
    }

    pub(super) fn lines(&self) -> watch::Receiver<AlertLines> {
        self.lines.subscribe()
    }

    /// Raises an alert, or changes what it says; `None` takes it back.
    pub(super) fn set(&self, alert: Alert, wrong: Option<String>) {
        let name = alert.name();
        self.raised.with_label_values(&[name]).set(i64::from(wrong.is_some()));
        self.lines.send_if_modified(|lines| {
            let before = lines.get(name).cloned();
            match (&before, &wrong) {
                (None, Some(wrong)) => warn!(alert = name, wrong, "alert"),
                (Some(_), None) => info!(alert = name, "alert is over"),
                (Some(_), Some(_)) | (None, None) => {}
            }
            let changed = before != wrong;
            match wrong {
                Some(wrong) => lines.insert(name.to_owned(), wrong),
                None => lines.remove(name),
            };
            changed
        });
    }

    pub(super) fn show_waiting(&self, segments: usize) {
        self.waiting.set(i64::try_from(segments).unwrap_or(i64::MAX));
    }

    pub(super) fn show_newest(&self, newest: Option<&BaseBackup>) {
        let complete = newest.map_or(0, |backup| backup.complete);
        self.newest.set(i64::try_from(complete).unwrap_or(i64::MAX));
    }

    /// Says nothing any more: another site is active and says what is wrong.
    pub(super) fn clear(&self) {
        for alert in Alert::ALL {
            self.set(alert, None);
        }
        self.show_waiting(0);
        self.show_newest(None);
    }
}
