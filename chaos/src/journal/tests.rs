use super::*;

struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        Self(std::env::temp_dir().join(format!("chaos-journal-{name}-{}", std::process::id())))
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        fs::remove_dir_all(&self.0).unwrap();
    }
}

fn begun() -> Record {
    let own = own().unwrap();
    Record::Begun { run: "r".to_owned(), boot: boot_id().unwrap(), runner: own, guard: own }
}

/// Of a file that is removed.
fn intent(folder: &Path, number: u32, until: u64) -> Record {
    let path = folder.join(format!("made-{number}"));
    fs::write(&path, "").unwrap();
    Record::Intent { step: Step(number), until, undo: undo(path) }
}

fn undo(path: PathBuf) -> Undo {
    Undo::Hold { path, reason: "drill r".to_owned() }
}

#[test]
fn what_was_intended_is_taken_away_the_last_first_and_only_once() {
    let folder = Folder::new("order");
    let mut journal = Journal::create(&folder.0, &begun()).unwrap();
    let intents: Vec<Record> = (0..3).map(|at| intent(&folder.0, at, u64::MAX)).collect();
    journal.append(&intents).unwrap();
    journal.append(&[Record::Applied { steps: (0..3).map(Step).collect() }]).unwrap();
    fs::remove_file(folder.0.join("made-1")).unwrap();
    let mut left = Vec::new();
    let count = || (0..3).filter(|at| folder.0.join(format!("made-{at}")).exists()).count();
    let failed = journal.heal(Due::All, By::Guard, || left.push(count())).unwrap();
    assert_eq!((failed, left), (Vec::new(), vec![1, 1, 0]));
    let told = of(&folder.0).unwrap().unwrap();
    assert_eq!((told.open.len(), told.reverted, told.is_closed), (0, 3, false));
    journal.heal(Due::All, By::Runner, || panic!("nothing is left")).unwrap();
}

#[test]
fn what_is_over_is_taken_away_and_the_rest_stays() {
    let folder = Folder::new("due");
    let mut journal = Journal::create(&folder.0, &begun()).unwrap();
    journal.append(&[intent(&folder.0, 0, 7), intent(&folder.0, 1, 9)]).unwrap();
    let told = of(&folder.0).unwrap().unwrap();
    assert_eq!(told.first_due(), Some(BootTime::from_nanos(7)));
    journal.heal(Due::By(BootTime::from_nanos(8)), By::Guard, || ()).unwrap();
    let told = of(&folder.0).unwrap().unwrap();
    assert_eq!(told.open.keys().collect::<Vec<_>>(), [&Step(1)]);
}

#[test]
fn what_a_living_drill_has_not_done_yet_is_looked_for_again() {
    let folder = Folder::new("early");
    let mut journal = Journal::create(&folder.0, &begun()).unwrap();
    let made = folder.0.join("made-0");
    journal.append(&[intent(&folder.0, 0, u64::MAX)]).unwrap();
    fs::remove_file(&made).unwrap();
    journal.heal(Due::All, By::Guard, || ()).unwrap();
    fs::write(&made, "").unwrap();
    journal.heal(Due::All, By::Guard, || ()).unwrap();
    assert!(!made.exists());
    assert_eq!(of(&folder.0).unwrap().unwrap().reverted, 1);
}

#[test]
fn a_line_cut_short_within_a_character_is_one_that_means_nothing() {
    let folder = Folder::new("character");
    let mut journal = Journal::create(&folder.0, &begun()).unwrap();
    let mut file = OpenOptions::new().append(true).open(folder.0.join(FILE)).unwrap();
    let cut = "{\"record\": \"injecting\", \"what\": \"东".as_bytes();
    file.write_all(&cut[..cut.len() - 1]).unwrap();
    journal.append(&[intent(&folder.0, 0, 1)]).unwrap();
    let told = of(&folder.0).unwrap().unwrap();
    assert_eq!((told.open.len(), told.cut_short), (1, 1));
}

#[test]
fn a_line_cut_short_by_a_crash_swallows_neither_the_one_before_nor_the_one_after() {
    let folder = Folder::new("cut");
    let mut journal = Journal::create(&folder.0, &begun()).unwrap();
    journal.append(&[intent(&folder.0, 0, 1)]).unwrap();
    let mut file = OpenOptions::new().append(true).open(folder.0.join(FILE)).unwrap();
    file.write_all(b"{\"record\":\"intent\",\"st").unwrap();
    assert_eq!(of(&folder.0).unwrap().unwrap().open.len(), 1);
    Journal::open(&folder.0).unwrap().append(&[Record::Closed { by: By::Recover }]).unwrap();
    let told = of(&folder.0).unwrap().unwrap();
    assert_eq!((told.open.len(), told.cut_short, told.is_closed), (1, 1, true));
}

#[test]
fn one_that_cannot_be_taken_away_is_told_and_does_not_keep_the_others() {
    let folder = Folder::new("failed");
    let mut journal = Journal::create(&folder.0, &begun()).unwrap();
    let of_a_folder = undo(folder.0.clone());
    let step = Step(1);
    let cannot = Record::Intent { step, until: 1, undo: of_a_folder };
    journal.append(&[intent(&folder.0, 0, 1), cannot]).unwrap();
    let failed = journal.heal(Due::All, By::Runner, || ()).unwrap();
    assert_eq!(failed.len(), 1);
    let told = of(&folder.0).unwrap().unwrap();
    assert_eq!(told.open.keys().collect::<Vec<_>>(), [&step]);
    assert!(!folder.0.join("made-0").exists());
}

#[test]
fn after_a_restart_of_the_machine_nobody_else_with_the_same_pid_is_meant() {
    let folder = Folder::new("boot");
    let own = own().unwrap();
    let (run, boot) = ("r".to_owned(), "another".to_owned());
    let begun = Record::Begun { run, boot, runner: own, guard: own };
    let mut journal = Journal::create(&folder.0, &begun).unwrap();
    let label = "no-process-has-this".to_owned();
    let file = intent(&folder.0, 0, 1);
    let of_process = Record::Intent { step: Step(1), until: 1, undo: Undo::End { label } };
    journal.append(&[file, of_process]).unwrap();
    journal.heal(Due::All, By::Recover, || ()).unwrap();
    let text = fs::read_to_string(folder.0.join(FILE)).unwrap();
    assert!(text.contains(r#"{"record":"gone","step":1,"by":"recover"}"#), "{text}");
    assert!(text.contains(r#"{"record":"reverted","step":0,"by":"recover"}"#), "{text}");
}
