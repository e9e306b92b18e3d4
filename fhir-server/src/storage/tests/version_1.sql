-- A database as its first schema left it: Patient/a with two versions.
CREATE TABLE __diesel_schema_migrations (
    version VARCHAR(50) PRIMARY KEY NOT NULL,
    run_on TIMESTAMP NOT NULL DEFAULT CURRENT_TIMESTAMP
);
INSERT INTO __diesel_schema_migrations (version) VALUES ('20261123000001');
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
CREATE TABLE counter (
    type INTEGER NOT NULL PRIMARY KEY,
    live INTEGER NOT NULL
) STRICT;
CREATE TABLE setting (
    name  TEXT NOT NULL PRIMARY KEY,
    value TEXT NOT NULL
) STRICT, WITHOUT ROWID;
INSERT INTO resource VALUES (1795439144123455, 1999974448011786212, 31585370, 'Patient', 'a', 2, 1795439144123456, 1, 0, 43, x'007b240ed47b227265736f7572636554797065223a2250617469656e74222c226964223a2261222c226d657461223a7b7d2c2274657874223a226263227d', x'010262000000000000006300000000000000026200000000000000070000006300000000000000070000000202020101020100000000000000620000000000000001010000000000000063000000000000000102fdffffff0162fdffffff01632cc4d27f');
INSERT INTO version VALUES (1795439144123455, 1795439144123456, 1795439144123455, 1, 31585370, 1, 0, 43, x'0045ffd2887b227265736f7572636554797065223a2250617469656e74222c226964223a2261222c226d657461223a7b7d2c2274657874223a22616263227d');
INSERT INTO equal VALUES (98, 1795439144123455);
INSERT INTO equal VALUES (99, 1795439144123455);
INSERT INTO link VALUES (98, 7, 1795439144123455);
INSERT INTO link VALUES (99, 7, 1795439144123455);
INSERT INTO pair VALUES (-452898888652427833, 99, 1795439144123455);
INSERT INTO pair VALUES (8952348309802950398, 98, 1795439144123455);
INSERT INTO span VALUES (1, 98, 99, 1795439144123455);
INSERT INTO span VALUES (1, 99, 100, 1795439144123455);
INSERT INTO text VALUES (-3, 'b', 1795439144123455);
INSERT INTO text VALUES (-3, 'c', 1795439144123455);
INSERT INTO counter VALUES (31585370, 1);
