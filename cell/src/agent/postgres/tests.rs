//! The agent's hand on a real server.

use std::net::TcpListener;
use std::sync::Arc;

use runtime::process::Process;
use tokio_postgres::types::FromSql;
use topology::SiteId;

use super::*;

pub(in crate::agent) struct Server {
    pub(in crate::agent) postgres: Arc<Postgres>,
    site: SiteId,
}

impl Server {
    /// A folder of its own; nothing in it yet, and nothing runs.
    pub(in crate::agent) fn new(name: &str) -> Self {
        let folder = format!("bulkhead-{name}-{}", std::process::id());
        let folder = std::env::temp_dir().join(folder);
        remove_folder(&folder).unwrap();
        let free = || TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let password = || "secret".to_owned();
        let passwords =
            Passwords { postgres: password(), replicator: password(), service: password() };
        fs::create_dir_all(&folder).unwrap();
        let log = folder.join("log");
        let postgres = Postgres::at(folder.join("postgres"), (free(), free()), log, passwords);
        Self { postgres: Arc::new(postgres.unwrap()), site: "c1@east".parse().unwrap() }
    }

    /// Returns a folder that goes with the server's.
    pub(in crate::agent) fn beside(&self, name: &str) -> PathBuf {
        self.postgres.folder.parent().unwrap().join(name)
    }

    pub(in crate::agent) fn address(&self) -> SocketAddr {
        self.postgres.address
    }

    /// A standby of a running server, which it follows under no name that counts.
    pub(in crate::agent) async fn standby(name: &str, of: &Self) -> Self {
        let mut standby = Self::new(name);
        standby.postgres.copy_from(of.address(), super::Own::Kept).await.unwrap();
        standby.site = "c1@south".parse().unwrap();
        let upstream = Upstream::uncounted(of.source("east"), &standby.site);
        standby.postgres.start_standby(&upstream).await.unwrap();
        standby
    }

    pub(in crate::agent) fn source(&self, region: &str) -> Source {
        Source { region: region.parse().unwrap(), address: self.address() }
    }

    /// Has WAL come by these sockets; nobody else has the server yet.
    pub(in crate::agent) fn comes_by(&mut self, region: &RegionId, folder: PathBuf) {
        let ways = [(region.clone(), folder)].into();
        Arc::get_mut(&mut self.postgres).unwrap().comes_by(ways);
    }

    /// Returns what the server has logged.
    pub(in crate::agent) fn logged(&self) -> String {
        fs::read_to_string(&self.postgres.log).unwrap()
    }

    pub(in crate::agent) async fn one<T: for<'a> FromSql<'a>>(&self, query: &str) -> T {
        self.postgres.sql.one(query).await.unwrap()
    }

    /// Makes a database directory that nobody starts.
    fn has(&self, name: &str, content: &str) {
        let folder = self.postgres.folder.join(name);
        fs::create_dir_all(&folder).unwrap();
        fs::write(folder.join("PG_VERSION"), content).unwrap();
    }

    /// Says which database directories there are, each with what was written into it.
    fn shows(&self) -> Vec<String> {
        let mut found = Vec::new();
        for entry in fs::read_dir(&self.postgres.folder).unwrap() {
            let folder = entry.unwrap().path();
            if let Ok(content) = fs::read_to_string(folder.join("PG_VERSION")) {
                let name = folder.file_name().unwrap().to_string_lossy().into_owned();
                found.push(format!("{name} = {content}"));
            }
        }
        found.sort();
        found
    }

    fn takes_copy(&self, own: Own) {
        self.has("data.new", "copy");
        self.postgres.take_copy(&self.postgres.folder.join("data.new"), own).unwrap();
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let folder = self.postgres.folder.parent().unwrap().to_owned();
        if let Some(mut child) = self.postgres.child().take() {
            child.kill().unwrap();
            child.wait().unwrap();
        }
        remove_folder(&folder).unwrap();
    }
}

