-- Each day of a month with documents, those that came late apart. Parameters: $first, $last (days).
-- @column day: Date of the documents.
-- @column late: They were first read after the month had ended, by the merchant's calendar.
-- @column documents: How many.
-- @column invoices: Cin7's invoices, without tax, in the currency of the books.
-- @column credit_notes: Cin7's credit notes, as a positive amount.
-- @column books: The one less the other.
-- @column charges: Of this, charges outside value.
-- @column left_out: Of this, documents that count for nothing.
-- @column unexplained: Of this, what lines and charges do not add up to.
-- @column unnamed: Documents for which that is more than rounding, and nobody can say why.
-- @column mart: What counts here: books − charges − left_out − unexplained.
-- @column excluded: Of what counts, left out of the sales data by rule.
-- @column tax: Tax that goes with it, where prices go with tax.
-- @column told: For Emarsys: mart − excluded + tax.
-- @column accepted: Of these, accepted.
-- @column parked: Of these, sent without a trustworthy answer.
-- @column refused: Of these, refused.
-- @column open: Of these, not sent yet; negative: to be taken back.
select
    dated_on as day,
    coalesce(cast((first_seen_at at time zone 'UTC') at time zone tenant.time_zone as date) > $last, false) as late,
    count(*) as documents,
    coalesce(sum(books) filter (document_kind = 'invoice'), 0) as invoices,
    coalesce(-sum(books) filter (document_kind = 'credit_note'), 0) as credit_notes,
    sum(books) as books,
    sum(charges) as charges,
    sum(left_out) as left_out,
    sum(unexplained) as unexplained,
    count(*) filter (reason is null and abs(unexplained) > 0.02) as unnamed,
    sum(counted) as mart,
    sum(excluded) as excluded,
    sum(tax) as tax,
    sum(told) as told,
    sum(accepted) as accepted,
    sum(parked) as parked,
    sum(refused) as refused,
    sum(open) as open
from reconciliation.document_books
cross join staging.tenant as tenant
where dated_on between $first and $last
group by all
order by late, day
