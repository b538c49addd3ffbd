//! The server's settings: what never changes, and what a change of role changes without a restart.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, ensure};
use topology::{Epoch, RegionId, SiteId};

use super::Postgres;

/// What a server waits for that may not acknowledge a strong commit: a name that no standby has. It
/// is in force on every standby as well: a backend waits only once the checkpointer has told all that
/// there are names, and a checkpointer that is busy with a slow disk takes over a first name long
/// after the backends have. A server that has had names since its start never commits without.
const NOBODY: &str = "synchronous_standby_names = 'ANY 1 (\"nobody\")'\n";

/// What PostgreSQL's clients add to the name of a socket.
pub(crate) const SOCKET_PORT: u16 = 5432;

/// A site whose WAL is asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Source {
    pub(crate) region: RegionId,
    pub(crate) address: SocketAddr,
}

/// Where a standby gets its WAL from, and under which name. The name carries the epoch: a standby
/// that follows another epoch never counts for a strong commit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Upstream {
    /// `None`: from nowhere; replay what is there and wait.
    pub(crate) source: Option<Source>,
    pub(crate) name: String,
}

impl Upstream {
    /// A standby that receives nothing: frozen, or waiting to be told whom to follow.
    #[must_use]
    pub(crate) fn nowhere() -> Self {
        Self { source: None, name: String::new() }
    }

    /// Replicates from there under a name that nobody counts.
    #[must_use]
    pub(crate) fn uncounted(source: Source, site: &SiteId) -> Self {
        Self { source: Some(source), name: format!("{}_{}", site.cell, site.region) }
    }

    #[must_use]
    pub(crate) fn to(source: Source, site: &SiteId, epoch: Epoch) -> Self {
        Self { source: Some(source), name: standby_name(site, epoch) }
    }
}

/// Returns the `application_name` of a site's standby under an epoch.
#[must_use]
pub(crate) fn standby_name(site: &SiteId, epoch: Epoch) -> String {
    format!("{}_{}_e{epoch}", site.cell, site.region)
}

impl Postgres {
    /// Writes what is the same in every role. Sources: the research behind `docs/decisions/0003`.
    pub(super) fn write_static_configuration(&self) -> anyhow::Result<()> {
        let folder = self.folder.display();
        let settings = format!(
            "# Written by the agent at each start; role.conf is written at each change of role.
listen_addresses = '{ip}'
port = {port}
unix_socket_directories = ''
hba_file = '{folder}/pg_hba.conf'
password_encryption = 'scram-sha-256'

# Small: nine of these run on one machine.
shared_buffers = '32MB'
max_connections = 120
max_worker_processes = 8
autovacuum_max_workers = 1
# What statistics need is there from the start: a process that asks the system for more, and is refused it,
# may end with signal 11.
min_dynamic_shared_memory = '8MB'

# Enough WAL for a standby that was away and for pg_rewind; bounded.
wal_level = 'logical'
wal_log_hints = on
full_page_writes = on
# After a checkpoint, and so after each promotion, most of the log is whole pages: several hundred KB that
# standbys in other regions wait for. Every PostgreSQL has pglz, which is what `on` means.
wal_compression = on
max_wal_senders = 10
max_replication_slots = 10
wal_keep_size = '128MB'
max_slot_wal_keep_size = '256MB'
max_wal_size = '256MB'
checkpoint_timeout = '5min'

# A standby sends nothing; archive.conf says what is sent and how often.
archive_mode = on
include_if_exists = '{folder}/archive.conf'

# How long a commit takes to be on disk is told to the control planes: a disk may become slow.
track_wal_io_timing = on

# Weak unless a transaction says otherwise; strong transactions wait for the named standbys.
synchronous_commit = 'local'

hot_standby = on
recovery_target_timeline = 'latest'
# A standby that changes its source, or is promoted, may have to sit one of these out.
wal_retrieve_retry_interval = '100ms'
wal_receiver_status_interval = '500ms'
wal_receiver_timeout = '3s'
wal_sender_timeout = '3s'

# The agent decides what happens after a crash.
restart_after_crash = off
idle_in_transaction_session_timeout = '30s'

tcp_keepalives_idle = 1
tcp_keepalives_interval = 1
tcp_keepalives_count = 3
tcp_user_timeout = '3s'

log_line_prefix = '%m [%p] %q%a '
log_checkpoints = off
include = '{folder}/role.conf'
",
            ip = self.address.ip(),
            port = self.address.port(),
        );
        let access = "# Only with a password, and only as one of the three roles.
host replication replicator all scram-sha-256
host all postgres,service all scram-sha-256
";
        self.write("postgresql.conf", &settings)?;
        self.write("pg_hba.conf", access)?;
        self.write("passfile", &self.passfile())?;
        if !self.folder.join("role.conf").exists() {
            self.write("role.conf", NOBODY)?;
        }
        Ok(())
    }

    fn passfile(&self) -> String {
        format!(
            "*:*:*:replicator:{}\n*:*:*:postgres:{}\n",
            self.passwords.replicator, self.passwords.postgres
        )
    }

    /// Sets where a standby receives from; takes effect at the next start or reload. Refused on a
    /// running primary, whose commits wait for its standbys by their names.
    pub(super) fn write_upstream(&self, upstream: &Upstream) -> anyhow::Result<()> {
        ensure!(
            !self.is_running() || self.is_standby(),
            "take the standbys' names from a running primary"
        );
        let passfile = self.folder.join("passfile").display().to_string();
        self.write("role.conf", &standby_role(upstream, &passfile, |region| self.way(region)))
    }

    /// Returns the folder of the socket by which a region's WAL comes, if it does not come directly.
    pub(crate) fn way(&self, region: &RegionId) -> Option<&Path> {
        self.ways.get(region).map(PathBuf::as_path)
    }