#[tokio::test]
async fn connections_that_no_service_uses_end_and_the_others_go_on() {
    let server = Server::new("idle");
    let postgres = &server.postgres;
    postgres.create().await.unwrap();
    postgres.mark_primary().unwrap();
    postgres.start().await.unwrap();
    postgres.make_roles_and_database().await.unwrap();
    let connect = async || {
        let mut config = tokio_postgres::Config::new();
        let address = server.address();
        config.host(address.ip().to_string()).port(address.port()).dbname("cell");
        config.user("service").password("secret");
        let (client, connection) = config.connect(tokio_postgres::NoTls).await.unwrap();
        (client, Box::pin(connection))
    };
    let (_unused, unused) = connect().await;
    let (used, using) = connect().await;
    let work = async {
        used.batch_execute("BEGIN").await.unwrap();
        postgres.sql.end_idle(Duration::ZERO).await.unwrap();
        used.batch_execute("COMMIT").await.unwrap();
    };
    tokio::select! {
        ended = using => panic!("it was in a transaction: {ended:?}"),
        (ended, ()) = async { tokio::join!(unused, work) } => {
            let code = ended.unwrap_err().code().cloned();
            assert_eq!(code, Some(tokio_postgres::error::SqlState::ADMIN_SHUTDOWN));
        }
    }
    postgres.stop(Stop::Immediate, PROMOTE_LIMIT).await.unwrap();
}

