-- Messages of HL7 v2 that were taken over (enhanced mode): see
-- ihe-adapters/src/gateway/messages/inbox.rs.
CREATE TABLE inbound_message (
    number  INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT, -- their order
    sender  TEXT    NOT NULL,                           -- MSH-3|MSH-4
    at      INTEGER NOT NULL,                           -- microseconds since 1970
    message BLOB    NOT NULL,
    answer  BLOB                                        -- once performed: what waits to be sent
) STRICT;
CREATE INDEX inbound_message_by_sender ON inbound_message (sender, number);
