-- Our own tables that a model reads in their state before the build, as they stand when there was no build yet.

create table mart.availability (
    product_id VARCHAR, sku VARCHAR, state VARCHAR, available BOOLEAN, c_stock BIGINT, c_low_stock BIGINT, ats BIGINT,
    snapshot_id VARCHAR, taken_at TIMESTAMP, reason VARCHAR, changed_at TIMESTAMP, previous_state VARCHAR,
    previous_available BOOLEAN, waterfall_before JSON, waterfall_after JSON
);
create table mart.confirmations (
    product_id VARCHAR, sku VARCHAR, is_active BOOLEAN, is_stock BOOLEAN, is_sold BOOLEAN, is_offered BOOLEAN,
    has_price BOOLEAN, ats BIGINT, snapshot_id VARCHAR, seen_at TIMESTAMP, is_known BOOLEAN, prior_state VARCHAR,
    prior_available BOOLEAN, prior_stock BIGINT, prior_low_stock BIGINT, distrust VARCHAR, confirmed INTEGER,
    counted_in VARCHAR, location_policy VARCHAR, by_policy BOOLEAN, vanished BOOLEAN, asks BOOLEAN, reason VARCHAR
);
create table mart.held_flips (
    hold_id VARCHAR, kind VARCHAR, product_id VARCHAR, item VARCHAR, was VARCHAR, wanted VARCHAR, reason VARCHAR,
    held_at TIMESTAMP, released_at TIMESTAMP, ended_at TIMESTAMP
);
create table mart.catalogue (
    product_id VARCHAR, item VARCHAR, title VARCHAR, link VARCHAR, image VARCHAR, category VARCHAR, available BOOLEAN,
    price DECIMAL(18,4), msrp DECIMAL(18,4), brand VARCHAR, description VARCHAR, group_id VARCHAR, c_stock BIGINT,
    c_low_stock BIGINT, c_stock_state VARCHAR, held_reason VARCHAR, payload_hash VARCHAR
);
create table mart.value_lines_seen (
    document_kind VARCHAR, document_id VARCHAR, person_id VARCHAR, number VARCHAR, order_number VARCHAR,
    amount DECIMAL(18,4)
);
create table mart.customer_value_changes (
    revision BIGINT, changed_at TIMESTAMP, person_id VARCHAR, what VARCHAR, document_kind VARCHAR, document_id VARCHAR,
    number VARCHAR, order_number VARCHAR, amount_before DECIMAL(18,4), amount_after DECIMAL(18,4),
    difference DECIMAL(18,4), reason VARCHAR
);
create table mart.order_facts (
    fact_id VARCHAR, fact VARCHAR, event VARCHAR, sale_id VARCHAR, document_id VARCHAR, fact_at TIMESTAMP,
    recorded_at TIMESTAMP, silent BOOLEAN, absorbed BOOLEAN
);
create table reconciliation.drift (
    what VARCHAR, key VARCHAR, email VARCHAR, field VARCHAR, ours VARCHAR, theirs VARCHAR, cause VARCHAR, expected BOOLEAN,
    since TIMESTAMP, read_at TIMESTAMP, owner VARCHAR, next_step VARCHAR
);
create table reconciliation.balance (
    flow VARCHAR, day DATE, from_at TIMESTAMP, until_at TIMESTAMP, source BIGINT, excluded BIGINT, excluded_by JSON,
    eligible BIGINT, unaccounted BIGINT, unchanged BIGINT, sent BIGINT, accepted BIGINT, rejected BIGINT, retryable BIGINT,
    unknown BIGINT, parked BIGINT, open BIGINT
);
