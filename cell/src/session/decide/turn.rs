//! Decides what the bot does in a turn.

/// What the user wants, as far as the session acts on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Intent {
    HumanAgent,
    Complaint,
    Greet,
    Goodbye,
    Thank,
    Help,
    Affirm,
    Deny,
    /// Something to look up; understood or not.
    Topic,
}

impl Intent {
    /// Reads the name the language model gives.
    #[must_use]
    pub fn of(name: &str) -> Self {
        match name {
            "human_agent" => Self::HumanAgent,
            "complaint" => Self::Complaint,
            "greet" => Self::Greet,
            "goodbye" => Self::Goodbye,
            "thank" => Self::Thank,
            "help_menu" => Self::Help,
            "affirm" => Self::Affirm,
            "deny" => Self::Deny,
            _ => Self::Topic,
        }
    }

    /// Returns whether the knowledge base is asked.
    #[must_use]
    pub fn is_topic(self) -> bool {
        self == Self::Topic
    }
}

/// Something the knowledge base found.
#[derive(Clone, Debug, PartialEq)]
pub struct Hit {
    pub article: String,
    pub question: String,
    pub answer: String,
    /// How likely it is what was asked for, 0 to 1.
    pub score: f64,
}

/// Why a neighbour's answer is not there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Trouble {
    BreakerOpen,
    Timeout,
    Overload,
    NluUnavailable,
    KbUnavailable,
}

impl Trouble {
    pub const ALL: [Self; 5] = [
        Self::BreakerOpen,
        Self::Timeout,
        Self::Overload,
        Self::NluUnavailable,
        Self::KbUnavailable,
    ];

    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::BreakerOpen => "breaker_open",
            Self::Timeout => "timeout",
            Self::Overload => "overload",
            Self::NluUnavailable => "nlu_unavailable",
            Self::KbUnavailable => "kb_unavailable",
        }
    }
}

/// What is known when a turn is decided.
#[derive(Clone, Debug)]
pub struct Facts {
    pub intent: Result<Intent, Trouble>,
    /// What was found, best first; empty where nothing was asked.
    pub hits: Result<Vec<Hit>, Trouble>,
    /// Answers in a row before this one that were no help.
    pub fallbacks: i32,
    /// Whether people already know of the conversation.
    pub escalated: bool,
}

/// What the bot says, and what follows from it.
#[derive(Clone, Debug, PartialEq)]
pub enum Plan {
    /// One of the sentences it always says the same way.
    Say(Sentence),
    /// The answer of one article.
    Answer(Hit),
    /// Which of these did you mean?
    Suggest(Vec<Hit>),
    /// A person is asked to help, by a ticket.
    Escalate(Escalation),
    /// Not understood.
    Fallback,
    /// The default answer, because somebody who was needed does not answer.
    Degraded(Trouble),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sentence {
    Greeting,
    Farewell,
    Welcome,
    Menu,
    GoOn,
    Rephrase,
    /// People know already.
    Escalated,
}

/// Why a person is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Escalation {
    Asked,
    Complaint,
    NotUnderstood,
}

/// From here on an article's answer is given at once.
pub const ANSWER_FROM: f64 = 0.5;
/// From here on an article is worth offering.
pub const SUGGEST_FROM: f64 = 0.15;
/// Offered at most; the right one is among three in 98 of 100 cases.
pub const SUGGESTIONS: usize = 3;
/// After so many unhelpful answers in a row the next one is a person.
pub const FALLBACKS_MAX: i32 = 2;

/// Returns what the bot does.
#[must_use]
pub fn decide(facts: Facts) -> Plan {
    let hits = match (facts.intent, facts.hits) {
        (Err(trouble), _) => return Plan::Degraded(trouble),
        (Ok(Intent::HumanAgent), _) => return escalate(Escalation::Asked, facts.escalated),
        (Ok(Intent::Complaint), _) => return escalate(Escalation::Complaint, facts.escalated),
        (Ok(Intent::Greet), _) => return Plan::Say(Sentence::Greeting),
        (Ok(Intent::Goodbye), _) => return Plan::Say(Sentence::Farewell),
        (Ok(Intent::Thank), _) => return Plan::Say(Sentence::Welcome),
        (Ok(Intent::Help), _) => return Plan::Say(Sentence::Menu),
        (Ok(Intent::Affirm), _) => return Plan::Say(Sentence::GoOn),
        (Ok(Intent::Deny), _) => return Plan::Say(Sentence::Rephrase),
        (Ok(Intent::Topic), Err(trouble)) => return Plan::Degraded(trouble),
        (Ok(Intent::Topic), Ok(hits)) => hits,
    };
    let mut likely: Vec<Hit> = hits.into_iter().filter(|hit| hit.score >= SUGGEST_FROM).collect();
    if likely.first().is_some_and(|best| best.score >= ANSWER_FROM) {
        return Plan::Answer(likely.swap_remove(0));
    }
    if facts.fallbacks >= FALLBACKS_MAX {
        return escalate(Escalation::NotUnderstood, facts.escalated);
    }
    if likely.is_empty() {
        return Plan::Fallback;
    }
    likely.truncate(SUGGESTIONS);
    Plan::Suggest(likely)
}

fn escalate(why: Escalation, escalated: bool) -> Plan {
    if escalated { Plan::Say(Sentence::Escalated) } else { Plan::Escalate(why) }
}

impl Plan {
    /// Returns how many unhelpful answers in a row there are after this one.
    #[must_use]
    pub fn fallbacks_after(&self, before: i32) -> i32 {
        match self {
            Self::Fallback | Self::Suggest(_) => before.saturating_add(1),
            // Not the bot's understanding is at fault.
            Self::Degraded(_) => before,
            Self::Say(_) | Self::Answer(_) | Self::Escalate(_) => 0,
        }
    }

    /// Returns whether what follows must survive the loss of a region.
    #[must_use]
    pub fn is_strong(&self) -> bool {
        match self {
            Self::Escalate(_) => true,
            Self::Say(_)
            | Self::Answer(_)
            | Self::Suggest(_)
            | Self::Fallback
            | Self::Degraded(_) => false,
        }
    }
}

#[cfg(test)]
mod tests;
