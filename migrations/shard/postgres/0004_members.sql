CREATE TABLE members (
    slot integer NOT NULL,
    room uuid NOT NULL,
    user_id uuid NOT NULL,
    role smallint NOT NULL,
    blocking boolean NOT NULL,
    joined_at bigint NOT NULL,
    CONSTRAINT member_by_room PRIMARY KEY (room, user_id, slot)
) PARTITION BY LIST (slot);

-- Apart from members: a watermark outlives leaving, for a return, and is written far more often.
CREATE TABLE watermarks (
    slot integer NOT NULL,
    room uuid NOT NULL,
    user_id uuid NOT NULL,
    read_generation bigint NOT NULL,
    read_seq bigint NOT NULL,
    delivered_generation bigint NOT NULL,
    delivered_seq bigint NOT NULL,
    CONSTRAINT watermark_by_member PRIMARY KEY (room, user_id, slot)
) PARTITION BY LIST (slot);
