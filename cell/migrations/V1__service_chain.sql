-- The service chain: conversations, their messages and turns, tickets, and what makes writes safe
-- to repeat and to pass on.
--
-- Every user-owned table's primary key begins with `slot`: a slot's rows can be moved to another
-- cell by one filter. Ids are UUIDv7, made by the services: no sequence has to move along.

-- Weak by default; strong transactions say `SET LOCAL synchronous_commit = on`.
ALTER ROLE service SET synchronous_commit = local;

-- Refuses to commit a change that must survive the loss of a region under a weaker promise.
CREATE FUNCTION require_strong_commit() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF current_setting('synchronous_commit') <> 'on' THEN
        RAISE EXCEPTION 'change % with synchronous_commit = on, not %',
            TG_TABLE_NAME, current_setting('synchronous_commit')
            USING ERRCODE = 'integrity_constraint_violation';
    END IF;
    RETURN NULL;
END
$$;

-- Which epochs this database has been active in. Belongs to the cell, not to a user.
CREATE TABLE cell_epoch (
    epoch      bigint PRIMARY KEY,
    region     text NOT NULL,
    timeline   integer NOT NULL,
    opened_at  timestamptz NOT NULL DEFAULT now()
);

CREATE TABLE conversations (
    slot             smallint NOT NULL,
    conversation_id  uuid NOT NULL,
    user_id          text NOT NULL,
    channel          text NOT NULL,
    -- Null: each message's own language.
    locale           text,
    metadata         jsonb NOT NULL,
    -- bot, or queued once a ticket has been asked for.
    status           text NOT NULL DEFAULT 'bot' CHECK (status IN ('bot', 'queued')),
    -- The row's lock orders a conversation's messages; this is the next one's number.
    next_seq         bigint NOT NULL DEFAULT 1,
    ticket_id        uuid,
    created_at       timestamptz NOT NULL DEFAULT now(),
    last_activity_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (slot, conversation_id)
);
CREATE INDEX conversations_of_user ON conversations (slot, user_id, conversation_id DESC);

CREATE TABLE messages (
    slot              smallint NOT NULL,
    conversation_id   uuid NOT NULL,
    seq               bigint NOT NULL,
    message_id        uuid NOT NULL,
    client_message_id text,
    author            text NOT NULL CHECK (author IN ('contact', 'bot')),
    kind              text NOT NULL CHECK (kind IN ('text', 'choices')),
    text              text NOT NULL,
    choices           jsonb NOT NULL DEFAULT '[]',
    locale            text NOT NULL,
    in_reply_to       uuid,
    -- What the bot understood and where its words come from; null on a contact's message.
    nlu               jsonb,
    source            jsonb,
    degraded_reason   text,
    created_at        timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (slot, conversation_id, seq),
    UNIQUE (slot, message_id),
    FOREIGN KEY (slot, conversation_id) REFERENCES conversations,
    FOREIGN KEY (slot, in_reply_to) REFERENCES messages (slot, message_id),
    CHECK ((author = 'bot') = (in_reply_to IS NOT NULL))
);
CREATE UNIQUE INDEX messages_of_client
    ON messages (slot, conversation_id, client_message_id) WHERE client_message_id IS NOT NULL;
-- A turn is answered once, whoever answers it.
CREATE UNIQUE INDEX replies ON messages (slot, in_reply_to) WHERE author = 'bot';

-- Messages still without a reply: written with the message, removed with the reply.
CREATE TABLE open_turns (
    slot            smallint NOT NULL,
    message_id      uuid NOT NULL,
    conversation_id uuid NOT NULL,
    opened_at       timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (slot, message_id),
    FOREIGN KEY (slot, message_id) REFERENCES messages (slot, message_id)
);
CREATE INDEX open_turns_by_age ON open_turns (opened_at);

CREATE TABLE dialogue_state (
    slot            smallint NOT NULL,
    conversation_id uuid NOT NULL,
    active_intent   text,
    last_article    text,
    -- Answers in a row that were no help.
    fallbacks       integer NOT NULL DEFAULT 0,
    updated_at      timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (slot, conversation_id),
    FOREIGN KEY (slot, conversation_id) REFERENCES conversations
);

