-- Other forms of stored values: what is asked for, and the hashes of rows that
-- it stands for. Rows are facts about values, and never go.
CREATE TABLE form (
    form INTEGER NOT NULL,
    hash INTEGER NOT NULL,
    PRIMARY KEY (form, hash)
) STRICT, WITHOUT ROWID;
