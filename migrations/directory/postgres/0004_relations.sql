-- How a user stands to another: 1 requested, 2 incoming, 3 accepted, 4 blocked. All but 4 stand in both directions.
CREATE TABLE relations (
    user_id uuid NOT NULL,
    other uuid NOT NULL,
    status smallint NOT NULL,
    since bigint NOT NULL,
    CONSTRAINT relations_of_user PRIMARY KEY (user_id, other)
);
