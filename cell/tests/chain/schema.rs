use cell::database::is_current;

use super::postgres::{Database, Postgres};

/// What is wrong with a schema: each row is a table and why its rows could not be moved to another
/// cell by their slot. The two tables named are the cell's, not a user's.
const FINDINGS: &str = "
    WITH owned AS (
        SELECT oid, oid::regclass::text AS name FROM pg_class
        WHERE relkind IN ('r', 'p') AND relnamespace = 'public'::regnamespace
          AND relname NOT IN ('cell_epoch', 'refinery_schema_history')
    ), slots AS (
        SELECT attrelid, attnum, atttypid = 'smallint'::regtype AS is_small FROM pg_attribute
        WHERE attname = 'slot'
    )
    SELECT name, 'its primary key does not begin with the slot' FROM owned
        WHERE NOT EXISTS (
            SELECT FROM pg_index i JOIN slots s ON s.attrelid = indrelid AND s.attnum = indkey[0]
            WHERE indrelid = oid AND indisprimary AND is_small)
    UNION ALL
    SELECT name, 'unique key ' || indexrelid::regclass || ' reaches beyond the slot'
        FROM owned JOIN pg_index ON indrelid = oid AND indisunique AND NOT indisprimary
        WHERE NOT EXISTS (SELECT FROM slots WHERE attrelid = indrelid AND attnum = ANY (indkey))
    UNION ALL
    SELECT name, 'foreign key ' || conname || ' leaves the slot'
        FROM owned JOIN pg_constraint ON conrelid = owned.oid AND contype = 'f'
        WHERE NOT EXISTS (
            SELECT FROM unnest(conkey, confkey) AS pair (here, there)
            JOIN slots a ON a.attrelid = conrelid AND a.attnum = here
            JOIN slots b ON b.attrelid = confrelid AND b.attnum = there)
    UNION ALL
    SELECT name, 'column ' || attname || ' counts with a sequence'
        FROM owned JOIN pg_attribute ON attrelid = oid AND attnum > 0 AND NOT attisdropped
        LEFT JOIN pg_attrdef ON adrelid = attrelid AND adnum = attnum
        WHERE attidentity <> '' OR pg_get_expr(adbin, adrelid) LIKE '%nextval(%'
    ORDER BY 1, 2";

#[tokio::test]
async fn every_user_owned_row_can_be_moved_by_its_slot() {
    let database = Postgres::shared().database().await;
    assert_eq!(findings(&database).await, [""; 0]);
    let tables = "SELECT count(*) FROM pg_class
                  WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace";
    assert!(database.count(tables).await > 8);
    let sequences = database.count("SELECT count(*) FROM pg_class WHERE relkind = 'S'").await;
    assert_eq!(sequences, 0);
}

#[tokio::test]
async fn a_table_whose_rows_cannot_be_moved_would_be_found() {
    const ID: &str = "slot smallint NOT NULL, id uuid";
    let database = Postgres::shared().database().await;
    for (table, expected) in [
        ("(id uuid PRIMARY KEY, slot smallint)", "its primary key does not begin with the slot"),
        (
            &format!("({ID}, PRIMARY KEY (id, slot))"),
            "its primary key does not begin with the slot",
        ),
        (&format!("({ID})"), "its primary key does not begin with the slot"),
        ("(slot int, PRIMARY KEY (slot))", "its primary key does not begin with the slot"),
        (
            "(slot smallint, id bigserial, PRIMARY KEY (slot, id))",
            "column id counts with a sequence",
        ),
        (
            "(slot smallint, id bigint GENERATED ALWAYS AS IDENTITY, PRIMARY KEY (slot, id))",
            "column id counts with a sequence",
        ),
        (
            "(slot smallint, id bigint DEFAULT 1 + nextval('numbers'), PRIMARY KEY (slot, id))",
            "column id counts with a sequence",
        ),
        (
            &format!("({ID} UNIQUE, PRIMARY KEY (slot, id))"),
            "unique key bad_id_key reaches beyond the slot",
        ),
        (
            "(slot smallint, epoch bigint REFERENCES cell_epoch, PRIMARY KEY (slot, epoch))",
            "foreign key bad_epoch_fkey leaves the slot",
        ),
        (
            "(slot smallint, other smallint, id uuid, PRIMARY KEY (slot, id),
              FOREIGN KEY (other, id) REFERENCES tickets)",
            "foreign key bad_other_id_fkey leaves the slot",
        ),
    ] {
        let create = format!("CREATE SEQUENCE numbers; CREATE TABLE bad {table}");
        let drop = "DROP TABLE bad; DROP SEQUENCE numbers";
        database.as_owner(async |owner| owner.batch_execute(&create).await.unwrap()).await;
        let found = findings(&database).await;
        database.as_owner(async |owner| owner.batch_execute(drop).await.unwrap()).await;
        assert_eq!(found, [format!("bad: {expected}")], "{table}");
    }
}

async fn findings(database: &Database<'_>) -> Vec<String> {
    let rows = database.as_owner(async |owner| owner.query(FINDINGS, &[]).await.unwrap()).await;
    rows.iter().map(|row| format!("{}: {}", row.get::<_, &str>(0), row.get::<_, &str>(1))).collect()
}

#[tokio::test]
async fn migrating_again_changes_nothing() {
    let database = Postgres::shared().database().await;
    let before = database.count(MIGRATIONS).await;
    database.migrate().await;
    assert_eq!(database.count(MIGRATIONS).await, before);
}