#[tokio::test]
async fn a_running_primary_keeps_its_standbys_names_whoever_asks() {
    let server = Server::new("names");
    let (postgres, site) = (&server.postgres, &server.site);
    postgres.create().await.unwrap();
    postgres.mark_primary().unwrap();
    postgres
        .write_sync_set(site, &["north".parse().unwrap()].into(), 1, topology::Epoch(7))
        .unwrap();
    postgres.start().await.unwrap();
    let written = || fs::read_to_string(postgres.folder.join("role.conf")).unwrap();
    let before = written();
    assert!(postgres.follow(&Upstream::nowhere()).is_err());
    assert!(postgres.start_standby(&Upstream::nowhere()).await.is_err());
    assert_eq!(written(), before);
    let names: String =
        postgres.sql.one("SELECT current_setting('synchronous_standby_names')").await.unwrap();
    assert_eq!(names, r#"ANY 1 ("c1_north_e7")"#);
    // Nobody at all is a name that never comes.
    postgres.write_sync_set(site, &[].into(), 1, topology::Epoch(7)).unwrap();
    let nobody = "SELECT current_setting('synchronous_standby_names') = 'ANY 1 (\"nobody\")'";
    while !postgres.sql.one::<bool>(nobody).await.unwrap() {}
    postgres.stop(Stop::Immediate, PROMOTE_LIMIT).await.unwrap();
    postgres.write_upstream(&Upstream::nowhere()).unwrap();
}

#[tokio::test]
async fn a_server_that_was_killed_as_a_standby_is_copied_and_not_rewound() {
    let former = Server::new("former");
    former.postgres.create().await.unwrap();
    former.postgres.mark_primary().unwrap();
    former.postgres.start().await.unwrap();
    former.postgres.make_roles_and_database().await.unwrap();
    let winner = Server::standby("winner", &former).await;
    winner.postgres.promote().await.unwrap();
    former.postgres.sql.execute("CREATE TABLE only_here ()").await.unwrap();
    former.postgres.stop(Stop::Immediate, PROMOTE_LIMIT).await.unwrap();
    // As somebody who is asked to vote.
    former.postgres.start_standby(&Upstream::nowhere()).await.unwrap();
    former.postgres.stop(Stop::Immediate, PROMOTE_LIMIT).await.unwrap();
    let refused = former.postgres.rewind(winner.address()).await.unwrap_err().to_string();
    assert_eq!(refused, "rewind a server that was killed as a standby");
    assert!(!former.postgres.is_rewinding());

    former.postgres.rejoin(winner.address()).await.unwrap();
    let upstream = Upstream::uncounted(winner.source("east"), &former.site);
    former.postgres.start_standby(&upstream).await.unwrap();
    let is_there = "SELECT to_regclass('only_here') IS NOT NULL";
    assert!(!former.one::<bool>(is_there).await);
}

#[tokio::test]
async fn what_a_killed_server_leaves_behind_does_not_keep_the_next_one_from_starting() {
    let server = Server::new("left");
    let postgres = &server.postgres;
    postgres.create().await.unwrap();
    postgres.start().await.unwrap();
    let pid = postgres.pid.borrow().unwrap();
    let children = Process::with_pid(pid).unwrap().descendants();
    // As one that waits for its disk.
    let writer = children[0];
    writer.signal(Signal::STOP).unwrap();
    postgres.signal(Signal::KILL);
    while postgres.is_running() {
        tokio::time::sleep(POLL).await;
    }
    assert!(writer.is_alive());
    assert!(postgres.is_alone(PROMOTE_LIMIT).await);
    assert!(!writer.is_alive());
    postgres.start().await.unwrap();
    // Nothing is left behind by one that runs.
    assert!(postgres.is_alone(Duration::ZERO).await);
    assert!(postgres.is_running());
    postgres.stop(Stop::Immediate, PROMOTE_LIMIT).await.unwrap();
}

#[tokio::test]
async fn the_old_database_is_there_until_its_copy_streams() {
    let server = Server::new("old");
    let postgres = &server.postgres;
    server.has("data", "was primary");
    postgres.mark_primary().unwrap();
    server.takes_copy(Own::Kept);
    assert_eq!(server.shows(), ["data = copy", "data.old = was primary"]);
    assert!(postgres.is_standby());
    assert_eq!(postgres.next(), Next::Follow);
    // It does not stream, and is copied again.
    postgres.mark_out_of_line().unwrap();
    server.takes_copy(Own::Kept);
    assert_eq!(server.shows(), ["data = copy", "data.old = was primary"]);
    postgres.forget_old().await.unwrap();
    assert_eq!(server.shows(), ["data = copy"]);
}

#[test]
fn a_database_with_unreported_writes_is_kept_beside_whatever_comes() {
    let server = Server::new("unreported");
    let postgres = &server.postgres;
    for round in ["first", "second"] {
        remove_folder(&postgres.data).unwrap();
        server.has("data", round);
        postgres.mark_primary().unwrap();
        assert!(postgres.has_own_writes());
        server.takes_copy(Own::Unreported);
    }
    let expected = ["data = copy", "data.unreported-1 = first", "data.unreported-2 = second"];
    assert_eq!(server.shows(), expected);
    assert_eq!(postgres.unreported().unwrap().len(), 2);
}

#[test]
fn what_was_set_aside_for_a_copy_that_never_came_is_put_back_at_the_next_start() {
    let server = Server::new("back");
    let postgres = &server.postgres;
    server.has("data", "was primary");
    postgres.mark_primary().unwrap();
    server.has("data.new", "copy");
    fs::rename(&postgres.data, postgres.folder.join("data.old")).unwrap();
    assert_eq!(postgres.next(), Next::PutBack);
    // Whatever is noted of it, it must not vote before it is known to be in line.
    postgres.unmark_primary().unwrap();
    let password = || "secret".to_owned();
    let passwords = Passwords { postgres: password(), replicator: password(), service: password() };
    let addresses = (postgres.address, postgres.aside);
    let (folder, log) = (postgres.folder.clone(), postgres.log.clone());
    let again = Postgres::at(folder, addresses, log, passwords).unwrap();
    assert_eq!(server.shows(), ["data = was primary", "data.new = copy"]);
    assert_eq!(again.next(), Next::Rejoin);
}
