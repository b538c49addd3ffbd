-- What the services' programs asked of the schema of version 1, with values in place of parameters: one
-- conversation with a message, its answer, an escalation, and a ticket that moves on.

-- Idempotency.
INSERT INTO idempotency_keys (slot, user_id, key, fingerprint)
    VALUES (1, 'ada', 'k', '\x00') ON CONFLICT DO NOTHING;
SELECT fingerprint, status, body FROM idempotency_keys
    WHERE slot = 1 AND user_id = 'ada' AND key = 'k';
UPDATE idempotency_keys SET status = 201::smallint, body = '{}'::jsonb
    WHERE slot = 1 AND user_id = 'ada' AND key = 'k';

-- Conversations.
INSERT INTO conversations (slot, conversation_id, user_id, channel, locale, metadata)
    VALUES (1, '00000000-0000-7000-8000-000000000001', 'ada', 'web', NULL, '{}')
    RETURNING conversation_id, channel, locale, metadata, status, next_seq - 1, ticket_id,
        to_char(created_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"'),
        to_char(last_activity_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"');
SELECT conversation_id, channel, locale, metadata, status, next_seq - 1, ticket_id, created_at, last_activity_at
    FROM conversations WHERE slot = 1 AND user_id = 'ada'
      AND conversation_id < 'ffffffff-ffff-ffff-ffff-ffffffffffff' ORDER BY conversation_id DESC LIMIT 10;

-- A message.
SELECT c.next_seq, c.locale, d.last_article, d.active_intent
    FROM conversations c LEFT JOIN dialogue_state d USING (slot, conversation_id)
    WHERE c.slot = 1 AND c.conversation_id = '00000000-0000-7000-8000-000000000001' AND c.user_id = 'ada'
    FOR UPDATE OF c;
INSERT INTO messages (slot, conversation_id, seq, message_id, client_message_id, author, kind, text, locale)
    VALUES (1, '00000000-0000-7000-8000-000000000001', 1, '00000000-0000-7000-8000-000000000002', 'm',
            'contact', 'text', 'hello', 'en')
    RETURNING message_id, conversation_id, seq, client_message_id, author, kind, text, choices, locale,
        in_reply_to, nlu, source, degraded_reason;
SELECT message_id, conversation_id, seq, client_message_id, author, kind, text, choices, locale, in_reply_to,
       nlu, source, degraded_reason, created_at
    FROM messages WHERE slot = 1 AND conversation_id = '00000000-0000-7000-8000-000000000001'
      AND client_message_id = 'm';
UPDATE conversations SET next_seq = next_seq + 1, last_activity_at = now()
    WHERE slot = 1 AND conversation_id = '00000000-0000-7000-8000-000000000001';
INSERT INTO open_turns (slot, message_id, conversation_id)
    VALUES (1, '00000000-0000-7000-8000-000000000002', '00000000-0000-7000-8000-000000000001');

-- Its answer, which escalates.
SELECT o.slot, o.message_id, o.conversation_id, c.user_id, d.last_article, d.active_intent
    FROM open_turns o JOIN conversations c USING (slot, conversation_id)
    LEFT JOIN dialogue_state d USING (slot, conversation_id)
    WHERE o.opened_at < now() - '3 seconds'::text::interval ORDER BY o.opened_at LIMIT 32;
SELECT c.next_seq, c.status = 'queued', coalesce(d.fallbacks, 0)
    FROM conversations c LEFT JOIN dialogue_state d USING (slot, conversation_id)
    WHERE c.slot = 1 AND c.conversation_id = '00000000-0000-7000-8000-000000000001' FOR UPDATE OF c;
INSERT INTO messages (slot, conversation_id, seq, message_id, author, kind, text, choices, locale,
        in_reply_to, nlu, source, degraded_reason)
    VALUES (1, '00000000-0000-7000-8000-000000000001', 2, '00000000-0000-7000-8000-000000000003', 'bot',
            'choices', 'a person', '[]', 'en', '00000000-0000-7000-8000-000000000002', '{}', '{}', NULL)
    ON CONFLICT (slot, in_reply_to) WHERE author = 'bot' DO NOTHING RETURNING message_id;
UPDATE conversations SET next_seq = next_seq + 1, last_activity_at = now(),
        status = CASE WHEN true THEN 'queued' ELSE status END
    WHERE slot = 1 AND conversation_id = '00000000-0000-7000-8000-000000000001';
INSERT INTO dialogue_state (slot, conversation_id, active_intent, last_article, fallbacks)
    VALUES (1, '00000000-0000-7000-8000-000000000001', 'human_agent', NULL, 0)
    ON CONFLICT (slot, conversation_id) DO UPDATE
        SET active_intent = coalesce(excluded.active_intent, dialogue_state.active_intent),
            last_article = coalesce(excluded.last_article, dialogue_state.last_article),
            fallbacks = excluded.fallbacks, updated_at = now();
DELETE FROM open_turns WHERE slot = 1 AND message_id = '00000000-0000-7000-8000-000000000002';
INSERT INTO outbox (slot, outbox_id, topic, user_id, subject, payload)
    VALUES (1, '00000000-0000-7000-8000-000000000004', 'ticket-requests', 'ada',
            '00000000-0000-7000-8000-000000000001', '{}'),
           (1, '00000000-0000-7000-8000-000000000005', 'session-updates', 'ada',
            '00000000-0000-7000-8000-000000000001', '{}');
SELECT message_id, seq, text FROM messages
    WHERE slot = 1 AND conversation_id = '00000000-0000-7000-8000-000000000001' AND seq > 0
    ORDER BY seq LIMIT 10;

-- The outbox, and its ticket.
SELECT slot, user_id, outbox_id, subject, payload FROM outbox
    WHERE topic = 'ticket-requests' AND published_at IS NULL ORDER BY outbox_id LIMIT 32;
INSERT INTO slot_counters (slot, counter, value) VALUES (1, 'ticket', 1)
    ON CONFLICT (slot, counter) DO UPDATE SET value = slot_counters.value + 1 RETURNING value;
INSERT INTO tickets (slot, ticket_id, number, user_id, subject, description, status, priority, conversation_id)
    VALUES (1, '00000000-0000-7000-8000-000000000006', 1, 'ada', 's', 'd', 'new', 'normal',
            '00000000-0000-7000-8000-000000000001')
    RETURNING ticket_id, number, subject, description, status, priority, conversation_id, version;
INSERT INTO ticket_transitions (slot, ticket_id, version, from_status, to_status, actor, reason)
    VALUES (1, '00000000-0000-7000-8000-000000000006', 1, NULL, 'new', 'ada', NULL);
UPDATE conversations SET ticket_id = '00000000-0000-7000-8000-000000000006'
    WHERE slot = 1 AND conversation_id = '00000000-0000-7000-8000-000000000001';
UPDATE outbox SET published_at = now()
    WHERE slot = 1 AND outbox_id = '00000000-0000-7000-8000-000000000004';

-- The ticket moves on.
SELECT ticket_id, number, subject, description, status, priority, conversation_id, version, created_at, updated_at
    FROM tickets WHERE slot = 1 AND ticket_id = '00000000-0000-7000-8000-000000000006' AND user_id = 'ada'
    FOR UPDATE;
UPDATE tickets SET status = 'open', version = version + 1, updated_at = now()
    WHERE slot = 1 AND ticket_id = '00000000-0000-7000-8000-000000000006' RETURNING version;
INSERT INTO ticket_transitions (slot, ticket_id, version, from_status, to_status, actor, reason)
    VALUES (1, '00000000-0000-7000-8000-000000000006', 2, 'new', 'open', 'ada', 'looked at');
SELECT version, from_status, to_status, actor, reason, at
    FROM ticket_transitions WHERE slot = 1 AND ticket_id = '00000000-0000-7000-8000-000000000006'
    ORDER BY version;

-- What is old goes.
DELETE FROM idempotency_keys WHERE (slot, user_id, key) IN
    (SELECT slot, user_id, key FROM idempotency_keys
     WHERE created_at < now() - '24 hours'::text::interval LIMIT 1000);
DELETE FROM outbox WHERE (slot, outbox_id) IN
    (SELECT slot, outbox_id FROM outbox
     WHERE created_at < now() - '24 hours'::text::interval
       AND (published_at IS NOT NULL OR topic = 'session-updates') LIMIT 1000);
