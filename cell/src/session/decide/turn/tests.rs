use super::*;

#[test]
fn a_sure_hit_is_answered() {
    check("track_order", "answer a", 0, "answer a");
    check("track_order", "answer a", 2, "answer a");
}

#[test]
fn a_sure_intent_decides_between_articles_with_the_same_words() {
    check("track_order 0.95", "answer a b:intent c", 0, "answer b");
    check("track_order 0.95", "suggest a b:intent c", 0, "answer b");
    check("track_order 0.8", "answer a b:intent", 0, "answer a");
    check("track_order 0.8", "suggest a b:intent", 0, "suggest a b");
    check("track_order 0.95", "answer a:exact b:intent", 0, "answer a");
}

#[test]
fn an_unsure_hit_is_offered_with_the_next_ones() {
    check("track_order", "suggest a b c", 1, "suggest a b c");
}

#[test]
fn nothing_found_is_said_so() {
    check("fallback", "nothing", 1, "fallback");
}

#[test]
fn after_two_unhelpful_answers_a_person_helps() {
    check("fallback", "nothing", 2, "escalate NotUnderstood");
    check("track_order", "suggest a b", 2, "escalate NotUnderstood");
}

#[test]
fn who_asks_for_a_person_or_complains_gets_one() {
    check("human_agent", "nothing", 0, "escalate Asked");
    check("complaint", "nothing", 0, "escalate Complaint");
}

#[test]
fn people_are_told_of_a_conversation_once() {
    for (intent, fallbacks) in [("human_agent", 0), ("complaint", 0), ("fallback", 5)] {
        let mut facts = facts(intent, "nothing", fallbacks);
        facts.escalated = true;
        assert_eq!(decide(facts), Plan::Say(Sentence::Escalated), "{intent}");
    }
}

#[test]
fn without_voters_a_person_is_asked_later_and_people_who_know_already_know() {
    for (intent, why) in [("human_agent", Escalation::Asked), ("complaint", Escalation::Complaint)]
    {
        let mut facts = facts(intent, "nothing", 1);
        facts.at_risk = true;
        let plan = decide(facts.clone());
        assert_eq!(plan, Plan::Postpone(why));
        assert_eq!((plan.is_strong(), plan.trouble()), (false, Some(Trouble::AtRisk)));
        assert_eq!(plan.fallbacks_after(1), 1);
        facts.escalated = true;
        assert_eq!(decide(facts), Plan::Say(Sentence::Escalated), "{intent}");
    }
}

#[test]
fn small_talk_needs_no_knowledge() {
    let mut facts = facts("greet", "nothing", 2);
    facts.found = Err(Trouble::KbUnavailable);
    assert_eq!(decide(facts), Plan::Say(Sentence::Greeting));
}

#[test]
fn whoever_is_missing_makes_it_the_default_answer() {
    let mut without_nlp = facts("greet", "answer a", 0);
    without_nlp.intent = Err(Trouble::BreakerOpen);
    assert_eq!(decide(without_nlp), Plan::Degraded(Trouble::BreakerOpen));
    let mut without_knowledge = facts("track_order", "nothing", 2);
    without_knowledge.found = Err(Trouble::Timeout);
    assert_eq!(decide(without_knowledge), Plan::Degraded(Trouble::Timeout));
}

#[test]
fn only_unhelpful_answers_count_towards_a_person() {
    assert_eq!(Plan::Fallback.fallbacks_after(1), 2);
    assert_eq!(Plan::Suggest(Vec::new()).fallbacks_after(0), 1);
    assert_eq!(Plan::Degraded(Trouble::Timeout).fallbacks_after(1), 1);
    assert_eq!(Plan::Say(Sentence::Greeting).fallbacks_after(2), 0);
}

/// `intent` may be followed by how sure it is; `found` is what the knowledge base decides, and its
/// articles with how they were found.
#[track_caller]
fn check(intent: &str, found: &str, fallbacks: i32, expected: &str) {
    let told = match decide(facts(intent, found, fallbacks)) {
        Plan::Say(sentence) => format!("say {sentence:?}"),
        Plan::Answer(hit) => format!("answer {}", hit.article),
        Plan::Suggest(hits) => {
            let articles: Vec<&str> = hits.iter().map(|hit| hit.article.as_str()).collect();
            format!("suggest {}", articles.join(" "))
        }
        Plan::Escalate(why) => format!("escalate {why:?}"),
        Plan::Postpone(why) => format!("postpone {why:?}"),
        Plan::Fallback => "fallback".to_owned(),
        Plan::Degraded(trouble) => format!("degraded {}", trouble.as_str()),
    };
    assert_eq!(told, expected, "{intent}, {found}, after {fallbacks}");
}

fn facts(intent: &str, found: &str, fallbacks: i32) -> Facts {
    let hits = found.split(' ').skip(1).map(|article| {
        let (article, channel) = match article.split_once(':') {
            Some((article, "exact")) => (article, Channel::Exact),
            Some((article, _)) => (article, Channel::Intent),
            None => (article, Channel::Words),
        };
        let (article, empty) = (article.to_owned(), String::new());
        Hit { article, question: empty.clone(), answer: empty, score: 0.5, channel }
    });
    let found = match found.split(' ').next() {
        Some("answer") => Found::Answer(hits.collect()),
        Some("suggest") => Found::Suggest(hits.collect()),
        _ => Found::Nothing,
    };
    let (intent, confidence) = intent.split_once(' ').unwrap_or((intent, "0.5"));
    let (intent, confidence) = (Ok(Intent::of(intent)), confidence.parse().unwrap());
    Facts { intent, confidence, found: Ok(found), fallbacks, escalated: false, at_risk: false }
}
