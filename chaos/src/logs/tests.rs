use std::fs::OpenOptions;
use std::io::Write as _;
use std::pin::pin;
use std::sync::mpsc;

use futures_util::FutureExt as _;
use tokio::runtime::Builder;

use super::*;

/// A folder with a log in it that has a panic from before.
struct Logs(PathBuf);

impl Logs {
    fn new(test: &str) -> Self {
        let folder = std::env::temp_dir().join(format!("chaos-logs-{test}-{}", std::process::id()));
        drop(fs::remove_dir_all(&folder));
        fs::create_dir_all(&folder).unwrap();
        let logs = Self(folder);
        logs.says("c1@east", "thread 'main' panicked at 'long ago', src/lib.rs:1:1\n");
        logs
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.join(format!("{name}.log"))
    }

    fn says(&self, name: &str, text: &str) {
        let mut log = OpenOptions::new().create(true).append(true).open(self.path(name)).unwrap();
        log.write_all(text.as_bytes()).unwrap();
    }

    fn put_aside(&self, name: &str) {
        fs::rename(self.path(name), self.0.join(format!("{name}.log.1"))).unwrap();
    }

    fn begin(&self) -> Begun {
        begin(&self.0).unwrap()
    }

    fn read(&self, begun: &Begun, allowed: &[&str]) -> (Vec<String>, Vec<String>) {
        let allowed: Vec<String> = allowed.iter().map(|part| (*part).to_owned()).collect();
        match look(&self.0, begun, &allowed) {
            LogsRead::Read { grave, gaps } => (grave, gaps),
            LogsRead::Unread(why) => panic!("{why}"),
        }
    }
}

impl Drop for Logs {
    fn drop(&mut self) {
        fs::remove_dir_all(&self.0).unwrap();
    }
}

fn nothing() -> (Vec<String>, Vec<String>) {
    (Vec::new(), Vec::new())
}

const FULL: &str = "[7] PANIC:  could not write to file: No space left on device";

#[test]
fn only_what_was_written_since_the_run_began_counts() {
    let logs = Logs::new("since");
    let begun = logs.begin();
    assert_eq!(logs.read(&begun, &[]), nothing());
    logs.says("c1@east", "all is well\n[7] FATAL:  control file is corrupted\n");
    // One that was not there before is new altogether.
    logs.says("c1@east-postgres", &format!("{FULL}\n"));
    let expected = [
        format!("c1@east-postgres.log: {FULL}"),
        "c1@east.log: [7] FATAL:  control file is corrupted".to_owned(),
    ];
    assert_eq!(logs.read(&begun, &[]), (expected.into(), Vec::new()));
}

#[test]
fn a_panic_is_told_with_what_it_says_in_the_next_line() {
    let logs = Logs::new("next");
    let begun = logs.begin();
    logs.says("router-1", "thread 'main' panicked at src/a.rs:1:2:\nno such site\nbye\n");
    logs.says("router-2", "thread 'main' panicked at src/a.rs:1:2:\n");
    let expected = [
        "router-1.log: thread 'main' panicked at src/a.rs:1:2: no such site",
        "router-2.log: thread 'main' panicked at src/a.rs:1:2:",
    ];
    assert_eq!(logs.read(&begun, &[]), (expected.map(str::to_owned).into(), Vec::new()));
}

#[test]
fn what_the_drill_allows_is_left_out_and_nothing_else() {
    let logs = Logs::new("allowed");
    let begun = logs.begin();
    logs.says("c1@east-postgres", &format!("{FULL}\n[8] PANIC:  stuck spinlock\n"));
    let expected = vec!["c1@east-postgres.log: [8] PANIC:  stuck spinlock".to_owned()];
    assert_eq!(logs.read(&begun, &["No space left on device"]), (expected, Vec::new()));
}

#[test]
fn a_log_that_was_put_aside_is_read_to_its_end_and_so_is_the_next_one() {
    let logs = Logs::new("aside");
    let begun = logs.begin();
    logs.says("c1@east", "TRAP: before\n");
    logs.put_aside("c1@east");
    logs.says("c1@east", "TRAP: after\n");
    let told = ["c1@east.log: TRAP: before", "c1@east.log: TRAP: after"].map(str::to_owned);
    assert_eq!(logs.read(&begun, &[]), (told.to_vec(), Vec::new()));
    // Put aside a second time, what it had at first is gone. Held open, its number is given to no other file.
    let first = File::open(logs.0.join("c1@east.log.1")).unwrap();
    logs.put_aside("c1@east");
    logs.says("c1@east", "TRAP: last\n");
    let gap = "c1@east.log was put aside more than once, or is gone";
    let told = vec!["c1@east.log: TRAP: last".to_owned()];
    assert_eq!(logs.read(&begun, &[]), (told, vec![gap.to_owned()]));
    drop(first);
}

#[test]
fn a_log_that_was_begun_again_in_place_is_read_from_its_beginning() {
    let logs = Logs::new("again");
    let begun = logs.begin();
    fs::write(logs.path("c1@east"), "TRAP: x\n").unwrap();
    let told = vec!["c1@east.log: TRAP: x".to_owned()];
    assert_eq!(logs.read(&begun, &[]), (told, Vec::new()));
}

#[test]
fn long_lines_are_told_shortened_and_endless_logs_not_whole() {
    let logs = Logs::new("long");
    let begun = logs.begin();
    logs.says("router-1", &format!("PANIC: {}\n", "é".repeat(TOLD_MAX)));
    logs.says("router-2", &"PANIC: x\n".repeat(KEPT_MAX + 1));
    let (told, gaps) = logs.read(&begun, &[]);
    assert_eq!((told.len(), gaps), (1 + KEPT_MAX, Vec::new()));
    let start = "router-1.log: PANIC: ";
    assert_eq!(told[0], format!("{start}{}…", "é".repeat(TOLD_MAX - "PANIC: ".len())));
}

#[test]
fn a_folder_that_is_not_there_is_no_clean_log() {
    let gone = std::env::temp_dir().join(format!("chaos-logs-gone-{}", std::process::id()));
    assert!(begin(&gone).is_err());
    assert!(matches!(look(&gone, &Begun::default(), &[]), LogsRead::Unread(_)));
}

/// Its guard is told that the run lives while its logs are looked through.
#[test]
fn whoever_waits_for_the_logs_goes_on_meanwhile() {
    let logs = Logs::new("meanwhile");
    let begun = logs.begin();
    logs.says("c1@east", "TRAP: x\n");
    let runtime = Builder::new_current_thread().max_blocking_threads(1).build().unwrap();
    runtime.block_on(async {
        // The only thread that may block is not there yet.
        let (let_go, held) = mpsc::channel::<()>();
        let holding = spawn_blocking(move || held.recv());
        let mut reading = pin!(read(logs.0.clone(), begun, Vec::new()));
        assert_eq!(reading.as_mut().now_or_never(), None);
        let_go.send(()).unwrap();
        holding.await.unwrap().unwrap();
        let grave = vec!["c1@east.log: TRAP: x".to_owned()];
        assert_eq!(reading.await, LogsRead::Read { grave, gaps: Vec::new() });
    });
}
