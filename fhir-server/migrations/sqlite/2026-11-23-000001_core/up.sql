-- The current version of each resource. `key` is the instant of creation in
-- microseconds, strictly growing, so that newest first is key order. A deleted
-- resource stays, without body.
CREATE TABLE resource (
    key INTEGER NOT NULL PRIMARY KEY,
    ref INTEGER NOT NULL UNIQUE,
    type INTEGER NOT NULL,
    type_name TEXT NOT NULL,
    id TEXT NOT NULL,
    version INTEGER NOT NULL,
    updated INTEGER NOT NULL,
    operation INTEGER NOT NULL,
    deleted INTEGER NOT NULL,
    hole INTEGER NOT NULL,
    body BLOB NOT NULL,
    index_keys BLOB NOT NULL
) STRICT;
CREATE INDEX resource_live ON resource (type, key) WHERE deleted = 0;
CREATE INDEX resource_updated ON resource (updated);
CREATE INDEX resource_type_updated ON resource (type, updated);

-- Versions that are current no more.
CREATE TABLE version (
    key INTEGER NOT NULL,
    version INTEGER NOT NULL,
    type INTEGER NOT NULL,
    updated INTEGER NOT NULL,
    operation INTEGER NOT NULL,
    deleted INTEGER NOT NULL,
    hole INTEGER NOT NULL,
    body BLOB NOT NULL,
    PRIMARY KEY (key, version)
) STRICT;
CREATE INDEX version_updated ON version (updated);
CREATE INDEX version_type_updated ON version (type, updated);

-- The index: see fhir-server/src/index/row.rs.
CREATE TABLE equal (
    hash INTEGER NOT NULL,
    key INTEGER NOT NULL,
    PRIMARY KEY (hash, key)
) STRICT, WITHOUT ROWID;
CREATE TABLE link (
    target INTEGER NOT NULL,
    branch INTEGER NOT NULL,
    key INTEGER NOT NULL,
    PRIMARY KEY (target, branch, key)
) STRICT, WITHOUT ROWID;
CREATE INDEX link_key ON link (key, branch, target);
CREATE TABLE pair (
    focus INTEGER NOT NULL,
    value INTEGER NOT NULL,
    key INTEGER NOT NULL,
    PRIMARY KEY (focus, value, key)
) STRICT, WITHOUT ROWID;
CREATE TABLE span (
    hash INTEGER NOT NULL,
    low INTEGER NOT NULL,
    high INTEGER NOT NULL,
    key INTEGER NOT NULL,
    PRIMARY KEY (hash, low, high, key)
) STRICT, WITHOUT ROWID;
CREATE INDEX span_key ON span (key, hash, low, high);
CREATE TABLE text (
    branch INTEGER NOT NULL,
    folded TEXT NOT NULL,
    key INTEGER NOT NULL,
    PRIMARY KEY (branch, folded, key)
) STRICT, WITHOUT ROWID;
CREATE INDEX text_key ON text (key, branch, folded);

-- How many resources of each type live.
CREATE TABLE counter (
    type INTEGER NOT NULL PRIMARY KEY,
    live INTEGER NOT NULL
) STRICT;
