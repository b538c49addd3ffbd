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
    pub channel: Channel,
}

/// How an article was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Channel {
    /// The text is one of its questions.
    Exact,
    /// The text's intent is the article's.
    Intent,
    /// By its words.
    Words,
}

/// What the knowledge base says of a text, best first; it knows what its scores mean.
#[derive(Clone, Debug, PartialEq)]
pub enum Found {
    /// The first of these answers it.
    Answer(Vec<Hit>),
    /// One of these may be meant.
    Suggest(Vec<Hit>),
    Nothing,
}

/// Why the answer is not what it should be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Trouble {
    BreakerOpen,
    Timeout,
    Overload,
    NluUnavailable,
    KbUnavailable,
    /// Nobody's answer: what follows is strong, and too few voters are there.
    AtRisk,
}

impl Trouble {
    pub const ALL: [Self; 6] = [
        Self::BreakerOpen,
        Self::Timeout,
        Self::Overload,
        Self::NluUnavailable,
        Self::KbUnavailable,
        Self::AtRisk,
    ];

    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::BreakerOpen => "breaker_open",
            Self::Timeout => "timeout",
            Self::Overload => "overload",
            Self::NluUnavailable => "nlu_unavailable",
            Self::KbUnavailable => "kb_unavailable",
            Self::AtRisk => "at_risk",
        }
    }
}

/// What is known when a turn is decided.
#[derive(Clone, Debug)]
pub struct Facts {
    pub intent: Result<Intent, Trouble>,
    /// How sure the language model is of the intent, 0 to 1.
    pub confidence: f64,
    /// Nothing where nothing was asked.
    pub found: Result<Found, Trouble>,
    /// Answers in a row before this one that were no help.
    pub fallbacks: i32,
    /// Whether people already know of the conversation.
    pub escalated: bool,
    /// Whether too few voters are there for a ticket to be promised.
    pub at_risk: bool,
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
    /// A person will be asked as soon as that can be promised.
    Postpone(Escalation),
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

/// An intent this sure says more than words that happen to be common with another article:
/// "Where is my order?" and "Where is the cancel button for my order?".
pub const SURE: f64 = 0.9;
/// Offered at most; the right one is among three in 98 of 100 cases.
pub const SUGGESTIONS: usize = 3;
/// After so many unhelpful answers in a row the next one is a person.
pub const FALLBACKS_MAX: i32 = 2;

/// Returns what the bot does.
#[must_use]
pub fn decide(facts: Facts) -> Plan {
    let escalate = |why| match (facts.escalated, facts.at_risk) {
        (true, _) => Plan::Say(Sentence::Escalated),
        (false, false) => Plan::Escalate(why),
        (false, true) => Plan::Postpone(why),
    };
    let intent = match facts.intent {
        Ok(intent) => intent,
        Err(trouble) => return Plan::Degraded(trouble),
    };
    match intent {
        Intent::HumanAgent => escalate(Escalation::Asked),
        Intent::Complaint => escalate(Escalation::Complaint),
        Intent::Greet => Plan::Say(Sentence::Greeting),
        Intent::Goodbye => Plan::Say(Sentence::Farewell),
        Intent::Thank => Plan::Say(Sentence::Welcome),
        Intent::Help => Plan::Say(Sentence::Menu),
        Intent::Affirm => Plan::Say(Sentence::GoOn),
        Intent::Deny => Plan::Say(Sentence::Rephrase),
        Intent::Topic => match facts.found.map(|found| intended(found, facts.confidence)) {
            Err(trouble) => Plan::Degraded(trouble),
            Ok(Choice::Answer(hit)) => Plan::Answer(hit),
            Ok(Choice::Suggest(_) | Choice::Nothing) if facts.fallbacks >= FALLBACKS_MAX => {
                escalate(Escalation::NotUnderstood)
            }
            Ok(Choice::Suggest(hits)) => Plan::Suggest(hits),
            Ok(Choice::Nothing) => Plan::Fallback,
        },
    }
}

enum Choice {
    Answer(Hit),
    Suggest(Vec<Hit>),
    Nothing,
}

/// Weighs what was found against what was understood.
fn intended(found: Found, confidence: f64) -> Choice {
    let (mut hits, sure) = match found {
        Found::Answer(hits) => (hits, true),
        Found::Suggest(hits) => (hits, false),
        Found::Nothing => return Choice::Nothing,
    };
    let at = |channel| hits.iter().position(|hit: &Hit| hit.channel == channel);
    let answer = match (at(Channel::Exact), at(Channel::Intent)) {
        (Some(exact), _) => Some(exact),
        (None, Some(intended)) if confidence >= SURE => Some(intended),
        (None, _) => sure.then_some(0),
    };
    match answer {
        Some(at) if at < hits.len() => Choice::Answer(hits.swap_remove(at)),
        Some(_) => Choice::Nothing,
        None => Choice::Suggest(hits),
    }
}

impl Plan {
    /// Returns how many unhelpful answers in a row there are after this one.
    #[must_use]
    pub fn fallbacks_after(&self, before: i32) -> i32 {
        match self {
            Self::Fallback | Self::Suggest(_) => before.saturating_add(1),
            // Not the bot's understanding is at fault.
            Self::Degraded(_) | Self::Postpone(_) => before,
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
            | Self::Postpone(_)
            | Self::Degraded(_) => false,
        }
    }

    /// Returns why the answer is not what it should be, if it is not.
    #[must_use]
    pub fn trouble(&self) -> Option<Trouble> {
        match self {
            Self::Degraded(trouble) => Some(*trouble),
            Self::Postpone(_) => Some(Trouble::AtRisk),
            Self::Say(_)
            | Self::Answer(_)
            | Self::Suggest(_)
            | Self::Escalate(_)
            | Self::Fallback => None,
        }
    }
}

#[cfg(test)]
mod tests;
