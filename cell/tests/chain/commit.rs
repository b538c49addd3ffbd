//! What PostgreSQL does to a commit that waits for a standby, and what is made of it.

use axum::http::Method;
use cell::database::{Failure, Transaction};
use futures_util::FutureExt as _;
use futures_util::future::join_all;
use serde_json::json;
use topology::spec::Durability;
use topology::wire::agent::TenureName;

use super::barrier::waits;
use super::postgres::{Database, Pair, Postgres};
use super::site::{Answer, Site};

const TICKETS: &str = "/v1/tickets";
const INSERT: &str = "INSERT INTO tickets
        (slot, ticket_id, number, user_id, subject, description, status, priority)
    VALUES (1, gen_random_uuid(), 1, 'ada', 's', 'd', 'new', 'normal')";

#[tokio::test]
async fn a_commit_that_is_given_up_is_never_cancelled() {
    let site = Site::on(Postgres::without_voters()).await;
    let connections = site.database.connections();
    let transaction = Transaction::begin(&connections, Durability::Strong).await.unwrap();
    transaction.execute(INSERT, &[]).await.unwrap();
    let end = transaction.end(Ok::<_, Failure>(()));
    let mut given_up = Box::pin(end);
    while site.database.waiting().await == 0 {
        assert!(given_up.as_mut().now_or_never().is_none());
    }
    // Its client has gone.
    drop(given_up);
    // This one's time runs out.
    let late = open(&site, "bob", "k").await;
    assert_eq!(told(&late), (503, "outcome-unknown"));
    assert_eq!(late.headers["x-bulkhead-outcome"], "unknown");
    // A cancel would have made both visible, and told both that they are committed.
    for _ in 0..50 {
        assert_eq!(site.database.waiting().await, 2);
        assert_eq!(site.database.count("SELECT count(*) FROM tickets").await, 0);
    }
    // What does not wait for a standby goes on.
    assert_eq!(site.post("ada", "/v1/conversations", "k", &json!({})).await.status, 201);
}

#[tokio::test]
async fn a_cancelled_wait_for_a_standby_is_no_success() {
    let site = Site::on(Postgres::without_voters()).await;
    let (answer, ()) =
        tokio::join!(open(&site, "ada", "k"), end_wait(&site.database, "pg_cancel_backend"));
    assert_eq!(told(&answer), (503, "outcome-unknown"));
    // PostgreSQL itself calls it committed.
    assert_eq!(site.database.count("SELECT count(*) FROM tickets").await, 1);
}

#[tokio::test]
async fn a_statement_timeout_does_not_end_the_wait() {
    let database = Postgres::without_voters().database().await;
    let insert = format!(
        "BEGIN; SET LOCAL synchronous_commit = on; SET LOCAL statement_timeout = 100; {INSERT}"
    );
    let commit = database.work_as("service", async |client| {
        client.batch_execute(&insert).await.unwrap();
        client.batch_execute("COMMIT").await
    });
    let waits_on = async {
        let waits = "SELECT count(*) FROM pg_stat_activity
                     WHERE datname = current_database() AND wait_event = 'SyncRep'
                       AND clock_timestamp() - query_start > interval '1 second'";
        while database.count(waits).await == 0 {}
    };
    tokio::select! {
        ended = commit => panic!("the wait has ended: {ended:?}"),
        () = waits_on => {}
    }
}

#[tokio::test]
async fn commits_that_wait_leave_connections_for_reads_and_weak_writes() {
    // Three quarters of the sixteen.
    const STRONG: i64 = 12;
    let site = Site::on(Postgres::without_voters()).await;
    let users: Vec<String> = (0..20).map(|number| format!("user-{number}")).collect();
    let strong = join_all(users.iter().map(|user| open(&site, user, "k")));
    let meanwhile = async {
        while site.database.waiting().await < STRONG {}
        let read = site.get("ada", TICKETS).await;
        let written = site.post("ada", "/v1/conversations", "k", &json!({})).await;
        (read.status, written.status)
    };
    let (answers, others) = tokio::join!(strong, meanwhile);
    assert_eq!(others, (200, 201));
    let mut codes: Vec<_> = answers.iter().map(told).collect();
    codes.sort_unstable();
    let expected = [[(503, "outcome-unknown"); 12].as_slice(), &[(503, "overload"); 8]].concat();
    assert_eq!(codes, expected);
    // What was answered still waits, and still takes up its place: the server has no more to bear.
    assert_eq!(told(&open(&site, "eve", "k").await), (503, "overload"));
    assert_eq!(site.database.waiting().await, STRONG);
    assert_eq!(site.get("ada", TICKETS).await.status, 200);
}

