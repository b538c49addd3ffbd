//! What is asked of a cell's databases, asked of a real PostgreSQL with the cells' own schema.

use std::io::{BufRead as _, BufReader};
use std::process::{Child, Command, Stdio};

use tokio_postgres::{Client, Config, NoTls};
use topology::Epoch;

use super::{ledger, replicas};
use crate::ledger::{By, Noted};

/// Runs until its input ends, which it does however the test ends.
const SCRIPT: &str = r#"
set -e
PATH=$PATH:$(echo /usr/lib/postgresql/*/bin | tr ' ' ':')
dir=$(mktemp -d)
trap 'pg_ctl -D "$dir/data" -m immediate stop >&2 || true; rm -rf "$dir"' EXIT
trap '' INT
initdb -D "$dir/data" -U postgres -A trust -E UTF8 --no-locale --no-sync >&2
pg_ctl -D "$dir/data" -w -l "$dir/log" start >&2 \
    -o "-c listen_addresses= -c unix_socket_directories=$dir -c shared_buffers=16MB"
echo "$dir"
read -r end || true
"#;

const SCHEMA: [&str; 3] = [
    include_str!("../../../cell/migrations/V1__service_chain.sql"),
    include_str!("../../../cell/migrations/V2__postponed_escalations.sql"),
    include_str!("../../../cell/migrations/V3__writers.sql"),
];

struct Postgres {
    folder: String,
    script: Child,
}

impl Postgres {
    fn start() -> Self {
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
        Self { folder: folder.trim().to_owned(), script }
    }

    /// Works as `user` in a database.
    async fn work<T>(
        &self,
        (user, database): (&str, &str),
        work: impl AsyncFnOnce(&Client) -> T,
    ) -> T {
        let mut config = Config::new();
        config.host_path(&self.folder).dbname(database).user(user);
        let (client, link) = config.connect(NoTls).await.unwrap();
        tokio::select! {
            result = work(&client) => result,
            ended = link => panic!("the connection has ended: {ended:?}"),
        }
    }

    async fn say(&self, of: (&str, &str), statements: &str) {
        self.work(of, async |client| client.batch_execute(statements).await.unwrap()).await;
    }

    /// Makes a database as a cell has it.
    async fn make(&self, database: &str) {
        self.say(("postgres", "postgres"), &format!("CREATE DATABASE {database}")).await;
        for version in SCHEMA {
            self.say(("postgres", database), version).await;
        }
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        drop(self.script.stdin.take());
        // The folder is gone when it has ended.
        self.script.wait().unwrap();
    }
}

#[tokio::test]
async fn a_database_is_asked_for_its_ledger_and_for_all_it_has() {
    let postgres = Postgres::start();
    postgres.say(("postgres", "postgres"), "CREATE ROLE service LOGIN").await;
    postgres.make("one").await;
    postgres.make("other").await;
    the_ledger_is_that_of_the_run(&postgres).await;
    contents_are_equal_whatever_the_order_they_were_written_in(&postgres).await;
}

async fn the_ledger_is_that_of_the_run(postgres: &Postgres) {
    let written = "INSERT INTO idempotency_keys
            (slot, user_id, key, fingerprint, epoch, writer, lsn) VALUES
        (47, 'ada', 'r/3', '\\x0aff', 7, 'c1@east', '1/A0'),
        (47, 'ada', 'r/v1/tickets/ada', '\\x00', NULL, NULL, NULL),
        (47, 'ada', 'r2/4', '\\x00', 7, 'c1@east', '1/B0')";
    postgres.say(("service", "one"), written).await;
    let mut read = postgres
        .work(("service", "one"), async |client| ledger::read(client, "r").await.unwrap())
        .await;
    read.sort_unstable();
    let noted = |key: &str, number, payload: &str, by| Noted {
        by,
        key: key.to_owned(),
        number,
        slot: 47,
        payload: payload.to_owned(),
    };
    let by = By { lsn: 0x1_0000_00A0, epoch: Epoch(7), site: "c1@east".parse().unwrap() };
    let expected =
        [noted("r/v1/tickets/ada", None, "00", None), noted("r/3", Some(3), "0aff", Some(by))];
    assert_eq!(read, expected);
}

async fn contents_are_equal_whatever_the_order_they_were_written_in(postgres: &Postgres) {
    let key = |key: &str| {
        format!(
            "INSERT INTO idempotency_keys (slot, user_id, key, fingerprint, created_at)
             VALUES (1, 'bob', '{key}', '\\x00', '2026-01-02T03:04:05Z');"
        )
    };
    postgres.say(("service", "one"), "DELETE FROM idempotency_keys").await;
    postgres.say(("service", "one"), &(key("a") + &key("B"))).await;
    postgres.say(("service", "other"), &(key("B") + &key("a"))).await;
    let contents = async |database: &str| {
        let read = postgres
            .work(("service", database), async |client| replicas::contents(client).await.unwrap());
        read.await
    };
    let (is_primary, one) = contents("one").await;
    assert!(is_primary);
    let counts: Vec<(&str, u64)> =
        one.iter().map(|(table, contents)| (table.as_str(), contents.rows)).collect();
    let expected = [
        ("cell_epoch", 0),
        ("idempotency_keys", 2),
        ("messages", 0),
        ("ticket_transitions", 0),
        ("tickets", 0),
    ];
    assert_eq!(counts, expected);
    assert_eq!(contents("other").await.1, one);

    postgres.say(("service", "other"), "UPDATE idempotency_keys SET status = 201").await;
    let (_, other) = contents("other").await;
    let differ = one.iter().filter(|(table, contents)| other[*table] != **contents);
    assert_eq!(differ.map(|(table, _)| table.as_str()).collect::<Vec<_>>(), ["idempotency_keys"]);
}
