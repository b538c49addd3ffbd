//! No process of the platform has logged a panic, a failed assertion or damaged data in the run, but for what the
//! drill says is to be expected (`allow-logs`).

use super::Finding;
use crate::course::Course;
use crate::logs::LogsRead;

pub(super) fn check(course: &Course) -> Finding {
    match &course.final_state.logs {
        None => Finding::Unknown(vec!["nobody looked at the logs".to_owned()]),
        Some(LogsRead::Unread(why)) => Finding::Unknown(vec![why.clone()]),
        Some(LogsRead::Read { grave, gaps }) => Finding::from_evidence(grave.clone(), gaps.clone()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn found(logs: Option<LogsRead>, expected: &Finding) {
        let mut course = Course::default();
        course.final_state.logs = logs;
        assert_eq!(check(&course), *expected);
    }

    #[test]
    fn clean_logs_are_right_and_what_they_say_or_lack_is_told() {
        let line = |text: &str| vec![text.to_owned()];
        let read = |grave, gaps| Some(LogsRead::Read { grave, gaps });
        found(read(Vec::new(), Vec::new()), &Finding::Pass);
        found(read(line("a"), line("b")), &Finding::Fail(line("a")));
        found(read(Vec::new(), line("b")), &Finding::Unknown(line("b")));
        found(Some(LogsRead::Unread("c".to_owned())), &Finding::Unknown(line("c")));
        found(None, &Finding::Unknown(line("nobody looked at the logs")));
    }
}
