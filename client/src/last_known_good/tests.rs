use std::io::{BufRead as _, BufReader};
use std::process::{Command, Stdio};

use proptest::prelude::*;
use topology::snapshot::RoutedCell;
use topology::{Activation, Epoch, Phase, Placement, SLOTS};

use super::*;

#[test]
fn the_newest_generation_is_served_again() {
    let kept = kept(&[3, 4], "newest");
    assert_eq!(kept.newest(), Some(snapshot(4)));
}

#[test]
fn a_flipped_bit_falls_back_to_the_generation_before() {
    let kept = kept(&[3, 4], "flipped");
    let newest = kept.generations().pop().unwrap();
    let mut bytes = fs::read(&newest).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(&newest, bytes).unwrap();
    assert_eq!(kept.newest(), Some(snapshot(3)));
}

#[test]
fn a_torn_file_falls_back_to_the_generation_before() {
    let kept = kept(&[3, 4], "torn");
    let newest = kept.generations().pop().unwrap();
    let bytes = fs::read(&newest).unwrap();
    for length in [0, 1, bytes.len() / 3, bytes.len() - 1] {
        fs::write(&newest, &bytes[..length]).unwrap();
        assert_eq!(kept.newest(), Some(snapshot(3)), "{length} bytes left");
    }
}

#[test]
fn ten_generations_are_kept() {
    let kept = kept(&(1..=14).collect::<Vec<_>>(), "ten");
    assert_eq!(kept.generations().len(), GENERATIONS);
    assert_eq!(kept.newest(), Some(snapshot(14)));
}

#[test]
fn a_process_killed_in_the_middle_of_a_write_leaves_what_it_had() {
    for lines in 1..=12 {
        let folder = folder("killed");
        let mut child = keeper(&folder, "").stdout(Stdio::piped()).spawn().unwrap();
        let mut told = BufReader::new(child.stdout.take().unwrap()).lines();
        let mut last = 0;
        for _line in 0..lines {
            let kept = |line: std::io::Result<String>| -> Option<u64> {
                line.unwrap().strip_prefix("kept ")?.parse().ok()
            };
            last = told.find_map(kept).expect("the keeper goes on until it is killed");
        }
        // Its next write has begun by now, or is about to.
        child.kill().unwrap();
        child.wait().unwrap();
        let kept = LastKnownGood::open(folder.clone()).unwrap();
        let newest = kept.newest().expect("something is kept");
        assert!(newest.version.0 >= last, "{} after {last}", newest.version);
        assert_eq!(newest, large(newest.version.0));
        assert_eq!(kept.files(UNFINISHED), Vec::<PathBuf>::new());
        fs::remove_dir_all(folder).unwrap();
    }
}

#[test]
fn a_full_disk_keeps_what_was_there_and_leaves_nothing_half_written() {
    let folder = folder("full");
    let kept = LastKnownGood::open(folder.clone()).unwrap();
    kept.keep(&snapshot(0)).unwrap();
    // To a process that may not write more than 8 KiB to a file, every disk is full.
    let output = keeper(&folder, "trap '' XFSZ; ulimit -f 16; ").output().unwrap();
    let told = String::from_utf8_lossy(&output.stdout);
    assert!(told.contains("refused: write "), "{told}");
    let files: Vec<_> = fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    assert_eq!(files, kept.generations());
    assert_eq!(kept.newest(), Some(snapshot(0)));
    fs::remove_dir_all(folder).unwrap();
}

/// The other process of the tests above: keeps one generation after another.
#[test]
#[ignore = "is started by other tests"]
#[expect(clippy::print_stdout, reason = "is how it tells the other process")]
fn keep_until_killed() {
    let kept = LastKnownGood::open(std::env::var("KEPT_IN").unwrap().into()).unwrap();
    for version in 1.. {
        match kept.keep(&large(version)) {
            Ok(()) => println!("\nkept {version}"),
            Err(err) => {
                println!("\nrefused: {err:#}");
                return;
            }
        }
    }
}

