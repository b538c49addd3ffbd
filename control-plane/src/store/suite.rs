//! Drills by schedule: the right to have them run, and what whoever runs them tells.

use client::etcd::{EtcdError, PutIf};
use topology::wire::key;
use topology::wire::lever::LeverRecord;
use topology::wire::suite::{ExecutorRecord, SuitePlan};

use super::etcd::{Store, json};
use crate::decide::rehearse::Holder;

/// What is stored of a suite.
#[derive(Debug, Default)]
pub struct StoredSuite {
    pub holder: Option<Holder>,
    /// Where the holder was written; 0 if there is none.
    pub revision: u64,
    pub plan: Option<SuitePlan>,
    /// Why no drill runs, if the lever is pulled.
    pub lever: Option<LeverRecord>,
    /// What could not be understood.
    pub malformed: Option<String>,
}

impl Store {
    /// Reads what can be understood. A right that cannot be is nobody's, and can be taken.
    pub async fn suite(&self) -> Result<StoredSuite, EtcdError> {
        let mut suite = StoredSuite::default();
        for entry in self.etcd.read(&[key::SUITE, key::LEVER]).await? {
            let understood = match entry.key.as_str() {
                key::SUITE_EXECUTOR => {
                    suite.revision = entry.revision;
                    serde_json::from_slice(&entry.value).map(|record: ExecutorRecord| {
                        let ExecutorRecord { region, sequence } = record;
                        suite.holder = Some(Holder { region, sequence });
                    })
                }
                key::SUITE_PLAN => {
                    serde_json::from_slice(&entry.value).map(|plan| suite.plan = Some(plan))
                }
                key::LEVER => {
                    suite.lever = LeverRecord::pulled(&entry.value);
                    Ok(())
                }
                _ => Ok(()),
            };
            if let Err(err) = understood {
                suite.malformed = Some(format!("{}: {err}", entry.key));
            }
        }
        Ok(suite)
    }

    /// Takes the right or renews it, if nobody has written it since; returns whether that was so.
    pub async fn hold_suite(&self, holder: &Holder, revision: u64) -> Result<bool, EtcdError> {
        let Holder { region, sequence } = holder.clone();
        let value = json(&ExecutorRecord { region, sequence });
        let key = key::SUITE_EXECUTOR;
        let put = self.etcd.put_if(key, &value, &[(key, revision)]).await?;
        Ok(matches!(put, PutIf::Done { .. }))
    }
}
