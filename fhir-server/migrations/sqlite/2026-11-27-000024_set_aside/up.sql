-- Messages of HL7 v2 that cannot be performed for a fault of this server: see
-- ihe-adapters/src/gateway/messages/queue.rs.
ALTER TABLE inbound_message ADD COLUMN failures  INTEGER NOT NULL DEFAULT 0;  -- rounds of tries in vain
ALTER TABLE inbound_message ADD COLUMN failing   INTEGER NOT NULL DEFAULT 0;  -- since when; microseconds since 1970, 0 for not
ALTER TABLE inbound_message ADD COLUMN set_aside INTEGER NOT NULL DEFAULT 0;  -- whether those behind it go on
ALTER TABLE inbound_message ADD COLUMN why       TEXT    NOT NULL DEFAULT ''; -- why it failed last