#[test]
fn a_single_flipped_bit_anywhere_is_noticed() {
    let whole = encode(&snapshot(7)).unwrap();
    for bit in 0..whole.len() * 8 {
        let mut flipped = whole.clone();
        flipped[bit / 8] ^= 1 << (bit % 8);
        // What a flip leaves readable says the same: a letter of a hex digit, white space.
        if let Ok(content) = decode(&flipped) {
            assert_eq!(content.snapshot, snapshot(7), "bit {bit}");
        }
    }
}

#[test]
fn generations_are_listed_with_what_is_wrong_with_them() {
    let kept = kept(&[3, 4], "listed");
    fs::write(&kept.generations()[0], b"{}").unwrap();
    let listed = kept.list();
    assert_eq!(listed[0].content.as_ref().unwrap_err(), "find the head");
    let content = listed[1].content.as_ref().unwrap();
    assert_eq!((listed[1].version, &content.snapshot), (Version(4), &snapshot(4)));
    assert!(content.since > 0);
}

proptest! {
    #[test]
    fn no_bytes_on_disk_make_a_reader_panic(bytes in prop::collection::vec(any::<u8>(), 0..600)) {
        prop_assert!(decode(&bytes).is_err());
    }

    #[test]
    fn no_body_behind_a_good_checksum_makes_a_reader_panic(
        cut in 0usize..600, byte: u8, count in 0usize..4,
    ) {
        let whole = encode(&snapshot(7)).unwrap();
        let head_end = whole.iter().position(|byte| *byte == b'\n').unwrap();
        let mut body = whole[head_end + 1..].to_vec();
        let at = cut % body.len();
        body.splice(at..(at + count).min(body.len()), [byte]);
        let head = Head { schema: SCHEMA, sha256: checksum(&body) };
        let mut file = serde_json::to_vec(&head).unwrap();
        file.push(b'\n');
        file.extend(body);
        if let Ok(content) = decode(&file) {
            // Whatever it says: it can be routed by.
            prop_assert_eq!(content.snapshot.check(), Ok(()));
            for slot in topology::Slot::all().step_by(97) {
                let _routed = content.snapshot.route(slot);
            }
        }
    }
}

/// This test program, keeping generations in a folder; `limits` come before it in a shell.
fn keeper(folder: &Path, limits: &str) -> Command {
    let mut command = Command::new("sh");
    command
        .args(["-c", &format!("{limits}exec \"$0\" \"$@\"")])
        .arg(std::env::current_exe().unwrap())
        .args(["last_known_good::tests::keep_until_killed", "--exact", "--ignored", "--nocapture"])
        .env("KEPT_IN", folder)
        .stderr(Stdio::null());
    command
}

/// Large enough that a kill often falls into the writing.
fn large(version: u64) -> Snapshot {
    let mut snapshot = snapshot(version);
    let cells: Vec<_> = ["c1", "c2"].map(|id| id.parse().unwrap()).into();
    let owners = (0..SLOTS).map(|slot| u16::from(slot % 2 == 0)).collect();
    snapshot.placement = Placement::try_new(Version(2), cells.clone(), owners).unwrap();
    let cell = snapshot.cells[&cells[0]].clone();
    snapshot.cells.insert(cells[1].clone(), cell);
    snapshot
}

fn folder(name: &str) -> PathBuf {
    std::env::temp_dir().join(format!("bulkhead-lkg-{name}-{}", std::process::id()))
}

fn kept(versions: &[u64], name: &str) -> LastKnownGood {
    let folder = folder(name);
    if folder.exists() {
        fs::remove_dir_all(&folder).unwrap();
    }
    let kept = LastKnownGood::open(folder).unwrap();
    for version in versions {
        kept.keep(&snapshot(*version)).unwrap();
    }
    kept
}

fn snapshot(version: u64) -> Snapshot {
    let activation = Activation {
        epoch: Epoch(version),
        phase: Phase::Electing { predecessor: None },
        voters: ["north".parse().unwrap()].into(),
        retired: [].into(),
        acks: 1,
        system: Some(7),
        elected_at: None,
        cause: None,
        reason: String::new(),
    };
    let gateways = [("east".parse().unwrap(), "127.1.1.1:8000".parse().unwrap())].into();
    Snapshot {
        version: Version(version),
        placement: Placement::plan(&[("c1".parse().unwrap(), 1)].into(), Version(2)),
        cells: [("c1".parse().unwrap(), RoutedCell { activation, gateways })].into(),
    }
}