#[tokio::test]
async fn whoever_waits_for_a_waiting_commit_is_shed_and_comes_back_as_a_repetition() {
    let (pair, _turn) = Pair::alone().await;
    let site = Site::on(&pair.primary).await;
    pair.waits_for("nobody").await;
    assert_eq!(told(&open(&site, "ada", "k").await), (503, "outcome-unknown"));
    assert_eq!(told(&open(&site, "ada", "k").await), (503, "overload"));
    pair.waits_for("voter").await;
    let again = open(&site, "ada", "k").await;
    assert_eq!(
        (again.status, &again.headers["idempotency-replayed"]),
        (201, &"true".parse().unwrap())
    );
    assert_eq!(site.database.count("SELECT count(*) FROM tickets").await, 1);
}

#[tokio::test]
async fn a_ticket_that_only_this_site_has_is_not_confirmed_to_its_repetition() {
    let (pair, _turn) = Pair::alone().await;
    let site = Site::on(&pair.primary).await;
    pair.waits_for("nobody").await;
    let (first, ()) =
        tokio::join!(open(&site, "ada", "k"), end_wait(&site.database, "pg_terminate_backend"));
    assert_eq!(told(&first), (503, "outcome-unknown"));
    assert_eq!(site.database.count("SELECT count(*) FROM tickets").await, 1);
    // Reads are not held up: they may show what is not known to be kept.
    assert_eq!(site.get("ada", TICKETS).await.body["data"].as_array().unwrap().len(), 1);

    let again = answered_only_by_a_voter(pair, &site.database, open(&site, "ada", "k")).await;
    assert_eq!((again.status, &again.body["number"]), (201, &json!("T-1B-1")));
    assert_eq!(site.database.count("SELECT count(*) FROM tickets").await, 1);
}

#[tokio::test]
async fn a_transition_that_only_this_site_has_is_not_confirmed_to_its_repetition() {
    let (pair, _turn) = Pair::alone().await;
    let site = Site::on(&pair.primary).await;
    let ticket = open(&site, "ada", "k1").await;
    let path = format!("{TICKETS}/{}/transitions", ticket.body["id"].as_str().unwrap());
    let headers = [("if-match", "\"1\""), ("idempotency-key", "k2")];
    let to_open = json!({ "to": "open" });
    let go = || site.ask_with("ada", (Method::POST, &path), &headers, &to_open);
    pair.waits_for("nobody").await;
    let (first, ()) = tokio::join!(go(), end_wait(&site.database, "pg_terminate_backend"));
    assert_eq!(told(&first), (503, "outcome-unknown"));
    let again = answered_only_by_a_voter(pair, &site.database, go()).await;
    assert_eq!((again.status, &again.body["status"]), (200, &json!("open")));
}

#[tokio::test]
async fn an_escalation_that_only_this_site_has_is_not_confirmed_to_its_repetition() {
    let (pair, _turn) = Pair::alone().await;
    let site = Site::on(&pair.primary).await;
    let messages = site.conversation("ada").await + "/messages";
    let text = json!({ "text": "human_agent: a person, please" });
    let say = || site.post("ada", &messages, "k", &text);
    pair.waits_for("nobody").await;
    let (first, ()) = tokio::join!(say(), end_wait(&site.database, "pg_terminate_backend"));
    assert_eq!(told(&first), (503, "outcome-unknown"));
    let again = answered_only_by_a_voter(pair, &site.database, say()).await;
    assert_eq!(again.status, 201);
    assert_eq!(site.database.count("SELECT count(*) FROM messages").await, 2);
}

