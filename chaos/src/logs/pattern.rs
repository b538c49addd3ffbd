//! Which lines of a log tell of something that must not happen.

/// Wherever in the line. Of Rust's programs and their supervisors, of PostgreSQL, of etcd.
const ANYWHERE: [&str; 17] = [
    " panicked at ",
    "task panicked",
    "assertion failed",
    "assertion `",
    "(SIGABRT)",
    "(SIGSEGV)",
    "(SIGBUS)",
    "(SIGILL)",
    "PANIC: ",
    "TRAP: ",
    "was terminated by signal 4",
    "was terminated by signal 6",
    "was terminated by signal 7",
    "was terminated by signal 11",
    // Checksums of pages are on.
    "page verification failed",
    "\"level\":\"panic\"",
    "\"level\":\"fatal\"",
];

/// At the beginning: Go's own last words.
const FIRST: [&str; 2] = ["panic: ", "fatal error: "];

/// How grave PostgreSQL takes something that may be data which is not whole. A log that ends in the middle of a
/// record, as every one does after a crash, is told of as `LOG`.
const SEVERITIES: [&str; 3] = ["FATAL: ", "ERROR: ", "WARNING: "];

pub(super) fn is_grave(line: &str) -> bool {
    let is_damaged = || {
        ["corrupt", "invalid page in block"].iter().any(|word| line.contains(word))
            && SEVERITIES.iter().any(|severity| line.contains(severity))
    };
    ANYWHERE.iter().any(|part| line.contains(part))
        || FIRST.iter().any(|part| line.starts_with(part))
        || is_damaged()
}

/// Whether the next line says why: Rust tells first where.
pub(super) fn is_cut(line: &str) -> bool {
    line.contains(" panicked at ") && line.ends_with(':')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn panics_failed_assertions_and_damaged_data_are_grave() {
        for line in [
            "thread 'main' panicked at cell/src/app.rs:12:5:",
            "thread 'tokio-rt-worker' (812) panicked at src/lib.rs:1:1:",
            r#"{"level":"ERROR","message":"task panicked","error":"boom"}"#,
            "assertion `left == right` failed",
            "2026-01-02 03:04:05.678 UTC [17] PANIC:  could not write to file \"pg_wal/xlogtemp.17\": No space left on device",
            "TRAP: FailedAssertion(\"x\", File: \"xlog.c\", Line: 1, PID: 17)",
            "2026-01-02 03:04:05 UTC [1] LOG:  server process (PID 17) was terminated by signal 11: Segmentation fault",
            "2026-01-02 03:04:05 UTC [1] FATAL:  control file is corrupted",
            "2026-01-02 03:04:05 UTC [1] drill ERROR:  invalid page in block 3 of relation base/5/16384",
            "2026-01-02 03:04:05 UTC [1] WARNING:  page verification failed, calculated checksum 1 but expected 2",
            r#"{"level":"panic","ts":"2026-01-02T03:04:05Z","msg":"failed to recover v3 backend"}"#,
            "panic: runtime error: index out of range",
            "fatal error: concurrent map writes",
        ] {
            assert!(is_grave(line), "{line}");
        }
    }

    #[test]
    fn what_servers_say_when_they_are_killed_start_or_move_is_not() {
        for line in [
            "2026-01-02 03:04:05 UTC [1] FATAL:  the database system is starting up",
            "2026-01-02 03:04:05 UTC [1] FATAL:  terminating connection due to unexpected postmaster exit",
            "2026-01-02 03:04:05 UTC [1] FATAL:  could not receive data from WAL stream: Connection timed out",
            "2026-01-02 03:04:05 UTC [1] LOG:  server process (PID 17) was terminated by signal 9: Killed",
            "2026-01-02 03:04:05 UTC [1] LOG:  invalid record length at 0/5000028: wanted 24, got 0",
            "2026-01-02 03:04:05 UTC [1] LOG:  incorrect resource manager data checksum in record at 0/5000028",
            "2026-01-02 03:04:05 UTC [1] HINT:  If this has occurred more than once some data might be corrupted and you might need to choose an earlier recovery target.",
            "2026-01-02 03:04:05 UTC [1] WARNING:  specified neither primary_conninfo nor restore_command",
            r#"{"level":"WARN","message":"service ended","status":"signal: 9 (SIGKILL)"}"#,
            r#"{"level":"warn","msg":"lost leader"}"#,
            "a user's panic: nothing is said",
        ] {
            assert!(!is_grave(line), "{line}");
        }
    }

    #[test]
    fn only_a_panic_that_ends_with_its_place_goes_on() {
        assert!(is_cut("thread 'main' panicked at cell/src/app.rs:12:5:"));
        assert!(!is_cut("thread 'main' panicked at 'boom', cell/src/app.rs:12:5"));
        assert!(!is_cut("assertion failed:"));
    }
}
