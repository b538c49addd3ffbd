//! What is in a database, in one line per table: how many rows, and a sum of their hashes, which does
//! not depend on their order.

use std::collections::BTreeMap;

use anyhow::Context as _;

use super::tools::Tools;

/// The tables of a cell's database.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Checksums(pub(super) BTreeMap<String, Checksum>);

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Checksum {
    pub(super) rows: u64,
    pub(super) hash: String,
}

/// How what was restored differs from what was there.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Compared {
    pub(super) differing: Vec<String>,
    pub(super) missing: Vec<String>,
}

impl Compared {
    pub(super) fn all_same(&self) -> bool {
        self.differing.is_empty() && self.missing.is_empty()
    }
}

#[must_use]
pub(super) fn compare(restored: &Checksums, reference: &Checksums) -> Compared {
    let differs = |(table, sum): &(&String, &Checksum)| reference.0.get(*table) != Some(sum);
    let name = |(table, _): (&String, &Checksum)| table.clone();
    Compared {
        differing: restored.0.iter().filter(differs).map(name).collect(),
        missing: reference
            .0
            .iter()
            .filter(|(table, _)| !restored.0.contains_key(*table))
            .map(name)
            .collect(),
    }
}

/// Counts a server's rows, all at one moment: that of `snapshot`, if one is given.
pub(super) async fn of(
    tools: &Tools,
    server: &str,
    snapshot: Option<&str>,
) -> anyhow::Result<Checksums> {
    let taken = snapshot.map(|name| format!("SET TRANSACTION SNAPSHOT '{name}';"));
    // Rows are compared as text, which depends on these.
    let script = format!(
        "SET TimeZone = 'UTC'; SET DateStyle = 'ISO, YMD'; SET IntervalStyle = 'postgres';
SET extra_float_digits = 1; SET bytea_output = 'hex';
BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY;
{}
SELECT format('SELECT %L, count(*), coalesce(sum(hashtextextended(t::text, 0)), 0) FROM %I.%I t',
        relname, nspname, relname)
    FROM pg_class JOIN pg_namespace n ON n.oid = relnamespace
    WHERE relkind = 'r' AND relpersistence = 'p'
        AND nspname NOT IN ('pg_catalog', 'information_schema')
    ORDER BY relname \\gexec
COMMIT;
",
        taken.unwrap_or_default()
    );
    let told = tools.psql(&format!("{server} dbname=cell"), &script).await?;
    read(&told).context("understand the checksums")
}

fn read(told: &str) -> Option<Checksums> {
    let line = |line: &str| {
        let mut fields = line.split('|');
        let table = fields.next()?.to_owned();
        let rows = fields.next()?.parse().ok()?;
        let sum: i128 = fields.next()?.parse().ok()?;
        // Of so many hashes only the low half is of interest.
        let hash = format!("{:016x}", sum.rem_euclid(1 << 64));
        Some((table, Checksum { rows, hash }))
    };
    told.lines().filter(|text| !text.is_empty()).map(line).collect::<Option<_>>().map(Checksums)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sums_of_any_size_and_sign_become_sixteen_digits() {
        let sums = read("message|2|-1\nticket|3|18446744073709551617\n").unwrap();
        assert_eq!(sums.0["message"].hash, "ffffffffffffffff");
        let ticket = Checksum { rows: 3, hash: "0000000000000001".to_owned() };
        assert_eq!(sums.0["ticket"], ticket);
        assert_eq!(read("message|many|1"), None);
    }

    #[test]
    fn a_row_more_another_row_and_a_missing_table_are_seen() {
        let reference = read("message|2|5\nticket|3|7\nlost|0|0").unwrap();
        assert!(compare(&reference, &reference).all_same());
        let restored = read("message|2|6\nticket|4|7\nextra|1|1").unwrap();
        let compared = compare(&restored, &reference);
        assert_eq!(compared.differing, ["extra", "message", "ticket"]);
        assert_eq!(compared.missing, ["lost"]);
        assert!(!compared.all_same());
    }
}
