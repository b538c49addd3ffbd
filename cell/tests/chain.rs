//! The service chain on a real PostgreSQL: what is kept, what is refused, what happens once.

#[cfg(test)]
mod chain {
    mod conversations;
    mod escalation;
    mod postgres;
    mod repetition;
    mod right;
    mod schema;
    mod site;
    mod streams;
    mod tickets;
}
