use super::*;

#[test]
fn a_sure_hit_is_answered() {
    check("track_order", "a 0.9, b 0.6", 0, "answer a");
    check("track_order", "a 0.9", 2, "answer a");
}

#[test]
fn an_unsure_hit_is_offered_with_the_next_ones() {
    check("track_order", "a 0.4, b 0.3, c 0.2, d 0.16", 0, "suggest a b c");
    check("track_order", "a 0.4, b 0.1", 1, "suggest a");
}

#[test]
fn nothing_found_is_said_so() {
    check("fallback", "a 0.1", 0, "fallback");
    check("fallback", "", 1, "fallback");
}

#[test]
fn after_two_unhelpful_answers_a_person_helps() {
    check("fallback", "", 2, "escalate NotUnderstood");
    check("track_order", "a 0.4, b 0.3", 2, "escalate NotUnderstood");
}

#[test]
fn who_asks_for_a_person_or_complains_gets_one() {
    check("human_agent", "", 0, "escalate Asked");
    check("complaint", "", 0, "escalate Complaint");
}

#[test]
fn people_are_told_of_a_conversation_once() {
    for (intent, fallbacks) in [("human_agent", 0), ("complaint", 0), ("fallback", 5)] {
        let mut facts = facts(intent, "", fallbacks);
        facts.escalated = true;
        assert_eq!(decide(facts), Plan::Say(Sentence::Escalated), "{intent}");
    }
}

#[test]
fn small_talk_needs_no_knowledge() {
    let mut facts = facts("greet", "", 2);
    facts.hits = Err(Trouble::KbUnavailable);
    assert_eq!(decide(facts), Plan::Say(Sentence::Greeting));
}

#[test]
fn whoever_is_missing_makes_it_the_default_answer() {
    let mut without_nlp = facts("greet", "a 0.9", 0);
    without_nlp.intent = Err(Trouble::BreakerOpen);
    assert_eq!(decide(without_nlp), Plan::Degraded(Trouble::BreakerOpen));
    let mut without_knowledge = facts("track_order", "", 2);
    without_knowledge.hits = Err(Trouble::Timeout);
    assert_eq!(decide(without_knowledge), Plan::Degraded(Trouble::Timeout));
}

#[test]
fn only_unhelpful_answers_count_towards_a_person() {
    assert_eq!(Plan::Fallback.fallbacks_after(1), 2);
    assert_eq!(Plan::Suggest(Vec::new()).fallbacks_after(0), 1);
    assert_eq!(Plan::Degraded(Trouble::Timeout).fallbacks_after(1), 1);
    assert_eq!(Plan::Say(Sentence::Greeting).fallbacks_after(2), 0);
}

/// `hits` are articles and their scores.
#[track_caller]
fn check(intent: &str, hits: &str, fallbacks: i32, expected: &str) {
    let names =
        |hits: &[Hit]| -> Vec<String> { hits.iter().map(|hit| hit.article.clone()).collect() };
    let told = match decide(facts(intent, hits, fallbacks)) {
        Plan::Say(sentence) => format!("say {sentence:?}"),
        Plan::Answer(hit) => format!("answer {}", hit.article),
        Plan::Suggest(hits) => format!("suggest {}", names(&hits).join(" ")),
        Plan::Escalate(why) => format!("escalate {why:?}"),
        Plan::Fallback => "fallback".to_owned(),
        Plan::Degraded(trouble) => format!("degraded {}", trouble.as_str()),
    };
    assert_eq!(told, expected, "{intent}, {hits}, after {fallbacks}");
}

fn facts(intent: &str, hits: &str, fallbacks: i32) -> Facts {
    let hits = hits.split(", ").filter(|hit| !hit.is_empty()).map(|hit| {
        let (article, score) = hit.split_once(' ').unwrap();
        Hit {
            article: article.to_owned(),
            question: String::new(),
            answer: String::new(),
            score: score.parse().unwrap(),
        }
    });
    Facts { intent: Ok(Intent::of(intent)), hits: Ok(hits.collect()), fallbacks, escalated: false }
}