    /// Points a running standby somewhere else, without a restart.
    pub(crate) fn follow(&self, upstream: &Upstream) -> anyhow::Result<()> {
        self.write_upstream(upstream)?;
        self.reload()
    }

    /// Names the standbys whose flush a strong commit waits for, under an epoch.
    pub(crate) fn write_sync_set(
        &self,
        site: &SiteId,
        voters: &BTreeSet<RegionId>,
        acks: usize,
        epoch: Epoch,
    ) -> anyhow::Result<()> {
        self.write("role.conf", &primary_role(site, voters, acks, epoch))?;
        if self.is_running() { self.reload() } else { Ok(()) }
    }

    /// Returns the command-line tools' environment: passwords from a file, never an argument.
    pub(super) fn tool_environment(&self, command: &mut std::process::Command) {
        command.env("PGPASSFILE", self.folder.join("passfile")).env("PGCONNECT_TIMEOUT", "2");
    }

    pub(super) fn write(&self, name: &str, content: &str) -> anyhow::Result<()> {
        let path = self.folder.join(name);
        runtime::file::replace(&path, content.as_bytes(), 0o600)
            .with_context(|| format!("write {}", path.display()))?;
        self.binaries.own(&path)
    }
}

/// Returns what `role.conf` says on a standby. Nobody is asked for what the server does not have: each
/// question is another round trip while users wait.
fn standby_role<'a>(
    upstream: &Upstream,
    passfile: &str,
    way: impl Fn(&RegionId) -> Option<&'a Path>,
) -> String {
    let conninfo = upstream.source.as_ref().map_or_else(String::new, |source| {
        let name = &upstream.name;
        if let Some(folder) = way(&source.region) {
            let folder = folder.display();
            return format!(
                "host={folder} port={SOCKET_PORT} user=replicator application_name={name} \
                 sslmode=disable gssencmode=disable connect_timeout=2",
            );
        }
        format!(
            "host={} port={} user=replicator application_name={name} passfile={passfile} \
             sslmode=disable gssencmode=disable connect_timeout=2 tcp_user_timeout=2000 \
             keepalives_idle=1 keepalives_interval=1 keepalives_count=2",
            source.address.ip(),
            source.address.port(),
        )
    });
    format!("{NOBODY}primary_conninfo = '{conninfo}'\n")
}

/// Returns what `role.conf` says on a primary.
fn primary_role(site: &SiteId, voters: &BTreeSet<RegionId>, acks: usize, epoch: Epoch) -> String {
    let names: Vec<String> = voters
        .iter()
        .map(|region| SiteId { cell: site.cell.clone(), region: region.clone() })
        .map(|voter| format!("\"{}\"", standby_name(&voter, epoch)))
        .collect();
    if names.is_empty() {
        return NOBODY.to_owned();
    }
    format!("synchronous_standby_names = 'ANY {} ({})'\n", acks.max(1), names.join(","))
}

#[cfg(test)]
mod tests {
    use topology::CellId;

    use super::*;

    #[test]
    fn a_server_waits_for_somebody_in_every_role() {
        let site = site("east");
        let to = Upstream::to(source(), &site, Epoch(3));
        for role in [
            standby_role(&Upstream::nowhere(), "passfile", |_| None),
            standby_role(&to, "passfile", |_| None),
            primary_role(&site, &BTreeSet::new(), 1, Epoch(3)),
        ] {
            assert!(
                role.starts_with("synchronous_standby_names = 'ANY 1 (\"nobody\")'\n"),
                "{role}"
            );
        }
        let voters = BTreeSet::from(["north", "south"].map(site_region));
        assert_eq!(
            primary_role(&site, &voters, 0, Epoch(3)),
            "synchronous_standby_names = 'ANY 1 (\"c1_north_e3\",\"c1_south_e3\")'\n",
            "nobody waits for none of them"
        );
    }

    #[test]
    fn wal_comes_by_the_socket_of_its_region_if_there_is_one() {
        let to = Upstream::to(source(), &site("east"), Epoch(3));
        let role = |way: Option<&'static str>| {
            standby_role(&to, "passfile", |region| {
                assert_eq!(*region, site_region("north"));
                way.map(Path::new)
            })
        };
        let asked = "user=replicator application_name=c1_east_e3";
        let directly = format!("host=127.2.1.1 port=5433 {asked} passfile=passfile");
        assert!(role(None).contains(&directly), "{}", role(None));
        let by_socket = format!("host=/run/relay/north port=5432 {asked} sslmode");
        let role = role(Some("/run/relay/north"));
        assert!(role.contains(&by_socket), "{role}");
    }

    #[test]
    fn two_sites_never_share_a_standbys_name() {
        let name = |site: &str, epoch| standby_name(&site.parse().unwrap(), Epoch(epoch));
        assert_eq!(name("c1@east-e7", 7), "c1_east-e7_e7");
        assert_ne!(name("c1@east", 7), name("c1@north", 7));
        assert_ne!(name("c1@east", 7), name("c11@east", 7));
        assert_ne!(name("c1@east", 7), name("c1@east", 71));
        // What stands between the parts is in none of them.
        assert!("c1_east".parse::<CellId>().is_err());
        assert!("east_e7".parse::<RegionId>().is_err());
    }

    fn source() -> Source {
        let address = "127.2.1.1:5433".parse().unwrap();
        Source { region: site_region("north"), address }
    }

    fn site(region: &str) -> SiteId {
        SiteId { cell: "c1".parse().unwrap(), region: site_region(region) }
    }

    fn site_region(region: &str) -> RegionId {
        region.parse().unwrap()
    }
}