CREATE TABLE slot_counters (
    slot    smallint NOT NULL,
    counter text NOT NULL,
    value   bigint NOT NULL,
    PRIMARY KEY (slot, counter)
);

CREATE TABLE tickets (
    slot            smallint NOT NULL,
    ticket_id       uuid NOT NULL,
    number          bigint NOT NULL,
    user_id         text NOT NULL,
    subject         text NOT NULL,
    description     text NOT NULL,
    status          text NOT NULL CHECK (
        status IN ('new', 'open', 'pending', 'on_hold', 'solved', 'closed', 'cancelled')),
    priority        text NOT NULL CHECK (priority IN ('low', 'normal', 'high', 'urgent')),
    -- No foreign key: a ticket may be written while its conversation's row is only weakly so.
    conversation_id uuid,
    version         bigint NOT NULL DEFAULT 1,
    created_at      timestamptz NOT NULL DEFAULT now(),
    updated_at      timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (slot, ticket_id),
    UNIQUE (slot, number)
);
CREATE INDEX tickets_of_user ON tickets (slot, user_id, ticket_id DESC);

CREATE TABLE ticket_transitions (
    slot        smallint NOT NULL,
    ticket_id   uuid NOT NULL,
    version     bigint NOT NULL,
    from_status text,
    to_status   text NOT NULL,
    actor       text NOT NULL,
    reason      text,
    at          timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (slot, ticket_id, version),
    FOREIGN KEY (slot, ticket_id) REFERENCES tickets
);

-- One effect and one answer per key, written in the transaction that has the effect (I9).
CREATE TABLE idempotency_keys (
    slot        smallint NOT NULL,
    user_id     text NOT NULL,
    key         text NOT NULL,
    fingerprint bytea NOT NULL,
    -- Null while the transaction that writes them is still going on.
    status      smallint,
    body        jsonb,
    created_at  timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (slot, user_id, key)
);
CREATE INDEX idempotency_keys_by_age ON idempotency_keys (created_at);

-- What others must hear of, written with what happened.
CREATE TABLE outbox (
    slot         smallint NOT NULL,
    outbox_id    uuid NOT NULL,
    topic        text NOT NULL CHECK (topic IN ('ticket-requests', 'session-updates')),
    user_id      text NOT NULL,
    subject      uuid NOT NULL,
    payload      jsonb NOT NULL,
    created_at   timestamptz NOT NULL DEFAULT now(),
    published_at timestamptz,
    PRIMARY KEY (slot, outbox_id)
);
CREATE INDEX outbox_waiting ON outbox (topic, outbox_id) WHERE published_at IS NULL;
CREATE INDEX outbox_by_age ON outbox (created_at);

-- Deferred: what counts is the setting the transaction commits under.
CREATE CONSTRAINT TRIGGER tickets_are_strong
    AFTER INSERT OR UPDATE OR DELETE ON tickets
    DEFERRABLE INITIALLY DEFERRED
    FOR EACH ROW EXECUTE FUNCTION require_strong_commit();
CREATE CONSTRAINT TRIGGER ticket_transitions_are_strong
    AFTER INSERT OR UPDATE OR DELETE ON ticket_transitions
    DEFERRABLE INITIALLY DEFERRED
    FOR EACH ROW EXECUTE FUNCTION require_strong_commit();
-- A promised ticket is as good as a ticket.
CREATE CONSTRAINT TRIGGER ticket_requests_are_strong
    AFTER INSERT ON outbox
    DEFERRABLE INITIALLY DEFERRED
    FOR EACH ROW WHEN (NEW.topic = 'ticket-requests') EXECUTE FUNCTION require_strong_commit();

GRANT USAGE ON SCHEMA public TO service;
GRANT SELECT ON cell_epoch TO service;
GRANT SELECT, INSERT, UPDATE, DELETE ON
    conversations, messages, open_turns, dialogue_state, slot_counters, tickets,
    ticket_transitions, idempotency_keys, outbox
    TO service;
