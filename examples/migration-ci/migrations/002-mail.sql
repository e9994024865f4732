ALTER TABLE people ADD COLUMN mail TEXT;
UPDATE people SET mail = lower(name) || '@example.org';
