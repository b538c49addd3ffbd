//! What the bot says that is in no article.

use super::decide::turn::{Escalation, Sentence};
use crate::text::Language;

/// Returns one of the sentences the bot always says the same way.
pub(super) fn sentence(sentence: Sentence, language: Language) -> &'static str {
    match (sentence, language) {
        (Sentence::Greeting, Language::Zh) => "您好，很高兴为您服务！请问有什么可以帮您？",
        (Sentence::Greeting, Language::En) => "Hello! How can I help you today?",
        (Sentence::Farewell, Language::Zh) => "感谢您的咨询，祝您生活愉快，再见！",
        (Sentence::Farewell, Language::En) => "Thank you for getting in touch. Goodbye!",
        (Sentence::Welcome, Language::Zh) => "不客气，还有其他可以帮您的吗？",
        (Sentence::Welcome, Language::En) => "You're welcome. Is there anything else I can do?",
        (Sentence::Menu, Language::Zh) => {
            "我可以帮您查询订单、配送、退换货、退款、发票、优惠券和账户问题。说“转人工”可以联系人工客服。"
        }
        (Sentence::Menu, Language::En) => {
            "I can help with orders, delivery, returns, refunds, invoices, coupons and your account. \
             Say \"talk to a person\" to reach our team."
        }
        (Sentence::GoOn, Language::Zh) => "好的。还有其他可以帮您的吗？",
        (Sentence::GoOn, Language::En) => "Great. Is there anything else I can help with?",
        (Sentence::Rephrase, Language::Zh) => "好的，请换个说法再告诉我您的问题。",
        (Sentence::Rephrase, Language::En) => "I see. Could you put your question another way?",
        (Sentence::Escalated, Language::Zh) => {
            "您的问题已经转交人工客服，工单正在处理中，请耐心等待。"
        }
        (Sentence::Escalated, Language::En) => {
            "Our team already has your request and is working on it. They will get back to you."
        }
    }
}

pub(super) fn escalation(why: Escalation, language: Language) -> &'static str {
    match (why, language) {
        (Escalation::Asked, Language::Zh) => {
            "好的，已为您转接人工客服并创建工单，我们会尽快联系您。"
        }
        (Escalation::Asked, Language::En) => {
            "Of course. I have opened a ticket for our team, and a person will get back to you soon."
        }
        (Escalation::Complaint, Language::Zh) => {
            "非常抱歉给您带来不好的体验，已为您创建投诉工单，人工客服会优先处理。"
        }
        (Escalation::Complaint, Language::En) => {
            "I'm sorry about that. I have opened a ticket for your complaint, and a person will look into it first."
        }
        (Escalation::NotUnderstood, Language::Zh) => {
            "抱歉，我没能解决您的问题，已为您创建工单并转接人工客服。"
        }
        (Escalation::NotUnderstood, Language::En) => {
            "I'm sorry I couldn't help. I have opened a ticket so that a person can take over."
        }
    }
}

/// Said instead, while a ticket cannot be promised.
pub(super) fn postponed(language: Language) -> &'static str {
    match language {
        Language::Zh => "暂时无法创建工单，您的请求已记录，恢复后会尽快转交人工客服。",
        Language::En => {
            "I cannot open a ticket for our team right now. I have noted your request and will pass \
             it on as soon as I can."
        }
    }
}

/// Returns what a ticket is about, for the people who work on it.
pub(super) fn subject(why: Escalation, language: Language) -> &'static str {
    match (why, language) {
        (Escalation::Asked, Language::Zh) => "客户要求转人工",
        (Escalation::Asked, Language::En) => "Customer asks for a person",
        (Escalation::Complaint, Language::Zh) => "客户投诉",
        (Escalation::Complaint, Language::En) => "Complaint",
        (Escalation::NotUnderstood, Language::Zh) => "机器人未能解决问题",
        (Escalation::NotUnderstood, Language::En) => "The bot could not help",
    }
}

pub(super) fn fallback(language: Language) -> &'static str {
    match language {
        Language::Zh => "抱歉，我没有听懂。您可以换个说法，或者说“转人工”。",
        Language::En => {
            "Sorry, I didn't understand that. Try other words, or say \"talk to a person\"."
        }
    }
}

pub(super) fn suggestions(language: Language) -> &'static str {
    match language {
        Language::Zh => "您是不是想问：",
        Language::En => "Did you mean one of these?",
    }
}

/// The default answer when somebody who was needed does not answer.
pub(super) fn degraded(language: Language) -> &'static str {
    match language {
        Language::Zh => "当前咨询量较大，请稍后再试",
        Language::En => "We are busy right now, please try again shortly",
    }
}
