use std::fmt::Write as _;

use super::*;

#[test]
fn a_token_opens_as_whoever_has_its_hash() {
    let text = format!("# who\n\nmei operator {}\n  auditor viewer {}\n", hash("m"), hash("a"));
    let callers = callers(&text);
    let mei = Caller { name: "mei".to_owned(), role: Role::Operator };
    assert_eq!(callers.verify("m"), Some(mei));
    let auditor = Caller { name: "auditor".to_owned(), role: Role::Viewer };
    assert_eq!(callers.verify("a"), Some(auditor));
    for wrong in ["", "M", "mm", &hash("m")] {
        assert_eq!(callers.verify(wrong), None, "{wrong:?}");
    }
}

#[test]
fn a_name_may_have_two_tokens_while_one_replaces_the_other() {
    let callers = callers(&format!("mei admin {}\nmei admin {}\n", hash("old"), hash("new")));
    assert_eq!(callers.verify("old"), callers.verify("new"));
}

#[test]
fn everything_wrong_is_said_at_once_and_no_token_with_it() {
    let (one, two) = (hash("1"), hash("2"));
    let text = format!(
        "mei operator {one}\nmei admin {two}\nling boss {two}\nling viewer my-secret\nling\n\
         o\"k viewer {one}\nzhang viewer {one}"
    );
    let expected = [
        "line 2: \"mei\" is operator above; one role each",
        "line 3: \"boss\" is no role; there are viewer, operator and admin",
        "line 4: the hash is not 64 hexadecimal digits, as of sha256sum",
        "line 5: 1 words, not the three NAME ROLE SHA256",
        "line 6: a name is at most 64 letters, digits and any of -_.@, not \"o\\\"k\"",
        "line 7: this hash is on a line above already",
    ];
    assert_eq!(parse(&text).unwrap_err(), expected);
}

#[test]
fn a_file_without_anybody_is_a_mistake() {
    assert_eq!(parse("# nobody\n").unwrap_err().len(), 1);
}

#[test]
fn roles_grow() {
    assert!(Role::Viewer < Role::Operator && Role::Operator < Role::Admin);
}

fn callers(text: &str) -> Callers {
    let known = Arc::new(parse(text).unwrap());
    Callers { path: Arc::default(), known: watch::channel(known).0 }
}

fn hash(token: &str) -> String {
    Sha256::digest(token.as_bytes()).iter().fold(String::new(), |mut text, byte| {
        write!(text, "{byte:02x}").unwrap();
        text
    })
}
