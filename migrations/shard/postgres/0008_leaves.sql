-- How the leaves of a slot are made, fenced and opened again: one place, for the first start and for moves.

-- The tables that have a leaf for every slot.
CREATE FUNCTION slot_tables() RETURNS text[] LANGUAGE sql IMMUTABLE AS
$$ SELECT ARRAY['rooms', 'entries', 'members', 'watermarks', 'reactions', 'mentions', 'follow_ups'] $$;

-- The leaf of a table for a slot: entries_s00042.
CREATE FUNCTION slot_leaf(parent text, slot integer) RETURNS text LANGUAGE sql IMMUTABLE AS
$$ SELECT parent || '_s' || lpad(slot::text, 5, '0') $$;

-- A writer came to a leaf that it may not write. KL001 is Klatch's own SQLSTATE (classes from I to Z are free for such:
-- https://www.postgresql.org/docs/current/errcodes-appendix.html). Apply workers of a subscription pass: to them ordinary
-- triggers do not fire.
CREATE FUNCTION refuse_write() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'the slot of % is fenced', TG_TABLE_NAME USING ERRCODE = 'KL001';
END $$;

-- Row by row, as statement triggers of a leaf do not fire for statements on its parent. Waits for writers in flight: set
-- lock_timeout, or everyone behind waits as well.
CREATE FUNCTION fence_slot(fenced integer) RETURNS void LANGUAGE plpgsql AS $$
DECLARE parent text;
BEGIN
    FOREACH parent IN ARRAY slot_tables() LOOP
        EXECUTE format('CREATE OR REPLACE TRIGGER fence BEFORE INSERT OR UPDATE OR DELETE ON %I '
            'FOR EACH ROW EXECUTE FUNCTION refuse_write()', slot_leaf(parent, fenced));
        EXECUTE format('CREATE OR REPLACE TRIGGER fence_truncate BEFORE TRUNCATE ON %I '
            'FOR EACH STATEMENT EXECUTE FUNCTION refuse_write()', slot_leaf(parent, fenced));
    END LOOP;
END $$;

CREATE FUNCTION open_slot(opened integer) RETURNS void LANGUAGE plpgsql AS $$
DECLARE parent text;
BEGIN
    FOREACH parent IN ARRAY slot_tables() LOOP
        EXECUTE format('DROP TRIGGER IF EXISTS fence ON %I', slot_leaf(parent, opened));
        EXECUTE format('DROP TRIGGER IF EXISTS fence_truncate ON %I', slot_leaf(parent, opened));
    END LOOP;
END $$;

-- Leaves that stand for themselves. The check lets attach_slot skip its scan.
CREATE FUNCTION make_slot(made integer) RETURNS void LANGUAGE plpgsql AS $$
DECLARE parent text;
BEGIN
    FOREACH parent IN ARRAY slot_tables() LOOP
        EXECUTE format('CREATE TABLE %I (LIKE %I INCLUDING DEFAULTS INCLUDING CONSTRAINTS INCLUDING INDEXES, '
            'CONSTRAINT slot_is CHECK (slot = %s))', slot_leaf(parent, made), parent, made);
    END LOOP;
END $$;

-- From now on they are part of the tables. There is never a DEFAULT partition: it would be scanned here.
CREATE FUNCTION attach_slot(attached integer) RETURNS void LANGUAGE plpgsql AS $$
DECLARE parent text;
BEGIN
    FOREACH parent IN ARRAY slot_tables() LOOP
        EXECUTE format('ALTER TABLE %I ATTACH PARTITION %I FOR VALUES IN (%s)',
            parent, slot_leaf(parent, attached), attached);
        EXECUTE format('ALTER TABLE %I DROP CONSTRAINT slot_is', slot_leaf(parent, attached));
    END LOOP;
END $$;