#[tokio::test]
async fn strong_messages_are_confirmed_to_their_repetition_as_tickets_are() {
    let (pair, _turn) = Pair::alone().await;
    let site = Site::of(pair.primary.database().await, Durability::Strong).await;
    let messages = site.conversation("ada").await + "/messages";
    let text = json!({ "text": "hello", "client_message_id": "m" });
    let say = || site.post("ada", &messages, "", &text);
    pair.waits_for("nobody").await;
    let (first, ()) = tokio::join!(say(), end_wait(&site.database, "pg_terminate_backend"));
    assert_eq!(told(&first), (503, "outcome-unknown"));
    let again = answered_only_by_a_voter(pair, &site.database, say()).await;
    assert_eq!(again.status, 201);
}

#[tokio::test]
async fn after_a_crash_what_no_standby_has_is_visible_and_nothing_strong_is_answered_before_the_barrier()
 {
    let (pair, _turn) = Pair::alone().await;
    let site = Site::on(&pair.primary).await;
    pair.waits_for("nobody").await;
    let mut first = Box::pin(open(&site, "ada", "k"));
    while site.database.waiting().await == 0 {
        assert!(first.as_mut().now_or_never().is_none());
    }
    assert_eq!(site.database.count("SELECT count(*) FROM tickets").await, 0);
    pair.primary.crash();
    site.becomes(TenureName::Serving, false);
    assert_eq!(told(&first.await), (503, "outcome-unknown"));
    assert_eq!(site.database.count("SELECT count(*) FROM tickets").await, 1);

    for (user, key) in [("ada", "k"), ("ada", "another"), ("bob", "k")] {
        assert!(waits(&mut Box::pin(open(&site, user, key))).await, "{user} {key}");
    }
    let shown = site.get("ada", TICKETS).await;
    assert_eq!(shown.headers["x-bulkhead-stale"], "unknown");
    assert_eq!(site.database.count("SELECT count(*) FROM tickets").await, 1);

    site.becomes(TenureName::Serving, true);
    let again = answered_only_by_a_voter(pair, &site.database, open(&site, "ada", "k")).await;
    assert_eq!(again.status, 201);
    assert!(!site.get("ada", TICKETS).await.headers.contains_key("x-bulkhead-stale"));
}

#[tokio::test]
async fn a_primary_without_names_calls_waiting_commits_a_success() {
    let (pair, _turn) = Pair::alone().await;
    let site = Site::on(&pair.primary).await;
    pair.waits_for("nobody").await;
    let emptied = async {
        while site.database.waiting().await == 0 {}
        pair.waits_for("").await;
    };
    // Without any sign that no standby has it. Therefore nobody ever writes an empty name.
    let (answer, ()) = tokio::join!(open(&site, "ada", "k"), emptied);
    assert_eq!(answer.status, 201);
}

/// Ends a commit's wait as an administrator would, and returns once its row is seen.
async fn end_wait(database: &Database<'_>, how: &str) {
    let end = format!(
        "SELECT count({how}(pid)) FROM pg_stat_activity
         WHERE wait_event = 'SyncRep' AND datname = current_database()"
    );
    while database.count(&end).await == 0 {}
    while database.waiting().await > 0 {}
}

/// Sees that nothing is answered while no standby confirms, and returns the answer once one does.
async fn answered_only_by_a_voter(
    pair: &Pair,
    database: &Database<'_>,
    request: impl Future<Output = Answer>,
) -> Answer {
    let mut request = Box::pin(request);
    while database.waiting().await == 0 {
        let early = request.as_mut().now_or_never();
        assert!(early.is_none(), "answered without a standby: {}", early.unwrap().body);
    }
    pair.waits_for("voter").await;
    request.await
}

async fn open(site: &Site, user: &str, key: &str) -> Answer {
    site.post(user, TICKETS, key, &json!({ "subject": "s", "description": "d" })).await
}

fn told(answer: &Answer) -> (u16, &str) {
    (answer.status, answer.body["code"].as_str().unwrap_or_default())
}
