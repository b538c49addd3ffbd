use super::postgres::Postgres;

/// Tables of the cell, not of a user.
const NOBODYS: [&str; 2] = ["cell_epoch", "refinery_schema_history"];

#[tokio::test]
async fn every_user_owned_tables_primary_key_begins_with_the_slot() {
    let database = Postgres::shared().database().await;
    let keys = database
        .as_owner(async |owner| {
            owner
                .query(
                    "SELECT t.relname::text, a.attname::text, a.atttypid = 'smallint'::regtype
                     FROM pg_class t
                     LEFT JOIN pg_index i ON i.indrelid = t.oid AND i.indisprimary
                     LEFT JOIN pg_attribute a ON a.attrelid = t.oid AND a.attnum = i.indkey[0]
                     WHERE t.relkind = 'r' AND t.relnamespace = 'public'::regnamespace",
                    &[],
                )
                .await
                .unwrap()
        })
        .await;
    let tables: Vec<(String, Option<String>, Option<bool>)> =
        keys.iter().map(|row| (row.get(0), row.get(1), row.get(2))).collect();
    assert!(tables.len() > 8, "{tables:?}");
    for (table, first, is_smallint) in tables {
        if !NOBODYS.contains(&table.as_str()) {
            assert_eq!(first.as_deref(), Some("slot"), "{table}");
            assert_eq!(is_smallint, Some(true), "{table}");
        }
    }
}

#[tokio::test]
async fn foreign_keys_and_unique_keys_stay_within_the_slot() {
    let database = Postgres::shared().database().await;
    let outside = database
        .count(
            "SELECT count(*) FROM pg_constraint c JOIN pg_attribute a
                 ON a.attrelid = c.conrelid AND a.attnum = c.conkey[1]
             WHERE c.connamespace = 'public'::regnamespace
               AND c.contype IN ('f', 'u') AND a.attname <> 'slot'",
        )
        .await;
    assert_eq!(outside, 0);
    let sequences = database.count("SELECT count(*) FROM pg_class WHERE relkind = 'S'").await;
    assert_eq!(sequences, 0);
}

#[tokio::test]
async fn migrating_again_changes_nothing() {
    let database = Postgres::shared().database().await;
    let before = database.count("SELECT count(*) FROM refinery_schema_history").await;
    database.migrate().await;
    assert_eq!(database.count("SELECT count(*) FROM refinery_schema_history").await, before);
}

#[tokio::test]
async fn a_ticket_cannot_be_committed_weakly() {
    const INSERT: &str = "INSERT INTO tickets
            (slot, ticket_id, number, user_id, subject, description, status, priority)
        VALUES (1, gen_random_uuid(), 1, 'ada', 's', 'd', 'new', 'normal')";
    let database = Postgres::shared().database().await;
    let client = database.pool().get().await.unwrap();
    let weak = client.batch_execute(&format!("BEGIN; {INSERT}; COMMIT")).await.unwrap_err();
    assert_eq!(
        weak.as_db_error().unwrap().message(),
        "change tickets with synchronous_commit = on, not local"
    );
    client.batch_execute("ROLLBACK").await.unwrap();
    assert_eq!(database.count("SELECT count(*) FROM tickets").await, 0);
    // What counts is the setting at the commit, not at the statement.
    let turned = format!(
        "BEGIN; SET LOCAL synchronous_commit = on; {INSERT};
         SET LOCAL synchronous_commit = local; COMMIT"
    );
    assert!(client.batch_execute(&turned).await.is_err());
    client.batch_execute("ROLLBACK").await.unwrap();
    let strong = format!("BEGIN; SET LOCAL synchronous_commit = on; {INSERT}; COMMIT");
    client.batch_execute(&strong).await.unwrap();
    assert_eq!(database.count("SELECT count(*) FROM tickets").await, 1);
}

#[tokio::test]
async fn a_promised_ticket_cannot_be_committed_weakly_and_an_event_can() {
    let insert = |topic: &str| {
        format!(
            "BEGIN; INSERT INTO outbox (slot, outbox_id, topic, user_id, subject, payload)
             VALUES (1, gen_random_uuid(), '{topic}', 'ada', gen_random_uuid(), '{{}}'); COMMIT"
        )
    };
    let database = Postgres::shared().database().await;
    let client = database.pool().get().await.unwrap();
    client.batch_execute(&insert("session-updates")).await.unwrap();
    assert!(client.batch_execute(&insert("ticket-requests")).await.is_err());
}
