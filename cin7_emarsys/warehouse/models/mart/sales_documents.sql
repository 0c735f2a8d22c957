-- grain: one row per invoice or credit note that counts
-- key: document_kind, document_id
-- feedback: delivery.records
-- meaning: Which documents go to Emarsys as sales data, and by which rule the others stay.
-- @column document_kind: invoice or credit_note.
-- @column document_id: The document.
-- @column sale_id: Its sale.
-- @column excluded: The rule that keeps it: erased, no_person, no_email, no_exchange_rate, no_date, history, wholesale;
-- null where it goes.
-- @column email: Whose it is; of a document that Emarsys has lines of, the address these went to (or to which that contact
-- has moved since), so that corrections find them, and nothing is taken back when its person loses the address.
-- @column lines: Number of its lines.
with told as (
    select records.document, coalesce(sent.moved_to, records.payload->>'email') as email
    from delivery.records as records
    semi join ( -- one line of each: to look into all of them would take long
        select min(record_id) as record_id from delivery.records
        where flow = 'sales' and outcome = 'accepted' group by document
    ) as firsts on firsts.record_id = records.record_id
    left join staging.sent_contacts as sent on sent.email = (records.payload->>'email')
)
select
    documents.document_kind,
    documents.document_id,
    documents.sale_id,
    case
        when documents.is_erased then 'erased'
        when documents.rate is null then 'no_exchange_rate'
        when documents.dated_on is null then 'no_date'
        when told.email is null and documents.person_id is null then 'no_person'
        when told.email is null and documents.email is null then 'no_email'
        when facts.silent and not settings.history_sales_data then 'history'
        when persons.is_wholesale and not settings.include_wholesale then 'wholesale'
    end as excluded,
    coalesce(told.email, documents.email) as email,
    documents.lines
from mart.documents as documents
cross join policy.settings as settings
left join told on told.document = documents.document_kind || ':' || documents.document_id
left join mart.persons as persons on persons.person_id = documents.person_id
left join mart.order_facts as facts on facts.document_id = documents.document_id
    and facts.fact = case documents.document_kind when 'invoice' then 'invoiced' else 'credited' end
