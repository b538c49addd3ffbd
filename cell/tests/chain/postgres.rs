//! A PostgreSQL of the tests' own, reached by a socket in a folder of its own.

use std::io::{BufRead as _, BufReader};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};

use cell::database;
use deadpool_postgres::Pool;
use tokio_postgres::{Client, Config, NoTls};

/// Runs until its input ends, which it does however the tests end.
const SCRIPT: &str = r#"
set -e
PATH=$PATH:$(echo /usr/lib/postgresql/*/bin | tr ' ' ':')
dir=$(mktemp -d)
trap 'pg_ctl -D "$dir/data" -m immediate stop >&2 || true; rm -rf "$dir"' EXIT
trap '' INT
initdb -D "$dir/data" -U postgres -A trust -E UTF8 --no-locale --no-sync >&2
pg_ctl -D "$dir/data" -w -l "$dir/log" start >&2 \
    -o "-c listen_addresses= -c unix_socket_directories=$dir -c max_connections=300 -c shared_buffers=16MB"
echo "$dir"
cat >/dev/null
"#;

/// A running server.
pub(super) struct Postgres {
    folder: PathBuf,
    /// Its input keeps the server running.
    _script: Child,
    databases: AtomicU32,
}

impl Postgres {
    /// Returns the server that the tests share; each has a database of its own in it.
    pub(super) fn shared() -> &'static Self {
        static SHARED: OnceLock<Postgres> = OnceLock::new();
        SHARED.get_or_init(Self::start)
    }

    pub(super) fn start() -> Self {
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
            .arg(SCRIPT)
            .current_dir("/")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut folder = String::new();
        BufReader::new(script.stdout.take().unwrap()).read_line(&mut folder).unwrap();
        assert!(!folder.is_empty(), "PostgreSQL has not started");
        let folder = PathBuf::from(folder.trim());
        Self { folder, _script: script, databases: AtomicU32::new(0) }
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

    fn config(&self, database: &str, user: &str) -> Config {
        let mut config = Config::new();
        config.host_path(&self.folder).dbname(database).user(user);
        config
    }
}

/// One migrated database.
pub(super) struct Database<'a> {
    server: &'a Postgres,
    name: String,
}

impl Database<'_> {
    fn config(&self, user: &str) -> Config {
        self.server.config(&self.name, user)
    }

    pub(super) async fn migrate(&self) {
        let (mut owner, link) = self.config("postgres").connect(NoTls).await.unwrap();
        let migrated = database::migrate(&mut owner);
        tokio::select! {
            migrated = migrated => migrated.unwrap(),
            ended = link => panic!("the owner's connection has ended: {ended:?}"),
        }
    }

    /// Returns connections as the services have them.
    pub(super) fn pool(&self) -> Pool {
        database::pool_of(self.config("service")).unwrap()
    }

    /// Looks, or changes something, as the database's owner.
    pub(super) async fn as_owner<T>(&self, work: impl AsyncFnOnce(&Client) -> T) -> T {
        let (client, link) = self.config("postgres").connect(NoTls).await.unwrap();
        tokio::select! {
            result = work(&client) => result,
            ended = link => panic!("the owner's connection has ended: {ended:?}"),
        }
    }

    /// Returns the number that a query gives.
    pub(super) async fn count(&self, sql: &str) -> i64 {
        self.as_owner(async |owner| owner.query_one(sql, &[]).await.unwrap().get(0)).await
    }
}
