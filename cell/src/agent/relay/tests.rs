//! The way to a real server.

use std::collections::BTreeMap;

use bytes::BytesMut;
use postgres_protocol::message::frontend::startup_message;
use runtime::clock::BootTime;
use tokio::io::AsyncReadExt as _;
use topology::snapshot::RoutedCell;
use topology::wire::agent::BegunTimeline;
use topology::{Activation, Epoch, Phase, Place, Version};

use super::*;
use crate::agent::decide::fixture;
use crate::agent::decide::voter::Voter;
use crate::agent::postgres::tests::Server;
use crate::agent::postgres::{Stop, Upstream, lsn};
use crate::agent::shared::Known;

const LIMIT: Duration = Duration::from_secs(30);
const PAUSE: Duration = Duration::from_millis(20);

#[tokio::test(flavor = "multi_thread")]
async fn what_is_kept_ahead_is_taken_by_who_asks_under_its_name() {
    let server = Server::new("relay");
    let postgres = &server.postgres;
    postgres.create().await.unwrap();
    postgres.start().await.unwrap();
    postgres.make_roles_and_database().await.unwrap();
    let (folder, stop) = (server.beside("relay").join("north"), CancellationToken::new());
    let north: RegionId = "north".parse().unwrap();
    let at = (server.address(), Duration::ZERO);
    let way = Relay::listen(north, at, folder.clone(), &postgres.binaries).unwrap();
    let shared = Arc::new(Shared::new(Voter::new(Epoch(0), BootTime::now())));
    #[expect(clippy::disallowed_methods, reason = "ends with the test")]
    let running = tokio::spawn(way.run(
        "c1@south".parse().unwrap(),
        Arc::clone(postgres),
        Arc::clone(&shared),
        stop.clone(),
    ));

    // Before the cell is known of nothing is kept; who asks is let through.
    assert!(ask(postgres, &folder, "c1_south_e3").await.unwrap().contains("|1|"));

    shared.learn(activated("east", 7));
    let kept = timeout(LIMIT, senders(&server, "c1_south_e9", 1)).await.expect("one is kept");
    // Whoever asks under another name takes it away from nobody.
    assert!(ask(postgres, &folder, "c1_south_e8").await.unwrap().contains("|1|"));
    // While the cell moves it stays, and is the one that is asked over.
    shared.learn(known(Phase::Electing { predecessor: None }, 8));
    let client = connected(&folder, "c1_south_e9").await;
    assert_eq!(senders(&server, "c1_south_e9", 1).await, kept);
    drop(client);
    timeout(LIMIT, senders(&server, "c1_south_e9", 0)).await.expect("it ends with who asked");

    shared.learn(activated("east", 9));
    timeout(LIMIT, senders(&server, "c1_south_e11", 1)).await.expect("another one is kept");
    shared.learn(activated("north", 11));
    let kept = senders(&server, "c1_south_e11", 1).await;
    let client = connected(&folder, "c1_south_e11").await;
    assert_eq!(senders(&server, "c1_south_e11", 1).await, kept, "it is about to be asked for");
    drop(client);
    timeout(LIMIT, senders(&server, "c1_south_e11", 0)).await.expect("no other to who is active");

    postgres.stop(Stop::Immediate, LIMIT).await.unwrap();
    let refused = ask(postgres, &folder, "c1_south_e9").await.unwrap_err();
    assert!(format!("{refused:#}").contains("log in to 127.0.0.1"), "{refused:#}");
    stop.cancel();
    running.await.unwrap().unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn who_stands_where_a_timeline_forks_off_asks_for_nothing_it_has() {
    let first = Server::new("fork-first");
    first.postgres.create().await.unwrap();
    first.postgres.start().await.unwrap();
    first.postgres.make_roles_and_database().await.unwrap();
    let winner = Server::standby("fork-winner", &first).await;
    let mut other = Server::standby("fork-other", &first).await;
    let folder = other.beside("relay").join("north");
    let north: RegionId = "north".parse().unwrap();
    other.comes_by(&north, folder.clone());
    let sql = &first.postgres.sql;
    sql.execute("CREATE TABLE t AS SELECT generate_series(1, 10000) n").await.unwrap();
    first.postgres.stop(Stop::Fast, LIMIT).await.unwrap();
    let at = winner.postgres.freeze().await.unwrap();
    assert_eq!(other.postgres.freeze().await.unwrap(), at, "all has been sent");
    let at = other.postgres.located(at).unwrap();
    winner.postgres.promote().await.unwrap();
    for told in ["ALTER SYSTEM SET log_replication_commands = on", "SELECT pg_reload_conf()"] {
        winner.postgres.sql.execute(told).await.unwrap();
    }

    let system = other.postgres.sql.system().await.unwrap();
    let begun = winner.postgres.begun_timeline(9, system).await.unwrap();
    let elsewhere = Place { lsn: at.lsn - 8, ..at };
    assert!(other.postgres.take_up(elsewhere, &begun).await.is_err(), "it left from elsewhere");
    other.postgres.take_up(at, &begun).await.unwrap();
    let lie = BegunTimeline { history: format!("{} ", begun.history), ..begun.clone() };
    let refused = other.postgres.take_up(at, &lie).await.unwrap_err();
    assert!(refused.to_string().ends_with("is there, and says something else"), "{refused}");

    let shared = Arc::new(Shared::new(Voter::new(Epoch(0), BootTime::now())));
    let (own, stop): (SiteId, _) = ("c1@south".parse().unwrap(), CancellationToken::new());
    let BegunTimeline { timeline, lsn: reached, .. } = begun;
    let name = standby_name(&own, Epoch(9));
    shared.fork.send_replace(Some(Fork { name, system, timeline, reached, at }));
    let server = (winner.address(), Duration::ZERO);
    let way = Relay::listen(north, server, folder, &other.postgres.binaries).unwrap();
    let postgres = Arc::clone(&other.postgres);
    #[expect(clippy::disallowed_methods, reason = "ends with the test")]
    let running = tokio::spawn(way.run(own.clone(), postgres, shared, stop.clone()));
    winner.postgres.sql.execute("INSERT INTO t VALUES (0)").await.unwrap();
    let upstream = Upstream::to(winner.source("north"), &own, Epoch(9));
    other.postgres.follow(&upstream).unwrap();
    let came = async {
        while other.one::<i64>("SELECT count(*) FROM t").await != 10_001 {
            tokio::time::sleep(PAUSE).await;
        }
    };
    timeout(LIMIT, came).await.expect("what was written afterwards");
    assert!(other.postgres.is_streaming().await);
    let asked = format!("START_REPLICATION {} TIMELINE {timeline}", lsn(at.lsn));
    let logged = winner.logged();
    assert!(logged.contains(&asked), "{logged}");
    assert!(!logged.contains("IDENTIFY_SYSTEM"), "{logged}");

    other.postgres.stop(Stop::Fast, LIMIT).await.unwrap();
    winner.postgres.stop(Stop::Fast, LIMIT).await.unwrap();
    let head = |server: &Server| server.postgres.head(Place { timeline, ..at }).unwrap();
    assert!(!head(&other).bytes.is_empty());
    assert!(head(&other) == head(&winner), "the files begin with the same");
    stop.cancel();
    running.await.unwrap().unwrap();
}

/// Asks through the socket, as PostgreSQL's user, what its WAL receiver asks first.
async fn ask(postgres: &Postgres, folder: &std::path::Path, name: &str) -> anyhow::Result<String> {
    let server = format!(
        "host={} port={SOCKET_PORT} user=replicator dbname=replication replication=true \
         sslmode=disable application_name={name}",
        folder.display()
    );
    let asked = postgres.binaries.run("psql", |command| {
        command.arg("-X").arg(server).args(["-Atc", "IDENTIFY_SYSTEM"]);
    });
    timeout(LIMIT, asked).await.expect("an answer or a refusal")
}

/// Waits until so many serve a standby of this name, and returns who they are.
async fn senders(server: &Server, name: &str, count: usize) -> Vec<i32> {
    let asked = format!(
        "SELECT coalesce(array_agg(pid), '{{}}') FROM pg_stat_activity
        WHERE backend_type = 'walsender' AND application_name = '{name}'"
    );
    loop {
        let pids: Vec<i32> = server.one(&asked).await;
        if pids.len() == count {
            return pids;
        }
        tokio::time::sleep(PAUSE).await;
    }
}

/// Connects as PostgreSQL does, and hears that it can ask.
async fn connected(folder: &std::path::Path, name: &str) -> UnixStream {
    let socket = folder.join(format!(".s.PGSQL.{SOCKET_PORT}"));
    let mut client = UnixStream::connect(socket).await.unwrap();
    let who = [("user", "replicator"), ("replication", "true"), ("application_name", name)];
    let mut message = BytesMut::new();
    startup_message(who, &mut message).unwrap();
    client.write_all(&message).await.unwrap();
    let mut greeting = BytesMut::new();
    let heard = async {
        // It ends with a message of five bytes and one: that the server is idle.
        while !greeting.ends_with(b"Z\0\0\0\x05I") {
            assert!(client.read_buf(&mut greeting).await.unwrap() > 0, "refused: {greeting:?}");
        }
    };
    timeout(LIMIT, heard).await.expect("a greeting");
    client
}

fn activated(active: &str, epoch: u64) -> Known {
    known(Phase::Steady { active: active.parse().unwrap() }, epoch)
}

fn known(phase: Phase, epoch: u64) -> Known {
    let activation = Activation { epoch: Epoch(epoch), ..fixture::activation(phase) };
    let cell = RoutedCell { activation, gateways: BTreeMap::new() };
    Known { cell, revision: epoch, version: Version(epoch) }
}
