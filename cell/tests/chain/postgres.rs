//! PostgreSQL servers of the tests' own, each reached by a socket in a folder of its own.

use std::io::{BufRead as _, BufReader, Write as _};
use std::path::PathBuf;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, OnceLock, PoisonError};
use std::time::Duration;

use cell::database::{self, Connections};
use tokio_postgres::{Client, Config, NoTls};

/// Runs until its input ends, which it does however the tests end; a line of input is a crash.
///
/// `$1` are further settings, `$2` is the folder of the primary it is a standby of, if any.
const SCRIPT: &str = r#"
set -e
PATH=$PATH:$(echo /usr/lib/postgresql/*/bin | tr ' ' ':')
dir=$(mktemp -d)
trap 'pg_ctl -D "$dir/data" -m immediate stop >&2 || true; rm -rf "$dir"' EXIT
trap '' INT
if [ -n "$2" ]; then
    pg_basebackup -h "$2" -U postgres -D "$dir/data" -R -c fast --no-sync >&2
    echo "primary_conninfo = 'host=$2 user=postgres application_name=voter'" \
        >>"$dir/data/postgresql.auto.conf"
else
    initdb -D "$dir/data" -U postgres -A trust -E UTF8 --no-locale --no-sync >&2
fi
start() {
    pg_ctl -D "$dir/data" -w -l "$dir/log" start >&2 -o "-c listen_addresses= \
        -c unix_socket_directories=$dir -c max_connections=300 -c shared_buffers=16MB \
        -c synchronous_commit=local -c wal_retrieve_retry_interval=100ms -c wal_receiver_status_interval=1s $1"
}
start "$1"
echo "$dir"
while read -r crash; do
    pg_ctl -D "$dir/data" -m immediate stop >&2
    start "$1"
    echo "$crash"
done
"#;

/// A running server.
pub(super) struct Postgres {
    folder: PathBuf,
    /// Its input keeps the server running. None where there is no server.
    script: Option<Mutex<Script>>,
    databases: AtomicU32,
}

struct Script {
    process: Child,
    says: BufReader<ChildStdout>,
}

/// A primary and the standby that its strong commits wait for.
pub(super) struct Pair {
    pub(super) primary: Postgres,
    pub(super) standby: Postgres,
}

impl Pair {
    /// Returns the one pair. Who has it may change what the primary waits for, and crash it.
    pub(super) async fn alone() -> (&'static Self, tokio::sync::MutexGuard<'static, ()>) {
        static PAIR: OnceLock<Pair> = OnceLock::new();
        static TURN: tokio::sync::Mutex<()> = tokio::sync::Mutex::const_new(());
        let turn = TURN.lock().await;
        let pair = PAIR.get_or_init(|| {
            let primary = Postgres::start("", None);
            let standby = Postgres::start("", Some(&primary));
            Self { primary, standby }
        });
        pair.waits_for("voter").await;
        (pair, turn)
    }

    /// Names the standby that a strong commit waits for, and returns when it does.
    pub(super) async fn waits_for(&self, name: &str) {
        let set = if name.is_empty() { String::new() } else { format!("ANY 1 ({name})") };
        let server = Database { server: &self.primary, name: "postgres".to_owned() };
        let change = format!("ALTER SYSTEM SET synchronous_standby_names = '{set}'");
        server
            .as_owner(async |owner| {
                owner.batch_execute(&change).await.unwrap();
                owner.batch_execute("SELECT pg_reload_conf()").await.unwrap();
            })
            .await;
        let holds = format!(
            "SELECT count(*) FROM pg_settings
             WHERE name = 'synchronous_standby_names' AND setting = '{set}'"
        );
        while server.count(&holds).await == 0 {}
    }

    /// Returns once the standby shows everything that the primary has written, tables included.
    pub(super) async fn standby_shows_all(&self) {
        let at = |server| Database { server, name: "postgres".to_owned() };
        let written = "SELECT (pg_current_wal_flush_lsn() - '0/0'::pg_lsn)::bigint";
        let written = at(&self.primary).count(written).await;
        let shown = "SELECT (pg_last_wal_replay_lsn() - '0/0'::pg_lsn)::bigint";
        while at(&self.standby).count(shown).await < written {}
    }
}

impl Postgres {
    /// Returns the server that the tests share; each has a database of its own in it.
    pub(super) fn shared() -> &'static Self {
        static SHARED: OnceLock<Postgres> = OnceLock::new();
        SHARED.get_or_init(|| Self::start("", None))
    }

    /// Returns a server whose strong commits wait for a standby that never comes.
    pub(super) fn without_voters() -> &'static Self {
        static ALONE: OnceLock<Postgres> = OnceLock::new();
        let nobody = "-c synchronous_standby_names=nobody";
        ALONE.get_or_init(|| Self::start(nobody, None))
    }

    /// Returns a server that is not there.
    pub(super) fn nowhere() -> Self {
        Self { folder: "/nonexistent".into(), script: None, databases: AtomicU32::new(0) }
    }

    fn start(settings: &str, primary: Option<&Self>) -> Self {
        let mut command = if rustix::process::geteuid().is_root() {
            let mut command = Command::new("setpriv");
            command.args(["--reuid=postgres", "--regid=postgres", "--clear-groups", "sh", "-c"]);
            command
        } else {
            let mut command = Command::new("sh");
            command.arg("-c");
            command
        };
        let mut script = command
            .args([SCRIPT, "sh", settings])
            .args(primary.map(|primary| &primary.folder))
            .current_dir("/")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let says = BufReader::new(script.stdout.take().unwrap());
        let mut script = Script { process: script, says };
        let folder = PathBuf::from(script.line());
        Self { folder, script: Some(Mutex::new(script)), databases: AtomicU32::new(0) }
    }

    /// Stops at once, as if killed, and starts again in place.
    pub(super) fn crash(&self) {
        let script = self.script.as_ref().unwrap();
        let mut script = script.lock().unwrap_or_else(PoisonError::into_inner);
        script.process.stdin.as_mut().unwrap().write_all(b"crash\n").unwrap();
        script.line();
    }

    /// Makes a database as the agent does: roles first, then the migrations.
    pub(super) async fn database(&self) -> Database<'_> {
        let name = format!("cell{}", self.databases.fetch_add(1, Ordering::Relaxed));
        let database = Database { server: self, name };
        let (server, link) = self.config("postgres", "postgres").connect(NoTls).await.unwrap();
        let made = async {
            // Several tests may be first.
            server
                .batch_execute(
                    "SELECT pg_advisory_lock(1);
                     DO $$ BEGIN CREATE ROLE service LOGIN;
                     EXCEPTION WHEN duplicate_object THEN NULL; END $$;",
                )
                .await
                .unwrap();
            server.batch_execute(&format!("CREATE DATABASE {}", database.name)).await.unwrap();
            // While the lock is held: the migrations change the role.
            database.migrate().await;
        };
        tokio::select! {
            () = made => {}
            ended = link => ended.unwrap(),
        }
        database
    }

    /// Returns the same database on this server, which is a standby of its server.
    pub(super) fn copy(&self, of: &Database<'_>) -> Database<'_> {
        Database { server: self, name: of.name.clone() }
    }

    fn config(&self, database: &str, user: &str) -> Config {
        let mut config = Config::new();
        config.host_path(&self.folder).dbname(database).user(user);
        config
    }
}

impl Script {
    fn line(&mut self) -> String {
        let mut line = String::new();
        self.says.read_line(&mut line).unwrap();
        assert!(!line.is_empty(), "PostgreSQL has not started");
        line.trim().to_owned()
    }
}

/// One migrated database.
#[derive(Clone)]
pub(super) struct Database<'a> {
    server: &'a Postgres,
    name: String,
}

impl Database<'_> {
    fn config(&self, user: &str) -> Config {
        self.server.config(&self.name, user)
    }

    pub(super) async fn migrate(&self) {
        self.try_migrate().await.unwrap();
    }

    pub(super) async fn try_migrate(&self) -> anyhow::Result<()> {
        let (mut owner, link) = self.config("postgres").connect(NoTls).await.unwrap();
        let migrated = database::migrate(&mut owner);
        tokio::select! {
            migrated = migrated => migrated,
            ended = link => panic!("the owner's connection has ended: {ended:?}"),
        }
    }

    /// Returns connections as the services have them.
    pub(super) fn connections(&self) -> Connections {
        database::connections_of(self.config("service"), Duration::ZERO).unwrap()
    }

    /// Looks, or changes something, as the database's owner.
    pub(super) async fn as_owner<T>(&self, work: impl AsyncFnOnce(&Client) -> T) -> T {
        self.work_as("postgres", work).await
    }

    /// Works as one of the roles, on a connection of its own.
    pub(super) async fn work_as<T>(&self, role: &str, work: impl AsyncFnOnce(&Client) -> T) -> T {
        let (client, link) = self.config(role).connect(NoTls).await.unwrap();
        tokio::select! {
            result = work(&client) => result,
            ended = link => panic!("the connection of {role} has ended: {ended:?}"),
        }
    }

    /// Returns how many commits wait for a standby.
    pub(super) async fn waiting(&self) -> i64 {
        self.count(
            "SELECT count(*) FROM pg_stat_activity
             WHERE wait_event = 'SyncRep' AND datname = current_database()",
        )
        .await
    }

    /// Returns the number that a query gives.
    pub(super) async fn count(&self, sql: &str) -> i64 {
        self.as_owner(async |owner| owner.query_one(sql, &[]).await.unwrap().get(0)).await
    }
}
