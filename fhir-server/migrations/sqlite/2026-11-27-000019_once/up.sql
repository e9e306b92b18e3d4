-- What was performed under a key, and is not performed again:
-- see fhir-server/src/interaction/once.rs.
CREATE TABLE once (
    key         BLOB    NOT NULL PRIMARY KEY, -- SHA-256 of the key
    at          INTEGER NOT NULL,             -- microseconds since 1970
    fingerprint BLOB    NOT NULL,             -- SHA-256 of what was sent
    performed   BLOB    NOT NULL,             -- what each entry led to, JSON
    answer      BLOB    NOT NULL              -- what the door answered
) STRICT, WITHOUT ROWID;
CREATE INDEX once_by_time ON once (at);
