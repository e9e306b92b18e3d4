-- Versions of Binary whose bytes are in the document store, not in the body:
-- see fhir-server/src/documents.rs.
CREATE TABLE content (
    key     INTEGER NOT NULL, -- of the Binary
    version INTEGER NOT NULL,
    sha256  BLOB    NOT NULL,
    size    INTEGER NOT NULL, -- in bytes
    PRIMARY KEY (key, version)
) STRICT, WITHOUT ROWID;
CREATE INDEX content_by_hash ON content (sha256);
