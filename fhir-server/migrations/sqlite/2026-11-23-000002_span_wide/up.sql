-- Intervals longer than about a day, by their upper end. All others have their
-- upper end near the lower one, so that the primary key finds them; without
-- this index, `date=ge...` would read every interval that begins before.
-- The length stands in search/render.rs as well.
CREATE INDEX span_wide ON span (hash, high, low, key) WHERE high - low > 100000000000;
