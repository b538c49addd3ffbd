//! The service chain on a real PostgreSQL: what is kept, what is refused, what happens once.

#[cfg(test)]
mod chain {
    mod agents;
    mod at_risk;
    mod barrier;
    mod commit;
    mod conversations;
    mod escalation;
    mod lagging;
    mod postgres;
    mod repetition;
    mod right;
    mod schema;
    mod site;
    mod sockets;
    mod stale;
    mod streams;
    mod tickets;
}