#[tokio::test]
async fn a_schema_that_a_later_program_has_migrated_is_opened_as_it_is() {
    let database = Postgres::shared().database().await;
    change_history(&database, LATER).await;
    let before = database.count(MIGRATIONS).await;
    assert!(database.as_owner(async |owner| is_current(owner).await).await);
    database.migrate().await;
    assert_eq!(database.count(MIGRATIONS).await, before);
}

#[tokio::test]
async fn a_schema_with_another_history_is_refused_however_new_it_is() {
    for other in [
        "UPDATE refinery_schema_history SET checksum = '1' WHERE version = 1",
        "DELETE FROM refinery_schema_history WHERE version = 2",
    ] {
        let database = Postgres::shared().database().await;
        change_history(&database, LATER).await;
        change_history(&database, other).await;
        assert!(database.try_migrate().await.is_err(), "{other}");
    }
}

#[tokio::test]
async fn an_older_schema_is_not_current() {
    let database = Postgres::shared().database().await;
    let older = "DELETE FROM refinery_schema_history
        WHERE version = (SELECT max(version) FROM refinery_schema_history)";
    change_history(&database, older).await;
    assert!(!database.as_owner(async |owner| is_current(owner).await).await);
}

/// While sites are upgraded one after another, the old program works on what the new one migrated.
#[tokio::test]
async fn the_programs_of_the_first_version_work_on_the_schema_of_today() {
    let database = Postgres::shared().database().await;
    let statements = include_str!("version_1.sql");
    let transaction = format!("BEGIN; SET LOCAL synchronous_commit = on; {statements}");
    assert_eq!(commit(&database, "service", &transaction).await, Ok(()));
    assert_eq!(database.count("SELECT count(*) FROM messages").await, 2);
    assert_eq!(database.count("SELECT count(*) FROM ticket_transitions").await, 2);
}

const MIGRATIONS: &str = "SELECT count(*) FROM refinery_schema_history";

/// A migration that this program does not know.
const LATER: &str = "INSERT INTO refinery_schema_history (version, name, applied_on, checksum)
    SELECT version + 1, 'what_comes_next', applied_on, '1' FROM refinery_schema_history
    ORDER BY version DESC LIMIT 1";

async fn change_history(database: &Database<'_>, change: &str) {
    database.as_owner(async |owner| owner.batch_execute(change).await.unwrap()).await;
}

#[tokio::test]
async fn a_ticket_cannot_be_committed_weakly_whoever_tries() {
    const INSERT: &str = "INSERT INTO tickets
            (slot, ticket_id, number, user_id, subject, description, status, priority)
        VALUES (1, gen_random_uuid(), 1, 'ada', 's', 'd', 'new', 'normal')";
    const TRANSITION: &str =
        "INSERT INTO ticket_transitions (slot, ticket_id, version, to_status, actor)
        SELECT slot, ticket_id, 1, 'new', 'ada' FROM tickets";
    let database = Postgres::shared().database().await;
    let strongly = |change: &str| format!("BEGIN; SET LOCAL synchronous_commit = on; {change}");
    for role in ["service", "postgres"] {
        // Not even when it says nothing at all.
        let weak = commit(&database, role, &format!("BEGIN; {INSERT}")).await;
        assert_eq!(weak, Err("change tickets with synchronous_commit = on, not local".to_owned()));
    }
    for weaker in ["off", "local", "remote_write"] {
        // What counts is the setting at the commit, not at the statement.
        let back = format!("{INSERT}; SET LOCAL synchronous_commit = {weaker}");
        let refused = format!("change tickets with synchronous_commit = on, not {weaker}");
        assert_eq!(commit(&database, "service", &strongly(&back)).await, Err(refused));
    }
    assert_eq!(database.count("SELECT count(*) FROM tickets").await, 0);
    assert_eq!(commit(&database, "service", &strongly(INSERT)).await, Ok(()));
    for change in [TRANSITION, "UPDATE tickets SET version = 2", "DELETE FROM tickets"] {
        let weak = commit(&database, "service", &format!("BEGIN; {change}")).await;
        assert!(weak.is_err_and(|why| why.contains("synchronous_commit")), "{change}");
    }
    assert_eq!(commit(&database, "service", &strongly(TRANSITION)).await, Ok(()));
    assert_eq!(database.count("SELECT count(*) FROM tickets WHERE version = 1").await, 1);
}

#[tokio::test]
async fn a_promised_ticket_cannot_be_committed_weakly_and_what_is_none_can() {
    let insert = |topic: &str| {
        format!(
            "BEGIN; INSERT INTO outbox (slot, outbox_id, topic, user_id, subject, payload)
             VALUES (1, gen_random_uuid(), '{topic}', 'ada', gen_random_uuid(), '{{}}')"
        )
    };
    let database = Postgres::shared().database().await;
    for topic in ["session-updates", "escalations"] {
        assert_eq!(commit(&database, "service", &insert(topic)).await, Ok(()), "{topic}");
    }
    assert!(commit(&database, "service", &insert("ticket-requests")).await.is_err());
}

/// Returns what the server says of a transaction when it is committed.
async fn commit(database: &Database<'_>, role: &str, transaction: &str) -> Result<(), String> {
    let committed = database.work_as(role, async |client| {
        client.batch_execute(transaction).await?;
        client.batch_execute("COMMIT").await
    });
    let message = |err: tokio_postgres::Error| err.as_db_error().unwrap().message().to_owned();
    committed.await.map_err(message)
}
