-- What has to reach somebody else: see fhir-server/src/outbox. A row goes when its
-- message was taken; one that was given up stays until an operator decides.
CREATE TABLE outbox (
    position     INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
    id           TEXT    NOT NULL UNIQUE, -- the same however often it is sent
    destination  TEXT    NOT NULL,
    lane         TEXT    NOT NULL, -- those of a lane are sent one after the other
    kind         TEXT    NOT NULL,
    cause        TEXT    NOT NULL, -- the resource that it came of
    content_type TEXT    NOT NULL,
    body         BLOB    NOT NULL,
    queued       INTEGER NOT NULL, -- microseconds since 1970
    tries        INTEGER NOT NULL,
    failing      INTEGER NOT NULL, -- since when it fails, in microseconds since 1970; 0 for not
    given_up     INTEGER NOT NULL, -- 0 or 1
    why          TEXT    NOT NULL  -- it failed last; '' for not
) STRICT;
CREATE INDEX outbox_waiting ON outbox (destination, given_up, position);
