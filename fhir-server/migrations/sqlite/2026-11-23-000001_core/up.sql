-- Instants are microseconds since 1970. A `key` is the instant at which the
-- resource was first stored: it never changes and nothing else has it, so that
-- newest first is key order.

-- The current version of each resource. A deleted one stays, without body.
CREATE TABLE resource (
    key        INTEGER NOT NULL PRIMARY KEY,
    ref        INTEGER NOT NULL UNIQUE, -- TargetHash::of_resource
    type       INTEGER NOT NULL,        -- TypeCode
    type_name  TEXT    NOT NULL,
    id         TEXT    NOT NULL,
    version    INTEGER NOT NULL,
    updated    INTEGER NOT NULL,
    operation  INTEGER NOT NULL,        -- Operation
    deleted    INTEGER NOT NULL,        -- 0 or 1
    hole       INTEGER NOT NULL,        -- where versionId and lastUpdated go in the body
    body       BLOB    NOT NULL,        -- storage/body.rs; empty when deleted
    index_keys BLOB    NOT NULL         -- storage/packed.rs; what the index tables hold of it
) STRICT;
CREATE INDEX resource_live ON resource (type, key) WHERE deleted = 0;
CREATE INDEX resource_updated ON resource (updated);
CREATE INDEX resource_type_updated ON resource (type, updated);

-- The versions that are current no more. The instants of all versions differ.
CREATE TABLE version (
    updated    INTEGER NOT NULL PRIMARY KEY,
    superseded INTEGER NOT NULL,        -- when the next version came
    key        INTEGER NOT NULL,
    version    INTEGER NOT NULL,
    type       INTEGER NOT NULL,
    operation  INTEGER NOT NULL,
    deleted    INTEGER NOT NULL,
    hole       INTEGER NOT NULL,
    body       BLOB    NOT NULL
) STRICT;
CREATE UNIQUE INDEX version_key ON version (key, version);
CREATE INDEX version_type_updated ON version (type, updated);

-- The index: fhir-server/src/index/row.rs says what the numbers are.
CREATE TABLE equal (
    hash INTEGER NOT NULL,
    key  INTEGER NOT NULL,
    PRIMARY KEY (hash, key)
) STRICT, WITHOUT ROWID;

CREATE TABLE link (
    target INTEGER NOT NULL,
    branch INTEGER NOT NULL,
    key    INTEGER NOT NULL,
    PRIMARY KEY (target, branch, key)
) STRICT, WITHOUT ROWID;
CREATE INDEX link_key ON link (key, branch, target);

CREATE TABLE pair (
    focus INTEGER NOT NULL,
    value INTEGER NOT NULL,
    key   INTEGER NOT NULL,
    PRIMARY KEY (focus, value, key)
) STRICT, WITHOUT ROWID;

CREATE TABLE span (
    hash INTEGER NOT NULL,
    low  INTEGER NOT NULL,
    high INTEGER NOT NULL,
    key  INTEGER NOT NULL,
    PRIMARY KEY (hash, low, high, key)
) STRICT, WITHOUT ROWID;
CREATE INDEX span_key ON span (key, hash, low, high);

CREATE TABLE text (
    branch INTEGER NOT NULL,
    folded TEXT    NOT NULL,
    key    INTEGER NOT NULL,
    PRIMARY KEY (branch, folded, key)
) STRICT, WITHOUT ROWID;
CREATE INDEX text_key ON text (key, branch, folded);

-- How many resources of each type live.
CREATE TABLE counter (
    type INTEGER NOT NULL PRIMARY KEY,
    live INTEGER NOT NULL
) STRICT;

-- Facts about this database.
CREATE TABLE setting (
    name  TEXT NOT NULL PRIMARY KEY,
    value TEXT NOT NULL
) STRICT, WITHOUT ROWID;
