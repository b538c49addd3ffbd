//! What is known of users' messages: acknowledged ones, and those that are in their conversations in the end.

use std::collections::BTreeMap;

use crate::course::{ConversationRead, Course};
use crate::history::{Effect, Kind, Operation, Outcome};

/// A user's acknowledged messages, and the numbers they were told.
pub(super) type Acked<'a> = Vec<(&'a Operation, u64)>;

pub(super) fn acknowledged(course: &Course) -> BTreeMap<usize, Acked<'_>> {
    let mut users: BTreeMap<usize, Acked<'_>> = BTreeMap::new();
    for operation in course.operations.iter().filter(|op| op.kind == Kind::Message) {
        if let Outcome::Ok(Effect::Message { seq }) = &operation.outcome {
            users.entry(operation.user).or_default().push((operation, *seq));
        }
    }
    users
}

/// Returns the numbers and operations that are left in a user's conversation, or why that is not known.
pub(super) fn stored(course: &Course, user: usize) -> Result<&[(u64, u32)], String> {
    let name = &course.users[user].name;
    match course.final_state.conversations.get(&user) {
        Some(ConversationRead::Messages(stored)) => Ok(stored),
        Some(ConversationRead::Unread(why)) => Err(format!("conversation of {name}: {why}")),
        None => Err(format!("conversation of {name} was not read back")),
    }
}
